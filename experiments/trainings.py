"""Many trainings: each on one core, several at a time, every result kept as soon as it is there.

    with Trainings(data, options) as trainings:
        results = trainings.results([Training(run, seed=0), Training(run, seed=1)])

A result is a plain dictionary of numbers. Those that an earlier process has left are not made again, so whatever was
interrupted goes on where it stopped.
"""

import json
import os
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import run_folder
from executors import Workers
from image_data import ImageData
from one_training import VERSION, Result, Training, train_once
from runs import Run, check
from shared_splits import shared_splits
from tqdm import tqdm
from unfinished import locked


@dataclass(frozen=True, kw_only=True)
class Options:
    """What every script with many trainings takes from the command line."""

    data: str = "auto"
    """auto, cifar10, synthetic or an .npz file; auto takes the synthetic stand-in where CIFAR-10 cannot be had."""
    data_dir: Path = Path("data")
    """Where CIFAR-10 lies or is downloaded to; the standardized images are kept there too."""
    results: Path = Path("results")
    """Every finished training is kept in RESULTS/trainings.jsonl, for all scripts."""
    workers: int = os.cpu_count() or 1
    """Trainings at a time, each in a process of its own on one core."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers train instead; they must see the same files."""


class Trainings:
    """The results in RESULTS/trainings.jsonl, and the workers that add to them. One process at a time."""

    def __init__(self, data: ImageData, options: Options) -> None:
        self.data, self.options = data, options
        self.workers = Workers(options.workers, options.dask)
        self.file = options.results / "trainings.jsonl"
        self.done: dict[str, Result] = {}
        self.asked: set[str] = set()  # the keys of this process's questions

    def __enter__(self) -> Self:
        run_folder.prepare(self.options.results, ".")
        with ExitStack() as stack:
            stack.enter_context(locked(self.file.with_suffix(".lock")))
            self.done = read_results(self.file, provenance(self.data))
            stack.enter_context(self.workers)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stack.__exit__(kind, error, at)

    def results(self, wanted: list[Training]) -> list[Result]:
        """Makes those that are missing, and returns all in the order in which they were asked for."""
        self.asked |= {one.key for one in wanted}
        missing = {one.key: one for one in wanted if one.key not in self.done}
        for one in missing.values():
            check(one.run, self.data)
        # The longest first, so that no worker is left alone with one at the end; a split is opened once, not in turns.
        order = sorted(missing.values(), key=lambda one: (one.run.n_train, one.run.updates), reverse=True)
        calls = [(self.splits(one.run), self.data.classes, one.key, VERSION) for one in order]
        made = self.workers.run(train_once, calls)
        with closing(made), tqdm(total=len(calls), unit=" trainings", leave=False, disable=not calls) as bar:
            for (_, _, key, _), result in made:
                self.keep(key, result)
                bar.update()
        return [self.done[one.key] for one in wanted]

    def splits(self, run: Run) -> str:
        return str(
            shared_splits(self.data, run.n_train, run.n_validation, self.options.data_dir, run.whitening).resolve()
        )

    def keep(self, key: str, result: Result) -> None:
        """On the disk when this returns."""
        with self.file.open("a") as stream:
            if stream.tell() == 0:
                stream.write(json.dumps(provenance(self.data)) + "\n")
            stream.write(json.dumps({"training": json.loads(key), "result": result}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.done[key] = result


def provenance(data: ImageData) -> dict[str, str]:
    """What results must have in common to stand beside each other."""
    return {"data": data.fingerprint, **VERSION}


def read_results(file: Path, of: dict[str, str]) -> dict[str, Result]:
    """The results of earlier processes. A last line without its end was being written when the process was killed: it
    is cut off.
    """
    content = file.read_bytes() if file.exists() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with file.open("r+b") as stream:
            stream.truncate(len(whole))
    if not whole:
        return {}
    try:
        header, *lines = [json.loads(line) for line in whole.splitlines()]
        results = {json.dumps(line["training"], sort_keys=True): dict(line["result"]) for line in lines}
        differences = [name for name in of if header.get(name) != of[name]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file} is damaged ({error!r}): move it away to start anew") from None
    if differences:
        raise ValueError(
            f"{file} holds results of other {' and other '.join(differences)}, which are not to be mixed with new "
            "ones: move it away to start anew, or choose other --results"
        )
    return results
