"""The search from coarse to fine: its intervals, its ranking, and that it loses nothing."""

import collections
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import executors
import numpy as np
import pytest
import search
from conftest import PATIENCE
from matplotlib.figure import Figure
from runs import RUNS, check
from search import RULES, Stage, StageResult, Trial, coarse_to_fine, draw, with_value

SCRIPT = Path(search.__file__)
RUN = RUNS["3-layer"]
TRIALS = [  # the best first
    Trial(l2, (accuracy,))
    for l2, accuracy in ((3e-3, 0.5), (2e-4, 0.49), (4e-3, 0.48), (1e-5, 0.47), (6e-2, 0.46), (1e-1, 0.1))
]


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        ("R0", 2e-4 / 10**0.5, 4e-3 * 10**0.5),
        ("R1", 2e-4 / 10**0.25, 3e-3 * 10**0.25),
        ("R2", 1e-5, 6e-2),
        ("R3", 1e-4, 1e-2),
    ],
)
def test_the_fine_interval_follows_from_the_best(rule, low, high):
    assert RULES[rule](TRIALS) == pytest.approx((low, high))


@pytest.mark.parametrize("rule", RULES)
def test_an_interval_holds_the_best_value_even_if_it_is_the_only_one(rule):
    low, high = RULES[rule]([Trial(1e-3, (0.5,))])
    assert low <= 1e-3 <= high


def test_a_grid_is_even_on_a_logarithmic_scale():
    assert draw((1e-5, 1e-1), 5, "grid", np.random.default_rng(0)) == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])


def test_random_values_are_uniform_on_a_logarithmic_scale():
    values = draw((1e-5, 1e-1), 4000, "random", np.random.default_rng(0))
    assert values == sorted(values)
    counts, _ = np.histogram(np.log10(values), bins=4, range=(-5, -1))
    assert counts.sum() == len(values)  # less than 4000: a few are the same to four digits
    assert counts == pytest.approx([len(values) / 4] * 4, rel=0.1)


def accuracy_at(best):
    """Trainings whose accuracy is highest at one lambda and differs a little between seeds."""

    def results(wanted):
        return [
            {"validation_accuracy": 0.5 - 0.1 * abs(np.log10(one.run.l2 / best)) + 0.001 * one.seed} for one in wanted
        ]

    return results


@pytest.mark.parametrize("rule", RULES)
def test_the_search_finds_the_best_lambda(rule):
    found = coarse_to_fine(
        [Stage(RUN, 12, "random"), Stage(RUN, 12, "random")],
        (1e-5, 1e-1),
        rule,
        seeds=2,
        rng=np.random.default_rng(1),
        results=accuracy_at(2e-3),
    )
    assert found[0].interval == (1e-5, 1e-1)
    assert found[1].interval == pytest.approx(RULES[rule](found[0].trials))
    for stage in found:
        means = [trial.mean for trial in stage.trials]
        assert means == sorted(means, reverse=True)
        assert all(
            stage.interval[0] <= trial.value * 1.0001 and trial.value <= stage.interval[1] * 1.0001
            for trial in stage.trials
        )
        assert all(len(trial.accuracies) == 2 for trial in stage.trials)
    assert abs(np.log10(found[1].trials[0].value / 2e-3)) < 0.2


def test_a_value_that_diverges_with_one_seed_is_ranked_last():
    def results(wanted):
        return [
            {"diverged": "at update 3"} if one.run.l2 > 0.01 and one.seed == 1 else {"validation_accuracy": 0.1}
            for one in wanted
        ]

    (stage,) = coarse_to_fine(
        [Stage(RUN, 5, "grid")], (1e-5, 1e-1), "R1", seeds=2, rng=np.random.default_rng(0), results=results
    )
    assert [trial.accuracies for trial in stage.trials] == [(0.1, 0.1)] * 4 + [()]
    assert "diverged" in search.table([stage])


def test_the_next_interval_is_around_values_that_did_not_diverge():
    def results(wanted):
        return [{"diverged": "at update 3"} if one.run.l2 > 2e-5 else {"validation_accuracy": 0.1} for one in wanted]

    stages = [Stage(RUN, 5, "grid"), Stage(RUN, 1, "grid")]
    found = coarse_to_fine(stages, (1e-5, 1e-1), "R1", seeds=1, rng=np.random.default_rng(0), results=results)
    assert found[1].interval == pytest.approx((1e-5 / 10**0.25, 1e-5 * 10**0.25))


