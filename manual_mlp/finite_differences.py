"""Gradients from nothing but values of the cost: centered differences, and what bounds their errors.

A difference over a step h is wrong by about h^2 (it measures a chord, not the tangent), by rounding of the cost
over h, and without bound where the step carries the input of a ReLU across 0: that is a kink, and the chord spans
two functions. In float64 h = 1e-5 keeps the first two near 1e-10; the third is recognized from the ReLU's signs,
never guessed.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manual_mlp.blocks import relu_signs
from manual_mlp.checks import checked_generator, checked_images, checked_integer, checked_labels, checked_number
from manual_mlp.layers import Array, Labels, softmax_cross_entropy_forward
from manual_mlp.network import MLP, Masks, checked_network

REDRAWS = 20


class NumericalGradients(dict[str, Array]):
    """Centered differences by the parameters' names.

    at_kink   by the same names: True where a ReLU input changed its sign within the step
    floor     what the rounding of the cost alone leaves in a difference: below it, nothing can be told from 0
    """

    def __init__(self, differences: Mapping[str, Array], at_kink: Mapping[str, NDArray[np.bool]], floor: float) -> None:
        super().__init__(differences)
        self.at_kink = dict(at_kink)
        self.floor = floor


def numerical_gradients(
    net: MLP,
    x: ArrayLike,
    y: ArrayLike,
    l2: float = 0.0,
    h: float = 1e-5,
    masks: Masks | None = None,
    on_entry: Callable[[], object] = lambda: None,
) -> NumericalGradients:
    """(cost(value + h) - cost(value - h)) / 2h, one entry of one parameter after the other.

    The cost normalizes with the batch's statistics and drops by the same masks, as the gradient does. Parameters and
    buffers end as they were.
    """
    cost = TrainingCost(net, x, y, l2, h, masks)
    differences, at_kink = {}, {}
    for name, values in net.parameters.items():
        differences[name], at_kink[name] = np.zeros(values.shape), np.zeros(values.shape, bool)
        for entry, value in np.ndenumerate(values):
            move = partial(set_entry, values, entry, float(value))
            differences[name][entry], at_kink[name][entry] = cost.difference(move)
            on_entry()
    return NumericalGradients(differences, at_kink, cost.rounding / h)


def directional_gradients(
    net: MLP,
    gradients: Mapping[str, ArrayLike],
    x: ArrayLike,
    y: ArrayLike,
    l2: float = 0.0,
    h: float = 1e-5,
    masks: Masks | None = None,
    *,
    directions: int = 20,
    rng: np.random.Generator,
) -> tuple[dict[str, Array], NumericalGradients]:
    """For networks too large to loop over: slopes along random unit vectors, `directions` in each parameter's space.

    A direction that meets a kink is drawn anew, a few times at most.

    Returns, by the parameters' names, the slopes that `gradients` claims, <gradient, direction>, and the
    differences of the cost along the same directions: compare the two as if they were gradients.
    """
    cost = TrainingCost(net, x, y, l2, h, masks)
    directions, rng = checked_integer("directions", directions, minimum=1), checked_generator("rng", rng)
    shapes = {name: np.shape(gradient) for name, gradient in gradients.items()}
    if shapes != {name: values.shape for name, values in net.parameters.items()}:
        raise ValueError(f"gradients has {shapes}; it must have the names and shapes of net.parameters")
    claimed: dict[str, Array] = {}
    differences: dict[str, Array] = {}
    at_kink = {}
    for name, values in net.parameters.items():
        start = values.copy()
        claimed[name], differences[name] = np.zeros(directions), np.zeros(directions)
        at_kink[name] = np.zeros(directions, bool)
        for number in range(directions):
            for _ in range(REDRAWS):
                direction = rng.standard_normal(values.shape)
                direction /= np.linalg.norm(direction)
                move = partial(set_along, values, start, direction)
                differences[name][number], at_kink[name][number] = cost.difference(move)
                if not at_kink[name][number]:
                    break
            claimed[name][number] = np.vdot(np.asarray(gradients[name]), direction)
    return claimed, NumericalGradients(differences, at_kink, cost.rounding / h)


def set_entry(values: Array, entry: tuple[int, ...], value: float, step: float) -> None:
    values[entry] = value + step


def set_along(values: Array, start: Array, direction: Array, step: float) -> None:
    values[...] = start + step * direction


class TrainingCost:
    """The cost of one batch with the batch's statistics, and its centered difference over a step h.

    rounding   how far the cost may be off: each layer rounds what it passes on, the last of it logits and cost
    """

    def __init__(self, net: MLP, x: ArrayLike, y: ArrayLike, l2: float, h: float, masks: Masks | None) -> None:
        net = checked_network(net)
        if net.dtype != np.float64:
            raise ValueError(f"net has dtype {net.dtype}; differences of a cost need dtype=np.float64")
        if checked_number("h", h, minimum=0) == 0:
            raise ValueError("h is 0; the step of a difference must be positive, such as 1e-5")
        self.net, self.l2, self.h = net, checked_number("l2", l2, minimum=0), h
        self.x = checked_images(x, net.sizes[0], net.dtype, batch_statistics=net.batch_norm and net.depth > 1)
        self.y: Labels = checked_labels(y, len(self.x), net.sizes[-1])
        self.masks = net.checked_masks(masks, len(self.x), training=True)
        logits, _ = net.forward_with_caches(self.x, True, self.masks)
        cost, self.signs = self.cost_and_signs()
        if not np.isfinite(cost):
            raise ValueError(f"net has the cost {cost} on this batch; a gradient needs one that is finite")
        self.rounding = float(net.depth * np.finfo(np.float64).eps * (cost + np.abs(logits).max()))

    def cost_and_signs(self) -> tuple[float, NDArray[np.bool]]:
        """The cost, and for every ReLU input whether it is positive."""
        logits, caches = self.net.forward_with_caches(self.x, True, self.masks)
        loss, _ = softmax_cross_entropy_forward(logits, self.y, self.net.label_smoothing)
        penalty = self.net.penalty(self.l2) if self.l2 else 0.0  # of a large network it costs as much as the rest
        return float(loss) + penalty, relu_signs(caches)

    def difference(self, move: Callable[[float], None]) -> tuple[float, bool]:
        """The slope over `move(h)` and `move(-h)`, and whether a ReLU changed its sign on the way."""
        try:
            move(self.h)
            above, signs_above = self.cost_and_signs()
            move(-self.h)
            below, signs_below = self.cost_and_signs()
        finally:
            move(0.0)
        at_kink = not (np.array_equal(signs_above, self.signs) and np.array_equal(signs_below, self.signs))
        return (above - below) / (2 * self.h), at_kink
