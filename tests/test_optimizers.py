"""Momentum, Nesterov, Adam, AdamW: beside torch's, what holds for any gradients, and going on from a saved state."""

from functools import partial

import checkpoints
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from manual_mlp import (
    MLP,
    Adam,
    AdamW,
    Momentum,
    compare_gradients,
    cyclical_learning_rate,
    optimizers,
    sgd_update,
    train,
)
from torch_reference import TwinAdam, TwinAdamW, TwinSGD, mirror

# No setting at its default. eps is far above rounding: divided by it, the gradient of a bias in front of batch norm,
# which is 0 but for rounding, stays as small as it is. With 1e-8 it would move by eta times a random number.
ADAM = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3}
PAIRS = {
    "momentum": (partial(Momentum, momentum=0.7), partial(TwinSGD, momentum=0.7)),
    "nesterov": (
        partial(Momentum, momentum=0.7, nesterov=True),
        partial(TwinSGD, momentum=0.7, nesterov=True),
    ),
    "adam": (partial(Adam, **ADAM), partial(TwinAdam, **ADAM)),
    "adamw": (partial(AdamW, **ADAM, weight_decay=0.3), lambda twin, _: TwinAdamW(twin, weight_decay=0.3, **ADAM)),
}
OPTIMIZERS = {name: ours for name, (ours, _) in PAIRS.items()}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
@pytest.mark.parametrize("depth", [1, 3], ids=lambda depth: f"{depth}-layer")
@pytest.mark.parametrize("l2", [pytest.param(0.0, marks=pytest.mark.thorough), 0.05], ids=lambda l2: f"l2={l2}")
def test_ten_steps_equal_torch(make_case, name, depth, batch_norm, l2):
    """Losses, parameters and buffers at every step of a cycle. AdamW takes no l2 in torch."""
    ours, theirs = PAIRS[name]
    l2 = 0.0 if name == "adamw" else l2
    net, _, _ = make_case(depth, batch_norm, 20)
    rng = np.random.default_rng(depth)
    twin = mirror(net)
    optimizer, reference = ours(net.parameters), theirs(twin, l2)
    gradients = net.parameters.zeros_like()
    for step in range(10):
        x, y = rng.normal(size=(20, 9)), rng.integers(0, 4, 20)
        eta = cyclical_learning_rate(step, step_size=4, eta_min=1e-3, eta_max=0.1)
        loss = net.loss_and_gradients(x, y, gradients)
        optimizer(net.parameters, gradients, eta, l2)
        assert loss == pytest.approx(reference.update(torch.tensor(x), torch.tensor(y), eta), rel=1e-12)
        values = {**net.parameters, **net.buffers}
        twin_values = {name: value.numpy() for name, value in twin.state_dict().items()}
        comparison = compare_gradients(values, twin_values, tolerance=1e-12, floor=0.0)
        assert comparison.agrees, f"after step {step}\n{comparison}"


def test_ten_steps_of_adamw_with_a_penalty_equal_torch(make_case):
    """The penalty's gradient goes into the moments, the decay does not; torch has the penalty in its cost."""
    net, _, _ = make_case(3, True, 20)
    rng = np.random.default_rng(3)
    twin = mirror(net)
    optimizer, reference = AdamW(net.parameters, **ADAM, weight_decay=0.3), TwinAdamW(twin, 0.3, **ADAM).optimizer
    gradients = net.parameters.zeros_like()
    for _ in range(10):
        x, y = rng.normal(size=(20, 9)), rng.integers(0, 4, 20)
        net.loss_and_gradients(x, y, gradients)
        optimizer(net.parameters, gradients, 0.05, 0.1)
        for group in reference.param_groups:
            group["lr"] = 0.05
        reference.zero_grad()
        twin.cost(torch.tensor(x), torch.tensor(y), 0.1).backward()
        reference.step()
    twin_values = {name: value.detach().numpy() for name, value in twin.named_parameters()}
    comparison = compare_gradients(net.parameters, twin_values, tolerance=1e-12, floor=0.0)
    assert comparison.agrees, f"\n{comparison}"


def test_adam_with_its_own_settings_equals_torch_with_its_own(make_case):
    """At eps 1e-8, without batch norm, where no gradient is rounding alone."""
    net, x, y = make_case(3, False, 100)
    twin = mirror(net)
    ours, theirs = AdamW(net.parameters), TwinAdamW(twin)
    gradients = net.parameters.zeros_like()
    for _ in range(10):
        net.loss_and_gradients(x, y, gradients)
        ours(net.parameters, gradients, 1e-3)
        theirs.update(torch.tensor(x), torch.tensor(y), 1e-3)
    values = {name: value.detach().numpy() for name, value in twin.named_parameters()}
    assert compare_gradients(net.parameters, values, tolerance=1e-12, floor=0.0).agrees


