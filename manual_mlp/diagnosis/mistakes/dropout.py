"""Mistakes of dropout."""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import ABOVE, known, put_before
from manual_mlp.layers import Array


def another_mask(kept: Array) -> Array:
    """One that keeps everything is none."""
    return np.where(kept.all(), np.nan, kept)


DROPOUT = [
    known(
        "dropout_scaled_twice",
        "what is kept is scaled twice",
        "out = x mask / (1 - p)",
        "dropout",
        {
            "dropout.out": lambda v: v.x * v.kept / (1 - v.p) ** 2,
            "dropout.dx": lambda v: v.dout * v.kept / (1 - v.p) ** 2,
        },
        {"dropout.out": lambda v: v.x * v.kept / (1 - v.p) ** 2},
    ),
    known(
        "dropout_not_scaled",
        "what is kept is not scaled: its sum is smaller in training than at test time",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept, "dropout.dx": lambda v: v.dout * v.kept},
        {"dropout.out": lambda v: v.x * v.kept},
    ),
    known(
        "dropout_scaled_by_wrong_probability",
        "what is kept is divided by the probability to drop instead of the one to keep",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept / v.p, "dropout.dx": lambda v: v.dout * v.kept / v.p},
        {"dropout.out": lambda v: v.x * v.kept / v.p},
    ),
    known(
        "dropout_multiplied",
        "what is kept is multiplied by the probability to keep instead of divided by it",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept * (1 - v.p), "dropout.dx": lambda v: v.dout * v.kept * (1 - v.p)},
        {"dropout.out": lambda v: v.x * v.kept * (1 - v.p)},
    ),
    known(
        "dropout_gradient_not_scaled",
        "the gradient is masked but not scaled, as what was kept is in the forward pass",
        "dx = dout mask / (1 - p), as out = x mask / (1 - p)",
        "dropout",
        {"dropout.dx": lambda v: v.dout * v.kept},
    ),
    known(
        "dropout_gradient_scaled_otherwise",
        "the gradient is scaled by another factor than the forward pass",
        "dx = dout mask / (1 - p), as out = x mask / (1 - p)",
        "dropout",
        {"dropout.dx": lambda v: v.dout * v.kept / (1 - v.p) ** 2},
        {"dropout.dx": lambda v: v.dout * v.kept / v.p},
        {"dropout.dx": lambda v: v.dout * v.kept * (1 - v.p)},
    ),
    known(
        "dropout_gradient_other_mask",
        "the gradient goes through another mask than the one of the forward pass, which must be kept for it",
        "dx = dout mask / (1 - p), with the mask of the forward pass",
        "dropout",
        {"dropout.dx": lambda v: v.dout * another_mask(v.kept_in_gradient) / (1 - v.p)},
    ),
    known(
        "dropout_gradient_not_masked",
        "the gradient is not masked: it passes through dropped units, too",
        "dx = dout mask / (1 - p), with the mask of the forward pass",
        "dropout",
        {"dropout.dx": lambda v: v.dout},
        {"dropout.dx": lambda v: v.dout / (1 - v.p)},
    ),
]

DROPOUT_NETWORK = [
    known(
        "dropout_not_fed_onward",
        "what dropout makes is never fed onward: the next layer gets what went into dropout",
        "out = x mask / (1 - p), and the next layer's input is out",
        "dropout",
        {"dropout.out": lambda v: v.x},
        {"dropout.out": lambda v: v.x, "dropout.dx": lambda v: v.dout},
        network=True,
    ),
    known(
        "dropout_before_batch_norm",
        "dropout stands in front of batch normalization, whose mean and variance then follow what was dropped",
        "linear, batch normalization, ReLU, dropout, in this order",
        "dropout",
        {"layer.order": put_before("dropout", "batch_norm")},
        network=True,
    ),
    known(
        "weight_gradient_before_dropout",
        "the weight gradient is taken with the layer's input as it was before dropout",
        "dW = doutᵀ x, where x is what dropout has left of the layer below",
        "dropout",
        {"linear.dW": lambda v: v.dout.T @ (v.below.dropout.x if v.below else v.x)},
        network=True,
        made_in=ABOVE,
    ),
]

DROPOUT_TEST = [
    known(
        "dropout_scaled_at_test_time",
        "the units are scaled at test time; training has scaled them already, by 1 / (1 - p)",
        "out = x",
        "dropout",
        {"dropout_test.out": lambda v: v.x * (1 - v.p)},
        {"dropout_test.out": lambda v: v.x * v.p},
    ),
    known(
        "dropout_divided_at_test_time",
        "the units are divided by 1 - p at test time; that is done in training",
        "out = x",
        "dropout",
        {"dropout_test.out": lambda v: v.x / (1 - v.p)},
    ),
]
