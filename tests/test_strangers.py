"""Whole files in other people's conventions: right ones come out all right, a mistake in one is found and named."""

from pathlib import Path

import numpy as np
import pytest

from manual_mlp.adapters import child

STRANGERS = Path(__file__).parent / "strangers"


@pytest.fixture
def inspected(tmp_path):
    """The checks of a program, by title, and what is said about the file; in this process."""

    def inspect(file, convention, text=None, functions=()):
        folder = STRANGERS / convention
        if text is not None:
            for name in ("layers.py",):
                if (folder / name).is_file():
                    (tmp_path / name).write_text((folder / name).read_text())
            folder = tmp_path
            (folder / file).write_text(text)
        settings = {"file": str(folder / file), "convention": convention, "functions": dict(functions)}
        with child.loaded(settings, lambda _: None) as program:
            *checks, last = child.outcomes(program, child.CONVENTIONS[convention])
        return {event["check"]["title"]: event["check"] for event in checks}, last

    return inspect


CORRECT = {
    "cs231n": {
        "layers.py": {"linear", "ReLU", "batch norm", "batch norm, simplified", "dropout", "softmax"},
        "layers_loops.py": {"linear", "ReLU", "batch norm", "dropout", "softmax", "linear and ReLU"},
        "fc_net.py": {
            "TwoLayerNet",
            "FullyConnectedNet",
            "FullyConnectedNet with batch norm",
            "FullyConnectedNet with dropout",
        },
        "fc_net_2016.py": {
            "FullyConnectedNet",
            "FullyConnectedNet with batch norm",
            "FullyConnectedNet with dropout",
        },
        "neural_net.py": {"TwoLayerNet"},
        "optim.py": {"sgd", "sgd_momentum", "rmsprop", "adam"},
    },
    "dd2424": {
        "one_layer.py": {"network"},
        "two_layers.py": {"network", "softmax", "schedule cyclical_eta"},
        "lists_with_cache.py": {"network with batch norm"},
        "network_class.py": {"network", "network with batch norm"},
        "dictionaries.py": {"network"},
        "layer_objects.py": {"network"},
        "script_globals.py": {"network"},
        "rows_and_classes.py": {"network"},
        "layer_dictionaries.py": {"network"},
        "one_image_at_a_time.py": {"network"},
        "numbered_from_zero.py": {"network", "network with batch norm"},
        "single_precision.py": {"network"},
    },
}


def test_every_stranger_is_expected():
    for convention, files in CORRECT.items():
        assert {path.name for path in (STRANGERS / convention).glob("*.py")} == set(files)


@pytest.mark.parametrize(
    ("convention", "file", "titles"),
    [(convention, file, titles) for convention, files in CORRECT.items() for file, titles in files.items()],
)
def test_a_correct_program_is_all_right(inspected, convention, file, titles):
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
    ("layers.py", "    dx /= N\n", "", "softmax", "dlogits", "not divided"),
    ("layers_loops.py", "dout *= cache.gamma", "pass", "batch norm", "dx", "gamma"),
    ("layers_loops.py", "dout *= out > 0", "pass", "ReLU", "dx", "not masked"),
    (
        "fc_net.py",
        "            grads['W%d' % i] += self.reg",
        "            0 * self.reg",
        "FullyConnectedNet",
        "linear2.weight",
        "in the cost but not",
    ),
    ("fc_net.py", "dh = dropout_backward(dh, cd)", "pass", "FullyConnectedNet with dropout", "b2", "own loss"),
    (
        "fc_net.py",
        "'train'} for i in range(self.num_layers - 1)]",
        "'train'}] * (self.num_layers - 1)",
        "FullyConnectedNet with batch norm",
        "",
        "same bn_param",
    ),
    ("neural_net.py", "dhidden[hidden == 0] = 0", "pass", "TwoLayerNet", "linear1.bias", "not masked"),
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
]


@pytest.mark.parametrize(
    ("file", "source", "instead", "title", "place", "said"), MISTAKES, ids=lambda value: str(value)[:40]
)
def test_a_mistake_is_found_and_named(inspected, file, source, instead, title, place, said):
    convention = next(convention for convention, files in CORRECT.items() if file in files)
    text = (STRANGERS / convention / file).read_text()
    assert text.count(source) >= 1
    checks, _ = inspected(file, convention, text.replace(source, instead))
    assert checks[title]["verdict"] in ("WRONG", "FAILED")
    assert place in checks[title]["first"]
    assert said in checks[title]["first"]


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


def test_what_svm_and_convolutions_do_is_left_alone(inspected):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    checks, _ = inspected("layers.py", "cs231n", text)
    assert not [title for title in checks if "svm" in title]
