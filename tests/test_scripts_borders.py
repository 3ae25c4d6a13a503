"""The catalogue of what can go wrong around the scripts: the exit code and one line on stderr, and no file changed.

Bad arguments of the package's functions stand in test_borders, damaged data files in test_data_sources.
"""

import contextlib
import errno
import fcntl
import glob
import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import benchmark
import checkpoints
import cost_growth
import interruption
import numpy as np
import pytest
import reproduce
import run_cycles
import run_folder
import unfinished
import whole_runs
from command_line import run_script, with_options

from manual_mlp import MLP, Record, TrainingState

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
SCRIPTS = sorted(file.stem for file in EXPERIMENTS.glob("*.py") if "run_script(main, Settings)" in file.read_text())
TINY = ("--data", "tiny.npz", "--n-train", "160", "--batch-size", "20")
CYCLES = (*TINY, "--n-validation", "40", "--runs", "1-cycle", "--cycles", "1", "--step-size", "3")
PAIR = (*TINY, "--updates", "4", "--hidden", "5")
CYCLES_NAME, PAIR_NAME = "run_cycles/1-cycle-changed_tiny_seed0", "side_by_side/2-layer-bn_float64_tiny_seed0"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with small images and the results of an earlier run."""
    monkeypatch.chdir(tmp_path)
    x, y = np.random.default_rng(0).integers(0, 256, (260, 6, 6, 3), np.uint8), np.arange(260) % 4
    np.savez("tiny.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    earlier = Path("results/run_cycles/earlier")
    earlier.mkdir(parents=True)
    (earlier / "config.json").write_text('{"step_size": 5, "eta_min": 0.1, "eta_max": 0.2}')
    accuracies = {f"{part}_accuracy": 0.5 for part in ("train", "validation", "test")}
    (earlier / "summary.json").write_text(
        json.dumps({"run": "a", "data": "b", "updates": 9, "seconds": 1.0, **accuracies})
    )
    run_folder.write_history(earlier, [Record(step, *[0.1] * 7) for step in (0, 9)])
    return tmp_path


def files():
    return {file: file.read_bytes() for file in Path().rglob("*") if file.is_file()}


@pytest.fixture
def outcome(monkeypatch, capsys):
    """Runs a script in this process. Returns its exit code and the lines on stderr, progress bars apart."""

    def run(script, *arguments):
        module = importlib.import_module(script)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
        handlers = {number: signal.getsignal(number) for number in interruption.SIGNALS}
        with pytest.raises(SystemExit) as ending:
            run_script(module.main, module.Settings)
        for number, handler in handlers.items():
            assert signal.signal(number, handler) == signal.SIG_IGN, "its last lines are not to be interrupted"
        lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
        return ending.value.code, [line for line in lines if line.strip() and not re.search(r"\d/\d+ \[", line)]

    return run


@pytest.fixture
def refused(outcome):
    def check(script, arguments, message):
        before = files()
        code, lines = outcome(script, *arguments)
        assert code == 2
        assert len(lines) == 1
        assert re.search(message, lines[0])
        assert lines[0].startswith("error: ")
        assert files() == before

    return check


WRONG = [
    ("run_cycles", "--seed x", "--seed: invalid literal"),
    ("run_cycles", "--seed 1.5", "--seed: invalid literal"),
    ("run_cycles", "--seed", "Missing value for argument '--seed'"),
    ("run_cycles", f"--seed {'9' * 250}", "--seed has 250 digits"),
    ("run_cycles", "--runs 5-layer", "'5-layer' for argument '--runs'.*'1-cycle'"),
    ("run_cycles", "--runs x-----y", "'x-----y' for argument '--runs'. Expected one of .'1-cycle',"),
    ("run_cycles", f"--runs {'x' * 200}", f"'{'x' * 200}' for argument"),
    ("run_cycles", "--colour batch_size", "Unrecognized options: --colour, batch_size"),
    ("run_cycles", f"--step-size {'9' * 400}", "a number is too large to compute with"),
    ("run_cycles", "--l2 nan", "--l2 is nan"),
    ("run_cycles", "--l2 many", "--l2"),
    ("run_cycles", "--eta-max -1", "--eta-max is -1"),
    ("run_cycles", "--n-train 0", "--n-train is 0"),
    ("run_cycles", "--n-validation 201", "--n-validation 201"),
    ("run_cycles", "--batch-size 170", "--batch-size is 170; it must be at most --n-train, 160"),
    ("run_cycles", "--checkpoint-seconds -1", "--checkpoint-seconds is -1"),
    ("run_cycles", "--checkpoint-seconds nan", "--checkpoint-seconds is nan"),
    ("side_by_side", "--dtype float16", "'float16' for argument '--dtype'"),
    ("side_by_side", "--hidden 5 0", "--hidden is 0"),
    ("side_by_side", "--updates 0", "--updates is 0"),
    ("side_by_side", "--step-size 0", "--step-size is 0"),
    ("side_by_side", "--batch-size 1", "--batch-size is 1"),
    ("side_by_side", "--batch-size 30", "--batch-size is 30; it must divide --n-train, 160"),
    ("side_by_side", "--l2 inf", "--l2 is inf"),
    ("side_by_side", "--seed -1", "--seed is -1"),
    ("side_by_side", "--n-train 500", "--n-train is 500"),
    ("side_by_side", "--checkpoint-seconds -1", "--checkpoint-seconds is -1"),
    ("whole_runs", "--turns 0", "--turns is 0"),
    ("whole_runs", "--runs", "--runs names no run"),
    ("whole_runs", "--seed -1", "--seed is -1"),
    ("whole_runs", "--data tiny.npz", "--n-train is 10000 and --n-validation 10000"),
    ("benchmark", "--rounds 0", "--rounds is 0"),
    ("benchmark", "--updates 0", "--updates is 0"),
    ("benchmark", "--batch-size 1", "--batch-size is 1"),
    ("benchmark", "--images 5", "--images is 5"),
    ("benchmark", "--networks", "--networks names no network"),
    ("benchmark", "--networks deep", "'deep' for argument '--networks'"),
    ("cost_growth", "--widths", "--widths is empty"),
    ("cost_growth", "--depths 0", "--depths is 0"),
    ("cost_growth", "--batch-sizes 1", "--batch-sizes is 1"),
    ("cost_growth", "--rounds 0", "--rounds is 0"),
    ("cost_growth", "--updates 0", "--updates is 0"),
    ("cost_growth", "--images 10", "--images is 10"),
    ("check_gradients", "--h 0", "--h is 0.0; the step"),
    ("check_gradients", "--h nan", "--h is nan"),
    ("check_gradients", "--cases", "--cases names no case"),
    ("check_gradients", "--cases R9", "'R9' for argument '--cases'"),
    ("check_gradients", "--seed -1", "--seed is -1"),
    ("check_gradients", "--data tiny.npz --cases R1", "--cases R1 needs images of 3072 pixels"),
    ("search", "--low 0", "--low is 0 and --high 0.1"),
    ("search", "--low 1e-2 --high 1e-3", "--low is 0.01 and --high 0.001; the lower end must be"),
    ("search", "--low 1e-3 --high 1e-3", "--low is 0.001 and --high 0.001"),
    ("search", "--high nan", "--high is nan"),
    ("search", "--high inf", "--high is inf"),
    ("search", "--values 0", "--values is 0"),
    ("search", "--values 4 -1", "--values is -1"),
    ("search", "--values", "--values names no stage"),
    ("search", "--seeds 0", "--seeds is 0"),
    ("search", "--seed -1", "--seed is -1"),
    ("search", "--l2 0.1", "--l2 is 0.1; it is what is searched for"),
    ("search", "--rule R9", "'R9' for argument '--rule'"),
    ("search", "--sampling even", "'even' for argument '--sampling'"),
    ("best_mlp", "--seeds", "--seeds names no seed"),
    ("best_mlp", "--seeds 0 -1", "--seed is -1"),
    ("best_mlp", "--checkpoint-seconds -1", "--checkpoint-seconds is -1"),
    ("best_mlp", "--dropout 1", "--dropout is 1.0; it must be at least 0 and below 1"),
    ("best_mlp", "--shift 6", "--shift is 6: shifts beyond the image"),
    ("best_mlp", "--hidden 8 8 4", "takes in 8 features, puts out 4; a skip adds the two"),
    ("best_mlp", "--whitening -1", "--whitening is -1.0; it must be a finite number of at least 0"),
    (
        "best_mlp",
        "--batch-norm False",
        "--relu-first is True without batch normalization; use it with --batch-norm=True",
    ),
    ("best_mlp", "--optimizer lion", "'lion' for argument '--optimizer'"),
    ("ablation", "--epochs 0", "--epochs is 0"),
    ("best_update", "--rounds 0", "--rounds is 0"),
    ("best_update", "--updates 0", "--updates is 0"),
    ("best_update", "--batch-size 1", "--batch-size is 1; it must be an integer of at least 2"),
    ("run_cycles", "--weight-decay 0.1", "--weight-decay is 0.1 without --optimizer adamw"),
    ("run_cycles", "--momentum 0.9", "--momentum is 0.9 with --optimizer sgd; only momentum and nesterov have it"),
    ("run_cycles", "--hidden 8 8 --skips 2 2", "--skips is 2, which is named before"),
    ("best_mlp", "--momentum 0.9", "--momentum is 0.9 with --optimizer adamw"),
    ("best_mlp", "--cycles 0", "--cycles is 0"),
    ("best_mlp", "--step-size 0", "--step-size is 0"),
    ("best_mlp", "--initializer -1", "--initializer is -1"),
    ("run_cycles", "--schedule steps", "'steps' for argument '--schedule'"),
    ("lr_range_test", "--epochs 0", "--epochs is 0"),
    ("lr_range_test", "--points 1", "--points is 1; it must be an integer of at least 2"),
    ("lr_range_test", "--cycles 2", "--cycles is 2; the test has no such schedule"),
    ("lr_range_test", "--step-size 9", "--step-size is 9; the test has no such schedule"),
    ("lr_range_test", "--schedule cosine", "--schedule is cosine; the test has no such schedule"),
    ("lr_range_test", "--annealing 0.5", "--annealing is 0.5; the test has no such schedule"),
    ("lr_range_test", "--eta-min 0.7", "--eta-min is 0.7, above --eta-max, 0.6"),
    ("lr_range_test", "--eta-min 0.6", "--eta-min is 0.6, as large as --eta-max"),
    ("lr_range_test", "--eta-min -1", "--eta-min is -1"),
    ("lr_range_test", "--eta-max nan", "--eta-max is nan"),
    ("lr_range_test", "--eta-max inf", "--eta-max is inf"),
    ("lr_range_test", "--spacing exponential", "--eta-min is 0.0; it must be above 0 with --spacing exponential"),
    ("lr_range_test", "--spacing cubic", "'cubic' for argument '--spacing'"),
    ("lr_range_test", "--run 5-layer", "'5-layer' for argument '--run'"),
    ("lr_range_test", "--seed -1", "--seed is -1"),
    ("lr_range_test", "--n-train 500", "--n-train is 500"),
    ("lr_range_test", "--batch-size 0", "--batch-size is 0"),
    ("lr_range_test", "--batch-size 161", "--batch-size is 161; it must be at most --n-train, 160"),
    ("lr_range_test", "--l2 nan", "--l2 is nan"),
    ("reproduce", "--seeds 0", "--seeds is 0"),
    ("reproduce", "--search-seeds -1", "--search-seeds is -1"),
    ("reproduce", "--data tiny.npz", "--n-train is .* and --n-validation"),
    ("reproduce", "--part", "--part names no part; choose from reports, extras"),
    ("reproduce", "--part all", "'all' for argument '--part'"),
    ("reproduce", "--output tiny.npz", "--output is tiny.npz: cannot write there"),
    *(
        (script, arguments, message)
        for script in (script.__name__ for part in reproduce.PARTS.values() for script in part.scripts)
        for arguments, message in (
            ("--seeds 0", "--seeds is 0"),
            ("--data tiny.npz --workers 0", "--workers is 0"),
            ("--data tiny.npz", "--n-train is .* and --n-validation"),
        )
    ),
    ("step_size_error", "--images 1", "--images is 1"),
    ("step_size_error", "--steps-per-decade 0", "--steps-per-decade is 0"),
    ("step_size_error", "--seed -1", "--seed is -1"),
    ("augmentation_examples", "--images 0", "--images is 0"),
    ("augmentation_examples", "--images 201", "--images is 201; tiny.npz has 200 training images"),
    ("augmentation_examples", "--copies 0", "--copies is 0"),
    ("augmentation_examples", "--shift 6", "--shift is 6: shifts beyond the image, .*at most 5"),
    ("augmentation_examples", "--shift -1", "--shift is -1"),
    ("augmentation_examples", "--flip 1.5", "--flip is 1.5; it must be a probability"),
    ("augmentation_examples", "--flip nan", "--flip is nan"),
    ("augmentation_examples", "--seed -1", "--seed is -1"),
    ("plot_run", "", "Missing from plot_run.py: PATH"),
    ("plot_run", "one two", "Unrecognized options: two"),
    ("plot_run", "nowhere", "nowhere/history.csv cannot be read .*; nowhere must be the folder of a finished run"),
    ("plot_run", "tiny.npz", "tiny.npz must be the folder of a finished run"),
    ("plot_run", "results", "results must be the folder of a finished run"),
]
SEARCH = ("--data", "tiny.npz", "--n-train", "160", "--n-validation", "40")
DEFAULTS = {
    "run_cycles": CYCLES,
    "side_by_side": PAIR,
    "search": SEARCH,
    "augmentation_examples": ("--data", "tiny.npz"),
    "lr_range_test": (*TINY, "--n-validation", "40"),
    "best_mlp": (*TINY, "--n-validation", "40", "--step-size", "3", "--hidden", "8", "8", "8"),
}


@pytest.mark.parametrize(
    ("script", "arguments", "message"), WRONG, ids=[f"{row[0]} {row[1]}"[:60].strip() for row in WRONG]
)
def test_a_wrong_setting_is_refused(refused, script, arguments, message):
    refused(script, (*DEFAULTS.get(script, ()), *arguments.split()), message)


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_option_is_refused(refused, script):
    refused(
        script, (*(["results"] if script == "plot_run" else []), "--colour", "red"), "Unrecognized options: --colour"
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_no_error(outcome, script):
    assert outcome(script, "--help") == (0, [])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("step_size is 0; it must be 1", "--step-size is 0; it must be 1"),
        ("eta_min is 1, above eta_max, 0", "--eta-min is 1, above --eta-max, 0"),
        ("l2 is -1", "--l2 is -1"),
        ("the data is 0", "the data is 0"),
        ("results/step_size is a file", "results/step_size is a file"),
        ("choose another batch_size", "choose another --batch-size"),
        ("skips[0] is 5; the hidden layers", "--skips is 5; the hidden layers"),
        ("/proc/my batch_size: no such file", "/proc/my batch_size: no such file"),
        ("--data is my batch_size", "--data is my batch_size"),
    ],
)
def test_arguments_are_called_as_on_the_command_line(message, expected):
    assert with_options(message, run_cycles.Settings) == expected


def truncated(file):
    file.write_bytes(Path("tiny.npz").read_bytes()[:-100])


FILES = {
    "missing": (lambda _: None, "there is no such file"),
    "truncated": (truncated, "it is no zip archive"),
    "text": (lambda file: file.write_text("x_train"), "it is no zip archive"),
    "empty": (lambda file: file.touch(), "it is no zip archive"),
    "a folder": (lambda file: file.mkdir(), "Is a directory"),
    "foreign": (lambda file: np.savez(file, weights=np.ones(3)), "it lacks x_train"),
    "objects": (lambda file: np.savez(file, x_train={}, y_train={}, x_test={}, y_test={}), "pickle"),
}


@pytest.mark.parametrize(
    "script",
    [
        "run_cycles",
        "side_by_side",
        "whole_runs",
        "check_gradients",
        "augmentation_examples",
        "lr_range_test",
        "best_mlp",
    ],
)
@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES)
def test_a_data_file_that_is_none_is_refused(refused, script, make, message):
    make(Path("bad.npz"))
    refused(script, ("--data", "bad.npz"), f"--data is bad.npz: .*{message}")


@pytest.mark.parametrize(
    "script",
    [
        "run_cycles",
        "side_by_side",
        "whole_runs",
        "benchmark",
        "cost_growth",
        "augmentation_examples",
        "lr_range_test",
        "best_mlp",
    ],
)
@pytest.mark.parametrize("results", ["tiny.npz", "/proc/nothing"], ids=["a file", "not writable"])
def test_results_that_cannot_be_written_are_refused(refused, monkeypatch, script, results):
    monkeypatch.setattr(whole_runs, "check", lambda *_: None)
    data = {"whole_runs": ("--data", "tiny.npz")}.get(script, ())
    refused(script, (*DEFAULTS.get(script, data), "--results", results), f"--results is {results}: cannot write there")


@pytest.mark.parametrize("script", ["run_cycles", "side_by_side"])
@pytest.mark.parametrize(
    ("name", "told"), [(b"a $x_$ b", "a $x_$ b"), (b"\xff", "\N{REPLACEMENT CHARACTER}")], ids=["math", "no UTF-8"]
)
def test_a_data_file_may_have_any_name(outcome, script, name, told):
    file = os.fsdecode(name + b".npz")
    Path("tiny.npz").rename(file)
    assert outcome(script, *DEFAULTS[script], "--data", file) == (0, [])
    (folder,) = Path("results", script).glob(f"*_{glob.escape(told)}_seed0")
    assert json.loads((folder / "summary.json").read_text())["data"] == f"{told}.npz"


def earlier(name, content):
    Path("results/run_cycles/earlier", name).write_text(content)


def summary_with(**changes):
    summary = json.loads(Path("results/run_cycles/earlier/summary.json").read_text())
    earlier("summary.json", json.dumps({**summary, **changes}))


RESULTS = {
    "summary: junk": (lambda: earlier("summary.json", "{"), "summary.json is damaged"),
    "summary: a list": (lambda: earlier("summary.json", "[]"), "summary.json is damaged"),
    "summary: deep": (lambda: earlier("summary.json", "[" * 20_000), "summary.json is damaged"),
    "summary: no accuracy": (lambda: summary_with(test_accuracy=None), "test_accuracy is None"),
    "summary: NaN": (lambda: summary_with(test_accuracy=float("nan")), "test_accuracy is nan"),
    "summary: beyond floats": (lambda: summary_with(test_accuracy=10**400), "test_accuracy is 1000"),
    "summary: part of an update": (lambda: summary_with(updates=8.5), "updates is 8.5"),
    "summary: other updates": (
        lambda: summary_with(updates=10**12),
        "history.csv does not end after the 1000000000000",
    ),
    "config: junk": (lambda: earlier("config.json", "\0"), "config.json is damaged"),
    "config: empty": (lambda: earlier("config.json", "{}"), "lacks eta_max, eta_min, step_size"),
    "config: text": (
        lambda: earlier("config.json", '{"step_size": "5", "eta_min": 0.1, "eta_max": 0.2}'),
        "config.json is damaged .step_size is '5'",
    ),
    "config: another schedule": (
        lambda: earlier("config.json", '{"step_size": 5, "eta_min": 0.1, "eta_max": 0.2, "schedule": "up"}'),
        "config.json is damaged .schedule is 'up'; it must be one of cyclical,",
    ),
    "history: missing": (lambda: Path("results/run_cycles/earlier/history.csv").unlink(), "history.csv cannot be read"),
    "history: empty": (lambda: earlier("history.csv", ""), "history.csv does not end"),
    "history: other columns": (lambda: earlier("history.csv", "a,b\n1,2\n"), "history.csv is damaged"),
    "history: cut": (lambda: earlier("history.csv", "step,eta\n1"), "history.csv is damaged"),
}


@pytest.mark.parametrize(("damage", "message"), RESULTS.values(), ids=RESULTS)
def test_a_damaged_folder_is_not_drawn(refused, damage, message):
    damage()
    refused("plot_run", ("results/run_cycles/earlier",), message)


def test_images_that_no_figure_can_show_are_refused(refused):
    x, y = np.zeros((4, 6, 6, 2), np.uint8), np.arange(4) % 2
    np.savez("two.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    arguments = ("--data", "two.npz", "--images", "2")
    refused("augmentation_examples", arguments, "--data is two.npz: its images have 2 channels; 1 or 3 can be drawn")


def test_a_training_of_a_trillion_updates_is_drawn(outcome):
    summary_with(updates=10**12)
    run_folder.write_history(Path("results/run_cycles/earlier"), [Record(step, *[0.1] * 7) for step in (0, 10**12)])
    assert outcome("plot_run", "results/run_cycles/earlier") == (0, [])


@contextlib.contextmanager
def no_file_larger_than(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def checkpoint(name, content=b"junk"):
    file = unfinished.checkpoint_of(Path("results", name))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("script", "arguments", "name"),
    [("run_cycles", CYCLES, CYCLES_NAME), ("side_by_side", PAIR, PAIR_NAME)],
    ids=["run_cycles", "side_by_side"],
)
@pytest.mark.usefixtures("undrawn")
class TestUnfinishedTraining:
    def test_it_is_not_begun_anew_unasked(self, refused, script, arguments, name):
        checkpoint(name)
        refused(script, arguments, "holds an unfinished run: --resume goes on with it, or move it away")

    def test_a_damaged_checkpoint_is_refused(self, refused, script, arguments, name):
        checkpoint(name)
        refused(script, (*arguments, "--resume"), "is no checkpoint or a damaged one")

    def test_a_run_that_is_being_trained_is_refused(self, refused, script, arguments, name):
        file = checkpoint(name)
        with unfinished.locked(file.with_suffix(".lock")):
            for resume in ((), ("--resume",)):
                refused(script, (*arguments, *resume), "is held by another process that trains this run")

    def test_killed_before_its_checkpoint_was_removed_a_finished_one_is_taken(
        self, outcome, monkeypatch, script, arguments, name
    ):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "remove", lambda _: None)
            assert outcome(script, *arguments) == (0, [])
        assert unfinished.checkpoint_of(Path("results", name)).exists()
        assert outcome(script, *arguments, "--resume") == (0, [])
        assert {path.name for path in Path("results", name).parent.iterdir()} - {"earlier"} == {Path(name).name}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("--l2", "0.5"), "is of another run: its l2 is "),
            (("--hidden", "6"), "is of another run: its hidden is "),
            (("--data", "other/tiny.npz"), "is of another run: its data is "),
        ],
        ids=["settings", "network", "data"],
    )
    def test_another_checkpoint_is_refused(
        self, refused, outcome, monkeypatch, script, arguments, name, change, message
    ):
        Path("other").mkdir()
        arrays = dict(np.load("tiny.npz"))
        np.savez("other/tiny.npz", **{**arrays, "x_train": arrays["x_train"][::-1]})
        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "write_json", full)
            code, lines = outcome(script, *arguments)
        assert code == 2
        assert lines == [
            f"error: cannot write the results results/{name} (No space left on device); the training is kept: mend "
            "this, then --resume writes the results"
        ]
        assert not list(Path("results").rglob(".unfinished-*"))
        refused(script, (*arguments, *change, "--resume"), message)
        assert outcome(script, *arguments, "--resume") == (0, [])
        assert Path("results", name, "summary.json").exists()
        assert not unfinished.checkpoint_of(Path("results", name)).exists()

    def test_a_full_disk_is_named(self, refused, script, arguments, name):
        message = f"cannot write the checkpoint results/{name}.* .File too large., there is none before it: mend"
        with no_file_larger_than(1):
            refused(script, arguments, message)

    def test_a_finished_one_is_made_again_unless_it_is_to_be_taken(self, outcome, script, arguments, name):
        for resume in ((), (), ("--resume",)):
            assert outcome(script, *arguments, *resume) == (0, [])
        made = {path.name for path in Path("results", name).parent.iterdir()} - {"earlier"}
        assert made == {Path(name).name, f"{Path(name).name}-2"}

    def test_asked_to_end_while_results_are_written_it_writes_them_first(
        self, outcome, monkeypatch, script, arguments, name
    ):
        monkeypatch.setattr(run_folder, "write_json", asking_to_end(run_folder.write_json))
        code, lines = outcome(script, *arguments)
        assert code == 143
        assert lines == [
            f"error: interrupted; {Path(name).name} has finished, and the same command with --resume makes what is left"
        ]
        assert Path("results", name, "summary.json").exists()


def test_a_damaged_checkpoint_of_a_later_run_is_found_before_the_first_is_trained(refused):
    checkpoint("run_cycles/3-cycles-changed_tiny_seed0")
    refused("run_cycles", (*CYCLES, "--runs", "1-cycle", "3-cycles", "--resume"), "3-cycles.* is no checkpoint")


def test_going_on_with_other_threads_is_told(monkeypatch, capsys):
    net, state = MLP([2, 2], rng=np.random.default_rng(0)), np.random.default_rng(0).bit_generator.state
    training_state = partial(checkpoints.training_state, updates=1, record_every=1)
    file = unfinished.checkpoint_of(Path("a"))
    checkpoints.write(file, checkpoints.values_of(net), TrainingState(1, state, [Record(0, *[0.1] * 7)]), {})
    threads = run_folder.arithmetic()["threads"]

    def warning():
        with unfinished.Unfinished(
            Path("a"), checkpoints.values_of(net), {}, training_state, resume=True, seconds=9
        ) as training:
            training.keep_last()
            shutil.copy(file, "kept")
        shutil.copy("kept", file)
        return capsys.readouterr().err

    assert warning() == ""
    commit = run_folder.commit() or ""
    monkeypatch.setattr(checkpoints, "arithmetic", lambda: {**run_folder.arithmetic(), "threads": "99"})
    monkeypatch.setattr(checkpoints, "commit", lambda: "0000000")
    assert warning() == (
        f"warning: since {file} was written: threads '{threads}' -> '99', commit '{commit}' -> '0000000'; "
        "bits may differ\n"
    )


def test_both_variables_that_may_decide_the_threads_are_told(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert run_folder.arithmetic.__wrapped__()["threads"] == "OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=2"


def test_a_blas_may_have_no_version(monkeypatch):
    monkeypatch.setattr(np, "show_config", lambda **_: {"Build Dependencies": {"blas": {"name": "mine"}}})
    assert run_folder.arithmetic.__wrapped__()["blas"] == "mine None"


def test_the_commit_is_found_without_writing_into_the_repository(here, monkeypatch):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a"]
    for command in (["init", "-q"], ["add", "tiny.npz"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)
    expected = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setattr(run_folder, "__file__", str(here / "script.py"))
    commit = getattr(run_folder.commit, "__wrapped__", run_folder.commit)
    os.utime("tiny.npz", (1, 1))
    before = Path(".git/index").read_bytes()
    assert commit() == expected
    assert Path(".git/index").read_bytes() == before
    Path("tiny.npz").write_text("other")
    assert commit() == f"{expected}-dirty"


def test_a_run_whose_name_only_begins_like_this_one_is_another():
    for name, finished in (("a_seed10", None), ("a_seed1-b", None), ("a_seed1-2", Path("a_seed1-2"))):
        Path(name).mkdir()
        run_folder.write_json(Path(name, "config.json"), {"l2": 1})
        run_folder.write_json(Path(name, "summary.json"), {})
        assert run_folder.finished(Path(), "a_seed1", {"l2": 1}) == finished


@pytest.mark.parametrize(
    ("loss", "code"), [(lambda: np.float32(3e38) * 10, 3), (lambda: np.float32(3e38), 0)], ids=["infinite", "large"]
)
def test_a_test_loss_that_is_not_finite_is_divergence(outcome, monkeypatch, loss, code):
    monkeypatch.setattr(run_cycles, "evaluate", lambda *_: (float(loss()), 0.5))
    assert outcome("run_cycles", *CYCLES)[0] == code
    assert Path("results", CYCLES_NAME).exists() == (code == 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_comparison_that_diverges_names_layer_and_remedy(outcome, dtype):
    code, (line,) = outcome("side_by_side", *PAIR, "--dtype", dtype, "--l2", "1e300")
    assert code == 3
    assert re.search(r"the first numbers to break are in linear\d\.weight: lower the learning rate", line)


@pytest.mark.parametrize("error", [MemoryError("9 GiB"), RuntimeError("[1] can't allocate memory: 9 GiB")], ids=repr)
def test_memory_that_is_not_there_is_named(refused, monkeypatch, error):
    def load(*_):
        raise error

    monkeypatch.setattr(run_cycles, "load", load)
    refused("run_cycles", (), "not enough memory: .*9 GiB; choose a smaller network or less data")


def asking_to_end(function, number=signal.SIGTERM):
    """The function, whose first call asks this process to end."""
    calls = iter([number])

    def called(*arguments, **settings):
        for once in calls:
            os.kill(os.getpid(), once)
        return function(*arguments, **settings)

    return called


LOADING = {
    "run_cycles": "load",
    "side_by_side": "load",
    "whole_runs": "load",
    "check_gradients": "load",
    "benchmark": "random_images",
    "cost_growth": "random_images",
    "plot_run": "plot_run",
    "search": "load",
    "augmentation_examples": "load",
    "lr_range_test": "load",
    "best_mlp": "load",
    "best_update": "measured",
    "step_size_error": "problem",
    "reproduce": "opened",
    **{script.__name__: "show" for part in reproduce.PARTS.values() for script in part.scripts},
    "ablation": "opened",
}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("script", LOADING)
def test_asked_to_end_while_it_reads_a_script_ends_in_one_line(outcome, monkeypatch, script, number, code):
    module = importlib.import_module(script)
    monkeypatch.setattr(module, LOADING[script], asking_to_end(getattr(module, LOADING[script]), number))
    before = files()
    expected = (code, ["error: interrupted; what had finished is kept"])
    assert outcome(script, *(["results"] if script == "plot_run" else [])) == expected
    assert files() == before


@pytest.mark.parametrize(
    ("script", "number", "code"),
    [
        *(pytest.param(script, signal.SIGINT, 130, id=f"{script}-Ctrl-C") for script in SCRIPTS),
        pytest.param(SCRIPTS[0], signal.SIGTERM, 143, id=f"{SCRIPTS[0]}-SIGTERM"),
        *(
            pytest.param(script, signal.SIGTERM, 143, id=f"{script}-SIGTERM", marks=pytest.mark.thorough)
            for script in SCRIPTS[1:]
        ),
    ],
)
def test_asked_to_end_while_it_imports_a_script_ends_in_one_line(script, number, code):
    """The request comes when the first of the heavy packages is looked for."""
    program = f"""
