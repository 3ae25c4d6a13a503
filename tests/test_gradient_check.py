"""The checker itself: it passes what agrees, names what does not, and cannot be talked into passing."""

import numpy as np
import pytest

from manual_mlp import MLP, compare_gradients, measured_rounding, numerical_gradients
from manual_mlp.finite_differences import NumericalGradients
from manual_mlp.gradient_check import compared, rounding_of_sums

right = {"a": np.array([1.0, -2.0]), "b": np.array([[3.0]])}


def test_the_table_as_it_is_printed():
    reference = NumericalGradients(
        {"linear1.weight": np.full((2, 3), 0.5), "linear1.bias": np.zeros(3), "bn1.weight": np.array([0.25, 4.0])},
        {
            "linear1.weight": np.zeros((2, 3), bool),
            "linear1.bias": np.zeros(3, bool),
            "bn1.weight": np.array([False, True]),
        },
        floor=1e-9,
    )
    ours = {
        "linear1.weight": np.full((2, 3), 0.5),
        "linear1.bias": np.full(3, 1e-10),
        "bn1.weight": np.array([0.25, 1.0]),
    }
    ours["linear1.weight"][0, 1] += 2e-6
    assert str(compare_gradients(ours, reference, tolerance=1e-7)).splitlines() == [
        "parameter           shape max |diff|     mean relative   <1e-6 compared kink   zero  verdict",
        "linear1.weight        2x3    2.0e-06  3.3e-07  4.0e-06   83.3%        6    0      0  DIFFERS",
        "linear1.bias            3                                             0    0      3  zero",
        "bn1.weight              2    0.0e+00  0.0e+00  0.0e+00  100.0%        1    1      0  TOO MANY KINKS",
        "NOT every parameter agrees: largest relative difference 4.0e-06, allowed 1e-07",
    ]
    assert str(compare_gradients(right, right, tolerance=1e-12)).splitlines()[-1] == (
        "every parameter agrees: largest relative difference 0.0e+00, allowed 1e-12"
    )


def test_a_row_in_numbers():
    ours, theirs = np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.0, 2.0, 0.25, 5.0])
    row = compared("a", ours, theirs, np.array([False, False, False, True]), floor=0.1, tolerance=0.125)
    assert (row.max_difference, row.mean_difference, row.relative) == (0.25, 0.25 / 3, 0.125)
    assert (row.compared, row.at_kink, row.zero, row.unexplained) == (3, 1, 0, 0), "exactly the tolerance is allowed"
    assert row.small == 2 / 3
    at_the_floor = compared("a", np.array([0.1]), np.array([-0.1]), np.array([False]), floor=0.1, tolerance=0.0)
    assert (at_the_floor.zero, at_the_floor.mean_difference, at_the_floor.relative) == (1, 0.0, 0.0)
    excused = compared("a", np.array([1.0, 1.1]), np.ones(2), np.zeros(2, bool), floor=0.2, tolerance=0.0)
    assert excused.unexplained == 0, "no difference below the floor is held against a gradient"
    assert compared("a", np.ones(1), np.zeros(1), np.zeros(1, bool), floor=0.0, tolerance=1.0).relative == np.inf


def test_the_floor_left_out_is_the_rounding_of_a_thousand_terms():
    eps32, eps64 = np.finfo(np.float32).eps, np.finfo(np.float64).eps
    double, single = np.array([0.5, -0.25]), np.array([0.125], np.float32)
    assert rounding_of_sums([(double, double), (double[:1], double[1:])]) == 1000 * eps64 * 0.5
    assert rounding_of_sums([(single, single)]) == 1000 * eps32 * 0.125
    assert rounding_of_sums([(np.array([1]), np.array([2]))]) == 1000 * eps64 * 2, "integers are exact"
    assert rounding_of_sums([(double, np.array([np.inf, 0.25]))]) == 1000 * eps64 * 0.25


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


def test_what_is_not_finite_at_a_kink_never_agrees():
    kinks = {"a": np.arange(200) == 7}
    reference = NumericalGradients({"a": np.ones(200)}, kinks, floor=1e-9)
    ours = {"a": np.where(kinks["a"], np.nan, 1.0)}
    assert compare_gradients(ours, reference).parameters[0].unexplained == 1
    assert not compare_gradients(ours, reference).agrees
    assert compare_gradients({"a": np.where(kinks["a"], 5.0, 1.0)}, reference).agrees


def test_zero_needs_both_sides_below_the_floor():
    zero, small, large = {"a": np.zeros(2)}, {"a": np.array([1e-10, 0])}, {"a": np.array([1e-3, 0])}
    assert compare_gradients(small, zero, floor=1e-9).parameters[0].verdict == "zero"
    assert not compare_gradients(large, zero, floor=1e-9).agrees
    assert not compare_gradients(zero, large, floor=1e-9).agrees


def test_a_floor_may_differ_by_parameter():
    noise, zero = {"a": np.full(2, 1e-6), "b": np.full(2, 1e-6)}, {"a": np.zeros(2), "b": np.zeros(2)}
    rows = compare_gradients(noise, zero, floor={"a": 1e-5, "b": 1e-7}).parameters
    assert [row.verdict for row in rows] == ["zero", "DIFFERS"]


