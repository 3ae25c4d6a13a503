"""CS231n's svm_loss of class scores: the mean over the images of Σⱼ max(0, xⱼ - x_y + 1), j being the wrong classes."""

from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_known_values import Known, judged
from manual_mlp.adapters.program import Program
from manual_mlp.adapters.unfilled import HALF_DONE
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import NOT_COMPUTED
from manual_mlp.layers import Array

NAME = "svm_loss"
IMAGES, CLASSES = 7, 4
LOSS = "loss = 1/N Σₙ Σⱼ max(0, x[n, j] - x[n, y] + 1), over j other than y"
GRADIENT = "1/N where a margin is positive; at the right class minus their number over N"


def svm(program: Program) -> Report:
    rng = np.random.default_rng(6)
    x, y = 2 * rng.normal(size=(IMAGES, CLASSES)), rng.integers(0, CLASSES, IMAGES)
    theirs = program.name_of(NAME)
    loss, dx = program.guard.several(theirs, program.call(NAME, x, y), ("loss", "dx"))
    right_loss, right_dx = hinge(x, y)
    of_dx = (
        Finding("svm dx", NOT_COMPUTED, HALF_DONE)
        if dx is None
        else judged(program, theirs, "svm dx", dx, right_dx, known_gradients(x, y), GRADIENT)
    )
    found = {
        "svm loss": judged(program, theirs, "svm loss", loss, right_loss, known_losses(x, y), LOSS),
        "svm dx": of_dx,
    }
    agreeing = [place for place, finding in found.items() if finding is None]
    return Report(NAME, [finding for finding in found.values() if finding is not None], agreeing)


def positive(x: Array, y: Any) -> Array:
    """1 where the margin of a wrong class is positive."""
    margins = x - x[np.arange(len(x)), y][:, None] + 1
    margins[np.arange(len(x)), y] = 0
    return np.where(margins > 0, 1.0, 0.0)


def hinge(x: Array, y: Any) -> tuple[float, Array]:
    violated = positive(x, y)
    loss = float(np.sum(violated * (x - x[np.arange(len(x)), y][:, None] + 1))) / len(x)
    violated[np.arange(len(x)), y] = -violated.sum(axis=1)
    return loss, violated / len(x)


def known_losses(x: Array, y: Any) -> Known:
    loss, violated = hinge(x, y)[0], positive(x, y)
    return {
        "it is summed over the images instead of averaged": loss * len(x),
        "the right class's own margin of 1 is counted, too": loss + 1,
        "the margin of 1 is missing": np.maximum(0, x - x[np.arange(len(x)), y][:, None]).sum() / len(x),
        "it has the wrong sign": -loss,
        "it counts the wrong classes instead of summing their margins": violated.sum() / len(x),
    }


def known_gradients(x: Array, y: Any) -> Known:
    dx, violated = hinge(x, y)[1], positive(x, y)
    once = violated.copy()
    once[np.arange(len(x)), y] = -1
    return {
        "it is not divided by the batch size, the loss is": dx * len(x),
        "the right class gets no gradient": violated / len(x),
        "the right class gets -1 instead of minus the number of positive margins": once / len(x),
        "it has the wrong sign": -dx,
        "it is that of a linear classifier's weights, xᵀ times the gradient of the scores": x.T @ dx,
    }