import os, runpy, sys
class Finder:
    @staticmethod
    def find_spec(name, *_):
        if name == "numpy":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Finder)
sys.path.insert(0, {str(EXPERIMENTS)!r})
runpy.run_path({str(EXPERIMENTS / script)!r} + ".py", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "error: interrupted; what had finished is kept\n")


@pytest.mark.parametrize("number", interruption.SIGNALS, ids=lambda number: number.name)
def test_a_signal_that_is_to_be_ignored_stays_ignored(number):
    """As a shell starts what runs in the background, and nohup."""
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(EXPERIMENTS)!r})
import interruption
signal.signal({int(number)}, signal.SIG_IGN)
interruption.end_at_once()
with interruption.handled(interruption.unwound):
    os.kill(os.getpid(), {int(number)})
os.kill(os.getpid(), {int(number)})
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_asked_to_end_a_training_says_what_it_does(tmp_path, capfd):
    training = unfinished.Unfinished(tmp_path / "a", {}, {}, None, resume=False, seconds=9)
    with pytest.raises(interruption.Interrupted), training:
        os.kill(os.getpid(), signal.SIGINT)
    expected = "ending after this update, or when the results are written; again: at once"
    assert capfd.readouterr().err.splitlines() == ["", expected]


MEASURED = {"manual": np.ones(1), "floor": np.ones(1), "torch eager": np.ones(1)}


