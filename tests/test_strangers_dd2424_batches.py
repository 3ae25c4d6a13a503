"""Functions of DD2424 programs that cut the images into batches, in the forms in which they hand them over."""

import pytest
from conftest import dd2424_program as program

pytestmark = pytest.mark.thorough

CUT = """

def make_minibatches(X, Y, n_batch):
    n = X.shape[1] // n_batch
    xs = [X[:, j * n_batch : (j + 1) * n_batch] for j in range(n)]
    ys = [Y[:, j * n_batch : (j + 1) * n_batch] for j in range(n)]
    return xs, ys
"""
FORMS = {
    "lists": "xs, ys",
    "pairs": "list(zip(xs, ys))",
    "a generator": "(pair for pair in zip(xs, ys))",
    "batches first": "np.array(xs), np.array(ys)",
    "batches last": "np.stack(xs, axis=2), np.stack(ys, axis=2)",
}
RANDOM = "np.random.randint(0, X.shape[1], n_batch)"


def minibatches(inspected, lines):
    cut = CUT
    for source, instead in lines.items():
        assert source in cut
        cut = cut.replace(source, instead)
    checks, _ = inspected("student.py", "dd2424", program("two_layers") + cut)
    return checks.get("minibatches make_minibatches")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("source", "said"), [("j * n_batch : (", ""), ("range(n)", "missing")], ids=["right", "lost"])
def test_every_image_is_in_one_batch(inspected, form, source, said):
    instead = "range(1, n)" if said else source
    found = minibatches(inspected, {"xs, ys": FORMS[form], source: instead})
    assert found["verdict"] == ("WRONG" if said else "all right")
    assert said in (found["first"] or "")


def test_labels_that_go_with_other_images_are_named(inspected):
    found = minibatches(inspected, {"Y[:, j * n_batch": "Y[:, ::-1][:, j * n_batch"})
    assert found["verdict"] == "WRONG"
    assert "label" in found["first"]


@pytest.mark.parametrize(
    ("batch", "verdict"), [("j : j + n_batch", "WRONG"), (RANDOM, "all right")], ids=["overlap", "drawn"]
)
def test_overlapping_batches_are_a_mistake_unless_they_are_drawn(inspected, batch, verdict):
    old = "{} = [{}[:, j * n_batch : (j + 1) * n_batch] for j in range(n)]"
    lines = {old.format("xs", "X"): f"at = [np.r_[{batch}] for j in range(n)]"}
    lines[old.format("ys", "Y")] = "xs, ys = [X[:, i] for i in at], [Y[:, i] for i in at]"
    assert minibatches(inspected, lines)["verdict"] == verdict


def test_what_makes_something_else_is_not_looked_at(inspected):
    assert minibatches(inspected, {"return xs, ys": "return n"}) is None
