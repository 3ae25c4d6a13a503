"""The gradient knows one image and no penalty; the step adds up the images of a batch and does the rest."""

import numpy as np


class TwoLayers:
    def __init__(self, d, m, K, lam=0.01, eta=0.05):
        self.W1, self.b1 = np.random.normal(0, 1 / np.sqrt(d), (m, d)), np.zeros((m, 1))
        self.W2, self.b2 = np.random.normal(0, 1 / np.sqrt(m), (K, m)), np.zeros((K, 1))
        self.lam, self.eta = lam, eta

    def evaluate(self, X):
        self.h = np.maximum(0, self.W1 @ X + self.b1)
        e = np.exp(self.W2 @ self.h + self.b2)
        return e / e.sum(axis=0)

    def compute_cost(self, X, Y):
        loss = -np.log((Y * self.evaluate(X)).sum(axis=0)).mean()
        return loss + self.lam * (np.sum(self.W1**2) + np.sum(self.W2**2))

    def gradients_of_image(self, x, y):
        g = self.evaluate(x) - y
        below = (self.W2.T @ g) * (self.h > 0)
        return below @ x.T, below, g @ self.h.T, g

    def update_batch(self, X, Y):
        n, totals = X.shape[1], [0.0, 0.0, 0.0, 0.0]
        for i in range(n):
            found = self.gradients_of_image(X[:, [i]], Y[:, [i]])
            totals = [total + one for total, one in zip(totals, found)]
        dW1, db1, dW2, db2 = (total / n for total in totals)
        self.W1 = self.W1 - self.eta * (dW1 + 2 * self.lam * self.W1)
        self.W2 = self.W2 - self.eta * (dW2 + 2 * self.lam * self.W2)
        self.b1 = self.b1 - self.eta * db1
        self.b2 = self.b2 - self.eta * db2

    def fit(self, X, Y, n_batch, n_epochs):
        for _ in range(n_epochs):
            for start in range(0, X.shape[1], n_batch):
                self.update_batch(X[:, start : start + n_batch], Y[:, start : start + n_batch])
