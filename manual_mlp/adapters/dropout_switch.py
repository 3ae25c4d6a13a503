"""Dropout in a DD2424 program: what is drawn at random cannot be compared, so it is switched off wherever that goes."""

import types
from collections.abc import Callable, Mapping
from typing import Any

from manual_mlp.adapters.roles import role_of

SWITCHES = ("keep", "drop")  # the share of units that stay, or that go


def switched(name: str, value: Any, env: Mapping[str, Any]) -> Any:
    """A number that says how much is dropped, or whether, so that nothing is; all else as it is."""
    role = role_of(name)
    if role is None or role.kind not in SWITCHES or not isinstance(value, int | float) or not 0 <= value <= 1:
        return value
    if isinstance(value, bool):
        return value and role.kind == "keep"
    return env[role.kind]


def switch_off(function: Callable[..., Any], env: Mapping[str, Any]) -> None:
    """In the function's own defaults, for a program's functions call one another."""
    if not isinstance(function, types.FunctionType):
        return
    names, defaults = function.__code__.co_varnames[: function.__code__.co_argcount], function.__defaults__ or ()
    if defaults:
        named = zip(names[-len(defaults) :], defaults, strict=True)
        off = tuple(switched(name, value, env) for name, value in named)
        if any(value is not before for value, before in zip(off, defaults, strict=True)):
            function.__defaults__ = off
    if keywords := function.__kwdefaults__:
        keywords.update({name: switched(name, value, env) for name, value in keywords.items()})
