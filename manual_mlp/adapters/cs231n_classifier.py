"""CS231n's linear classifier (softmax.py): (W, X, y, reg) -> loss, dW, with W (in, classes) and no bias."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_penalty import of_either_penalty
from manual_mlp.adapters.cs231n_textbook import softmax_loss
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.log_guards import as_remark, has_guard
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.adapters.unfilled import HALF_DONE
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.report import Finding, Report

NAMES = ("softmax_loss_naive", "softmax_loss_vectorized")
INPUTS, CLASSES = 6, 4
BATCHES = ((11, 0.0), (11, 0.1), (7, 0.05), (100, 0.0))  # images, and the penalty's strength


def classifiers(program: Program) -> list[Inspection]:
    return [
        Inspection(name, [program.name_of(name)], partial(classifier, program, name))
        for name in NAMES
        if program.has(name)
    ]


def classifier(program: Program, name: str) -> Report:
    return of_either_penalty(lambda factor: with_penalty(program, name, factor))[1]


def with_penalty(program: Program, name: str, factor: int) -> Report:
    """The first batch with which something is wrong. The bias of our network is a row of W under a feature that is 1,
    and is 0 here, so that it costs no penalty.
    """
    rng = np.random.default_rng(8)
    W = np.vstack([rng.normal(size=(INPUTS, CLASSES)), np.zeros(CLASSES)])
    parameters = {"linear1.weight": W[:-1].T, "linear1.bias": W[-1]}
    for n, l2 in BATCHES:
        x, y = rng.normal(size=(n, INPUTS)), rng.integers(0, CLASSES, n)
        answer = program.call(name, W, np.hstack([x, np.ones((n, 1))]), y, factor * l2)
        cost, dW = loss_and_gradient(program, name, answer)
        report = diagnose((cost, {"linear1.weight": dW[:-1].T, "linear1.bias": dW[-1]}), parameters, x, y, l2)
        if has_guard(report):
            usual = softmax_loss(x @ W[:-1] / 10, y)[0]
            theirs = program.call(name, W / 10, np.hstack([x, np.ones((n, 1))]), y, 0.0)
            report = as_remark(report, abs(loss_and_gradient(program, name, theirs)[0] - usual) / usual)
        if not report.ok:
            break
    if not dW.any():
        of_loss = [finding for finding in report.findings if finding.place == "cost"]
        report = replace(report, findings=[*of_loss, Finding("dW", "it is 0: it is not computed yet", HALF_DONE)])
    return in_their_words(as_they_call_it(report), factor)


def as_they_call_it(report: Report) -> Report:
    """Loss and dW, instead of the cost and the gradients of a layer's weight and bias."""

    def name(place: str) -> str:
        return "cost" if place == "cost" else "dW"

    findings = {(name(f.place), f.sentence): replace(f, place=name(f.place), where="") for f in report.findings}
    wrong = {place for place, _ in findings}
    agreeing = [place for place in dict.fromkeys(map(name, report.agreeing)) if place not in wrong]
    unjudged = [place for place in dict.fromkeys(map(name, report.unjudged)) if place not in wrong]
    return replace(report, findings=list(findings.values()), agreeing=agreeing, unjudged=unjudged)


def loss_and_gradient(program: Program, name: str, answer: Any) -> tuple[float, Any]:
    theirs = program.name_of(name)
    loss, dW = program.guard.several(theirs, answer, ("loss", "dW"))
    cost = program.guard.scalar(theirs, "loss", loss)
    gradient = program.guard.array(theirs, "dW", dW, (INPUTS + 1, CLASSES))
    if cost == 0 and not gradient.any():
        raise program.guard.failed(theirs, "empty", "is not filled in yet")
    return cost, gradient
