"""The gradient function adds up over the images; the step divides, and adds the penalty."""

import numpy as np


class Net:
    def __init__(self, setup, trainX, trainY, validationX, validationY, eta, reg_term=0.1):
        self.W = [np.random.normal(0, np.sqrt(2 / a), (b, a)) for a, b in zip(setup[:-1], setup[1:])]
        self.b = [np.zeros((b, 1)) for b in setup[1:]]
        self.trainX, self.trainY = trainX, trainY
        self.validationX, self.validationY = validationX, validationY
        self.eta, self.reg_term = eta, reg_term

    def forward(self, x):
        hs = [x]
        for W, b in zip(self.W[:-1], self.b[:-1]):
            hs.append(np.maximum(W @ hs[-1] + b, 0))
        s = self.W[-1] @ hs[-1] + self.b[-1]
        return np.exp(s) / np.exp(s).sum(axis=0), hs

    def cost(self, X, Y):
        P, _ = self.forward(X)
        total = sum(-np.log(Y[:, i] @ P[:, i]) for i in range(Y.shape[1]))
        return total / X.shape[1] + self.reg_term * sum((W**2).sum() for W in self.W)

    def gradient(self, x, y):
        P, hs = self.forward(x)
        g, dW, db = P - y, [], []
        for l in range(len(self.W) - 1, -1, -1):
            dW.append(g @ hs[l].T)
            db.append(g.sum(axis=1).reshape(-1, 1))
            g = (self.W[l].T @ g) * (hs[l] > 0)
        return dW[::-1], db[::-1]

    def update(self, X, Y):
        n = X.shape[1]
        dW, db = self.gradient(X, Y)
        for l in range(len(self.W)):
            self.W[l] = self.W[l] - self.eta * (dW[l] / n + 2 * self.reg_term * self.W[l])
            self.b[l] = self.b[l] - self.eta * db[l] / n
