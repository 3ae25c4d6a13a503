"""What does each ingredient of the best network bring?

Claim      every ingredient raises test accuracy
Measured   see RESULTS.md
Settings   those of best_mlp.py in shorter trainings, 8 epochs where --epochs says nothing else, and at most three
           seeds; each ingredient is taken out alone, all else stays. Three of them are asked about once more in
           longer trainings (--more-epochs).
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses
from dataclasses import dataclass
from typing import Any

import reproduction
from answers import Answer, Claim, Published, Table, as_text, mean_and_deviation
from command_line import run_script
from reproduction import Reproduction, opened
from runs import RUNS, Run
from seed_statistics import mean

from manual_mlp.checks import checked_integer

PUBLISHED: tuple[Published, ...] = ()
BEST = RUNS["best-mlp"]
EPOCHS, MORE_EPOCHS = 8, 30
MOST_SEEDS = 3  # one of these trainings takes as long as ten of the reports'
WITHOUT: dict[str, dict[str, Any]] = {
    "whitening": {"whitening": 0.0},
    "batch norm": {"batch_norm": False, "relu_first": False},
    "batch norm behind the ReLU (in front of it instead)": {"relu_first": False},
    "skips": {"skips": ()},
    "dropout": {"dropout": 0.0},
    "label smoothing": {"label_smoothing": 0.0},
    "flips": {"flip": 0.0},
    "shifts": {"shift": 0},
    "flips and shifts": {"flip": 0.0, "shift": 0},
    "weight decay": {"weight_decay": 0.0},
    "AdamW (Nesterov, eta_max 0.05, instead)": {"optimizer": "nesterov", "eta_max": 0.05, "weight_decay": 0.0},
}
LONGER = ("dropout", "shifts", "batch norm behind the ReLU (in front of it instead)")


@dataclass(frozen=True, kw_only=True)
class Settings(reproduction.Settings):
    epochs: int = EPOCHS
    """Of every training; the best network's own is 120."""
    more_epochs: int = MORE_EPOCHS
    """Of the longer ones."""


def main(settings: Settings) -> None:
    checked_integer("--epochs", settings.epochs, minimum=1)
    checked_integer("--more-epochs", settings.more_epochs, minimum=1)
    with opened(settings) as trained:
        print(as_text(answer(trained, settings.epochs, settings.more_epochs)))


def answer(reproduction: Reproduction, epochs: int = EPOCHS, more_epochs: int = MORE_EPOCHS) -> Answer:
    reproduction = dataclasses.replace(reproduction, seeds=min(MOST_SEEDS, reproduction.seeds))
    claims, table = taken_out(reproduction, epochs, tuple(WITHOUT))
    later, later_table = taken_out(reproduction, more_epochs, LONGER)
    return Answer(
        "What each ingredient of the best network brings",
        f"{epochs} epochs, {reproduction.seeds} seeds; accuracies in percent, without test-time views. What keeps a "
        "network from learning its images by heart has little to do in so short a training, and the best network's has "
        f"120 epochs: {', '.join(LONGER)} are also asked about in {more_epochs} epochs.",
        claims=(*claims, *later),
        tables=(table, later_table),
    )


def taken_out(reproduction: Reproduction, epochs: int, names: tuple[str, ...]) -> tuple[list[Claim], Table]:
    """Of trainings of so many epochs: what each of these ingredients brings, the most first, and the accuracies."""
    per_epoch = -(-BEST.n_train // BEST.batch_size)
    whole = dataclasses.replace(BEST, step_size=max(1, epochs * per_epoch // 2))
    runs = {name: dataclasses.replace(whole, **WITHOUT[name]) for name in names}
    reproduction.make([whole, *runs.values()], test=True)
    claims = [reproduction.claim(f"{name}, {epochs} epochs", whole, run) for name, run in runs.items()]
    rows = [("everything", *shown(reproduction, whole))]
    rows += [(f"without {name}", *shown(reproduction, run)) for name, run in runs.items()]
    return (
        sorted(claims, key=lambda claim: -mean(claim.differences)),
        Table(f"Accuracies after {epochs} epochs", ("network", "training", "test"), tuple(rows)),
    )


def shown(reproduction: Reproduction, run: Run) -> tuple[str, str]:
    return (
        mean_and_deviation(reproduction.measured(run, "train_accuracy")),
        mean_and_deviation(reproduction.measured(run)),
    )


if __name__ == "__main__":
    run_script(main, Settings)
