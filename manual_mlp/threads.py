"""Work on separate parts of arrays, side by side on the cores that NumPy's BLAS uses too."""

import contextvars
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

ENOUGH = 4  # parts, below which it takes longer to wake another thread than to do its share


def for_every_part(function: Callable[[int], None], parts: Sequence[int]) -> None:
    """Calls function(part) for every part, each core taking its share of them.

    NumPy lets go of the interpreter while it is within an operation, so threads run side by side where operations are
    long. No part may touch what another one writes; then the result has the same bits whatever the number of cores.
    """
    workers = cores() if len(parts) >= ENOUGH else 1
    shares = [parts[worker::workers] for worker in range(workers)]

    def work(share: Sequence[int]) -> None:
        for part in share:
            function(part)

    # np.errstate belongs to a context, which another thread has to be handed
    others = [pool(os.getpid()).submit(contextvars.copy_context().run, work, share) for share in shares[1:]]
    try:
        work(shares[0])
    finally:
        wait(others)
    for other in others:
        other.result()  # raises what was raised there


@cache
def cores() -> int:
    """As many as this process may use, or fewer where OMP_NUM_THREADS says so, which BLAS follows as well."""
    available = available_cores()
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(available, int(wanted))) if wanted.isdecimal() else available


def available_cores() -> int:
    """As many as the system gives to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def pool(_process: int) -> ThreadPoolExecutor:
    """The threads beside this one, kept: a process that was forked has none of its parent's."""
    return ThreadPoolExecutor(max(1, cores() - 1), "manual_mlp")
