"""Layers as modules that hold parameters, each an array with its gradient, and an optimizer that steps through them."""

import pickle

import numpy as np


class Parameter:
    def __init__(self, data):
        self.data = data
        self.grad = np.zeros_like(data)


class Module:
    training = True

    def parameters(self):
        return []

    def set_mode(self, training):
        self.training = training


class Linear(Module):
    def __init__(self, n_in, n_out, rng):
        self.weight = Parameter(rng.normal(0, np.sqrt(2 / n_in), (n_out, n_in)))
        self.bias = Parameter(np.zeros((n_out, 1)))

    def parameters(self):
        return [self.weight, self.bias]

    def forward(self, x):
        self.x = x
        return self.weight.data @ x + self.bias.data

    def backward(self, g):
        self.weight.grad = g @ self.x.T
        self.bias.grad = g.sum(axis=1, keepdims=True)
        return self.weight.data.T @ g


class BatchNorm(Module):
    def __init__(self, n, eps=1e-10, alpha=0.9):
        self.gamma = Parameter(np.ones((n, 1)))
        self.beta = Parameter(np.zeros((n, 1)))
        self.eps, self.alpha = eps, alpha
        self.running_mean = None
        self.running_var = None

    def parameters(self):
        return [self.gamma, self.beta]

    def forward(self, x):
        if self.training:
            self.mu = x.mean(axis=1, keepdims=True)
            self.var = x.var(axis=1, keepdims=True)
            if self.running_mean is None:
                self.running_mean, self.running_var = self.mu, self.var
            else:
                self.running_mean = self.alpha * self.running_mean + (1 - self.alpha) * self.mu
                self.running_var = self.alpha * self.running_var + (1 - self.alpha) * self.var
            mu, var = self.mu, self.var
        else:
            mu, var = self.running_mean, self.running_var
        self.xhat = (x - mu) / np.sqrt(var + self.eps)
        return self.gamma.data * self.xhat + self.beta.data

    def backward(self, g):
        self.gamma.grad = (g * self.xhat).sum(axis=1, keepdims=True)
        self.beta.grad = g.sum(axis=1, keepdims=True)
        g = g * self.gamma.data
        g = g - g.mean(axis=1, keepdims=True) - self.xhat * (g * self.xhat).mean(axis=1, keepdims=True)
        return g / np.sqrt(self.var + self.eps)


class ReLU(Module):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, g):
        return g * self.mask


class Sequential(Module):
    def __init__(self, *modules):
        self.modules = list(modules)

    def parameters(self):
        return [p for module in self.modules for p in module.parameters()]

    def set_mode(self, training):
        for module in self.modules:
            module.set_mode(training)

    def forward(self, x):
        for module in self.modules:
            x = module.forward(x)
        return x

    def backward(self, g):
        for module in reversed(self.modules):
            g = module.backward(g)
        return g


def softmax(s):
    e = np.exp(s - s.max(axis=0))
    return e / e.sum(axis=0)


def cross_entropy(model, X, Y, lam):
    P = softmax(model.forward(X))
    loss = -np.log((Y * P).sum(axis=0)).mean()
    penalty = sum((p.data**2).sum() for module in model.modules if isinstance(module, Linear) for p in [module.weight])
    return loss + lam * penalty


class SGD:
    def __init__(self, model, lam):
        self.model, self.lam = model, lam

    def step(self, eta):
        for module in self.model.modules:
            for p in module.parameters():
                decay = 2 * self.lam if isinstance(module, Linear) and p is module.weight else 0
                p.data = p.data - eta * (p.grad + decay * p.data)


def cyclical(t, eta_min, eta_max, n_s):
    place = t % (2 * n_s)
    if place < n_s:
        return eta_min + place / n_s * (eta_max - eta_min)
    return eta_max - (place - n_s) / n_s * (eta_max - eta_min)


def accuracy(model, X, y):
    model.set_mode(False)
    right = np.mean(model.forward(X).argmax(axis=0) == y)
    model.set_mode(True)
    return right


def train(model, X, Y, X_val, y_val, lam=0.005, n_batch=100, n_s=90, cycles=1, rng=None):
    optimizer = SGD(model, lam)
    t = 0
    while t < 2 * n_s * cycles:
        order = rng.permutation(X.shape[1])
        for start in range(0, X.shape[1], n_batch):
            chosen = order[start : start + n_batch]
            P = softmax(model.forward(X[:, chosen]))
            model.backward((P - Y[:, chosen]) / len(chosen))
            eta = cyclical(t, 1e-5, 1e-1, n_s)
            optimizer.step(eta)
            t += 1
        print(cross_entropy(model, X[:, :1000], Y[:, :1000], lam), accuracy(model, X_val, y_val))


def load(name):
    with open("Datasets/cifar-10-batches-py/" + name, "rb") as file:
        raw = pickle.load(file, encoding="bytes")
    X = raw[b"data"].T / 255.0
    y = np.array(raw[b"labels"])
    X, y = X[:, :1500], y[:1500]
    return X, np.eye(10)[y].T, y


if __name__ == "__main__":
    X, Y, y = load("data_batch_1")
    X_val, Y_val, y_val = load("data_batch_2")
    mean, std = X.mean(axis=1, keepdims=True), X.std(axis=1, keepdims=True)
    X, X_val = (X - mean) / std, (X_val - mean) / std
    rng = np.random.default_rng(0)
    model = Sequential(Linear(3072, 40, rng), BatchNorm(40), ReLU(), Linear(40, 10, rng))
    train(model, X, Y, X_val, y_val, rng=rng)
