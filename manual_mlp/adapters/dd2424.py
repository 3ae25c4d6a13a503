"""DD2424's conventions: images as columns, one-hot labels (K, n), W (m, d), b (m, 1), cost + lambda * sum(W^2).

Everyone writes this assignment differently. What goes into a function is told from its parameters' names (`roles.py`),
from the names under which the file itself passes on what another function returned, and by trying: lists or W1, b1,
W2, b2, biases (m, 1) or (m,), labels one-hot or as numbers, images as columns or rows. The arrangement under which most
agrees is taken, so that nobody is accused of an arrangement of their own.
"""

import ast
import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, arrangements, problem, reference
from manual_mlp.adapters.calls import Outcome, computed
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, Part, can_normalize, is_normalized, networks, parts_of, plays
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.adapters.roles import (
    role_of,
)
from manual_mlp.adapters.stubs import COURSE_HELPERS
from manual_mlp.diagnosis import diagnose, diagnose_schedule
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

SINGLE = 2e-4  # what float32 may round off
MOST_USUAL = 150  # arrangements after which the rare ones are only tried if none of these could be called
OUR_FAULT = (
    "ValueError",
    "TypeError",
    "IndexError",
    "KeyError",
    "AttributeError",
    "AssertionError",
)  # or the arrangement's


def known_helpers(module: str) -> dict[str, Any]:
    """softmax and the like, which the course hands out in a file of helpers."""
    return {} if module.split(".")[0] in ("sklearn", "matplotlib", "scipy") else dict(COURSE_HELPERS)


def agreement(outcome: Outcome, given: Inputs, network: Network) -> float:
    """How much agrees; a little for whatever came out at all."""
    p, cost, gradients = reference(given)
    score = 0.0
    if outcome.P is not None and outcome.P.shape == p.shape:
        score += 0.5 + 2 * np.allclose(outcome.P, p, rtol=1e-3, atol=1e-4)
    if outcome.costs:
        score += 0.5 + 2 * any(abs(value - cost) < 1e-3 * abs(cost) for value in outcome.costs)
    for name, right in gradients.items():
        mine = outcome.gradients.get(name)
        if mine is not None and mine.shape == right.shape:
            close = np.allclose(mine, right, rtol=1e-3, atol=1e-3 * np.abs(right).max() + 1e-12)
            score += (0.5 + 2 * close) / len(gradients)
    return score - 0.25 * len(network.failures)


def cost_settles(network: Network, outcome: Outcome, given: Inputs) -> bool:
    """The cost is right, and it saw everything that the gradients see: so must the arrangement be."""
    if network.cost is None or not outcome.costs or not outcome.gradients:
        return False
    seen = [part.kinds() & {"Y", "y"} for part in (network.cost, network.gradients) if part is not None]
    _, cost, _ = reference(given)
    return seen[-1] <= seen[0] and any(abs(value - cost) < 1e-3 * abs(cost) for value in outcome.costs)


def chosen_arrangement(network: Network, batch_norm: bool) -> tuple[Arrangement, Inputs, Outcome, float]:
    """That under which most agrees, of those which can be called, of those with most layers: with fewer, a mistake that
    only a hidden layer shows would look right.
    """
    best: tuple[Arrangement, Inputs, Outcome, float] | None = None
    deepest, without_failure = (False, 0), False
    for number, how in enumerate(arrangements(network, batch_norm)):
        if number > MOST_USUAL and without_failure:
            break
        if batch_norm and how.depth == 1:
            continue
        given = problem(how.depth, how.batch_norm)
        try:
            outcome = computed(network, how, given)
        except Failed as failed:
            outcome = Outcome(None, [], {})
            network.failures = {"gradients": failed, "cost": failed}
        score = agreement(outcome, given, network)
        could = not any(is_ours(failed) for failed in network.failures.values()) and bool(
            outcome.costs or outcome.gradients
        )
        without_failure |= could
        reached = could, how.depth if could else 0
        if best is None or reached > deepest or (reached == deepest and score > best[3] + 1e-9):
            best, deepest = (how, given, outcome, score), reached
            if could and cost_settles(network, outcome, given):
                break
    assert best is not None
    return best


