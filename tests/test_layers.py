"""Each operation alone: forward against torch, backward against autograd, random upstream gradients, float64."""

import inspect

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from manual_mlp import layers

N, D, M = 6, 5, 4


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def assert_equal(ours, theirs):
    """max |difference| / max |reference| of at most 1e-13."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-13 * np.abs(theirs).max()


def test_linear(rng):
    x, W, b, dout = rng.normal(size=(N, D)), rng.normal(size=(M, D)), rng.normal(size=M), rng.normal(size=(N, M))
    out, cache = layers.linear_forward(x, W, b)
    inputs = tensors(x, W, b)
    reference = F.linear(*inputs)
    assert_equal(out, reference)
    reference_gradients = torch.autograd.grad(reference, inputs, torch.tensor(dout))
    for ours, theirs in zip(layers.linear_backward(dout, cache), reference_gradients, strict=True):
        assert_equal(ours, theirs)
    for ours, theirs in zip(layers.linear_backward_parameters(dout, cache), reference_gradients[1:], strict=True):
        assert_equal(ours, theirs)


def test_relu(rng):
    x, dout = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    x[0, :2] = 0.0, -0.0  # the corner: torch's gradient there is 0
    out, cache = layers.relu_forward(x)
    (inputs,) = tensors(x)
    reference = F.relu(inputs)
    assert_equal(out, reference)
    assert_equal(layers.relu_backward(dout, cache), torch.autograd.grad(reference, inputs, torch.tensor(dout))[0])


def test_relu_in_place_has_the_same_gradient(rng):
    x, dout = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    expected = layers.relu_backward(dout, layers.relu_forward(x)[1])
    out, cache = layers.relu_forward(x, out=x)
    assert out is x
    np.testing.assert_array_equal(layers.relu_backward(dout, cache), expected)


@pytest.mark.parametrize("images", [2, 3, 100])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3], ids=lambda scale: f"scale={scale:g}")
def test_batch_norm_in_training(rng, images, scale):
    """Over three batches, so that the running statistics leave their start; at scale 1e-3 eps is part of the result."""
    gamma, beta = rng.uniform(0.5, 1.5, D) * [-1, 1, 1, -1, 1], rng.normal(size=D)
    running_mean, running_var = rng.normal(size=D), rng.uniform(0.5, 1.5, D)
    twin_mean, twin_var = torch.tensor(running_mean), torch.tensor(running_var)
    for _ in range(3):
        x, dout = scale * rng.normal(1.0, 1.0, (images, D)), rng.normal(size=(images, D))
        out, cache = layers.batch_norm_forward(x, gamma, beta)
        layers.batch_norm_advance(running_mean, running_var, cache)
        inputs = tensors(x, gamma, beta)
        reference = F.batch_norm(inputs[0], twin_mean, twin_var, inputs[1], inputs[2], training=True)
        assert_equal(out, reference)
        assert_equal(running_mean, twin_mean)
        assert_equal(running_var, twin_var)
        dx, dgamma, dbeta = layers.batch_norm_backward(dout, cache)
        twin_dx, twin_dgamma, twin_dbeta = torch.autograd.grad(reference, inputs, torch.tensor(dout))
        assert_equal(dgamma, twin_dgamma)
        assert_equal(dbeta, twin_dbeta)
        # dx is what remains of dout after two subtractions: its rounding is on the scale of dout, not on its own
        assert np.abs(dx - twin_dx.numpy()).max() <= 1e-14 * np.abs(gamma * cache.inv_std * dout).max()


def test_batch_norm_at_test_time(rng):
    x, gamma, beta = rng.normal(size=(N, D)), rng.uniform(0.5, 1.5, D), rng.normal(size=D)
    mean, var = rng.normal(size=D), rng.uniform(1e-6, 1.5, D)
    reference = F.batch_norm(*(torch.tensor(array) for array in (x, mean, var, gamma, beta)))
    assert_equal(layers.batch_norm_inference(x, gamma, beta, mean, var), reference)


def test_batch_norm_gradient_has_no_part_along_a_shift_or_a_scaling(rng):
    """The normalization would undo both. So a test with dout all ones, or with sum(out**2), has dx = 0 and is none."""
    x, dout = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    _, cache = layers.batch_norm_forward(x, rng.uniform(0.5, 1.5, D), rng.normal(size=D), eps=0.0)
    dx, _, _ = layers.batch_norm_backward(dout, cache)
    np.testing.assert_allclose(dx.sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose((dx * x).sum(axis=0), 0, atol=1e-14)
    assert np.abs(dx).max() > 0.1


def test_dropout_under_torchs_own_mask(rng):
    """torch's forward pass of ones shows the mask that it drew."""
    x, dout = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    torch.manual_seed(3)
    mask = F.dropout(torch.ones(N, D, dtype=torch.float64), 0.4).numpy()
    assert 0 < np.count_nonzero(mask) < mask.size
    out, cache = layers.dropout_forward(x, mask)
    (inputs,) = tensors(x)
    torch.manual_seed(3)
    reference = F.dropout(inputs, 0.4)
    assert_equal(out, reference)
    assert_equal(layers.dropout_backward(dout, cache), torch.autograd.grad(reference, inputs, torch.tensor(dout))[0])


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.9], ids=lambda rate: f"rate={rate}")
def test_a_dropout_mask_is_1_on_average(rng, rate):
    mask = layers.dropout_mask(400, 500, rate, rng, np.dtype(np.float64))
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - rate)}
    dropped = np.mean(mask == 0)
    assert dropped == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / mask.size))
    together = np.mean((mask[1:] == 0) & (mask[:-1] == 0)), np.mean((mask[:, 1:] == 0) & (mask[:, :-1] == 0))
    np.testing.assert_allclose(together, rate**2, atol=0.005)  # every entry is drawn on its own


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.9], ids=lambda share: f"smoothing={share}")
def test_softmax_cross_entropy(rng, label_smoothing):
    logits, y, dout = 3 * rng.normal(size=(N, 4)), rng.integers(0, 4, N), rng.normal(size=())
    loss, cache = layers.softmax_cross_entropy_forward(logits, y, label_smoothing)
    (inputs,) = tensors(logits)
    reference = F.cross_entropy(inputs, torch.tensor(y), label_smoothing=label_smoothing)
    assert loss == pytest.approx(reference.item(), rel=1e-14)
    (twin,) = torch.autograd.grad(reference, inputs, torch.tensor(dout))
    assert_equal(layers.softmax_cross_entropy_backward(dout, cache), twin)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_softmax_cross_entropy_does_not_overflow(dtype):
    """Rows of very different size: a shift by the maximum of the whole batch would make the second row's p 0/0."""
    logits = np.array([[1e4, 0, -1e4], [-1e4, -1e4 - 1, -1e4 - 2], [0, 0, 1e4]], dtype)
    loss, cache = layers.softmax_cross_entropy_forward(logits, np.array([0, 0, 0]))
    second = np.log(1 + np.exp(-1.0) + np.exp(-2.0))
    assert loss == pytest.approx((0 + second + 1e4) / 3, rel=1e-6)
    assert np.isfinite(cache.p).all()
    np.testing.assert_allclose(cache.p.sum(axis=1), 1, rtol=1e-6)


