"""How long does a whole training take by hand and with the torch twin?

The runs are those of run_cycles: the same first values, batches, learning rates and records - training and validation
images evaluated ten times a cycle - and the test images at the end. The two take turns, so that a shared machine
slows both; what counts is the median over the turns of the manual network's wall time over the twin's.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import run_folder
import torch
from benchmark import described, same_environment
from command_line import checked_seed, run_script
from data_sources import load
from image_data import ImageData, LatestSplits, Splits, warn
from runs import RUNS, Run, RunName, check, new_network
from torch import Tensor
from torch.nn import functional as F
from tqdm import trange

from manual_mlp import evaluate, minibatches
from manual_mlp.checks import checked_integer
from torch_reference import Twin, TwinSGD, mirror


@dataclass(frozen=True)
class Settings:
    runs: tuple[RunName, ...] = ("1-cycle", "3-cycles", "3-layer", "3-layer-bn")
    """The runs of run_cycles to make with both."""
    turns: int = 3
    """How often each trains every run."""
    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to."""
    results: Path = Path("results")
    """The comparison leaves a folder in RESULTS/whole_runs."""
    seed: int = 0
    """Draws the first weights and the order of the images."""


def main(settings: Settings) -> None:
    checked_integer("--turns", settings.turns, minimum=1)
    checked_seed(settings.seed)
    if not settings.runs:
        raise ValueError(f"--runs names no run; choose from {', '.join(RUNS)}")
    data = load(settings.data, settings.data_dir)
    for name in settings.runs:
        check(RUNS[name], data)
    parent = run_folder.prepare(settings.results, "whole_runs")
    warn(data)
    environment = same_environment()
    latest = LatestSplits(data)
    rows = []
    for name in settings.runs:
        run = RUNS[name]
        rows.append(timed(name, settings, data, latest.split(run.n_train, run.n_validation)))
    arguments = {"runs": settings.runs, "turns": settings.turns, "seed": settings.seed, "environment": environment}
    with run_folder.new_folder(parent, f"whole_runs_{data.slug}_seed{settings.seed}") as folder:
        run_folder.write_json(folder / "config.json", run_folder.provenance(arguments, data))
        run_folder.write_json(folder / "summary.json", {"runs": rows})
    print(table(rows, f"{described(environment)}; {data.name}"))


def timed(name: RunName, settings: Settings, data: ImageData, splits: Splits) -> dict[str, Any]:
    """Seconds of every turn and test accuracy, of both."""
    seconds: dict[str, list[float]] = {"manual": [], "twin": []}
    accuracy: dict[str, float] = {}
    both = [("manual", train_manual), ("twin", train_twin)]
    for turn in trange(settings.turns, desc=name, unit=" turns", leave=False):
        for trainer, training in both if turn % 2 == 0 else both[::-1]:
            start = time.perf_counter()
            accuracy[trainer] = training(RUNS[name], data, splits, settings.seed)
            seconds[trainer].append(time.perf_counter() - start)
    return {"run": name, "seconds": seconds, "test_accuracy": accuracy}


def train_manual(run: Run, data: ImageData, splits: Splits, seed: int) -> float:
    net = new_network(run, data.inputs, data.classes, seed)
    run.train(net, splits, seed)
    return evaluate(net, splits.test)[1]


def train_twin(run: Run, data: ImageData, splits: Splits, seed: int) -> float:
    twin = mirror(new_network(run, data.inputs, data.classes, seed))
    optimizer = TwinSGD(twin, run.l2)
    train_x, train_y, validation_x, validation_y, test_x, test_y = (
        torch.from_numpy(array) for part in (splits.train, splits.validation, splits.test) for array in part
    )
    batches = minibatches(len(train_x), run.batch_size, np.random.default_rng([seed, 1]))
    for step in range(run.updates + 1):
        if step % run.record_every == 0 or step == run.updates:
            evaluate_twin(twin, train_x, train_y)
            evaluate_twin(twin, validation_x, validation_y)
        if step < run.updates:
            rows = torch.from_numpy(next(batches))
            optimizer.update(train_x[rows], train_y[rows], run.learning_rate(step))
    return evaluate_twin(twin, test_x, test_y)[1]


def evaluate_twin(twin: Twin, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Loss and accuracy in test mode, all images at once, which is torch's fastest."""
    twin.eval()
    with torch.inference_mode():
        logits = twin(x)
        result = F.cross_entropy(logits, y).item(), (logits.argmax(dim=1) == y).float().mean().item()
    twin.train()
    return result


def table(rows: list[dict[str, Any]], title: str) -> str:
    lines = [
        title,
        f"{'run':<12}{'manual s':>10}{'twin s':>10}   {'ratio (lowest-highest)':<24}{'manual %':>10}{'twin %':>8}",
    ]
    for row in rows:
        seconds = {name: np.array(values) for name, values in row["seconds"].items()}
        ratios = seconds["manual"] / seconds["twin"]
        lines.append(
            f"{row['run']:<12}{np.median(seconds['manual']):>10.1f}{np.median(seconds['twin']):>10.1f}   "
            f"{f'{np.median(ratios):.2f} ({ratios.min():.2f}-{ratios.max():.2f})':<24}"
            + "".join(
                f"{100 * row['test_accuracy'][name]:>{width}.2f}" for name, width in (("manual", 10), ("twin", 8))
            )
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main, Settings)
