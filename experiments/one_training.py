"""One training of many: a function of images, settings and seed, and of the code whose fingerprint is here."""

import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import image_data
import numpy as np
import run_folder
import runs
import shared_splits
import whitening
from runs import Run, new_network

from manual_mlp import (
    augmentation,
    batch_statistics,
    blocks,
    evaluate,
    initializers,
    layers,
    named_arrays,
    network,
    optimizers,
    schedules,
    training,
)

Result = dict[str, Any]  # the numbers of one training; {"diverged": why} where it came to no end

# Of the code as it was imported: a process that has run for long may lie beside newer files.
CODE = run_folder.code(
    *(
        augmentation,
        batch_statistics,
        blocks,
        initializers,
        layers,
        named_arrays,
        network,
        optimizers,
        schedules,
        training,
    ),
    *(image_data, runs, shared_splits, whitening, sys.modules[__name__]),
)
VERSION = {"numpy": np.__version__, "code": CODE}


@dataclass(frozen=True)
class Training:
    """`run` from the first weights that `seed` draws. Test images are used only where `test` asks for it."""

    run: Run
    seed: int
    test: bool = False

    @property
    def key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def as_tuple(value: Any) -> Any:
    """A list as the tuple that it was before JSON."""
    return tuple(value) if isinstance(value, list) else value


def train_once(folder: str, classes: int, key: str, version: dict[str, str]) -> Result:
    """The training with this key, in whatever process: the last record of its history, and how the test images fare."""
    if version != VERSION:
        raise ValueError("the workers have another version of this project or of NumPy: install it there, restart them")
    wanted = json.loads(key)
    settings: dict[str, Any] = {name: as_tuple(value) for name, value in wanted["run"].items()}
    run = Run(**settings)
    splits = shared_splits.open_splits(folder)
    start = time.process_time()
    net = new_network(run, splits.train[0].shape[1], classes, wanted["seed"])
    try:
        last = run.train(net, splits, wanted["seed"], record_every=run.updates)[-1]
    except FloatingPointError as error:
        return {"diverged": str(error), "seconds": time.process_time() - start}
    measures = [f"{part}_{measure}" for part in ("train", "validation") for measure in ("loss", "cost", "accuracy")]
    result = {name: getattr(last, name) for name in measures}
    if wanted["test"]:
        run.take_statistics(net, splits)
        result["test_loss"], result["test_accuracy"] = evaluate(net, splits.test)
    return result | {"seconds": time.process_time() - start}
