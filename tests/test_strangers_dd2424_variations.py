"""Programs in DD2424's conventions whose network is not quite the course's, and right: what it has is measured."""

import pytest
from conftest import dd2424_program as program

from manual_mlp.adapters.dropout_switch import switched

pytestmark = pytest.mark.thorough

RELU_FIRST = {
    "always_normalized": {
        's = net["W"][0] @ X + net["b"][0]': 's = np.maximum(0, net["W"][0] @ X + net["b"][0])',
        'np.maximum(0, net["gamma"][0] * s_hat + net["beta"][0])': 'net["gamma"][0] * s_hat + net["beta"][0]',
        '(net["W"][1].T @ G) * (h > 0)': 'net["W"][1].T @ G',
        "G = G - G.mean(axis=1, keepdims=True) - s_hat * (G * s_hat).mean(axis=1, keepdims=True)": (
            "G = (s > 0) * (G - G.mean(axis=1, keepdims=True) - s_hat * (G * s_hat).mean(axis=1, keepdims=True))"
        ),
    },
    "running_averages_kept": {
        "s = self.W[i] @ self.h[-1] + self.b[i]": "s = np.maximum(0, self.W[i] @ self.h[-1] + self.b[i])",
        "np.maximum(0, self.gamma[i] * shat + self.beta[i])": "self.gamma[i] * shat + self.beta[i]",
        "(self.W[-1].T @ G) * (self.h[-1] > 0)": "self.W[-1].T @ G",
        "(self.W[i].T @ G) * (self.h[i] > 0)": "self.W[i].T @ G",
        "            gW[i] = G @": "            G = G * (self.s[i] > 0)\n            gW[i] = G @",
    },
}


def relu_first(name, lines=()):
    return program(name, lines=RELU_FIRST[name] | dict(lines))


@pytest.mark.parametrize("name", RELU_FIRST)
def test_batch_normalization_behind_the_relu_is_judged_as_such(inspected, name):
    usual, _ = inspected(f"{name}.py", "dd2424")
    checks, _ = inspected("student.py", "dd2424", relu_first(name))
    assert {title: check["verdict"] for title, check in checks.items()} == dict.fromkeys(usual, "all right")
    assert "batch norm stands behind the ReLU here" in checks["network with batch norm"]["text"]


NEW_SHARE = "self.v_av[i] = self.alpha * self.v_av[i] + (1 - self.alpha) * v"


