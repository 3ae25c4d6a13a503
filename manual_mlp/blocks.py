"""One layer of the network: a linear operation and, in a hidden layer, what follows it, as far as the network has it:
batch normalization, ReLU, dropout, a skip connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from manual_mlp.layers import (
    Array,
    BatchNormCache,
    DropoutCache,
    LinearCache,
    ReluCache,
    batch_norm_advance,
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    dropout_backward,
    dropout_forward,
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
    x_hat: Array | None = None  # (N, M) batch normalization's own where the ReLU comes first and keeps `linear`
    out: Array | None = None  # (N, M) what the batch is normalized to
    sum: Array | None = None  # (N, M) output and input together, where there is a skip
    dx: Array | None = None  # (N, D) the gradient of the block's input


class BlockCache(NamedTuple):
    """What the operations of one block keep for its backward pass; the output layer has the first alone."""

    linear: LinearCache
    batch_norm: BatchNormCache | None = None
    relu: ReluCache | None = None
    dropout: DropoutCache | None = None


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
    batch_norm: bool  # in front of the ReLU,
    relu_first: bool  # or behind it
    skip: bool  # the block's input is added to its output

    def workspace(self, images: int, dtype: DTypeLike) -> BlockWorkspace:
        """Arrays for a training loop to keep, in which batches of so many images are worked on."""
        return BlockWorkspace(
            linear=np.empty((images, self.width), dtype),
            x_hat=np.empty((images, self.width), dtype) if self.relu_first else None,
            out=np.empty((images, self.width), dtype) if self.batch_norm else None,
            sum=np.empty((images, self.width), dtype) if self.skip else None,
            dx=None if self.first else np.empty((images, self.fan_in), dtype),
        )

    def forward(
        self, x: Array, values: Values, buffers: Values, training: bool, space: BlockWorkspace, mask: Array | None
    ) -> tuple[Array, BlockCache]:
        """`mask` is dropout's; None where nothing is dropped.

        Shapes: x (N, D), mask (N, M) -> out (N, M)
        """
        out, linear = linear_forward(x, values[self.names.weight], values[self.names.bias], out=space.linear)
        if not self.hidden:
            return out, BlockCache(linear)
        norm = dropout = None
        if self.relu_first:
            out, relu = relu_forward(out, out=out)
            out, norm = self._normalized(out, values, buffers, training, space.out, space.x_hat)
        else:
            if self.batch_norm:
                out, norm = self._normalized(out, values, buffers, training, space.out, out)
            out, relu = relu_forward(out, out=out)
        if mask is not None:  # in place: where it drops, ReLU's backward pass finds 0, which no gradient reaches anyway
            out, dropout = dropout_forward(out, mask, out=out)
        if self.skip:
            out = np.add(out, x, out=space.sum)
        return out, BlockCache(linear, norm, relu, dropout)

    def _normalized(
        self, x: Array, values: Values, buffers: Values, training: bool, out: Array | None, x_hat: Array | None
    ) -> tuple[Array, BatchNormCache | None]:
        """With the batch's statistics in training, with the running ones at test time. Shapes: (N, M) -> (N, M)"""
        gamma, beta = values[self.names.gamma], values[self.names.beta]
        if training:
            return batch_norm_forward(x, gamma, beta, out=out, x_hat=x_hat)
        running_mean, running_var = buffers[self.names.running_mean], buffers[self.names.running_var]
        return batch_norm_inference(x, gamma, beta, running_mean, running_var), None

    def backward(self, dout: Array, cache: BlockCache, gradients: Values, space: BlockWorkspace) -> Array | None:
        """The forward pass read from the right. Writes the gradients of the block's parameters, uses dout up, and
        returns the gradient of its input, but for the first block.

        Shapes: dout (N, M) -> dx (N, D)
        """
        past = dout.copy() if self.skip else None  # what goes around the block
        if cache.dropout is not None:
            dout = dropout_backward(dout, cache.dropout, dx=dout)
        if cache.relu is not None and not self.relu_first:
            dout = relu_backward(dout, cache.relu, dx=dout)
        if cache.batch_norm is not None:
            dgamma, dbeta = gradients[self.names.gamma], gradients[self.names.beta]
            dout, _, _ = batch_norm_backward(dout, cache.batch_norm, dout, dgamma, dbeta)
        if cache.relu is not None and self.relu_first:
            dout = relu_backward(dout, cache.relu, dx=dout)
        dW, db = gradients[self.names.weight], gradients[self.names.bias]
        if self.first:
            linear_backward_parameters(dout, cache.linear, dW, db)
            return None
        dx, _, _ = linear_backward(dout, cache.linear, space.dx, dW, db)
        if past is not None:
            dx += past
        return dx

    def advance(self, buffers: Values, cache: BlockCache) -> None:
        """Moves the running statistics towards those of the batch."""
        if cache.batch_norm is not None:
            batch_norm_advance(buffers[self.names.running_mean], buffers[self.names.running_var], cache.batch_norm)
