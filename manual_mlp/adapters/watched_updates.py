"""The steps that a program was seen to make: its parameters from one batch to the next."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from manual_mlp.adapters.dd2424_training import OTHER_RULES
from manual_mlp.adapters.dd2424_update import (
    COLLINEAR,
    judged_at_its_own_rate,
    judged_step,
    measured_rate,
    penalized_again,
    right_rate,
)
from manual_mlp.adapters.dd2424_update import Step as Moved
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.rest import RESTS, Rest, with_rest
from manual_mlp.adapters.roles import role_of
from manual_mlp.adapters.seen_steps import Seen, gradients_seen, seen
from manual_mlp.adapters.watched import Training, training_of
from manual_mlp.adapters.watched_gradients import judged_gradients
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.report import Report
from manual_mlp.diagnosis.update import is_descent
from manual_mlp.layers import Array


class Move(NamedTuple):
    """From one step to the next, by the gradient that was seen there."""

    number: int
    before: Seen
    moved: Moved
    gradients: Mapping[str, Array]


def takes_rate(network: Network) -> bool:
    """Is the step made by the function itself, so that its gradients are not seen?"""
    taken = network.gradients.parameters() if network.gradients is not None else []
    return "eta" in {role.kind for p in taken if (role := role_of(p.name))}


def moves(network: Network, training: Training) -> Iterator[Move]:
    """An early and a later one. None where the parameters stay: there the update follows several calls."""
    source = "\n".join(network.program.source.lines)
    if takes_rate(network) or OTHER_RULES.search(source) or "momentum" in source.lower():
        return
    for number in [number for number in (1, 61) if {number, number + 1} <= set(training.steps)]:
        before, after = (seen(training.steps[n], training.batches[n], labelled=False) for n in (number, number + 1))
        given, parameters = before.given, after.given.parameters
        own = gradients_seen(network, training.steps[number], before)
        sizes = {name: value.size for name, value in given.parameters.items()}
        stays = all(np.array_equal(parameters[name], value) for name, value in given.parameters.items())
        if not stays and {name: value.size for name, value in own.items()} == sizes:
            shaped = {name: own[name].reshape(value.shape) for name, value in given.parameters.items()}
            rates = [*training.rates[number + 1], *training.rates[number]]
            moved = Moved(dict(parameters), rates, given, SINGLE if before.single else COLLINEAR)
            yield Move(number, before, moved, shaped)


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


def finished(network: Network, move: Move, rest: Rest) -> tuple[dict[str, Array], float]:
    """The gradients when the step has done its part, and the penalty's factor that it uses."""
    how, given = move.before.how, move.before.given
    gradients = with_rest(network, how, given, move.gradients, rest, penalty=False)
    return gradients, given.l2 if rest.penalty else 0.0


def rest_seen(network: Network, training: Training, l2: float) -> Rest:
    """What the step still does to the gradients. At a rate that has no name no other factor can be told from it."""
    if l2 not in training.rests:
        every = [rest for rest in (Rest(), *RESTS) if not rest.singly and (l2 or not rest.penalty)]
        tried = [*((rest, False) for rest in every), *((rest, True) for rest in every if not rest.mean)]
        right = (
            rest
            for move in moves(network, training)
            for rest, at_any_rate in tried
            if is_right_move(network, move, rest, at_any_rate)
        )
        training.rests[l2] = next(right, Rest())
    found: Rest = training.rests[l2]
    return found


def update(network: Network) -> Report:
    """From one step to the next, by the gradient that was seen there."""
    training = training_of(network)
    report: Report | None = None
    for move in moves(network, training):
        rest = rest_seen(network, training, move.before.given.l2)
        report = judged_move(network, move, rest, False) or judged_move(network, move, rest, True)
        if report is None and judged_gradients(move.before, move.gradients).ok:
            report = penalized_again(move.moved, move.before.given, move.gradients)
        if report is None or not report.ok:
            break
    if report is None:
        raise absent("update")
    return report
