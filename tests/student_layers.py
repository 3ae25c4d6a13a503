"""Operations as a student writes them, right as they stand. The tests of the diagnosis plant mistakes into them."""

import numpy as np


def linear_forward(x, W, b):
    out = np.dot(x, W.T) + b
    return out, (x, W)


def linear_backward(dout, cache):
    x, W = cache
    dx = np.dot(dout, W)
    dW = np.dot(dout.T, x)
    db = np.sum(dout, axis=0)
    return dx, dW, db


def relu_forward(x):
    out = np.where(x > 0, x, 0)
    return out, x


def relu_backward(dout, cache):
    x = cache
    return dout * (x > 0)


def batch_norm_forward(x, gamma, beta, eps=1e-5):
    mu = np.mean(x, axis=0)
    xmu = x - mu
    var = np.mean(xmu * xmu, axis=0)
    std = np.sqrt(var + eps)
    xhat = xmu / std
    out = gamma * xhat + beta
    return out, (x, xmu, var, std, xhat, gamma, eps)


def batch_norm_backward(dout, cache):
    x, xmu, var, std, xhat, gamma, eps = cache
    N = x.shape[0]
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat / std
    dstd = -divar / std**2
    dvar = 0.5 * dstd / np.sqrt(var + eps)
    dxmu2 = 2 * xmu * dvar / N
    dx1 = dxmu1 + dxmu2
    dmu = -np.sum(dx1, axis=0)
    return dx1 + dmu / N, dgamma, dbeta


def batch_norm_test(x, gamma, beta, running_mean, running_var):
    xhat = (x - running_mean) / np.sqrt(running_var + 1e-5)
    return gamma * xhat + beta


def batch_norm_advance(x, running_mean, running_var):
    n = len(x)
    mean, var = x.mean(axis=0), x.var(axis=0) * n / (n - 1)
    running_mean = 0.9 * running_mean + 0.1 * mean
    running_var = 0.9 * running_var + 0.1 * var
    return running_mean, running_var


def dropout_forward(x, p, rng):
    mask = (rng.uniform(size=x.shape) > p) / (1 - p)
    out = x * mask
    return out, mask


def dropout_backward(dout, mask):
    return dout * mask


def dropout_test(x, _):
    return x


def softmax_cross_entropy_forward(logits, y):
    n = logits.shape[0]
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_z = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    log_probs = shifted - log_z
    loss = -np.sum(log_probs[np.arange(n), y]) / n
    return loss, (np.exp(log_probs), y)


def softmax_cross_entropy_backward(cache):
    probs, y = cache
    n = probs.shape[0]
    dlogits = probs.copy()
    dlogits[np.arange(n), y] -= 1
    return dlogits / n
