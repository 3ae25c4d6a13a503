"""One figure of a run - cost, loss, accuracy, learning rate - drawn from the files in its folder.

Run it to draw a figure again, without training: python experiments/plot_run.py results/run_cycles/RUN
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import run_folder
import tyro
from command_line import run_script
from matplotlib.figure import Figure
from runs import RUNS, Run, Schedule

MOST_ETAS = 10_000  # points of the learning rate's curve; of a longer training it has every n-th update


@dataclass(frozen=True)
class Settings:
    folder: Annotated[Path, tyro.conf.Positional]
    """The folder of a finished run."""


def plot_run(folder: Path) -> Path:
    """Draws curves.png beside the history. Solid and dashed lines with their own markers: no color is needed to
    read it.
    """
    history = run_folder.read_history(folder)
    summary, config = run_folder.read_summary(folder), run_folder.read_json(folder / "config.json")
    if missing := {"run", "data"} - set(summary) | {"step_size", "eta_min", "eta_max"} - set(config):
        raise ValueError(
            f"{folder} lacks {', '.join(sorted(missing))} in its summary.json or config.json; make the run again"
        )
    updates = summary["updates"]
    if history["step"][-1:] != [updates]:
        raise ValueError(
            f"{folder}/history.csv does not end after the {updates} updates of summary.json; make the run again"
        )
    steps = range(0, updates + 1, 1 + updates // MOST_ETAS)
    try:
        run = schedule(config)
        etas = [run.learning_rate(step) for step in steps]
    except ValueError as error:
        raise ValueError(f"{folder}/config.json is damaged ({error}); make the run again") from None
    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle(
        f"{summary['run']} on {summary['data']}: test accuracy {100 * summary['test_accuracy']:.2f} % "
        f"after {summary['updates']} updates",
        parse_math=False,  # a file's name may contain a dollar sign
    )
    panels = figure.subplots(2, 2, sharex=True)
    for axes, name in zip(panels.flat, ("cost", "loss", "accuracy"), strict=False):
        for part, style in (("train", "o-"), ("validation", "s--")):
            axes.plot(
                history["step"],
                history[f"{part}_{name}"],
                style,
                color="black" if part == "train" else "tab:orange",
                markersize=4,
                markerfacecolor="black" if part == "train" else "white",
                label="training" if part == "train" else part,
            )
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        axes.legend()
    panels[1, 1].plot(steps, etas, "k-")
    panels[1, 1].set_ylabel("learning rate eta")
    for axes in panels.flat:
        axes.grid(alpha=0.3)
    for axes in panels[1]:
        axes.set_xlabel("update")
    figure.savefig(folder / "curves.png", dpi=120)
    return folder / "curves.png"


def schedule(config: dict[str, Any]) -> Run:
    """A run with the learning rate that config.json describes; nothing else of it counts here."""
    names = ("step_size", "eta_min", "eta_max", "cycles", "schedule", "annealing")
    run = dataclasses.replace(RUNS["1-cycle"], **{name: config[name] for name in names if name in config})
    if run.schedule not in get_args(Schedule):
        raise ValueError(f"schedule is {run.schedule!r}; it must be one of {', '.join(get_args(Schedule))}")
    return run


def main(settings: Settings) -> None:
    print(plot_run(settings.folder))


if __name__ == "__main__":
    run_script(main, Settings)
