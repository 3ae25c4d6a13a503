"""The user's own gradient check: the numerical gradients that it compares with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.checks import checked_number
from manual_mlp.diagnosis.buffers import at_first, checked_buffers
from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.explain import explain
from manual_mlp.diagnosis.mistakes.numerical import NUMERICAL
from manual_mlp.diagnosis.network import checked_batch
from manual_mlp.diagnosis.reference import Batch, forward_pass
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, numbers
from manual_mlp.diagnosis.textbook import Values, compute
from manual_mlp.layers import BATCH_NORM_EPS, Array

TOLERANCE = 1e-6  # of a parameter's largest slope; rounding of the cost over h comes on top
MOST_ENTRIES = 5000


def diagnose_numerical_gradients(
    gradients: Mapping[str, ArrayLike],
    parameters: Mapping[str, ArrayLike],
    x: ArrayLike,
    y: ArrayLike,
    l2: float = 0.0,
    *,
    h: float = 1e-5,
    buffers: Mapping[str, ArrayLike] | None = None,
    relu_first: bool = False,
    skips: Sequence[int] = (),
    label_smoothing: float = 0.0,
    eps: float = BATCH_NORM_EPS,
) -> Report:
    """Are these the centered differences of the training cost, and if not, what is wrong with the check that made them?

    gradients   by the parameters' names, in the order in which the check goes through them, of all or some parameters
    h           the step of the check
    buffers     bn1.running_mean, bn1.running_var, ...: tell a check in test mode; left out, they are 0 and 1
    relu_first, skips, label_smoothing  as `MLP` has them
    """
    training, names = checked_batch(parameters, x, y, l2, relu_first, skips, label_smoothing)
    values, known = training.parameters, at_first(names, training.parameters)
    training = replace(training, buffers={**known, **checked_buffers({} if buffers is None else buffers, known)})
    h, eps = checked_number("h", h, minimum=0), checked_number("eps", eps, minimum=0)
    if not isinstance(gradients, Mapping):
        raise ValueError(f"gradients are a {type(gradients).__name__}; they must be a dictionary by our names")
    if unknown := set(gradients) - set(values):
        raise ValueError(f"gradients has {sorted(unknown)}, which are no parameters; these are {', '.join(values)}")
    if not gradients or h == 0:
        raise ValueError("gradients are empty or h is 0; give the numerical gradients and the step that made them")
    entries = sum(values[name].size for name in gradients)
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"gradients has {entries} entries, each of which costs two passes; check a smaller network, with ten inputs"
        )
    broken: list[Finding] = []
    observed: dict[str, Array] = {}
    for name, gradient in gradients.items():
        try:
            observed[name], reshaped = numbers(name, gradient, values[name].shape)
        except Unusable as unusable:
            broken.append(unusable.finding)
            continue
        if reshaped is not None:
            broken.append(reshaped)

    def predict(planted: Sequence[Planted], _: int) -> Numbers:
        lines = lines_at(planted)
        moved = {name: value.copy() for name, value in values.items()}
        batch = replace(training, parameters=moved)
        slopes = {}
        for name in observed:
            slopes[name] = np.zeros(moved[name].shape)
            for entry in np.ndindex(moved[name].shape):
                at = partial(cost_at, batch, moved[name], entry, float(moved[name][entry]))
                v = Values(
                    h=h, training_cost=partial(at, "cost"), test_cost=partial(at, "test"), loss=partial(at, "loss")
                )
                compute("numerical", "forward", v, lines)
                slopes[name][entry] = v.slope
                moved[name][entry] += v.left_at
        return slopes

    def cost_at(batch: Batch, parameter: Array, entry: tuple[int, ...], value: float, what: str, step: float) -> float:
        parameter[entry] = value + step
        result = forward_pass(batch, names, (), eps, test=what == "test")
        parameter[entry] = value
        return float(result.loss.loss if what == "loss" else result.cost)

    expected = predict((), 0)
    rounding = 1e-14 / h / TOLERANCE
    scales = {name: max(float(np.abs(slope).max()), rounding) for name, slope in expected.items()}
    titles = {name: f"numerical gradient of {name}" for name in observed}
    comparison = Comparison(list(observed), [observed], [scales], predict, TOLERANCE, titles, [{"l2": l2}])
    candidates = [
        Planted(mistake, variant, None, "")
        for mistake in NUMERICAL
        for variant in mistake.variants
        if (l2 or mistake.id != "check_without_penalty")
        and ("bn1.weight" in values or mistake.id != "check_in_test_mode")
    ]
    findings, agreeing, unjudged = explain(comparison, candidates)
    return Report("numerical gradients", [*broken, *findings], agreeing, unjudged)
