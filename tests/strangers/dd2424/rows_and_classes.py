from dataclasses import dataclass

import numpy as np


@dataclass
class Gradients:
    weights: list
    biases: list


class Classifier:
    """Images as rows, weights (in, out), biases (out,), labels as numbers."""

    def __init__(self, input_dim, hidden_dims, n_classes, reg_lambda=0.0, rng=None):
        rng = rng or np.random.default_rng()
        sizes = [input_dim, *hidden_dims, n_classes]
        self.reg_lambda = reg_lambda
        self.weights = [rng.normal(0, (2 / a) ** 0.5, (a, b)) for a, b in zip(sizes, sizes[1:])]
        self.biases = [np.zeros(b) for b in sizes[1:]]

    def forward(self, x):
        self._inputs = []
        for i, (w, b) in enumerate(zip(self.weights, self.biases)):
            self._inputs.append(x)
            x = x @ w + b
            if i < len(self.weights) - 1:
                x = np.clip(x, 0, None)
        x = np.exp(x - x.max(axis=-1, keepdims=True))
        return x / x.sum(axis=-1, keepdims=True)

    def compute_cost(self, x, y):
        probabilities = self.forward(x)
        picked = np.take_along_axis(probabilities, y[:, None], axis=1)
        return -np.log(picked).mean() + self.reg_lambda * sum(np.vdot(w, w) for w in self.weights)

    def compute_gradients(self, x, y):
        g = self.forward(x)
        g[np.arange(len(y)), y] -= 1
        g /= len(y)
        result = Gradients([], [])
        for w, inputs in zip(reversed(self.weights), reversed(self._inputs)):
            result.weights.insert(0, inputs.T @ g + 2 * self.reg_lambda * w)
            result.biases.insert(0, g.sum(axis=0))
            g = (g @ w.T) * (inputs > 0)
        return result
