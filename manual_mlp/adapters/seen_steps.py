"""A step that was seen while a program trained, as a question to a network: batch, parameters, penalty factor."""

import numbers as abstract
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, arranged, as_computed
from manual_mlp.adapters.dd2424_setup import shapes_of
from manual_mlp.adapters.gradients import Leaf, gradients_in, matched, size_of, under_our_names
from manual_mlp.adapters.held import DEEPEST, arrays_of, inside, names_in
from manual_mlp.adapters.layer_lists import LayerList, is_layer_list
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.program import words
from manual_mlp.adapters.reading import absent
from manual_mlp.adapters.recorder import LARGE
from manual_mlp.adapters.roles import GRADIENT, gradient_role, role_of
from manual_mlp.adapters.stand_in_images import CLASSES, PIXELS, Numbers, labels, recognized
from manual_mlp.adapters.training import Step
from manual_mlp.layers import Array

SCALE_AND_SHIFT = {"scale": "gamma", "shift": "beta"}
ROUNDED = 1e-5  # of the largest entry; float32's sums are not exact
KEPT_BESIDE = {"momentum", "velocity", "cache", "best", "old", "prev", "previous", "init", "initial", "copy", "history"}


class Seen(NamedTuple):
    """What went into the network, and how it was laid out."""

    how: Arrangement
    given: Inputs
    says_l2: bool  # one number is called lambda
    eps: tuple[float, ...]  # numbers that are called so: batch normalization's, perhaps
    single: bool  # in float32, or a part of it

    def normalized(self) -> "Seen":
        """As a network that normalizes its batches without gamma and beta."""
        how = replace(self.how, batch_norm=True, affine=False)
        return self._replace(how=how, given=as_computed(how, self.given))


def seen(step: Step, batch: Numbers, labelled: bool = True) -> Seen:
    """Raises `absent` where images, labels or parameters are not all there; labels if they are asked for."""
    everything = {**step.globals, **step.arguments}
    found = under_usual_names(list(arrays_of(everything)))
    x, x_columns = images_in(found, batch)
    y, y_columns = labels_in(found, len(batch)) if labelled else (labels()[batch], True)
    places = [leaf for leaf in found if is_parameter(leaf)]
    sizes, turned = sizes_in(places)
    normalized = any(kind_of(leaf) == "gamma" for leaf in places)
    how = Arrangement(
        len(sizes) - 1,
        normalized,
        biases=form_of_biases(places),
        x_columns=x_columns,
        y_columns=y_columns,
        turned=turned,
    )
    shapes = shapes_of(sizes, normalized).parameters
    given = Inputs(shapes, x, y, 0.0)
    expected = arranged(how, given)
    chosen = matched(places, expected, lambda kind, layer: expected[kind][layer - 1])
    for kind, values in expected.items():
        for layer, value in enumerate(values, start=1):
            if (kind, layer) not in chosen or size_of(chosen[kind, layer]) != size_of(value):
                raise absent("the parameters", "of its step were not all recognized")
    parameters = under_our_names(how, chosen)
    if not all(np.isfinite(value).all() for value in parameters.values()):
        raise absent("the parameters", "of its step are no longer finite numbers: the training diverges")
    called = list(numbers_of(everything, "lambda"))
    factors = {value for name, value in called if name != "rho"} or {value for _, value in called}  # or the momentum
    says_l2 = len(factors) == 1
    l2 = factors.pop() if says_l2 else 0.0
    eps = tuple({value for _, value in numbers_of(everything, "eps") if 0 <= value < 1})
    single = any(leaf.value.dtype == np.float32 for leaf in found)
    asked = given._replace(parameters={name: parameters[name] for name in shapes}, l2=l2)
    return Seen(how, asked, says_l2, eps, single)


def under_usual_names(found: Sequence[Leaf]) -> Sequence[Leaf]:
    """Where a scale and a shift are kept, and no gamma, these are gamma and beta."""
    names = {name for leaf in found for name in names_in(leaf)}
    if not SCALE_AND_SHIFT.keys() <= names or any((role := role_of(name)) and role.kind == "gamma" for name in names):
        return found
    return [leaf._replace(path=tuple(SCALE_AND_SHIFT.get(str(step), step) for step in leaf.path)) for leaf in found]


def gradients_seen(network: Network, step: Step, given: Seen) -> dict[str, Array]:
    """What the function returned, or left in its object, under our names."""
    own = gradients_beside(step.after)
    if own:
        return gradients_in(network, own, None, given.how, given.given)
    held = step.after.get("self") or next((LayerList(v) for v in step.after.values() if is_layer_list(v)), None)
    return gradients_in(network, step.result, held, given.how, given.given)


def gradients_beside(held: Mapping[str, Any]) -> dict[str, list[Array]]:
    """Of objects that hold an array and its gradient, W.data and W.grad, the gradients by what they are of."""
    found: dict[str, list[Array]] = {}
    for leaf in arrays_of(held):
        if is_beside(leaf):
            found.setdefault(kind_of(leaf), []).append(leaf.value)
    return found


