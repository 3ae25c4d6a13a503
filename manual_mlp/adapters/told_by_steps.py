"""Gradients that no function returns, from the steps that they make: (old - new) / eta."""

from dataclasses import replace
from functools import partial

from manual_mlp.adapters.dd2424_update import shared_rates
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import absent, undecided
from manual_mlp.adapters.seen_gradients import agreed, clips
from manual_mlp.adapters.training import SMALLER, Training
from manual_mlp.adapters.watched_costs import CostSeen
from manual_mlp.adapters.watched_gradients import Judged, in_smaller_batch
from manual_mlp.adapters.watched_updates import Move, loss_gradients, may_have_another_rule, moves
from manual_mlp.diagnosis import diagnose_update
from manual_mlp.diagnosis.comparison import Planted
from manual_mlp.diagnosis.mistakes.mistake import known
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.textbook import Values
from manual_mlp.diagnosis.update import is_descent
from manual_mlp.layers import Array

STEPPED_FIRST = known(
    "linear_stepped_first",
    "the gradient goes on to the layer below through weights that have already made their step",
    "dx = dout W, with the W of the forward pass; step when all gradients are there",
    "linear",
)
TOLD = "its gradients were told from its steps: (old - new) / eta"


def told_by_steps(network: Network, training: Training, cost: CostSeen | None, batch_norm: bool) -> Judged:
    """Of a later step, and if they are wrong, of an early one, too."""
    reports: list[Report] = []
    for move in reversed(list(moves(network, training))):
        if move.before.how.batch_norm is not batch_norm:
            raise absent("its training", f"was {'without' if batch_norm else 'with'} batch normalization")
        if move.before.single:
            raise absent("its gradients", "are not returned, and in single precision the steps do not tell them")
        report = told_by_step(move, 1.0)
        if not report.ok and (cost is None or cost.is_right(0.5)) and (half := told_by_step(move, 0.5)).ok:
            return Judged(half, 0.5, True)
        if not report.ok and may_have_another_rule(network):
            raise undecided("its gradients", "are not returned, and its steps may follow another rule than descent")
        if not report.ok and not move.before.says_l2:
            raise undecided("its lambda", "is not among its numbers under such a name as lam, lambda_ or reg")
        of_penalty = any("penalty" in (finding.mistake or "") for finding in report.findings)
        if of_penalty and cost is not None and cost.is_right(0.0):  # there is a decay in the step alone
            raise undecided("its penalty", "is not in the cost, and its steps have another one")
        reports.append(report)
        if report.ok:
            break
    if not reports:
        raise absent("its gradients", "are not returned, and the steps that they make were not seen")
    report = reports[-1] if reports[-1].ok else agreed(reports, clips(network))
    smaller = [training.firsts[SMALLER]] if report.ok and SMALLER in training.firsts else []
    for move in moves(network, training, smaller):
        if not (of_smaller := told_by_step(move, 1.0, named=True)).ok:
            report = in_smaller_batch(training, of_smaller)
    return Judged(replace(report, notes=[*report.notes, TOLD]), 1.0, True)


def told_by_step(move: Move, share: float, named: bool = False) -> Report:
    """named   whether the loop's own learning rate comes before the one by which most parameters were moved"""
    given, l2 = move.before.given, share * move.before.given.l2
    shared = [abs(rate) for rate in shared_rates(move.moved, given, move.gradients, l2)][:1]
    own = [rate for rate in move.moved.rates if rate > 0]
    rates = dict.fromkeys([*own, *shared] if named else shared or own)
    reports = {
        rate: diagnose_update(
            given.parameters,
            move.moved.after,
            rate,
            x=given.x,
            y=given.y,
            l2=l2,
            relu_first=given.relu_first,
            relu_slope=given.relu_slope,
            eps=move.before.eps[0],
        )
        for rate in rates
    }
    understood = [r for rate, r in reports.items() if r.ok or rate in shared or r.findings[0].mistake is not None]
    if not understood:
        raise absent("its gradients", "are not returned, and nothing tells the learning rate of its steps")
    if not understood[0].ok and any(is_stepped_first(move, rate, l2) for rate in shared):
        place, *_ = (name for name in given.parameters if name.startswith("linear"))
        slip = STEPPED_FIRST
        return Report("network", [Finding(place, slip.sentence, slip.id, formula=slip.formula, link=slip.link)])
    return understood[0]


def is_stepped_first(move: Move, rate: float, l2: float) -> bool:
    """Are all steps right but for this, that the gradient passed through weights which had made their own step?"""
    given = move.before.given
    planted = []
    for layer in range(2, move.before.how.depth + 1):
        line = partial(through, move.moved.after[f"linear{layer}.weight"])
        planted.append(Planted(STEPPED_FIRST, {"linear.dx": line}, frozenset({layer})))
    gradients = loss_gradients(given, move.before.eps[0], planted)
    return is_descent(given.parameters, move.moved.after, rate, gradients, l2)


def through(weights: Array, v: Values) -> Array:
    dx: Array = v.dout @ weights  # (N, in)
    return dx
