"""Calling code that may do anything: what it raises, returns and writes into is said in words."""

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp.diagnosis.report import Finding
from manual_mlp.layers import Array

NOT_COMPUTED = "it is None: it is not computed yet"


class Unusable(Exception):
    """A place for which there are no numbers to compare, as a finding."""

    def __init__(self, place: str, mistake: str, sentence: str) -> None:
        super().__init__(sentence)
        self.finding = Finding(place, sentence, mistake)


def call(place: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The answer to copies of the arguments: many functions write into what they are given."""
    return answer_to_these(place, function, *(np.array(a) if isinstance(a, np.ndarray) else a for a in arguments))


def answer_to_these(place: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The answer to the arguments themselves: what is written into them may count."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = function(*arguments)
    except NotImplementedError:
        raise Unusable(place, "unfilled", "it is not written yet: it raises NotImplementedError") from None
    except Exception as error:
        shapes = ", ".join(str(a.shape) for a in arguments if isinstance(a, np.ndarray))
        given = f" (given arrays of shape {shapes})" if shapes else ""
        raise Unusable(place, "raises", f"it raises {type(error).__name__}: {error}{given}") from error
    if answer is None:
        raise Unusable(place, "unfilled", "it returns None: it is not written yet, or lacks its return")
    return answer


def unpacked(place: str, answer: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """A tuple of as many values as there are names."""
    if not isinstance(answer, tuple | list) or len(answer) != len(names):
        count = f" of {len(answer)}" if isinstance(answer, tuple | list) else ""
        raise Unusable(
            place, "wrong_type", f"it returns a {type(answer).__name__}{count}; it must return ({', '.join(names)})"
        )
    return tuple(answer)


def numbers(place: str, value: Any, shape: tuple[int, ...]) -> tuple[Array, Finding | None]:
    """The value as an array of this shape, and what is to be said where it is one only after reshaping."""
    if value is None:
        raise Unusable(place, "unfilled", NOT_COMPUTED)
    try:
        array = np.array(value)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise Unusable(place, "wrong_type", f"it is a {type(value).__name__}; it must be an array of real numbers")
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    if array.shape != shape and array.size == np.prod(shape) and squeezed(array.shape) == squeezed(shape):
        finding = Finding(
            place,
            f"its shape is {array.shape}, it must be {shape}: NumPy would broadcast it into something else later",
            "wrong_shape",
            formula=f"an array of shape {shape}",
        )
        return array.reshape(shape), finding
    return array, None


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def in_one_array(values: Mapping[str, Any]) -> Iterator[Finding]:
    """What is to be said of parameters, or gradients, that share their memory."""
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    for one, other in itertools.combinations(arrays, 2):
        if np.shares_memory(arrays[one], arrays[other]):
            sentence = f"{one} and {other} lie in one array: whoever changes one changes both"
            yield Finding(other, sentence, "shared_array", formula="an array of its own for every parameter")
