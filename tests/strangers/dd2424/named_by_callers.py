"""Only the calls say which layer V and U belong to; the weights are made when training begins."""

import numpy as np
from helpers.functions import ReLU, softmax


class MLP:
    def __init__(self):
        self.W1 = self.b1 = self.W2 = self.b2 = None

    def forward(self, X, V, U, v, u):
        H = ReLU(V @ X + v)
        return softmax(U @ H + u), H

    def loss(self, X, Y, V, U, v, u, lmd):
        P, _ = self.forward(X, V, U, v, u)
        loss = np.mean(-np.log(np.einsum("kn,kn->n", Y, P)))
        return loss + lmd * (np.sum(V * V) + np.sum(U * U)), loss

    def backward(self, X, Y, P, H, lmd):
        n = X.shape[1]
        G = P - Y
        dL_dW2 = G @ H.T / n + 2 * lmd * self.W2
        dL_db2 = G.mean(axis=1, keepdims=True)
        G = (self.W2.T @ G) * (H > 0)
        return dL_dW2, dL_db2, G @ X.T / n + 2 * lmd * self.W1, G.mean(axis=1, keepdims=True)

    def update(self, dL_dW2, dL_db2, dL_dW1, dL_db1, eta):
        self.W2 = self.W2 - eta * dL_dW2
        self.b2 = self.b2 - eta * dL_db2
        self.W1 = self.W1 - eta * dL_dW1
        self.b1 = self.b1 - eta * dL_db1

    def evaluate(self, data, lmd):
        P, _ = self.forward(data.X, self.W1, self.W2, self.b1, self.b2)
        return self.loss(data.X, data.Y, self.W1, self.W2, self.b1, self.b2, lmd), P
