"""Statistics measured after training, beside what torch's own modules see on the way."""

import numpy as np
import pytest
import torch
from conftest import perturb
from torch import nn

from manual_mlp import MLP, adaptive_batch_norm, precise_batch_norm
from torch_reference import mirror


def case(**settings):
    rng = np.random.default_rng(3)
    net = MLP([9, 7, 6, 4], batch_norm=True, rng=rng, dtype=np.float64, **settings)
    perturb(net, rng)
    return net, rng.normal(1.0, 2.0, (40, 9))


def seen_by_torch(twin, x, batch_size):
    """What goes into each nn.BatchNorm1d, batch by batch, in training mode; by its name."""
    seen = {}
    for name, module in twin.named_children():
        if isinstance(module, nn.BatchNorm1d):
            seen[name] = []
            module.register_forward_hook(lambda _, inputs, __, name=name: seen[name].append(inputs[0].detach()))
    for part in torch.tensor(x).split(batch_size):
        twin(part)
    return {name: torch.cat(parts) for name, parts in seen.items()}


@pytest.mark.parametrize("relu_first", [False, True], ids=["in front of ReLU", "behind ReLU"])
@pytest.mark.parametrize("batch_size", [10, 15, 40, 100])
def test_precise_statistics_are_those_of_all_that_batch_norm_sees(batch_size, relu_first):
    net, x = case(relu_first=relu_first)
    parameters = net.parameters.flat.copy()
    precise_batch_norm(net, x, batch_size)
    for name, inputs in seen_by_torch(mirror(net), x, batch_size).items():
        np.testing.assert_allclose(net.buffers[f"{name}.running_mean"], inputs.mean(dim=0), rtol=1e-12)
        np.testing.assert_allclose(net.buffers[f"{name}.running_var"], inputs.var(dim=0), rtol=1e-12)
    np.testing.assert_array_equal(net.parameters.flat, parameters)


def test_adaptive_statistics_are_torchs_with_momentum_1():
    net, _ = case()
    x = np.random.default_rng(4).normal(1.0, 2.0, (1100, 9))  # more than other statistics take at once
    twin = mirror(net)
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
    twin(torch.tensor(x))
    adaptive_batch_norm(net, x)
    for name, buffer in net.buffers.items():
        np.testing.assert_allclose(buffer, twin.state_dict()[name], rtol=1e-12)


def test_adaptive_statistics_undo_a_shift_and_a_scaling_of_the_images():
    """Another domain's images, a linear function of the first: what comes out of the first normalization is the same,
    up to eps."""
    net, x = case()
    adaptive_batch_norm(net, x)
    expected = net.forward(x)
    adaptive_batch_norm(net, 30 * x + 7)
    np.testing.assert_allclose(net.forward(30 * x + 7), expected, rtol=1e-4, atol=1e-4)


def test_a_last_image_alone_joins_the_batch_before():
    """Behind the first layer it shows: alone it would be normalized to 0."""
    net, x = case()
    precise_batch_norm(net, x[:21], 10)
    (first, second), twin = (x[:10], x[10:21]), mirror(net)
    inputs = torch.cat([seen_by_torch(twin, part, 11)["bn2"] for part in (first, second)])
    np.testing.assert_allclose(net.buffers["bn2.running_mean"], inputs.mean(dim=0), rtol=1e-12)
    np.testing.assert_allclose(net.buffers["bn2.running_var"], inputs.var(dim=0), rtol=1e-12)


def test_nothing_is_dropped():
    net, x = case(dropout=0.5)
    precise_batch_norm(net, x, 40)
    without, _ = case()
    without.parameters.flat[:] = net.parameters.flat
    precise_batch_norm(without, x, 40)
    np.testing.assert_array_equal(net.buffers.flat, without.buffers.flat)
