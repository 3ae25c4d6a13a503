"""Named views of one flat array: the storage of all parameters, of all gradients, of all buffers."""

from collections.abc import Iterator, Mapping, MutableMapping
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from manual_mlp.layers import Array


class NamedArrays(MutableMapping[str, Array]):
    """A dictionary whose arrays lie one behind the other in `flat`.

    An update of everything is then one operation on `flat`, whatever the number of names. Assigning to a name
    writes into its view, so `parameters[name] -= eta * gradients[name]` does what it says and nothing ever leaves
    the flat array.

    A weight (out, in) lies in memory as its transpose, one input's weights next to each other: with few outputs BLAS
    forms x W^T a quarter faster from there.

    The arrays named in `weights` lie in front: `.weights` is that part of `flat`, all that the L2 penalty sees.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: DTypeLike, weights: tuple[str, ...] = ()) -> None:
        self.flat: Array = np.zeros(sum(prod(shape) for shape in shapes.values()), dtype)
        self._arguments = dict(shapes), self.flat.dtype, weights
        self._views: dict[str, Array] = {}
        start, places = 0, {}
        for name in [*weights, *(name for name in shapes if name not in weights)]:
            places[name] = slice(start, start := start + prod(shapes[name]))
        for name, shape in shapes.items():
            self._views[name] = self.flat[places[name]].reshape(shape[::-1]).T
        self.weights: Array = self.flat[: sum(prod(shapes[name]) for name in weights)]

    def zeros_like(self) -> "NamedArrays":
        """New arrays of the same names, shapes and dtype, filled with 0."""
        new = NamedArrays(*self._arguments)
        new._arguments = self._arguments  # the same object: an update compares them each time
        return new

    def has_shapes_of(self, other: "NamedArrays") -> bool:
        """Whether both have the same names with the same shapes."""
        return self._arguments is other._arguments or self._arguments[0] == other._arguments[0]

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        if name not in self._views:
            raise KeyError(f"{name!r} is not one of {', '.join(self._views)}")
        view, value = self._views[name], np.asarray(value)
        if value.dtype.kind not in "fiu":
            raise ValueError(f"{name} is given dtype {value.dtype}; its values are real numbers, {view.dtype}")
        if value.shape != view.shape:
            raise ValueError(f"{name} is given shape {value.shape}; its shape is {view.shape}")
        view[...] = value

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name!r} cannot be removed: the names are the network's")

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return f"NamedArrays({', '.join(f'{name} {view.shape}' for name, view in self._views.items())})"

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...], Array]:
        """How copy, deepcopy and pickle make another one: views copied one by one would no longer lie in one array."""
        return type(self), self._arguments, self.flat

    def __setstate__(self, flat: Array) -> None:
        self.flat[:] = flat
