"""Mistakes of a skip connection, which adds a layer's input to its output."""

from manual_mlp.diagnosis.mistakes.mistake import known, put_before

OUT = "out = x + f(x), where f is the whole layer: its ReLU and its dropout come before the sum"
DX = "dx = dout + the gradient that comes back through the layer"

SKIP = [
    known(
        "skip_not_added",
        "the layer's input is not added to its output",
        OUT,
        "skip-connection",
        {"skip.out": lambda v: v.x, "skip.dpast": lambda v: 0 * v.dout},
        {"skip.out": lambda v: v.x},
        network=True,
    ),
    known(
        "skip_before_relu",
        "the layer's input is added in front of the ReLU instead of behind it",
        OUT,
        "skip-connection",
        {"layer.order": put_before("skip", "relu")},
        network=True,
    ),
    known(
        "skip_before_batch_norm",
        "the layer's input is added in front of batch normalization, which then normalizes it, too",
        OUT,
        "skip-connection",
        {"layer.order": put_before("skip", "batch_norm")},
        network=True,
    ),
    known(
        "skip_before_dropout",
        "the layer's input is added in front of dropout, which then drops it, too",
        OUT,
        "skip-connection",
        {"layer.order": put_before("skip", "dropout")},
        network=True,
    ),
    known(
        "skip_gradient_forgotten",
        "the gradient that goes around the layer is not added",
        DX,
        "skip-connection",
        {"fork.dx": lambda v: v.through},
        network=True,
    ),
    known(
        "skip_gradient_alone",
        "only the gradient that goes around the layer is passed on; the one that comes back through it is lost",
        DX,
        "skip-connection",
        {"fork.dx": lambda v: v.past},
        network=True,
    ),
    known(
        "skip_gradient_doubled",
        "the gradient that goes around the layer is added twice",
        DX,
        "skip-connection",
        {"fork.dx": lambda v: v.through + 2 * v.past},
        network=True,
    ),
    known(
        "skip_gradient_overwritten",
        "what is added is no longer dout but what the layer's backward pass has made of it, in the same array",
        f"{DX}: keep a copy of dout",
        "skip-connection",
        {"fork.dx": lambda v: v.through + v.layer.dropout.dx},
        {"fork.dx": lambda v: v.through + v.layer.relu.dx},
        {"fork.dx": lambda v: v.through + v.layer.linear.dout},
        network=True,
    ),
    known(
        "skip_in_relu_mask",
        "the mask is taken from the sum: the layer's input was added in place, into the array that the ReLU keeps",
        "dx = dout where the ReLU's own input was > 0, else 0",
        "skip-connection",
        {"relu.mask": lambda v: v.layer.skip.out > 0},
        network=True,
    ),
    known(
        "weight_gradient_before_skip",
        "the weight gradient is taken with the layer's input as it was before the skip connection's sum",
        "dW = doutᵀ x, where x is the sum",
        "skip-connection",
        {"linear.dW": lambda v: v.dout.T @ (v.below.skip.x if v.below and hasattr(v.below, "skip") else v.x)},
        network=True,
    ),
]