def test_l2_penalty(rng):
    W, dout = rng.normal(size=(M, D)), rng.normal(size=())
    penalty, cache = layers.l2_penalty_forward(W, 0.3)
    (inputs,) = tensors(W)
    reference = 0.3 * inputs.square().sum()
    assert penalty == pytest.approx(reference.item(), rel=1e-14)
    assert_equal(layers.l2_penalty_backward(dout, cache), torch.autograd.grad(reference, inputs, torch.tensor(dout))[0])


def every_operation(dtype, scalar=float):
    """(name, function, arguments) of every forward and backward pass, on random arrays of one dtype."""
    rng = np.random.default_rng(0)

    def array(*shape):
        return rng.uniform(0.5, 1.5, shape).astype(dtype)

    y = rng.integers(0, M, N)
    linear = layers.LinearCache(array(N, D), array(M, D))
    norm = layers.BatchNormCache(array(N, D), array(D), array(D), array(D), array(D))
    return [
        ("linear_forward", (array(N, D), array(M, D), array(M))),
        ("linear_backward", (array(N, M), linear)),
        ("linear_backward_parameters", (array(N, M), linear)),
        ("relu_forward", (array(N, D),)),
        ("relu_backward", (array(N, D), layers.ReluCache(array(N, D)))),
        ("batch_norm_forward", (array(N, D), array(D), array(D), scalar(1e-3))),
        ("batch_norm_backward", (array(N, D), norm)),
        ("batch_norm_inference", (array(N, D), array(D), array(D), array(D), array(D), scalar(1e-3))),
        ("dropout_mask", (N, D, 0.3, rng, np.dtype(dtype))),
        ("dropout_forward", (array(N, D), array(N, D))),
        ("dropout_backward", (array(N, D), layers.DropoutCache(array(N, D)))),
        ("softmax_cross_entropy_forward", (array(N, M), y, scalar(0.1))),
        ("softmax_cross_entropy_backward", (scalar(0.5), layers.SoftmaxCrossEntropyCache(array(N, M), y, 0.1))),
        ("l2_penalty_forward", (array(M, D), scalar(0.5))),
        ("l2_penalty_backward", (scalar(0.5), layers.L2PenaltyCache(array(M, D), scalar(0.5)))),
    ]


