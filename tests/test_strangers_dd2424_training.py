"""Programs in DD2424's conventions around their networks: the data that they are given, their steps, old NumPy."""

import numpy as np
import pytest
from conftest import dd2424_program as program

from manual_mlp.adapters.scikit_learn import train_test_split

pytestmark = pytest.mark.thorough


def verdicts(checks):
    return {title: check["verdict"] for title, check in checks.items()}


CONSTRUCTOR = "(self, layer_sizes, lamda=0.0, batch_norm=False, alpha=0.9):"
HIDDEN = "(self, data, hidden, lamda=0.0, batch_norm=False, alpha=0.9):\n        layer_sizes = "
AS_ATTRIBUTES = "for name, images in data.items():\n            setattr(self, name, images)\n        layer_sizes = "
SETS = {
    "keys": HIDDEN + '[len(data["X_train"]), *hidden, len(data["Y_train"])]',
    "places": HIDDEN + "[data[0].shape[0], *hidden, data[1].shape[0]]",
    "items": HIDDEN.replace("layer_sizes = ", AS_ATTRIBUTES) + "[len(self.trainX), *hidden, len(self.trainY)]",
}


@pytest.mark.parametrize("form", SETS)
def test_a_class_is_given_its_data_as_it_takes_them(inspected, form):
    text = program("network_class", {CONSTRUCTOR: SETS[form]})
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "all right"


def test_a_constructor_that_asks_for_mean_and_deviation_of_the_weights_gets_them(inspected):
    lines = {CONSTRUCTOR: CONSTRUCTOR.replace("sizes,", "sizes, mu, sigma,"), "np.random.randn(n_out, n_in) * ": ""}
    lines["np.sqrt(2 / n_in)"] = "np.random.normal(mu, sigma, (n_out, n_in))"
    checks, _ = inspected("student.py", "dd2424", program("network_class", lines))
    assert checks["network"]["verdict"] == "all right"
    assert "fixed standard deviation" in checks["initialization"]["text"]


OF_ONE_LAYER = """
import numpy as np

K, d = 10, 3072

class Regression:
    def __init__(self, reg=0.0):
        self.W, self.b = np.random.normal(0, 0.01, (K, d)), np.zeros((K, 1))
        self.reg = reg

    def evaluate(self, X):
        s = self.W @ X + self.b
        return np.exp(s) / np.exp(s).sum(axis=0)

    def cost(self, X, Y):
        return -np.log((Y * self.evaluate(X)).sum(axis=0)).mean() + self.reg * (self.W**2).sum()

    def gradients(self, X, Y):
        G = (self.evaluate(X) - Y) / X.shape[1]
        return G @ X.T + 2 * self.reg * self.W, G.sum(axis=1, keepdims=True)
"""


def test_a_constructor_takes_its_sizes_from_the_script(inspected):
    checks, _ = inspected("student.py", "dd2424", OF_ONE_LAYER)
    assert verdicts(checks) == {"network": "all right", "initialization": "all right"}


@pytest.mark.parametrize("old", ["np.zeros_like(self.W)", "np.copy(self.W)", "np.multiply(0, self.W)"])
def test_an_array_of_arrays_that_differ_in_shape_is_made_as_it_used_to_be_and_noted(inspected, old):
    text = program("network_class", {"self.grad_W = [None] * self.k": f"self.grad_W = {old}"})
    checks, last = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "all right"
    assert any("differ in shape" in fault for fault in last["faults"])


LOSS = {
    "def ComputeCost(P, y, network, lam):": "def ComputeCost(loss, network, lam):",
    "    return ComputeLoss(P, y) + ": "    return loss + ",
    "ApplyNetwork": "Apply2LayerNetwork",
}


@pytest.mark.parametrize(
    ("term", "verdict"), [("np.sum(W ** 2)", "all right"), ("np.sum(W ** 2) / 2", "WRONG")], ids=["right", "halved"]
)
def test_a_cost_function_that_is_given_the_loss_gets_it(inspected, term, verdict):
    checks, _ = inspected("student.py", "dd2424", program("dictionaries", {**LOSS, "np.sum(W ** 2)": term}))
    assert checks["network"]["verdict"] == verdict


def test_the_cost_of_one_layer_is_not_that_of_the_network(inspected):
    one = "def cost_of_layer(loss, W, lam):\n    return loss + lam * np.sum(W ** 2)\n\n"
    whole = 'cost_of_layer(cost_of_layer(loss, network["W"][0], lam), network["W"][1], lam)'
    text = program("dictionaries", LOSS).replace("def ComputeCost", f"{one}def ComputeCost")
    text = text.replace("loss + lam * sum(np.sum(W ** 2) for W in network['W'])", whole)
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "all right"


