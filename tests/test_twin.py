"""Values go to torch and come back; the twin is made of torch's parts alone."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from manual_mlp import MLP
from torch_reference import autograd_gradients, mirror, mirror_back


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
def test_there_and_back(make_case, batch_norm, dtype):
    source = make_case(4, batch_norm, 6).net
    net = MLP(source.sizes, batch_norm=batch_norm, rng=np.random.default_rng(0), dtype=dtype)
    net.parameters.update(source.parameters)
    net.buffers.update(source.buffers)
    twin = mirror(net)
    assert {str(value.dtype) for value in twin.state_dict().values()} == {f"torch.{np.dtype(dtype)}"}
    other = MLP(net.sizes, batch_norm=batch_norm, rng=np.random.default_rng(1), dtype=dtype)
    mirror_back(twin, other)
    np.testing.assert_array_equal(other.parameters.flat, net.parameters.flat)
    np.testing.assert_array_equal(other.buffers.flat, net.buffers.flat)


def test_the_twin_owns_its_values(make_case):
    net, _, _ = make_case(2, True, 6)
    before = net.parameters.flat.copy(), net.buffers.flat.copy()
    twin = mirror(net)
    with torch.no_grad():
        for value in twin.state_dict().values():
            value.add_(1.0)
    np.testing.assert_array_equal(net.parameters.flat, before[0])
    np.testing.assert_array_equal(net.buffers.flat, before[1])


def test_the_twin_is_made_of_torchs_parts(make_case):
    twin = mirror(make_case(3, True, 6).net)
    assert [type(module) for module in twin.children()] == [
        *(nn.Linear, nn.BatchNorm1d),
        *(nn.Linear, nn.BatchNorm1d),
        nn.Linear,
    ]
    for module in twin.children():
        if isinstance(module, nn.BatchNorm1d):
            assert (module.eps, module.momentum, module.track_running_stats) == (1e-5, 0.1, True)


def test_a_plain_dictionary_loads_strictly(make_case):
    """As from a file: without the metadata that torch's own state_dict carries."""
    net, _, _ = make_case(3, True, 6)
    state = {name: torch.tensor(value) for name, value in (*net.parameters.items(), *net.buffers.items())}
    mirror(net).load_state_dict(state, strict=True)


def test_autograd_leaves_the_network_as_it_was(make_case):
    net, x, y = make_case(3, True, 6)
    before = net.parameters.flat.copy(), net.buffers.flat.copy()
    autograd_gradients(net, x, y, 0.7)
    np.testing.assert_array_equal(net.parameters.flat, before[0])
    np.testing.assert_array_equal(net.buffers.flat, before[1])


def test_a_twin_can_be_pickled(make_case):
    twin = mirror(make_case(3, True, 6).net)
    assert list(pickle.loads(pickle.dumps(twin)).state_dict()) == list(twin.state_dict())


def test_autograd_refuses_what_the_network_refuses(make_case):
    net, x, y = make_case(3, True, 6)
    for bad_x, bad_y, l2 in (
        (x, y + 0.7, 0.0),
        (x * np.nan, y, 0.0),
        (x[:1], y[:1], 0.0),
        (x, y + 9, 0.0),
        (x, y, -1.0),
    ):
        with pytest.raises(ValueError, match=r"it must|statistics of one image|every value|classes are numbered"):
            autograd_gradients(net, bad_x, bad_y, l2)
    expected = autograd_gradients(net, x[::-1].copy(), y[::-1].copy())["linear1.weight"]
    np.testing.assert_array_equal(autograd_gradients(net, x[::-1], y[::-1])["linear1.weight"], expected)


def test_values_of_another_network_are_refused(make_case):
    with pytest.raises(ValueError, match="net needs"):
        mirror_back(mirror(make_case(3, True, 6).net), make_case(2, True, 6).net)
