"""The operations of a fully connected network, forward and backward, written out by hand.

Each operation is a pair that can be read alone and keeps no state:

    out, cache = forward(...)         cache holds what the backward pass will need
    gradients  = backward(dout, cache)

`dout` is the gradient of the cost with respect to `out`; `d` + name is the gradient with respect to that name and
has its shape. N counts the images of a batch, D the inputs of a layer, M its outputs, H the features that an
element-wise operation passes through, K the classes. Every result has the dtype of the arrays that went in: scalars
become Python floats first, since a NumPy scalar would carry its float64 along.

`out=`, `dx=` and the like name an array to write that result into, as in NumPy: a training loop keeps its arrays
between updates. Where the docstring allows it, that is the array which went in.
"""

from functools import cache as cached
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Labels = NDArray[np.integer]

BATCH_NORM_EPS = 1e-5
BATCH_NORM_MOMENTUM = 0.1


def sum_over_batch(a: Array, out: Array | None = None) -> Array:
    """sum_n a[n], as a product with a row of ones, which is several times as fast as np.sum over a first axis.

    Shapes: a (N, H) -> out (H,)
    """
    return np.matmul(row_of_ones(len(a), a.dtype), a, out=out)


@cached
def row_of_ones(n: int, dtype: np.dtype[np.floating]) -> Array:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False  # every caller gets the same one
    return ones


class LinearCache(NamedTuple):
    x: Array  # (N, D)
    W: Array  # (M, D)


def linear_forward(x: Array, W: Array, b: Array, out: Array | None = None) -> tuple[Array, LinearCache]:
    """out = x W^T + b, one row per image.

    Shapes: x (N, D), W (M, D), b (M,) -> out (N, M)
    """
    out = np.matmul(x, W.T, out=out)  # (N, M)
    out += b
    return out, LinearCache(x, W)


def linear_backward(
    dout: Array, cache: LinearCache, dx: Array | None = None, dW: Array | None = None, db: Array | None = None
) -> tuple[Array, Array, Array]:
    """From out[n, m] = sum_d x[n, d] W[m, d] + b[m], with the chain rule over every out[n, m]:

        dx = dout W,  dW = dout^T x,  db = sum_n dout[n]

    Shapes: dout (N, M) -> dx (N, D), dW (M, D), db (M,)
    """
    dW, db = linear_backward_parameters(dout, cache, dW, db)
    dx = np.matmul(dout, cache.W, out=dx)  # (N, D)
    return dx, dW, db


def linear_backward_parameters(
    dout: Array, cache: LinearCache, dW: Array | None = None, db: Array | None = None
) -> tuple[Array, Array]:
    """`linear_backward` without dx: the first layer's input is data, and dx would cost as much as dW.

    Shapes: dout (N, M) -> dW (M, D), db (M,)
    """
    dW = np.matmul(dout.T, cache.x, out=dW)  # (M, D)
    db = sum_over_batch(dout, out=db)  # (M,)
    return dW, db


class ReluCache(NamedTuple):
    out: Array  # (N, H); positive exactly where x is


def relu_forward(x: Array, out: Array | None = None) -> tuple[Array, ReluCache]:
    """out = max(0, x). `out` may be x itself.

    Shapes: x (N, H) -> out (N, H)
    """
    out = np.maximum(x, 0, out=out)  # (N, H)
    return out, ReluCache(out)


def relu_backward(dout: Array, cache: ReluCache, dx: Array | None = None) -> Array:
    """dx = dout where x > 0, else 0. At the corner x = 0 the gradient is 0, as in torch. `dx` may be dout itself.

    Shapes: dout (N, H) -> dx (N, H)
    """
    return np.multiply(dout, cache.out > 0, out=dx)  # (N, H)


class BatchNormCache(NamedTuple):
    x_hat: Array  # (N, H) normalized input
    inv_std: Array  # (H,)
    gamma: Array  # (H,)
    mean: Array  # (H,) statistics of this batch, from which the running ones advance
    var: Array  # (H,) biased: divided by N


