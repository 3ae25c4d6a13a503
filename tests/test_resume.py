"""Nothing lost: a training that is stopped, by anything, goes on to the same bits."""

import dataclasses
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import checkpoints
import interruption
import numpy as np
import pytest
import run_folder
import unfinished
from checkpoints import values_of
from conftest import PATIENCE
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_torch_file

from manual_mlp import MLP, Record, TrainingState, train
from torch_reference import Twin

ROOT = Path(__file__).parent.parent
SETTINGS = ("--cycles", "2", "--n-train", "150", "--n-validation", "50", "--batch-size", "20", "--hidden", "7", "6")


training_state = functools.partial(checkpoints.training_state, updates=17, record_every=4)
FIRST = Record(0, 0.1, 1.1, 1.2, 0.3, 1.4, 1.5, 0.2)


class Stop(Exception):
    pass


def problem(images, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(images, 5)).astype(np.float32), rng.integers(0, 3, images)


def network():
    return MLP([5, 8, 6, 3], batch_norm=True, rng=np.random.default_rng(0))


def trained(net, rng, on_state=lambda _: None, resume=None, updates=17):
    return train(
        net,
        problem(23),
        problem(9, seed=1),
        learning_rate=lambda step: 0.1 / (1 + step),
        updates=updates,
        batch_size=5,
        l2=0.01,
        record_every=4,
        rng=rng,
        on_state=on_state,
        resume=resume,
    )


@pytest.mark.parametrize("stop", range(1, 18), ids=lambda stop: f"after {stop}")
def test_a_training_stopped_after_any_update_goes_on_to_the_same_bits(tmp_path, stop):
    """Through a file, into a network of other values, with a generator of another seed; five updates are an epoch."""

    def write_and_stop(state):
        if state.step == stop:
            checkpoints.write(tmp_path / "a.safetensors", values_of(first), state, {"seed": 0})
            raise Stop

    whole, first = network(), network()
    history = trained(whole, np.random.default_rng(3))
    with pytest.raises(Stop):
        trained(first, np.random.default_rng(3), write_and_stop)
    second = MLP(first.sizes, batch_norm=True, rng=np.random.default_rng(99))
    state = checkpoints.read(tmp_path / "a.safetensors", values_of(second), {"seed": 0}, training_state)
    assert state.step == stop
    assert trained(second, np.random.default_rng(77), resume=state) == history
    np.testing.assert_array_equal(second.parameters.flat, whole.parameters.flat)
    np.testing.assert_array_equal(second.buffers.flat, whole.buffers.flat)


def test_torch_loads_a_checkpoint_straight_into_the_twin(tmp_path):
    net = network()
    trained(
        net,
        np.random.default_rng(3),
        lambda state: checkpoints.write(tmp_path / "a.safetensors", values_of(net), state, {}),
    )
    twin = Twin(net)
    twin.load_state_dict(load_torch_file(tmp_path / "a.safetensors"))
    for name, value in {**net.parameters, **net.buffers}.items():
        np.testing.assert_array_equal(twin.state_dict()[name].numpy(), value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"step": 3}, "resume is a dict; it must be a TrainingState"),
        (TrainingState(18, np.random.default_rng(0).bit_generator.state, []), "resume.step is 18, beyond the 17"),
        (TrainingState(-1, np.random.default_rng(0).bit_generator.state, []), "resume.step is -1"),
        (TrainingState(3, np.random.Generator(np.random.MT19937(0)).bit_generator.state, []), "resume.epoch is no"),
        (TrainingState(3, {}, []), "resume.epoch is no state"),
    ],
    ids=["type", "beyond the end", "negative", "another generator", "empty"],
)
def test_a_state_that_cannot_be_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        trained(network(), np.random.default_rng(0), resume=state)


@pytest.fixture
def checkpoint(tmp_path):
    file = tmp_path / "a.unfinished.safetensors"
    state = TrainingState(3, np.random.default_rng(0).bit_generator.state, [FIRST])
    checkpoints.write(file, values_of(network()), state, {"seed": 0, "hidden": (8, 6)})
    return file


def without_metadata(file):
    save_file(load_file(file), file)


