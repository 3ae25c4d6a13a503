"""The whole network of the textbook: its lines strung together, forward and backward, with mistakes planted into it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from manual_mlp.blocks import LayerNames
from manual_mlp.diagnosis.dropout import Dropped
from manual_mlp.diagnosis.explain import Planted, lines_at
from manual_mlp.diagnosis.mistakes.mistake import known
from manual_mlp.diagnosis.textbook import Line, Values, compute
from manual_mlp.layers import Array, Labels


@dataclass(frozen=True)
class Batch:
    """One question to the network: parameters, images, labels, l2."""

    parameters: Mapping[str, Array]
    x: Array
    y: Labels
    l2: float
    buffers: Mapping[str, Array] = field(default_factory=dict)
    dropout: Dropped | None = None


def shortcut(batch: Batch) -> Planted:
    """No mistake: of the first layer, which has the most weights, the product is computed once for all passes over this
    batch, and the gradient of the images, which nobody asks for, never.
    """
    product = batch.x @ batch.parameters["linear1.weight"].T
    lines: dict[str, Line] = {"linear.product": lambda _: product, "linear.dx": lambda _: None}
    return Planted(known("shortcut", "", "", "", lines), lines, frozenset({1}))


def forward_pass(
    batch: Batch, names: Sequence[LayerNames], planted: Sequence[Planted], eps: float, test: bool = False
) -> Values:
    """Logits, loss and cost with the planted mistakes; `.layers` holds every operation's values.

    test=True normalizes with the running statistics and drops nothing.
    """
    n, p = len(batch.x), batch.parameters
    layers: list[Values] = []
    h = batch.x
    for number, layer in enumerate(names, start=1):
        lines = lines_at(planted, number)
        v = Values(lines=lines, n=n, below=layers[-1] if layers else None)
        common = {"n": n, "eps": eps, "layer": v, "below": v.below}
        v.linear = compute("linear", "forward", Values(x=h, W=p[layer.weight], b=p[layer.bias], **common), lines)
        h = v.linear.out
        if layer is names[-1]:
            v.order = ("linear", "scores")
            v.scores = compute("scores", "forward", Values(x=h, **common), lines)
            h = v.scores.out
        else:
            v.order = lines.get("layer.order", usual_order)(v)
            if batch.dropout:
                v.order += ("dropout",)
            for operation in v.order[1:]:
                if operation == "batch_norm":
                    if layer.gamma not in p:
                        continue
                    values = Values(x=h, gamma=p[layer.gamma], beta=p[layer.beta], **common)
                    values.running_mean = batch.buffers.get(layer.running_mean, np.zeros(h.shape[1]))
                    values.running_var = batch.buffers.get(layer.running_var, np.ones(h.shape[1]))
                    v.batch_norm = compute("batch_norm_test" if test else "batch_norm", "forward", values, lines)
                    h = values.out
                elif operation == "dropout" and batch.dropout:
                    values = Values(x=h, p=batch.dropout.p, **common)
                    if not test:
                        values.kept = batch.dropout.kept[number - 1]
                    v.dropout = compute("dropout_test" if test else "dropout", "forward", values, lines)
                    h = values.out
                else:
                    v.relu = compute("relu", "forward", Values(x=h, **common), lines)
                    h = v.relu.out
        zero = np.zeros(1)
        v.l2_penalty = Values(W=p[layer.weight], b=p[layer.bias], l2=batch.l2, n=n)
        v.l2_penalty.gamma, v.l2_penalty.beta = p.get(layer.gamma, zero), p.get(layer.beta, zero)
        compute("l2_penalty", "forward", v.l2_penalty, lines)
        layers.append(v)
    loss = compute("softmax_cross_entropy", "forward", Values(logits=h, y=batch.y), layers[-1].lines)
    cost = loss.loss + sum(v.l2_penalty.penalty for v in layers)
    return Values(layers=layers, logits=h, loss=loss, cost=np.asarray(cost))


def gradients_of(forward: Values, names: Sequence[LayerNames]) -> Iterator[tuple[str, Array]]:
    """Back-propagates: the gradients of loss and penalty, one after the other, as they are come by."""
    dout = compute("softmax_cross_entropy", "backward", forward.loss, forward.layers[-1].lines).dlogits
    for layer, v in zip(reversed(names), reversed(forward.layers), strict=True):
        for operation in reversed(v.order):
            if hasattr(v, operation):
                values: Values = getattr(v, operation)
                values.dout = dout
                dout = compute(operation, "backward", values, v.lines).dx
        v.l2_penalty.dW = v.linear.dW
        compute("l2_penalty", "backward", v.l2_penalty, v.lines)
        if hasattr(v, "batch_norm"):
            yield layer.beta, v.batch_norm.dbeta + v.l2_penalty.on_beta
            yield layer.gamma, v.batch_norm.dgamma + v.l2_penalty.on_gamma
        yield layer.bias, v.linear.db + v.l2_penalty.on_b
        yield layer.weight, v.linear.dW + v.l2_penalty.on_W


def usual_order(_: Values) -> tuple[str, ...]:
    return "linear", "batch_norm", "relu"
