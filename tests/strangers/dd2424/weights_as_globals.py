import numpy as np
from data import load
rng = np.random.RandomState(0)
d, m, K = 3072, 50, 10
lam = 0.01
W1 = rng.randn(m, d) / np.sqrt(d)
b1 = np.zeros((m, 1))
W2 = rng.randn(K, m) / np.sqrt(m)
b2 = np.zeros((K, 1))

def forward(X):
    global h
    h = np.maximum(0, W1 @ X + b1)
    s = W2 @ h + b2
    e = np.exp(s)
    return e / e.sum(axis=0)

def cost(X, Y):
    P = forward(X)
    return -np.mean(np.log((Y * P).sum(axis=0))) + lam * np.sum(W1 ** 2) + lam * np.sum(W2 ** 2)

def backward(X, Y):
    n = X.shape[1]
    G = forward(X) - Y
    grad_W2 = G @ h.T / n + 2 * lam * W2
    grad_b2 = G.mean(axis=1, keepdims=True)
    G = (W2.T @ G) * (h > 0)
    grad_W1 = G @ X.T / n + 2 * lam * W1
    grad_b1 = G.mean(axis=1, keepdims=True)
    return grad_W1, grad_b1, grad_W2, grad_b2

X, Y, y = load('data_batch_1')
for i in range(1000):
    g = backward(X, Y)
    W1 -= 0.01 * g[0]
