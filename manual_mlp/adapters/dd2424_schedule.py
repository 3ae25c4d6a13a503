"""A DD2424 program's learning rate: a function, or a method of the object that keeps n_s, eta_min and eta_max."""

import ast
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from manual_mlp.adapters.calls import prepared
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.reading import absent, reading_of
from manual_mlp.adapters.roles import returned_names, role_of
from manual_mlp.adapters.script_globals import global_names
from manual_mlp.diagnosis import diagnose_schedule
from manual_mlp.diagnosis.report import Report
from manual_mlp.diagnosis.schedule_readings import REPLACED, Unclear

STEP_SIZE, ETA_MIN, ETA_MAX = 20, 1e-5, 1e-1
KNOWN = dict.fromkeys(("etamin", "mineta", "minlr", "lrmin", "lowerlr", "baselr"), ETA_MIN)
KNOWN |= dict.fromkeys(("etamax", "maxeta", "maxlr", "lrmax", "upperlr"), ETA_MAX)
KNOWN |= dict.fromkeys(("ns", "stepsize"), STEP_SIZE)
NUMBER = (int, float, np.number)
UPDATES = ("t", "step", "iter", "iteration", "updates", "updatestep", "timestep")
NUMBERS = {*UPDATES, "upd", "update", "iterations", "steps", "n", "i", "j", "k", "epoch", "batch"}  # that count updates


def schedule(program: Program, part: Part, network: Network | None) -> Report:
    """network   whose method it is, if it is one"""
    function = bound(part, network) if part.method_of else part.function

    numbers = {name: KNOWN.get("".join(words(name))) for name in global_names(part.function)}
    taken = {
        name: value for name, value in numbers.items() if value and isinstance(program.namespace.get(name), NUMBER)
    }

    def theirs(*values: Any, **named: Any) -> Any:
        with mock.patch.dict(program.namespace, taken):
            return rate_in(program.guard.call(part.title, function, *values, **named), part)

    signature = inspect.signature(function)
    theirs.__signature__ = signature  # type: ignore[attr-defined]
    by_name = named_schedule(part, theirs)
    try:
        report = diagnose_schedule(by_name or theirs, step_size=STEP_SIZE, eta_min=ETA_MIN, eta_max=ETA_MAX)
    except Unclear:
        raise absent("schedule") from None
    report = replace(report, notes=[note for note in report.notes if not note.startswith(REPLACED)])  # by our numbers
    if part.method_of and by_name is None and len(signature.parameters) != 1 and not report.ok:
        raise absent("schedule")  # it may want something else than these four
    if any(finding.mistake in ("raises", None) for finding in report.findings) and not is_understood(part):
        raise absent("schedule")  # it takes a tuple of settings, perhaps, or is of another kind
    return report


def is_understood(part: Part) -> bool:
    """Are all its arguments told by their names: n_s, eta_min, eta_max, and something that counts updates?"""
    required = [p.name for p in part.parameters() if p.default is p.empty]
    return all("".join(words(name)) in KNOWN or NUMBERS & set(words(name)) for name in required)


def bound(part: Part, network: Network | None) -> Callable[..., Any]:
    """The method of an object that has our n_s, eta_min and eta_max. What else it reads there might be anything."""
    if network is None or part.tree is None:
        raise absent("schedule")
    reading = reading_of(network)
    _, instance = prepared(network, reading.how, reading.given, part)
    read = {name: "".join(words(name)) for name in attributes_read(part.tree)}
    if not all(joined in KNOWN or joined in UPDATES for joined in read.values()):
        raise absent("schedule")
    for name, joined in read.items():
        if joined in KNOWN:
            setattr(instance, name, KNOWN[joined])
    method: Callable[..., Any] = part.function.__get__(instance)
    counters = [name for name, joined in read.items() if joined in UPDATES]
    if not counters:
        return method

    def at(t: int) -> Any:
        for name in counters:
            setattr(instance, name, t)
        return method()

    return at


def attributes_read(tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def rate_in(result: Any, part: Part) -> Any:
    """The learning rate of what was returned: of (eta, t + 1), that which has its name, or stands first."""
    if not isinstance(result, tuple | list) or len(result) < 2 or np.ndim(result[0]) > 0:
        return result
    for naming in returned_names(part.tree) if part.tree else []:
        for name, value in zip(naming, result, strict=False):
            if (role := role_of(name)) is not None and role.kind == "eta":
                return value
    return result[0]


def named_schedule(part: Part, theirs: Callable[..., Any]) -> Callable[..., Any] | None:
    """As a function of the update alone, where the names of all other arguments are plain: n_s, eta_min, eta_max."""
    names = {p.name: "".join(words(p.name)) for p in part.parameters()}
    if set(names.values()) & {"t", "time"} and not set(names.values()) & {
        "ns",
        "stepsize",
    }:  # then a step is half a cycle
        names = {name: "ns" if joined == "step" else joined for name, joined in names.items()}
    step = [name for name, joined in names.items() if joined not in KNOWN]
    if (len(names) != 4 and not part.method_of) or len(step) != 1:
        return None
    values = {name: KNOWN[joined] for name, joined in names.items() if joined in KNOWN}
    return lambda t: theirs(**{step[0]: t}, **values)
