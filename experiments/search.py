"""Which lambda is best, or which dropout? A search from coarse to fine, over a range of your own.

Stage by stage, values of one setting (--over) are drawn from an interval on a logarithmic scale, each is trained with
several seeds, and the next stage's interval follows from the best by one of the rules that the reports used:

R0   from the lowest to the highest of the three best, half a decade wider on each side (it names no rule; this is one
     that holds its values)
R1   from the one to the other of the two best, a quarter of a decade wider on each side
R2   from the lowest to the highest of the five best (it says: between the best and the worst of them)
R3   the whole decades that hold the three best

Values are ranked by their mean validation accuracy; test images are not looked at. Stop the search whenever you like:
the same command goes on.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import run_folder
from command_line import checked_seed, run_script
from data_sources import load
from image_data import warn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation
from one_training import Result, Training
from runs import RUNS, Changes, Run, RunName, check
from seed_statistics import mean, standard_error
from trainings import Options, Trainings

from manual_mlp.checks import checked_integer, checked_number

Interval = tuple[float, float]
MOST_L2 = 1e6  # far beyond any lambda with which something is learned
BELOW_1 = 0.9999  # the largest number below 1 that `draw` can draw
Sampling = Literal["random", "grid"]
RuleName = Literal["R0", "R1", "R2", "R3"]
Searched = Literal["l2", "eta_max", "weight_decay", "dropout", "label_smoothing", "whitening"]
USUAL: dict[Searched, Interval] = {
    "l2": (1e-5, 1e-1),
    "eta_max": (1e-3, 1e0),
    "weight_decay": (1e-3, 1e0),
    "dropout": (0.05, 0.5),
    "label_smoothing": (0.01, 0.3),
    "whitening": (1e-2, 1e1),
}


@dataclass(frozen=True)
class Trial:
    """One value and the validation accuracy of each seed; empty where a training diverged."""

    value: float
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        return mean(self.accuracies) if self.accuracies else -math.inf


@dataclass(frozen=True)
class Stage:
    """So many values, each trained as `run` says but for the setting that is searched."""

    run: Run
    values: int
    sampling: Sampling


@dataclass(frozen=True)
class StageResult:
    interval: Interval
    trials: list[Trial]  # the best first

    @property
    def finished(self) -> list[Trial]:
        """Those with accuracies: where a seed diverged there is nothing to rank."""
        return [trial for trial in self.trials if trial.accuracies]


def around(trials: Sequence[Trial], widened: float) -> Interval:
    """The interval that holds their values, so many decades wider on each side."""
    values = [trial.value for trial in trials]
    return min(values) / 10**widened, max(values) * 10**widened


def whole_decades(trials: Sequence[Trial]) -> Interval:
    low, high = (math.log10(value) for value in around(trials, 0))
    return 10.0 ** math.floor(low), 10.0 ** max(math.ceil(high), math.floor(low) + 1)


RULES: dict[RuleName, Callable[[Sequence[Trial]], Interval]] = {  # of trials, the best first
    "R0": lambda trials: around(trials[:3], 0.5),
    "R1": lambda trials: around(trials[:2], 0.25),
    "R2": lambda trials: around(trials[:5], 0),
    "R3": lambda trials: whole_decades(trials[:3]),
}


def coarse_to_fine(
    stages: Sequence[Stage],
    interval: Interval,
    rule: RuleName,
    over: Searched = "l2",
    *,
    seeds: int,
    rng: np.random.Generator,
    results: Callable[[list[Training]], list[Result]],
) -> list[StageResult]:
    """All stages, one after the other. `results` makes the trainings."""
    found: list[StageResult] = []
    for stage in stages:
        if found:
            interval = possible(RULES[rule](found[-1].finished), over, stage.run)
        values = draw(interval, stage.values, stage.sampling, rng)
        runs = [with_value(stage.run, over, value) for value in values]
        made = results([Training(run, seed) for run in runs for seed in range(seeds)])
        trials = [
            Trial(value, accuracies(made[number * seeds : (number + 1) * seeds])) for number, value in enumerate(values)
        ]
        if not any(trial.accuracies for trial in trials):
            raise FloatingPointError(
                f"with every {shown(over)} from {interval[0]:.3g} to {interval[1]:.3g} some training diverged: lower "
                f"{'--high' if over == 'eta_max' else '--eta-max'}"
            )
        found.append(StageResult(interval, sorted(trials, key=lambda trial: trial.mean, reverse=True)))
    return found


def possible(interval: Interval, over: Searched, run: Run) -> Interval:
    """As much of it as the setting can be: a rule that widens may reach beyond."""
    low, high = interval
    if over == "eta_max":
        return max(low, run.eta_min), high
    return (low, min(high, BELOW_1)) if over in ("dropout", "label_smoothing") else interval


def with_value(run: Run, over: Searched, value: float) -> Run:
    changes: dict[str, Any] = {over: value}
    return dataclasses.replace(run, **changes)


def draw(interval: Interval, values: int, sampling: Sampling, rng: np.random.Generator) -> list[float]:
    """Values of the interval on a logarithmic scale, in ascending order; in a narrow one some are the same, once."""
    low, high = (math.log10(end) for end in interval)
    exponents = np.linspace(low, high, values) if sampling == "grid" else np.sort(rng.uniform(low, high, values))
    return sorted({float(f"{10**exponent:.4g}") for exponent in exponents})  # as printed, so that they can be typed


def accuracies(results: list[Result]) -> tuple[float, ...]:
    if any("diverged" in result for result in results):
        return ()
    return tuple(result["validation_accuracy"] for result in results)


@dataclass(frozen=True, kw_only=True)
class Settings(Changes, Options):
    run: RunName = "3-layer-bn"
    """The training of which one setting is searched for; its other settings are below."""
    over: Searched = "l2"
    """That setting."""
    low: float | None = None
    """Lower end of the first interval; left out, of a usual one for that setting, as for lambda 1e-5 to 1e-1."""
    high: float | None = None
    """Upper end of the first interval."""
    values: tuple[int, ...] = (8, 8)
    """How many values each stage tries: as many stages as there are numbers."""
    sampling: Sampling = "random"
    """How they are chosen: at random, or evenly spaced, on a logarithmic scale in both cases."""
    rule: RuleName = "R1"
    """How the next interval follows from the best values."""
    seeds: int = 3
    """Trainings of every value, from different first weights."""
    seed: int = 0
    """Draws the values."""


def main(settings: Settings) -> None:
    checked_integer("--seeds", settings.seeds, minimum=1)
    checked_seed(settings.seed)
    usual_low, usual_high = USUAL[settings.over]
    interval = (
        usual_low if settings.low is None else settings.low,
        usual_high if settings.high is None else settings.high,
    )
    check_interval(interval)
    if not settings.values:
        raise ValueError("--values names no stage; give a number of values for each, as in --values 8 8")
    for values in settings.values:
        checked_integer("--values", values, minimum=1)
    if (given := getattr(settings, settings.over)) is not None:
        raise ValueError(
            f"--{settings.over.replace('_', '-')} is {given}; it is what is searched for: give its range as --low and "
            "--high"
        )
    run = settings.changed(RUNS[settings.run])
    data = load(settings.data, settings.data_dir)
    for end in interval:
        check(with_value(run, settings.over, end), data)
    parent = run_folder.prepare(settings.results, "search")
    warn(data)
    with Trainings(data, settings) as trainings:
        found = coarse_to_fine(
            [Stage(run, values, settings.sampling) for values in settings.values],
            interval,
            settings.rule,
            settings.over,
            seeds=settings.seeds,
            rng=np.random.default_rng(settings.seed),
            results=trainings.results,
        )
    title = f"{settings.run} on {data.name}: {settings.seeds} seed{'s' * (settings.seeds > 1)} for each value"
    with run_folder.new_folder(parent, f"{settings.run}_{settings.over}_{data.slug}_seed{settings.seed}") as folder:
        config = {**dataclasses.asdict(settings), **dataclasses.asdict(run), settings.over: None}
        run_folder.write_json(folder / "config.json", run_folder.provenance(json_ready(config), data))
        run_folder.write_json(folder / "stages.json", {"stages": [dataclasses.asdict(stage) for stage in found]})
        figure = Figure(figsize=(8, 5), layout="constrained")
        plot(figure.subplots(), found, title, settings.over)
        figure.savefig(folder / "search.png", dpi=120)
    print(table(found, settings.over))
    warn(data)


def check_interval(interval: Interval) -> None:
    low, high = interval
    checked_number("--low", low, minimum=0)
    checked_number("--high", high, minimum=0)
    if not 0 < low < high <= MOST_L2:
        raise ValueError(
            f"--low is {low:g} and --high {high:g}; the lower end must be above 0 and below the upper one, and that at "
            f"most {MOST_L2:g}"
        )


def shown(over: Searched) -> str:
    """The setting's name in tables and figures."""
    return {"l2": "lambda", "eta_max": "eta_max"}.get(over, over.replace("_", " "))