def is_beside(leaf: Leaf) -> bool:
    *_, last = leaf.path
    return isinstance(last, str) and set(words(last)) <= GRADIENT and bool(kind_of(leaf))


def images_in(found: Sequence[Leaf], batch: Numbers) -> tuple[Array, bool]:
    """Of the step's batch, as rows, and whether they were columns."""
    for leaf in found:
        known = recognized(leaf.value)
        if known is not None and np.array_equal(known[0], batch) and leaf.value.ndim == 2:
            columns = leaf.value.shape[0] == PIXELS
            return np.asarray(leaf.value.T if columns else leaf.value, dtype=np.float64), columns
    raise absent("the images", "of its batch were not recognized among its arguments")


def labels_in(found: Sequence[Leaf], count: int) -> tuple[Numbers, bool]:
    """As class numbers, and whether they were one-hot columns; of several the arguments, and those that are called so:
    an object may still hold those of the batch before.
    """
    called = [leaf for leaf in found if {"Y", "y"} & {role.kind for name in names_in(leaf) if (role := role_of(name))}]
    arguments = [leaf for leaf in found if len(leaf.path) == 1]
    for leaf in [*(leaf for leaf in called if len(leaf.path) == 1), *arguments, *called, *found]:
        value = leaf.value
        if value.shape in ((CLASSES, count), (count, CLASSES)):
            for columns in (True, False):
                hot = value.T if columns else value
                if hot.shape == (count, CLASSES) and ((hot == 0) | (hot == 1)).all() and (hot.sum(axis=1) == 1).all():
                    return hot.argmax(axis=1), columns
    for leaf in called:
        value = leaf.value.ravel()
        if value.shape == (count,) and np.isin(value, np.arange(CLASSES)).all():
            return value.astype(np.int64), True
    for leaf in found:
        for columns in (True, False):
            if (leaf.value.T if columns else leaf.value).shape == (count, CLASSES):
                chosen = told_by_gradient(leaf.value.T if columns else leaf.value)
                if chosen is not None:
                    return chosen, columns
    raise absent("the labels", "of its batch were not recognized among its arguments")


def told_by_gradient(g: Array) -> Numbers | None:
    """Of the loss by the class scores, (N, K): a row of P - Y, or of Y - P, has one entry of its own sign, and a sum of
    0. A backward pass may be given that instead of the labels.
    """
    if not np.abs(g).max() or np.abs(g.sum(axis=1)).max() > ROUNDED * np.abs(g).max():
        return None
    for signed in (-g, g):
        if ((signed > 0).sum(axis=1) == 1).all():
            return np.asarray(signed.argmax(axis=1))
    return None


def is_parameter(leaf: Leaf) -> bool:
    """Not a gradient, and nothing that an update keeps beside the parameters."""
    names = names_in(leaf)
    gradient = any(gradient_role(name) and not role_of(name) for name in names)
    beside = KEPT_BESIDE & {word for name in names for word in words(name)}
    return not gradient and not is_beside(leaf) and not beside and leaf.value.size <= LARGE


def kind_of(leaf: Leaf) -> str:
    roles = [gradient_role(name) for name in names_in(leaf)]
    return next((role.kind for role in reversed(roles) if role is not None), "")


def sizes_in(places: Sequence[Leaf]) -> tuple[list[int], bool]:
    """Inputs, hidden units and classes, by the weights that follow one another; and whether these are (in, out)."""
    weights = [leaf.value for leaf in places if kind_of(leaf) == "W" and leaf.value.ndim == 2]
    nameless = not weights
    weights = weights or [leaf.value for leaf in places if leaf.value.ndim == 2 and min(leaf.value.shape) > 1]
    for turned in (False, True):
        sizes = [PIXELS]
        for weight in weights:
            fan_in, width = weight.shape if turned else weight.shape[::-1]
            ended = nameless and len(sizes) > 1 and sizes[-1] == CLASSES
            if fan_in == sizes[-1] and not ended:
                sizes.append(width)
        if len(sizes) > 1 and sizes[-1] == CLASSES:
            return sizes, turned
    raise absent("the weights", "of its step were not recognized among its arguments")


def form_of_biases(places: Sequence[Leaf]) -> str:
    bias = next((leaf.value for leaf in places if kind_of(leaf) == "b"), None)
    if bias is None or bias.ndim != 2:
        return "(m,)"
    return "(1, m)" if bias.shape[0] == 1 else "(m, 1)"


def numbers_of(value: Any, kind: str, depth: int = 0) -> Iterator[tuple[str, float]]:
    """Those that are called so: lambda, lam, reg."""
    for name, inner in inside(value) if depth < DEEPEST else ():
        role = role_of(name) if isinstance(name, str) else None
        if isinstance(inner, abstract.Real) and not isinstance(inner, bool):
            if role is not None and role.kind == kind:
                yield str(name), float(inner)
        else:
            yield from numbers_of(inner, kind, depth + 1)
