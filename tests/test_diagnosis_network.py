"""A whole network's diagnosis: mistakes planted into the source of a student's network are found and named."""

import inspect

import numpy as np
import pytest
import student

from manual_mlp import MLP, diagnose
from manual_mlp.blocks import layer_names
from manual_mlp.diagnosis import reference
from torch_reference import autograd_gradients

SOURCE = inspect.getsource(student)
ARCHITECTURES = [(6, 5, 4), (6, 7, 5, 4), (5, 6, 8, 7, 3)]

# (the mistake's name, what stands in the source, what stands there instead); `None` for the name: none of the known
FORWARD = [
    ("relu_wrong_side", "h = np.maximum(0, s)", "h = np.minimum(0, s)"),
    ("log2", "np.log(p_right)", "np.log2(p_right)"),
    ("penalty_averaged", "reg += l2 * np.sum(params", "reg += l2 * np.mean(params"),
    ("bias_not_added", "s = W @ X[i - 1] + b", "s = W @ X[i - 1]"),
    ("relu_skipped", "h = np.maximum(0, s)", "h = s"),
    ("relu_skipped", "h = np.maximum(0, s)", "h = s if i == 1 else np.maximum(0, s)"),
    ("relu_leaky", "h = np.maximum(0, s)", "h = np.where(s > 0, s, 0.01 * s)"),
    ("relu_absolute_value", "h = np.maximum(0, s)", "h = np.abs(s)"),
    ("relu_on_scores", "    return scores, X", "    scores = np.maximum(0, scores)\n    return scores, X"),
    (
        "softmax_on_scores",
        "    return scores, X",
        "    scores = np.exp(scores) / np.exp(scores).sum(axis=0)\n    return scores, X",
    ),
    ("sigmoid_on_scores", "    return scores, X", "    scores = 1 / (1 + np.exp(-scores))\n    return scores, X"),
    ("relu_is_another_activation", "h = np.maximum(0, s)", "h = np.tanh(s)"),
    ("relu_is_another_activation", "h = np.maximum(0, s)", "h = 1 / (1 + np.exp(-s))"),
    ("log10", "np.log(p_right)", "np.log10(p_right)"),
    ("eps_in_log", "np.log(p_right)", "np.log(p_right + 1e-6)"),
    ("loss_summed", "np.sum(np.log(p_right)) / n", "np.sum(np.log(p_right))"),
    ("loss_fixed_batch_size", "np.sum(np.log(p_right)) / n", "np.sum(np.log(p_right)) / 100"),
    ("loss_over_classes", "np.sum(np.log(p_right)) / n", "np.sum(np.log(p_right)) / P.size"),
    ("loss_sign", "loss = -np.sum", "loss = np.sum"),
    ("softmax_wrong_axis", "e / np.sum(e, axis=0)", "np.exp(s) / np.sum(np.exp(s), axis=1, keepdims=True)"),
    ("penalty_missing_in_cost", "return loss + reg", "return loss"),
    ("penalty_missing_in_cost", "range(1, k + 1):\n        reg", "range(1, k):\n        reg"),
    ("penalty_missing_in_cost", "range(1, k + 1):\n        reg", "range(2, k + 1):\n        reg"),
    ("penalty_half_in_cost", "reg += l2 *", "reg += 0.5 * l2 *"),
    ("penalty_over_n", "reg += l2 *", "reg += l2 / P.shape[1] *"),
    ("penalty_on_biases", "reg += l2 *", 'reg += l2 * np.sum(params[f"linear{i}.bias"] ** 2) + l2 *'),
    (
        "penalty_not_squared",
        'l2 * np.sum(params[f"linear{i}.weight"] ** 2)',
        'l2 * np.linalg.norm(params[f"linear{i}.weight"])',
    ),
    ("penalty_subtracted", "return loss + reg", "return loss - reg"),
    ("penalty_twice_in_cost", "return loss + reg", "return loss + 2 * reg"),
]
BACKWARD = [
    ("bias_gradient_missing", 'bias"] = np.sum(g, axis=1)', 'bias"] = np.zeros(len(g))'),
    ("bias_gradient_of_one_image", 'bias"] = np.sum(g, axis=1)', 'bias"] = g[:, -1]'),
    ("weight_gradient_missing", "g @ X[i - 1].T", "0 * W"),
    ("relu_sigmoid_derivative", "g * (X[i - 1] > 0)", "g * X[i - 1] * (1 - X[i - 1])"),
    ("loss_gradient_over_classes", "(P - Y) / n", "(P - Y) / P.size"),
    ("loss_gradient_with_softmax_derivative", "(P - Y) / n", "(P - Y) * P * (1 - P) / n"),
    ("penalty_times_n", " + 2 * l2 * W", " + 2 * l2 * W * n"),
    ("penalty_without_l2", "reg += l2 * np.sum(", "reg += np.sum("),
    ("penalty_without_l2", " + 2 * l2 * W", " + 2 * W"),
    ("loss_gradient_summed", "(P - Y) / n", "(P - Y)"),
    ("loss_gradient_fixed_batch_size", "(P - Y) / n", "(P - Y) / 100"),
    ("loss_gradient_averaged_twice", "(P - Y) / n", "(P - Y) / n / n"),
    ("loss_gradient_sign", "(P - Y) / n", "(Y - P) / n"),
    ("loss_gradient_without_labels", "(P - Y) / n", "P / n"),
    ("penalty_missing_in_gradient", " + 2 * l2 * W", ""),
    ("penalty_missing_in_gradient", " + 2 * l2 * W", " + 2 * l2 * W * (i > 1)"),
    ("penalty_twice", " + 2 * l2 * W", " + 4 * l2 * W"),
    ("penalty_gradient_without_two", " + 2 * l2 * W", " + l2 * W"),
    ("penalty_over_n", " + 2 * l2 * W", " + 2 * l2 * W / n"),
    ("penalty_l2_squared", " + 2 * l2 * W", " + 2 * l2**2 * W"),
    ("penalty_hard_coded", " + 2 * l2 * W", " + 2 * 0.03 * W"),
    ("penalty_sign", " + 2 * l2 * W", " - 2 * l2 * W"),
    ("penalty_on_gradient", "g @ X[i - 1].T + 2 * l2 * W", "(1 + 2 * l2) * (g @ X[i - 1].T)"),
    (
        "penalty_on_biases",
        'bias"] = np.sum(g, axis=1)',
        'bias"] = np.sum(g, axis=1) + 2 * l2 * params[f"linear{i}.bias"]',
    ),
    ("bias_gradient_averaged", 'bias"] = np.sum(g, axis=1)', 'bias"] = np.mean(g, axis=1)'),
    ("bias_gradient_not_averaged", 'bias"] = np.sum(g, axis=1)', 'bias"] = n * np.sum(g, axis=1)'),
    ("weight_gradient_not_averaged", "g @ X[i - 1].T", "n * g @ X[i - 1].T"),
    (
        "gradients_not_averaged",
        'X[i - 1].T + 2 * l2 * W\n        grads[f"linear{i}.bias"] = np.sum(g, axis=1)',
        'X[i - 1].T * n ** (i == k) + 2 * l2 * W\n        grads[f"linear{i}.bias"] = np.sum(g, axis=1) * n ** (i == k)',
    ),
    ("bias_gradient_wrong_axis", 'bias"] = np.sum(g, axis=1)', 'bias"] = np.sum(g, axis=0)'),
    ("bias_gradient_one_sum", 'bias"] = np.sum(g, axis=1)', 'bias"] = np.sum(g) * np.ones(len(g))'),
    ("weight_gradient_averaged", "g @ X[i - 1].T", "g @ X[i - 1].T / n"),
    ("weight_gradient_from_preactivation", "g @ X[i - 1].T", "g @ (S[i - 2] if i > 1 else X[0]).T"),
    ("relu_not_masked", "g = g * (X[i - 1] > 0)", "pass"),
    ("relu_mask_inverted", "g * (X[i - 1] > 0)", "g * (X[i - 1] <= 0)"),
    ("relu_mask_from_gradient", "g * (X[i - 1] > 0)", "g * (g > 0)"),
    ("relu_upstream_ignored", "g * (X[i - 1] > 0)", "1.0 * (X[i - 1] > 0)"),
    ("relu_multiplied_by_activation", "g * (X[i - 1] > 0)", "g * X[i - 1]"),
    ("scores_masked", "        W = params", "        if i == k:\n            g = g * (scores > 0)\n        W = params"),
]
BATCH_NORM = [
    ("bn_one_mean_for_all", "mu = np.mean(s, axis=1, keepdims=True)", "mu = np.full((len(s), 1), np.mean(s))"),
    ("bn_variance_not_averaged", "v = np.mean((s", "v = np.sum((s"),
    ("bn_dgamma_from_out", "np.sum(g * s_hat, axis=1)", "np.sum(g * s_hat * gamma, axis=1)"),
    ("bn_parameter_gradients_after_gamma", "np.sum(g, axis=1)\n    g =", "np.sum(g * gamma, axis=1)\n    g ="),
    ("bn_dbeta_missing", "np.sum(g, axis=1)\n    g =", "np.zeros(len(g))\n    g ="),
    ("bn_direct_term_dropped", "g = g1 - np.sum(g1", "g = -np.sum(g1"),
    ("bn_terms_not_averaged", "keepdims=True) / n - d * c / n", "keepdims=True) - d * c"),
    (  # without batch normalization a gradient of the loss that is divided twice gives the same numbers
        "averaged_twice",
        'X[i - 1].T + 2 * l2 * W\n        grads[f"linear{i}.bias"] = np.sum(g, axis=1)',
        'X[i - 1].T / n + 2 * l2 * W\n        grads[f"linear{i}.bias"] = np.mean(g, axis=1)',
    ),
    ("bn_eps_outside_root", "np.sqrt(v + EPS)", "(np.sqrt(v) + EPS)"),
    ("bn_variance_for_std", "/ np.sqrt(v + EPS)", "/ (v + EPS)"),
    (
        "bn_variance_unbiased",
        "v = np.mean((s - mu) ** 2, axis=1, keepdims=True)",
        "v = np.var(s, axis=1, keepdims=True, ddof=1)",
    ),
    (
        "bn_one_variance_for_all",
        "v = np.mean((s - mu) ** 2, axis=1, keepdims=True)",
        "v = np.var(s, axis=1, keepdims=True)[0] + 0 * mu",
    ),
    ("bn_one_variance_for_all", "v = np.mean((s - mu) ** 2, axis=1, keepdims=True)", "v = np.var(s) + 0 * mu"),
    (
        "bn_wrong_axis",
        "mu = np.mean(s, axis=1, keepdims=True)\n            v = np.mean((s - mu) ** 2, axis=1, keepdims=True)",
        "mu = np.mean(s, axis=0, keepdims=True)\n            v = np.mean((s - mu) ** 2, axis=0, keepdims=True)",
    ),
    ("bn_mean_not_subtracted", "s_hat = (s - mu) /", "s_hat = s /"),
    ("bn_variance_not_centered", "v = np.mean((s - mu) ** 2,", "v = np.mean(s**2,"),
    ("bn_ones_and_zeros", "s = gamma * s_hat + beta", "s = s_hat"),
    ("bn_skipped", "s = gamma * s_hat + beta", "pass"),
    (
        "bn_running_statistics",
        "mu = np.mean(s, axis=1, keepdims=True)\n            v = np.mean((s - mu) ** 2, axis=1, keepdims=True)",
        "mu, v = np.zeros((len(s), 1)), np.ones((len(s), 1))",
    ),
    ("bn_parameter_gradients_averaged", "return g, grad_gamma, grad_beta", "return g, grad_gamma / n, grad_beta / n"),
    ("bn_gamma_forgotten", "s = gamma * s_hat + beta", "s = s_hat + beta"),
    ("bn_beta_forgotten", "s = gamma * s_hat + beta", "s = gamma * s_hat"),
    ("bn_bias_for_beta", "s = gamma * s_hat + beta", "s = gamma * s_hat + b"),
    ("bn_gamma_beta_exchanged", "s = gamma * s_hat + beta", "s = beta * s_hat + gamma"),
    (
        "penalty_on_gamma_and_beta",
        "reg += l2 *",
        """for p in ("weight", "bias") if i < k else ():
            reg += l2 * np.sum(params[f"bn{i}.{p}"] ** 2)
        reg += l2 *""",
    ),
    ("bn_dgamma_from_x", "np.sum(g * s_hat, axis=1)", "np.sum(g * s, axis=1)"),
    ("bn_dgamma_averaged", "np.sum(g * s_hat, axis=1)", "np.mean(g * s_hat, axis=1)"),
    ("bn_dbeta_averaged", "grad_beta = np.sum", "grad_beta = np.mean"),
    ("bn_parameter_gradients_not_averaged", "grad_beta = np.sum", "grad_beta = n * np.sum"),
    ("bn_parameter_gradients_not_averaged", "grad_gamma = np.sum", "grad_gamma = n * np.sum"),
    (
        "bn_parameter_gradients_not_averaged",
        "return g, grad_gamma, grad_beta",
        "return g, n * grad_gamma, n * grad_beta",
    ),
    ("bn_gradients_exchanged", "return g, grad_gamma, grad_beta", "return g, grad_beta, grad_gamma"),
    ("bn_gamma_missing_in_dx", "g = g * gamma", "pass"),
    ("bn_statistics_constant", "g = g1 - np.sum(g1, axis=1, keepdims=True) / n - d * c / n", "g = g1"),
    ("bn_mean_constant", "g1 - np.sum(g1, axis=1, keepdims=True) / n", "g1"),
    ("bn_variance_constant", " - d * c / n", ""),
    ("bn_mean_term_sign", "g1 - np.sum(g1", "g1 + np.sum(g1"),
    ("bn_variance_term_sign", "- d * c / n", "+ d * c / n"),
    ("bn_variance_term_not_averaged", "- d * c / n", "- d * c"),
    ("bn_mean_term_not_averaged", "keepdims=True) / n - d", "keepdims=True) - d"),
    ("bn_variance_term_power", "** -1.5", "** -1"),
    ("bn_variance_term_not_halved", "- d * c / n", "- 2 * d * c / n"),
    ("bn_variance_term_unbiased", "- d * c / n", "- d * c / (n - 1)"),
    ("bn_dx_hat_for_x_hat", "- d * c / n", "- g * c / n"),
    ("bn_x_for_x_hat", "- d * c / n", "- s * c / n"),
    (
        "bn_eps_outside_root_backward",
        "sigma1 = (v + EPS) ** -0.5\n    sigma2 = (v + EPS) ** -1.5",
        "sigma1 = 1 / (np.sqrt(v) + EPS)\n    sigma2 = sigma1**3",
    ),
    ("bn_eps_missing_backward", "sigma2 = (v + EPS) ** -1.5", "sigma2 = v**-1.5"),
    ("bn_inv_std_missing_in_dx", "g = g1 - np.sum", "g = g - np.sum"),
    ("bn_parameter_gradients_wrong_axis", "grad_beta = np.sum(g, axis=1)", "grad_beta = np.sum(g, axis=0)"),
    ("relu_mask_before_batch_norm", "g * (X[i - 1] > 0)", "g * ((S[i - 2] if bn else X[i - 1]) > 0)"),
]


