"""The learning rates that a program was seen to use, update by update."""

from collections.abc import Sequence

import numpy as np

from manual_mlp.adapters.dd2424_schedule import ETA_MAX, ETA_MIN, KNOWN, STEP_SIZE
from manual_mlp.adapters.dd2424_update import measured_rate
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.program import words
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.stand_in_images import FILES, PER_FILE
from manual_mlp.adapters.training import Training
from manual_mlp.adapters.watched_updates import finished, moves, rest_seen
from manual_mlp.diagnosis import diagnose_schedule
from manual_mlp.diagnosis.report import Report

LETTERS = {STEP_SIZE: "n_s", ETA_MIN: "eta_min", ETA_MAX: "eta_max"}
SAME_RATE = 1e-4  # of the rate; from one update to the next it changes by more


def schedule(network: Network, training: Training) -> Report:
    """What the loop calls its learning rate, update by update, where it has n_s, eta_min and eta_max."""
    if training.strange:
        raise absent("schedule")
    amounts: dict[str, set[float]] = {}
    for name, value in training.amounts.items():
        if (letter := LETTERS.get(KNOWN.get("".join(words(name)), 0.0))) is not None:
            amounts.setdefault(letter, set()).add(value)
    known = {letter: values.pop() for letter, values in amounts.items() if len(values) == 1}
    named = [rates[0] if len(set(rates)) == 1 else np.nan for rates in training.rates]
    taken = named[rates_begin(network, training, named) :]
    if set(known) != {*LETTERS.values()} or np.isnan(taken).any() or len(set(taken)) < 3:
        raise absent("schedule")
    if len(taken) < 2 * known["n_s"]:
        raise absent("schedule")  # less than a cycle was seen
    n_s = int(known["n_s"])
    report = diagnose_schedule(
        taken[: 2 * n_s],  # one cycle: behind it another training may begin
        step_size=n_s,
        eta_min=known["eta_min"],
        eta_max=known["eta_max"],
        updates_per_epoch=updates_per_epoch(training),
        batch_size=len(training.batches[0]),
    )
    if not report.ok and report.findings[0].mistake is None:
        raise absent("schedule")  # of another kind, perhaps
    return report


def updates_per_epoch(training: Training) -> int | None:
    """The batches until an image comes again."""
    taken = np.zeros(FILES * PER_FILE, dtype=bool)
    for number, batch in enumerate(training.batches):
        if number and taken[batch].any():
            return number
        taken[batch] = True
    return None


def rates_begin(network: Network, training: Training, named: Sequence[float]) -> int:
    """0 where the loop's rate at a gradient is that of the step behind it, 1 where it is that of the step before."""
    for move in moves(network, training):
        rest = rest_seen(network, training, move.before.given.l2)
        rate = measured_rate(move.moved, move.before.given, *finished(network, move, rest))
        if rate is not None and move.number > 1:
            here, later = (
                abs(named[move.number + shift] - rate) < max(SAME_RATE, move.moved.rounded) * rate for shift in (0, 1)
            )
            if here != later:
                return int(later)
    raise absent("schedule")
