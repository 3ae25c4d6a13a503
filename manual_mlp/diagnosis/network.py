"""A whole network: cost and gradients beside the textbook's, strung together from the same lines."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.blocks import LayerNames, layer_names
from manual_mlp.checks import (
    checked_bool,
    checked_fraction,
    checked_images,
    checked_labels,
    checked_number,
    checked_reals,
    checked_skips,
)
from manual_mlp.diagnosis.candidates import everywhere, possible
from manual_mlp.diagnosis.comparison import Comparison, InOrder, Numbers, Planted
from manual_mlp.diagnosis.dropout import checked_dropout, read_masks, shared_draw, wrong_share
from manual_mlp.diagnosis.epsilon import EPS, TINY, eps_note, settle
from manual_mlp.diagnosis.leaky_relu import measured_slope, slope_note
from manual_mlp.diagnosis.mistakes.softmax_cross_entropy import RIGHT_AT_USUAL_SCORES
from manual_mlp.diagnosis.own_penalty import with_own_l2
from manual_mlp.diagnosis.precision import is_single, mixed, tolerance_for
from manual_mlp.diagnosis.questions import answer_to, asked, ignores_l2
from manual_mlp.diagnosis.reference import Batch, Memory, forward_pass, gradients_of
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.rounding import roundings, uncertainty
from manual_mlp.diagnosis.strangers import Unusable, call, in_one_array, numbers, unpacked
from manual_mlp.diagnosis.unnamed_settings import Settings, hint
from manual_mlp.layers import BATCH_NORM_EPS, Array, Labels

CostAndGradients = Callable[[dict[str, Array], Array, Labels, float], tuple[Any, ...]]


def diagnose(
    answer: CostAndGradients | tuple[float, Mapping[str, ArrayLike]],
    parameters: Mapping[str, ArrayLike],
    x: ArrayLike,
    y: ArrayLike,
    l2: float = 0.0,
    *,
    dropout: float | None = None,
    relu_first: bool = False,
    skips: Sequence[int] = (),
    label_smoothing: float = 0.0,
    relu_slope: float | Sequence[float] = 0.0,
    eps: float | None = None,
    tolerance: float | None = None,
) -> Report:
    """Are cost and gradients of this network right, and if not, what is wrong first?

    answer      a function (parameters, x, y, l2) -> cost, gradients; or the pair (cost, gradients) for this one batch.
                A function says far more: it is asked at several batch sizes, with and without l2.
    parameters  by our names: linear1.weight (out, in), linear1.bias, bn1.weight (gamma), bn1.bias (beta), ...;
                the network has batch normalization if it has their names. The gradients have the same names.
    x, y, l2    images (N, D) as rows, class numbers (N,), cost = mean cross-entropy + l2 sum(W^2). A function is asked
                with other l2, too; where l2 is 0 and the function heeds none, a penalty is not missing.
    dropout     the probability with which a unit behind a ReLU is dropped, if any. The function must then return
                (cost, gradients, masks), where masks has an array (N, units) for each hidden layer, 0 where a unit was
                dropped in this very call: the reference drops the same. So it needs no seed; one that it sets anew in
                every call, as for a gradient check, is a remark and no mistake.
    relu_first, skips, label_smoothing  as `MLP` has them: batch normalization stands behind the ReLU; the hidden layers
                whose input is added to their output; the share of the target that is spread over all classes
    relu_slope  what a leaky ReLU multiplies its negative inputs by; several: the one that the network has, measured
    eps         batch normalization's; None: whatever the network has, measured
    tolerance   of a parameter's largest gradient; None: 1e-9, and 2e-4 for float32

    A function is not asked at biases and betas that are all 0 or gammas that are all 1, where wrong gradients can look
    right: such parameters are moved first.
    """
    if not callable(answer) and not isinstance(answer, tuple | list):
        raise ValueError(
            f"answer is a {type(answer).__name__}; it must be a function (parameters, x, y, l2) -> cost, gradients,"
            " or the pair (cost, gradients)"
        )
    eps = None if eps is None else checked_number("eps", eps, minimum=0)
    tolerance = None if tolerance is None else checked_number("tolerance", tolerance, minimum=TINY)
    batch, names = checked_batch(parameters, x, y, l2, relu_first, skips, label_smoothing)
    slopes = checked_slopes(relu_slope)
    parameters = batch.parameters
    drop = checked_dropout(dropout)
    if drop is not None and not callable(answer):
        raise ValueError("answer is a pair; with dropout it must be a function, which returns the masks of each call")
    unpenalized = batch.l2 == 0 and drop is None and callable(answer) and ignores_l2(answer, batch)
    batches = asked(batch, len(names), penalized=not unpenalized) if callable(answer) else [batch]
    broken: dict[str, Finding] = {}
    observed: list[dict[str, Array]] = []
    parts = ("cost", "gradients") if drop is None else ("cost", "gradients", "masks")
    for number, question in enumerate(batches):
        observed.append({})
        try:
            given = call("cost and gradients", answer_to, answer, question)
            cost, gradients, *masks = unpacked("cost and gradients", given, parts)
            if drop is not None:
                widths = [len(parameters[layer.weight]) for layer in names[:-1]]
                batches[number] = replace(question, dropout=read_masks(masks[0], len(question.x), widths, drop))
            observed[-1] |= answered(cost, gradients, question, broken)
        except Unusable as unusable:
            broken.setdefault(unusable.finding.place, unusable.finding)
    if not callable(answer) and observed[0]:
        broken |= {finding.place: finding for finding in in_one_array(answer[1])}
    if wrong_masks := judged_masks(batches):
        broken["masks"], p = wrong_masks
        if p is None:
            return Report(subject(names, batch, drop), [*broken.values()], unjudged=list(titles_of(names, parameters)))
        batches = [replace(b, dropout=b.dropout and b.dropout._replace(p=p)) for b in batches]
    findings, agreeing, unjudged, notes = settled(batches, observed, names, slopes, eps, tolerance)
    findings = [replace(finding, remark=finding.mistake in RIGHT_AT_USUAL_SCORES) for finding in findings]
    if unpenalized and not any(finding.mistake == "penalty_hard_coded" for finding in findings):
        notes.append("it has no penalty: l2 changes nothing, and is 0 here")
    order = {title: number for number, title in enumerate(titles_of(names, parameters).values())}
    findings = sorted([*broken.values(), *findings], key=lambda f: (f.remark, order.get(f.place, -1)))
    return Report(subject(names, batch, drop), findings, agreeing, unjudged, notes)


def judged_masks(batches: Sequence[Batch]) -> tuple[Finding, float | None] | None:
    """What is wrong with what the masks keep, and the p by which the rest can be judged all the same, if any."""
    drops = [batch.dropout for batch in batches if batch.dropout]
    kept = [mask for drop in drops for mask in drop.kept]
    if not kept:
        return None
    p = drops[0].p
    if finding := shared_draw("masks", [drop.kept for drop in drops]):
        return finding, p
    finding = wrong_share("masks", sum(mask.sum() for mask in kept), sum(mask.size for mask in kept), p)
    if finding is None:
        return None
    return finding, {"dropout_never_applied": 0.0, "dropout_p_keeps": 1 - p}.get(finding.mistake or "")


def checked_slopes(relu_slope: float | Sequence[float]) -> list[float]:
    given = relu_slope if isinstance(relu_slope, Sequence) else [relu_slope]
    slopes = [checked_fraction("relu_slope", slope) for slope in given]
    if not slopes:
        raise ValueError("relu_slope is empty; give a slope, or several of which one is the network's")
    return slopes


def sizes_of(names: Sequence[LayerNames], parameters: Mapping[str, Array]) -> tuple[int, ...]:
    return parameters[names[0].weight].shape[1], *(len(parameters[layer.weight]) for layer in names)


def subject(names: Sequence[LayerNames], batch: Batch, dropout: float | None) -> str:
    parts = []
    if names[0].gamma in batch.parameters:
        parts.append(f"batch normalization{' behind the ReLU' if batch.relu_first else ''}")
    parts += [f"a skip around layer {layer}" for layer in batch.skips]
    if batch.label_smoothing:
        parts.append(f"label smoothing {batch.label_smoothing:g}")
    if dropout is not None:
        parts.append(f"dropout {dropout:g}")
    sizes = "-".join(map(str, sizes_of(names, batch.parameters)))
    return f"network {sizes}{' with ' if parts else ''}{', '.join(parts)}"


def checked_order(relu_first: bool, parameters: Mapping[str, Array]) -> bool:
    if checked_bool("relu_first", relu_first) and "bn1.weight" not in parameters:
        raise ValueError(
            "relu_first is True, but parameters has no batch normalization, such as bn1.weight; leave it out"
        )
    return relu_first


def checked_batch(
    parameters: Mapping[str, ArrayLike],
    x: ArrayLike,
    y: ArrayLike,
    l2: float,
    relu_first: bool,
    skips: Sequence[int],
    label_smoothing: float,
) -> tuple[Batch, list[LayerNames]]:
    """The network and what it is trained on, in float64, and the names of its layers."""
    values, depth = checked_parameters(parameters)
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    sizes = sizes_of(names, values)
    x = checked_images(x, sizes[0], np.dtype(np.float64), batch_statistics=names[0].gamma in values)
    batch = Batch(
        values,
        x,
        checked_labels(y, len(x), sizes[-1]),
        checked_number("l2", l2, minimum=0),
        relu_first=checked_order(relu_first, values),
        skips=checked_skips(skips, sizes),
        label_smoothing=checked_fraction("label_smoothing", label_smoothing),
    )
    return batch, names


def checked_parameters(parameters: Mapping[str, ArrayLike]) -> tuple[dict[str, Array], int]:
    """The parameters in float64, and how many layers they make."""
    if not isinstance(parameters, Mapping) or "linear1.weight" not in parameters:
        raise ValueError(
            'parameters must be a dictionary by our names: "linear1.weight" (out, in), "linear1.bias", ...'
        )
    values = {name: checked_reals(f"parameters[{name!r}]", value) for name, value in parameters.items()}
    depth = max(number for number in range(1, len(values) + 1) if f"linear{number}.weight" in values)
    normalized = "bn1.weight" in values
    shapes: dict[str, tuple[int, ...]] = {}
    fan_in = np.atleast_1d(values["linear1.weight"]).shape[-1]
    for layer in range(1, depth + 1):
        names = layer_names(layer)
        width = len(np.atleast_1d(values.get(names.weight, [])))
        shapes |= {names.weight: (width, fan_in), names.bias: (width,)}
        if normalized and layer < depth:
            shapes |= {names.gamma: (width,), names.beta: (width,)}
        fan_in = width
    found = {name: value.shape for name, value in values.items()}
    if found != shapes:
        wrong = {
            name: found.get(name, "missing")
            for name in shapes.keys() | found.keys()
            if found.get(name) != shapes.get(name)
        }
        raise ValueError(f"parameters has {wrong}; a network of {depth} layers has {shapes}")
    return {name: values[name] for name in shapes}, depth


def titles_of(names: Sequence[LayerNames], parameters: Mapping[str, Array]) -> dict[str, str]:
    """The places in the order of computation and back-propagation. Those without l2 come just before those with it:
    there the penalty cannot hide what is wrong.
    """
    titles = ["cost"]
    for layer in reversed(names):
        titles += [name for name in (layer.beta, layer.gamma, layer.bias, layer.weight) if name in parameters]
    return {f"{title}{l2}": title for title in titles for l2 in (" without l2", "")}


def suffix(batch: Batch) -> str:
    return "" if batch.l2 else " without l2"


def answered(cost: Any, gradients: Any, batch: Batch, broken: dict[str, Finding]) -> dict[str, Array]:
    """The numbers that are there, and a word on those that are not."""
    observed: dict[str, Array] = {}
    if not isinstance(gradients, Mapping):
        raise Unusable(
            "gradients", "wrong_type", f"gradients are a {type(gradients).__name__}; they must be a dictionary"
        )
    shapes: dict[str, tuple[int, ...]] = {name: value.shape for name, value in batch.parameters.items()}
    for name, shape in {"cost": (), **shapes}.items():
        if name != "cost" and name not in gradients:
            broken.setdefault(name, Finding(name, "its gradient is missing", "unfilled"))
            continue
        try:
            observed[name + suffix(batch)], reshaped = numbers(name, cost if name == "cost" else gradients[name], shape)
        except Unusable as unusable:
            broken.setdefault(name, unusable.finding)
            continue
        if reshaped is not None:
            broken.setdefault(name, reshaped)
    return observed


def settled(
    batches: Sequence[Batch],
    observed: Sequence[Numbers],
    names: Sequence[LayerNames],
    slopes: Sequence[float],
    eps: float | None,
    tolerance: float | None,
) -> tuple[list[Finding], list[str], list[str], list[str]]:
    """The explanation; where eps is not given, or one of several slopes, with the one that explains most."""
    if tolerance is None:
        tolerance = tolerance_for(observed)
    normalized = names[0].gamma in batches[0].parameters
    guesses = (eps,) if eps is not None else EPS if normalized else (BATCH_NORM_EPS,)
    draws = roundings(float(np.finfo(np.float32 if is_single(observed) else np.float64).eps))

    def comparison_with(settings: Settings, eps: float) -> Comparison:
        others = [replace(batch, **settings) for batch in batches]
        return comparison_of(others, [Memory() for _ in batches], observed, names, tolerance, draws, eps)

    slope = measured_slope(lambda slope, eps: comparison_with({"relu_slope": slope}, eps), slopes, guesses)
    batches = with_own_l2([replace(batch, relu_slope=slope) for batch in batches], observed, names)
    candidates = everywhere(possible(batches), len(names), normalized, batches[0].skips)
    memories = [Memory() for _ in batches]
    comparison_at = cache(partial(comparison_of, batches, memories, observed, names, tolerance, draws))
    explanation = settle(comparison_at, candidates, guesses)
    notes = [eps_note(explanation.eps)] if eps is None and normalized and explanation.eps != BATCH_NORM_EPS else []
    notes += [slope_note(slope)] if slope and len(slopes) > 1 else []
    if any(finding.mistake not in RIGHT_AT_USUAL_SCORES for finding in explanation.findings):
        cost = observed[0].get(f"cost{suffix(batches[0])}")
        known = None if cost is None or cost.ndim or len(observed[0]) == 1 else float(cost)  # gradients must confirm it
        notes += hint(batches[0], names, guesses, comparison_with, known)
    notes += mixed(observed)
    comparison = comparison_at(explanation.eps)
    compared = {comparison.titles[place] for place in comparison.compared}
    given = [comparison.titles[place] for place in comparison.places if any(place in answer for answer in observed)]
    if drowned := [title for title in dict.fromkeys(given) if title not in compared]:
        notes.append(f"of {', '.join(drowned)} only rounding is left, which says nothing; try other images, or float64")
    return explanation.findings, explanation.agreeing, explanation.unjudged, notes


def comparison_of(
    batches: Sequence[Batch],
    memories: Sequence[Memory],
    observed: Sequence[Numbers],
    names: Sequence[LayerNames],
    tolerance: float,
    draws: Sequence[Planted],
    eps: float,
) -> Comparison:
    titles = titles_of(names, batches[0].parameters)

    def in_order(planted: Sequence[Planted], number: int) -> Iterator[tuple[str, Array]]:
        batch, memory, end = batches[number], memories[number], suffix(batches[number])
        forward = forward_pass(batch, names, planted, eps, memory=memory)
        yield f"cost{end}", forward.cost
        for name, gradient in gradients_of(forward, names, memory):
            yield f"{name}{end}", gradient

    def predict(planted: Sequence[Planted], number: int) -> Numbers:
        return InOrder(in_order(planted, number))

    return Comparison(
        list(titles),
        observed,
        [InOrder(scales(predict, number, names, draws, tolerance)) for number in range(len(batches))],
        predict,
        tolerance,
        titles,
        [{"n": float(len(batch.x)), "l2": batch.l2} for batch in batches],
        frozenset({"cost", "cost without l2"}),
    )


def scales(
    predict: Callable[[Sequence[Planted], int], Numbers],
    number: int,
    names: Sequence[LayerNames],
    draws: Sequence[Planted],
    tolerance: float,
) -> Iterator[tuple[str, float]]:
    """A place's largest entry, or where that is larger, what rounding may make of it, over the tolerance. Biases count
    on the scale of their layer's weights where these have larger gradients: in front of batch normalization a bias has
    the gradient 0, and only rounding is left, of however large numbers a mistake has made.

    Where rounding is as large as a weight's gradient, what lies further back has been made of rounding, each program of
    its own: there any number is as good.
    """
    right = predict((), number)
    weight_of = {layer.bias: layer.weight for layer in names}
    drowned = False
    for place, uncertain in uncertainty(predict, number, draws):
        largest = float(np.abs(right[place]).max())
        name, *end = place.split(" ", 1)
        if name in weight_of:
            weights = float(np.abs(right[" ".join((weight_of[name], *end))]).max())
            largest = weights if largest < 1e-6 * weights else largest
        yield place, np.inf if drowned else max(largest, uncertain / tolerance) or 1.0
        drowned = drowned or (name in weight_of.values() and uncertain > largest)
