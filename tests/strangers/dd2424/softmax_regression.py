import pickle

import numpy as np


def read(name, count):
    with open('cifar-10-batches-py/' + name, 'rb') as f:
        d = pickle.load(f, encoding='bytes')
    return d[b'data'][:count].astype(float) / 255, np.array(d[b'labels'][:count])


def scores(images, W, b):
    return images @ W + b


def go(X, y, W, b, eta, lam, n_batch, epochs):
    for epoch in range(epochs):
        order = np.random.permutation(len(X))
        for j in range(len(X) // n_batch):
            rows = order[j * n_batch:(j + 1) * n_batch]
            s = scores(X[rows], W, b)
            P = np.exp(s - s.max(axis=1, keepdims=True))
            P /= P.sum(axis=1, keepdims=True)
            P[np.arange(n_batch), y[rows]] -= 1
            W -= eta * (X[rows].T @ P / n_batch + 2 * lam * W)
            b -= eta * P.mean(axis=0)
    return W, b


X, y = read('data_batch_1', 2000)
X = (X - X.mean(axis=0)) / X.std(axis=0)
W, b = go(X, y, np.random.normal(0, 0.01, (3072, 10)), np.zeros(10), 0.001, 0.01, 100, 40)
print((scores(X, W, b).argmax(axis=1) == y).mean())
