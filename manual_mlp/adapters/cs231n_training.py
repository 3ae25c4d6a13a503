"""CS231n's first network beside its loss: .train, by gradient descent on random minibatches and a learning rate
that decays once an epoch."""

import ast
import inspect
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.cs231n_instances import BASICS, CLASSES, HIDDEN, INPUTS, filled, key_in, problem
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program
from manual_mlp.adapters.unfilled import is_unfilled
from manual_mlp.diagnosis import diagnose_update
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.layers import Array

IMAGES, BATCH, UPDATES, ETA, REG, DECAY = 40, 10, 6, 0.1, 0.3, 0.5
LONG, FEW = 90, 3  # updates, which draw 900 times; images that are listed one by one
DECAYS = "learning_rate *= learning_rate_decay, once an epoch"


class Asked(NamedTuple):
    """One call of the network's loss in the training, and what it answered."""

    x: Any
    y: Any
    reg: Any
    parameters: Mapping[str, Array]
    gradients: Mapping[str, Array]


class Training(NamedTuple):
    """All calls of one training, the parameters after each, and the images and labels that it was given."""

    asked: list[Asked]
    after: list[Mapping[str, Array]]
    x: Array
    y: Any

    def moves(self) -> list[Array]:
        return [flat(new) - flat(call.parameters) for call, new in zip(self.asked, self.after, strict=True)]

    def gradients(self) -> list[Array]:
        return [flat(call.gradients) for call in self.asked]

    def rates(self) -> list[float] | None:
        """The learning rate of every update, if each is one of gradient descent."""
        pairs = list(zip(self.moves(), self.gradients(), strict=True))
        rates = [-float(np.vdot(move, gradient) / np.vdot(gradient, gradient)) for move, gradient in pairs]
        fits = (np.allclose(move, -rate * g, atol=1e-9) for (move, g), rate in zip(pairs, rates, strict=True))
        return rates if all(fits) else None


def flat(values: Mapping[str, Array]) -> Array:
    return np.concatenate([np.ravel(values[key]) for key in sorted(values)]).astype(np.float64)


