"""Objects of a program's classes: made from the names of their constructor's parameters, filled with our values."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, arranged, sizes_of
from manual_mlp.adapters.constructors import constructor_arguments, method_arguments
from manual_mlp.adapters.dropout_switch import switched
from manual_mlp.adapters.guard import Failed, copied
from manual_mlp.adapters.layer_classes import add_layers
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.program import words
from manual_mlp.adapters.roles import Role, argument_role, role_of, running_role
from manual_mlp.adapters.stubs import PACKAGE


def every_attribute(instance: Any) -> list[tuple[Any, Any]]:
    found = list(vars(instance).items()) if hasattr(instance, "__dict__") else []
    for _, value in list(found):
        if isinstance(value, list | tuple) and value and all(is_object(v) for v in value):
            for number, layer in enumerate(value):
                found += [
                    (f"{key}{number}" if not key[-1:].isdigit() else key, inner) for key, inner in vars(layer).items()
                ]
    return found


def instance_of(network: Network, class_name: str, how: Arrangement, env: Mapping[str, Any], given: Inputs) -> Any:
    """An object of the class that holds these parameters: best, one whose own had just these shapes."""
    made = network.program.classes()[class_name]
    failure: Failed | None = None
    second_best = None
    for arguments in constructor_arguments(network.program, made, how, env, given):
        try:
            instance = network.program.guard.call(class_name, made, **arguments)
            if not list(slots(instance)):
                with contextlib.suppress(Failed):
                    add_layers(network.program, instance, sizes_of(given.parameters), how.batch_norm)
            if fill(network, instance, how, env, given):
                return instance
            second_best = second_best or instance
        except Failed as failed:
            failure = failure or failed
    if second_best is not None:
        return second_best
    if failure is not None and failure.kind == "raises":
        failure = Failed(class_name, "uncallable", f"could not be made: {failure.sentence}", "TypeError")
        if not {*KINDS, "params"} & {
            role.kind for name in inspect.signature(made).parameters if (role := role_of(name))
        }:
            network.unmade[question_of(class_name, how)] = failure  # nothing else goes into it
        raise failure
    raise failure or Failed(class_name, "missing", "cannot be made: it is not clear what its constructor takes")


def raise_if_unmade(network: Network, class_name: str, how: Arrangement) -> None:
    """Where an object of this class could not be made for an arrangement that does not differ in what goes into it."""
    if (failure := network.unmade.get(question_of(class_name, how))) is not None:
        raise failure


def question_of(class_name: str, how: Arrangement) -> tuple[object, ...]:
    return class_name, how.depth, how.batch_norm, how.labels, how.x_columns, how.y_columns, how.matrices


class Slot(NamedTuple):
    """A place in an object where an array of a known kind is kept."""

    kind: str  # W, b, gamma, beta
    number: int | None  # of W1
    owner: Any  # an object, a dictionary or a list
    key: Any
    value: Any

    def put(self, value: Any) -> None:
        if isinstance(self.owner, dict | list):
            self.owner[self.key] = value
        else:
            setattr(self.owner, self.key, value)


def parameter_slot(name: str) -> Role | None:
    role = role_of(name) if "grad" not in name.lower() and running_role(name) is None else None
    return role if role is not None and role.kind in KINDS else None


def slots(
    owner: Any, inherited: str = "", depth: int = 0, meaning: Callable[[str], Role | None] = parameter_slot
) -> Iterator[Slot]:
    """Every such place, in the order in which the object keeps them, layer objects and dictionaries included."""
    items = (
        enumerate(owner)
        if isinstance(owner, list)
        else owner.items()
        if isinstance(owner, dict)
        else vars(owner).items()
    )
    for key, value in list(items):
        role = meaning(key) if isinstance(key, str) else None
        kind = role.kind if role is not None else inherited if not isinstance(key, str) else ""
        if isinstance(value, np.ndarray) and value.dtype != object:
            if kind:
                yield Slot(kind, role.layer if role is not None else None, owner, key, value)
        elif depth < 4 and (isinstance(value, list | dict) or is_object(value)):
            yield from slots(value, kind, depth + 1, meaning)


KINDS = ("W", "b", "gamma", "beta")


def is_object(value: Any) -> bool:
    """Of a class of the file, such as a layer."""
    return hasattr(value, "__dict__") and type(value).__module__.startswith(PACKAGE)


def fill(network: Network, instance: Any, how: Arrangement, env: Mapping[str, Any], given: Inputs) -> bool:
    """Puts our values where the object keeps its own. True if they had the same shapes."""
    filled, fits = put_values(instance, how, env, given)
    if "W" not in filled:
        for name in dir(instance):
            joined = "".join(words(name))
            if name.startswith("__") or not joined.startswith(("init", "setup", "build", "create")):
                continue
            for keywords in method_arguments(network.program, instance, name, how, env, given):
                with contextlib.suppress(Failed):
                    network.program.guard.call(f"{type(instance).__name__}.{name}", getattr(instance, name), **keywords)
        filled, fits = put_values(instance, how, env, given)
    needed = [p for part in network.parts for p in part.parameters() if p.default is p.empty]
    takes = {role.kind for p in needed if (role := argument_role(p.name))}
    takes |= {name.rstrip("0123456789") for part in network.parts for name in network.behind(part).values()}
    if how.batch_norm and how.affine and "gamma" not in filled and not takes & {"gamma", "params"}:
        raise Failed(type(instance).__name__, "missing", "keeps no gamma and beta")
    if "W" not in filled and not takes & {"W", "params"}:
        raise Failed(type(instance).__name__, "missing", "keeps its weights under no name that is known here")
    return fits


def put_values(instance: Any, how: Arrangement, env: Mapping[str, Any], given: Inputs) -> tuple[set[str], bool]:
    values, places = arranged(how, given), list(slots(instance))
    filled, fits = set(), True
    for kind, ours in values.items():
        theirs = sorted((slot for slot in places if slot.kind == kind), key=lambda slot: slot.number or 0)
        extra = len(theirs) - len(ours)  # some make a gamma for the output layer, too
        if extra == 0 or (extra == 1 and kind in ("gamma", "beta")):
            for slot, value in zip(theirs, ours, strict=False):
                fits &= sorted(slot.value.shape) == sorted(value.shape) or slot.value.size == value.size
                slot.put(like(slot.value, value))
            filled.add(kind)
        else:
            fits = False
            for name, old in list(vars(instance).items()):
                role = role_of(name)
                if role is None or role.kind != kind or not (old is None or isinstance(old, list | dict)):
                    continue
                if role.layer is None:
                    setattr(instance, name, copied(env[kind]))
                elif old is None and 0 <= role.layer - how.first < len(ours):
                    setattr(instance, name, ours[role.layer - how.first])
                else:
                    continue
                filled.add(kind)
    for name, old in list(vars(instance).items()):
        role = role_of(name)
        if role is not None and role.kind == "params" and not filled and (old is None or isinstance(old, dict | list)):
            setattr(instance, name, env["params"])
            filled |= set(values)
    put_settings(instance, env)
    return filled, fits


def put_settings(owner: Any, env: Mapping[str, Any], depth: int = 0) -> None:
    """lambda, eta and what switches dropout off, wherever the object and its layers keep them."""
    for name, old in list(vars(owner).items()):
        role = role_of(name)
        if role is not None and role.kind in ("lambda", "eta") and isinstance(old, int | float):
            setattr(owner, name, env[role.kind])
        if (off := switched(name, old, env)) is not old:
            setattr(owner, name, off)
        if {"batch", "size"} <= set(words(name)) and type(old) is int:
            setattr(owner, name, env["n"])
        for inner in old if isinstance(old, list | tuple) else ():
            if depth < 2 and is_object(inner):
                put_settings(inner, env, depth + 1)


def held_parameters(instance: Any, how: Arrangement, given: Inputs) -> dict[str, list[Any]]:
    """What the object now holds in the places where our values were put, by kind, in our order."""
    places = list(slots(instance))
    held = {}
    for kind, ours in arranged(how, given).items():
        theirs = sorted((slot for slot in places if slot.kind == kind), key=lambda slot: slot.number or 0)
        if len(theirs) >= len(ours):
            held[kind] = [np.array(slot.value, dtype=np.float64) for slot in theirs[: len(ours)]]
    return held


def like(old: Any, new: Any) -> Any:
    """The values in the shape of a vector that stood there."""
    if old.ndim <= 1 and new.size == old.size:
        return new.reshape(-1)
    return new.reshape(old.shape) if 1 in old.shape and new.size == old.size else new
