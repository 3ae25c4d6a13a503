"""How a network of the file is called: the arrangement of its arrays under which most agrees with the reference."""

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import OBJECTS, Arrangement, Inputs, arrangements, as_computed, problem, reference
from manual_mlp.adapters.calls import Outcome, computed
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, drops
from manual_mlp.adapters.slopes import slopes
from manual_mlp.adapters.told import not_clear
from manual_mlp.layers import Array

MOST_USUAL = 150  # arrangements after which the rare ones are only tried if none of these could be called
OUR_FAULT = (
    "ValueError",
    "TypeError",
    "IndexError",
    "KeyError",
    "AttributeError",
    "AssertionError",
)  # or the arrangement's


class Reading(NamedTuple):
    """The arrangement, a batch, and what the network makes of it."""

    how: Arrangement
    given: Inputs
    outcome: Outcome
    score: float  # how much of it agrees with the reference


def absent(what: str, why: str = "is not there, or not in a form that is known") -> Failed:
    """For a check that finds nothing to look at: it leaves no line in the report, unless another one says why."""
    return Failed(what, "absent", why)


class Undecided(Failed):
    """It was seen, but is not to be judged: looking elsewhere would not help."""


def undecided(what: str, why: str) -> Undecided:
    return Undecided(what, "absent", why)


def reading_of(network: Network, batch_norm: bool | None = None) -> Reading:
    """With batch normalization where there is such a reading (or as told)."""
    for mode in (True, False) if batch_norm is None else (batch_norm,):
        reading: Reading | None = network.readings.get(mode)
        if reading is not None and (reading.outcome.costs or reading.outcome.gradients):
            return reading
    raise absent("the network")


def with_its_relu(network: Network, how: Arrangement, given: Inputs, outcome: Outcome) -> Inputs:
    """With a leaky ReLU, or batch normalization behind the ReLU, if it is so that the network has our probabilities, or
    where it tells none, our cost.
    """
    for slope in slopes(network.program) if how.depth > 1 and (outcome.P is not None or outcome.costs) else ():
        for relu_first in (False, True) if how.batch_norm else (False,):
            own = given._replace(relu_slope=slope, relu_first=relu_first)
            asked = as_computed(how, own)
            if has_probabilities(outcome, asked) or (
                outcome.P is None and has_cost(outcome, reference(asked)[1], 1e-6)
            ):
                return own
    return given


def has_probabilities(outcome: Outcome, given: Inputs) -> bool:
    p, _, _ = reference(given)
    return outcome.P is not None and outcome.P.shape == p.shape and np.allclose(outcome.P, p, rtol=1e-3, atol=1e-4)


def has_cost(outcome: Outcome, cost: float, near: float = 1e-3) -> bool:
    return any(abs(value - cost) < near * abs(cost) for value in outcome.costs)


def agreement(outcome: Outcome, given: Inputs, network: Network) -> float:
    """How much agrees; a little for whatever came out at all."""
    p, cost, gradients = reference(given)
    score = 0.0
    if outcome.P is not None and outcome.P.shape == p.shape:
        score += 0.5 + 2 * has_probabilities(outcome, given)
    if outcome.costs:
        score += 0.5 + 2 * has_cost(outcome, cost)
    for name, right in gradients.items():
        mine = outcome.gradients.get(name)
        if mine is not None and mine.shape == right.shape:
            close = np.allclose(mine, right, rtol=1e-3, atol=1e-3 * np.abs(right).max() + 1e-12)
            score += (0.5 + 2 * close + 0.5 * alike(mine, right)) / len(gradients)
    return score - 0.25 * len(network.failures)


def alike(mine: Array, right: Array) -> float:
    """The cosine: near 1 where only a factor or a small term is wrong."""
    lengths = float(np.linalg.norm(mine) * np.linalg.norm(right))
    return max(0.0, float(np.vdot(mine, right)) / lengths) if 0 < lengths < np.inf else 0.0


def cost_settles(network: Network, outcome: Outcome, given: Inputs) -> bool:
    """The cost is right, and it saw everything that the gradients see: so must the arrangement be."""
    if network.cost is None or not outcome.costs or not outcome.gradients:
        return False
    seen = [part.kinds() & {"Y", "y"} for part in (network.cost, network.gradients) if part is not None]
    _, cost, _ = reference(given)
    return seen[-1] <= seen[0] and has_cost(outcome, cost)


