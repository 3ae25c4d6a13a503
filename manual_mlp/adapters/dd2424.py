"""DD2424's conventions: images as columns, one-hot labels (K, n), W (m, d), b (m, 1), cost + lambda * sum(W^2).

Everyone writes this assignment differently. What goes into a function is told from its parameters' names (`roles.py`),
from the names under which the file itself passes on what another function returned, and by trying: lists or W1, b1,
W2, b2, biases (m, 1) or (m,), labels one-hot or as numbers, images as columns or rows. The arrangement under which most
agrees is taken, so that nobody is accused of an arrangement of their own; of those the deepest, and a program that runs
with one layer only, although it has more, was not run.
"""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, as_computed, reference
from manual_mlp.adapters.calls import Outcome, computed, is_loss_alone
from manual_mlp.adapters.dd2424_loops import averages_of_training, minibatches
from manual_mlp.adapters.dd2424_schedule import schedule
from manual_mlp.adapters.dd2424_setup import (
    accuracies,
    accuracy,
    initialization,
    initializers,
    standardization,
    standardizers,
)
from manual_mlp.adapters.dd2424_test_mode import running_averages, test_mode
from manual_mlp.adapters.dd2424_training import trainers, updates
from manual_mlp.adapters.dd2424_update import is_right, rest_of, update
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, Part, can_normalize, is_normalized, networks, parts_of, plays
from manual_mlp.adapters.program import Inspection, Program, words
from manual_mlp.adapters.reading import OUR_FAULT, absent, chosen_arrangement, is_ours
from manual_mlp.adapters.rest import with_rest
from manual_mlp.adapters.roles import role_of
from manual_mlp.adapters.script_globals import global_names
from manual_mlp.adapters.stubs import COURSE_HELPERS, NEVER_RUN, SCIKIT_LEARN
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

SINGLE = 2e-4  # what float32 may round off
GUARDS = ("eps_in_log", "log_clipped")  # against a probability of 0
UNNOTICED = 1e-6  # of the cost, where such a guard is small enough


