"""Batch normalization without a choice, one dictionary for everything, sigmas that are explored, a loop with its own eta."""

import numpy as np

eta_min, eta_max, n_s = 1e-5, 1e-1, 800


def make_net(d, m, K, sigmas=(0.1, 0.001)):
    rng = np.random.default_rng(400)
    net = {"W": [sigmas[0] * rng.standard_normal((m, d)), sigmas[1] * rng.standard_normal((K, m))]}
    net["b"] = [np.zeros((m, 1)), np.zeros((K, 1))]
    net["gamma"], net["beta"] = [np.ones((m, 1))], [np.zeros((m, 1))]
    return net


def batch_normalize(s, mu, v):
    return (s - mu) / np.sqrt(v + 1e-12)


def forward(X, net, mu_av=None, v_av=None):
    s = net["W"][0] @ X + net["b"][0]
    mu = s.mean(axis=1, keepdims=True) if mu_av is None else mu_av[0]
    v = s.var(axis=1, keepdims=True) if v_av is None else v_av[0]
    s_hat = batch_normalize(s, mu, v)
    h = np.maximum(0, net["gamma"][0] * s_hat + net["beta"][0])
    e = np.exp(net["W"][1] @ h + net["b"][1])
    return e / e.sum(axis=0), h, s, s_hat, [mu], [v]


def compute_cost(X, Y, net, lam, mu_av=None, v_av=None):
    P = forward(X, net, mu_av, v_av)[0]
    return -np.log((Y * P).sum(axis=0)).mean() + lam * ((net["W"][0] ** 2).sum() + (net["W"][1] ** 2).sum())


def compute_gradients(X, Y, net, lam):
    P, h, s, s_hat, mu, v = forward(X, net)
    n, one = X.shape[1], np.ones((X.shape[1], 1))
    G = (P - Y) / n
    W2, b2 = G @ h.T + 2 * lam * net["W"][1], G @ one
    G = (net["W"][1].T @ G) * (h > 0)
    gamma, beta = (G * s_hat) @ one, G @ one
    G = G * net["gamma"][0] / np.sqrt(v[0] + 1e-12)
    G = G - G.mean(axis=1, keepdims=True) - s_hat * (G * s_hat).mean(axis=1, keepdims=True)
    return {"W": [G @ X.T + 2 * lam * net["W"][0], W2], "b": [G @ one, b2], "gamma": [gamma], "beta": [beta]}


def train(X, Y, net, lam, n_batch, n_epochs, alpha=0.9):
    t = 0
    for _ in range(n_epochs):
        for j in range(0, X.shape[1], n_batch):
            x, y = X[:, j : j + n_batch], Y[:, j : j + n_batch]
            mu, v = forward(x, net)[4:]
            if t == 0:
                mu_av, v_av = mu, v
            else:
                mu_av, v_av = [alpha * mu_av[0] + (1 - alpha) * mu[0]], [alpha * v_av[0] + (1 - alpha) * v[0]]
            grads = compute_gradients(x, y, net, lam)
            eta = eta_max - abs(t % (2 * n_s) / n_s - 1) * (eta_max - eta_min)
            for kind in net:
                for layer, gradient in enumerate(grads[kind]):
                    net[kind][layer] = net[kind][layer] - eta * gradient
            t += 1
    return net, mu_av, v_av