def json_ready(config: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in config.items()}


def table(found: list[StageResult], over: Searched = "l2") -> str:
    """Every stage, the best first."""
    lines, width = [], max(12, len(shown(over)))
    for number, stage in enumerate(found, start=1):
        low, high = stage.interval
        lines += [
            f"stage {number}: {low:.3g} to {high:.3g}",
            f"{shown(over):>{width}} {'validation %':>13} {'standard error':>15}",
        ]
        for trial in stage.trials:
            if trial.accuracies:
                error = f"{100 * standard_error(trial.accuracies):.2f}" if len(trial.accuracies) > 1 else "-"
                lines.append(f"{trial.value:>{width}.4g} {100 * trial.mean:>13.2f} {error:>15}")
            else:
                lines.append(f"{trial.value:>{width}.4g} {'diverged':>13}")
    best = max((trial for stage in found for trial in stage.trials), key=lambda trial: trial.mean)
    return "\n".join([*lines, f"best: {shown(over)} {best.value:.4g}"])


class PlainNumbers(LogFormatterSciNotation):
    """0.2 and 1e-05, as in the table, at the ticks that have a label by default."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def plot(axes: Axes, found: list[StageResult], title: str, over: Searched = "l2") -> None:
    """Validation accuracy against the values, with standard errors; every stage has a marker of its own."""
    colors, markers = ("0.6", "black", "tab:orange", "tab:blue"), "os^D"
    for number, stage in enumerate(found):
        trials = sorted(stage.finished, key=lambda trial: trial.value)
        axes.errorbar(
            [trial.value for trial in trials],
            [100 * trial.mean for trial in trials],
            [100 * standard_error(trial.accuracies) for trial in trials],
            fmt=markers[number % 4],
            color=colors[number % 4],
            markerfacecolor="white" if number % 2 else None,
            capsize=3,
            label=f"stage {number + 1}",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PlainNumbers())
    axes.xaxis.set_minor_formatter(PlainNumbers(labelOnlyBase=False))
    axes.set_xlabel(shown(over))
    axes.set_ylabel("validation accuracy (%)")
    axes.set_title(title, fontsize="medium", parse_math=False)
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    run_script(main, Settings)
