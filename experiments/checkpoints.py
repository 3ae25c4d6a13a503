"""Checkpoints of a training: one safetensors file that holds all that it takes to go on to the same bits.

The tensors are the network's parameters and buffers under torch's names, so `safetensors.torch.load_file` gives a
state dict that the twin loads as it is. What else a training needs stands in the file's metadata as JSON: updates made,
the generator's state, history, and of what run it is.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from manual_mlp import MLP, Record, TrainingState

DAMAGE = (SafetensorError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
AWAY = "move it away to start anew"
MOST_METADATA = 64 * 2**20  # bytes; a history of a hundred thousand records takes 23 MiB


def write(file: Path, net: MLP, state: TrainingState, run: dict[str, Any]) -> None:
    """Writes a new file and renames it to this one: there is a whole checkpoint at every moment, the old or the new.

    A network whose values are no longer finite is not written, so that the last good checkpoint stays.
    """
    if not (np.isfinite(net.parameters.flat).all() and np.isfinite(net.buffers.flat).all()):
        return
    metadata = {"training": json.dumps(dataclasses.asdict(state)), "run": json.dumps(run)}
    new = in_the_making(file)
    try:
        with new.open("wb") as stream:
            stream.write(save(tensors(net), metadata))
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def in_the_making(file: Path) -> Path:
    return file.with_name(file.name + ".new")


def remove(file: Path) -> None:
    """The checkpoint, and what a process that was killed while it wrote one left beside it."""
    file.unlink(missing_ok=True)
    in_the_making(file).unlink(missing_ok=True)


def write_network(file: Path, net: MLP) -> None:
    """The values of a trained network alone."""
    file.write_bytes(save(tensors(net)))


def tensors(net: MLP) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(value) for name, value in (*net.parameters.items(), *net.buffers.items())}


def read(file: Path, net: MLP, run: dict[str, Any]) -> TrainingState:
    """Fills the network and returns the state. Raises ValueError, the network untouched, for another run's file."""
    arrays = {**net.parameters, **net.buffers}
    if file.stat().st_size > MOST_METADATA + sum(array.nbytes for array in arrays.values()):
        raise ValueError(f"{file} is too large for this run's checkpoint; {AWAY}")
    try:
        with safe_open(file, framework="numpy") as content:
            metadata = content.metadata() or {}
            values = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 (not a dictionary)
        training, other = json.loads(metadata["training"]), json.loads(metadata["run"])
        state = state_from_json(training)
    except DAMAGE as error:
        raise ValueError(f"{file} is no checkpoint or a damaged one ({error}); {AWAY}") from None
    check_same_run(file, other, run)
    found = {name: (value.shape, value.dtype) for name, value in values.items()}
    if found != {name: (value.shape, value.dtype) for name, value in arrays.items()}:
        raise ValueError(f"{file} holds another network, {', '.join(found)}; {AWAY}")
    if not all(np.isfinite(value).all() for value in values.values()):
        raise ValueError(f"{file} holds values that are not finite; {AWAY}")
    for name, value in values.items():
        arrays[name][...] = value
    return state


def state_from_json(training: dict[str, Any]) -> TrainingState:
    """Raises one of Python's own errors for what no training has written."""
    history = [
        Record(step=int(record.pop("step")), **{name: float(value) for name, value in record.items()})
        for record in training["history"]
    ]
    steps = [record.step for record in history]
    if not steps or steps[0] != 0 or steps != sorted(set(steps)) or not steps[-1] < training["step"]:
        raise ValueError("its history does not fit its updates")
    np.random.PCG64().state = training["epoch"]
    return TrainingState(training["step"], training["epoch"], history)


def check_same_run(file: Path, other: object, run: dict[str, Any]) -> None:
    """`run`, as JSON keeps it, must be what the file was written for: settings and data."""
    if not isinstance(other, dict):
        raise ValueError(f"{file} does not say what run it is of; {AWAY}")
    expected = json.loads(json.dumps(run))
    for key in {**expected, **other}:
        if other.get(key) != expected.get(key):
            raise ValueError(
                f"{file} is of another run: its {key} is {other.get(key)!r}, here it is {expected.get(key)!r}; go on "
                f"with the same, or {AWAY}"
            )
