"""The l2 of a program that does not heed the one it is given: read off its gradients where l2 is 0."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from manual_mlp.blocks import LayerNames
from manual_mlp.diagnosis.comparison import Numbers
from manual_mlp.diagnosis.reference import Batch, forward_pass, gradients_of
from manual_mlp.layers import BATCH_NORM_EPS

NOTHING = 1e-9  # of an l2


def with_own_l2(batches: Sequence[Batch], observed: Sequence[Numbers], names: Sequence[LayerNames]) -> list[Batch]:
    """The batches with that l2, where the gradient of the last weight is off by a multiple of the weight itself. (A
    program without any penalty there has no l2 of its own.)
    """
    last = names[-1].weight
    for batch, answer in zip(batches, observed, strict=True):
        gradient, weight = answer.get(f"{last} without l2"), batch.parameters[last]
        if batch.l2 or gradient is None or gradient.shape != weight.shape:
            continue
        with np.errstate(all="ignore"):
            off = gradient - dict(gradients_of(forward_pass(batch, names, (), BATCH_NORM_EPS), names))[last]
            own = float(np.vdot(off, weight) / np.vdot(weight, weight) / 2)
        return [replace(batch, own_l2=own) for batch in batches] if abs(own) > NOTHING else list(batches)
    return list(batches)
