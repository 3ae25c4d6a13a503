"""A file read as another course's: it is told which it looks like, and nothing of it is accused."""

from pathlib import Path

import pytest

from manual_mlp.adapters.conventions import check_mapped

STRANGERS = Path(__file__).parent / "strangers"
OF_CS231N = ["layers.py", "softmax.py", "neural_net.py", "optim.py"]
OF_DD2424 = ["two_layers.py", "layers_added.py", "plain_tuple.py", "batch_norm_functions.py"]


def text_of(convention, file):
    return (STRANGERS / convention / file).read_text()


@pytest.mark.parametrize("file", OF_CS231N)
def test_a_file_of_cs231n_read_as_dd2424_is_told_so_and_not_accused(inspected, file):
    checks, last = inspected("student.py", "dd2424", text_of("cs231n", file))
    said = [last["stopped"], *last["notes"]]
    assert any("looks like CS231n's code" in text and "--convention cs231n" in text for text in said)
    assert {check["verdict"] for check in checks.values()} <= {"all right"}


@pytest.mark.parametrize("file", OF_DD2424)
def test_a_file_of_dd2424_read_as_cs231n_is_told_so(inspected, file):
    checks, last = inspected("student.py", "cs231n", text_of("dd2424", file))
    assert not checks
    assert "looks like DD2424's code" in last["stopped"]
    assert "--convention dd2424" in last["stopped"]


def test_a_network_of_another_course_is_not_called_wrong(inspected):
    text = """import numpy as np
class Net:
    def __init__(self, input_dim, hidden_dims, num_classes, weight_scale=1):
        self.params = {"W1": 0, "b1": 0}
    def loss(self, X, Y):
        return 1.0, {"W1": 0}
def ComputeCost(X, Y, W, b, lamda):
    return 0.0
def ComputeAccuracy(X, y, W, b):
    return 0.0
"""
    checks, last = inspected("student.py", "cs231n", text)
    assert not checks
    assert "(ComputeCost, ComputeAccuracy)" in last["stopped"]


def test_names_of_both_courses_are_no_reason_to_doubt(inspected):
    text = text_of("dd2424", "two_layers.py") + "\ndef relu_forward(x):\n    return x * (x > 0)\n"
    checks, last = inspected("student.py", "dd2424", text.replace("G[h <= 0] = 0", "pass"), only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert not last["stopped"]


@pytest.mark.parametrize("name", ["relu_forward", "rmsprop"])
def test_one_name_of_another_course_is_no_reason_either(inspected, name):
    text = text_of("dd2424", "named_by_callers.py") + f"\ndef {name}(x):\n    return x\n"
    checks, last = inspected("student.py", "dd2424", text.replace(" * (H > 0)", ""), only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert not last["stopped"]


@pytest.mark.parametrize(
    ("convention", "key", "said"),
    [
        ("cs231n", "affine_foward", "did you mean affine_forward?"),
        ("cs231n", "gradients", "The names are affine_forward, affine_backward, relu_forward"),
        ("dd2424", "gradient", "did you mean gradients? The names are forward, cost, gradients, schedule"),
    ],
    ids=["misspelt", "of the other convention", "the other convention's, misspelt"],
)
def test_what_cannot_be_mapped_is_named(convention, key, said):
    with pytest.raises(ValueError, match=f"--functions {key}=mine") as refused:
        check_mapped(convention, {key: "mine"})
    assert said in str(refused.value)


def test_everything_that_is_looked_for_can_be_mapped():
    check_mapped("dd2424", dict.fromkeys(("forward", "cost", "gradients", "schedule"), "mine"))
    check_mapped("cs231n", dict.fromkeys(("batchnorm_backward_alt", "network", "adam", "softmax_loss"), "mine"))
