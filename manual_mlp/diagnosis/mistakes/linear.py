"""Mistakes of the linear layer."""

from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import ABOVE, HIDDEN, known


def unmasked(v: Any) -> Any:
    """The gradient as the ReLU behind this layer got it; the last layer has none."""
    return getattr(v.layer, "relu", v).dout


LINEAR = [
    known(
        "bias_not_added",
        "the bias is not added",
        "out = x Wᵀ + b",
        "linear",
        {"linear.out": lambda v: v.product},
    ),
    known(
        "bias_added_twice",
        "the bias is added twice",
        "out = x Wᵀ + b",
        "linear",
        {"linear.out": lambda v: v.product + 2 * v.b},
    ),
    known(
        "bias_subtracted",
        "the bias is subtracted",
        "out = x Wᵀ + b",
        "linear",
        {"linear.out": lambda v: v.product - v.b},
    ),
    known(
        "averaged_twice",
        "the gradients of weight and bias are divided by the batch size once more; the loss is an average already, "
        "so the upstream gradient contains 1/N",
        "dW = doutᵀ x, db = Σₙ dout[n]",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ v.x / len(v.x), "linear.db": lambda v: v.dout.mean(axis=0)},
    ),
    known(
        "bias_gradient_averaged",
        "the bias gradient is averaged over the batch instead of summed",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: v.dout.mean(axis=0)},
    ),
    known(
        "bias_gradient_wrong_axis",
        "the bias gradient is summed over the wrong axis: over the outputs instead of over the images",
        "db = Σₙ dout[n], with images as rows dout.sum(axis=0)",
        "linear",
        {"linear.db": lambda v: v.dout.sum(axis=1)},
        {"linear.db": lambda v: v.dout.mean(axis=1)},
    ),
    known(
        "bias_gradient_not_summed",
        "the bias gradient is not summed over the batch",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: v.dout},
    ),
    known(
        "bias_gradient_missing",
        "the bias gradient stays 0",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: np.zeros(v.dout.shape[1])},
    ),
    known(
        "bias_gradient_one_sum",
        "the bias gradient is one sum over everything instead of one for each output",
        "db = Σₙ dout[n], with images as rows dout.sum(axis=0)",
        "linear",
        {"linear.db": lambda v: np.full(v.dout.shape[1], v.dout.sum())},
        {"linear.db": lambda v: v.dout.sum()},
    ),
    known(
        "bias_gradient_of_one_image",
        "the bias gradient is that of one image alone, it is overwritten instead of summed",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: v.dout[-1]},
        {"linear.db": lambda v: v.dout[0]},
    ),
    known(
        "bias_gradient_sign",
        "the bias gradient has the wrong sign",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: -v.dout.sum(axis=0)},
    ),
    known(
        "weight_gradient_sign",
        "the weight gradient has the wrong sign",
        "dW = doutᵀ x",
        "linear",
        {"linear.dW": lambda v: -v.dout.T @ v.x},
    ),
    known(
        "input_gradient_sign",
        "the gradient of the input has the wrong sign",
        "dx = dout W",
        "linear",
        {"linear.dx": lambda v: -v.dout @ v.W},
        made_in=ABOVE,
    ),
    known(
        "weight_gradient_averaged",
        "the weight gradient is divided by the batch size",
        "dW = doutᵀ x; 1/N is in the upstream gradient already",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ v.x / len(v.x)},
    ),
    known(
        "weight_gradient_transposed",
        "the weight gradient is transposed",
        "dW = doutᵀ x, of W's shape (M, D)",
        "linear",
        {"linear.dW": lambda v: v.x.T @ v.dout},
    ),
    known(
        "weight_gradient_missing",
        "the weight gradient stays 0",
        "dW = doutᵀ x",
        "linear",
        {"linear.dW": lambda v: np.zeros_like(v.W)},
    ),
    known(
        "weight_gradient_from_positive_part",
        "the weight gradient is taken with the positive part of the input, as if a ReLU stood before the layer",
        "dW = doutᵀ x",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ np.maximum(v.x, 0)},
    ),
    known(
        "linear_upstream_ignored",
        "1 is passed on instead of the upstream gradient",
        "dx = dout W, dW = doutᵀ x, db = Σₙ dout[n]",
        "linear",
        {"linear.dx": lambda v: np.ones_like(v.dout) @ v.W},
        {"linear.dW": lambda v: np.ones_like(v.dout).T @ v.x},
        {"linear.db": lambda v: np.ones_like(v.dout).sum(axis=0)},
        {
            "linear.dx": lambda v: np.ones_like(v.dout) @ v.W,
            "linear.dW": lambda v: np.ones_like(v.dout).T @ v.x,
            "linear.db": lambda v: np.ones_like(v.dout).sum(axis=0),
        },
    ),
    known(
        "input_gradient_averaged",
        "the gradient of the input is divided by the batch size",
        "dx = dout W",
        "linear",
        {"linear.dx": lambda v: v.dout @ v.W / len(v.x)},
        made_in=ABOVE,
    ),
    known(
        "weight_gradient_from_preactivation",
        "the weight gradient is taken with the layer's input as it was before the ReLU",
        "dW = doutᵀ x, where x is the output of the ReLU below",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ (v.below.relu.x if v.below else v.x)},
        {"linear.dW": lambda v: v.dout.T @ (v.below.linear.out if v.below else v.x)},
        network=True,
        made_in=ABOVE,
    ),
    known(
        "gradient_before_mask",
        "the gradient of weight or bias is taken before the ReLU has masked what comes back",
        "dW = doutᵀ x, db = Σₙ dout[n], where dout has gone through the ReLU",
        "linear",
        {"linear.dW": lambda v: unmasked(v).T @ v.x},
        {"linear.db": lambda v: unmasked(v).sum(axis=0)},
        network=True,
        made_in=HIDDEN,
    ),
    known(
        "gradients_not_averaged",
        "the gradients of weight and bias are not divided by the batch size, other gradients are",
        "dW = doutᵀ x, db = Σₙ dout[n], with 1/N in dout: dlogits = (p - onehot(y)) / N",
        "linear",
        {"linear.dW": lambda v: len(v.x) * (v.dout.T @ v.x), "linear.db": lambda v: len(v.x) * v.dout.sum(axis=0)},
        network=True,
    ),
    known(
        "bias_gradient_not_averaged",
        "the bias gradient is not divided by the batch size, other gradients are",
        "db = Σₙ dout[n], with 1/N in dout: dlogits = (p - onehot(y)) / N",
        "linear",
        {"linear.db": lambda v: len(v.x) * v.dout.sum(axis=0)},
        network=True,
    ),
    known(
        "weight_gradient_not_averaged",
        "the weight gradient is not divided by the batch size, other gradients are",
        "dW = doutᵀ x, with 1/N in dout: dlogits = (p - onehot(y)) / N",
        "linear",
        {"linear.dW": lambda v: len(v.x) * (v.dout.T @ v.x)},
        network=True,
    ),
]
