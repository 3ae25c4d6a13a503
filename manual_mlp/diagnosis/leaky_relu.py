"""A leaky ReLU's slope below 0: of several, the one with which most of a program's numbers agree."""

from collections.abc import Callable, Sequence

import numpy as np

from manual_mlp.diagnosis.comparison import Comparison
from manual_mlp.diagnosis.epsilon import measured_eps


@np.errstate(all="ignore")
def measured_slope(
    comparison_at: Callable[[float, float], Comparison], slopes: Sequence[float], guesses: Sequence[float]
) -> float:
    """The slope at which most places agree, one after the other, at the best eps of these guesses; the first of those.

    comparison_at  that of a slope and an eps
    """
    best, most = slopes[0], -1
    for slope in slopes if len(slopes) > 1 else ():
        _, comparison = measured_eps(lambda eps, slope=slope: comparison_at(slope, eps), guesses)  # type: ignore[misc]
        if (reached := comparison.reach([])) > most:
            best, most = slope, reached
        if reached == len(comparison.places):
            break
    return best


def slope_note(slope: float) -> str:
    return f"its ReLU is leaky, with slope {slope:g}"
