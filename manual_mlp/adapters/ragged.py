"""Arrays of arrays that differ in shape, such as one weight matrix per layer: NumPy made them of a list until 1.24."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

MAKERS = ("array", "asarray", "copy", "zeros_like")
ARITHMETIC = ("add", "subtract", "multiply", "divide", "true_divide")
TOLD = "NumPy makes no array of arrays that differ in shape any more; write np.array(..., dtype=object), or keep a list"


def kept_apart(value: Any) -> Any:
    """A list of arrays as one array of objects, each itself."""
    if not isinstance(value, list | tuple):
        return value
    made = np.empty(len(value), dtype=object)
    for number, item in enumerate(value):
        made[number] = item
    return made


class AsBefore:
    """A function of NumPy that, where it refuses a list for its shapes, does with it what it used to."""

    def __init__(self, function: Callable[..., Any], note: Callable[..., None]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.note = function, note

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return self.function(*arguments, **keywords)
        except ValueError as error:
            if "inhomogeneous" not in str(error):
                raise
            self.note(sys._getframe(1), TOLD)
            return self.function(*(kept_apart(argument) for argument in arguments), **keywords)

    def __getattr__(self, name: str) -> Any:  # np.add.at, np.multiply.outer
        return getattr(self.function, name)


def install(note: Callable[..., None]) -> dict[str, Any]:
    """Puts them into NumPy; returns what was there."""
    before = {name: np.__dict__[name] for name in (*MAKERS, *ARITHMETIC)}
    np.__dict__.update({name: AsBefore(function, note) for name, function in before.items()})
    return before