@pytest.mark.parametrize(
    ("name", "source", "instead", "title", "place", "said"),
    [
        (
            "running_averages_kept",
            "(G - G.mean(axis=1, keepdims=True) -",
            "(G -",
            "network with batch norm",
            "linear2.bias",
            "goes through the mean is dropped",
        ),
        (
            "running_averages_kept",
            "G = G * (self.s[i] > 0)",
            "pass",
            "network with batch norm",
            "linear",
            "not masked",
        ),
        (
            "running_averages_kept",
            "mu, v = self.mu_av[i], self.v_av[i]",
            "mu, v = self.mu_av[i], self.v_av[i] ** 2",
            "test mode",
            "logits",
            "",
        ),
        (
            "running_averages_kept",
            NEW_SHARE,
            "self.v_av[i] = (1 - self.alpha) * self.v_av[i] + self.alpha * v",
            "running averages",
            "running_var",
            "each other's weight",
        ),
        (
            "always_normalized",
            "alpha * v_av[0] + (1 - alpha) *",
            "(1 - alpha) * v_av[0] + alpha *",
            "running averages of train",
            "running_var",
            "each other's weight",
        ),
        (
            "always_normalized",
            "net[kind][layer] - eta * gradient",
            "net[kind][layer] + eta * gradient",
            "update",
            "linear1.weight",
            "added instead of subtracted",
        ),
        (
            "always_normalized",
            "np.log((Y * P).sum(axis=0)).mean()",
            "np.log((Y * P).sum(axis=0)).sum()",
            "network with batch norm",
            "cost",
            "summed over the batch",
        ),
        (
            "always_normalized",
            "+ lam * ((net",
            "+ lam / 2 * ((net",
            "network with batch norm",
            "cost",
            "factor 1/2",
        ),
    ],
)
def test_a_mistake_in_such_a_network_is_named_in_its_place(inspected, name, source, instead, title, place, said):
    checks, _ = inspected("student.py", "dd2424", relu_first(name, {source: instead}), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert place in checks[title]["first"]
    assert said in checks[title]["first"]
    assert "behind the ReLU instead" not in checks[title]["text"]


ALL, ANOTHER_SHARE = "0.9 * Y + 0.1 / len(Y)", "0.95 * Y + 0.0125"
OTHERS = "0.9 * Y + 0.1 / (len(Y) - 1) * (1 - Y)"


def smoothed(in_loss, in_gradient):
    """always_normalized with these targets."""
    return {
        "-np.log((Y * P).sum(axis=0)).mean()": f"-(({in_loss}) * np.log(P)).sum(axis=0).mean()",
        "(P - Y) / n": f"(P - ({in_gradient})) / n",
    }


@pytest.mark.parametrize("order", ["in front", "behind"])
@pytest.mark.parametrize("target", [ALL, OTHERS, ANOTHER_SHARE], ids=["all", "others", "another share"])
def test_smoothed_labels_are_measured(inspected, target, order):
    lines = smoothed(target, target)
    text = relu_first("always_normalized", lines) if order == "behind" else program("always_normalized", lines=lines)
    checks, _ = inspected("student.py", "dd2424", text, only="network with batch norm")
    assert checks["network with batch norm"]["verdict"] == "all right"
    assert "labels are smoothed here" in checks["network with batch norm"]["text"]
    assert ("behind the ReLU" in checks["network with batch norm"]["text"]) == (order == "behind")


def test_a_network_without_batch_norm_has_its_share_measured_exactly(inspected):
    lines = {"np.log(p[y[i], i])": "(0.876543 * np.log(p[y[i], i]) + 0.123457 / K * np.log(p[:, i]).sum())"}
    checks, _ = inspected("student.py", "dd2424", program("two_layers", lines=lines), only="network")
    assert "smoothed in the loss but not in its gradient" in checks["network"]["first"]


@pytest.mark.parametrize(
    ("in_loss", "in_gradient", "source", "instead", "said"),
    [
        (ALL, "Y", "np", "np", "smoothed in the loss but not in its gradient"),
        (ALL, ALL, "np.log(P)", "np.log(P + 1e-8)", "inside the logarithm"),
        (ALL, ALL, "+ lam * ((net", "+ lam / 2 * ((net", "factor 1/2"),
        (ALL, ALL, '(net["W"][1].T @ G) * (h > 0)', 'net["W"][1].T @ G', "not masked"),
    ],
    ids=["gradient", "logarithm", "penalty", "mask"],
)
def test_a_mistake_beside_smoothed_labels_is_named(inspected, in_loss, in_gradient, source, instead, said):
    text = program("always_normalized", lines=smoothed(in_loss, in_gradient) | {source: instead})
    title = "network with batch norm"
    checks, _ = inspected("student.py", "dd2424", text, only=title)
    assert said in checks[title]["text"]


@pytest.mark.parametrize(
    "loss", ["(0.9 * Y * P).sum(axis=0)", "(Y * P).sum(axis=0) ** 0.9", "(0.9 * Y * P + 0.025 * P).sum(axis=0)"]
)
def test_another_wrong_loss_is_no_smoothing(inspected, loss):
    title = "network with batch norm"
    text = program("always_normalized", lines={"(Y * P).sum(axis=0)": loss})
    checks, _ = inspected("student.py", "dd2424", text, only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert "smoothed" not in checks[title]["text"]


KEPT = "(rng.random(s.shape) >= p_drop) / (1 - p_drop)"
DROPOUT = {
    "the share that stays": {"p_drop=0.3": "keep_prob=0.7", KEPT: "(rng.random(s.shape) < keep_prob) / keep_prob"},
    "called the other one": {"p_drop=0.3": "dropout=0.7", KEPT: "(rng.random(s.shape) < dropout) / dropout"},
    "a global": {", p_drop=0.3": "", "(11)\n": "(11)\np_drop = 0.3\n"},
    "a switch": {"p_drop=0.3": "*, use_dropout=True", KEPT: "(1 if not use_dropout else rng.random(s.shape) * 2 // 1)"},
}


@pytest.mark.parametrize("lines", DROPOUT.values(), ids=DROPOUT)
@pytest.mark.parametrize("mask", ["right", "missing"])
def test_dropout_is_switched_off_wherever_it_is_said(inspected, lines, mask):
    lines = lines if mask == "right" else lines | {"(W[layer].T @ G) * gates[layer - 1]": "W[layer].T @ G"}
    checks, last = inspected("student.py", "dd2424", program("dropout_rate", lines=lines))
    wrong = {title for title, check in checks.items() if check["verdict"] != "all right"}
    assert wrong == ({"network"} if mask == "missing" else set())
    assert "not masked" in checks["network"]["first"] or mask == "right"
    assert "dropout was switched off" in checks["network"]["text"]
    assert "dropout" in last["aspects"]


NUMBER_IN_THE_FORMULA = {", p_drop=0.3": "", KEPT: "(rng.random(s.shape) >= 0.3) / 0.7"}
HANDED_ON = {
    "compute_gradients(X, Y, W, b, lam)": "compute_gradients(X, Y, W, b, lam, p_drop=0.0)",
    "P, inputs, gates = forward(X, W, b)": "P, inputs, gates = forward(X, W, b, p_drop)",
    "Y[:, batch], W, b, lam)": "Y[:, batch], W, b, lam, 0.3)",
}


def test_what_is_drawn_and_cannot_be_switched_off_accuses_nobody(inspected):
    checks, _ = inspected("student.py", "dd2424", program("dropout_rate", lines=NUMBER_IN_THE_FORMULA))
    assert checks["network"]["verdict"] == "not run"
    assert "draws at random, as dropout does" in checks["network"]["first"]
    others = {check["verdict"] for title, check in checks.items() if title != "network"}
    assert others == {"all right"}
    assert "update" not in checks


@pytest.mark.parametrize("step", ["W[layer] - eta", "W[layer] + eta"])
def test_a_step_that_drops_is_not_compared(inspected, step):
    text = program("dropout_rate", lines=HANDED_ON | {"W[layer] - eta": step})
    checks, last = inspected("student.py", "dd2424", text)
    assert {check["verdict"] for check in checks.values()} == {"all right"}
    assert "update" not in checks
    assert "update" in last["aspects"]


def test_a_wrong_step_beside_dropout_that_is_off_is_named(inspected):
    checks, _ = inspected("student.py", "dd2424", program("dropout_rate", lines={"W[layer] - eta": "W[layer] + eta"}))
    assert "added instead of subtracted" in checks["update"]["first"]


def test_a_cost_that_is_no_number_is_not_called_random(inspected):
    lines = {"np.sum(Y * np.log(P)) / X": "np.sum(Y * np.log(P - 2)) / X"}
    checks, _ = inspected("student.py", "dd2424", program("dropout_rate", lines=lines), only="network")
    assert "draws at random" not in checks["network"]["text"]
    assert checks["network"]["verdict"] != "all right"


@pytest.mark.parametrize(
    ("name", "value", "off"),
    [("keep_prob", 0.8, 1.0), ("dropout", 0.5, 0.0), ("dropout", True, False), ("keep", 5, 5), ("drop", 0.5, 0.5)],
)
def test_what_says_how_much_is_dropped_is_known_from_what_does_not(name, value, off):
    assert switched(name, value, {"keep": 1.0, "drop": 0.0}) == off


def test_a_variable_called_keep_is_no_dropout(inspected):
    lines = {"    G[h <= 0] = 0": "    keep = h > 0\n    G = G * keep"}
    checks, last = inspected("student.py", "dd2424", program("two_layers", lines=lines), only="network")
    assert checks["network"]["verdict"] == "all right"
    assert "dropout" not in checks["network"]["text"]
    assert "dropout" not in last["aspects"]


LEAKY = {  # in the forward pass, in the backward pass
    "two_layers": ("np.maximum(0, s1)", "np.maximum({0} * s1, s1)", "G[h <= 0] = 0", "G[h <= 0] *= {0}"),
    "always_normalized": (
        'np.maximum(0, net["gamma"][0] * s_hat + net["beta"][0])',
        '(lambda z: np.where(z > 0, z, {0} * z))(net["gamma"][0] * s_hat + net["beta"][0])',
        "(h > 0)",
        "np.where(h > 0, 1, {0})",
    ),
}


def leaky(name, slope, forward=True, backward=True):
    source, instead, source_back, instead_back = LEAKY[name]
    lines = {source: instead.format(slope)} if forward else {}
    return program(name, lines=lines | ({source_back: instead_back.format(slope)} if backward else {}))


@pytest.mark.parametrize(("name", "slope"), [("two_layers", 0.02), ("always_normalized", 0.1), ("two_layers", 0.03)])
def test_a_leaky_relu_is_a_choice(inspected, name, slope):
    usual, _ = inspected(f"{name}.py", "dd2424")
    checks, _ = inspected("student.py", "dd2424", leaky(name, slope))
    assert {title: check["verdict"] for title, check in checks.items()} == dict.fromkeys(usual, "all right")
    assert f"its ReLU is leaky, with slope {slope}" in next(
        check["text"] for title, check in checks.items() if title.startswith("network")
    )


@pytest.mark.parametrize(
    ("forward", "said"),
    [(True, "linear1.bias: the mask is that of a plain ReLU"), (False, "linear1.bias: the mask is that of a leaky")],
)
def test_a_leaky_relu_in_one_pass_alone_is_named(inspected, forward, said):
    text = leaky("two_layers", 0.02, forward=forward, backward=not forward)
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert checks["network"]["first"].startswith(said)


RETURNED = "    return grad_W1, grad_b1, grad_W2, grad_b2"


@pytest.mark.parametrize(
    ("lines", "verdict", "said"),
    [
        (
            {RETURNED: "    VELOCITY['W1'] = 0.9 * VELOCITY['W1'] + 0.1 * grad_W1"},
            "not run",
            "returns no gradients, and",
        ),
        ({RETURNED: "    return None"}, "not run", "returns no gradients, and"),
        (
            {"    n = X.shape[1]\n    G = P - Y": "    return None\n    G = P - Y"},
            "not run",
            "returns no gradients, and",
        ),
        ({"    loss = 0\n    for": "    return print(p)\n    for"}, "not run", "cost_fn returns None"),
    ],
)
def test_what_computes_and_returns_nothing_is_not_called_unfilled(inspected, lines, verdict, said):
    text = "VELOCITY = {'W1': 0}\n" + program("two_layers", lines=lines)
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == verdict
    assert said in checks["network"]["text"]
    assert "filled in" not in checks["network"]["text"]


@pytest.mark.parametrize("body", ["pass", "return None", "return", "'''to do'''", "..."])
def test_what_does_nothing_is_called_unfilled(inspected, body):
    head = "def compute_grads(X, Y, P, h, W1, W2, lam):\n"
    text = program("two_layers", lines={head: f"{head}    {body}\n\ndef older(X, Y, P, h, W1, W2, lam):\n"})
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert "compute_grads returns no gradients" in checks["network"]["first"]
    assert "not filled in" in checks["network"]["first"]


ALONE = """
import numpy as np

def scores(X, theta):
    h = np.maximum(theta['W1'] @ X + theta['b1'], 0)
    e = np.exp(theta['W2'] @ h + theta['b2'])
    return h, e / e.sum(0)

def grads(X, y, theta, lam):
    h, p = scores(X, theta)
    g = p.copy()
    g[y, range(len(y))] -= 1
    g = g / len(y)
    out = {'W2': g @ h.T + 2 * lam * theta['W2'], 'b2': g.sum(1, keepdims=True)}
    g = (theta['W2'].T @ g) * (h > 0)
    return out | {'W1': g @ X.T + 2 * lam * theta['W1'], 'b1': g.sum(1, keepdims=True)}
"""


def test_gradients_alone_are_of_as_many_layers_as_they_take(inspected):
    checks, _ = inspected("student.py", "dd2424", ALONE)
    assert {title: check["verdict"] for title, check in checks.items()} == {"network": "all right"}
    assert "read as: 2 layers" in checks["network"]["text"]


def test_a_last_gradient_that_is_forgotten_is_missed(inspected):
    lines = ALONE.replace("'W2': g @ h.T + 2 * lam * theta['W2'], ", "")
    checks, _ = inspected("student.py", "dd2424", lines)
    assert checks["network"]["first"] == "linear2.weight: its gradient is missing"
