"""Programs in DD2424's conventions that want more than their functions called: what is a choice, what was not seen."""

import ast
import sys

import pytest
from conftest import dd2424_program as program

from manual_mlp.adapters.constructors import is_multiplied
from manual_mlp.adapters.parts import plays
from manual_mlp.adapters.process import diagnose_file

pytestmark = pytest.mark.thorough


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


def test_first_weights_that_are_no_numbers_are_named(inspected):
    text = program(
        "always_normalized", lines={"sigmas=(0.1, 0.001)": "", "rng = np": "sigmas = (0.1, np.nan); rng = np"}
    )
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == "WRONG"
    assert checks["initialization"]["first"] == "linear2.weight: it is drawn with NaN or infinity in it"


def test_a_sigma_that_is_0_by_default_is_not_the_only_way_to_draw(inspected):
    ways = 'std if init == "fixed" else np.sqrt(2 / n_in) if init == "he" else None'
    text = program("first_time", lines={'np.sqrt(2 / n_in) if init == "he" else std': ways, "std=0.01": "std=0"})
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert checks["initialization"]["verdict"] == "all right"


def test_what_computes_with_a_library_that_is_not_run_is_said_so(inspected, monkeypatch):
    monkeypatch.delitem(
        sys.modules, "torch", raising=False
    )  # other tests import it, a diagnosed program's process does not
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
    "a list": {
        "lam, n_batch, n_epochs, alpha=0.9": "lam, GDparams, alpha=0.9",
        "    t = 0\n    for": "    t = 0\n    n_epochs = GDparams[0]\n    n_batch = GDparams[2]\n    for",
    },
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
def test_the_size_of_a_batch_is_known_wherever_it_is_said(inspected, by):
    text = program("layers_by_size" if by == "the object" else "always_normalized", lines=SAID_BY[by])
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


WITHOUT_GAMMA = {
    'net["gamma"], net["beta"] = [np.ones((m, 1))], [np.zeros((m, 1))]': "pass",
    'net["gamma"][0] * s_hat + net["beta"][0]': "s_hat",
    "gamma, beta = (G * s_hat) @ one, G @ one": "pass",
    'G * net["gamma"][0] / np': "G / np",
    ', "gamma": [gamma], "beta": [beta]}': "}",
}


def test_batch_normalization_without_gamma_and_beta_is_diagnosed(inspected):
    checks, _ = inspected("student.py", "dd2424", program("always_normalized", lines=WITHOUT_GAMMA))
    assert set(checks) >= {"network with batch norm", "test mode", "update", "minibatches train"}
    assert {check["verdict"] for check in checks.values()} == {"all right"}
    assert "normalizes without gamma and beta" in checks["network with batch norm"]["text"]


