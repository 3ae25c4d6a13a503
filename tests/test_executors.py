"""Calls in other processes come to their end once each, whatever happens to a worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import executors
import pytest
from executors import Workers


def made(function, calls, workers=2):
    with Workers(workers, None) as pool:
        return list(pool.run(function, calls))


def squared(number):
    return number * number


def killed_the_first_time(marks, number, numbers=(2,)):
    """Kills its own process, unless it has been called with these arguments before."""
    mark = Path(marks) / str(number)
    if number in numbers and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def killed_twice_in_all(marks, number):
    """Calls 1 and 3 kill their process once each: deaths, but not in a row."""
    return killed_the_first_time(marks, number, (1, 3))


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number):
    raise ValueError(f"number is {number}")


def threads(_):
    return [os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_call_comes_to_its_end_once(workers):
    found = made(squared, [(number,) for number in range(6)], workers)
    assert sorted(found) == [((number,), number * number) for number in range(6)]


def test_no_calls_need_no_workers():
    assert made(squared, []) == []


def test_a_worker_has_one_blas_thread():
    assert made(threads, [(0,)], 1) == [((0,), ["1", "1"])]
    assert os.environ.get("OPENBLAS_NUM_THREADS") != "1", "this process keeps its own"


def test_calls_of_a_killed_worker_are_made_again(tmp_path):
    found = made(killed_the_first_time, [(str(tmp_path), number) for number in range(5)])
    assert sorted(number for _, number in found) == list(range(5))


def test_workers_that_always_die_end_in_a_sentence(monkeypatch):
    monkeypatch.setattr(executors, "MOST_DEATHS", 2)
    with pytest.raises(
        OSError, match="a worker process died 2 times in a row; where memory is short, use fewer --work"
    ):
        made(killed, [(0,)], 1)


def test_deaths_with_finished_calls_between_them_are_no_reason_to_give_up(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "MOST_DEATHS", 2)
    found = made(killed_twice_in_all, [(str(tmp_path), number) for number in range(5)], 1)
    assert sorted(number for _, number in found) == list(range(5))


def test_workers_stay_for_the_next_calls():
    with Workers(1, None) as pool:
        first, second = (list(pool.run(process, [(number,)])) for number in range(2))
    assert first[0][1] == second[0][1] != os.getpid()


def test_an_error_in_a_call_is_raised_here():
    with pytest.raises(ValueError, match="number is 3"):
        made(failing, [(3,)], 1)


FIRST_WORKER = """
import signal
from executors import Workers

def interrupts_blocked(_):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])

if __name__ == "__main__":
    with Workers(1, None) as pool:
        print([blocked for _, blocked in pool.run(interrupts_blocked, [(0,)])])
"""


def test_the_first_worker_of_a_process_does_not_hear_of_ctrl_c(tmp_path):
    """In a new process: what multiprocessing starts once, beside the first worker, is part of it."""
    (tmp_path / "first_worker.py").write_text(FIRST_WORKER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(executors.__file__).parents[:2]))}
    done = subprocess.run(
        [sys.executable, tmp_path / "first_worker.py"], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "[True]\n", done.stderr


PARENT = """
import sys, time
from executors import processes
import test_executors
if __name__ == "__main__":
    with processes(1) as executor:
        print(executor.submit(test_executors.own_number).result(), flush=True)
        executor.submit(time.sleep, 600).result()
"""


def process(_):
    return os.getpid()


def own_number():
    return os.getpid()


def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    paths = os.pathsep.join([str(Path(executors.__file__).parent), str(Path(__file__).parent)])
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    ) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 600
    while running(worker):
        assert time.monotonic() < deadline, "the worker has outlived its parent"
        time.sleep(0.05)


def running(process):
    """A process that has ended but that nobody has waited for is not running."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
