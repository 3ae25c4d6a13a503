"""How long does one update take by hand, in the frameworks, and for the matrix products alone?

An update is the gather of 100 shuffled rows of 45,000 images, forward, backward, L2 and SGD, in float32, with the same
number of threads for all. First every contestant has to make the same update; then they take turns, and what counts is
the median over the rounds of one's time over another's. The images are random numbers.

manual         manual_mlp
floor          the same gather and matrix products in NumPy and nothing else
torch eager    the twin with torch's fused SGD; torch.compile: its forward and backward pass compiled
JAX jit        one compiled function for the whole update
scikit-learn   MLPClassifier.partial_fit, which has no batch normalization
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import run_folder
import torch
from command_line import run_script
from contestants import CONTESTANTS, Problem, check_agreement, gathered
from interleaved import Times, blas_kernel, interleaved, ratio, use_same_threads
from matplotlib.figure import Figure
from tqdm import tqdm

from manual_mlp import minibatches
from manual_mlp.checks import checked_integer

NetworkName = Literal["2-layer", "3-layer", "9-layer", "wide"]
NETWORKS: dict[NetworkName, tuple[int, ...]] = {
    "2-layer": (3072, 50, 10),
    "3-layer": (3072, 50, 50, 10),
    "9-layer": (3072, 50, 30, 20, 20, 10, 10, 10, 10, 10),
    "wide": (3072, 512, 256, 10),
}


@dataclass(frozen=True)
class Settings:
    networks: tuple[NetworkName, ...] = ("2-layer", "3-layer", "9-layer", "wide")
    """The networks, each without and with batch normalization."""
    rounds: int = 15
    """Turns of every contestant."""
    updates: int = 30
    """Timed updates in a turn."""
    images: int = 45_000
    """Images to gather from."""
    batch_size: int = 100
    """Images in an update."""
    results: Path = Path("results")
    """The benchmark leaves a folder in RESULTS/benchmark."""


def main(settings: Settings) -> None:
    checked_integer("--rounds", settings.rounds, minimum=1)
    checked_integer("--updates", settings.updates, minimum=1)
    checked_integer("--batch-size", settings.batch_size, minimum=2)
    checked_integer("--images", settings.images, minimum=10 * settings.batch_size)
    if not settings.networks:
        raise ValueError(f"--networks names no network; choose from {', '.join(NETWORKS)}")
    parent = run_folder.prepare(settings.results, "benchmark")
    start = time.perf_counter()
    logging.getLogger("torch").setLevel(logging.ERROR)  # torch.compile tells what it would need for a GPU
    environment = same_environment()
    x, y = random_images(settings.images)
    problems = [
        Problem(NETWORKS[name], batch_norm, settings.batch_size, x, y)
        for name in settings.networks
        for batch_norm in (False, True)
    ]
    results = []
    with tqdm(total=len(problems) * len(CONTESTANTS) * settings.rounds, unit=" turns", leave=False) as bar:
        for problem in problems:
            bar.set_description(str(problem))
            times, left_out = measured(problem, tuple(CONTESTANTS), settings.rounds, settings.updates, bar)
            bar.update(len(left_out) * settings.rounds)
            results.append((str(problem), times, left_out))
    content = {
        "seconds": round(time.perf_counter() - start, 1),
        "environment": environment,
        "results": [
            {
                "network": name,
                "seconds_per_update": {who: list(row) for who, row in times.items()},
                "left_out": left_out,
            }
            for name, times, left_out in results
        ],
    }
    with run_folder.new_folder(parent, "benchmark") as folder:
        run_folder.write_json(folder / "config.json", {**asdict(settings), "results": str(settings.results)})
        run_folder.write_json(folder / "summary.json", content)
        plot(folder / "benchmark.png", environment, results)
    print(described(environment))
    print(table(results))


def random_images(images: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((images, 3072), np.float32), rng.integers(0, 10, images)


def measured(
    problem: Problem, names: tuple[str, ...], rounds: int, updates: int, bar: "tqdm[Any]"
) -> tuple[Times, dict[str, str]]:
    """Seconds per update of every contestant that takes part, and why the others do not."""
    contestants, left_out = gathered(problem, names)
    check_agreement(problem, contestants)
    whole_batches = len(problem.x) // problem.batch_size * problem.batch_size
    batches = minibatches(whole_batches, problem.batch_size, np.random.default_rng(1))
    functions = {
        name: lambda contestant=contestant: contestant.update(next(batches)) for name, contestant in contestants.items()
    }
    return interleaved(functions, rounds, updates, bar), left_out


def same_environment() -> dict[str, Any]:
    """Holds every library to the same number of threads. Returns what the times depend on."""
    threads = use_same_threads()
    torch.set_num_threads(threads)
    return {
        "cpu": run_folder.cpu(),
        "threads": threads,
        "blas": blas_kernel(),
        "versions": run_folder.versions("numpy", "torch", "jax", "scikit-learn"),
        "commit": run_folder.commit(),
    }


def described(environment: dict[str, Any]) -> str:
    return f"{environment['cpu']}, threads: {environment['threads']}, {environment['blas']}"


def table(results: list[tuple[str, Times, dict[str, str]]]) -> str:
    """Milliseconds, then the manual network's time over each other's with its quartiles."""
    others = [name for name in CONTESTANTS if name != "manual"]
    lines = [f"{'ms per update':<38}{'manual':>8}" + "".join(f"{name:>20}" for name in others)]
    for network, times, _ in results:
        cells = (f"{1e3 * np.median(times[name]):.2f}" if name in times else "-" for name in others)
        lines.append(
            f"{network:<38}{1e3 * np.median(times['manual']):>8.2f}" + "".join(f"{cell:>20}" for cell in cells)
        )
    lines.append("\nthe manual network's time over theirs: median (quartiles) of the rounds")
    for network, times, _ in results:
        cells = (
            "{:.2f} ({:.2f}-{:.2f})".format(*ratio(times, "manual", name)) if name in times else "-" for name in others
        )
        lines.append(f"{network:<46}" + "".join(f"{cell:>20}" for cell in cells))
    reasons = {f"{name} {reason}" for _, _, left_out in results for name, reason in left_out.items()}
    return "\n".join([*lines, *(f"left out: {reason}" for reason in sorted(reasons))])


def plot(file: Path, environment: dict[str, Any], results: list[tuple[str, Times, dict[str, str]]]) -> None:
    """One panel of bars for each network: milliseconds per update."""
    figure = Figure(figsize=(10, 1.1 + 1.7 * -(-len(results) // 2)), layout="constrained")
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    figure.suptitle(
        f"Milliseconds per update, median of {len(next(iter(results[0][1].values())))} interleaved rounds\n"
        f"{described(environment)}; {versions}",
        fontsize=9,
    )
    panels = figure.subplots(-(-len(results) // 2), 2, squeeze=False)
    for axes, (network, times, _) in zip(panels.flat, results, strict=False):
        values = [1e3 * float(np.median(row)) for row in times.values()]
        colors = ["black" if name == "manual" else "0.85" if name == "floor" else "0.6" for name in times]
        bars = axes.barh(list(times), values, color=colors)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        axes.set_title(network, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.15)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    run_script(main, Settings)
