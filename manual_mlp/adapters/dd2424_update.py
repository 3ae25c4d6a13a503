"""One step of a DD2424 program's update or of its training loop, beside gradient descent."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import ETA, Inputs
from manual_mlp.adapters.calls import computed, prepared
from manual_mlp.adapters.dd2424_listening import Heard, leaves_held, listening, parameters_in
from manual_mlp.adapters.dd2424_training import step_arguments, step_keywords, updates, with_amounts
from manual_mlp.adapters.gradients import leaves, with_names
from manual_mlp.adapters.guard import Failed, Shared
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.rest import RESTS, Rest, with_rest
from manual_mlp.diagnosis import diagnose_update
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array

COLLINEAR = 1e-6  # a step along the gradient, up to rounding


class Step(NamedTuple):
    """What one function made of the parameters."""

    after: dict[str, Array]
    rates: list[float]  # what it called its learning rate


def update(network: Network) -> Report:
    """The parameters after one step, with the network's own gradient, right or wrong."""
    reading = reading_of(network)
    return judged(network, reading, network.rest or Rest(), list(steps(network, reading)))


def rest_of(network: Network, reading: Reading) -> Rest | None:
    """What the step still does to gradients that look wrong: its own numbers say so. None where it takes them as they
    are, or where there is no step to be seen.
    """
    made = list(steps(network, reading))
    for rest in (Rest(), *RESTS):
        with contextlib.suppress(Failed):
            report = judged(network, reading, rest, made, at_any_rate=False)  # it may divide by n, not by eta
            slip = "" if report.ok else report.findings[0].mistake or ""
            if report.ok or (rest.penalty and slip.startswith(("update_penalty_not", "update_penalty_with"))):
                return rest if rest != Rest() else None
    return None


def judged(network: Network, reading: Reading, rest: Rest, made: Sequence[Step], at_any_rate: bool = True) -> Report:
    """The first step about which something can be said."""
    how, given = reading.how, reading.given
    found = with_rest(network, how, given, reading.outcome.gradients, rest, penalty=False)
    if set(found) != set(given.parameters) or any(
        found[name].size != value.size for name, value in given.parameters.items()
    ):
        raise absent("update")
    gradients = {n: g.reshape(given.parameters[n].shape) for n, g in found.items()}
    for step in made:
        l2 = given.l2 if rest.penalty else 0.0
        report = judged_step(step, given, gradients, l2)
        if report is None and at_any_rate:
            report = judged_at_its_own_rate(step, given, gradients, l2)
        if report is not None:
            return report
    raise absent("update")


def judged_step(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> Report | None:
    """At the learning rates that the function names, or at that which it was given."""
    named: Report | None = None
    for eta in dict.fromkeys([*step.rates, ETA]):
        report = diagnose_update(given.parameters, step.after, eta, gradients=gradients, l2=l2)
        if report.ok:
            return report
        if report.findings[0].mistake is not None:
            named = named or report
    return named


def judged_at_its_own_rate(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> Report | None:
    """At the one with which most parameters were stepped, where the function calls nothing so."""
    rate = measured_rate(step, given, gradients, l2)
    if rate is None:
        return None
    report = diagnose_update(given.parameters, step.after, abs(rate), gradients=gradients, l2=l2)
    if report.ok:
        said = f"every parameter moves by {rate:.4g} times its gradient"
        return replace(report, notes=[*report.notes, f"{said}; whether that is the learning rate was not seen"])
    return report if report.findings[0].mistake is not None else None


def measured_rate(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> float | None:
    """The factor of the gradient by which most parameters were moved, if at least half of them were moved along it."""
    rates = []
    for name, old in given.parameters.items():
        weight = name.startswith("linear") and name.endswith("weight")
        full = gradients[name] + (2 * l2 * old if weight else 0.0)
        moved = old - step.after[name].reshape(old.shape)
        if not np.abs(full).max() > 1e-9:  # biases in front of batch normalization
            continue
        rate = float(np.vdot(full, moved) / np.vdot(full, full))
        along = np.abs(moved - rate * full).max() <= COLLINEAR * np.abs(moved).max()
        rates.append(rate if along and rate else np.nan)
    alike = [sum(abs(other / rate - 1) < COLLINEAR for other in rates) for rate in rates]
    best = int(np.argmax(alike)) if alike else 0
    return rates[best] if alike and 2 * alike[best] >= len(rates) and alike[best] > 1 else None


def steps(network: Network, reading: Reading) -> Iterator[Step]:
    """What each function that makes steps leaves behind after its first one."""
    for part in updates(network.program):
        with contextlib.suppress(Failed):
            yield from steps_of(network, part, reading)


def steps_of(network: Network, part: Part, reading: Reading) -> Iterator[Step]:
    """The parameters after one step: as they are at the next batch, or else where the function leaves them, in what it
    returns, in its arguments, in the object. A function may fail behind its steps, over what only its script has.
    """
    how, given = reading.how, reading.given
    outcome = computed(network, how, given)
    env, instance = prepared(network, how, given, part)
    if not part.kinds() & {"X"} and hasattr(outcome.instance, part.name):
        instance = outcome.instance  # the gradient is in it
    passed = step_arguments(part, outcome.raw, outcome.gradients, how, given)
    answers = {**env, "n": len(given.x), "epochs": 1}
    keywords = step_keywords(part, env, passed, answers)
    function = part.function.__get__(instance) if part.method_of else part.function
    heard, result = Heard(), None
    with contextlib.ExitStack() as stack:
        stack.enter_context(with_amounts(network, part, instance, answers))
        with contextlib.suppress(Failed):
            heard = stack.enter_context(listening(network, part, reading, given))
        with contextlib.suppress(Failed):
            result = network.program.guard.call(part.title, function, **keywords)
    shared = {name: value.value for name, value in keywords.items() if isinstance(value, Shared)}
    ends = [list(leaves(with_names(network, part, result))), list(leaves(shared))]
    ends += [leaves_held(instance, reading, given)] if instance is not None else []
    for call in [*heard.calls[1:], None]:
        for found in call.places if call is not None else ends:
            after = parameters_in(found, reading)
            if after is not None and any(not np.array_equal(v, given.parameters[name]) for name, v in after.items()):
                yield Step(after, heard.rates)
                if call is not None:
                    return
