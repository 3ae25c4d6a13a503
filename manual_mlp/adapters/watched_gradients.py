"""The gradients that a program was seen to compute."""

from dataclasses import replace
from typing import NamedTuple

from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import absent, undecided
from manual_mlp.adapters.rest import with_rest
from manual_mlp.adapters.seen_gradients import agreed, clips, judged_gradients
from manual_mlp.adapters.seen_steps import gradients_seen, seen
from manual_mlp.adapters.training import SMALLER, Training
from manual_mlp.adapters.watched_costs import CostSeen
from manual_mlp.adapters.watched_updates import rest_seen, takes_rate
from manual_mlp.diagnosis.report import Report


class Judged(NamedTuple):
    """Gradients, and how they are penalized."""

    report: Report
    share: float = 1.0  # of the penalty that they have
    decays: bool = False  # in the step, perhaps without a penalty in the cost


def computed_gradients(
    network: Network, training: Training, cost: CostSeen | None, batch_norm: bool, affine: bool
) -> Judged:
    """Of a later step, whose parameters are no longer the first ones; if these are wrong, of an early one, too. If they
    are right, those of a smaller batch as well.
    """
    numbers = [number for number in (60, 1, 0) if number in training.steps][:2]
    if takes_rate(network):
        raise absent("its gradients", "stay in the function that makes the step")
    if not numbers:
        raise absent("its gradients", "were not computed: an error was raised")
    reports: list[Report] = []
    for number in numbers:
        judged = computed_at(network, training, cost, batch_norm, affine, number)
        if judged.report.ok and (smaller := training.firsts.get(SMALLER)) in training.steps:
            of_smaller = computed_at(network, training, cost, batch_norm, affine, smaller)
            return of_smaller._replace(report=in_smaller_batch(training, of_smaller.report))
        if judged.report.ok:
            return judged
        reports.append(judged.report)
    return Judged(agreed(reports, clips(network)), 1.0, judged.decays)


def computed_at(
    network: Network, training: Training, cost: CostSeen | None, batch_norm: bool, affine: bool, number: int
) -> Judged:
    step = training.steps[number]
    question = seen(step, training.batches[number])
    if question.how.batch_norm is not (batch_norm and affine):
        raise absent("its training", f"was {'without' if batch_norm else 'with'} batch normalization")
    own = gradients_seen(network, step, question)
    question = question if affine or not batch_norm else question.normalized()
    given = question.given
    rest = rest_seen(network, training, given.l2)
    found = with_rest(network, question.how, given, own, rest)
    report = judged_gradients(network, question, found)
    if report.ok:
        return Judged(report, 1.0, rest.penalty)
    of_penalty = any((finding.mistake or "").startswith("penalty") for finding in report.findings)
    if of_penalty and not question.says_l2:
        raise undecided("its lambda", "is not among its numbers under such a name as lam, lambda_ or reg")
    if of_penalty and cost is not None and cost.is_right(0.0):  # there is a decay in the step alone
        raise undecided("its penalty", "is neither in the cost nor in the gradients")
    half = question._replace(given=given._replace(l2=given.l2 / 2))
    if (cost is None or cost.is_right(0.5)) and (of_half := judged_gradients(network, half, found)).ok:
        return Judged(of_half, 0.5, rest.penalty)
    return Judged(report, 1.0, rest.penalty)


def in_smaller_batch(training: Training, report: Report) -> Report:
    """What is wrong in the smaller batch alone."""
    size = len(training.batches[training.firsts[SMALLER]])
    where = f"in the smaller batch of {size} images; in those of {len(training.batches[0])} it is right"
    return replace(report, findings=[replace(finding, where=where) for finding in report.findings])
