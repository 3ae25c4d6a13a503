"""The K-layer network: named parameters and buffers, forward pass, cost, gradients."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from manual_mlp.blocks import Block, BlockCache, BlockWorkspace, layer_names
from manual_mlp.checks import (
    checked_bool,
    checked_dtype,
    checked_fraction,
    checked_generator,
    checked_images,
    checked_integer,
    checked_labels,
    checked_number,
    checked_sizes,
    checked_skips,
)
from manual_mlp.initializers import weight_std
from manual_mlp.layers import (
    Array,
    Labels,
    dropout_mask,
    l2_penalty_backward,
    l2_penalty_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from manual_mlp.named_arrays import NamedArrays

Masks = Sequence[Array]  # of dropout, one (N, M) for each hidden layer


class MLP:
    """linear1 -> [bn1 ->] ReLU -> ... -> linearK -> logits, with softmax cross-entropy as its loss.

    sizes            inputs, hidden widths, classes: [3072, 50, 10] has K = 2 layers, [3072, 10] none hidden
    batch_norm       normalize every hidden layer in front of its ReLU
    relu_first       normalize behind the ReLU instead
    dropout          probability to drop each feature that a hidden layer puts out, in training
    skips            the hidden layers, counted from 1, whose input is added to their output
    label_smoothing  share of the target that training spreads over all classes
    initializer      "he", "xavier" or the standard deviation sigma of every weight
    rng              draws the weights; there is no global seed
    dtype            float32 to train, float64 to verify

    `parameters` and `buffers` are dictionaries of live views under torch's state-dict names: linear1.weight (out, in),
    linear1.bias, bn1.weight (gamma), bn1.bias (beta), ...; bn1.running_mean, bn1.running_var, ...
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        batch_norm: bool = False,
        relu_first: bool = False,
        dropout: float = 0.0,
        skips: Sequence[int] = (),
        label_smoothing: float = 0.0,
        initializer: str | float = "he",
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.sizes = checked_sizes(sizes)
        self.batch_norm = checked_bool("batch_norm", batch_norm)
        self.relu_first = checked_bool("relu_first", relu_first)
        if self.relu_first and not self.batch_norm:
            raise ValueError("relu_first is True without batch normalization; use it with batch_norm=True")
        self.dropout = checked_fraction("dropout", dropout)
        self.skips = checked_skips(skips, self.sizes)
        self.label_smoothing = checked_fraction("label_smoothing", label_smoothing)
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
                relu_first=self.relu_first and layer < self.depth,
                skip=layer in self.skips,
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
            if std > 0:
                self.parameters[block.names.weight] = rng.normal(0, std, (block.width, block.fan_in))
            if block.batch_norm:
                self.parameters[block.names.gamma][:] = 1
                self.buffers[block.names.running_var][:] = 1

    def dropout_masks(self, images: int, rng: np.random.Generator) -> Masks | None:
        """What to drop from a batch of so many images, one mask (images, width) for each hidden layer; None in a
        network without dropout. A pass in training is handed them, so that the same pass can be made again.
        """
        images, rng = checked_integer("images", images, minimum=1), checked_generator("rng", rng)
        if not self.dropout:
            return None
        return [dropout_mask(images, width, self.dropout, rng, self.dtype) for width in self.sizes[1:-1]]

    def forward(self, x: ArrayLike, training: bool = False, masks: Masks | None = None) -> Array:
        """Logits (N, K) of the images x (N, D).

        training=False normalizes with the running statistics and drops nothing; training=True normalizes with the
        batch's own, advances the running ones once, as torch's train() does, and drops by the masks.
        """
        training = checked_bool("training", training)
        x = self._checked_images(x, training)
        logits, caches = self.forward_with_caches(x, training, self.checked_masks(masks, len(x), training))
        if training:
            self._advance_running_statistics(caches)
        return logits

    def cost(
        self, x: ArrayLike, y: ArrayLike, l2: float = 0.0, training: bool = False, masks: Masks | None = None
    ) -> float:
        """cost = mean cross-entropy + l2 sum(W^2).

        Changes nothing: training=True normalizes with the batch's statistics but leaves the running ones alone, so that
        a numerical gradient can ask again and again.
        """
        x = self._checked_images(x, training)
        logits, _ = self.forward_with_caches(x, training, self.checked_masks(masks, len(x), training))
        y = checked_labels(y, len(x), self.sizes[-1])
        loss, _ = softmax_cross_entropy_forward(logits, y, self.label_smoothing)
        return float(loss) + self.penalty(l2)

    def penalty(self, l2: float) -> float:
        """l2 sum(W^2) over the weights of all layers."""
        return float(l2_penalty_forward(self.parameters.weights, checked_number("l2", l2, minimum=0))[0])

    def cost_and_gradients(
        self, x: ArrayLike, y: ArrayLike, l2: float = 0.0, masks: Masks | None = None
    ) -> tuple[float, NamedArrays]:
        """The cost of a training batch and its gradient for every parameter, under the parameters' names.

        Normalizes with the batch's statistics and advances the running ones once.
        """
        x = self._checked_images(x, training=True)
        masks = self.checked_masks(masks, len(x), training=True)
        y = checked_labels(y, len(x), self.sizes[-1])
        penalty, penalty_cache = l2_penalty_forward(self.parameters.weights, checked_number("l2", l2, minimum=0))
        gradients = self.parameters.zeros_like()
        loss = self.loss_and_gradients(x, y, gradients, masks=masks)
        gradients.weights += l2_penalty_backward(1.0, penalty_cache)
        return loss + float(penalty), gradients

    def loss_and_gradients(
        self,
        x: Array,
        y: Labels,
        gradients: NamedArrays,
        workspace: list[BlockWorkspace] | None = None,
        masks: Masks | None = None,
    ) -> float:
        """The work of one update, for a training loop that has checked its data once: the loss without the penalty,
        its gradients written into `gradients`; the running statistics advance. `workspace` is for as many images.
        """
        workspace = workspace or [BlockWorkspace()] * self.depth
        logits, caches = self.forward_with_caches(x, True, masks, workspace)
        self._advance_running_statistics(caches)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y, self.label_smoothing)
        self._backward(softmax_cross_entropy_backward(1.0, loss_cache), caches, gradients, workspace)
        return float(loss)

    def workspace(self, images: int) -> list[BlockWorkspace]:
        """Arrays for a training loop to keep, in which batches of so many images are worked on."""
        return [block.workspace(images, self.dtype) for block in self.blocks]

    def forward_with_caches(
        self,
        x: Array,
        training: bool,
        masks: Masks | None = None,
        workspace: list[BlockWorkspace] | None = None,
    ) -> tuple[Array, list[BlockCache]]:
        """`forward` for a caller that has checked x: the logits and what the backward pass needs. Changes nothing."""
        caches = []
        out = x  # (N, D)
        every_mask: list[Array | None] = [*masks, None] if masks else [None] * self.depth  # the output layer has none
        spaces = workspace or [BlockWorkspace()] * self.depth
        for block, mask, space in zip(self.blocks, every_mask, spaces, strict=True):
            out, cache = block.forward(out, self.parameters, self.buffers, training, space, mask)
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

    def checked_masks(self, masks: Masks | None, images: int, training: bool) -> Masks | None:
        """Masks as a pass over so many images takes them."""
        if not (training and self.dropout):
            if masks is not None:
                raise ValueError(
                    "masks are given, but this pass drops nothing: test time, or dropout=0; leave them out"
                )
            return None
        expected = [(images, width) for width in self.sizes[1:-1]]
        if masks is None:
            raise ValueError(f"masks is None; training with dropout needs masks=net.dropout_masks({images}, rng)")
        if not isinstance(masks, Sequence):
            raise ValueError(f"masks is {masks!r}; it must be a list, as net.dropout_masks({images}, rng) returns it")
        shapes = [np.shape(mask) for mask in masks]
        if shapes != expected:
            raise ValueError(
                f"masks has the shapes {shapes}; it needs {expected}, as of net.dropout_masks({images}, rng)"
            )
        return [np.asarray(mask, self.dtype) for mask in masks]

    def _checked_images(self, x: ArrayLike, training: bool) -> Array:
        return checked_images(x, self.sizes[0], self.dtype, batch_statistics=training and bool(self.buffers))


def checked_network(net: object) -> MLP:
    if not isinstance(net, MLP):
        raise ValueError(f"net is a {type(net).__name__}; it must be a manual_mlp.MLP")
    return net
