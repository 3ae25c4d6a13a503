"""The triangular learning rate."""

import numpy as np
import pytest

from manual_mlp import cyclical_learning_rate


@pytest.mark.parametrize("step_size", [1, 2, 500, 2250])
def test_corners_of_the_triangle(step_size):
    """eta_max falls on n_s, not one update before it, and the next cycle begins where the first did."""
    for cycle in range(3):
        start = 2 * cycle * step_size
        assert cyclical_learning_rate(start, step_size, 1e-5, 1e-1) == 1e-5
        assert cyclical_learning_rate(start + step_size, step_size, 1e-5, 1e-1) == pytest.approx(1e-1, rel=1e-15)


def test_equals_the_two_straight_lines_of_the_course():
    step_size, low, high = 7, 0.01, 0.5
    for step in range(4 * step_size):
        cycle = step // (2 * step_size)
        if 2 * cycle * step_size <= step <= (2 * cycle + 1) * step_size:
            expected = low + (step - 2 * cycle * step_size) / step_size * (high - low)
        else:
            expected = high - (step - (2 * cycle + 1) * step_size) / step_size * (high - low)
        assert cyclical_learning_rate(step, step_size, low, high) == pytest.approx(expected, rel=1e-13)


def test_a_cycle_may_be_flat():
    assert cyclical_learning_rate(3, 5, eta_min=0.1, eta_max=0.1) == 0.1


def test_never_leaves_its_range():
    rates = [cyclical_learning_rate(step, 13, 1e-5, 1e-1) for step in range(100)]
    assert np.min(rates) >= 1e-5
    assert np.max(rates) <= 1e-1


def test_numpy_integers_do_not_overflow():
    assert cyclical_learning_rate(np.uint8(200), np.uint8(200), 0.0, 1.0) == 1.0
    assert type(cyclical_learning_rate(np.int64(3), 5, 0.0, np.float32(1.0))) is float


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 500, 1e-5, 1e-1), "^step is -1; it must be an integer of at least 0"),
        ((0, 0, 1e-5, 1e-1), "^step_size is 0; it must be an integer of at least 1"),
        ((0, 500, 0.2, 0.1), "eta_min is 0.2, above eta_max, 0.1; it must be at most eta_max"),
        ((0, 500, -0.2, 0.1), "eta_min is -0.2"),
        ((0, 500, 0.1, np.inf), "eta_max is inf"),
        ((1.5, 500, 0.1, 0.2), "step is 1.5"),
        ((0, 2.5, 0.1, 0.2), "step_size is 2.5"),
        ((0, 500, np.nan, 0.1), "eta_min is nan"),
    ],
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        cyclical_learning_rate(*arguments)