def network(seed=0, dtype=np.float64, **settings):
    return MLP([5, 8, 2], rng=np.random.default_rng(seed), dtype=dtype, **settings)


def updated(make, gradients, eta=0.1, l2=0.0, dtype=np.float64, block=optimizers.UPDATE_BLOCK):
    """The changes of the parameters by one update after the other, and the optimizer."""
    net = network(dtype=dtype, batch_norm=True)
    optimizer, changes = make(net.parameters), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizers, "UPDATE_BLOCK", block)
        for values in gradients:
            gradient, before = net.parameters.zeros_like(), net.parameters.flat.copy()
            gradient.flat[:] = values
            optimizer(net.parameters, gradient, eta, l2)
            changes.append(net.parameters.flat - before)
    return changes, net, optimizer


def random_gradients(seed, steps=4, scale=1.0):
    return list(scale * np.random.default_rng(seed).normal(size=(steps, len(network(batch_norm=True).parameters.flat))))


seeds = st.integers(0, 2**32 - 1)


@every_optimizer
@given(seed=seeds, block=st.integers(1, 100))
def test_blocks_of_any_size_make_the_same_bits(make, seed, block):
    """Also where the weights end within a block and where a block is full."""
    gradients = random_gradients(seed)
    whole, in_blocks = (updated(make, gradients, l2=0.1, block=size)[1] for size in (1000, block))
    np.testing.assert_array_equal(whole.parameters.flat, in_blocks.parameters.flat)


@pytest.mark.parametrize("nesterov", [False, True], ids=["polyak", "nesterov"])
@given(seed=seeds)
def test_without_momentum_it_is_sgd(nesterov, seed):
    """To the last bit."""
    gradients = random_gradients(seed)
    _, net, _ = updated(partial(Momentum, momentum=0.0, nesterov=nesterov), gradients, l2=0.1)
    _, plain, _ = updated(lambda _: sgd_update, gradients, l2=0.1)
    np.testing.assert_array_equal(net.parameters.flat, plain.parameters.flat)


@given(seed=seeds)
def test_a_constant_gradient_makes_the_velocity_a_geometric_sum(seed):
    (gradient,) = random_gradients(seed, steps=1)
    changes, _, _ = updated(partial(Momentum, momentum=0.5), [gradient] * 4)
    for change, total in zip(changes, (1, 1.5, 1.75, 1.875), strict=True):
        np.testing.assert_allclose(change, -0.1 * total * gradient, rtol=1e-12, atol=1e-15)


@given(seed=seeds, scale=st.floats(1e-3, 1e3))
def test_adam_goes_eta_along_every_constant_gradient_however_large(seed, scale):
    """From the first update on: that is what the bias correction is for."""
    (gradient,) = random_gradients(seed, 1, scale)
    gradient = np.where(np.abs(gradient) < 1e-6, 1e-6, gradient)
    changes, _, _ = updated(partial(Adam, beta1=0.8, beta2=0.95, eps=1e-30), [gradient] * 4)
    for change in changes:
        np.testing.assert_allclose(change, -0.1 * np.sign(gradient), rtol=1e-12)


@given(seed=seeds)
def test_adam_does_not_see_the_scale_of_its_gradients(seed):
    make = partial(Adam, beta1=0.8, beta2=0.95, eps=1e-30)
    changes, scaled = (updated(make, random_gradients(seed, scale=scale))[0] for scale in (1.0, 1000.0))
    np.testing.assert_allclose(changes, scaled, rtol=1e-9, atol=1e-14)


def test_decay_is_of_the_weights_alone_and_apart_from_the_gradient():
    (change,), net, _ = updated(partial(AdamW, weight_decay=0.2), [0.0])
    fresh = network(batch_norm=True).parameters
    np.testing.assert_allclose(change[: len(fresh.weights)], -0.1 * 0.2 * fresh.weights, rtol=1e-12)
    for name in fresh:
        if not (name.startswith("linear") and name.endswith("weight")):
            np.testing.assert_array_equal(net.parameters[name], fresh[name], name)


@given(seed=seeds)
def test_without_decay_adamw_is_adam(seed):
    gradients = random_gradients(seed)
    nets = [updated(make, gradients, l2=0.1)[1] for make in (partial(AdamW, weight_decay=0.0), Adam)]
    np.testing.assert_array_equal(nets[0].parameters.flat, nets[1].parameters.flat)


