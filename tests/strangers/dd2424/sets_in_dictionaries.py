import pickle
import sys

import numpy as np


def load_cifar(files, folder="cifar-10-batches-py"):
    X, y = np.zeros((3072, 0)), np.zeros(0, dtype=int)
    for name in files:
        with open(folder + "/" + name, "rb") as f:
            d = pickle.load(f, encoding="bytes")
        X = np.concatenate((X, d[b"data"][:2000].T.astype(np.float64)), axis=1)
        y = np.concatenate((y, np.array(d[b"labels"][:2000])))
    return {"X": X, "y": y, "Y": np.identity(10)[y].T}


def init_params(dims, rng):
    params = {}
    for l in range(1, len(dims)):
        params["W%d" % l] = rng.normal(0, np.sqrt(2.0 / dims[l - 1]), (dims[l], dims[l - 1]))
        params["b%d" % l] = np.zeros((dims[l], 1))
        if l < len(dims) - 1:
            params["gamma%d" % l] = np.ones((dims[l], 1))
            params["beta%d" % l] = np.zeros((dims[l], 1))
    return params


def depth(params):
    return sum(1 for name in params if name.startswith("W"))


def batch_norm(S, mu, v, eps=np.finfo(float).eps):
    return np.diag(1.0 / np.sqrt(v.ravel() + eps)) @ (S - mu)


def forward(params, X, running=None):
    k = depth(params)
    cache = {"H0": X}
    for l in range(1, k):
        S = params["W%d" % l] @ cache["H%d" % (l - 1)] + params["b%d" % l]
        if running is None:
            mu = np.mean(S, axis=1, keepdims=True)
            v = np.mean((S - mu) ** 2, axis=1, keepdims=True)
        else:
            mu, v = running["mu%d" % l], running["v%d" % l]
        S_hat = batch_norm(S, mu, v)
        S_tilde = params["gamma%d" % l] * S_hat + params["beta%d" % l]
        cache["S%d" % l], cache["mu%d" % l], cache["v%d" % l] = S, mu, v
        cache["S_hat%d" % l] = S_hat
        cache["H%d" % l] = np.maximum(0, S_tilde)
    S = params["W%d" % k] @ cache["H%d" % (k - 1)] + params["b%d" % k]
    S = S - np.max(S, axis=0, keepdims=True)
    cache["P"] = np.exp(S) / np.sum(np.exp(S), axis=0, keepdims=True)
    return cache


def compute_cost(params, data, lam, running=None):
    P = forward(params, data["X"], running)["P"]
    n = data["X"].shape[1]
    loss = -np.sum(data["Y"] * np.log(P + 1e-18)) / n
    reg = 0
    for l in range(1, depth(params) + 1):
        reg += np.sum(params["W%d" % l] ** 2)
    return loss + lam * reg, loss


def compute_accuracy(params, data, running):
    P = forward(params, data["X"], running)["P"]
    return np.mean(np.argmax(P, axis=0) == data["y"])


def backward(params, cache, Y, lam, eps=np.finfo(float).eps):
    k = depth(params)
    n = Y.shape[1]
    one = np.ones((n, 1))
    grads = {}
    G = -(Y - cache["P"])
    for l in range(k, 0, -1):
        if l < k:
            G = G * (cache["H%d" % l] > 0)
            grads["gamma%d" % l] = (G * cache["S_hat%d" % l]) @ one / n
            grads["beta%d" % l] = G @ one / n
            G = G * (params["gamma%d" % l] @ one.T)
            sigma1 = np.power(cache["v%d" % l] + eps, -0.5)
            sigma2 = np.power(cache["v%d" % l] + eps, -1.5)
            G1 = G * (sigma1 @ one.T)
            G2 = G * (sigma2 @ one.T)
            D = cache["S%d" % l] - cache["mu%d" % l] @ one.T
            c = (G2 * D) @ one
            G = G1 - (G1 @ one) @ one.T / n - D * (c @ one.T) / n
        grads["W%d" % l] = G @ cache["H%d" % (l - 1)].T / n + 2 * lam * params["W%d" % l]
        grads["b%d" % l] = G @ one / n
        G = params["W%d" % l].T @ G
    return grads


def update_running(running, cache, k, alpha=0.9):
    for l in range(1, k):
        for name in ("mu%d" % l, "v%d" % l):
            if name in running:
                running[name] = alpha * running[name] + (1 - alpha) * cache[name]
            else:
                running[name] = cache[name]


def cyclical_eta(t, n_s, eta_min, eta_max):
    l = int(t / (2 * n_s))
    if 2 * l * n_s <= t <= (2 * l + 1) * n_s:
        return eta_min + (t - 2 * l * n_s) / n_s * (eta_max - eta_min)
    return eta_max - (t - (2 * l + 1) * n_s) / n_s * (eta_max - eta_min)


def mini_batch_gd(train, val, params, lam, rng, n_batch=100, n_s=70, n_cycles=1, eta_min=1e-5, eta_max=1e-1):
    running = {}
    k = depth(params)
    n = train["X"].shape[1]
    n_updates = 2 * n_s * n_cycles
    t = 0
    while t < n_updates:
        order = rng.permutation(n)
        for start in range(0, n, n_batch):
            if t == n_updates:
                break
            ind = order[start:start + n_batch]
            cache = forward(params, train["X"][:, ind])
            update_running(running, cache, k)
            grads = backward(params, cache, train["Y"][:, ind], lam)
            eta = cyclical_eta(t, n_s, eta_min, eta_max)
            for name in params:
                params[name] = params[name] - eta * grads[name]
            t += 1
            if t % 100 == 0:
                J, L = compute_cost(params, val, lam, running)
                print("%5d: val cost %.4f loss %.4f acc %.4f" % (
                    t, J, L, compute_accuracy(params, val, running)))
    return params, running


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    rng = np.random.default_rng(seed)
    train = load_cifar(["data_batch_1"])
    val = load_cifar(["data_batch_2"])
    test = load_cifar(["test_batch"])
    mean = np.mean(train["X"], axis=1, keepdims=True)
    std = np.std(train["X"], axis=1, keepdims=True)
    for data in (train, val, test):
        data["X"] = (data["X"] - mean) / std
    params = init_params([3072, 20, 15, 10], rng)
    params, running = mini_batch_gd(train, val, params, 0.005, rng)
    print("test accuracy %.4f" % compute_accuracy(params, test, running))


if __name__ == "__main__":
    main()
