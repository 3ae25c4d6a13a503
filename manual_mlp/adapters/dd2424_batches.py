"""A function of a DD2424 program that cuts the images into batches, without training: which images they hold."""

import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from manual_mlp.adapters.calls import prepared
from manual_mlp.adapters.dd2424_loops import CHOICES, images, judged_epochs
from manual_mlp.adapters.dd2424_training import is_amount, step_keywords, with_amounts
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, Part, names_called, parts_of, plays
from manual_mlp.adapters.program import words
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array

IMAGES, BATCH = 20, 5
BATCHES = {"batch", "batches", "minibatch", "minibatches"}
OTHERS = {"load", "read", "unpickle", "norm", "normalize", "normalization", "bn", "train", "gd", "sgd", "descent"}


def batch_makers(network: Network) -> list[Part]:
    """Functions that are called after batches, take images, labels and the size of a batch, and do not train."""
    used = {part.name for part in network.parts}
    return [
        part
        for part in parts_of(network.program)
        if BATCHES & set(words(part.name))
        and not OTHERS & set(words(part.name))
        and not plays(part.name)
        and not used & names_called(part.tree)
        and "X" in part.kinds()
        and part.kinds() & {"Y", "y"}
        and any(is_amount(p.name) for p in part.parameters())
    ]


def made_batches(network: Network, part: Part) -> Report:
    """One epoch of 20 images in batches of 5. What comes out alike when it is asked again was not drawn at random."""
    reading = reading_of(network)
    given = images(reading, IMAGES)
    env, instance = prepared(network, reading.how, given, part)
    answers = {**env, "n": BATCH, "epochs": 1, "eta": 0.0, "images": IMAGES}
    function = part.function.__get__(instance) if part.method_of else part.function

    def batches() -> list[tuple[Array, Array | None]]:
        with with_amounts(network, part, instance, answers):
            keywords = step_keywords(network.program, part, env | {"n": BATCH}, {}, answers)
            result = network.program.guard.call(part.title, function, **keywords)
        return [batch_of(x, y, reading) for x, y in pairs_in(result, given.x.shape[1])]

    try:
        once, again = batches(), batches()
    except Failed:
        once = again = []
    if not once:
        raise absent("minibatches")
    drawn = any(not np.array_equal(one, two) for (one, _), (two, _) in zip(once, again, strict=False))
    return judged_epochs([once], given, CHOICES if drawn else CHOICES - {"minibatches_with_replacement"})


def pairs_in(result: Any, width: int) -> Iterator[tuple[Array, Array]]:
    """Images and labels of each batch: of a list of pairs, or of two lists, or of two arrays of three axes, the first
    or the last of which counts batches.
    """
    values = list(result) if isinstance(result, list | tuple | types.GeneratorType) else []
    if len(values) in (2, 3) and all(isinstance(v, list) or getattr(v, "ndim", 0) == 3 for v in values[:2]):
        x, y = values[:2]
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and set(x.shape[:2]) == {width, BATCH}:
            x, y = np.moveaxis(x, -1, 0), np.moveaxis(y, -1, 0)
        values = list(zip(x, y, strict=False)) if len(x) == len(y) else []
    for pair in values:
        if not isinstance(pair, tuple | list) or len(pair) < 2:
            raise absent("minibatches")
        yield np.asarray(pair[0]), np.asarray(pair[1])


def batch_of(x: Array, y: Array, reading: Reading) -> tuple[Array, Array | None]:
    """Images as rows, labels as numbers."""
    rows = x.T if reading.how.x_columns else x
    if y.ndim == 2 and 1 in y.shape:
        y = y.reshape(-1)
    numbers = y.argmax(axis=0 if reading.how.y_columns else 1) if y.ndim == 2 else y
    if rows.ndim != 2 or numbers.shape != (len(rows),):
        raise absent("minibatches")
    return rows, numbers
