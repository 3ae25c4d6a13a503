"""The textbook, line by line: every operation as a table of named lines, so that one of them can be exchanged.

A line is a function of what the lines above it have computed. A mistake is another function in its place; the
numbers of everything that follows then come out as they would in a program that makes this mistake. Nothing here is
fast and nothing is shared with `layers.py`: it is the same mathematics, written a second time.
"""

from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

Values = SimpleNamespace
Line = Callable[[Any], Any]


class Operation(NamedTuple):
    """The lines of a forward and of a backward pass, in the order of computation."""

    forward: Mapping[str, Line]
    backward: Mapping[str, Line]


def one_hot(y: Any, classes: int) -> Any:
    return np.eye(classes)[y]


def relu_mask(v: Any, x: Any) -> Any:
    """The derivative of v's ReLU, or leaky ReLU, at x."""
    return np.where(x > 0, 1.0, v.slope)


def cross_entropy(target: Any, log_p: Any) -> Any:
    """Row by row; a class that is no target counts nothing, however improbable it is."""
    return -np.multiply(target, log_p, where=target != 0, out=np.zeros(log_p.shape)).sum(axis=1)


ADAM: dict[str, Line] = {
    "count": lambda v: v.t + 1,
    "seen": lambda v: v.gradient,
    "mean": lambda v: v.beta1 * v.m + (1 - v.beta1) * v.seen,
    "mean_square": lambda v: v.beta2 * v.v + (1 - v.beta2) * v.seen**2,
    "m_hat": lambda v: v.mean / (1 - v.beta1**v.count),
    "v_hat": lambda v: v.mean_square / (1 - v.beta2**v.count),
    "kept_t": lambda v: v.count,
    "kept_m": lambda v: v.mean,
    "kept_v": lambda v: v.mean_square,
    "direction": lambda v: v.m_hat / (np.sqrt(v.v_hat) + v.eps),
}

