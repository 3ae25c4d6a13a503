"""Wrong numbers that are right in a network with a setting that the caller has not named."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.blocks import LayerNames
from manual_mlp.diagnosis.comparison import Comparison
from manual_mlp.diagnosis.epsilon import EPS
from manual_mlp.diagnosis.reference import Batch, forward_pass
from manual_mlp.layers import BATCH_NORM_EPS

Settings = dict[str, Any]


def hint(
    batch: Batch,
    names: Sequence[LayerNames],
    guesses: Sequence[float],
    comparison_with: Callable[[Settings, float], Comparison],
    cost: float | None = None,
) -> list[str]:
    """What to say of the first settings with which everything is right, if there are any.

    guesses          the values of eps that the caller allows
    comparison_with  that of other settings and an eps
    cost             that of this batch, which tells the share of a smoothed target
    """
    every_eps = dict.fromkeys((*guesses, *(EPS if names[0].gamma in batch.parameters else ())))
    for structure in structures(batch, names):
        shares = [] if cost is None else smoothing(replace(batch, **structure), names, cost)
        for settings, eps in itertools.product((structure, *(structure | share for share in shares)), every_eps):
            named = settings if eps in guesses else settings | {"eps": eps}
            if named and comparison_with(settings, eps).agrees:
                said = ", ".join(f"{name}={value!r}" for name, value in named.items())
                return [f"in a network with {said} all of it would be right"]
    return []


def structures(batch: Batch, names: Sequence[LayerNames]) -> Iterator[Settings]:
    """Other places of batch normalization, and other skips: none, one, all that are possible; first the batch's own."""
    weights = [batch.parameters[layer.weight] for layer in names[:-1]]
    possible = [number for number, weight in enumerate(weights, start=1) if weight.shape[0] == weight.shape[1]]
    skips = dict.fromkeys([batch.skips, (), *((layer,) for layer in possible), tuple(possible)])
    orders = (batch.relu_first, not batch.relu_first) if names[0].gamma in batch.parameters else (batch.relu_first,)
    for around, order in itertools.product(skips, orders):
        settings: Settings = {"relu_first": order, "skips": around}
        yield {name: value for name, value in settings.items() if value != getattr(batch, name)}


def smoothing(batch: Batch, names: Sequence[LayerNames], cost: float) -> Iterator[Settings]:
    """The share with which this batch has this cost: the cost goes in a straight line with it."""
    with np.errstate(all="ignore"):
        hard, soft = (
            forward_pass(replace(batch, label_smoothing=s), names, (), BATCH_NORM_EPS).cost for s in (0.0, 1.0)
        )
        share = float((cost - hard) / (soft - hard))
    for digits in (3, 9):
        if 0 <= round(share, digits) < 1 and round(share, digits) != batch.label_smoothing:
            yield {"label_smoothing": round(share, digits)}
