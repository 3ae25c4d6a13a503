"""What a stranger's file may not do: what it writes goes nowhere, it starts no process and reaches no network."""

import builtins
import contextlib
import functools
import io
import os
import pkgutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (  # how the audit events begin that change the world, or the process for good
    *("os.remove", "os.rmdir", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.utime", "os.lockf"),
    *("os.chmod", "os.chown", "os.chflags", "os.setxattr", "os.removexattr", "os.chdir"),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "subprocess", "pty."),
    *("signal.pthread_kill", "resource.", "fcntl.", "syslog.", "shutil.", "sqlite3.", "winreg."),
    *("socket.", "ftplib.", "urllib", "http.", "smtplib.", "imaplib.", "poplib.", "nntplib.", "telnetlib."),
    *("webbrowser.", "ctypes.dlsym", "ctypes.call_function", "ensurepip."),
)
UNHEARD = ("os.mkfifo", "os.mknod", "_posixshmem.shm_open", "_posixsubprocess.fork_exec")  # they raise no audit event


class NotAllowed(PermissionError):
    """It would change the world outside."""


class Restraint:
    """Forbids, while it is on, what a program does to the world outside; Python cannot take such a hook off again."""

    def __init__(self) -> None:
        self.on = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            forbidden = isinstance(arguments[2], int) and bool(arguments[2] & WRITES)
        else:
            forbidden = event.startswith(FORBIDDEN)
        if forbidden:
            raise NotAllowed(f"{event} is not allowed here")


@functools.cache
def restraint() -> Restraint:
    made = Restraint()
    sys.addaudithook(made)
    return made


@contextlib.contextmanager
def restrained() -> Iterator[None]:
    """What is written the usual ways seems to be; what else is forbidden raises `NotAllowed`."""
    real_open, hook = builtins.open, restraint()
    before = hook.on
    tempfile.gettempdir()  # found by writing to it: while that is allowed

    def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if is_written(mode):
            return io.BytesIO() if "b" in mode else io.StringIO()
        return real_open(file, mode, *arguments, **keywords)

    replaced: dict[str, Any] = {"builtins.open": opened, "io.open": opened}
    replaced |= dict.fromkeys(("os.mkdir", "os.makedirs", "os.chdir", "numpy.savetxt"), nothing)
    replaced |= dict.fromkeys(UNHEARD, forbidden)
    with exchanged(replaced):
        hook.on = True
        try:
            yield
        finally:
            hook.on = before


def is_written(mode: str) -> bool:
    return bool(set(mode) & set("wax+"))


def nothing(*_: Any, **__: Any) -> None:
    return None


def forbidden(*_: Any, **__: Any) -> None:
    raise NotAllowed("not allowed here")


@contextlib.contextmanager
def exchanged(replaced: Mapping[str, Any]) -> Iterator[None]:
    """Of modules or classes, by their full names; unittest.mock would take longer to import than all else here."""
    before = {}
    try:
        for place, value in replaced.items():
            module, _, name = place.rpartition(".")
            owner = pkgutil.resolve_name(module)
            before[place] = owner, name, getattr(owner, name)
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before.values()):
            setattr(owner, name, value)
