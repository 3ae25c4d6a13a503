"""CS231n's networks beside cost and gradients: test mode, initialization, dropout."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_instances import (
    ALIASES,
    CLASSES,
    HIDDEN,
    INPUTS,
    bn_params,
    built,
    cost_and_gradients,
    problem,
    put,
    their_key,
)
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis import diagnose_test_mode
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

STEPS = ((1e-6, 1e-5), (1e-3, 2e-3))  # of differences, and what they may be off: in float64, and in float32


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def hidden_layers(
    parameters: Mapping[str, Array],
    x: Array,
    normalized: Callable[[Array, int], Array],
    activation: Callable[[Array], Array] = relu,
) -> Array:
    """Our own forward pass; normalized(x, layer) stands in front of every ReLU."""
    depth = sum(name.startswith("linear") for name in parameters) // 2
    for layer in range(1, depth + 1):
        x = x @ parameters[f"linear{layer}.weight"].T + parameters[f"linear{layer}.bias"]
        if layer < depth:
            x = activation(normalized(x, layer))
    return x


def test_mode(
    program: Program, name: str, settings: Mapping[str, Any], parameters: Mapping[str, Array], x: Array, y: Any
) -> Report:
    """loss(X) without labels gives the scores, with the running statistics of the batches seen so far."""
    net = built(program, name, {**settings, **{"reg": 0.0}})
    put(program, name, net, parameters)
    running: list[dict[str, Any]] = []
    if settings["batch_norm"]:
        rng = np.random.default_rng(9)
        for _ in range(3):
            program.guard.call(f"{name}.loss", net.loss, x + rng.normal(size=x.shape), y)
        running = bn_params(net)
        if not all("running_mean" in param for param in running[: len(settings["hidden"])]) or not running:
            place = "test mode: running averages"
            sentence = (
                "net.bn_params holds no running_mean after three training batches: they are not kept for test mode"
            )
            return Report(name, [Finding(place, sentence, "bn_running_never_advance")])
        running = [dict(param) for param in running]

    scores = program.guard.call(f"{name}.loss", net.loss, x)
    if isinstance(scores, tuple):
        raise program.guard.failed(f"{name}.loss", "type", "returns a tuple without labels; it must return the scores")
    mine = program.guard.array(f"{name}.loss", "scores without labels", scores, (len(x), CLASSES))
    buffers: dict[str, Any] = {}
    for layer, param in enumerate(running[: len(settings["hidden"])], start=1):
        buffers |= {f"bn{layer}.running_mean": param["running_mean"], f"bn{layer}.running_var": param["running_var"]}
    return diagnose_test_mode(mine, parameters, buffers, x)


def initialization(program: Program, name: str, settings: Mapping[str, Any]) -> Report:
    """Weights of standard deviation weight_scale, if it can be asked for; biases and betas 0, gammas 1."""
    accepts = inspect.signature(program.classes()[name]).parameters
    scaled = any(alias in accepts for alias in ALIASES["scale"])
    scale = 0.03
    hidden = [90, 80][: len(settings["hidden"])]
    net = built(program, name, {**settings, **{"inputs": 100, "hidden": hidden, "classes": 70, "scale": scale}})
    findings = []
    for key, value in net.params.items():
        array = np.asarray(value, dtype=np.float64)
        kind = str(key).rstrip("0123456789").lower()
        if kind == "w" and scaled and abs(array.std() / scale - 1) > 0.1:
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
    return Report(name, findings, [] if findings else ["initialization"])


def network_with_dropout(program: Program, name: str, deep: bool, batch_norm: bool = False) -> Report:
    """With the same seed the loss is one function, so its gradient can be held against its own differences; without
    labels nothing is dropped. (With batch normalization besides, the gradient alone is looked at.)
    """
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, y = problem(hidden, batch_norm)
    settings = {"inputs": INPUTS, "hidden": hidden, "classes": CLASSES, "dtype": np.float64, "reg": 0.2}
    settings |= {"dropout": 0.6, "seed": 11, "batch_norm": batch_norm}

    def answer(values: Mapping[str, Array], dropping: bool = True) -> Any:
        net = built(program, name, settings if dropping else {**settings, "dropout": None})
        put(program, name, net, values)
        np.random.seed(5)  # noqa: NPY002 - where the network has no seed of its own
        return cost_and_gradients(program, name, net, program.guard.call(f"{name}.loss", net.loss, x, y), values)

    cost, gradient = answer(parameters)
    check_differences(program, name, cost, answer(parameters)[0])
    findings, agreeing = list[Finding](), list[str]()
    if drops_nothing(cost, lambda: answer(parameters, dropping=False)[0]):
        if not drops_somewhere(program, name):
            raise program.guard.failed(f"{name} with dropout", "unfilled", "is not filled in yet: it calls no dropout")
        sentence = "the loss is the same as without dropout: nothing is dropped, or what is left is not passed on"
        findings.append(Finding("dropout: loss", sentence, "dropout_never_applied"))
    of_gradient = own_gradient(program, name, parameters, gradient, lambda moved: answer(moved)[0])
    findings, agreeing = [*findings, *of_gradient[0]], of_gradient[1]
    if batch_norm:
        return Report(name, findings, agreeing)
    right = hidden_layers(parameters, x, lambda h, _: h)
    net = built(program, name, settings)
    put(program, name, net, parameters)
    scores = program.guard.array(f"{name}.loss", "scores", program.guard.call(f"{name}.loss", net.loss, x), right.shape)
    if np.allclose(scores, right, rtol=1e-8):
        agreeing.append("test mode: scores")
    else:
        findings.append(
            Finding("test mode: scores", "units are dropped, or scaled, at test time too", "dropout_at_test_time")
        )
    return Report(name, findings, agreeing)


def drops_nothing(cost: Any, without: Callable[[], Any]) -> bool:
    """Is the loss that of the network that was not asked for dropout? (Some cannot be made without it.)"""
    try:
        return bool(abs(float(cost) - float(without())) < 1e-9 * abs(float(cost)))
    except Failed:
        return False


def check_differences(program: Program, name: str, cost: Any, again: Any) -> None:
    """Differences of the loss say something where the same units are dropped every time."""
    if cost != again:
        sentence = "drops other units every time, whatever the seed: its gradient could not be looked at"
        raise program.guard.failed(f"{name} with dropout", "uncallable", sentence)


def own_gradient(
    program: Program,
    name: str,
    parameters: Mapping[str, Array],
    gradient: Mapping[str, Any],
    cost: Callable[[Mapping[str, Array]], Any],
) -> tuple[list[Finding], list[str]]:
    """The gradient beside differences of the network's own loss: what is wrong, and what agrees."""
    findings, agreeing = list[Finding](), list[str]()
    rng = np.random.default_rng(12)
    for ours in reversed(list(parameters)):
        theirs = their_key(ours)
        if ours not in gradient:
            findings.append(Finding(f"gradient of {theirs}", "it is missing", "unfilled"))
            continue
        mine = program.guard.array(f"{name}.loss", theirs, gradient[ours], parameters[ours].shape)
        wrong = 0
        for _ in range(3):
            direction = rng.normal(size=mine.shape)
            slopes = []
            for h, tolerance in STEPS:
                up, down = (cost({**parameters, ours: parameters[ours] + s * h * direction}) for s in (1, -1))
                off = abs((float(up) - float(down)) / (2 * h) - float(np.sum(mine * direction)))
                slopes.append(off <= tolerance * max(1.0, float(np.abs(mine).max())))
            wrong += not any(slopes)
        if wrong >= 2:  # one may have crossed a kink
            sentence = "it is not the derivative of the network's own loss with the same units dropped"
            findings.append(Finding(f"gradient of {theirs}", sentence, "dropout_backward"))
        else:
            agreeing.append(f"gradient of {theirs}")
    return findings, agreeing


def drops_somewhere(program: Program, name: str) -> bool:
    """Does a method call anything that could drop units?"""
    methods = [node for node in ast.walk(program.defined[name]) if isinstance(node, ast.FunctionDef)]
    calls = [
        ast.unparse(node)
        for method in methods
        if method.name != "__init__"
        for node in ast.walk(method)
        if isinstance(node, ast.Call)
    ]
    return any("drop" in call.split("(")[0].lower() or "random" in call for call in calls)