def known_helpers(module: str) -> dict[str, Any]:
    """softmax and the like, which the course hands out in a file of helpers."""
    library = module.split(".")[0]
    if library == "sklearn":
        return dict(SCIKIT_LEARN)
    return {} if library in {*NEVER_RUN, "scipy"} else dict(COURSE_HELPERS)


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
    if normalizes(network, how, given, outcome) is not how.batch_norm:
        raise Failed("the network", "absent", "has no such mode")
    asked = as_computed(how, given)
    _, right, _ = reference(asked)
    index = int(np.argmin([abs(value - right) for value in outcome.costs])) if outcome.costs else 0
    lacking = {"cost": not outcome.costs, "gradients": not outcome.gradients}

    def answer(parameters: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
        theirs = computed(network, how, Inputs({name: parameters[name] for name in given.parameters}, x, y, l2))
        if not theirs.costs and not lacking["cost"]:
            raise network.failures.get("cost", Failed("cost", "missing", "gives no number for this batch"))
        if not theirs.gradients and not lacking["gradients"]:
            raise network.failures.get("gradients", Failed("gradients", "missing", "are not there for this batch"))
        return (None if lacking["cost"] else theirs.costs[index]), theirs.gradients

    report = diagnose(answer, *asked)
    if not report.ok and any("float32" in line for line in network.program.source.lines):
        single = diagnose(answer, *asked, tolerance=SINGLE)
        report = single if single.ok else report
    if not report.ok and (rest := rest_of(network, network.readings[batch_norm])) is not None:
        network.rest = rest

        def finished(parameters: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
            cost, gradients = answer(parameters, x, y, l2)
            return cost, with_rest(network, how, Inputs(parameters, x, y, l2), gradients, rest)

        report = diagnose(finished, *asked)
        report = replace(report, notes=[*report.notes, f"the update {rest.words()}"])
    if guard.shapes and is_right(network, network.readings[batch_norm]):
        guard.shapes.clear()
    off = abs(outcome.costs[index] - right) / abs(right) if outcome.costs else 0.0
    findings = [replace(f, remark=f.remark or (f.mistake in GUARDS and off < UNNOTICED)) for f in report.findings]
    report = replace(report, findings=[*findings, *from_the_script(network, how, given)])
    if how.batch_norm and not how.affine:
        findings = [
            finding for finding in report.findings if finding.place in given.parameters or finding.place == "cost"
        ]
        report = replace(report, findings=findings, notes=[*report.notes, "it normalizes without gamma and beta"])
    return with_what_failed(report, network, failures, lacking, how)


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


def equal(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return set(one) == set(other) and all(np.array_equal(value, other[name]) for name, value in one.items())


def is_shallow(network: Network, how: Arrangement) -> bool:
    """Is it a network of one layer: W one array, not a list of them, and no constructor that asks for hidden units?"""
    if owner := network.owner:
        parameters = inspect.signature(network.program.classes()[owner]).parameters
        return not any((role := role_of(name)) and role.kind in ("sizes", "m") for name in parameters)
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
    if network.cost is not None and is_loss_alone(network.cost):
        notes.append(f"{network.cost.title} is the loss alone; the penalty was added to it, and its own code not seen")
    agreed = not lacking["cost"] and "cost" in report.agreeing
    uncompared: Failed | None = None
    for what in ("cost", "gradients"):
        if lacking[what] and what in failures and getattr(network, what) is not None:
            failed = failures[what]
            if is_ours(failed) and not (what == "gradients" and agreed and takes_inputs_alone(network.gradients)):
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


def inspections(program: Program) -> list[Inspection]:
    for name in ("softmax", "sigmoid"):
        if program.namespace.setdefault(name, COURSE_HELPERS[name]) is COURSE_HELPERS[name] and uses(program, name):
            program.guard.note(f"{name} is not in the file; the one that the course hands out was used")
    found = []
    all_networks = networks(program)
    twofold = {is_normalized(network.gradients) for network in all_networks if network.gradients} == {True, False}
    for number, network in enumerate(all_networks):
        names = [part.title for part in network.parts]
        label = "network" if number == 0 else f"network {number + 1}"
        able, must = can_normalize(network)
        if twofold and network.gradients and not is_normalized(network.gradients):
            able = must = False
        if not must:
            found.append(Inspection(label, names, partial(run, network, batch_norm=False)))
        if able:
            title = f"{label} with batch norm"
            found.append(Inspection(title, names, partial(run, network, batch_norm=True)))
    normalizing = normalizer(program)
    if found and normalizing is not None and not any("batch norm" in inspection.title for inspection in found):
        title = "network with batch norm"
        first, names = all_networks[0], [part.title for part in all_networks[0].parts]
        found.append(Inspection(title, [*names, normalizing.title], partial(without_gamma, first, normalizing.title)))
    owners: list[str] = []
    for number, network in enumerate(all_networks, start=1):
        if (owner := network.owner) not in owners:
            found += around(network, f" of network {number}" if owners else "")
            owners.append(owner)
    for part in parts_of(program):
        role = "schedule" if program.mapped.get("schedule") == part.name else plays(part.name)
        if role == "schedule":
            owning = next((network for network in all_networks if network.owner == part.method_of), None)
            found.append(Inspection(f"schedule {part.title}", [part.title], partial(schedule, program, part, owning)))
        elif role == "softmax" and part.name in program.defined and not part.method_of:
            found.append(Inspection("softmax", [part.name], partial(softmax, program, part)))
    for name, why in program.source.broken.items():
        if plays(name) in ("gradients", "cost", "forward", "schedule", "softmax"):
            found.append(Inspection(name, [name], partial(cannot_be_read, name, why)))
    return found


WHY_UNSEEN = "not in the file, or in no form that is known"
ASPECTS = (
    "network",
    "test mode",
    "running averages",
    "update",
    "minibatches",
    "initialization",
    "standardization",
    "schedule",
    "accuracy",
)


def aspects(_: Program, inspections: Sequence[Inspection]) -> list[str]:
    """What would be looked at if it were there."""
    if any("batch norm" in inspection.title for inspection in inspections):
        return list(ASPECTS)
    return [aspect for aspect in ASPECTS if aspect not in ("test mode", "running averages")]


def normalizer(program: Program) -> Part | None:
    """A function that normalizes batches, by its name."""
    for part in parts_of(program):
        joined = "".join(words(part.name))
        if any(word in joined for word in ("batchnorm", "normalizebatch")) or "bn" in words(part.name):
            return part
    return None


def without_gamma(network: Network, name: str) -> Report:
    """The network with batch normalization that has no gamma and no beta, if that can be called."""
    try:
        return run(network, batch_norm=True, affine=False)
    except Failed:
        network.readings.pop(True, None)
        sentence = "normalizes batches, but no network here was seen to do so: it is not looked at"
        raise Failed(name, "uncallable", sentence) from None


def around(network: Network, which: str) -> list[Inspection]:
    """What there is besides cost and gradients. Each looks at the network as its own check has read it."""
    program = network.program
    forward = [network.forward.title] if network.forward else []
    found = []
    normalizing = can_normalize(network)[0] or normalizer(program) is not None
    if normalizing:
        found.append(Inspection(f"test mode{which}", forward, partial(test_mode, network)))
        found.append(Inspection(f"running averages{which}", forward, partial(running_averages, network)))
    if steps := updates(program):
        found.append(Inspection(f"update{which}", [part.title for part in steps], partial(update, network)))
    for part in trainers(program):
        found.append(Inspection(f"minibatches {part.title}{which}", [part.title], partial(minibatches, network, part)))
        if normalizing:
            title = f"running averages of {part.title}{which}"
            found.append(Inspection(title, [part.title], partial(averages_of_training, network, part)))
    owner = network.owner
    makers = [part.title for part in initializers(program)] or [owner] * bool(owner)
    if makers:
        found.append(Inspection(f"initialization{which}", makers, partial(initialization, network)))
    for part in standardizers(program):
        found.append(
            Inspection(f"standardization {part.name}{which}", [part.title], partial(standardization, program, part))
        )
    for part in accuracies(program):
        found.append(Inspection(f"accuracy {part.title}{which}", [part.title], partial(accuracy, network, part)))
    return found


def uses(program: Program, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(program.source.tree))


def cannot_be_read(name: str, why: str) -> Report:
    raise Failed(name, "raises", f"could not be read: {why}")


def softmax(program: Program, part: Part) -> Report:
    """Columns of probabilities (or rows); large scores, one number at a time."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 2, (5, 7))
    mine = program.guard.array(part.name, "p", program.guard.call(part.name, part.function, scores), scores.shape)
    columns = COURSE_HELPERS["softmax"](scores)
    rows = COURSE_HELPERS["softmax"](scores.T).T
    if np.allclose(mine, columns) or np.allclose(mine, rows):
        return Report("softmax", agreeing=["softmax"])
    place, formula = "softmax", "p = exp(s) / sum over the classes of exp(s)"
    if np.allclose(mine, np.exp(scores) / np.exp(scores).sum()):
        sentence = "it divides by the sum over the whole batch: the columns do not sum to 1; sum with axis=0"
        return Report("softmax", [Finding(place, sentence, "softmax_over_batch", formula=formula)])
    return Report(
        "softmax", [Finding(place, "neither its columns nor its rows are the softmax of the scores", formula=formula)]
    )


def nothing_found(program: Program) -> str:
    names = [part.title for part in parts_of(program)]
    broken = "".join(f"; {name}: {why}" for name, why in program.source.broken.items())
    there = ", ".join(names[:25]) or "no function (a script alone cannot be called)"
    return (
        f"{program.source.path.name} defines {there}{broken}; "
        "looked for functions or methods such as ComputeGradients, ComputeCost and EvaluateClassifier. Name yours with "
        "--functions gradients=... cost=... forward=..."
    )
