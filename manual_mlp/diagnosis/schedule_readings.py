"""What the arguments of a schedule are: the update number, a setting, or what they are by default."""

import inspect
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from manual_mlp.checks import as_float

NAMES = {  # what an argument is, by a part of its name
    "updates": ("updates", "total", "t_max", "tmax", "max_iter", "max_step", "num_step", "n_steps", "horizon"),
    "warmup": ("warm", "pct"),
    "annealing": ("anneal",),
    "n_s": ("n_s", "ns", "step_size", "stepsize", "half"),
    "base": ("base",),
    "eta_min": ("min", "low"),
    "eta_max": ("max", "high", "peak"),
    "step": ("t", "step", "iter", "it", "i", "update", "k", "epoch"),
}
DIFFERENCE = ("diff", "range", "span", "delta", "minus", "amplitude")  # in the name of eta_max - eta_min
REPLACED = "its own defaults are not what is asked for, and were replaced"
COUNTED = ("step", "iter", "update")  # in the name of a warm-up: how many, and not their share


class Unclear(ValueError):
    """What an argument is cannot be told: nothing that it may be makes the schedule right."""


@dataclass(frozen=True)
class Reading:
    """One way to call a schedule.

    meanings  what each argument is; one that is missing here keeps its default
    strange   those of them whose names do not tell
    guessed   a strange argument does not keep its default: such a reading may acquit, but never accuse
    """

    parameters: Sequence[inspect.Parameter]
    meanings: Mapping[str, str]
    strange: Sequence[str] = ()
    guessed: bool = False

    def arguments(self, step: int, settings: Mapping[str, float]) -> tuple[list[Any], dict[str, Any]]:
        values = self.values(step, settings)
        named = {p.name: value for p, value in values.items() if p.kind is p.KEYWORD_ONLY}
        return [value for p, value in values.items() if p.kind is not p.KEYWORD_ONLY], named

    def values(self, step: int, settings: Mapping[str, float]) -> dict[inspect.Parameter, Any]:
        meant = {**settings, "step": step, "difference": settings["eta_max"] - settings["eta_min"]}
        if "warmup" in meant:
            counted = meant["warmup"] * meant["updates"]
            meant["warmup_updates"] = round(counted) if math.isclose(counted, round(counted)) else counted
        return {p: meant[self.meanings[p.name]] if p.name in self.meanings else p.default for p in self.parameters}

    def replaced(self, settings: Mapping[str, float]) -> str:
        """What is said of its own numbers that are not those asked for."""
        said = [
            f"{p.name} = {p.default!r} by {value:g}"
            for p, value in self.values(0, settings).items()
            if self.meanings.get(p.name, "step") != "step" and abs(as_float(p.default) - value) > 1e-9 * abs(value)
        ]
        return f"{REPLACED}: {', '.join(said)}" if said else ""

    @property
    def differences(self) -> list[str]:
        return [name for name, what in self.meanings.items() if what == "difference"]

    @property
    def of_epochs(self) -> bool:
        """Whether the step, as it is called, may be the number of an epoch."""
        return any(what == "step" and "epoch" in name.lower() for name, what in self.meanings.items())

    @property
    def note(self) -> str:
        said = [f"{name} = {what}" for name in self.strange if (what := self.meanings[name]) != "step"]
        said += [f"its own {p.name} = {p.default!r}" for p in self.parameters if p.name not in self.meanings]
        otherwise = "where that is not meant, give a function of the update alone"
        return f"it is called with {', '.join(said)}; {otherwise}" if said else ""


def readings(schedule: Callable[..., Any], settings: Sequence[str]) -> Iterator[Reading]:
    """As the names of the arguments say, the strange ones as they are by default; all as they are by default; then
    whatever else the strange ones may be.
    """
    parameters = parameters_of(schedule)
    sure = understood(parameters, ("step", *settings, "difference"))
    asked = {p.name: what for p in parameters if (what := sure.get(p.name)) and (empty(p) or what == "step")}
    must = [p.name for p in parameters if p.name not in sure and empty(p)]
    may = [p.name for p in parameters if p.name not in sure and not empty(p)]
    if "step" not in sure.values() and not must:
        must, may = may[:1], may[1:]
    for count in range(len(may) + 1):
        for more, named in itertools.product(itertools.combinations(may, count), (sure, asked)):
            left = [what for what in ("step", *settings) if what not in named.values()]
            left += ["difference"] * (len(must) + count == 1)
            for order in itertools.permutations(left, len(must) + count):
                meanings = {**named, **dict(zip([*must, *more], order, strict=True))}
                if "step" in meanings.values():
                    guessed = count > 0 or "difference" in meanings.values()
                    yield from in_either_unit(Reading(parameters, meanings, [*must, *more], guessed))


def in_either_unit(reading: Reading) -> Iterator[Reading]:
    """A warm-up is a share of all updates or a number of them: first as the name of the argument says."""
    name = next((name for name, what in reading.meanings.items() if what == "warmup"), None)
    if name is None:
        yield reading
        return
    counted = replace(reading, meanings={**reading.meanings, name: "warmup_updates"})
    first, second = (counted, reading) if any(part in name.lower() for part in COUNTED) else (reading, counted)
    yield first
    yield replace(second, guessed=True)


def parameters_of(schedule: Callable[..., Any]) -> list[inspect.Parameter]:
    """Those that may be given; what a partial function has been given already stays."""
    try:
        found = inspect.signature(schedule).parameters.values()
    except (TypeError, ValueError):
        found = {}.values()
    given = schedule.keywords if isinstance(schedule, partial) else {}
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [p for p in found if p.kind not in kinds and p.name not in given]
    return parameters or [inspect.Parameter("step", inspect.Parameter.POSITIONAL_ONLY)]


def empty(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


def understood(parameters: Sequence[inspect.Parameter], known: Sequence[str]) -> dict[str, str]:
    """What an argument is, of those whose names tell: of two that seem to be the same, neither does."""
    claims = {p.name: meaning(p.name) for p in parameters}
    if "eta_max" in claims.values():  # Smith's base_lr and max_lr; alone it may be either
        claims = {name: "eta_min" if what == "base" else what for name, what in claims.items()}
    counts = Counter(claims.values())
    return {name: what for name, what in claims.items() if what in known and counts[what] == 1}


def meaning(name: str) -> str:
    """Its own name where that tells nothing."""
    if name == "T":
        return "updates"
    name = name.lower()
    if any(part in name for part in DIFFERENCE) and ("min" in name) == ("max" in name):
        return "difference"
    if "epoch" in name and name != "epoch":  # a number of epochs is no number of updates
        return name
    for what, parts in NAMES.items():
        if any(name == part or (len(part) > 2 and part in name) for part in parts):
            return what
    return name
