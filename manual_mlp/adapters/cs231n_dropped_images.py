"""Dropout in front of a network's first layer: it drops what no hidden unit has made, the images themselves."""

from collections.abc import Callable

import numpy as np

from manual_mlp.diagnosis.report import DERIVATIONS, Finding
from manual_mlp.layers import Array

MOVE = 1e-2
RULE = "dropout behind the ReLU of every hidden layer, and nowhere else"
FEW = 0.05  # of the pixels; dropout takes far more


def dropped_images(x: Array, loss: Callable[[Array], float]) -> list[Finding]:
    """With the same units dropped every time, is the loss blind for some pixels of images that it sees?"""
    usual, blind = loss(x), np.zeros(x.shape, dtype=bool)
    for pixel in np.ndindex(x.shape):
        moved = x.copy()
        moved[pixel] += MOVE
        blind[pixel] = loss(moved) == usual
    seen = blind[~blind.all(axis=1)]
    if not seen.size or seen.mean() <= FEW:
        return []
    sentence = f"{seen.mean():.0%} of the images' pixels are dropped: dropout stands in front of the first layer, too"
    return [Finding("dropout: images", sentence, "dropout_on_images", formula=RULE, link=f"{DERIVATIONS}#dropout")]