def with_mistake(*replacements):
    """The student's cost_and_gradients with other words in its source."""
    source = SOURCE
    for old, new in replacements:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    namespace = {}
    exec(compile(source, "<student with a mistake>", "exec"), namespace)
    return namespace["cost_and_gradients"]


def case(sizes, batch_norm, seed=0):
    """Parameters, a batch and l2, everything off its default."""
    rng = np.random.default_rng([seed, *sizes, batch_norm])
    net = MLP(sizes, batch_norm=batch_norm, rng=rng, dtype=np.float64)
    parameters = {}
    for name, value in net.parameters.items():
        parameters[name] = value.copy()
        if name.endswith("bias"):
            parameters[name] = rng.normal(0, 0.5, value.shape)
        elif name.startswith("bn"):
            parameters[name] = rng.uniform(0.5, 1.5, value.shape) * rng.choice([-1, 1], value.shape)
    return parameters, rng.normal(size=(9, sizes[0])), rng.integers(0, sizes[-1], 9), 0.1


def places(parameters):
    """In the order of computation and of back-propagation."""
    depth = sum(name.startswith("linear") for name in parameters) // 2
    order = ["cost"]
    for layer in reversed(range(1, depth + 1)):
        names = layer_names(layer)
        order += [name for name in (names.beta, names.gamma, names.bias, names.weight) if name in parameters]
    return order


