"""The main job: train the published networks with cyclical learning rates; lay what comes out beside what was
published.

1-cycle     two layers (50 hidden units), one cycle of n_s 500, trained on data_batch_1
3-cycles    the same network, three cycles of n_s 800
3-layer     hidden layers (50, 50), two cycles of n_s 2250, trained on 45,000 images
3-layer-bn  the same with batch normalization
best-mlp    the best that we found, from no report: see best_mlp.py. Takes twenty minutes
"""

import blas_threads
import interruption

if __name__ == "__main__":
    interruption.end_at_once()
    blas_threads.sleep_soon()

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import run_folder
from command_line import checked_seed, run_script
from data_sources import load
from image_data import ImageData, LatestSplits, Splits, warn
from plot_run import plot_run
from progress import Progress
from runs import RUNS, Changes, Run, RunName, check, new_network
from unfinished import Unfinished
from views import accuracy_over_views

from manual_mlp import MLP, TrainingState, evaluate
from manual_mlp.checks import checked_number
from manual_mlp.optimizers import Update
from manual_mlp.training import remedy

PUBLISHED: dict[RunName, str] = {  # test accuracy in percent
    "1-cycle": "45.78 (report R1), 45.85 (course)",
    "3-cycles": "46.74 (report R1), 48.09 (report R2), 47.47 (course)",
    "3-layer": "52 (report R4), about 52 (course)",
    "3-layer-bn": "53 (report R4), about 53.5 (course)",
}


@dataclass(frozen=True)
class Settings(Changes):
    runs: tuple[RunName, ...] = ("1-cycle", "3-cycles", "3-layer", "3-layer-bn")
    """The runs to make, one after the other."""
    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to."""
    results: Path = Path("results")
    """Every run leaves a folder in RESULTS/run_cycles."""
    seed: int = 0
    """Draws the first weights and the order of the images."""
    resume: bool = False
    """Go on with runs that were interrupted, and take those that had finished as they are."""
    checkpoint_seconds: float = 10.0
    """How often an unfinished run is saved; 0 saves after every update."""


def main(settings: Settings) -> None:
    if not settings.runs:
        raise ValueError(f"--runs names no run; choose from {', '.join(RUNS)}")
    runs = {name: settings.changed(RUNS[name]) for name in settings.runs}
    data = load(settings.data, settings.data_dir)
    for run in runs.values():
        check(run, data)
    parent = checked_parent(runs, [settings], data)
    warn(data)
    print(f"{data.name}: {len(data.x_train)} training and {len(data.x_test)} test images")
    summaries: list[dict[str, Any]] = []
    latest = LatestSplits(data)
    for name, run in runs.items():
        splits = latest.split(run.n_train, run.n_validation, run.whitening)
        summaries.append(train_and_save(name, run, settings, data, splits, parent))
    print(table(summaries))
    warn(data)


def checked_parent(runs: dict[RunName, Run], trainings: Sequence[Settings], data: ImageData) -> Path:
    """Where their results go; finds what cannot be gone on with before a training in front of it is begun."""
    for settings in trainings:
        checked_seed(settings.seed)
        checked_number("--checkpoint-seconds", settings.checkpoint_seconds, minimum=0)
    parent = run_folder.prepare(trainings[0].results, "run_cycles")
    for settings in trainings:
        for name, run in runs.items():
            unfinished(name, run, settings, data, parent)[-1].check()
    return parent


def unfinished(
    name: RunName, run: Run, settings: Settings, data: ImageData, parent: Path
) -> tuple[MLP, Update, Unfinished[TrainingState]]:
    """A network with its first weights, its optimizer, and what keeps its training."""
    net = new_network(run, data.inputs, data.classes, settings.seed)
    optimizer = run.new_optimizer(net)
    return (
        net,
        optimizer,
        Unfinished(
            parent / names(name, run, settings, data)[1],
            checkpoints.values_of(net, optimizer),
            {**arguments_of(name, run, settings), "data": data.fingerprint},
            partial(checkpoints.training_state, updates=run.updates, record_every=run.record_every),
            resume=settings.resume,
            seconds=settings.checkpoint_seconds,
        ),
    )


def arguments_of(name: RunName, run: Run, settings: Settings) -> dict[str, Any]:
    return {"run": name, "seed": settings.seed, **dataclasses.asdict(run)}


def names(name: RunName, run: Run, settings: Settings, data: ImageData) -> tuple[str, str]:
    """What tables and figures call the run, and its folder."""
    title = name if run == RUNS[name] else f"{name}-changed"
    return title, f"{title}_{data.slug}_seed{settings.seed}"


def train_and_save(
    name: RunName, run: Run, settings: Settings, data: ImageData, splits: Splits, parent: Path
) -> dict[str, Any]:
    """One training, from the first weights to the folder that it leaves."""
    as_published = run == RUNS[name]
    title, folder_name = names(name, run, settings, data)
    arguments = arguments_of(name, run, settings)
    config = run_folder.provenance(arguments, data)
    net, optimizer, training = unfinished(name, run, settings, data, parent)
    start = time.perf_counter()
    with training:
        done = training.state.step if training.state else 0
        if settings.resume and done in (0, run.updates):  # at the end: it was killed before it removed the checkpoint
            earlier = run_folder.finished(parent, folder_name, {**arguments, "data": config["data"]})
            if earlier is not None:
                return run_folder.read_summary(earlier)
        with Progress(name, run.updates, done) as progress:
            history = run.train(
                net,
                splits,
                settings.seed,
                optimizer=optimizer,
                on_update=progress.update,
                on_record=progress.record,
                on_state=training.keep,
                resume=training.state,
            )
        training.keep_last()
        with np.errstate(over="ignore", invalid="ignore"):
            run.take_statistics(net, splits)
            test_loss, test_accuracy = evaluate(net, splits.test)
        if not math.isfinite(test_loss):
            raise FloatingPointError(f"the test loss is {test_loss} after {run.updates} updates: {remedy(run.updates)}")
        summary = {
            "run": title,
            "data": data.name,
            "warning": data.warning,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "test_accuracy_over_views": (
                accuracy_over_views(net, splits.test, splits.shape) if run.shift or run.flip else None
            ),
            "train_accuracy": history[-1].train_accuracy,
            "validation_accuracy": history[-1].validation_accuracy,
            "updates": run.updates,
            "resumed_after_updates": done,
            "seconds": round(time.perf_counter() - start, 2),
            "peak_memory_of_process_bytes": run_folder.peak_memory(),
            "published_test_accuracy": PUBLISHED.get(name) if as_published and data.is_cifar10 else None,
        }
        with run_folder.new_folder(parent, folder_name) as folder:
            run_folder.write_json(folder / "config.json", config)
            run_folder.write_history(folder, history)
            run_folder.write_json(folder / "summary.json", summary)
            checkpoints.write_network(folder / "network.safetensors", net)
            plot_run(folder)
    return summary


def table(summaries: list[dict[str, Any]]) -> str:
    """The measured accuracies beside the published ones."""
    lines = [f"{'run':<18} {'train %':>8} {'val. %':>8} {'test %':>8} {'seconds':>8}   published test %"]
    for row in summaries:
        accuracies = (100 * row[f"{part}_accuracy"] for part in ("train", "validation", "test"))
        lines.append(
            f"{row['run']:<18} {' '.join(f'{value:>8.2f}' for value in accuracies)} {row['seconds']:>8.1f}   "
            f"{row['published_test_accuracy'] or '-'}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main, Settings)
