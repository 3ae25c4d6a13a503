"""What floating point may round off."""

from collections.abc import Iterable

import numpy as np

from manual_mlp.diagnosis.comparison import Numbers
from manual_mlp.layers import Array

DOUBLE, SINGLE = 1e-9, 2e-4  # of a place's largest value: what float64 and float32 may round off


def size(array: Array) -> float:
    """The largest entry; 1 where all are 0."""
    return float(np.abs(array).max(initial=0.0)) or 1.0


def tolerance_for(observed: Iterable[Numbers]) -> float:
    return SINGLE if is_single(observed) else DOUBLE


def is_single(observed: Iterable[Numbers]) -> bool:
    return any(array.dtype == np.float32 for numbers in observed for array in numbers.values())


def mixed(observed: Iterable[Numbers]) -> list[str]:
    """What to say where only some arrays are float32: whatever has been computed from them is as inexact."""
    single: dict[str, bool] = {}
    for numbers in observed:
        single |= {place.split(" ")[0]: array.dtype == np.float32 for place, array in numbers.items() if array.ndim}
    if len(set(single.values())) < 2:
        return []
    names = [place for place, is_so in single.items() if is_so]
    first = f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}"
    return [f"{first} in float32, the rest in float64: all is compared as float32 is, to {SINGLE:g}"]
