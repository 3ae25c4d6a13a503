"""The network: its names and storage, its outputs and buffers beside torch's, and what it refuses."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch

from manual_mlp import (
    MLP,
    compare_gradients,
    cyclical_learning_rate,
    directional_gradients,
    evaluate,
    measured_rounding,
    numerical_gradients,
    train,
)
from manual_mlp.initializers import weight_std
from torch_reference import mirror

ORDER = ["linear1.weight", "linear1.bias", "bn1.weight", "bn1.bias", "linear2.weight", "linear2.bias"]


def small(**settings):
    return MLP([5, 4, 3], **{"batch_norm": True, "rng": np.random.default_rng(0), "dtype": np.float64, **settings})


def test_names_and_shapes_are_those_of_torch():
    net = small()
    assert list(net.parameters) == ORDER
    assert list(net.buffers) == ["bn1.running_mean", "bn1.running_var"]
    state = mirror(net).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        name: value.shape for name, value in (*net.parameters.items(), *net.buffers.items())
    }


@pytest.mark.parametrize("training", [True, False], ids=["training", "test"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch-norm"])
@pytest.mark.parametrize("depth", [1, 2, 4, 9], ids=lambda depth: f"{depth}-layer")
def test_outputs_and_buffers_equal_torch(make_case, depth, batch_norm, training):
    net, x, _ = make_case(depth, batch_norm, 6)
    twin = mirror(net).train(training)
    before = net.buffers.flat.copy()
    np.testing.assert_allclose(net.forward(x, training), twin(torch.tensor(x)).detach(), rtol=1e-12, atol=1e-14)
    state = twin.state_dict()
    for name, buffer in net.buffers.items():
        np.testing.assert_allclose(buffer, state[name], rtol=1e-14, atol=1e-15)
    assert np.array_equal(net.buffers.flat, before) == (not training or not net.buffers)


def test_a_gradient_advances_the_running_statistics_once(make_case):
    net, x, y = make_case(3, True, 6)
    twin = mirror(net)
    net.cost_and_gradients(x, y, l2=0.1)
    twin(torch.tensor(x))
    for name, buffer in net.buffers.items():
        np.testing.assert_allclose(buffer, twin.state_dict()[name], rtol=1e-14)


def test_a_cost_changes_nothing(make_case):
    net, x, y = make_case(3, True, 6)
    parameters, buffers = net.parameters.flat.copy(), net.buffers.flat.copy()
    assert net.cost(x, y, 0.1, training=True) != net.cost(x, y, 0.1, training=False)
    np.testing.assert_array_equal(net.parameters.flat, parameters)
    np.testing.assert_array_equal(net.buffers.flat, buffers)


def test_cost_is_loss_plus_l2_times_squared_weights_alone(make_case):
    net, x, y = make_case(3, True, 6)
    weights = [value for name, value in net.parameters.items() if name.startswith("linear") and name.endswith("weight")]
    penalty = sum((weight**2).sum() for weight in weights)
    assert net.cost(x, y, 0.3) - net.cost(x, y) == pytest.approx(0.3 * penalty, rel=1e-12)
    cost, _ = net.cost_and_gradients(x, y, 0.3)
    assert cost == pytest.approx(net.cost(x, y, 0.3, training=True), rel=1e-14)


def test_gradients_of_two_batches_are_two_sets_of_arrays(make_case):
    net, x, y = make_case(2, True, 6)
    _, first = net.cost_and_gradients(x, y)
    kept = first.flat.copy()
    net.cost_and_gradients(x + 1, y)
    np.testing.assert_array_equal(first.flat, kept)


def test_parameters_are_live_and_share_no_memory():
    net = small()
    x = np.ones((2, 5))
    before = net.forward(x)
    net.parameters["linear2.bias"] += 1.0
    np.testing.assert_allclose(net.forward(x), before + 1.0)
    for name in ORDER:
        for other in ORDER:
            assert np.shares_memory(net.parameters[name], net.parameters[other]) == (name == other)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda arrays: pickle.loads(pickle.dumps(arrays))])
def test_copied_arrays_are_independent_and_whole(duplicate):
    net = small()
    arrays = duplicate(net.parameters)
    assert list(arrays) == ORDER
    np.testing.assert_array_equal(arrays.flat, net.parameters.flat)
    arrays.weights[:] = 7
    assert (arrays["linear1.weight"] == 7).all(), "the views of the copy lie in the copy's flat array"
    assert not (net.parameters.weights == 7).any()


def test_assigning_to_a_name_writes_into_the_view():
    net = small()
    net.parameters["bn1.bias"] = [1, 2, 3, 4]
    net.parameters.update({"linear2.bias": np.array([5.0, 6.0, 7.0])})
    assert 7.0 in net.parameters.flat
    assert net.parameters["bn1.bias"].tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"bn1.bias is given shape \(3,\); its shape is \(4,\)"):
        net.parameters["bn1.bias"] = [1, 2, 3]
    with pytest.raises(KeyError, match=r"'bn7.bias' is not one of linear1.weight, "):
        net.parameters["bn7.bias"] = [1, 2, 3]
    with pytest.raises(TypeError, match="cannot be removed"):
        del net.parameters["bn1.bias"]


def test_a_negative_zero_is_a_zero():
    """`--initializer -0` is -0.0, of which numpy says that it is below 0."""
    assert not MLP([3, 2], initializer=-0.0, rng=np.random.default_rng(0)).parameters.weights.any()


@pytest.mark.parametrize(
    ("initializer", "std"), [("he", np.sqrt(2 / 400)), ("xavier", np.sqrt(1 / 400)), (0.003, 0.003)], ids=str
)
def test_weights_start_normal_with_the_initializers_std(initializer, std):
    """The second layer has other inputs, and so another std."""
    net = MLP([400, 500, 300], batch_norm=True, initializer=initializer, rng=np.random.default_rng(0), dtype=np.float64)
    later = net.parameters["linear2.weight"].std()
    assert later == pytest.approx(std if isinstance(initializer, float) else std * np.sqrt(400 / 500), rel=0.01)
    weights = net.parameters["linear1.weight"]
    assert weights.mean() == pytest.approx(0, abs=4 * std / np.sqrt(weights.size))
    assert weights.std() == pytest.approx(std, rel=0.01)
    assert np.mean(np.abs(weights) < std) == pytest.approx(0.6827, abs=0.01), "a normal distribution, not a uniform one"
    for name, values in (*net.parameters.items(), *net.buffers.items()):
        if not name.startswith("linear") or name.endswith("bias"):
            assert (values == (1 if name in ("bn1.weight", "bn1.running_var") else 0)).all()


def test_the_generator_alone_decides_the_weights():
    first, again, other = (small(rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.parameters.flat, again.parameters.flat)
    assert not np.array_equal(first.parameters.weights, other.parameters.weights)
    rounded = small(rng=np.random.default_rng(1), dtype=np.float32)
    np.testing.assert_array_equal(rounded.parameters.flat, first.parameters.flat.astype(np.float32))


def test_a_float32_network_computes_in_float32():
    net = small(dtype=np.float32)
    logits = net.forward(np.ones((2, 5), np.float64), training=True)
    cost, gradients = net.cost_and_gradients(np.ones((2, 5)), [0, 1], l2=np.float64(0.1))
    assert {array.dtype for array in (logits, gradients.flat, net.parameters.flat, net.buffers.flat)} == {
        np.dtype("f4")
    }
    assert isinstance(cost, float)


x, y = np.ones((3, 5)), np.array([0, 1, 2])
nan = x.copy()
nan[1, 2] = np.nan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small(dtype=np.float16), "dtype is <class 'numpy.float16'>; it must be float32"),
        (lambda: small(dtype=None), "dtype is None; it must be float32"),
        (lambda: small(dtype="bogus"), "dtype is 'bogus'; it must be float32"),
        (lambda: small(batch_norm="False"), "batch_norm is 'False'; it must be True or False"),
        (lambda: small().forward(x, "False"), "training is 'False'; it must be True or False"),
        (lambda: small(dtype=np.float32).forward(x * 1e300), "is inf; every value must be a finite float32"),
        (lambda: small().cost(x, y, l2=10**400), "it must be a finite number of at least 0"),
        (lambda: small(rng=0), "rng is 0; it must be a numpy.random.Generator"),
        (lambda: small(initializer="lecun"), "initializer is 'lecun'; it must be \"he\""),
        (lambda: small(initializer=-0.1), "initializer is -0.1; it must be a finite number of at least 0"),
        (lambda: weight_std(True, 3), "initializer is True"),
        (
            lambda: MLP([3], rng=np.random.default_rng(0)),
            "sizes is (3,); it must name at least the inputs and the classes",
        ),
        (lambda: MLP([3, 0, 2], rng=np.random.default_rng(0)), "sizes[1] is 0; it must be an integer of at least 1"),
        (lambda: MLP([3, 2.5], rng=np.random.default_rng(0)), "sizes[1] is 2.5; it must be an integer of at least 1"),
        (lambda: small().forward(x[:, :4]), "x has shape (3, 4); it must be (N, 5)"),
        (lambda: small().forward(x[0]), "x has shape (5,); it must be (N, 5)"),
        (lambda: small().forward(x[:0]), "x has shape (0, 5); it must be (N, 5)"),
        (lambda: small().forward(x.astype(str)), "x has dtype <U32; it must hold real numbers"),
        (lambda: small().forward(nan), "x[1, 2] is nan; every value must be a finite float64"),
        (lambda: small().forward(x[:1], training=True), "batch normalization has no statistics of one image"),
        (lambda: small().cost_and_gradients(x[:1], y[:1]), "batch normalization has no statistics of one image"),
        (lambda: small().cost(x, y[:2]), "y has shape (2,); it must be (3,)"),
        (lambda: small().cost(x, np.eye(3)), "y has shape (3, 3) and looks one-hot; it must be class numbers (N,)"),
        (lambda: small().cost(x, y.astype(float)), "y has dtype float64; it must be integer class numbers"),
        (lambda: small().cost(x, [0, 1, 3]), "y contains the label 3; 3 classes are numbered 0 to 2"),
        (lambda: small().cost_and_gradients(x, [0, 1, 3]), "y contains the label 3; 3 classes are numbered 0 to 2"),
        (lambda: small().cost(x[:1], y[:1], training=True), "batch normalization has no statistics of one image"),
        (lambda: small().cost(x, [0, -1, 2]), "y contains the label -1; 3 classes are numbered 0 to 2"),
        (lambda: small().cost(x, y, l2=-1.0), "l2 is -1.0; it must be a finite number of at least 0"),
        (lambda: small().cost_and_gradients(x, y, l2=np.nan), "l2 is nan; it must be a finite number of at least 0"),
        (lambda: small().cost(x, y, l2="0.1"), "l2 is '0.1'; it must be a finite number of at least 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared as a whole
        call()
    assert message in str(error.value)


def test_a_batch_of_one_is_fine_without_batch_statistics():
    small().forward(x[:1])
    small(batch_norm=False).cost_and_gradients(x[:1], y[:1])


def test_defaults_are_those_that_the_documents_name():
    defaults = {
        function: {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not parameter.empty and not callable(parameter.default)
        }
        for function in (
            *(MLP, MLP.forward, MLP.cost, MLP.cost_and_gradients, train, evaluate, cyclical_learning_rate),
            *(numerical_gradients, directional_gradients, compare_gradients, measured_rounding),
        )
    }
    assert defaults == {
        MLP: {
            "batch_norm": False,
            "relu_first": False,
            "dropout": 0.0,
            "skips": (),
            "label_smoothing": 0.0,
            "initializer": "he",
        },
        MLP.forward: {"training": False, "masks": None},
        MLP.cost: {"l2": 0.0, "training": False, "masks": None},
        MLP.cost_and_gradients: {"l2": 0.0, "masks": None},
        train: {"batch_size": 100, "l2": 0.0, "augment": None, "noise_seed": None, "resume": None},
        evaluate: {"chunk": 5000},
        cyclical_learning_rate: {"step_size": 500, "eta_min": 1e-5, "eta_max": 1e-1, "annealing": 1.0},
        numerical_gradients: {"l2": 0.0, "h": 1e-5, "masks": None},
        directional_gradients: {"l2": 0.0, "h": 1e-5, "masks": None, "directions": 20},
        compare_gradients: {"tolerance": 1e-7, "floor": None},
        measured_rounding: {"draws": 4},
    }
