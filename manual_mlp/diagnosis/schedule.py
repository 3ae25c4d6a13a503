"""A learning-rate schedule beside the one that is meant: cycles, linear decay, cosine decay, one cycle."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manual_mlp.checks import as_array, checked_fraction, checked_integer, checked_number
from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.explain import explain
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.schedule_kinds import KINDS, Kind, KindName
from manual_mlp.diagnosis.schedule_readings import Reading, Unclear, readings
from manual_mlp.diagnosis.strangers import Unusable, call, numbers
from manual_mlp.diagnosis.textbook import Line, Values, compute
from manual_mlp.layers import Array

Steps = NDArray[np.int64]
Rates = NDArray[np.floating]

TOLERANCE = 1e-6  # of eta_max; float32 is enough for a learning rate
MOST_ASKED = 400  # updates; of a longer schedule a function is asked for the ends, the turns and some between
MOST_PAIRED = 20  # ways to call it that are searched for two mistakes at once
MOST_READ = 250  # ways to call it that are tried


def diagnose_schedule(
    schedule: Callable[..., Any] | ArrayLike,
    *,
    kind: KindName | None = None,
    step_size: int | None = None,
    updates: int | None = None,
    eta_min: float,
    eta_max: float,
    annealing: float | None = None,
    warmup: float = 0.3,
    updates_per_epoch: int | None = None,
    batch_size: int | None = None,
    cycles: int = 3,
) -> Report:
    """Is this the learning rate that is meant, and if not, what is wrong with it?

    schedule    a function of the update number, and of what else stands here in any order where it has such arguments;
                or a list with the learning rate of one update after the other. A function may count from 1. Defaults
                of its own that are right are left alone, others are replaced by what stands here, and named.
    kind        "cyclical", "linear", "cosine" or "one-cycle", as in schedules.py; None: cycles where a step_size is
                given, with updates that one of the others which fits
    step_size   n_s, half a cycle
    updates     T, how many there are in all, of a schedule without cycles
    annealing   by what the height is multiplied from cycle to cycle; None: whatever it is, measured
    warmup      the part of all updates in which one cycle rises
    updates_per_epoch  if given, a schedule that is stepped or begun again per epoch is recognized
    batch_size  if that is given, too, one that counts images where updates belong
    """
    eta_min, eta_max = checked_number("eta_min", eta_min, minimum=0), checked_number("eta_max", eta_max, minimum=0)
    check_form(schedule)
    if eta_min >= eta_max:
        raise ValueError(f"eta_min is {eta_min}; it must be below eta_max, {eta_max}")
    given: dict[str, Any] = {"eta_min": eta_min, "eta_max": eta_max, "warmup": checked_fraction("warmup", warmup)}
    if step_size is not None:
        given["n_s"] = checked_integer("step_size", step_size, minimum=1)
    if updates is not None:
        given["updates"] = checked_integer("updates", updates, minimum=2)
    if annealing is not None:
        given["annealing"] = checked_number("annealing", annealing, minimum=0)
    counts = {"updates_per_epoch": updates_per_epoch, "batch_size": batch_size}
    epoch = {name: checked_integer(name, count, minimum=1) for name, count in counts.items() if count is not None}
    cycles = checked_integer("cycles", cycles, minimum=1)
    meant = [KINDS[name] for name in names_of_kinds(kind, given)]
    trials: list[Trial] = []
    failures: list[Finding] = []
    doubts: list[Unclear] = []
    for one in meant:
        try:
            for trial in trials_of(one, schedule, given, epoch, cycles):
                if trial.right:
                    notes = [*trial.notes, *trial.replaced, *([f"it is {trial.kind.title}"] if len(meant) > 1 else [])]
                    return Report("schedule", agreeing=["schedule"], notes=notes)
                if not trial.called.reading.guessed:
                    trials.append(trial)
        except Unusable as unusable:
            failures.append(unusable.finding)
        except Unclear as unclear:
            doubts.append(unclear)
    if not trials and doubts:
        raise doubts[0]
    if not trials:
        return Report("schedule", failures[:1])
    trials.sort(key=lambda trial: (bool(np.ptp(trial.called.etas) == 0), bool(trial.notes)))  # the plainest first
    named = next((trial for trial in trials if trial.one_mistake), None)
    if named is not None:
        return named.report()
    reports = [trial.report() for trial in trials[:MOST_PAIRED]]
    kinds = ", ".join(one.title for one in meant)
    limits = f"it was held against {kinds}; a schedule of another kind cannot be judged here"
    nameless = replace(reports[0], notes=[limits, *reports[0].notes])
    return next((report for report in reports if report.findings[0].mistake is not None), nameless)


def check_form(schedule: object) -> None:
    """A function, or something that may be a list of rates."""
    if isinstance(schedule, type):
        given = f"the class {schedule.__name__}"
    elif callable(schedule) or as_array("schedule", schedule).ndim > 0:  # type: ignore[arg-type]
        return
    else:
        given = f"a {type(schedule).__name__}"
    hint = "; of torch's scheduler, the get_last_lr()[0] of every update" if hasattr(schedule, "get_last_lr") else ""
    raise ValueError(
        f"schedule is {given}; it must be a function of the update number, or a list with the learning rate of one "
        f"update after the other{hint}"
    )


def names_of_kinds(kind: KindName | None, given: Mapping[str, Any]) -> list[KindName]:
    """The kind, or those that what is given allows."""
    if kind is not None and not (isinstance(kind, str) and kind in KINDS):
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(map(repr, KINDS))}, or None")
    lengths = {name: "n_s" if name == "cyclical" else "updates" for name in KINDS}
    if kind is not None and lengths[kind] not in given:
        missing = "step_size, half a cycle" if kind == "cyclical" else "updates, how many there are in all"
        raise ValueError(f"kind is {kind!r}, whose length is missing; give {missing}")
    names = [kind] if kind is not None else [name for name in KINDS if lengths[name] in given]
    if not names:
        raise ValueError("step_size and updates are missing; give step_size for cycles, updates for any other schedule")
    return names


@dataclass(frozen=True)
class Called:
    """The learning rates of these updates, counted from 0; of a function, how it was called for them."""

    steps: Steps
    etas: Rates
    reading: Reading
    counting: str  # how the function counts, where that is to be said


@dataclass(frozen=True)
class Trial:
    """One way to read the learning rates: the kind, the form in which it is written, how the function was called."""

    kind: Kind
    form: Mapping[str, Line]
    called: Called
    values: Mapping[str, Any]
    notes: Sequence[str]

    def predict(self, planted: Sequence[Planted], _: int) -> Numbers:
        v = Values(step=self.called.steps, **self.values)
        lines = {**self.form, **lines_at(planted)}
        return {"eta": np.asarray(compute(self.kind.operation, "forward", v, lines).eta, np.float64)}

    @property
    def comparison(self) -> Comparison:
        scales, titles = [{"eta": self.values["eta_max"]}], {"eta": "schedule"}
        return Comparison(["eta"], [{"eta": self.called.etas}], scales, self.predict, TOLERANCE, titles, [{}])

    @property
    def candidates(self) -> list[Planted]:
        return [Planted(mistake, variant) for mistake in self.kind.mistakes for variant in mistake.variants]

    @property
    def replaced(self) -> list[str]:
        said = self.called.reading.replaced(self.values)
        return [said] if said else []

    @property
    def right(self) -> bool:
        return self.off([]) <= TOLERANCE

    @property
    def one_mistake(self) -> bool:
        """Whether a single one of the known mistakes explains it."""
        return any(self.off([candidate]) <= TOLERANCE for candidate in self.candidates)

    def off(self, planted: Sequence[Planted]) -> float:
        return self.comparison.residuals(planted)["eta"]

    def report(self) -> Report:
        findings, agreeing, _ = explain(self.comparison, self.candidates)
        right = self.comparison.predicted([], 0)["eta"]
        steps, etas = self.called.steps, self.called.etas
        first = int(np.flatnonzero(~(np.abs(etas - right) <= TOLERANCE * self.values["eta_max"]))[0])
        where = f"from update {steps[first]} on, where eta is {etas[first]:.6g}"
        notes = [*self.notes, *self.replaced, *filter(None, [self.called.reading.note])]
        return Report("schedule", [replace(f, where=where) for f in findings], agreeing, notes=notes)


def trials_of(
    kind: Kind,
    schedule: Callable[..., Any] | ArrayLike,
    given: Mapping[str, Any],
    epoch: Mapping[str, int],
    cycles: int,
) -> Iterator[Trial]:
    values = {name: given[name] for name in kind.arguments if name in given}
    count = 2 * cycles * values["n_s"] + 1 if "n_s" in values else values["updates"]
    for called in calls(schedule, asked(count, values), values, epoch.get("updates_per_epoch")):
        for measured in annealings(called.steps, called.etas, values):
            for form_note, form in kind.forms.items():
                said = (called.counting, annealing_note(measured), form_note)
                trial = Trial(kind, form, called, {**values, **measured, **epoch}, [*filter(None, said)])
                if trial.comparison.predicted([], 0):  # not without the updates of an epoch that it is made of
                    yield trial


def asked(count: int, values: Mapping[str, Any]) -> Steps:
    """The updates for which a function is asked."""
    if count <= MOST_ASKED:
        return np.arange(count)
    turns = np.arange(0, count, values["n_s"]) if "n_s" in values else [0, values.get("warmup", 0) * count, count - 1]
    near = np.concatenate([np.arange(int(turn) - 3, int(turn) + 4) for turn in turns])
    between = np.linspace(0, count - 1, MOST_ASKED // 2).astype(np.int64)
    steps = np.unique(np.concatenate([near, between]))
    return steps[(steps >= 0) & (steps < count)]


def annealings(steps: Steps, etas: Rates, values: Mapping[str, Any]) -> Iterator[dict[str, float]]:
    """What nobody has said about the annealing: none; or as the second peak stands to the first."""
    if "n_s" not in values or "annealing" in values:
        yield {}
        return
    yield {"annealing": 1.0}
    peaks = etas[steps % (2 * values["n_s"]) == values["n_s"]]
    for low in (values["eta_min"], 0.0):
        if len(peaks) > 1 and low < peaks[1] < peaks[0] * (1 - TOLERANCE):
            yield {"annealing": float((peaks[1] - low) / (peaks[0] - low))}


def annealing_note(measured: Mapping[str, float]) -> str:
    annealing = measured.get("annealing", 1.0)
    return f"from cycle to cycle it is annealed by {annealing:.4g}" if annealing != 1 else ""


def calls(
    schedule: Callable[..., Any] | ArrayLike, steps: Steps, values: Mapping[str, Any], epoch: int | None
) -> Iterator[Called]:
    """The learning rates under every way to call the function: first as its argument names say, counted from 0.

    epoch   its updates, if that is known
    """
    if not callable(schedule):
        etas, _ = numbers("schedule", schedule, (np.size(schedule),))
        if etas.ndim != 1 or len(etas) < 2:
            raise Unusable("schedule", "wrong_shape", f"its shape is {etas.shape}; it must be (T,), a rate an update")
        needed = 2 * values["n_s"] if "n_s" in values else values["updates"]
        if len(etas) < needed:
            what = f"a cycle of step_size {values['n_s']}" if "n_s" in values else "the schedule"
            raise ValueError(f"schedule has {len(etas)} rates; {what} has {needed} updates: give the rate of every one")
        etas = etas[: int(steps[-1]) + 2]
        yield Called(np.arange(len(etas)), etas, Reading((), {}), "")
        return
    failure: Unusable | Unclear | None = None
    worked = False
    for reading in itertools.islice(readings(schedule, list(values)), MOST_READ):
        counted = {"": steps, "the function counts updates from 1": steps + 1}
        if epoch is not None and reading.of_epochs:
            counted["the function counts epochs"] = steps // epoch
        for counting, numbered in counted.items():
            try:
                rates = [rate(schedule, *reading.arguments(step, values)) for step in numbered.tolist()]
            except Unusable as unusable:
                failure = failure or unusable
                continue
            worked = worked or not reading.guessed
            if told := [name for name in reading.differences if name not in reading.strange]:
                failure = unclear(told[0])
            yield Called(steps, np.array(rates, np.float64), reading, counting)
    if not worked:
        raise failure or too_many_arguments(values)


def rate(schedule: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Array:
    return numbers("schedule", call("schedule", partial(schedule, **named), *arguments), ())[0]


def unclear(name: str) -> Unclear:
    return Unclear(
        f"it is not clear what {name} is: with {name} = eta_max - eta_min it is no schedule that is known here, and so "
        "it was not judged; give a function of the update alone"
    )


def too_many_arguments(values: Mapping[str, Any]) -> Unusable:
    known = ", ".join(values)
    sentence = (
        f"it has more arguments than can be given to it: the number of the update, {known}; give the others a default"
    )
    return Unusable("schedule", "raises", sentence)
