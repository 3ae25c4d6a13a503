"""Whole files in other people's conventions: right ones come out all right, a mistake in one is found and named."""

from pathlib import Path

import numpy as np
import pytest

from manual_mlp.adapters import watched
from manual_mlp.adapters.held import arrays_of

STRANGERS = Path(__file__).parent / "strangers"


CORRECT = {
    "cs231n": {
        "layers.py": {"linear", "ReLU", "batch norm", "batch norm, simplified", "dropout", "softmax", "svm"},
        "dictionary_cache.py": {"linear", "ReLU", "batch norm", "dropout", "softmax"},
        "layers_loops.py": {"linear", "ReLU", "batch norm", "dropout", "softmax", "linear and ReLU"},
        "fc_net.py": {
            "TwoLayerNet",
            "FullyConnectedNet",
            "FullyConnectedNet with batch norm",
            "FullyConnectedNet with dropout",
            "FullyConnectedNet with batch norm and dropout",
        },
        "fc_net_2016.py": {
            "linear, batch norm and ReLU",
            "FullyConnectedNet",
            "FullyConnectedNet with batch norm",
            "FullyConnectedNet with dropout",
            "FullyConnectedNet with batch norm and dropout",
        },
        "fc_net_2018.py": {
            "FullyConnectedNet",
            "FullyConnectedNet with batch norm",
            "FullyConnectedNet with dropout",
            "FullyConnectedNet with batch norm and dropout",
            "FullyConnectedNet with layer norm",
        },
        "neural_net.py": {"TwoLayerNet", "TwoLayerNet.train", "TwoLayerNet.predict"},
        "three_layer_net.py": {"ThreeLayerNet"},
        "layer_utils.py": {"linear and ReLU", "linear, batch norm and ReLU"},
        "softmax.py": {"softmax_loss_naive", "softmax_loss_vectorized"},
        "optim.py": {"sgd", "sgd_momentum", "rmsprop", "adam"},
    },
    "dd2424": {
        "whole_script.py": {
            "network",
            "update",
            "minibatches",
            "initialization",
            "standardization",
            "schedule",
        },
        "scale_and_shift.py": {"network", "update", "minibatches", "initialization", "standardization"},
        "layers_with_mode.py": {
            "network",
            "update",
            "initialization",
            "running averages",
            "minibatches",
            "standardization",
            "schedule cyclic",
        },
        "sets_in_dictionaries.py": {
            "network with batch norm",
            "update",
            "minibatches mini_batch_gd",
            "initialization",
            "standardization",
            "schedule cyclical_eta",
        },
        "nested_functions.py": {"network", "update", "minibatches", "initialization", "standardization"},
        "model_and_trainer.py": {
            "network with batch norm",
            "update",
            "running averages",
            "minibatches",
            "initialization",
            "standardization",
        },
        "softmax_regression.py": {"network", "update", "minibatches", "initialization", "standardization"},
        "whole_script_normalized.py": {
            "network with batch norm",
            "update",
            "minibatches",
            "initialization",
            "standardization",
            "schedule",
        },
        "modules.py": {
            "network",
            "update",
            "running averages",
            "minibatches",
            "initialization",
            "standardization",
            "softmax",
            "schedule cyclical",
        },
        "always_normalized.py": {
            "network with batch norm",
            "test mode",
            "update",
            "minibatches train",
            "running averages of train",
            "initialization",
        },
        "layers_by_size.py": {"network", "update", "minibatches Model.fit"},
        "matrices.py": {"network"},
        "mode_in_words.py": {"network", "network 2 with batch norm"},
        "switched_by_flag.py": {"network with batch norm", "test mode"},
        "optional_weights.py": {"network", "initialization"},
        "step_sums_images.py": {"network", "update", "minibatches TwoLayers.fit", "initialization"},
        "dropout_rate.py": {"network", "update", "minibatches train", "initialization"},
        "layer_list.py": {
            "network",
            "network with batch norm",
            "update",
            "minibatches fit",
            "accuracy compute_accuracy",
        },
        "step_finishes.py": {"network", "update", "initialization"},
        "named_by_callers.py": {"network", "update"},
        "first_time.py": {"network with batch norm", "test mode", "running averages", "initialization"},
        "loss_alone.py": {"network", "initialization", "schedule cyclical_eta"},
        "settings_in_parameters.py": {
            "network",
            "network with batch norm",
            "test mode",
            "update",
            "minibatches MiniBatchGD",
            "running averages of MiniBatchGD",
            "initialization",
            "accuracy ComputeAccuracy",
            "softmax",
            "standardization",
            "schedule CyclicLearningRate",
        },
        "plain_tuple.py": {
            "network",
            "update",
            "minibatches miniBatchGD",
            "initialization",
            "standardization normalize",
            "accuracy computeAccuracy",
            "softmax",
        },
        "weights_as_globals.py": {
            "network",
        },
        "layers_added.py": {
            "network",
            "update",
            "minibatches Network.fit",
            "accuracy Network.accuracy",
        },
        "running_averages_kept.py": {
            "network with batch norm",
            "test mode",
            "running averages",
            "update",
            "initialization",
        },
        "pairs.py": {
            "network",
            "update",
            "initialization",
        },
        "batch_norm_functions.py": {
            "network with batch norm",
            "test mode",
            "update",
            "minibatches mini_batch_gd",
            "running averages of mini_batch_gd",
            "initialization",
            "accuracy compute_accuracy",
            "softmax",
            "schedule cyclic",
        },
        "unnamed_gradients.py": {
            "network",
            "softmax",
        },
        "one_layer.py": {
            "network",
            "accuracy ComputeAccuracy",
        },
        "two_layers.py": {
            "network",
            "initialization",
            "softmax",
            "schedule cyclical_eta",
        },
        "lists_with_cache.py": {
            "network with batch norm",
            "test mode",
            "initialization",
        },
        "network_class.py": {
            "network",
            "network with batch norm",
            "initialization",
            "accuracy NeuralNetwork.accuracy",
        },
        "dictionaries.py": {
            "network",
            "initialization",
            "accuracy ComputeAccuracy",
        },
        "layer_objects.py": {
            "network",
            "initialization",
        },
        "script_globals.py": {
            "network",
        },
        "rows_and_classes.py": {
            "network",
            "initialization",
        },
        "layers_with_generator.py": {
            "network",
            "initialization",
        },
        "layer_dictionaries.py": {
            "network",
            "initialization",
        },
        "one_image_at_a_time.py": {
            "network",
        },
        "numbered_from_zero.py": {
            "network",
            "network with batch norm",
            "initialization",
        },
        "single_precision.py": {
            "network",
            "initialization",
        },
    },
}


