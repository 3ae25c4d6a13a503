"""Published numbers beside ours: what the scripts share that ask whether a report's numbers come out again.

Each of them has an `answer(reproduction)`; `reproduce.py` asks them all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from answers import Answer, Claim, Measure, Published, Row, as_text
from data_sources import load
from image_data import ImageData, warn
from one_training import Training
from runs import Run
from trainings import Options, Trainings

from manual_mlp.checks import checked_integer


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    seeds: int = 5
    """Trainings of every run, from different first weights and in different orders."""
    search_seeds: int = 3
    """Trainings of every value in a search."""


@dataclass(frozen=True)
class Reproduction:
    """The trainings of all scripts, and how many seeds each takes."""

    data: ImageData
    trainings: Trainings
    seeds: int
    search_seeds: int

    def make(self, runs: Iterable[Run], *, test: bool) -> None:
        """All seeds of all runs, side by side; `measured` then finds them made."""
        self.trainings.results([Training(run, seed, test) for run in runs for seed in range(self.seeds)])

    def beside(self, published: Sequence[Published]) -> tuple[Row, ...]:
        """Each with ours. A run whose test accuracy is published is trained for all of its numbers at once."""
        tested = {one.run for one in published if one.measure == "test_accuracy"}
        wanted = {(one.run, one.run in tested) for one in published}
        self.trainings.results([Training(run, seed, test) for run, test in wanted for seed in range(self.seeds)])
        return tuple(Row(one, self.measured(one.run, one.measure, test=one.run in tested)) for one in published)

    def measured(
        self, run: Run, measure: Measure = "test_accuracy", *, test: bool = True, seeds: int | None = None
    ) -> tuple[float, ...]:
        """The same number of every seed. A training that diverged has no number: FloatingPointError says so."""
        results = self.trainings.results([Training(run, seed, test) for seed in range(seeds or self.seeds)])
        for seed, result in enumerate(results):
            if "diverged" in result:
                raise FloatingPointError(f"seed {seed} of {run}: {result['diverged']}")
        return tuple(result[measure] for result in results)

    def claim(self, what: str, one: Run, other: Run) -> Claim:
        """How much better the first run's test accuracy is."""
        pairs = zip(self.measured(one), self.measured(other), strict=True)
        return Claim(what, tuple(first - second for first, second in pairs))


@contextmanager
def opened(settings: Settings) -> Iterator[Reproduction]:
    """What a script needs for its answer; says before and after what data the numbers are of."""
    checked_integer("--seeds", settings.seeds, minimum=1)
    checked_integer("--search-seeds", settings.search_seeds, minimum=1)
    data = load(settings.data, settings.data_dir)
    warn(data)
    with Trainings(data, settings) as trainings:
        yield Reproduction(data, trainings, settings.seeds, settings.search_seeds)
    warn(data)


def show(answer: Callable[[Reproduction], Answer], settings: Settings) -> None:
    """The whole of a script: its answer, printed."""
    with opened(settings) as reproduction:
        print(as_text(answer(reproduction)))