INPUTS_OF_ALL_LAYERS = """
import numpy as np

def evaluate_classifier(X, W, b):
    X_l = []
    for weights, biases in zip(W, b):
        X_l.append(X)
        s = weights @ X + biases
        X = np.maximum(s, 0)
    return np.exp(s) / np.exp(s).sum(axis=0), X_l

def compute_cost(X, Y, W, b, lamda):
    p, X_l = evaluate_classifier(X, W, b)
    return -np.log((Y * p).sum(axis=0)).mean() + lamda * sum((weights**2).sum() for weights in W)

def compute_gradients(X, Y, P, W, lamda):
    n, G, grad_W, grad_b = X[0].shape[1], P - Y, [], []
    for x, weights in zip(X[::-1], W[::-1]):
        grad_W.insert(0, G @ x.T / n + 2 * lamda * weights)
        grad_b.insert(0, G.mean(axis=1, keepdims=True))
        G = (weights.T @ G) * (x > 0)
    return grad_W, grad_b

def train(Xbatch, Ybatch, W, b, lamda):
    P, H = evaluate_classifier(Xbatch, W, b)
    return compute_gradients(H, Ybatch, P, W, lamda)

def check(X, Y, W, b):
    p, X_l = evaluate_classifier(X, W, b)
    grad_W, grad_b = compute_gradients(X_l, Y, p, W, 0)
"""


def test_the_inputs_of_all_layers_are_handed_on_whatever_their_callers_call_them(inspected):
    checks, _ = inspected("student.py", "dd2424", INPUTS_OF_ALL_LAYERS)
    assert checks["network"]["verdict"] == "all right"


STANDARDIZED = """
def pixel_statistics(images):
    mean_image = images.mean(axis=1, keepdims=True)
    std_image = images.{spread}(axis=1, keepdims=True)
    return mean_image, std_image

def normalize(images, mean_image, std_image):
    return (images - mean_image) / std_image
"""


@pytest.mark.parametrize(("spread", "verdict"), [("std", "all right"), ("var", "WRONG")])
def test_the_statistics_are_those_that_the_file_computes(inspected, spread, verdict):
    text = program("dictionaries") + STANDARDIZED.format(spread=spread)
    checks, _ = inspected("student.py", "dd2424", text, only="standardization normalize")
    assert checks["standardization normalize"]["verdict"] == verdict


