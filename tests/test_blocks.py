"""What a hidden layer may have besides: dropout, skips, batch norm behind the ReLU, and a smoothed target, held against
torch like the plain network, the masks of dropout shared.
"""

import numpy as np
import pytest
import torch
from conftest import distance_from_kinks, perturb

from manual_mlp import MLP, compare_gradients, cyclical_learning_rate, directional_gradients, numerical_gradients
from manual_mlp.optimizers import sgd_update
from torch_reference import TwinSGD, autograd_gradients, mirror

EXTRAS = {
    "dropout": {"dropout": 0.3},
    "dropout, batch norm": {"dropout": 0.3, "batch_norm": True},
    "skips": {"skips": (2, 3)},
    "skips, batch norm": {"skips": (2, 3), "batch_norm": True},
    "batch norm behind the ReLU": {"batch_norm": True, "relu_first": True},
    "label smoothing": {"label_smoothing": 0.1},
    "all": {"dropout": 0.3, "skips": (2,), "batch_norm": True, "relu_first": True, "label_smoothing": 0.2},
    "all, ReLU last": {"dropout": 0.3, "skips": (2, 3), "batch_norm": True, "label_smoothing": 0.2},
}
every_extra = pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)


def case(extra, images=40):
    """A perturbed network with what is extra, a batch away from the kinks, and masks."""
    rng = np.random.default_rng(11)
    while True:
        net = MLP([9, 7, 7, 7, 4], rng=rng, dtype=np.float64, **extra)
        perturb(net, rng)
        x, y = rng.normal(size=(images, 9)), rng.integers(0, 4, images)
        masks = net.dropout_masks(images, rng)
        if distance_from_kinks(net, x, masks) > 3e-4:
            return net, x, y, masks


@every_extra
def test_gradients_equal_autograd(extra):
    net, x, y, masks = case(extra)
    cost, gradients = net.cost_and_gradients(x, y, 0.7, masks)
    comparison = compare_gradients(gradients, autograd_gradients(net, x, y, 0.7, masks), tolerance=1e-12, floor=1e-14)
    assert comparison.agrees, f"\n{comparison}"
    twin_masks = None if masks is None else [torch.tensor(mask) for mask in masks]
    twin_cost = mirror(net).cost(torch.tensor(x), torch.tensor(y), 0.7, twin_masks).item()
    assert cost == pytest.approx(twin_cost, rel=1e-13)
    assert net.cost(x, y, 0.7, True, masks) == pytest.approx(twin_cost, rel=1e-13)


@every_extra
def test_gradients_equal_centered_differences(extra):
    net, x, y, masks = case(extra)
    _, gradients = net.cost_and_gradients(x, y, 0.7, masks)
    reference = numerical_gradients(net, x, y, 0.7, h=1e-5, masks=masks)
    comparison = compare_gradients(gradients, reference, tolerance=1e-7, floor=1e-9)
    assert comparison.agrees, f"\n{comparison}"


def test_slopes_along_directions_use_the_masks():
    net, x, y, masks = case(EXTRAS["all"])
    _, gradients = net.cost_and_gradients(x, y, 0.7, masks)
    rng = np.random.default_rng(0)
    claimed, differences = directional_gradients(net, gradients, x, y, 0.7, masks=masks, directions=5, rng=rng)
    assert compare_gradients(claimed, differences, tolerance=1e-7, floor=1e-9).agrees


@every_extra
def test_outputs_and_buffers_equal_torch(extra):
    """In training under shared masks, then at test time, where nothing is dropped."""
    net, x, _, masks = case(extra)
    twin = mirror(net)
    twin_masks = None if masks is None else [torch.tensor(mask) for mask in masks]
    ours, theirs = net.forward(x, True, masks), twin(torch.tensor(x), twin_masks).detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
    for name, buffer in net.buffers.items():
        np.testing.assert_allclose(buffer, twin.state_dict()[name], rtol=1e-13, atol=1e-14)
    theirs = twin.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(net.forward(x), theirs, rtol=1e-12, atol=1e-13)


@every_extra
def test_ten_sgd_steps_equal_torch(extra):
    """Losses, parameters and buffers at every step, new masks in each; in a workspace, as a training makes them."""
    net, _, _, _ = case(extra)
    twin, rng = mirror(net), np.random.default_rng(5)
    optimizer, workspace, gradients = TwinSGD(twin, l2=0.05), net.workspace(20), net.parameters.zeros_like()
    for step in range(10):
        x, y, masks = rng.normal(size=(20, 9)), rng.integers(0, 4, 20), net.dropout_masks(20, rng)
        eta = cyclical_learning_rate(step, step_size=4, eta_min=1e-3, eta_max=0.3)
        loss = net.loss_and_gradients(x, y, gradients, workspace, masks)
        sgd_update(net.parameters, gradients, eta, 0.05)
        twin_masks = None if masks is None else [torch.tensor(mask) for mask in masks]
        twin_loss = optimizer.update(torch.tensor(x), torch.tensor(y), eta, twin_masks)
        assert loss == pytest.approx(twin_loss, rel=1e-12)
        twin_values = {name: value.numpy() for name, value in twin.state_dict().items()}
        comparison = compare_gradients({**net.parameters, **net.buffers}, twin_values, tolerance=1e-12, floor=0.0)
        assert comparison.agrees, f"after step {step}\n{comparison}"


@every_extra
def test_a_workspace_changes_no_bit(extra):
    net, x, y, masks = case(extra)
    one, other = net.parameters.zeros_like(), net.parameters.zeros_like()
    loss = net.loss_and_gradients(x, y, one, masks=masks)
    workspace = net.workspace(len(x))
    for _ in range(2):  # the second time in arrays that are in use
        assert net.loss_and_gradients(x, y, other, workspace, masks) == loss
    np.testing.assert_array_equal(one.flat, other.flat)


def test_the_twin_draws_masks_of_its_own_when_it_is_given_none():
    net, x, _, _ = case({"dropout": 0.5})
    twin = mirror(net)
    first, second = twin(torch.tensor(x)), twin(torch.tensor(x))
    assert not torch.equal(first, second)
    assert torch.equal(twin.eval()(torch.tensor(x)), twin(torch.tensor(x)))


def test_a_skip_around_a_layer_without_weights_passes_its_input_on():
    net = MLP([5, 4, 4, 3], skips=(2,), rng=np.random.default_rng(0), dtype=np.float64)
    net.parameters["linear2.weight"] = np.zeros((4, 4))
    without = MLP([5, 4, 3], rng=np.random.default_rng(0), dtype=np.float64)
    without.parameters["linear1.weight"] = net.parameters["linear1.weight"]
    without.parameters["linear2.weight"] = net.parameters["linear3.weight"]
    x = np.random.default_rng(1).normal(size=(6, 5))
    np.testing.assert_array_equal(net.forward(x), without.forward(x))


def test_without_dropout_nothing_is_drawn():
    rng = np.random.default_rng(0)
    assert MLP([5, 4, 3], rng=rng).dropout_masks(6, rng) is None


def test_the_masks_are_drawn_at_the_networks_rate_one_for_each_hidden_layer():
    net = MLP([5, 40, 30, 3], dropout=0.2, rng=np.random.default_rng(0), dtype=np.float64)
    masks = net.dropout_masks(50, np.random.default_rng(1))
    assert [mask.shape for mask in masks] == [(50, 40), (50, 30)]
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 1 / (1 - 0.2)}
        assert np.mean(mask == 0) == pytest.approx(0.2, abs=5 * np.sqrt(0.2 * 0.8 / mask.size))
