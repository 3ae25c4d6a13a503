"""The benchmarks: contestants that compute the same function, honest turns, scripts that say what they left out.

No test looks at a time.
"""

import json
import os
import sys

import benchmark
import contestants
import cost_growth
import numpy as np
import pytest
import whole_runs
from image_data import image_data, split
from interleaved import interleaved, ratio, use_same_threads
from runs import Run
from tqdm import tqdm

IMPORTED = {"JAX jit": "jax", "scikit-learn": "sklearn"}


@pytest.fixture
def problem(request):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((120, 12), np.float32), rng.integers(0, 4, 120)
    return contestants.Problem((12, 9, 7, 4), request.param, 20, x, y, l2=0.05, eta=0.1)


@pytest.fixture
def without_extra(monkeypatch):
    """No JAX, no scikit-learn, and no torch.compile, which takes its time."""
    for module in ("jax", "sklearn", "sklearn.neural_network", "threadpoolctl"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(contestants.CONTESTANTS, "torch.compile")


@pytest.mark.parametrize("problem", [False, True], ids=["plain", "batch-norm"], indirect=True)
@pytest.mark.parametrize("name", ["manual", "torch eager", "JAX jit", "scikit-learn"])
def test_a_contestant_computes_the_same_function(problem, name):
    if name in IMPORTED:
        pytest.importorskip(IMPORTED[name], reason='needs the extra "bench"')
    taking_part, left_out = contestants.gathered(problem, (name,))
    if name == "scikit-learn" and problem.batch_norm:
        assert left_out == {name: "has no batch normalization"}
    else:
        contestants.check_agreement(problem, taking_part)


@pytest.mark.parametrize("problem", [False, True], ids=["plain", "batch-norm"], indirect=True)
@pytest.mark.parametrize("change", [{"l2": 0.025}, {"l2": 0.0}, {"eta": 0.11}], ids=["half l2", "no l2", "eta"])
def test_another_function_is_noticed(problem, change):
    other = contestants.Problem(**{**vars(problem), **change})
    with pytest.raises(ValueError, match="torch eager does not compute the same update"):
        contestants.check_agreement(problem, {"torch eager": contestants.TorchEager(other)})


@pytest.mark.parametrize("problem", [True], ids=["batch-norm"], indirect=True)
def test_running_statistics_are_compared(problem):
    twin = contestants.TorchEager(problem)
    twin.optimizer.twin.bn1.momentum = 0.2
    with pytest.raises(ValueError, match=r"values apart: bn1.running_mean, bn1.running_var\."):
        contestants.check_agreement(problem, {"torch eager": twin})


@pytest.mark.parametrize("problem", [False, True], ids=["plain", "batch-norm"], indirect=True)
def test_the_floor_makes_the_same_products(problem, monkeypatch):
    """Of two matrices, that is: sums over a batch are products with a row of ones, and no part of the floor."""

    def products(contestant):
        shapes = []
        real = np.matmul
        with monkeypatch.context() as patched:
            patched.setattr(
                np, "matmul", lambda a, b, out=None: shapes.append((a.shape, b.shape)) or real(a, b, out=out)
            )
            contestant.update(np.arange(problem.batch_size))
        return sorted(pair for pair in shapes if len(pair[0]) == 2)

    floor = products(contestants.Floor(problem))
    assert floor == products(contestants.Manual(problem))
    assert len(floor) == 3 + 3 + 2, "forward, dW and, but for the first layer, dx"


def test_each_is_timed_by_call_without_its_warm_up(monkeypatch):
    """A clock that only the functions move: a takes 2 s a call, b 3 s; the first calls are slower."""
    now, calls = [0.0], {"a": 0, "b": 0}

    def function(name, seconds):
        calls[name] += 1
        now[0] += 100.0 if calls[name] == 1 else seconds

    monkeypatch.setattr("interleaved.time.perf_counter", lambda: now[0])
    monkeypatch.setattr("interleaved.time.sleep", lambda _: None)
    monkeypatch.setattr("interleaved.WARM_UP", 1.0)
    with tqdm(disable=True) as bar:
        times = interleaved({"a": lambda: function("a", 2.0), "b": lambda: function("b", 3.0)}, 3, 4, bar)
    assert {name: list(row) for name, row in times.items()} == {"a": [2.0] * 3, "b": [3.0] * 3}
    assert calls["a"] == calls["b"] == 3 * (1 + 4)


def test_a_ratio_is_taken_round_by_round():
    times = {"slow": np.array([1.0, 10.0, 3.0]), "fast": np.array([2.0, 5.0, 3.0])}
    assert ratio(times, "slow", "fast") == (1.0, 0.75, 1.5)


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_the_benchmark_says_what_it_left_out(tmp_path, capsys):
    settings = benchmark.Settings(("2-layer",), rounds=2, updates=1, images=100, batch_size=10, results=tmp_path)
    benchmark.main(settings)
    printed = capsys.readouterr().out
    for name in ("JAX jit", "scikit-learn"):
        assert f'left out: {name} is not installed (python -m pip install -e ".[bench]")' in printed
    assert "3072-50-10 BN" in printed
    folder = tmp_path / "benchmark" / "benchmark"
    assert sorted(file.name for file in folder.iterdir()) == ["benchmark.png", "config.json", "summary.json"]
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary["results"][0]["seconds_per_update"]) == {"manual", "floor", "torch eager"}


