"""Any network, any batch: drawn by hypothesis, extremes included.

100 examples by default; `pytest tests/test_properties.py --hypothesis-profile thorough` runs 2,000.
"""

import itertools

import numpy as np
import torch
from hypothesis import assume, event, given
from hypothesis import strategies as st
from torch import nn

from manual_mlp import MLP, compare_gradients, measured_rounding
from manual_mlp.layers import softmax_cross_entropy_backward, softmax_cross_entropy_forward
from torch_reference import autograd_gradients, mirror

scales = st.sampled_from([1e-6, 1e-3, 1.0, 1.0, 1.0, 1e3])


@st.composite
def problems(draw):
    """A network with no parameter at its default, a batch, and l2."""
    depth = draw(st.integers(1, 12), "depth")
    some = st.sampled_from([draw(st.integers(1, 64)), draw(st.integers(1, 64))])  # so that neighbours may be equal
    widths = draw(st.lists(st.one_of(some, st.integers(1, 64)), min_size=depth, max_size=depth), "widths")
    classes, batch = draw(st.integers(2, 20), "classes"), draw(st.integers(2, 64), "batch")
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), "seed"))
    batch_norm = draw(st.booleans(), "batch norm")
    equal = [layer for layer in range(1, depth) if widths[layer - 1] == widths[layer]]
    net = MLP(
        [*widths, classes],
        batch_norm=batch_norm,
        relu_first=batch_norm and draw(st.booleans(), "ReLU first"),
        dropout=draw(st.sampled_from([0.0, 0.0, 0.5]), "dropout"),
        skips=equal if draw(st.booleans(), "skips") else (),
        label_smoothing=draw(st.sampled_from([0.0, 0.1]), "label smoothing"),
        rng=rng,
        dtype=np.float64,
    )
    masks = net.dropout_masks(batch, rng)
    net.parameters.weights *= draw(scales, "scale of the weights")
    gamma = draw(scales, "scale of gamma")
    for name, values in net.parameters.items():
        if name.startswith("bn") and name.endswith("weight"):
            values[:] = gamma * rng.uniform(0.5, 1.5, values.shape) * rng.choice([-1, 1], values.shape)
        elif name.endswith("bias"):
            values[:] = rng.normal(0, 0.5, values.shape)
    x = draw(scales, "scale of the inputs") * rng.normal(size=(batch, widths[0]))
    odd = draw(
        st.sampled_from(["nothing", "duplicated rows", "a constant feature", "dead units", "huge logits"]), "odd"
    )
    if odd == "duplicated rows":
        x[batch // 2 :] = x[0]
    elif odd == "a constant feature":
        x[:, 0] = 3.0
    elif odd == "dead units" and depth > 1:
        name = "bn1.bias" if net.batch_norm else "linear1.bias"
        net.parameters[name][::2] = -1e3
        if net.batch_norm:
            net.parameters["bn1.weight"][::2] = 1e-3
    elif odd == "huge logits":
        net.parameters[f"linear{depth}.weight"] *= 1e4
    return net, x, rng.integers(0, classes, batch), masks, draw(st.sampled_from([0.0, 1e-3, 0.7, 10.0]), "l2")


def gradients_with_rounded_layers(net, x, y, l2, masks, rng):
    """torch's, where all that passes a linear layer, forth or back, is off by a last bit: of images near 0 the images'
    own last bits say nothing about those of the bias that is added to them.
    """

    def rounded(values):
        return values * (1 + 2**-52 * torch.tensor(rng.choice([-1.0, 1.0], values.shape)))

    def hook(_, __, out):
        out = rounded(out)
        out.register_hook(rounded)
        return out

    twin = mirror(net)
    for module in twin.children():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(hook)
    masks = None if masks is None else [torch.tensor(mask) for mask in masks]
    names, parameters = zip(*twin.named_parameters(), strict=True)
    gradients = torch.autograd.grad(twin.cost(torch.tensor(x), torch.tensor(y), l2, masks), parameters)
    return {name: gradient.numpy() for name, gradient in zip(names, gradients, strict=True)}


@given(problems())
def test_gradients_equal_autograd(problem):
    """Within 1e-10 of the parameter's largest gradient, or within what last bits on the way change."""
    net, x, y, masks, l2 = problem
    rng = np.random.default_rng(0)
    floor = measured_rounding(lambda *moved: gradients_with_rounded_layers(*moved, y, l2, masks, rng), net, x, rng)
    _, gradients = net.cost_and_gradients(x, y, l2, masks)
    comparison = compare_gradients(gradients, autograd_gradients(net, x, y, l2, masks), tolerance=1e-10, floor=floor)
    event("all within 1e-10" if comparison.worst <= 1e-10 else "somewhere only within rounding")
    event(
        "all weights compared"
        if all(row.compared for row in comparison.parameters if "linear" in row.name and "weight" in row.name)
        else "some weights are only rounding"
    )
    assert comparison.agrees, f"\n{comparison}"


def values_on_the_way(net, x, masks):
    """The largest value that each layer computes."""
    logits, caches = net.forward_with_caches(x, True, masks)
    return [np.abs(logits).max(), *(np.abs(cache.linear.x).max() for cache in caches)]


@given(problems(), st.sampled_from([np.float32, np.float64]))
def test_a_gradient_keeps_the_dtype_and_leaves_its_inputs(problem, dtype):
    net64, x, y, masks, l2 = problem
    cost64, gradients64 = net64.cost_and_gradients(x, y, l2, masks)
    assume(max(cost64, np.abs(gradients64.flat).max(), *values_on_the_way(net64, x, masks)) < 1e30)  # of float32's 3e38
    net = MLP(
        net64.sizes,
        batch_norm=net64.batch_norm,
        relu_first=net64.relu_first,
        dropout=net64.dropout,
        skips=net64.skips,
        label_smoothing=net64.label_smoothing,
        rng=np.random.default_rng(0),
        dtype=dtype,
    )
    net.parameters.update(net64.parameters)
    x = x.astype(dtype)
    before = x.copy(), y.copy(), net.parameters.flat.copy()
    logits = net.forward(x, True, masks)
    cost, gradients = net.cost_and_gradients(x, y, l2, masks)
    assert {logits.dtype, gradients.flat.dtype, net.parameters.flat.dtype, net.buffers.flat.dtype} == {np.dtype(dtype)}
    assert np.isfinite(cost)
    for array, copy in zip((x, y, net.parameters.flat), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@given(problems())
def test_no_parameter_shares_memory_with_another(problem):
    net, x, y, masks, _ = problem
    _, gradients = net.cost_and_gradients(x, y, masks=masks)
    arrays = [*net.parameters.values(), *net.buffers.values(), *gradients.values()]
    spans = sorted((array.ctypes.data, array.ctypes.data + array.nbytes) for array in arrays)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


@given(
    st.integers(1, 20),
    st.integers(2, 20),
    st.sampled_from([1e-30, 1.0, 1e4, 1e30]),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32 - 1),
)
def test_softmax_never_overflows(images, classes, scale, dtype, seed):
    rng = np.random.default_rng(seed)
    logits, y = (scale * rng.normal(size=(images, classes))).astype(dtype), rng.integers(0, classes, images)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, cache = softmax_cross_entropy_forward(logits, y)
        dlogits = softmax_cross_entropy_backward(1.0, cache)
    assert np.isfinite(loss)
    assert loss >= 0
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-6)
    assert ((cache.p >= 0) & (cache.p <= 1)).all()
