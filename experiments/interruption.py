"""Ctrl-C and SIGTERM end a script with one line on stderr and the exit code that shells know: 128 + the signal.

Every script says so before its heavy imports, which take seconds:

    import interruption

    if __name__ == "__main__":
        interruption.end_at_once()
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object]


class Interrupted(KeyboardInterrupt):
    """The script was asked to end. No Exception: whoever catches those must not catch this one."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.code = 128 + number


def end_at_once() -> None:
    """From here on, and without unwinding: an exception within an import or at exit would end in a traceback."""
    for number in heard():
        signal.signal(number, ended)


def ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def heard() -> list[signal.Signals]:
    """Those that the parent does not want to be ignored, as a shell does for Ctrl-C and what runs behind it."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def ended(number: int, _: FrameType | None) -> NoReturn:
    say("error: interrupted; what had finished is kept")
    os._exit(128 + number)


def say(line: str) -> None:
    """On stderr, from within a signal handler: print may be at work already."""
    with contextlib.suppress(OSError):  # nobody listens
        os.write(2, f"{line}\n".encode())


def unwound(number: int, _: FrameType | None) -> NoReturn:
    """For where something is open that must be closed or removed. Whoever asks again does not wait for that."""
    end_at_once()
    raise Interrupted("interrupted; what had finished is kept", number)


@contextlib.contextmanager
def handled(handler: Handler) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in heard()}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)