def training(program: Program, name: str, deep: bool) -> Report:
    """A few updates with a loss of our own in place of the network's, whose gradients are known."""
    theirs = f"{name}.train"
    accepts = inspect.signature(getattr(program.classes()[name], "train")).parameters  # noqa: B009
    written = [n for n in ast.walk(program.defined[name]) if isinstance(n, ast.FunctionDef) and n.name == "train"]
    if any(is_unfilled(method) for method in written):
        raise program.guard.failed(theirs, "empty", "is not filled in yet")
    if missing := [key for key in ("learning_rate", "num_iters", "batch_size") if key not in accepts]:
        raise program.guard.failed(theirs, "uncallable", f"takes no {', '.join(missing)}: it is not looked at")
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, _, _ = problem(hidden, batch_norm=False)
    run = trained(program, name, parameters, UPDATES, decay=1.0)
    decays = "learning_rate_decay" in accepts
    update = updates(program, theirs, run, parameters, decays)
    drawn = minibatches(run) or rarely_drawn(trained(program, name, parameters, LONG, decay=1.0))
    findings = [*drawn, *update.findings]
    if any(call.reg != REG for call in run.asked) and "reg" in accepts:
        findings.append(Finding("regularization", "reg is not handed on to the loss", "reg_not_passed"))
    report = Report(theirs, findings, update.agreeing, update.unjudged, update.notes)
    if findings:
        return in_their_words(report)
    agreeing = [*update.agreeing, "minibatches"]
    if not decays:
        return replace(report, agreeing=agreeing)
    decayed = learning_rate_decay(trained(program, name, parameters, 3 * IMAGES // BATCH, decay=DECAY))
    return Report(theirs, decayed.findings, [*agreeing, *decayed.agreeing], notes=[*update.notes, *decayed.notes])


def descends(program: Program, name: str, deep: bool) -> bool:
    """Does it move every parameter as it should, with gradients of the shapes that its own loss gives them?"""
    parameters, _, _ = problem(HIDDEN if deep else HIDDEN[:1], batch_norm=False)
    try:
        run = trained(program, name, parameters, UPDATES, decay=1.0)
        return updates(program, f"{name}.train", run, parameters, decays=False).ok
    except Failed:  # said where .train is looked at
        return False


def trained(program: Program, name: str, parameters: Mapping[str, Array], count: int, decay: float) -> Training:
    """Their training, and what it asked of our loss. The gradients have the shapes that their own loss gives them."""
    net = instance(program, name, parameters)
    theirs, rng, asked, own = f"{name}.train", np.random.default_rng(4), list[Asked](), net.loss
    x, y = rng.normal(size=(IMAGES, INPUTS)), rng.integers(0, CLASSES, IMAGES)
    shapes = shapes_of_gradients(program, name, parameters, x, y)

    def loss(X: Any, y: Any = None, reg: Any = 0.0, **_: Any) -> Any:
        if y is None and X is not None:
            return own(X)
        if X is None or y is None:
            raise NotImplementedError
        values = {key: np.array(value, dtype=np.float64) for key, value in net.params.items()}
        gradients = {key: rng.normal(size=value.shape) for key, value in values.items()}
        asked.append(Asked(np.array(X), np.array(y), reg, values, gradients))
        return 1.0, {key: np.reshape(value, shapes.get(key, value.shape)).copy() for key, value in gradients.items()}

    net.loss = loss
    settings = {"learning_rate": ETA, "learning_rate_decay": decay, "reg": REG, "num_iters": count}
    settings |= {"batch_size": BATCH, "verbose": False}
    accepts = inspect.signature(net.train).parameters
    known = {key: value for key, value in settings.items() if key in accepts}
    validation = (x[:5], y[:5]) if {"x_val", "y_val"} <= {key.lower() for key in accepts} else ()
    program.guard.call(theirs, net.train, x, y, *validation, **known)
    if not asked:
        raise program.guard.failed(theirs, "uncallable", "never calls self.loss with labels: it is not looked at")
    after = [*(call.parameters for call in asked[1:]), {key: np.array(v) for key, v in net.params.items()}]
    if all(
        np.array_equal(call.parameters[key], new[key]) for call, new in zip(asked, after, strict=True) for key in new
    ):
        raise program.guard.failed(theirs, "unfilled", "is not filled in yet: the parameters do not move")
    return Training(asked, after, x, y)


def shapes_of_gradients(
    program: Program, name: str, parameters: Mapping[str, Array], x: Array, y: Any
) -> dict[str, tuple[int, ...]]:
    """Those of their own loss, where it has one and they have as many values as the parameters."""
    net = instance(program, name, parameters)
    try:
        _, gradients = net.loss(x, y)
        shapes = {key: np.shape(gradients[key]) for key in net.params}
    except Exception:  # that it fails is said where the loss itself is looked at
        return {}
    return {key: shape for key, shape in shapes.items() if np.prod(shape) == np.size(net.params[key])}


def instance(program: Program, name: str, parameters: Mapping[str, Array]) -> Any:
    hidden = [len(value) for key, value in parameters.items() if key.endswith("bias")][:-1]
    return filled(program, name, {**BASICS, "hidden": hidden}, parameters)


def minibatches(run: Training) -> list[Finding]:
    """Are they images of the training set with their own labels, as many as asked for, and others every time?"""
    asked, _, x, y = run
    numbers = {row.tobytes(): number for number, row in enumerate(x)}
    drawn = []
    for call in asked:
        rows = call.x.reshape(len(call.x), -1) if call.x.ndim > 1 else call.x.reshape(1, -1)
        which = np.array([numbers.get(row.tobytes(), -1) for row in rows])
        if (which < 0).any():
            return [said("a batch holds a row that is none of the images", "minibatches_unknown_image")]
        if call.y.shape != which.shape or not np.array_equal(call.y, y[which]):
            return [said("images and labels do not belong together", "minibatches_labels_apart", "labels")]
        drawn.append(which)
    if len(asked) != UPDATES:
        return [said(f"num_iters is {UPDATES}, and {len(asked)} batches were used", "minibatches_count")]
    if any(len(which) != BATCH for which in drawn):
        return [said(f"batch_size is {BATCH}, and a batch has {len(drawn[0])} images", "minibatches_size")]
    if all(np.array_equal(which, drawn[0]) for which in drawn):
        return [said("every update has the same images", "minibatches_same_order")]
    return []


def rarely_drawn(run: Training) -> list[Finding]:
    """Is every image seen in a training so long that chance leaves one out once in a hundred million?"""
    if len(run.asked) < LONG:
        return []
    seen = {row.tobytes() for call in run.asked for row in call.x}
    if len(seen) == IMAGES:
        return []
    never = [number for number, row in enumerate(run.x, start=1) if row.tobytes() not in seen]
    which = ", the first ones" if never[0] == len(seen) + 1 else ""
    which = f", all but number {', '.join(map(str, never))}" if len(never) <= FEW else which
    sentence = f"of {IMAGES} images only {len(seen)} are ever seen{which}: draw from all"
    return [said(sentence, "minibatches_images_lost")]


def said(sentence: str, mistake: str, place: str = "batch") -> Finding:
    return Finding(f"minibatch: {place}", sentence, mistake, link=f"{DERIVATIONS}#minibatches")


def updates(program: Program, theirs: str, run: Training, parameters: Mapping[str, Array], decays: bool) -> Report:
    """Every step beside gradient descent; momentum is as good. A rule that moves no parameter so is not judged."""
    asked, after = run.asked, run.after

    def ours(values: Mapping[str, Array]) -> dict[str, Array]:
        return {
            key: np.asarray(values[key_in(values, key)], np.float64).T.reshape(value.shape)
            for key, value in parameters.items()
        }

    reports = [
        diagnose_update(ours(call.parameters), ours(new), ETA, gradients=ours(call.gradients))
        for call, new in itertools.takewhile(begins_finite, zip(asked, after, strict=True))
    ]
    first = next((report for report in reports if not report.ok), None)
    if first is None:
        return Report(theirs, [], [f"{len(reports)} updates"])
    rates = run.rates()
    if rates is not None and np.isclose(rates[0], ETA) and not np.allclose(rates, ETA):
        changed = f"it goes from {rates[0]:.3g} to {rates[-1]:.3g}"
        if not decays:
            return Report(theirs, [], [f"{len(reports)} updates"], notes=[f"the learning rate changes: {changed}"])
        sentence = f"{changed} where learning_rate_decay is 1: it must be multiplied by it"
        return Report(theirs, [Finding("learning rate", sentence, "lr_other_decay", formula=DECAYS)])
    if (mu := momentum(run)) is not None:
        return Report(theirs, [], [f"{len(reports)} updates"], notes=[f"it moves with momentum, {mu:.3g}"])
    descending = set.intersection(*(set(report.agreeing) for report in reports))
    if not descending and any(finding.mistake is None for finding in first.findings):
        sentence = "updates neither by gradient descent nor with momentum, and no known mistake explains its steps"
        raise program.guard.failed(theirs, "uncallable", f"{sentence}: they are not looked at")
    return first


def begins_finite(update: tuple[Asked, Mapping[str, Array]]) -> bool:
    """An update behind one that leaves NaN or infinity has no mistake of its own."""
    return bool(np.isfinite(flat(update[0].parameters)).all())


def momentum(run: Training) -> float | None:
    """The mu of velocity = mu velocity - eta gradient, w + velocity, if that is what moves all parameters."""
    moves, gradients = run.moves(), run.gradients()
    kept = [move + ETA * gradient for move, gradient in zip(moves, gradients, strict=True)]
    if len(moves) < 2 or np.abs(kept[0]).max() > 1e-9:
        return None
    mu = float(np.vdot(kept[1], moves[0]) / np.vdot(moves[0], moves[0]))
    fits = all(np.allclose(kept[k], mu * moves[k - 1], atol=1e-9) for k in range(1, len(moves)))
    return mu if fits and 0 < mu < 1 else None


def learning_rate_decay(run: Training) -> Report:
    """Is the learning rate multiplied by learning_rate_decay once an epoch? (Not looked at with momentum.)"""
    place, epoch = "learning rate", IMAGES // BATCH
    if (rates := run.rates()) is None:
        return Report(place)
    factors = np.array([later / earlier for earlier, later in itertools.pairwise(rates)])
    changes = np.flatnonzero(abs(factors - 1) > 1e-6) + 1  # after how many updates
    mistake, sentence = "", ""
    if not len(changes):
        sentence, mistake = "it never decays: learning_rate_decay is not used", "lr_never_decays"
    elif (factors > 1 + 1e-6).any():
        sentence, mistake = "it grows from epoch to epoch; learning_rate_decay is below 1", "lr_grows"
    elif not np.allclose(factors[changes - 1], DECAY):
        by = f"{factors[changes - 1][0]:.3g}"
        sentence, mistake = f"it is multiplied by {by}, where learning_rate_decay is {DECAY}", "lr_other_decay"
    elif len(changes) == len(factors):
        sentence = f"it decays after every update; an epoch has {epoch} of them here"
        mistake = "lr_decays_every_update"
    elif (np.diff(changes) != epoch).any():
        when = ", ".join(map(str, changes))
        return Report(place, notes=[f"the learning rate decays after updates {when}; an epoch has {epoch} here"])
    if mistake:
        return Report(place, [Finding(place, sentence, mistake, formula=DECAYS)])
    return Report(place, agreeing=[place])