def test_a_search_in_which_every_value_diverges_says_so():
    with pytest.raises(FloatingPointError, match=r"every lambda from 1e-05 to 0\.1 some training diverged: lower"):
        coarse_to_fine(
            [Stage(RUN, 2, "grid")],
            (1e-5, 1e-1),
            "R1",
            seeds=1,
            rng=np.random.default_rng(0),
            results=lambda wanted: [{"diverged": ""}] * len(wanted),
        )


def test_a_search_for_eta_max_that_diverges_asks_for_a_lower_high():
    stages, results = [Stage(RUN, 1, "grid")], lambda wanted: [{"diverged": ""}] * len(wanted)
    with pytest.raises(FloatingPointError, match=r"every eta_max from 1 to 10 some training diverged: lower --high$"):
        coarse_to_fine(stages, (1, 10), "R1", "eta_max", seeds=1, rng=np.random.default_rng(0), results=results)


@pytest.mark.parametrize(
    ("over", "interval", "best", "expected"),
    [
        ("dropout", (0.3, 0.9), 0.9, (0.9 / 10**0.25, 0.9999)),
        ("label_smoothing", (0.1, 0.9), 0.1, (0.1 / 10**0.25, 0.1 * 10**0.25)),
        ("eta_max", (2e-5, 1e-3), 2e-5, (1.5e-5, 2e-5 * 10**0.25)),
        ("l2", (0.1, 10.0), 10.0, (10 / 10**0.25, 10 * 10**0.25)),
    ],
)
def test_the_next_interval_ends_where_the_setting_does(over, interval, best, expected):
    """A dropout of 1 cannot be, nor an eta_max below eta_min, however far a rule widens."""
    run = dataclasses.replace(RUN, eta_min=1.5e-5)

    stages, asked = [Stage(run, 2, "grid"), Stage(run, 9, "grid")], []

    def results(wanted):
        asked.append(wanted)
        diverged = [len(asked) == 1 and getattr(one.run, over) != best for one in wanted]
        return [{"diverged": ""} if one else {"validation_accuracy": 0.1} for one in diverged]

    rng = np.random.default_rng(0)
    found = coarse_to_fine(stages, interval, "R1", over, seeds=1, rng=rng, results=results)
    assert found[1].interval == pytest.approx(expected)
    data = SimpleNamespace(name="", x_train=np.zeros((50_000, 1, 1, 1)), inputs=1, classes=10)
    for trial in found[1].trials:
        check(with_value(run, over, trial.value), data)


def test_values_that_are_the_same_are_tried_once():
    assert draw((1e-3, 1e-3 + 1e-9), 5, "grid", np.random.default_rng(0)) == [1e-3]


def test_a_search_looks_at_no_test_images():
    asked = []

    def results(wanted):
        asked.extend(wanted)
        return [{"validation_accuracy": 0.1}] * len(wanted)

    coarse_to_fine(
        [Stage(RUN, 2, "grid")] * 2, (1e-5, 1e-1), "R2", seeds=2, rng=np.random.default_rng(0), results=results
    )
    assert len(asked) == 8
    assert not any(one.test for one in asked)


def command(images, tmp_path, *more):
    short = ("--cycles", "1", "--step-size", "10", "--n-train", "150", "--n-validation", "50", "--batch-size", "20")
    places = ("--data", images, "--data-dir", tmp_path / "data", "--results", tmp_path / "out")
    return [str(one) for one in (*places, *short, *more)]


def test_the_script_prints_every_stage_and_leaves_its_folder(run_here, images, tmp_path):
    arguments = command(images, tmp_path, "--values", "3", "2", "--seeds", "2", "--workers", "1", "--low", "1e-4")
    done = run_here("search", *arguments)
    assert done.returncode == 0
    first = done.stdout
    assert "stage 1: 0.0001 to 0.1" in first
    assert "stage 2: " in first
    (folder,) = (tmp_path / "out" / "search").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "search.png", "stages.json"]
    stages = json.loads((folder / "stages.json").read_text())["stages"]
    assert [len(stage["trials"]) for stage in stages] == [3, 2]
    best = max((trial for stage in stages for trial in stage["trials"]), key=lambda trial: np.mean(trial["accuracies"]))
    assert f"best: lambda {best['value']:.4g}" in first
    kept = (tmp_path / "out" / "trainings.jsonl").read_text()
    assert run_here("search", *arguments).stdout == first
    assert (tmp_path / "out" / "trainings.jsonl").read_text() == kept, "nothing is trained twice"


