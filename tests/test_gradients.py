"""Whole networks: the manual gradient against torch's autograd and against centered differences, and ten SGD steps."""

import numpy as np
import pytest
import torch

from manual_mlp import compare_gradients, cyclical_learning_rate, numerical_gradients, sgd_update
from torch_reference import autograd_gradients, mirror

every_case = [
    pytest.mark.parametrize("depth", [1, 2, 3, 4, 9], ids=lambda depth: f"{depth}-layer"),
    pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"]),
    pytest.mark.parametrize("l2", [0.0, 0.7], ids=lambda l2: f"l2={l2}"),
    pytest.mark.parametrize("batch", [2, 6, 100], ids=lambda batch: f"batch={batch}"),
]


def for_every_case(test):
    for mark in every_case:
        test = mark(test)
    return test


@for_every_case
def test_gradients_equal_autograd(make_case, depth, batch_norm, l2, batch):
    net, x, y = make_case(depth, batch_norm, batch)
    cost, gradients = net.cost_and_gradients(x, y, l2)
    reference = autograd_gradients(net, x, y, l2)
    comparison = compare_gradients(gradients, reference, tolerance=1e-12, floor=1e-14)
    assert comparison.agrees, f"\n{comparison}"
    twin_cost = mirror(net).cost(torch.tensor(x), torch.tensor(y), l2).item()
    assert cost == pytest.approx(twin_cost, rel=1e-13)


@for_every_case
def test_gradients_equal_centered_differences(make_case, depth, batch_norm, l2, batch):
    net, x, y = make_case(depth, batch_norm, batch)
    _, gradients = net.cost_and_gradients(x, y, l2)
    comparison = compare_gradients(gradients, numerical_gradients(net, x, y, l2, h=1e-5), tolerance=1e-7, floor=1e-9)
    assert comparison.agrees, f"\n{comparison}"


@pytest.mark.parametrize("depth", [2, 9], ids=lambda depth: f"{depth}-layer")
def test_only_biases_before_batch_norm_count_as_zero(make_case, depth):
    """The floor must excuse nothing else, or a wrong gradient could hide below it."""
    net, x, y = make_case(depth, True, 6)
    _, gradients = net.cost_and_gradients(x, y, 0.7)
    comparison = compare_gradients(gradients, autograd_gradients(net, x, y, 0.7), tolerance=1e-12, floor=1e-14)
    zero = {row.name for row in comparison.parameters if row.verdict == "zero"}
    assert zero == {f"linear{layer}.bias" for layer in range(1, depth)}


def test_a_bias_before_batch_norm_has_no_gradient(make_case):
    """It shifts every image's value of a feature alike, the batch's mean takes the shift out again: the cost stays.

    So its gradient, the sum of dx over the batch, is 0 but for rounding; comparing rounding says nothing.
    """
    net, x, y = make_case(3, True, 6)
    cost, gradients = net.cost_and_gradients(x, y, 0.7)
    for bias in ("linear1.bias", "linear2.bias"):
        assert np.abs(gradients[bias]).max() < 1e-15
        net.parameters[bias] += 3.0
        assert net.cost(x, y, 0.7, training=True) == pytest.approx(cost, rel=1e-13)
    assert np.abs(gradients["linear3.bias"]).max() > 1e-3, "the output layer's bias is not followed by batch norm"


@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
@pytest.mark.parametrize("depth", [1, 3, 9], ids=lambda depth: f"{depth}-layer")
@pytest.mark.parametrize("l2", [0.0, 0.05], ids=lambda l2: f"l2={l2}")
@pytest.mark.parametrize("penalty_as_weight_decay", [False, True], ids=["penalty", "weight-decay"])
def test_ten_sgd_steps_equal_torch(make_case, depth, batch_norm, l2, penalty_as_weight_decay):
    """Losses, parameters and buffers at every step of a cycle; l2 also as weight_decay = 2 l2 on the weights alone."""
    net, _, _ = make_case(depth, batch_norm, 20)
    rng = np.random.default_rng(depth)
    twin = mirror(net)
    weights = [value for name, value in twin.named_parameters() if name.startswith("linear") and "weight" in name]
    others = [value for name, value in twin.named_parameters() if not (name.startswith("linear") and "weight" in name)]
    decay = 2 * l2 if penalty_as_weight_decay else 0.0
    optimizer = torch.optim.SGD([{"params": weights, "weight_decay": decay}, {"params": others}], lr=0.1)
    for step in range(10):
        x, y = rng.normal(size=(20, 9)), rng.integers(0, 4, 20)
        eta = cyclical_learning_rate(step, step_size=4, eta_min=1e-3, eta_max=0.3)
        for group in optimizer.param_groups:
            group["lr"] = eta

        gradients = net.parameters.zeros_like()
        loss = net.loss_and_gradients(x, y, gradients)
        sgd_update(net.parameters, gradients, eta, l2)

        optimizer.zero_grad()
        twin_loss = twin.cost(torch.tensor(x), torch.tensor(y))
        (twin_loss if penalty_as_weight_decay else twin_loss + l2 * sum(w.square().sum() for w in weights)).backward()
        optimizer.step()

        assert loss == pytest.approx(twin_loss.item(), rel=1e-12)
        values = {**net.parameters, **net.buffers}
        twin_values = {name: value.numpy() for name, value in twin.state_dict().items()}
        comparison = compare_gradients(values, twin_values, tolerance=1e-12, floor=0.0)
        assert comparison.agrees, f"after step {step}\n{comparison}"
