"""Whatever eps a program has: the one with which most of its numbers agree, or can be explained."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from manual_mlp.diagnosis.comparison import Comparison, Planted
from manual_mlp.diagnosis.explain import best_of, explain, most_telling
from manual_mlp.diagnosis.report import Finding
from manual_mlp.layers import BATCH_NORM_EPS

TINY = float(np.finfo(float).eps)  # whatever is smaller makes the same numbers
EPS = (BATCH_NORM_EPS, 1e-8, TINY, 1e-3, 1e-4, 1e-6, 1e-7, 1e-9, 1e-10, 1e-12)  # in the order in which they are met
MOST_MOVED = 20  # times as far as it moves what is right, another eps may move what a mistake has made


class Settled(NamedTuple):
    """An explanation, and the eps for which it holds."""

    findings: list[Finding]
    agreeing: list[str]
    unjudged: list[str]
    eps: float


@np.errstate(all="ignore")
def settle(
    comparison_at: Callable[[float], Comparison], candidates: Sequence[Planted], guesses: Sequence[float]
) -> Settled:
    """The explanation at the eps that leaves nothing wrong, or else nothing without a name."""
    best, comparison = measured_eps(comparison_at, guesses)
    first = Settled(*explain(comparison, candidates), best)
    if first.findings and first.findings[0].mistake is None and comparison.reach([]) == 0:
        near = within_reach(comparison_at, comparison, candidates, guesses)
        for guess in guesses:
            if best_of(comparison_at(guess), [], near, 0, set()):
                return Settled(*explain(comparison_at(guess), candidates), guess)
    return first


def within_reach(
    comparison_at: Callable[[float], Comparison],
    comparison: Comparison,
    candidates: Sequence[Planted],
    guesses: Sequence[float],
) -> list[Planted]:
    """The mistakes that are no further off, at the first place, than another eps could move them."""
    place = comparison.places[0]
    problem = most_telling(comparison, [], place)
    residuals = [comparison.residual(place, problem, comparison_at(guess).predicted([], problem)) for guess in guesses]
    moved = MOST_MOVED * (max(residuals) - min(residuals)) + comparison.tolerance
    return [c for c in candidates if comparison.residual(place, problem, comparison.predicted([c], problem)) <= moved]


def eps_note(eps: float) -> str:
    return f"eps is {'next to 0' if eps == TINY else f'{eps:g}'} here, where torch has {BATCH_NORM_EPS:g}"


def measured_eps(comparison_at: Callable[[float], Comparison], guesses: Sequence[float]) -> tuple[float, Comparison]:
    """The guess at which most places agree, one after the other; the first of those. (The cost alone cannot tell 0 from
    1e-9, the gradients can.)
    """
    best: tuple[int, float, Comparison] | None = None
    for guess in guesses:
        comparison = comparison_at(guess)
        reached = comparison.reach([])
        if best is None or reached > best[0]:
            best = reached, guess, comparison
        if reached == len(comparison.places):
            break
    assert best is not None
    return best[1:]
