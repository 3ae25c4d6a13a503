"""The border: what a caller may pass in. Each check returns its argument in the form that the package computes with,
or raises a ValueError that names the argument, what it was and what it must be.
"""

import contextlib
import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from manual_mlp.layers import Array, Labels


def checked_integer(name: str, value: object, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} is {value!r}; it must be an integer of at least {minimum}")
    return int(value)


def checked_number(name: str, value: object, minimum: float) -> float:
    """A finite Python float: a NumPy scalar would carry its float64 into float32 arithmetic."""
    number = as_float(value)
    if not minimum <= number < math.inf:
        raise ValueError(f"{name} is {value!r}; it must be a finite number of at least {minimum}")
    return number


def as_float(value: object) -> float:
    """NaN where it is no number, which no comparison lets pass."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an integer beyond all floats
            return float(value)
    return math.nan


def checked_fraction(name: str, value: object) -> float:
    """A number from 0 up to, but not including, 1."""
    number = as_float(value)
    if not 0 <= number < 1:
        raise ValueError(f"{name} is {value!r}; it must be at least 0 and below 1")
    return number


def checked_share(name: str, value: object, otherwise: str = "") -> float:
    """A number between 0 and 1, neither of them."""
    number = as_float(value)
    if not 0 < number < 1:
        raise ValueError(f"{name} is {value!r}; it must be above 0 and below 1{'; ' if otherwise else ''}{otherwise}")
    return number


def checked_bool(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool):
        raise ValueError(f"{name} is {value!r}; it must be True or False")
    return bool(value)


def checked_generator(name: str, value: object) -> np.random.Generator:
    if not isinstance(value, np.random.Generator):
        raise ValueError(f"{name} is {value!r}; it must be a numpy.random.Generator such as np.random.default_rng(0)")
    return value


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    for allowed in (np.dtype(np.float32), np.dtype(np.float64)):
        if dtype is not None and dtype in (allowed, allowed.name, allowed.type):
            return allowed
    raise ValueError(f"dtype is {dtype!r}; it must be float32 (to train) or float64 (to verify)")


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(sizes) if isinstance(sizes, Sequence | np.ndarray) else (sizes,)
    if len(sizes) < 2:
        raise ValueError(f"sizes is {sizes}; it must name at least the inputs and the classes, as in [3072, 50, 10]")
    return tuple(checked_integer(f"sizes[{place}]", size, minimum=1) for place, size in enumerate(sizes))


def checked_skips(skips: Sequence[int], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers of hidden layers that put out as many features as they take in."""
    if not isinstance(skips, Sequence | np.ndarray) or isinstance(skips, str):
        raise ValueError(f"skips is {skips!r}; it must name hidden layers, as in (2, 3)")
    for place, layer in enumerate(skips):
        layer = checked_integer(f"skips[{place}]", layer, minimum=1)
        if layer > len(sizes) - 2:
            raise ValueError(f"skips[{place}] is {layer}; the hidden layers have the numbers 1 to {len(sizes) - 2}")
        if sizes[layer - 1] != sizes[layer]:
            raise ValueError(
                f"skips[{place}] is {layer}: that layer takes in {sizes[layer - 1]} features, puts out {sizes[layer]}; "
                "a skip adds the two, so they must be as many"
            )
        if layer in skips[:place]:
            raise ValueError(f"skips[{place}] is {layer}, which is named before; a layer has one skip: name it once")
    return tuple(sorted(int(layer) for layer in skips))


def as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"{name} is no array: {error}") from None


def checked_images(x: ArrayLike, inputs: int, dtype: np.dtype[Any], batch_statistics: bool) -> Array:
    """x as (N, inputs) of the network's dtype."""
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError("x is a masked array, whose mask would be forgotten; fill it first: x.filled(0)")
    x = as_array("x", x)
    if x.dtype.kind not in "fiu":
        raise ValueError(f"x has dtype {x.dtype}; it must hold real numbers, such as float32")
    if x.ndim != 2 or x.shape[1] != inputs or len(x) == 0:
        raise ValueError(f"x has shape {x.shape}; it must be (N, {inputs}): one row for each of N >= 1 images")
    if batch_statistics and len(x) == 1:
        raise ValueError(
            f"x has shape (1, {inputs}): batch normalization has no statistics of one image, whose variance is 0; "
            "give 2 images or more; to classify one, use forward(x, training=False)"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, and is named below
        x = x.astype(dtype, copy=False)
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"x[{row}, {column}] is {x[row, column]}; every value must be a finite {dtype}")
    return x


def checked_reals(name: str, value: ArrayLike) -> Array:
    """An array of finite real numbers, in float64, of whichever shape; a copy."""
    array = as_array(name, value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} has dtype {array.dtype}; it must hold real numbers, such as float64")
    reals = array.astype(np.float64)
    if not np.isfinite(reals).all():
        where = tuple(np.argwhere(~np.isfinite(reals))[0].tolist())
        entry = f"[{', '.join(map(str, where))}]" if where else ""
        raise ValueError(f"{name}{entry} is {reals[where]}; every value must be a finite number")
    return reals


def checked_labels(y: ArrayLike, images: int, classes: int) -> Labels:
    """y as (N,) of class numbers."""
    y = as_array("y", y)
    if y.ndim == 2 and y.shape[1] == classes > 1:
        raise ValueError(
            f"y has shape {y.shape} and looks one-hot; it must be class numbers (N,): pass y.argmax(axis=1)"
        )
    if y.shape != (images,):
        raise ValueError(f"y has shape {y.shape}; it must be ({images},): one class number for each row of x")
    if y.dtype.kind not in "iu":
        raise ValueError(f"y has dtype {y.dtype}; it must be integer class numbers: pass y.astype(int) if they are")
    if y.min() < 0 or y.max() >= classes:
        wrong = y.min() if y.min() < 0 else y.max()
        raise ValueError(f"y contains the label {wrong}; {classes} classes are numbered 0 to {classes - 1}")
    return y
