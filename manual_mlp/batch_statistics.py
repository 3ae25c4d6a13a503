"""Batch normalization's statistics for test time, measured anew on a network whose weights stay as they are.

The running averages of a training lag behind its weights and weigh the last batches most.
"""

import itertools
import sys

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.checks import checked_images, checked_integer
from manual_mlp.network import MLP, checked_network


def precise_batch_norm(net: MLP, x: ArrayLike, batch_size: int = 1000) -> None:
    """PreciseBN: the running statistics become those of all images x, taken batch by batch.

        mean = E[mean_B],  var = E[var_B + mean_B^2] - mean^2

    over the batches B, each weighed by its images and normalized by its own statistics, as in training; var is then
    made unbiased, N / (N - 1), as batch normalization's running variance is. Nothing is dropped.

    Shapes: x (N, D)
    Source: Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3.
    """
    net = checked_network(net)
    if not net.buffers:
        raise ValueError("net has no batch normalization, so it has no statistics to measure")
    x = checked_images(x, net.sizes[0], net.dtype, batch_statistics=True)
    batch_size = checked_integer("batch_size", batch_size, minimum=2)
    n = len(x)
    starts = range(0, n - 1, batch_size)  # a last batch of one image joins the one before it
    means = {block.names: np.zeros(block.width) for block in net.blocks if block.batch_norm}  # in float64: a long sum
    squares = {names: np.zeros_like(mean) for names, mean in means.items()}
    for start, end in itertools.pairwise([*starts, n]):
        _, caches = net.forward_with_caches(x[start:end], training=True)
        for block, cache in zip(net.blocks, caches, strict=True):
            if cache.batch_norm is not None:
                mean, var = cache.batch_norm.mean.astype(np.float64), cache.batch_norm.var
                means[block.names] += (end - start) / n * mean  # (H,)
                squares[block.names] += (end - start) / n * (var + mean**2)  # (H,)
    for names, mean in means.items():
        net.buffers[names.running_mean] = mean
        net.buffers[names.running_var] = (squares[names] - mean**2) * (n / (n - 1))


def adaptive_batch_norm(net: MLP, x: ArrayLike) -> None:
    """AdaBN: the running statistics become those of these images, in one batch: of another domain than the training's,
    such as a test set, whose labels it does not need.

    Shapes: x (N, D), N >= 2
    Source: Li et al. 2017, "Revisiting Batch Normalization for Practical Domain Adaptation".
    """
    precise_batch_norm(net, x, batch_size=sys.maxsize)
