"""Skip connections, a smoothed target, a leaky ReLU and batch normalization behind the ReLU: what is right is called
right, and mistakes planted into the source of a student's network are found and named.
"""

import inspect

import numpy as np
import pytest
import student_extras
from test_diagnosis_network import case

from manual_mlp import MLP, diagnose, diagnose_test_mode
from manual_mlp.diagnosis import diagnose_numerical_gradients
from torch_reference import autograd_gradients

SOURCE = inspect.getsource(student_extras)
WIDE, DEEP = (6, 7, 7, 4), (5, 6, 6, 6, 3)  # a skip around layer 2; around layers 2 and 3


def network(*replacements, **constants):
    """The student's cost_and_gradients with other words in its source."""
    source = SOURCE
    for old, new in replacements:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    namespace = {}
    exec(compile(source, "<student with a mistake>", "exec"), namespace)
    namespace.update(constants)
    return namespace["cost_and_gradients"]


def first_difference(mistaken, right, parameters, x, y, l2):
    """The first place at which a planted mistake changes the student's numbers, in the order of back-propagation."""
    (cost, gradients, *_), (other, others, *_) = right(parameters, x, y, l2), mistaken(parameters, x, y, l2)
    if abs(cost - other) > 1e-9:
        return "cost"
    depth = sum(name.startswith("linear") for name in parameters) // 2
    for layer in range(depth, 0, -1):
        for name in (f"bn{layer}.bias", f"bn{layer}.weight", f"linear{layer}.bias", f"linear{layer}.weight"):
            if name in gradients and not np.allclose(gradients[name], others[name], rtol=0, atol=1e-9):
                return name
    raise AssertionError("nothing differs")


