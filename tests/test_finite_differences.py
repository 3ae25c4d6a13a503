"""Differences know what they cannot show: kinks are set aside by name, rounding has a floor."""

import numpy as np
import pytest

from manual_mlp import MLP, compare_gradients, directional_gradients, measured_rounding, numerical_gradients
from torch_reference import autograd_gradients


def network_at_a_kink():
    """One unit of the first layer gets the input 4e-6 from the third image: a step of 1e-5 in its bias shuts it."""
    rng = np.random.default_rng(0)
    net = MLP([4, 200, 3], rng=rng, dtype=np.float64)
    net.parameters["linear1.bias"] = rng.normal(size=200)
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    net.parameters["linear1.bias"][7] += 4e-6 - (
        x[2] @ net.parameters["linear1.weight"][7] + net.parameters["linear1.bias"][7]
    )
    return net, x, y


@pytest.fixture
def at_a_kink():
    return network_at_a_kink()


def test_an_entry_at_a_kink_is_set_aside(at_a_kink):
    net, x, y = at_a_kink
    _, gradients = net.cost_and_gradients(x, y)
    numerical = numerical_gradients(net, x, y)
    assert numerical.at_kink["linear1.bias"].nonzero()[0].tolist() == [7]
    error = abs(gradients["linear1.bias"] - numerical["linear1.bias"])
    assert error[7] > 1e-3, "the chord spans two functions: the difference is wrong, the gradient is not"
    comparison = {row.name: row for row in compare_gradients(gradients, numerical).parameters}
    bias, weight = comparison["linear1.bias"], comparison["linear1.weight"]
    assert (bias.at_kink, bias.compared + bias.zero, bias.unexplained, bias.verdict) == (1, 199, 0, "agrees")
    assert weight.at_kink == np.count_nonzero(np.abs(x[2]) > 0.4), "a weight moves the input by its pixel times h"


def test_a_smaller_step_stays_on_one_side(at_a_kink):
    net, x, y = at_a_kink
    assert not any(kink.any() for kink in numerical_gradients(net, x, y, h=1e-7).at_kink.values())


def test_more_than_one_in_a_hundred_at_kinks_fails(at_a_kink):
    net, x, y = at_a_kink
    _, gradients = net.cost_and_gradients(x, y)
    numerical = numerical_gradients(net, x, y)
    numerical.at_kink["linear2.bias"][1] = True
    comparison = compare_gradients(gradients, numerical)
    assert [row.verdict for row in comparison.parameters] == ["agrees", "agrees", "agrees", "TOO MANY KINKS"]
    assert not comparison.agrees


def test_every_entry_is_in_one_class(make_case):
    net, x, y = make_case(4, True, 6)
    _, gradients = net.cost_and_gradients(x, y, 0.1)
    for row in compare_gradients(gradients, numerical_gradients(net, x, y, 0.1)).parameters:
        assert row.compared + row.at_kink + row.zero == gradients[row.name].size


def test_the_floor_of_a_difference_covers_the_rounding_of_zero(make_case):
    """The biases in front of batch norm have no gradient; what their differences show is rounding alone."""
    largest = 0.0
    for depth in (2, 3, 4):
        net, x, y = make_case(depth, True, 100)
        numerical = numerical_gradients(net, x, y)
        noise = max(np.abs(numerical[f"linear{layer}.bias"]).max() for layer in range(1, depth))
        assert noise <= numerical.floor < 1e-8
        largest = max(largest, noise)
    assert largest > 0, "there is rounding to cover"


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
def test_slopes_along_random_directions_agree(make_case, batch_norm):
    net, x, y = make_case(4, batch_norm, 100)
    before = net.parameters.flat.copy()
    _, gradients = net.cost_and_gradients(x, y, 0.1)
    claimed, measured = directional_gradients(net, gradients, x, y, 0.1, directions=30, rng=np.random.default_rng(0))
    assert {name: slopes.shape for name, slopes in claimed.items()} == dict.fromkeys(net.parameters, (30,))
    comparison = compare_gradients(claimed, measured)
    assert comparison.agrees, f"\n{comparison}"
    np.testing.assert_array_equal(net.parameters.flat, before)


def test_directions_have_length_one_and_stay_clear_of_kinks(at_a_kink):
    """Directions that shut the unit are drawn anew."""
    net, x, y = at_a_kink
    net.parameters["linear1.bias"][7] -= 3.6e-6  # now 4e-7 from the corner
    _, gradients = net.cost_and_gradients(x, y)
    claimed, measured = directional_gradients(net, gradients, x, y, directions=50, rng=np.random.default_rng(0))
    assert not any(kink.any() for kink in measured.at_kink.values())
    for name, slopes in claimed.items():
        length = np.linalg.norm(gradients[name])
        assert length / np.sqrt(gradients[name].size) / 2 < np.abs(slopes).max() <= length * (1 + 1e-12)


@pytest.mark.parametrize("name", ["linear1.weight", "bn2.weight", "linear4.bias"])
def test_one_wrong_entry_shows_along_random_directions(make_case, name):
    net, x, y = make_case(4, True, 100)
    _, gradients = net.cost_and_gradients(x, y, 0.1)
    gradients[name].flat[1] += 1e-4
    claimed, measured = directional_gradients(net, gradients, x, y, 0.1, rng=np.random.default_rng(0))
    assert [row.name for row in compare_gradients(claimed, measured).parameters if row.unexplained] == [name]


def test_measured_rounding_is_small_but_covers_what_is_only_rounding(make_case):
    net, x, y = make_case(3, True, 6)
    before = net.parameters.flat.copy()
    floor = measured_rounding(lambda net, x: autograd_gradients(net, x, y), net, x, np.random.default_rng(0))
    np.testing.assert_array_equal(net.parameters.flat, before)
    _, gradients = net.cost_and_gradients(x, y)
    for name, gradient in gradients.items():
        only_rounding = name in ("linear1.bias", "linear2.bias")
        assert (np.abs(gradient).max() <= floor[name]) == only_rounding
        assert floor[name] < 1e-12


def test_a_cost_that_is_not_finite_is_named():
    net = MLP([3, 2], rng=np.random.default_rng(0), dtype=np.float64)
    net.parameters.flat[:] = np.inf
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="net has the cost nan on this batch"):
        numerical_gradients(net, np.ones((2, 3)), [0, 1])
