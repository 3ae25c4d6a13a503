"""What a run leaves: a folder of config.json, history.csv, summary.json and its figure, written whole or not at all."""

import csv
import dataclasses
import functools
import glob
import hashlib
import itertools
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from image_data import ImageData

from manual_mlp import Record
from manual_mlp.checks import checked_integer, checked_number
from manual_mlp.threads import available_cores


def prepare(results: Path, experiment: str) -> Path:
    """The experiment's folder, made and tried out before any work is done for it."""
    folder = results / experiment
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"--results is {results}: cannot write there ({error.strerror}); choose another folder") from None
    return folder


@contextmanager
def new_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder to fill. It gets its name when all is written; an earlier one of that name stays, this one is
    numbered.
    """
    try:
        with alone_in(parent) as alone, in_the_making(parent / name, alone=alone) as unfinished:
            unfinished.mkdir()
            yield unfinished
            for path in (*unfinished.rglob("*"), unfinished):
                sync(path)
            for number in itertools.count(1):
                final = parent / (name if number == 1 else f"{name}-{number}")
                if not final.exists():
                    unfinished.rename(final)
                    break
            sync(parent)
    except OSError as error:
        raise OSError(f"cannot write the results {parent / name} ({error.strerror or error})") from None


def replace(file: Path, content: bytes, *, alone: bool = True) -> None:
    """The whole file, on the disk or, where that fails, the one that was there. For who is alone with it."""
    with in_the_making(file, alone=alone) as unfinished:
        with unfinished.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
        sync(file.parent)


@contextmanager
def in_the_making(path: Path, *, alone: bool) -> Iterator[Path]:
    """The name that a file or folder has until it is whole; what still has it in the end is removed.

    Who is alone with it always gets the same name, and what a process left that was killed is removed first.
    """
    unfinished = path.with_name(f".unfinished-{path.name}{'' if alone else f'-{secrets.token_hex(4)}'}")
    discard(unfinished)
    try:
        yield unfinished
    finally:
        discard(unfinished)


def discard(path: Path) -> None:
    """A file or a folder, if there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """One process at a time, the others wait. Yields whether that holds: not every file system has locks."""
    with locked(folder / ".lock", wait=True) as alone:
        yield alone


@contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[bool]:
    """Holds the file, which is there as long; the system lets go of it however the process ends.

    Yields False, nothing held, where Python or the file system has no locks. Raises BlockingIOError where another
    process holds it, unless this one is to wait.
    """
    with ExitStack() as stack:
        held = False
        while not held:
            stream = stack.enter_context(file.open("w"))
            try:
                import fcntl

                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not wait:
                        raise
                    print(f"waiting for another process that writes in {file.parent}", file=sys.stderr)
                    fcntl.flock(stream, fcntl.LOCK_EX)
            except BlockingIOError:
                raise
            except (ImportError, OSError):  # Windows, some network file systems
                break
            # Whoever held it before may just have removed the file: then this is the lock of none.
            held = file.exists() and os.path.samestat(os.fstat(stream.fileno()), file.stat())
        stack.callback(file.unlink, missing_ok=True)
        yield held


def sync(path: Path) -> None:
    """A file, or the names in a folder, onto the disk: a power cut takes none of them."""
    if os.name == "posix":  # elsewhere no folder can be opened
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def provenance(settings: dict[str, Any], data: ImageData) -> dict[str, Any]:
    """The content of config.json: everything that it takes to do the run again."""
    return {
        **settings,
        "data": {"name": data.name, "fingerprint": data.fingerprint},
        "versions": versions("numpy", "manual-mlp"),
        "commit": commit(),
        "host": {"system": platform.platform(), "cores": os.cpu_count(), **arithmetic()},
    }


@functools.cache
def arithmetic() -> dict[str, str]:
    """What beside seed and settings decides the last bits, as far as it can be known: in which order a BLAS adds."""
    variables = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # which of them decides depends on how BLAS was built
    given = [f"{name}={os.environ[name]}" for name in variables if os.environ.get(name)]
    blas: Any = np.show_config(mode="dicts")
    blas = blas["Build Dependencies"]["blas"]
    return {
        "cpu": cpu(),
        "threads": " ".join(given) or str(available_cores()),
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE", ""),
        "numpy": np.__version__,
    }


def code(*modules: ModuleType) -> str:
    """The SHA-256 of their source: what another version of the code has made is not taken for this one's."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Python's version and those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def cpu() -> str:
    """The processor's name, as the system gives it."""
    with suppress(OSError), Path("/proc/cpuinfo").open() as lines:  # Linux alone has it
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def finished(parent: Path, name: str, config: dict[str, Any]) -> Path | None:
    """The folder of an earlier run of this name whose config.json has these entries, if there is one."""
    expected = json.loads(json.dumps(config))
    for folder in sorted(parent.glob(f"{glob.escape(name)}*")):
        if not re.fullmatch(r"(-\d+)?", folder.name[len(name) :]) or not (folder / "summary.json").exists():
            continue
        earlier = read_json(folder / "config.json")
        if {key: earlier.get(key) for key in expected} == expected:
            return folder
    return None


def read_summary(folder: Path) -> dict[str, Any]:
    """summary.json, with the numbers that tables and figures show."""
    summary = read_json(folder / "summary.json")
    try:
        for name in ("train_accuracy", "validation_accuracy", "test_accuracy", "seconds"):
            checked_number(name, summary.get(name), minimum=0)
        checked_integer("updates", summary.get("updates"), minimum=1)
    except ValueError as error:
        raise ValueError(f"{folder}/summary.json is damaged ({error}); make the run again") from None
    return summary


def write_history(folder: Path, history: Sequence[Any]) -> None:
    """One line for each of these dataclasses, which are of one kind."""
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in dataclasses.fields(history[0]))
        writer.writerows(dataclasses.astuple(record) for record in history)


def read_history(folder: Path) -> dict[str, list[float]]:
    """The columns of history.csv."""
    try:
        with (folder / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {field.name: [float(row[field.name]) for row in rows] for field in dataclasses.fields(Record)}
    except OSError as error:
        raise unreadable(folder / "history.csv", error) from None
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{folder}/history.csv is damaged ({error!r}); make the run again") from None


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except OSError as error:
        raise unreadable(file, error) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged ({error}); make the run again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} is damaged (not an object); make the run again")
    return content


def unreadable(file: Path, error: OSError) -> ValueError:
    return ValueError(f"{file} cannot be read ({error.strerror}); {file.parent} must be the folder of a finished run")


@functools.cache
def commit() -> str | None:
    """The commit that the code is at, marked where it was changed since; None outside of git."""
    try:
        result = subprocess.run(  # `git describe --dirty` would write the index
            ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    first, *changes = result.stdout.splitlines() or [""]
    number = first.removeprefix("# branch.oid ")
    return number + "-dirty" * any(not line.startswith("#") for line in changes) or None


def peak_memory() -> int | None:
    """Bytes of the largest resident size that this process has had; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource  # Unix only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