@pytest.fixture
def measured(monkeypatch):
    """The measurements, without measuring."""
    for module in (benchmark, cost_growth):
        monkeypatch.setattr(module, "measured", lambda *_: (MEASURED, {}))
        monkeypatch.setattr(module, "random_images", lambda _: (np.ones((9, 3072)), np.zeros(9)))
    row = {"run": "1-cycle", "seconds": {"manual": [1.0], "twin": [1.0]}, "test_accuracy": {"manual": 1, "twin": 1}}
    monkeypatch.setattr(whole_runs, "check", lambda *_: None)
    monkeypatch.setattr(whole_runs.LatestSplits, "split", lambda *_: None)
    monkeypatch.setattr(whole_runs, "timed", lambda *_: row)


MEASUREMENTS = {"benchmark": (), "cost_growth": (), "whole_runs": ("--data", "tiny.npz")}


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("script", "arguments"), MEASUREMENTS.items(), ids=MEASUREMENTS)
class TestMeasurement:
    def test_a_full_disk_is_named(self, refused, script, arguments):
        with no_file_larger_than(1):
            refused(script, arguments, f"cannot write the results results/{script}/{script}.* .File too large.")

    def test_asked_to_end_while_results_are_written_it_leaves_none(self, outcome, monkeypatch, script, arguments):
        before = files()
        monkeypatch.setattr(run_folder, "write_json", asking_to_end(run_folder.write_json))
        assert outcome(script, *arguments) == (143, ["error: interrupted; what had finished is kept"])
        assert files() == before
        assert not list(Path("results").rglob(".unfinished-*"))

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has /dev/full")
    def test_it_is_kept_where_it_cannot_be_printed(self, outcome, monkeypatch, script, arguments):
        with Path("/dev/full").open("w", buffering=1) as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            code, lines = outcome(script, *arguments)
        assert (code, lines) == (
            2,
            ["error: the output cannot be written (No space left on device); what had finished is kept"],
        )
        assert list(Path("results", script).glob("*/summary.json"))


