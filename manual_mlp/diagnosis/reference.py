"""The whole network of the textbook: its lines strung together, forward and backward, with mistakes planted into it."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.blocks import LayerNames
from manual_mlp.diagnosis.comparison import Planted, lines_at
from manual_mlp.diagnosis.dropout import Dropped
from manual_mlp.diagnosis.textbook import Line, Parts, Values, by_part, compute
from manual_mlp.layers import Array, Labels


@dataclass(frozen=True)
class Batch:
    """One question to the network: parameters, images, labels, l2, and what the network has that they do not tell."""

    parameters: Mapping[str, Array]
    x: Array
    y: Labels
    l2: float
    buffers: Mapping[str, Array] = field(default_factory=dict)
    dropout: Dropped | None = None
    relu_first: bool = False
    skips: tuple[int, ...] = ()
    label_smoothing: float = 0.0
    relu_slope: float = 0.0  # below 0, of a leaky ReLU
    own_l2: float = np.nan  # that of a program which does not heed the l2 it is given


NOTHING = object()


class Memory:
    """What passes over one batch share, by the lines that made it: most mistakes reach only a part of a pass."""

    MOST = 64  # parts

    def __init__(self) -> None:
        self.known: dict[Hashable, Any] = {}

    def recall(self, key: Hashable, function: Callable[..., Any], *arguments: Any) -> Any:
        value = self.known.pop(key, NOTHING)
        self.known[key] = value = function(*arguments) if value is NOTHING else value
        if len(self.known) > self.MOST:
            del self.known[next(iter(self.known))]  # what was not asked for longest
        return value


ON_THE_WAY = ("linear", "batch_norm", "batch_norm_test", "relu", "dropout", "dropout_test", "skip", "fork", "scores")


def parts_at(planted: Sequence[Planted], layer: int) -> Parts:
    """The lines that stand in this layer instead of the textbook's, by part."""
    here = [plan for plan in planted if plan.layers is None or layer in plan.layers]
    return here[0].parts if len(here) == 1 else by_part(lines_at(here, layer))


def forward_pass(
    batch: Batch,
    names: Sequence[LayerNames],
    planted: Sequence[Planted],
    eps: float,
    test: bool = False,
    memory: Memory | None = None,
) -> Values:
    """Logits, loss and cost with the planted mistakes; `.layers` holds every operation's values.

    test=True normalizes with the running statistics and drops nothing. A memory is of this batch and its parameters.
    """
    memory = memory or Memory()
    every = [parts_at(planted, number) for number in range(1, len(names) + 1)]
    exchanged = (
        (number, part, frozenset(lines.items()))
        for number, parts in enumerate(every)
        for (part, ahead), lines in parts.items()
        if ahead
    )
    v = memory.recall(("pass", eps, test, *exchanged), whole_forward, batch, names, every, eps, test, memory)
    return Values(**vars(v), parts=every)


def whole_forward(
    batch: Batch,
    names: Sequence[LayerNames],
    every: Sequence[Parts],
    eps: float,
    test: bool,
    memory: Memory,
) -> Values:
    layers: list[Values] = []
    penalties: list[Values] = []
    key: Hashable = (eps, test)
    for number, (layer, parts) in enumerate(zip(names, every, strict=True), start=1):
        own = parts.get(("penalty", True), {})
        penalties.append(memory.recall(("penalty", number, frozenset(own.items())), penalty, batch, layer, own))
        own = parts.get(("layer", True), {})
        key = (key, frozenset(own.items()))
        if number == 1:  # most of the work, and the same for all passes
            product = memory.recall("product", np.matmul, batch.x, batch.parameters[layer.weight].T)
            own = {"linear.product": partial(constant, product), **own}
        below = layers[-1] if layers else None
        last = number == len(names)
        layers.append(memory.recall(key, layer_forward, batch, number, layer, last, below, own, eps, test))
    own = every[-1].get(("loss", True), {})
    key = ("loss", key, frozenset(own.items()))
    values = Values(logits=layers[-1].scores.out, y=batch.y, s=batch.label_smoothing)
    loss = memory.recall(key, compute, "softmax_cross_entropy", "forward", values, own)
    cost = np.asarray(loss.loss + sum(values.penalty for values in penalties))
    return Values(layers=layers, penalties=penalties, logits=values.logits, loss=loss, cost=cost, key=key)


def penalty(batch: Batch, layer: LayerNames, lines: Mapping[str, Line]) -> Values:
    p, zero = batch.parameters, np.zeros(1)
    v = Values(W=p[layer.weight], b=p[layer.bias], l2=batch.l2, own_l2=batch.own_l2, n=len(batch.x))
    v.gamma, v.beta = p.get(layer.gamma, zero), p.get(layer.beta, zero)
    return compute("l2_penalty", "forward", v, lines)


