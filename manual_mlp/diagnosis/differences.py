"""What can be said about wrong numbers that no known mistake explains."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.layers import Array

AS_IN_FLOAT32 = 1e-5
Pair = tuple[Array, Array, float, Mapping[str, float]]  # observed, expected, scale, circumstances such as n and l2


def described(here: Sequence[Pair], everywhere: Sequence[Pair], tolerance: float) -> str:
    """In words: shape, sign, factor, transposed, which rows, of the problems that show it most plainly; and under which
    circumstances, of all problems.
    """
    start = "wrong, and none of the known mistakes explains the numbers"
    when = circumstance(everywhere, tolerance)
    remarks = [when]
    wrong = [pair for pair in here if not close(*pair[:3], tolerance)]
    remarks += [
        shape(wrong)
        or not_finite(wrong)
        or rounded(wrong)
        or not_zero(wrong)
        or number(wrong, at_all_times=not when)
        or factor(wrong, tolerance)
        or transposed(wrong, tolerance)
        or part(wrong, tolerance)
    ]
    return "; ".join([start, *filter(None, remarks)])


def close(observed: Array, expected: Array, scale: float, tolerance: float) -> bool:
    if observed.shape != expected.shape or not np.isfinite(observed).all():
        return False
    return bool(np.abs(observed - expected).max(initial=0.0) <= tolerance * scale)


def shape(wrong: Sequence[Pair]) -> str:
    for observed, expected, _, _ in wrong:
        if observed.shape != expected.shape:
            return f"its shape is {observed.shape}, it must be {expected.shape}"
    return ""


def not_finite(wrong: Sequence[Pair]) -> str:
    if any(not np.isfinite(observed).all() for observed, *_ in wrong):
        return "it contains NaN or infinity"
    return ""


def rounded(wrong: Sequence[Pair]) -> str:
    """Differences as small as those that float32 makes."""
    most = max((float(np.abs(o - e).max(initial=0.0)) / scale for o, e, scale, _ in wrong), default=np.inf)
    if most > AS_IN_FLOAT32:
        return ""
    return f"it is off by {most:.0e} of its largest entry, as if computed in float32; compute in float64 to be sure"


def not_zero(wrong: Sequence[Pair]) -> str:
    """Of what must be 0 but for rounding, there is no factor."""
    if wrong and all(np.abs(expected).max(initial=0.0) < 1e-9 * scale for _, expected, scale, _ in wrong):
        return "it must be 0, but for rounding"
    return ""


def number(wrong: Sequence[Pair], at_all_times: bool) -> str:
    """Of one number, a constant difference; and no factor, unless it is the same for all problems."""
    if any(observed.ndim for observed, *_ in wrong) or len(wrong) < 2:
        return ""
    more = [float(observed - expected) for observed, expected, *_ in wrong]
    if np.ptp(more) <= 1e-6 * max(np.abs(more)):
        too = f"it is {abs(more[0]):.6g} too {'large' if more[0] > 0 else 'small'}"
        return f"{too}, whatever batch and l2" if at_all_times else too
    return ""


def factor(wrong: Sequence[Pair], tolerance: float) -> str:
    """observed = c expected, with one c for all problems, or one that goes with the batch size."""
    factors, sizes = [], []
    for observed, expected, scale, at in wrong:
        norm = float(np.vdot(expected, expected))
        c = float(np.vdot(expected, observed)) / norm if norm > 0 else 0.0
        if not close(observed, c * expected, scale * max(1.0, abs(c)), max(tolerance, 1e-9)):
            return ""
        factors.append(c)
        sizes.append(at.get("n", 1.0))
    for given, name in (
        (factors, ""),
        ([c * n for c, n in zip(factors, sizes, strict=True)], " / n"),
        ([c / n for c, n in zip(factors, sizes, strict=True)], " n"),
    ):
        if np.ptp(given) <= 1e-6 * max(np.abs(given)):
            c = float(np.mean(given))
            if name == "" and abs(c) < tolerance:
                return "it is 0"
            if name == "" and abs(c + 1) < 1e-6:
                return "it has the wrong sign"
            if name and len(set(sizes)) == 1:
                break
            return f"it is {times(c, name)} times what it should be{', n being the batch size' if name else ''}"
    if all(observed.ndim == 0 for observed, *_ in wrong):
        return ""  # any number is proportional to any other
    return f"it is proportional to what it should be, by {', '.join(f'{c:.4g}' for c in factors)}"


def times(c: float, size: str) -> str:
    """c, c / n or c n, as it is said: n and 1 / n rather than 1 n, and -n rather than -1 n."""
    sign = "-" if c < 0 else ""
    return f"{sign}n" if size == " n" and abs(abs(c) - 1) < 1e-6 else f"{c:.6g}{size}"


def transposed(wrong: Sequence[Pair], tolerance: float) -> str:
    if all(o.ndim == 2 and o.shape[0] == o.shape[1] and close(o.T, e, s, tolerance) for o, e, s, _ in wrong):
        return "it is transposed"
    return ""


def part(wrong: Sequence[Pair], tolerance: float) -> str:
    """Whole rows or columns that are wrong while the others are right."""
    for axis, name in ((1, "rows"), (0, "columns")):
        wrong_lines = []
        for observed, expected, scale, _ in wrong:
            off = np.abs(observed - expected) > tolerance * scale
            lines = off.any(axis=axis) if off.ndim == 2 else off
            if off.ndim == 0 or lines.all():
                break
            wrong_lines.append(lines)
        else:
            what, lines = name if wrong[0][0].ndim == 2 else "entries", wrong_lines[0]
            if lines.mean() > 0.5:
                return f"all {what} are wrong but {some(~lines)}"
            return f"only some {what} are wrong, such as {some(lines)}"
    return ""


def some(chosen: ArrayLike) -> str:
    first = [str(number) for number in np.flatnonzero(chosen)[:6]]
    return ", ".join([*first[:5], "..."] if len(first) > 5 else first)


def circumstance(pairs: Sequence[Pair], tolerance: float) -> str:
    """Under which circumstances it is right."""
    right = [at for observed, expected, scale, at in pairs if close(observed, expected, scale, tolerance)]
    wrong = [at for observed, expected, scale, at in pairs if not close(observed, expected, scale, tolerance)]
    if not right:
        return ""
    if all(at.get("l2", 0) == 0 for at in right) and all(at.get("l2", 0) > 0 for at in wrong):
        return "only when l2 > 0"
    telling = []  # two that changed together in what was asked are named both
    for name in ("n", "l2"):
        values = {at.get(name) for at in right}
        if len(values) == 1 and all(at.get(name) not in values for at in wrong):
            telling += [f"{name} differs from {value:g}" for value in values if value is not None]
    if telling:
        return f"only when {' or '.join(telling)}"
    return "not for every batch"
