"""Batch normalization's statistics for test time, measured anew over all images: PreciseBN, and AdaBN in one batch."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.blocks import LayerNames, layer_names
from manual_mlp.checks import checked_images, checked_integer, checked_number, checked_skips
from manual_mlp.diagnosis.buffers import at_first, checked_buffers
from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.epsilon import EPS, eps_note, measured_eps
from manual_mlp.diagnosis.explain import explain
from manual_mlp.diagnosis.mistakes.batch_statistics import BATCH_STATISTICS
from manual_mlp.diagnosis.network import checked_order, checked_parameters, sizes_of
from manual_mlp.diagnosis.precision import size, tolerance_for
from manual_mlp.diagnosis.reference import Batch, forward_pass
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers
from manual_mlp.diagnosis.textbook import Line, Values, compute
from manual_mlp.layers import BATCH_NORM_EPS, Array

BIASED: dict[str, Line] = {"batch_statistics.unbiased": lambda _: 1.0}
FORMS: dict[str, dict[str, Line]] = {  # what is as right as the textbook's line, by what is said of it
    "": {},
    "the variance is the biased one, divided by N; here it is divided by N - 1": BIASED,
    "each layer is measured behind layers that are in test mode already, with their new statistics": {
        "batch_statistics.inputs": lambda v: v.behind_new
    },
    "all images are one batch": {"batch_statistics.inputs": lambda v: v.behind_biased},
    "all images are one batch, and the variance is the biased one, divided by N; here it is divided by N - 1": {
        "batch_statistics.inputs": lambda v: v.behind_biased,
        **BIASED,
    },
}


def diagnose_batch_statistics(
    answer: Callable[..., Any] | Mapping[str, ArrayLike],
    parameters: Mapping[str, ArrayLike],
    x: ArrayLike,
    batch_size: int | None = None,
    *,
    buffers: Mapping[str, ArrayLike] | None = None,
    relu_first: bool = False,
    skips: Sequence[int] = (),
    eps: float | None = None,
) -> Report:
    """Are these the statistics of all images x, as `precise_batch_norm` measures them, and if not, what is wrong?

    answer      the new statistics by our names, bn1.running_mean, bn1.running_var, ...; or a function (parameters,
                buffers, x) that returns them, or writes them into buffers
    parameters  by our names: linear1.weight, ..., bn1.weight, ...
    x           (N, D), of which batch_size are normalized together; for adaptive statistics batch_size is N. Left
                out, it is 1000, as `precise_batch_norm` has it, or N where that is less
    buffers     the statistics before; left out, they are 0 and 1
    relu_first, skips  as `MLP` has them
    eps         batch normalization's; None: whatever the network has, measured
    """
    values, depth = checked_parameters(parameters)
    if "bn1.weight" not in values:
        raise ValueError("parameters have no batch normalization (bn1.weight, ...), so there are no statistics")
    x = checked_images(x, values["linear1.weight"].shape[1], np.dtype(np.float64), batch_statistics=True)
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    old = at_first(names, values)
    old |= checked_buffers({} if buffers is None else buffers, old)
    order, around = checked_order(relu_first, values), checked_skips(skips, sizes_of(names, values))
    network = Batch(values, x, np.zeros(len(x), int), 0.0, old, relu_first=order, skips=around)
    batch_size = min(1000, len(x)) if batch_size is None else checked_integer("batch_size", batch_size, minimum=2)
    if batch_size > len(x):
        raise ValueError(f"batch_size is {batch_size}, but x has {len(x)} images; give at most so many")
    eps = None if eps is None else checked_number("eps", eps, minimum=0)
    broken: list[Finding] = []
    observed: dict[str, Array] = {}
    try:
        given = called(answer, values, old, x) if callable(answer) else answer
        if not isinstance(given, Mapping):
            raise Unusable("statistics", "wrong_type", f"they are a {type(given).__name__}; they must be a dictionary")
    except Unusable as unusable:
        return Report("batch statistics", [unusable.finding])
    for name, value in old.items():
        try:
            observed[name], reshaped = numbers(name, given.get(name), value.shape)
            broken += [reshaped] if reshaped is not None else []
        except Unusable as unusable:
            broken.append(unusable.finding)
    seen: dict[tuple[float, str], list[Values]] = {}
    groupings = grouped(network, batch_size)

    def comparison_at(eps: float, grouping: str, form: Mapping[str, Line]) -> Comparison:
        if (eps, grouping) not in seen:
            seen[eps, grouping] = inputs_of(network, groupings[grouping], depth, eps)

        def predict(planted: Sequence[Planted], _: int) -> Numbers:
            new: dict[str, Array] = {}
            for number, v in enumerate(seen[eps, grouping], start=1):
                v = compute("batch_statistics", "forward", Values(**vars(v)), {**form, **lines_at(planted, number)})
                layer = names[number - 1]
                new |= {layer.running_mean: np.asarray(v.kept_mean), layer.running_var: np.asarray(v.kept_var)}
            return new

        scales = {name: size(value) for name, value in predict((), 0).items()}
        titles = {name: name for name in scales}
        return Comparison(list(scales), [observed], [scales], predict, tolerance_for([observed]), titles, [{}])

    guesses = EPS if eps is None else (eps,)
    ways = {
        (grouping, note): measured_eps(partial(comparison_at, grouping=grouping, form=form), guesses)
        for grouping, (note, form) in itertools.product(groupings, FORMS.items())
    }
    right = {said: way for said, way in ways.items() if way[1].agrees}
    reports = []
    for said, (best, comparison) in (right or ways).items():
        findings, agreeing, unjudged = explain(comparison, everywhere(depth))
        notes = [*filter(None, said), *([eps_note(best)] if eps is None and best != BATCH_NORM_EPS else [])]
        reports.append(Report("batch statistics", [*broken, *findings], agreeing, unjudged, notes))
        if not findings or (len(findings) == 1 and findings[0].mistake is not None):
            break
    return min(reports, key=lambda report: (any(f.mistake is None for f in report.findings), len(report.findings)))


def grouped(network: Batch, batch_size: int) -> dict[str, list[Batch]]:
    """The batches, by what is said of them: a last one of one image may join the one before it, or stand alone."""
    n = len(network.x)
    alone = range(0, n, batch_size)
    joined = range(0, n - 1, batch_size)
    ways = {"": joined}
    if len(joined) < len(alone):
        ways["the last batch is one image alone, whose variance is 0; here it joins the batch before it"] = alone
    return {
        note: [replace(network, x=network.x[a:b], y=network.y[a:b]) for a, b in itertools.pairwise([*starts, n])]
        for note, starts in ways.items()
    }


def called(answer: Callable[..., Any], values: Mapping[str, Array], old: Mapping[str, Array], x: Array) -> Any:
    """What it returns, or has written into the buffers."""
    parameters = {name: value.copy() for name, value in values.items()}
    buffers = {name: value.copy() for name, value in old.items()}

    def written(images: Array) -> Any:
        new = answer(parameters, buffers, images)
        return buffers if new is None else new

    return call("statistics", written, x)


def inputs_of(network: Batch, batches: Sequence[Batch], depth: int, eps: float) -> list[Values]:
    """What batch normalization gets and puts out in each hidden layer: in training mode, in test mode, and in test mode
    where the layers before it have their new statistics.
    """
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    training = [forward_pass(batch, names, (), eps).layers for batch in batches]
    testing = [forward_pass(batch, names, (), eps, test=True).layers for batch in batches]
    behind = [behind_new(network, names, eps, ddof) for ddof in (1, 0)]
    layers = []
    for number, layer in enumerate(names[:-1]):
        layers.append(
            Values(
                training=[batch[number].batch_norm.x for batch in training],
                outputs=[batch[number].batch_norm.out for batch in training],
                testing=[batch[number].batch_norm.x for batch in testing],
                behind_new=[behind[0][number]],
                behind_biased=[behind[1][number]],
                old_mean=network.buffers[layer.running_mean],
                old_var=network.buffers[layer.running_var],
            )
        )
    return layers


def behind_new(network: Batch, names: Sequence[LayerNames], eps: float, ddof: int) -> list[Array]:
    """What batch normalization gets in each hidden layer, where those before it have the statistics of all images: with
    the unbiased variance, or with the biased one, as in one batch.
    """
    new, inputs = dict(network.buffers), []
    for number, layer in enumerate(names[:-1]):
        x = forward_pass(replace(network, buffers=new), names, (), eps, test=True).layers[number].batch_norm.x
        new |= {layer.running_mean: x.mean(axis=0), layer.running_var: x.var(axis=0, ddof=ddof)}
        inputs.append(x)
    return inputs


def everywhere(depth: int) -> list[Planted]:
    return [
        Planted(mistake, variant, layers, where)
        for layers, where in [
            (None, "every layer"),
            *((frozenset({layer}), f"layer {layer} alone") for layer in range(1, depth)),
        ]
        for mistake in BATCH_STATISTICS
        for variant in mistake.variants
    ]
