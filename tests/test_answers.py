"""When a published number counts as reproduced, and when a claim holds."""

import math

import numpy as np
import pytest
from answers import Answer, Claim, Published, Row, Table, as_text, mean_and_deviation
from runs import RUNS
from seed_statistics import confidence_interval, mean, standard_deviation, standard_error

RUN = RUNS["3-layer"]


@pytest.mark.parametrize(
    ("published", "ours", "reproduced"),
    [
        (0.52, (0.50, 0.54, 0.52), True),
        (0.559, (0.50, 0.54, 0.52), True),  # 2 sd = 0.04
        (0.561, (0.50, 0.54, 0.52), False),
        (0.479, (0.50, 0.54, 0.52), False),
        (0.5299, (0.52, 0.52, 0.52), True),  # one point
        (0.5301, (0.52, 0.52, 0.52), False),
        (0.51, (0.52,), True),
        (0.50, (0.52,), False),
    ],
)
def test_reproduced_is_within_two_standard_deviations_or_one_point(published, ours, reproduced):
    assert Row(Published("R", "", published, RUN), ours).reproduced is reproduced


def test_the_spread_is_that_of_a_sample():
    values = (1.0, 2.0, 4.0)
    assert mean(values) == pytest.approx(7 / 3)
    assert standard_deviation(values) == pytest.approx(math.sqrt(7 / 3))
    assert standard_error(values) == pytest.approx(math.sqrt(7 / 9))
    assert math.isnan(standard_deviation((3.0,))), "one value tells nothing of it"


def test_the_interval_is_students():
    """2.776 is the tabulated 97.5 % point for four degrees of freedom."""
    values = (0.1, 0.4, 0.2, 0.3, 0.5)
    low, high = confidence_interval(values)
    assert (low + high) / 2 == pytest.approx(0.3)
    assert (high - low) / 2 == pytest.approx(2.776 * standard_error(values), rel=1e-3)


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0.7, 2, (2000, 5))
    covered = [low < 0.7 < high for low, high in map(confidence_interval, draws.tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("differences", "holds"),
    [
        ((0.01, 0.012, 0.011), "yes"),
        ((-0.01, -0.012, -0.011), "no, the reverse"),
        ((0.01, -0.012, 0.011), "not decided"),
        ((0.01,), "not decided"),
    ],
)
def test_a_claim_holds_where_its_interval_lies_above_0(differences, holds):
    assert Claim("", differences).holds == holds


@pytest.mark.parametrize(
    ("settings", "text"), [({}, "62.00 +- 1.41"), ({"decimals": 1}, "62.0 +- 1.4"), ({"scale": 1}, "0.62 +- 0.01")]
)
def test_shares_are_written_in_percent(settings, text):
    assert mean_and_deviation((0.61, 0.63), **settings) == text


def test_an_answer_reads_as_markdown_whose_columns_line_up():
    loss = Published("R9", "training loss", 1.25, RUN, "train_loss", reason="never mentioned: it is reproduced")
    answer = Answer(
        "A question",
        "Its settings.",
        (Row(Published("R1", "test", 0.5, RUN, reason="Because."), (0.61, 0.63)), Row(loss, (1.2501, 1.2503))),
        (Claim("more of it", (0.01, 0.012)),),
        (Table("Evidence", ("a", "b"), (("1", "two"),)),),
    )
    lines = as_text(answer).splitlines()
    assert lines[:3] == ["## A question", "", "Its settings."]
    assert [cell.strip() for cell in lines[6].strip("|").split("|")] == [
        *("R1", "test", "50.00", "62.00 +- 1.41", "61.00", "63.00", "not"),
    ]
    assert [cell.strip() for cell in lines[7].strip("|").split("|")] == [
        *("R9", "training loss", "1.2500", "1.2502 +- 0.0001", "1.2501", "1.2503", "reproduced"),
    ]
    assert len({len(line) for line in lines[4:8]}) == 1
    assert "Not reproduced: Because." in lines
    assert "never mentioned" not in "\n".join(lines)
    assert "**Evidence**" in lines
