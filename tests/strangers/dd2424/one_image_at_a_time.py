import numpy as np
def EvaluateClassifier(X, W, b):
    W1, W2 = W
    b1, b2 = b
    s1 = W1 @ X + b1
    h = np.maximum(0, s1)
    s = W2 @ h + b2
    P = np.exp(s) / np.exp(s).sum(axis=0)
    return P, h, s1
def ComputeCost(X, Y, W, b, lamda):
    P = EvaluateClassifier(X, W, b)[0]
    return np.mean(-np.log(np.sum(Y * P, axis=0))) + lamda * (np.sum(W[0]**2) + np.sum(W[1]**2))
def ComputeGradients(X, Y, P, S, H, W, b, lamda):
    N = X.shape[1]
    grad_W = [np.zeros_like(w) for w in W]
    grad_b = [np.zeros_like(x) for x in b]
    for i in range(N):
        x, y, p, h, s = X[:, [i]], Y[:, [i]], P[:, [i]], H[:, [i]], S[:, [i]]
        g = -(y - p).T
        grad_W[1] += g.T @ h.T
        grad_b[1] += g.T
        g = g @ W[1]
        g = g @ np.diag((s > 0).astype(float).ravel())
        grad_W[0] += g.T @ x.T
        grad_b[0] += g.T
    return [grad_W[0] / N + 2 * lamda * W[0], grad_W[1] / N + 2 * lamda * W[1], grad_b[0] / N, grad_b[1] / N]
def train(X, Y, W, b, lam):
    P, H, S = EvaluateClassifier(X, W, b)
    g = ComputeGradients(X, Y, P, S, H, W, b, lam)
