"""A class of one layer whose functions take other weights, too; l is lambda."""

import numpy as np


class Network:
    def __init__(self, inputDim, outputDim, l=0):
        self.W = np.random.normal(0, 0.01, (outputDim, inputDim))
        self.b = np.zeros((outputDim, 1))
        self.l = l

    def evaluate(self, X, W=None, b=None):
        s = (self.W if W is None else W) @ X + (self.b if b is None else b)
        return np.exp(s) / np.exp(s).sum(axis=0)

    def cost(self, X, Y, W=None, b=None):
        loss = -np.log((Y * self.evaluate(X, W, b)).sum(axis=0)).mean()
        return loss + self.l * ((self.W if W is None else W) ** 2).sum()

    def gradients(self, X, Y):
        G = (self.evaluate(X) - Y) / X.shape[1]
        return G @ X.T + 2 * self.l * self.W, G.sum(axis=1, keepdims=True)