def test_names_and_shapes_must_be_those_of_the_reference():
    with pytest.raises(ValueError, match=r"missing: \['b'\], unknown: \['c'\]"):
        compare_gradients({"a": right["a"], "c": 1.0}, right)
    with pytest.raises(ValueError, match=r"gradients\['b'\] has shape \(1,\); the reference's is \(1, 1\)"):
        compare_gradients({"a": right["a"], "b": right["b"][0]}, right)


def test_small_integers_do_not_wrap():
    ours, theirs = {"a": np.array([1], np.uint8)}, {"a": np.array([2], np.uint8)}
    assert compare_gradients(ours, theirs).worst == 0.5


def test_nothing_to_compare_is_named():
    with pytest.raises(ValueError, match=r"^gradients and reference are empty; give a gradient for every parameter$"):
        compare_gradients({}, {})
    with pytest.raises(ValueError, match=r"^tolerance is -1"):
        compare_gradients(right, right, tolerance=-1)
    for ours, theirs in (({"a": [1.0]}, {"a": ["x"]}), ({"a": []}, {"a": []})):
        with pytest.raises(ValueError, match="it must hold real numbers"):
            compare_gradients(ours, theirs)
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
    again = numerical_gradients(net, x, y)
    for name, values in again.items():
        np.testing.assert_array_equal(values, expected[name])
    assert again.floor == expected.floor


@pytest.mark.parametrize(
    ("dtype", "h", "message"),
    [
        (np.float32, 1e-5, "net has dtype float32; differences of a cost need dtype=np.float64"),
        (np.float64, 0.0, "^h is 0; the step of a difference must be positive, such as 1e-5$"),
        (np.float64, -1e-5, "h is -1e-05; it must be a finite number of at least 0"),
        (np.float64, np.nan, "h is nan; it must be a finite number of at least 0"),
    ],
)
def test_bad_settings_are_named(dtype, h, message):
    net = MLP([3, 2], rng=np.random.default_rng(0), dtype=dtype)
    with pytest.raises(ValueError, match=message):
        numerical_gradients(net, np.ones((2, 3)), [0, 1], h=h)


def test_differences_check_their_batch(make_case):
    net, x, y = make_case(3, True, 6)
    with pytest.raises(ValueError, match=r"^l2 is -1"):
        numerical_gradients(net, x, y, l2=-1)
    with pytest.raises(ValueError, match="y contains the label 4; 4 classes"):
        numerical_gradients(net, x, np.full(6, 4))
    two_layers, x, y = make_case(2, True, 6)
    with pytest.raises(ValueError, match="statistics of one image"):
        numerical_gradients(two_layers, x[:1], y[:1])
    for depth, batch_norm in ((1, True), (2, False)):  # nothing is normalized: one image will do
        net, x, y = make_case(depth, batch_norm, 6)
        assert compare_gradients(net.cost_and_gradients(x[:1], y[:1])[1], numerical_gradients(net, x[:1], y[:1])).agrees


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_measured_rounding_moves_every_value_by_its_last_bit(make_case, dtype):
    source, x, _ = make_case(2, True, 6)
    net, x = MLP(source.sizes, batch_norm=True, rng=np.random.default_rng(0), dtype=dtype), x.astype(dtype)
    heard = []

    def reference(net, x):
        heard.append((net.parameters.flat.copy(), x))
        return {"weights": 3.0 * net.parameters.weights, "constant": np.array([7.0])}

    floor = measured_rounding(reference, net, x, np.random.default_rng(0), draws=2)
    (values, images), *moved = heard
    np.testing.assert_array_equal(values, net.parameters.flat)
    np.testing.assert_array_equal(images, x)
    assert len(moved) == 2
    for moved_values, moved_images in moved:
        assert moved_images.dtype == dtype
        for now, before in ((moved_values, values), (moved_images, images)):
            bits = (now[before != 0] / before[before != 0] - 1) / np.finfo(dtype).eps
            assert np.abs(bits).max() <= 1.5
            assert bits.min() < 0 < bits.max(), "in both directions, each value its own"
    bit = 3.0 * np.abs(net.parameters.weights).max() * np.finfo(dtype).eps
    assert 16 * bit < floor["weights"] < 64 * bit
    assert floor["constant"] == np.finfo(dtype).eps * 7.0, "nothing moves, but an addition on the largest scale rounds"


def test_rounding_that_is_not_finite_excuses_nothing(make_case):
    net, x, _ = make_case(2, True, 6)
    floor = measured_rounding(lambda *_: {"a": np.array([np.nan])}, net, x, np.random.default_rng(0))
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=r"floor\['a'\] is nan"):
        compare_gradients({"a": [1.0]}, {"a": [1.0]}, floor=floor)


def test_a_step_too_small_to_show_anything_is_refused(make_case):
    net, x, y = make_case(2, True, 6)
    nothing = net.parameters.zeros_like()
    for h in (1e-12, 1e-17, 1e-30):
        with pytest.raises(ValueError, match="such differences show nothing; take a larger h"):
            compare_gradients(nothing, numerical_gradients(net, x, y, h=h))


def test_bad_floors_are_named():
    with pytest.raises(ValueError, match=r"floor lacks \['b'\]"):
        compare_gradients(right, right, floor={"a": 0.0})
    for floor in (np.inf, np.nan, -1.0):
        with pytest.raises(ValueError, match="floor is"):
            compare_gradients(right, right, floor=floor)
