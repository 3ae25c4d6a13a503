"""Many trainings: each on one core, several at a time, every result kept as soon as it is there.

    with Trainings(data, options) as trainings:
        results = trainings.results([Training(run, seed=0), Training(run, seed=1)])

A result is a plain dictionary of numbers. Those that an earlier process has left are not made again, so whatever was
interrupted goes on where it stopped.
"""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import image_data
import numpy as np
import run_folder
import runs
from executors import in_parallel
from image_data import ImageData
from runs import Run, check, new_network
from shared_splits import open_splits, shared_splits
from tqdm import tqdm
from unfinished import locked

from manual_mlp import evaluate, initializers, layers, named_arrays, network, schedules, training
from manual_mlp.checks import checked_integer

TRAINED_BY = (initializers, layers, named_arrays, network, schedules, training)  # what their numbers come from
Result = dict[str, Any]  # the numbers of one training; {"diverged": why} where it came to no end


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


@dataclass(frozen=True)
class Training:
    """`run` from the first weights that `seed` draws. Test images are used only where `test` asks for it."""

    run: Run
    seed: int
    test: bool = False

    @property
    def key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def train_once(folder: str, classes: int, key: str) -> Result:
    """One training, in whatever process: the last record of its history, and test images where they are asked for."""
    wanted = json.loads(key)
    run = Run(**{**wanted["run"], "hidden": tuple(wanted["run"]["hidden"])})
    splits = open_splits(folder)
    start = time.process_time()
    net = new_network(run, splits.train[0].shape[1], classes, wanted["seed"])
    try:
        last = run.train(net, splits, wanted["seed"], record_every=run.updates)[-1]
    except FloatingPointError as error:
        return {"diverged": str(error), "seconds": time.process_time() - start}
    measures = [f"{part}_{measure}" for part in ("train", "validation") for measure in ("loss", "cost", "accuracy")]
    result = {name: getattr(last, name) for name in measures}
    if wanted["test"]:
        result["test_loss"], result["test_accuracy"] = evaluate(net, splits.test)
    return result | {"seconds": time.process_time() - start}


class Trainings:
    """The results in RESULTS/trainings.jsonl, and the workers that add to them. One process at a time."""

    def __init__(self, data: ImageData, options: Options) -> None:
        checked_integer("--workers", options.workers, minimum=1)
        self.data, self.options = data, options
        self.file = options.results / "trainings.jsonl"
        self.done: dict[str, Result] = {}

    def __enter__(self) -> Self:
        run_folder.prepare(self.options.results, ".")
        with ExitStack() as stack:
            stack.enter_context(locked(self.file.with_suffix(".lock")))
            self.done = read_results(self.file, provenance(self.data))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stack.close()

    def results(self, wanted: list[Training]) -> list[Result]:
        """Makes those that are missing, and returns all in the order in which they were asked for."""
        missing = {training.key: training for training in wanted if training.key not in self.done}
        for one in missing.values():
            check(one.run, self.data)
        # The longest first, so that no worker is left alone with one at the end; a split is opened once, not in turns.
        order = sorted(missing.values(), key=lambda one: (one.run.n_train, one.run.updates), reverse=True)
        calls = [(self.splits(one.run), self.data.classes, one.key) for one in order]
        made = in_parallel(train_once, calls, self.options.workers, self.options.dask)
        with closing(made), tqdm(total=len(calls), unit=" trainings", leave=False, dynamic_ncols=True) as bar:
            for (_, _, key), result in made:
                self.keep(key, result)
                bar.update()
        return [self.done[training.key] for training in wanted]

    def splits(self, run: Run) -> str:
        return str(shared_splits(self.data, run.n_train, run.n_validation, self.options.data_dir).resolve())

    def keep(self, key: str, result: Result) -> None:
        with self.file.open("a") as stream:
            if stream.tell() == 0:
                stream.write(json.dumps(provenance(self.data)) + "\n")
            stream.write(json.dumps({"training": json.loads(key), "result": result}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.done[key] = result


def provenance(data: ImageData) -> dict[str, str]:
    """What results must have in common to stand beside each other."""
    return {
        "data": data.fingerprint,
        "numpy": np.__version__,
        "code": fingerprint(Path(str(module.__file__)) for module in (*TRAINED_BY, image_data, runs)),
    }


def fingerprint(files: Iterable[Path]) -> str:
    """The SHA-256 of what the files hold: results of another version of the code are not mixed with this one's."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()


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
