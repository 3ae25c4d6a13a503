"""The user's numbers beside what the textbook gives with mistakes planted into it, place by place."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import Mistake
from manual_mlp.diagnosis.textbook import Line, Parts, by_part, is_forward
from manual_mlp.layers import Array

Numbers = Mapping[str, Array]  # by place
NOT_COMPUTED = (ValueError, IndexError, TypeError, AttributeError, ZeroDivisionError)  # lines that do not go together


class InOrder(Mapping[str, Any]):
    """Values by place that are computed one after the other, as far as they are asked for; those behind a line that
    cannot be computed - shapes that do not fit, numbers that are not there - are missing. Mistakes divide by 0: whoever
    asks has NumPy ignore it, once for all that it asks for.
    """

    def __init__(self, values: Iterator[tuple[str, Any]]) -> None:
        self.values_left, self.known = values, dict[str, Any]()

    def advance(self) -> bool:
        try:
            place, value = next(self.values_left)
        except (StopIteration, *NOT_COMPUTED):
            return False
        self.known[place] = value
        return True

    def __getitem__(self, place: str) -> Any:
        while place not in self.known:
            if not self.advance():
                raise KeyError(place)
        return self.known[place]

    def __iter__(self) -> Iterator[str]:
        seen = 0
        while len(self.known) > seen or self.advance():
            yield list(self.known)[seen]
            seen += 1

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass(frozen=True)
class Planted:
    """One variant of a mistake, put somewhere."""

    mistake: Mistake
    lines: Mapping[str, Line]
    layers: frozenset[object] | None = None  # in these layers alone, or these parameters; None: everywhere
    where: str = ""

    @cached_property
    def forward(self) -> bool:
        """Whether it changes the forward pass."""
        return any(map(is_forward, self.lines))

    @cached_property
    def parts(self) -> Parts:
        return by_part(self.lines)


def lines_at(planted: Iterable[Planted], layer: object = None) -> dict[str, Line]:
    """The lines that stand in this layer instead of the textbook's."""
    lines: dict[str, Line] = {}
    for plan in planted:
        if plan.layers is None or layer in plan.layers:
            lines |= plan.lines
    return lines


Predict = Callable[[Sequence[Planted], int], Numbers]  # what the textbook with these mistakes gives for one problem


def nothing_kept(planted: Sequence[Planted]) -> int:  # noqa: ARG001
    return 0


@dataclass(frozen=True)
class Comparison:
    """What the user's code gave for several problems, beside what the textbook predicts.

    places      in the order of computation, then of back-propagation
    observed    of each problem, the places that it has
    scales      of each problem and place: the size against which a difference counts
    titles      how a place is called in the report; several may share a title
    forward     the places of the forward pass
    alternative numbers that are right as well, with a tolerance of their own: the derivative of the user's own,
                wrong, forward pass
    state       how much of what the user's code keeps for later these mistakes explain, too: it decides between those
                that give the same numbers
    """

    places: Sequence[str]
    observed: Sequence[Numbers]
    scales: Sequence[Mapping[str, float]]
    predict: Predict
    tolerance: float
    titles: Mapping[str, str]
    circumstances: Sequence[Mapping[str, float]]  # of each problem: n, l2
    forward: frozenset[str] = frozenset()
    alternative: Sequence[Numbers] = ()
    alternative_tolerance: float = 1e-6
    state: Callable[[Sequence[Planted]], int] = nothing_kept

    @property
    @np.errstate(all="ignore")
    def compared(self) -> set[str]:
        """The places that are there and have a size; beside an infinite one any number is right."""
        pairs = zip(self.observed, self.scales, strict=True)
        return {place for observed, scales in pairs for place in observed if np.isfinite(scales[place])}

    def residual(self, place: str, problem: int, predicted: Numbers) -> float:
        """How far the prediction is off at this place; 0 where the problem does not have it."""
        observed = self.observed[problem].get(place)
        if observed is None:
            return 0.0
        scale = self.scales[problem][place]
        off = distance(observed, predicted.get(place), scale)
        if off > self.tolerance and self.alternative:
            other = distance(observed, self.alternative[problem].get(place), scale)
            if other <= self.alternative_tolerance:
                return 0.0
        return off

    @np.errstate(all="ignore")
    def residuals(self, planted: Sequence[Planted], problems: Iterable[int] | None = None) -> dict[str, float]:
        """The largest of all problems, place by place."""
        worst = dict.fromkeys(self.places, 0.0)
        for problem in range(len(self.observed)) if problems is None else problems:
            predicted = self.predicted(planted, problem)
            for place in self.places:
                worst[place] = max(worst[place], self.residual(place, problem, predicted))
        return worst

    @np.errstate(all="ignore")
    def reach(self, planted: Sequence[Planted]) -> int:
        """`first_wrong` of these, with nothing computed that comes after it."""
        predicted = [self.predicted(planted, problem) for problem in range(len(self.observed))]
        for number, place in enumerate(self.places):
            if any(self.residual(place, problem, p) > self.tolerance for problem, p in enumerate(predicted)):
                return number
        return len(self.places)

    @property
    def agrees(self) -> bool:
        return self.reach([]) == len(self.places)

    def predicted(self, planted: Sequence[Planted], problem: int) -> Numbers:
        """Nothing where the mistaken lines do not go together."""
        try:
            with np.errstate(all="ignore"):
                return self.predict(planted, problem)
        except NOT_COMPUTED:
            return {}

    def first_wrong(self, residuals: Mapping[str, float], skipped: Iterable[str] = ()) -> int:
        """Its number among the places; their count if all agree."""
        for number, place in enumerate(self.places):
            if residuals[place] > self.tolerance and place not in skipped:
                return number
        return len(self.places)


def distance(observed: Array, predicted: Array | None, scale: float) -> float:
    """The largest difference, relative to the scale, or to the prediction where a mistake has made it larger."""
    if predicted is None:
        return np.inf
    predicted = np.asarray(predicted, dtype=np.float64)
    if observed.shape != predicted.shape:
        return np.inf
    off = largest(observed - predicted)
    if not math.isfinite(off):
        finite = np.isfinite(observed)
        if not np.array_equal(finite, np.isfinite(predicted)):
            return np.inf
        observed, predicted = observed[finite], predicted[finite]
        off = largest(observed - predicted)
    return off / max(scale, largest(predicted))


def largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0)) if values.ndim else abs(float(values))
