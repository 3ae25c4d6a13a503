"""Which learning rates? One training whose eta grows from update to update, until nothing is learned any more.

From the validation accuracy against eta two ends are read, for a cyclical schedule (Smith 2017, section 3.3: where the
accuracy begins to increase, and where it slows, becomes ragged or falls). Here by a rule, with the climb from the
accuracy before the training to the best one as its unit:

eta_min   the first eta at which a tenth of the climb is made
eta_max   from there on, the eta of the best accuracy so far when the accuracy is, for the first time, a tenth of the
          climb below it, or when the training diverges

The test takes seconds; what it suggests is where to look, not what is best. A linear test sees no eta_min below its
first point: `--spacing exponential --eta-min 1e-5` does.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import run_folder
from command_line import checked_seed, run_script
from data_sources import load
from image_data import ImageData, Splits, split, warn
from matplotlib.figure import Figure
from progress import Progress
from runs import RUNS, Changes, Run, RunName, check, new_network

from manual_mlp import evaluate
from manual_mlp.checks import checked_integer

Spacing = Literal["linear", "exponential"]
OF_A_SCHEDULE = ("cycles", "step_size", "schedule", "annealing")  # what the test has not
PART = 0.1  # of the climb: made, the accuracy has begun to increase; lost, it is ragged or falls


@dataclass(frozen=True)
class Point:
    """What there is to see after `step` updates, the last of them with this eta."""

    step: int
    eta: float
    batch_loss: float  # mean over the updates since the last point
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Curve:
    start: float  # validation accuracy before the training
    points: list[Point]
    diverged: str | None  # where and how


@dataclass(frozen=True, kw_only=True)
class Settings(Changes):
    run: RunName = "3-layer"
    """The training whose learning rates are looked for; its other settings are below."""
    eta_min: float = 0.0
    """The first learning rate."""
    eta_max: float = 0.6
    """The last learning rate."""
    spacing: Spacing = "linear"
    """How eta grows: by the same amount in every update, or by the same factor."""
    epochs: int = 8
    """Length of the test."""
    points: int = 100
    """How often the network is evaluated."""
    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to."""
    results: Path = Path("results")
    """The test leaves a folder in RESULTS/lr_range_test."""
    seed: int = 0
    """Draws the first weights and the order of the images."""


def main(settings: Settings) -> None:
    checked_seed(settings.seed)
    checked_integer("--epochs", settings.epochs, minimum=1)
    checked_integer("--points", settings.points, minimum=2)
    for name in OF_A_SCHEDULE:
        if (value := getattr(settings, name)) is not None:
            raise ValueError(f"{name} is {value}; the test has no such schedule, eta grows over all --epochs")
    run = settings.changed(RUNS[settings.run])
    if settings.spacing == "exponential" and run.eta_min == 0:
        raise ValueError("eta_min is 0.0; it must be above 0 with --spacing exponential, as in --eta-min 1e-5")
    data = load(settings.data, settings.data_dir)
    check(run, data)
    if run.eta_min == run.eta_max:
        raise ValueError(f"eta_min is {run.eta_min}, as large as --eta-max; it must be smaller")
    parent = run_folder.prepare(settings.results, "lr_range_test")
    warn(data)
    curve = measured(run, settings, data, split(data, run.n_train, run.n_validation, run.whitening))
    low, high = suggested(curve)
    summary = {
        "data": data.name,
        "warning": data.warning,
        "eta_min": low,
        "eta_max": high,
        "accuracy_before": curve.start,
        "best_accuracy": max(point.validation_accuracy for point in curve.points),
        "diverged": curve.diverged,
    }
    title = f"{settings.run}{'' if run == expected(settings) else '-changed'}"
    with run_folder.new_folder(parent, f"{title}_{data.slug}_seed{settings.seed}") as folder:
        run_folder.write_json(folder / "config.json", run_folder.provenance(arguments_of(run, settings), data))
        run_folder.write_history(folder, curve.points)
        run_folder.write_json(folder / "summary.json", summary)
        plot(folder / "lr_range_test.png", curve, f"{title} on {data.name}", settings.spacing)
    print(described(curve, low, high))
    warn(data)


def expected(settings: Settings) -> Run:
    """The run with nothing changed but what every range test has of its own."""
    return dataclasses.replace(RUNS[settings.run], eta_min=settings.eta_min, eta_max=settings.eta_max)


def arguments_of(run: Run, settings: Settings) -> dict[str, Any]:
    own = {name: getattr(settings, name) for name in ("run", "seed", "epochs", "spacing", "points")}
    kept = {name: value for name, value in dataclasses.asdict(run).items() if name not in OF_A_SCHEDULE}
    return {**own, **kept}


