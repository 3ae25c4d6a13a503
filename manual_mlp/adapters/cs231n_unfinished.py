"""CS231n's networks of which only the beginning is there: scores, or scores and loss, but no gradients yet."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from manual_mlp.adapters.cs231n_modes import test_mode
from manual_mlp.adapters.cs231n_penalty import of_either_penalty
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program
from manual_mlp.adapters.unfilled import HALF_DONE
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array


def beginning(
    program: Program,
    name: str,
    settings: Mapping[str, Any],
    loss_with: Callable[[float], Callable[..., Any]],
    parameters: Mapping[str, Array],
    x: Array,
    y: Any,
) -> Report | None:
    """What a network without any gradient is worth; None where it has some, or nothing can be told."""
    try:
        _, (cost, gradients) = loss_with(1)(parameters, x, y, 0.0)
    except (Failed, TypeError, ValueError):
        return None
    if not nothing_in(gradients) or (scores := scores_alone(program, name, settings, parameters, x, y)) is None:
        return None
    if cost is None or (isinstance(cost, int | float) and cost == 0):
        sentence = "the loss and its gradients are not begun yet"
        return replace(scores, findings=[*scores.findings, Finding("cost and gradients", sentence, HALF_DONE)])

    def costs_with(factor: float) -> Callable[..., Any]:
        return lambda *question: (loss_with(factor)(*question)[1][0], {})

    factor, report = of_either_penalty(lambda factor: diagnose(costs_with(factor), parameters, x, y, 0.1))
    of_cost = [finding for finding in report.findings if finding.place == "cost"]
    if any(finding.mistake == "bn_skipped" for finding in of_cost):
        return None
    findings = [*of_cost, *scores.findings, Finding("gradients", "they are not begun yet: there are none", HALF_DONE)]
    agreeing = scores.agreeing if of_cost else ["cost", *scores.agreeing]
    return in_their_words(Report(name, findings, agreeing, notes=[*report.notes, *scores.notes]), factor)


def nothing_in(gradients: Any) -> bool:
    return gradients is None or (isinstance(gradients, Mapping) and all(v is None for v in gradients.values()))


def scores_alone(
    program: Program,
    name: str,
    settings: Mapping[str, Any],
    parameters: Mapping[str, Array],
    x: Array,
    y: Any,
) -> Report | None:
    """The scores without labels; None where they cannot be looked at, or nobody has begun them."""
    try:
        return test_mode(program, name, settings, parameters, x, y)
    except Failed:
        return None
