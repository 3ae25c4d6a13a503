"""Trainings on a Dask cluster - a scheduler and two worker processes - are those of this machine's own processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data_sources import from_file
from executors import in_parallel
from runs import Run
from trainings import Options, Training, Trainings

distributed = pytest.importorskip("distributed", reason='needs Dask: python -m pip install -e ".[dask]"')

RUN = Run((7,), True, "he", l2=0.01, cycles=1, step_size=10, n_train=60, n_validation=40, batch_size=20)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two workers, as a user starts them, elsewhere than here."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"}

    def started(*arguments):
        module, *rest = arguments
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *rest],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )

    with started("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as scheduler:
        address = next(found[0] for line in scheduler.stderr if (found := re.search(r"tcp://127.0.0.1:\d+", line)))
        options = (address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder), "--nworkers", "2")
        with started("dask_worker", *options) as workers:
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=60)
            yield address
            workers.terminate()
            workers.communicate()
        scheduler.terminate()
        scheduler.communicate()


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (150, 4, 4, 3), np.uint8), rng.integers(0, 3, 150)
    np.savez(tmp_path / "tiny.npz", x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:])
    return from_file(tmp_path / "tiny.npz")


def test_the_same_trainings_give_the_same_numbers(cluster, data, tmp_path):
    wanted = [Training(RUN, seed, test=True) for seed in range(6)]
    found = []
    for dask in (None, cluster):
        options = Options(data_dir=tmp_path / "data", results=tmp_path / str(dask is None), dask=dask)
        with Trainings(data, options) as many:
            results = many.results(wanted)
            assert len(many.file.read_text().splitlines()) == 1 + len(wanted)
        found.append([{name: value for name, value in result.items() if name != "seconds"} for result in results])
    assert found[0] == found[1]


def killed_the_first_time(marks, number):
    """Kills its own process, unless it has been called with these arguments before."""
    mark = Path(marks) / str(number)
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return number


def test_calls_of_a_killed_worker_are_made_again(cluster, tmp_path):
    with distributed.Client(cluster, set_as_default=False) as client:
        client.upload_file(__file__, load=False)
    found = list(in_parallel(killed_the_first_time, [(str(tmp_path), number) for number in range(6)], 2, cluster))
    assert (tmp_path / "2").exists(), "a worker was killed"
    assert sorted(number for _, number in found) == list(range(6))
