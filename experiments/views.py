"""A network asked about several views of each image: moved a little, mirrored or not, its answers averaged."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from manual_mlp import MLP
from manual_mlp.training import Data

Rows = NDArray[np.float32]

STEPS = (-2, 0, 2)  # pixels, in both directions


def views(x: Rows, shape: tuple[int, ...], steps: tuple[int, ...] = STEPS) -> Iterator[Rows]:
    """Every image moved by each pair of steps, as it is and mirrored; what moves in is 0, as in training.

    Shapes: x (N, D), D = H W C -> each view (N, D)
    """
    H, W, _ = shape
    images = x.reshape(-1, *shape)
    for dy in steps:
        for dx in steps:
            moved = np.zeros_like(images)
            to_rows, from_rows = slice(max(dy, 0), H + min(dy, 0)), slice(max(-dy, 0), H + min(-dy, 0))
            to_columns, from_columns = slice(max(dx, 0), W + min(dx, 0)), slice(max(-dx, 0), W + min(-dx, 0))
            moved[:, to_rows, to_columns] = images[:, from_rows, from_columns]
            yield moved.reshape(x.shape)
            yield moved[:, :, ::-1].reshape(x.shape)


def accuracy_over_views(net: MLP, data: Data, shape: tuple[int, ...]) -> float:
    """Of the class with the largest mean probability."""
    x, y = data
    p = np.zeros((len(x), net.sizes[-1]))
    for view in views(x, shape):
        logits = net.forward(view).astype(np.float64)
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        p += scores / scores.sum(axis=1, keepdims=True)
    return float(np.mean(p.argmax(axis=1) == y))
