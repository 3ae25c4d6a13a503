"""Minibatches: every image once in every epoch, in a new order each time, none lost and none doubled."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report

FORMULA = "every epoch a new permutation of all images, cut into batches; the last one may be smaller"


def diagnose_minibatches(
    epochs: Iterable[Iterable[Any]], images: int | ArrayLike, labels: ArrayLike | None = None
) -> Report:
    """Do these batches hold every image once an epoch, shuffled?

    epochs   of each epoch, its batches: arrays of row numbers; or pairs (x, y) of images and labels
    images   how many there are; or, where the batches are pairs, the images (N, ...) themselves, all different
    labels   (N,), with the images
    """
    taken = [list(batches) for batches in epochs]
    if not taken or not all(taken):
        raise ValueError("epochs is empty, or one of them is; give the batches of at least one epoch")
    findings: list[Finding] = []
    if isinstance(images, int | np.integer):
        count = int(images)
        orders = [[np.asarray(batch).ravel() for batch in batches] for batches in taken]
    else:
        rows = np.asarray(images)
        count = len(rows)
        numbers = {row.tobytes(): number for number, row in enumerate(rows)}
        if len(numbers) < count:
            raise ValueError("images holds the same image twice; give images that are all different")
        orders = [[found(numbers, batch, rows) for batch in batches] for batches in taken]
        if labels is not None:
            findings += wrong_labels(orders, taken, np.asarray(labels))
    for number, batches in enumerate(orders):
        findings += one_epoch(number, batches, count)
    known = [np.concatenate(batches) for batches in orders]
    straight = np.arange(count)
    if count > 5 and all(np.array_equal(order, straight[: len(order)]) for order in known):
        findings.append(say("order", "the images are not shuffled", "minibatches_not_shuffled"))
    elif count > 5 and len(known) > 1 and all(np.array_equal(order, known[0]) for order in known[1:]):
        findings.append(say("order", "every epoch has the same order", "minibatches_same_order"))
    elif count > 20 and any(within_blocks(batches) for batches in orders):
        sentence = "the batches come in another order but hold the same neighbours: the images were not shuffled"
        findings.append(say("order", sentence, "minibatches_blocks_shuffled"))
    findings = list({finding.mistake: finding for finding in reversed(findings)}.values())[::-1]
    agreeing = [] if findings else ["every image once an epoch", "shuffled"]
    return Report("minibatches", findings, agreeing)


def say(place: str, sentence: str, mistake: str | None) -> Finding:
    return Finding(place, sentence, mistake, formula=FORMULA, link=f"{DERIVATIONS}#minibatches")


def found(numbers: dict[bytes, int], batch: Any, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The row numbers of a batch's images; -1 for one that is none of them."""
    x = np.asarray(batch[0], dtype=rows.dtype)
    return np.array([numbers.get(row.tobytes(), -1) for row in x.reshape(len(x), *rows.shape[1:])], dtype=int)


def wrong_labels(
    orders: Sequence[Sequence[np.ndarray[Any, Any]]], taken: Sequence[Sequence[Any]], labels: np.ndarray[Any, Any]
) -> list[Finding]:
    for batches, pairs in zip(orders, taken, strict=True):
        for rows, (_, y) in zip(batches, pairs, strict=True):
            y = np.asarray(y)
            if y.shape != (len(rows),) or not np.array_equal(y[rows >= 0], labels[rows[rows >= 0]]):
                sentence = "images and labels do not belong together: they were shuffled apart"
                return [say("labels", sentence, "minibatches_labels_apart")]
    return []


def one_epoch(number: int, batches: Sequence[np.ndarray[Any, Any]], count: int) -> list[Finding]:
    place, rows = f"epoch {number}", np.concatenate(batches)
    if ((rows < 0) | (rows >= count)).any():
        return [say(place, f"a batch holds a row that is none of the {count} images", "minibatches_unknown_image")]
    times = np.bincount(rows, minlength=count)
    lost, doubled = int((times == 0).sum()), int((times > 1).sum())
    size = len(batches[0])
    if doubled and lost and overlap(batches):
        sentence = f"{lost} images are missing and {doubled} come more than once: the batches overlap"
        return [say(place, sentence, "minibatches_overlap")]
    if doubled and lost:
        sentence = f"{lost} images are missing and {doubled} come more than once: they are drawn with replacement"
        return [say(place, sentence, "minibatches_with_replacement")]
    if doubled:
        return [say(place, f"{doubled} images come more than once", "minibatches_doubled")]
    if lost and lost == count % size and all(len(batch) == size for batch in batches):
        return [say(place, f"the last, smaller batch of {lost} images is lost", "minibatches_last_batch_lost")]
    if lost:
        return [say(place, f"{lost} of {count} images are missing", "minibatches_images_lost")]
    return []


def overlap(batches: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Whether each begins at the same distance behind the one before, nearer than a batch is long: i for i n_batch."""
    distances = np.diff([batch[0] for batch in batches])
    return within_blocks(batches) and 0 < distances[0] < len(batches[0]) and bool((distances == distances[0]).all())


def within_blocks(batches: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Whether every batch is a run of neighbours."""
    return len(batches[0]) > 2 and all(np.array_equal(np.diff(batch), np.ones(len(batch) - 1)) for batch in batches)
