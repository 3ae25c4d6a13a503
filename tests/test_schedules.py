"""Learning rates: the triangular cycle, its annealing, decays and the one cycle, beside torch's schedulers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from manual_mlp import cosine_decay, cyclical_learning_rate, linear_decay, one_cycle


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
        ((0, 500, 0.2, 0.1), "eta_min is 0.2, above eta_max, 0.1; lower the one or raise the other"),
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


def torch_rates(steps, scheduler, eta=1.0, **settings):
    """The rates of one of torch's schedulers at step 0, 1, ..."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=eta)
    schedule, rates = scheduler(optimizer, **settings), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("annealing", [1.0, 0.5, 0.7], ids=lambda annealing: f"annealing={annealing}")
@pytest.mark.parametrize("step_size", [1, 7, 50])
def test_cycles_equal_torch(step_size, annealing):
    """CyclicLR, whose cycles count from 1; with annealing 1/2 its own triangular2."""
    mode = {1.0: {"mode": "triangular"}, 0.5: {"mode": "triangular2"}}.get(
        annealing, {"scale_fn": lambda cycle: annealing ** (cycle - 1)}
    )
    expected = torch_rates(
        8 * step_size + 1,
        *(lr_scheduler.CyclicLR,),
        **{"base_lr": 0.01, "max_lr": 0.5, "step_size_up": step_size, "cycle_momentum": False, **mode},
    )
    ours = [cyclical_learning_rate(step, step_size, 0.01, 0.5, annealing) for step in range(8 * step_size + 1)]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("updates", [1, 2, 7, 500])
@pytest.mark.parametrize("eta_min", [0.0, 0.02])
def test_linear_decay_equals_torch(updates, eta_min):
    settings = {"start_factor": 1.0, "end_factor": eta_min / 0.3, "total_iters": updates}
    expected = torch_rates(updates + 1, lr_scheduler.LinearLR, 0.3, **settings)
    ours = [linear_decay(step, updates, 0.3, eta_min) for step in range(updates + 1)]
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("updates", [1, 2, 7, 500])
@pytest.mark.parametrize("eta_min", [0.0, 0.02])
def test_cosine_decay_equals_torch(updates, eta_min):
    expected = torch_rates(updates + 1, lr_scheduler.CosineAnnealingLR, 0.3, T_max=updates, eta_min=eta_min)
    ours = [cosine_decay(step, updates, 0.3, eta_min) for step in range(updates + 1)]
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)  # torch goes on from rate to rate


@pytest.mark.parametrize("updates", [4, 10, 501])
@pytest.mark.parametrize("warmup", [0.25, 0.3, 0.9])
def test_one_cycle_equals_torch(updates, warmup):
    """Torch lets eta_max fall on pct_start total_steps - 1, and eta_min on total_steps - 1."""
    settings = {"total_steps": updates + 1, "pct_start": (warmup * updates + 1) / (updates + 1)}
    settings |= {"div_factor": 0.3 / 0.02, "final_div_factor": 1.0, "cycle_momentum": False}
    expected = torch_rates(updates, lr_scheduler.OneCycleLR, max_lr=0.3, **settings)
    ours = [one_cycle(step, updates, 0.3, warmup, 0.02) for step in range(updates + 1)]
    np.testing.assert_allclose(ours[:-1], expected, rtol=1e-12)
    assert ours[-1] == ours[0] == 0.02


rates = st.floats(0, 10)
SCHEDULES = {
    "cycles": lambda step, updates, low, high: cyclical_learning_rate(step, updates, low, high, 0.6),
    "linear": lambda step, updates, low, high: linear_decay(step, updates, high, low),
    "cosine": lambda step, updates, low, high: cosine_decay(step, updates, high, low),
    "one cycle": lambda step, updates, low, high: one_cycle(step, updates, high, 0.3, low),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@given(updates=st.integers(1, 10**6), part=st.floats(0, 1), ends=st.tuples(rates, rates).map(sorted))
def test_no_schedule_leaves_its_range(schedule, updates, part, ends):
    eta = schedule(int(part * updates), updates, *ends)
    assert type(eta) is float
    assert ends[0] <= eta <= ends[1] * (1 + 1e-15)


@pytest.mark.parametrize("schedule", [linear_decay, cosine_decay], ids=["linear", "cosine"])
def test_a_decay_begins_high_ends_low_and_is_in_the_middle_halfway(schedule):
    etas = [schedule(step, 10, 0.5, 0.1) for step in range(11)]
    assert (etas[0], etas[5], etas[10]) == (0.5, pytest.approx(0.3, rel=1e-15), 0.1)
    assert etas == sorted(etas, reverse=True)


def test_a_cosine_is_flat_at_its_ends():
    first, middle, last = (cosine_decay(k, 10, 1.0) - cosine_decay(k + 1, 10, 1.0) for k in (0, 5, 9))
    assert first == pytest.approx(last)
    assert middle > 6 * first


def test_one_cycle_is_a_cosine_up_and_a_cosine_down():
    etas = [one_cycle(step, 20, 1.0, warmup=0.25, eta_min=0.1) for step in range(21)]
    assert max(etas) == etas[5] == 1.0
    np.testing.assert_allclose(etas[5:], [cosine_decay(step, 15, 1.0, 0.1) for step in range(16)], rtol=1e-14)
    np.testing.assert_allclose(etas[5::-1], [cosine_decay(step, 5, 1.0, 0.1) for step in range(6)], rtol=1e-14)
    without = [one_cycle(step, 20, 1.0, warmup=0.0) for step in range(21)]
    np.testing.assert_allclose(without, [cosine_decay(step, 20, 1.0) for step in range(21)], rtol=1e-14)


def test_every_cycles_height_is_annealing_times_the_one_before():
    tops = [cyclical_learning_rate(5 + 10 * cycle, 5, 0.1, 1.1, 0.3) for cycle in range(4)]
    np.testing.assert_allclose(tops, [0.1 + 0.3**cycle for cycle in range(4)], rtol=1e-14)
    assert {cyclical_learning_rate(10 * cycle, 5, 0.1, 1.1, 0.3) for cycle in range(4)} == {0.1}
    assert math.isclose(cyclical_learning_rate(9, 5, 0.0, 1.0, 0.3), 0.2), "one cycle is two flanks: no step within"
