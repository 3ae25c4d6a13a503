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


class LayerNames(NamedTuple):
    """The names of one layer's parameters and buffers, as torch's state dict has them."""

    weight: str
    bias: str
    gamma: str
    beta: str
    running_mean: str
    running_var: str


def layer_names(layer: int) -> LayerNames:
    """`layer` counts from 1, the first that has weights."""
    linear, norm = f"linear{layer}", f"bn{layer}"
    return LayerNames(
        f"{linear}.weight",
        f"{linear}.bias",
        f"{norm}.weight",
        f"{norm}.bias",
        f"{norm}.running_mean",
        f"{norm}.running_var",
    )


class LayerWorkspace(NamedTuple):
    """Where the operations of one layer write; None where they shall make new arrays."""

    linear: Array | None = None  # (N, M) its output, which becomes batch normalization's x_hat
    out: Array | None = None  # (N, M) the layer's output where the batch is normalized
    dx: Array | None = None  # (N, D) the gradient of the layer's input


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
        self._names = [layer_names(layer) for layer in range(1, self.depth + 1)]
        self._normalized = self._names[:-1] if self.batch_norm else []
        for names, (fan_in, width) in zip(self._names, itertools.pairwise(self.sizes), strict=True):
            shapes |= {names.weight: (width, fan_in), names.bias: (width,)}
            if names in self._normalized:
                shapes |= {names.gamma: (width,), names.beta: (width,)}
                running |= {names.running_mean: (width,), names.running_var: (width,)}
        weights = tuple(names.weight for names in self._names)
        self.parameters = NamedArrays(shapes, self.dtype, weights)
        self.buffers = NamedArrays(running, self.dtype)

        for name in weights:
            shape = shapes[name]
            self.parameters[name] = rng.normal(0, weight_std(initializer, fan_in=shape[1]), shape)
        for names in self._normalized:
            self.parameters[names.gamma][:] = 1
            self.buffers[names.running_var][:] = 1

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
        self, x: Array, y: Labels, gradients: NamedArrays, workspace: list[LayerWorkspace] | None = None
    ) -> float:
        """The work of one update, for a training loop that has checked its data once: the loss without the penalty,
        its gradients written into `gradients`; the running statistics advance. `workspace` is for as many images.
        """
        workspace = workspace or [LayerWorkspace()] * self.depth
        logits, caches = self.forward_with_caches(x, training=True, workspace=workspace)
        self._advance_running_statistics(caches)
        loss, loss_cache = softmax_cross_entropy_forward(logits, y)
        self._backward(softmax_cross_entropy_backward(1.0, loss_cache), caches, gradients, workspace)
        return float(loss)

    def workspace(self, images: int) -> list[LayerWorkspace]:
        """Arrays for a training loop to keep, in which batches of so many images are worked on."""
        return [
            LayerWorkspace(
                linear=np.empty((images, width), self.dtype),
                out=np.empty((images, width), self.dtype) if names in self._normalized else None,
                dx=np.empty((images, fan_in), self.dtype) if names is not self._names[0] else None,
            )
            for names, (fan_in, width) in zip(self._names, itertools.pairwise(self.sizes), strict=True)
        ]

    def forward_with_caches(
        self, x: Array, training: bool, workspace: list[LayerWorkspace] | None = None
    ) -> tuple[Array, list[LayerCache]]:
        """`forward` for a caller that has checked x: the logits and what the backward pass needs. Changes nothing."""
        values, buffers = self.parameters, self.buffers
        caches = []
        h = x  # (N, D)
        for names, space in zip(self._names, workspace or [LayerWorkspace()] * self.depth, strict=True):
            h, linear = linear_forward(h, values[names.weight], values[names.bias], out=space.linear)
            norm = relu = None
            if names is not self._names[-1]:
                if self.batch_norm and training:
                    gamma, beta = values[names.gamma], values[names.beta]
                    h, norm = batch_norm_forward(h, gamma, beta, out=space.out, x_hat=h)
                elif self.batch_norm:
                    gamma, beta = values[names.gamma], values[names.beta]
                    h = batch_norm_inference(h, gamma, beta, buffers[names.running_mean], buffers[names.running_var])
                h, relu = relu_forward(h, out=h)
            caches.append(LayerCache(linear, norm, relu))
        return h, caches  # h holds the logits, (N, K)

    def _backward(
        self, dout: Array, caches: list[LayerCache], gradients: NamedArrays, workspace: list[LayerWorkspace]
    ) -> None:
        for names, cache, space in zip(self._names[::-1], caches[::-1], workspace[::-1], strict=True):
            if cache.relu is not None:
                dout = relu_backward(dout, cache.relu, dx=dout)
            if cache.batch_norm is not None:
                dgamma, dbeta = gradients[names.gamma], gradients[names.beta]
                dout, _, _ = batch_norm_backward(dout, cache.batch_norm, dout, dgamma, dbeta)
            dW, db = gradients[names.weight], gradients[names.bias]
            if names is self._names[0]:
                linear_backward_parameters(dout, cache.linear, dW, db)
            else:
                dout, _, _ = linear_backward(dout, cache.linear, space.dx, dW, db)

    def _advance_running_statistics(self, caches: list[LayerCache]) -> None:
        for names, cache in zip(self._names, caches, strict=True):
            if cache.batch_norm is not None:
                mean, var = self.buffers[names.running_mean], self.buffers[names.running_var]
                batch_norm_advance(mean, var, cache.batch_norm)

    def _checked_images(self, x: ArrayLike, training: bool) -> Array:
        return checked_images(x, self.sizes[0], self.dtype, batch_statistics=training and bool(self.buffers))


def checked_network(net: object) -> MLP:
    if not isinstance(net, MLP):
        raise ValueError(f"net is a {type(net).__name__}; it must be a manual_mlp.MLP")
    return net
