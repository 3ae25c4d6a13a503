import numpy as np

def softmax(x):
    """ Standard definition of the softmax function """
    return np.exp(x) / np.sum(np.exp(x), axis=0)

def init_params(d, m, K):
    W1 = np.random.normal(0, 1/np.sqrt(d), (m, d)); b1 = np.zeros((m, 1))
    W2 = np.random.normal(0, 1/np.sqrt(m), (K, m)); b2 = np.zeros((K, 1))
    return W1, b1, W2, b2

def evaluate_classifier(X, W1, b1, W2, b2):
    s1 = W1 @ X + b1
    h = np.maximum(0, s1)
    s = W2 @ h + b2
    return h, softmax(s)

def cost_fn(X, y, W1, b1, W2, b2, lam):
    h, p = evaluate_classifier(X, W1, b1, W2, b2)
    loss = 0
    for i in range(X.shape[1]):
        loss += -np.log(p[y[i], i])
    return loss / X.shape[1] + lam * (np.sum(W1**2) + np.sum(W2**2))

def compute_grads(X, Y, P, h, W1, W2, lam):
    n = X.shape[1]
    G = P - Y
    grad_W2 = G @ h.T / n + 2 * lam * W2
    grad_b2 = np.mean(G, axis=1).reshape(-1, 1)
    G = W2.T @ G
    G[h <= 0] = 0
    grad_W1 = G @ X.T / n + 2 * lam * W1
    grad_b1 = np.mean(G, axis=1).reshape(-1, 1)
    return grad_W1, grad_b1, grad_W2, grad_b2

def cyclical_eta(t, eta_min, eta_max, n_s):
    l = t // (2 * n_s)
    if t < (2 * l + 1) * n_s:
        return eta_min + (t - 2 * l * n_s) / n_s * (eta_max - eta_min)
    return eta_max - (t - (2 * l + 1) * n_s) / n_s * (eta_max - eta_min)

def train():
    h, P = evaluate_classifier(Xb, W1, b1, W2, b2)
    g = compute_grads(Xb, Yb, P, h, W1, W2, lam)
