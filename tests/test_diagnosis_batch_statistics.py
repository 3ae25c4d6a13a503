"""The diagnosis of statistics that are measured anew for test time: mistakes planted into a program are named."""

import numpy as np
import pytest

from manual_mlp import MLP, adaptive_batch_norm, diagnose_batch_statistics, precise_batch_norm

SOURCE = """
def measured(parameters, buffers, x, size):
    depth = sum(name.startswith("linear") and name.endswith("weight") for name in parameters)
    new = {}
    for layer in range(1, depth):
        means, variances, images = [], [], []
        for start in range(0, len(x), size):
            h = x[start : start + size]
            for below in range(1, layer + 1):
                z = h @ parameters[f"linear{below}.weight"].T + parameters[f"linear{below}.bias"]
                mean, variance = z.mean(axis=0), z.var(axis=0)
                normal = (z - mean) / np.sqrt(variance + 1e-5)
                out = parameters[f"bn{below}.weight"] * normal + parameters[f"bn{below}.bias"]
                h = np.maximum(out, 0)
            means.append(mean)
            variances.append(variance)
            images.append(len(h))
        share = np.array(images) / sum(images)
        mean = share @ np.array(means)
        variance = share @ (np.array(variances) + np.array(means) ** 2) - mean**2
        n = sum(images)
        new[f"bn{layer}.running_mean"] = mean
        new[f"bn{layer}.running_var"] = variance * n / (n - 1)
    return new
"""
NORMALIZED = "normal = (z - mean) / np.sqrt(variance + 1e-5)"
IN_TEST_MODE = 'normal = (z - buffers[f"bn{below}.running_mean"]) / np.sqrt(buffers[f"bn{below}.running_var"] + 1e-5)'
SQUARE = "share @ (np.array(variances) + np.array(means) ** 2) - mean**2"
KEPT_MEAN = 'new[f"bn{layer}.running_mean"] = mean'
KEPT = 'new[f"bn{layer}.running_var"] = variance * n / (n - 1)'
RUNNING = """
        mean, variance = buffers[f"bn{layer}.running_mean"], buffers[f"bn{layer}.running_var"]
        for m, v, k in zip(means, variances, images):
            mean, variance = 0.9 * mean + 0.1 * m, 0.9 * variance + 0.1 * v * k / (k - 1)
        n = 10**9
"""

MISTAKES = [
    # (the mistake's name, the first wrong place, what stands in the source, what stands there instead, ...)
    ("statistics_means_forgotten", "bn1.running_var", SQUARE, "share @ np.array(variances)"),
    (
        "statistics_means_forgotten",
        "bn1.running_var",
        "variances.append(variance)",
        "variances.append(z.var(axis=0, ddof=1))",
        SQUARE,
        "share @ np.array(variances)",
        " * n / (n - 1)",
        "",
    ),
    ("statistics_variance_of_means", "bn1.running_var", SQUARE, "share @ np.array(means) ** 2 - mean**2"),
    ("statistics_mean_not_taken_away", "bn1.running_var", " - mean**2", ""),
    (
        "statistics_unbiased_batches",
        "bn1.running_var",
        "variances.append(variance)",
        "variances.append(z.var(axis=0, ddof=1))",
    ),
    ("statistics_in_test_mode", "bn2.running_mean", NORMALIZED, IN_TEST_MODE),
    (
        "statistics_of_outputs",
        "bn1.running_mean",
        "means.append(mean)",
        "means.append(out.mean(axis=0))",
        "variances.append(variance)",
        "variances.append(out.var(axis=0))",
    ),
    ("statistics_of_one_batch", "bn1.running_mean", "range(0, len(x), size)", "[(len(x) - 1) // size * size]"),
    ("statistics_of_one_batch", "bn1.running_mean", "range(0, len(x), size)", "[0]"),
    ("statistics_last_batch_lost", "bn1.running_mean", "range(0, len(x), size)", "range(0, len(x) - size + 1, size)"),
    (
        "statistics_unweighed",
        "bn1.running_mean",
        "np.array(images) / sum(images)",
        "np.ones(len(images)) / len(images)",
    ),
    ("statistics_running", "bn1.running_mean", "        n = sum(images)\n", RUNNING),
    (
        "statistics_not_averaged",
        "bn1.running_mean",
        KEPT_MEAN,
        'new[f"bn{layer}.running_mean"] = sum(means)',
        KEPT,
        'new[f"bn{layer}.running_var"] = sum(variances)',
    ),
    ("statistics_std", "bn1.running_var", "variance * n / (n - 1)", "np.sqrt(variance * n / (n - 1))"),
    (
        "statistics_exchanged",
        "bn1.running_mean",
        KEPT_MEAN,
        'new[f"bn{layer}.running_var"] = mean',
        KEPT,
        'new[f"bn{layer}.running_mean"] = variance',
    ),
    ("statistics_not_replaced", "bn1.running_mean", "return new", "return buffers"),
]
SETTINGS = [((9, 7, 6, 4), 40, 15), ((5, 6, 7, 6, 3), 70, 20)]  # a network, images, of which so many a batch


