"""Dropout inside a whole network: mistakes planted into the source of a student's network are found and named."""

import inspect

import numpy as np
import pytest
import student_dropout
import torch
from test_diagnosis_network import ARCHITECTURES, case, places
from test_diagnosis_program import class_scores

from manual_mlp import diagnose, diagnose_test_mode
from manual_mlp.diagnosis.dropout import shared_draw

SOURCE = inspect.getsource(student_dropout)
P = student_dropout.P

# (the mistake's name, its first wrong place, what stands in the source, what stands there instead)
FORWARD = [
    ("dropout_not_scaled", "cost", "/ (1 - P)", "* 1"),
    ("dropout_scaled_twice", "cost", "dropped = h * mask", "dropped = h * mask / (1 - P)"),
    ("dropout_scaled_by_wrong_probability", "cost", "/ (1 - P)", "/ P"),
    ("dropout_multiplied", "cost", "/ (1 - P)", "* (1 - P)"),
    ("dropout_not_fed_onward", "cost", "h = dropped", "h = h * 1"),
    ("dropout_p_keeps", "masks", "(rng.random(h.shape) >= P) / (1 - P)", "(rng.random(h.shape) < P) / P"),
    ("dropout_never_applied", "masks", "(rng.random(h.shape) >= P) / (1 - P)", "np.ones(h.shape)"),
    ("dropout_wrong_share", "masks", "P = 0.3", "P = 0.5"),
]
DRAW = "rng.random(h.shape)"
SHARED = [
    ("dropout_shared_draw", "every image has the same mask", "rng.random((1, h.shape[1])) + 0 * h"),
    ("dropout_shared_draw", "all units of an image", "rng.random((len(h), 1)) + 0 * h"),
    ("dropout_same_mask", "every call has the same mask", "np.random.default_rng(i).random(h.shape)"),
]
BACKWARD = [
    ("dropout_gradient_not_masked", "g = g * masks[i - 2]", "pass"),
    ("dropout_gradient_not_masked", "g = g * masks[i - 2]", "g = g / (1 - P)"),
    ("dropout_gradient_not_scaled", "g = g * masks[i - 2]", "g = g * (masks[i - 2] > 0)"),
    ("dropout_gradient_scaled_otherwise", "g = g * masks[i - 2]", "g = g * masks[i - 2] / (1 - P)"),
    ("dropout_gradient_scaled_otherwise", "g = g * masks[i - 2]", "g = g * (masks[i - 2] > 0) / P"),
    ("weight_gradient_before_dropout", "g.T @ inputs[i - 1]", "g.T @ (active[i - 2] if i > 1 else x)"),
    ("relu_not_masked", "g = g * (normed[i - 2] > 0)", "pass"),
    ("penalty_gradient_without_two", "+ 2 * l2 * W", "+ l2 * W"),
]


def first_after_the_last_layer(name, batch_norm, depth):
    """Where a mistake of the backward pass shows first: at the last weight if that takes its input, else one below."""
    if name == "weight_gradient_before_dropout" or name.startswith("penalty"):
        return f"linear{depth}.weight"
    return f"bn{depth - 1}.bias" if batch_norm else f"linear{depth - 1}.bias"


def with_mistake(old="", new=""):
    assert SOURCE.count(old) == 1 or not old, old
    namespace = {}
    exec(compile(SOURCE.replace(old, new) if old else SOURCE, "<student with a mistake>", "exec"), namespace)
    return namespace


BY_DEFAULT = [
    pytest.param(sizes, batch_norm, id=f"{'-'.join(map(str, sizes))}-{'bn' if batch_norm else 'plain'}", marks=marks)
    for sizes in ARCHITECTURES
    for batch_norm in (False, True)
    for marks in [() if (len(sizes) == 4) == batch_norm and len(sizes) < 5 else pytest.mark.thorough]
]


@pytest.mark.parametrize(("sizes", "batch_norm"), BY_DEFAULT)
@pytest.mark.parametrize(("name", "place", "old", "new"), FORWARD, ids=[m[0] for m in FORWARD])
def test_a_mistake_of_the_forward_pass_is_found_and_named(name, place, old, new, sizes, batch_norm):
    report = diagnose(with_mistake(old, new)["cost_and_gradients"], *case(sizes, batch_norm), dropout=P)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, name)]


MOVED = "dropout_before_batch_norm"
MASK = """        mask = (rng.random(h.shape) >= P) / (1 - P)
        masks.append(mask)
"""
BEFORE_BATCH_NORM = {
    f"{MASK}        dropped = h * mask\n        h = dropped\n": "",
    '        if "bn1.weight" in params:\n': f'{MASK}        h = h * mask\n        if "bn1.weight" in params:\n',
    "            g = g * masks[i - 2]\n": "",
    "= batch_norm_backward(g, caches[i - 2])\n": "= batch_norm_backward(g, caches[i - 2])\n"
    "                g = g * masks[i - 2]\n",
}


