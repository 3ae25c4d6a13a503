"""The batches that a program was seen to make."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from manual_mlp.adapters.dd2424_loops import CHOICES
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.held import arrays_of
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.seen_steps import seen
from manual_mlp.adapters.stand_in_images import Known, Numbers, labels, recognized
from manual_mlp.adapters.training import Training
from manual_mlp.diagnosis import diagnose_minibatches
from manual_mlp.diagnosis.minibatches import wrong_labels
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

LEAST = 0.8  # of the images are taken in an epoch that loses some by mistake


def minibatches(_: Network, training: Training) -> Report:
    """The first epochs: one begins where an image comes again."""
    if training.strange:
        raise absent("minibatches")
    rows = training_set(training)[0]
    epochs = epochs_of(training.batches, len(rows))
    first = np.concatenate(epochs[0])
    if np.array_equal(first, rows[: len(first)]):  # the set itself may be shuffled, epoch by epoch
        rows = np.sort(rows)
    place = {number: row for row, number in enumerate(rows.tolist())}
    if is_split(epochs, place):
        raise absent("the training images")
    positions = [[np.array([place[n] for n in batch.tolist()]) for batch in epoch] for epoch in epochs]
    report = diagnose_minibatches(positions, len(rows))
    findings = [*labels_apart(training), *(finding for finding in report.findings if finding.mistake not in CHOICES)]
    notes = [f"{f.place}: {f.sentence}" for f in report.findings if f.mistake in CHOICES]
    agreeing = [] if findings else ["every image once an epoch"]
    return replace(report, findings=findings, agreeing=agreeing, notes=notes)


def is_split(epochs: Sequence[Sequence[Numbers]], place: Mapping[int, int]) -> bool:
    """Are these images a set of their own: always the same ones of all that lie there, and in another order?"""
    first, *others = (np.concatenate(epoch).tolist() for epoch in epochs)
    rows = [place[number] for number in first]
    always = bool(others) and all(set(other) == set(first) for other in others)
    return always and len(set(rows)) < len(place) and rows != sorted(rows)


def labels_apart(training: Training) -> list[Finding]:
    """Of the steps seen in full, where labels are arguments: what a caller holds may be another batch's."""
    for number, step in training.steps.items() if training.computed else ():
        with contextlib.suppress(Failed):
            batch, y = training.batches[number], seen(step, training.batches[number]).given.y
            if wrong := wrong_labels([[batch]], [[(batch, y)]], labels()):
                return wrong
    return []


def epochs_of(batches: Sequence[Numbers], count: int) -> list[list[Numbers]]:
    """The first two, if all are of one length: where batches are drawn one by one, an image comes again at any time."""
    epochs: list[list[Numbers]] = [[]]
    taken: set[int] = set()
    for batch in batches:
        images = set(batch.tolist())
        if taken & images and len(images) == len(batch):
            epochs.append([])
            taken = set()
        epochs[-1].append(batch)
        taken |= images
    whole = epochs[:-1]
    if len(epochs) == 1 and len(taken) == count:
        whole = epochs
    if not whole or len(whole[0]) < 3 or {len(epoch) for epoch in whole} != {len(whole[0])}:
        raise absent("minibatches")
    if len(set(np.concatenate(whole[0]).tolist())) < LEAST * count:
        raise absent("minibatches")  # a part of the images on purpose, or an image that came again by chance
    return whole[:2]


def training_set(training: Training) -> tuple[Numbers, Array]:
    """The smallest set near the loop that holds all images it has been given, best as they came into it."""
    taken, least = set(np.concatenate(training.batches).tolist()), len(training.batches[0])
    whole = [known for known in training.sets if len(known[0]) > least and taken <= set(known[0].tolist())]
    for numbers, block in sorted(whole, key=lambda known: (not is_as_trained(known, training), len(known[0]))):
        return numbers, np.asarray(block, dtype=np.float64)
    raise absent("the training images")


def is_as_trained(known: Known, training: Training) -> bool:
    """Do the images of the first batch lie there as that batch had them?"""
    numbers, block = known
    batch = training.batches[0]
    rows = {number: row for row, number in enumerate(numbers.tolist())}
    mine = block[[rows[number] for number in batch.tolist()]]
    arrays = (leaf.value for leaf in arrays_of(training.steps[0].arguments)) if 0 in training.steps else ()
    given = (found for array in arrays if (found := recognized(array)) is not None)
    return any(np.array_equal(found[0], batch) and np.array_equal(found[1], mine) for found in given)