def case(sizes, images):
    rng = np.random.default_rng(images)
    net = MLP(sizes, batch_norm=True, rng=rng, dtype=np.float64)
    for values in (net.parameters, net.buffers):
        for name, value in values.items():
            values[name] = rng.uniform(0.4, 1.6, value.shape) * (
                1 if "bn" in name else rng.choice([-1, 1], value.shape)
            )
    return net, rng.normal(1.0, 2.0, (images, sizes[0]))


def function(*exchanges):
    source = SOURCE
    for old, new in zip(exchanges[::2], exchanges[1::2], strict=True):
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    namespace = {"np": np}
    exec(compile(source, "<statistics with a mistake>", "exec"), namespace)
    return namespace["measured"]


def diagnosed(measured, sizes, images, size):
    net, x = case(sizes, images)
    return diagnose_batch_statistics(
        lambda p, b, x: measured(p, b, x, size), net.parameters, x, size, buffers=net.buffers
    )


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{m[0]}-{i}" for i, m in enumerate(MISTAKES)])
def test_a_mistake_in_the_statistics_is_found_and_named(mistake, setting):
    name, place, *exchanges = mistake
    report = diagnosed(function(*exchanges), *setting)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, name)]
    assert "running-averages-and-test-time" in report.findings[0].link


RIGHT = {
    "ours": ([], []),
    "biased": ([" * n / (n - 1)", ""], ["the variance is the biased one, divided by N; here it is divided by N - 1"]),
    "another eps": (["1e-5", "1e-3"], ["eps is 0.001 here, where torch has 1e-05"]),
}


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize(("exchanges", "notes"), RIGHT.values(), ids=RIGHT)
def test_right_statistics_are_never_accused(exchanges, notes, setting):
    report = diagnosed(function(*exchanges), *setting)
    assert report.ok, report
    assert report.notes == notes


ALONE = "the last batch is one image alone, whose variance is 0; here it joins the batch before it"


@pytest.mark.parametrize(
    ("mistake", "exchanges"),
    [
        (None, []),
        ("statistics_last_batch_lost", ["range(0, len(x), size)", "range(0, len(x) - size + 1, size)"]),
        ("statistics_means_forgotten", [SQUARE, "share @ np.array(variances)"]),
        ("statistics_running", ["        n = sum(images)\n", RUNNING.replace("(k - 1)", "max(k - 1, 1)")]),
    ],
)
def test_a_last_batch_of_one_image_may_stand_alone(mistake, exchanges):
    report = diagnosed(function(*exchanges), (9, 7, 6, 4), 31, 15)
    assert [finding.mistake for finding in report.findings] == ([mistake] if mistake else [])
    assert mistake or report.notes == [ALONE]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"eps": "a"}, "eps is 'a'; it must be a finite number"),
        ({"buffers": {"a": 1}}, "buffers has 'a'; of this network it may have bn1.running_mean"),
        ({"buffers": {"bn1.running_mean": 1}}, r"buffers\['bn1.running_mean'\] has shape \(\); it must be \(7,\)"),
        ({"buffers": {"bn1.running_mean": ["a"]}}, r"buffers\['bn1.running_mean'\] has dtype <U1"),
        (
            {"buffers": {"bn2.running_var": [1, np.inf, 1, 1, 1, 1]}},
            r"buffers\['bn2.running_var'\]\[1\] is inf; every value must be a finite number",
        ),
        ({"batch_size": 41}, "batch_size is 41, but x has 40 images; give at most so many"),
        ({"batch_size": 1}, "batch_size is 1; it must be an integer of at least 2"),
        ({"buffers": 3}, "buffers is a int; it must be a dictionary"),
    ],
    ids=str,
)
def test_settings_that_say_nothing_are_refused(settings, words):
    net, x = case((9, 7, 6, 4), 40)
    with pytest.raises(ValueError, match=words):
        diagnose_batch_statistics(net.buffers, net.parameters, x, **settings)


