"""Every row of docs/conventions.md: torch's column against torch, the others as the formulas that stand there."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from test_diagnosis_schedules import by_torch
from torch import nn
from torch.nn import functional as F

from manual_mlp import MLP, Adam, Momentum, cosine_decay, one_cycle, sgd_update
from manual_mlp.initializers import he, weight_std, xavier
from manual_mlp.layers import (
    BATCH_NORM_EPS,
    batch_norm_advance,
    batch_norm_forward,
    l2_penalty_backward,
    l2_penalty_forward,
    linear_backward,
    linear_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from manual_mlp.named_arrays import NamedArrays

PAGE = Path(__file__).parent.parent / "docs" / "conventions.md"
N, D, M = 6, 5, 4
BACKED = []


def backs(*rows):
    """Says which rows of the page a test stands behind."""
    BACKED.extend(rows)
    return lambda test: test


def test_every_row_is_backed():
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(set(rows) - {"what"}) == sorted(BACKED)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def linear(rng):
    return rng.normal(size=(N, D)), rng.normal(size=(M, D)), rng.normal(size=M), rng.normal(size=(N, M))


@backs("images", "weights", "biases")
def test_a_linear_layer_in_every_layout(linear):
    x, W, b, dout = linear
    out, cache = linear_forward(x, W, b)
    _, dW, db = linear_backward(dout, cache)

    columns, bias_column, dcolumns = x.T, b[:, None], dout.T  # course
    np.testing.assert_allclose((W @ columns + bias_column).T, out, rtol=1e-13)
    np.testing.assert_allclose(dcolumns @ columns.T, dW, rtol=1e-13)
    np.testing.assert_allclose(dcolumns.sum(axis=1, keepdims=True), db[:, None], rtol=1e-13)

    kernel = W.T  # CS231n, Keras
    np.testing.assert_allclose(x @ kernel + b, out, rtol=1e-13)
    np.testing.assert_allclose((x.T @ dout).T, dW, rtol=1e-13)

    layer = nn.Linear(D, M, dtype=torch.float64)
    assert (layer.weight.shape, layer.bias.shape) == ((M, D), (M,))
    np.testing.assert_allclose(F.linear(*map(torch.tensor, (x, W, b))).numpy(), out, rtol=1e-13)
    net = MLP([D, M], rng=np.random.default_rng(0))
    assert (net.parameters["linear1.weight"].shape, net.parameters["linear1.bias"].shape) == ((M, D), (M,))


@backs("labels", "loss takes", "loss is")
def test_a_loss_from_logits_or_probabilities_numbers_or_one_hot(rng):
    logits, y = 2 * rng.normal(size=(N, M)), rng.integers(0, M, N)
    loss, cache = softmax_cross_entropy_forward(logits, y)
    one_hot = np.eye(M)[y]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(one_hot.T.argmax(axis=0), y)

    assert -np.log((one_hot.T * p.T).sum(axis=0)).mean() == pytest.approx(loss, rel=1e-13)  # course, columns
    assert -np.log(p[np.arange(N), y]).mean() == pytest.approx(loss, rel=1e-13)  # CS231n, Keras with numbers
    assert -(one_hot * np.log(p)).sum(axis=1).mean() == pytest.approx(loss, rel=1e-13)  # Keras with one-hot
    np.testing.assert_allclose((p.T - one_hot.T).T / N, softmax_cross_entropy_backward(1.0, cache), atol=1e-16)

    assert F.cross_entropy(torch.tensor(logits), torch.tensor(y)).item() == pytest.approx(loss, rel=1e-13)
    from_probabilities = F.cross_entropy(torch.tensor(p), torch.tensor(y)).item()
    assert abs(from_probabilities - loss) > 0.1, "torch would take the softmax of probabilities once more"


@backs("label smoothing s, target of the K classes")
def test_smoothed_targets_keep_a_share_of_the_right_class_too(rng):
    logits, y, s = 2 * rng.normal(size=(N, M)), rng.integers(0, M, N), 0.1
    loss, _ = softmax_cross_entropy_forward(logits, y, s)
    log_p = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    target = (1 - s) * np.eye(M)[y] + s / M
    assert -(target * log_p).sum(axis=1).mean() == pytest.approx(loss, rel=1e-13)
    torchs = F.cross_entropy(torch.tensor(logits), torch.tensor(y), label_smoothing=s).item()
    assert torchs == pytest.approx(loss, rel=1e-13)


@backs("added to the cost", "added to the gradient", "the same strength")
def test_penalties_of_the_same_strength(rng):
    W = rng.normal(size=(M, D))
    penalty, cache = l2_penalty_forward(W, 0.005)
    gradient = l2_penalty_backward(1.0, cache)
    assert 0.5 * 0.01 * np.sum(W * W) == pytest.approx(penalty, rel=1e-13)  # CS231n
    np.testing.assert_allclose(0.01 * W, gradient, rtol=1e-13)
    assert 0.005 * np.sum(W**2) == pytest.approx(penalty, rel=1e-13)  # course, Keras
    np.testing.assert_allclose(2 * 0.005 * W, gradient, rtol=1e-13)

    parameter = nn.Parameter(torch.tensor(W))
    parameter.grad = torch.zeros_like(parameter)  # a loss without any gradient: what moves is the decay alone
    torch.optim.SGD([parameter], lr=1.0, weight_decay=0.01).step()
    np.testing.assert_allclose(W - parameter.detach().numpy(), gradient, rtol=1e-12)


@backs("on which parameters")
def test_what_is_decayed():
    net = MLP([D, M, 3], batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64)
    net.parameters.flat[:] = 1.0
    sgd_update(net.parameters, net.parameters.zeros_like(), eta=0.1, l2=0.05)
    decayed = {name for name, value in net.parameters.items() if (value != 1).any()}
    assert decayed == {"linear1.weight", "linear2.weight"}

    twin = nn.Sequential(nn.Linear(D, M), nn.BatchNorm1d(M))
    for value in twin.parameters():
        nn.init.ones_(value)
        value.grad = torch.zeros_like(value)
    torch.optim.SGD(twin.parameters(), lr=0.1, weight_decay=0.1).step()
    assert all((value != 1).all() for value in twin.parameters()), "torch decays biases, gamma and beta too"


def steps_with_torch(W, gradients, etas, mu, weight_decay):
    parameter = nn.Parameter(torch.tensor(W))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=mu, weight_decay=weight_decay)
    for gradient, eta in zip(gradients, etas, strict=True):
        optimizer.param_groups[0]["lr"], parameter.grad = eta, torch.tensor(gradient)
        optimizer.step()
    return parameter.detach().numpy()


def steps_with_ours(W, gradients, etas, mu):
    parameters = NamedArrays({"W": W.shape}, W.dtype, ("W",))
    parameters["W"] = W
    optimizer, holder = Momentum(parameters, mu), parameters.zeros_like()
    for gradient, eta in zip(gradients, etas, strict=True):
        holder["W"] = gradient
        optimizer(parameters, holder, eta)
    return parameters["W"]


def steps_with_keras(W, gradients, etas, mu, weight_decay):
    """Keras first shrinks the weights, then makes the step; CS231n's step is the same, without decay."""
    v = np.zeros_like(W)
    for gradient, eta in zip(gradients, etas, strict=True):
        W = W - eta * weight_decay * W
        v = mu * v - eta * gradient
        W = W + v
    return W


