"""The comparison of both networks, too, can be stopped by anything and goes on to the same bits."""

import functools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import side_by_side
from conftest import PATIENCE
from data_sources import load
from image_data import split
from unfinished import Unfinished, checkpoint_of

from manual_mlp import MLP

SCRIPT = Path(__file__).parent.parent / "experiments" / "side_by_side.py"
NAME = "3-layer-bn_float32_tiny_seed0"


class Stop(Exception):
    pass


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("stop", [1, 8, 11, 23, 24], ids=lambda stop: f"after {stop}")
def test_a_comparison_stopped_after_any_update_goes_on_to_the_same_bits(images, tmp_path, stop, dtype):
    """Through a file; eight updates are an epoch."""
    settings = side_by_side.Settings(
        dtype=dtype, hidden=(9, 8), updates=24, step_size=10, batch_size=20, n_train=160, data=str(images)
    )
    splits = split(load(str(images), tmp_path), 160, 1)
    comparison = functools.partial(side_by_side.comparison, updates=24)

    def trained(resume, on_state=lambda _: None):
        pair = side_by_side.Pair(settings, 108, 4)
        kept = Unfinished(tmp_path / "a", pair.values, {}, comparison, resume=resume, seconds=0)
        with kept as unfinished:

            def keep(state):
                unfinished.keep(state)
                on_state(state)

            return pair, side_by_side.train_both(pair, splits, settings, keep, unfinished.state)

    def end(state):
        if state.step == stop:
            raise Stop

    whole, expected = trained(resume=False)
    with pytest.raises(Stop):
        trained(resume=False, on_state=end)
    pair, drift = trained(resume=True)
    assert drift == expected
    for name, value in whole.values.items():
        if name != "seconds":
            np.testing.assert_array_equal(pair.values[name], value, err_msg=name)
    assert all((pair.seconds > 0).flat), "the times before the interruption are kept as well"


def test_the_twin_is_filled_from_the_checkpoint_in_place():
    pair = side_by_side.Pair(side_by_side.Settings(hidden=(9, 8)), 108, 4)
    for value in pair.values.values():
        value[...] = 0.5
    assert all((value == 0.5).all() for value in pair.twin.state_dict().values())
    assert isinstance(pair.net, MLP)
    assert (pair.net.parameters.flat == 0.5).all()


EPOCH = np.random.default_rng(0).bit_generator.state
WRITTEN = {
    "step": 4,
    "epoch": EPOCH,
    "drift": {"steps": [1, 2, 3, 4], **{name: [0.5] * 4 for name in ("parameters", "buffers", "losses")}},
}


def comparison_with(**changes):
    """What a comparison of 8 updates has written after 4 of them, with another drift, step or generator."""
    drift = WRITTEN["drift"]
    other = {key: changes.pop(key) for key in ("first_sign", *drift) if key in changes}
    content = {**WRITTEN, "drift": {**drift, **other}, **changes}
    return side_by_side.comparison(json.loads(json.dumps(content)), updates=8)


def test_a_drift_that_a_comparison_has_written_is_taken():
    assert comparison_with(first_sign=3).step == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": [1, 2, 3, 9]},
        {"parameters": []},
        {"parameters": [0.5, 0.5, 0.5, "x"]},
        {"losses": [0.5, 0.5, 0.5, float("nan")]},
        {"buffers": [0.5, 0.5, 0.5, True]},
        {"steps": [True, 2, 3, 4]},
        {"steps": [], "parameters": [], "buffers": [], "losses": []},
        {"first_sign": 4},
        {"first_sign": 0.5},
        {"first_sign": float("nan")},
        {"drift": {"steps": [1]}},
        {"drift": {}},
        {"drift": []},
        {"step": 4.0},
        {"step": 99},
        {"epoch": {}},
        {"epoch": {**EPOCH, "bit_generator": "MT19937"}},
    ],
    ids=[
        *("beyond its updates", "of unequal length", "text", "NaN", "true", "no number", "none", "a sign to come"),
        *("part of a sign", "no sign", "parts missing", "empty", "a list", "part of a step", "beyond the end"),
        *("no generator", "another generator"),
    ],
)
def test_what_no_comparison_has_written_is_refused(changes):
    with pytest.raises((TypeError, ValueError)):
        comparison_with(**changes)


def start(images, results, *arguments):
    settings = ("--dtype", "float32", "--hidden", "9", "8", "--updates", "700", "--step-size", "500")
    sizes = ("--batch-size", "20", "--n-train", "160", "--data", images, "--results", results)
    command = [sys.executable, SCRIPT, *settings, *sizes, *arguments]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return output


def result(results):
    summary = json.loads((results / "side_by_side" / NAME / "summary.json").read_text())
    return {name: value for name, value in summary.items() if "milliseconds" not in name}


@pytest.mark.thorough  # the tests above stop one in this process
def test_killed_and_interrupted_a_comparison_ends_in_the_same_summary(images, tmp_path, capsys):
    whole = start(images, tmp_path / "whole")
    draw = random.Random(0)
    file = checkpoint_of(tmp_path / "stopped" / "side_by_side" / NAME)
    for number, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        before = file.stat().st_mtime if file.exists() else 0.0
        process = start(images, tmp_path / "stopped", "--checkpoint-seconds", "0", "--resume")
        while process.poll() is None and not (file.exists() and file.stat().st_mtime > before):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, errors
        assert "Traceback" not in errors
    output = finish(start(images, tmp_path / "stopped", "--resume"))
    finish(whole)
    assert result(tmp_path / "stopped") == result(tmp_path / "whole")
    assert [path.name for path in file.parent.iterdir()] == [NAME]
    again = side_by_side.Settings(
        *("float32", (9, 8)),
        updates=700,
        step_size=500,
        batch_size=20,
        n_train=160,
        data=str(images),
        results=tmp_path / "stopped",
        resume=True,
    )
    side_by_side.main(again)
    assert capsys.readouterr().out == output, "taken as it is"
    assert [path.name for path in file.parent.iterdir()] == [NAME]
