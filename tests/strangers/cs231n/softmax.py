from builtins import range
import numpy as np
from random import shuffle
from past.builtins import xrange


def softmax_loss_naive(W, X, y, reg):
    loss, dW = 0.0, np.zeros_like(W)
    for i in xrange(X.shape[0]):
        f = X[i] @ W
        f -= f.max()
        p = np.exp(f) / sum(np.exp(f))
        loss -= np.log(p[y[i]])
        for k in range(W.shape[1]):
            dW[:, k] += (p[k] - (k == y[i])) * X[i]
    loss = loss / len(X) + reg * (W ** 2).sum()
    dW = dW / len(X) + 2 * reg * W
    return loss, dW


def softmax_loss_vectorized(W, X, y, reg):
    f = X.dot(W)
    f -= f.max(axis=1, keepdims=True)
    p = np.exp(f)
    p /= p.sum(1)[:, None]
    n = X.shape[0]
    loss = -np.log(p[range(n), y]).mean() + reg * np.sum(W * W)
    p[range(n), y] -= 1
    return loss, X.T.dot(p) / n + 2 * reg * W
