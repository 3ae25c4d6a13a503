"""What a diagnosis finds, and how it says so.

There are three verdicts. Wrong: numbers at usual inputs differ, or there are none. Right, with a remark: all numbers at
usual inputs agree, and only extreme ones, such as class scores in the hundreds or gradients near 0, come out as inf
or NaN, are rounded away or are off. Right: all agree. A remark is no accusation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

DERIVATIONS = "docs/derivations.md"


@dataclass(frozen=True)
class Finding:
    """One wrong place and what explains it."""

    place: str  # "batch_norm backward: dx", "linear2.weight", "cost"
    sentence: str  # what is wrong, in words
    mistake: str | None = None  # its id in the catalogue; None if none of the known ones explains the numbers
    where: str = ""  # where the mistake was made, as far as the numbers tell: "layer 2", "every hidden layer"
    formula: str = ""  # what should stand there
    link: str = ""  # the page that derives it
    residual: float = float("nan")  # what the mistake leaves unexplained, relative to the place's largest value
    next_best: float = float("inf")  # the same for the best of all others that leave right what is right, if it is near
    next_sentence: str = ""  # that other one, in words
    equals: tuple[str, ...] = ()  # other mistakes that give the same numbers
    remark: bool = False  # at extreme inputs alone

    def reworded(self, said: Callable[[str], str]) -> "Finding":
        """The same in a course's own names."""
        return replace(
            self,
            place=said(self.place),
            sentence=said(self.sentence),
            where=said(self.where),
            formula=said(self.formula),
            next_sentence=said(self.next_sentence),
        )

    def __str__(self) -> str:
        lines = [f"{self.place}: {self.sentence}"]
        if self.where:
            lines.append(f"    where      {self.where}")
        if self.formula:
            lines.append(f"    should be  {self.formula}")
        if self.mistake is not None and self.residual == self.residual:
            lines.append(f"    evidence   with this mistake, the textbook gives your numbers up to {self.residual:.1e}")
            if self.next_sentence:
                lines.append(f"               (next best guess, off by {self.next_best:.1e}: {self.next_sentence})")
        if self.link:
            lines.append(f"    why        {self.link}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """All findings about one subject, the first wrong place first and remarks last; print it."""

    subject: str
    findings: Sequence[Finding] = ()
    agreeing: Sequence[str] = ()  # places that were compared and agree
    unjudged: Sequence[str] = ()  # places that nothing can be said about until the findings are mended
    notes: Sequence[str] = field(default=())  # conventions that were measured; no mistakes

    def __post_init__(self) -> None:
        """No place agrees that has a finding, such as a number that is right and lies in an array of one."""
        found = {finding.place for finding in self.findings}
        object.__setattr__(self, "agreeing", [place for place in self.agreeing if place not in found])

    @property
    def verdict(self) -> str:
        if not self.findings:
            return "all right"
        return "all right, with a remark" if self.ok else "something is wrong"

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; there may be a remark."""
        return all(finding.remark for finding in self.findings)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {self.verdict}"]
        if self.agreeing:
            lines.append(f"  agrees: {', '.join(self.agreeing)}")
        for number, finding in enumerate(finding for finding in self.findings if not finding.remark):
            head = "first wrong place" if number == 0 else "then"
            first, *rest = str(finding).split("\n")
            lines += [f"  {head}: {first}", *(f"  {line}" for line in rest)]
        if self.unjudged:
            lines.append(f"  cannot be judged before that is mended: {', '.join(self.unjudged)}")
        for finding in self.findings:
            if finding.remark:
                better = f"; better {finding.formula} ({finding.link})" if finding.formula else ""
                lines.append(f"  note: right at usual inputs, but {finding.place}: {finding.sentence}{better}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)