BEFORE_RELU = (
    (
        "        r = np.maximum(a, RELU_SLOPE * a)\n",
        "        a = a + h if skip else a\n        r = np.maximum(a, RELU_SLOPE * a)\n",
    ),
    ("h = f + h if skip else f", "h = f"),
    ("            around = g\n", ""),
    ("            g = g * signs[i - 1]\n", "            g = g * signs[i - 1]\n            around = g\n"),
)
# (the mistake's name, what stands in the source, what stands there instead, again...)
SKIP = [
    ("skip_not_added", ("h = f + h if skip else f", "h = f")),
    ("skip_not_added", ("h = f + h if skip else f", "h = f"), ("if i in SKIPS:", "if False:")),
    ("skip_before_relu", *BEFORE_RELU),
    ("skip_gradient_forgotten", ("if i in SKIPS:", "if False:")),
    ("skip_gradient_alone", ("g = g + around", "g = around")),
    ("skip_gradient_doubled", ("g = g + around", "g = g + 2 * around")),
    ("skip_gradient_overwritten", ("* signs[i - 1]\n", "* signs[i - 1]\n            around = g\n")),
    ("skip_in_relu_mask", ("h = f + h if skip else f", "h = f + h if skip else f\n        signs[-1] = h > 0")),
    ("weight_gradient_before_skip", ("g.T @ inputs[i - 1]", "g.T @ (sums[i - 2][0] if i > 1 else x)")),
]
SKIP_AND_NORM = [
    (
        "skip_before_batch_norm",
        (
            "        if bn and not RELU_FIRST:\n            a, cache",
            "        a = a + h if skip else a\n        if bn:\n            a, cache",
        ),
        ("h = f + h if skip else f", "h = f"),
        ("            around = g\n", ""),
        ('        grads[f"linear{i}.weight"] =', '        around = g\n        grads[f"linear{i}.weight"] ='),
    ),
]
SKIP_AND_DROPOUT = [
    (
        "skip_before_dropout",
        ("        f = r * mask\n", "        f = (r + h if skip else r) * mask\n"),
        ("h = f + h if skip else f", "h = f"),
        ("            around = g\n", ""),
        ("            g = g * masks[i - 1]\n", "            g = g * masks[i - 1]\n            around = g\n"),
    ),
]
Q = "q = (1 - SMOOTHING) * onehot + SMOOTHING / classes"
OTHERS = "np.where(onehot == 1, 1 - SMOOTHING, SMOOTHING / (classes - 1))"
SMOOTHING = [
    ("smoothing_missing", (Q, "q = onehot")),
    ("smoothing_missing_in_gradient", ("t = q", "t = onehot")),
    ("smoothing_missing_in_cost", ("-(q * logp)", "-(onehot * logp)")),
    ("smoothing_over_other_classes", (Q, f"q = {OTHERS}")),
    ("smoothing_over_other_classes", ("t = q", f"t = {OTHERS}")),
    ("smoothing_over_other_classes", (Q, "q = (1 - SMOOTHING) * onehot + SMOOTHING / (classes - 1)")),
    ("smoothing_share_not_taken", (Q, "q = onehot + SMOOTHING / classes")),
    ("smoothing_share_not_taken", ("t = q", "t = onehot + SMOOTHING / classes")),
    ("smoothing_share_not_spread", (Q, "q = (1 - SMOOTHING) * onehot")),
    ("smoothing_share_not_divided", (Q, "q = (1 - SMOOTHING) * onehot + SMOOTHING")),
    ("smoothing_exchanged", (Q, "q = SMOOTHING * onehot + (1 - SMOOTHING) / classes")),
]
USUAL = [  # what can be wrong in any network
    ("weight_gradient_averaged", ("g.T @ inputs[i - 1]", "g.T @ inputs[i - 1] / n")),
    ("loss_gradient_summed", ("(np.exp(logp) - t) / n", "np.exp(logp) - t")),
    ("loss_summed", ("-(q * logp).sum() / n", "-(q * logp).sum()")),
    ("relu_not_masked", ("            g = g * signs[i - 1]\n", "")),
]
BEHIND = ("if bn and RELU_FIRST:\n            r, cache", "if False:\n            r, cache")
IN_FRONT = ("if bn and not RELU_FIRST:\n            a, cache", "if bn:\n            a, cache")
ORDER = [
    (
        "bn_before_relu",
        IN_FRONT,
        BEHIND,
        ("if bn and RELU_FIRST:\n                g,", "if False:\n                g,"),
        ("if bn and not RELU_FIRST:\n                g,", "if bn:\n                g,"),
    ),
    ("relu_mask_behind_batch_norm", ("g * signs[i - 1]", "g * (sums[i - 1][0] > 0)")),
    (
        "bn_backward_in_forward_order",
        ("if bn and RELU_FIRST:\n                g,", "if False:\n                g,"),
        ("if bn and not RELU_FIRST:\n                g,", "if bn:\n                g,"),
    ),
]
LEAKY = [
    ("relu_mask_not_leaky", ("np.where(a > 0, 1, RELU_SLOPE)", "a > 0")),
    ("relu_not_masked", ("            g = g * signs[i - 1]\n", "")),
    ("relu_mask_leaky", ("np.where(a > 0, 1, RELU_SLOPE)", "np.where(a > 0, 1, 0.1)")),
    (
        "relu_mask_from_layer_input",
        ("np.where(a > 0, 1, RELU_SLOPE)", "np.where((h if skip else a) > 0, 1, RELU_SLOPE)"),
    ),
]
IN_FORWARD_ORDER = (
    "bn_backward_in_forward_order",
    ("if bn and RELU_FIRST:\n                g,", "if bn:\n                g,"),
    ("if bn and not RELU_FIRST:\n                g,", "if False:\n                g,"),
)


def skips_of(sizes):
    return tuple(layer for layer in range(1, len(sizes) - 1) if sizes[layer - 1] == sizes[layer])


MISTAKES = [  # (batch norm, its settings, dropout's p, mistake)
    *((bn, {"skips": True}, 0.0, mistake) for mistake in SKIP for bn in (False, True)),
    *((True, {"skips": True, "label_smoothing": 0.2}, 0.0, mistake) for mistake in SKIP_AND_NORM),
    *((False, {"skips": True}, 0.3, mistake) for mistake in SKIP_AND_DROPOUT),
    *((False, {"label_smoothing": 0.2}, 0.0, mistake) for mistake in SMOOTHING),
    *((True, {"relu_first": True}, 0.0, mistake) for mistake in ORDER),
    (True, {}, 0.0, IN_FORWARD_ORDER),
    *((bn, {"relu_slope": 0.02}, 0.0, mistake) for mistake in LEAKY[:3] for bn in (False, True)),
    (False, {"relu_slope": 0.02, "skips": True}, 0.0, LEAKY[3]),
    *((True, {"relu_first": True, "skips": True, "label_smoothing": 0.2}, 0.0, mistake) for mistake in USUAL),
]


