"""CS231n's networks in more of the shapes that they come in, and mistakes that only a whole network has."""

from pathlib import Path

import pytest

STRANGERS = Path(__file__).parent / "strangers" / "cs231n"


def program(file, *exchanges):
    """The text of a stranger's file, with other lines in it."""
    text = (STRANGERS / file).read_text()
    for old, new in exchanges:
        assert old in text, old
        text = text.replace(old, new)
    return text


def verdicts(checks):
    return {check["verdict"] for check in checks.values()}


def test_the_loss_may_be_taken_before_the_scores_are_returned(inspected):
    """Without labels, too: the course's softmax_loss runs through, and so does what stands in for it."""
    ask, two, deep = "softmax_loss(scores, y)\n", "if y is None", "if mode == 'test'"
    text = program(
        "fc_net.py",
        ("from ..layers", "from mystery.fast_layers"),
        (f"        loss, dscores = {ask}", ""),
        (f"        loss, dh = {ask}", ""),
        (f"{two}:\n            return scores\n", f"loss, dscores = {ask}        {two}:\n            return scores\n"),
        (f"{deep}:\n            return scores\n", f"loss, dh = {ask}        {deep}:\n            return scores\n"),
        ("        loss, grads = 0, {}\n", "        grads = {}\n"),
    )
    checks, _ = inspected("student.py", "cs231n", text)
    assert len(checks) == 5
    assert verdicts(checks) == {"all right"}


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ("batch_size", "40 images only 10 are ever seen, the first ones"),
        ("len(X) - 1", "only 39 are ever seen, all but number 40"),
    ],
)
def test_images_that_are_never_drawn_are_missed(inspected, drawn, said):
    text = program("neural_net.py", ("np.random.choice(len(X), batch_size)", f"np.random.choice({drawn}, batch_size)"))
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet.train")
    assert said in checks["TwoLayerNet.train"]["first"]


def test_a_class_that_is_predicted_without_the_relu_is_named(inspected):
    linear = "(X.dot(self.params['W1']) + self.params['b1']).dot(self.params['W2']) + self.params['b2']"
    text = program("neural_net.py", ("self.loss(X).argmax", f"({linear}).argmax"))
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet.predict")
    assert "the ReLU is left out" in checks["TwoLayerNet.predict"]["first"]


def test_a_gradient_that_is_taken_before_the_mask_is_named(inspected):
    text = program(
        "neural_net.py",
        ("dhidden[hidden == 0] = 0", "unmasked = dhidden.copy(); dhidden[hidden == 0] = 0"),
        ("X.T.dot(dhidden)", "X.T.dot(unmasked)"),
    )
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet")
    assert "W1: the gradient of weight or bias is taken before the ReLU" in checks["TwoLayerNet"]["first"]


@pytest.mark.parametrize("title", ["FullyConnectedNet with dropout", "FullyConnectedNet with batch norm and dropout"])
def test_dropout_on_the_images_is_named(inspected, title):
    dropped = "        h = X\n        if self.use_dropout:\n            h, _ = dropout_forward(h, self.dropout_param)\n"
    checks, _ = inspected("student.py", "cs231n", program("fc_net.py", ("        h = X\n", dropped)), only=title)
    assert "dropout stands in front of the first layer" in checks[title]["first"]


def test_parameters_that_are_rows_are_noted(inspected):
    title = "FullyConnectedNet with batch norm"
    ones = "np.ones(dims[i + 1])"
    text = program("fc_net.py", (ones, ones.replace("(dims[i + 1])", "((1, dims[i + 1]))")))
    checks, last = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == "all right"
    assert any("makes gamma1, for one, with shape (1, D)" in note for note in last["notes"])


@pytest.mark.parametrize(("start", "verdict"), [("zeros", "not filled in"), ("ones", "WRONG")])
def test_initialization_is_judged_where_the_loss_is_not_filled_in(inspected, start, verdict):
    title = "FullyConnectedNet with batch norm"
    text = program(
        "fc_net.py",
        (
            "            if self.normalization == 'batchnorm':\n                h, cb",
            "            if False:\n                h, cb",
        ),
        ("beta%d' % (i + 1)] = np.zeros", f"beta%d' % (i + 1)] = np.{start}"),
    )
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == verdict
    assert "is not filled in yet: the loss uses no gamma" in checks[title]["text"]
    assert ("initialization: beta1: it must start at 0" in checks[title]["first"]) == (verdict == "WRONG")