def test_every_stranger_is_expected():
    for convention, files in CORRECT.items():
        assert {path.name for path in (STRANGERS / convention).glob("*.py")} == set(files)


ENDLESS = {"one_layer.py"}  # whose scripts never come to a training, however long they run
EVERY = [(convention, file, titles) for convention, files in CORRECT.items() for file, titles in files.items()]


@pytest.mark.parametrize(
    ("convention", "file", "titles"),
    [
        pytest.param(*stranger, marks=[pytest.mark.thorough] if number % 3 else [], id=f"{stranger[0]}-{stranger[1]}")
        for number, stranger in enumerate(EVERY)
    ],
)
def test_a_correct_program_is_all_right(inspected, monkeypatch, convention, file, titles):
    if file in ENDLESS:
        monkeypatch.setattr(watched, "SECONDS", 1.0)
    checks, last = inspected(file, convention)
    assert {title: check["verdict"] for title, check in checks.items()} == dict.fromkeys(titles, "all right")
    assert not last["stopped"]


MISTAKES = [
    # (file, its source, what stands there instead, the check that must fail, its first wrong place, what is said)
    ("layers.py", "db = dout.sum(axis=0)", "db = dout.mean(axis=0)", "linear", "db", "averaged"),
    ("layers.py", "db = dout.sum(axis=0)", "db = dout.sum(axis=0, keepdims=True)", "linear", "db", "shape is (1, "),
    ("layers.py", "dout.dot(w.T).reshape(x.shape)", "dout.dot(w.T)", "linear", "dx", "images of shape"),
    ("layers.py", "dout[x <= 0] = 0", "dout[dout <= 0] = 0", "ReLU", "dx", "upstream gradient"),
    ("layers.py", "    return dout\n", "    return None\n", "ReLU", "relu backward", "returns None"),
    ("layers.py", "+ dmu / N", "", "batch norm", "dx", "mean is dropped"),
    ("layers.py", "momentum * running_mean + (1 - momentum) * mu", "mu", "batch norm", "running_mean", ""),
    ("layers.py", "out = gamma * (x - running_mean)", "out = (x - running_mean)", "batch norm", "test mode", "gamma"),
    ("layers.py", "- xhat * dgamma", "- x * dgamma", "batch norm, simplified", "dx", "x stands where"),
    ("layers.py", "        out = x\n", "        out = x * p\n", "dropout", "test mode", "scaled"),
    ("layers.py", "np.random.rand(*x.shape)", "np.random.rand()", "dropout", "mask", "about the whole batch"),
    (
        "layers.py",
        "np.random.rand(*x.shape)",
        "np.random.rand(x.shape[1])",
        "dropout",
        "mask",
        "every image has the same",
    ),
    ("layers.py", "np.random.rand(*x.shape)", "np.random.rand(len(x), 1)", "dropout", "mask", "units of an image"),
    ("layers.py", "np.random.rand(*x.shape)", "np.random.randn(*x.shape)", "dropout", "mask", "normal numbers"),
    ("layers.py", "    dx /= N\n", "", "softmax", "dlogits", "not divided"),
    ("layers_loops.py", "dout *= cache.gamma", "pass", "batch norm", "dx", "gamma"),
    ("layers_loops.py", "dout *= out > 0", "pass", "ReLU", "dx", "not masked"),
    (
        "fc_net.py",
        "            grads['W%d' % i] += self.reg",
        "            0 * self.reg",
        "FullyConnectedNet",
        "W2",
        "in the cost but not",
    ),
    ("fc_net.py", "dh = dropout_backward(dh, cd)", "pass", "FullyConnectedNet with dropout", "b2", "is not masked"),
    (
        "fc_net.py",
        "'train'} for i in range(self.num_layers - 1)]",
        "'train'}] * (self.num_layers - 1)",
        "FullyConnectedNet with batch norm",
        "",
        "same bn_param",
    ),
    ("neural_net.py", "dhidden[hidden == 0] = 0", "pass", "TwoLayerNet", "b1", "not masked"),
    ("neural_net.py", "self.params[p] -= ", "self.params[p] += ", "TwoLayerNet.train", "W1", "added"),
    (
        "neural_net.py",
        "(X[rows], y[rows], reg)",
        "(X[rows], y[:batch_size], reg)",
        "TwoLayerNet.train",
        "labels",
        "belong",
    ),
    (
        "neural_net.py",
        "(X[rows], y[rows], reg)",
        "(X[rows], y[rows])",
        "TwoLayerNet.train",
        "regularization",
        "handed on",
    ),
    (
        "neural_net.py",
        "np.random.choice(len(X), batch_size)",
        "np.arange(batch_size)",
        "TwoLayerNet.train",
        "batch",
        "same images",
    ),
    (
        "neural_net.py",
        "np.random.choice(len(X), batch_size)",
        "np.random.choice(len(X), 20)",
        "TwoLayerNet.train",
        "batch",
        "20 images",
    ),
    (
        "neural_net.py",
        "argmax(axis=1)",
        "argmax(axis=0)",
        "TwoLayerNet.predict",
        "predicted",
        "best image of each class",
    ),
    (
        "neural_net.py",
        "if it % max(len(X) // batch_size, 1) == 0",
        "if verbose or it >= 0",
        "TwoLayerNet.train",
        "learning rate",
        "after every update; an epoch has 4",
    ),
    (
        "neural_net.py",
        "learning_rate *= learning_rate_decay",
        "learning_rate /= learning_rate_decay",
        "TwoLayerNet.train",
        "learning rate",
        "it grows",
    ),
    (
        "neural_net.py",
        "learning_rate *= learning_rate_decay",
        "pass",
        "TwoLayerNet.train",
        "learning rate",
        "never decays",
    ),
    (
        "neural_net.py",
        "learning_rate *= learning_rate_decay",
        "learning_rate -= 0.01 * learning_rate_decay",
        "TwoLayerNet.train",
        "learning rate",
        "from 0.1 to 0.08 where learning_rate_decay is 1",
    ),
    (
        "neural_net.py",
        "self.params[p] -= learning_rate * grads[p]",
        "self.params[p] -= learning_rate * (grads[p] if p != 'b2' else grads[p] ** 2 + 1)",
        "TwoLayerNet.train",
        "b2",
        "none of the known mistakes",
    ),
    (
        "neural_net.py",
        "learning_rate *= learning_rate_decay",
        "learning_rate *= learning_rate_decay**2",
        "TwoLayerNet.train",
        "learning rate",
        "multiplied by 0.25",
    ),
    ("neural_net.py", "argmax(axis=1)", "argmin(axis=1)", "TwoLayerNet.predict", "predicted", "lowest"),
    ("neural_net.py", "probs.sum(axis=0)}", "np.bincount(y)}", "TwoLayerNet", "b2", ""),
    (
        "softmax.py",
        "    dW = dW / len(X) + 2",
        "    dW = dW + 2",
        "softmax_loss_naive",
        "dW",
        "not divided by the batch size",
    ),
    ("softmax.py", "/ n + 2 * reg * W", "/ n", "softmax_loss_vectorized", "dW", "in the cost but not in the gradient"),
    (
        "layer_utils.py",
        "dn = relu_backward(dout, r)",
        "dn = dout",
        "linear, batch norm and ReLU",
        "backward: dx",
        "goes past the ReLU",
    ),
    (
        "layer_utils.py",
        "beta, bn_param)\n    out",
        "beta, dict(bn_param))\n    out",
        "linear, batch norm and ReLU",
        "",
        "hand its",
    ),
    ("optim.py", "config['t'] += 1", "pass", "adam", "update 1", ""),
    ("optim.py", "+ (1 - config['decay_rate']) * dx ** 2", "+ dx ** 2", "rmsprop", "update 1", ""),
    ("one_layer.py", "2 * lamda * W\n", "lamda * W\n", "network", "linear1.weight", "factor 2"),
    ("one_layer.py", "(G @ np.ones((n, 1))) / n", "np.sum(G, axis=1) / n", "network", "linear1.bias", "broadcast"),
    ("two_layers.py", "G[h <= 0] = 0", "G[G <= 0] = 0", "network", "linear1.bias", "upstream gradient"),
    ("two_layers.py", "(np.sum(W1**2) + np.sum(W2**2))", "np.sum(W1)", "network", "cost", ""),
    ("two_layers.py", "np.sum(np.exp(x), axis=0)", "np.sum(np.exp(x))", "softmax", "softmax", "whole batch"),
    (
        "lists_with_cache.py",
        "(G * gammas[l], cache",
        "(G, cache",
        "network with batch norm",
        "linear2.weight",
        "gamma is missing",
    ),
    ("lists_with_cache.py", "sigma ** 3", "sigma", "network with batch norm", "linear2.weight", "wrong power"),
    ("network_class.py", "+ 2 * self.lamda * self.W[l]", "", "network", "linear3.weight", "in the cost but not"),
    ("dictionaries.py", "-np.mean(np.log(", "-np.sum(np.log(", "network", "cost", "summed over the batch"),
    ("dictionaries.py", "    grads = {}\n", "    raise NotImplementedError\n", "network", "gradients", "not filled in"),
    ("layer_objects.py", "return g * (self.x > 0)", "return g", "network", "linear2.bias", "not masked"),
    ("script_globals.py", "H = S * (S > 0)", "H = S", "network", "cost", "ReLU is skipped"),
    (
        "rows_and_classes.py",
        "(g @ w.T) * (inputs > 0)",
        "(g @ w.T) * (g @ w.T > 0)",
        "network",
        "linear2.bias",
        "upstream",
    ),
    (
        "step_finishes.py",
        "self.eta * (dW[l] / n + 2 * self.reg_term * self.W[l])",
        "self.eta * dW[l] / n - 2 * self.reg_term * self.W[l]",
        "update",
        "linear1.weight",
        "not multiplied by eta",
    ),
    ("loss_alone.py", "lam * W[0]", "lam * W[0] / 2", "network", "linear1.weight", "factor 2"),
    ("plain_tuple.py", "b2 = b2 - eta * d", "b1 = b1 - eta * b", "update", "linear1.bias", "updated twice"),
    (
        "plain_tuple.py",
        "(X_val - m) / s",
        "(X_val - X_val.mean(axis=1, keepdims=True)) / X_val.std(axis=1, keepdims=True)",
        "standardization normalize",
        "validation images",
        "their own statistics",
    ),
    ("weights_as_globals.py", " + 2 * lam * W2", " + lam * W2", "network", "linear2.weight", "factor 2"),
    (
        "layers_added.py",
        "return G * self.mask",
        "return G * (G > 0)",
        "network",
        "linear2.bias",
        "upstream gradient",
    ),
    (
        "running_averages_kept.py",
        "self.gamma[i] -= eta * gg[i]\n            self.beta[i] -= eta * gbe[i]",
        "self.gamma[i] -= eta * gbe[i]\n            self.beta[i] -= eta * gg[i]",
        "update",
        "bn1.weight",
        "beta's gradient",
    ),
    ("unnamed_gradients.py", "G[S1 < 0] = 0", "G[G < 0] = 0", "network", "linear1.bias", "upstream gradient"),
    ("three_layer_net.py", "(a > 0)", "(d @ p['W%d' % i].T > 0)", "ThreeLayerNet", "b2", "upstream"),
    ("dictionary_cache.py", "np.sum(xn * dout", "np.sum(xc * dout", "batch norm", "dgamma", "input x"),
]

