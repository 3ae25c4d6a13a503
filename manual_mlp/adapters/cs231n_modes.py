"""CS231n's networks beside cost and gradients: test mode and initialization."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_instances import (
    ALIASES,
    CLASSES,
    bn_params,
    built,
    filled,
)
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis import diagnose_test_mode
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

SAMPLED = 0.03  # how well a standard deviation is known of some thousand weights


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def scores_of(parameters: Mapping[str, Array], x: Array, activation: Callable[[Array], Array] = relu) -> Array:
    """Our own forward pass, without batch normalization."""
    depth = sum(name.startswith("linear") for name in parameters) // 2
    for layer in range(1, depth + 1):
        x = x @ parameters[f"linear{layer}.weight"].T + parameters[f"linear{layer}.bias"]
        if layer < depth:
            x = activation(x)
    return x


def test_mode(
    program: Program, name: str, settings: Mapping[str, Any], parameters: Mapping[str, Array], x: Array, y: Any
) -> Report:
    """loss(X) without labels gives the scores, with the running statistics of the batches seen so far."""
    net = filled(program, name, {**settings, "reg": 0.0}, parameters)
    dropped = settings.get("dropout")
    running: list[dict[str, Any]] = []
    if settings["batch_norm"]:
        rng = np.random.default_rng(9)
        for _ in range(3):
            program.guard.call(f"{name}.loss", net.loss, x + rng.normal(size=x.shape), y)
        running = [dict(param) for param in bn_params(net) if "running_mean" in param]  # some make one too many
        if len(running) < len(settings["hidden"]):
            place = "test mode: running averages"
            sentence = (
                "net.bn_params holds no running_mean after three training batches: they are not kept for test mode"
            )
            return Report(name, [Finding(place, sentence, "bn_running_never_advance")])
        kept = [param[key] for param in running for key in ("running_mean", "running_var") if key in param]
        if not all(np.isfinite(values).all() for values in kept):
            sentence = "after three training batches net.bn_params holds NaN or infinity"
            return Report(name, [Finding("test mode: running averages", sentence)])

    def scores(*_: Any) -> Array:
        given = program.guard.call(f"{name}.loss", net.loss, x)
        if isinstance(given, tuple):
            sentence = "returns a tuple without labels; it must return the scores"
            raise program.guard.failed(f"{name}.loss", "type", sentence)
        array: Array = program.guard.array(f"{name}.loss", "scores without labels", given, (len(x), CLASSES))
        return array

    buffers: dict[str, Any] = {}
    for layer, param in enumerate(by_width(running, settings["hidden"]), start=1):
        buffers |= {f"bn{layer}.running_mean": param["running_mean"], f"bn{layer}.running_var": param["running_var"]}
    if dropped is None:
        return diagnose_test_mode(scores(), parameters, buffers, x)
    reports = (diagnose_test_mode(scores, parameters, buffers, x, dropout=rate) for rate in (1 - dropped, dropped))
    return min(reports, key=lambda report: [finding.mistake is None for finding in report.findings])


def by_width(running: Sequence[Mapping[str, Any]], widths: Sequence[int]) -> list[Mapping[str, Any]]:
    """Layer by layer, in whichever order the network keeps them; its own where there is none of that width."""
    found = {np.size(param["running_mean"]): param for param in reversed(running)}
    return [found.get(width, param) for width, param in zip(widths, running, strict=False)]


def initialization(program: Program, name: str, settings: Mapping[str, Any]) -> Report:
    """Weights of standard deviation weight_scale, if it can be asked for; biases and betas 0, gammas 1."""
    accepts = inspect.signature(program.classes()[name]).parameters
    scaled = any(alias in accepts for alias in ALIASES["scale"])
    scale = 0.03
    hidden = [90, 80][: len(settings["hidden"])]
    net = built(program, name, {**settings, **{"inputs": 100, "hidden": hidden, "classes": 70, "scale": scale}})
    findings, by_width = [], list[str]()
    for key, value in net.params.items():
        array = np.asarray(value, dtype=np.float64)
        kind = str(key).rstrip("0123456789").lower()
        if kind == "w" and scaled and follows_the_width(array, scale):
            by_width.append(str(key))
        elif kind == "w" and scaled and abs(array.std() / scale - 1) > 0.1:
            known = {scale**2: "weight_scale is taken as the variance's square", 1.0: "weight_scale is not used"}
            known |= {np.sqrt(scale): "weight_scale is taken as the variance", 0.0: "all weights are equal"}
            known |= {scale / np.sqrt(12): "it is drawn by rand, from 0 to weight_scale, instead of by randn"}
            why = next((text for std, text in known.items() if abs(array.std() - std) <= 0.1 * std), "")
            sentence = f"its standard deviation is {array.std():.3g}; weight_scale is {scale}{'. ' if why else ''}{why}"
            findings.append(
                Finding(f"initialization: {key}", sentence, "init_wrong_std", formula="weight_scale * randn")
            )
        elif kind in ("b", "beta") and np.any(array != 0):
            findings.append(Finding(f"initialization: {key}", "it must start at 0", "init_bias"))
        elif kind == "gamma" and np.any(array != 1):
            findings.append(Finding(f"initialization: {key}", "it must start at 1", "init_gamma"))
    notes = (
        [f"{', '.join(by_width)} start as He or Xavier have it; the handout asks for weight_scale"] if by_width else []
    )
    return Report(name, findings, [] if findings else ["initialization"], notes=notes)


def follows_the_width(weights: Array, scale: float) -> bool:
    """Whether their standard deviation is He's or Xavier's, with weight_scale as a factor or without it."""
    if weights.ndim != 2:
        return False
    fan_in, fan_out = weights.shape
    known = np.sqrt([2 / fan_in, 1 / fan_in, 2 / (fan_in + fan_out)])
    return bool(np.any(abs(weights.std() / np.concatenate([known, scale * known]) - 1) < SAMPLED))