def killed_while_it_writes_results():
    program = f"""
import os, sys
sys.path.insert(0, {str(EXPERIMENTS)!r})
import run_folder
from pathlib import Path
with run_folder.new_folder(Path("results"), "a") as folder:
    (folder / "half").write_text("")
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9


def test_what_a_killed_script_left_is_removed_by_the_next_of_its_name():
    killed_while_it_writes_results()
    assert {path.name for path in Path("results").glob(".*")} == {".lock", ".unfinished-a"}
    with run_folder.new_folder(Path("results"), "a") as folder:
        (folder / "whole").write_text("")
    assert sorted(path.name for path in Path("results").iterdir()) == ["a", "run_cycles"]
    assert [path.name for path in Path("results/a").iterdir()] == ["whole"]


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "without locks"])
@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (Path, "replace")], ids=["writing", "renaming"])
def test_a_file_that_cannot_be_replaced_stays(monkeypatch, module, name, alone):
    before = files()
    monkeypatch.setattr(module, name, full)
    with pytest.raises(OSError, match="No space left"):
        run_folder.replace(Path("tiny.npz"), b"new", alone=alone)
    assert files() == before


def test_a_replaced_file_is_like_any_other(on_disk):
    Path("other").write_bytes(b"new")
    run_folder.replace(Path("tiny.npz"), b"new")
    assert Path("tiny.npz").read_bytes() == b"new"
    assert Path("tiny.npz").stat().st_mode == Path("other").stat().st_mode
    assert on_disk == [Path("tiny.npz").stat().st_ino, Path().stat().st_ino]
    assert not list(Path().glob(".*"))


def without_locks(monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)


def test_where_there_are_no_locks_no_folder_takes_the_place_of_another(monkeypatch):
    without_locks(monkeypatch)
    with run_folder.new_folder(Path("results"), "a") as first:
        with run_folder.new_folder(Path("results"), "a") as second:
            (second / "second").write_text("")
        (first / "first").write_text("")
    assert sorted(path.name for path in Path("results").iterdir()) == ["a", "a-2", "run_cycles"]
    assert [path.name for path in Path("results/a").iterdir()] == ["second"]
    assert [path.name for path in Path("results/a-2").iterdir()] == ["first"]


def test_where_there_are_no_locks_a_training_says_so_and_goes_on(outcome, monkeypatch):
    without_locks(monkeypatch)
    code, lines = outcome("run_cycles", *CYCLES)
    assert code == 0
    assert set(lines) == {"note: results/run_cycles has no locks: start no other process on the same there"}


@pytest.fixture
def on_disk(monkeypatch):
    """The files and folders that were brought onto the disk, as numbers."""
    numbers = []
    monkeypatch.setattr(os, "fsync", lambda stream: numbers.append(os.fstat(stream).st_ino))
    return numbers


def test_results_are_on_the_disk_before_the_checkpoint_is_removed(outcome, monkeypatch, on_disk):
    monkeypatch.setattr(checkpoints, "remove", lambda file: (file.unlink(), on_disk.append(None)))
    assert outcome("run_cycles", *CYCLES) == (0, [])
    folder = Path("results", CYCLES_NAME)
    before = on_disk[: on_disk.index(None)]
    assert {path.stat().st_ino for path in (*folder.iterdir(), folder, folder.parent)} <= set(before)
    assert before[-1] == folder.parent.stat().st_ino


def test_the_name_of_a_checkpoint_is_on_the_disk(on_disk):
    file = unfinished.checkpoint_of(Path("results/a"))
    checkpoints.write(file, {"a": np.ones(1)}, TrainingState(1, {}, []), {})
    assert on_disk == [file.stat().st_ino, file.parent.stat().st_ino]


def test_a_folder_that_is_being_written_is_waited_for(capsys):
    program = f"""
