"""The diagnosis of the rest of a training program: update, schedule, first values, standardization, minibatches, the
user's own gradient check, test mode. Every mistake is written out here, independently of the catalogue.
"""

import numpy as np
import pytest
import student
from test_diagnosis_network import ARCHITECTURES, case

from manual_mlp import (
    MLP,
    cyclical_learning_rate,
    diagnose_initialization,
    diagnose_minibatches,
    diagnose_numerical_gradients,
    diagnose_schedule,
    diagnose_standardization,
    diagnose_test_mode,
    diagnose_update,
    minibatches,
)

# Update

ETA, L2 = 0.03, 0.05

ONE_OF_THEM = [ARCHITECTURES[0], *(pytest.param(other, marks=pytest.mark.thorough) for other in ARCHITECTURES[1:])]


def is_weight(name):
    return name.startswith("linear") and name.endswith(".weight")


def step(old, gradients, l2):
    return {name: v - ETA * (gradients[name] + 2 * l2 * v * is_weight(name)) for name, v in old.items()}


def exchanged(gradients):
    """gamma's gradient under beta's name and the other way round."""
    swapped = dict(gradients)
    for name in gradients:
        if name.startswith("bn"):
            layer, end = name.split(".")
            swapped[name] = gradients[f"{layer}.{'bias' if end == 'weight' else 'weight'}"]
    return swapped


UPDATES = [
    # (the mistake's name, where, the step as it is made)
    (
        "update_never",
        "all betas",
        lambda p, g: {**step(p, g, L2), **{n: p[n] for n in p if n[:2] == "bn" and "bias" in n}},
    ),
    ("update_never", "linear2.weight", lambda p, g: {**step(p, g, L2), "linear2.weight": p["linear2.weight"]}),
    ("update_never", "layer 1", lambda p, g: {**step(p, g, L2), **{n: p[n] for n in p if "1." in n}}),
    (
        "update_twice",
        "linear1.weight",
        lambda p, g: {**step(p, g, L2), "linear1.weight": step(step(p, g, L2), g, L2)["linear1.weight"]},
    ),
    ("update_ascent", "every parameter", lambda p, g: {n: 2 * p[n] - v for n, v in step(p, g, L2).items()}),
    (
        "update_without_eta",
        "every parameter",
        lambda p, g: {n: p[n] - (p[n] - v) / ETA for n, v in step(p, g, L2).items()},
    ),
    ("update_replaces", "every parameter", lambda p, g: {n: v - p[n] for n, v in step(p, g, L2).items()}),
    ("update_gamma_beta_exchanged", "gamma and beta of every layer", lambda p, g: step(p, exchanged(g), L2)),
    ("update_penalty_missing", "all weights", lambda p, g: step(p, g, 0.0)),
    ("update_penalty_not_times_eta", "all weights", lambda p, g: step(p, g, L2 / ETA)),
    ("update_penalty_without_two", "all weights", lambda p, g: step(p, g, L2 / 2)),
    ("update_penalty_twice", "all weights", lambda p, g: step(p, g, 2 * L2)),
    ("update_penalty_sign", "all weights", lambda p, g: step(p, g, -L2)),
    (
        "update_penalty_on_gradient",
        "all weights",
        lambda p, g: {n: p[n] - ETA * g[n] * (1 + 2 * L2 * is_weight(n)) for n in p},
    ),
    (
        "update_penalty_on_others",
        "all but the weights",
        lambda p, g: {n: p[n] - ETA * (g[n] + 2 * L2 * p[n]) for n in p},
    ),
]


