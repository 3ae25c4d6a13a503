"""Every number that the five reports published, beside ours over several seeds, and what the course's extras bring:
RESULTS.md and its figures.

The document has two parts, which can be made apart (--part): the other one then stays as it is. All trainings are kept
as they finish, so an interrupted reproduction goes on where it stopped. Two cores take about half an hour for either.
"""

import interruption

if __name__ == "__main__":
    interruption.end_at_once()

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import ablation
import cycles
import depth
import extras
import final_networks
import initialization
import lambda_3_layer
import lambda_search
import overfit
import reproduction
import run_folder
from answers import Answer, Claim, Row, aligned, as_text
from command_line import run_script
from matplotlib.figure import Figure
from reproduction import Reproduction, opened
from seed_statistics import mean

PartName = Literal["reports", "extras"]
FIGURES = Path("docs", "figures")
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Part:
    """One part of the document: its heading, what asks its questions, the name of the figure of its claims."""

    heading: str
    scripts: tuple[ModuleType, ...]
    claims: str
    remark: str = ""
    panel_each: bool = False  # in that figure, for every script; else one for all, and one for the largest differences


PARTS: dict[PartName, Part] = {
    "reports": Part(
        "# The five reports, made again",
        (overfit, cycles, lambda_search, final_networks, depth, lambda_3_layer, initialization),
        "claims",
        "Their gradient checks, the reports' other numbers, are made again by `python experiments/check_gradients.py`. "
        "R4's table of lambdas is the one section that does not come out at all: it is not of the settings that R4 "
        "gives, as its section below shows.",
    ),
    "extras": Part("# Beyond the reports", (extras, ablation), "extras", panel_each=True),
}
LARGE = 0.1  # ten points: a panel of its own
MADE_BY = "Made by `python experiments/reproduce.py`."
COMPARED = (
    "A published number is *reproduced* if it lies within two standard deviations of our mean over the seeds, or "
    "within one point of it (0.01 of a loss)."
)
PAIRED = (
    "Accuracies are in percent. Lambda and other settings are chosen on validation images; test images are looked at "
    "once, after training. A paired difference compares trainings of the same seed: the same order of the images, and "
    "the same first weights where the two networks have the same shape."
)
FEWEST = (5, 3)  # seeds and search seeds of a document that speaks for the project


@dataclass(frozen=True, kw_only=True)
class Settings(reproduction.Settings):
    part: tuple[PartName, ...] = ("reports", "extras")
    """What is made anew; the other part of an earlier RESULTS.md stays."""
    output: Path = Path()
    """RESULTS.md goes there, its figures into docs/figures below it."""


def main(settings: Settings) -> None:
    if not settings.part:
        raise ValueError(f"--part names no part; choose from {', '.join(PARTS)}")
    folder = settings.output / FIGURES
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--output is {settings.output}: cannot write there ({error.strerror})") from None
    with opened(settings) as trained:
        if settings.output.resolve() == ROOT.resolve():
            check_worthy(trained)
        for name in settings.part:
            make(PARTS[name], trained, settings)
    print(settings.output / "RESULTS.md")


def make(part: Part, trained: Reproduction, settings: Settings) -> None:
    """One part of the document and its figures; prints how many numbers came out again."""
    start, earlier = time.perf_counter(), set(trained.trainings.done)
    trained.trainings.asked.clear()
    answers = [script.answer(trained) for script in part.scripts]
    published = any(answer.rows for answer in answers)
    rules = [COMPARED, PAIRED] if published else [PAIRED]
    text = [part.heading, header(rules, trained, settings, earlier, time.perf_counter() - start)]
    if published:
        text.append(summary(answers))
        print(summary(answers))
    figure = f"![Paired differences of test accuracy with their 95 % intervals](docs/figures/{part.claims}.png)"
    text += [*filter(None, [part.remark]), figure, *(section(answer) for answer in answers)]
    figures = {part.claims: plot_claims(panels_of(part, answers))}
    for answer in answers:
        figures |= answer.figures
    for name, figure_of in figures.items():
        figure_of.savefig(settings.output / FIGURES / f"{name}.png", dpi=120)
    file = settings.output / "RESULTS.md"
    with run_folder.alone_in(settings.output) as alone:
        parts = {heading_of(old): old for old in parts_of(file)} | {part.heading: "\n\n".join(text)}
        document = "\n\n".join(parts[one.heading] for one in PARTS.values() if one.heading in parts)
        run_folder.replace(file, f"{document}\n".encode(), alone=alone)


def parts_of(file: Path) -> list[str]:
    """Of an earlier document, each from its heading on."""
    text = file.read_text() if file.exists() else ""
    return [f"# {part.strip()}" for part in re.split(r"^# ", text, flags=re.MULTILINE) if part.strip()]


