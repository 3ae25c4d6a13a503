"""What docs/derivations.md claims in formulas and in its own code, in numbers: float64, random upstream gradients, no
parameter at its default.
"""

import inspect
import itertools

import numpy as np
import pytest
import torch
from test_docs import DERIVATIONS, blocks
from torch.nn import functional as F

from manual_mlp import MLP, Adam, Momentum, cyclical_learning_rate, minibatches, sgd_update
from manual_mlp.initializers import he, xavier
from manual_mlp.layers import (
    batch_norm_backward,
    batch_norm_forward,
    dropout_backward,
    dropout_forward,
    dropout_mask,
    linear_backward,
    linear_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)

N, D, M = 6, 5, 4
FROM_THE_PAGE = {"np": np}
for block in blocks(DERIVATIONS, "python"):
    if block.startswith("# checked: "):
        exec(block, FROM_THE_PAGE)


def from_the_page(name):
    """A function of the page's own code."""
    return FROM_THE_PAGE[name]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def batch_norm_case(rng):
    x, dout = rng.normal(3.0, 2.0, (N, D)), rng.normal(size=(N, D))
    gamma, beta = rng.uniform(0.5, 1.5, D) * [-1, 1, 1, -1, 1], rng.normal(size=D)
    return x, dout, gamma, beta


def differences(function, x, h=1e-5):
    """Centered differences of a scalar function, entry by entry."""
    slopes = np.zeros(x.shape)
    for entry in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[entry] = h
        slopes[entry] = (function(x + step) - function(x - step)) / (2 * h)
    return slopes


