"""Programs in DD2424's conventions that want more than their functions called: what is a choice, what was not seen."""

from pathlib import Path

import pytest

STRANGERS = Path(__file__).parent / "strangers" / "dd2424"


def program(file, **replacements):
    """The text of a stranger's file, with other lines in it."""
    text = (STRANGERS / f"{file}.py").read_text()
    for source, instead in replacements.get("lines", {}).items():
        assert source in text
        text = text.replace(source, instead)
    return text


def test_a_network_that_always_normalizes_is_not_asked_for_another_mode(inspected):
    checks, last = inspected("always_normalized.py", "dd2424")
    assert "network" not in checks
    assert any("always normalizes" in note for note in last["notes"])


@pytest.mark.parametrize(
    ("sigmas", "verdict"),
    [
        ("(0.1, 0.001)", "all right"),
        ("(1e-4, 1e-4)", "all right"),
        ("(2 / d, 2 / m)", "WRONG"),
        ("(0 * d, 0)", "WRONG"),
    ],
)
def test_fixed_standard_deviations_are_a_choice(inspected, sigmas, verdict):
    text = program("always_normalized", lines={"sigmas=(0.1, 0.001)": "", "rng = np": f"sigmas = {sigmas}; rng = np"})
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == verdict
    assert ("fixed standard deviation" in checks["initialization"]["text"]) == (verdict == "all right")


def test_a_sigma_that_is_0_by_default_is_not_the_only_way_to_draw(inspected):
    ways = 'std if init == "fixed" else np.sqrt(2 / n_in) if init == "he" else None'
    text = program("first_time", lines={'np.sqrt(2 / n_in) if init == "he" else std': ways, "std=0.01": "std=0"})
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


def test_what_computes_with_a_library_that_is_not_run_is_said_so(inspected):
    text = "import torch\n" + program("two_layers", lines={"np.maximum(0, s1)": "torch.relu(torch.tensor(s1))"})
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "computes with something that is not run here" in checks["network"]["text"]
    assert "torch.relu" in checks["network"]["text"]


STEP = "net[kind][layer] = net[kind][layer] - eta * gradient"


@pytest.mark.parametrize(
    ("source", "instead", "title", "said"),
    [
        (STEP, STEP.replace(" - ", " + "), "update", "added instead of subtracted"),
        (STEP, STEP.replace("- eta", "- 2 * eta"), "update", "updated twice"),
        (STEP, STEP.replace("- eta *", "-"), "update", "learning rate is missing"),
        (STEP, STEP.replace("- eta", "- (kind != 'beta') * eta"), "update", "never updated"),
        ("alpha * v_av[0] + (1 - alpha) *", "(1 - alpha) * v_av[0] + alpha *", "running averages of train", "weight"),
    ],
    ids=["ascent", "twice", "without eta", "beta forgotten", "weights exchanged"],
)
def test_a_loop_with_a_learning_rate_of_its_own_is_looked_at(inspected, source, instead, title, said):
    checks, _ = inspected("student.py", "dd2424", program("always_normalized", lines={source: instead}), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert said in checks[title]["first"]


def test_a_learning_rate_without_a_name_is_measured_and_not_judged(inspected):
    nameless = {STEP: STEP.replace("eta", "(1e-5 + t * 1e-7)"), "eta = eta_max": "q = eta_max"}
    checks, _ = inspected("student.py", "dd2424", program("always_normalized", lines=nameless), only="update")
    assert checks["update"]["verdict"] == "all right"
    assert (
        "moves by 1e-05 times its gradient; whether that is the learning rate was not seen" in checks["update"]["text"]
    )


SAID_BY = {
    "the script": {
        "lam, n_batch, n_epochs, alpha": "lam, alpha",
        "n_s = 1e-5": "n_s, n_batch, n_epochs = 1e-5",
        "800\n": "800, 100, 40\n",
    },
    "the object": {
        "n_batch=100, ": "",
        "n_batch": "self.n_batch",
        "self.fan_in = [], 0": "self.fan_in, self.n_batch = [], 0, 100",
    },
}


@pytest.mark.parametrize("by", SAID_BY)
def test_the_size_of_a_batch_is_known_where_only_the_script_or_the_object_says_it(inspected, by):
    text = program("always_normalized" if by == "the script" else "layers_by_size", lines=SAID_BY[by])
    checks, _ = inspected("student.py", "dd2424", text)
    found = [check["verdict"] for title, check in checks.items() if title.startswith("minibatches")]
    assert found == ["all right"]
    assert checks["update"]["verdict"] == "all right"


def test_a_step_that_divides_by_the_batch_and_errs_in_the_penalty_leaves_the_gradient_right(inspected):
    step = "self.eta * (dW[l] / n + 2 * self.reg_term * self.W[l])"
    lines = {step: "self.eta * dW[l] / n + 2 * self.reg_term * self.W[l]"}
    checks, _ = inspected("student.py", "dd2424", program("step_finishes", lines=lines))
    assert checks["network"]["verdict"] == "all right"
    assert "not multiplied by eta" in checks["update"]["first"]
