"""The checker itself: it passes what agrees, names what does not, and cannot be talked into passing."""

import numpy as np
import pytest

from manual_mlp import MLP, compare_gradients, numerical_gradients

right = {"a": np.array([1.0, -2.0]), "b": np.array([[3.0]])}


def test_relative_to_the_parameters_largest_gradient():
    wrong = {"a": np.array([1.0, -2.0 + 4e-7]), "b": np.array([[3.0]])}
    comparison = compare_gradients(wrong, right, tolerance=1e-7)
    assert comparison.worst == pytest.approx(2e-7)
    assert not comparison.agrees
    assert "DIFFERS" in str(comparison)
    assert "NOT every parameter agrees" in str(comparison)
    assert compare_gradients(wrong, right, tolerance=3e-7).agrees


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["gradients", "reference", "both"])
def test_what_is_not_finite_never_agrees(bad, side):
    broken = {"a": np.array([1.0, bad]), "b": right["b"]}
    with np.errstate(invalid="ignore"):
        comparison = compare_gradients(
            broken if side != "reference" else right, broken if side != "gradients" else right, tolerance=1e-7
        )
    assert not comparison.agrees


def test_zero_needs_both_sides_below_the_floor():
    zero, small, large = {"a": np.zeros(2)}, {"a": np.array([1e-10, 0])}, {"a": np.array([1e-3, 0])}
    assert compare_gradients(small, zero, floor=1e-9).parameters[0].verdict == "zero"
    assert not compare_gradients(large, zero, floor=1e-9).agrees
    assert not compare_gradients(zero, large, floor=1e-9).agrees


def test_names_and_shapes_must_be_those_of_the_reference():
    with pytest.raises(ValueError, match=r"missing: \['b'\], unknown: \['c'\]"):
        compare_gradients({"a": right["a"], "c": 1.0}, right)
    with pytest.raises(ValueError, match=r"gradients\['b'\] has shape \(1,\); the reference's is \(1, 1\)"):
        compare_gradients({"a": right["a"], "b": right["b"][0]}, right)


def test_small_integers_do_not_wrap():
    ours, theirs = {"a": np.array([1], np.uint8)}, {"a": np.array([2], np.uint8)}
    assert compare_gradients(ours, theirs).worst == 0.5


def test_nothing_to_compare_is_named():
    with pytest.raises(ValueError, match="gradients and reference are empty"):
        compare_gradients({}, {})
    with pytest.raises(ValueError, match=r"gradients\['a'\] is <U1 \(1,\); it must hold real numbers"):
        compare_gradients({"a": ["x"]}, {"a": [1.0]})


def test_numerical_gradients_leave_the_network_as_it_was(make_case):
    net, x, y = make_case(2, True, 6)
    parameters, buffers = net.parameters.flat.copy(), net.buffers.flat.copy()
    numerical_gradients(net, x, y, 0.1)
    np.testing.assert_array_equal(net.parameters.flat, parameters)
    np.testing.assert_array_equal(net.buffers.flat, buffers)


def test_numerical_gradients_use_batch_statistics(make_case):
    """With running statistics the last layer would still agree and every earlier one would not."""
    net, x, y = make_case(3, True, 6)
    expected = numerical_gradients(net, x, y)
    net.buffers.flat[:] = 123.0
    for name, values in numerical_gradients(net, x, y).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize(
    ("dtype", "h", "message"),
    [
        (np.float32, 1e-5, "net has dtype float32; differences of a cost need dtype=np.float64"),
        (np.float64, 0.0, "h is 0"),
        (np.float64, -1e-5, "h is -1e-05; it must be a finite number of at least 0"),
        (np.float64, np.nan, "h is nan; it must be a finite number of at least 0"),
    ],
)
def test_bad_settings_are_named(dtype, h, message):
    net = MLP([3, 2], rng=np.random.default_rng(0), dtype=dtype)
    with pytest.raises(ValueError, match=message):
        numerical_gradients(net, np.ones((2, 3)), [0, 1], h=h)