import sys
sys.path.insert(0, {str(EXPERIMENTS)!r})
import run_folder
from pathlib import Path
with run_folder.new_folder(Path("results"), "a") as folder:
    print("writing", flush=True)
    sys.stdin.read(1)
    (folder / "first").write_text("")
"""
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "writing\n"
    (Path("results") / ".unfinished-a" / "seen").write_text("")
    timer = threading.Timer(0.1, lambda: other.communicate("x"))
    timer.start()
    with run_folder.new_folder(Path("results"), "a") as folder:
        (folder / "second").write_text("")
    assert sorted(path.name for path in Path("results/a").iterdir()) == ["first", "seen"]
    assert [path.name for path in Path("results/a-2").iterdir()] == ["second"]
    assert capsys.readouterr().err == "waiting for another process that writes in results\n"
    timer.join()


STREAMS = {
    "stderr closed": ("2>&-", 0, ""),
    "stdout closed": (">&-", 0, ""),
    "all closed": ("<&- >&- 2>&-", 0, ""),
    "stdout full": (">/dev/full", 2, "error: the output cannot be written (No space left on device)"),
    "no display": ("", 0, ""),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has /dev/full")
@pytest.mark.parametrize(
    ("streams", "code", "message"),
    [
        pytest.param(*row, id=name, marks=[pytest.mark.thorough] * (name in ("stderr closed", "stdout closed")))
        for name, row in STREAMS.items()
    ],
)
def test_streams_that_are_closed_or_full(streams, code, message):
    script = EXPERIMENTS / "run_cycles.py"
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        ["sh", "-c", f'"$@" {streams}', "sh", sys.executable, script, *CYCLES],
        capture_output=True,
        text=True,
        env={**environment, "MPLBACKEND": "TkAgg", "PYTHONUNBUFFERED": ""},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stderr.splitlines() or [""])[-1].startswith(message)
    assert Path("results", CYCLES_NAME, "summary.json").exists() or code


def test_a_developer_sees_where_an_error_comes_from():
    done = subprocess.run(
        [sys.executable, "-X", "dev", EXPERIMENTS / "plot_run.py", "nowhere"], capture_output=True, text=True
    )
    assert "Traceback" in done.stderr
    assert "ValueError: nowhere/history.csv cannot be read" in done.stderr


def test_every_script_is_in_the_catalogue():
    assert set(LOADING) >= set(SCRIPTS)
    assert {row[0] for row in WRONG} >= set(SCRIPTS)
