"""Checkpoints of a training: one safetensors file that holds all that it takes to go on to the same bits.

The tensors of one network are its parameters and buffers under torch's names, so `safetensors.torch.load_file` gives a
state dict that the twin loads as it is. What else a training needs stands in the file's metadata as JSON: its state -
updates made, the generator's state, what was recorded -, of what run it is, and what its last bits depend on.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from run_folder import arithmetic, commit, in_the_making, replace
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from manual_mlp import MLP, Record, TrainingState
from manual_mlp.checks import checked_integer, checked_number
from manual_mlp.optimizers import Optimizer, Update

DAMAGE = (SafetensorError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
AWAY = "move it away to start anew"
MOST_METADATA = 64 * 2**20  # bytes; a history of a hundred thousand records takes 23 MiB


Values = Mapping[str, NDArray[Any]]  # the arrays that change as the training goes on, written and filled in place


class State(Protocol):
    """Where a training stands between two updates: a dataclass that JSON can hold."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def step(self) -> int:
        """Updates made."""


AnyState = TypeVar("AnyState", bound=State)


def write(file: Path, values: Values, state: State, run: dict[str, Any]) -> None:
    """There is a whole checkpoint at every moment, the old or the new.

    Values that are no longer finite are not written, so that the last good checkpoint stays.
    """
    if not all(np.isfinite(value).all() for value in values.values()):
        return
    metadata = {"training": json.dumps(dataclasses.asdict(state)), "run": json.dumps(run), **surroundings()}
    replace(file, save(contiguous(values), metadata))


def remove(file: Path) -> None:
    """The checkpoint, and what a process that was killed while it wrote one left beside it."""
    with in_the_making(file, alone=True):
        file.unlink(missing_ok=True)


def write_network(file: Path, net: MLP) -> None:
    """The values of a trained network alone."""
    file.write_bytes(save(contiguous(values_of(net))))


def values_of(net: MLP, optimizer: Update | None = None) -> dict[str, NDArray[Any]]:
    """All that changes as a network is trained, what the optimizer remembers included."""
    return {**net.parameters, **net.buffers, **(optimizer.state if isinstance(optimizer, Optimizer) else {})}


def contiguous(values: Values) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(value) for name, value in values.items()}


def read(
    file: Path, values: Values, run: dict[str, Any], state_from_json: Callable[[dict[str, Any]], AnyState]
) -> AnyState:
    """Fills the values and returns the state. Raises ValueError, the values untouched, for another run's file.

    `state_from_json` raises one of Python's own errors for what no training has written.
    """
    if file.stat().st_size > MOST_METADATA + sum(value.nbytes for value in values.values()):
        raise ValueError(f"{file} is too large for this run's checkpoint; {AWAY}")
    try:
        with safe_open(file, framework="numpy") as content:
            metadata = content.metadata() or {}
            found = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 (not a dictionary)
        training, other = json.loads(metadata["training"]), json.loads(metadata["run"])
        state = state_from_json(training)
    except DAMAGE as error:
        raise ValueError(f"{file} is no checkpoint or a damaged one ({error}); {AWAY}") from None
    check_same_run(file, other, run)
    if forms(found) != forms(values):
        raise ValueError(f"{file} holds another network, {', '.join(found)}; {AWAY}")
    if not all(np.isfinite(value).all() for value in found.values()):
        raise ValueError(f"{file} holds values that are not finite; {AWAY}")
    for name, value in found.items():
        values[name][...] = value
    return state


def surroundings() -> dict[str, str]:
    return {**arithmetic(), "commit": commit() or ""}


def changed_surroundings(file: Path) -> str:
    """What is no longer as it was when the file was written, so that a training may go on to other bits."""
    with safe_open(file, framework="numpy") as content:
        before = content.metadata()
    changed = ((name, before.get(name), now) for name, now in surroundings().items())
    return ", ".join(f"{name} {then!r} -> {now!r}" for name, then, now in changed if then != now)


def forms(values: Values) -> dict[str, Any]:
    return {name: (value.shape, value.dtype) for name, value in values.items()}


def training_state(training: dict[str, Any], *, updates: int, record_every: int) -> TrainingState:
    """A TrainingState from JSON. The record of the last update is left out: a training that goes on takes it again."""
    step = checked_step(training["step"], updates)
    history = [
        Record(
            step=checked_integer("step", record.pop("step"), minimum=0),
            **{name: checked_number(name, value, minimum=0) for name, value in record.items()},
        )
        for record in training["history"]
    ]
    history = [record for record in history if record.step != step]
    if [record.step for record in history] != list(range(0, step, record_every)):
        raise ValueError("its history does not fit its updates")
    np.random.PCG64().state = training["epoch"]
    return TrainingState(step, training["epoch"], history)


def checked_step(step: object, updates: int) -> int:
    """The updates made, of those that a training has."""
    step = checked_integer("step", step, minimum=1)
    if step > updates:
        raise ValueError(f"step is {step}, beyond the {updates} updates of this training")
    return step


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
