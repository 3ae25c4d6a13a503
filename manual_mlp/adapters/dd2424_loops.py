"""A DD2424 training loop as a whole: which images it hands to its gradient, and the running averages that it keeps."""

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import Inputs
from manual_mlp.adapters.calls import prepared
from manual_mlp.adapters.dd2424_training import keys_of, step_keywords, updates
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.options import is_options
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.roles import argument_role, returned_names, running_role, unpacked_names
from manual_mlp.diagnosis import diagnose_minibatches
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.layers import Array

CHOICES = {
    "minibatches_not_shuffled",
    "minibatches_same_order",
    "minibatches_blocks_shuffled",
}  # the course asks for none
CHOICES |= {"minibatches_with_replacement"}


class Call(NamedTuple):
    """One batch, as the gradient function was given it."""

    x: Array  # (n, D)
    y: Array | None  # (n,)


def trainers(program: Program) -> list[Part]:
    """Functions that take the images and say how large a batch is, or how many epochs there are."""
    return [
        part
        for part in updates(program)
        if (part.kinds() & {"X"} or any("X" in keys_of(part.tree, p.name) for p in part.parameters()))
        and any({"batch", "epoch", "epochs"} & set(words(p.name)) or is_options(p.name) for p in part.parameters())
    ]


def trained(network: Network, part: Part, reading: Reading, given: Inputs, **options: Any) -> tuple[Any, list[Call]]:
    """What the training function returned, and every batch that it made."""
    calls: list[Call] = []
    env, instance = prepared(network, reading.how, given, part)
    with recording(network, reading, calls):
        function = part.function.__get__(instance) if part.method_of else part.function
        try:
            keywords = step_keywords(part, env | options, {}, {**env, **options})
            result = network.program.guard.call(part.title, function, **keywords)
        except Failed:
            raise absent("minibatches") from None
    return result, [call for call in calls if len(call.x) <= options["n"]]


@contextlib.contextmanager
def recording(network: Network, reading: Reading, calls: list[Call]) -> Iterator[None]:
    """Puts a listener in front of the gradient function, or of the forward pass where that alone takes the images."""
    listened = next((p for p in (network.gradients, network.forward) if p is not None and "X" in p.kinds()), None)
    if listened is None:
        raise absent("minibatches")
    original, signature = listened.function, inspect.signature(listened.function)

    def listener(*arguments: Any, **keywords: Any) -> Any:
        bound = signature.bind(*arguments, **keywords).arguments
        roles: dict[str, Any] = {}
        for name, value in bound.items():
            if (role := argument_role(name)) is not None and isinstance(value, np.ndarray):
                roles.setdefault(role.kind, value)
        x = np.array(roles["X"].T if reading.how.x_columns else roles["X"])
        labels = np.asarray(roles.get("Y", roles.get("y", ())))
        if labels.ndim == 2:
            labels = labels.argmax(axis=0 if reading.how.y_columns else 1)
        calls.append(Call(x, labels if labels.shape == (len(x),) else None))
        return original(*arguments, **keywords)

    owner: Any = network.program.classes()[listened.method_of] if listened.method_of else None
    if owner is None and network.program.namespace.get(listened.name) is not original:
        raise absent("minibatches")
    place = network.program.namespace if owner is None else None
    if place is not None:
        place[listened.name] = listener
    else:
        setattr(owner, listened.name, listener)
    try:
        yield
    finally:
        if place is not None:
            place[listened.name] = original
        else:
            setattr(owner, listened.name, original)


def images(reading: Reading, count: int) -> Inputs:
    rng = np.random.default_rng(10)
    return reading.given._replace(
        x=rng.normal(size=(count, reading.given.x.shape[1])), y=np.arange(count) % (int(reading.given.y.max()) + 1)
    )


def minibatches(network: Network, part: Part) -> Report:
    """Two epochs over 20 images in batches of 5: none lost, none twice, every one with its label."""
    reading = reading_of(network)
    given = images(reading, 20)
    _, calls = trained(network, part, reading, given, n=5, epochs=2, eta=0.0)
    epochs = in_epochs(calls)
    if all(call.y is not None for call in calls):
        report = diagnose_minibatches([[(c.x, c.y) for c in epoch] for epoch in epochs], given.x, given.y)
    else:
        rows = {row.tobytes(): number for number, row in enumerate(given.x)}
        numbers = [[np.array([rows.get(row.tobytes(), -1) for row in c.x]) for c in epoch] for epoch in epochs]
        report = diagnose_minibatches(numbers, len(given.x))
    findings = [finding for finding in report.findings if finding.mistake not in CHOICES]
    if any(finding.mistake == "minibatches_unknown_image" for finding in findings):
        raise absent("minibatches")  # augmented, perhaps
    notes = [f"{f.place}: {f.sentence}" for f in report.findings if f.mistake in CHOICES]
    return replace(report, findings=findings, agreeing=[] if findings else ["every image once an epoch"], notes=notes)


