import pickle

import numpy as np

# Assignment 3: k layers with batch normalization. Every layer is an object.


class Dense:
    def __init__(self, n_in, n_out, rng):
        self.W = rng.standard_normal((n_out, n_in)) * np.sqrt(2.0 / n_in)
        self.b = np.zeros((n_out, 1))

    def forward(self, x, train):
        self.x = x
        return self.W @ x + self.b

    def backward(self, g, lam):
        n = g.shape[1]
        self.dW = g @ self.x.T / n + 2 * lam * self.W
        self.db = np.mean(g, axis=1, keepdims=True)
        return self.W.T @ g

    def step(self, eta):
        self.W -= eta * self.dW
        self.b -= eta * self.db

    def penalty(self):
        return np.sum(self.W * self.W)


class BatchNorm:
    def __init__(self, n, alpha=0.9, eps=1e-8):
        self.gamma = np.ones((n, 1))
        self.beta = np.zeros((n, 1))
        self.alpha = alpha
        self.eps = eps
        self.mu_av = None
        self.v_av = None

    def forward(self, s, train):
        if train:
            mu = s.mean(axis=1, keepdims=True)
            v = s.var(axis=1, keepdims=True)
            if self.mu_av is None:
                self.mu_av, self.v_av = mu, v
            else:
                self.mu_av = self.alpha * self.mu_av + (1 - self.alpha) * mu
                self.v_av = self.alpha * self.v_av + (1 - self.alpha) * v
        else:
            mu, v = self.mu_av, self.v_av
        self.inv_std = 1.0 / np.sqrt(v + self.eps)
        self.s_hat = (s - mu) * self.inv_std
        return self.gamma * self.s_hat + self.beta

    def backward(self, g, lam):
        self.dgamma = np.mean(g * self.s_hat, axis=1, keepdims=True)
        self.dbeta = np.mean(g, axis=1, keepdims=True)
        g = g * self.gamma
        return self.inv_std * (g - g.mean(axis=1, keepdims=True) - self.s_hat * np.mean(g * self.s_hat, axis=1, keepdims=True))

    def step(self, eta):
        self.gamma -= eta * self.dgamma
        self.beta -= eta * self.dbeta

    def penalty(self):
        return 0.0


class Relu:
    def forward(self, x, train):
        self.on = x > 0
        return x * self.on

    def backward(self, g, lam):
        return g * self.on

    def step(self, eta):
        pass

    def penalty(self):
        return 0.0


class SoftmaxCrossEntropy:
    def forward(self, s, Y):
        s = s - s.max(axis=0)
        e = np.exp(s)
        self.P = e / e.sum(axis=0)
        self.Y = Y
        return -np.mean(np.log(np.sum(self.P * Y, axis=0) + 1e-16))

    def backward(self):
        return self.P - self.Y


class Network:
    def __init__(self, dims, lam, rng):
        self.lam = lam
        self.layers = []
        for i in range(len(dims) - 1):
            self.layers.append(Dense(dims[i], dims[i + 1], rng))
            if i < len(dims) - 2:
                self.layers.append(BatchNorm(dims[i + 1]))
                self.layers.append(Relu())
        self.head = SoftmaxCrossEntropy()

    def scores(self, X, train=False):
        for layer in self.layers:
            X = layer.forward(X, train)
        return X

    def cost(self, X, Y, train=False):
        loss = self.head.forward(self.scores(X, train), Y)
        return loss + self.lam * sum(l.penalty() for l in self.layers)

    def backward(self):
        g = self.head.backward()
        for layer in reversed(self.layers):
            g = layer.backward(g, self.lam)

    def step(self, eta):
        for layer in self.layers:
            layer.step(eta)

    def accuracy(self, X, y):
        return np.mean(np.argmax(self.scores(X), axis=0) == y)


def load(name, folder="cifar-10-batches-py"):
    with open(folder + "/" + name, "rb") as f:
        raw = pickle.load(f, encoding="bytes")
    y = np.asarray(raw[b"labels"])
    return raw[b"data"][:2000].T.astype(float), np.eye(10)[:, y[:2000]], y[:2000]


def cyclic(t, n_s, lo, hi):
    cycle, where = divmod(t, 2 * n_s)
    if where <= n_s:
        return lo + (hi - lo) * where / n_s
    return hi - (hi - lo) * (where - n_s) / n_s


def fit(net, X, Y, Xval, Yval, yval, batch, n_s, cycles, lo, hi, rng):
    n = X.shape[1]
    t = 0
    while t < 2 * n_s * cycles:
        perm = rng.permutation(n)
        for first in range(0, n, batch):
            pick = perm[first:first + batch]
            net.cost(X[:, pick], Y[:, pick], train=True)
            net.backward()
            net.step(cyclic(t, n_s, lo, hi))
            t += 1
            if t % (n_s // 2) == 0:
                print(t, "val cost %.4f" % net.cost(Xval, Yval), "val acc %.4f" % net.accuracy(Xval, yval))
            if t == 2 * n_s * cycles:
                return


def run():
    rng = np.random.default_rng(400)
    X, Y, y = load("data_batch_1")
    Xv, Yv, yv = load("data_batch_2")
    Xt, Yt, yt = load("test_batch")
    m = X.mean(axis=1, keepdims=True)
    s = X.std(axis=1, keepdims=True)
    X, Xv, Xt = (X - m) / s, (Xv - m) / s, (Xt - m) / s
    net = Network([3072, 20, 15, 10], 0.005, rng)
    fit(net, X, Y, Xv, Yv, yv, 100, 70, 1, 1e-5, 1e-1, rng)
    print("test accuracy %.4f" % net.accuracy(Xt, yt))


if __name__ == "__main__":
    run()
