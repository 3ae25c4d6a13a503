"""The steps that a program was seen to make: its parameters from one batch to the next."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import Inputs
from manual_mlp.adapters.dd2424_training import OTHER_RULES
from manual_mlp.adapters.dd2424_update import (
    COLLINEAR,
    along,
    judged_at_its_own_rate,
    judged_step,
    measured_rate,
    penalized_again,
    right_rate,
    shared_rates,
)
from manual_mlp.adapters.dd2424_update import Step as Moved
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.rest import RESTS, Rest, with_rest
from manual_mlp.adapters.roles import role_of
from manual_mlp.adapters.seen_gradients import judged_gradients
from manual_mlp.adapters.seen_steps import Seen, gradients_seen, seen
from manual_mlp.adapters.slopes import slopes
from manual_mlp.adapters.training import Training
from manual_mlp.diagnosis.comparison import Planted
from manual_mlp.diagnosis.epsilon import EPS
from manual_mlp.diagnosis.network import checked_batch
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.reference import forward_pass, gradients_of
from manual_mlp.diagnosis.report import Report
from manual_mlp.diagnosis.update import is_descent
from manual_mlp.layers import Array


class Move(NamedTuple):
    """From one step to the next."""

    number: int
    before: Seen
    moved: Moved
    gradients: Mapping[str, Array]  # that were seen there; or else the reference's, of the loss alone


def takes_rate(network: Network) -> bool:
    """Is the step made by the function itself, so that its gradients are not seen?"""
    taken = network.gradients.parameters() if network.gradients is not None else []
    return "eta" in {role.kind for p in taken if (role := role_of(p.name))}


def moves(network: Network, training: Training, numbers: Sequence[int] | None = None) -> Iterator[Move]:
    """An early and a later one, or those asked for; of momentum the first, at which it is still 0. None where the
    parameters stay: there the update follows several calls.
    """
    if training.computed and takes_rate(network):
        return
    if numbers is None:
        numbers = (0,) if "momentum" in network.program.text.lower() else (1, 61)
    for number in [number for number in numbers if {number, number + 1} <= set(training.steps)]:
        before, after = (seen(training.steps[n], training.batches[n], labelled=False) for n in (number, number + 1))
        given, parameters = before.given, after.given.parameters
        rates = [*training.rates[number + 1], *training.rates[number]]
        moved = Moved(dict(parameters), rates, given, SINGLE if before.single else COLLINEAR)
        if all(np.array_equal(parameters[name], value) for name, value in given.parameters.items()):
            continue
        if not training.computed:
            yield with_reference(Move(number, before, moved, {}), slopes(network.program))
            continue
        own = gradients_seen(network, training.steps[number], before)
        if {name: value.size for name, value in own.items()} == {n: v.size for n, v in given.parameters.items()}:
            shaped = {name: own[name].reshape(value.shape) for name, value in given.parameters.items()}
            yield Move(number, before, moved, shaped)


def may_have_another_rule(network: Network) -> bool:
    """Adam, say: then a step that is not along the gradient is no mistake."""
    return OTHER_RULES.search(network.program.text) is not None


def with_reference(move: Move, slopes: Sequence[float]) -> Move:
    """With the gradients that most parameters were moved along, whatever its ReLU, the place of that, and its eps."""
    normalized = move.before.how.batch_norm
    guesses = dict.fromkeys([*move.before.eps, *EPS] if normalized else EPS[:1])
    best, most = move, 0
    for slope in slopes:
        for eps, relu_first in itertools.product(guesses, (False, True) if normalized else (False,)):
            given = move.before.given._replace(relu_first=relu_first, relu_slope=slope)
            gradients = loss_gradients(given, eps)
            alike = along(move.moved, given, gradients, given.l2)
            if alike > most or not best.gradients:
                before = move.before._replace(given=given, eps=(eps,))
                most, best = alike, move._replace(before=before, gradients=gradients)
        if most:
            break
    return best


def loss_gradients(given: Inputs, eps: float, planted: Sequence[Planted] = ()) -> dict[str, Array]:
    batch, names = checked_batch(given.parameters, given.x, given.y, 0.0, given.relu_first, (), given.label_smoothing)
    batch = replace(batch, relu_slope=given.relu_slope)
    return dict(gradients_of(forward_pass(batch, names, planted, eps), names))


def judged_move(network: Network, move: Move, rest: Rest, at_any_rate: bool) -> Report | None:
    judge = judged_at_its_own_rate if at_any_rate else judged_step
    return judge(move.moved, move.before.given, *finished(network, move, rest))


def is_right_move(network: Network, move: Move, rest: Rest, at_any_rate: bool) -> bool:
    """Whether `judged_move` finds nothing wrong, without looking for mistakes."""
    given, (gradients, l2) = move.before.given, finished(network, move, rest)
    if not at_any_rate:
        return right_rate(move.moved, given, gradients, l2) is not None
    rate = measured_rate(move.moved, given, gradients, l2)
    return rate is not None and is_descent(given.parameters, move.moved.after, abs(rate), gradients, l2)


def moved_alike(network: Network, move: Move, rest: Rest) -> tuple[int, bool]:
    """The most parameters that were moved along their gradients by one rate, and whether the loop names that."""
    rates = shared_rates(move.moved, move.before.given, *finished(network, move, rest))
    named = {rate: any(abs(rate - eta) < move.moved.rounded * eta for eta in move.moved.rates) for rate in rates}
    return max(((alike, named[rate]) for rate, alike in rates.items()), default=(0, False))


def finished(network: Network, move: Move, rest: Rest) -> tuple[dict[str, Array], float]:
    """The gradients when the step has done its part, and the penalty's factor that it uses."""
    how, given = move.before.how, move.before.given
    gradients = with_rest(network, how, given, move.gradients, rest, penalty=False)
    return gradients, given.l2 if rest.penalty else 0.0


