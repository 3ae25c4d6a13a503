"""A DD2424 network: its cost and gradients, under the arrangement of its arrays that agrees best, judged."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import OBJECTS, Arrangement, Inputs, arranged, as_computed, reference
from manual_mlp.adapters.calls import Outcome, computed, is_loss_alone
from manual_mlp.adapters.dd2424_update import is_right, rests_of
from manual_mlp.adapters.dd2424_variations import variation_notes, variations
from manual_mlp.adapters.gradients import leaves
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.instances import held_parameters
from manual_mlp.adapters.log_guards import as_remark
from manual_mlp.adapters.parts import Network, Part, can_normalize, drops
from manual_mlp.adapters.reading import (
    OUR_FAULT,
    Reading,
    absent,
    chosen_arrangement,
    doubtful,
    draws,
    equal,
    has_cost,
    has_probabilities,
    is_ours,
)
from manual_mlp.adapters.rest import Rest, with_rest
from manual_mlp.adapters.roles import role_of
from manual_mlp.adapters.script_globals import global_names
from manual_mlp.adapters.slopes import slopes
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.precision import SINGLE
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array


def run(network: Network, batch_norm: bool, affine: bool = True) -> Report:
    guard = network.program.guard
    how, given, outcome, score = network.readings[batch_norm] = chosen_arrangement(network, batch_norm, affine)
    guard.begin()
    outcome = computed(network, how, given)
    failures = dict(network.failures)
    if not batch_norm and can_normalize(network)[0] and asks_for_gamma([*failures.values(), network.deeper]):
        guard.note("the network always normalizes its batches: it does not run without gamma and beta")
        raise absent("a network without batch normalization")
    if score <= 0 or not (outcome.costs or outcome.gradients):
        cause = next(iter(failures.values()), Failed("the network", "missing", "gave neither a cost nor gradients"))
        if cause.error in OUR_FAULT:
            sentence = "could not be called in any arrangement of the arrays that is known here."
            raise Failed(cause.function, "uncallable", f"{sentence} As {how.words()} it {cause.sentence}")
        raise cause
    if how.depth == 1 and not is_shallow(network, how):
        deeper = network.deeper or Failed("the network", "missing", "could not be called")
        sentence = "was called, but with one layer only, so its hidden layers are not looked at: with more of them"
        raise Failed(deeper.function, "uncallable", f"{sentence} {deeper.function} {deeper.sentence}")
    if how.container == OBJECTS and not is_made_right(outcome, as_computed(how, given)):
        sentence = "goes through a list of layer objects, and it is not clear how they are made: as tried here,"
        raise Failed("the network", "uncallable", f"{sentence} it has not the probabilities of such a network")
    if normalizes(network, how, given, outcome) is not how.batch_norm:
        raise Failed("the network", "absent", "has no such mode")
    network.draws = draws(network, network.readings[batch_norm])
    if network.draws:
        sentence = "draws at random, as dropout does: asked again, it gives other numbers, so they cannot be compared."
        raise Failed("the network", "uncallable", f"{sentence} Give it an argument such as keep=1.0 to switch that off")
    lacking = {"cost": not outcome.costs, "gradients": not outcome.gradients}
    report, given = judged(network, network.readings[batch_norm], lacking)
    reading = network.readings[batch_norm] = Reading(how, given, computed(network, how, given), score)
    for rest, is_sure in rests_of(network, reading) if not report.ok else ():
        finished = compared(network, reading, lacking, rest=rest)
        if finished.ok or (is_sure and set(report.agreeing) <= set(finished.agreeing)):  # or the step is wrong, too
            network.rest = rest
            report = replace(finished, notes=[*finished.notes, f"the update {rest.words()}"])
            break
    if network.gradients is not None and (changed := changed_parameters(how, given, reading.outcome)):
        sentence = f"{network.gradients.title} changes {changed}: what it computes after that is of other parameters"
        formula = "all gradients first, then the step"
        findings = [
            f if f.mistake else Finding(f.place, sentence, "step_among_gradients", formula=formula)
            for f in report.findings
        ]
        report = replace(report, findings=findings)
    if guard.shapes and is_right(network, reading):
        guard.shapes.clear()
    _, right, _ = reference(as_computed(how, given))
    off = min((abs(value - right) for value in outcome.costs), default=0.0) / abs(right)
    report = as_remark(report, off)
    report = replace(report, findings=[*report.findings, *from_the_script(network, how, given)])
    if how.batch_norm and not how.affine:
        findings = [
            finding for finding in report.findings if finding.place in given.parameters or finding.place == "cost"
        ]
        report = replace(report, findings=findings, notes=[*report.notes, "it normalizes without gamma and beta"])
    report = with_what_failed(report, network, failures, lacking, how)
    if not report.ok and (doubt := doubtful(network, network.readings[batch_norm], report.agreeing)) is not None:
        del network.readings[batch_norm]  # nothing else is judged by it
        raise doubt
    return report


def judged(network: Network, reading: Reading, lacking: Mapping[str, bool]) -> tuple[Report, Inputs]:
    """In float64, and if that is not all right, as in float32 where the file speaks of it."""
    report, given = judged_at(None, network, reading, lacking)
    if not report.ok and any("float32" in line for line in network.program.source.lines):
        single, other = judged_at(SINGLE, network, reading, lacking)
        return (single, other) if single.ok else (report, given)
    return report, given


def judged_at(
    tolerance: float | None, network: Network, reading: Reading, lacking: Mapping[str, bool]
) -> tuple[Report, Inputs]:
    """As the course's network, or as that variation of it which its numbers, or the mistakes found, say it is."""

    def judged_as(given: Inputs) -> Report:
        found = compared(network, reading._replace(given=given), lacking, tolerance=tolerance)
        return replace(found, notes=[*found.notes, *variation_notes(given)])

    given = reading.given
    report = judged_as(given)
    for own in variations(network, reading) if has_a_nameless_cost(report) else ():
        other = judged_as(own)
        if not has_a_nameless_cost(other):
            return other, own
    if any(f.mistake == "bn_after_relu" and f.where in ("", "every hidden layer") for f in report.findings):
        given = given._replace(relu_first=True)
        report = judged_as(given)
    return report, given