def first_difference(function, parameters, x, y, l2):
    """The first place at which a planted mistake changes the student's numbers, whichever the batch and l2."""
    off = set()
    for rows, strength in ((slice(None), l2), (slice(None), 0.0), (slice(5), l2)):
        cost, gradients = student.cost_and_gradients(parameters, x[rows], y[rows], strength)
        with np.errstate(all="ignore"):
            other_cost, others = function(parameters, x[rows], y[rows], strength)
        scale = max(np.abs(gradient).max() for gradient in gradients.values())
        if abs(other_cost - cost) > 1e-9:
            off.add("cost")
        for name, gradient in gradients.items():
            if np.shape(others[name]) != gradient.shape or not np.allclose(
                others[name], gradient, rtol=0, atol=1e-9 * scale
            ):
                off.add(name)
    return next(place for place in places(parameters) if place in off)


# what batch normalization hides: it takes a bias out again, and the sum over all of dlogits is 0, as a missing one is
HIDDEN = ("bias_not_added", "bias_gradient_one_sum")
MISTAKES = [(False, *mistake) for mistake in [*FORWARD, *BACKWARD]]
MISTAKES += [(True, *mistake) for mistake in [*FORWARD, *BACKWARD, *BATCH_NORM] if mistake[0] not in HIDDEN]


