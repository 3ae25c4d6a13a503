"""Ctrl-C and SIGTERM end a script with one line on stderr and the exit code that shells know: 128 + the signal.

Every script says so before its heavy imports, which take seconds:

    import interruption

    if __name__ == "__main__":
        interruption.end_at_once()
"""

import atexit
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
    for number in SIGNALS:
        signal.signal(number, ended)
        atexit.register(signal.signal, number, signal.SIG_IGN)  # all is done then, and the exit code is decided


def ended(number: int, _: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):  # nobody listens
        os.write(2, b"error: interrupted; what had finished is kept\n")
    os._exit(128 + number)


def unwound(number: int, _: FrameType | None) -> NoReturn:
    """For where something is open that must be closed or removed. Whoever asks again does not wait for that."""
    end_at_once()
    raise Interrupted("interrupted; what had finished is kept", number)


@contextlib.contextmanager
def handled(handler: Handler) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)
