from __future__ import print_function

import numpy as np
import matplotlib.pyplot as plt


class TwoLayerNet(object):
    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {}
        self.params['W1'] = std * np.random.randn(input_size, hidden_size)
        self.params['b1'] = np.zeros(hidden_size)
        self.params['W2'] = std * np.random.randn(hidden_size, output_size)
        self.params['b2'] = np.zeros(output_size)

    def loss(self, X, y=None, reg=0.0):
        W1, b1 = self.params['W1'], self.params['b1']
        W2, b2 = self.params['W2'], self.params['b2']
        N, D = X.shape
        hidden = np.maximum(X.dot(W1) + b1, 0)
        scores = hidden.dot(W2) + b2
        if y is None:
            return scores
        scores -= scores.max(axis=1)[:, np.newaxis]
        probs = np.exp(scores)
        probs /= probs.sum(axis=1)[:, np.newaxis]
        loss = -np.log(probs[range(N), y]).mean() + reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        probs[range(N), y] -= 1
        probs /= N
        grads = {'W2': hidden.T.dot(probs) + 2 * reg * W2, 'b2': probs.sum(axis=0)}
        dhidden = probs.dot(W2.T)
        dhidden[hidden == 0] = 0
        grads['W1'] = X.T.dot(dhidden) + 2 * reg * W1
        grads['b1'] = dhidden.sum(axis=0)
        return loss, grads

    def train(self, X, y, X_val, y_val, learning_rate=1e-3, learning_rate_decay=0.95, reg=5e-6, num_iters=100,
              batch_size=200, verbose=False):
        history = []
        for it in range(num_iters):
            rows = np.random.choice(len(X), batch_size)
            loss, grads = self.loss(X[rows], y[rows], reg)
            history.append(loss)
            for p in self.params:
                self.params[p] -= learning_rate * grads[p]
            if it % max(len(X) // batch_size, 1) == 0:
                learning_rate *= learning_rate_decay
        return {'loss_history': history}

    def predict(self, X):
        return self.loss(X).argmax(axis=1)