def other_network(file):
    state = TrainingState(3, np.random.default_rng(0).bit_generator.state, [FIRST])
    net = MLP([5, 8, 7, 3], batch_norm=True, rng=np.random.default_rng(0))
    checkpoints.write(file, values_of(net), state, {"seed": 0, "hidden": (8, 6)})


def too_large(file):
    with file.open("ab") as stream:
        stream.truncate(checkpoints.MOST_METADATA + 10**6)


def with_metadata(**changes):
    """The checkpoint with other metadata: `run` and parts of `training`."""

    def damage(file):
        with safe_open(file, framework="numpy") as content:
            metadata = content.metadata()
        run = changes.pop("run", metadata["run"])
        training = json.dumps({**json.loads(metadata["training"]), **changes})
        save_file(load_file(file), file, {"training": training, "run": run})

    return damage


def not_finite(file):
    with safe_open(file, framework="numpy") as content:
        metadata = content.metadata()
    save_file({**load_file(file), "linear1.bias": np.full(8, np.nan, np.float32)}, file, metadata)


EPOCH = np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "no checkpoint or a damaged one"),
        (lambda file: file.write_bytes(b""), "no checkpoint or a damaged one"),
        (lambda file: file.write_bytes(b"\x80\x04K*."), "no checkpoint or a damaged one"),  # a pickle
        (without_metadata, "no checkpoint or a damaged one"),
        (other_network, "holds another network"),
        (too_large, "too large"),
        (not_finite, "values that are not finite"),
        (with_metadata(run="[]"), "does not say what run it is of"),
        (with_metadata(run="[" * 100_000), "no checkpoint or a damaged one"),
        (with_metadata(history=[]), "its history does not fit its updates"),
        (with_metadata(step=0), "step is 0; it must be"),
        (with_metadata(step=3.0), "step is 3.0; it must be"),
        (with_metadata(step=18), "a.unfinished.safetensors is no.*step is 18, beyond the 17 updates"),
        (with_metadata(step=5), "its history does not fit its updates"),
        (with_metadata(history=[{**vars(FIRST), "step": False}]), "step is False"),
        (with_metadata(history=[{**vars(FIRST), "train_loss": float("nan")}]), "train_loss is nan"),
        (with_metadata(history=[{**vars(FIRST), "train_loss": "x"}]), "no checkpoint or a damaged one"),
        (with_metadata(epoch={}), "no checkpoint or a damaged one"),
        (with_metadata(epoch={**EPOCH, "state": {"state": -1, "inc": 2**200}}), "no checkpoint or a damaged one"),
    ],
    ids=[
        *("truncated", "empty", "a pickle", "tensors alone", "another network", "too large", "not finite"),
        *("no run", "deep", "no history", "no step", "part of a step", "beyond the end"),
        *(
            "a record missing",
            "no number of a record",
            "NaN",
            "text for a number",
            "no generator",
            "an impossible generator",
        ),
    ],
)
def test_a_file_that_is_no_checkpoint_of_this_network_is_refused(checkpoint, damage, message):
    damage(checkpoint)
    net = network()
    before = net.parameters.flat.copy()
    with pytest.raises(ValueError, match=message):
        checkpoints.read(checkpoint, values_of(net), {"seed": 0, "hidden": (8, 6)}, training_state)
    np.testing.assert_array_equal(net.parameters.flat, before)


def test_a_checkpoint_of_another_run_is_refused(checkpoint):
    with pytest.raises(ValueError, match=r"is of another run: its seed is 0, here it is 1; go on with the same"):
        checkpoints.read(checkpoint, values_of(network()), {"seed": 1, "hidden": (8, 6)}, training_state)


