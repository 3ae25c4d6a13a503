"""How far does a hand-written fully connected network get on CIFAR-10?

Settings   three hidden layers of 768, each linear, ReLU, batch norm, dropout 0.2, the last two with a skip; whitened
           images, flips and shifts of up to 3 pixels, label smoothing 0.1, AdamW, one cycle of 120 epochs, batches of
           256; 49,000 images to train on, 1,000 to watch. Found on validation images.
Measured   test accuracy 71.48 +- 0.14 %, over 18 views 74.06 +- 0.07 % (seeds 0, 1, 2; CIFAR-10 (JPEG copy)); 22 to 24
           minutes a training on one core of an AMD EPYC (Zen 5), two at a time, NumPy 2.4.6 with Haswell kernels

Every seed is one training, which may be interrupted: the same command with --resume goes on. Test images are looked at
once, at its end; then over 18 views of each too, moved by two pixels and mirrored, the answers averaged.
"""

import blas_threads
import interruption

if __name__ == "__main__":
    interruption.end_at_once()
    blas_threads.sleep_soon()

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import run_cycles
from answers import aligned, mean_and_deviation
from command_line import run_script
from data_sources import load
from image_data import LatestSplits, warn
from runs import RUNS, Changes, RunName, check

NAME: RunName = "best-mlp"
PARTS = {"train": "train_accuracy", "validation": "validation_accuracy", "test": "test_accuracy"}
OVER_VIEWS = {"test, 18 views": "test_accuracy_over_views"}


@dataclass(frozen=True)
class Settings(Changes):
    seeds: tuple[int, ...] = (0, 1, 2)
    """One training for each, one after the other."""
    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to."""
    results: Path = Path("results")
    """Every training leaves a folder in RESULTS/run_cycles."""
    resume: bool = False
    """Go on with a training that was interrupted, and take those that had finished as they are."""
    checkpoint_seconds: float = 10.0
    """How often an unfinished training is saved; 0 saves after every update."""


def main(settings: Settings) -> None:
    if not settings.seeds:
        raise ValueError("--seeds names no seed; give one or more, such as 0")
    shared = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    del shared["seeds"]
    trainings = [run_cycles.Settings(**shared, runs=(NAME,), seed=seed) for seed in settings.seeds]
    run = settings.changed(RUNS[NAME])
    data = load(settings.data, settings.data_dir)
    check(run, data)
    parent = run_cycles.checked_parent({NAME: run}, trainings, data)
    warn(data)
    print(f"{data.name}: {len(data.x_train)} training and {len(data.x_test)} test images")
    splits = LatestSplits(data).split(run.n_train, run.n_validation, run.whitening)
    summaries = [run_cycles.train_and_save(NAME, run, training, data, splits, parent) for training in trainings]
    print(table(settings.seeds, summaries))
    warn(data)


def table(seeds: tuple[int, ...], summaries: list[dict[str, Any]]) -> str:
    """Accuracies in percent, seed by seed, and their mean."""
    measures = PARTS | (OVER_VIEWS if summaries[0]["test_accuracy_over_views"] is not None else {})
    rows = [
        (
            str(seed),
            *(f"{100 * summary[measure]:.2f}" for measure in measures.values()),
            f"{summary['seconds'] / 60:.1f}",
        )
        for seed, summary in zip(seeds, summaries, strict=True)
    ]
    if len(summaries) > 1:
        means = (mean_and_deviation([summary[measure] for summary in summaries]) for measure in measures.values())
        rows.append(("mean", *means, ""))
    return aligned(("seed", *measures, "minutes"), rows)


if __name__ == "__main__":
    run_script(main, Settings)
