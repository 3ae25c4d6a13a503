"""A whole network at test time: its class scores with the running statistics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.blocks import layer_names
from manual_mlp.checks import checked_fraction, checked_images, checked_number, checked_skips
from manual_mlp.diagnosis.buffers import at_first, checked_buffers
from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted
from manual_mlp.diagnosis.dropout import Dropped, checked_dropout
from manual_mlp.diagnosis.epsilon import EPS, eps_note, settle
from manual_mlp.diagnosis.mistakes.dropout import DROPOUT_TEST
from manual_mlp.diagnosis.mistakes.linear import LINEAR
from manual_mlp.diagnosis.mistakes.relu import RELU
from manual_mlp.diagnosis.mistakes.running_statistics import BATCH_NORM_TEST
from manual_mlp.diagnosis.mistakes.skip import SKIP
from manual_mlp.diagnosis.mistakes.softmax_cross_entropy import SCORES
from manual_mlp.diagnosis.network import checked_order, checked_parameters, sizes_of
from manual_mlp.diagnosis.precision import SINGLE, size, tolerance_for
from manual_mlp.diagnosis.reference import Batch, forward_pass
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.diagnosis.running_statistics import advanced_by_evaluation
from manual_mlp.diagnosis.strangers import Unusable, call, numbers
from manual_mlp.diagnosis.unnamed_settings import hint
from manual_mlp.layers import BATCH_NORM_EPS, Array


def diagnose_test_mode(
    answer: Callable[..., Any] | ArrayLike,
    parameters: Mapping[str, ArrayLike],
    buffers: Mapping[str, ArrayLike],
    x: ArrayLike,
    *,
    dropout: float | None = None,
    relu_first: bool = False,
    skips: Sequence[int] = (),
    relu_slope: float = 0.0,
    eps: float | None = None,
) -> Report:
    """Are these the class scores of the network at test time, and if not, what is wrong?

    answer      logits (N, K), or probabilities; or a function (parameters, buffers, x) that returns them
    parameters, buffers  by our names: linear1.weight, ..., bn1.running_mean, bn1.running_var, ...
    dropout     the probability to drop, if the network drops units in training; a function is then asked twice
    relu_first, skips  as `MLP` has them
    relu_slope  what a leaky ReLU multiplies its negative inputs by
    eps         batch normalization's; None: whatever the network has, measured
    """
    values, depth = checked_parameters(parameters)
    eps = None if eps is None else checked_number("eps", eps, minimum=0)
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    running = checked_buffers(buffers, at_first(names, values))
    if missing := at_first(names, values).keys() - running.keys():
        raise ValueError(f"buffers lacks {', '.join(sorted(missing))}; give the running statistics of every layer")
    x = checked_images(x, values["linear1.weight"].shape[1], np.dtype(np.float64), batch_statistics=False)
    p = checked_dropout(dropout)
    drop = None if p is None else Dropped(p, ())
    batch = Batch(
        values,
        x,
        np.zeros(len(x), dtype=int),
        0.0,
        running,
        drop,
        checked_order(relu_first, values),
        checked_skips(skips, sizes_of(names, values)),
        relu_slope=checked_fraction("relu_slope", relu_slope),
    )
    place, broken, again = "logits at test time", [], None
    if callable(answer):
        given_buffers = {name: value.copy() for name, value in running.items()}
        copies = {name: value.copy() for name, value in values.items()}
        try:
            function = answer
            answer = call(place, lambda images: function(copies, given_buffers, images), x)
            if drop:
                fresh = {name: value.copy() for name, value in running.items()}
                again = call(place, lambda images: function(copies, fresh, images), x)
        except Unusable as unusable:
            return Report("test mode", [unusable.finding])
        if any(
            name not in given_buffers or not np.array_equal(given_buffers[name], value)
            for name, value in running.items()
        ):
            broken.append(advanced_by_evaluation("running averages"))
    try:
        logits, reshaped = numbers(place, answer, (len(x), len(values[names[-1].weight])))
        if again is not None and differ(logits, numbers(place, again, logits.shape)[0]):
            return Report("test mode", [*broken, drops_at_test_time(place)])
    except Unusable as unusable:
        return Report("test mode", [*broken, unusable.finding])
    if reshaped is not None:
        broken.append(reshaped)
    probabilities = logits.ndim == 2 and bool((logits >= 0).all()) and np.allclose(logits.sum(axis=1), 1, atol=1e-4)

    def comparison_at(eps: float, batch: Batch = batch) -> Comparison:
        def predict(planted: Sequence[Planted], _: int) -> Numbers:
            result = forward_pass(batch, names, planted, eps, test=True)
            return {"logits": np.asarray(result.loss.p if probabilities else result.logits)}

        observed: dict[str, Array] = {"logits": logits}
        scales = {"logits": size(predict((), 0)["logits"])}
        return Comparison(["logits"], [observed], [scales], predict, tolerance_for([observed]), {"logits": place}, [{}])

    candidates = [
        Planted(
            mistake, variant, frozenset({layer}) if layer else None, f"layer {layer} alone" if layer else "every layer"
        )
        for layer in (None, *range(1, depth + 1))
        for mistake in [
            *BATCH_NORM_TEST,
            *RELU,
            *SCORES,
            *LINEAR,
            *(DROPOUT_TEST if drop else []),
            *(SKIP if skips else []),
        ]
        for variant in mistake.variants
        if any(line.endswith((".out", ".order", "batch_norm_test.inv_std")) for line in variant)
    ]
    guesses = (eps,) if eps is not None else EPS if "bn1.weight" in values else (BATCH_NORM_EPS,)
    settled = settle(comparison_at, candidates, guesses)
    notes = [eps_note(settled.eps)] if eps is None and settled.eps != BATCH_NORM_EPS else []
    if settled.findings:
        notes += hint(batch, names, guesses, lambda settings, eps: comparison_at(eps, replace(batch, **settings)))
    return Report("test mode", [*broken, *settled.findings], settled.agreeing, settled.unjudged, notes)


def differ(one: Array, other: Array) -> bool:
    return one.shape != other.shape or not np.allclose(one, other, rtol=0, atol=SINGLE * size(one), equal_nan=True)


def drops_at_test_time(place: str) -> Finding:
    sentence = "asked again, it has other class scores for the same images: units are dropped at test time"
    return Finding(place, sentence, "dropout_at_test_time", formula="out = x", link=f"{DERIVATIONS}#dropout")
