"""What a network is asked, so that its answers tell one mistake from another."""

from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.blocks import layer_names
from manual_mlp.diagnosis.reference import Batch, forward_pass
from manual_mlp.diagnosis.strangers import Unusable, call
from manual_mlp.layers import BATCH_NORM_EPS

FAR_FROM_KINKS = 1e-3  # the inputs of every ReLU; nearer, rounding may open it


def answer_to(answer: Any, batch: Batch) -> Any:
    if callable(answer):
        return answer(
            {name: v.copy() for name, v in batch.parameters.items()}, batch.x.copy(), batch.y.copy(), batch.l2
        )
    return answer


def ignores_l2(answer: Any, batch: Batch) -> bool:
    """Whether the answer to an l2 is, to the last bit, that to 0: code that has no penalty is not asked for one."""
    try:
        (cost, gradients), (with_l2, others) = (
            call("cost", answer_to, answer, replace(batch, l2=l2)) for l2 in (0.0, 0.1)
        )
        return bool(cost == with_l2) and all(np.array_equal(gradients[name], others[name]) for name in gradients)
    except (Unusable, ValueError, TypeError, KeyError):
        return False


def asked(batch: Batch, depth: int, penalized: bool = True) -> list[Batch]:
    """The questions that tell mistakes apart: other batch sizes, with and without l2, parameters off their defaults."""
    rng = np.random.default_rng(0)
    parameters = {name: value.copy() for name, value in batch.parameters.items()}
    for name, value in parameters.items():
        if name.endswith(".bias") and np.ptp(value) == 0:
            value += rng.normal(0, 0.3, value.shape)
        elif name.startswith("bn") and np.ptp(value) == 0:
            value *= rng.uniform(0.5, 1.5, value.shape) * rng.choice([-1, 1], value.shape)
    n = len(batch.x)
    sizes = dict.fromkeys((n, max(3, n // 2 + 1), 100 if batch.x.shape[1] <= 100 else n))
    classes = len(parameters[layer_names(depth).weight])
    mean, std = batch.x.mean(axis=0), batch.x.std(axis=0)
    batches = []
    for size in sizes:
        chosen = np.arange(size) % n
        x, y = batch.x[chosen], batch.y[chosen]
        if size > n:
            x, y = rng.normal(mean, std + 0.1, (size, len(mean))), rng.integers(0, classes, size)
        batches.append(away_from_kinks(replace(batch, parameters=parameters, x=x, y=y, l2=0.0), depth, rng))
    l2 = batch.l2 or 0.1
    strengths = ((0, 0.0), (0, l2), (1, l2 / 2), (-1, 0.0)) if len(batches) > 1 else ((0, 0.0), (0, l2))
    return [replace(batches[which], l2=strength) for which, strength in strengths if penalized or strength == 0]


def away_from_kinks(batch: Batch, depth: int, rng: np.random.Generator) -> Batch:
    """Its images moved a little where a ReLU's input is so near 0 that rounding could open it."""
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    best, farthest, x = batch, -1.0, batch.x
    for attempt in range(30):
        moved = replace(batch, x=x if attempt == 0 else x + rng.normal(0, 0.02 * (x.std() or 1.0), x.shape))
        layers = forward_pass(moved, names, (), BATCH_NORM_EPS).layers[:-1]
        nearest = min((float(np.abs(layer.relu.x).min()) for layer in layers), default=np.inf)
        if nearest > farthest:
            best, farthest = moved, nearest
        if nearest > FAR_FROM_KINKS:
            break
    return best
