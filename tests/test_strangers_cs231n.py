"""Stanford CS231n's files in more of the shapes that they come in: in old Python, half filled in, trained otherwise."""

from pathlib import Path

import pytest

STRANGERS = Path(__file__).parent / "strangers"


def test_methods_of_old_dictionaries_and_backticks_work_as_they_used_to(inspected):
    text = (STRANGERS / "cs231n" / "three_layer_net.py").read_text()
    text = text.replace("for k in p if k[0] == 'W'", "for k, _ in p.iteritems() if p.has_key(k) and k[0] == 'W'")
    text = text.replace("'b%d' % i] = ", "'b' + `i`] = ").replace(
        "        g = {}\n", "        g = {}\n        if y is 3: print y\n"
    )
    checks, last = inspected("student.py", "cs231n", text)
    assert checks["ThreeLayerNet"]["verdict"] == "all right"
    assert [fault.split(": ", 1)[1] for fault in last["faults"]] == [
        "`if y is 3: print y` is Python 2; write print(...)",
        "`g['b' + `i`] = d.sum(0)` is Python 2; write repr(...)",
        ".iteritems() is Python 2; write items()",
        ".has_key() is Python 2; write KEY in DICT",
    ]


def test_a_print_over_several_lines_is_left_out_whole(inspected):
    text = """def relu_forward(x):
  print 'of %d by %d' % (x.shape[0],
                         x.shape[1]), \\
    'values'
  return x * (x > 0), x
"""
    checks, last = inspected("layers.py", "cs231n", text)
    assert checks["ReLU"]["verdict"] == "all right"
    assert len(last["faults"]) == 1


