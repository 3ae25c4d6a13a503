"""What is seen of a training: its batches, and a few steps in full."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manual_mlp.adapters.parts import Part
from manual_mlp.adapters.stand_in_images import FILES, PER_FILE, Known, Numbers

KEPT = (0, 1, 2, 60, 61, 62)  # updates that are seen in full: at the first ones gamma is 1, and beta and b are 0
SMALLER, AGAIN = "smaller", "again"  # so are the first batch that is smaller, the first with known images, and the next
FEW, MOST = 400, 5000  # batches: two epochs and a cycle of the learning rate, but no more than that
FIRST = 20  # batches that are compared with one another


class Step(NamedTuple):
    """One call of the gradient function in full."""

    arguments: dict[str, Any]  # also those of the forward pass before it; or all that its caller has
    globals: dict[str, Any]  # that it reads
    result: Any
    after: dict[str, Any]  # the arguments behind it, where they may hold what was computed


class Called(NamedTuple):
    """Which function it was, and of which class the object whose method it is."""

    file: str
    name: str  # with that of the class in which it is written
    classes: tuple[str, ...]  # the object's and what it inherits from; () for a plain function

    def is_that_of(self, part: Part) -> bool:
        code = inspect.unwrap(part.function).__code__
        if "<locals>" in code.co_qualname:  # of a decorator, which hides the function itself
            same = self.name.split(".")[-1] == part.name
        else:
            same = (self.file, self.name) == (code.co_filename, code.co_qualname)
        return same and (not part.method_of or not self.classes or part.method_of in self.classes)


def called(function: Callable[..., Any], bound: Mapping[str, Any]) -> Called:
    code = inspect.unwrap(function).__code__
    classes = type(bound["self"]).__mro__ if "self" in bound else ()
    return Called(code.co_filename, code.co_qualname, tuple(c.__name__ for c in classes))


class Asked(NamedTuple):
    """One call of a cost function."""

    function: Called
    batch: Numbers
    step: Step

    def is_of(self, function: Called, batch: Numbers) -> bool:
        """These images, in any order?"""
        return function == self.function and np.array_equal(np.sort(batch), np.sort(self.batch))


@dataclass
class Training:
    """All calls of one function with a batch from one place."""

    function: Called
    switch: bool | None  # for batch normalization, if its object or its arguments have one
    computed: bool  # the function computes gradients, so that they are in what it returns
    started: int = 0  # the number of trainings that began before it
    batches: list[Numbers] = field(default_factory=list)  # the numbers of the images
    steps: dict[int, Step] = field(default_factory=dict)
    times: NDArray[np.int64] = field(default_factory=lambda: np.zeros(FILES * PER_FILE, dtype=np.int64))
    needed: int = FEW
    costs: list[Asked] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)  # what its loop calls learning rate at each
    amounts: dict[str, float] = field(default_factory=dict)  # the numbers that the loop has, by their names
    strange: bool = False  # it was given other images in between, changed ones perhaps
    sets: list[Known] = field(default_factory=list)  # images near the loop, as they were at its start
    rests: dict[float, Any] = field(default_factory=dict)  # by lambda, what the step still does to the gradients
    firsts: dict[str, int] = field(default_factory=dict)  # the first batch that is smaller, or of known images

    def changes(self) -> bool:
        """Are its batches different ones?"""
        return len({batch.tobytes() for batch in self.batches[:FIRST]}) > 2

    def is_seen(self, batch: Numbers) -> bool:
        """Is there enough of it, when this batch comes?"""
        number = len(self.batches)
        return number >= MOST or (number >= self.needed and self.times[batch[0]] > 2)

    def keeps(self, batch: Numbers) -> bool:
        """Is the step of its latest batch to be seen in full?"""
        number = len(self.batches) - 1
        if 1 < len(batch) < len(self.batches[0]):  # one image has no variance
            self.firsts.setdefault(SMALLER, number)
        if self.times[batch].min() > 1:
            self.firsts.setdefault(AGAIN, number)
        return number in KEPT or number - 1 in self.firsts.values() or number in self.firsts.values()