@backs("weight decay of the optimizer")
def test_weight_decay_of_torch_and_keras_agree_without_momentum_only(rng):
    W, gradients, etas = rng.normal(size=M), rng.normal(size=(3, M)), [0.1, 0.1, 0.1]
    ours = W.copy()
    for gradient in gradients:
        ours -= 0.1 * (gradient + 2 * 0.05 * ours)
    np.testing.assert_allclose(steps_with_torch(W, gradients, etas, 0.0, 0.1), ours, rtol=1e-13)
    np.testing.assert_allclose(steps_with_keras(W, gradients, etas, 0.0, 0.1), ours, rtol=1e-13)
    apart = steps_with_torch(W, gradients, etas, 0.9, 0.1) - steps_with_keras(W, gradients, etas, 0.9, 0.1)
    assert np.abs(apart).max() > 1e-3


@backs("SGD with momentum mu")
def test_momentum_agrees_while_eta_is_constant(rng):
    W, gradients = rng.normal(size=M), rng.normal(size=(4, M))

    def course(etas):
        values, v = W, np.zeros_like(W)
        for gradient, eta in zip(gradients, etas, strict=True):
            v = 0.9 * v + eta * gradient
            values = values - v
        return values

    for etas, agree in (([0.1] * 4, True), ([0.1, 0.2, 0.3, 0.2], False)):
        torchs, kerass = (steps(W, gradients, etas, 0.9, 0.0) for steps in (steps_with_torch, steps_with_keras))
        np.testing.assert_allclose(course(etas), kerass, rtol=1e-12)
        np.testing.assert_allclose(steps_with_ours(W, gradients, etas, 0.9), torchs, rtol=1e-12)
        assert np.allclose(torchs, kerass, rtol=1e-12) == agree


