"""The costs that a program computed while it was watched, beside the reference's.

Mostly of a whole set of images: 10,000 of 3,072 pixels. As these are 128 pixels repeated, a network of 129 inputs has
the same cost, its penalty included.
"""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import Inputs, reference
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, Part, mentioned
from manual_mlp.adapters.program import Program
from manual_mlp.adapters.roles import role_of
from manual_mlp.adapters.seen_steps import seen
from manual_mlp.adapters.slopes import slopes
from manual_mlp.adapters.stand_in_images import BLOCK, PIXELS, PLACES
from manual_mlp.adapters.training import Training
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.report import Finding

ALIKE = 1e-6  # of a cost that is the reference's
SHARES = (1.0, 0.5, 0.0)  # of the penalty
FEW = 100  # images


class CostSeen(NamedTuple):
    """What went into a cost function, and the numbers that came out: the cost, or the loss and the cost."""

    given: Inputs
    values: list[float]
    single: bool  # in float32

    def right(self, share: float) -> float:
        """The reference's, with this share of the penalty."""
        weights = (value for value in self.given.parameters.values() if value.ndim == 2)
        penalty = self.given.l2 * sum(float((weight**2).sum()) for weight in weights)
        return reference(self.given._replace(l2=0.0))[1] + share * penalty

    def is_right(self, share: float) -> bool:
        right = self.right(share)
        return any(abs(value - right) < (SINGLE if self.single else ALIKE) * abs(right) for value in self.values)

    def nearest(self, share: float) -> str:
        right = self.right(share)
        return f"{min(self.values, key=lambda value: abs(value - right)):.6g}, is not {right:.6g}"


def cost_seen(network: Network, training: Training, batch_norm: bool, affine: bool) -> CostSeen | None:
    """A right one, if there is one. With batch normalization it is often that of test mode, which is another one; and
    what has no penalty, although the function can add one, is the loss.
    """
    found = list(costs_of(network, training, batch_norm, affine))
    right = next((cost for cost in found if cost.is_right(1.0)), None)
    if network.cost is not None and penalizes(network.cost):
        found = [cost for cost in found if not cost.is_right(0.0)]
    return right or next((cost for cost in found[:1] if not batch_norm or judged_cost(cost, 1.0)), None)


def penalizes(cost: Part) -> bool:
    """Does the function know a lambda?"""
    texts = mentioned(cost.tree) if cost.tree is not None else ()
    return any((role := role_of(text)) is not None and role.kind == "lambda" for text in texts)


def costs_of(network: Network, training: Training, batch_norm: bool, affine: bool) -> Iterator[CostSeen]:
    for asked in training.costs:
        if network.cost is None or not asked.function.is_that_of(network.cost):
            continue
        with contextlib.suppress(Failed):
            question = seen(asked.step, asked.batch)
            if question.how.batch_norm is not (batch_norm and affine) or not question.says_l2:
                continue
            result = asked.step.result
            values = result if isinstance(result, tuple | list) else [result]
            numbers = [float(np.ravel(value)[0]) for value in values if is_scalar(value)]
            asks = question if affine or not batch_norm else question.normalized()
            given = asks.given._replace(eps=asks.eps[0]) if len(asks.eps) == 1 else asks.given
            if numbers:
                yield with_relu(CostSeen(folded(given), numbers, question.single), network.program)


def with_relu(cost: CostSeen, program: Program) -> CostSeen:
    """With the slope of a leaky ReLU, and its place in front of batch normalization, with which it is right."""
    places = (False, True) if any(name.startswith("bn") for name in cost.given.parameters) else (False,)
    for slope, relu_first in itertools.product(slopes(program), places):
        told = cost._replace(given=cost.given._replace(relu_slope=slope, relu_first=relu_first))
        if any(told.is_right(share) for share in SHARES):
            return told
    return cost


def is_scalar(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.ndarray) and np.size(value) == 1


def folded(given: Inputs) -> Inputs:
    """The same network over the 128 different pixels: the weights of equal pixels are added up, and what this takes off
    the sum of their squares stands at a further input that is 0.
    """
    name = "linear1.weight"
    weight = given.parameters[name]
    for place in PLACES:
        first = np.array([np.flatnonzero(place == pixel)[0] for pixel in range(BLOCK)])
        if given.x.shape[1] == PIXELS and np.array_equal(given.x, given.x[:, first[place]]):
            equal = np.eye(BLOCK)[place] / np.sqrt(PIXELS // BLOCK)  # (3072, 128), its columns orthonormal
            sums = weight @ equal
            rest = np.sqrt(np.maximum((weight**2).sum(axis=1) - (sums**2).sum(axis=1), 0))
            x = np.hstack([given.x[:, first] * np.sqrt(PIXELS // BLOCK), np.zeros((len(given.x), 1))])
            parameters = {**given.parameters, name: np.hstack([sums, rest[:, np.newaxis]])}
            return given._replace(parameters=parameters, x=x)
    return given


def judged_cost(cost: CostSeen, share: float) -> list[Finding]:
    """If a known mistake explains it: there are other losses. Of a few of the images, with the cost that they would
    have if only the penalty were wrong, or else only the loss, in proportion.
    """
    given = cost.given._replace(l2=share * cost.given.l2)
    few = given._replace(x=given.x[:FEW], y=given.y[:FEW])
    loss, loss_of_few = (reference(question._replace(l2=0.0))[1] for question in (given, few))
    _, right, gradients = reference(few)
    penalty = right - loss_of_few
    nearest = min(cost.values, key=lambda value: abs(value - loss - penalty))
    for value, of_penalty in (
        (nearest - loss + loss_of_few, True),
        ((nearest - penalty) / loss * loss_of_few + penalty, False),
    ):
        report = diagnose(
            (value, gradients),
            few.parameters,
            few.x,
            few.y,
            few.l2,
            relu_slope=few.relu_slope,
            eps=few.eps,
            tolerance=SINGLE if cost.single else None,
        )
        if found := [f for f in report.findings if f.mistake and f.mistake.startswith("penalty") is of_penalty]:
            return found
    return []
