"""The published cases from the command line."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import check_gradients
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def images(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (600, 8, 8, 3), np.uint8), np.arange(600) % 10
    np.savez(tmp_path / "tiny.npz", x_train=x[:500], y_train=y[:500], x_test=x[500:], y_test=y[500:])
    return str(tmp_path / "tiny.npz")


def run(*arguments):
    script = [sys.executable, str(ROOT / "experiments" / "check_gradients.py")]
    return subprocess.run([*script, *arguments], capture_output=True, text=True)


def test_cases_print_a_table_for_each_oracle(images):
    done = run("--data", images, "--cases", "R0", "R4-2", "--no-explain")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("every parameter agrees") == 4
    assert "published: W1: 99.4 % of the entries below 1e-6, max 1.40e-06" in done.stdout
    assert "Every entry is accounted for." in done.stdout


def test_json_is_one_document(run_here, images):
    done = run_here("check_gradients", "--data", images, "--cases", "R0", "--no-explain", "--json")
    document = json.loads(done.stdout)
    assert document["agrees"] is True
    rows = document["cases"]["R0"]["centered differences"]["parameters"]
    assert [row["name"] for row in rows] == ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    assert all(row["unexplained"] == 0 for row in rows)


def test_an_unexplained_entry_exits_1(images, monkeypatch, capsys):
    def wrong(net, x, y, l2=0.0):
        gradients = dict(right(net, x, y, l2))
        gradients["linear2.bias"] = gradients["linear2.bias"] * (1 + 1e-9)
        return gradients

    right = check_gradients.autograd_gradients
    monkeypatch.setattr(check_gradients, "autograd_gradients", wrong)
    settings = check_gradients.Settings(cases=("R0",), data=images, explain=False)
    with pytest.raises(SystemExit) as exit_code:
        check_gradients.main(settings)
    assert exit_code.value.code == 1
    assert "NOT every entry is accounted for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("h", "message"), [(0.0, "--h is 0.0; the step"), (-1.0, "--h is -1.0"), (np.nan, "--h is nan")]
)
def test_a_wrong_step_is_named(h, message):
    with pytest.raises(ValueError, match=message):
        check_gradients.main(check_gradients.Settings(h=h))


def test_an_unknown_case_is_named(run_here):
    done = run_here("check_gradients", "--cases", "R9")
    assert done.returncode == 2
    assert "R9" in done.stderr
    assert "Traceback" not in done.stderr


def test_large_differences_have_their_cause():
    """On ten images a step of 1e-3 is too long for batch normalization; 1e-5 is not."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 5)), rng.integers(0, 10, 10)
    long, short = (check_gradients.large_differences("R4-2", x, y, h) for h in (1e-3, 1e-5))
    assert long["step"] + long["kink"] > 0 == long["other"]
    assert short["above"] == 0


def test_every_case_of_the_reports_is_there():
    published = {name for name, case in check_gradients.CASES.items() if case.published}
    assert published == {"R0", "R1", "R2", "R3-1", "R3-20", "R3-20-l2", "R4-2", "R4-3"}
    deep = dataclasses.asdict(check_gradients.CASES["9-layer-bn"])
    assert (len(deep["hidden"]) + 1, deep["batch_norm"]) == (9, True)
