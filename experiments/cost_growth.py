"""How does the time of an update grow with width, depth and batch size?

One of the three changes; the others stay at two hidden layers of 50 units with batch normalization and 100 images.
Beside the manual network stand the floor - the same gather and matrix products alone - and torch eager, timed in turn
as in benchmark.py.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import run_folder
from benchmark import described, measured, random_images, same_environment
from command_line import run_script
from contestants import Problem
from interleaved import Times
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from tqdm import tqdm

from manual_mlp.checks import checked_integer

NAMES = ("manual", "floor", "torch eager")


@dataclass(frozen=True)
class Settings:
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    """Units in each of two hidden layers."""
    depths: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Hidden layers of 50 units."""
    batch_sizes: tuple[int, ...] = (10, 30, 100, 300, 1000)
    """Images in an update."""
    images: int = 45_000
    """Images to gather from."""
    rounds: int = 7
    """Turns of every contestant."""
    updates: int = 10
    """Timed updates in a turn."""
    results: Path = Path("results")
    """The figure goes into a folder in RESULTS/cost_growth."""


def main(settings: Settings) -> None:
    for option, values in (
        ("--widths", settings.widths),
        ("--depths", settings.depths),
        ("--batch-sizes", settings.batch_sizes),
    ):
        if not values:
            raise ValueError(f"{option} is empty; give at least one number")
        for value in values:
            checked_integer(option, value, minimum=2 if option == "--batch-sizes" else 1)
    checked_integer("--rounds", settings.rounds, minimum=1)
    checked_integer("--updates", settings.updates, minimum=1)
    checked_integer("--images", settings.images, minimum=10 * max(100, *settings.batch_sizes))
    parent = run_folder.prepare(settings.results, "cost_growth")
    environment = same_environment()
    x, y = random_images(settings.images)
    panels = {
        "width of two hidden layers": {
            width: Problem((3072, width, width, 10), True, 100, x, y) for width in settings.widths
        },
        "hidden layers of 50 units": {
            depth: Problem((3072, *[50] * depth, 10), True, 100, x, y) for depth in settings.depths
        },
        "images in a batch": {size: Problem((3072, 50, 50, 10), True, size, x, y) for size in settings.batch_sizes},
    }
    turns = sum(map(len, panels.values())) * len(NAMES) * settings.rounds
    with tqdm(total=turns, unit=" turns", leave=False) as bar:
        times = {
            label: {
                value: measured(problem, NAMES, settings.rounds, settings.updates, bar)[0]
                for value, problem in problems.items()
            }
            for label, problems in panels.items()
        }
    medians = {
        label: {value: {name: float(np.median(row)) for name, row in rows.items()} for value, rows in panel.items()}
        for label, panel in times.items()
    }
    with run_folder.new_folder(parent, "cost_growth") as folder:
        run_folder.write_json(folder / "config.json", {**asdict(settings), "results": str(settings.results)})
        run_folder.write_json(folder / "summary.json", {"environment": environment, "seconds_per_update": medians})
        plot(folder / "cost_growth.png", environment, times)
    print(table(times))


def table(times: dict[str, dict[int, Times]]) -> str:
    lines = []
    for label, panel in times.items():
        lines.append(f"{label:<28}" + "".join(f"{f'{name} ms':>16}" for name in NAMES))
        for value, rows in panel.items():
            lines.append(f"{value:<28}" + "".join(f"{1e3 * np.median(rows[name]):>16.2f}" for name in NAMES))
    return "\n".join(lines)


def plot(file: Path, environment: dict[str, Any], times: dict[str, dict[int, Times]]) -> None:
    """Three panels, both axes logarithmic; lines differ in style and marker, not in color alone."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    figure.suptitle(described(environment), fontsize=9)
    panels = figure.subplots(1, len(times), sharey=True)
    for axes, (label, panel) in zip(panels, times.items(), strict=True):
        for name, style in zip(NAMES, ("ko-", "ks:", "k^--"), strict=True):
            values = [1e3 * float(np.median(rows[name])) for rows in panel.values()]
            axes.plot(list(panel), values, style, markersize=5, markerfacecolor="white", label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(panel), [str(value) for value in panel])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("milliseconds per update")
    panels[0].set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
    panels[0].legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    run_script(main, Settings)
