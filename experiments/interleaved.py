"""Timing of several functions in turn, so that a machine that is shared slows all of them alike."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from manual_mlp.threads import available_cores

Times = dict[str, NDArray[np.float64]]  # seconds per call, one entry a round

PAUSE = 0.05  # seconds before each turn, in which the last one's waiting threads go to sleep
WARM_UP = 0.1  # seconds of calls that are not timed: caches are its own again, its threads on cores of their own


def interleaved(functions: Mapping[str, Callable[[], object]], rounds: int, calls: int, bar: "tqdm[Any]") -> Times:
    """In every round each function is called `calls` times, in an order drawn anew."""
    times: Times = {name: np.zeros(rounds) for name in functions}
    rng = np.random.default_rng(0)
    for number in range(rounds):
        for name in rng.permutation(list(functions)):
            function = functions[name]
            time.sleep(PAUSE)
            begin = time.perf_counter()
            while (start := time.perf_counter()) < begin + WARM_UP:
                function()
            for _ in range(calls):
                function()
            times[name][number] = (time.perf_counter() - start) / calls
            bar.update()
    return times


def ratio(times: Times, one: str, other: str) -> tuple[float, float, float]:
    """Median and quartiles, over the rounds, of the time of one over that of the other."""
    middle, low, high = np.percentile(times[one] / times[other], (50, 25, 75))
    return float(middle), float(low), float(high)


def use_same_threads() -> int:
    """How many threads every library may use: OMP_NUM_THREADS, or one for each core.

    NumPy and torch follow the variable by themselves; the others are held to as many cores, where the system can.
    """
    cores = available_cores()
    wanted = os.environ.get("OMP_NUM_THREADS") or str(cores)
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"OMP_NUM_THREADS is {wanted}; it must be a number of threads, at least 1, or not be set")
    threads = min(cores, int(wanted))
    if threads < cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return threads


def blas_kernel() -> str:
    """NumPy's BLAS and the processor whose kernels it has chosen."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return 'unknown (python -m pip install -e ".[bench]" tells)'
    for pool in threadpool_info():
        if pool["user_api"] == "blas" and {"numpy", "numpy.libs"} & set(Path(pool["filepath"]).parts[-3:-1]):
            return f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', 'unknown')} kernels"
    return "unknown"
