"""How every script here begins and ends: a dataclass becomes the command line, an error becomes one sentence."""

import contextlib
import dataclasses
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

import interruption
import tyro

from manual_mlp.checks import checked_integer

Settings = TypeVar("Settings")
NO_MEMORY = "can't allocate memory"  # torch has no error of its own for that


def run_script(main: Callable[[Settings], None], settings: type[Settings]) -> NoReturn:
    """Reads the settings from the command line, runs main, exits.

    0 all done; 2 a wrong setting, file or folder; 3 the training diverged; 130 or 143 interrupted. What goes wrong is
    one line on stderr: the package's errors are written for the person who reads them. (Is it a mistake of the script
    itself? `python -X dev` shows where an error comes from.)
    """
    open_streams()
    message, code = "", 0
    try:
        with interruption.handled(interruption.unwound):
            main(parsed(settings, sys.modules[main.__module__].__doc__))
    except SystemExit as ending:  # --help, or a comparison that failed
        code = int(ending.code or 0)
    except interruption.Interrupted as error:
        message, code = str(error), error.code
    except FloatingPointError as error:
        message, code = with_options(str(error), settings), 3
    except (ValueError, OSError, MemoryError, ArithmeticError, RuntimeError) as error:
        if sys.flags.dev_mode or (isinstance(error, RuntimeError) and NO_MEMORY not in str(error)):
            raise
        message, code = with_options(sentence(error), settings), 2
    interruption.ignore()  # all is done, and the exit code is decided
    broken = flush_failure(sys.stdout)
    if broken and code == 0:
        message, code = sentence(broken), 2
    if message:
        with contextlib.suppress(OSError):  # nobody listens
            print(f"error: {' '.join(message.split())}", file=sys.stderr)
    flush_failure(sys.stderr)
    sys.exit(code)


def open_streams() -> None:
    """Where the shell closed a standard stream, what is written to it goes nowhere; and no file gets its number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115 (open as long as the script)


def parsed(settings: type[Settings], description: str | None) -> Settings:
    """tyro joins the lines of a paragraph, but for indented ones, and draws what it cannot read into a box of several
    lines: here a table stays a table, and the box becomes one line.
    """
    description = re.sub(r"^(?=\S*  )", "  ", description or "", flags=re.MULTILINE)
    with contextlib.redirect_stderr(io.StringIO()) as box:
        try:
            return tyro.cli(settings, description=description)
        except SystemExit as ending:
            if ending.code != 2:  # --help
                raise
        box.truncate(box.seek(0))
        with wide_console(), contextlib.suppress(SystemExit):
            tyro.cli(settings, description=description)
    _, *lines = (line.strip("│| ") for line in box.getvalue().splitlines())  # the first is the box's title
    parts = itertools.groupby(lines, key=lambda line: bool(line.strip("─- ")))  # between rules and empty lines
    what = next(" ".join(part) for text, part in parts if text)
    raise ValueError(f"{what.rstrip('.')}; --help shows every setting")


@contextlib.contextmanager
def wide_console() -> Iterator[None]:
    """So that tyro breaks no line within a value."""
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(1000 + sum(map(len, sys.argv)))
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns


def sentence(error: Exception) -> str:
    """What a person reads. An error of the system that names no file is one of writing the output: where files are
    written, it is named.
    """
    if isinstance(error, MemoryError | RuntimeError):
        return f"not enough memory: {error}; choose a smaller network or less data"
    if isinstance(error, ArithmeticError):
        return f"a number is too large to compute with ({error}); choose smaller settings"
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}; choose another file or folder, or mend this one"
    if isinstance(error, BrokenPipeError):  # whoever read the output has closed it, as `| head` does
        return "the output was closed while the script was at work; what had finished is kept"
    return f"the output cannot be written ({error.strerror}); what had finished is kept"


def with_options(message: str, settings: type[Any]) -> str:
    """The package names its arguments; who types a command line knows them as options.

    They stand where its messages begin (skips[0] is --skips), in "above eta_max,", "use it with batch_norm=True" and
    "choose another batch_size": elsewhere the same word may be part of a path.
    """
    names = "|".join(field.name for field in dataclasses.fields(settings))
    message = re.sub(rf"^({names})\[\d+\](?= is )", r"\1", message)
    places = rf"^({names})(?= is )|(?<=, above )({names})(?=, )|(?<=; use it with )({names})(?==True$)"
    places += rf"|(?<=choose another )({names})$"
    return re.sub(places, lambda found: f"--{found[0].replace('_', '-')}", message)


def checked_seed(seed: int) -> int:
    """A folder's name holds it, so it must not have hundreds of digits."""
    if seed >= 2**64:
        raise ValueError(f"--seed has {len(str(seed))} digits; it must be below 2**64")
    return checked_integer("--seed", seed, minimum=0)


def flush_failure(stream: TextIO) -> OSError | None:
    """Why the stream cannot be written to, if so. What it still holds is dropped then: the last flush must not fail."""
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None
