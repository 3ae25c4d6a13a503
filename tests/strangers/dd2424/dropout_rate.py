"""Inverted dropout in the hidden layers, its rate an argument with a default; a step that is handed the gradients."""

import numpy as np

rng = np.random.default_rng(11)


def initialize(sizes):
    W = [rng.normal(0, np.sqrt(2 / d), (m, d)) for d, m in zip(sizes[:-1], sizes[1:])]
    return W, [np.zeros((m, 1)) for m in sizes[1:]]


def forward(X, W, b, p_drop=0.3):
    inputs, gates = [X], []
    for weights, bias in zip(W[:-1], b[:-1]):
        s = weights @ inputs[-1] + bias
        gates.append((s > 0) * (rng.random(s.shape) >= p_drop) / (1 - p_drop))
        inputs.append(s * gates[-1])
    e = np.exp(W[-1] @ inputs[-1] + b[-1])
    return e / e.sum(axis=0), inputs, gates


def compute_cost(X, Y, W, b, lam):
    P, _, _ = forward(X, W, b)
    return -np.sum(Y * np.log(P)) / X.shape[1] + lam * sum(np.sum(weights**2) for weights in W)


def compute_gradients(X, Y, W, b, lam):
    P, inputs, gates = forward(X, W, b)
    G, grad_W, grad_b = (P - Y) / X.shape[1], [], []
    for layer in reversed(range(len(W))):
        grad_W.insert(0, G @ inputs[layer].T + 2 * lam * W[layer])
        grad_b.insert(0, G.sum(axis=1, keepdims=True))
        if layer > 0:
            G = (W[layer].T @ G) * gates[layer - 1]
    return grad_W, grad_b


def train(X, Y, W, b, lam, eta, n_batch, n_epochs):
    for _ in range(n_epochs):
        for start in range(0, X.shape[1], n_batch):
            batch = slice(start, start + n_batch)
            grad_W, grad_b = compute_gradients(X[:, batch], Y[:, batch], W, b, lam)
            for layer in range(len(W)):
                W[layer] = W[layer] - eta * grad_W[layer]
                b[layer] = b[layer] - eta * grad_b[layer]
    return W, b
