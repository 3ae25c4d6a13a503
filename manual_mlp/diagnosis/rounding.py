"""What rounding may do to the numbers of a problem: measured, with every line of the textbook rounded a little wrong.

Mostly it is next to nothing. But where a difference of nearly equal numbers is left - a bias in front of batch
normalization, a batch of two images, images that are all alike - it may be all that there is, and two right programs
have nothing in common.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from manual_mlp.diagnosis.comparison import Numbers, Planted
from manual_mlp.diagnosis.mistakes.mistake import known
from manual_mlp.diagnosis.reference import ON_THE_WAY
from manual_mlp.diagnosis.textbook import OPERATIONS, PARTS, Line
from manual_mlp.layers import Array

DRAWS = 3  # one alone may round luckily
MARGIN = 50  # a program that computes in another order rounds more often


def roundings(precision: float) -> list[Planted]:
    """The textbook at this relative precision, a few times."""
    return [every_line_rounded(precision, np.random.default_rng(draw)) for draw in range(DRAWS)]


def uncertainty(
    predict: Callable[[Sequence[Planted], int], Numbers], number: int, draws: Sequence[Planted]
) -> Iterator[tuple[str, float]]:
    """How far a right program's numbers may be from the textbook's, place by place, with these roundings."""
    right = predict((), number)
    others = [predict([draw], number) for draw in draws]
    for place in right:
        off = np.abs([other[place] - right[place] for other in others])
        yield place, MARGIN * float(np.max(off, initial=0.0, where=np.isfinite(off)))


def every_line_rounded(precision: float, rng: np.random.Generator) -> Planted:
    """No mistake: the textbook itself, each of whose lines is off by this precision, up or down."""
    lines = {
        f"{name}.{line}": rounded(formula, precision, rng)
        for name in (*ON_THE_WAY, *PARTS)
        for line, formula in {**OPERATIONS[name].forward, **OPERATIONS[name].backward}.items()
    }
    # a sum of products is off by as much as its terms, however little is left of them
    for line, (one, other) in {"product": ("x", "W"), "dW": ("dout.T", "x.T"), "dx": ("dout", "W.T")}.items():
        lines[f"linear.{line}"] = rounded_product(attrgetter(one), attrgetter(other), precision, rng)
    # a probability that is rounded, before the logarithm is taken, moves it by as much in absolute terms
    log_p = lines["softmax_cross_entropy.log_p"]
    lines["softmax_cross_entropy.log_p"] = lambda v: log_p(v) + precision * signs(v.p, rng)
    return Planted(known("rounding", "", "", "", lines), lines)


def rounded(formula: Line, precision: float, rng: np.random.Generator) -> Line:
    def line(v: Any) -> Any:
        value = formula(v)
        return value * (1 + precision * signs(value, rng)) if np.asarray(value).dtype.kind == "f" else value

    return line


def rounded_product(one: Line, other: Line, precision: float, rng: np.random.Generator) -> Line:
    """Of every row of the one with every row of the other."""

    def line(v: Any) -> Any:
        left, right = one(v), other(v)
        product = left @ right.T
        terms = np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)) / np.sqrt(left.shape[1])
        return product + precision * terms * signs(product, rng)

    return line


def signs(value: Any, rng: np.random.Generator) -> Array:
    drawn: Array = np.copysign(1.0, rng.random(np.shape(value)) - 0.5)  # faster than integers
    return drawn
