"""The published numbers, the runs that are to give them again, and the document that holds both."""

import dataclasses
import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import ablation
import cycles
import depth
import extras
import final_networks
import initialization
import lambda_3_layer
import lambda_search
import numpy as np
import overfit
import pytest
import reproduce
import reproduction
from answers import Answer, Published, as_text
from command_line import run_script
from reproduction import Reproduction
from runs import Run

ROOT = Path(__file__).parent.parent
SCRIPTS = tuple(script for part in reproduce.PARTS.values() for script in part.scripts)
RUN = Run((7,), False, "he", l2=0.01, cycles=1, step_size=10, n_train=60, n_validation=40, batch_size=20)
OTHER = Run((7,), True, "he", l2=0.01, cycles=1, step_size=10, n_train=60, n_validation=40, batch_size=20)


@pytest.mark.parametrize(
    ("script", "numbers"),
    [
        (overfit, 3),
        (cycles, 7),
        (lambda_search, 25),
        (final_networks, 9),
        (depth, 6),
        (lambda_3_layer, 40),
        (initialization, 6),
        (extras, 0),
        (ablation, 0),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_published_number_is_there(script, numbers):
    assert len(script.PUBLISHED) == numbers
    assert script in SCRIPTS
    for published in script.PUBLISHED:
        assert 0 < published.value < (1.000001 if published.measure.endswith("accuracy") else 2)
        assert published.run.updates > 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_a_script_says_what_it_asks_claims_and_trains(script):
    question, *_ = script.__doc__.splitlines()
    assert question.endswith("?")
    for part in ("Claim", "Settings", "Measured"):
        assert re.search(rf"^{part} ", script.__doc__, re.MULTILINE), part


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_only_final_runs_are_measured_on_test_images(script):
    """Lambda is chosen on validation images; the test images of those runs are not looked at."""
    measures = {published.measure for published in script.PUBLISHED}
    assert ("test_accuracy" in measures) == (script not in (lambda_search, lambda_3_layer, extras, ablation))


class Pretended:
    """Trainings that take no time: their numbers follow from lambda and seed."""

    def __init__(self):
        self.asked, self.done = [], {}

    def results(self, wanted):
        self.asked += wanted
        return [self.result(one) for one in wanted]

    @staticmethod
    def result(one):
        accuracy = 0.5 + 0.01 * np.sin(1e3 * one.run.l2) + 0.001 * one.seed + 0.02 * one.run.batch_norm
        names = [f"{part}_{name}" for part in ("train", "validation") for name in ("loss", "cost", "accuracy")]
        return dict.fromkeys([*names, *(["test_accuracy"] if one.test else [])], accuracy)


@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_every_script_answers(script, seeds):
    trainings = Pretended()
    answer = script.answer(Reproduction(None, trainings, seeds, 1 + seeds // 2))
    assert len(answer.rows) == len(script.PUBLISHED)
    assert answer.title in as_text(answer)
    for figure in answer.figures.values():
        figure.savefig(io.BytesIO())
    chosen_on_validation = {one.run for one in trainings.asked if not one.test}
    if script is lambda_search:
        assert len(chosen_on_validation) > 100
    if script not in (lambda_3_layer, extras):  # whose best settings are then measured
        assert not chosen_on_validation & {one.run for one in trainings.asked if one.test}


def test_a_claim_is_what_the_first_has_more_than_the_second():
    trained = Reproduction(None, Pretended(), 3, 1)
    assert trained.claim("", OTHER, RUN).differences == pytest.approx([0.02] * 3)


def test_measuring_without_test_images_uses_none():
    trainings = Pretended()
    Reproduction(None, trainings, 3, 1).measured(RUN, "validation_accuracy", test=False)
    Reproduction(None, trainings, 3, 1).make([RUN], test=False)
    assert len(trainings.asked) == 6
    assert not any(one.test for one in trainings.asked)


def small_answer(trained):
    published = (
        Published("R1", "plain, test", 0.9, RUN, reason="Random labels."),
        Published("R1", "plain, training", 0.9, RUN, "train_accuracy"),
        Published("R2", "normalized, validation loss", 1.1, OTHER, "validation_loss"),
    )
    assert trained.beside(published[:1])[0].ours == trained.measured(RUN)
    figure = reproduce.plot_claims([("", [trained.claim("normalization", OTHER, RUN)])])
    return Answer(
        "A small question",
        "Its settings.",
        trained.beside(published),
        (trained.claim("normalization", OTHER, RUN),),
        figures={"small": figure},
    )


def smaller_answer(trained):
    claim = trained.claim("normalization, again", OTHER, RUN)
    return Answer("Another question", f"With {trained.seeds} seeds.", claims=(claim,))


def run(arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in ("reproduce.py", *arguments)])
    small = SimpleNamespace(answer=small_answer)
    parts = {"reports": reproduce.Part("# The reports", (small,), "claims", "A remark.")}
    parts["extras"] = reproduce.Part(
        "# The extras", (SimpleNamespace(answer=smaller_answer),), "extras", panel_each=True
    )
    monkeypatch.setattr(reproduce, "PARTS", parts)
    with pytest.raises(SystemExit) as end:
        run_script(reproduce.main, reproduce.Settings)
    return end.value.code


@pytest.fixture
def arguments(smaller_images, tmp_path):
    (tmp_path / "data").mkdir()
    return [
        "--data",
        smaller_images,
        "--data-dir",
        tmp_path / "data",
        "--results",
        tmp_path / "kept",
        "--seeds",
        "3",
        "--workers",
        "1",
    ]


def test_the_document_holds_every_number_and_where_it_comes_from(arguments, tmp_path, monkeypatch, capsys):
    assert run([*arguments, "--output", tmp_path / "out"], monkeypatch) == 0
    printed = capsys.readouterr().out
    document = (tmp_path / "out" / "RESULTS.md").read_text()
    for fact in ("tiny.npz", "fingerprint", "3 for every number", "numpy", "commit", "wall time", "cores"):
        assert fact in document
    assert "Not reproduced: Random labels." in document
    assert document.count("A published number is *reproduced* if") == 1, "the extras have no published numbers"
    assert re.search(r"\| A small question +\| 3 +\| \d", document)
    assert re.search(r"\| A small question +\| 3 +\| \d", printed)
    figures = re.findall(r"!\[.*\]\((.*)\)", document)
    assert figures == ["docs/figures/claims.png", "docs/figures/small.png", "docs/figures/extras.png"]
    assert re.findall("^# .*|^## .*", document, re.MULTILINE) == [
        *("# The reports", "## A small question"),
        *("# The extras", "## Another question"),
    ]
    for figure in figures:
        assert (tmp_path / "out" / figure).stat().st_size > 1000


def test_a_part_made_anew_leaves_the_other_as_it_was(arguments, tmp_path, monkeypatch):
    def parts():
        reports, _, extras = (tmp_path / "out" / "RESULTS.md").read_text().partition("# The extras")
        return reports, extras

    arguments = [*arguments, "--output", tmp_path / "out"]
    assert run([*arguments, "--part", "extras"], monkeypatch) == 0
    assert parts()[0] == ""
    assert run([*arguments, "--part", "reports"], monkeypatch) == 0
    reports, extras = parts()
    assert "With 3 seeds" in extras
    assert run([*arguments, "--seeds", "2", "--part", "extras"], monkeypatch) == 0
    again, other = parts()
    assert again == reports
    assert "With 2 seeds" in other
    assert "6 trainings, 6 of them by earlier processes" not in other.partition("## ")[2]


def test_a_second_time_nothing_is_trained(arguments, tmp_path, monkeypatch):
    assert run([*arguments, "--output", tmp_path / "out"], monkeypatch) == 0
    first = (tmp_path / "out" / "RESULTS.md").read_text()
    kept = (tmp_path / "kept" / "trainings.jsonl").read_text()
    assert run([*arguments, "--output", tmp_path / "out"], monkeypatch) == 0
    second = (tmp_path / "out" / "RESULTS.md").read_text()
    assert (tmp_path / "kept" / "trainings.jsonl").read_text() == kept
    assert "9 trainings, 9 of them by earlier processes" in second
    assert first.partition("## A small question")[2] == second.partition("## A small question")[2]


@pytest.mark.parametrize(
    ("is_cifar10", "more", "message"),
    [
        (False, ("--seeds", "5"), "these would be results on tiny.npz: choose an --output of their own"),
        (True, ("--seeds", "4"), "--seeds is 4 and --search-seeds 3; the project's own document has at least 5 and 3"),
        (True, ("--search-seeds", "2"), "--seeds is 3 and --search-seeds 2; the project's own"),
    ],
    ids=["other data", "few seeds", "few search seeds"],
)
def test_the_projects_own_document_is_not_replaced_by_less(
    is_cifar10, more, message, data, arguments, tmp_path, monkeypatch, capsys
):
    (tmp_path / "project").mkdir()
    monkeypatch.setattr(reproduce, "ROOT", tmp_path / "project")
    monkeypatch.chdir(tmp_path)
    data = dataclasses.replace(data, is_cifar10=is_cifar10)
    monkeypatch.setattr(reproduction, "load", lambda *_: data)
    assert run([*arguments, *more, "--output", "data/../project"], monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "project" / "RESULTS.md").exists()


def test_the_readme_shows_the_summary_of_the_results():
    """The README's table is the document's."""
    rows = [line for line in (ROOT / "RESULTS.md").read_text().splitlines() if line.startswith("|")]
    start = next(number for number, line in enumerate(rows) if line.startswith("| section "))
    published = sum(bool(script.PUBLISHED) for script in SCRIPTS)
    summary = "\n".join(rows[start : start + 2 + published + 1])
    assert summary.rstrip() in (ROOT / "README.md").read_text()