PLANTED = [  # every other mistake in one architecture, in turn; all in all three where one is thorough
    pytest.param(
        sizes,
        *mistake,
        id=f"{mistake[1]}-{'bn' if mistake[0] else 'plain'}-{number}-{'-'.join(map(str, sizes))}",
        marks=() if (number + turn * 2) % (2 * len(ARCHITECTURES)) == 0 else pytest.mark.thorough,
    )
    for number, mistake in enumerate(MISTAKES)
    for turn, sizes in enumerate(ARCHITECTURES)
]


@pytest.mark.parametrize(("sizes", "batch_norm", "name", "old", "new"), PLANTED)
def test_a_planted_mistake_is_found_and_named(sizes, batch_norm, name, old, new):
    mistaken, batch = with_mistake((old, new)), case(sizes, batch_norm)
    report = diagnose(mistaken, *batch)
    assert report.findings[0].place == first_difference(mistaken, *batch)
    assert report.findings[0].mistake == name
    assert len(report.findings) == 1  # nothing that only follows from it


UNMASKED = ("g = (P - Y) / n", "g = raw = (P - Y) / n"), ("g = W.T @ g\n", "g = raw = W.T @ g\n")

SEVERAL_LINES = [  # (the mistake's name, the sizes, what stands where)
    *(
        (name, sizes, *replacements)
        for sizes in ARCHITECTURES
        for name, *replacements in [
            ("penalty_missing", ("return loss + reg", "return loss"), (" + 2 * l2 * W", "")),
            ("penalty_l2_squared", ("reg += l2 *", "reg += l2**2 *"), (" + 2 * l2 * W", " + 2 * l2**2 * W")),
            ("penalty_hard_coded", ("reg += l2 *", "reg += 0.03 *"), (" + 2 * l2 * W", " + 2 * 0.03 * W")),
            ("penalty_half", ("reg += l2 *", "reg += 0.5 * l2 *"), (" + 2 * l2 * W", " + l2 * W")),
            (
                "penalty_on_everything",
                ("return loss + reg", "return loss + l2 * sum(np.sum(v**2) for v in params.values())"),
                ("+ 2 * l2 * W\n", "\n"),
                (
                    "    return cost_of(",
                    "    grads = {name: g + 2 * l2 * params[name] for name, g in grads.items()}\n    return cost_of(",
                ),
            ),
            ("gradient_before_mask", *UNMASKED, ("= g @ X[i - 1].T", "= raw @ X[i - 1].T")),
            (
                "gradient_before_mask",
                *UNMASKED,
                ("np.sum(g, axis=1)\n        if i", "np.sum(raw, axis=1)\n        if i"),
            ),
            (
                "bn_after_relu",
                ("s = W @ X[i - 1] + b", "s = np.maximum(0, W @ X[i - 1] + b)"),
                ("h = np.maximum(0, s)", "h = s"),
                ("            g = g * (X[i - 1] > 0)\n", ""),
                ("= back\n", "= back\n            g = g * (S[i - 2] > 0)\n"),
            ),
        ]
    ),
    # only where the layers are equally wide do the shapes fit
    ("relu_mask_from_layer_input", (5, 5, 4), ("g * (X[i - 1] > 0)", "g * (X[i - 2] > 0)")),
    ("relu_mask_from_layer_input", (5, 5, 5, 4), ("g * (X[i - 1] > 0)", "g * (X[i - 2] > 0)")),
    ("relu_mask_from_layer_input", (6, 6, 6, 6, 3), ("g * (X[i - 1] > 0)", "g * (X[i - 2] > 0)")),
]


