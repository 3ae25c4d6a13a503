"""A training that may be stopped at any moment: its checkpoint, its lock, and how it ends when asked to.

    with Unfinished(folder, values_of(net), run, training_state, resume=..., seconds=...) as unfinished:
        train(net, ..., on_state=unfinished.keep, resume=unfinished.state)
        unfinished.keep_last()
        ...  # write the results into the folder

Beside the folder its checkpoint is there, as FOLDER.unfinished.safetensors, from the first one until the block ends
well.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Generic, Self

import checkpoints
import interruption
import run_folder
from checkpoints import AnyState, Values
from interruption import Interrupted


class Unfinished(Generic[AnyState]):
    """`run` says what the file is of: a checkpoint with another one is refused.

    state   where to go on; None at the start of a training
    """

    def __init__(
        self,
        folder: Path,
        values: Values,
        run: dict[str, Any],
        state_from_json: Callable[[dict[str, Any]], AnyState],
        *,
        resume: bool,
        seconds: float,
    ) -> None:
        self.name, self.file = folder.name, checkpoint_of(folder)
        self.values, self.run, self.state_from_json = values, run, state_from_json
        self.resume, self.seconds = resume, seconds
        self.state: AnyState | None = None
        self.latest: AnyState | None = None
        self.ended = False  # and saved
        self.signal: int | None = None
        self.due = time.monotonic() + seconds

    def keep(self, state: AnyState) -> None:
        """Writes a checkpoint if one is due. Where the training was asked to end, it ends here."""
        self.latest = state
        if self.signal is None and time.monotonic() < self.due:
            return
        self.write(state)
        self.due = time.monotonic() + self.seconds
        if self.signal is not None:
            raise Interrupted(
                f"interrupted after {state.step} updates of {self.name}; the same command with --resume goes on",
                self.signal,
            )

    def keep_last(self) -> None:
        """Saves the end of a training that went well: what fails while its results are written costs no training."""
        if self.latest is not None:
            self.write(self.latest)
            self.ended = True

    def note(self, number: int, _: FrameType | None) -> None:
        """The first Ctrl-C or SIGTERM, for `keep` to see between two updates; a second one does not wait for that."""
        self.signal = number
        interruption.end_at_once()
        interruption.say("\nending after this update, or when the results are written; again: at once")

    def write(self, state: AnyState) -> None:
        try:
            checkpoints.write(self.file, self.values, state, self.run)
        except OSError as error:
            kept = "the one before it is kept" if self.file.exists() else "there is none before it"
            raise OSError(
                f"cannot write the checkpoint {self.file} ({error.strerror}), {kept}: mend this, then use --resume"
            ) from None

    def check(self) -> None:
        """Finds what cannot be gone on with before another training is begun."""
        with self.read():
            pass

    @contextmanager
    def read(self) -> Iterator[None]:
        """Takes the state from the checkpoint, if there is one, and holds the lock."""
        with locked(self.file.with_suffix(".lock")):
            if self.file.exists():
                if not self.resume:
                    raise ValueError(
                        f"{self.file} holds an unfinished run: --resume goes on with it, or move it away to start anew"
                    )
                self.state = checkpoints.read(self.file, self.values, self.run, self.state_from_json)
            yield

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.read())
            if self.state is not None and (changed := checkpoints.changed_surroundings(self.file)):
                print(f"warning: since {self.file} was written: {changed}; bits may differ", file=sys.stderr)
            stack.enter_context(interruption.handled(self.note))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            checkpoints.remove(self.file)
        self.stack.close()
        if kind is None and self.signal is not None:  # it came after the last update
            raise Interrupted(
                f"interrupted; {self.name} has finished, and the same command with --resume makes what is left",
                self.signal,
            )
        if isinstance(error, OSError) and self.ended:
            raise OSError(f"{error}; the training is kept: mend this, then --resume writes the results") from None
        if isinstance(error, FloatingPointError) and self.file.exists():
            raise FloatingPointError(
                f"{error} ({self.file} holds the last values before; move it away to start anew)"
            ) from None


def checkpoint_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.unfinished.safetensors")


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """One process at a time, the others are refused."""
    with ExitStack() as stack:
        try:
            alone = stack.enter_context(run_folder.locked(lock, wait=False))
        except BlockingIOError:
            raise ValueError(
                f"{lock} is held by another process that trains this run; wait for it, or choose other --results"
            ) from None
        if not alone:
            print(f"note: {lock.parent} has no locks: start no other process on the same there", file=sys.stderr)
        yield
