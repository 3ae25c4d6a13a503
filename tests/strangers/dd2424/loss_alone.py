"""Only the loss is a function; the biases are a global of the script, and the schedule returns the next update, too."""

import math

import numpy as np
from torch_gradients import check

d, m, K = 3072, 50, 10
first, second = 1 / math.sqrt(d), 1 / math.sqrt(m)


def init_params():
    W1 = np.random.normal(0, first, (m, d))
    W2 = np.random.normal(0, second, (K, m))
    return W1, W2, np.zeros((m, 1)), np.zeros((K, 1))


def evaluate_classifier(X, W, b):
    h = np.maximum(W[0] @ X + b[0], 0)
    s = W[1] @ h + b[1]
    p = np.exp(s) / np.exp(s).sum(axis=0)
    return h, p


def compute_loss(p, Y):
    return -np.sum(Y * np.log(p)) / Y.shape[1]


def compute_gradients(X, Y, W, lam):
    n = X.shape[1]
    h, p = evaluate_classifier(X, W, b)
    g = p - Y
    grad_W2, grad_b2 = g @ h.T / n + 2 * lam * W[1], g @ np.ones((n, 1)) / n
    g = (W[1].T @ g) * (h > 0)
    grad_W1, grad_b1 = g @ X.T / n + 2 * lam * W[0], g @ np.ones((n, 1)) / n
    return grad_W1, grad_b1, grad_W2, grad_b2


def cyclical_eta(eta_min, eta_max, time, step):
    into = time % (2 * step)
    eta = eta_min + into / step * (eta_max - eta_min)
    if into > step:
        eta = eta_max - (into - step) / step * (eta_max - eta_min)
    return eta, time + 1


if __name__ == "__main__":
    W1, W2, b1, b2 = init_params()
    W, b = [W1, W2], [b1, b2]
    check(compute_gradients)