VARIANCE = " - self.s_hat * np.mean(g * self.s_hat, axis=1, keepdims=True)"
SQUARES = 'np.sum(params["W%d" % l] ** 2)'
TRACKED = "            if self.training:\n                self._track(l, mean, var)\n            else:\n"
ALWAYS_TRACKED = "            self._track(l, mean, var)\n            if not self.training:\n"
WITH_BATCH_NORM = "network with batch norm"
MORE_MISTAKES = [  # the same kinds again, in larger programs
    ("layers_by_size.py", " * (below > 0)", "", "network", "linear2.bias", "not masked"),
    (
        "layers_by_size.py",
        "range(n // n_batch)",
        "range(n // n_batch - 1)",
        "minibatches Model.fit",
        "epoch 0",
        "missing",
    ),
    ("step_finishes.py", "- self.eta * db[l] / n", "- self.eta * db[l]", "network", "linear3.bias", "not divided"),
    ("named_by_callers.py", " + np.sum(U * U)", "", "network", "cost", "in the gradient but not in the cost"),
    (
        "first_time.py",
        "0.9 * layer.var_av + 0.1 * var",
        "0.9 * layer.var_av + 0.9 * var",
        "running averages",
        "running_var",
        "same weight",
    ),
    (
        "first_time.py",
        "layer.gamma * S_hat[-1] + layer.beta",
        "layer.gamma * S_hat[-1] + layer.b",
        "network with batch norm",
        "cost",
        "in the place of beta",
    ),
    (
        "settings_in_parameters.py",
        "return G1 - np.sum(G1, axis=1, keepdims=True) / n - D",
        "return G1 - D",
        "network with batch norm",
        "linear2.bias",
        "mean is dropped",
    ),
    (
        "settings_in_parameters.py",
        "v_av[l] = alpha * v_av[l] + (1 - alpha) * fp",
        "v_av[l] = (1 - alpha) * v_av[l] + alpha * fp",
        "running averages of MiniBatchGD",
        "running_var",
        "each other's weight",
    ),
    (
        "settings_in_parameters.py",
        "v = v_av[l] if v_av is not None else s.var(",
        "v = s.var(",
        "test mode",
        "logits at test time",
        "",
    ),
    (
        "plain_tuple.py",
        "== y) / X.shape[1]",
        "== y) / X.shape[0]",
        "accuracy computeAccuracy",
        "accuracy",
        "wrong length",
    ),
    (
        "running_averages_kept.py",
        "self.alpha * self.mu_av[i] + (1 - self.alpha) * mu",
        "mu",
        "running averages",
        "running_mean",
        "last batch",
    ),
    (
        "running_averages_kept.py",
        "np.random.normal(0, np.sqrt(2 / dims[i])",
        "np.random.normal(0, 2 / dims[i]",
        "initialization",
        "linear1.weight",
        "variance was taken",
    ),
    ("pairs.py", "2 * lam * W,", "lam * W,", "network", "linear3.weight", "factor 2"),
    (
        "batch_norm_functions.py",
        "range(int(n / n_batch))",
        "range(int(n / n_batch) - 1)",
        "minibatches mini_batch_gd",
        "epoch 0",
        "missing",
    ),
    ("batch_norm_functions.py", "(G * S_hat[l]) @", "(G * S[l]) @", "network with batch norm", "bn2.weight", "input x"),
]