def chosen_arrangement(network: Network, batch_norm: bool, affine: bool = True) -> Reading:
    """That under which most agrees, of those which can be called, of those with most layers: with fewer, a mistake that
    only a hidden layer shows would look right.
    """
    best: Reading | None = None
    deepest, without_failure = (False, 0), False
    for number, how in enumerate(arrangements(network, batch_norm, affine)):
        if number > MOST_USUAL and without_failure:
            break
        if batch_norm and how.depth == 1:
            continue
        given = problem(how.depth, how.batch_norm and how.affine)
        try:
            outcome = computed(network, how, given)
        except Failed as failed:
            if how.container == OBJECTS:
                continue  # no list of layers can be made of the file's classes
            outcome = Outcome(None, [], {})
            network.failures = {"gradients": failed, "cost": failed}
        given = with_its_relu(network, how, given, outcome)
        score = agreement(outcome, as_computed(how, given), network)
        could = not any(is_ours(failed) for failed in network.failures.values()) and bool(
            outcome.costs or outcome.gradients
        )
        if could and how.depth > max(1, deepest[1]) and not reads_every_layer(network, how, given):
            continue
        without_failure |= could
        if not could and (network.deeper is None or network.deeper_depth < how.depth):
            network.deeper, network.deeper_depth = next(iter(network.failures.values()), None), how.depth
        reached = could, how.depth if could else 0
        if best is None or reached > deepest or (reached == deepest and score > best.score + 1e-9):
            best, deepest = Reading(how, given, outcome, score), reached
            if could and cost_settles(network, outcome, as_computed(how, given)):
                break
    assert best is not None
    best = with_flat_biases(network, best)
    others = [replace(best.how, drop=1.0)] if drops(network.program) else []
    if best.how.container in ("named", "numbered", "single"):  # what stands under keys of unknown meaning
        others.append(replace(best.how, flag=not best.how.flag))
    for other in others:
        with contextlib.suppress(Failed):
            outcome = computed(network, other, best.given)
            if (score := agreement(outcome, as_computed(other, best.given), network)) > best.score + 1e-9:
                return Reading(other, best.given, outcome, score)
    return best


def with_flat_biases(network: Network, reading: Reading) -> Reading:
    """Where the gradients of columns of biases are flat, and the program takes flat biases as well: so they are."""
    guard, flat = network.program.guard, replace(reading.how, biases="(m,)")
    if reading.how.biases != "(m, 1)":
        return reading
    with contextlib.suppress(Failed):
        guard.begin()
        computed(network, reading.how, reading.given)
        if guard.shapes:
            guard.begin()
            outcome = computed(network, flat, reading.given)
            score = agreement(outcome, as_computed(flat, reading.given), network)
            if not guard.shapes and score >= reading.score - 1e-9:
                return Reading(flat, reading.given, outcome, score)
    return reading


def draws(network: Network, reading: Reading) -> bool:
    """Do equal calls give other numbers?"""
    before, again = reading.outcome, computed(network, reading.how, reading.given)
    return not np.array_equal(before.costs, again.costs, equal_nan=True) or any(
        name not in again.gradients or not np.array_equal(value, again.gradients[name], equal_nan=True)
        for name, value in before.gradients.items()
    )


def reads_every_layer(network: Network, how: Arrangement, given: Inputs) -> bool:
    """Does another last layer change anything? A program of two layers takes W1 and W2 of three and is content."""
    name = f"linear{how.depth}.weight"
    moved = {
        **given.parameters,
        name: given.parameters[name]
        + 0.5 * np.cos(np.arange(given.parameters[name].size)).reshape(given.parameters[name].shape),
    }
    other = (
        computed(network, how, given._replace(parameters=moved, l2=0.0)),
        computed(network, how, given._replace(l2=0.0)),
    )
    network.failures.clear()
    for one, two in ((other[0].P, other[1].P), (other[0].costs, other[1].costs)):
        if one is not None and two is not None and len(one) and len(two):
            return not np.array_equal(one, two)
    moved_gradients, gradients = (outcome.gradients for outcome in other)
    return not gradients or not equal(moved_gradients, gradients)


def equal(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return set(one) == set(other) and all(np.array_equal(value, other[name]) for name, value in one.items())


def doubtful(network: Network, reading: Reading, agreeing: Collection[str]) -> Failed | None:
    """An argument that was only guessed, of a function none of whose results says that the guess was right. Such a
    reading may acquit, but never accuse.
    """
    given = as_computed(reading.how, reading.given)
    shows = {
        "forward": "cost" in agreeing or has_probabilities(reading.outcome, given),
        "cost": "cost" in agreeing,
        "gradients": any(place.startswith("linear") and place.endswith("weight") for place in agreeing),
    }
    right = {part.title for what, shown in shows.items() if shown and (part := getattr(network, what)) is not None}
    known = {argument for title, argument in network.unsure if title in right}
    for title, argument in sorted(network.unsure):
        if argument not in known:
            return Failed(title, "missing", not_clear(argument))
    return None


def is_ours(failed: Failed) -> bool:
    """Could it be that the arrays were not arranged as the function expects them?"""
    return failed.error in OUR_FAULT or failed.kind in ("missing", "shape")
