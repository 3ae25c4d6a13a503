"""No class for the network: functions that go through a list of layer objects, each of which keeps its gradients."""

import numpy as np


class Layer:
    def __init__(self, n_in=10, n_out=10, activation="relu", lam=0.0, batch_norm=False):
        self.W = np.random.normal(0, np.sqrt(2 / n_in), (n_out, n_in))
        self.b = np.zeros((n_out, 1))
        self.gamma, self.beta = np.ones((n_out, 1)), np.zeros((n_out, 1))
        self.activation, self.lam, self.batch_norm = activation, lam, batch_norm

    def apply(self, X):
        self.X, self.s = X, self.W @ X + self.b
        if self.activation == "softmax":
            e = np.exp(self.s - self.s.max(axis=0))
            return e / e.sum(axis=0)
        z = self.s
        if self.batch_norm:
            self.scale = 1 / np.sqrt(z.var(axis=1, keepdims=True) + 1e-9)
            self.s_hat = (z - z.mean(axis=1, keepdims=True)) * self.scale
            z = self.gamma * self.s_hat + self.beta
        self.gate = z > 0
        return z * self.gate

    def step(self, eta):
        self.W -= eta * self.grad_W
        self.b -= eta * self.grad_b
        if self.batch_norm and self.activation != "softmax":
            self.gamma -= eta * self.grad_gamma
            self.beta -= eta * self.grad_beta


def evaluate_classifier(X, layers):
    for layer in layers:
        X = layer.apply(X)
    return X


def compute_cost(X, Y, layers):
    P = evaluate_classifier(X, layers)
    return -np.log((Y * P).sum(axis=0)).mean() + sum(layer.lam * (layer.W**2).sum() for layer in layers)


def compute_gradients(X, Y, layers):
    G = (evaluate_classifier(X, layers) - Y) / X.shape[1]
    for layer in reversed(layers):
        if layer.activation == "relu":
            G = G * layer.gate
            if layer.batch_norm:
                layer.grad_gamma = (G * layer.s_hat).sum(axis=1, keepdims=True)
                layer.grad_beta = G.sum(axis=1, keepdims=True)
                G = G * layer.gamma
                along = layer.s_hat * (G * layer.s_hat).mean(axis=1, keepdims=True)
                G = layer.scale * (G - G.mean(axis=1, keepdims=True) - along)
        layer.grad_W = G @ layer.X.T + 2 * layer.lam * layer.W
        layer.grad_b = G.sum(axis=1, keepdims=True)
        G = layer.W.T @ G


def update(layers, eta):
    for layer in layers:
        layer.step(eta)


def fit(X, Y, layers, eta, n_batch, n_epochs):
    for _ in range(n_epochs):
        order = np.random.permutation(X.shape[1])
        for start in range(0, X.shape[1], n_batch):
            chosen = order[start : start + n_batch]
            compute_gradients(X[:, chosen], Y[:, chosen], layers)
            update(layers, eta)


def compute_accuracy(X, y, layers):
    return np.mean(evaluate_classifier(X, layers).argmax(axis=0) == y)
