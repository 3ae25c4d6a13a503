import numpy as np
eps = 1e-6
def init(K, d, hidden_layers, seed=0):
    np.random.seed(seed)
    W, b, gamma, beta = [], [], [], []
    dims = [d] + hidden_layers + [K]
    for l in range(len(dims) - 1):
        W.append(np.random.normal(0, np.sqrt(2) / np.sqrt(dims[l]), (dims[l + 1], dims[l])))
        b.append(np.zeros((dims[l + 1], 1)))
        gamma.append(np.ones((dims[l + 1], 1)))
        beta.append(np.zeros((dims[l + 1], 1)))
    return W, b, gamma[:-1], beta[:-1]
def soft_max(S):
    E = np.exp(S - np.max(S, axis=0))
    return E / np.sum(E, axis=0)
def batch_normalize(S, mu, v):
    return np.diag(1 / np.sqrt(v.ravel() + eps)) @ (S - mu)
def evaluate_classifier(X, W, b, gamma, beta, mu=None, v=None):
    X_l, S, S_hat, mus, vs = [X.copy()], [], [], [], []
    k = len(W)
    for l in range(k - 1):
        s = W[l] @ X_l[-1] + b[l]
        if mu is None:
            m_l = s.mean(axis=1).reshape(-1, 1)
            v_l = s.var(axis=1).reshape(-1, 1)
        else:
            m_l, v_l = mu[l], v[l]
        s_hat = batch_normalize(s, m_l, v_l)
        S.append(s); S_hat.append(s_hat); mus.append(m_l); vs.append(v_l)
        X_l.append(np.maximum(gamma[l] * s_hat + beta[l], 0))
    P = soft_max(W[-1] @ X_l[-1] + b[-1])
    return P, X_l, S, S_hat, mus, vs
def compute_cost(X, Y, lamda, W, b, gamma, beta, mu=None, v=None):
    P = evaluate_classifier(X, W, b, gamma, beta, mu, v)[0]
    loss = 0
    for i in range(X.shape[1]):
        loss -= np.log(Y[:, i].T @ P[:, i])
    reg = 0
    for w in W:
        reg += np.sum(w ** 2)
    return loss / X.shape[1] + lamda * reg
def batch_norm_back_pass(G, S, mu, v):
    n = G.shape[1]
    s1 = np.power(v + eps, -0.5)
    s2 = np.power(v + eps, -1.5)
    G1 = G * s1
    G2 = G * s2
    D = S - mu
    c = np.sum(G2 * D, axis=1, keepdims=True)
    return G1 - np.sum(G1, axis=1, keepdims=True) / n - D * c / n
def compute_gradients(X, Y, P, X_l, S, S_hat, mus, vs, W, gamma, lamda):
    n = X.shape[1]
    k = len(W)
    grad_W, grad_b = [None] * k, [None] * k
    grad_gamma, grad_beta = [None] * (k - 1), [None] * (k - 1)
    one = np.ones((n, 1))
    G = P - Y
    grad_W[k - 1] = G @ X_l[k - 1].T / n + 2 * lamda * W[k - 1]
    grad_b[k - 1] = G @ one / n
    G = W[k - 1].T @ G
    G = G * (X_l[k - 1] > 0)
    for l in range(k - 2, -1, -1):
        grad_gamma[l] = (G * S_hat[l]) @ one / n
        grad_beta[l] = G @ one / n
        G = G * (gamma[l] @ one.T)
        G = batch_norm_back_pass(G, S[l], mus[l], vs[l])
        grad_W[l] = G @ X_l[l].T / n + 2 * lamda * W[l]
        grad_b[l] = G @ one / n
        if l > 0:
            G = W[l].T @ G
            G = G * (X_l[l] > 0)
    return grad_W, grad_b, grad_gamma, grad_beta
def mini_batch_gd(X, Y, W, b, gamma, beta, lamda, n_batch, eta_min, eta_max, n_s, n_epochs, alpha=0.9):
    n = X.shape[1]
    t = 0
    mu_av = v_av = None
    for e in range(n_epochs):
        for j in range(int(n / n_batch)):
            Xb = X[:, j * n_batch:(j + 1) * n_batch]
            Yb = Y[:, j * n_batch:(j + 1) * n_batch]
            eta = cyclic(t, n_s, eta_min, eta_max)
            P, X_l, S, S_hat, mus, vs = evaluate_classifier(Xb, W, b, gamma, beta)
            if mu_av is None:
                mu_av, v_av = mus, vs
            else:
                mu_av = [alpha * a + (1 - alpha) * c for a, c in zip(mu_av, mus)]
                v_av = [alpha * a + (1 - alpha) * c for a, c in zip(v_av, vs)]
            gW, gb, gg, gbt = compute_gradients(Xb, Yb, P, X_l, S, S_hat, mus, vs, W, gamma, lamda)
            for l in range(len(W)):
                W[l] = W[l] - eta * gW[l]
                b[l] = b[l] - eta * gb[l]
                if l < len(W) - 1:
                    gamma[l] = gamma[l] - eta * gg[l]
                    beta[l] = beta[l] - eta * gbt[l]
            t += 1
    return W, b, gamma, beta, mu_av, v_av
def cyclic(t, n_s, eta_min, eta_max):
    cycle = np.floor(1 + t / (2 * n_s))
    x = np.abs(t / n_s - 2 * cycle + 1)
    return eta_min + (eta_max - eta_min) * np.maximum(0, 1 - x)
def compute_accuracy(X, y, W, b, gamma, beta, mu, v):
    P = evaluate_classifier(X, W, b, gamma, beta, mu, v)[0]
    return np.sum(np.argmax(P, axis=0) == y) / len(y)