def test_names_may_be_written_in_small_letters(inspected):
    names = [("W1", "w1"), ("W2", "w2"), ("TwoLayerNet", "twolayernet"), ("X", "x")]
    text = program("neural_net.py", *names)
    checks, _ = inspected("student.py", "cs231n", text)
    assert list(checks) == ["twolayernet", "twolayernet.train", "twolayernet.predict"]
    assert verdicts(checks) == {"all right"}
    checks, _ = inspected("student.py", "cs231n", text.replace("randn", "rand"), only="twolayernet")
    assert "initialization: w1" in checks["twolayernet"]["first"]
    assert "drawn by rand" in checks["twolayernet"]["first"]


REQUIRED = (
    "hidden_dims, input_dim=3 * 32 * 32, num_classes=10, dropout=0, use_batchnorm=False, reg=0.0,\n"
    "                 weight_scale=1e-2,",
    "hidden_dims, input_dim, num_classes, weight_scale, reg, dropout, use_batchnorm=False,",
)
NAMES = [REQUIRED, ("hidden_dims", "hidden_dim"), ("bn_params", "bn_configs")]
ADDED = ("np.hstack((input_dim, hidden_dim, num_classes))", "[input_dim] + hidden_dim + [num_classes]")
COUNTED = ("1 + len(hidden_dim)", "len([input_dim] + hidden_dim)")


@pytest.mark.parametrize("exchanges", [NAMES, [*NAMES, ADDED, COUNTED]], ids=["counted", "added to a list"])
def test_a_constructor_may_ask_for_more_and_call_it_otherwise(inspected, exchanges):
    checks, _ = inspected("student.py", "cs231n", program("fc_net_2016.py", *exchanges))
    assert len(checks) == 5
    assert verdicts(checks) == {"all right"}


def test_a_keep_ratio_without_default_is_1_where_nothing_is_to_be_dropped(inspected):
    text = program(
        "fc_net.py",
        ("dropout_keep_ratio=1, ", ""),
        ("hidden_dims, input_dim=3*32*32", "hidden_dims, dropout_keep_ratio, input_dim=3*32*32"),
    )
    checks, _ = inspected("student.py", "cs231n", text)
    assert verdicts(checks) == {"all right"}


def test_gradients_of_gamma_and_beta_that_are_not_kept_are_missed(inspected):
    back = "dout, dw, db, grads['gamma' + str(i)], grads['beta' + str(i)] ="
    text = program("fc_net_2016.py", *NAMES, (back, "dout, dw, db, _, _ ="))
    title = "FullyConnectedNet with batch norm"
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["first"] == "beta2: its gradient is missing"
    assert "agrees: cost" in checks[title]["text"]


def test_a_sandwich_with_another_name_is_stood_in_for(inspected):
    text = program("fc_net_2016.py", ("affine_bn_relu", "affine_batchnorm_relu"))
    alone = text[: text.index("def affine_batchnorm_relu_forward")] + text[text.index("class FullyConnectedNet") :]
    checks, _ = inspected("student.py", "cs231n", "from mystery.layer_utils import *\n" + alone)
    assert checks["FullyConnectedNet with batch norm"]["verdict"] == "all right"


def test_gamma_and_beta_that_are_kept_beside_the_parameters_are_named(inspected):
    text = program(
        "fc_net.py",
        ("self.params = {}\n        dims", "self.params, self.normal = {}, {}\n        dims"),
        ("self.params['gamma%d'", "self.normal['gamma%d'"),
        ("self.params['beta%d'", "self.normal['beta%d'"),
    )
    title = "FullyConnectedNet with batch norm"
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == "FAILED"
    assert "keeps gamma1 in .normal instead of in .params" in checks[title]["text"]


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        ("(np.maximum(X.dot(self.params['W1']), 0).dot(self.params['W2']).argmax(axis=1))", "the biases are left out"),
        ("self.loss(X).max(axis=1)", "it is the highest score itself"),
    ],
    ids=["biases", "score"],
)
def test_what_is_predicted_instead_is_named(inspected, predicted, said):
    text = program("neural_net.py", ("self.loss(X).argmax(axis=1)", predicted))
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet.predict")
    assert said in checks["TwoLayerNet.predict"]["first"]


def test_predict_is_not_accused_of_what_is_wrong_with_the_loss(inspected):
    checks, _ = inspected("student.py", "cs231n", program("neural_net.py", ("X.dot(W1) + b1", "X.dot(W1)")))
    assert "cost: the bias is not added" in checks["TwoLayerNet"]["first"]
    assert checks["TwoLayerNet.predict"]["verdict"] == "all right"