def test_linear_with_loops_equals_the_matrix_products(rng):
    x, W, b, dout = rng.normal(size=(N, D)), rng.normal(size=(M, D)), rng.normal(size=M), rng.normal(size=(N, M))
    loops = from_the_page("linear_gradients_with_loops")(dout, x, W)
    for ours, theirs in zip(loops, linear_backward(dout, linear_forward(x, W, b)[1]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


@pytest.mark.parametrize("eps", [1e-5, 0.5], ids=lambda eps: f"eps={eps:g}")
def test_batch_norm_node_by_node_equals_simplified_equals_autograd(batch_norm_case, eps):
    """At eps 0.5, a good part of the variance: nothing was neglected in the simplification."""
    x, dout, gamma, beta = batch_norm_case
    nodes = from_the_page("batch_norm_backward_node_by_node")(dout, x, gamma, eps)
    simplified, _, _ = batch_norm_backward(dout, batch_norm_forward(x, gamma, beta, eps)[1])
    inputs = torch.tensor(x, requires_grad=True)
    out = F.batch_norm(inputs, None, None, torch.tensor(gamma), torch.tensor(beta), training=True, eps=eps)
    (autograd,) = torch.autograd.grad(out, inputs, torch.tensor(dout))
    np.testing.assert_allclose(nodes, simplified, rtol=0, atol=1e-14)
    np.testing.assert_allclose(simplified, autograd.numpy(), rtol=0, atol=1e-14)
    assert np.abs(simplified).max() > 0.1


def test_statistics_treated_as_constants_give_another_gradient(batch_norm_case):
    x, dout, gamma, beta = batch_norm_case
    _, cache = batch_norm_forward(x, gamma, beta)
    dx, _, _ = batch_norm_backward(dout, cache)
    assert np.abs(gamma * cache.inv_std * dout - dx).max() > 0.1


@pytest.mark.parametrize("upstream", ["ones", "half of out**2"])
def test_the_upstream_gradients_that_hide_everything(batch_norm_case, upstream):
    """Both lie in the directions that normalization undoes."""
    x, _, gamma, beta = batch_norm_case
    out, cache = batch_norm_forward(x, gamma, beta, eps=0.0)
    dx, _, _ = batch_norm_backward(np.ones_like(out) if upstream == "ones" else out, cache)
    np.testing.assert_allclose(dx, 0, atol=1e-14)


def test_a_row_of_weights_before_batch_norm_is_perpendicular_to_its_gradient(make_case):
    """But for eps: the activations are made large beside it."""
    net, x, y = make_case(3, True, 6)
    net.parameters["linear1.weight"] *= 1000
    _, gradients = net.cost_and_gradients(x, y)
    W, dW = net.parameters["linear1.weight"], gradients["linear1.weight"]
    cosine = (W * dW).sum(axis=1) / np.linalg.norm(W, axis=1) / np.linalg.norm(dW, axis=1)
    np.testing.assert_allclose(cosine, 0, atol=1e-6)


@pytest.mark.parametrize("y", range(M))
def test_softmax_through_its_jacobian_equals_p_minus_onehot(rng, y):
    z = 3 * rng.normal(size=M)
    _, cache = softmax_cross_entropy_forward(z[None], np.array([y]))
    long_way = from_the_page("softmax_gradient_through_the_jacobian")(z, y)
    np.testing.assert_allclose(long_way, softmax_cross_entropy_backward(1.0, cache)[0], rtol=0, atol=1e-14)


def test_two_classes_have_probability_minus_target(rng):
    z = rng.normal()
    loss, cache = softmax_cross_entropy_forward(np.array([[z, 0.0]]), np.array([0]))
    assert loss == pytest.approx(np.log(1 + np.exp(-z)), rel=1e-14)
    assert softmax_cross_entropy_backward(1.0, cache)[0, 0] == pytest.approx(1 / (1 + np.exp(-z)) - 1, rel=1e-14)


def test_rows_of_the_logits_gradient_sum_to_zero(rng):
    _, cache = softmax_cross_entropy_forward(3 * rng.normal(size=(N, M)), rng.integers(0, M, N))
    np.testing.assert_allclose(softmax_cross_entropy_backward(0.7, cache).sum(axis=1), 0, atol=1e-16)


def test_dropout_keeps_the_expectation_and_has_its_gradient(rng):
    out, _ = dropout_forward(np.full((1000, 1000), 2.0), dropout_mask(1000, 1000, 0.3, rng, np.dtype(np.float64)))
    assert set(np.unique(out)) == {0.0, 2.0 / 0.7}
    assert out.mean() == pytest.approx(2.0, abs=0.01)  # six standard errors
    x, dout = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    mask = dropout_mask(N, D, 0.3, rng, np.dtype(np.float64))
    slopes = differences(lambda x: np.vdot(dout, dropout_forward(x, mask)[0]), x)
    np.testing.assert_allclose(dropout_backward(dout, dropout_forward(x, mask)[1]), slopes, atol=1e-9)


def test_a_smoothed_target_spreads_over_all_classes(rng):
    logits, y, share = rng.normal(size=(N, M)), rng.integers(0, M, N), 0.3
    loss, cache = softmax_cross_entropy_forward(logits, y, share)
    q = (1 - share) * np.eye(M)[y] + share / M
    assert loss == pytest.approx(-(q * np.log(cache.p)).sum() / N, rel=1e-14)
    np.testing.assert_allclose(softmax_cross_entropy_backward(1.0, cache), (cache.p - q) / N, atol=1e-16)


def test_an_update_lowers_the_cost_by_eta_times_the_squared_gradient(make_case):
    net, x, y = make_case(3, False, 20)
    cost, gradients = net.cost_and_gradients(x, y, 0.1)
    before, eta, squared = net.parameters.flat.copy(), 1e-7, np.vdot(gradients.flat, gradients.flat)
    expected = gradients.flat.copy()
    loss_gradients = net.parameters.zeros_like()
    net.loss_and_gradients(x, y, loss_gradients)
    sgd_update(net.parameters, loss_gradients, eta, 0.1)
    assert cost - net.cost(x, y, 0.1, training=True) == pytest.approx(eta * squared, rel=1e-4)
    np.testing.assert_allclose((before - net.parameters.flat) / eta, expected, atol=1e-8)  # recovered from the update


def test_nesterovs_step_is_the_gradient_at_the_point_that_it_looks_ahead_to(rng):
    """On a quadratic: w and its velocity as in the textbook, and the parameters at w - eta mu v."""
    net = MLP([D, M], rng=rng, dtype=np.float64)
    curvature, w, v = rng.uniform(0.5, 2, net.parameters.flat.size), net.parameters.flat.copy(), 0.0
    optimizer, gradients = Momentum(net.parameters, 0.8, nesterov=True), net.parameters.zeros_like()
    for _ in range(5):
        v = 0.8 * v + curvature * (w - 0.1 * 0.8 * v)
        w = w - 0.1 * v
        gradients.flat[:] = curvature * net.parameters.flat
        optimizer(net.parameters, gradients, 0.1)
        np.testing.assert_allclose(net.parameters.flat, w - 0.1 * 0.8 * v, rtol=1e-12, atol=1e-15)


def test_without_bias_correction_adams_first_step_would_be_three_times_as_long():
    beta1, beta2 = (inspect.signature(Adam).parameters[name].default for name in ("beta1", "beta2"))
    assert (1 - beta1) / np.sqrt(1 - beta2) == pytest.approx(3, rel=0.1)


def test_the_table_of_learning_rates():
    (table,) = (part for part in DERIVATIONS.split("\n\n") if part.startswith("| update, "))
    steps, etas = (row.split("|")[2:-1] for row in (table.splitlines()[0], table.splitlines()[2]))
    for step, eta in zip(steps, etas, strict=True):
        assert float(eta) == pytest.approx(cyclical_learning_rate(int(step), step_size=500), rel=1e-12)
    assert len(steps) == 8


@pytest.mark.parametrize(("initializer", "kept"), [(he, 1.0), (xavier, 2.0**-8)], ids=["he", "xavier"])
def test_the_size_of_the_signal_after_eight_hidden_layers_of_relu(rng, initializer, kept):
    ratios = []
    for _ in range(5):
        x = h = rng.standard_normal((20, 400), np.float32)
        for _ in range(9):
            W = rng.standard_normal((400, 400), np.float32) * np.float32(initializer(400))
            s = h @ W.T
            h = np.maximum(s, 0)
        ratios.append((s**2).mean() / (x**2).mean())
    # the last layer's own factor: 2 without a ReLU behind it for He, 1 for Xavier
    assert np.mean(ratios) == pytest.approx(kept * 400 * initializer(400) ** 2, rel=0.3)  # five draws


def test_the_gradients_of_an_epochs_batches_average_to_the_whole_gradient(make_case):
    net, x, y = make_case(3, False, 100)
    batches = minibatches(100, 20, np.random.default_rng(0))
    epoch = itertools.islice(batches, 5)
    average = np.mean([net.cost_and_gradients(x[rows], y[rows])[1].flat for rows in epoch], axis=0)
    np.testing.assert_allclose(average, net.cost_and_gradients(x, y)[1].flat, atol=1e-15)


def test_a_check_passes_the_wrong_loss_and_the_forward_value_does_not(rng):
    logits, y = 2 * rng.normal(size=(N, M)), rng.integers(0, M, N)
    loss, gradient = from_the_page("wrong_loss"), from_the_page("gradient_of_the_wrong_loss")
    slopes = differences(lambda z: loss(z, y), logits)
    assert np.abs(slopes - gradient(logits, y)).max() < 1e-9 * np.abs(slopes).max()
    right, _ = softmax_cross_entropy_forward(logits, y)
    assert right / loss(logits, y) == pytest.approx(np.log(10), rel=1e-12)


def test_the_measured_network_has_as_many_entries_as_the_page_says():
    net = MLP([10, 20, 20, 10], batch_norm=True, rng=np.random.default_rng(0))
    assert f"all {net.parameters.flat.size} entries" in DERIVATIONS
