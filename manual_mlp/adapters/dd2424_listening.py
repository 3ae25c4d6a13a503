"""What a DD2424 training function does while it runs: the batches that it makes, the parameters at each, its learning
rate.
"""

import contextlib
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import Inputs, arranged
from manual_mlp.adapters.gradients import Leaf, leaves, matched, size_of, under_our_names
from manual_mlp.adapters.guard import copied
from manual_mlp.adapters.guesses import kinds_of, meaning
from manual_mlp.adapters.instances import held_parameters
from manual_mlp.adapters.layer_lists import LayerList, is_layer_list
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.program import words
from manual_mlp.adapters.reading import Reading, absent
from manual_mlp.adapters.roles import Role
from manual_mlp.layers import Array

HELD = ("W", "b", "gamma", "beta", "params")  # arguments and attributes that the parameters lie in


class Call(NamedTuple):
    """One batch, as the gradient function was given it."""

    x: Array  # (n, D)
    y: Array | None  # (n,)
    places: list[list[Leaf]]  # the parameters as they were then, in the arguments and in the object


@dataclass
class Heard:
    """What was heard of one run."""

    calls: list[Call] = field(default_factory=list)
    own_rates: list[float] = field(default_factory=list)  # what the function itself calls a learning rate
    handed_rates: list[float] = field(default_factory=list)  # what functions that it calls call so

    @property
    def rates(self) -> list[float]:
        return list(dict.fromkeys(self.own_rates or self.handed_rates))


@contextlib.contextmanager
def listening(network: Network, part: Part, reading: Reading, given: Inputs) -> Iterator[Heard]:
    """Puts a listener in front of the gradient function, or of the forward pass where that alone takes the images."""
    listened = next((p for p in (network.gradients, network.forward) if p and "X" in kinds_of(network, p)), None)
    if listened is None:
        raise absent("minibatches")
    original, signature = listened.function, inspect.signature(listened.function)
    heard = Heard()

    def listener(*arguments: Any, **keywords: Any) -> Any:
        bound = signature.bind(*arguments, **keywords).arguments
        heard.calls.append(call_of(bound, {name: meaning(network, listened, name) for name in bound}, reading, given))
        return original(*arguments, **keywords)

    owner: Any = network.program.classes()[listened.method_of] if listened.method_of else None
    if owner is None and network.program.namespace.get(listened.name) is not original:
        raise absent("minibatches")
    place = network.program.namespace if owner is None else None
    if place is not None:
        place[listened.name] = listener
    else:
        setattr(owner, listened.name, listener)
    try:
        with watching(part.function.__code__, heard):
            yield heard
    finally:
        if place is not None:
            place[listened.name] = original
        else:
            setattr(owner, listened.name, original)


def call_of(bound: dict[str, Any], roles_of: Mapping[str, Role | None], reading: Reading, given: Inputs) -> Call:
    roles: dict[str, Any] = {}
    held: dict[str, Any] = {}
    objects = [LayerList(value) for value in bound.values() if is_layer_list(value)]
    objects += [bound["self"]] if "self" in bound else []
    for name, value in bound.items():
        role = roles_of[name]
        if role is not None and isinstance(value, np.ndarray):
            roles.setdefault(role.kind, value)
        if role is not None and role.kind in HELD and not is_layer_list(value):
            held[name] = copied(value)
    x = np.array(roles["X"].T if reading.how.x_columns else roles["X"])
    labels = np.asarray(roles.get("Y", roles.get("y", ())))
    if labels.ndim == 2:
        labels = labels.argmax(axis=0 if reading.how.y_columns else 1)
    places = [list(leaves(held)), *(leaves_held(instance, reading, given) for instance in objects)]
    return Call(x, labels if labels.shape == (len(x),) else None, places)


def leaves_held(instance: Any, reading: Reading, given: Inputs) -> list[Leaf]:
    """The parameters that an object holds."""
    held = held_parameters(instance, reading.how, given)
    return [Leaf((kind, number), v) for kind, values in held.items() for number, v in enumerate(values)]


def parameters_in(found: Sequence[Leaf], reading: Reading) -> dict[str, Array] | None:
    """Under our names, if all of them are there."""
    expected = arranged(reading.how, reading.given)
    chosen = matched(found, expected, lambda kind, layer: expected[kind][layer - 1])
    complete = all(
        (kind, layer) in chosen and size_of(chosen[kind, layer]) == size_of(value)
        for kind, values in expected.items()
        for layer, value in enumerate(values, start=1)
    )
    return under_our_names(reading.how, chosen) if complete else None


@contextlib.contextmanager
def watching(code: types.CodeType, heard: Heard) -> Iterator[None]:
    """Notes learning rates of the first step: whenever a Python function returns to this code, and when it returns."""

    def returned(frame: types.FrameType, event: str, _: Any) -> None:
        if event != "return" or len(heard.calls) > 1:
            return
        if frame.f_code is code:
            heard.own_rates += rates_in(frame)
        elif frame.f_back is not None and frame.f_back.f_code is code:
            heard.own_rates += rates_in(frame.f_back)
            heard.handed_rates += rates_in(frame)

    before = sys.getprofile()
    sys.setprofile(returned)
    try:
        yield
    finally:
        sys.setprofile(before)


def rates_in(frame: types.FrameType) -> list[float]:
    """The numbers among a function's variables whose names say learning rate: eta, eta_t, lr, but not eta_max."""
    return [
        float(value)
        for name, value in frame.f_locals.items()
        if is_rate(name) and isinstance(value, int | float | np.floating) and value > 0
    ]


def is_rate(name: str) -> bool:
    parts = set(words(name))
    return bool({"eta", "lr"} & parts or {"learning", "rate"} <= parts) and not {"min", "max", "base"} & parts