def test_any_number_among_the_settings_can_be_searched(run_here, images, tmp_path):
    """Each value is trained, with all else alike, and the tables name what it is a value of."""
    searched = ("--over", "dropout", "--values", "3", "--seeds", "1", "--workers", "1")
    done = run_here("search", *command(images, tmp_path, *searched, "--sampling", "grid"))
    assert done.returncode == 0, done.stderr
    assert "stage 1: 0.05 to 0.5" in done.stdout
    assert "best: dropout 0." in done.stdout
    assert "nan" not in done.stdout, "one seed has no standard error"
    assert "lambda" not in done.stdout
    lines = lines_of(tmp_path / "out" / "trainings.jsonl")[1:]
    runs = [json.loads(line)["training"]["run"] for line in lines]
    assert sorted(run.pop("dropout") for run in runs) == [0.05, 0.1581, 0.5]
    assert all(run == runs[0] for run in runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--over", "dropout", "--low", "0.1", "--high", "2"), "dropout is 2.0"),
        (("--over", "weight_decay"), "--weight-decay is 0.001 without --optimizer adamw"),
        (("--over", "eta_max", "--eta-max", "0.1"), "--eta-max is 0.1; it is what is searched for"),
        (("--over", "hidden"), "'hidden' for argument '--over'"),
    ],
)
def test_a_range_that_cannot_be_is_refused_before_anything_is_trained(run_here, arguments, message, images, tmp_path):
    done = run_here("search", *command(images, tmp_path, *arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert not list((tmp_path / "out").glob("search/*"))


def test_what_was_measured_is_kept_where_it_cannot_be_shown(run_here, images, tmp_path, monkeypatch):
    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr(search, "table", closed)
    monkeypatch.setattr(search.Trainings, "results", lambda _, wanted: accuracy_at(2e-3)(wanted))
    assert run_here("search", *command(images, tmp_path, "--values", "2")).returncode == 2
    (folder,) = (tmp_path / "out" / "search").iterdir()
    assert (folder / "stages.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--workers", "0"), "--workers is 0"), (("--dask", "tcp://127.0.0.1:1"), "--dask")],
    ids=["workers", "dask"],
)
def test_bad_settings_are_answered_in_one_line(run_here, arguments, message, images, tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.5)
    done = run_here("search", *command(images, tmp_path, *arguments))
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert not list((tmp_path / "out").glob("search/*"))


def lines_of(file):
    return file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []


@pytest.mark.thorough
def test_a_search_that_is_killed_loses_and_repeats_nothing(run_here, images, tmp_path):
    """kill -9 at random moments, after the first training of each process; the last brings the search to its end."""
    settings = ("--values", "40", "40", "--seeds", "3")  # far more than are made between a start and its kill
    arguments = [sys.executable, SCRIPT, *command(images, tmp_path, *settings, "--workers", "2")]
    file = tmp_path / "out" / "trainings.jsonl"
    rng = np.random.default_rng(0)
    kept: list[str] = []
    for _ in range(3):
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while len(lines_of(file)) <= len(kept) and process.poll() is None:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        found = lines_of(file)
        assert found[: len(kept)] == kept, "what had finished is kept"
        assert len(found) > len(kept), "and more has finished"
        kept = found
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = lines_of(file)
    assert lines[: len(kept)] == kept
    trained = collections.Counter(json.dumps(json.loads(line)["training"]) for line in lines[1:])
    assert len(trained) == 2 * 40 * 3
    assert set(trained.values()) == {1}, "no training is made twice"
    uninterrupted = command(images, tmp_path / "other", *settings, "--workers", "1")
    assert run_here("search", *uninterrupted).stdout == done.stdout


def test_an_interrupted_search_ends_at_once_in_a_sentence(images, tmp_path):
    long = command(images, tmp_path, "--values", "2", "--seeds", "1", "--workers", "2", "--cycles", "100000")
    with subprocess.Popen(
        [sys.executable, SCRIPT, *long], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while not (tmp_path / "out" / "trainings.lock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.5)
        try:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("error: interrupted")


@pytest.mark.parametrize(
    ("over", "interval", "label"),
    [("dropout", (0.05, 0.5), "0.2"), ("l2", (1e-5, 1e-1), "0.001")],
    ids=["narrow", "wide"],
)
def test_the_figure_has_numbers_that_can_be_typed(over, interval, label):
    """At no more ticks than there are labels by default."""
    trials = [Trial(value, (0.5, 0.6)) for value in interval]
    figure = Figure()
    axes = figure.subplots()
    search.plot(axes, [StageResult(interval, trials)], "", over)
    figure.draw_without_rendering()
    labels = [tick.get_text() for which in ("major", "minor") for tick in axes.get_xticklabels(which=which)]
    shown = [text for text in labels if text]
    assert label in shown
    assert 2 < len(shown) < 12
    assert not any("$" in text for text in shown)
