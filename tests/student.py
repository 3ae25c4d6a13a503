"""A network as a student writes it, right as it stands. The tests of the diagnosis plant mistakes into its source.

It shares no line with the package: images are columns inside, as the course writes them, batch normalization goes back
node by node, the loss takes the softmax first and the logarithm later.
"""

import numpy as np

EPS = 1e-5


def softmax(s):
    e = np.exp(s - np.max(s, axis=0))
    return e / np.sum(e, axis=0)


def evaluate(params, x, k, bn):
    X = [x.T]
    S, Shat, Mu, V = [], [], [], []
    for i in range(1, k):
        W, b = params[f"linear{i}.weight"], params[f"linear{i}.bias"][:, None]
        s = W @ X[i - 1] + b
        S.append(s)
        if bn:
            gamma, beta = params[f"bn{i}.weight"][:, None], params[f"bn{i}.bias"][:, None]
            mu = np.mean(s, axis=1, keepdims=True)
            v = np.mean((s - mu) ** 2, axis=1, keepdims=True)
            s_hat = (s - mu) / np.sqrt(v + EPS)
            s = gamma * s_hat + beta
            Mu.append(mu)
            V.append(v)
            Shat.append(s_hat)
        h = np.maximum(0, s)
        X.append(h)
    scores = params[f"linear{k}.weight"] @ X[-1] + params[f"linear{k}.bias"][:, None]
    return scores, X, S, Shat, Mu, V


def cost_of(params, P, y, l2, k):
    n = P.shape[1]
    p_right = P[y, np.arange(n)]
    loss = -np.sum(np.log(p_right)) / n
    reg = 0.0
    for i in range(1, k + 1):
        reg += l2 * np.sum(params[f"linear{i}.weight"] ** 2)
    return loss + reg


def batch_norm_back(g, s, s_hat, mu, v, gamma):
    n = g.shape[1]
    grad_gamma = np.sum(g * s_hat, axis=1)
    grad_beta = np.sum(g, axis=1)
    g = g * gamma
    sigma1 = (v + EPS) ** -0.5
    sigma2 = (v + EPS) ** -1.5
    g1 = g * sigma1
    g2 = g * sigma2
    d = s - mu
    c = np.sum(g2 * d, axis=1, keepdims=True)
    g = g1 - np.sum(g1, axis=1, keepdims=True) / n - d * c / n
    return g, grad_gamma, grad_beta


def cost_and_gradients(params, x, y, l2):
    k = sum(name.startswith("linear") for name in params) // 2
    bn = "bn1.weight" in params
    n = len(x)
    scores, X, S, Shat, Mu, V = evaluate(params, x, k, bn)
    P = softmax(scores)
    Y = np.zeros(P.shape)
    Y[y, np.arange(n)] = 1
    grads = {}
    g = (P - Y) / n
    for i in range(k, 0, -1):
        W = params[f"linear{i}.weight"]
        grads[f"linear{i}.weight"] = g @ X[i - 1].T + 2 * l2 * W
        grads[f"linear{i}.bias"] = np.sum(g, axis=1)
        if i > 1:
            g = W.T @ g
            g = g * (X[i - 1] > 0)
            if bn:
                gamma = params[f"bn{i - 1}.weight"][:, None]
                back = batch_norm_back(g, S[i - 2], Shat[i - 2], Mu[i - 2], V[i - 2], gamma)
                g, grads[f"bn{i - 1}.weight"], grads[f"bn{i - 1}.bias"] = back
    return cost_of(params, P, y, l2, k), grads