@pytest.mark.parametrize("sizes", ARCHITECTURES[:2], ids=str)
def test_dropout_in_front_of_batch_normalization_is_named(sizes):
    source = SOURCE
    for old, new in BEFORE_BATCH_NORM.items():
        assert source.count(old) == 1
        source = source.replace(old, new)
    namespace = {}
    exec(source, namespace)
    report = diagnose(namespace["cost_and_gradients"], *case(sizes, batch_norm=True), dropout=P)
    assert [(f.place, f.mistake) for f in report.findings] == [("cost", MOVED)]


@pytest.mark.parametrize(("sizes", "batch_norm"), BY_DEFAULT)
@pytest.mark.parametrize(("name", "words", "new"), SHARED, ids=["images", "units", "calls"])
def test_masks_that_are_no_independent_draws_are_named(name, words, new, sizes, batch_norm):
    report = diagnose(with_mistake(DRAW, new)["cost_and_gradients"], *case(sizes, batch_norm), dropout=P)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [("masks", name)]
    assert words in report.findings[0].sentence


def test_a_seed_that_is_set_for_a_check_is_no_mistake():
    again = with_mistake(DRAW, "np.random.default_rng(i).random(h.shape)")["cost_and_gradients"]
    assert diagnose(again, *case((6, 7, 5, 4), True), dropout=P).ok


def test_masks_of_many_images_and_units_may_be_diagnosed():
    parameters, _, _, l2 = case((6, 7, 5, 4), False)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2000, 6)), rng.integers(0, 4, 2000)
    right = with_mistake(DRAW, DRAW)["cost_and_gradients"]
    assert diagnose(right, parameters, x, y, l2, dropout=P).ok


def test_layers_that_share_a_mask_are_named():
    source = SOURCE.replace("    for i in range(1, k):", "    seed = rng.integers(2**31)\n    for i in range(1, k):")
    source = source.replace(DRAW, "np.random.default_rng(seed).random(h.shape)")
    namespace = {}
    exec(compile(source, "<student>", "exec"), namespace)
    report = diagnose(namespace["cost_and_gradients"], *case((12, 8, 8, 5), False), dropout=P)
    assert [finding.mistake for finding in report.findings] == ["dropout_same_mask"]
    assert "layers 1 and 2 drop alike" in report.findings[0].sentence


@pytest.mark.parametrize(("calls", "layers", "accused"), [(2, 1, True), (4, 8, False)])
def test_the_more_masks_are_compared_the_longer_two_must_be_alike(calls, layers, accused):
    """34 units, half of them kept, are alike by chance once in 1.7e10 pairs of masks; 32 masks make 496 pairs."""
    draws = np.random.default_rng(2).permuted(np.tile([0.0, 1.0], (calls, layers, 17)), axis=2)
    draws[1, 0] = draws[0, 0]
    finding = shared_draw("masks", list(draws.reshape(calls, layers, 2, 17)))
    assert (finding is not None) == accused


@pytest.mark.parametrize(("sizes", "batch_norm"), BY_DEFAULT)
@pytest.mark.parametrize(("name", "old", "new"), BACKWARD, ids=[f"{m[0]}-{i}" for i, m in enumerate(BACKWARD)])
def test_a_mistake_of_the_backward_pass_is_found_and_named(name, old, new, sizes, batch_norm):
    report = diagnose(with_mistake(old, new)["cost_and_gradients"], *case(sizes, batch_norm), dropout=P)
    place = first_after_the_last_layer(name, batch_norm, len(sizes) - 1)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, name)]


def in_torch(parameters, x, y, l2):
    """torch's own dropout; a mask is what it makes of ones with the same seed."""
    values = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    depth = sum(name.startswith("linear") for name in values) // 2
    h, masks, penalty = torch.tensor(x), [], 0.0
    for layer in range(1, depth + 1):
        W = values[f"linear{layer}.weight"]
        penalty = penalty + l2 * W.square().sum()
        h = torch.nn.functional.linear(h, W, values[f"linear{layer}.bias"])
        if layer < depth:
            if "bn1.weight" in values:
                gamma, beta = values[f"bn{layer}.weight"], values[f"bn{layer}.bias"]
                h = torch.nn.functional.batch_norm(h, None, None, gamma, beta, training=True)
            mask = torch.nn.functional.dropout(torch.ones(h.shape, dtype=h.dtype), 0.6)
            h = torch.relu(h) * mask
            masks.append(mask.numpy())
    cost = torch.nn.functional.cross_entropy(h, torch.tensor(y)) + penalty
    cost.backward()
    return cost.item(), {name: value.grad.numpy() for name, value in values.items()}, masks


