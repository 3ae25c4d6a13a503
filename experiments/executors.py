"""Calls in other processes: on this machine's cores, or on a Dask cluster that is there already."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from manual_mlp.checks import checked_integer

Call = TypeVar("Call", bound=tuple[object, ...])
Value = TypeVar("Value")

CONNECT_SECONDS = 10  # until a Dask scheduler counts as unreachable
PATIENCE = 20  # seconds in which nothing ends; then it is looked whether anybody is still at work
MOST_DEATHS = 3  # of workers in a row, without a single call that came to its end


class Workers:
    """`workers` processes or, with the address of its scheduler, a Dask cluster. They start with the first call."""

    def __init__(self, workers: int, dask: str | None) -> None:
        self.workers, self.dask = checked_integer("--workers", workers, minimum=1), dask
        self.executor: Executor | None = None
        self.check_alive: Callable[[], None] = lambda: None
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stack.__exit__(kind, error, at)

    def opened(self) -> Executor:
        if self.executor is None and self.dask is None:
            self.executor = self.stack.enter_context(processes(self.workers))
        elif self.executor is None:
            self.executor, self.check_alive = self.stack.enter_context(cluster(str(self.dask)))
        return self.executor

    def run(self, function: Callable[..., Value], calls: list[Call]) -> Generator[tuple[Call, Value], None, None]:
        """Pairs of a call's arguments and its value, as they come to their end. Calls whose worker died are made
        again.
        """
        deaths = 0
        while calls:
            try:
                with interrupts_held():  # the first calls start the workers, which inherit this
                    executor = self.opened()
                    futures: dict[Future[Value], Call] = {executor.submit(function, *call): call for call in calls}
                while futures:
                    ended, _ = wait(futures, PATIENCE, FIRST_COMPLETED)
                    if not ended:
                        self.check_alive()
                    for future in ended:
                        value, call = future.result(), futures.pop(future)
                        calls = [other for other in calls if other is not call]
                        deaths = 0
                        yield call, value
            except BrokenProcessPool:
                deaths += 1
                self.stack.close()
                self.executor = None
                if deaths == MOST_DEATHS:
                    raise OSError(
                        f"a worker process died {deaths} times in a row; where memory is short, use fewer --workers. "
                        "What had finished is kept, the same command goes on"
                    ) from None
            except CancelledError:
                raise gone("the scheduler has gone") from None


def gone(why: str) -> OSError:
    return OSError(f"--dask: {why}; what had finished is kept, the same command goes on")


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Processes of one BLAS thread each: two trainings on a core each are faster than one after the other on both."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # read when a worker imports NumPy
    before = {name: os.environ.get(name) for name in one_thread}
    os.environ.update(one_thread)
    spawn = multiprocessing.get_context("spawn")  # the threads of this process are not to be forked
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_parent) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():  # else they would finish their trainings first
                worker.terminate()
            raise
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block has ended. A process started in it never hears of one: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # of multiprocessing: within the block its start would let Ctrl-C through again
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
def cluster(address: str) -> Iterator[tuple[Executor, Callable[[], None]]]:
    """The executor of a running cluster, whose workers are sent this folder's modules; and a look whether any are left.

    Asked to end, a worker finishes the training that it is at.
    """
    try:
        from distributed import Client, KilledWorker
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise ValueError('--dask needs Dask: python -m pip install -e ".[dask]"') from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors are told here
    try:
        get_address_host_port(address, strict=True)
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ValueError(f"--dask is {address!r}: no scheduler answers there ({error}); give tcp://HOST:PORT") from None

    def check_alive() -> None:
        if client.status != "running":
            raise gone("the scheduler has gone")
        if not client.scheduler_info()["workers"]:
            raise gone(f"no workers are left; start some with `dask worker {address}`")

    with client:
        if not client.scheduler_info()["workers"]:
            raise ValueError(f"--dask is {address!r}: no workers there; start some with `dask worker {address}`")
        for module in sorted(Path(__file__).parent.glob("*.py")):
            client.upload_file(str(module), load=False)
        try:
            yield client.get_executor(pure=False), check_alive  # type: ignore[no-untyped-call]
        except KilledWorker as error:
            raise gone(f"a training has killed its worker several times ({error})") from None
