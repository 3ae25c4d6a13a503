"""Is a gradient right? The comparison of two gradient dictionaries, entry by entry, and the table it prints."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manual_mlp.checks import checked_number
from manual_mlp.finite_differences import NumericalGradients
from manual_mlp.layers import Array
from manual_mlp.network import MLP

MOST_AT_KINKS = 0.01  # of a parameter's entries; with more set aside, nothing is proven


@dataclass(frozen=True)
class ParameterComparison:
    """One parameter's gradient beside its reference. Every entry is in one of: compared, at a kink, zero."""

    name: str
    shape: tuple[int, ...]
    max_difference: float  # of the compared entries
    mean_difference: float
    relative: float  # max |difference| / max |reference|; 0 where nothing is left to compare
    small: float  # share of the compared entries with |difference| < 1e-6, the measure that the reports used
    compared: int
    at_kink: int  # set aside: the difference spans a ReLU's kink
    zero: int  # both sides below the floor: the true gradient is 0 and what is left is rounding
    unexplained: int  # compared entries that differ by more than tolerance and rounding; any that is not finite

    @property
    def too_many_kinks(self) -> bool:
        return self.at_kink > MOST_AT_KINKS * (self.compared + self.at_kink + self.zero)

    @property
    def verdict(self) -> str:
        if self.unexplained:
            return "DIFFERS"
        if self.too_many_kinks:
            return "TOO MANY KINKS"
        return "agrees" if self.compared else "zero"