def test_of_two_conventions_of_the_penalty_the_one_that_leaves_fewer_mistakes_is_meant(inspected):
    text = program("neural_net.py", ("(np.sum(W1 * W1) + np.sum(W2 * W2))", "np.sum(W1 * W1)"))
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet")
    assert checks["TwoLayerNet"]["first"] == "cost: the penalty is in the gradient but not in the cost"
    assert "layer 2 alone" in checks["TwoLayerNet"]["text"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [("0.5 * self.reg * (", "self.reg * (")],
            "cost: the penalty in the cost is twice what its gradient belongs to",
        ),
        ([("0.5 * self.reg * (", "self.reg * ("), ("+= self.reg * W", "+= 2 * self.reg * W")], ""),
    ],
    ids=["in the cost", "in both"],
)
def test_a_network_whose_handout_has_a_half_is_missed_it_where_the_gradient_has_it(inspected, lines, said):
    checks, last = inspected("student.py", "cs231n", program("fc_net.py", *lines), only="TwoLayerNet")
    assert checks["TwoLayerNet"]["first"].startswith(said)
    assert (checks["TwoLayerNet"]["verdict"] == "all right") == (said == "")
    assert any("the penalty is reg sum(W^2)" in note for note in last["notes"]) == (said == "")


BUILT = "        self.reg = reg\n        self.num_layers"


@pytest.mark.parametrize(
    "refusal",
    [
        "assert not (self.use_dropout and normalization)",
        "if self.use_dropout and normalization: raise ValueError('no')",
    ],
    ids=["assert", "raise"],
)
def test_a_network_may_refuse_batch_norm_with_dropout(inspected, refusal):
    text = program("fc_net.py", (BUILT, f"        {refusal}\n{BUILT}"))
    checks, _ = inspected("student.py", "cs231n", text)
    refused = checks.pop("FullyConnectedNet with batch norm and dropout")
    assert refused["verdict"] == "not run"
    assert "is not offered" in refused["text"]
    assert verdicts(checks) == {"all right"}


def test_what_a_layer_refuses_is_the_networks_mistake(inspected):
    """The handout's batchnorm_forward raises an error for a mode that nobody has set."""
    text = program("fc_net.py", ("bn_param['mode'] = mode", "bn_param['mode'] = None"))
    title = "FullyConnectedNet with batch norm and dropout"
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == "FAILED"


COUNTED_FROM_0 = [
    ("'W%d' % (i + 1)", "'W%d' % (i)"),
    ("'b%d' % (i + 1)", "'b%d' % (i)"),
    *((f"'{kind}%d' % {layer}]", f"'{kind}%d' % ({layer} - 1)]") for kind in "Wb" for layer in "iL"),
]


def test_layers_may_be_counted_from_0(inspected):
    text = program("fc_net.py", *COUNTED_FROM_0)
    checks, last = inspected("student.py", "cs231n", text)
    assert verdicts(checks) == {"all right"}
    assert any("FullyConnectedNet counts its layers from 0" in note for note in last["notes"])
    one_missing = text.replace("grads['b%d' % (i - 1)] =", "grads['b%d' % (max(i, 2) - 1)] =")
    checks, _ = inspected("student.py", "cs231n", one_missing, only="FullyConnectedNet")
    assert "b1: its gradient is missing" in checks["FullyConnectedNet"]["text"]


PLAIN_DROPOUT = """
def dropout_forward(x, dropout_param):
    if 'seed' in dropout_param:
        np.random.seed(dropout_param['seed'])
    if dropout_param['mode'] == 'test':
        return x * SCALE, None
    mask = np.random.rand(*x.shape) < dropout_param['p']
    return x * mask, mask
def dropout_backward(d, mask):
    return d * mask
"""


@pytest.mark.parametrize("title", ["FullyConnectedNet with dropout", "FullyConnectedNet with batch norm and dropout"])
@pytest.mark.parametrize(("scale", "verdict"), [("dropout_param['p']", "all right"), ("1", "WRONG")])
def test_a_network_may_scale_at_test_time_what_dropout_has_left(inspected, title, scale, verdict):
    text = program("fc_net.py") + PLAIN_DROPOUT.replace("SCALE", scale)
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == verdict


def test_a_loss_that_is_wrong_with_dropout_is_said_once(inspected):
    """The gradient is right, and so it is not the one of this loss."""
    title = "FullyConnectedNet with dropout"
    text = program("fc_net.py", ("range(1, L + 1)", "range(1, L)"))
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["first"] == "dropout: loss: the penalty is in the gradient but not in the cost"
    assert "then:" not in checks[title]["text"]