@pytest.mark.parametrize(
    ("normalizing", "kept", "note"),
    [
        (1, 1, "each layer is measured behind layers that are in test mode already"),
        (0, 1, "all images are one batch"),
        (0, 0, "all images are one batch, and the variance is the biased one"),
    ],
)
def test_layers_that_are_measured_one_after_the_other_are_noted(normalizing, kept, note):
    def one_after_the_other(p, _, x, __):
        new, h = {}, x
        for layer in (1, 2):
            z = h @ p[f"linear{layer}.weight"].T + p[f"linear{layer}.bias"]
            mean, var = z.mean(axis=0), z.var(axis=0, ddof=normalizing)
            new |= {f"bn{layer}.running_mean": mean, f"bn{layer}.running_var": z.var(axis=0, ddof=kept)}
            h = np.maximum(p[f"bn{layer}.weight"] * (z - mean) / np.sqrt(var + 1e-5) + p[f"bn{layer}.bias"], 0)
        return new

    report = diagnosed(one_after_the_other, *SETTINGS[0])
    assert report.ok, report
    assert report.notes[0].startswith(note)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(2,), (13,), (40,), ()], ids=["2", "13", "40", "not told"])
def test_ours_are_right_in_both_precisions(size, dtype):
    values, x = case((9, 7, 6, 4), 40)
    net = MLP((9, 7, 6, 4), batch_norm=True, rng=np.random.default_rng(0), dtype=dtype)
    for name, value in values.parameters.items():
        net.parameters[name] = value
    precise_batch_norm(net, x, *size)
    report = diagnose_batch_statistics(net.buffers, values.parameters, x, *size)
    assert report.ok, report
    adaptive_batch_norm(net, x)
    assert diagnose_batch_statistics(net.buffers, values.parameters, x, len(x)).ok


@pytest.mark.parametrize("told", [True, False])
def test_statistics_of_a_network_with_skips_and_batch_norm_behind_the_relu(told):
    settings = {"relu_first": True, "skips": (2,)}
    net = MLP((9, 6, 6, 4), batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64, **settings)
    x = np.random.default_rng(1).normal(size=(40, 9))
    precise_batch_norm(net, x, 13)
    assert diagnose_batch_statistics(net.buffers, net.parameters, x, 13, **(settings if told else {})).ok == told


@pytest.mark.parametrize(
    ("answer", "mistake", "words"),
    [
        (lambda *_: 3, "wrong_type", "they are a int; they must be a dictionary"),
        (lambda *_: {}, "unfilled", "bn1.running_mean: it is None"),
        (lambda *given: given[2] @ given[2], "raises", "ValueError"),
        (lambda *_: None, "statistics_not_replaced", "the old statistics are still there"),
    ],
    ids=["type", "empty", "raises", "unchanged"],
)
def test_strange_answers_are_said_in_words(answer, mistake, words):
    net, x = case((9, 7, 6, 4), 40)
    report = diagnose_batch_statistics(answer, net.parameters, x, 15, buffers=net.buffers)
    assert report.findings[0].mistake == mistake
    assert words in str(report)


def test_a_network_without_batch_norm_has_no_statistics():
    net = MLP((4, 3, 2), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="parameters have no batch normalization"):
        diagnose_batch_statistics({}, net.parameters, np.ones((5, 4)))