@dataclass(frozen=True)
class GradientComparison:
    """All parameters' comparisons; print it for the table."""

    parameters: tuple[ParameterComparison, ...]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest relative difference; NaN if any is."""
        return float(np.max([row.relative for row in self.parameters]))

    @property
    def agrees(self) -> bool:
        """Every entry is accounted for: within the tolerance, within rounding, or at one of few kinks."""
        return not any(row.unexplained or row.too_many_kinks for row in self.parameters)

    def __str__(self) -> str:
        lines = [
            f"{'parameter':<15} {'shape':>9} {'max |diff|':>10} {'mean':>8} {'relative':>8} {'<1e-6':>7} "
            f"{'compared':>8} {'kink':>4} {'zero':>6}  verdict"
        ]
        for row in self.parameters:
            numbers = f"{row.max_difference:>10.1e} {row.mean_difference:>8.1e} {row.relative:>8.1e} {row.small:>7.1%}"
            lines.append(
                f"{row.name:<15} {'x'.join(map(str, row.shape)):>9} {numbers if row.compared else ' ' * 36} "
                f"{row.compared:>8} {row.at_kink:>4} {row.zero:>6}  {row.verdict}"
            )
        verdict = "every parameter agrees" if self.agrees else "NOT every parameter agrees"
        lines.append(f"{verdict}: largest relative difference {self.worst:.1e}, allowed {self.tolerance:.0e}")
        return "\n".join(lines)


def compare_gradients(
    gradients: Mapping[str, ArrayLike],
    reference: Mapping[str, ArrayLike],
    tolerance: float = 1e-7,
    floor: float | Mapping[str, float] | None = None,
) -> GradientComparison:
    """Compares two gradient dictionaries. A difference counts on the scale of its parameter's largest gradient:
    entry by entry, one of a thousand is near 0 by chance, and its relative error says nothing.

    tolerance   1e-7 suits centered differences with h = 1e-5; another exact gradient in float64 agrees within 1e-12
    floor       size of rounding, one for all or by parameter. Entries below it on both sides are zero, and no
                difference below it is held against a gradient. Left out: what centered differences know of their own
                rounding; for any other reference what a sum of a thousand terms, each as large as the largest gradient
                of all parameters, rounds off.
    """
    for name, given in (("gradients", gradients), ("reference", reference)):
        if not isinstance(given, Mapping):
            raise ValueError(f"{name} is a {type(given).__name__}; it must be a dictionary of arrays by parameter name")
    if set(gradients) != set(reference):
        missing, unknown = set(reference) - set(gradients), set(gradients) - set(reference)
        raise ValueError(
            f"gradients must have the reference's names; missing: {sorted(missing) or 'none'}, "
            f"unknown: {sorted(unknown) or 'none'}"
        )
    tolerance = checked_number("tolerance", tolerance, minimum=0)
    pairs = {name: (np.asarray(gradients[name]), np.asarray(reference[name])) for name in reference}
    if not pairs:
        raise ValueError("gradients and reference are empty; give a gradient for every parameter")
    for name, (ours, theirs) in pairs.items():
        if ours.dtype.kind not in "fiu" or theirs.dtype.kind not in "fiu" or ours.size == 0:
            raise ValueError(f"gradients[{name!r}] is {ours.dtype} {ours.shape}; it must hold real numbers")
        if ours.shape != theirs.shape:
            raise ValueError(f"gradients[{name!r}] has shape {ours.shape}; the reference's is {theirs.shape}")
    floors = checked_floors(floor, reference, pairs)
    at_kink = reference.at_kink if isinstance(reference, NumericalGradients) else {}
    rows = []
    for name, (ours, theirs) in pairs.items():
        kink = at_kink.get(name, np.zeros(ours.shape, bool))
        rows.append(compared(name, ours.astype(np.float64), theirs.astype(np.float64), kink, floors[name], tolerance))
    return GradientComparison(tuple(rows), tolerance)


def checked_floors(
    floor: float | Mapping[str, float] | None,
    reference: Mapping[str, ArrayLike],
    pairs: Mapping[str, tuple[Array, Array]],
) -> dict[str, float]:
    """One floor for each parameter. Differences whose rounding would hide the gradients themselves are refused."""
    if isinstance(floor, Mapping):
        if missing := set(pairs) - set(floor):
            raise ValueError(f"floor lacks {sorted(missing)}; give one number, or one for every parameter")
        return {name: checked_number(f"floor[{name!r}]", floor[name], minimum=0) for name in pairs}
    if floor is None and isinstance(reference, NumericalGradients):
        largest = max(float(np.nanmax(np.abs(array))) for pair in pairs.values() for array in pair)
        if reference.floor > 1e-4 * largest:
            raise ValueError(
                f"reference rounds off {reference.floor:.0e} where the largest gradient is {largest:.0e}: such "
                "differences show nothing; take a larger h, such as 1e-5"
            )
        floor = reference.floor
    elif floor is None:
        floor = rounding_of_sums(pairs.values())
    return dict.fromkeys(pairs, checked_number("floor", floor, minimum=0))


def compared(
    name: str, ours: Array, theirs: Array, at_kink: NDArray[np.bool], floor: float, tolerance: float
) -> ParameterComparison:
    """One row: sorts every entry into compared, at a kink or zero, and finds the compared ones that nothing
    explains.
    """
    zero = (np.abs(ours) <= floor) & (np.abs(theirs) <= floor) & ~at_kink
    rest = ~at_kink & ~zero
    difference, scale = np.abs(ours - theirs)[rest], np.abs(theirs)[~at_kink].max(initial=0.0)
    finite = np.isfinite(ours) & np.isfinite(theirs)
    explained = difference <= max(tolerance * scale, floor)
    largest = float(difference.max(initial=0.0))
    return ParameterComparison(
        name,
        ours.shape,
        max_difference=largest,
        mean_difference=float(difference.mean()) if rest.any() else 0.0,
        relative=largest / float(scale) if scale > 0 else np.inf if rest.any() else 0.0,
        small=float(np.mean(difference < 1e-6)) if rest.any() else 1.0,
        compared=int(rest.sum()),
        at_kink=int(at_kink.sum()),
        zero=int(zero.sum()),
        unexplained=int((~explained | ~finite[rest]).sum() + (~finite[~rest]).sum()),
    )


def rounding_of_sums(pairs: Iterable[tuple[Array, Array]]) -> float:
    """What a sum of a thousand terms, each of the size of the largest gradient, may lose to rounding."""
    pairs = list(pairs)
    eps = max(float(np.finfo(np.result_type(ours, theirs, np.float32)).eps) for ours, theirs in pairs)
    return 1000 * eps * max(float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)) for _, theirs in pairs)


def measured_rounding(
    gradients_of: Callable[[MLP, Array], Mapping[str, ArrayLike]],
    net: MLP,
    x: Array,
    rng: np.random.Generator,
    draws: int = 4,
) -> dict[str, float]:
    """The floor below which this gradient means nothing, by parameter, measured on a reference that one trusts: how far
    `gradients_of(net, x)` moves when every value and every pixel moves by its last bit.

    No algorithm can be more exact than that: a gradient that a last bit of its inputs changes has no further digits.
    Two correct ones differ by a modest multiple, taken here as 32, of the largest move in a few draws; and by what one
    addition on the scale of the largest gradient of all rounds off.
    """
    moved = copy.deepcopy(net)

    def gradients(x: Array) -> dict[str, Array]:
        return {name: np.asarray(gradient) for name, gradient in gradients_of(moved, x).items()}

    def last_bits(values: Array) -> Array:
        return values * (1 + np.finfo(values.dtype).eps * rng.choice([-1.0, 1.0], values.shape).astype(values.dtype))

    base = gradients(x)
    largest = max(float(np.abs(gradient).max()) for gradient in base.values())
    floor = dict.fromkeys(base, float(np.finfo(net.dtype).eps) * largest)
    for _ in range(draws):
        moved.parameters.flat[:] = last_bits(net.parameters.flat)
        for name, gradient in gradients(last_bits(x)).items():
            floor[name] = float(np.maximum(floor[name], 32 * np.abs(gradient - base[name]).max()))
    return floor
