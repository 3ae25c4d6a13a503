"""The figure of steps and errors: what it claims about truncation, rounding and kinks."""

import json

import numpy as np
import pytest
import step_size_error
from step_size_error import Settings


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """By precision and by the exponent of h, from a run on a small network."""
    results = tmp_path_factory.mktemp("results")
    step_size_error.main(Settings(hidden=(8, 8), images=12, steps_per_decade=1, results=results))
    folder = results / "step_size_error" / "step_size_error"
    assert (folder / "step_size_error.png").stat().st_size > 10_000
    summary = json.loads((folder / "summary.json").read_text())
    return {
        precision: {round(np.log10(row["h"])): row for row in summary[precision]}
        for precision in step_size_error.PRECISIONS
    }


def test_truncation_grows_with_the_square_of_a_centered_step_and_with_a_one_sided_one(rows):
    row, tenfold = rows["float64"][-5], rows["float64"][-4]
    assert tenfold["at_kink"] == 0
    assert tenfold["one_sided"] / row["one_sided"] == pytest.approx(10, rel=0.05)
    row, tenfold = rows["float64"][-4], rows["float64"][-3]
    assert row["at_kink"] == tenfold["at_kink"]
    assert tenfold["centered"] / row["centered"] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(
    ("precision", "exponents"), [("float64", (-12, -8)), ("float32", (-6, -3))], ids=["float64", "float32"]
)
def test_rounding_grows_as_the_step_shrinks(rows, precision, exponents):
    small, large = exponents
    ratio = rows[precision][small]["centered"] / rows[precision][large]["centered"]
    assert 0.2 < ratio / 10 ** (large - small) < 5


def test_float32_cannot_check_what_float64_can(rows):
    best = {precision: min(row["centered"] for row in part.values()) for precision, part in rows.items()}
    assert best["float64"] < 1e-8
    assert best["float32"] > 1e-5


def test_a_step_below_the_last_bit_changes_nothing(rows):
    """The difference is 0, so its relative error is 1."""
    assert rows["float32"][-12]["centered"] == 1


def test_entries_at_kinks_are_off_by_more_than_the_others(rows):
    row = rows["float64"][-2]
    assert row["at_kink"] > 0
    assert row["centered_with_kinks"] > 3 * row["centered"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(images=1), "--images is 1; it must be an integer of at least 2"),
        (Settings(steps_per_decade=0), "--steps-per-decade is 0"),
        (Settings(seed=-1), "--seed is -1"),
        (Settings(hidden=(0,)), r"sizes\[1\] is 0"),
    ],
)
def test_settings_are_checked(settings, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        step_size_error.main(settings)
