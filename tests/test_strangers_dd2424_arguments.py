"""Arguments of DD2424 programs whose names do not say what belongs there, and those that are taken from the script."""

import pytest
from conftest import dd2424_program as program

pytestmark = pytest.mark.thorough

FORWARD = "def evaluate_classifier({}, W1, b1, W2, b2):\n    s1 = W1 @ {}"
LEFT_OVER = {
    "images": {FORWARD.format("X", "X"): FORWARD.format("pixels", "pixels")},
    "lambda": {"lam": "strength"},
}


@pytest.mark.parametrize("what", LEFT_OVER)
def test_an_argument_of_any_name_is_what_is_left_over(inspected, what):
    checks, _ = inspected("student.py", "dd2424", program("two_layers", LEFT_OVER[what]), only="network")
    assert checks["network"]["verdict"] == "all right"


ONLY_IN_THE_GRADIENT = {"h, W1, W2, lam):\n    n": "h, W1, W2, strength):\n    n", "2 * lam * W": "2 * strength * W"}


@pytest.mark.parametrize(
    ("source", "verdict"),
    [("2 * strength * W1", "WRONG"), ("2 * strength", "not run")],
    ids=["another weight agrees", "no weight agrees"],
)
def test_a_guess_accuses_only_where_a_result_says_that_it_is_right(inspected, source, verdict):
    text = program("two_layers", ONLY_IN_THE_GRADIENT)
    assert source in text
    text = text.replace(source, source.removeprefix("2 * "))
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("source", "instead", "said"),
    [
        ("(g * shat[i - 1]).sum", "(g * s[i - 1]).sum", "input x instead of the normalized"),
        ("(W[i].T @ g) * (X[i] > 0)", "W[i].T @ g", "mask"),
        ("2 * _lambda * W[i]", "_lambda * W[i]", "factor 2"),
    ],
    ids=["gamma", "mask", "penalty"],
)
def test_a_mistake_in_what_is_switched_by_a_flag_is_named(inspected, source, instead, said):
    title = "network with batch norm"
    checks, _ = inspected("student.py", "dd2424", program("switched_by_flag", {source: instead}), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert said in checks[title]["first"]


def test_a_test_mode_whose_averages_are_none_while_training_is_looked_at(inspected):
    lines = {"z.var(axis=1) if sigma2 is None else sigma2[i]": "z.var(axis=1)"}
    checks, _ = inspected("student.py", "dd2424", program("switched_by_flag", lines), only="test mode")
    assert checks["test mode"]["verdict"] == "WRONG"


def test_a_mistake_beside_a_mode_in_words_is_named(inspected):
    title = "network 2 with batch norm"
    text = program("mode_in_words", {" - G.mean(axis=1, keepdims=True)": ""})
    checks, _ = inspected("student.py", "dd2424", text, only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert "mean is dropped" in checks[title]["first"]


@pytest.mark.parametrize(
    ("source", "instead", "said"),
    [("2 * LAMBDA * W", "LAMBDA * W", "factor 2"), ("G = P - Y", "G = P", "label")],
    ids=["penalty", "labels"],
)
def test_a_mistake_among_matrices_is_named(inspected, source, instead, said):
    checks, _ = inspected("student.py", "dd2424", program("matrices", {source: instead}), only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert said in checks["network"]["text"]


IN_WORDS = {
    "means=None, variances=None):\n    cache": "means=None, variances=None, {argument}):\n    cache",
    "if means is None else means[l]": "if {trains} else means[l]",
    "if variances is None else variances[l]": "if {trains} else variances[l]",
}
MODES = {
    "eval": ("mode='train'", "mode == 'train' or mode != 'eval'"),
    "train alone": ("phase='train'", "phase == 'train'"),
    "evaluation": ("mode='training'", "mode != 'evaluation'"),
    "validation": ("phase='train'", "phase not in ('validation', 'heldout')"),
    "none": ("mode=None", "mode != 'inference'"),
}
UNCLEAR = {
    "two words": ("mode='train'", "mode not in ('valid', 'eval') or mode == 'valid'"),
    "a number": ("mode=1", "mode == 1"),
}


def switched(argument, trains):
    return {source: instead.format(argument=argument, trains=trains) for source, instead in IN_WORDS.items()}


@pytest.mark.parametrize("which", MODES)
def test_a_mode_in_words_is_told_in_the_words_of_the_file(inspected, which):
    lines = switched(*MODES[which])
    checks, _ = inspected("student.py", "dd2424", program("lists_with_cache", lines), only="test mode")
    assert {title: check["verdict"] for title, check in checks.items()} == {
        "network with batch norm": "all right",
        "test mode": "all right",
    }


@pytest.mark.parametrize("which", UNCLEAR)
def test_a_mode_whose_word_is_not_clear_is_not_looked_at(inspected, which):
    text = program("lists_with_cache", switched(*UNCLEAR[which]))
    checks, _ = inspected("student.py", "dd2424", text, only="test mode")
    assert "test mode" not in checks


def test_an_object_that_keeps_its_mode_in_words_is_not_accused(inspected):
    lines = {"self.first = True\n": "self.first = True\n        self.mode = 'train'\n"}
    lines |= {"X, training=True)": "X)", "if training:": "if self.mode == 'train':"}
    lines |= {"X, Y, training=False)": "X, Y)", "X, training)": "X)", "X, True)": "X)"}
    checks, _ = inspected("student.py", "dd2424", program("running_averages_kept", lines))
    assert checks["network with batch norm"]["verdict"] == "all right"
    assert "test mode" not in checks


def test_a_mistake_behind_a_mode_in_words_is_named(inspected):
    lines = switched(*MODES["eval"])
    lines |= {"if variances is None else variances[l]": "if True else variances[l]"}
    checks, _ = inspected("student.py", "dd2424", program("lists_with_cache", lines), only="test mode")
    assert checks["test mode"]["verdict"] == "WRONG"


SCHEDULE = "def cyclical_eta(t, eta_min, eta_max, n_s):"
SCHEDULES = {
    "settings": ("def cyclical_eta(settings):\n    t, eta_min, eta_max, n_s = settings", ""),
    "known names": (f"{SCHEDULE}\n    t = t[0]", "FAILED"),
    "steps": (
        "def learning_rate(t, eta0, n_s, drop=0.5):\n    return eta0 * drop ** (t // n_s)\n    eta_min = eta_max = 0",
        "",
    ),
    "steps of known names": (f"{SCHEDULE}\n    return eta_max * 0.5 ** (t // n_s)", "WRONG"),
    "lambda": (f"def cyclic_lambda(l_min, l_max):\n    return l_min\n\n{SCHEDULE.replace('cyclical_', 'e')}", ""),
}


@pytest.mark.parametrize("which", SCHEDULES)
def test_a_schedule_that_no_name_explains_is_judged_only_where_every_argument_is_understood(inspected, which):
    lines, verdict = SCHEDULES[which]
    checks, _ = inspected("student.py", "dd2424", program("two_layers", {SCHEDULE: lines}))
    found = [check["verdict"] for title, check in checks.items() if title.startswith("schedule")]
    assert found == [verdict] * bool(verdict)


def test_numbers_that_nobody_has_asked_for_are_not_said_to_replace_defaults(inspected):
    defaults = SCHEDULE.replace("eta_min, eta_max, n_s", "eta_min=1e-3, eta_max=1.0, n_s=500, verbose=False")
    checks, _ = inspected("student.py", "dd2424", program("two_layers", {SCHEDULE: defaults}))
    assert checks["schedule cyclical_eta"]["verdict"] == "all right"
    assert "note" not in checks["schedule cyclical_eta"]["text"]


BY_SCRIPT = {
    "lam, n_batch, n_epochs, alpha": "lam, n_epochs, alpha",
    "n_s = 1e-5": "n_s, n_batch, N = 1e-5",
    "800\n": "800, 100, 10\n",
    "range(0, X.shape[1], n_batch)": "range(0, N, n_batch)",
}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("N", "all right"), ("n_images", "all right"), ("whatever", "not looked at")],
)
def test_the_number_of_images_that_the_script_says_is_that_of_these_images(inspected, name, verdict):
    lines = {source.replace("N", name): instead.replace("N", name) for source, instead in BY_SCRIPT.items()}
    text = program("always_normalized", lines)
    checks, _ = inspected("student.py", "dd2424", text)
    assert checks.get("minibatches train", {"verdict": "not looked at"})["verdict"] == verdict


def test_callers_that_go_on_to_the_gradient_say_what_the_forward_pass_returns(inspected):
    """Another one takes it under wrong names and does not use them."""
    other = "\ndef curious(X, W1, b1, W2, b2):\n    P, h = evaluate_classifier(X, W1, b1, W2, b2)\n\ndef train():"
    checks, _ = inspected("student.py", "dd2424", program("two_layers", {"\ndef train():": other}), only="network")
    assert checks["network"]["verdict"] == "all right"


def test_gradients_whose_names_differ_in_case_alone_are_told_by_their_values(inspected):
    returned = "grad_W, grad_b, grad_gamma, grad_beta"
    lines = {f"return {returned}": f"gW, gb, gg, gB = {returned}\n    return gW, gb, gg, gB"}
    text = program("batch_norm_functions", lines)
    checks, _ = inspected("student.py", "dd2424", text, only="network with batch norm")
    assert checks["network with batch norm"]["verdict"] == "all right"


def test_a_function_for_the_gradients_is_not_passed_over_because_its_arguments_say_nothing(inspected):
    text = """
import numpy as np

def compute_cost(foo, bar, W, b, lam):
    P = evaluate_classifier(foo, W, b)
    return -np.log((bar * P).sum(axis=0)).mean() + lam * (W ** 2).sum()

def evaluate_classifier(foo, W, b):
    e = np.exp(W @ foo + b)
    return e / e.sum(axis=0)

def compute_gradients(foo, bar, W, b, lam):
    G = (evaluate_classifier(foo, W, b) - bar) / foo.shape[1]
    return 7 * G @ foo.T + 2 * lam * W, G.sum(axis=1, keepdims=True)
"""
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "compute_gradients" in checks["network"]["functions"]


@pytest.mark.parametrize("own", [False, True], ids=["handed over", "its own"])
def test_an_eps_is_noted_only_where_it_is_the_file_s_own(inspected, own):
    title = "network 2 with batch norm"
    text = program("mode_in_words", {"+ epsilon)": "+ 1e-6)"} if own else {})
    checks, _ = inspected("student.py", "dd2424", text, only=title)
    assert checks[title]["verdict"] == "all right"
    assert ("eps is 1e-06 here" in checks[title]["text"]) == own


def test_a_schedule_of_a_difference_that_is_not_right_is_not_looked_at(inspected):
    text = program("two_layers", {SCHEDULE: "def cyclical_eta(t, eta_min, lr_range, n_s):\n    eta_max = 3 * lr_range"})
    checks, _ = inspected("student.py", "dd2424", text)
    assert "schedule cyclical_eta" not in checks
