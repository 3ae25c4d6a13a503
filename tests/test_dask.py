"""Trainings on a Dask cluster - a scheduler and two worker processes - are those of this machine's own processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import executors
import pytest
import trainings
from executors import Workers
from one_training import Training
from runs import Run
from trainings import Options, Trainings

distributed = pytest.importorskip("distributed", reason='needs Dask: python -m pip install -e ".[dask]"')

RUN = Run((7,), True, "he", l2=0.01, cycles=1, step_size=10, n_train=60, n_validation=40, batch_size=20)


@contextlib.contextmanager
def started(folder, module, *arguments):
    """A part of a cluster, as a user starts it, elsewhere than here."""
    with subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{module}", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()


@contextlib.contextmanager
def scheduler(folder):
    """The address of a scheduler."""
    with started(folder, "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as process:
        yield next(found[0] for line in process.stderr if (found := re.search(r"tcp://127.0.0.1:\d+", line)))


@contextlib.contextmanager
def workers(folder, address, number, *arguments):
    options = ("--nthreads", "1", "--no-dashboard", "--local-directory", str(folder), "--nworkers", str(number))
    with started(folder, "dask_worker", address, *options, *arguments) as process:
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=600)
        yield process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two worker processes."""
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder) as address, workers(folder, address, 2):
        yield address


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
    with Workers(2, cluster) as pool:
        found = list(pool.run(killed_the_first_time, [(str(tmp_path), number) for number in range(6)]))
    assert (tmp_path / "2").exists(), "a worker was killed"
    assert sorted(number for _, number in found) == list(range(6))


@pytest.mark.parametrize("address", ["", "nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:abc", "http://x:1"])
def test_an_address_that_is_none_is_refused(address):
    with (
        Workers(2, address) as pool,
        pytest.raises(ValueError, match=f"--dask is '{address}': .* give tcp://HOST:PORT"),
    ):
        list(pool.run(abs, [(1,)]))


def test_workers_of_another_version_are_refused(cluster, data, tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "VERSION", {"numpy": "1.0", "code": "another"})
    options = Options(data_dir=tmp_path / "data", results=tmp_path / "out", dask=cluster)
    with Trainings(data, options) as many, pytest.raises(ValueError, match="the workers have another version"):
        many.results([Training(RUN, 0)])


def test_a_cluster_whose_workers_have_gone_is_given_up(tmp_path, monkeypatch):
    """What had finished is there."""
    monkeypatch.setattr(executors, "PATIENCE", 0.5)
    with (
        scheduler(tmp_path) as address,
        workers(tmp_path, address, 1, "--no-nanny") as worker,
        Workers(2, address) as pool,
    ):
        calls = pool.run(time.sleep, [(0,), (60,)])
        assert next(calls)[0] == (0,)
        worker.kill()
        with pytest.raises(OSError, match="--dask: no workers are left"):
            list(calls)


def test_a_cluster_without_workers_is_refused(tmp_path):
    message = "no workers there; start some with `dask worker"
    with scheduler(tmp_path) as address, Workers(2, address) as pool, pytest.raises(ValueError, match=message):
        list(pool.run(abs, [(1,)]))
