"""Our own operations as CS231n names and arranges them: what a helper file that is missing would have given."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from manual_mlp import layers
from manual_mlp.layers import Array


def affine_forward(x: Array, w: Array, b: Array) -> Any:
    out, _ = layers.linear_forward(x.reshape(len(x), -1), w.T, b)
    return out, (x, w, b)


def affine_backward(dout: Array, cache: Any) -> Any:
    x, w, _ = cache
    dx, dw, db = layers.linear_backward(dout, layers.LinearCache(x.reshape(len(x), -1), w.T))
    return dx.reshape(x.shape), dw.T, db


def relu_forward(x: Array) -> Any:
    return np.maximum(x, 0), x


def relu_backward(dout: Array, cache: Any) -> Any:
    return dout * (cache > 0)


def softmax_loss(x: Array, y: Any) -> Any:
    """Without labels it gives numbers, too, as the course's does: some ask it before they return the scores alone."""
    labels = np.zeros(len(x), dtype=int) if y is None else y
    loss, cache = layers.softmax_cross_entropy_forward(x, labels)
    return loss, layers.softmax_cross_entropy_backward(1.0, cache)


def batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> Any:
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    mean = bn_param.get("running_mean", np.zeros(x.shape[1], x.dtype))
    var = bn_param.get("running_var", np.zeros(x.shape[1], x.dtype))
    if bn_param["mode"] == "test":
        return layers.batch_norm_inference(x, gamma, beta, mean, var, eps), None
    out, cache = layers.batch_norm_forward(x, gamma, beta, eps)
    bn_param["running_mean"] = momentum * mean + (1 - momentum) * cache.mean
    bn_param["running_var"] = momentum * var + (1 - momentum) * cache.var
    return out, cache


def batchnorm_backward(dout: Array, cache: Any) -> Any:
    return layers.batch_norm_backward(dout, cache)


def layernorm_forward(x: Array, gamma: Array, beta: Array, ln_param: dict[str, Any]) -> Any:
    """Batch normalization of the transposed: over each image's units instead of over the images."""
    units = x.T
    ones, zeros = np.ones(len(x)), np.zeros(len(x))
    normalized, cache = layers.batch_norm_forward(units, ones, zeros, ln_param.get("eps", 1e-5))
    return gamma * normalized.T + beta, (normalized.T, gamma, cache)


def layernorm_backward(dout: Array, cache: Any) -> Any:
    normalized, gamma, of_units = cache
    dx, _, _ = layers.batch_norm_backward((dout * gamma).T, of_units)
    return dx.T, (dout * normalized).sum(axis=0), dout.sum(axis=0)


def dropout_forward(x: Array, dropout_param: dict[str, Any]) -> Any:
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])  # noqa: NPY002 - as the course's own checks expect it
    keep = dropout_param["p"]
    mask = None
    if dropout_param["mode"] == "train":
        mask = (np.random.rand(*x.shape) < keep) / keep  # noqa: NPY002
        x = x * mask
    return x, (dropout_param, mask)


def dropout_backward(dout: Array, cache: Any) -> Any:
    dropout_param, mask = cache
    return dout * mask if dropout_param["mode"] == "train" else dout


def affine_relu_forward(x: Array, w: Array, b: Array) -> Any:
    out, linear = affine_forward(x, w, b)
    return np.maximum(out, 0), (linear, out)


def affine_relu_backward(dout: Array, cache: Any) -> Any:
    linear, out = cache
    return affine_backward(dout * (out > 0), linear)


def normalized_sandwich(
    norm_forward: Callable[..., Any], norm_backward: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Affine, this normalization, ReLU; and back."""

    def forward(x: Array, w: Array, b: Array, gamma: Array, beta: Array, norm_param: dict[str, Any]) -> Any:
        hidden, linear = affine_forward(x, w, b)
        out, normalization = norm_forward(hidden, gamma, beta, norm_param)
        return np.maximum(out, 0), (linear, normalization, out)

    def backward(dout: Array, cache: Any) -> Any:
        linear, normalization, out = cache
        dhidden, dgamma, dbeta = norm_backward(dout * (out > 0), normalization)
        return *affine_backward(dhidden, linear), dgamma, dbeta

    return forward, backward


affine_bn_relu_forward, affine_bn_relu_backward = normalized_sandwich(batchnorm_forward, batchnorm_backward)
affine_ln_relu_forward, affine_ln_relu_backward = normalized_sandwich(layernorm_forward, layernorm_backward)


def loss_of_training(parameters: Mapping[str, Array], x: Array, y: Any) -> float:
    """Of a whole network, by our names, without penalty and dropout."""
    depth = sum(name.startswith("linear") for name in parameters) // 2
    for layer in range(1, depth + 1):
        x, _ = affine_forward(x, parameters[f"linear{layer}.weight"].T, parameters[f"linear{layer}.bias"])
        if f"bn{layer}.weight" in parameters:
            x, _ = batchnorm_forward(
                x, parameters[f"bn{layer}.weight"], parameters[f"bn{layer}.bias"], {"mode": "train"}
            )
        x = np.maximum(x, 0) if layer < depth else x
    return float(softmax_loss(x, y)[0])


BATCH_NORM = ("bn", "batchnorm", "batch_norm", "norm")  # in the names of what students write themselves
LAYER_NORM = ("ln", "layernorm")
TEXTBOOK: dict[str, Any] = {
    function.__name__: function
    for function in (
        affine_forward,
        affine_backward,
        relu_forward,
        relu_backward,
        softmax_loss,
        batchnorm_forward,
        batchnorm_backward,
        layernorm_forward,
        layernorm_backward,
        dropout_forward,
        dropout_backward,
        affine_relu_forward,
        affine_relu_backward,
    )
} | {
    "batchnorm_backward_alt": batchnorm_backward,
    **{f"affine_{norm}_relu_forward": affine_bn_relu_forward for norm in BATCH_NORM},
    **{f"affine_{norm}_relu_backward": affine_bn_relu_backward for norm in BATCH_NORM},
    **{f"affine_{norm}_relu_forward": affine_ln_relu_forward for norm in LAYER_NORM},
    **{f"affine_{norm}_relu_backward": affine_ln_relu_backward for norm in LAYER_NORM},
}