TRAIN = """
def train(X, Y, y, val, GDparams, init_net, lam, rng, batch_norm=False):
    net = copy.deepcopy(init_net)
    for epoch in range(GDparams['n_epochs']):
        for j in range(X.shape[1] // GDparams['n_batch']):
            chosen = slice(j * GDparams['n_batch'], (j + 1) * GDparams['n_batch'])
            grads = BackwardPass(X[:, chosen], Y[:, chosen], ApplyNetwork(X[:, chosen], net), net, lam)
            for kind in ('W', 'b'):
                for layer in (0, 1):
                    net[kind][layer] = net[kind][layer] - GDparams['eta'] * grads[kind][layer]
        print(ComputeAccuracy(ApplyNetwork(val[0], net)['P'], val[2]), y[0] + 1, 1 / (not batch_norm))
    return net
"""
STEP = "- GDparams['eta'] * grads[kind][layer]"
STEPS = {
    "right": (STEP, STEP, "all right", ""),
    "the penalty again": (STEP, f"{STEP} - (kind == 'W') * lam * net[kind][layer]", "WRONG", "has the penalty already"),
    "some other decay": (STEP, f"{STEP} - 0.037 * (kind == 'W') * net[kind][layer]", "not looked at", ""),
    "a layer forgotten": ("(0, 1)", "(0,)", "WRONG", "never updated"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_judged_whatever_else_its_loop_is_given(inspected, step):
    source, instead, verdict, said = STEPS[step]
    checks, _ = inspected("student.py", "dd2424", program("dictionaries") + TRAIN.replace(source, instead))
    assert checks.get("update", {"verdict": "not looked at"})["verdict"] == verdict
    assert checks["minibatches train"]["verdict"] == "all right"
    assert said in checks.get("update", {"first": ""})["first"]


def test_a_pair_of_learning_rates_is_given_where_both_are_taken(inspected):
    text = TRAIN.replace("GDparams, init_net", "eta, GDparams, init_net").replace(
        "GDparams['eta']", "max(eta[0], eta[1])"
    )
    checks, _ = inspected("student.py", "dd2424", program("dictionaries") + text)
    assert {"update", "minibatches train"} <= set(checks)
    assert set(verdicts(checks).values()) == {"all right"}


def test_settings_under_keys_that_say_nothing_alone_are_told_from_their_dictionary(inspected):
    text = TRAIN.replace("GDparams, init_net", "eta, GDparams, init_net").replace("GDparams['eta']", "eta['max']")
    checks, _ = inspected("student.py", "dd2424", program("dictionaries") + text)
    assert {"update", "minibatches train"} <= set(checks)


def test_a_loop_that_divides_by_the_number_of_cycles_is_given_one(inspected):
    cycles = "    cycles = GDparams['n_epochs'] * (X.shape[1] // GDparams['n_batch']) // (2 * GDparams['n_s'])\n"
    text = TRAIN.replace("    for epoch", f"{cycles}    print(100 / cycles, y[valy], len(valy))\n    for epoch")
    text = text.replace("batch_norm=False", "batch_norm=False, valy=None")
    checks, _ = inspected("student.py", "dd2424", program("dictionaries") + text)
    assert checks["update"]["verdict"] == checks["minibatches train"]["verdict"] == "all right"


@pytest.mark.parametrize(("width", "verdict"), [("np.sqrt(m)", "all right"), ("m", "WRONG")], ids=["right", "variance"])
def test_a_function_that_initializes_may_say_so_at_its_end(inspected, width, verdict):
    lines = {"InitNetwork": "NetworkInitialize", "np.sqrt(m)": width}
    checks, _ = inspected("student.py", "dd2424", program("dictionaries", lines), only="initialization")
    assert checks["initialization"]["verdict"] == verdict


def test_the_number_of_batches_may_be_what_is_asked_for(inspected):
    lines = {
        "GDparams['n_batch']": "size",
        "    for epoch": "    size = X.shape[1] // GDparams['n_batch']\n    for epoch",
    }
    text = TRAIN
    for source, instead in lines.items():
        text = text.replace(source, instead, 9 if source.startswith("GD") else 1)
    checks, _ = inspected("student.py", "dd2424", program("dictionaries") + text)
    assert checks["update"]["verdict"] == "all right"


@pytest.mark.parametrize(
    ("step", "verdict"),
    [("np.stack([grads[kind][layer]], -1) if kind == 'b' else grads[kind][layer]", "all right"), ("", "WRONG")],
    ids=["brought into shape", "left"],
)
def test_the_shape_of_a_bias_gradient_is_no_mistake_if_the_step_brings_it_into_order(inspected, step, verdict):
    flat = {"np.sum(G, axis=1, keepdims=True)": "np.sum(G, axis=1)", "[None, None]": "[0, 0]"}
    text = program("dictionaries", flat) + TRAIN.replace("grads[kind][layer]", f"({step or 'grads[kind][layer]'})")
    checks, _ = inspected("student.py", "dd2424", text)
    assert checks["network"]["verdict"] == verdict


def test_scikit_learns_shuffle_and_accuracy_are_there(inspected):
    imports = "from sklearn.utils import shuffle\nfrom sklearn.metrics import accuracy_score\n"
    text = program("dictionaries", {"np.mean(P.argmax(axis=0) == y)": "accuracy_score(y, P.argmax(axis=0))"})
    loop = TRAIN.replace(
        "_epochs']):", "_epochs']):\n        X, Y = (a.T for a in shuffle(X.T, Y.T, random_state=epoch))"
    )
    checks, _ = inspected("student.py", "dd2424", imports + text + loop)
    assert {"accuracy ComputeAccuracy", "minibatches train", "update"} <= set(checks)
    assert set(verdicts(checks).values()) == {"all right"}


@pytest.mark.parametrize(
    ("given", "sizes"),
    [({}, (7, 3)), ({"test_size": 0.21}, (7, 3)), ({"test_size": 4}, (6, 4)), ({"train_size": 0.55}, (5, 5))],
    ids=str,
)
@pytest.mark.parametrize("random_state", [None, 3, np.random.default_rng(3)], ids=["drawn", "seed", "generator"])
def test_scikit_learns_split_loses_and_doubles_nothing(given, sizes, random_state):
    rows = np.arange(10)
    train, test, of_train, of_test = train_test_split(rows, 2 * rows, random_state=random_state, **given)
    assert (len(train), len(test)) == sizes
    assert sorted([*train, *test]) == list(rows)
    assert [*of_train, *of_test] == [*(2 * train), *(2 * test)]
    train, test = train_test_split(rows, random_state=random_state, shuffle=False, **given)
    assert [*train, *test] == list(rows)