@pytest.mark.parametrize(
    ("name", "sizes", "replacements"),
    [
        pytest.param(
            name,
            sizes,
            replacements,
            id=f"{name}-{'-'.join(map(str, sizes))}",
            marks=() if len(sizes) == 3 else pytest.mark.thorough,
        )
        for name, sizes, *replacements in SEVERAL_LINES
    ],
)
def test_a_mistake_of_several_lines_is_found_and_named(name, sizes, replacements):
    mistaken, batch = with_mistake(*replacements), case(sizes, batch_norm=True)
    report = diagnose(mistaken, *batch)
    assert report.findings[0].place == first_difference(mistaken, *batch)
    assert [finding.mistake for finding in report.findings] == [name]


PAIRS = [
    ("log10", "penalty_missing_in_gradient"),
    ("loss_summed", "bn_variance_unbiased"),
    ("bn_one_variance_for_all", "relu_on_scores"),
    ("eps_in_log", "bn_mean_constant"),
    ("penalty_half_in_cost", "penalty_missing_in_gradient"),
    ("relu_not_masked", "bias_gradient_averaged"),
    ("bn_dgamma_averaged", "bn_variance_term_sign"),
    ("bn_mean_constant", "bn_variance_term_not_averaged"),
    ("loss_gradient_summed", "bn_gamma_missing_in_dx"),
    ("bn_beta_forgotten", "bn_eps_outside_root"),
]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_pairs_of_mistakes_are_both_named(pair):
    replacements = [next(m[1:] for m in [*FORWARD, *BACKWARD, *BATCH_NORM] if m[0] == name) for name in pair]
    mistaken, batch = with_mistake(*replacements), case((6, 7, 5, 4), batch_norm=True)
    report = diagnose(mistaken, *batch)
    assert report.findings[0].place == first_difference(mistaken, *batch)
    assert {finding.mistake for finding in report.findings} == set(pair)


def ours(dtype=np.float64):
    def cost_and_gradients(parameters, x, y, l2):
        sizes = [
            x.shape[1],
            *(len(value) for name, value in parameters.items() if name.endswith("weight") and "linear" in name),
        ]
        net = MLP(sizes, batch_norm="bn1.weight" in parameters, rng=np.random.default_rng(0), dtype=dtype)
        for name, value in parameters.items():
            net.parameters[name] = value
        return net.cost_and_gradients(x, y, l2)

    return cost_and_gradients


def torchs(parameters, x, y, l2):
    sizes = [
        x.shape[1],
        *(len(value) for name, value in parameters.items() if name.endswith("weight") and "linear" in name),
    ]
    net = MLP(sizes, batch_norm="bn1.weight" in parameters, rng=np.random.default_rng(0), dtype=np.float64)
    for name, value in parameters.items():
        net.parameters[name] = value
    return net.cost(x, y, l2, training=True), autograd_gradients(net, x, y, l2)


RIGHT = {
    "ours": ours(),
    "ours in float32": ours(np.float32),
    "torch": torchs,
    "the student": student.cost_and_gradients,
}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("sizes", [(6, 4), *ARCHITECTURES], ids=str)
@pytest.mark.parametrize("right", RIGHT)
def test_what_is_right_is_never_accused(right, sizes, batch_norm, seed):
    if batch_norm and len(sizes) == 2:
        pytest.skip("no hidden layer")
    report = diagnose(RIGHT[right], *case(sizes, batch_norm, seed))
    assert report.ok, report


def single(parameters, x, y, l2):
    """The student in float32."""
    parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    cost, gradients = student.cost_and_gradients(parameters, x.astype(np.float32), y, l2)
    return cost, {name: gradient.astype(np.float32) for name, gradient in gradients.items()}


def times(factor, *ends):
    return lambda parameters, x: ({n: v * factor if n.endswith(ends) else v for n, v in parameters.items()}, x)


