"""Wraps the functions of a program, to see its trainings while the whole program runs."""

import contextlib
import copy
import copyreg
import functools
import inspect
import operator
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manual_mlp.adapters.dd2424_listening import is_rate
from manual_mlp.adapters.dd2424_schedule import KNOWN, STEP_SIZE
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.held import arrays_of, names_in, variables
from manual_mlp.adapters.parts import Part
from manual_mlp.adapters.program import words
from manual_mlp.adapters.roles import Role, role_of, running_role
from manual_mlp.adapters.script_globals import names_read
from manual_mlp.adapters.stand_in_images import PIXELS, Numbers, recognized
from manual_mlp.adapters.swallow import NotHere
from manual_mlp.adapters.training import FEW, Asked, Called, Step, Training, called
from manual_mlp.adapters.whole_program import Enough, Next

MOST_IN_BATCH = 2000  # images
MOST_COSTS, MOST_EVALUATIONS = 6, 20
NUMERICAL_SECONDS = 3.0
LARGE = 2_000_000  # numbers in an array that is not copied: a whole set of images
MEDIUM = 100_000  # in one that is looked at before it is copied again
IN_SET = 20  # images that are a set, at least
PICTURES = ((32, 32, 3), (3, 32, 32))
IMAGES, LAMBDA = Role("X", None), Role("lambda", None)
NOT_ITS_OWN = (Failed, NotHere, MemoryError, RecursionError, TimeoutError, OSError)  # of the machine, or of this watch


copyreg.pickle(types.ModuleType, operator.attrgetter("__name__"))  # an object that holds one can be copied


class Stop(NamedTuple):
    """An error that ended a part of the script: a function of the network raised it that the program itself called, or
    it is over a name that nothing makes.
    """

    function: str
    error: Exception


class Place(NamedTuple):
    """Where a training is."""

    code: types.CodeType  # that calls the function
    function: Called
    switch: bool | None


def place_of(function: Callable[..., Any], bound: Mapping[str, Any], caller: types.FrameType) -> Place:
    return Place(caller.f_code, called(function, bound), switch_in(bound))


def switch_in(bound: Mapping[str, Any]) -> bool | None:
    """Is it with batch normalization, if an argument or an attribute of its object says so?"""
    named = {**getattr(bound.get("self"), "__dict__", {}), **bound}
    said = [v for name, v in named.items() if isinstance(v, bool) and (role := role_of(name)) and role.kind == "bn"]
    return said[0] if len(said) == 1 else None


