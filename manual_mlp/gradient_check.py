"""Is a gradient right? Centered differences of the cost, and the comparison of two gradient dictionaries."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.checks import checked_number
from manual_mlp.layers import Array
from manual_mlp.network import MLP


def numerical_gradients(net: MLP, x: ArrayLike, y: ArrayLike, l2: float = 0.0, h: float = 1e-5) -> dict[str, Array]:
    """Centered differences: (cost(parameter + h) - cost(parameter - h)) / 2h, one entry after the other.

    The cost normalizes with the batch's statistics, as the gradient does, and the running statistics stay as they
    are. The error falls with h^2 until rounding, about 1e-16 cost / h, takes over; and a step that carries the
    input of a ReLU across 0 measures another function. In float64 h = 1e-5 serves both.
    """
    if net.dtype != np.float64:
        raise ValueError(f"net has dtype {net.dtype}; differences of a rounded cost need dtype=np.float64")
    if checked_number("h", h, minimum=0) == 0:
        raise ValueError("h is 0; the step of a difference must be positive, such as 1e-5")
    numerical = net.parameters.zeros_like()
    entries, results = net.parameters.flat, numerical.flat
    for entry in range(entries.size):
        value = entries[entry]
        try:
            entries[entry] = value + h
            above = net.cost(x, y, l2, training=True)
            entries[entry] = value - h
            below = net.cost(x, y, l2, training=True)
        finally:
            entries[entry] = value
        results[entry] = (above - below) / (2 * h)
    return dict(numerical)


@dataclass(frozen=True)
class ParameterComparison:
    """One parameter's gradient beside its reference."""

    name: str
    shape: tuple[int, ...]
    difference: float  # max |gradient - reference|
    scale: float  # max |reference|
    is_zero: bool  # both lie below the floor: the true gradient is 0 and what is left is rounding

    @property
    def relative(self) -> float:
        """The difference on the scale of the parameter's own gradient.

        Not entry by entry: among a thousand entries one is near 0 by chance, and its relative error says nothing.
        """
        return 0.0 if self.is_zero else self.difference / self.scale if self.scale > 0 else np.inf


@dataclass(frozen=True)
class GradientComparison:
    """All parameters' comparisons; print it for the table."""

    parameters: tuple[ParameterComparison, ...]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest relative difference; NaN if any is."""
        return float(np.max([parameter.relative for parameter in self.parameters]))

    @property
    def agrees(self) -> bool:
        return self.worst <= self.tolerance

    def __str__(self) -> str:
        lines = [f"{'parameter':<16} {'shape':>12} {'max |diff|':>11} {'max |ref|':>11} {'relative':>10}  verdict"]
        for row in self.parameters:
            relative = "-" if row.is_zero else f"{row.relative:.1e}"
            verdict = "zero" if row.is_zero else "agrees" if row.relative <= self.tolerance else "DIFFERS"
            lines.append(
                f"{row.name:<16} {'x'.join(map(str, row.shape)):>12} {row.difference:>11.1e} {row.scale:>11.1e} "
                f"{relative:>10}  {verdict}"
            )
        verdict = "every parameter agrees" if self.agrees else "NOT every parameter agrees"
        lines.append(f"{verdict}: largest relative difference {self.worst:.1e}, allowed {self.tolerance:.0e}")
        return "\n".join(lines)


def compare_gradients(
    gradients: Mapping[str, ArrayLike],
    reference: Mapping[str, ArrayLike],
    tolerance: float = 1e-7,
    floor: float = 1e-9,
) -> GradientComparison:
    """Compares two gradient dictionaries, parameter by parameter, as max |difference| / max |reference|.

    A parameter whose gradient stays below `floor` on both sides is zero: a bias in front of batch normalization, whose
    true gradient is 0, would otherwise compare rounding with rounding. The defaults suit centered differences with
    h = 1e-5; against another exact gradient in float64, ask for tolerance=1e-12, floor=1e-13.
    """
    if set(gradients) != set(reference):
        missing, unknown = set(reference) - set(gradients), set(gradients) - set(reference)
        raise ValueError(
            f"gradients must have the reference's names; missing: {sorted(missing) or 'none'}, "
            f"unknown: {sorted(unknown) or 'none'}"
        )
    rows = []
    for name in reference:
        ours, theirs = np.asarray(gradients[name]), np.asarray(reference[name])
        if ours.shape != theirs.shape:
            raise ValueError(f"gradients[{name!r}] has shape {ours.shape}; the reference's is {theirs.shape}")
        difference, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
        is_zero = bool(scale <= floor and np.abs(ours).max() <= floor)
        rows.append(ParameterComparison(name, theirs.shape, float(difference), float(scale), is_zero))
    return GradientComparison(tuple(rows), tolerance)