def student_in_float32(parameters, x, y, l2):
    cost, gradients, masks = student_dropout.cost_and_gradients(parameters, x, y, l2)
    return cost, {name: gradient.astype(np.float32) for name, gradient in gradients.items()}, masks


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
@pytest.mark.parametrize(
    ("right", "p"),
    [(student_dropout.cost_and_gradients, P), (student_in_float32, P), (in_torch, 0.6)],
    ids=["the student", "in float32", "torch"],
)
def test_right_dropout_is_never_accused(right, p, sizes, batch_norm):
    torch.manual_seed(4)
    report = diagnose(right, *case(sizes, batch_norm), dropout=p)
    assert report.ok, report
    assert "cost" in report.agreeing
    assert set(places(case(sizes, batch_norm)[0])) <= set(report.agreeing)


@pytest.mark.parametrize(
    ("masks", "mistake", "words"),
    [
        (lambda m: m[0], "wrong_type", "must be a list of 2 arrays"),
        (lambda m: m[:1], "wrong_type", "list of 1"),
        (lambda m: [m[0].T, m[1]], "wrong_shape", "that of layer 1"),
        (lambda m: [None, m[1]], "unfilled", "None"),
    ],
    ids=["one array", "one of two", "transposed", "None"],
)
def test_masks_that_are_none_are_said_in_words(masks, mistake, words):
    def answer(*batch):
        cost, gradients, right = student_dropout.cost_and_gradients(*batch)
        return cost, gradients, masks(right)

    report = diagnose(answer, *case((6, 7, 5, 4), False), dropout=P)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [("masks", mistake)]
    assert words in str(report)


def test_masks_that_are_not_returned_are_asked_for():
    def answer(*batch):
        return student_dropout.cost_and_gradients(*batch)[:2]

    report = diagnose(answer, *case((6, 7, 5, 4), False), dropout=P)
    assert "must return (cost, gradients, masks)" in report.findings[0].sentence


@pytest.mark.parametrize(
    ("answer", "dropout", "words"),
    [
        (student_dropout.cost_and_gradients, 1.0, "dropout is 1"),
        (student_dropout.cost_and_gradients, 0.0, "leave it out"),
        (student_dropout.cost_and_gradients, -0.1, "dropout"),
        (student_dropout.cost_and_gradients, "a", "dropout is 'a'; it must be above 0 and below 1"),
        ((1.0, {}), 0.3, "must be a function"),
    ],
)
def test_dropout_that_cannot_be_diagnosed_is_refused(answer, dropout, words):
    with pytest.raises(ValueError, match=words):
        diagnose(answer, *case((6, 5, 4), False), dropout=dropout)


TEST_MODES = [
    (None, "x = x * 1", "x = x * 1"),
    ("dropout_at_test_time", "x = x * 1", "x = x * (rng.random(x.shape) >= P) / (1 - P)"),
    ("dropout_scaled_at_test_time", "x = x * 1", "x = x * (1 - P)"),
    ("dropout_divided_at_test_time", "x = x * 1", "x = x / (1 - P)"),
]


@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
@pytest.mark.parametrize(("name", "old", "new"), TEST_MODES, ids=[str(m[0]) for m in TEST_MODES])
def test_dropout_at_test_time_is_found_and_named(name, old, new, sizes):
    parameters, x, _, _ = case(sizes, batch_norm=False)
    report = diagnose_test_mode(with_mistake(old, new)["scores_at_test_time"], parameters, {}, x, dropout=P)
    assert [finding.mistake for finding in report.findings] == ([name] if name else [])


@pytest.mark.parametrize(
    ("settings", "buffers", "words"),
    [
        ({"dropout": 1}, {}, "dropout is 1; it must be above 0 and below 1"),
        ({"eps": "a"}, {}, "eps is 'a'"),
        ({}, {"bn1.running_mean": np.ones(7)}, "buffers has 'bn1.running_mean'; of this network it may have none"),
        ({}, None, "buffers is a NoneType"),
    ],
)
def test_what_test_mode_cannot_have_is_refused(settings, buffers, words):
    parameters, x, _, _ = case((6, 7, 4), batch_norm=False)
    with pytest.raises(ValueError, match=words):
        diagnose_test_mode(student_dropout.scores_at_test_time, parameters, buffers, x, **settings)


def test_running_statistics_that_are_missing_are_asked_for():
    parameters, x, _, _ = case((6, 7, 4), batch_norm=True)
    with pytest.raises(ValueError, match=r"buffers lacks bn1\.running_mean, bn1\.running_var"):
        diagnose_test_mode(class_scores, parameters, {}, x)


def test_running_averages_that_evaluation_advances_are_not_taken_for_dropout():
    sizes = (6, 7, 5, 4)
    parameters, x, _, _ = case(sizes, batch_norm=True)
    buffers = {key: np.full(len(value), 0.7) for key, value in parameters.items() if key.startswith("bn")}
    buffers = {key.replace("weight", "running_var").replace("bias", "running_mean"): v for key, v in buffers.items()}

    def scores(parameters, buffers, x):
        out = class_scores(parameters, buffers, x)
        for value in buffers.values():
            value += 0.1
        return out

    report = diagnose_test_mode(scores, parameters, buffers, x, dropout=P)
    assert [finding.mistake for finding in report.findings] == ["running_advanced_by_evaluation"]