def test_a_penalty_that_is_forgotten_is_no_number_of_its_own(inspected):
    text = program("neural_net.py", ("X.T.dot(dhidden) + 2 * reg * W1", "X.T.dot(dhidden)"))
    checks, _ = inspected("student.py", "cs231n", text, only="TwoLayerNet")
    assert checks["TwoLayerNet"]["first"] == "W1: the penalty is in the cost but not in the gradient"


DROP = "                h, cd = dropout_forward(h, self.dropout_param)\n"
IF_DROP = "            if self.use_dropout:\n"
DROP_BACK = "                dh = dropout_backward(dh, cd)\n"
FIRST, BACK = "            cb = cd = None\n", "            dh, grads['W%d' % i], grads['b%d' % i] ="
TEST = "        if mode == 'test':\n"
LAST_BACK = "        dh, grads['W%d' % L], grads['b%d' % L] ="
MISPLACED = {
    "last layer": (
        "nothing is dropped in hidden layer 2",
        (IF_DROP + DROP, IF_DROP.replace(":", " and i < 2:") + DROP),
        (IF_DROP + DROP_BACK, "            if cd is not None:\n" + DROP_BACK),
    ),
    "scores": (
        "the class scores are dropped, too",
        (
            TEST,
            "        if self.use_dropout:\n            scores, cs = dropout_forward(scores, self.dropout_param)\n"
            + TEST,
        ),
        (LAST_BACK, f"        if self.use_dropout:\n            dh = dropout_backward(dh, cs)\n{LAST_BACK}"),
    ),
    "in front of batch norm": (
        "dropout stands in front of batch normalization",
        (IF_DROP + DROP, ""),
        (FIRST, FIRST + IF_DROP + DROP),
        (IF_DROP + DROP_BACK, ""),
        (BACK, IF_DROP + DROP_BACK + BACK),
    ),
}


@pytest.mark.parametrize("misplaced", MISPLACED)
def test_dropout_in_another_place_is_named(inspected, misplaced):
    said, *exchanges = MISPLACED[misplaced]
    title = "FullyConnectedNet with batch norm and dropout"
    checks, _ = inspected("student.py", "cs231n", program("fc_net.py", *exchanges), only=title)
    assert said in checks[title]["first"]
    assert "agrees: gradient of b3" in checks[title]["text"]


def test_dropout_is_not_accused_of_what_is_wrong_without_it(inspected):
    title = "FullyConnectedNet with dropout"
    text = program(
        "fc_net.py", ("h, cr = relu_forward(h)", "h, cr = relu_forward(h) if i > 1 else (h, np.ones_like(h))")
    )
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == "all right"
    text = program(
        "fc_net.py", ("        if mode == 'test'", "        scores = np.maximum(scores, 0)\n        if mode == 'test'")
    )
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["first"].startswith("dropout: loss: a ReLU is applied to the class scores")


def test_running_averages_may_be_kept_in_another_order(inspected):
    text = program("fc_net.py", ("self.bn_params[i - 1]", "self.bn_params[i - 2]"))
    title = "FullyConnectedNet with batch norm"
    checks, _ = inspected("student.py", "cs231n", text, only=title)
    assert checks[title]["verdict"] == "all right"


@pytest.mark.parametrize("used", ["i", "i - 1"], ids=["the first is not used", "the last is not used"])
def test_a_bn_param_too_many_is_no_mistake(inspected, used):
    one_more = ("for i in range(self.num_layers - 1)]", "for i in range(self.num_layers)]")
    text = program("fc_net.py", one_more, ("self.bn_params[i - 1]", f"self.bn_params[{used}]"))
    checks, _ = inspected("student.py", "cs231n", text)
    assert verdicts(checks) == {"all right"}


NO_MODE = "            self.dropout_param['mode'] = mode\n"
DROPS = "            pass\n"
EITHER = NO_MODE + "        elif self.normalization == 'batchnorm':"
SCALED = "            if y is None:\n                h = h * self.dropout_param['p']\n"