@pytest.mark.parametrize(
    ("file", "source", "instead", "title", "place", "said"),
    [*MISTAKES, *(pytest.param(*mistake, marks=pytest.mark.thorough) for mistake in MORE_MISTAKES)],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_found_and_named(inspected, monkeypatch, file, source, instead, title, place, said):
    if file in ENDLESS:
        monkeypatch.setattr(watched, "SECONDS", 1.0)
    convention = next(convention for convention, files in CORRECT.items() if file in files)
    text = (STRANGERS / convention / file).read_text()
    assert text.count(source) >= 1
    checks, _ = inspected(file, convention, text.replace(source, instead), only=title)
    assert checks[title]["verdict"] in ("WRONG", "FAILED")
    assert place in checks[title]["first"]
    assert said in checks[title]["first"]


def test_arrays_are_not_looked_for_in_modules_and_functions():
    assert not list(arrays_of({"np": np, "f": test_functions_of_other_names_are_mapped, "of": type(np.ones(1))}))


def test_functions_of_other_names_are_mapped(inspected):
    text = (STRANGERS / "cs231n" / "layers.py").read_text().replace("affine_", "my_linear_")
    functions = {"affine_forward": "my_linear_forward", "affine_backward": "my_linear_backward"}
    checks, _ = inspected("student.py", "cs231n", text, functions)
    assert checks["linear"]["verdict"] == "all right"


def test_a_mapped_name_that_is_not_there_is_named(inspected):
    with pytest.raises(ValueError, match=r"has no my_linear; it has affine_backward"):
        inspected("student.py", "cs231n", "def affine_backward(dout, cache): pass", {"affine_forward": "my_linear"})


@pytest.mark.parametrize("p", [True, False], ids=["p keeps", "p drops"])
def test_what_p_means_is_measured(inspected, p):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    if not p:
        text = text.replace("(np.random.rand(*x.shape) < p) / p", "(np.random.rand(*x.shape) >= p) / (1 - p)")
    checks, _ = inspected("layers.py", "cs231n", text)
    assert checks["dropout"]["verdict"] == "all right"
    assert f"p is the probability to {'keep' if p else 'drop'}" in checks["dropout"]["text"]


def test_old_python_and_numpy_are_named_with_their_line_and_the_rest_is_diagnosed(inspected):
    text = """import numpy as np

def relu_forward(x):
    print 'shape of x', x.shape
    out = np.maximum(x, np.float(0))
    return out, x

def relu_backward(dout, cache):
    dx = np.array(dout)
    for i in xrange(len(dx)):
        dx[i] *= cache[i] > 0
    return dx
"""
    checks, last = inspected("layers.py", "cs231n", text)
    assert checks["ReLU"]["verdict"] == "all right"
    assert last["faults"] == [
        "line 4: `print 'shape of x', x.shape` is Python 2; write print(...)",
        "line 5: np.float was removed from NumPy; write float",
        "line 10: xrange is Python 2; write range",
    ]


def test_after_the_visit_numpy_and_the_imports_are_as_before(inspected):
    import sys

    finders = list(sys.meta_path)
    inspected("layers_loops.py", "cs231n")
    assert sys.meta_path == finders
    assert not [name for name in sys.modules if name.startswith("stranger")]
    assert not hasattr(np, "float")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def affine_forward(x, w, b):\n    out = None\n    return out, (x, w, b)\n", "not filled in"),
        ("def affine_forward(x, w, b):\n    pass\n", "not filled in"),
        ("def affine_forward(x, w, b):\n    raise NotImplementedError\n", "not filled in"),
        (
            "def affine_forward(x, w, b):\n    return x @ w + B, None\n",
            "line 2: `return x @ w + B, None`: B is not defined",
        ),
        ("def affine_forward(x, w, b):\n    exit(3)\n", "ends the whole program"),
        ("def affine_forward(x, w, b):\n    return affine_forward(x, w, b)\n", "without end"),
        ("def affine_forward(x, w, b):\n    return x @ w + b\n", "it must be (out, cache)"),
        ("def affine_forward(x, w, b):\n    return 'out', None\n", "it is a str"),
        ("def affine_forward(x, w, b):\n    return (x @ w + b).T, None\n", "its shape is"),
        ("def affine_forward(x, w, b):\n    return x @ w + b), None\n", "unmatched ')'"),
        ("def affine_forward(x, w, b):\n    return torch_only.matmul(x, w), None\n", "torch_only is not defined"),
    ],
    ids=lambda text: text[-30:].strip(),
)
def test_a_function_that_cannot_be_compared_is_said_in_words_and_the_others_are_diagnosed(inspected, body, said):
    relu = (
        "\ndef relu_forward(x):\n    return x * (x > 0), x\n\ndef relu_backward(dout, x):\n    return dout * (x > 0)\n"
    )
    checks, _ = inspected("layers.py", "cs231n", body + relu)
    assert said in checks["linear"]["verdict"] + checks["linear"]["text"]
    assert checks["ReLU"]["verdict"] == "all right"


