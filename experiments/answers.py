"""What a script finds out about published numbers, and its tables: Markdown that reads well on a terminal, too.

A published number is reproduced if it lies within two standard deviations of our mean over the seeds, or within one
point (0.01 of an accuracy or a loss) of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure
from runs import Run
from seed_statistics import confidence_interval, mean, standard_deviation

Measure = Literal[
    "test_accuracy",
    "validation_accuracy",
    "train_accuracy",
    "train_loss",
    "validation_loss",
    "train_cost",
    "validation_cost",
]


@dataclass(frozen=True)
class Published:
    """One number of a report, and the run that is to give it again."""

    report: str
    what: str
    value: float  # accuracies as fractions
    run: Run
    measure: Measure = "test_accuracy"
    reason: str = ""  # why it does not come out again, where it does not


@dataclass(frozen=True)
class Row:
    """A published number and ours, one for each seed."""

    published: Published
    ours: tuple[float, ...]

    @property
    def reproduced(self) -> bool:
        distance = round(abs(self.published.value - mean(self.ours)), 9)  # 0.52 - 0.51 is more than 0.01 in binary
        return distance <= 0.01 or distance <= 2 * standard_deviation(self.ours)


@dataclass(frozen=True)
class Claim:
    """A difference between two runs, seed by seed with the same first weights and batches where the sizes agree."""

    what: str
    differences: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float]:
        return confidence_interval(self.differences)

    @property
    def holds(self) -> str:
        low, high = self.interval
        return "yes" if low > 0 else "no, the reverse" if high < 0 else "not decided"


@dataclass(frozen=True)
class Table:
    """Anything else that is to be shown: evidence, counts, what a search found."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Answer:
    """What one script found."""

    title: str
    text: str
    rows: tuple[Row, ...] = ()
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: dict[str, Figure] = field(default_factory=dict)  # by the name of their file


def as_text(answer: Answer) -> str:
    """Markdown that reads well on a terminal, too."""
    parts = [f"## {answer.title}", answer.text]
    if answer.rows:
        parts.append(
            aligned(
                ("report", "what", "published", "ours", "lowest", "highest", "verdict"),
                [cells(row) for row in answer.rows],
            )
        )
        reasons = {row.published.reason: None for row in answer.rows if not row.reproduced and row.published.reason}
        parts += [f"Not reproduced: {reason}" for reason in reasons]
    if answer.claims:
        parts.append(claims_table(answer.claims))
    for table in answer.tables:
        parts += [f"**{table.title}**", aligned(table.header, table.rows)]
    return "\n\n".join(parts)


def cells(row: Row) -> tuple[str, ...]:
    scale, decimals = (100, 2) if row.published.measure.endswith("accuracy") else (1, 4)

    def shown(value: float) -> str:
        return f"{scale * value:.{decimals}f}"

    return (
        row.published.report,
        row.published.what,
        shown(row.published.value),
        mean_and_deviation(row.ours, scale, decimals),
        shown(min(row.ours)),
        shown(max(row.ours)),
        "reproduced" if row.reproduced else "not",
    )


def mean_and_deviation(values: Sequence[float], scale: int = 100, decimals: int = 2) -> str:
    """Mean +- standard deviation: of shares in percent, of other numbers with scale 1."""
    return f"{scale * mean(values):.{decimals}f} +- {scale * standard_deviation(values):.{decimals}f}"


def claims_table(claims: Sequence[Claim]) -> str:
    rows = tuple(
        (
            claim.what,
            f"{100 * mean(claim.differences):+.2f}",
            f"{100 * claim.interval[0]:+.2f} to {100 * claim.interval[1]:+.2f}",
            claim.holds,
        )
        for claim in claims
    )
    return aligned(("does it raise test accuracy?", "points", "95 % interval", "holds"), rows)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up as plain text."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )
