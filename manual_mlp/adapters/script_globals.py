"""Names that a program's functions take from its script, which does not run: lambda, the number of layers, W1, b1."""

import builtins
import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.dropout_switch import SWITCHES, switched
from manual_mlp.adapters.roles import Role, role_of

PARAMETERS = ("W", "b", "gamma", "beta", "params")


def global_names(function: Callable[..., Any]) -> frozenset[str]:
    """Every global that the function reads, those in its comprehensions included."""
    code = getattr(function, "__code__", None)
    return names_read(code) if code is not None else frozenset()


@functools.cache
def names_read(code: types.CodeType) -> frozenset[str]:
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= names_read(inner)
    return frozenset(found)


def set_globals(
    namespace: dict[str, Any],
    functions: Iterable[Callable[..., Any]],
    bound: set[str],
    env: Mapping[str, Any],
    made: set[str],
) -> None:
    """What the script would have made.

    bound   names that arrive as arguments: what the file itself calls by them is something else
    made    names that were not in the file and are kept up to date here
    """
    for name in frozenset[str]().union(*(global_names(function) for function in functions)):
        role, there = role_of(name), namespace.get(name)
        if role is None or hasattr(builtins, name) or callable(there) or inspect.ismodule(there):
            continue
        if name in bound and name in namespace and name not in made:
            continue
        value = meant(role, env)
        if value is None:
            continue
        if name not in namespace:
            made.add(name)
        if role.kind in PARAMETERS or role.kind in ("X", "Y", "y"):
            if there is None or isinstance(there, np.ndarray | list | dict):
                namespace[name] = value
        elif role.kind in ("lambda", "bn", "depth"):
            known = name in namespace or name in vars(np)
            if (not known or isinstance(there, bool | int | float)) and not (
                role.kind == "depth" and name.lower() in ("k", "l")
            ):
                namespace[name] = value
        elif role.kind in SWITCHES and name in namespace:
            namespace[name] = switched(name, there, env)
        elif (role.kind in ("D", "K", "m") and isinstance(there, int)) or (
            name in made and role.kind in ("n", "D", "K", "m", "eps", "eta", *SWITCHES)
        ):
            namespace[name] = value
    for name, held in list(namespace.items()):
        role = role_of(name)
        if isinstance(held, list | dict) and role is not None and role.kind in ("mean", "var"):
            held.clear()


def meant(role: Role, env: Mapping[str, Any]) -> Any:
    if role.layer is not None and role.kind in PARAMETERS[:4]:
        return env.get(f"{role.kind}{role.layer}")
    return env.get("params" if role.kind == "sizes" else role.kind)
