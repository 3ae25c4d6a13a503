"""The K-layer network: named parameters and buffers, forward pass, cost, gradients."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

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
    BatchNormCache,
    L2PenaltyCache,
    Labels,
    LinearCache,
    ReluCache,
    batch_norm_advance,
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    l2_penalty_backward,
    l2_penalty_forward,
    linear_backward,
    linear_backward_parameters,
    linear_forward,
    relu_backward,
    relu_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from manual_mlp.named_arrays import NamedArrays


class LayerCache(NamedTuple):
    """What the operations of one layer keep for its backward pass; the output layer has the first alone."""

    linear: LinearCache
    batch_norm: BatchNormCache | None
    relu: ReluCache | None


def relu_signs(caches: list[LayerCache]) -> NDArray[np.bool]:
    """For every ReLU and image whether its input is positive, in one row."""
    signs = [(cache.relu.out > 0).ravel() for cache in caches if cache.relu is not None]
    return np.concatenate(signs) if signs else np.zeros(0, np.bool)


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
        for layer, (fan_in, width) in enumerate(itertools.pairwise(self.sizes), start=1):
            shapes |= {f"linear{layer}.weight": (width, fan_in), f"linear{layer}.bias": (width,)}
            if self.batch_norm and layer < self.depth:
                shapes |= {f"bn{layer}.weight": (width,), f"bn{layer}.bias": (width,)}
                running |= {f"bn{layer}.running_mean": (width,), f"bn{layer}.running_var": (width,)}
        weights = tuple(f"linear{layer}.weight" for layer in range(1, self.depth + 1))
        self.parameters = NamedArrays(shapes, self.dtype, weights)
        self.buffers = NamedArrays(running, self.dtype)

        for name in weights:
            shape = shapes[name]
            self.parameters[name] = rng.normal(0, weight_std(initializer, fan_in=shape[1]), shape)
        for name in shapes:
            if name.startswith("bn") and name.endswith(".weight"):
                self.parameters[name][:] = 1
        for name in running:
            self.buffers[name][:] = 1 if name.endswith("running_var") else 0

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
        gradients = self.parameters.zeros_like()
        loss = self.loss_and_gradients(x, y, checked_number("l2", l2, minimum=0), gradients)
        return loss + self.penalty(l2), gradients

    def loss_and_gradients(self, x: Array, y: Labels, l2: float, gradients: NamedArrays) -> float:
        """The work of one update, for a training loop that has checked its data once: writes the gradient of the cost
        into `gradients`, returns the loss without the penalty, and advances the running statistics.
        """
        logits, caches = self.forward_with_caches(x, training=True)
        self._advance_running_statistics(caches)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y)
        self._backward(softmax_cross_entropy_backward(1.0, loss_cache), caches, gradients)
        gradients.weights += l2_penalty_backward(1.0, L2PenaltyCache(self.parameters.weights, l2))
        return float(loss)

    def forward_with_caches(self, x: Array, training: bool) -> tuple[Array, list[LayerCache]]:
        """`forward` for a caller that has checked x: the logits and what the backward pass needs. Changes nothing."""
        values, caches = self.parameters, []
        h = x  # (N, D)
        for layer in range(1, self.depth + 1):
            h, linear = linear_forward(h, values[f"linear{layer}.weight"], values[f"linear{layer}.bias"])
            norm = relu = None
            if layer < self.depth:
                if self.batch_norm and training:
                    h, norm = batch_norm_forward(h, values[f"bn{layer}.weight"], values[f"bn{layer}.bias"])
                elif self.batch_norm:
                    h = batch_norm_inference(
                        h,
                        values[f"bn{layer}.weight"],
                        values[f"bn{layer}.bias"],
                        self.buffers[f"bn{layer}.running_mean"],
                        self.buffers[f"bn{layer}.running_var"],
                    )
                h, relu = relu_forward(h, out=h)
            caches.append(LayerCache(linear, norm, relu))
        return h, caches  # h holds the logits, (N, K)

    def _backward(self, dout: Array, caches: list[LayerCache], gradients: NamedArrays) -> None:
        for layer in range(self.depth, 0, -1):
            linear, norm, relu = caches[layer - 1]
            if relu is not None:
                dout = relu_backward(dout, relu)
            if norm is not None:
                dgamma, dbeta = gradients[f"bn{layer}.weight"], gradients[f"bn{layer}.bias"]
                dout, _, _ = batch_norm_backward(dout, norm, dgamma, dbeta)
            dW, db = gradients[f"linear{layer}.weight"], gradients[f"linear{layer}.bias"]
            if layer > 1:
                dout, _, _ = linear_backward(dout, linear, dW, db)
            else:
                linear_backward_parameters(dout, linear, dW, db)

    def _advance_running_statistics(self, caches: list[LayerCache]) -> None:
        for layer, cache in enumerate(caches, start=1):
            if cache.batch_norm is not None:
                batch_norm_advance(
                    self.buffers[f"bn{layer}.running_mean"], self.buffers[f"bn{layer}.running_var"], cache.batch_norm
                )

    def _checked_images(self, x: ArrayLike, training: bool) -> Array:
        return checked_images(x, self.sizes[0], self.dtype, batch_statistics=training and bool(self.buffers))
