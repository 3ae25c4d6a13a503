"""The K-layer network: named parameters and buffers, forward pass, cost, gradients."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from manual_mlp.blocks import Block, BlockCache, BlockWorkspace, layer_names
from manual_mlp.checks import (
    checked_bool,
    checked_dtype,
    checked_generator,
    checked_images,
    checked_labels,
    checked_number,
    checked_sizes,
)
from manual_mlp.initializers import weight_std
from manual_mlp.layers import (
    Array,
    Labels,
    l2_penalty_backward,
    l2_penalty_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from manual_mlp.named_arrays import NamedArrays


class MLP:
    """linear1 -> [bn1 ->] ReLU -> ... -> linearK -> logits, with softmax cross-entropy as its loss.

    sizes        inputs, hidden widths, classes: [3072, 50, 10] has K = 2 layers, [3072, 10] none hidden
    batch_norm   normalize every hidden layer in front of its ReLU
    initializer  "he", "xavier" or the standard deviation sigma of every weight
    rng          draws the weights; there is no global seed
    dtype        float32 to train, float64 to verify

    `parameters` and `buffers` are dictionaries of live views under torch's state-dict names: linear1.weight (out, in),
    linear1.bias, bn1.weight (gamma), bn1.bias (beta), ...; bn1.running_mean, bn1.running_var, ...
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        batch_norm: bool = False,
        initializer: str | float = "he",
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.sizes = checked_sizes(sizes)
        self.batch_norm = checked_bool("batch_norm", batch_norm)
        self.dtype = checked_dtype(dtype)
        rng = checked_generator("rng", rng)

        self.depth = len(self.sizes) - 1
        shapes: dict[str, tuple[int, ...]] = {}
        running: dict[str, tuple[int, ...]] = {}
        self.blocks = [
            Block(
                layer_names(layer),
                fan_in,
                width,
                first=layer == 1,
                hidden=layer < self.depth,
                batch_norm=self.batch_norm and layer < self.depth,
            )
            for layer, (fan_in, width) in enumerate(itertools.pairwise(self.sizes), start=1)
        ]
        for block in self.blocks:
            names, width = block.names, block.width
            shapes |= {names.weight: (width, block.fan_in), names.bias: (width,)}
            if block.batch_norm:
                shapes |= {names.gamma: (width,), names.beta: (width,)}
                running |= {names.running_mean: (width,), names.running_var: (width,)}
        weights = tuple(block.names.weight for block in self.blocks)
        self.parameters = NamedArrays(shapes, self.dtype, weights)
        self.buffers = NamedArrays(running, self.dtype)

        for block in self.blocks:
            std = weight_std(initializer, block.fan_in)
            self.parameters[block.names.weight] = rng.normal(0, std, (block.width, block.fan_in))
            if block.batch_norm:
                self.parameters[block.names.gamma][:] = 1
                self.buffers[block.names.running_var][:] = 1

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """Logits (N, K) of the images x (N, D).

        training=False normalizes with the running statistics; training=True with the batch's own, and advances the
        running ones once, as torch's train() does.
        """
        training = checked_bool("training", training)
        logits, caches = self.forward_with_caches(self._checked_images(x, training), training)
        if training:
            self._advance_running_statistics(caches)
        return logits

    def cost(self, x: ArrayLike, y: ArrayLike, l2: float = 0.0, training: bool = False) -> float:
        """cost = mean cross-entropy + l2 sum(W^2).

        Changes nothing: training=True normalizes with the batch's statistics but leaves the running ones alone, so that
        a numerical gradient can ask again and again.
        """
        x = self._checked_images(x, training)
        logits, _ = self.forward_with_caches(x, training)
        loss, _ = softmax_cross_entropy_forward(logits, checked_labels(y, len(x), self.sizes[-1]))
        return float(loss) + self.penalty(l2)

    def penalty(self, l2: float) -> float:
        """l2 sum(W^2) over the weights of all layers."""
        return float(l2_penalty_forward(self.parameters.weights, checked_number("l2", l2, minimum=0))[0])

    def cost_and_gradients(self, x: ArrayLike, y: ArrayLike, l2: float = 0.0) -> tuple[float, NamedArrays]:
        """The cost of a training batch and its gradient for every parameter, under the parameters' names.

        Normalizes with the batch's statistics and advances the running ones once.
        """
        x = self._checked_images(x, training=True)
        y = checked_labels(y, len(x), self.sizes[-1])
        penalty, penalty_cache = l2_penalty_forward(self.parameters.weights, checked_number("l2", l2, minimum=0))
        gradients = self.parameters.zeros_like()
        loss = self.loss_and_gradients(x, y, gradients)
        gradients.weights += l2_penalty_backward(1.0, penalty_cache)
        return loss + float(penalty), gradients

    def loss_and_gradients(
        self, x: Array, y: Labels, gradients: NamedArrays, workspace: list[BlockWorkspace] | None = None
    ) -> float:
        """The work of one update, for a training loop that has checked its data once: the loss without the penalty,
        its gradients written into `gradients`; the running statistics advance. `workspace` is for as many images.
        """
        workspace = workspace or [BlockWorkspace()] * self.depth
        logits, caches = self.forward_with_caches(x, training=True, workspace=workspace)
        self._advance_running_statistics(caches)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y)
        self._backward(softmax_cross_entropy_backward(1.0, loss_cache), caches, gradients, workspace)
        return float(loss)

    def workspace(self, images: int) -> list[BlockWorkspace]:
        """Arrays for a training loop to keep, in which batches of so many images are worked on."""
        return [block.workspace(images, self.dtype) for block in self.blocks]

    def forward_with_caches(
        self, x: Array, training: bool, workspace: list[BlockWorkspace] | None = None
    ) -> tuple[Array, list[BlockCache]]:
        """`forward` for a caller that has checked x: the logits and what the backward pass needs. Changes nothing."""
        caches = []
        out = x  # (N, D)
        for block, space in zip(self.blocks, workspace or [BlockWorkspace()] * self.depth, strict=True):
            out, cache = block.forward(out, self.parameters, self.buffers, training, space)
            caches.append(cache)
        return out, caches  # out holds the logits, (N, K)

    def _backward(
        self, dout: Array, caches: list[BlockCache], gradients: NamedArrays, workspace: list[BlockWorkspace]
    ) -> None:
        for block, cache, space in zip(self.blocks[::-1], caches[::-1], workspace[::-1], strict=True):
            dx = block.backward(dout, cache, gradients, space)
            dout = dout if dx is None else dx

    def _advance_running_statistics(self, caches: list[BlockCache]) -> None:
        for block, cache in zip(self.blocks, caches, strict=True):
            block.advance(self.buffers, cache)

    def _checked_images(self, x: ArrayLike, training: bool) -> Array:
        return checked_images(x, self.sizes[0], self.dtype, batch_statistics=training and bool(self.buffers))


def checked_network(net: object) -> MLP:
    if not isinstance(net, MLP):
        raise ValueError(f"net is a {type(net).__name__}; it must be a manual_mlp.MLP")
    return net
