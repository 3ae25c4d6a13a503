"""Calls in other processes: on this machine's cores, or on a Dask cluster that is there already."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Call = TypeVar("Call", bound=tuple[object, ...])
Value = TypeVar("Value")

CONNECT_SECONDS = 10  # until a Dask scheduler counts as unreachable
MOST_DEATHS = 3  # of workers in a row, without a single call that came to its end


def in_parallel(
    function: Callable[..., Value], calls: list[Call], workers: int, dask: str | None
) -> Generator[tuple[Call, Value], None, None]:
    """Pairs of a call's arguments and its value, as they come to their end. Calls whose worker died are made again."""
    deaths = 0
    while calls:
        try:
            with dask_executor(dask) if dask else process_executor(min(workers, len(calls))) as executor:
                with interrupts_held():  # the first calls start the workers, which inherit this
                    futures: dict[Future[Value], Call] = {executor.submit(function, *call): call for call in calls}
                for future in as_completed(futures):
                    value = future.result()
                    call = futures[future]
                    calls = [other for other in calls if other is not call]
                    deaths = 0
                    yield call, value
        except BrokenProcessPool:
            deaths += 1
            if deaths == MOST_DEATHS:
                raise OSError(
                    f"a worker process died {deaths} times in a row; where memory is short, use fewer --workers. What "
                    "had finished is kept, the same command goes on"
                ) from None


@contextmanager
def process_executor(workers: int) -> Iterator[Executor]:
    """Processes of one BLAS thread each: two trainings on a core each are faster than one after the other on both."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when a worker imports NumPy
    spawn = multiprocessing.get_context("spawn")  # the threads of this process are not to be forked
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():  # else they would finish their trainings first
                worker.terminate()
            raise


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block has ended. A process started in it never hears of one: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """A worker ends when its parent has ended, be it by kill -9."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The executor of a running cluster, whose workers are sent this folder's modules."""
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise ValueError('--dask needs Dask: python -m pip install -e ".[dask]"') from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--dask is {address!r}: no scheduler answers there ({error}); start one with `dask scheduler`"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise ValueError(
                f"--dask is {address!r}: that cluster has no workers; start some with `dask worker {address}`"
            )
        for module in sorted(Path(__file__).parent.glob("*.py")):
            client.upload_file(str(module), load=False)
        try:
            yield client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        except (KilledWorker, CancelledError) as error:
            raise OSError(
                f"the cluster gave up ({error}); what had finished is kept, the same command goes on"
            ) from None