@backs("Nesterov's")
def test_nesterovs_momentum_in_three_forms_while_eta_is_constant(rng):
    W, gradients, mu, eta = rng.normal(size=M), rng.normal(size=(4, M)), 0.9, 0.1
    theirs, v = torch.tensor(W, requires_grad=True), np.zeros(M)
    optimizer = torch.optim.SGD([theirs], lr=eta, momentum=mu, nesterov=True)
    cs231n, keras, net = W, W, NamedArrays({"b": (M,)}, np.float64)
    net["b"] = W
    ours = Momentum(net, mu, nesterov=True)
    for g in gradients:
        theirs.grad = torch.tensor(g)
        optimizer.step()
        old, v = v, mu * v - eta * g
        cs231n, keras = cs231n + (1 + mu) * v - mu * old, keras + mu * v - eta * g
        step = net.zeros_like()
        step["b"] = g
        ours(net, step, eta)
    for values in (cs231n, keras, net["b"]):
        np.testing.assert_allclose(values, theirs.detach().numpy(), rtol=1e-12)


@backs("Adam's eps is added to", "Adam's eps")
def test_where_adams_eps_is_added(rng):
    W, gradients, eta, eps = rng.normal(size=M), 1e-7 * rng.normal(size=(3, M)), 0.1, 1e-8
    theirs = torch.tensor(W, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=eta)
    assert optimizer.defaults["eps"] == eps == inspect.signature(Adam).parameters["eps"].default
    net = NamedArrays({"b": (M,)}, np.float64)
    net["b"] = W
    ours, m, v = Adam(net), np.zeros(M), np.zeros(M)
    cs231n, keras, translated = W, W, W
    for t, g in enumerate(gradients, start=1):
        theirs.grad = torch.tensor(g)
        optimizer.step()
        step = net.zeros_like()
        step["b"] = g
        ours(net, step, eta)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat, root = m / (1 - 0.9**t), v / (1 - 0.999**t), np.sqrt(1 - 0.999**t)
        cs231n = cs231n - eta * m_hat / (np.sqrt(v_hat) + eps)
        keras = keras - eta * root / (1 - 0.9**t) * m / (np.sqrt(v) + eps)
        translated = translated - eta * m_hat / (np.sqrt(v_hat) + eps / root)
    np.testing.assert_allclose(cs231n, theirs.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(net["b"], cs231n, rtol=1e-12)
    np.testing.assert_allclose(keras, translated, rtol=1e-12)
    assert np.abs(keras - cs231n).max() > 1e-3


@backs("variance of the batch", "eps, inside of the root")
def test_the_variance_that_normalizes(rng):
    """With eps as large as the variance, so that its place shows."""
    x, gamma, beta = rng.normal(size=(N, D)), rng.uniform(0.5, 1.5, D), rng.normal(size=D)
    out, _ = batch_norm_forward(x, gamma, beta, eps=0.5)
    matlabs = x.var(axis=0, ddof=1) * (N - 1) / N
    for var in (x.var(axis=0), matlabs):
        np.testing.assert_allclose(gamma * (x - x.mean(axis=0)) / np.sqrt(var + 0.5) + beta, out, rtol=1e-12)
    twin = F.batch_norm(
        torch.tensor(x), None, None, torch.tensor(gamma), torch.tensor(beta), training=True, eps=0.5
    ).numpy()
    np.testing.assert_allclose(twin, out, rtol=1e-12)
    assert nn.BatchNorm1d(D).eps == BATCH_NORM_EPS == 1e-5
    assert np.finfo(np.float64).eps == pytest.approx(2.2e-16, rel=0.01)


@backs("running average", "its setting", "running variance takes", "running averages start at")
def test_running_averages_of_three_batches(rng):
    """The settings of each column have the same memory but Keras', so the means agree and only the variances tell."""
    batches = rng.normal(1.0, 2.0, (3, N, D))
    net = MLP([2, D, 2], batch_norm=True, rng=np.random.default_rng(0), dtype=np.float64)
    ours = net.buffers["bn1.running_mean"], net.buffers["bn1.running_var"]
    layer = nn.BatchNorm1d(D, dtype=torch.float64)
    mean, biased, unbiased = np.zeros(D), np.ones(D), np.ones(D)
    for x in batches:
        batch_norm_advance(*ours, batch_norm_forward(x, np.ones(D), np.zeros(D))[1])
        layer(torch.tensor(x))
        mean = 0.9 * mean + (1 - 0.9) * x.mean(axis=0)  # alpha, CS231n's momentum
        biased = 0.9 * biased + (1 - 0.9) * x.var(axis=0)
        unbiased = 0.9 * unbiased + (1 - 0.9) * x.var(axis=0, ddof=1)
    for average in (ours[0], layer.running_mean.numpy()):
        np.testing.assert_allclose(average, mean, rtol=1e-12)
    for average in (ours[1], layer.running_var.numpy()):
        np.testing.assert_allclose(average, unbiased, rtol=1e-12)
        assert (np.abs(average - biased) > 0.01).all()
    fresh = nn.BatchNorm1d(D)
    assert fresh.momentum == 0.1
    assert (fresh.running_mean == 0).all()
    assert (fresh.running_var == 1).all()


@backs("names of scale and shift")
def test_names_of_scale_and_shift():
    net = MLP([2, D, 2], batch_norm=True, rng=np.random.default_rng(0))
    layer = nn.BatchNorm1d(D)
    assert {name for name, _ in layer.named_parameters()} == {"weight", "bias"}
    assert {name for name in net.parameters if name.startswith("bn1.")} == {"bn1.weight", "bn1.bias"}
    assert (layer.weight == 1).all()
    assert (net.parameters["bn1.weight"] == 1).all()
    assert (layer.bias == 0).all()
    assert (net.parameters["bn1.bias"] == 0).all()


@backs("the argument is the probability to", "what is kept is multiplied by")
def test_keep_and_drop_probability(rng):
    x = np.full(100_000, 2.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # F.dropout takes no generator
        dropped = F.dropout(torch.tensor(x), p=0.3, training=True).numpy()
    kept = x * (rng.random(x.shape) < 0.7) / 0.7  # CS231n with p = 0.7
    rate = x * (rng.random(x.shape) >= 0.3) / (1 - 0.3)  # Keras with rate = 0.3
    for out in (dropped, kept, rate):
        assert (out == 0).mean() == pytest.approx(0.3, abs=0.01)
        np.testing.assert_allclose(out[out != 0], 2.0 / 0.7)
    np.testing.assert_array_equal(F.dropout(torch.tensor(x), p=0.3, training=False).numpy(), x)


def drawn_by_torch(init, **arguments):
    """A weight of 400 inputs and 600 outputs."""
    return init(torch.empty(600, 400), generator=torch.Generator().manual_seed(0), **arguments).numpy()


@backs("fan-in of a weight", "He", "Xavier", "a fixed sigma")
def test_std_of_the_normal_initializations():
    sqrt = np.sqrt
    assert drawn_by_torch(nn.init.kaiming_normal_).std() == pytest.approx(he(400), rel=0.01)
    assert he(400) == sqrt(2 / 400)
    assert drawn_by_torch(nn.init.xavier_normal_).std() == pytest.approx(sqrt(2 / (400 + 600)), rel=0.01)
    assert xavier(400) == sqrt(1 / 400)
    assert abs(xavier(400) / sqrt(2 / (400 + 600)) - 1) > 0.1
    assert drawn_by_torch(nn.init.normal_, std=0.01).std() == pytest.approx(weight_std(0.01, 400), rel=0.01)
    net = MLP([400, 600], initializer="he", rng=np.random.default_rng(0))
    assert net.parameters["linear1.weight"].std() == pytest.approx(sqrt(2 / 400), rel=0.01)

    randn = np.random.default_rng(0).standard_normal((400, 600))  # CS231n, (in, out)
    assert (randn / sqrt(randn.shape[0] / 2)).std() == pytest.approx(he(400), rel=0.01)
    assert (randn / sqrt(randn.shape[0])).std() == pytest.approx(xavier(400), rel=0.01)

    from scipy.stats import truncnorm  # it takes a second to import

    cut = truncnorm(-2, 2)  # Keras divides the std by that of the cut distribution
    assert cut.std() == pytest.approx(0.8796, rel=1e-4)
    assert 2 / cut.std() == pytest.approx(2.27, abs=0.005)


@backs("uniform variants, limit")
def test_limits_of_the_uniform_initializations():
    for init, limit, std in (
        (nn.init.kaiming_uniform_, np.sqrt(6 / 400), he(400)),
        (nn.init.xavier_uniform_, np.sqrt(6 / (400 + 600)), np.sqrt(2 / (400 + 600))),
    ):
        weights = drawn_by_torch(init)
        assert np.abs(weights).max() == pytest.approx(limit, rel=1e-3)
        assert limit / np.sqrt(3) == pytest.approx(std, rel=1e-12)
        assert weights.std() == pytest.approx(std, rel=0.01)


@backs("weights, if nothing is said", "biases, if nothing is said")
def test_what_a_new_layer_starts_with():
    with torch.random.fork_rng():
        torch.manual_seed(0)  # nn.Linear takes no generator
        layer = nn.Linear(400, 600)
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert np.abs(values).max() == pytest.approx(1 / np.sqrt(400), rel=0.01)
        assert values.std() == pytest.approx(1 / np.sqrt(3 * 400), rel=0.05)
    net = MLP([400, 600], rng=np.random.default_rng(0))
    assert net.parameters["linear1.weight"].std() == pytest.approx(he(400), rel=0.01)
    assert (net.parameters["linear1.bias"] == 0).all()


@backs(
    "cosine decay over T updates has its end at",
    "one cycle of T updates has its end at",
    "one cycle starts at, and ends at",
)
def test_where_a_schedule_ends():
    T = 20
    torchs = by_torch(torch.optim.lr_scheduler.CosineAnnealingLR, T + 1, eta=0.3, T_max=T, eta_min=0.01)
    ours = [cosine_decay(step, T, 0.3, 0.01) for step in range(T + 1)]
    keras = [0.3 * ((1 - 0.01 / 0.3) * 0.5 * (1 + np.cos(np.pi * step / T)) + 0.01 / 0.3) for step in range(T + 1)]
    np.testing.assert_allclose(ours, torchs, rtol=1e-12)
    np.testing.assert_allclose(ours, keras, rtol=1e-12)
    assert ours[T] == 0.01 < ours[T - 1]
    torchs = by_torch(torch.optim.lr_scheduler.OneCycleLR, T, max_lr=0.3, total_steps=T, cycle_momentum=False)
    ours = [one_cycle(step, T, 0.3, eta_min=0.01) for step in range(T + 1)]
    assert torchs[0] == pytest.approx(0.3 / 25, rel=1e-12)
    assert torchs[T - 1] == pytest.approx(0.3 / 250000, rel=1e-9)
    assert ours[0] == ours[T] == 0.01 < ours[T - 1]
