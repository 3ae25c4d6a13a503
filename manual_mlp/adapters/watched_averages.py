"""Batch normalization's running averages, as a program was seen to keep them: from one batch to the next."""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from manual_mlp.adapters.held import arrays_of
from manual_mlp.adapters.parts import Network, names_called
from manual_mlp.adapters.program import nodes_of
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.recorder import LARGE
from manual_mlp.adapters.roles import running_role
from manual_mlp.adapters.seen_steps import seen
from manual_mlp.adapters.training import Training
from manual_mlp.adapters.watched import whole_run
from manual_mlp.diagnosis.mistakes.running_statistics import RUNNING_AVERAGE
from manual_mlp.diagnosis.network import checked_batch
from manual_mlp.diagnosis.reference import forward_pass
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.running_statistics import advanced_by_evaluation
from manual_mlp.layers import BATCH_NORM_EPS, Array

SUBJECT = "running averages"
NAMES = {"mean": "running_mean", "var": "running_var"}
CLOSE = 1e-6  # of the largest entry
LATER, EARLY = 61, 1  # updates
KNOWN = {mistake.id: mistake for mistake in RUNNING_AVERAGE}


class Weights(NamedTuple):
    """new = old_weight old + batch_weight batch."""

    old: float
    batch: float

    def mistake(self, other: "Weights") -> str | None:
        """By its name in the catalogue; other: those of the other average."""
        old, batch = self
        if is_near(old, 0):
            return "running_is_last_batch" if is_near(batch, 1) else "running_restart"
        if is_near(batch, 0):
            return "running_not_advanced" if is_near(old, 1) else None
        if is_near(old + batch, 1):
            exchanged = batch > 0.5 and is_near(other.old, batch) and is_near(other.batch, old)
            return "running_weights_exchanged" if exchanged else None
        if is_near(old, batch):
            return "running_weights_alike"
        if is_near(batch, 1):
            return "running_batch_without_weight"
        return "running_batch_subtracted" if batch < 0 else None

    def are_right(self) -> bool:
        return is_near(self.old + self.batch, 1) and 0 < self.batch < 1 and not is_near(self.batch, 0)


def is_near(value: float, other: float) -> bool:
    return abs(value - other) < CLOSE


def running_averages(network: Network, training: Training) -> Report:
    """Those of the first layer, recognized by their numbers: a part of what they were before and a part of the batch's
    statistics; or where they have none of it, by their names.
    """
    run = whole_run(network.program)
    trained = {image for one in run.trainings or run.others for batch in one.batches for image in batch.tolist()}
    if any(trained.isdisjoint(images.tolist()) for images in run.advancing):
        return Report(SUBJECT, [advanced_by_evaluation(SUBJECT)])
    for number in (LATER, EARLY):
        if {number, number + 1} <= set(training.steps):
            weights = weights_at(network, training, number)
            if len(weights) == len(NAMES):
                break
    else:
        raise absent(SUBJECT)
    findings = []
    for kind, name in NAMES.items():
        mistake = weights[kind].mistake(weights["var" if kind == "mean" else "mean"])
        if mistake is not None:
            slip = KNOWN[mistake]
            place = f"{SUBJECT}: {name}"
            findings.append(Finding(place, slip.sentence, mistake, formula=slip.formula, link=slip.link))
    agreeing = [f"{SUBJECT}: {name}" for kind, name in NAMES.items() if weights[kind].are_right()]
    if not findings and len(agreeing) < len(NAMES):
        raise absent(SUBJECT)
    return Report(SUBJECT, findings, agreeing)


def weights_at(network: Network, training: Training, number: int) -> dict[str, Weights]:
    before, after = (leaves_at(training, n) for n in (number, number + 1))
    found: dict[str, Weights] = {}
    for kind, statistics in batch_statistics(training, number).items():
        for path, old in before.items():
            new = after.get(path)
            if new is None or old.size != new.size or old.size != statistics[0].size:
                continue
            called = {role.kind for name in path if isinstance(name, str) and (role := running_role(name))}
            if called and kind not in called:
                continue
            for batch in statistics:
                weights = fitted(old.ravel(), batch, new.ravel())
                if weights is None or (not called and is_near(weights.old * weights.batch, 0)):
                    continue
                if not is_near(weights.batch, 0) or (stays(training, path) and not is_set(network, path)):
                    found.setdefault(kind, weights)
    return found


def stays(training: Training, path: tuple[str | int, ...]) -> bool:
    """From the second step to the last: it is not only advanced once an epoch. At the first it may not be there yet."""
    _, second, *_, latest = sorted(training.steps)
    first, last = (leaves_at(training, number).get(path) for number in (second, latest))
    return first is not None and last is not None and np.array_equal(first, last)


def is_set(network: Network, path: tuple[str | int, ...]) -> bool:
    """Does a method make these averages anew that is called outside of the loops: in front of the training and behind
    it, of all images at once (Ioffe & Szegedy, 2015, algorithm 2)?
    """
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    functions = [n for tree in network.program.trees for n in nodes_of(tree) if isinstance(n, ast.FunctionDef)]
    setting = {function.name for function in functions if name in attributes_set(function)}
    of_network = {part.tree for part in network.parts}
    bodies = [*network.program.trees, *(function for function in functions if function not in of_network)]
    return any(setting & names_called(node) for body in bodies for node in outside_loops(body))


def attributes_set(function: ast.FunctionDef) -> set[str]:
    return {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}


def outside_loops(node: ast.AST) -> Iterator[ast.stmt]:
    """The simple statements."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.Expr | ast.Assign | ast.AugAssign | ast.Return):
            yield inner
        elif not isinstance(inner, ast.For | ast.While | ast.FunctionDef | ast.ClassDef):
            yield from outside_loops(inner)


def leaves_at(training: Training, number: int) -> dict[tuple[str | int, ...], Array]:
    step = training.steps[number]
    every = arrays_of({**step.globals, **step.arguments})
    return {leaf.path: np.asarray(leaf.value, dtype=np.float64) for leaf in every if leaf.value.size <= LARGE}


def batch_statistics(training: Training, number: int) -> Mapping[str, list[Array]]:
    """Of the first layer: its mean, and its variance divided by N, or by N - 1."""
    question = seen(training.steps[number], training.batches[number], labelled=False)
    if not question.how.batch_norm:
        raise absent(SUBJECT)
    given = question.given
    batch, names = checked_batch(given.parameters, given.x, given.y, 0.0, given.relu_first, (), 0.0)
    x = forward_pass(batch, names, (), BATCH_NORM_EPS).layers[0].batch_norm.x
    return {"mean": [x.mean(axis=0)], "var": [x.var(axis=0), x.var(axis=0, ddof=1)]}


def fitted(old: Array, batch: Array, new: Array) -> Weights | None:
    basis = np.stack([old, batch], axis=1)
    if not np.isfinite(basis).all() or np.linalg.matrix_rank(basis) < 2:
        return None
    weights = np.linalg.lstsq(basis, new, rcond=None)[0]
    if not np.abs(basis @ weights - new).max() <= CLOSE * np.abs(new).max():
        return None
    return Weights(float(weights[0]), float(weights[1]))
