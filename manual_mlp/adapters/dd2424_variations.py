"""What a network has that the course's has not, told from its cost: batch norm behind the ReLU, a leaky
ReLU, label smoothing."""

from collections.abc import Iterator, Sequence

import numpy as np

from manual_mlp.adapters.arrangement import Inputs, as_computed, reference, sizes_of
from manual_mlp.adapters.calls import computed
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import Reading
from manual_mlp.diagnosis.leaky_relu import slope_note

NEAR = 1e-3  # of a share, for batch normalization's eps and one inside a logarithm are not measured yet


def variations(network: Network, reading: Reading) -> Iterator[Inputs]:
    """Networks that the cost may be of, as far as two batches without a penalty say so."""
    how, given = reading.how, reading.given
    one = given._replace(l2=0.0)
    other = one._replace(x=one.x[1:][::-1] ** 2 - 1, y=(one.y[1:] + 1) % sizes_of(given.parameters)[-1])
    try:
        theirs = [computed(network, how, batch).costs for batch in (one, other)]
    except Failed:
        return
    for relu_first in dict.fromkeys((given.relu_first, how.batch_norm)):
        batches = [as_computed(how, batch._replace(relu_first=relu_first)) for batch in (one, other)]
        for share in shares(batches, theirs):
            if (relu_first, share) != (given.relu_first, 0.0):
                yield given._replace(relu_first=relu_first, label_smoothing=share)


def shares(batches: Sequence[Inputs], theirs: Sequence[Sequence[float]]) -> Iterator[float]:
    """The label smoothing with which our network has their cost of every batch: the cost is linear in it. A round
    number, of all classes or of the wrong ones alone, comes before one that is measured with an error.
    """
    hard = np.array([reference(batch)[1] for batch in batches])
    half = np.array([reference(batch._replace(label_smoothing=0.5))[1] for batch in batches])
    classes = sizes_of(batches[0].parameters)[-1]
    for costs in zip(*theirs, strict=False):
        measured = (np.array(costs) - hard) / (2 * (half - hard))
        share, spread = float(measured.mean()), float(np.ptp(measured))
        if not spread < NEAR or not -NEAR < share < 1 - NEAR:
            continue
        if abs(share) < NEAR:
            yield 0.0
            continue
        others = classes / (classes - 1)
        yield from dict.fromkeys((round(share, 3), others * round(share / others, 3), share))


def variation_notes(given: Inputs) -> Iterator[str]:
    """What the numbers were compared with, in words."""
    if given.relu_first:
        yield "batch norm stands behind the ReLU here; judged so (the course's stands in front of it)"
    if given.relu_slope:
        yield slope_note(given.relu_slope)
    if given.label_smoothing:
        spread = f"a share of {given.label_smoothing:.4g} of each target is spread over all classes"
        yield f"the labels are smoothed here; judged so: {spread}"
