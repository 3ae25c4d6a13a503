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
from manual_mlp.adapters.layer_lists import LayerList, is_layer_list
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.rest import RESTS, Rest, with_rest
from manual_mlp.diagnosis import diagnose_update
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.update import is_descent
from manual_mlp.layers import Array

ONE_EPOCH = {"epochs": 1}
WHOLE_CYCLES = {"epochs": 2, "half cycle": 1}  # for a loop that divides by their number
COLLINEAR = 1e-6  # a step along the gradient, up to rounding


class Step(NamedTuple):
    """What one function made of the parameters."""

    after: dict[str, Array]
    rates: list[float]  # what it called its learning rate
    batch: Inputs  # that it was made from
    rounded: float = COLLINEAR  # by how much of itself


def update(network: Network) -> Report:
    """The parameters after one step, with the network's own gradient, right or wrong."""
    reading = reading_of(network)
    report = judged(network, reading, network.rest or Rest(), list(steps(network, reading)))
    if report.ok:
        network.program.guard.shapes.clear()  # whatever shape the gradients have, the step brings it into order
    return report


def is_right(network: Network, reading: Reading) -> bool:
    """Is there a step, and does it do with the network's gradients what it should?"""
    try:
        return judged(network, reading, network.rest or Rest(), list(steps(network, reading))).ok
    except Failed:
        return False


def rests_of(network: Network, reading: Reading) -> Iterator[tuple[Rest, bool]]:
    """What the step may still do to gradients that look wrong, and whether its own numbers say so: then it is the only
    one. Else those with which a part of the step is right. None where it takes them as they are.
    """
    made, partly = list(steps(network, reading)), []
    for rest in (Rest(), *RESTS):
        with contextlib.suppress(Failed):
            report = judged(network, reading, rest, made, at_any_rate=False)  # it may divide by n, not by eta
            slip = "" if report.ok else report.findings[0].mistake or ""
            if report.ok or (rest.penalty and slip.startswith(("update_penalty_not", "update_penalty_with"))):
                yield from [(rest, True)] if rest != Rest() else []
                return
            partly += [(rest, False)] if report.agreeing and rest != Rest() else []
    yield from partly


def judged(network: Network, reading: Reading, rest: Rest, made: Sequence[Step], at_any_rate: bool = True) -> Report:
    """The first step about which something can be said."""
    given = reading.given
    for step in made:
        gradients = gradients_of(network, reading, rest, step.batch)
        l2 = given.l2 if rest.penalty else 0.0
        report = judged_step(step, given, gradients, l2)
        if report is None and at_any_rate:
            report = judged_at_its_own_rate(step, given, gradients, l2) or penalized_again(step, given, gradients)
        if report is not None:
            return report
    raise absent("update")


def gradients_of(network: Network, reading: Reading, rest: Rest, batch: Inputs) -> dict[str, Array]:
    """The network's own for this batch, each of its parameter's shape."""
    own = reading.outcome if batch is reading.given else computed(network, reading.how, batch)
    found = with_rest(network, reading.how, batch, own.gradients, rest, penalty=False)
    if set(found) != set(batch.parameters) or any(found[n].size != v.size for n, v in batch.parameters.items()):
        raise absent("update")
    if not all(np.isfinite(gradient).all() for gradient in found.values()):
        raise absent("update")
    return {name: gradient.reshape(batch.parameters[name].shape) for name, gradient in found.items()}


