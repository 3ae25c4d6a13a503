"""Which of the course's extras raise the test accuracy of the reports' three-layer network?

Claim      none: no report tried them one by one
Measured   see RESULTS.md
Settings   hidden layers (50, 50) with batch normalization, 45,000 images, lambda 0.005, two cycles of n_s 2250, He
           initialization, and one thing changed at a time. Where that has a setting of its own, the best of a few by
           validation accuracy is taken.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses
from collections.abc import Iterable
from typing import Any

from answers import Answer, Published, Table, mean_and_deviation
from command_line import run_script
from one_training import Training
from reproduction import Reproduction, Settings, show
from runs import RUNS, Run
from search import accuracies
from seed_statistics import mean

BASE = RUNS["3-layer-bn"]
PUBLISHED: tuple[Published, ...] = ()


def variants(**changes: Any) -> tuple[Run, ...]:
    """The baseline with these changes; of a list of values one after the other is taken."""
    (name, values), *others = ((key, value if isinstance(value, list) else [value]) for key, value in changes.items())
    runs = [dataclasses.replace(BASE, **{name: value}) for value in values]
    for name, values in others:
        runs = [dataclasses.replace(run, **{name: value}) for run in runs for value in values]
    return tuple(runs)


EXTRAS: dict[str, tuple[Run, ...]] = {  # what is tried of each
    "dropout": variants(dropout=[0.05, 0.1, 0.2]),
    "momentum": variants(optimizer="momentum", eta_max=[0.01, 0.03]),
    "Nesterov": variants(optimizer="nesterov", eta_max=[0.01, 0.03]),
    "Adam": variants(optimizer="adam", eta_max=[1e-3, 3e-3], l2=[1e-4, 1e-3]),
    "AdamW": variants(optimizer="adamw", eta_max=[1e-3, 3e-3], l2=0.0, weight_decay=[0.1, 0.3]),
    "linear decay": variants(schedule="linear"),
    "cosine decay": variants(schedule="cosine"),
    "one cycle": variants(schedule="one-cycle"),
    "annealed eta_max": variants(annealing=[0.5, 0.25]),
    "label smoothing": variants(label_smoothing=[0.05, 0.1]),
    "skip connection": variants(skips=(2,)),
    "batch norm behind the ReLU": variants(relu_first=True),
    "PreciseBN": variants(statistics="precise"),
    "adaptive batch norm": variants(statistics="adaptive"),
    "flips": variants(flip=0.5),
    "flips and shifts": variants(flip=0.5, shift=[1, 2, 3]),
}


def answer(reproduction: Reproduction) -> Answer:
    candidates = [run for runs in EXTRAS.values() if len(runs) > 1 for run in runs]
    reproduction.trainings.results(on_validation(candidates, reproduction))  # side by side
    chosen = {extra: best(extra, runs, reproduction) for extra, runs in EXTRAS.items()}
    reproduction.make([BASE, *chosen.values()], test=True)
    claims = [reproduction.claim(f"{extra}{settings(run, EXTRAS[extra])}", run, BASE) for extra, run in chosen.items()]
    return Answer(
        "Beyond the reports: one extra at a time",
        f"The baseline is the three-layer network with batch norm: {mean_and_deviation(reproduction.measured(BASE))} % "
        "of the test images. Where an extra has settings of its own, a few were tried with "
        f"{reproduction.search_seeds} seeds, and the best on validation images is compared with the baseline. What "
        "trains no longer than the baseline is held against it: dropout and augmentation ask for longer trainings "
        "and wider networks.",
        claims=tuple(sorted(claims, key=lambda claim: -mean(claim.differences))),
        tables=(tried(reproduction),),
    )


def best(extra: str, runs: tuple[Run, ...], reproduction: Reproduction) -> Run:
    """By mean validation accuracy; what has no choice is not searched."""
    if len(runs) == 1:
        return runs[0]
    found = {run: validation_accuracies(run, reproduction) for run in runs}
    if not any(found.values()):
        raise FloatingPointError(f"{extra}: with every setting some training diverged; lower its eta_max")
    return max(runs, key=lambda run: mean(found[run]) if found[run] else 0.0)


def on_validation(runs: Iterable[Run], reproduction: Reproduction) -> list[Training]:
    return [Training(run, seed) for run in runs for seed in range(reproduction.search_seeds)]


def validation_accuracies(run: Run, reproduction: Reproduction) -> tuple[float, ...]:
    """Of every seed; empty where a training diverged."""
    return accuracies(reproduction.trainings.results(on_validation([run], reproduction)))


def settings(run: Run, runs: tuple[Run, ...]) -> str:
    """What distinguishes it from those that were tried beside it."""
    names = [field.name for field in dataclasses.fields(Run) if len({getattr(one, field.name) for one in runs}) > 1]
    shown = ", ".join(f"{'lambda' if name == 'l2' else name} {getattr(run, name):g}" for name in names)
    return f" ({shown})" if shown else ""


def tried(reproduction: Reproduction) -> Table:
    rows = [
        (f"{extra}{settings(run, runs)}", mean_and_deviation(found) if found else "diverged")
        for extra, runs in EXTRAS.items()
        if len(runs) > 1
        for run in runs
        for found in [validation_accuracies(run, reproduction)]
    ]
    return Table("What was tried: validation accuracy in percent", ("setting", "accuracy"), tuple(rows))


def main(settings: Settings) -> None:
    show(answer, settings)


if __name__ == "__main__":
    run_script(main, Settings)