def batch_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    eps: float = BATCH_NORM_EPS,
    out: Array | None = None,
    x_hat: Array | None = None,
) -> tuple[Array, BatchNormCache]:
    """Batch normalization with the batch's own statistics (training), feature by feature. `x_hat` may be x itself.

        mean = 1/N sum_n x[n],  var = 1/N sum_n (x[n] - mean)^2
        x_hat = (x - mean) / sqrt(var + eps),  out = gamma x_hat + beta

    Shapes: x (N, H), gamma (H,), beta (H,) -> out (N, H)
    Source: Ioffe and Szegedy 2015, algorithm 1; eps inside the root.
    """
    n = len(x)
    mean = sum_over_batch(x) / n  # (H,)
    x_hat = np.subtract(x, mean, out=x_hat)  # (N, H) centered, scaled below
    out = np.multiply(x_hat, x_hat, out=out)  # (N, H) squares for now
    var = sum_over_batch(out) / n  # (H,)
    inv_std = 1 / np.sqrt(var + float(eps))  # (H,)
    x_hat *= inv_std
    out = np.multiply(x_hat, gamma, out=out)  # (N, H)
    out += beta
    return out, BatchNormCache(x_hat, inv_std, gamma, mean, var)


def batch_norm_backward(
    dout: Array,
    cache: BatchNormCache,
    dx: Array | None = None,
    dgamma: Array | None = None,
    dbeta: Array | None = None,
) -> tuple[Array, Array, Array]:
    """The batch shares its mean and variance, so every x[n] reaches the cost on three paths: through its own x_hat[n],
    through the mean and through the variance. With dx_hat = gamma dout the three sum to

        dx = inv_std (dx_hat - mean_n(dx_hat) - x_hat mean_n(dx_hat x_hat))
           = gamma inv_std (dout - dbeta / N - x_hat dgamma / N)

        dgamma = sum_n dout[n] x_hat[n],  dbeta = sum_n dout[n]

    The two subtracted terms take out of dout what the normalization would undo: a shift and a scaling of the feature.
    They are why a bias in front of batch normalization has no gradient: the rows of dx sum to 0.

    `dx` may be dout itself.

    Shapes: dout (N, H) -> dx (N, H), dgamma (H,), dbeta (H,)
    Source: Ioffe and Szegedy 2015, section 3, simplified.
    """
    x_hat, inv_std, gamma, _, _ = cache
    n = len(dout)
    dgamma = sum_over_batch(dout * x_hat, out=dgamma)  # (H,)
    dbeta = sum_over_batch(dout, out=dbeta)  # (H,)
    dx = np.subtract(dout, dbeta / n, out=dx)  # (N, H)
    dx -= x_hat * (dgamma / n)
    dx *= gamma * inv_std
    return dx, dgamma, dbeta


def batch_norm_advance(
    running_mean: Array, running_var: Array, cache: BatchNormCache, momentum: float = BATCH_NORM_MOMENTUM
) -> None:
    """Moves the running statistics, in place, towards those of the batch: new = (1 - momentum) old + momentum batch.

    Shapes: running_mean (H,), running_var (H,)

    As in torch the running variance takes the unbiased estimate, var N / (N - 1), although the batch itself was
    normalized with the biased one. The course's alpha is 1 - momentum.
    """
    n = len(cache.x_hat)
    running_mean += momentum * (cache.mean - running_mean)
    running_var += momentum * (cache.var * (n / (n - 1)) - running_var)


def batch_norm_inference(
    x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float = BATCH_NORM_EPS
) -> Array:
    """Batch normalization at test time: the running statistics stand where the batch's own stood.

    Shapes: x (N, H), all others (H,) -> out (N, H)
    """
    out = x - running_mean  # (N, H)
    out *= gamma / np.sqrt(running_var + float(eps))
    out += beta
    return out


class DropoutCache(NamedTuple):
    mask: Array  # (N, H)


