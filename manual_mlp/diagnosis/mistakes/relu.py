"""Mistakes of the ReLU."""

from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import known
from manual_mlp.diagnosis.textbook import relu_mask

SLOPES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)  # of leaky ReLUs, in the order in which they are met; 0: it is none


def normalized_before(v: Any) -> bool:
    """Whether batch normalization stands in front of the ReLU."""
    order = v.layer.order
    return bool(order.index("batch_norm") < order.index("relu"))


RELU = [
    known(
        "relu_skipped",
        "the ReLU is skipped: the pre-activation is used as the next layer's input",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: v.x},
        {"relu.out": lambda v: v.x, "relu.mask": lambda v: np.ones_like(v.x)},
    ),
    known(
        "relu_leaky",
        "negative inputs are not set to 0 but scaled: a leaky ReLU",
        "out = max(0, x)",
        "relu",
        *(
            {"relu.out": lambda v, a=a: np.where(v.x > 0, v.x, a * v.x)} | mask
            for a in SLOPES[1:]
            for mask in ({"relu.mask": lambda v, a=a: np.where(v.x > 0, 1, a)}, {})
        ),
    ),
    known(
        "relu_is_another_activation",
        "another activation stands in its place, sigmoid or tanh",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: 1 / (1 + np.exp(-v.x)), "relu.mask": lambda v: v.out * (1 - v.out)},
        {"relu.out": lambda v: np.tanh(v.x), "relu.mask": lambda v: 1 - v.out**2},
        {"relu.out": lambda v: 1 / (1 + np.exp(-v.x)), "relu.mask": lambda v: np.ones_like(v.x)},  # where it is > 0
        {"relu.out": lambda v: 1 / (1 + np.exp(-v.x))},
        {"relu.out": lambda v: np.tanh(v.x)},
    ),
    known(
        "relu_absolute_value",
        "the absolute value is taken instead of the positive part",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: np.abs(v.x), "relu.mask": lambda v: np.sign(v.x)},
        {"relu.out": lambda v: np.abs(v.x)},
        {"relu.out": lambda v: np.abs(v.x), "relu.mask": lambda v: np.ones_like(v.x)},
    ),
    known(
        "relu_wrong_side",
        "the negative inputs pass instead of the positive ones",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: np.minimum(v.x, 0), "relu.mask": lambda v: v.x < 0},
        {"relu.out": lambda v: np.minimum(v.x, 0)},
        {"relu.out": lambda v: np.minimum(v.x, 0), "relu.mask": lambda v: np.zeros_like(v.x)},
    ),
    known(
        "relu_not_masked",
        "the gradient is not masked: it passes where the ReLU was shut, too",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: np.ones_like(v.x)},
    ),
    known(
        "relu_mask_leaky",
        "the mask is that of a leaky ReLU: a part of the gradient passes where the ReLU was shut",
        "dx = dout where x > 0, else 0",
        "relu",
        *({"relu.mask": lambda v, a=a: np.where(v.x > 0, 1, a)} for a in SLOPES[1:]),
    ),
    known(
        "relu_input_and_gradient_exchanged",
        "upstream gradient and input are exchanged: x passes where dout > 0",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: v.x * (v.dout > 0)},
    ),
    known(
        "relu_mask_from_gradient",
        "the mask is taken from the upstream gradient instead of from the ReLU's input",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: relu_mask(v, v.dout)},
        {"relu.mask": lambda v: (v.dout > 0) & (v.x > 0)},
    ),
    known(
        "relu_mask_inverted",
        "the mask is the wrong way round: the gradient passes where the ReLU was shut",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: v.x <= 0},
    ),
    known(
        "relu_upstream_ignored",
        "1 is passed on instead of the upstream gradient",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: 1.0 * v.mask},
    ),
    known(
        "relu_multiplied_by_activation",
        "the upstream gradient is multiplied by the activation instead of by its mask of 0 and 1",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: v.dout * np.maximum(v.x, 0)},
        {"relu.dx": lambda v: v.dout * v.x},
    ),
    known(
        "relu_sigmoid_derivative",
        "the derivative is that of a sigmoid, out (1 - out)",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: v.dout * v.out * (1 - v.out)},
    ),
    known(
        "relu_mask_before_batch_norm",
        "the mask is taken from the linear layer's output, but the ReLU gets what batch normalization makes of it",
        "dx = dout where x > 0, else 0, x being the output of batch normalization",
        "relu",
        {"relu.mask": lambda v: relu_mask(v, v.layer.linear.out)},
        {"relu.mask": lambda v: relu_mask(v, v.layer.batch_norm.x_hat if normalized_before(v) else v.x)},
        network=True,
    ),
    known(
        "relu_mask_behind_batch_norm",
        "the mask is taken from what batch normalization makes of the ReLU's output, not from the ReLU's input",
        "dx = dout where x > 0, else 0, x being the output of the linear layer",
        "behind-the-relu",
        {"relu.mask": lambda v: relu_mask(v, v.layer.batch_norm.out)},
        {"relu.mask": lambda v: relu_mask(v, v.x if normalized_before(v) else v.layer.batch_norm.x_hat)},
        network=True,
    ),
    known(
        "relu_mask_from_layer_input",
        "the mask is taken from the layer's input instead of from the ReLU's",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: relu_mask(v, v.layer.linear.x)},
        network=True,
    ),
]
# where the ReLU is a leaky one
LEAKY_RELU = [
    known(
        "relu_mask_not_leaky",
        "the mask is that of a plain ReLU, but the forward pass has a leaky one: nothing passes where it is negative",
        "dx = dout where x > 0, else slope dout",
        "relu",
        {"relu.mask": lambda v: v.x > 0},
        network=True,
    ),
]
