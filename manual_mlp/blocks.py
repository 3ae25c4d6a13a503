"""One layer of the network: a linear operation and, in a hidden layer, batch normalization and ReLU behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from manual_mlp.layers import (
    Array,
    BatchNormCache,
    LinearCache,
    ReluCache,
    batch_norm_advance,
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    linear_backward,
    linear_backward_parameters,
    linear_forward,
    relu_backward,
    relu_forward,
)

Values = Mapping[str, Array]


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


class BlockWorkspace(NamedTuple):
    """Where the operations of one block write; None where they shall make new arrays."""

    linear: Array | None = None  # (N, M) its output, which becomes batch normalization's x_hat
    out: Array | None = None  # (N, M) the block's output where the batch is normalized
    dx: Array | None = None  # (N, D) the gradient of the block's input


class BlockCache(NamedTuple):
    """What the operations of one block keep for its backward pass; the output layer has the first alone."""

    linear: LinearCache
    batch_norm: BatchNormCache | None = None
    relu: ReluCache | None = None


def relu_signs(caches: list[BlockCache]) -> NDArray[np.bool]:
    """For every ReLU and image whether its input is positive, in one row."""
    signs = [(cache.relu.out > 0).ravel() for cache in caches if cache.relu is not None]
    return np.concatenate(signs) if signs else np.zeros(0, np.bool)


@dataclass(frozen=True)
class Block:
    """What one layer is made of, forward and backward. It keeps no values: they lie in the network."""

    names: LayerNames
    fan_in: int  # D
    width: int  # M
    first: bool  # its input is data: nobody needs the gradient of that
    hidden: bool  # a ReLU follows; the output layer has none
    batch_norm: bool  # in front of the ReLU

    def workspace(self, images: int, dtype: DTypeLike) -> BlockWorkspace:
        """Arrays for a training loop to keep, in which batches of so many images are worked on."""
        return BlockWorkspace(
            linear=np.empty((images, self.width), dtype),
            out=np.empty((images, self.width), dtype) if self.batch_norm else None,
            dx=None if self.first else np.empty((images, self.fan_in), dtype),
        )

    def forward(
        self, x: Array, values: Values, buffers: Values, training: bool, space: BlockWorkspace
    ) -> tuple[Array, BlockCache]:
        """Shapes: x (N, D) -> out (N, M)"""
        out, linear = linear_forward(x, values[self.names.weight], values[self.names.bias], out=space.linear)
        if not self.hidden:
            return out, BlockCache(linear)
        norm = None
        if self.batch_norm:
            out, norm = self._normalized(out, values, buffers, training, space)
        out, relu = relu_forward(out, out=out)
        return out, BlockCache(linear, norm, relu)

    def _normalized(
        self, x: Array, values: Values, buffers: Values, training: bool, space: BlockWorkspace
    ) -> tuple[Array, BatchNormCache | None]:
        """With the batch's statistics in training, with the running ones at test time. Shapes: (N, M) -> (N, M)"""
        gamma, beta = values[self.names.gamma], values[self.names.beta]
        if training:
            return batch_norm_forward(x, gamma, beta, out=space.out, x_hat=x)
        running_mean, running_var = buffers[self.names.running_mean], buffers[self.names.running_var]
        return batch_norm_inference(x, gamma, beta, running_mean, running_var), None

    def backward(self, dout: Array, cache: BlockCache, gradients: Values, space: BlockWorkspace) -> Array | None:
        """The forward pass read from the right. Writes the gradients of the block's parameters, uses dout up, and
        returns the gradient of its input, but for the first block.

        Shapes: dout (N, M) -> dx (N, D)
        """
        if cache.relu is not None:
            dout = relu_backward(dout, cache.relu, dx=dout)
        if cache.batch_norm is not None:
            dgamma, dbeta = gradients[self.names.gamma], gradients[self.names.beta]
            dout, _, _ = batch_norm_backward(dout, cache.batch_norm, dout, dgamma, dbeta)
        dW, db = gradients[self.names.weight], gradients[self.names.bias]
        if self.first:
            linear_backward_parameters(dout, cache.linear, dW, db)
            return None
        dx, _, _ = linear_backward(dout, cache.linear, space.dx, dW, db)
        return dx

    def advance(self, buffers: Values, cache: BlockCache) -> None:
        """Moves the running statistics towards those of the batch."""
        if cache.batch_norm is not None:
            batch_norm_advance(buffers[self.names.running_mean], buffers[self.names.running_var], cache.batch_norm)