def arrays_in(result):
    """All floating arrays and scalars in nested tuples."""
    if isinstance(result, tuple):
        return [array for part in result for array in arrays_in(part)]
    return [result] if isinstance(result, np.ndarray | np.floating) and result.dtype.kind == "f" else []


names = [name for name, _ in every_operation(np.float64)]


@pytest.mark.parametrize("name", names)
@pytest.mark.parametrize("scalar", [float, np.float64], ids=["python-float", "np.float64"])
def test_float32_stays_float32(name, scalar):
    arguments = dict(every_operation(np.float32, scalar))[name]
    results = arrays_in(getattr(layers, name)(*arguments))
    assert {array.dtype for array in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", names)
def test_inputs_stay_as_they_were(name):
    arguments = dict(every_operation(np.float64))[name]
    before = [array.copy() for array in arrays_in(arguments)]
    getattr(layers, name)(*arguments)
    for array, copy in zip(arrays_in(arguments), before, strict=True):
        np.testing.assert_array_equal(array, copy)


OUTPUTS = {  # where in its results an operation returns what it writes into an array of that name
    "linear_forward": {"out": 0},
    "linear_backward": {"dx": 0, "dW": 1, "db": 2},
    "linear_backward_parameters": {"dW": 0, "db": 1},
    "relu_forward": {"out": 0},
    "relu_backward": {"dx": 0},
    "dropout_forward": {"out": 0},
    "dropout_backward": {"dx": 0},
    "batch_norm_forward": {"out": 0, "x_hat": 1},
    "batch_norm_backward": {"dx": 0, "dgamma": 1, "dbeta": 2},
}
IN_PLACE = {
    "relu_forward": "out",
    "relu_backward": "dx",
    "batch_norm_forward": "x_hat",
    "batch_norm_backward": "dx",
    "dropout_forward": "out",
    "dropout_backward": "dx",
}


def test_every_array_to_write_into_is_listed():
    for name in names:
        parameters = inspect.signature(getattr(layers, name)).parameters.values()
        optional = {parameter.name for parameter in parameters if parameter.default is None}
        assert optional == set(OUTPUTS.get(name, {}))


@pytest.mark.parametrize("name", OUTPUTS)
def test_results_go_where_out_says(name):
    function, arguments = getattr(layers, name), dict(every_operation(np.float64))[name]
    expected = arrays_in(function(*arguments))
    into = {output: np.full_like(expected[place], np.nan) for output, place in OUTPUTS[name].items()}
    results = arrays_in(function(*arguments, **into))
    for result, reference in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, reference)
    for output, place in OUTPUTS[name].items():
        assert results[place] is into[output]


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_result_may_take_the_place_of_what_went_in(name):
    function, arguments = getattr(layers, name), dict(every_operation(np.float64))[name]
    expected = arrays_in(function(*arguments))
    results = arrays_in(function(*arguments, **{IN_PLACE[name]: arguments[0]}))
    for result, reference in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, reference)