def test_running_averages_that_are_no_numbers_are_said_so(inspected):
    title = "FullyConnectedNet with batch norm"
    call = "            h, cr = relu_forward(h)\n"
    spoilt = f"            if cb is not None:\n                self.bn_params[i - 1]['running_var'] += np.inf\n{call}"
    checks, _ = inspected("student.py", "cs231n", program("fc_net.py", (call, spoilt)), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert "running averages: after three training batches" in checks[title]["first"]


def test_a_training_that_diverges_is_looked_at_until_then(inspected):
    diverges = program("neural_net.py", ("* grads[p]", "* grads[p] * (1 if it < 2 else np.nan)"))
    checks, _ = inspected("student.py", "cs231n", diverges)
    assert "no known mistake explains its steps" in checks["TwoLayerNet.train"]["first"]


DROPOUT_CALL = "                h, cd = dropout_forward(h, self.dropout_param)\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (NO_MODE, DROPS, "units are dropped at test time"),
        (NO_MODE + "        if self.normalization == 'batchnorm':", EITHER, "the batch's own statistics are used"),
        (DROPOUT_CALL, DROPOUT_CALL + SCALED, "the units are scaled at test time"),
        ("bn_param in self.bn_params:", "bn_param in self.bn_params[1:]:", "the batch's own statistics are used"),
    ],
    ids=["dropped", "one mode alone", "scaled", "one layer"],
)
def test_test_mode_of_a_network_with_batch_norm_and_dropout_is_looked_at(inspected, old, new, said):
    title = "FullyConnectedNet with batch norm and dropout"
    checks, _ = inspected("student.py", "cs231n", program("fc_net.py", (old, new)), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert checks[title]["first"].startswith("scores at test time: ")
    assert said in checks[title]["first"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (
            "            if self.normalization:\n",
            "            if self.normalization and y is not None:\n",
            "scores at test",
        ),
        (
            "grads['gamma' + str(i)], grads['beta' + str(i)] = dg",
            "grads['beta' + str(i)], grads['gamma' + str(i)] = dg",
            "beta2",
        ),
        ("gamma, beta = self.params['gamma'", "beta, gamma = self.params['gamma'", "cost"),
        (NO_MODE, DROPS, "scores at test time, with dropout"),
        (
            "grads['gamma' + str(i)], grads['beta' + str(i)] = dg",
            "grads['gamma' + str(i)], _ = dg",
            "beta1: its gradient is",
        ),
    ],
    ids=["training alone", "exchanged", "exchanged forward", "dropout", "missing"],
)
def test_a_network_with_layer_norm_is_looked_at(inspected, old, new, place):
    title = "FullyConnectedNet with layer norm"
    checks, _ = inspected("student.py", "cs231n", program("fc_net_2018.py", (old, new)), only=title)
    assert checks[title]["verdict"] == "WRONG"
    assert checks[title]["first"].startswith(place)


def test_layer_norm_that_is_called_nowhere_is_not_asked_for(inspected):
    text = program(
        "fc_net_2018.py",
        (
            "forward = batchnorm_forward if self.normalization == 'batchnorm' else layernorm_forward",
            "forward = batchnorm_forward",
        ),
        (
            "backward = batchnorm_backward if self.normalization == 'batchnorm' else layernorm_backward",
            "backward = batchnorm_backward",
        ),
    )
    checks, _ = inspected("student.py", "cs231n", text)
    assert len(checks) == 4
    assert verdicts(checks) == {"all right"}


DEEP_UNMASKED = [
    ("            dh = relu_backward(dh, cr)\n", "            unmasked, dh = dh.copy(), relu_backward(dh, cr)\n"),
    (
        "            dh, grads['W%d' % i], grads['b%d' % i] = affine_backward(dh, ca)\n",
        "            _, grads['W%d' % i], _ = affine_backward(unmasked, ca)\n"
        "            dh, _, grads['b%d' % i] = affine_backward(dh, ca)\n",
    ),
]


@pytest.mark.parametrize(
    ("file", "exchanges", "title", "where"),
    [
        (
            "neural_net.py",
            [
                ("dhidden[hidden == 0] = 0", "before = dhidden.copy(); dhidden[hidden == 0] = 0"),
                ("X.T.dot(dhidden)", "X.T.dot(before)"),
            ],
            "TwoLayerNet",
            None,
        ),
        ("neural_net.py", [("hidden.T.dot(probs)", "(X.dot(W1) + b1).T.dot(probs)")], "TwoLayerNet", None),
        ("fc_net.py", DEEP_UNMASKED, "FullyConnectedNet", "every hidden layer"),
    ],
    ids=["hidden layer", "last layer", "hidden layers"],
)
def test_a_mistake_is_said_of_those_layers_alone_that_can_have_it(inspected, file, exchanges, title, where):
    checks, _ = inspected("student.py", "cs231n", program(file, *exchanges), only=title)
    assert "ReLU" in checks[title]["first"]
    assert ("\n      where " in checks[title]["text"]) == (where is not None)
    assert where is None or f"where      {where}\n" in checks[title]["text"]