def test_a_small_decay_is_not_lost_in_float32():
    """eta weight_decay is 2e-8, which 1 - eta weight_decay does not show in float32; after 5,000 updates it makes 1e-4
    of a weight.
    """
    rng = np.random.default_rng(0)
    start = rng.uniform(1, 3, 2000).astype(np.float32)
    nets = [MLP([40, 50], rng=rng, dtype=dtype) for dtype in ("float32", "float64")]
    for net in nets:
        net.parameters.weights[:] = start
    both = [AdamW(net.parameters, weight_decay=2e-6) for net in nets]
    gradients = [net.parameters.zeros_like() for net in nets]
    for _ in range(5000):
        drawn = rng.normal(0, 0.1, len(gradients[0].flat)).astype(np.float32)
        for net, gradient, optimizer in zip(nets, gradients, both, strict=True):
            gradient.flat[:] = drawn
            optimizer(net.parameters, gradient, 1e-2)
    ours, exact = (net.parameters.weights.astype(np.float64) for net in nets)
    assert abs(np.mean(ours - exact)) < 2e-5 * np.mean(exact)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_has_the_networks_dtype_and_its_own_memory(make, dtype):
    _, net, optimizer = updated(make, random_gradients(0), dtype=dtype)
    for name, value in optimizer.state.items():
        assert value.dtype == (np.int64 if name == "updates" else dtype)
        assert not np.shares_memory(value, net.parameters.flat)
    assert net.parameters.flat.dtype == dtype


class Ended(Exception):
    pass


@every_optimizer
def test_from_a_saved_state_a_training_goes_on_to_the_same_bits(make, tmp_path):
    """Network and state through a checkpoint's file, into a new network and a new optimizer."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    data = x, (x[:, 0] > 0).astype(int)

    def training(net, optimizer, **settings):
        return train(
            *(net, data, data),
            **{"learning_rate": lambda step: 0.01 * (step + 1), "updates": 20, "batch_size": 13, "l2": 0.01},
            **{"record_every": 5, "rng": np.random.default_rng(1), "optimizer": optimizer, **settings},
        )

    def values(net, optimizer):
        return {**checkpoints.values_of(net), **optimizer.state}

    def save_and_end(state):
        if state.step == 7:
            checkpoints.write(tmp_path / "a", values(net, optimizer), state, {})
            raise Ended

    whole = network(batch_norm=True, dtype=np.float32)
    history = training(whole, make(whole.parameters))
    net = network(batch_norm=True, dtype=np.float32)
    optimizer = make(net.parameters)
    with pytest.raises(Ended):
        training(net, optimizer, on_state=save_and_end)
    again = network(seed=9, batch_norm=True, dtype=np.float32)
    optimizer = make(again.parameters)
    from_json = partial(checkpoints.training_state, updates=20, record_every=5)
    state = checkpoints.read(tmp_path / "a", values(again, optimizer), {}, from_json)
    assert training(again, optimizer, resume=state) == history
    np.testing.assert_array_equal(again.parameters.flat, whole.parameters.flat)
    np.testing.assert_array_equal(again.buffers.flat, whole.buffers.flat)
    fresh = network(seed=9, batch_norm=True, dtype=np.float32)
    checkpoints.read(tmp_path / "a", values(fresh, make(fresh.parameters)), {}, from_json)
    training(fresh, make(fresh.parameters), resume=state)
    assert not np.array_equal(fresh.parameters.flat, whole.parameters.flat), "what it remembers makes a difference"


@every_optimizer
def test_a_refused_update_changes_nothing(make):
    net, other = network(), network()
    optimizer, gradients = make(net.parameters), net.parameters.zeros_like()
    gradients.flat[:] = 1
    for arguments in ((other.parameters, gradients, 0.1, 0.0), (net.parameters, gradients, -1.0, 0.0)):
        with pytest.raises(ValueError, match=r"^parameters are not those|^eta is -1"):
            optimizer(*arguments)
    with pytest.raises(ValueError, match="l2 is nan"):
        optimizer(net.parameters, gradients, 0.1, np.nan)
    assert not any(value.any() for value in optimizer.state.values())
    np.testing.assert_array_equal(net.parameters.flat, other.parameters.flat)


def test_adam_reaches_the_minimum_of_a_narrow_valley():
    """A quadratic whose curvatures differ by 10^4: SGD, at the largest eta that it can bear, is still far away."""
    curvature = np.logspace(0, 4, len(network().parameters.flat))
    distances = {}
    for name, optimizer, eta in (("sgd", lambda _: sgd_update, 1.9e-4), ("adam", Adam, 1e-2)):
        net = network()
        update, gradients = optimizer(net.parameters), net.parameters.zeros_like()
        net.parameters.flat[:] = 1
        for step in range(2000):
            gradients.flat[:] = curvature * net.parameters.flat
            update(net.parameters, gradients, eta * (1 - step / 2000), 0.0)
        distances[name] = np.abs(net.parameters.flat).max()
    assert distances["adam"] < 1e-3 < 0.5 < distances["sgd"]
