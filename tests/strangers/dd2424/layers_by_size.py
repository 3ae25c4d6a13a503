"""Layers are made by the network itself, from their sizes and the names of their activations."""

import numpy as np


class Model:
    class Dense:
        def __init__(self, fan_in, fan_out, act):
            self.act = act
            self.W = np.random.randn(fan_out, fan_in) / np.sqrt(fan_in)
            self.b = np.zeros((fan_out, 1))

        def run(self, x):
            z = self.W @ x + self.b
            if self.act == "relu":
                return z * (z > 0)
            if self.act == "softmax":
                e = np.exp(z - z.max(axis=0))
                return e / e.sum(axis=0)
            raise ValueError(self.act)

    def __init__(self):
        self.dense, self.fan_in = [], 0

    def set_input(self, size):
        self.fan_in = size

    def add_layer(self, nodes, act="relu"):
        assert self.fan_in, "set_input comes first"
        self.dense.append(self.Dense(self.fan_in, nodes, act))
        self.fan_in = nodes

    def forward(self, x):
        outs = [x]
        for layer in self.dense:
            outs.append(layer.run(outs[-1]))
        return outs

    def compute_cost(self, x, y, lam):
        p = self.forward(x)[-1]
        return np.mean(-np.log((y * p).sum(axis=0))) + lam * sum((layer.W**2).sum() for layer in self.dense)

    def compute_gradients(self, x, y, lam):
        outs = self.forward(x)
        g = (outs[-1] - y) / x.shape[1]
        grad_W, grad_b = [], []
        for layer, below in zip(self.dense[::-1], outs[-2::-1]):
            grad_W.insert(0, g @ below.T + 2 * lam * layer.W)
            grad_b.insert(0, g.sum(axis=1, keepdims=True))
            g = (layer.W.T @ g) * (below > 0)
        return grad_W, grad_b

    def fit(self, x, y, n_batch=100, eta_min=1e-5, eta_max=1e-1, ns=500, lam=0.01):
        n = x.shape[1]
        up = [eta_min + t / ns * (eta_max - eta_min) for t in range(ns)]
        etas = iter(up + [eta_max - t / ns * (eta_max - eta_min) for t in range(ns)])
        for _ in range(int(2 * ns / (n / n_batch))):
            for i in range(n // n_batch):
                cut = slice(i * n_batch, (i + 1) * n_batch)
                grad_W, grad_b = self.compute_gradients(x[:, cut], y[:, cut], lam)
                eta = next(etas)
                for layer, dW, db in zip(self.dense, grad_W, grad_b):
                    layer.W = layer.W - eta * dW
                    layer.b = layer.b - eta * db
