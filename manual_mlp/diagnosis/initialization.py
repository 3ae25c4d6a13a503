"""The first values of the parameters, judged by their spread: a random draw agrees only up to its sampling error."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.blocks import layer_names
from manual_mlp.checks import checked_number
from manual_mlp.diagnosis.network import checked_parameters
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.initializers import weight_std
from manual_mlp.layers import Array

MOST_SIGMAS = 5.0  # of the sampling error of a standard deviation, 1 / sqrt(2 entries)


class Fan(NamedTuple):
    """How many inputs and outputs a layer has, and how many inputs the first one."""

    inputs: int
    outputs: int
    first: int


Std = Callable[[Fan], float]

STDS: dict[str, tuple[str, Std]] = {
    "init_he": ("it is that of He, √(2/inputs)", lambda fan: math.sqrt(2 / fan.inputs)),
    "init_xavier": ("it is Xavier's, √(1/inputs)", lambda fan: math.sqrt(1 / fan.inputs)),
    "init_two_over_root": ("it is 2/√inputs; the 2 belongs under the root", lambda fan: 2 / math.sqrt(fan.inputs)),
    "init_root_two_over_n": (
        "it is √2/inputs; the inputs belong under the root",
        lambda fan: math.sqrt(2) / fan.inputs,
    ),
    "init_variance_for_std": (
        "it is 2/inputs: the variance was taken as the standard deviation",
        lambda fan: 2 / fan.inputs,
    ),
    "init_xavier_variance_for_std": ("it is 1/inputs: the variance was taken as the std", lambda fan: 1 / fan.inputs),
    "init_fan_out": ("it is √(2/outputs); it must be the inputs", lambda fan: math.sqrt(2 / fan.outputs)),
    "init_xavier_fan_out": ("it is √(1/outputs); it must be the inputs", lambda fan: math.sqrt(1 / fan.outputs)),
    "init_glorot": (
        "it is Glorot's average, √(2/(inputs + outputs))",
        lambda fan: math.sqrt(2 / (fan.inputs + fan.outputs)),
    ),
    "init_torch_default": ("it is torch's default, 1/√(3 inputs)", lambda fan: 1 / math.sqrt(3 * fan.inputs)),
    "init_uniform_bound_for_std": ("it is a uniform draw within the std", lambda fan: math.sqrt(2 / fan.inputs / 3)),
    "init_he_of_first_layer": (
        "it is √(2/inputs of the first layer); it must be this layer's inputs",
        lambda fan: math.sqrt(2 / fan.first),
    ),
    "init_xavier_of_first_layer": (
        "it is √(1/inputs of the first layer); it must be this layer's inputs",
        lambda fan: math.sqrt(1 / fan.first),
    ),
    "init_standard_normal": ("it is 1, whatever the layer", lambda _: 1.0),
    "init_01": ("it is 0.1, whatever the layer", lambda _: 0.1),
    "init_001": ("it is 0.01, whatever the layer", lambda _: 0.01),
    "init_0001": ("it is 0.001, whatever the layer", lambda _: 0.001),
}


def diagnose_initialization(parameters: Mapping[str, ArrayLike], initializer: str | float = "he") -> Report:
    """Are these the first values that the initializer draws?

    parameters   by our names, before the first update
    initializer  "he", "xavier" or the standard deviation of every weight

    Weights are N(0, std^2), biases and betas 0, gammas 1.
    """
    values, depth = checked_parameters(parameters)
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    weights = {layer.weight: values[layer.weight] for layer in names}
    findings, agreeing = [], []
    wanted = {name: checked_number("std", weight_std(initializer, W.shape[1]), 0) for name, W in weights.items()}
    off = [name for name, W in weights.items() if abs(sigmas(W, wanted[name])) > MOST_SIGMAS]
    for name, W in weights.items():
        if np.ptp(W) == 0 and wanted[name] > 0 and W.size > 1:
            sentence = "all weights are equal, so that all units of the layer stay equal"
            findings.append(finding(name, sentence, "init_constant", wanted[name]))
        elif abs(W.mean()) > MOST_SIGMAS * W.std() / math.sqrt(W.size):
            findings.append(finding(name, f"the mean is {W.mean():.3g}, it must be 0", "init_mean", wanted[name]))
        elif name in off:
            findings.append(wrong_std(name, weights, off, wanted))
        else:
            agreeing.append(name)
    findings += same_numbers(weights, wanted)
    for name, value in values.items():
        start = 1.0 if name.startswith("bn") and name.endswith(".weight") else 0.0
        if name in weights:
            continue
        if np.array_equal(value, np.full(value.shape, start)):
            agreeing.append(name)
        else:
            what = f"every entry must start at {start:g}; the first is {value.flat[0]:.4g}"
            findings.append(Finding(name, what, "init_not_default", formula=f"{start:g}", link=link()))
    order = {name: number for number, name in enumerate(values)}
    return Report("initialization", sorted(findings, key=lambda f: order[f.place]), agreeing)


def link() -> str:
    return f"{DERIVATIONS}#initialization"


def finding(name: str, sentence: str, mistake: str | None, std: float, **fit: float) -> Finding:
    return Finding(name, sentence, mistake, formula=f"N(0, std²) with std = {std:.4g}", link=link(), **fit)  # type: ignore[arg-type]


def sigmas(W: Array, std: float) -> float:
    """How many sampling errors the spread of W is away from std."""
    spread = float(np.sqrt(np.mean(W**2)))
    if spread == 0 or std == 0:
        return 0.0 if spread == std else math.inf
    return math.log(spread / std) * math.sqrt(2 * W.size)


def wrong_std(name: str, weights: Mapping[str, Array], off: list[str], wanted: Mapping[str, float]) -> Finding:
    """The formula that fits this layer and, of those, most others that are wrong; none where several fit as well."""
    W = weights[name]
    spread = float(np.sqrt(np.mean(W**2)))
    first = weights["linear1.weight"].shape[1]
    fans = {of: Fan(weight.shape[1], weight.shape[0], first) for of, weight in weights.items()}

    def distance(std: Std, of: str) -> float:
        return abs(sigmas(weights[of], std(fans[of])))

    later = fans[name].inputs != fans[name].first
    known = {key: std for key, (_, std) in STDS.items() if later or not key.endswith("of_first_layer")}
    fitting = [key for key, std in known.items() if distance(std, name) <= MOST_SIGMAS]
    shared = {key: sum(distance(known[key], other) <= MOST_SIGMAS for other in off) for key in fitting}
    fitting = [key for key in fitting if shared[key] == max(shared.values())]
    ranked = sorted(fitting, key=lambda key: sum(distance(known[key], other) for other in off))
    start = f"the standard deviation is {spread:.4g}, it must be {wanted[name]:.4g}"
    if not ranked:
        return finding(name, f"{start}; none of the known slips", None, wanted[name])
    also = "".join(f"; or {STDS[key][0]}" for key in ranked[1:])
    also += " (the layers are too small to tell)" if also else ""
    return Finding(
        name,
        f"{start}: {STDS[ranked[0]][0]}{also}",
        ranked[0],
        formula=f"N(0, std²) with std = {wanted[name]:.4g}",
        link=link(),
        residual=abs(spread / known[ranked[0]](fans[name]) - 1),
    )


def same_numbers(weights: Mapping[str, Array], wanted: Mapping[str, float]) -> list[Finding]:
    """Layers that were drawn from the same seed begin with the same numbers, up to their scale."""
    findings = []
    seen: dict[str, Array] = {}
    for name, W in weights.items():
        for other, begin in seen.items():
            count = min(W.size, begin.size, 50)
            one, two = W.ravel()[:count], begin.ravel()[:count]
            if count >= 4 and np.ptp(W) > 0 and abs(np.corrcoef(one, two)[0, 1]) > 1 - 1e-6:
                sentence = f"it has the same random numbers as {other}: the generator was seeded again"
                findings.append(finding(name, sentence, "init_seeded_again", wanted[name]))
                break
        if np.ptp(W) > 0:
            seen[name] = W
    return findings