@pytest.mark.parametrize("sizes", ONE_OF_THEM, ids=str)
@pytest.mark.parametrize(("name", "where", "mistaken"), UPDATES, ids=[f"{m[0]}-{m[1]}" for m in UPDATES])
def test_an_update_s_mistake_is_named(name, where, mistaken, sizes):
    parameters, x, y, _ = case(sizes, batch_norm=True)
    gradients = student.cost_and_gradients(parameters, x, y, 0.0)[1]
    report = diagnose_update(parameters, mistaken(parameters, gradients), ETA, gradients=gradients, l2=L2)
    assert [finding.mistake for finding in report.findings] == [name]
    if len(sizes) > 3:
        assert report.findings[0].where == where


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", ARCHITECTURES, ids=str)
def test_a_right_update_is_never_accused(sizes, dtype):
    parameters, x, y, _ = case(sizes, batch_norm=True)
    gradients = student.cost_and_gradients(parameters, x, y, 0.0)[1]
    after = {name: value.astype(dtype) for name, value in step(parameters, gradients, L2).items()}
    before = {name: value.astype(dtype) for name, value in parameters.items()} if dtype == np.float32 else parameters
    report = diagnose_update(before, after, ETA, gradients=gradients, l2=L2)
    assert report.ok, report


def test_what_single_precision_rounds_off_in_a_step_of_zeros_is_not_accused():
    for seed in range(100):
        rng = RNG(seed)
        shapes = {"linear1.weight": (5, 6), "linear1.bias": (5,), "linear2.weight": (4, 5), "linear2.bias": (4,)}
        before = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        gradients = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        after = {name: value - np.float32(ETA) * np.float32(gradients[name]) for name, value in before.items()}
        assert diagnose_update(before, after, ETA, gradients=gradients).ok


def test_gradient_and_update_in_one_function_are_told_apart():
    parameters, x, y, _ = case((6, 7, 5, 4), batch_norm=True)
    gradients = student.cost_and_gradients(parameters, x, y, 0.0)[1]
    assert diagnose_update(parameters, step(parameters, gradients, L2), ETA, x=x, y=y, l2=L2).ok
    wrong = {
        **gradients,
        "bn1.weight": gradients["bn1.weight"] / len(x),
        "bn2.weight": gradients["bn2.weight"] / len(x),
    }
    report = diagnose_update(parameters, step(parameters, wrong, L2), ETA, x=x, y=y, l2=L2)
    assert [finding.mistake for finding in report.findings] == ["bn_dgamma_averaged"]


def test_a_penalty_without_its_two_is_not_one_on_the_biases():
    parameters, x, y, _ = case((6, 7, 5, 4), batch_norm=True)
    gradients = student.cost_and_gradients(parameters, x, y, 0.0)[1]
    report = diagnose_update(parameters, step(parameters, gradients, L2 / 2), ETA, gradients=gradients, l2=L2)
    assert report.findings[0].equals == ()
    everything = {name: parameters[name] - ETA * (g + L2 * parameters[name]) for name, g in gradients.items()}
    report = diagnose_update(parameters, everything, ETA, gradients=gradients, l2=L2)
    assert {f.mistake for f in report.findings} == {"update_penalty_without_two", "update_penalty_on_others"}


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        (lambda g: {n: v for n, v in g.items() if n != "bn1.bias"}, {}, r"gradients\['bn1.bias'\] is missing"),
        (lambda g: [*g.values()], {}, "gradients are a list; they must be a dictionary"),
        (lambda g: {**g, "bn1.bias": "a"}, {}, r"gradients\['bn1.bias'\]: it is a str"),
        (lambda g: {**g, "bn1.bias": np.ones(99)}, {}, r"gradients\['bn1.bias'\] has shape \(99,\)"),
        (lambda g: {**g, "bn1.bias": np.full(7, np.nan)}, {}, r"gradients\['bn1.bias'\]\[0\] is nan; every value must"),
        (lambda g: g, {"x": np.ones((3, 6)), "y": [0, 1, 2]}, "gradients are given, and x or y as well"),
    ],
    ids=["one missing", "list", "words", "shape", "NaN", "x and y as well"],
)
def test_gradients_of_an_update_that_say_nothing_are_refused_in_words(change, more, words):
    parameters, x, y, _ = case((6, 7, 5, 4), batch_norm=True)
    gradients = student.cost_and_gradients(parameters, x, y, 0.0)[1]
    with pytest.raises(ValueError, match=words):
        diagnose_update(parameters, step(parameters, gradients, L2), ETA, gradients=change(gradients), l2=L2, **more)