def test_a_file_without_functions_says_what_it_looked_for(inspected):
    checks, last = inspected("script.py", "dd2424", "import numpy as np\nX = np.load('x.npy')\nprint(X)\n")
    assert not checks
    assert "a script alone cannot be called" in last["stopped"]
    assert "ComputeGradients" in last["stopped"]


def test_what_convolutions_do_is_left_alone(inspected):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    text += "\ndef conv_forward_naive(x, w, b, conv_param):\n    return x, None\n"
    checks, last = inspected("layers.py", "cs231n", text)
    assert {check["verdict"] for check in checks.values()} == {"all right"}
    assert last["aspects"] == ["conv_forward_naive"]


ORDERS = [  # of the gradients that a function returns as a plain tuple, by names that say nothing
    "q1, q2, q3, q4",
    "q1, q3, q2, q4",
    "q3, q4, q1, q2",
    "0.0, q1, q2, q3, q4",
    "[q1, q3], [q2, q4]",
    "(q1, q2), (q3, q4)",
]


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_without_names_are_told_apart(inspected, order):
    text = (STRANGERS / "dd2424" / "plain_tuple.py").read_text()
    for number, name in enumerate(("gW1", "gb1", "gW2", "gb2"), start=1):
        text = text.replace(name, f"q{number}")
    text = text.replace("return q1, q2, q3, q4", f"return {order}")
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "all right"