class Recorder:
    """Wraps the functions of a program.

    gradients          those that compute gradients, of every network
    names              of all that belong to a network
    costs              of those that compute its cost
    unpacked           the names of a tuple's parts: W, b = params
    numerical          the names of those that compute gradients by differences: for minutes, and nothing that is
                       looked at here. They return what the others returned last; if that is nothing yet, they are
                       stopped after a while, and with them the statement of the script
    """

    def __init__(
        self,
        gradients: Sequence[Part],
        names: set[str],
        costs: set[str],
        numerical: set[str],
        unpacked: Mapping[str, Sequence[str]],
    ) -> None:
        self.parts, self.gradients = gradients, {part.name for part in gradients}
        self.names, self.costs, self.numerical, self.unpacked = names, costs, numerical, unpacked
        self.asked: list[Asked] = []
        self.evaluations, self.advancing = 0, list[Numbers]()
        self.returned: Any = None
        self.strange: set[Place] = set()
        self.patience = np.inf  # until when a numerical gradient may run
        self.trainings: dict[Place, Training] = {}
        self.others: dict[Place, Training] = {}
        self.latest: tuple[Numbers, dict[str, Any]] | None = None  # a batch, and what the forward pass was given
        self.batch: Numbers | None = None  # the last that was recognized
        self.copies: dict[int, NDArray[Any]] = {}  # the latest of each array
        self.failed: dict[int, Stop] = {}  # by the error

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)

        def observed(caller: types.FrameType, /, *arguments: Any, **keywords: Any) -> Any:
            try:
                bound = dict(signature.bind(*arguments, **keywords).arguments)
            except TypeError:
                return function(*arguments, **keywords)
            with contextlib.suppress(Exception):  # what is strange here is no error of the program
                self.follow_any(function, bound, caller)
            if function.__name__ not in self.names:
                return function(*arguments, **keywords)
            batch = next((found[0] for v in given_in(bound) if (found := recognized(v)) is not None), None)
            self.batch = batch if batch is not None else self.batch
            if batch is None and any(map(is_of_pixels, images_in(bound))):  # other images, or augmented ones
                self.latest = None
            if batch is not None and (self.latest is None or not np.array_equal(batch, self.latest[0])):
                self.latest = batch, {}
            if function.__name__ not in self.gradients | self.costs and self.latest is not None:
                self.latest = self.latest[0], {**bound, **self.latest[1]}  # within a forward pass: one of its layers
            call = functools.partial(function, *arguments, **keywords)
            if batch is not None and self.evaluations < MOST_EVALUATIONS and self.is_evaluated(batch):
                self.evaluations += 1
                call = functools.partial(self.evaluated, batch, call, bound, caller)
            if function.__name__ in self.numerical:
                return self.by_differences(call)
            if time.monotonic() > self.patience:
                raise TimeoutError("a numerical gradient is not waited for")
            if self.latest is None and function.__name__ in self.gradients:
                self.strange.add(place_of(function, bound, caller))
            if self.latest is not None and function.__name__ in self.gradients:
                (numbers, before), self.latest = self.latest, None
                return self.step(function, numbers, before, bound, call, caller)
            if self.latest is not None and function.__name__ in self.costs and len(self.asked) < MOST_COSTS:
                numbers, before = self.latest
                asked = called(function, bound)
                if any(other.is_of(asked, numbers) for other in self.asked):
                    return call()
                step, result = self.in_full(function, before | bound, call)
                self.asked.append(Asked(asked, numbers, step))
                return result
            return call()

        @functools.wraps(function)
        def watched(*arguments: Any, **keywords: Any) -> Any:
            try:
                return observed(sys._getframe(1), *arguments, **keywords)
            except Exception as error:
                of_network = function.__name__ in self.names and self.batch is not None
                if of_network and self.patience == np.inf and not isinstance(error, NOT_ITS_OWN):
                    self.failed.setdefault(id(error), Stop(function.__qualname__, error))
                raise

        return watched

    def is_evaluated(self, images: Numbers) -> bool:
        """Are they more than a batch?"""
        firsts = [len(one.batches[0]) for one in (*self.trainings.values(), *self.others.values()) if one.batches]
        return len(images) > min(firsts, default=MOST_IN_BATCH)

    def evaluated(
        self, images: Numbers, call: Callable[[], Any], bound: Mapping[str, Any], caller: types.FrameType
    ) -> Any:
        """Notes whether running averages are others behind the call than they were in front of it."""
        held = {**read_by(caller.f_code, caller.f_globals), **caller.f_locals, "its": dict(bound)}
        before = self.snapshot(running_in(held))
        result = call()
        after = running_in(held)
        if any(name in after and not is_same(value, after[name]) for name, value in before.items()):
            self.advancing.append(images)
        return result

    def by_differences(self, call: Callable[[], Any]) -> Any:
        if self.returned is not None:
            return copy.deepcopy(self.returned)
        self.patience = time.monotonic() + NUMERICAL_SECONDS
        try:
            return call()
        finally:
            self.patience = np.inf

    def step(
        self,
        function: Callable[..., Any],
        batch: Numbers,
        before: Mapping[str, Any],
        bound: Mapping[str, Any],
        call: Callable[[], Any],
        caller: types.FrameType,
    ) -> Any:
        """before   the arguments of the forward pass that was given the batch"""
        training = self.training_at(self.trainings, function, bound, caller)
        if training.is_seen(batch):
            raise Enough if self.is_complete() else Next
        if self.follow(training, batch, caller):
            step, self.returned = self.in_full(function, {**before, **bound}, call)
            around = {name: value for name, value in training.amounts.items() if role_of(name) == LAMBDA}
            training.steps[len(training.batches) - 1] = step._replace(globals={**around, **step.globals})
            return self.returned
        return call()

    def is_complete(self) -> bool:
        """Was every network seen, and one that can be switched both ways?"""
        trained = self.trainings.values()
        switches = {training.switch for training in trained} - {None}
        every = all(any(one.function.is_that_of(part) for one in trained) for part in self.parts)
        return every and len(switches) != 1

    def training_at(
        self,
        known: dict[Place, Training],
        function: Callable[..., Any],
        bound: Mapping[str, Any],
        caller: types.FrameType,
    ) -> Training:
        place = place_of(function, bound, caller)
        if place not in known:
            known[place] = Training(*place[1:], known is self.trainings, len(self.trainings) + len(self.others))
        return known[place]

    def follow(self, training: Training, batch: Numbers, caller: types.FrameType) -> bool:
        """One more batch. Is its step to be seen in full?"""
        training.times[batch] += 1
        if len(training.batches) < 2:
            training.sets = [known for array in sets_around(caller) if (known := recognized(array)) is not None]
            training.amounts = amounts_in(caller)
            cycles = [int(2 * value) + 2 for name, value in training.amounts.items() if is_step_size(name)]
            training.needed = max([FEW, *cycles])
        training.batches.append(batch)
        training.rates.append([float(v) for name, v in caller.f_locals.items() if is_rate(name) and is_number(v)])
        return training.keeps(batch)

    def follow_any(self, function: Callable[..., Any], bound: Mapping[str, Any], caller: types.FrameType) -> None:
        """With all that its caller has, as it is before the call. Where gradients are seen, these say when to stop."""
        small = (value for value in given_in(bound) if np.size(value) <= MOST_IN_BATCH * PIXELS)
        batch = next((found[0] for value in small if (found := recognized(value)) is not None), None)
        if batch is None:
            if any(0 < value.size <= MOST_IN_BATCH * PIXELS for value in images_in(bound) if is_of_pixels(value)):
                self.strange.add(place_of(function, bound, caller))
            return
        if self.latest is not None and not np.array_equal(batch, self.latest[0]):
            self.latest = None  # a forward pass that is not recognized was given another one since
        training = self.training_at(self.others, function, bound, caller)
        if training.is_seen(batch):
            if self.trainings:
                return
            raise Next
        if self.follow(training, batch, caller):
            held = variables({name: value for name, value in caller.f_locals.items() if name != "self"})
            everything = {**read_by(caller.f_code, caller.f_globals), **held, "owner": caller.f_locals.get("self")}
            everything |= {name: value for name, value in closed_over(function).items() if name not in everything}
            taken = self.snapshot(self.by_parts({**everything, **bound}), list(given_in(bound)))
            training.steps[len(training.batches) - 1] = Step(taken, {}, None, {})

    def in_full(
        self, function: Callable[..., Any], bound: Mapping[str, Any], call: Callable[[], Any]
    ) -> tuple[Step, Any]:
        """What goes in, as it is before the call, and what comes out."""
        read = read_by(inspect.unwrap(function).__code__, function.__globals__)
        reads = {**closed_over(function), **{name: value for name, value in read.items() if role_of(name)}}
        itself = list(given_in(bound))
        arguments, taken = self.snapshot(self.by_parts(bound), itself), self.snapshot(reads)
        result = call()
        is_told = next(arrays_of(result), None) is not None and "self" not in bound
        after = {} if is_told else self.snapshot(bound, itself)
        return Step(arguments, taken, self.snapshot(result, [leaf.value for leaf in arrays_of(result)]), after), result

    def by_parts(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """With the parts of its tuples in front of them, by their names."""
        parts: dict[str, Any] = {}
        for name, value in variables.items():
            names = self.unpacked.get(name, ())
            if isinstance(value, tuple | list) and len(value) == len(names):
                parts |= {part: one for part, one in zip(names, value, strict=True) if part not in variables}
        return {**parts, **variables}

    def snapshot(self, value: Any, kept: Sequence[Any] = ()) -> Any:
        """A copy. Arrays as large as a whole set of images are left out of it, but for those to be kept: they are there
        themselves. What has not changed since it was copied last is not copied again, and what cannot be copied is
        left out, too.
        """
        settled: dict[int, Any] = {}
        for _, array in arrays_of(value):
            if array.size > LARGE:
                settled[id(array)] = array if any(array is one for one in kept) else None
            elif array.size > MEDIUM:
                if not is_same(array, self.copies.get(id(array))):
                    self.copies[id(array)] = copy.deepcopy(array)
                settled[id(array)] = self.copies[id(array)]
        try:
            return copy.deepcopy(value, settled)
        except Exception:
            if not isinstance(value, dict):
                return None
            return {name: self.snapshot(inner, kept) for name, inner in value.items()}


def is_same(array: NDArray[Any], other: NDArray[Any] | None) -> bool:
    """To the type and the layout."""
    if other is None or (array.dtype, array.shape, array.strides) != (other.dtype, other.shape, other.strides):
        return False
    return array.dtype != object and np.array_equal(array, other)


def amounts_in(frame: types.FrameType) -> dict[str, float]:
    """The numbers among a loop's variables, its object's attributes and what it reads of its script."""
    held = frame.f_locals.get("self")
    read = read_by(frame.f_code, frame.f_globals)
    everything = {**read, **(vars(held) if hasattr(held, "__dict__") else {}), **frame.f_locals}
    return {name: float(value) for name, value in everything.items() if is_number(value)}


def is_step_size(name: str) -> bool:
    return KNOWN.get("".join(words(name))) == STEP_SIZE


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def given_in(bound: Mapping[str, Any]) -> Iterator[Any]:
    """Arrays among the arguments; of a list over the layers what goes into the first, of an object what it holds."""
    for name, value in bound.items():
        if isinstance(value, list | tuple) and len(value):
            value = value[0]
        if isinstance(value, np.ndarray):
            yield value
        elif name != "self":
            held = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
            yield from (inner for inner in list(held.values()) if isinstance(inner, np.ndarray))


def images_in(bound: Mapping[str, Any]) -> Iterator[NDArray[Any]]:
    """Arguments that are called so: X. Deeper layers may call theirs so, too."""
    yield from (v for name, v in bound.items() if role_of(name) == IMAGES and isinstance(v, np.ndarray))


def is_of_pixels(array: NDArray[Any]) -> bool:
    return PIXELS in array.shape or array.shape[-3:] in PICTURES


def read_by(code: types.CodeType, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The variables among the globals of a function."""
    return variables({name: namespace[name] for name in names_read(code) if name in namespace})


def closed_over(function: Callable[..., Any]) -> dict[str, Any]:
    """The variables of the function in which it is defined, of those that it reads."""
    plain = inspect.unwrap(function)
    cells = zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True)
    return variables({name: cell.cell_contents for name, cell in cells if cell != types.CellType()})


def running_in(value: Any) -> dict[tuple[str | int, ...], NDArray[Any]]:
    """Arrays that are called running averages, by where they lie."""
    found = (leaf for leaf in arrays_of(value) if leaf.value.size <= LARGE)
    return {leaf.path: leaf.value for leaf in found if any(running_role(name) for name in names_in(leaf))}


def sets_around(frame: types.FrameType | None) -> Iterator[NDArray[Any]]:
    """Every array of more images than a batch has, in the variables of the callers, each once."""
    known: dict[int, Any] = {}
    while frame is not None and frame.f_globals.get("__name__") != __name__.rpartition(".")[0] + ".whole_program":
        yield from (leaf.value for leaf in arrays_of(frame.f_locals, known) if leaf.value.size > PIXELS * IN_SET)
        frame = frame.f_back