def test_a_write_that_fails_leaves_the_checkpoint_before(checkpoint, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    before = checkpoint.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    state = TrainingState(4, np.random.default_rng(0).bit_generator.state, [])
    run = unfinished.Unfinished(
        checkpoint.with_name("a"), values_of(network()), {}, training_state, resume=True, seconds=0
    )
    with pytest.raises(OSError, match=r"No space left on device.*the one before it is kept"):
        run.keep(state)
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_values_that_are_not_finite_are_not_written(checkpoint):
    before, net = checkpoint.read_bytes(), network()
    net.parameters["linear2.bias"][1] = np.nan
    checkpoints.write(checkpoint, values_of(net), TrainingState(4, {}, []), {})
    assert checkpoint.read_bytes() == before


def command(images, results, *arguments):
    places = ("--data", images, "--results", results)
    return [str(part) for part in (*places, "--runs", "3-layer-bn", *SETTINGS, *arguments)]


def start(images, results, *arguments):
    script = [sys.executable, str(ROOT / "experiments" / "run_cycles.py")]
    return subprocess.Popen(
        [*script, *command(images, results, *arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return output


NAME = "3-layer-bn-changed_tiny_seed0"


def bits(results, number=""):
    """What a run leaves that does not depend on the clock."""
    folder = results / "run_cycles" / f"{NAME}{number}"
    summary = json.loads((folder / "summary.json").read_text())
    network = load_file(folder / "network.safetensors")
    return (
        (folder / "history.csv").read_text(),
        {name: value.tobytes() for name, value in network.items()},
        summary["test_accuracy"],
        summary["test_loss"],
    )


def wait_for(file, process, after=0.0):
    """Until the file is newer than `after`."""
    while process.poll() is None:
        if file.exists() and file.stat().st_mtime > after:
            return
        time.sleep(0.001)


@pytest.mark.parametrize("moments", [3, pytest.param(20, marks=pytest.mark.thorough)])
def test_killed_at_random_moments_a_run_ends_in_the_same_bits(run_cycles_here, images, tmp_path, moments):
    """Every update is saved, so that most moments are within the writing of a checkpoint."""
    updates = ("--step-size", "800")
    assert run_cycles_here(tmp_path / "whole", *updates).returncode == 0
    draw = random.Random(0)
    file = tmp_path / "killed" / "run_cycles" / f"{NAME}.unfinished.safetensors"
    for _ in range(moments):
        before = file.stat().st_mtime if file.exists() else 0.0
        process = start(images, tmp_path / "killed", *updates, "--checkpoint-seconds", "0", "--resume")
        wait_for(file, process, before)
        time.sleep(draw.uniform(0, 0.05))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "must not have finished: give it more updates"
        assert not (tmp_path / "killed" / "run_cycles" / NAME).exists()
    finish(start(images, tmp_path / "killed", *updates, "--resume"))
    assert bits(tmp_path / "killed") == bits(tmp_path / "whole")
    summary = json.loads((tmp_path / "killed" / "run_cycles" / NAME / "summary.json").read_text())
    assert summary["resumed_after_updates"] > moments
    assert [path.name for path in file.parent.iterdir()] == [NAME]


UPDATES = ("--step-size", "300")
EXTRAS = (
    "--optimizer adam --eta-max 0.01 --dropout 0.2 --shift 1 --flip 0.5 --hidden 6 6 --skips 2 --label-smoothing 0.1 "
    "--statistics precise"
)


@pytest.fixture
def run_cycles_here(run_here, images, undrawn):  # noqa: ARG001
    """As `start`, but in this process, and without figures."""
    return lambda results, *arguments: run_here("run_cycles", *command(images, results, *arguments))


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """The bits of a run that nothing stopped."""
    results = tmp_path_factory.mktemp("whole")
    finish(start(images, results, *UPDATES))
    return bits(results)


def asked_to_end_when_it_keeps_what_it_has(monkeypatch):
    """A run in this process is sent SIGTERM in the first checkpoint that it writes."""

    def write_and_be_asked(*arguments):
        monkeypatch.setattr(checkpoints, "write", write)
        os.kill(os.getpid(), signal.SIGTERM)
        return write(*arguments)

    write = checkpoints.write
    monkeypatch.setattr(checkpoints, "write", write_and_be_asked)


def test_a_run_with_every_extra_goes_on_to_the_same_bits(run_cycles_here, monkeypatch, tmp_path):
    """The optimizer's moments are kept, and noise is drawn anew for the update that it belongs to."""
    extras = ("--step-size", "20", *EXTRAS.split())
    assert run_cycles_here(tmp_path / "whole", *extras).returncode == 0
    asked_to_end_when_it_keeps_what_it_has(monkeypatch)
    assert run_cycles_here(tmp_path / "stopped", *extras, "--checkpoint-seconds", "0").returncode == 143
    file = tmp_path / "stopped" / "run_cycles" / f"{NAME}.unfinished.safetensors"
    assert {"sum_of_gradients", "sum_of_squares", "updates"} <= set(load_file(file))
    assert run_cycles_here(tmp_path / "stopped", *extras, "--resume").returncode == 0
    assert bits(tmp_path / "stopped") == bits(tmp_path / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_asked_to_end_says_how_to_go_on(run_cycles_here, images, whole, tmp_path, number, code):
    process = start(images, tmp_path, *UPDATES, "--checkpoint-seconds", "0")
    file = tmp_path / "run_cycles" / f"{NAME}.unfinished.safetensors"
    wait_for(file, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert errors.splitlines()[-1].startswith("error: interrupted after ")
    assert errors.splitlines()[-1].endswith("the same command with --resume goes on")
    assert "Traceback" not in errors

    again = run_cycles_here(tmp_path, *UPDATES)
    assert "holds an unfinished run: --resume goes on with it" in again.stderr
    assert again.returncode == 2
    other = run_cycles_here(tmp_path, *UPDATES, "--resume", "--l2", "0.1")
    assert "is of another run: its l2 is 0.005, here it is 0.1" in other.stderr
    assert other.returncode == 2

    assert run_cycles_here(tmp_path, *UPDATES, "--resume").returncode == 0
    assert bits(tmp_path) == whole


def test_a_run_that_had_finished_is_taken_as_it_is(run_cycles_here, tmp_path):
    def printed(*arguments):
        done = run_cycles_here(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = printed("--step-size", "5")
    folders = sorted((tmp_path / "run_cycles").iterdir())
    assert printed("--step-size", "5", "--resume") == first
    assert sorted((tmp_path / "run_cycles").iterdir()) == folders
    assert printed("--step-size", "6", "--resume") != first
    assert (tmp_path / "run_cycles" / f"{NAME}-2").exists()


def test_two_processes_do_not_train_one_run(run_cycles_here, images, tmp_path):
    first = start(images, tmp_path, "--step-size", "3000", "--checkpoint-seconds", "0")
    wait_for(tmp_path / "run_cycles" / f"{NAME}.unfinished.safetensors", first)
    second = run_cycles_here(tmp_path, "--step-size", "3000", "--resume")
    assert "is held by another process that trains this run" in second.stderr
    assert second.returncode == 2
    first.kill()
    first.communicate()


def test_divergence_keeps_the_last_good_checkpoint_and_names_the_layer(run_cycles_here, tmp_path):
    done = run_cycles_here(tmp_path, "--step-size", "50", "--eta-max", "1e30", "--checkpoint-seconds", "0")
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert "at update" in last
    assert "where eta is" in last
    assert "the first numbers to break are" in last
    values = load_file(tmp_path / "run_cycles" / f"{NAME}.unfinished.safetensors")
    assert all(np.isfinite(value).all() for value in values.values())


@pytest.mark.parametrize("name", ["linear1.weight", "bn2.bias", "linear3.bias"])
def test_the_first_layer_that_broke_is_named(name):
    net = network()

    def break_it(state):
        if state.step == 2:
            net.parameters[name].flat[0] = np.inf

    with pytest.raises(FloatingPointError, match=f"at update 2, .* the first numbers to break are in {name}: lower"):
        trained(net, np.random.default_rng(0), break_it)


def test_a_closed_output_is_one_line(images, tmp_path):
    process = start(images, tmp_path, "--step-size", "5")
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE) == 2
    assert errors.splitlines()[-1].startswith("error: the output was closed while the script was at work")
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_what_a_killed_writer_left_goes_with_the_checkpoint(checkpoint):
    checkpoint.with_name(f".unfinished-{checkpoint.name}").write_bytes(b"half a checkp")
    with unfinished.Unfinished(
        checkpoint.with_name("a"),
        values_of(network()),
        {"seed": 0, "hidden": (8, 6)},
        training_state,
        resume=True,
        seconds=9,
    ):
        assert checkpoint.exists()
    assert not list(checkpoint.parent.iterdir())


def test_an_interrupted_repetition_is_resumed_not_the_run_before(run_cycles_here, monkeypatch, tmp_path):
    assert run_cycles_here(tmp_path, *UPDATES).returncode == 0
    asked_to_end_when_it_keeps_what_it_has(monkeypatch)
    assert run_cycles_here(tmp_path, *UPDATES, "--checkpoint-seconds", "0").returncode == 143
    assert run_cycles_here(tmp_path, *UPDATES, "--resume").returncode == 0
    assert bits(tmp_path, "-2") == bits(tmp_path)
    assert sorted(path.name for path in (tmp_path / "run_cycles").iterdir()) == [NAME, f"{NAME}-2"]


def test_a_signal_after_the_last_update_ends_the_script_after_that_run(tmp_path):
    run = unfinished.Unfinished(tmp_path / "a", values_of(network()), {}, training_state, resume=False, seconds=99)

    def run_and_be_asked_to_end():
        with run:
            run.keep(TrainingState(3, EPOCH, [FIRST]))
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(interruption.Interrupted, match="a has finished") as ended:
        run_and_be_asked_to_end()
    assert ended.value.code == 143
    assert not list(tmp_path.iterdir())


def test_results_that_cannot_be_written_cost_no_training(tmp_path):
    """The last checkpoint has the record of the end no more: a resumed training takes it again."""

    def run_and_fail():
        with unfinished.Unfinished(
            tmp_path / "a", values_of(network()), {}, training_state, resume=False, seconds=99
        ) as run:
            run.keep(TrainingState(3, EPOCH, [FIRST, dataclasses.replace(FIRST, step=3)]))
            run.keep_last()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        run_and_fail()
    with unfinished.Unfinished(
        tmp_path / "a", values_of(network()), {}, training_state, resume=True, seconds=99
    ) as again:
        assert again.state == TrainingState(3, EPOCH, [FIRST])


def test_an_unfinished_run_is_refused_before_another_is_trained(run_cycles_here, tmp_path):
    (tmp_path / "run_cycles").mkdir()
    (tmp_path / "run_cycles" / f"{NAME}.unfinished.safetensors").write_bytes(b"")
    refused = run_cycles_here(tmp_path, "--runs", "1-cycle", "3-layer-bn", "--step-size", "5")
    assert "holds an unfinished run" in refused.stderr
    assert refused.returncode == 2
    assert len(list((tmp_path / "run_cycles").iterdir())) == 1


@pytest.mark.parametrize(
    "summary", ['{"test_accuracy": null}', "{}", "[" * 20_000, "[]", "nonsense"], ids=lambda s: s[:20]
)
def test_a_finished_folder_that_is_damaged_is_named(tmp_path, summary):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text('{"seed": 0, "data": "x"}')
    (tmp_path / "a" / "summary.json").write_text(summary)
    with pytest.raises(ValueError, match=r"a/summary.json is damaged .*; make the run again"):
        run_folder.read_summary(run_folder.finished(tmp_path, "a", {"seed": 0, "data": "x"}))


def test_a_second_request_does_not_wait(tmp_path):
    """Neither for the update, where a training is under way, nor for what is to be removed, where none is."""
    program = """
import os, signal, sys
from pathlib import Path
import interruption, unfinished
training = unfinished.Unfinished(Path(sys.argv[1]), {}, {}, None, resume=False, seconds=9)
with interruption.handled(training.note if sys.argv[2] == "note" else interruption.unwound):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except interruption.Interrupted:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    print("waited")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "experiments")])}
    for handler in ("note", "unwound"):
        command = [sys.executable, "-c", program, tmp_path / "a", handler]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stdout) == (143, "")
        assert done.stderr.endswith("error: interrupted; what had finished is kept\n")


def test_a_checkpoint_is_written_when_it_is_due_and_not_before(tmp_path, monkeypatch):
    clock, written = iter([0, 4, 5, 5, 9, 10, 10]), []
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    run = unfinished.Unfinished(tmp_path / "a", values_of(network()), {}, training_state, resume=False, seconds=5)
    monkeypatch.setattr(run, "write", lambda state: written.append(state.step))
    for step in (1, 2, 3, 4):
        run.keep(TrainingState(step, EPOCH, [FIRST]))
    assert written == [2, 4]