def dropout_mask(n: int, width: int, rate: float, rng: np.random.Generator, dtype: np.dtype[np.floating]) -> Array:
    """Every entry is 0 with probability `rate`, else 1 / (1 - rate): on average it is 1, so test time needs no factor.

    Four entries are drawn at once, 16 random bits each, so `rate` counts to the nearest 1/65536.

    Shapes: -> mask (n, width)
    """
    bits = rng.integers(2**64, size=-(-n * width // 4), dtype=np.uint64).view(np.uint16)
    kept = bits[: n * width].reshape(n, width) >= round(rate * 2**16)  # (n, width)
    return np.multiply(kept, 1 / (1 - rate), dtype=dtype)


def dropout_forward(x: Array, mask: Array, out: Array | None = None) -> tuple[Array, DropoutCache]:
    """Inverted dropout: out = mask x. `out` may be x itself. At test time out = x.

    Shapes: x (N, H), mask (N, H) -> out (N, H)
    Source: Srivastava et al. 2014, scaled in training as CS231n and torch do.
    """
    return np.multiply(x, mask, out=out), DropoutCache(mask)


def dropout_backward(dout: Array, cache: DropoutCache, dx: Array | None = None) -> Array:
    """dx = mask dout: the mask was drawn before and does not depend on x. `dx` may be dout itself.

    Shapes: dout (N, H) -> dx (N, H)
    """
    return np.multiply(dout, cache.mask, out=dx)  # (N, H)


class SoftmaxCrossEntropyCache(NamedTuple):
    p: Array  # (N, K) probabilities
    y: Labels  # (N,)
    label_smoothing: float


def softmax_cross_entropy_forward(
    logits: Array, y: Labels, label_smoothing: float = 0.0
) -> tuple[np.floating, SoftmaxCrossEntropyCache]:
    """loss = 1/N sum_n -log p[n, y_n] with p = softmax(logits), row by row.

    Each row is shifted by its own maximum: p stays the same and exp cannot overflow. Since the largest term of the sum
    is then 1, log p = shifted - log(sum(exp(shifted))) never takes the logarithm of 0.

    label_smoothing s spreads that share of the target over all classes: loss = 1/N sum_n sum_k -q[n, k] log p[n, k],
    q = (1 - s) onehot(y) + s / K.

    Shapes: logits (N, K), y (N,) -> loss ()
    Source: Szegedy et al. 2016, section 7, for the smoothing.
    """
    label_smoothing = float(label_smoothing)
    rows = np.arange(len(y))
    shifted = logits - logits.max(axis=1, keepdims=True)  # (N, K)
    p = np.exp(shifted)  # (N, K)
    total = p.sum(axis=1, keepdims=True)  # (N, 1), at least 1
    target = shifted[rows, y]  # (N,) sum_k q[n, k] shifted[n, k]
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing * shifted.mean(axis=1)
    loss = np.sum(np.log(total[:, 0]) - target) / len(y)
    p /= total
    return loss, SoftmaxCrossEntropyCache(p, y, label_smoothing)


def softmax_cross_entropy_backward(dout: float, cache: SoftmaxCrossEntropyCache) -> Array:
    """dlogits = dout (p - q) / N with q = onehot(y), smoothed as in the forward pass.

    Shapes: dout () -> dlogits (N, K)
    """
    p, y, label_smoothing = cache
    n, classes = p.shape
    dlogits: Array = p - label_smoothing / classes  # (N, K)
    dlogits[np.arange(n), y] -= 1 - label_smoothing
    dlogits *= dout / n
    return dlogits


class L2PenaltyCache(NamedTuple):
    W: Array
    l2: float


def l2_penalty_forward(W: Array, l2: float) -> tuple[np.floating, L2PenaltyCache]:
    """penalty = l2 sum(W^2): no factor 1/2, and never on biases, gamma or beta.

    Shapes: W of any shape -> penalty ()
    """
    l2 = float(l2)
    return l2 * np.vdot(W, W), L2PenaltyCache(W, l2)


def l2_penalty_backward(dout: float, cache: L2PenaltyCache) -> Array:
    """dW = dout 2 l2 W.

    Shapes: dout () -> dW like W
    """
    return cache.W * float(2 * cache.l2 * dout)