def settings_of(settings, sizes):
    """What `diagnose` is told of the network."""
    return settings | ({"skips": skips_of(sizes)} if "skips" in settings else {})


@pytest.mark.parametrize("sizes", [WIDE, pytest.param(DEEP, marks=pytest.mark.thorough)], ids=str)
@pytest.mark.parametrize(
    ("bn", "settings", "p", "mistake"),
    [pytest.param(*case, id=f"{case[-1][0]}-{number}") for number, case in enumerate(MISTAKES)],
)
def test_a_planted_mistake_is_found_and_named(bn, settings, p, mistake, sizes):
    name, *replacements = mistake
    settings, batch = settings_of(settings, sizes), case(sizes, bn)
    constants = {
        "SKIPS": settings.get("skips", ()),
        "SMOOTHING": settings.get("label_smoothing", 0.0),
        "RELU_FIRST": settings.get("relu_first", False),
        "RELU_SLOPE": settings.get("relu_slope", 0.0),
        "P": p,
    }
    report = diagnose(network(*replacements, **constants), *batch, dropout=p or None, **settings)
    place = first_difference(network(*replacements, **constants), network(**constants), *batch)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, name)]


def by_mlp(dtype, **extras):
    rng = np.random.default_rng(1)

    def cost_and_gradients(parameters, x, y, l2):
        sizes = [
            x.shape[1],
            *(len(v) for n, v in parameters.items() if n.startswith("linear") and n.endswith("weight")),
        ]
        net = MLP(sizes, batch_norm="bn1.weight" in parameters, rng=np.random.default_rng(0), dtype=dtype, **extras)
        for name, value in parameters.items():
            net.parameters[name] = value
        masks = net.dropout_masks(len(x), rng)
        answer = net.cost_and_gradients(x, y, l2, masks)
        return (*answer, masks) if masks else answer

    return cost_and_gradients