@pytest.mark.parametrize("told", [True, False])
def test_the_network_of_an_update_has_what_is_told(told):
    settings = {"relu_first": True, "skips": (2,), "label_smoothing": 0.2}
    parameters, x, y, _ = case((6, 7, 7, 4), batch_norm=True)
    net = MLP((6, 7, 7, 4), batch_norm=True, rng=RNG(0), dtype=np.float64, **settings)
    for name, value in parameters.items():
        net.parameters[name] = value
    after = step(parameters, net.cost_and_gradients(x, y)[1], L2)
    assert diagnose_update(parameters, after, ETA, x=x, y=y, l2=L2, **(settings if told else {})).ok == told


def test_two_parameters_in_one_array_are_said():
    parameters, x, y, _ = case((6, 5, 5, 4), batch_norm=True)
    gradients = student.cost_and_gradients(parameters, x, y, 0.0)[1]
    after = step(parameters, gradients, L2)
    after["bn1.bias"] = after["linear1.bias"]
    report = diagnose_update(parameters, after, ETA, gradients=gradients, l2=L2)
    assert report.findings[0].mistake == "shared_array"


# Schedule

BOUNDS = {"step_size": 40, "eta_min": 1e-5, "eta_max": 1e-1}


def triangle(t, n_s=40, low=1e-5, high=1e-1):
    """The course's two cases, as its text writes them."""
    cycle = t // (2 * n_s)
    if t <= (2 * cycle + 1) * n_s:
        return low + (t - 2 * cycle * n_s) / n_s * (high - low)
    return high - (t - (2 * cycle + 1) * n_s) / n_s * (high - low)


@pytest.mark.parametrize(
    "schedule",
    [
        triangle,
        lambda t: triangle(t - 1),  # counts from 1
        lambda t, ns, lo_min, hi_max: triangle(t, ns, lo_min, hi_max),
        lambda eta_min, eta_max, n_s, t: triangle(t, n_s, eta_min, eta_max),
        lambda a, b, c, d: triangle(d, b, a, c),  # names that say nothing
        lambda t, *, n=40: triangle(t, n),
        [triangle(t) for t in range(161)],
        np.array([triangle(t) for t in range(100)], np.float32),
        lambda step: cyclical_learning_rate(step, **BOUNDS),
    ],
)
def test_a_right_schedule_is_never_accused_however_it_is_called(schedule):
    report = diagnose_schedule(schedule, **BOUNDS)
    assert report.ok, report


def halves(rise, fall, *, top_falls=False):
    """A schedule in two cases, the rise and the fall, each a function of t, the number of the cycle and n_s."""

    def schedule(t, n):
        cycle = t // (2 * n)
        rising = t - 2 * cycle * n < n + (not top_falls)
        return (rise if rising else fall)(t, cycle, n)

    return schedule


LOW, HIGH = BOUNDS["eta_min"], BOUNDS["eta_max"]


def rising(t, cycle, n):
    return LOW + (t - 2 * cycle * n) / n * (HIGH - LOW)


def falling(t, cycle, n):
    return HIGH - (t - (2 * cycle + 1) * n) / n * (HIGH - LOW)


