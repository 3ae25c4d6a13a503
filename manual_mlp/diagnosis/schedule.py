"""A learning-rate schedule beside the triangular policy."""

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manual_mlp.checks import checked_integer, checked_number
from manual_mlp.diagnosis.explain import Comparison, Numbers, Planted, explain, lines_at
from manual_mlp.diagnosis.mistakes.schedule import SCHEDULE
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers
from manual_mlp.diagnosis.textbook import Values, compute

Steps = NDArray[np.integer]
Rates = NDArray[np.floating]

EXACT = 1e-6  # of eta_max; float32 is enough for a learning rate
NAMES = {  # what an argument is, by a part of its name
    "n_s": ("n_s", "ns", "step_size", "stepsize", "half"),
    "eta_min": ("min", "base", "low"),
    "eta_max": ("max", "high", "peak"),
    "step": ("t", "step", "iter", "i", "update", "k", "epoch"),
}


def diagnose_schedule(
    schedule: Callable[..., Any] | ArrayLike,
    *,
    step_size: int,
    eta_min: float,
    eta_max: float,
    updates_per_epoch: int | None = None,
    cycles: int = 2,
) -> Report:
    """Is this the triangular learning rate, and if not, what is wrong with it?

    schedule    a function of the update number, and of step_size, eta_min and eta_max in any order where it has such
                arguments; or a list with the learning rate of one update after the other. A function may count from 1.
    step_size   n_s, half a cycle
    updates_per_epoch  if given, a schedule that is stepped per epoch is recognized
    """
    n_s = checked_integer("step_size", step_size, minimum=1)
    eta_min, eta_max = checked_number("eta_min", eta_min, minimum=0), checked_number("eta_max", eta_max, minimum=0)
    if eta_min >= eta_max:
        raise ValueError(f"eta_min is {eta_min}; it must be below eta_max, {eta_max}")
    steps = np.arange(2 * n_s * checked_integer("cycles", cycles, minimum=1) + 1)
    values = {"n_s": n_s, "eta_min": eta_min, "eta_max": eta_max}
    best: tuple[int, Report] | None = None
    try:
        for note, etas in arrangements(schedule, steps, values):
            report = judged(etas, steps[: len(etas)], values, updates_per_epoch, note)
            if report.ok:
                return report
            rank = 1 if report.findings[0].mistake is None else 0
            if best is None or rank < best[0]:
                best = rank, report
    except Unusable as unusable:
        return Report("schedule", [unusable.finding])
    assert best is not None  # there is at least one arrangement
    return best[1]


def arrangements(
    schedule: Callable[..., Any] | ArrayLike, steps: Steps, values: dict[str, Any]
) -> Iterator[tuple[str, Rates]]:
    """The learning rates under every way to call the function: first as its argument names say, counted from 0."""
    if not callable(schedule):
        etas, _ = numbers("schedule", schedule, (len(list(np.ravel(schedule))),))
        yield "", etas[: len(steps)]
        return
    failure: Unusable | None = None
    worked = False
    for order in orders(schedule):
        for first in (0, 1):
            try:
                rates = [
                    numbers("schedule", call("schedule", schedule, *arguments(order, int(step) + first, values)), ())[0]
                    for step in steps
                ]
            except Unusable as unusable:
                failure = failure or unusable
                continue
            worked = True
            yield ("the function counts updates from 1" if first else ""), np.array(rates)
    if not worked and failure is not None:
        raise failure


def arguments(order: Sequence[str], step: int, values: dict[str, Any]) -> list[Any]:
    return [step if what == "step" else values[what] for what in order]


def orders(schedule: Callable[..., Any]) -> Iterator[tuple[str, ...]]:
    """What each argument may be: as the names say, then every permutation."""
    try:
        parameters = list(inspect.signature(schedule).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    count = min(max(1, len(positional)), 4)
    meanings = tuple(meaning(p.name) for p in positional[:count])
    seen = set()
    if "step" in meanings and len(set(meanings)) == count:
        seen.add(meanings)
        yield meanings
    for order in itertools.permutations(("step", "n_s", "eta_min", "eta_max"), count):
        if "step" in order and order not in seen:
            yield order


def meaning(name: str) -> str:
    name = name.lower()
    for what, parts in NAMES.items():
        if any(name == part or (len(part) > 2 and part in name) for part in parts):
            return what
    return name


def judged(etas: Rates, steps: Steps, values: dict[str, Any], updates_per_epoch: int | None, note: str) -> Report:
    def predict(planted: Sequence[Planted], _: int) -> Numbers:
        lines = lines_at(planted)
        v = Values(step=steps, **values)
        if updates_per_epoch is not None:
            v.updates_per_epoch = updates_per_epoch
        return {"eta": np.asarray(compute("schedule", "forward", v, lines).eta)}

    comparison = Comparison(
        ["eta"], [{"eta": etas}], [{"eta": values["eta_max"]}], predict, EXACT, {"eta": "schedule"}, [{}]
    )
    findings, agreeing, _ = explain(comparison, [Planted(m, variant) for m in SCHEDULE for variant in m.variants])
    off = np.flatnonzero(np.abs(etas - predict((), 0)["eta"]) > EXACT * values["eta_max"])
    where = f"from update {off[0]} on, where eta is {etas[off[0]]:.6g}" if len(off) else ""
    findings = [Finding(**{**vars(finding), "where": where}) for finding in findings]
    return Report("schedule", findings, agreeing, notes=[note] if note else [])
