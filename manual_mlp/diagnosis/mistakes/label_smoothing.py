"""Mistakes of a smoothed target; s is the share that is spread over all K classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in
from manual_mlp.diagnosis.textbook import OPERATIONS, Line, one_hot

smoothing = mistakes_in(
    "softmax_cross_entropy",
    "q = (1 - s) onehot(y) + s / K in the loss, -1/N Σₙ Σₖ q[n, k] ln p[n, k], and in its gradient, (p - q) / N",
    "label-smoothing",
    network=True,
)

smoothed = OPERATIONS["softmax_cross_entropy"].forward["target"]


def hard(v: Any) -> Any:
    return one_hot(v.y, v.p.shape[1])


def others(v: Any) -> Any:
    """Each of the wrong classes' equal share of 1."""
    return 1 / np.float64(v.p.shape[1] - 1)


def in_either_pass(*targets: Line) -> list[Mapping[str, Line]]:
    """In loss and gradient, or in one of them alone."""
    return [
        lines
        for target in targets
        for lines in (
            {"target": target},
            {"target": target, "target_backward": smoothed},
            {"target_backward": target},
        )
    ]


LABEL_SMOOTHING = [
    smoothing(
        "smoothing_missing", "the target is not smoothed, neither in the loss nor in its gradient", {"target": hard}
    ),
    smoothing(
        "smoothing_missing_in_gradient",
        "the target is smoothed in the loss but not in its gradient",
        {"target_backward": hard},
    ),
    smoothing(
        "smoothing_missing_in_cost",
        "the target is smoothed in the gradient but not in the loss",
        {"target": hard, "target_backward": smoothed},
    ),
    smoothing(
        "smoothing_over_other_classes",
        "s / (K - 1) stands where s / K belongs: the share is spread over the K - 1 wrong classes, not over all K"
        " (for that convention, pass s K / (K - 1) as label_smoothing)",
        *in_either_pass(
            lambda v: np.where(hard(v), 1 - v.s, v.s * others(v)),
            lambda v: (1 - v.s) * hard(v) + v.s * others(v),
        ),
    ),
    smoothing(
        "smoothing_share_not_taken",
        "the share is spread but not taken from the right class, which keeps 1 instead of 1 - s",
        *in_either_pass(
            lambda v: hard(v) + v.s / v.p.shape[1],
            lambda v: np.where(hard(v), 1, v.s / v.p.shape[1]),
            lambda v: np.where(hard(v), 1, v.s * others(v)),
        ),
    ),
    smoothing(
        "smoothing_share_not_spread",
        "the share is taken from the right class but not spread: s / K is not added",
        *in_either_pass(lambda v: (1 - v.s) * hard(v)),
    ),
    smoothing(
        "smoothing_share_not_divided",
        "every class gets the whole share s instead of s / K",
        *in_either_pass(lambda v: (1 - v.s) * hard(v) + v.s, lambda v: np.where(hard(v), 1 - v.s, v.s)),
    ),
    smoothing(
        "smoothing_exchanged",
        "s and 1 - s are exchanged: the right class gets the share that belongs to all",
        *in_either_pass(lambda v: v.s * hard(v) + (1 - v.s) / v.p.shape[1]),
    ),
]