@pytest.mark.parametrize("mistake", [False, True], ids=["right", "without eta"])
def test_a_penalty_that_the_update_adds_is_no_mistake_of_the_gradient(inspected, mistake):
    text = (STRANGERS / "dd2424" / "pairs.py").read_text().replace(" + 2 * lam * W", "")
    step = "W - eta * gW - 2 * lam * W" if mistake else "W - eta * (gW + 2 * lam * W)"
    text = text.replace("layers, grads, eta)", "layers, grads, eta, lam)").replace("W - eta * gW", step)
    checks, _ = inspected("student.py", "dd2424", text)
    assert checks["network"]["verdict"] == "all right"
    assert "the update adds the gradient of the penalty" in checks["network"]["text"]
    assert checks["update"]["verdict"] == ("WRONG" if mistake else "all right")
    assert ("not multiplied by eta" in checks["update"]["text"]) == mistake


def test_batch_normalization_without_gamma_and_beta_is_not_passed_over(inspected):
    text = (STRANGERS / "dd2424" / "step_finishes.py").read_text()
    text += "\n    def batch_normalize(self, s):\n        return (s - s.mean(axis=1)) / s.std(axis=1)\n"
    checks, _ = inspected("student.py", "dd2424", text, only="network with batch norm")
    assert checks["network with batch norm"]["verdict"] == "not run"
    assert "Net.batch_normalize" in checks["network with batch norm"]["text"]