OPERATIONS = {
    # v: x (N, D), W (M, D), b (M,), dout (N, M)
    "linear": Operation(
        forward={"product": lambda v: v.x @ v.W.T, "out": lambda v: v.product + v.b},
        backward={
            "db": lambda v: v.dout.sum(axis=0),
            "dW": lambda v: v.dout.T @ v.x,
            "dx": lambda v: v.dout @ v.W,
        },
    ),
    # v: x (N, H), slope below 0 (0 unless it is leaky), dout (N, H)
    "relu": Operation(
        forward={"out": lambda v: np.maximum(v.x, 0) + v.slope * np.minimum(v.x, 0)},
        backward={"mask": lambda v: relu_mask(v, v.x), "dx": lambda v: v.dout * v.mask},
    ),
    # v: x (N, H), gamma (H,), beta (H,), eps, dout (N, H). The backward pass follows the graph node by node.
    "batch_norm": Operation(
        forward={
            "mean": lambda v: v.x.mean(axis=0),
            "centered": lambda v: v.x - v.mean,
            "var": lambda v: (v.centered**2).mean(axis=0),
            "inv_std": lambda v: 1 / np.sqrt(v.var + v.eps),
            "x_hat": lambda v: v.centered * v.inv_std,
            "out": lambda v: v.gamma * v.x_hat + v.beta,
        },
        backward={
            "dbeta": lambda v: v.dout.sum(axis=0),
            "dgamma": lambda v: (v.dout * v.x_hat).sum(axis=0),
            "inv_std_backward": lambda v: v.inv_std,
            "dx_hat": lambda v: v.dout * v.gamma,
            "dvar": lambda v: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**3,
            "dmean": lambda v: -(v.dx_hat * v.inv_std_backward).sum(axis=0),
            "through_var": lambda v: v.dvar * 2 * v.centered / len(v.x),
            "through_mean": lambda v: v.dmean / len(v.x),
            "dx": lambda v: v.dx_hat * v.inv_std_backward + v.through_var + v.through_mean,
        },
    ),
    # v: x (N, H), gamma, beta, running_mean, running_var, eps
    "batch_norm_test": Operation(
        forward={
            "inv_std": lambda v: 1 / np.sqrt(v.running_var + v.eps),
            "out": lambda v: v.gamma * (v.x - v.running_mean) * v.inv_std + v.beta,
        },
        backward={},
    ),
    # v: x (N, H), running_mean, running_var (H,), momentum: the batch's share in the new average
    "running_average": Operation(
        forward={
            "mean": lambda v: v.x.mean(axis=0),
            "var": lambda v: v.x.var(axis=0, ddof=1),
            "new_mean": lambda v: (1 - v.momentum) * v.running_mean + v.momentum * v.mean,
            "new_var": lambda v: (1 - v.momentum) * v.running_var + v.momentum * v.var,
        },
        backward={},
    ),
    # of one layer, measured over all batches. v: what batch norm gets of each batch, (N_B, H): `training` in training
    # mode; old_mean, old_var (H,)
    "batch_statistics": Operation(
        forward={
            "inputs": lambda v: v.training,
            "shares": lambda v: np.array([len(x) for x in v.inputs]) / sum(len(x) for x in v.inputs),
            "means": lambda v: np.stack([x.mean(axis=0) for x in v.inputs]),
            "vars": lambda v: np.stack([x.var(axis=0) for x in v.inputs]),
            "mean": lambda v: v.shares @ v.means,
            "var": lambda v: v.shares @ (v.vars + v.means**2) - v.mean**2,
            "unbiased": lambda v: sum(len(x) for x in v.inputs) / (sum(len(x) for x in v.inputs) - 1),
            "kept_mean": lambda v: v.mean,
            "kept_var": lambda v: v.var * v.unbiased,
        },
        backward={},
    ),
    # v: x (N, H), p the probability to drop, kept (N, H) what the user's mask kept, dout (N, H)
    "dropout": Operation(
        forward={"out": lambda v: v.x * v.kept / (1 - v.p)},
        backward={"dx": lambda v: v.dout * v.kept / (1 - v.p)},
    ),
    # v: x (N, H), p
    "dropout_test": Operation(forward={"out": lambda v: v.x}, backward={}),
    # v: x (N, H) what a layer makes of its input, past (N, H) that input, dout (N, H)
    "skip": Operation(
        forward={"out": lambda v: v.x + v.past},
        backward={"dx": lambda v: v.dout, "dpast": lambda v: v.dout},
    ),
    # where the ways around a layer and through it part. v: through, past (N, H), the gradients that come back
    "fork": Operation(forward={}, backward={"dx": lambda v: v.through + v.past}),
    # v: logits (N, K), y (N,), s the share of the target that is spread over all classes
    "softmax_cross_entropy": Operation(
        forward={
            "shifted": lambda v: v.logits - v.logits.max(axis=1, keepdims=True),
            "p": lambda v: np.exp(v.shifted) / np.exp(v.shifted).sum(axis=1, keepdims=True),
            "log_p": lambda v: v.shifted - np.log(np.exp(v.shifted).sum(axis=1, keepdims=True)),
            "target": lambda v: (1 - v.s) * one_hot(v.y, v.p.shape[1]) + v.s / v.p.shape[1],
            "losses": lambda v: cross_entropy(v.target, v.log_p),
            "loss": lambda v: v.losses.sum() / len(v.y),
        },
        backward={
            "target_backward": lambda v: v.target,
            "dlosses": lambda v: v.p - v.target_backward,
            "dlogits": lambda v: v.dlosses / len(v.y),
        },
    ),
    # the class scores as the loss gets them. v: x (N, K), dout (N, K)
    "scores": Operation(forward={"out": lambda v: v.x}, backward={"dx": lambda v: v.dout}),
    # of one layer. v: W, b, gamma, beta (0 where there is none), l2, n; backward: dW, db, ... of the loss alone
    "l2_penalty": Operation(
        forward={"penalty": lambda v: v.l2 * np.vdot(v.W, v.W)},
        backward={
            "on_W": lambda v: 2 * v.l2 * v.W,
            "on_b": lambda _: 0.0,
            "on_gamma": lambda _: 0.0,
            "on_beta": lambda _: 0.0,
        },
    ),
    # of one parameter. v: value, gradient of the loss, eta, l2 (0 but for weights)
    "update": Operation(
        forward={
            "penalty": lambda v: 2 * v.l2 * v.value,
            "step": lambda v: v.eta * (v.gradient + v.penalty),
        },
        backward={},
    ),
    # the same for the first step of AdamW. v: weight_decay (0 but for weights), eps
    "adamw_update": Operation(
        forward={
            "seen": lambda v: v.gradient,
            "direction": lambda v: v.seen / (np.abs(v.seen) + v.eps),
            "decay": lambda v: v.eta * v.weight_decay * v.value,
            "step": lambda v: v.eta * v.direction + v.decay,
        },
        backward={},
    ),
    # the update rules, one step of one parameter. v: gradient, eta; `kept_...` is what the next step gets. sgd:
    "sgd": Operation(forward={"step": lambda v: v.eta * v.gradient}, backward={}),
    # v: mu, velocity
    "sgd_momentum": Operation(
        forward={
            "moved": lambda v: v.mu * v.velocity - v.eta * v.gradient,
            "kept_velocity": lambda v: v.moved,
            "step": lambda v: -v.moved,
        },
        backward={},
    ),
    # v: decay, eps, cache
    "rmsprop": Operation(
        forward={
            "mean_square": lambda v: v.decay * v.cache + (1 - v.decay) * v.gradient**2,
            "kept_cache": lambda v: v.mean_square,
            "step": lambda v: v.eta * v.gradient / (np.sqrt(v.mean_square) + v.eps),
        },
        backward={},
    ),
    # v: mu, velocity; the gradient is that at w
    "nesterov": Operation(
        forward={
            "moved": lambda v: v.mu * v.velocity + v.gradient,
            "kept_velocity": lambda v: v.moved,
            "step": lambda v: v.eta * (v.gradient + v.mu * v.moved),
        },
        backward={},
    ),
    # v: mu, velocity, value; gradient is a function of the point where it is taken
    "nesterov_look_ahead": Operation(
        forward={
            "point": lambda v: v.value + v.mu * v.velocity,
            "moved": lambda v: v.mu * v.velocity - v.eta * v.gradient(v.point),
            "kept_velocity": lambda v: v.moved,
            "step": lambda v: -v.moved,
        },
        backward={},
    ),
    # v: beta1, beta2, eps, m, v, t
    "adam": Operation(forward={**ADAM, "step": lambda v: v.eta * v.direction}, backward={}),
    # v: weight_decay, value, too
    "adamw": Operation(
        forward={
            **ADAM,
            "decay": lambda v: v.eta * v.weight_decay * v.value,
            "step": lambda v: v.eta * v.direction + v.decay,
        },
        backward={},
    ),
    # of one entry of one parameter. v: h; training_cost, test_cost and loss, functions of how far the entry is moved
    "numerical": Operation(
        forward={
            "cost": lambda v: v.training_cost,
            "slope": lambda v: (v.cost(v.h) - v.cost(-v.h)) / (2 * v.h),
            "left_at": lambda _: 0.0,
        },
        backward={},
    ),
    # v: step the numbers of the updates, from 0; n_s, eta_min, eta_max, annealing
    "schedule": Operation(
        forward={
            "t": lambda v: v.step,
            "position": lambda v: v.t % (2 * v.n_s),
            "height": lambda v: 1 - np.abs(v.position / v.n_s - 1),
            "annealed": lambda v: v.height * v.annealing ** (v.t // (2 * v.n_s)),
            "eta": lambda v: v.eta_min + v.annealed * (v.eta_max - v.eta_min),
        },
        backward={},
    ),
    # the decays. v: step the numbers of the updates, from 0; updates how many there are, eta_min, eta_max
    "linear_decay": Operation(
        forward={
            "t": lambda v: v.step,
            "part": lambda v: v.t / v.updates,
            "height": lambda v: 1 - v.part,
            "eta": lambda v: v.eta_min + v.height * (v.eta_max - v.eta_min),
        },
        backward={},
    ),
    "cosine_decay": Operation(
        forward={
            "t": lambda v: v.step,
            "part": lambda v: v.t / v.updates,
            "height": lambda v: (1 + np.cos(np.pi * v.part)) / 2,
            "eta": lambda v: v.eta_min + v.height * (v.eta_max - v.eta_min),
        },
        backward={},
    ),
    # v: warmup, too
    "one_cycle": Operation(
        forward={
            "t": lambda v: v.step,
            "part": lambda v: v.t / v.updates,
            "top": lambda v: v.warmup,
            "rise": lambda v: 1 - v.part / (v.top or 1),
            "fall": lambda v: (v.part - v.top) / (1 - v.top),
            "below": lambda v: np.where(v.part < v.top, v.rise, v.fall),
            "height": lambda v: (1 + np.cos(np.pi * v.below)) / 2,
            "eta": lambda v: v.eta_min + v.height * (v.eta_max - v.eta_min),
        },
        backward={},
    ),
    # of one set of images. v: raw (N, D), train (M, D) the raw training images
    "standardization": Operation(
        forward={
            "mean": lambda v: v.train.mean(axis=0),
            "std": lambda v: v.train.std(axis=0),
            "out": lambda v: (v.raw - v.mean) / np.where(v.std > 0, v.std, 1),
        },
        backward={},
    ),
}


FORWARD_LINES = frozenset(f"{name}.{line}" for name, operation in OPERATIONS.items() for line in operation.forward)

LINES = {
    (name, part): [(line, f"{name}.{line}", formula) for line, formula in getattr(operation, part).items()]
    for name, operation in OPERATIONS.items()
    for part in Operation._fields
}


def is_forward(line: str) -> bool:
    """Whether the line, "operation.line", belongs to a forward pass; the order of a layer's operations does."""
    return line in FORWARD_LINES or line == "layer.order"


PARTS = {"softmax_cross_entropy": "loss", "l2_penalty": "penalty"}  # every other operation is on a layer's way
Parts = Mapping[tuple[str, bool], Mapping[str, Line]]


@cache
def part_of(line: str) -> tuple[str, bool]:
    """Layer, loss or penalty; and whether of its forward pass."""
    return PARTS.get(line.split(".")[0], "layer"), is_forward(line)


def by_part(lines: Mapping[str, Line]) -> Parts:
    parts: dict[tuple[str, bool], dict[str, Line]] = {}
    for line, formula in lines.items():
        parts.setdefault(part_of(line), {})[line] = formula
    return parts


def compute(operation: str, part: str, v: Values, planted: Mapping[str, Line]) -> Values:
    """Fills in what the lines of `part` ("forward" or "backward") give, with the planted ones in their places."""
    values = vars(v)
    for line, name, formula in LINES[operation, part]:
        values[line] = planted.get(name, formula)(v)
    return v