def heading_of(part: str) -> str:
    return part.partition("\n")[0]


def check_worthy(trained: Reproduction) -> None:
    """The project's own document is not replaced by less than it is."""
    if not trained.data.is_cifar10:
        raise ValueError(f"these would be results on {trained.data.name}: choose an --output of their own")
    if trained.seeds < FEWEST[0] or trained.search_seeds < FEWEST[1]:
        raise ValueError(
            f"--seeds is {trained.seeds} and --search-seeds {trained.search_seeds}; the project's own document has at "
            f"least {FEWEST[0]} and {FEWEST[1]}: choose another --output"
        )


def header(rules: list[str], trained: Reproduction, settings: Settings, earlier: set[str], seconds: float) -> str:
    """Where the numbers come from."""
    data, provenance = trained.data, run_folder.provenance({}, trained.data)
    host = provenance["host"]
    asked = trained.trainings.asked
    work = sum(trained.trainings.done[key]["seconds"] for key in asked)
    resumed = f", {len(asked & earlier)} of them by earlier processes" if asked & earlier else ""
    rest = " for what earlier processes had left to do" if resumed else ""
    workers = f"workers of {settings.dask}" if settings.dask else f"{settings.workers} trainings at a time"
    facts = {
        "data": f"{data.name}, fingerprint {data.fingerprint[:16]}. {data.warning}",
        "seeds": f"{settings.seeds} for every number, {settings.search_seeds} for every value of a search",
        "machine": f"{host['cpu']}, {host['cores']} cores; {workers}; {host['blas']} "
        f"with {host['OPENBLAS_CORETYPE'] or 'the kernels that it chooses'}",
        "versions": ", ".join(f"{name} {version}" for name, version in provenance["versions"].items()),
        "commit": str(provenance["commit"]),
        "wall time": f"{seconds / 60:.1f} minutes{rest}",
        "work": f"{len(asked)} trainings{resumed}, together {work / 60:.1f} minutes of processor time",
    }
    return f"{' '.join([MADE_BY, *rules])}\n\n{aligned(('', ''), tuple(facts.items()))}"


def summary(answers: list[Answer]) -> str:
    """How many numbers of each section come out again."""
    rows = [(answer.title, *counted(answer.rows)) for answer in answers if answer.rows]
    every = counted(tuple(row for answer in answers for row in answer.rows))
    return aligned(("section", "published numbers", "reproduced"), [*rows, ("all", *every)])


def counted(rows: tuple[Row, ...]) -> tuple[str, str]:
    return str(len(rows)), str(sum(row.reproduced for row in rows))


def section(answer: Answer) -> str:
    figures = [f"![{answer.title}](docs/figures/{name}.png)" for name in answer.figures]
    return "\n\n".join([as_text(answer), *figures])


def panels_of(part: Part, answers: list[Answer]) -> list[tuple[str, Sequence[Claim]]]:
    """What stands in each panel of the figure of claims, under which title. Large differences have their own."""
    if part.panel_each:
        return [(answer.title, answer.claims) for answer in answers]
    claims = [claim for answer in answers for claim in answer.claims]
    large = [claim for claim in claims if abs(mean(claim.differences)) >= LARGE]
    return [("", panel) for panel in ([claim for claim in claims if claim not in large], large) if panel]


def plot_claims(panels: list[tuple[str, Sequence[Claim]]]) -> Figure:
    """What one thing, not another, does to test accuracy, with 95 % intervals."""
    heights = [len(claims) + 1 for _, claims in panels]
    figure = Figure(figsize=(10, 0.5 * sum(heights)), layout="constrained")
    rows = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, claims) in zip(rows, panels, strict=True):
        for place, claim in enumerate(reversed(claims)):
            low, high = claim.interval
            axes.plot(
                [100 * one for one in claim.differences], [place] * len(claim.differences), "|", color="tab:orange"
            )
            axes.plot([100 * low, 100 * high], [place, place], "k-", linewidth=1)
            color = "black" if claim.holds == "yes" else "white"
            axes.plot(100 * mean(claim.differences), place, "ko", markerfacecolor=color)
        axes.set_yticks(range(len(claims)), [claim.what for claim in reversed(claims)])
        axes.set_ylim(-0.6, len(claims) - 0.4)
        axes.axvline(0, color="0.5", linewidth=1)
        axes.grid(alpha=0.3, axis="x")
        axes.set_title(title, fontsize="medium")
    rows[-1].set_xlabel("points of test accuracy: mean, 95 % interval, each seed\n(filled: the interval lies above 0)")
    return figure


if __name__ == "__main__":
    run_script(main, Settings)