def test_a_method_that_cannot_be_read_leaves_the_others(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text().replace("argmax(axis=1)", "argmax(axis=1")
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["TwoLayerNet"]["verdict"] == checks["TwoLayerNet.train"]["verdict"] == "all right"
    assert checks["TwoLayerNet.predict"]["verdict"] == "FAILED"
    assert "is not Python: '(' was never closed" in checks["TwoLayerNet.predict"]["text"]


HANDOUT = """import numpy as np
def batchnorm_forward(x, gamma, beta, bn_param):
    running_mean = bn_param.get('running_mean', np.zeros(x.shape[1]))
    running_var = bn_param.get('running_var', np.zeros(x.shape[1]))
    out, cache = None, None
    if bn_param['mode'] == 'train':
        pass
    bn_param['running_mean'], bn_param['running_var'] = running_mean, running_var
    return out, cache
def batchnorm_backward(dout, cache):
    dx, dgamma, dbeta = None, None, None
    return dx, dgamma, dbeta
def dropout_forward(x, dropout_param):
    mask, out = None, None
    out = out.astype(x.dtype, copy=False)
    return out, (dropout_param, mask)
def relu_forward(x):
    return np.maximum(x, 0), x
def relu_backward(dout, cache):
    dx, x = None, cache
    return dx
def affine_forward(x, w, b):
    out = x.reshape(len(x), -1) @ w + b
"""


def test_what_nobody_has_begun_is_not_called_wrong(inspected):
    checks, _ = inspected("layers.py", "cs231n", HANDOUT)
    verdicts = {title: check["verdict"] for title, check in checks.items()}
    assert verdicts.pop("linear") == "FAILED"
    assert "its return is missing" in checks["linear"]["text"]
    assert verdicts == {"batch norm": "not filled in", "dropout": "not filled in", "ReLU": "half done"}
    assert "agrees: relu forward: out" in checks["ReLU"]["text"]
    assert "relu_backward is not filled in yet" in checks["ReLU"]["first"]


def test_flags_that_a_network_does_not_heed_yet_are_not_called_wrong(inspected):
    text = (STRANGERS / "cs231n" / "three_layer_net.py").read_text()
    text = text.replace("std=1e-2, reg=0.0", "std=1e-2, reg=0.0, use_batchnorm=False, dropout=0")
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["ThreeLayerNet"]["verdict"] == "all right"
    assert checks["ThreeLayerNet with batch norm"]["verdict"] == "not filled in"
    assert checks["ThreeLayerNet with dropout"]["verdict"] == "not filled in"


def test_a_bias_that_is_a_number_is_said_and_the_rest_diagnosed(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text().replace("np.zeros(hidden_size)", "0")
    checks, _ = inspected("student.py", "cs231n", text)
    assert "initialization: b1: it is one number" in checks["TwoLayerNet"]["first"]
    assert "agrees: cost, b2" in checks["TwoLayerNet"]["text"]


@pytest.mark.parametrize("half", [True, False], ids=["0.5 reg", "reg"])
def test_the_convention_of_the_penalty_is_read_off_the_cost(inspected, half):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text().replace("dhidden[hidden == 0] = 0", "pass")
    text = text.replace("+ reg * (", "+ 0.5 * reg * (").replace("2 * reg", "reg") if half else text
    checks, _ = inspected("student.py", "cs231n", text)
    assert "agrees: cost" in checks["TwoLayerNet"]["text"]
    assert "b1: the gradient is not masked" in checks["TwoLayerNet"]["first"]


@pytest.mark.parametrize("half", [True, False], ids=["0.5 reg", "reg"])
def test_a_wrong_penalty_is_named_in_either_convention(inspected, half):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    text = text.replace("np.sum(W2 * W2))", "np.sum(W2 * W2) + np.sum(b1 * b1) + np.sum(b2 * b2))")
    text = text.replace("'b2': probs.sum(axis=0)", "'b2': probs.sum(axis=0) + 2 * reg * b2")
    text = text.replace("dhidden.sum(axis=0)", "dhidden.sum(axis=0) + 2 * reg * b1")
    text = text.replace("+ reg * (", "+ 0.5 * reg * (").replace("2 * reg", "reg") if half else text
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["TwoLayerNet"]["first"] == "cost: the biases are penalized, too"  # no word of gamma and beta


def test_training_with_momentum_is_no_mistake_and_another_rule_is_not_judged(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    step = "self.params[p] -= learning_rate * grads[p]"
    start = "        history = []\n"
    assert step in text
    assert start in text
    begun = text.replace(start, f"{start}        v = {{p: 0 for p in self.params}}\n")
    momentum = begun.replace(step, "v[p] = 0.9 * v[p] - learning_rate * grads[p]; self.params[p] += v[p]")
    checks, _ = inspected("student.py", "cs231n", momentum)
    assert checks["TwoLayerNet.train"]["verdict"] == "all right"
    assert "momentum, 0.9" in checks["TwoLayerNet.train"]["text"]
    adagrad = begun.replace(
        step, "v[p] += grads[p] ** 2; self.params[p] -= learning_rate * grads[p] / (v[p] ** 0.5 + 1)"
    )
    checks, _ = inspected("student.py", "cs231n", adagrad)
    assert checks["TwoLayerNet.train"]["verdict"] == "not run"


def test_a_batch_without_the_last_class_is_asked_for_too(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    text = text.replace("probs[range(N), y] -= 1\n", "probs -= np.eye(y.max() + 1)[y]\n")
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["TwoLayerNet"]["verdict"] == "WRONG"
    assert "in which the last class does not occur" in checks["TwoLayerNet"]["first"]


@pytest.mark.parametrize(
    ("default", "advanced", "verdict", "said"),
    [
        (0, "before", "all right", ""),
        (1, "after", "all right", ""),
        (1, "before", "all right", "as if one step had been made"),
        (0, "after", "WRONG", "before it is advanced"),
        (1, "never", "WRONG", "t is not advanced"),
    ],
)
def test_adam_may_count_from_0_or_from_1(inspected, default, advanced, verdict, said):
    text = (STRANGERS / "cs231n" / "optim.py").read_text()
    count, last = "    config['t'] += 1\n", "    return x - config['learning_rate'] * mb"
    assert text.count(count) == text.count(last) == 1
    text = text.replace(count, f"    config.setdefault('t', {default})\n{count if advanced == 'before' else ''}")
    if advanced == "after":
        text = text.replace(last, f"{count}{last}")
    checks, _ = inspected("student.py", "cs231n", text, only="adam")
    assert checks["adam"]["verdict"] == verdict
    assert said in checks["adam"]["text"]


def test_gradients_in_another_order_are_no_mistake_of_a_sandwich(inspected):
    text = (STRANGERS / "cs231n" / "layer_utils.py").read_text()
    text = text.replace("return dx, dw, db, dgamma, dbeta", "return dx, dgamma, dbeta, dw, db")
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["linear, batch norm and ReLU"]["verdict"] == "all right"


def test_what_is_not_looked_at_is_listed(inspected):
    _, last = inspected("layer_utils.py", "cs231n")
    assert last["aspects"] == ["conv_relu_forward"]


def test_classes_that_are_no_fully_connected_networks_are_not_accused(inspected):
    text = """class Softmax:
    def loss(self, X_batch, y_batch, reg):
        return 1.0, X_batch
class ThreeLayerConvNet:
    def __init__(self, input_dim=(3, 32, 32), num_filters=32, filter_size=7, hidden_dim=100):
        self.params = {}
    def loss(self, X, y=None):
        return 0.0, {}
def relu_forward(x):
    return x * (x > 0), x
"""
    checks, last = inspected("cnn.py", "cs231n", text)
    assert list(checks) == ["ReLU"]
    assert last["aspects"] == ["Softmax", "ThreeLayerConvNet"]


def test_a_network_that_drops_other_units_every_time_is_not_accused(inspected):
    text = (STRANGERS / "cs231n" / "fc_net.py").read_text()
    text += """
rng = np.random.default_rng()
def dropout_forward(x, p):
    mask = (rng.random(x.shape) < 0.6) / 0.6
    return x * mask, mask
def dropout_backward(d, mask):
    return d * mask
"""
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["FullyConnectedNet with dropout"]["verdict"] == "not run"
    assert "drops other units every time" in checks["FullyConnectedNet with dropout"]["text"]


def test_a_network_in_single_precision_is_not_accused(inspected):
    text = (STRANGERS / "cs231n" / "fc_net.py").read_text()
    step = "softmax_loss(scores, y)"
    assert text.count(step) == 2
    text = text.replace(step, "softmax_loss(scores.astype(np.float32), y)")
    checks, _ = inspected("student.py", "cs231n", text)
    assert {check["verdict"] for check in checks.values()} == {"all right"}


def test_a_range_whose_items_are_set_is_a_list_as_it_used_to_be(inspected):
    text = """def relu_forward(x):
    kept, one = range(2), 1
    kept[0], kept[one] = x * (x > 0), x
    return kept[0], kept[1]
"""
    checks, last = inspected("layers.py", "cs231n", text)
    assert checks["ReLU"]["verdict"] == "all right"
    assert last["faults"] == ["line 2: kept = range(...) makes no list in Python 3; write list(range(...))"]


def test_a_module_that_is_not_here_is_said_where_a_function_uses_it(inspected):
    text = """from mystery.places import sums, never_used
from mystery.layer_utils import *
from mystery.layers import *
import mystery.plots as plots
def affine_relu_forward(x, w, b):
    out, cache = affine_forward(x, w, b)
    plots.show(out)
    return relu_forward(out)[0], (cache, sums)
"""
    _, last = inspected("student.py", "cs231n", text)
    assert last["notes"] == [
        "line 1: mystery.places is not here; something that does nothing stood in for sums",
        "line 2: mystery.layer_utils is not here; right ones stood in for affine_forward, relu_forward",
        "line 4: mystery.plots is not here; something that does nothing stood in for plots",
    ]


def test_a_sandwich_that_is_not_here_is_stood_in_for(inspected):
    text = (STRANGERS / "cs231n" / "fc_net_2016.py").read_text()
    alone = text[: text.index("def affine_bn_relu_forward")] + text[text.index("class FullyConnectedNet") :]
    checks, _ = inspected("student.py", "cs231n", "from mystery.layer_utils import *\n" + alone)
    assert checks["FullyConnectedNet with batch norm"]["verdict"] == "all right"


def test_training_may_rely_on_the_shapes_of_its_own_gradients(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    assert text.count("sum(axis=0)") == 2
    text = text.replace("sum(axis=0)", "sum(axis=0, keepdims=True)").replace("grads[p]", "grads[p].reshape(-1)")
    text = text.replace("self.params[p] -=", "self.params[p].reshape(-1)[:] -=")
    text = text.replace("grads[p].reshape(-1)", "grads[p].reshape(grads[p].shape[0] * grads[p].shape[1])")
    checks, _ = inspected("student.py", "cs231n", text)
    assert {check["verdict"] for check in checks.values()} == {"all right"}
    assert "the gradients of b1, b2 have shape (1, D)" in checks["TwoLayerNet"]["text"]


def test_gradients_of_one_row_that_training_cannot_take_are_said(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text().replace("sum(axis=0)", "sum(axis=0, keepdims=True)")
    checks, _ = inspected("student.py", "cs231n", text)
    assert "b2: its shape is (1, 4)" in checks["TwoLayerNet"]["first"]
    assert checks["TwoLayerNet.train"]["verdict"] == "FAILED"


def test_a_learning_rate_that_decays_at_other_times_is_noted(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    epoch = "max(len(X) // batch_size, 1) == 0"
    assert text.count(epoch) == 1
    checks, _ = inspected("student.py", "cs231n", text.replace(epoch, "3 == 0"))
    assert checks["TwoLayerNet.train"]["verdict"] == "all right"
    assert "decays after updates 1, 4, 7, 10; an epoch has 4 here" in checks["TwoLayerNet.train"]["text"]


def test_an_empty_function_of_the_handout_is_not_listed(inspected):
    _, last = inspected("student.py", "cs231n", f"{HANDOUT}def layernorm_forward(x, gamma):\n    pass\n")
    assert last["aspects"] == []


def test_a_network_is_reported_in_its_own_names_and_layout(inspected):
    text = (STRANGERS / "cs231n" / "fc_net.py").read_text()
    text = text.replace("self.reg * np.sum(", "0 * np.sum(")
    checks, _ = inspected("student.py", "cs231n", text)
    said = checks["FullyConnectedNet with batch norm"]["text"]
    assert "should be  0.5 reg Σ W², gradient reg W, weights alone" in said
    assert "gamma1" in said
    assert not any(ours in said for ours in ("linear1", "bn1", "l2 W", "logits"))


@pytest.mark.parametrize(
    ("forward", "said", "verdict"),
    [
        ("h, cd = h, None", "not filled in", "not filled in"),
        ("_, cd = dropout_forward(", "nothing is dropped", "WRONG"),
    ],
    ids=["not begun", "not passed on"],
)
def test_dropout_that_drops_nothing_is_seen_beside_batch_normalization(inspected, forward, said, verdict):
    text = (STRANGERS / "cs231n" / "fc_net.py").read_text()
    call = "h, cd = dropout_forward("
    assert text.count(call) == 1
    if verdict == "not filled in":
        call = next(line.strip() for line in text.split("\n") if call in line)
        text = text.replace("dh = dropout_backward(dh, cd)", "pass")
    checks, _ = inspected("student.py", "cs231n", text.replace(call, forward))
    for title in ("FullyConnectedNet with dropout", "FullyConnectedNet with batch norm and dropout"):
        assert checks[title]["verdict"] == verdict
        assert said in checks[title]["first"]


FORGOTTEN = (
    "dh = dropout_backward(dh, cd)",
    "pass",
    "the gradient is not masked: it passes through dropped units, too",
)
TIMES_1_3 = (
    "dh = dropout_backward(dh, cd)",
    "dh = 1.3 * dropout_backward(dh, cd)",
    "it is not the derivative of the network's own loss with the same units dropped",
)
BACK = "dh, grads['{}%d' % i], grads['{}%d' % i] = batchnorm_backward"
EXCHANGED = (
    BACK.format("gamma", "beta"),
    BACK.format("beta", "gamma"),
    "the gradients of gamma and beta are exchanged",
)


@pytest.mark.parametrize(
    ("title", "mistake", "place"),
    [
        ("batch norm and dropout", FORGOTTEN, "beta2"),
        ("batch norm and dropout", EXCHANGED, "beta2"),
        ("dropout", TIMES_1_3, "b2"),
    ],
    ids=["forgotten", "of batch norm", "no known one"],
)
def test_a_wrong_gradient_of_a_network_with_dropout_is_named(inspected, title, mistake, place):
    """By the masks, which are seen while its own dropout draws them."""
    old, new, said = mistake
    text = (STRANGERS / "cs231n" / "fc_net.py").read_text()
    assert text.count(old) == 1
    title = f"FullyConnectedNet with {title}"
    checks, _ = inspected("student.py", "cs231n", text.replace(old, new), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert checks[title]["first"].startswith(f"gradient of {place}: ")
    assert checks[title]["first"].endswith(said)


def test_layers_beside_a_network_are_its_own_and_looked_at_first(inspected, tmp_path):
    """layer_utils.py imports fast layers, too, which are not here; what stands in for them must not hide its own."""
    folder = STRANGERS / "cs231n"
    layers = (folder / "layers.py").read_text()
    assert layers.count("db = dout.sum(axis=0)") == 1
    file = tmp_path / "fc_net.py"
    (tmp_path / "layer_utils.py").write_text((folder / "layer_utils.py").read_text())
    file.write_text((folder / "fc_net.py").read_text())
    (tmp_path / "layers.py").write_text(layers.replace("db = dout.sum(axis=0)", "db = dout.mean(axis=0)"))
    checks, last = inspected(file, "cs231n")
    assert "b2: the bias gradient is averaged" in checks["TwoLayerNet"]["first"]
    assert "TwoLayerNet uses layer_utils.py and layers.py beside it: look at these first" in last["notes"]


def test_a_schedule_of_its_own_is_noted(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    text = text.replace("learning_rate_decay=0.95, ", "").replace(
        "learning_rate *= learning_rate_decay", "learning_rate *= 0.9"
    )
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["TwoLayerNet.train"]["verdict"] == "all right"
    assert "the learning rate changes: it goes from 0.1 to 0.081" in checks["TwoLayerNet.train"]["text"]


def test_a_range_over_half_of_the_images_ends_as_it_did_in_python_2(inspected):
    text = """def relu_forward(x):
    out = x * 1.0
    for half in (0, 1):
        for row in xrange(half * (len(x) / 2), len(x) / 2 if half == 0 else len(x)):
            out[row] = x[row] * (x[row] > 0)
    return out, x
"""
    checks, last = inspected("layers.py", "cs231n", text)
    assert checks["ReLU"]["verdict"] == "all right"
    assert last["faults"] == [
        "line 4: this range ends at a float in Python 3; write // where / stands",
        "line 4: xrange is Python 2; write range",
    ]


def test_an_integer_that_a_division_was_meant_to_give_is_said(inspected):
    text = """def affine_forward(x, w, b):
    return x.reshape(len(x), x.size / len(x)).dot(w) + b, (x, w, b)
"""
    checks, _ = inspected("layers.py", "cs231n", text)
    assert checks["linear"]["verdict"] == "FAILED"
    assert "where / was meant to give an integer, as it did in Python 2, write //" in checks["linear"]["first"]


def test_layers_beside_a_network_may_be_python_2(inspected, tmp_path):
    folder = STRANGERS / "cs231n"
    layers = (folder / "layers.py").read_text().replace("from builtins import range\n", "")
    layers = layers.replace("    N = x.shape[0]\n    loss", "    N = sum(1 for _ in xrange(len(x)))\n    loss")
    assert "xrange" in layers
    (tmp_path / "layer_utils.py").write_text((folder / "layer_utils.py").read_text())
    (tmp_path / "fc_net.py").write_text((folder / "fc_net.py").read_text())
    (tmp_path / "layers.py").write_text(layers)
    checks, _ = inspected(tmp_path / "fc_net.py", "cs231n", only="TwoLayerNet")
    assert checks["TwoLayerNet"]["verdict"] == "all right"


@pytest.mark.parametrize(
    ("names", "verdict"),
    [(["config['learning_rate']", "'learning_rate'"], "all right"), (["config['learning_rate']"], "FAILED")],
    ids=["throughout", "not as its default is set"],
)
def test_a_setting_may_have_a_name_of_its_own(inspected, names, verdict):
    text = (STRANGERS / "cs231n" / "optim.py").read_text()
    for name in names:
        text = text.replace(name, name.replace("learning_rate", "lr"))
    checks, last = inspected("student.py", "cs231n", text)
    assert checks["sgd"]["verdict"] == checks["sgd_momentum"]["verdict"] == checks["rmsprop"]["verdict"] == verdict
    assert ("sgd asks config for lr; the handout's name is learning_rate" in last["notes"]) == (verdict == "all right")


@pytest.mark.parametrize(
    ("probability", "at_test_time", "verdict"),
    [
        ("p", "x * p", "all right"),
        ("p", "x / p", "WRONG"),
        ("p", "x * 0.9", "WRONG"),
        ("1 - p", "x * (1 - p)", "all right"),
    ],
)
def test_dropout_may_be_scaled_at_test_time_instead(inspected, probability, at_test_time, verdict):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    for old, new in [("< p) / p", f"< {probability})"), ("        out = x\n", f"        out = {at_test_time}\n")]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    checks, _ = inspected("student.py", "cs231n", text, only="dropout")
    assert checks["dropout"]["verdict"] == verdict
    assert ("note: plain dropout" in checks["dropout"]["text"]) == (verdict == "all right")


@pytest.mark.parametrize(("share", "verdict"), [("p", "all right"), ("(1 - p)", "WRONG")])
def test_a_network_s_plain_dropout_is_scaled_by_the_share_that_it_keeps(inspected, tmp_path, share, verdict):
    layers = (STRANGERS / "cs231n" / "layers.py").read_text()
    layers = layers.replace("< p) / p", "< p)").replace("        out = x\n", f"        out = x * {share}\n")
    for name in ("fc_net.py", "layer_utils.py"):
        (tmp_path / name).write_text((STRANGERS / "cs231n" / name).read_text())
    (tmp_path / "layers.py").write_text(layers)
    checks, _ = inspected(tmp_path / "fc_net.py", "cs231n", only="FullyConnectedNet with dropout")
    assert checks["FullyConnectedNet with dropout"]["verdict"] == verdict


SVM = """import numpy as np
def svm_loss(x, y):
    rows, N = np.arange(len(x)), len(x)
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    loss = margins.sum() / N
    dx = 1.0 * (margins > 0)
    dx[rows, y] = -dx.sum(axis=1)
    return loss, dx / N
"""
UNDEFINED = """
import numpy as np
from layer_utils import affine_bn_relu_forward
class TwoLayerNet:
    def __init__(self, input_dim=6, hidden_dim=7, num_classes=4, weight_scale=1e-3, reg=0.0):
        self.reg, sizes = reg, (input_dim, hidden_dim, num_classes)
        self.params = {}
        for layer in (1, 2):
            self.params['W%d' % layer] = weight_scale * np.random.randn(sizes[layer - 1], sizes[layer])
            self.params['b%d' % layer] = np.zeros(sizes[layer])
    def loss(self, X, y=None):
        hidden, cache = MISSING(X, self.params['W1'], self.params['b1'])
        return hidden
"""


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("affine_relu_forward", "affine_relu_forward is not defined; layer_utils.py has it: import it from there"),
        ("x", "x is not defined; X is"),
        ("made_below", "made_below is not defined; only the script part of the file, which is not run, may make it"),
        ("nowhere", "nowhere is not defined"),
    ],
)
def test_what_an_undefined_name_was_meant_for_is_said(inspected, tmp_path, missing, said):
    (tmp_path / "layer_utils.py").write_text((STRANGERS / "cs231n" / "layer_utils.py").read_text())
    text = UNDEFINED.replace("MISSING", missing) + "if __name__ == '__main__':\n    made_below = print()\n"
    checks, _ = inspected("fc_net.py", "cs231n", text)
    assert checks["TwoLayerNet"]["first"].endswith(said)


NO_GRADIENT, MINUS_1 = "    dx[rows, y] = -dx.sum(axis=1)\n", "    dx[rows, y] = -1\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("    margins[rows, y] = 0\n    loss", "    loss", "svm loss: the right class's own margin of 1 is counted"),
        ("margins.sum() / N", "margins.sum()", "svm loss: it is summed over the images"),
        ("[:, None] + 1", "[:, None]", "svm loss: the margin of 1 is missing"),
        ("dx / N", "dx", "svm dx: it is not divided by the batch size"),
        (NO_GRADIENT, "", "svm dx: the right class gets no gradient"),
        (NO_GRADIENT, MINUS_1, "svm dx: the right class gets -1"),
        ("loss, dx / N", "loss, x.T.dot(dx) / N", "svm dx: it is that of a linear classifier's weights"),
        ("loss, dx / N", "loss, dx / N * 3", "svm dx: wrong, and none of the known mistakes explains the numbers"),
        ("loss, dx / N", "loss, dx[0] / N", "svm dx: svm_loss returns svm dx with shape (4,)"),
    ],
)
def test_the_svm_loss_is_looked_at(inspected, old, new, said):
    assert old in SVM
    checks, last = inspected("layers.py", "cs231n", SVM.replace(old, new) if old else SVM, only="svm")
    assert checks["svm"]["verdict"] == ("WRONG" if said else "all right")
    assert checks["svm"]["first"].startswith(said)
    assert last["aspects"] == []


LAYER_NORM = """import numpy as np
def layernorm_forward(x, gamma, beta, ln_param):
    mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    std = np.sqrt(var + ln_param.get('eps', 1e-5))
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, gamma, std, x)
def layernorm_backward(dout, cache):
    x_hat, gamma, std, x = cache
    dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    g = dout * gamma
    D = g.shape[1]
    dx = (g - g.mean(axis=1, keepdims=True) - x_hat * (g * x_hat).mean(axis=1, keepdims=True)) / std
    return dx, dgamma, dbeta
"""


@pytest.mark.parametrize(
    ("old", "new", "verdict", "said"),
    [
        ("", "", "all right", ""),
        ("axis=1", "axis=0", "WRONG", "layer norm forward: out: it is normalized over the images"),
        ("g = dout * gamma", "g = dout", "WRONG", "layer norm backward: dx: gamma is missing"),
        ("(dout * x_hat)", "(dout * x)", "WRONG", "layer norm backward: dgamma: it is taken with the input x"),
        ("dout.sum(axis=0)", "-dout.sum(axis=0)", "WRONG", "layer norm backward: dbeta: wrong, and none of the known"),
        ("x_hat, gamma, std, x = cache", "x_hat, gamma, std = cache", "WRONG", "layer norm backward: "),
        (LAYER_NORM[LAYER_NORM.index("    x_hat, gamma, std, x") :], "    dx = None\n    return dx\n", "half done", ""),
    ],
    ids=["right", "over the batch", "no gamma", "x", "sign", "raises", "half done"],
)
def test_layer_normalization_alone_is_looked_at(inspected, old, new, verdict, said):
    assert old in LAYER_NORM
    text = LAYER_NORM.replace(old, new) if old else LAYER_NORM
    checks, last = inspected("layers.py", "cs231n", text, only="layer norm")
    assert checks["layer norm"]["verdict"] == verdict
    assert checks["layer norm"]["first"].startswith(said)
    assert last["aspects"] == []


def test_a_layer_norm_that_nobody_has_begun_is_not_called_wrong(inspected):
    text = "def layernorm_forward(x, gamma, beta, ln_param):\n    out, cache = None, None\n    return out, cache\n"
    text += "def layernorm_backward(dout, cache):\n    dx = dgamma = dbeta = None\n    return dx, dgamma, dbeta\n"
    checks, _ = inspected("layers.py", "cs231n", text)
    assert {title: check["verdict"] for title, check in checks.items()} == {"layer norm": "not filled in"}


@pytest.mark.parametrize(
    ("file", "title", "old", "new"),
    [
        ("neural_net.py", "TwoLayerNet", "np.log(probs[range(N), y])", "np.log(probs[range(N), y] + {})"),
        ("layers.py", "softmax", "log_probs[np.arange(N), y])", "np.log(probs[np.arange(N), y] + {}))"),
        ("softmax.py", "softmax_loss_vectorized", None, None),
    ],
    ids=["network", "layer", "classifier"],
)
@pytest.mark.parametrize(("number", "verdict"), [("1e-9", "all right"), ("1e-3", "WRONG")])
def test_a_small_number_inside_the_logarithm_is_a_remark(inspected, file, title, old, new, number, verdict):
    text = (STRANGERS / "cs231n" / file).read_text()
    if old is None:
        old, new = "np.log(", f"np.log({number} + "
    assert old in text
    checks, _ = inspected("student.py", "cs231n", text.replace(old, new.format(number)), only=title)
    assert checks[title]["verdict"] == verdict
    assert "a small number is added inside the logarithm" in checks[title]["text"]


@pytest.mark.parametrize(
    ("drawn", "verdict"),
    [
        ("np.random.randn({0}, {1}) * np.sqrt(2 / {0})", "all right"),
        ("np.random.randn({0}, {1}) / np.sqrt({0})", "all right"),
        ("std * np.random.randn({0}, {1}) * np.sqrt(2 / {0})", "all right"),
        ("np.random.randn({0}, {1}) * np.sqrt(2) / {0}", "WRONG"),
    ],
    ids=["He", "Xavier", "both", "no root"],
)
def test_weights_may_start_by_their_width(inspected, drawn, verdict):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    for sizes in (("input_size", "hidden_size"), ("hidden_size", "output_size")):
        old = "std * np.random.randn({}, {})".format(*sizes)
        assert text.count(old) == 1
        text = text.replace(old, drawn.format(*sizes))
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet")
    assert checks["TwoLayerNet"]["verdict"] == verdict
    assert ("W1, W2 start as He or Xavier have it" in checks["TwoLayerNet"]["text"]) == (verdict == "all right")


def test_a_gradient_may_be_called_after_what_it_belongs_to(inspected):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    answer = "    return dx, dw, db\n"
    assert text.count(answer) == 1
    checks, _ = inspected("layers.py", "cs231n", text.replace(answer, "    return {'x': dx, 'w': dw, 'b': db}\n"))
    assert checks["linear"]["verdict"] == "all right"


def test_nothing_is_noted_of_running_averages_that_could_not_be_asked_for(inspected):
    text = "def batchnorm_forward(x, gamma, beta, bn_param):\n    return missing, None\n"
    checks, _ = inspected("layers.py", "cs231n", text)
    assert checks["batch norm"]["verdict"] == "FAILED"
    assert "note:" not in checks["batch norm"]["text"]


@pytest.mark.parametrize(
    ("wrong", "title"),
    [
        ("db = dout.sum(axis=0)", "linear and ReLU"),
        ("dx = dout.dot(w.T).reshape(x.shape)", "linear, batch norm and ReLU"),
        ("dgamma = (dout * xhat).sum(0)", "linear, batch norm and ReLU"),
    ],
)
def test_a_sandwich_is_not_accused_of_what_is_wrong_with_its_layers(inspected, tmp_path, wrong, title):
    layers = (STRANGERS / "cs231n" / "layers.py").read_text()
    assert wrong in layers
    (tmp_path / "layers.py").write_text(layers.replace(wrong, f"{wrong} * 3"))
    (tmp_path / "layer_utils.py").write_text((STRANGERS / "cs231n" / "layer_utils.py").read_text())
    checks, _ = inspected(tmp_path / "layer_utils.py", "cs231n", only=title)
    assert checks[title]["verdict"] == "all right"
    assert "these are not right: look at them first" in checks[title]["text"]


def test_an_update_rule_may_write_into_the_weights(inspected):
    text = (STRANGERS / "cs231n" / "optim.py").read_text()
    assert "w -= config['learning_rate'] * dw" in text
    checks, last = inspected("student.py", "cs231n", text, only="sgd")
    assert checks["sgd"]["verdict"] == "all right"
    assert not last["notes"]


def test_a_line_of_the_script_that_is_not_python_costs_no_function(inspected):
    text = """def relu_forward(x):
    return x * (x > 0), x

y = 3 +* 4
def relu_backward(dout, cache):
    return dout * (cache > 0)
"""
    checks, _ = inspected("layers.py", "cs231n", text)
    assert checks["ReLU"]["verdict"] == "all right"


def test_a_function_of_comments_alone_is_not_begun_and_costs_no_other(inspected):
    text = """def affine_forward(x,
                   w, b):
    # TODO: the forward pass
def relu_forward(x):
    return x * (x > 0), x
def relu_backward(dout, cache):
    # TODO
"""
    checks, last = inspected("layers.py", "cs231n", text)
    assert {title: check["verdict"] for title, check in checks.items()} == {
        "linear": "not filled in",
        "ReLU": "half done",
    }
    assert "agrees: relu forward: out" in checks["ReLU"]["text"]
    assert not last["notes"]


def test_biases_of_one_row_may_have_gradients_of_one_row(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    text = text.replace("np.zeros(hidden_size)", "np.zeros((1, hidden_size))")
    text = text.replace("np.zeros(output_size)", "np.zeros((1, output_size))")
    text = text.replace("sum(axis=0)", "sum(axis=0, keepdims=True)")
    checks, _ = inspected("student.py", "cs231n", text)
    assert {check["verdict"] for check in checks.values()} == {"all right"}


def test_a_constructor_that_fixes_its_own_scale_is_not_accused(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    assert text.count("std * ") == 2
    text = text.replace(", std=1e-4", "").replace("std * ", "0.01 * ")
    checks, _ = inspected("student.py", "cs231n", text)
    assert checks["TwoLayerNet"]["verdict"] == "all right"
    checks, _ = inspected("student.py", "cs231n", text.replace("np.zeros(hidden_size)", "np.ones(hidden_size)"))
    assert "b1: it must start at 0" in checks["TwoLayerNet"]["first"]


@pytest.mark.parametrize("mask", ["hidden > 0", "True"], ids=["right", "not masked"])
def test_a_network_may_be_a_function_of_images_and_model(inspected, mask):
    text = f"""import numpy as np
def init_two_layer_model(input_size, hidden_size, output_size):
    draw = np.random.randn
    model = {{'W1': 1e-4 * draw(input_size, hidden_size), 'W2': 1e-4 * draw(hidden_size, output_size)}}
    return model | {{'b1': np.zeros(hidden_size), 'b2': np.zeros(output_size)}}
def two_layer_net(X, model, y=None, reg=0.0):
    hidden = np.maximum(X @ model['W1'] + model['b1'], 0)
    scores = hidden @ model['W2'] + model['b2']
    if y is None:
        return scores
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean() + 0.5 * reg * sum((model[k] ** 2).sum() for k in ('W1', 'W2'))
    p[np.arange(len(y)), y] -= 1
    d = p / len(y) @ model['W2'].T * ({mask})
    grads = {{'W2': hidden.T @ p / len(y) + reg * model['W2'], 'b2': p.mean(axis=0)}}
    return loss, grads | {{'W1': X.T @ d + reg * model['W1'], 'b1': d.sum(axis=0)}}
"""
    checks, last = inspected("student.py", "cs231n", text)
    assert list(checks) == ["two_layer_net"]
    assert last["aspects"] == []
    if mask == "True":
        assert "b1: the gradient is not masked" in checks["two_layer_net"]["first"]
    else:
        assert checks["two_layer_net"]["verdict"] == "all right"


NO_GRADIENTS = [
    ("grads = {'W2': hidden.T.dot(probs) + 2 * reg * W2, 'b2': probs.sum(axis=0)}", "grads = {}"),
    ("grads['W1'] = X.T.dot(dhidden) + 2 * reg * W1", "pass"),
    ("grads['b1'] = dhidden.sum(axis=0)", "pass"),
]


LOSS_ALONE = {
    # what stands there instead, title of the check, verdict, what is said first
    "svm": ("layers.py", ("return loss, dx / N", "return loss, None"), "svm", "half done", "svm dx: it is None"),
    "softmax": ("layers.py", ("return loss, dx\n", "return loss, None\n"), "softmax", "half done", "softmax"),
    "naive": (
        "softmax.py",
        ("    dW = dW / len(X) + 2 * reg * W", "    dW = np.zeros_like(W)"),
        "softmax_loss_naive",
        "half done",
        "dW: it is 0: it is not computed yet",
    ),
    "wrong, too": (
        "softmax.py",
        ("    loss = loss / len(X)", "    dW = np.zeros_like(W)\n    return loss, dW\n    loss = loss / len(X)"),
        "softmax_loss_naive",
        "WRONG",
        "cost: ",
    ),
}


@pytest.mark.parametrize("what", LOSS_ALONE)
def test_a_loss_without_its_gradient_is_judged_as_far_as_it_goes(inspected, what):
    file, (old, new), title, verdict, said = LOSS_ALONE[what]
    text = SVM if title == "svm" else (STRANGERS / "cs231n" / file).read_text()
    assert old in text
    checks, _ = inspected("student.py", "cs231n", text.replace(old, new), only=title)
    assert checks[title]["verdict"] == verdict
    assert checks[title]["first"].startswith(said)


def test_a_loss_without_its_gradient_may_have_a_remark(inspected):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    for old, new in {"x - np.max(x, axis=1, keepdims=True)": "x", "return loss, dx\n": "return loss, None\n"}.items():
        assert old in text
        text = text.replace(old, new)
    checks, _ = inspected("student.py", "cs231n", text, only="softmax")
    assert checks["softmax"]["verdict"] == "half done"
    assert "note: right at usual inputs, but" in checks["softmax"]["text"]


@pytest.mark.parametrize(
    ("exchange", "verdict", "said"),
    [
        (("", ""), "half done", "gradients: they are not begun yet"),
        (("loss = -np.log", "loss = np.log"), "WRONG", "cost: "),
        (("+ reg * (np.sum(W1 * W1) + np.sum(W2 * W2))", ""), "WRONG", "the penalty is missing"),
        (("return loss, grads", "return 0, grads"), "half done", "the loss and its gradients are not begun"),
        (("np.maximum(X.dot(W1) + b1, 0)", "X.dot(W1) + b1"), "WRONG", "ReLU is skipped"),
        (("            return scores", "            return None"), "not filled in", "no gradients"),
    ],
    ids=["right", "wrong sign", "no penalty", "scores alone", "no ReLU", "nothing"],
)
def test_a_network_without_gradients_is_judged_as_far_as_it_goes(inspected, exchange, verdict, said):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text()
    for old, new in [*NO_GRADIENTS, exchange]:
        assert old in text
        text = text.replace(old, new) if old else text
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet")
    assert checks["TwoLayerNet"]["verdict"] == verdict
    assert said in checks["TwoLayerNet"]["first"]
    assert ("agrees: cost, scores" in checks["TwoLayerNet"]["text"]) == (exchange == ("", ""))


def test_scores_of_a_network_whose_loss_fails_are_looked_at(inspected):
    text = (STRANGERS / "cs231n" / "neural_net.py").read_text().replace("probs /= N", "probs /= M")
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet")
    assert checks["TwoLayerNet"]["verdict"] == "WRONG"
    assert "agrees: scores at test time" in checks["TwoLayerNet"]["text"]
    assert "M is not defined" in checks["TwoLayerNet"]["first"]


MOMENTUM = ("next_w = w + v", "next_w = None")
RMSPROP = (
    "return x - config['learning_rate'] * dx / (np.sqrt(config['cache']) + config['epsilon'])",
    "next_w = None; return next_w",
)
ADAM = ("return x - config['learning_rate'] * mb / (np.sqrt(vb) + config['epsilon'])", "next_w = None; return next_w")
NEW_SQUARE = "config['v'] = config['beta2'] * config['v'] + (1 - config['beta2']) * dx ** 2"


@pytest.mark.parametrize(
    ("rule", "exchanges", "verdict", "said"),
    [
        ("sgd_momentum", [MOMENTUM], "half done", "next_w: it is None"),
        (
            "sgd_momentum",
            [MOMENTUM, ("v - config['learning_rate'] * dw", "v + config['learning_rate'] * dw")],
            "half done",
            "next_w",
        ),
        ("sgd_momentum", [MOMENTUM, ("config['momentum'] * v -", "v -")], "WRONG", "update 1: "),
        ("rmsprop", [RMSPROP], "half done", "next_w: it is None"),
        ("rmsprop", [RMSPROP, ("dx ** 2", "dx")], "WRONG", "update 1: "),
        ("adam", [ADAM], "half done", "next_w: it is None"),
        (
            "adam",
            [ADAM, (NEW_SQUARE, NEW_SQUARE.replace("dx ** 2", "config['m'] ** 2"))],
            "WRONG",
            "v averages the square of m",
        ),
        ("adam", [ADAM, (NEW_SQUARE, "pass")], "half done", "adam: v, next_w: they are not computed yet"),
    ],
    ids=["momentum", "other sign", "no mu", "rmsprop", "no square", "adam", "square of m", "m alone"],
)
def test_a_rule_that_computes_its_state_alone_is_judged_by_it(inspected, rule, exchanges, verdict, said):
    text = (STRANGERS / "cs231n" / "optim.py").read_text()
    for old, new in exchanges:
        assert old in text
        text = text.replace(old, new)
    checks, _ = inspected("student.py", "cs231n", text, only=rule)
    assert checks[rule]["verdict"] == verdict
    assert said in checks[rule]["first"]
    assert "next_w" in checks[rule]["text"]


BACKWARD = "dx = gamma / np.sqrt(var + eps) / N * (N * dout - dbeta - xhat * dgamma)"


@pytest.mark.parametrize(
    ("old", "new", "title", "agrees", "missing"),
    [
        ("dw = x.reshape(x.shape[0], -1).T.dot(dout)", "pass", "linear", "linear backward: dx", "dW: it is None"),
        (BACKWARD, "dx = None", "batch norm, simplified", "backward: dgamma", "dx: it is None"),
        (
            "out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta",
            "pass",
            "batch norm",
            "running_mean",
            "leaves out at None in test mode",
        ),
    ],
    ids=["dw", "alt", "test mode"],
)
def test_a_function_that_is_half_done_is_judged_as_far_as_it_goes(inspected, old, new, title, agrees, missing):
    text = (STRANGERS / "cs231n" / "layers.py").read_text()
    assert text.count(old) == 1
    checks, _ = inspected("student.py", "cs231n", text.replace(old, new), only=title)
    assert checks[title]["verdict"] == "half done"
    assert agrees in checks[title]["text"]
    assert missing in checks[title]["first"]