@pytest.mark.parametrize(
    ("right", "n", "change"),
    [
        (single, 2, lambda parameters, x: (parameters, x)),
        (student.cost_and_gradients, 2, lambda parameters, x: (parameters, 1e4 * x)),
        (student.cost_and_gradients, 7, lambda parameters, x: (parameters, 1e-8 * x)),
        (student.cost_and_gradients, 7, times(0.0, "bn1.weight", "bn2.weight")),
        (ours(), 7, lambda parameters, x: (parameters, np.tile(x[:1], (7, 1)))),
        (ours(), 7, lambda parameters, x: (parameters, 0 * x)),
        (ours(np.float32), 7, lambda parameters, x: (parameters, x + 100)),
        (ours(np.float32), 7, times(1e-4, "linear1.weight", "linear2.weight", "linear3.weight")),
    ],
    ids=["float32", "large", "tiny", "gammas 0", "one image", "black", "far from 0", "small weights"],
)
def test_what_is_right_is_not_accused_where_only_rounding_is_left(right, n, change):
    """A batch of two images, features that do not vary: what is left of the gradients is rounding."""
    parameters, x, y, l2 = case((6, 7, 5, 4), batch_norm=True)
    parameters, x = change(parameters, x[:n])
    report = diagnose(right, parameters, x, y[:n], l2)
    assert report.ok, report


def test_what_is_right_is_not_accused_where_rounding_grows_from_layer_to_layer():
    """Behind a bias, float32 loses images of 1e-8: what is left of them is rounding, which each layer normalizes."""
    parameters, x, y, l2 = case((5, 6, 8, 7, 3), batch_norm=True)
    report = diagnose(single, parameters, 1e-8 * x[:7], y[:7], l2)
    assert report.ok, report


def test_what_is_right_is_not_accused_where_rounding_is_all_there_is():
    """Nine layers that normalize what is the same for all images: what comes back to the first ones is rounding."""
    parameters, x, y, _ = case((6,) * 9 + (3,), batch_norm=True, seed=1)
    batch = parameters, 0 * x[:7], y[:7], 0.0
    report = diagnose(ours(np.float32)(*batch), *batch)
    assert report.ok, report
    assert "linear1.weight" not in report.agreeing  # any number would have done
    assert "linear1.weight only rounding is left" in report.notes[-1]
    assert "linear9.weight" in report.agreeing


@pytest.mark.parametrize(("right", "share"), [(student.cost_and_gradients, 1e-7), (single, 1e-3)], ids=["64", "32"])
@pytest.mark.parametrize("name", ["linear1.weight", "bn1.weight"])
def test_rounding_excuses_no_small_mistake(right, share, name):
    """In the first layer, where the rounding of all others has come together."""

    def mistaken(*batch):
        cost, gradients = right(*batch)
        return cost, gradients | {name: gradients[name] * gradients[name].dtype.type(1 + share)}

    report = diagnose(mistaken, *case((6, 7, 7, 5, 4), batch_norm=True))
    assert [finding.place for finding in report.findings] == [name]


@pytest.mark.parametrize(("right", "factor"), [(student.cost_and_gradients, 1e4), (single, 150)])
def test_what_is_wrong_for_huge_class_scores_alone_is_a_remark(right, factor):
    """float32 has no probabilities below 1e-45, float64 none below 1e-323."""
    parameters, x, y, l2 = case((6, 7, 5, 4), batch_norm=False)
    with np.errstate(all="ignore"):
        report = diagnose(right, parameters, factor * x, y, l2)
    assert report.ok, report
    assert [finding.mistake for finding in report.findings] == ["log_of_softmax"]


def test_numbers_in_single_precision_that_do_not_say_so_are_described_as_such():
    def unsaid(*batch):
        cost, gradients = single(*batch)
        return float(cost), {name: gradient.astype(float) for name, gradient in gradients.items()}

    report = diagnose(unsaid, *case((6, 7, 5, 4), batch_norm=True))
    assert "as if computed in float32" in report.findings[0].sentence


@pytest.mark.parametrize(
    ("answer", "settings", "words"),
    [
        (5, {}, "answer is a int; it must be a function"),
        ({"cost": 1.0}, {}, "answer is a dict"),
        (student.cost_and_gradients, {"eps": "small"}, "eps is 'small'"),
        (student.cost_and_gradients, {"tolerance": -1}, "tolerance is -1"),
        (student.cost_and_gradients, {"tolerance": 0}, "tolerance is 0; it must be a finite number of at least 2"),
    ],
)
def test_what_is_no_answer_and_no_setting_is_refused(answer, settings, words):
    with pytest.raises(ValueError, match=words):
        diagnose(answer, *case((6, 5, 4), batch_norm=False), **settings)


@pytest.mark.parametrize("pair", [(1.0, None), (1.0, 5), (1.0,), []])
def test_a_pair_that_is_none_is_said_in_words(pair):
    report = diagnose(pair, *case((6, 5, 4), batch_norm=False))
    assert [finding.mistake for finding in report.findings] == ["wrong_type"]