@pytest.mark.parametrize(
    ("source", "instead", "said"),
    [
        (" - G.mean(axis=1, keepdims=True)", "", "mean is dropped"),
        ('(net["W"][1].T @ G) * (h > 0)', 'net["W"][1].T @ G', "not masked"),
    ],
    ids=["mean", "mask"],
)
def test_a_mistake_beside_such_batch_normalization_is_named(inspected, source, instead, said):
    lines = WITHOUT_GAMMA | {source: instead}
    title = "network with batch norm"
    checks, _ = inspected("student.py", "dd2424", program("always_normalized", lines=lines), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert said in checks[title]["first"]


def test_a_forward_pass_that_is_in_test_mode_by_default_is_told_to_train(inspected):
    lines = {
        "means=None, variances=None):\n    cache": "means=None, variances=None, mode='test'):\n    cache",
        "cache['s'].append(s)": "cache.setdefault('s' if mode == 'train' else 'unused', []).append(s)",
    }
    text = program("lists_with_cache", lines=lines)
    checks, _ = inspected("student.py", "dd2424", text, only="network with batch norm")
    assert checks["network with batch norm"]["verdict"] == "all right"


def test_a_loop_that_fails_behind_its_steps_has_made_them_all_the_same(inspected):
    lines = {STEP: STEP.replace(" - ", " + "), "    return net, mu_av, v_av": "    plot(validation_costs)"}
    checks, _ = inspected("student.py", "dd2424", program("always_normalized", lines=lines), only="update")
    assert "added instead of subtracted" in checks["update"]["first"]


METHOD = """
    def cyclic_eta(self, t):
        l = t // (2 * self.n_s)
        if t < (2 * l + 1) * self.n_s:
            return self.eta_min + (t - 2 * l * self.n_s) / self.n_s * (self.eta_max - self.eta_min)
        return self.eta_max - (t - (2 * l + 1) * self.n_s) / self.n_s * (self.eta_max - self.eta_min)

    def forward("""


@pytest.mark.parametrize(
    ("source", "instead", "verdict"),
    [
        ("return self.eta_max", "return self.eta_max", "all right"),
        ("return self.eta_max - (t - (2 * l + 1)", "return self.eta_max - (t - 2 * l", "WRONG"),
        ("(self, t):", "(self):\n        t = self.t", "all right"),
        ("(self, t):", "(self, t):\n        t = t + self.offset", "not looked at"),
        ("(self, t):", "(self, images, per_batch, high, low, t):", "not looked at"),
    ],
    ids=["right", "fall", "counted by the object", "something unknown", "other arguments"],
)
def test_a_schedule_that_is_a_method_is_looked_at(inspected, source, instead, verdict):
    assert source in METHOD
    text = program("network_class", lines={"\n    def forward(": METHOD.replace(source, instead)})
    checks, _ = inspected("student.py", "dd2424", text, only="schedule NeuralNetwork.cyclic_eta")
    found = checks.get("schedule NeuralNetwork.cyclic_eta", {"verdict": "not looked at"})
    assert found["verdict"] == verdict


def test_a_small_number_inside_the_logarithm_is_a_remark(inspected):
    text = program("two_layers", lines={"np.log(p[y[i], i])": "np.log(p[y[i], i] + 1e-10)"})
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "all right"
    assert "inside the logarithm" in checks["network"]["text"]


def test_the_variance_of_the_first_layer_in_every_layer_is_no_fixed_sigma(inspected):
    sigmas = "sigmas = ((1 / np.sqrt(d)) ** 2,) * 2; rng = np"
    text = program("always_normalized", lines={"sigmas=(0.1, 0.001)": "", "rng = np": sigmas})
    checks, _ = inspected("student.py", "dd2424", text, only="initialization")
    assert "the variance was taken as the std" in checks["initialization"]["first"]


def test_a_bias_gradient_that_is_one_number_for_a_layer_is_not_called_missing(inspected):
    lines = {'"b": [G @ one, b2]': '"b": [G.sum(), b2.sum()]'}
    title = "network with batch norm"
    checks, _ = inspected("student.py", "dd2424", program("always_normalized", lines=lines), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert "one sum over everything" in checks[title]["first"]


def test_hidden_values_that_must_be_asked_for_are_asked_for(inspected):
    lines = {"(X, W1, b1, W2, b2):\n    s1": "(X, W1, b1, W2, b2, return_h=False):\n    s1"}
    lines |= {"return h, softmax(s)": "if return_h:\n        return h, softmax(s)\n    return softmax(s)"}
    lines |= {"h, p = evaluate_classifier(X": "p = evaluate_classifier(X"}
    lines |= {"h, P = evaluate_classifier(Xb, W1, b1, W2, b2)": "h, P = evaluate_classifier(Xb, W1, b1, W2, b2, True)"}
    checks, _ = inspected("student.py", "dd2424", program("two_layers", lines=lines), only="network")
    assert checks["network"]["verdict"] == "all right"


def test_a_bias_gradient_that_is_a_row_and_turned_in_the_update_is_no_mistake(inspected):
    lines = {"self.eta * db[l] / n": "self.eta * db[l].T / n", "db[::-1]": "[d.T for d in db[::-1]]"}
    checks, _ = inspected("student.py", "dd2424", program("step_finishes", lines=lines))
    assert checks["network"]["verdict"] == "all right"


def test_the_inputs_of_the_first_layer_in_some_others_are_named(inspected):
    lines = {"np.sqrt(2 / n_in)": "np.sqrt(2 / (n_in if n_out != layer_sizes[-1] else layer_sizes[0]))"}
    checks, _ = inspected("student.py", "dd2424", program("network_class", lines=lines), only="initialization")
    assert "linear3.weight" in checks["initialization"]["first"]
    assert "inputs of the first layer" in checks["initialization"]["first"]


def test_one_sigma_for_every_layer_is_a_choice(inspected):
    lines = {"np.random.normal(0, 1/np.sqrt(m), (K, m))": "np.random.normal(0, 1/np.sqrt(d), (K, m))"}
    checks, _ = inspected("student.py", "dd2424", program("two_layers", lines=lines), only="initialization")
    assert checks["initialization"]["verdict"] == "all right"
    assert "in every layer, which is Xavier's for the inputs of the first" in checks["initialization"]["text"]


@pytest.mark.parametrize(
    ("source", "instead", "said"),
    [
        ("np.where", "np.where", ""),
        ("np.where(self.z > 0, g, 0)", "g * 1.0", "not masked"),
        ("2 * lam * self.W", "lam * self.W", "factor 2 is missing"),
    ],
    ids=["right", "mask", "penalty"],
)
def test_a_layer_that_asks_for_more_than_its_sizes_is_made_by_its_network(inspected, source, instead, said):
    text = program("layers_with_generator", lines={source: instead})
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == ("WRONG" if said else "all right")
    assert said in (checks["network"]["first"] or "")


def test_a_layer_that_cannot_be_made_from_here_is_no_mistake(inspected):
    lines = {"(self, sizes):": "(self, stages):"}
    lines["        generator, last = np.random.default_rng(5), len(sizes) - 2\n"] = "        self.stages = stages\n"
    lines["        self.stages = [Stage(*sizes[i : i + 2], generator, i < last) for i in range(last + 1)]\n"] = ""
    checks, _ = inspected("student.py", "dd2424", program("layers_with_generator", lines=lines), only="network")
    assert checks["network"]["verdict"] == "not run"


STEP_AMONG = {"        return self.W.T @ g": "        self.W = self.W - 0.1 * self.dW\n        return self.W.T @ g"}


def test_a_step_among_the_gradients_is_said_and_no_penalty_is_looked_for_in_it(inspected):
    checks, _ = inspected("student.py", "dd2424", program("layers_with_generator", lines=STEP_AMONG))
    assert checks["network"]["first"].startswith(
        "linear2.bias: Classifier.compute_gradients changes W1, W2, W3: what it computes after that"
    )
    assert "linear3.weight" in checks["network"]["text"].split("first wrong place")[0]  # agrees
    assert "evidence" not in checks["network"]["text"]


def test_a_step_with_a_penalty_of_its_own_takes_nothing_from_a_right_gradient(inspected):
    step = """
    def train(self, X, Y, lam, eta, n_batch, n_epochs):
        for _ in range(n_epochs):
            dW, db = self.compute_gradients(X, Y, lam)
            for stage in self.stages:
                stage.W -= eta * stage.dW + 2 * lam * stage.W
                stage.b -= eta * stage.db

    def compute_gradients("""
    lines = {"\n    def compute_gradients(": step, "np.where(self.z > 0, g, 0)": "np.where(self.x.sum() > 0, g, 0)"}
    checks, _ = inspected("student.py", "dd2424", program("layers_with_generator", lines=lines), only="update")
    assert "linear3.weight" in checks["network"]["text"].split("first wrong place")[0]
    assert "the update adds" not in checks["network"]["text"]


@pytest.mark.parametrize(
    ("source", "instead", "title", "said"),
    [
        ("G = G * layer.gate", "pass", "network", "not masked"),
        ("+ 2 * layer.lam * layer.W", "+ layer.lam * layer.W", "network", "factor 2 is missing"),
        ("G - G.mean(axis=1, keepdims=True)", "G", "network with batch norm", "mean is dropped"),
        ("self.W -= eta", "self.W += eta", "update", "added instead of subtracted"),
        ("self.beta -= eta * self.grad_beta", "pass", "update", "never updated"),
        ("order[start : start + n_batch]", "order[start : start + n_batch - 1]", "minibatches fit", "missing"),
    ],
    ids=["mask", "penalty", "mean", "ascent", "beta forgotten", "images lost"],
)
def test_a_mistake_in_a_list_of_layers_is_named(inspected, source, instead, title, said):
    checks, _ = inspected("student.py", "dd2424", program("layer_list", lines={source: instead}), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert said in checks[title]["first"]


def test_a_gradient_of_one_layer_that_nothing_calls_is_no_network(inspected):
    lines = {"def step(self, eta)": "def backward(self, G):\n        return self.W.T @ G\n\n    def step(self, eta)"}
    lines |= {"def apply(": "def forward(", "layer.apply(": "layer.forward("}
    checks, _ = inspected("student.py", "dd2424", program("layer_list", lines=lines), only="network with batch norm")
    assert set(checks) == {"network with batch norm"}


def test_a_list_of_layers_that_cannot_be_made_from_here_is_no_mistake(inspected):
    lines = {
        '"relu"': '"ramp"',
        "lam=0.0, batch": "lam=0.0, floor=1.0, batch",
        "self.lam, self": "self.lam, self.floor, self",
        "= activation, lam, batch_norm": "= activation, lam, floor, batch_norm",
        "self.X, self.s = X": "floor, self.X, self.s = self.floor, X",
        "z > 0": "z > floor",
    }
    checks, _ = inspected("student.py", "dd2424", program("layer_list", lines=lines), only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "not clear how they are made" in checks["network"]["first"]


A_CLASS_FOR_EACH_OPERATION = """
import numpy as np

class Affine:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.random.normal(0, 0.1, (n_out, n_in)), np.zeros((n_out, 1))

    def forward(self, x):
        self.x = x
        return self.W @ x + self.b

    def backward(self, g, lam):
        self.dW, self.db = g @ self.x.T + 2 * lam * self.W, g.sum(axis=1, keepdims=True)
        return self.W.T @ g

class Relu:
    def forward(self, x):
        self.on = x > 0
        return x * self.on

    def backward(self, g, lam):
        return g * self.on

def forward(X, layers):
    for layer in layers:
        X = layer.forward(X)
    return np.exp(X) / np.exp(X).sum(axis=0)

def compute_cost(X, Y, layers, lam):
    squares = sum((layer.W**2).sum() for layer in layers if isinstance(layer, Affine))
    return -np.log((Y * forward(X, layers)).sum(axis=0)).mean() + lam * squares

def compute_gradients(X, Y, layers, lam):
    g = (forward(X, layers) - Y) / X.shape[1]
    for layer in layers[::-1]:
        g = layer.backward(g, lam)
"""


@pytest.mark.parametrize("mask", ["g * self.on", "g"])
def test_a_list_with_a_class_for_each_operation_is_made_too(inspected, mask):
    text = A_CLASS_FOR_EACH_OPERATION.replace("g * self.on", mask)
    checks, _ = inspected("student.py", "dd2424", text)
    assert {title: check["verdict"] for title, check in checks.items()} == {
        "network": "all right" if mask == "g * self.on" else "WRONG"
    }


def test_what_is_left_after_a_loop_without_end_is_looked_at_all_the_same(tmp_path):
    endless = "    for _ in range(n_epochs):\n        while n_epochs > 1:\n            pass\n"
    text = program("layer_list", lines={"    for _ in range(n_epochs):\n": endless})
    (tmp_path / "student.py").write_text(text)
    report = diagnose_file(tmp_path / "student.py", "dd2424", {}, {}, seconds=1)
    verdicts = {check.title: check.verdict for check in report.checks}
    assert verdicts.get("accuracy compute_accuracy") == "all right"


@pytest.mark.parametrize(
    ("source", "instead", "title", "said"),
    [
        ("self.b1 - self.eta", "self.b1 + self.eta", "update", "added instead of subtracted"),
        ("(dW1 + 2 * self.lam", "(dW1 + self.lam", "update", "factor 2 is missing"),
        ("self.eta * (dW2 + 2", "self.eta * dW2 - (2", "update", "not multiplied by eta"),
        ("total / n for", "total for", "network", "not divided by the batch size"),
        ("(self.h > 0)", "(self.h >= 0)", "network", "not masked"),
    ],
    ids=["ascent", "penalty", "penalty without eta", "mean", "mask"],
)
def test_a_mistake_is_found_where_a_step_is_made_of_several_calls(inspected, source, instead, title, said):
    checks, _ = inspected("student.py", "dd2424", program("step_sums_images", lines={source: instead}))
    assert {name for name, check in checks.items() if check["verdict"] != "all right"} == {title}
    assert said in checks[title]["first"]


def test_a_class_beside_the_functions_does_not_hide_why_they_fail(inspected):
    lines = {"def ApplyNetwork": "class Record:\n    loss = 0.0\n\ndef ApplyNetwork", "np.maximum": "np.maximun"}
    checks, _ = inspected("student.py", "dd2424", program("dictionaries", lines=lines), only="network")
    assert checks["network"]["verdict"] != "all right"
    assert "np.maximun is not in NumPy" in checks["network"]["first"]


GRADIENT_AND_STEP = """
import numpy as np

class Net:
    def __init__(self, d, K, lam, eta):
        self.W, self.b, self.lam, self.eta = np.random.randn(K, d) * 0.01, np.zeros((K, 1)), lam, eta

    def evaluate(self, X):
        return np.exp(self.W @ X + self.b) / np.exp(self.W @ X + self.b).sum(axis=0)

    def cost(self, X, Y):
        return -np.log((Y * self.evaluate(X)).sum(axis=0)).mean() + self.lam * (self.W**2).sum()

    def backward(self, X, Y):
        G = (self.evaluate(X) - Y) / X.shape[1]
        self.W = self.W - self.eta * (G @ X.T + 2 * self.lam * self.W)
        self.b = self.b - self.eta * G.sum(axis=0)
"""


def test_a_step_that_is_meant_is_not_called_one_among_the_gradients(inspected):
    checks, _ = inspected("student.py", "dd2424", GRADIENT_AND_STEP, only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert checks["network"]["first"].startswith("linear1.bias: ")
    assert "Net.backward changes" not in checks["network"]["text"]


PARTS = {
    "cross_entropy": "loss",
    "cross_entropy_derivative": "",
    "softmax_loss_prime": "",
    "ComputeCost": "cost",
    "d_cost": "",
    "cost_prime": "",
    "compute_gradients": "gradients",
    "ComputeGradsNumSlow": "",
    "validate_gradient": "",
    "EvaluateClassifier": "forward",
    "cyclical_eta": "schedule",
}


@pytest.mark.parametrize("name", PARTS)
def test_the_part_of_a_function_is_read_from_its_name(name):
    assert plays(name) == PARTS[name]


ONE_LAYER = """
import numpy as np
from abc import ABC, abstractmethod

class Base(ABC):
    @abstractmethod
    def compute_gradients(self, X, Y, Ws, bs):
        pass

    def compute_cost(self, X, Y, Ws, bs):
        P = self.forward(X, Ws, bs)
        return -np.mean(np.log(np.sum(Y * P, axis=0))) + self.lam * sum(np.sum(W ** 2) for W in Ws)

class Linear(Base):
    def __init__(self, K, d, lam):
        self.lam, self.bs = lam, [np.zeros((K, 1))]
        self.Ws = [np.random.normal(0, 1 / np.sqrt(d), K * d).reshape(K, d)]

    def forward(self, X, Ws, bs):
        s = Ws[0] @ X + bs[0]
        p = np.exp(s - s.max(axis=0))
        return p / p.sum(axis=0)

    def compute_gradients(self, X, Y, Ws, bs):
        n = X.shape[1]
        G = self.forward(X, Ws, bs) - Y
        return [G @ X.T / n + 2 * self.lam * Ws[0]], [G.mean(axis=1, keepdims=True)]
"""


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("", "", ""),
        ("+ 2 * self.lam * Ws[0]", "", "linear1.weight: the penalty is in the cost but not in the gradient"),
    ],
    ids=["right", "no penalty"],
)
def test_one_layer_in_lists_in_a_class_that_has_its_cost_from_an_abstract_one(inspected, old, new, first):
    text = ONE_LAYER.replace(old, new) if old else ONE_LAYER
    checks, _ = inspected("student.py", "dd2424", text)
    assert {title for title in checks if title.startswith("network")} == {"network"}
    assert checks["network"]["verdict"] == ("WRONG" if first else "all right")
    assert checks["network"]["first"].startswith(first)


@pytest.mark.parametrize(("kept", "verdict"), [("b.reshape(-1, 1)", "all right"), ("b", "WRONG")])
def test_flat_gradients_are_right_where_biases_may_be_flat(inspected, kept, verdict):
    text = f"""
import numpy as np
def forward_pass(X, W, b):
    s = W @ X + {kept}
    p = np.exp(s - s.max(axis=0))
    return p / p.sum(axis=0)
def compute_cost(X, Y, W, b, lam):
    return -np.mean(np.log(np.sum(Y * forward_pass(X, W, b), axis=0))) + lam * np.sum(W ** 2)
def compute_gradients(X, Y, P, W, lam):
    return (P - Y) @ X.T / X.shape[1] + 2 * lam * W, (P - Y).mean(axis=1)
"""
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == verdict


def test_a_number_of_hidden_units_is_no_list_where_it_is_multiplied(inspected):
    text = """
import numpy as np
class Net:
    def __init__(self, K, d, m, lam):
        self.lam = lam
        self.W1 = np.random.normal(0, 1 / np.sqrt(d), m * d).reshape(m, d)
        self.W2 = np.random.normal(0, 1 / np.sqrt(m), K * m).reshape(K, m)
        self.b1, self.b2 = np.zeros((m, 1)), np.zeros((K, 1))
    def forward(self, X):
        self.H = np.maximum(0, self.W1 @ X + self.b1)
        s = self.W2 @ self.H + self.b2
        p = np.exp(s - s.max(axis=0))
        return p / p.sum(axis=0)
    def cost(self, X, Y):
        squares = np.sum(self.W1 ** 2) + np.sum(self.W2 ** 2)
        return -np.mean(np.log(np.sum(Y * self.forward(X), axis=0))) + self.lam * squares
    def gradients(self, X, Y):
        G = (self.forward(X) - Y) / X.shape[1]
        grad_W2, grad_b2 = G @ self.H.T + 2 * self.lam * self.W2, G.sum(axis=1, keepdims=True)
        G = (self.W2.T @ G) * (self.H > 0)
        return G @ X.T + 2 * self.lam * self.W1, G.sum(axis=1, keepdims=True), grad_W2, grad_b2
"""
    checks, _ = inspected("student.py", "dd2424", text)
    assert checks["network"]["verdict"] == "all right"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("m * d", True), ("2 / m", True), ("[0] * m", False), ("m + 1", False), ("np.zeros(m)", False)],
)
def test_what_is_multiplied_is_a_number(text, expected):
    assert any(is_multiplied(node, {"m"}) for node in ast.walk(ast.parse(text))) is expected
