"""The benchmarks: contestants that compute the same function, honest turns, scripts that say what they left out.

No test looks at a time.
"""

import itertools
import json
import sys

import benchmark
import contestants
import cost_growth
import numpy as np
import pytest
import whole_runs
from image_data import image_data, split
from interleaved import interleaved, ratio
from run_cycles import Run
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
@pytest.mark.parametrize("change", [{"l2": 0.04}, {"eta": 0.11}], ids=["l2", "eta"])
def test_another_function_is_noticed(problem, change):
    other = contestants.Problem(**{**vars(problem), **change})
    with pytest.raises(AssertionError, match="torch eager has the loss"):
        contestants.check_agreement(problem, {"torch eager": contestants.TorchEager(other)})


def test_turns_are_interleaved_and_each_is_timed(monkeypatch):
    monkeypatch.setattr("interleaved.WARM_UP", 0.001)
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    with tqdm(disable=True) as bar:
        times = interleaved(functions, rounds=3, calls=4, bar=bar)
    turns = [(name, len(list(group))) for name, group in itertools.groupby(calls)]
    assert {name for name, _ in turns} == {"a", "b"}
    assert 4 <= len(turns) <= 6, "three rounds of both; whoever ends a round may begin the next"
    assert all(length > 4 for _, length in turns), "warm-up calls come before those that are timed"
    assert {name: row.shape for name, row in times.items()} == {"a": (3,), "b": (3,)}


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
    assert "ratio (quartiles)" in capsys.readouterr().out
    summary = json.loads((tmp_path / "whole_runs" / "whole_runs_tiny_seed0" / "summary.json").read_text())
    assert {name: len(row) for name, row in summary["runs"][0]["seconds"].items()} == {"manual": 2, "twin": 2}