def layer_forward(
    batch: Batch,
    number: int,
    layer: LayerNames,
    last: bool,
    below: Values | None,
    lines: Mapping[str, Line],
    eps: float,
    test: bool,
) -> Values:
    """The values of every operation of one layer, and `.out`."""
    n, p = len(batch.x), batch.parameters
    v = Values(below=below)
    common = {"n": n, "eps": eps, "layer": v, "below": below}
    h = batch.x if below is None else below.out
    v.linear = compute("linear", "forward", Values(x=h, W=p[layer.weight], b=p[layer.bias], **common), lines)
    h = v.linear.out
    if last:
        v.order = ("linear", "scores")
        v.scores = compute("scores", "forward", Values(x=h, **common), lines)
        v.out = v.scores.out
        return v
    v.usual = usual_order(batch, number, normalized=layer.gamma in p)
    v.order = lines["layer.order"](v) if "layer.order" in lines else v.usual
    for operation in v.order[1:]:
        if operation == "batch_norm":
            values = Values(x=h, gamma=p[layer.gamma], beta=p[layer.beta], **common)
            values.running_mean = batch.buffers.get(layer.running_mean, np.zeros(h.shape[1]))
            values.running_var = batch.buffers.get(layer.running_var, np.ones(h.shape[1]))
            v.batch_norm = compute("batch_norm_test" if test else "batch_norm", "forward", values, lines)
        elif operation == "dropout" and batch.dropout is not None:
            values = Values(x=h, p=batch.dropout.p, **common)
            if not test:
                values.kept = batch.dropout.kept[number - 1]
            v.dropout = compute("dropout_test" if test else "dropout", "forward", values, lines)
        elif operation == "skip":
            values = v.skip = compute("skip", "forward", Values(x=h, past=v.linear.x, **common), lines)
        else:
            values = v.relu = compute("relu", "forward", Values(x=h, slope=batch.relu_slope, **common), lines)
        h = values.out
    v.out = h
    return v


def gradients_of(
    forward: Values, names: Sequence[LayerNames], memory: Memory | None = None
) -> Iterator[tuple[str, Array]]:
    """Back-propagates: the gradients of loss and penalty, one after the other, as they are come by."""
    memory = memory or Memory()
    own = forward.parts[-1].get(("loss", False), {})
    key: Hashable = (forward.key, frozenset(own.items()))
    loss = Values(**vars(forward.loss))
    dout = memory.recall(key, compute, "softmax_cross_entropy", "backward", loss, own).dlogits
    for number, layer in reversed([*enumerate(names, start=1)]):
        parts = forward.parts[number - 1]
        own = parts.get(("layer", False), {})
        if number == 1:  # nobody asks for the gradient of the images
            v = layer_backward(forward.layers[0], dout, {**own, "linear.dx": nothing, "fork.dx": nothing})
        else:
            key = (key, frozenset(own.items()))
            v = memory.recall(key, layer_backward, forward.layers[number - 1], dout, own)
        dout = v.dx
        added = Values(**vars(forward.penalties[number - 1]), dW=v.linear.dW)
        compute("l2_penalty", "backward", added, parts.get(("penalty", False), {}))
        if hasattr(v, "batch_norm"):
            yield layer.beta, v.batch_norm.dbeta + added.on_beta
            yield layer.gamma, v.batch_norm.dgamma + added.on_gamma
        yield layer.bias, v.linear.db + added.on_b
        yield layer.weight, v.linear.dW + added.on_W


def nothing(_: Values) -> None: ...


def constant(value: Array, _: Values) -> Array:
    return value


def layer_backward(forward: Values, dout: Array, lines: Mapping[str, Line]) -> Values:
    """Every operation of one layer with its gradients, and `.dx`; what the forward pass computed stays as it is."""
    v = Values(**vars(forward))
    order = lines["layer.order_backward"](v) if "layer.order_backward" in lines else v.order
    for operation in reversed(order):
        values = Values(**vars(getattr(v, operation)) | {"dout": dout, "layer": v})
        setattr(v, operation, compute(operation, "backward", values, lines))
        dout = values.dx
    if "skip" in v.order:
        dout = compute("fork", "backward", Values(through=dout, past=v.skip.dpast, layer=v), lines).dx
    v.dx = dout
    return v


def usual_order(batch: Batch, number: int, normalized: bool) -> tuple[str, ...]:
    """The operations of a hidden layer."""
    present = {
        "batch_norm": normalized,
        "relu": True,
        "dropout": batch.dropout is not None,
        "skip": number in batch.skips,
    }
    start = ("linear", "relu", "batch_norm") if batch.relu_first else ("linear", "batch_norm", "relu")
    return tuple(operation for operation in (*start, "dropout", "skip") if present.get(operation, True))