@pytest.mark.parametrize(("eps", "words"), [(1e-8, "1e-08"), (1e-3, "0.001"), (2.2e-16, "next to 0"), (0, "next to 0")])
def test_another_eps_is_a_convention_not_a_mistake(eps, words):
    mistaken = with_mistake(("EPS = 1e-5", f"EPS = {eps}"))
    report = diagnose(mistaken, *case((6, 7, 5, 4), batch_norm=True))
    assert report.ok, report
    assert report.notes == [f"eps is {words} here, where torch has 1e-05"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [m for m in [*BACKWARD, *BATCH_NORM] if m[0] in ("relu_not_masked", "penalty_sign", "bn_mean_constant", "log10")],
)
def test_the_arrays_of_one_batch_are_enough(name, old, new):
    batch = case((6, 7, 5, 4), batch_norm=True)
    mistaken = with_mistake((old, new))
    report = diagnose(mistaken(*batch), *batch)
    assert report.findings[0].mistake == name
    assert report.findings[0].place == first_difference(mistaken, *batch)


def test_one_number_is_not_called_proportional():
    mistaken = with_mistake(("np.maximum(0, s)", "np.sin(s)"))
    report = diagnose(mistaken, *case((6, 7, 5, 4), batch_norm=True))
    assert (report.findings[0].place, report.findings[0].mistake) == ("cost", None)
    assert "proportional" not in report.findings[0].sentence


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("g @ X[i - 1].T", "1.7 * (g @ X[i - 1].T)", "it is 1.7 times what it should be"),
        ("np.sum(g, axis=1)\n        if", "-n * np.sum(g, axis=1)\n        if", "it is -n times what it should be"),
        ("np.sum(g, axis=1)\n        if", "3 * n * np.sum(g, axis=1)\n        if", "it is 3 n times what it"),
        (" + 2 * l2 * W", " + 0.7 * l2 * W**3", "only when l2 > 0"),
        ("g @ X[i - 1].T", "g @ X[i - 1].T * (100 / n) ** 0.5", "only when n differs from 100"),
        (
            "g @ X[i - 1].T",
            "g @ X[i - 1].T * np.array([3.0] + [1] * (len(g) - 1))[:, None]",
            "only some rows are wrong, such as 0",
        ),
        ("g @ X[i - 1].T", "np.tanh(g @ X[i - 1].T)", "none of the known mistakes"),
        ("return loss + reg", "return loss + reg + 0.25", "it is 0.25 too large, whatever batch and l2"),
        (
            "return loss + reg",
            "return loss + reg + 0.25 * (l2 > 0)",
            "only when l2 > 0; it is 0.25 too large",
        ),
        ("reg += l2 *", "reg += 0.05 *", "only when n differs from 5 or l2 differs from 0.05"),
        ("d = s - mu", "d = s - 0.5 * mu", "it must be 0, but for rounding"),
    ],
    ids=[
        "factor",
        "-n",
        "3 n",
        "l2",
        "batch size",
        "rows",
        "nothing",
        "constant",
        "at times",
        "fixed l2",
        "zero",
    ],
)
def test_what_nothing_explains_is_described_honestly(old, new, words):
    report = diagnose(with_mistake((old, new)), *case((6, 7, 5, 4), batch_norm=True))
    assert report.findings[0].mistake is None
    assert words in report.findings[0].sentence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("g @ X[i - 1].T", "np.sin(g) @ X[i - 1].T", marks=pytest.mark.thorough),
        pytest.param("g @ X[i - 1].T", "(1 + 0.01 * (i == 1)) * g @ X[i - 1].T", marks=pytest.mark.thorough),
        ("return loss + reg", "return 1.01 * loss + reg"),
        pytest.param("h = np.maximum(0, s)", "h = np.sin(s)", marks=pytest.mark.thorough),
    ],
    ids=["every layer", "the first layer", "the cost alone", "everything"],
)
def test_three_layers_of_the_course_take_a_few_seconds(monkeypatch, old, new):
    """What no mistake explains takes longest. Operations are counted, for seconds depend on the machine: 0.1 to 0.3 ms
    each, with a first layer of 3,072 inputs among them.
    """
    computed = []
    monkeypatch.setattr(reference, "compute", lambda *given, real=reference.compute: computed.append(0) or real(*given))
    parameters, *_ = case((3072, 50, 50, 10), batch_norm=True)
    rng = np.random.default_rng(0)
    diagnose(with_mistake((old, new)), parameters, rng.normal(size=(100, 3072)), rng.integers(0, 10, 100), 0.1)
    assert 1000 < len(computed) < 25_000


def broken(*_):
    raise KeyError("W1")


def gradients_as(change):
    def cost_and_gradients(*batch):
        cost, gradients = student.cost_and_gradients(*batch)
        return cost, change(gradients)

    return cost_and_gradients


