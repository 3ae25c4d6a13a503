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

ROOT = Path(__file__).parent.parent
SHORT = ("--cycles", "1", "--step-size", "10", "--n-train", "150", "--n-validation", "50", "--batch-size", "20")
FILES = ["config.json", "curves.png", "history.csv", "summary.json"]


@pytest.fixture
def images(tmp_path):
    """A file of small random images."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (300, 6, 6, 3), np.uint8), rng.integers(0, 4, 300)
    np.savez(tmp_path / "tiny.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return tmp_path / "tiny.npz"


def command(*arguments):
    return [sys.executable, str(ROOT / "experiments" / "run_cycles.py"), *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True)


def test_all_runs_leave_their_folders_and_a_table(images, tmp_path):
    done = run("--data", images, "--results", tmp_path / "out", "--seed", "3", *SHORT)
    assert done.returncode == 0, done.stderr
    folders = sorted((tmp_path / "out" / "run_cycles").iterdir())
    names = ["1-cycle", "3-cycles", "3-layer", "3-layer-bn"]
    assert [folder.name for folder in folders] == sorted(f"{name}_tiny_seed3" for name in names)
    for name in names:
        folder = tmp_path / "out" / "run_cycles" / f"{name}_tiny_seed3"
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
    assert "45.78 (report R1)" in done.stdout


def test_a_second_run_keeps_the_first(images, tmp_path):
    for _ in range(2):
        assert run("--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT).returncode == 0
    folders = sorted(path.name for path in (tmp_path / "run_cycles").iterdir())
    assert folders == ["1-cycle_tiny_seed0", "1-cycle_tiny_seed0-2"]
    first, second = ((tmp_path / "run_cycles" / folder / "history.csv").read_text() for folder in folders)
    assert first == second, "same seed, same bits"


def test_the_stand_in_is_named_everywhere(tmp_path):
    done = run("--data", "synthetic", "--results", tmp_path, "--runs", "3-layer-bn", *SHORT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "NOT on CIFAR-10" in lines[0]
    assert "NOT on CIFAR-10" in lines[-1]
    (folder,) = (tmp_path / "run_cycles").iterdir()
    assert "synthetic" in folder.name
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["data"] == "synthetic stand-in"
    assert "NOT on CIFAR-10" in summary["warning"]


def test_a_figure_is_drawn_again_without_training(images, tmp_path):
    run("--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT)
    (folder,) = (tmp_path / "run_cycles").iterdir()
    (folder / "curves.png").unlink()
    plot = [sys.executable, str(ROOT / "experiments" / "plot_run.py")]
    assert subprocess.run([*plot, str(folder)], capture_output=True).returncode == 0
    assert (folder / "curves.png").stat().st_size > 10_000
    failed = subprocess.run([*plot, str(tmp_path)], capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.npz"], "--data is nowhere.npz: there is no such file"),
        (["--data", "imagenet"], "--data is 'imagenet'"),
        (["--eta-min", "0.2"], "eta_min is 0.2 and eta_max 0.1"),
        (["--step-size", "0"], "step_size is 0"),
        (["--cycles", "0"], "--cycles is 0"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--hidden", "50", "0"], "sizes[2] is 0"),
        (["--initializer", "lecun"], "initializer is 'lecun'"),
        (["--l2", "-1"], "--l2 is -1.0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--n-train", "200", "--n-validation", "1"], "--n-train is 200 and --n-validation 1"),
        (["--runs", "3-layer-bn", "--batch-size", "149"], "leaves a batch of one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_setting_is_one_line_and_leaves_nothing(images, tmp_path, arguments, message):
    done = run("--data", images, "--results", tmp_path / "out", *SHORT, *arguments)
    assert done.returncode == 2
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/run_cycles/*"))


def test_results_that_cannot_be_written_are_named_before_training(images, tmp_path):
    (tmp_path / "out").write_text("a file, where a folder must be")
    done = run("--data", images, "--results", tmp_path / "out", *SHORT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --results is {tmp_path / 'out'}: cannot write there")
    assert len(done.stderr.splitlines()) == 1


def test_divergence_exits_3_and_leaves_nothing(images, tmp_path):
    done = run("--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT, "--eta-max", "1e30")
    assert done.returncode == 3
    assert "lower the learning rate" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("run_cycles/*"))


def test_ctrl_c_keeps_what_had_finished(images, tmp_path):
    process = subprocess.Popen(
        command("--data", images, "--results", tmp_path, "--runs", "1-cycle", *SHORT, "--step-size", "20000"),
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in iter(lambda: os.read(process.stderr.fileno(), 1000).decode(), ""):
        if "val" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("error: interrupted")
    assert not list(tmp_path.glob("run_cycles/*"))


@pytest.mark.real_data
@pytest.mark.skipif(not (ROOT / "data" / "cifar10-jpeg.npz").exists(), reason="data/cifar10-jpeg.npz is not there")
def test_the_jpeg_copy_is_called_what_it_is(tmp_path):
    done = run("--data", ROOT / "data" / "cifar10-jpeg.npz", "--results", tmp_path, "--runs", "1-cycle")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "run_cycles").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["data"] == "CIFAR-10 (JPEG copy)"
    assert 0.44 < summary["test_accuracy"] < 0.485
