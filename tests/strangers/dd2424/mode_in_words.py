"""Batch normalization without gamma and beta beside a network without it; a word tells the cost which of them it is."""

import numpy as np


def probabilities_of(s):
    e = np.exp(s - s.max(axis=0))
    return e / e.sum(axis=0)


def Forward(X, W, b):
    h = [X]
    for layer in range(len(W)):
        s = W[layer] @ h[-1] + b[layer]
        h.append(np.maximum(s, 0))
    return probabilities_of(s), h[:-1]


def ForwardBatchNorm(X, W, b, epsilon, **at_test_time):
    h, normalized, variances = [X], [], []
    for layer in range(len(W) - 1):
        s = W[layer] @ h[-1] + b[layer]
        mean, var = s.mean(axis=1), s.var(axis=1)
        if at_test_time:
            mean, var = at_test_time["averages"][layer]
        variances.append(var)
        normalized.append(np.diag((var + epsilon) ** -0.5) @ (s - mean[:, None]))
        h.append(np.maximum(normalized[-1], 0))
    return probabilities_of(W[-1] @ h[-1] + b[-1]), h, normalized, variances


def Cost(X, Y, W, b, lamda, epsilon, mode_of_bn, **at_test_time):
    if mode_of_bn == "without":
        P, _ = Forward(X, W, b)
    else:
        P, _, _, _ = ForwardBatchNorm(X, W, b, epsilon, **at_test_time)
    return -np.log((Y * P).sum(axis=0)).mean() + lamda * sum((w**2).sum() for w in W)


def Gradients(X, Y, W, b, lamda):
    P, h = Forward(X, W, b)
    G = (P - Y) / X.shape[1]
    grad_W, grad_b = [], []
    for layer in range(len(W) - 1, -1, -1):
        grad_W.insert(0, G @ h[layer].T + 2 * lamda * W[layer])
        grad_b.insert(0, G.sum(axis=1, keepdims=True))
        G = (W[layer].T @ G) * (h[layer] > 0)
    return grad_W, grad_b


def GradientsBatchNorm(X, Y, W, b, lamda, epsilon):
    P, h, normalized, variances = ForwardBatchNorm(X, W, b, epsilon)
    G = (P - Y) / X.shape[1]
    grad_W, grad_b = [], []
    for layer in range(len(W) - 1, -1, -1):
        grad_W.insert(0, G @ h[layer].T + 2 * lamda * W[layer])
        grad_b.insert(0, G.sum(axis=1, keepdims=True))
        if layer > 0:
            G = (W[layer].T @ G) * (h[layer] > 0)
            s_hat = normalized[layer - 1]
            G = np.diag((variances[layer - 1] + epsilon) ** -0.5) @ G
            G = G - G.mean(axis=1, keepdims=True) - s_hat * (G * s_hat).mean(axis=1, keepdims=True)
    return grad_W, grad_b
