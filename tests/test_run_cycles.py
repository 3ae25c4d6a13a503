"""The main job from the command line: what it prints, what it leaves, how it fails."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import run_cycles
import run_folder
from conftest import PATIENCE
from data_sources import load
from image_data import split

from manual_mlp import MLP, cyclical_learning_rate, minibatches, sgd_update

ROOT = Path(__file__).parent.parent
SHORT = ("--cycles", "1", "--step-size", "10", "--n-train", "150", "--n-validation", "50", "--batch-size", "20")
FILES = ["config.json", "curves.png", "history.csv", "network.safetensors", "summary.json"]


def command(*arguments):
    return [sys.executable, str(ROOT / "experiments" / "run_cycles.py"), *map(str, arguments)]


def test_all_runs_leave_their_folders_and_a_table(run_here, images, tmp_path):
    done = run_here("run_cycles", "--data", images, "--results", tmp_path / "out", "--seed", "3", *SHORT)
    assert done.returncode == 0, done.stderr
    folders = sorted((tmp_path / "out" / "run_cycles").iterdir())
    names = ["1-cycle", "3-cycles", "3-layer", "3-layer-bn"]
    assert [folder.name for folder in folders] == sorted(f"{name}-changed_tiny_seed3" for name in names)
    for name in names:
        folder = tmp_path / "out" / "run_cycles" / f"{name}-changed_tiny_seed3"
        assert sorted(file.name for file in folder.iterdir()) == FILES
        config = json.loads((folder / "config.json").read_text())
        assert (config["run"], config["seed"], config["step_size"], config["batch_size"]) == (name, 3, 10, 20)
        assert config["batch_norm"] == (name == "3-layer-bn")
        assert len(config["data"]["fingerprint"]) == 64
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["updates"] == 20
        with (folder / "history.csv").open() as file:
            history = list(csv.DictReader(file))
        assert [int(row["step"]) for row in history] == list(range(0, 21, 2))
        assert float(history[-1]["validation_accuracy"]) == summary["validation_accuracy"]
        assert f"{100 * summary['test_accuracy']:.2f}" in done.stdout
    assert "45.78" not in done.stdout, "published on CIFAR-10 with other settings: not to be compared"


def test_the_settings_reach_the_training(images, tmp_path):
    """The whole run again, by hand: the numbers in the files are those of this network, these images, this schedule."""
    settings = run_cycles.Settings(
        *(("3-layer-bn",), str(images), tmp_path, tmp_path, 5),
        hidden=(7, 6),
        initializer="xavier",
        l2=0.03,
        cycles=2,
        step_size=5,
        eta_min=0.01,
        eta_max=0.2,
        batch_size=20,
        n_train=150,
        n_validation=50,
    )
    run_cycles.main(settings)
    (folder,) = (tmp_path / "run_cycles").iterdir()
    splits = split(load(str(images), tmp_path), 150, 50)
    net = MLP([108, 7, 6, 4], batch_norm=True, initializer="xavier", rng=np.random.default_rng([5, 0]))
    gradients, batches = net.parameters.zeros_like(), minibatches(150, 20, np.random.default_rng([5, 1]))
    first = net.cost(*splits.train, 0.03)
    for step in range(20):
        rows = next(batches)
        net.loss_and_gradients(splits.train[0][rows], splits.train[1][rows], gradients)
        sgd_update(net.parameters, gradients, cyclical_learning_rate(step, 5, 0.01, 0.2), 0.03)
    history, summary = run_folder.read_history(folder), json.loads((folder / "summary.json").read_text())
    assert history["train_cost"][0] == pytest.approx(first, rel=1e-6)
    assert history["train_cost"][-1] == pytest.approx(net.cost(*splits.train, 0.03), rel=1e-6)
    assert history["eta"][:-1] == [cyclical_learning_rate(step, 5, 0.01, 0.2) for step in range(20)]
    for part, data in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
        assert summary[f"{part}_accuracy"] == np.mean(net.forward(data[0]).argmax(axis=1) == data[1])
    assert summary["test_loss"] == pytest.approx(net.cost(*splits.test), rel=1e-6)


def test_the_published_runs_are_those_of_the_reports():
    two_layer = {"hidden": (50,), "batch_norm": False, "l2": 0.01, "n_train": 10_000, "n_validation": 10_000}
    three_layer = {"hidden": (50, 50), "l2": 0.005, "n_train": 45_000, "n_validation": 5_000}
    expected = {
        "1-cycle": {**two_layer, "cycles": 1, "step_size": 500, "initializer": "xavier"},
        "3-cycles": {**two_layer, "cycles": 3, "step_size": 800, "initializer": "xavier"},
        "3-layer": {**three_layer, "batch_norm": False, "cycles": 2, "step_size": 2250, "initializer": "he"},
        "3-layer-bn": {**three_layer, "batch_norm": True, "cycles": 2, "step_size": 2250, "initializer": "he"},
    }
    common = {"eta_min": 1e-5, "eta_max": 1e-1, "batch_size": 100, "schedule": "cyclical", "optimizer": "sgd"}
    for name in run_cycles.PUBLISHED:
        run = run_cycles.RUNS[name]
        settings = {**expected[name], **common}
        assert settings.items() <= vars(run).items()
        assert {vars(run)[extra] for extra in vars(run).keys() - settings} <= {0.0, 1.0, 0.9, (), "running"}


def test_a_second_run_keeps_the_first(run_here, images, tmp_path):
    for _ in range(2):
        arguments = ("--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT)
        assert run_here("run_cycles", *arguments).returncode == 0
    folders = sorted(path.name for path in (tmp_path / "run_cycles").iterdir())
    assert folders == ["1-cycle-changed_tiny_seed0", "1-cycle-changed_tiny_seed0-2"]
    first, second = ((tmp_path / "run_cycles" / folder / "history.csv").read_text() for folder in folders)
    assert first == second, "same seed, same bits"


def test_the_stand_in_is_named_everywhere(run_here, tmp_path):
    done = run_here("run_cycles", "--data", "synthetic", "--results", tmp_path, "--runs", "3-layer-bn", *SHORT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "NOT on CIFAR-10" in lines[0]
    assert "NOT on CIFAR-10" in lines[-1]
    (folder,) = (tmp_path / "run_cycles").iterdir()
    assert "synthetic" in folder.name
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["data"] == "synthetic stand-in"
    assert "NOT on CIFAR-10" in summary["warning"]


def test_a_figure_is_drawn_again_without_training(run_here, images, tmp_path):
    run_here("run_cycles", "--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT)
    (folder,) = (tmp_path / "run_cycles").iterdir()
    (folder / "curves.png").unlink()
    assert run_here("plot_run", folder).returncode == 0
    assert (folder / "curves.png").stat().st_size > 10_000
    failed = run_here("plot_run", tmp_path)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")


@pytest.mark.parametrize("schedule", ["cyclical", "linear", "cosine", "one-cycle"])
def test_the_figure_shows_the_learning_rate_that_was_used(run_here, images, tmp_path, monkeypatch, schedule):
    drawn = []

    def savefig(figure, *_, **__):
        (line,) = figure.axes[-1].lines
        drawn.append(line.get_xydata())

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)
    arguments = ("--data", images, "--results", tmp_path, "--runs", "1-cycle", "--schedule", schedule, *SHORT)
    run_here("run_cycles", *arguments)
    (folder,) = (tmp_path / "run_cycles").iterdir()
    history = run_folder.read_history(folder)
    (curve,) = drawn
    steps, etas = history["step"][:-1], history["eta"][:-1]  # the last has the eta of the update before it
    np.testing.assert_allclose(curve[np.array(steps, int), 1], etas)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.npz"], "--data is nowhere.npz: there is no such file"),
        (["--data", "imagenet"], "--data is 'imagenet'"),
        (["--eta-min", "0.2"], "--eta-min is 0.2, above --eta-max, 0.1"),
        (["--step-size", "0"], "--step-size is 0"),
        (["--cycles", "0"], "--cycles is 0"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--hidden", "50", "0"], "--hidden is 0"),
        (["--initializer", "lecun"], "--initializer is 'lecun'"),
        (["--l2", "-1"], "--l2 is -1.0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--n-train", "200", "--n-validation", "1"], "--n-train is 200 and --n-validation 1"),
        (["--batch-size", "149"], "leaves a batch of one"),
        (["--runs", "1-cycle", "3-layer", "--n-train", "199"], "--n-train is 199"),
        (["--runs"], "--runs names no run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_setting_is_one_line_and_leaves_nothing(run_here, images, tmp_path, arguments, message):
    done = run_here("run_cycles", "--data", images, "--results", tmp_path / "out", *SHORT, *arguments)
    assert done.returncode == 2
    (error,) = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_results_that_cannot_be_written_are_named_before_training(run_here, images, tmp_path):
    (tmp_path / "out").write_text("a file, where a folder must be")
    done = run_here("run_cycles", "--data", images, "--results", tmp_path / "out", *SHORT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --results is {tmp_path / 'out'}: cannot write there")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("step_size", [1, 10], ids=["in the last update", "on the way"])
def test_divergence_exits_3_and_leaves_nothing(run_here, images, tmp_path, step_size):
    changed = ("--eta-max", "1e30", "--step-size", step_size)
    done = run_here("run_cycles", "--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT, *changed)
    assert done.returncode == 3
    assert "lower the learning rate" in done.stderr.splitlines()[-1]
    assert "Warning" not in done.stderr
    assert not list(tmp_path.glob("run_cycles/*"))


def test_ctrl_c_keeps_what_had_finished(images, tmp_path):
    process = subprocess.Popen(
        command(
            "--data", images, "--results", tmp_path, "--runs", "1-cycle", "3-cycles", *SHORT, "--step-size", "3000"
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    for text in iter(lambda: os.read(process.stderr.fileno(), 1000).decode(errors="replace"), ""):
        if "3-cycles" in text and "validation" in text:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("error: interrupted")
    assert sorted(path.name for path in tmp_path.glob("run_cycles/*")) == [
        "1-cycle-changed_tiny_seed0",
        "3-cycles-changed_tiny_seed0.unfinished.safetensors",
    ]


@pytest.mark.real_data
@pytest.mark.skipif(not (ROOT / "data" / "cifar10-jpeg.npz").exists(), reason="data/cifar10-jpeg.npz is not there")
def test_the_jpeg_copy_is_called_what_it_is(run_here, tmp_path):
    done = run_here(
        "run_cycles", "--data", ROOT / "data" / "cifar10-jpeg.npz", "--results", tmp_path, "--runs", "1-cycle"
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "run_cycles").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["data"] == "CIFAR-10 (JPEG copy)"
    assert 0.44 < summary["test_accuracy"] < 0.485