def is_ours(failed: Failed) -> bool:
    """Could it be that the arrays were not arranged as the function expects them?"""
    return failed.error in OUR_FAULT or failed.kind in ("missing", "shape")


def run(network: Network, batch_norm: bool) -> Report:
    guard = network.program.guard
    how, given, outcome, score = chosen_arrangement(network, batch_norm)
    guard.begin()
    outcome = computed(network, how, given)
    failures = dict(network.failures)
    if score <= 0 or not (outcome.costs or outcome.gradients):
        cause = next(iter(failures.values()), Failed("the network", "missing", "gave neither a cost nor gradients"))
        if cause.error in OUR_FAULT:
            sentence = "could not be called in any arrangement of the arrays that is known here."
            raise Failed(cause.function, "uncallable", f"{sentence} As {how.words()} it {cause.sentence}")
        raise cause
    if normalizes(network, how, given, outcome) is not how.batch_norm:
        raise Failed("the network", "absent", "has no such mode")
    _, right, _ = reference(given)
    index = int(np.argmin([abs(value - right) for value in outcome.costs])) if outcome.costs else 0
    lacking = {"cost": not outcome.costs, "gradients": not outcome.gradients}

    def answer(parameters: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
        inputs = Inputs(parameters, x, y, l2)
        theirs = computed(network, how, inputs)
        if not theirs.costs and not lacking["cost"]:
            raise network.failures.get("cost", Failed("cost", "missing", "gives no number for this batch"))
        if not theirs.gradients and not lacking["gradients"]:
            raise network.failures.get("gradients", Failed("gradients", "missing", "are not there for this batch"))
        return (None if lacking["cost"] else theirs.costs[index]), theirs.gradients

    report = diagnose(answer, given.parameters, given.x, given.y, given.l2)
    if not report.ok and any("float32" in line for line in network.program.source.lines):
        single = diagnose(answer, given.parameters, given.x, given.y, given.l2, tolerance=SINGLE)
        report = single if single.ok else report
    return with_what_failed(report, network, failures, lacking, how)


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
    agreed = not lacking["cost"] and "cost" in report.agreeing
    for what in ("cost", "gradients"):
        if lacking[what] and what in failures and getattr(network, what) is not None:
            failed = failures[what]
            if is_ours(failed) and not (what == "gradients" and agreed and takes_inputs_alone(network.gradients)):
                notes.append(f"{what} could not be compared: {failed}")
                continue
            mistake = "unfilled" if failed.kind == "unfilled" else "raises"
            findings.insert(0 if what == "cost" else len(findings), Finding(what, str(failed), mistake))
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
    for part in parts_of(program):
        role = "schedule" if program.mapped.get("schedule") == part.name else plays(part.name)
        if role == "schedule" and not part.method_of:
            found.append(Inspection(f"schedule {part.name}", [part.name], partial(schedule, program, part)))
        elif role == "softmax" and part.name in program.defined and not part.method_of:
            found.append(Inspection("softmax", [part.name], partial(softmax, program, part)))
    for name, why in program.source.broken.items():
        if plays(name) in ("gradients", "cost", "forward", "schedule", "softmax"):
            found.append(Inspection(name, [name], partial(cannot_be_read, name, why)))
    return found


def uses(program: Program, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(program.source.tree))


def cannot_be_read(name: str, why: str) -> Report:
    raise Failed(name, "raises", f"could not be read: {why}")


def schedule(program: Program, part: Part) -> Report:
    def theirs(*values: Any, **named: Any) -> Any:
        return program.guard.call(part.name, part.function, *values, **named)

    theirs.__signature__ = inspect.signature(part.function)  # type: ignore[attr-defined]
    return diagnose_schedule(theirs, step_size=20, eta_min=1e-5, eta_max=1e-1)


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
