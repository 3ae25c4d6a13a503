"""CS231n's network with layer normalization: every image is normalized over its own units, in training as at test time.

It is no part of this package's network, so no mistake has a name here: the places are compared, one after the other.
"""

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_instances import (
    BASICS,
    DROPOUT,
    HIDDEN,
    cost_and_gradients,
    filled,
    problem,
)
from manual_mlp.adapters.cs231n_sandwiches import compared_values
from manual_mlp.adapters.cs231n_textbook import (
    affine_backward,
    affine_forward,
    layernorm_backward,
    layernorm_forward,
    relu_backward,
    relu_forward,
    softmax_loss,
)
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

KIND, REG, P = "layernorm", 0.2, 0.6
OF_LAYERS = re.compile(r"(layer_?norm|(^|_)ln_).*(forward|backward)")


def knows_layer_norm(program: Program, name: str) -> bool:
    """It can be asked for, as in the handout's constructor since 2018, and a function of that name is used."""
    words = {node.value for node in ast.walk(program.defined[name]) if isinstance(node, ast.Constant)}
    names = (node.id for node in ast.walk(program.source.tree) if isinstance(node, ast.Name))
    return KIND in words and "normalization" in accepted(program, name) and any(map(OF_LAYERS.search, names))


def accepted(program: Program, name: str) -> Mapping[str, Any]:
    return inspect.signature(program.classes()[name]).parameters


def network_with_layer_norm(program: Program, name: str) -> Report:
    parameters, x, y = problem(HIDDEN, batch_norm=True)
    settings = {**BASICS, "hidden": HIDDEN, "reg": REG, "batch_norm": KIND}
    loss, title = f"{name}.loss", f"{name} with layer norm"

    def scores(extra: Mapping[str, Any], training_first: bool) -> Any:
        net = filled(program, name, {**settings, **extra}, parameters)
        if training_first:
            program.guard.call(loss, net.loss, x[::-1], y)
        return program.guard.call(loss, net.loss, x)

    net = filled(program, name, settings, parameters)
    cost, gradients = cost_and_gradients(program, name, net, program.guard.call(loss, net.loss, x, y), parameters)
    right_cost, right, right_scores = expected(parameters, x, y)
    missing = [key for key in parameters if key not in gradients]
    if all(key in missing for key in parameters if key.startswith("bn")):
        raise program.guard.failed(title, "unfilled", "is not filled in yet: the loss uses no gamma and no beta")
    results = [("cost", loss, cost, np.asarray(right_cost))]
    results += [(key, loss, gradients[key], value) for key, value in right.items() if key not in missing]
    results.append(("scores at test time", loss, scores({}, training_first=True), right_scores))
    if any(word in accepted(program, name) for word in DROPOUT):
        results.append(
            ("scores at test time, with dropout", loss, scores({"dropout": P}, training_first=True), right_scores)
        )
    report = compared_values(program, title, results, SINGLE)  # eps differs, too
    absent = [Finding(key, "its gradient is missing", "unfilled") for key in missing]
    return in_their_words(Report(title, [*report.findings, *absent], report.agreeing), 2)


def expected(parameters: Mapping[str, Array], x: Array, y: Any) -> tuple[float, dict[str, Array], Array]:
    """Cost, gradients in the order of back-propagation, and scores."""
    caches, h, gradients = [], x, dict[str, Array]()
    depth = len(HIDDEN) + 1
    weights = {layer: parameters[f"linear{layer}.weight"].T for layer in range(1, depth + 1)}
    for layer, W in weights.items():
        h, linear = affine_forward(h, W, parameters[f"linear{layer}.bias"])
        if layer < depth:
            h, norm = layernorm_forward(h, parameters[f"bn{layer}.weight"], parameters[f"bn{layer}.bias"], {})
            h, relu = relu_forward(h)
            caches.append((linear, norm, relu))
    scores = h
    cost, dh = softmax_loss(scores, y)
    cost += 0.5 * REG * sum(float(np.sum(W**2)) for W in weights.values())
    for layer in range(depth, 0, -1):
        if layer < depth:
            linear, norm, relu = caches[layer - 1]
            dh, dgamma, dbeta = layernorm_backward(relu_backward(dh, relu), norm)
            gradients |= {f"bn{layer}.bias": dbeta, f"bn{layer}.weight": dgamma}
        dh, dW, db = affine_backward(dh, linear)
        gradients |= {f"linear{layer}.bias": db, f"linear{layer}.weight": (dW + REG * weights[layer]).T}
    return cost, gradients, scores