def test_cost_growth_leaves_its_figure(tmp_path, capsys):
    cost_growth.main(cost_growth.Settings((3, 5), (1, 2), (4, 6), images=1000, rounds=1, updates=1, results=tmp_path))
    assert "images in a batch" in capsys.readouterr().out
    assert (tmp_path / "cost_growth" / "cost_growth" / "cost_growth.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("main", "settings", "message"),
    [
        (benchmark.main, benchmark.Settings(networks=()), "--networks names no network; choose from 2-layer"),
        (benchmark.main, benchmark.Settings(rounds=0), "--rounds is 0"),
        (benchmark.main, benchmark.Settings(images=900), "--images is 900; it must be an integer of at least 1000"),
        (cost_growth.main, cost_growth.Settings(widths=()), "--widths is empty"),
        (cost_growth.main, cost_growth.Settings(batch_sizes=(10, 1)), "--batch-sizes is 1"),
        (whole_runs.main, whole_runs.Settings(runs=()), "--runs names no run"),
        (whole_runs.main, whole_runs.Settings(turns=0), "--turns is 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_settings_are_refused_before_any_work(main, settings, message):
    with pytest.raises(ValueError, match=message):
        main(settings)


@pytest.fixture
def images():
    y = np.arange(400) % 4
    x = (np.random.default_rng(0).integers(0, 160, (400, 4, 4, 3)) + 30 * y[:, None, None, None]).astype(np.uint8)
    return image_data("tiny", "tiny", "", x[:300], y[:300], x[300:], y[300:])


def test_both_whole_runs_are_the_same_training(images):
    run = Run((8, 6), True, "he", l2=0.01, cycles=1, step_size=30, n_train=250, n_validation=50, batch_size=25)
    splits = split(images, run.n_train, run.n_validation)
    ours, theirs = (training(run, images, splits, 3) for training in (whole_runs.train_manual, whole_runs.train_twin))
    assert ours > 0.4
    assert ours == pytest.approx(theirs, abs=0.021), "two of 100 test images may lie on the border"


def test_whole_runs_leave_both_times(images, tmp_path, capsys, monkeypatch):
    tiny = Run((8,), False, "he", l2=0.01, cycles=1, step_size=3, n_train=250, n_validation=50, batch_size=25)
    monkeypatch.setitem(whole_runs.RUNS, "1-cycle", tiny)
    monkeypatch.setattr(whole_runs, "load", lambda *_: images)
    whole_runs.main(whole_runs.Settings(runs=("1-cycle",), turns=2, results=tmp_path))
    assert "ratio (lowest-highest)" in capsys.readouterr().out
    summary = json.loads((tmp_path / "whole_runs" / "whole_runs_tiny_seed0" / "summary.json").read_text())
    assert {name: len(row) for name, row in summary["runs"][0]["seconds"].items()} == {"manual": 2, "twin": 2}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not tell the cores of a process")
def test_one_thread_has_one_core(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert use_same_threads() == len(os.sched_getaffinity(0)) == 1


@pytest.mark.parametrize("threads", ["0", "-1", "two", "4,2"])
def test_a_number_of_threads_that_cannot_be_is_named(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    with pytest.raises(ValueError, match=f"OMP_NUM_THREADS is {threads}; it must be a number of threads"):
        use_same_threads()


def test_the_twin_is_evaluated_as_often_as_the_manual_network(images, monkeypatch):
    run = Run((8,), False, "he", l2=0.01, cycles=1, step_size=10, n_train=250, n_validation=50, batch_size=25)
    evaluated = []
    real = whole_runs.evaluate_twin
    monkeypatch.setattr(whole_runs, "evaluate_twin", lambda twin, x, y: evaluated.append(len(x)) or real(twin, x, y))
    whole_runs.train_twin(run, images, split(images, run.n_train, run.n_validation), 3)
    assert evaluated == [250, 50] * 11 + [100]