def rest_seen(network: Network, training: Training, l2: float) -> Rest:
    """What the step still does to the gradients; where no answer makes it right, that with which only the penalty's
    factor is wrong, or else the most parameters are right. At a rate that has no name no other factor can be told from
    it.
    """
    if not training.computed:
        return Rest(penalty=True)
    if l2 not in training.rests:
        every = [rest for rest in (Rest(), *RESTS) if not rest.singly and (l2 or not rest.penalty)]
        tried = [*((rest, False) for rest in every), *((rest, True) for rest in every if not rest.mean)]
        made = list(moves(network, training, (0, 1, 61)))  # perhaps with momentum, whatever it is called
        right = (
            rest for move in made for rest, at_any_rate in tried if is_right_move(network, move, rest, at_any_rate)
        )
        penalized = (
            rest
            for move in made
            for rest in every
            if rest.penalty and is_named(judged_move(network, move, rest, False), "update_penalty_not_times_eta")
        )

        def alike(rest: Rest) -> tuple[int, bool]:
            return max((moved_alike(network, move, rest) for move in made), default=(0, False))

        training.rests[l2] = next(right, None) or next(penalized, None) or max(every, key=alike)
    found: Rest = training.rests[l2]
    return found


def is_named(report: Report | None, mistake: str) -> bool:
    return report is not None and not report.ok and report.findings[0].mistake == mistake


def update(network: Network, training: Training) -> Report:
    """From one step to the next, by the gradient that was seen there; where nothing can be said of these steps, by the
    first, at which momentum of any name is still 0, if a part of that is right.
    """
    report = judged_moves(network, training, moves(network, training))
    if report is None:
        first = judged_moves(network, training, moves(network, training, (0,)))
        report = first if first is not None and first.agreeing else None
    if report is not None and not report.ok and may_have_another_rule(network):
        raise absent("update")
    if report is None or (not training.computed and any("penalty" in (f.mistake or "") for f in report.findings)):
        raise absent("update")  # the network's own report says it
    return report


def judged_moves(network: Network, training: Training, made: Iterable[Move]) -> Report | None:
    """Of the first move that is not right, or else of the last."""
    report: Report | None = None
    for move in made:
        rest = rest_seen(network, training, move.before.given.l2)
        report = judged_move(network, move, rest, False) or judged_move(network, move, rest, True)
        if report is None and training.computed:
            again = penalized_again(move.moved, move.before.given, move.gradients)
            report = again if again and judged_gradients(network, move.before, move.gradients).ok else None
        if report is None or not report.ok:
            break
    return report