SCHEDULES = [
    ("schedule_one_early", lambda t, n: triangle(t + 1, n)),
    ("schedule_one_early", lambda t, n: triangle(t % (2 * n - 1), n)),
    ("schedule_one_late", lambda t, n: triangle(max(t - 1, 0), n)),
    ("schedule_halved_every_cycle", lambda t, n: LOW + (triangle(t, n) - LOW) / 2 ** (t // (2 * n))),
    ("schedule_cosine", lambda t, n: LOW + (1 - np.cos(np.pi * t / n)) / 2 * (HIGH - LOW)),
    ("schedule_half_cycle", lambda t, n: triangle(t % n, n)),
    ("schedule_step_size_is_cycle", lambda t, n: triangle(t, n / 2)),
    ("schedule_twice_as_long", lambda t, n: triangle(t, 2 * n)),
    ("schedule_per_epoch", lambda t, n: triangle(t // 10, n)),
    ("schedule_restarts_each_epoch", lambda t, n: triangle(t % 10, n)),
    ("schedule_counts_images", lambda t, n: triangle(t // 10 * 6 + t % 10, n)),
    ("schedule_counts_images", lambda t, n: triangle(t // 10 * 60 + t % 10, n)),
    ("schedule_counts_images", lambda t, n: triangle(t * 6, n)),
    ("schedule_starts_at_maximum", lambda t, n: triangle(t + n, n)),
    ("schedule_minimum_forgotten", lambda t, n: triangle(t, n) - 1e-5),
    ("schedule_minimum_not_subtracted", lambda t, n: triangle(t, n, 1e-5, 1e-1 + 1e-5)),
    ("schedule_one_cycle", lambda t, n: triangle(min(t, 2 * n), n)),
    ("schedule_never_falls", lambda t, n: triangle(min(t, n), n)),
    ("schedule_constant", lambda _, __: 0.1),
    ("schedule_bounds_exchanged", lambda t, n: triangle(t, n, 1e-1, 1e-5)),
    ("schedule_half_cycle", halves(rising, lambda t, c, n: rising(t - n, c, n))),
    ("schedule_goes_on_rising", halves(rising, rising)),
    ("schedule_descent_offset", halves(rising, lambda t, c, n: falling(t + n, c, n))),
    ("schedule_descent_offset", halves(rising, lambda t, c, n: falling(t - n, c, n))),
    ("schedule_descent_offset", halves(rising, lambda t, c, n: falling(t - n, c, n), top_falls=True)),
    ("schedule_descent_offset", halves(rising, lambda t, _, n: falling(t, 0, n))),
    ("schedule_falls_to_zero", halves(rising, lambda t, c, n: HIGH - (t - (2 * c + 1) * n) / n * HIGH)),
    ("schedule_whole_division", halves(lambda t, c, n: LOW + (t - 2 * c * n) // n * (HIGH - LOW), lambda *_: HIGH)),
    ("schedule_rises_from_zero", halves(lambda t, c, n: (t - 2 * c * n) / n * HIGH, falling)),
]


@pytest.mark.parametrize("n_s", [20, 40, 77])
@pytest.mark.parametrize(
    ("name", "mistaken"),
    SCHEDULES,
)
def test_a_schedule_s_mistake_is_named(name, mistaken, n_s):
    bounds = {**BOUNDS, "step_size": n_s}
    etas = [mistaken(t, n_s) for t in range(4 * n_s)]
    report = diagnose_schedule(etas, **bounds, annealing=1.0, updates_per_epoch=10, batch_size=6)
    # a mirrored triangle is exchanged bounds as well as a start at the maximum: the same numbers
    assert name in (report.findings[0].mistake, *report.findings[0].equals)


def test_a_schedule_that_raises_is_said_in_words():
    report = diagnose_schedule(lambda t: [][t], **BOUNDS)
    assert report.findings[0].mistake == "raises"
    assert "IndexError" in str(report)


# First values


def first_values(sizes, std, batch_norm=True, seed=0):
    rng = np.random.default_rng(seed)
    net = MLP(sizes, batch_norm=batch_norm, rng=rng, dtype=np.float64)
    values = {name: value.copy() for name, value in net.parameters.items()}
    for name, value in values.items():
        if is_weight(name):
            values[name] = rng.normal(0, std(value.shape[1], value.shape[0]), value.shape)
    return values


WIDE = [(3072, 50, 10), (400, 60, 40, 10), (784, 100, 50, 30, 10)]


@pytest.mark.parametrize("sizes", WIDE, ids=str)
@pytest.mark.parametrize("seed", [0, *(pytest.param(other, marks=pytest.mark.thorough) for other in [1, 2])])
@pytest.mark.parametrize("initializer", ["he", "xavier", 0.01])
def test_right_first_values_are_never_accused(initializer, sizes, seed):
    net = MLP(sizes, batch_norm=True, initializer=initializer, rng=np.random.default_rng(seed))
    report = diagnose_initialization(net.parameters, initializer)
    assert report.ok, report


@pytest.mark.parametrize("sizes", WIDE, ids=str)
@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("init_xavier", lambda n, _: (1 / n) ** 0.5),
        ("init_two_over_root", lambda n, _: 2 / n**0.5),
        ("init_variance_for_std", lambda n, _: 2 / n),
        ("init_root_two_over_n", lambda n, _: 2**0.5 / n),
        ("init_fan_out", lambda _, m: (2 / m) ** 0.5),
        ("init_xavier_fan_out", lambda _, m: (1 / m) ** 0.5),
        ("init_standard_normal", lambda _, __: 1.0),
        ("init_001", lambda _, __: 0.01),
    ],
)
def test_a_wrong_spread_is_named(name, std, sizes):
    report = diagnose_initialization(first_values(sizes, std), "he")
    assert report.findings[0].place == "linear1.weight"
    assert report.findings[0].mistake == name


def seeded_again(values):
    for name, std in (("linear1.weight", 200**-0.5), ("linear2.weight", 30**-0.5)):
        values[name][:] = np.random.default_rng(3).normal(0, std, values[name].shape)


@pytest.mark.parametrize(
    ("place", "mistake", "change"),
    [
        ("linear1.weight", "init_constant", lambda v: v["linear1.weight"].fill(0)),
        ("linear1.weight", "init_mean", lambda v: np.abs(v["linear1.weight"], out=v["linear1.weight"])),
        ("linear2.bias", "init_not_default", lambda v: v["linear2.bias"].fill(0.1)),
        ("bn1.weight", "init_not_default", lambda v: v["bn1.weight"].fill(0)),
        ("linear2.weight", "init_seeded_again", seeded_again),
    ],
)
def test_other_first_values_are_said(place, mistake, change):
    values = first_values((400, 60, 40, 10), lambda n, _: (2 / n) ** 0.5)
    change(values)
    report = diagnose_initialization(values, "he")
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, mistake)]


# Standardization


def raw_images(seed=0):
    rng = np.random.default_rng(seed)
    scale, shift = rng.uniform(20, 60, 12), rng.uniform(60, 180, 12)
    return {
        name: np.clip(rng.normal(shift, scale, (n, 12)), 0, 255).round() for name, n in (("train", 300), ("test", 80))
    }


def standard(x, by):
    return (x - by.mean(axis=0)) / by.std(axis=0)


def with_a_constant_pixel(raw):
    for x in raw.values():
        x[:, 3] = 7
    with np.errstate(all="ignore"):
        return {name: standard(x, raw["train"]) for name, x in raw.items()}


STANDARDIZATIONS = [
    ("train images", "standardized_constant_pixel", with_a_constant_pixel),
    (
        "train images",
        "standardized_not_centered",
        lambda r: {name: x / r["train"].std(axis=0) for name, x in r.items()},
    ),
    (
        "test images",
        "standardized_by_own_statistics",
        lambda r: {"train": standard(r["train"], r["train"]), "test": standard(r["test"], r["test"])},
    ),
    (
        "test images",
        "standardized_not_at_all",
        lambda r: {"train": standard(r["train"], r["train"]), "test": r["test"]},
    ),
    ("train images", "standardized_only_scaled", lambda r: {name: x / 255 for name, x in r.items()}),
    (
        "train images",
        "standardized_only_centered",
        lambda r: {name: x - r["train"].mean(axis=0) for name, x in r.items()},
    ),
    (
        "train images",
        "standardized_by_variance",
        lambda r: {name: (x - r["train"].mean(axis=0)) / r["train"].var(axis=0) for name, x in r.items()},
    ),
    ("train images", "standardized_per_image", lambda r: {name: standard(x.T, x.T).T for name, x in r.items()}),
    (
        "train images",
        "standardized_by_one_number",
        lambda r: {name: (x - r["train"].mean()) / r["train"].std() for name, x in r.items()},
    ),
    (
        "train images",
        "standardized_by_all_sets",
        lambda r: {name: standard(x, np.concatenate([r["train"], r["test"]])) for name, x in r.items()},
    ),
    (
        "test images",
        "standardized_twice",
        lambda r: {
            "train": standard(r["train"], r["train"]),
            "test": standard(standard(r["test"], r["train"]), r["train"]),
        },
    ),
]


@pytest.mark.parametrize("seed", [0, *(pytest.param(other, marks=pytest.mark.thorough) for other in [1, 2])])
@pytest.mark.parametrize(
    ("place", "name", "mistaken"),
    STANDARDIZATIONS,
)
def test_a_standardization_s_mistake_is_named(place, name, mistaken, seed):
    raw = raw_images(seed)
    report = diagnose_standardization(raw, mistaken(raw))
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, name)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_standardization_is_never_accused(dtype):
    raw = raw_images()
    right = {name: standard(x, raw["train"]).astype(dtype) for name, x in raw.items()}
    assert diagnose_standardization(raw, right).ok


# Minibatches


def cut(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]


RNG = np.random.default_rng


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("minibatches_not_shuffled", [cut(np.arange(60), 10)] * 2),
        ("minibatches_same_order", [cut(RNG(0).permutation(60), 10)] * 2),
        ("minibatches_with_replacement", [cut(RNG(seed).integers(0, 60, 60), 10) for seed in (0, 1)]),
        ("minibatches_last_batch_lost", [cut(RNG(seed).permutation(63), 10)[:-1] for seed in (0, 1)]),
        ("minibatches_images_lost", [cut(RNG(seed).permutation(60), 10)[:-2] for seed in (0, 1)]),
        ("minibatches_doubled", [cut(np.append(RNG(seed).permutation(60), [3, 4]), 10) for seed in (0, 1)]),
        (
            "minibatches_blocks_shuffled",
            [[np.arange(60).reshape(6, 10)[b] for b in RNG(s).permutation(6)] for s in (0, 1)],
        ),
        ("minibatches_unknown_image", [cut(RNG(seed).permutation(60) + 1, 10) for seed in (0, 1)]),
    ],
)
def test_what_is_wrong_with_minibatches_is_named(name, epochs):
    images = 63 if name == "minibatches_last_batch_lost" else 60
    report = diagnose_minibatches(epochs, images)
    assert [finding.mistake for finding in report.findings] == [name]


@pytest.mark.parametrize(
    ("name", "starts"),
    [("minibatches_overlap", range(6)), ("minibatches_with_replacement", (3, 40, 7, 22, 45, 9))],
    ids=["one image on", "anywhere"],
)
def test_batches_of_neighbours_that_overlap_are_told_from_drawn_ones(name, starts):
    report = diagnose_minibatches([[np.arange(start, start + 10) for start in starts]], 60)
    assert report.findings[0].mistake == name


@pytest.mark.parametrize(("images", "size"), [(60, 10), (63, 10), (7, 7), (5, 2)])
def test_right_minibatches_are_never_accused(images, size):
    batches = minibatches(images, size, RNG(0))
    epochs = [[next(batches) for _ in range(-(-images // size))] for _ in range(3)]
    assert diagnose_minibatches(epochs, images).ok


def test_images_and_labels_that_are_shuffled_apart():
    x, y = RNG(0).normal(size=(30, 4)), np.arange(30) % 3
    order = RNG(1).permutation(30)
    right = [[(x[rows], y[rows]) for rows in cut(order, 10)]]
    assert diagnose_minibatches(right, x, y).ok
    apart = [
        [(x[rows], y[others]) for rows, others in zip(cut(order, 10), cut(RNG(2).permutation(30), 10), strict=True)]
    ]
    assert diagnose_minibatches(apart, x, y).findings[0].mistake == "minibatches_labels_apart"


# The user's own gradient check


def checked(net, x, y, l2, h=1e-5, *, training=True, both=True, over=2.0, left=0.0, penalty=True):
    """A gradient check as it is written in a notebook."""
    slopes = {}

    def cost():
        return net.cost(x, y, l2 if penalty else 0.0, training=training)

    for name, values in net.parameters.items():
        slopes[name] = np.zeros(values.shape)
        for entry in np.ndindex(values.shape):
            start = values[entry]
            values[entry] = start + h
            above = cost()
            values[entry] = start - h * both
            below = cost()
            values[entry] = start + left * h
            slopes[name][entry] = (above - below) / (over * h)
    return slopes


CHECKS = [
    (None, {}),
    ("check_in_test_mode", {"training": False}),
    ("check_without_penalty", {"penalty": False}),
    ("check_half_the_difference", {"both": False}),
    ("check_twice_the_difference", {"over": 1.0}),
    ("check_half_the_difference", {"over": 4.0}),
    ("check_one_sided", {"both": False, "over": 1.0}),
    ("check_sign", {"over": -2.0}),
    ("check_drifting_parameter", {"left": -1.0}),
    ("check_drifting_parameter", {"left": 1.0}),
]


@pytest.mark.parametrize(
    "sizes",
    [(5, 4, 6, 3), *(pytest.param(other, marks=pytest.mark.thorough) for other in [(4, 5, 3), (3, 4, 5, 4, 3)])],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "how"),
    CHECKS,
)
def test_what_is_wrong_with_a_gradient_check_is_named(name, how, sizes):
    parameters, x, y, l2 = case(sizes, batch_norm=True)
    net = MLP(sizes, batch_norm=True, rng=RNG(0), dtype=np.float64)
    for key, value in parameters.items():
        net.parameters[key] = value
    for key, value in net.buffers.items():
        value[:] = RNG(3).uniform(0.5, 1.5, value.shape) + (0 if "var" in key else -1)
    slopes = checked(net, x, y, l2, **how)
    report = diagnose_numerical_gradients(slopes, parameters, x, y, l2, buffers=net.buffers)
    assert [finding.mistake for finding in report.findings] == ([name] if name else [])


# Test mode of a whole network


def class_scores(parameters, buffers, x, mean="running", gamma=True, beta=True, relu=True, eps=1e-5):
    depth = sum(is_weight(name) for name in parameters)
    for layer in range(1, depth + 1):
        x = x @ parameters[f"linear{layer}.weight"].T + parameters[f"linear{layer}.bias"]
        if layer < depth:
            running = mean == "running"
            m = buffers[f"bn{layer}.running_mean"] if running else x.mean(axis=0)
            v = buffers[f"bn{layer}.running_var"] if running else x.var(axis=0)
            x = (x - m) / np.sqrt(v + eps)
            x = x * (parameters[f"bn{layer}.weight"] if gamma else 1) + (parameters[f"bn{layer}.bias"] if beta else 0)
            x = np.maximum(x, 0) if relu else x
    return x


TEST_MODES = [
    (None, {}),
    (None, {"eps": 1e-8}),
    ("test_batch_statistics", {"mean": "batch"}),
    ("test_gamma_forgotten", {"gamma": False}),
    ("test_beta_forgotten", {"beta": False}),
    ("test_ones_and_zeros", {"gamma": False, "beta": False}),
    ("relu_skipped", {"relu": False}),
]


@pytest.mark.parametrize("sizes", ONE_OF_THEM, ids=str)
@pytest.mark.parametrize(
    ("name", "how"),
    TEST_MODES,
)
def test_what_is_wrong_at_test_time_is_named(name, how, sizes):
    parameters, x, _, _ = case(sizes, batch_norm=True)
    net = MLP(sizes, batch_norm=True, rng=RNG(0), dtype=np.float64)
    buffers = {key: RNG(1).uniform(0.5, 1.5, value.shape) for key, value in net.buffers.items()}
    logits = class_scores(parameters, buffers, x, **how)
    for answer in (
        logits,
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        lambda p, b, x: class_scores(p, b, x, **how),
    ):
        report = diagnose_test_mode(answer, parameters, buffers, x)
        assert [finding.mistake for finding in report.findings] == ([name] if name else [])