def growing(part: float, run: Run, spacing: Spacing) -> float:
    """eta when this part of the test, 0 to 1, is done."""
    if spacing == "linear":
        return run.eta_min + part * (run.eta_max - run.eta_min)
    return float(run.eta_min * (run.eta_max / run.eta_min) ** part)


def measured(run: Run, settings: Settings, data: ImageData, splits: Splits) -> Curve:
    """The training. That it diverges is a result; only where it does so before the first point there is none."""
    net = new_network(run, data.inputs, data.classes, settings.seed)
    updates = settings.epochs * -(-run.n_train // run.batch_size)
    every = max(1, updates // settings.points)
    _, start = evaluate(net, splits.validation)
    points: list[Point] = []
    losses: list[float] = []

    def on_update(step: int, eta: float, loss: float) -> None:
        progress.update(step, eta, loss)
        losses.append(loss)
        if (step + 1) % every == 0:
            validation_loss, accuracy = evaluate(net, splits.validation)
            if not np.isfinite(validation_loss):
                raise FloatingPointError(
                    f"the validation loss is {validation_loss} after {step + 1} updates: lower the learning rate"
                )
            points.append(Point(step + 1, eta, float(np.mean(losses[-every:])), validation_loss, accuracy))

    diverged = None
    with Progress("range test", updates) as progress:
        try:
            run.train(
                net,
                splits,
                settings.seed,
                learning_rate=lambda step: growing(step / max(1, updates - 1), run, settings.spacing),
                updates=updates,
                record_every=updates,
                on_update=on_update,
            )
        except FloatingPointError as error:
            if not points:
                raise
            diverged = str(error).partition(": ")[0]  # without the remedy: this is what was looked for
    return Curve(start, points, diverged)


def suggested(curve: Curve) -> tuple[float | None, float | None]:
    """eta_min and eta_max by the rule above; None where the curve does not show it: also where it falls as soon as it
    has begun to climb, as it does on a few images.
    """
    accuracies = [point.validation_accuracy for point in curve.points]
    climb = PART * (max(accuracies) - curve.start)
    if climb <= 0:
        return None, None
    climbing = next(k for k, accuracy in enumerate(accuracies) if accuracy >= curve.start + climb)
    first = best = curve.points[climbing]
    for point in curve.points[climbing:]:
        if point.validation_accuracy <= best.validation_accuracy - climb:
            return (first.eta, best.eta) if best is not first else (None, None)
        best = max(best, point, key=lambda point: point.validation_accuracy)
    return first.eta, best.eta if curve.diverged else None


def described(curve: Curve, low: float | None, high: float | None) -> str:
    lines = [f"{'eta':>10} {'batch loss':>11} {'validation %':>13}"]
    for point in curve.points[:: max(1, len(curve.points) // 20)]:
        lines.append(f"{point.eta:>10.4g} {point.batch_loss:>11.3f} {100 * point.validation_accuracy:>13.2f}")
    if curve.diverged:
        lines.append(f"diverged: {curve.diverged}")
    if low is None and max(point.validation_accuracy for point in curve.points) <= curve.start:
        lines.append("nothing was learned: no suggestion")
    elif low is None:
        lines.append(
            "the accuracy is too ragged for a suggestion: raise --n-validation or --n-train, or take fewer --points"
        )
    else:
        end = f"--eta-max {high:.3g}" if high is not None else "the accuracy did not fall: test a larger --eta-max"
        lines.append(f"suggested: --eta-min {low:.3g}, {end}")
    return "\n".join(lines)


def plot(file: Path, curve: Curve, title: str, spacing: Spacing) -> None:
    """Accuracy above, loss below, against eta; the suggested ends are dashed."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    low, high = suggested(curve)
    figure.suptitle(f"Learning-rate range test, {title}", parse_math=False)
    accuracy, loss = figure.subplots(2, 1, sharex=True)
    etas = [point.eta for point in curve.points]
    accuracy.plot(etas, [100 * point.validation_accuracy for point in curve.points], "k.-", linewidth=1, markersize=4)
    accuracy.set_ylabel("validation accuracy in %")
    loss.plot(etas, [point.batch_loss for point in curve.points], "k.-", linewidth=1, markersize=4)
    batches = curve.points[0].step
    loss.set_ylabel(f"loss, mean of {batches} batches" if batches > 1 else "loss of a batch")
    loss.set_xlabel("learning rate eta")
    if spacing == "exponential":
        loss.set_xscale("log")
    for axes in (accuracy, loss):
        axes.grid(alpha=0.3)
        for name, eta, dashes in (("eta_min", low, ":"), ("eta_max", high, "--")):
            if eta is not None:
                axes.axvline(eta, color="tab:orange", linestyle=dashes, label=f"{name} {eta:.3g}")
    if low is not None:
        accuracy.legend(title="suggested", loc="lower center")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    run_script(main, Settings)
