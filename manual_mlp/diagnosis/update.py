"""One step of gradient descent: the parameters before and after it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.checks import checked_fraction, checked_number, checked_reals
from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.explain import explain
from manual_mlp.diagnosis.mistakes.mistake import Mistake
from manual_mlp.diagnosis.mistakes.update import ADAMW_UPDATE, UPDATE
from manual_mlp.diagnosis.network import checked_batch, checked_parameters, diagnose
from manual_mlp.diagnosis.reference import Memory, forward_pass, gradients_of
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, in_one_array, numbers
from manual_mlp.diagnosis.textbook import Line, Values, compute
from manual_mlp.layers import BATCH_NORM_EPS, Array

TOLERANCE = 1e-7  # of a parameter's largest step; what the step and before - after round off comes on top
ADAM_EPS = 1e-8
AFTER_THE_STEP: dict[str, Line] = {
    "adamw_update.decay": lambda v: v.eta * v.weight_decay * (v.value - v.eta * v.direction)
}


def diagnose_update(
    before: Mapping[str, ArrayLike],
    after: Mapping[str, ArrayLike],
    eta: float,
    *,
    gradients: Mapping[str, ArrayLike] | None = None,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    l2: float = 0.0,
    weight_decay: float | None = None,
    relu_first: bool = False,
    skips: Sequence[int] = (),
    label_smoothing: float = 0.0,
    relu_slope: float = 0.0,
    eps: float = BATCH_NORM_EPS,
) -> Report:
    """Is after = before - eta (gradients + 2 l2 W), and if not, what is wrong?

    before, after  the parameters by our names, copies from before and after one step
    gradients      those of the loss; the penalty is the update's part. Give l2 = 0 where they contain it already.
    x, y           instead of gradients, where gradient and update are one function: the images and labels of the step.
                   What the step says about the gradient, (before - after) / eta, is then diagnosed as well.
    relu_first, skips, label_smoothing, relu_slope, eps  what the network of x and y has, as in `diagnose`
    weight_decay   if given, the step is the first of AdamW, of the gradients as they are: with eps 1e-8
    """
    old, depth = checked_parameters(before)
    eps = checked_number("eps", eps, minimum=0)
    eta, l2 = checked_rate(eta), checked_number("l2", l2, minimum=0)
    if weight_decay is not None:
        weight_decay = checked_number("weight_decay", weight_decay, minimum=0)
        if gradients is None or l2:
            raise ValueError("weight_decay is given; give the gradients that AdamW is given too, and no l2")
    fused = gradients is None
    if not fused and (x is not None or y is not None):
        raise ValueError("gradients are given, and x or y as well; give the gradients, or x and y that they come from")
    if gradients is None:
        if x is None or y is None:
            raise ValueError("gradients are missing; give them, or x and y of the step")
        batch, names = checked_batch(before, x, y, 0.0, relu_first, skips, label_smoothing)
        batch = replace(batch, relu_slope=checked_fraction("relu_slope", relu_slope))
        gradients = dict(gradients_of(forward_pass(batch, names, (), eps), names))
    loss = checked_gradients(old, gradients)
    new, broken = after_step(old, after)
    comparison = comparison_of(old, new, loss, eta, l2, weight_decay)
    note = ""
    if weight_decay is not None:
        after_the_step = comparison_of(old, new, loss, eta, l2, weight_decay, AFTER_THE_STEP)
        if right(after_the_step) > right(comparison):
            note, comparison = "the weights decay after the step instead of before it", after_the_step
    known = UPDATE if weight_decay is None else ADAMW_UPDATE
    findings, agreeing, unjudged = explain(comparison, everywhere(old, depth, known))
    if (
        fused
        and any(finding.mistake is None for finding in findings)
        and x is not None
        and y is not None
        and not broken
    ):
        recovered = {name: (old[name] - new[name]) / eta for name in old}
        cost = forward_pass(replace(batch, l2=l2), names, (), eps).cost
        inner = diagnose(
            (cost, recovered),
            old,
            x,
            y,
            l2,
            relu_first=relu_first,
            skips=skips,
            label_smoothing=label_smoothing,
            relu_slope=relu_slope,
            eps=eps,
            tolerance=recovered_tolerance(comparison),
        )
        if inner.findings and (inner.findings[0].mistake or findings[0].mistake is None):
            agreeing = [place for place in inner.agreeing if place != "cost"]  # which is the reference's own
            return Report("update", inner.findings, agreeing, inner.unjudged, inner.notes)
    return Report("update", [*broken, *findings], agreeing, unjudged, [note] if note else [])


def checked_rate(eta: float) -> float:
    eta = checked_number("eta", eta, minimum=0)
    if eta == 0:
        raise ValueError("eta is 0: nothing moves; give the learning rate of the step")
    return eta


def checked_gradients(old: Mapping[str, Array], gradients: Mapping[str, ArrayLike]) -> dict[str, Array]:
    if not isinstance(gradients, Mapping):
        raise ValueError(
            f"gradients are a {type(gradients).__name__}; they must be a dictionary by the parameters' names"
        )
    checked: dict[str, Array] = {}
    for name, value in old.items():
        if name not in gradients:
            raise ValueError(f"gradients[{name!r}] is missing; every parameter needs its gradient")
        try:
            gradient, _ = numbers(name, gradients[name], value.shape)
        except Unusable as unusable:
            raise ValueError(f"gradients[{name!r}]: {unusable}") from None
        if gradient.shape != value.shape:
            raise ValueError(f"gradients[{name!r}] has shape {gradient.shape}; it must be {value.shape}")
        checked[name] = checked_reals(f"gradients[{name!r}]", gradient)
    return checked


def is_descent(
    before: Mapping[str, ArrayLike],
    after: Mapping[str, ArrayLike],
    eta: float,
    gradients: Mapping[str, ArrayLike],
    l2: float = 0.0,
) -> bool:
    """Whether `diagnose_update` has nothing to say, without looking for mistakes."""
    old, _ = checked_parameters(before)
    eta, l2 = checked_rate(eta), checked_number("l2", l2, minimum=0)
    new, broken = after_step(old, after)
    return not broken and comparison_of(old, new, checked_gradients(old, gradients), eta, l2, None).agrees


def right(comparison: Comparison) -> int:
    """How many parameters are."""
    return sum(off <= comparison.tolerance for off in comparison.residuals([]).values())


def after_step(old: Mapping[str, Array], after: Mapping[str, ArrayLike]) -> tuple[dict[str, Array], list[Finding]]:
    """The parameters after the step, and what is wrong with them as arrays."""
    new: dict[str, Array] = {}
    broken = []
    for name, value in old.items():
        try:
            if name not in after:
                raise Unusable(name, "unfilled", "it is missing after the step")
            new[name], reshaped = numbers(name, after[name], value.shape)
            if reshaped is not None:
                broken.append(reshaped)
        except Unusable as unusable:
            broken.append(unusable.finding)
    return new, [*broken, *in_one_array(after)]


def comparison_of(
    old: Mapping[str, Array],
    new: Mapping[str, Array],
    loss: Mapping[str, Array],
    eta: float,
    l2: float,
    weight_decay: float | None,
    form: Mapping[str, Line] | None = None,
) -> Comparison:
    operation, decay = "update" if weight_decay is None else "adamw_update", weight_decay or 0.0
    memory = Memory()

    def step_of(name: str, lines: Mapping[str, Line]) -> Array:
        weight = name.startswith("linear") and name.endswith(".weight")
        v = Values(value=old[name], gradient=loss[name], eta=eta, l2=l2 if weight else 0.0, weight_l2=l2)
        if name.startswith("bn"):
            end = "bias" if name.endswith("weight") else "weight"
            v.partner = loss[f"{name.split('.')[0]}.{end}"]
        v.weight_decay, v.decay_of_weights, v.eps = decay if weight else 0.0, decay, ADAM_EPS
        step: Array = compute(operation, "forward", v, lines).step
        return step

    def predict(planted: Sequence[Planted], _: int) -> Numbers:
        steps = {}
        for name in old:
            lines = {**(form or {}), **lines_at(planted, name)}
            steps[name] = memory.recall((name, frozenset(lines.items())), step_of, name, lines)
        return steps

    eps = max((np.finfo(value.dtype).eps for value in new.values()), default=np.finfo(np.float64).eps)
    scales = {}
    for name, step in predict((), 0).items():
        longest, largest = float(np.abs(step).max()), float(np.abs(old[name]).max())
        scales[name] = max(longest, 4 * float(eps) * max(largest, longest) / TOLERANCE) or 1.0
    for name in [name for name in old if name.startswith("bn") and name.endswith("weight")]:
        layer = name.removeprefix("bn").removesuffix(".weight")  # its bias has no gradient, but what is rounded off
        scales[f"linear{layer}.bias"] = max(scales[f"linear{layer}.{end}"] for end in ("bias", "weight"))
    observed = {name: old[name] - value.astype(np.float64) for name, value in new.items()}
    return Comparison(list(old), [observed], [scales], predict, TOLERANCE, {name: name for name in old}, [{"l2": l2}])


def recovered_tolerance(comparison: Comparison) -> float:
    """(before - after) / eta has lost the digits that before and after share."""
    steps = {name: float(np.abs(step).max()) for name, step in comparison.predict((), 0).items()}
    moved = [name for name, step in steps.items() if step > 1e-6 * max(steps.values())]  # not biases before batch norm
    return TOLERANCE * max((comparison.scales[0][name] / steps[name] for name in moved), default=1.0)


def everywhere(old: Mapping[str, Array], depth: int, known: Sequence[Mistake]) -> list[Planted]:
    """Every mistake in one parameter, in a layer, in all of a kind, in all: of two that say the same, the fewest."""
    groups: dict[str, frozenset[object]] = {"every parameter": frozenset(old)}
    kinds = {
        "all weights": ("linear", ".weight"),
        "all biases": ("linear", ".bias"),
        "all gammas": ("bn", ".weight"),
        "all betas": ("bn", ".bias"),
        "gamma and beta of every layer": ("bn", ""),
    }
    for title, (start, end) in kinds.items():
        groups[title] = frozenset(name for name in old if name.startswith(start) and name.endswith(end))
    groups["all but the weights"] = frozenset(old) - groups["all weights"]
    for layer in range(1, depth + 1):
        names = {name for name in old if name.split(".")[0] in (f"linear{layer}", f"bn{layer}")}
        groups[f"layer {layer}"] = frozenset(names)
        groups[f"gamma and beta of layer {layer}"] = frozenset(name for name in names if name.startswith("bn"))
    groups |= {name: frozenset({name}) for name in old}
    distinct = {group: title for title, group in groups.items() if group}
    return [
        Planted(mistake, variant, group, title)
        for group, title in sorted(distinct.items(), key=lambda item: len(item[0]))
        for mistake in known
        for variant in mistake.variants
    ]
