"""What a stranger's variables hold: arrays and numbers in lists, dictionaries and objects, one within the other."""

import types
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp.adapters.gradients import Leaf

DEEPEST = 6  # an object's list of layers, each of objects that hold an array and its gradient
MOST = 1000  # that are looked at of a list
NO_VALUE = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, np.ufunc)


def arrays_of(value: Any, known: dict[int, Any] | None = None) -> Iterator[Leaf]:
    """Every array, once, where it lies the least deep.

    known   what was looked at, by its identity; it goes on from there
    """
    known = {} if known is None else known
    waiting: deque[tuple[tuple[str | int, ...], Any]] = deque([((), value)])
    while waiting:
        path, one = waiting.popleft()
        if id(one) in known:
            continue
        known[id(one)] = one
        if isinstance(one, np.ndarray) and one.dtype.kind in "fiub":
            yield Leaf(path, one)
        elif len(path) <= DEEPEST:
            waiting.extend(((*path, key), inner) for key, inner in inside(one))


def inside(value: Any) -> Sequence[tuple[str | int, Any]]:
    """What it holds, by name or number."""
    if isinstance(value, Mapping):
        return [(key if isinstance(key, int) else str(key), inner) for key, inner in list(value.items())]
    if isinstance(value, np.ndarray):
        return list(enumerate(value.ravel()[:MOST])) if value.dtype == object else []
    if isinstance(value, list | tuple):
        return list(enumerate(value[:MOST]))
    is_object = hasattr(value, "__dict__") and not isinstance(value, NO_VALUE)
    return list(variables(vars(value)).items()) if is_object else []


def variables(names: Mapping[str, Any]) -> dict[str, Any]:
    """Of the names of a scope: neither functions and classes nor modules."""
    return {name: value for name, value in list(names.items()) if not isinstance(value, NO_VALUE)}


def names_in(leaf: Leaf) -> list[str]:
    return [step for step in leaf.path if isinstance(step, str)]