def has_a_nameless_cost(report: Report) -> bool:
    """Is the cost wrong, and no known mistake explains it?"""
    return any(finding.place == "cost" and finding.mistake is None for finding in report.findings)


def compared(
    network: Network,
    reading: Reading,
    lacking: Mapping[str, bool],
    rest: Rest | None = None,
    tolerance: float | None = None,
) -> Report:
    """Cost and gradients beside the reference's; the gradients as they are when the step has done the rest to them."""
    how, given = reading.how, reading.given
    asked = as_computed(how, given)
    _, right, _ = reference(asked)
    costs = reading.outcome.costs
    index = int(np.argmin([abs(value - right) for value in costs])) if costs else 0

    def answer(parameters: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
        own = {name: parameters[name] for name in given.parameters}
        question = given._replace(parameters=own, x=x, y=y, l2=l2)
        theirs = computed(network, how, question)
        if not theirs.costs and not lacking["cost"]:
            raise network.failures.get("cost", Failed("cost", "missing", "gives no number for this batch"))
        if not theirs.gradients and not lacking["gradients"]:
            raise network.failures.get("gradients", Failed("gradients", "missing", "are not there for this batch"))
        gradients = theirs.gradients if rest is None else with_rest(network, how, question, theirs.gradients, rest)
        return (None if lacking["cost"] else theirs.costs[index]), gradients

    return diagnose(
        answer,
        asked.parameters,
        asked.x,
        asked.y,
        asked.l2,
        relu_first=asked.relu_first,
        label_smoothing=asked.label_smoothing,
        relu_slope=asked.relu_slope or slopes(network.program),
        tolerance=tolerance,
    )


def changed_parameters(how: Arrangement, given: Inputs, outcome: Outcome) -> str:
    """Those that the object holds otherwise than they were put there, although it has returned gradients."""
    if outcome.instance is None or not any(leaf.value.ndim for leaf in leaves(outcome.raw)):
        return ""
    held, expected = held_parameters(outcome.instance, how, given), arranged(how, given)
    return ", ".join(
        f"{kind}{layer}"
        for kind, values in held.items()
        for layer, (now, before) in enumerate(zip(values, expected[kind], strict=True), start=1)
        if now.size == before.size and not np.array_equal(now.reshape(-1), before.reshape(-1))
    )


def asks_for_gamma(failures: Iterable[Failed | None]) -> bool:
    """Did a function fail for want of gamma or beta?"""
    texts = [failed.sentence for failed in failures if failed is not None and is_ours(failed)]
    named = {role.kind for text in texts for name in re.findall(r"\w+", text) if (role := role_of(name))}
    return bool(named & {"gamma", "beta"})


def from_the_script(network: Network, how: Arrangement, given: Inputs) -> Iterator[Finding]:
    """Where a function that is given the weights takes one from the script all the same: the update makes another."""
    for part, place in ((network.cost, "cost"), (network.gradients, "gradients")):
        for name in sorted(global_names(part.function)) if part is not None else ():
            role = role_of(name)
            value = network.program.namespace.get(name)
            if part is None or role is None or role.layer is None or not isinstance(value, np.ndarray):
                continue
            if role.kind not in ("W", "b", "gamma", "beta") or role.kind not in part.kinds():
                continue
            usual, other = computed(network, how, given), computed(network, how, given, {name: value + 1.0})
            same = usual.costs == other.costs if place == "cost" else equal(usual.gradients, other.gradients)
            if not same:
                sentence = f"{part.title} takes {name} from the script, not from its arguments: after an update the two"
                formula = "the arguments alone"
                yield Finding(place, f"{sentence} differ", "script_for_argument", formula=formula)


def is_shallow(network: Network, how: Arrangement) -> bool:
    """Is it a network of one layer: W one array, not a list of them, and no constructor that asks for hidden units?"""
    classes = network.program.classes()
    if owners := {part.method_of for part in network.parts if part.method_of in classes}:
        asked = {name for owner in owners for name in inspect.signature(classes[owner]).parameters}
        return not any((role := role_of(name)) and role.kind in ("sizes", "m") for name in asked)
    kinds = set().union(*(part.kinds() | {role.kind for role in part.globals()} for part in network.parts))
    return "W" in kinds if "params" not in kinds else how.container == "single"


def takes_inputs_alone(part: Part | None) -> bool:
    """Nothing goes into it that another function made, but for the probabilities: an error in it is its own."""
    known = {"X", "Y", "y", "P", "W", "b", "gamma", "beta", "lambda", "bn"}
    return part is not None and part.kinds() <= known and all(role_of(p.name) for p in part.parameters())


def normalizes(network: Network, how: Arrangement, given: Inputs, outcome: Outcome) -> bool:
    """Measured: behind batch normalization a shift of the first bias changes nothing. Where it cannot be measured, as
    it should be. A network that was asked for batch normalization and has everything else right does it wrongly.
    """
    if how.depth == 1 or not (outcome.costs or outcome.P is not None):
        return how.batch_norm
    shifted = dict(given.parameters)
    shifted["linear1.bias"] = shifted["linear1.bias"] + 0.7
    try:
        other = computed(network, how, given._replace(parameters=shifted))
    except Failed:
        return how.batch_norm
    before, after = (o.P if outcome.P is not None else np.array(o.costs[:1]) for o in (outcome, other))
    if before is None or after is None or np.shape(before) != np.shape(after):
        return how.batch_norm
    unmoved = bool(np.allclose(before, after, rtol=1e-6, atol=1e-9))
    if how.batch_norm and not unmoved:
        plain_names = {name: v for name, v in given.parameters.items() if name.startswith("linear")}
        return not agrees_with(outcome, given._replace(parameters=plain_names))
    return unmoved


def is_made_right(outcome: Outcome, given: Inputs) -> bool:
    """Has it our probabilities, or our cost? Else its layers may have been given other activations than they need."""
    _, cost, _ = reference(given)
    return has_probabilities(outcome, given) or has_cost(outcome, cost)


def agrees_with(outcome: Outcome, given: Inputs) -> bool:
    """Is the cost exactly that of our network with these parameters?"""
    p, cost, _ = reference(given)
    if outcome.P is not None and outcome.P.shape == p.shape:
        return bool(np.allclose(outcome.P, p, rtol=1e-6))
    return any(abs(value - cost) < 1e-6 * abs(cost) for value in outcome.costs)


def with_what_failed(
    report: Report, network: Network, failures: Mapping[str, Failed], lacking: Mapping[str, bool], how: Arrangement
) -> Report:
    """Says why cost or gradients are not there, in the place of findings that they are missing."""
    findings = [
        finding
        for finding in report.findings
        if not (lacking["cost"] and finding.place == "cost")
        and not (lacking["gradients"] and finding.mistake == "unfilled" and finding.place != "cost")
    ]
    notes = [*report.notes, f"read as: {how.words()}"]
    if drops(network.program):
        notes.append("dropout was switched off; what it does is not looked at")
    if network.cost is not None and is_loss_alone(network, network.cost):
        notes.append(f"{network.cost.title} is the loss alone; the penalty was added to it, and its own code not seen")
    agreed = not lacking["cost"] and "cost" in report.agreeing
    uncompared: Failed | None = None
    for what in ("cost", "gradients"):
        if lacking[what] and what in failures and getattr(network, what) is not None:
            failed = failures[what]
            its_own = what == "gradients" and agreed and takes_inputs_alone(network.gradients)
            if failed.kind == "uncallable" or (is_ours(failed) and not its_own):
                uncompared = failed
                notes.append(f"{what} could not be compared: {failed}")
                continue
            mistake = "unfilled" if failed.kind == "unfilled" else "raises"
            findings.insert(0 if what == "cost" else len(findings), Finding(what, str(failed), mistake))
    if uncompared is not None and not findings:
        what = "the cost" if lacking["gradients"] else "the gradients"
        raise Failed(uncompared.function, "uncallable", f"{uncompared.sentence} (only {what} could be compared)")
    if lacking["cost"] and network.cost is None:
        notes.append("no cost function was found; only the gradients were compared (--functions cost=NAME)")
    if lacking["gradients"] and network.gradients is None:
        notes.append("no function for the gradients was found; only the cost was compared (--functions gradients=NAME)")
    return replace(report, findings=findings, notes=notes)


def without_gamma(network: Network, name: str) -> Report:
    """The network with batch normalization that has no gamma and no beta, if that can be called."""
    try:
        return run(network, batch_norm=True, affine=False)
    except Failed:
        network.readings.pop(True, None)
        sentence = "normalizes batches, but no network here was seen to do so: it is not looked at"
        raise Failed(name, "uncallable", sentence) from None