@pytest.mark.parametrize(
    ("answer", "mistake", "place", "words"),
    [
        (broken, "raises", "cost and gradients", "KeyError: 'W1'"),
        (lambda *_: None, "unfilled", "cost and gradients", "returns None"),
        (lambda *_: 1.0, "wrong_type", "cost and gradients", "must return (cost, gradients)"),
        (lambda *b: student.cost_and_gradients(*b)[::-1], "wrong_type", "gradients", "must be a dictionary"),
        (gradients_as(lambda g: {**g, "bn1.bias": g["bn1.bias"][None]}), "wrong_shape", "bn1.bias", "(1, 7)"),
        (gradients_as(lambda g: {**g, "bn1.bias": None}), "unfilled", "bn1.bias", "None"),
        (gradients_as(lambda g: {**g, "bn1.bias": "g"}), "wrong_type", "bn1.bias", "str"),
        (gradients_as(lambda g: {n: v for n, v in g.items() if n != "bn1.bias"}), "unfilled", "bn1.bias", "missing"),
    ],
    ids=["raises", "None", "a number", "wrong order", "(1, D)", "None inside", "text", "missing"],
)
def test_strange_answers_are_said_in_words(answer, mistake, place, words):
    report = diagnose(answer, *case((6, 7, 5, 4), batch_norm=True))
    assert [finding.mistake for finding in report.findings] == [mistake]
    assert report.findings[0].place == place
    assert words in report.findings[0].sentence


def test_an_error_without_arrays_says_nothing_of_shapes():
    report = diagnose(lambda *_: {}["W1"], *case((6, 5, 4), batch_norm=False))
    assert report.findings[0].sentence == "it raises KeyError: 'W1'"


def test_a_cost_in_an_array_of_one_does_not_agree():
    def one(*batch):
        cost, gradients = student.cost_and_gradients(*batch)
        return np.array([cost]), gradients

    report = diagnose(one, *case((6, 5, 4), batch_norm=False))
    assert [(finding.place, finding.mistake) for finding in report.findings] == [("cost", "wrong_shape")]
    assert "cost" not in report.agreeing
    assert "linear1.weight" in report.agreeing


def test_an_eps_that_was_told_is_not_noted():
    other = with_mistake(("EPS = 1e-5", "EPS = 1e-3"))
    batch = case((6, 7, 5, 4), batch_norm=True)
    assert diagnose(other, *batch).notes == ["eps is 0.001 here, where torch has 1e-05"]
    assert not diagnose(other, *batch, eps=1e-3).notes
    assert "in a network with eps=0.001 all of it would be right" in diagnose(other, *batch, eps=1e-8).notes


def test_gradients_of_which_some_alone_are_in_single_precision_are_noted():
    some = gradients_as(lambda g: {**g, "linear2.bias": g["linear2.bias"].astype(np.float32)})
    report = diagnose(some, *case((6, 7, 5, 4), batch_norm=True))
    assert report.ok
    assert report.notes == [
        "linear2.bias in float32, the rest in float64: all is compared as float32 is, to 0.0002",
    ]


def test_inputs_are_copies():
    batch = case((6, 7, 5, 4), batch_norm=True)

    def destructive(parameters, x, y, l2):
        answer = student.cost_and_gradients(parameters, x, y, l2)
        x[:] = 0
        for value in parameters.values():
            value[:] = 0
        return answer

    assert diagnose(destructive, *batch).ok
    assert all(np.any(value) for value in batch[0].values())


def test_two_gradients_in_one_array_are_said():
    batch = case((6, 5, 5, 4), batch_norm=True)
    cost, gradients = student.cost_and_gradients(*batch)
    gradients["bn2.bias"] = gradients["bn1.bias"]
    report = diagnose((cost, gradients), *batch)
    assert any(finding.mistake == "shared_array" for finding in report.findings)


def test_a_report_reads_like_a_sentence():
    report = diagnose(with_mistake(("np.log(p_right)", "np.log10(p_right)")), *case((6, 5, 4), batch_norm=False))
    assert "first wrong place: cost: the logarithm is that to the base of 10" in str(report)
    assert "docs/derivations.md#softmax-cross-entropy" in str(report)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"W1": np.ones((2, 3))}, "linear1.weight"),
        ({"linear1.weight": np.ones((2, 3))}, "linear1.bias"),
        ({"linear1.weight": np.ones((2, 3)), "linear1.bias": np.ones((2, 1))}, r"\(2, 1\)"),
        ({"linear1.weight": 1.0, "linear1.bias": np.ones(1)}, r"a network of 1 layers has"),
        ({"linear1.weight": [[1.0], [1.0, 2.0]], "linear1.bias": [0.0]}, r"parameters\['linear1.weight'\] is no array"),
        ({"linear1.weight": np.ones((2, 3)), "linear1.bias": "b"}, r"parameters\['linear1.bias'\] has dtype <U1"),
        (
            {"linear1.weight": np.diag([1, np.nan, 3])},
            r"parameters\['linear1.weight'\]\[1, 1\] is nan; every value must",
        ),
        (
            {"linear1.weight": np.ones((2, 3)), "linear1.bias": [0.0, -np.inf]},
            r"\['linear1.bias'\]\[1\] is -inf; every",
        ),
    ],
)
def test_parameters_that_make_no_network_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        diagnose(student.cost_and_gradients, parameters, np.ones((4, 3)), np.zeros(4, int))
