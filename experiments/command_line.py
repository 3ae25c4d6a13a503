"""How every script here begins and ends: a dataclass becomes the command line, an error becomes one sentence."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import tyro
from unfinished import Interrupted

Settings = TypeVar("Settings")


def run_script(main: Callable[[Settings], None], settings: type[Settings]) -> NoReturn:
    """Reads the settings from the command line, runs main, exits.

    0 all done; 2 a wrong setting, file or folder; 3 the training diverged; 130 or 143 interrupted. What goes wrong is
    one line on stderr: the package's errors are written for the person who reads them.
    """
    try:
        main(tyro.cli(settings, description=sys.modules[main.__module__].__doc__))
        if sys.stdout is not None:  # None where the shell closed it
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush cannot fail
        sys.exit(failed("the output was closed while the script was at work; what had finished is kept", 2))
    except (ValueError, OSError) as error:
        sys.exit(failed(str(error), 2))
    except MemoryError as error:
        sys.exit(failed(f"not enough memory: {error}; choose a smaller network or less data", 2))
    except FloatingPointError as error:
        sys.exit(failed(str(error), 3))
    except KeyboardInterrupt:
        sys.exit(failed("interrupted; what had finished is kept", 130))
    except Interrupted as error:
        sys.exit(failed(str(error), error.code))
    sys.exit(0)


def failed(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody listens
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
