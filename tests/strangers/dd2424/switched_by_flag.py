"""Batch normalization by a flag; while training, None stands for the averages; X is the list of all layers' inputs."""

import numpy as np


def soft(S):
    E = np.exp(S)
    return E / E.sum(axis=0)


def run_forward(X_in, W, b, gamma, beta, mu, sigma2, batchnorm):
    X, s, shat, means, variances = [X_in], [], [], [], []
    for i in range(len(W) - 1):
        z = W[i] @ X[-1] + b[i]
        s.append(z)
        if batchnorm:
            means.append(z.mean(axis=1) if mu is None else mu[i])
            variances.append(z.var(axis=1) if sigma2 is None else sigma2[i])
            shat.append((z - means[-1][:, None]) / np.sqrt(variances[-1] + 1e-9)[:, None])
            z = gamma[i] * shat[-1] + beta[i]
        X.append(np.maximum(z, 0))
    X.append(soft(W[-1] @ X[-1] + b[-1]))
    return (X, s, shat, means, variances) if batchnorm else (X, s)


def total_cost(X_in, Y_in, W_mats, b_vecs, gamma, beta, mu, sigma2, _lambda, batchnorm):
    p = run_forward(X_in, W_mats, b_vecs, gamma, beta, mu, sigma2, batchnorm)[0][-1]
    return -np.log((Y_in * p).sum(axis=0)).mean() + _lambda * sum((w * w).sum() for w in W_mats)


def backprop_gradients(X, Y_in, W, b, gamma, beta, p, s, shat, mu, sigma2, _lambda, batchnorm):
    n = X[0].shape[1]
    g = (p - Y_in) / n
    grad_W, grad_b, grad_gamma, grad_beta = [], [], [], []
    for i in reversed(range(len(W))):
        grad_W.insert(0, g @ X[i].T + 2 * _lambda * W[i])
        grad_b.insert(0, g.sum(axis=1, keepdims=True))
        if i == 0:
            break
        g = (W[i].T @ g) * (X[i] > 0)
        if batchnorm:
            grad_gamma.insert(0, (g * shat[i - 1]).sum(axis=1, keepdims=True))
            grad_beta.insert(0, g.sum(axis=1, keepdims=True))
            g = g * gamma[i - 1] / np.sqrt(sigma2[i - 1] + 1e-9)[:, None]
            g = g - g.mean(axis=1, keepdims=True) - shat[i - 1] * (g * shat[i - 1]).mean(axis=1, keepdims=True)
    return (grad_W, grad_b, grad_gamma, grad_beta) if batchnorm else (grad_W, grad_b)


def examine(X_test, Y_test, W, b, gamma, beta, averages, batchnorm):
    shat, s, X, mu, sigma2 = run_forward(X_test, W, b, gamma, beta, *averages, batchnorm)  # in another order
    return np.mean(shat[-1].argmax(axis=0) == Y_test.argmax(axis=0))


def train_epoch(images, hot, W, b, gamma, beta, eta, _lambda, n_batch, batchnorm):
    for j in range(images.shape[1] // n_batch):
        x, y = images[:, j * n_batch : (j + 1) * n_batch], hot[:, j * n_batch : (j + 1) * n_batch]
        if batchnorm:
            X, s, shat, mu, sigma2 = run_forward(x, W, b, gamma, beta, None, None, batchnorm)
        else:
            shat = mu = sigma2 = None
            X, s = run_forward(x, W, b, gamma, beta, mu, sigma2, batchnorm)
        grads = backprop_gradients(X, y, W, b, gamma, beta, X[-1], s, shat, mu, sigma2, _lambda, batchnorm)
        for values, gradients in zip((W, b, gamma, beta), grads):
            for i, gradient in enumerate(gradients):
                values[i] = values[i] - eta * gradient
        print(total_cost(x, y, W, b, gamma, beta, mu, sigma2, _lambda, batchnorm))
    return W, b, gamma, beta