@pytest.mark.thorough
def test_a_constructor_that_cannot_be_called_is_no_mistake(inspected):
    text = (STRANGERS / "dd2424" / "step_finishes.py").read_text().replace("trainX, trainY,", "trainX, secret, trainY,")
    text = text.replace("self.trainX, self.trainY =", "self.secret = secret + 1\n        self.trainX, self.trainY =", 1)
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "Net could not be made" in checks["network"]["text"]


def test_a_part_that_runs_with_one_layer_only_is_not_called_right(inspected):
    text = (STRANGERS / "dd2424" / "pairs.py").read_text()
    text = text.replace("    acts = [X]\n", "    acts = [X]\n    hidden_units = {1: 30}[len(layers)]\n")
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "hidden layers are not looked at" in checks["network"]["text"]


def test_gradients_that_cannot_be_called_are_not_passed_over(inspected):
    text = (STRANGERS / "dd2424" / "dictionaries.py").read_text()
    text = text.replace("BackwardPass(X, Y, fp_data,", "BackwardPass(X, Y, fp_data, mystery,")
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "not run"
    assert "only the cost could be compared" in checks["network"]["text"]
    assert "mystery" in checks["network"]["text"]


@pytest.mark.parametrize(
    "flag", ["not NetParams['plain']", pytest.param("NetParams['variant']", marks=pytest.mark.thorough)]
)
def test_a_setting_of_any_name_is_tried(inspected, flag):
    text = (STRANGERS / "dd2424" / "settings_in_parameters.py").read_text().replace("NetParams['use_bn']:", f"{flag}:")
    checks, _ = inspected("student.py", "dd2424", text, only="network with batch norm")
    assert checks["network with batch norm"]["verdict"] == "all right"


def test_arrays_that_are_no_gradients_are_not_passed_over(inspected):
    text = (STRANGERS / "dd2424" / "plain_tuple.py").read_text()
    text = text.replace("return gW1, gb1, gW2, gb2", "return np.zeros(29), np.ones(29)")
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] != "all right"


def test_a_weight_from_the_script_is_told_from_the_argument(inspected):
    text = (STRANGERS / "dd2424" / "loss_alone.py").read_text().replace("W[1].T @ g", "W2.T @ g")
    checks, _ = inspected("student.py", "dd2424", text, only="network")
    assert checks["network"]["verdict"] == "WRONG"
    assert "takes W2 from the script" in checks["network"]["first"]


@pytest.mark.thorough
def test_one_pass_over_the_images_is_one_epoch(inspected):
    text = (STRANGERS / "dd2424" / "layers_by_size.py").read_text()
    text = text.replace("for _ in range(int(2 * ns / (n / n_batch))):", "for _ in range(1):")
    checks, _ = inspected("student.py", "dd2424", text, only="minibatches Model.fit")
    assert checks["minibatches Model.fit"]["verdict"] == "all right"