def judged_step(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> Report | None:
    """At the learning rates that the function names, or at that which it was given."""
    named: Report | None = None
    right = right_rate(step, given, gradients, l2)
    for eta in dict.fromkeys([*step.rates, ETA]) if right is None else [right]:
        report = diagnose_update(given.parameters, step.after, eta, gradients=gradients, l2=l2)
        if report.ok:
            return report
        if report.findings[0].mistake is not None:
            named = named or report
    return named


def right_rate(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> float | None:
    """The first of them at which the step is right."""
    rates = dict.fromkeys([*step.rates, ETA])
    return next((eta for eta in rates if is_descent(given.parameters, step.after, eta, gradients, l2)), None)


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


def penalized_again(step: Step, given: Inputs, gradients: Mapping[str, Array]) -> Report | None:
    """The biases go along their gradient, the weights lose lambda W besides: their gradient had the penalty already."""
    biases = {name: g for name, g in gradients.items() if name.endswith("bias") and np.abs(g).max() > 1e-9}
    rates = [
        float(np.vdot(g, given.parameters[n] - step.after[n].reshape(g.shape)) / np.vdot(g, g))
        for n, g in biases.items()
    ]
    factors = []
    for name, old in given.parameters.items():
        weight = name.startswith("linear") and name.endswith("weight")
        left = old - step.after[name].reshape(old.shape) - rates[0] * gradients[name]
        factor = float(np.vdot(old, left) / np.vdot(old, old)) if weight else 0.0
        if np.abs(left - factor * old).max() > COLLINEAR * np.abs(old).max():
            return None
        factors += [factor] if weight else []
    penalties = [share * given.l2 for share in (1, 2, rates[0], 2 * rates[0])]
    if not any(np.allclose(factors, penalty, rtol=1e-6, atol=1e-12) for penalty in penalties):
        return None
    sentence = f"the step takes {factors[0]:.4g} times the weights off besides: the gradient has the penalty already"
    formula = "W - eta dJ/dW, the penalty in J or in the step, not in both"
    return Report(
        "update", [Finding("linear1.weight", sentence, "update_penalty_again", formula=formula)], list(biases)
    )


def along(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> int:
    """How many parameters were moved along their gradient."""
    return sum(not np.isnan(rate) for rate in rates_along(step, given, gradients, l2))


def measured_rate(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> float | None:
    """The factor of the gradient by which most parameters were moved, if at least half of them were moved along it."""
    rates = shared_rates(step, given, gradients, l2)
    moving = len(rates_along(step, given, gradients, l2))
    return next((rate for rate, alike in rates.items() if 2 * alike >= moving), None)


def shared_rates(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> dict[float, int]:
    """The factors of the gradient by which several parameters were moved alike, and how many; the most first."""
    rates = rates_along(step, given, gradients, l2)
    alike = {rate: sum(abs(other / rate - 1) < step.rounded for other in rates) for rate in rates}
    return {rate: alike[rate] for rate in sorted(alike, key=lambda rate: -alike[rate]) if alike[rate] > 1}


def rates_along(step: Step, given: Inputs, gradients: Mapping[str, Array], l2: float) -> list[float]:
    """By which factor of its gradient each parameter was moved; NaN if it was not moved along it."""
    rates = []
    for name, old in given.parameters.items():
        weight = name.startswith("linear") and name.endswith("weight")
        full = gradients[name] + (2 * l2 * old if weight else 0.0)
        moved = old - step.after[name].reshape(old.shape)
        if not np.abs(full).max() > 1e-9:  # biases in front of batch normalization
            continue
        rate = float(np.vdot(full, moved) / np.vdot(full, full))
        along = np.abs(moved - rate * full).max() <= step.rounded * np.abs(moved).max()
        rates.append(rate if along and rate else np.nan)
    return rates


def steps(network: Network, reading: Reading) -> Iterator[Step]:
    """What each function that makes steps leaves behind after its first one."""
    for part in updates(network.program):
        with contextlib.suppress(Failed):
            yield from steps_of(network, part, reading)


def steps_of(network: Network, part: Part, reading: Reading, amounts: Mapping[str, int] = ONE_EPOCH) -> Iterator[Step]:
    """The parameters after one step: as they are at the next batch, or else where the function leaves them, in what it
    returns, in its arguments, in the object. A function may fail behind its steps, over what only its script has.
    """
    how, given = reading.how, reading.given
    outcome = computed(network, how, given)
    env, instance = prepared(network, how, given, part)
    if not part.kinds() & {"X"} and isinstance(outcome.instance, LayerList):
        instance = outcome.instance  # the gradient is in it
        env["params"] = Shared(instance.layers)
    elif not part.kinds() & {"X"} and hasattr(outcome.instance, part.name):
        instance = outcome.instance
    passed = step_arguments(part, outcome.raw, outcome.gradients, how, given)
    answers = {**env, "n": len(given.x), **amounts, "images": len(given.x)}
    keywords = step_keywords(network.program, part, env, passed, answers)
    function = part.function.__get__(instance) if part.method_of else part.function
    heard, result = Heard(), None
    with contextlib.ExitStack() as stack:
        stack.enter_context(with_amounts(network, part, instance, answers))
        with contextlib.suppress(Failed):
            heard = stack.enter_context(listening(network, part, reading, given))
        with contextlib.suppress(Failed):
            result = network.program.guard.call(part.title, function, **keywords)
    shared = {name: value.value for name, value in keywords.items() if isinstance(value, Shared)}
    shared = {name: value for name, value in shared.items() if not is_layer_list(value)}
    ends = [list(leaves(with_names(network, part, result))), list(leaves(shared))]
    ends += [leaves_held(instance, reading, given)] if instance is not None else []
    batch, first = given, heard.calls[0] if heard.calls else None
    if first is not None and first.y is not None and len(first.x) < len(given.x):  # n_batch was their number
        batch = given._replace(x=first.x, y=first.y)
    if not heard.calls and result is None and amounts is ONE_EPOCH:
        yield from steps_of(network, part, reading, WHOLE_CYCLES)
    for call in [*heard.calls[1:], *[None] * (amounts is ONE_EPOCH)]:
        for found in call.places if call is not None else ends:
            after = parameters_in(found, reading)
            if after is not None and any(not np.array_equal(v, given.parameters[name]) for name, v in after.items()):
                at_once = call is not None and call is heard.calls[1]  # not after the gradients of several calls
                yield Step(after, heard.rates, batch if at_once else given)
                if call is not None:
                    return