EXTRAS = {
    "behind the ReLU": (True, {"relu_first": True}),
    "skips": (False, {"skips": True}),
    "skips and batch norm": (True, {"skips": True}),
    "smoothed": (False, {"label_smoothing": 0.1}),
    "all": (True, {"relu_first": True, "skips": True, "label_smoothing": 0.3}),
    "all and dropout": (True, {"relu_first": True, "skips": True, "label_smoothing": 0.3, "dropout": 0.4}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("sizes", [WIDE, DEEP, (5, 5, 3)], ids=str)
@pytest.mark.parametrize("extras", EXTRAS)
def test_what_is_right_is_never_accused(extras, sizes, dtype):
    bn, settings = EXTRAS[extras]
    settings = settings_of(settings, sizes)
    report = diagnose(by_mlp(dtype, **settings), *case(sizes, bn), **settings)
    assert report.ok, report
    assert "linear1.weight" in report.agreeing
    assert not report.findings


@pytest.mark.parametrize("sizes", [WIDE, DEEP], ids=str)
def test_torchs_own_is_never_accused(sizes):
    settings = {"relu_first": True, "skips": skips_of(sizes), "label_smoothing": 0.2}

    def torchs(parameters, x, y, l2):
        net = MLP(sizes, batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64, **settings)
        for name, value in parameters.items():
            net.parameters[name] = value
        return net.cost(x, y, l2, training=True), autograd_gradients(net, x, y, l2)

    report = diagnose(torchs, *case(sizes, True), **settings)
    assert report.ok, report


def test_the_report_says_what_the_network_has():
    settings = {"relu_first": True, "skips": (2,), "label_smoothing": 0.2}
    report = diagnose(by_mlp(np.float64, **settings), *case(WIDE, True), **settings)
    words = "network 6-7-7-4 with batch normalization behind the ReLU, a skip around layer 2, label smoothing 0.2"
    assert report.subject == words


def with_everything(parameters, **settings):
    net = MLP(WIDE, batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64, **settings)
    for name, value in parameters.items():
        net.parameters[name] = value
    return net


@pytest.mark.parametrize(
    ("settings", "pair"),
    [
        ({"relu_first": True}, False),
        ({"relu_first": True, "skips": (1,), "label_smoothing": 0.25}, False),
        ({"skips": (1,)}, True),
        ({"label_smoothing": 0.1}, True),
    ],
    ids=str,
)
def test_settings_that_nobody_has_named_are_hinted_at(settings, pair):
    answer, batch = by_mlp(np.float64, **settings), case((5, 5, 3), "relu_first" in settings)
    report = diagnose(answer(*batch) if pair else answer, *batch)
    said = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    assert not report.ok
    assert report.notes == [f"in a network with {said} all of it would be right"]


def test_a_cost_alone_is_no_hint():
    parameters, x, y, l2 = case((5, 3), False)
    cost, _ = by_mlp(np.float64)(parameters, x, y, l2)
    report = diagnose((cost + 0.1, {}), parameters, x, y, l2)
    assert "cost" in [finding.place for finding in report.findings]
    assert not report.notes


def test_the_report_says_that_units_are_dropped():
    report = diagnose(by_mlp(np.float64, dropout=0.4), *case(WIDE, False), dropout=0.4)
    assert report.subject == "network 6-7-7-4 with dropout 0.4"


@pytest.mark.parametrize(
    ("has", "named"),
    [
        ({"skips": (2,)}, []),
        ({"skips": (2,), "relu_first": True}, []),
        ({"relu_first": True}, ["skip_not_added"]),
    ],
    ids=["skip", "behind the ReLU", "not added"],
)
def test_class_scores_at_test_time(has, named):
    parameters, x, _, _ = case(WIDE, batch_norm=True)
    net = with_everything(parameters, **has)
    net.forward(3 * x, training=True)  # running statistics of their own
    told = {"skips": (2,), "relu_first": has.get("relu_first", False)}
    report = diagnose_test_mode(net.forward(x), parameters, net.buffers, x, **told)
    assert [finding.mistake for finding in report.findings] == named
    said = ["in a network with skips=() all of it would be right"] if named else []
    assert report.notes == said


@pytest.mark.parametrize("told", [True, False])
def test_numerical_gradients(told):
    settings = {"relu_first": True, "skips": (2,), "label_smoothing": 0.2}
    parameters, x, y, l2 = case(WIDE, batch_norm=True)
    net, slopes, h = with_everything(parameters, **settings), [], 1e-5
    bias = net.parameters["linear1.bias"]
    for entry in range(len(bias)):
        costs = []
        for step in (h, -h):
            bias[entry] += step
            costs.append(net.cost(x, y, l2, training=True))
            bias[entry] -= step
        slopes.append((costs[0] - costs[1]) / (2 * h))
    gradients = {"linear1.bias": np.array(slopes)}
    report = diagnose_numerical_gradients(gradients, parameters, x, y, l2, h=h, **(settings if told else {}))
    assert report.ok == told


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"skips": (1,)}, r"skips\[0\] is 1: that layer takes in 6"),
        ({"skips": 2}, "skips is 2"),
        ({"label_smoothing": 1}, "label_smoothing is 1"),
        ({"relu_first": True}, "no batch normalization"),
        ({"relu_first": 1}, "relu_first is 1"),
    ],
    ids=str,
)
def test_what_a_network_cannot_have_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        diagnose(network(), *case(WIDE, False), **settings)


@pytest.mark.parametrize("bn", [False, True])
def test_a_slope_of_several_is_measured(bn):
    leaky = network(RELU_SLOPE=0.02)
    report = diagnose(leaky, *case(WIDE, bn), relu_slope=(0.0, 0.01, 0.02))
    assert report.ok
    assert report.notes[-1] == "its ReLU is leaky, with slope 0.02"
    assert (
        diagnose(network(), *case(WIDE, bn), relu_slope=(0.0, 0.01, 0.02)).notes
        == diagnose(network(), *case(WIDE, bn)).notes
    )
    (finding,) = diagnose(leaky, *case(WIDE, bn)).findings
    assert finding.mistake == "relu_leaky"


def test_slopes_are_checked():
    for slope in (-0.1, 1.0, (), (0.0, 2.0)):
        with pytest.raises(ValueError, match="relu_slope"):
            diagnose(network(), *case(WIDE, False), relu_slope=slope)