def in_epochs(calls: list[Call]) -> list[list[Call]]:
    """The first two epochs: one begins where an image comes again. Where that gives no regular epochs, two halves."""
    epochs: list[list[Call]] = []
    seen: set[bytes] = set()
    for call in calls:
        rows = {row.tobytes() for row in call.x}
        if not epochs or seen & rows:
            epochs.append([])
            seen = set()
        epochs[-1].append(call)
        seen |= rows
    if len(epochs) == 1:
        if len(calls) < 3:
            raise absent("minibatches")  # a few updates, however many images there are
        return epochs
    lengths = {len(epoch) for epoch in epochs[:-1]}
    if len(lengths) == 1 and len(epochs[-1]) <= len(epochs[0]) > 1:
        return epochs[:2] if len(epochs) == 2 or len(epochs[1]) == len(epochs[0]) else epochs[:1]
    if not calls or len(calls) % 2:
        raise absent("minibatches")
    return [calls[: len(calls) // 2], calls[len(calls) // 2 :]]


def averages_of_training(network: Network, part: Part) -> Report:
    """Two batches at learning rate 0: what it returns as running averages lies between the statistics of the two."""
    reading = reading_of(network, batch_norm=True)
    given = images(reading, 22)
    result, calls = trained(network, part, reading, given, n=11, epochs=1, eta=0.0)
    returned = averages_in(network, part, result)
    if len(calls) != 2 or set(returned) != {"mean", "var"}:
        raise absent("running averages")
    W, b = given.parameters["linear1.weight"], given.parameters["linear1.bias"]
    first, second = (call.x @ W.T + b for call in calls)
    shares = {}
    for kind, batches in {
        "mean": [(first.mean(axis=0), second.mean(axis=0))],
        "var": [(first.var(axis=0, ddof=ddof), second.var(axis=0, ddof=ddof)) for ddof in (0, 1)],
    }.items():
        shares[kind] = next((s for old, new in batches if (s := share(returned[kind], old, new)) is not None), None)
    return judged(shares)


def averages_in(network: Network, part: Part, result: Any) -> dict[str, Array]:
    """The first layer's, by the names under which the function returns them or its callers take them."""
    namings = (returned_names(part.tree) if part.tree else []) + unpacked_names(network.program.trees, part.name)
    found: dict[str, Array] = {}
    for naming in namings:
        for name, value in zip(naming, result if isinstance(result, tuple | list) else (), strict=False):
            role = running_role(name)
            if role is not None and len(naming) == len(result) and isinstance(value, list | tuple) and len(value):
                with contextlib.suppress(ValueError, TypeError):
                    found.setdefault(role.kind, np.asarray(value[0], dtype=np.float64).reshape(-1))
    return found


def share(observed: Array, old: Array, new: Array) -> float | None:
    """The a of observed = (1 - a) old + a new; None where there is none."""
    if observed.shape != old.shape:
        return None
    way = new - old
    a = float(np.vdot(way, observed - old) / np.vdot(way, way))
    return a if np.allclose(observed, old + a * way, rtol=1e-6, atol=1e-9) else None


def judged(shares: dict[str, float | None]) -> Report:
    """Mean and variance must take the same small share of the new batch."""
    subject, formula = "running averages", "running = (1 - momentum) running + momentum batch"
    names = {"mean": "running_mean", "var": "running_var"}
    findings = []
    for kind, a in shares.items():
        other = shares["var" if kind == "mean" else "mean"]
        if a is None:
            continue
        if abs(a - 1) < 1e-9:
            slip = "running_is_last_batch", "the running averages are those of the last batch"
        elif abs(a) < 1e-9:
            slip = "running_not_advanced", "the running averages do not move"
        elif other is not None and a > 0.5 and abs(a + other - 1) < 1e-9:
            slip = "running_weights_exchanged", "old average and new batch have each other's weight"
        else:
            continue
        place = f"{subject}: {names[kind]}"
        findings.append(Finding(place, slip[1], slip[0], formula=formula, link=f"{DERIVATIONS}#batch-normalization"))
    if not findings and None in shares.values():
        raise absent("running averages")
    return Report(subject, findings, [names[kind] for kind, a in shares.items() if a is not None and not findings])
