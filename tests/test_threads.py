"""Work in parts on several cores: every part once; errors and NumPy's warnings go where they would on one core."""

import multiprocessing
import os
import threading
import time
from functools import cache

import numpy as np
import pytest

from manual_mlp import MLP, AdamW, optimizers, sgd_update, threads


@pytest.fixture
def on_cores(monkeypatch):
    """for_every_part, as a machine of so many cores would run it."""

    def on(number):
        monkeypatch.setattr(threads, "cores", lambda: number)
        monkeypatch.setattr(threads, "pool", cache(threads.pool.__wrapped__))
        return threads.for_every_part

    return on


@pytest.mark.parametrize("parts", [0, 1, 3, 4, 5, 50])
@pytest.mark.parametrize("number", [1, 2, 3, 8], ids=lambda number: f"{number}-cores")
def test_every_part_comes_once(on_cores, number, parts):
    seen = []
    on_cores(number)(seen.append, range(0, 10 * parts, 10))
    assert sorted(seen) == list(range(0, 10 * parts, 10))


def test_many_parts_are_shared_and_few_are_not(on_cores):
    """Both sides meet at a barrier, which one thread alone would never pass."""
    barrier, seen = threading.Barrier(2, timeout=30), []

    def meet(part):
        seen.append(threading.get_ident())
        if part < 2:
            barrier.wait()

    on_cores(2)(meet, range(threads.ENOUGH))
    assert len(set(seen)) == 2
    seen.clear()
    on_cores(2)(lambda _: seen.append(threading.get_ident()), range(threads.ENOUGH - 1))
    assert set(seen) == {threading.get_ident()}


@pytest.mark.parametrize("failing", [0, 1], ids=["own-share", "other-share"])
def test_what_a_part_raises_arrives_when_all_have_ended(on_cores, failing):
    ended = []

    def work(part):
        if part == failing:
            raise ZeroDivisionError(part)
        time.sleep(0.01)  # longer than the one that raises takes
        ended.append(part)

    with pytest.raises(ZeroDivisionError):
        on_cores(2)(work, range(8))
    assert set(range(1 - failing, 8, 2)) <= set(ended)


def test_numpys_errstate_holds_on_every_core(on_cores):
    """Warnings are errors here: what overflows in another thread would raise."""

    def overflow(_):
        np.exp(np.full(3, 1e3))

    with np.errstate(over="ignore"):
        on_cores(2)(overflow, range(8))
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        on_cores(2)(overflow, range(8))


@pytest.mark.parametrize("make", [lambda _: sgd_update, lambda p: AdamW(p, weight_decay=0.1)], ids=["sgd", "adamw"])
def test_an_update_has_the_same_bits_on_any_number_of_cores(on_cores, monkeypatch, make):
    monkeypatch.setattr(optimizers, "UPDATE_BLOCK", 50)
    results = []
    for number in (1, 2, 5):
        on_cores(number)
        rng = np.random.default_rng(0)
        net = MLP([20, 30, 10], rng=rng)
        update, gradients = make(net.parameters), net.parameters.zeros_like()
        for _ in range(3):
            gradients.flat[:] = rng.normal(size=len(gradients.flat))
            update(net.parameters, gradients, 0.1, 0.01)
        results.append(net.parameters.flat.copy())
    assert all(np.array_equal(result, results[0]) for result in results[1:])


@pytest.mark.parametrize(("wanted", "expected"), [("1", 1), ("1000", None), ("0", 1), ("", None), ("two", None)])
def test_cores_are_those_that_blas_may_use(monkeypatch, wanted, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.cores.__wrapped__() == (expected or available)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # by JAX, where an earlier test has used it
def test_a_forked_process_does_not_wait_for_its_parents_threads(on_cores):
    run = on_cores(2)
    run(lambda _: None, range(8))
    child = multiprocessing.get_context("fork").Process(target=run, args=(abs, range(8)))
    child.start()
    child.join(30)
    ended = child.exitcode
    child.kill()
    assert ended == 0
