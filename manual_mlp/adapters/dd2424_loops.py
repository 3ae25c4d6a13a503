"""A DD2424 training loop as a whole: which images it hands to its gradient, and the running averages that it keeps."""

import contextlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import Inputs, rectified
from manual_mlp.adapters.calls import prepared
from manual_mlp.adapters.dd2424_listening import Call, listening, parameters_in
from manual_mlp.adapters.dd2424_training import step_keywords, unexplained, with_amounts
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.roles import returned_names, running_role, unpacked_names
from manual_mlp.diagnosis import diagnose_minibatches
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.layers import Array

CHOICES = {  # the course asks for none
    "minibatches_not_shuffled",
    "minibatches_same_order",
    "minibatches_blocks_shuffled",
    "minibatches_with_replacement",
}


def trained(network: Network, part: Part, reading: Reading, given: Inputs, **options: Any) -> tuple[Any, list[Call]]:
    """What the training function returned, and every batch that it made. Some divide by the number of whole cycles."""
    for half_cycle in (10, 1):
        with contextlib.suppress(Failed):
            return trained_with(network, part, reading, given, options | {"half cycle": half_cycle})
    raise absent("minibatches")


def trained_with(
    network: Network, part: Part, reading: Reading, given: Inputs, options: dict[str, Any]
) -> tuple[Any, list[Call]]:
    env, instance = prepared(network, reading.how, given, part)
    function = part.function.__get__(instance) if part.method_of else part.function
    answers = {**env, **options, "images": len(given.x)}
    with listening(network, part, reading, given) as heard, with_amounts(network, part, instance, answers):
        keywords = step_keywords(network.program, part, env | options, {}, answers)
        result = network.program.guard.call(part.title, function, **keywords)
    return result, [call for call in heard.calls if len(call.x) <= options["n"]]


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
    report = judged_epochs([[(call.x, call.y) for call in epoch] for epoch in in_epochs(calls)], given)
    if not report.ok and unexplained(network, part):
        raise absent("minibatches")  # one of these numbers may say how many images there are
    return report


def judged_epochs(
    epochs: list[list[tuple[Array, Array | None]]], given: Inputs, choices: Collection[str] = frozenset(CHOICES)
) -> Report:
    """Which images there are in the batches of each epoch; with their labels where these were heard."""
    if all(y is not None for epoch in epochs for _, y in epoch):
        report = diagnose_minibatches(epochs, given.x, given.y)
    else:
        rows = {row.tobytes(): number for number, row in enumerate(given.x)}
        numbers = [[np.array([rows.get(row.tobytes(), -1) for row in x]) for x, _ in epoch] for epoch in epochs]
        report = diagnose_minibatches(numbers, len(given.x))
    findings = [finding for finding in report.findings if finding.mistake not in choices]
    if any(finding.mistake == "minibatches_unknown_image" for finding in findings):
        raise absent("minibatches")  # augmented, perhaps
    notes = [f"{f.place}: {f.sentence}" for f in report.findings if f.mistake in choices]
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
    """Two batches: what it returns as running averages lies between the statistics of the two."""
    reading = reading_of(network, batch_norm=True)
    given = images(reading, 22)
    result, calls = trained(network, part, reading, given, n=11, epochs=1, eta=0.0)
    returned = averages_in(network, part, result)
    if len(calls) != 2 or set(returned) != {"mean", "var"}:
        raise absent("running averages")
    first, second = (scores_of(call, reading) for call in calls)
    shares = {}
    for kind, batches in {
        "mean": [(first.mean(axis=0), second.mean(axis=0))],
        "var": [(first.var(axis=0, ddof=ddof), second.var(axis=0, ddof=ddof)) for ddof in (0, 1)],
    }.items():
        shares[kind] = next((s for old, new in batches if (s := share(returned[kind], old, new)) is not None), None)
    return judged(shares)


def scores_of(call: Call, reading: Reading) -> Array:
    """What the first batch normalization is given, with the parameters as they were at this batch: a loop may have a
    learning rate of its own.
    """
    held = [found for place in call.places if (found := parameters_in(place, reading)) is not None]
    parameters = held[0] if held else reading.given.parameters
    scores = np.asarray(call.x @ parameters["linear1.weight"].T + parameters["linear1.bias"])
    return rectified(reading.given, scores) if reading.given.relu_first else scores


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
