"""Dropout in front of a network's first layer: it drops what no hidden unit has made, the images themselves."""

import numpy as np

from manual_mlp.adapters.cs231n_instances import CLASSES, HIDDEN, INPUTS, built, cost_and_gradients, problem, put
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis.report import DERIVATIONS, Finding
from manual_mlp.layers import Array

P, MOVE = 0.6, 1e-2
FEW = 0.05  # of the pixels; dropout takes some 40%


def dropped_images(program: Program, name: str, deep: bool, batch_norm: bool) -> list[Finding]:
    """With the same units dropped every time, is the loss blind for some pixels of images that it sees?"""
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, y = problem(hidden, batch_norm)
    settings = {"inputs": INPUTS, "hidden": hidden, "classes": CLASSES, "dtype": np.float64, "batch_norm": batch_norm}

    def loss(images: Array) -> float:
        net = built(program, name, {**settings, "dropout": P, "seed": 11})
        put(program, name, net, parameters)
        np.random.seed(5)  # noqa: NPY002 - where the network has no seed of its own
        answer = program.guard.call(f"{name}.loss", net.loss, images, y)
        return program.guard.scalar(f"{name}.loss", "loss", cost_and_gradients(program, name, net, answer, {})[0])

    usual, blind = loss(x), np.zeros(x.shape, dtype=bool)
    for pixel in np.ndindex(x.shape):
        moved = x.copy()
        moved[pixel] += MOVE
        blind[pixel] = loss(moved) == usual
    seen = blind[~blind.all(axis=1)]
    if not seen.size or seen.mean() <= FEW:
        return []
    sentence = f"{seen.mean():.0%} of the images' pixels are dropped: dropout stands in front of the first layer, too"
    return [
        Finding(
            "dropout: images",
            sentence,
            "dropout_on_images",
            formula="dropout behind the ReLU of every hidden layer, and nowhere else",
            link=f"{DERIVATIONS}#dropout",
        )
    ]
