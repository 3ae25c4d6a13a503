"""Batch normalised network; the model knows how to compute, the Trainer knows how to learn."""
import os
import pickle
import numpy as np


class Model:
    def __init__(self, widths, seed=0, alpha=0.9):
        r = np.random.RandomState(seed)
        self.k = len(widths) - 1
        self.W = [r.randn(b, a) * np.sqrt(2 / a) for a, b in zip(widths, widths[1:])]
        self.b = [np.zeros((b, 1)) for b in widths[1:]]
        self.gamma = [np.ones((b, 1)) for b in widths[1:-1]]
        self.beta = [np.zeros((b, 1)) for b in widths[1:-1]]
        self.run_mean = [np.zeros((b, 1)) for b in widths[1:-1]]
        self.run_var = [np.ones((b, 1)) for b in widths[1:-1]]
        self.seen_any = False
        self.alpha = alpha
        self.training = True
        self.tape = []

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def _track(self, l, mean, var):
        if self.seen_any:
            self.run_mean[l] = self.alpha * self.run_mean[l] + (1 - self.alpha) * mean
            self.run_var[l] = self.alpha * self.run_var[l] + (1 - self.alpha) * var
        else:
            self.run_mean[l] = mean
            self.run_var[l] = var

    def __call__(self, X):
        self.tape = []
        H = X
        for l in range(self.k - 1):
            S = self.W[l] @ H + self.b[l]
            mean, var = S.mean(1, keepdims=True), S.var(1, keepdims=True)
            if self.training:
                self._track(l, mean, var)
            else:
                mean, var = self.run_mean[l], self.run_var[l]
            S_hat = (S - mean) / np.sqrt(var + 1e-10)
            out = self.gamma[l] * S_hat + self.beta[l]
            self.tape.append((H, S, S_hat, mean, var, out))
            H = np.maximum(out, 0)
        self.seen_any = True
        self.tape.append((H,))
        scores = self.W[-1] @ H + self.b[-1]
        scores = scores - scores.max(0, keepdims=True)
        P = np.exp(scores)
        return P / P.sum(0, keepdims=True)

    def gradients(self, P, Y, lam):
        n = Y.shape[1]
        g = {"W": [None] * self.k, "b": [None] * self.k,
             "gamma": [None] * (self.k - 1), "beta": [None] * (self.k - 1)}
        G = (P - Y) / n
        g["W"][-1] = G @ self.tape[-1][0].T + 2 * lam * self.W[-1]
        g["b"][-1] = G.sum(1, keepdims=True)
        G = self.W[-1].T @ G
        for l in range(self.k - 2, -1, -1):
            H, S, S_hat, mean, var, out = self.tape[l]
            G = G * (out > 0)
            g["gamma"][l] = (G * S_hat).sum(1, keepdims=True)
            g["beta"][l] = G.sum(1, keepdims=True)
            G = G * self.gamma[l]
            s1 = (var + 1e-10) ** -0.5
            s2 = (var + 1e-10) ** -1.5
            G1, G2 = G * s1, G * s2
            D = S - mean
            c = (G2 * D).sum(1, keepdims=True)
            G = G1 - G1.sum(1, keepdims=True) / n - D * c / n
            g["W"][l] = G @ H.T + 2 * lam * self.W[l]
            g["b"][l] = G.sum(1, keepdims=True)
            G = self.W[l].T @ G
        return g

    def groups(self):
        return {"W": self.W, "b": self.b, "gamma": self.gamma, "beta": self.beta}


class Trainer:
    def __init__(self, model, lam=0.005, n_batch=100, eta=(1e-5, 1e-1), n_s=70, cycles=1):
        self.model, self.lam, self.n_batch = model, lam, n_batch
        self.eta_min, self.eta_max = eta
        self.n_s, self.cycles = n_s, cycles
        self.history = []
        self.t = 0

    @property
    def rate(self):
        l = self.t // (2 * self.n_s)
        if self.t < (2 * l + 1) * self.n_s:
            return self.eta_min + (self.t - 2 * l * self.n_s) / self.n_s * (self.eta_max - self.eta_min)
        return self.eta_max - (self.t - (2 * l + 1) * self.n_s) / self.n_s * (self.eta_max - self.eta_min)

    def cost(self, X, Y):
        P = self.model(X)
        reg = sum(np.sum(W ** 2) for W in self.model.W)
        return -np.log((P * Y).sum(0)).mean() + self.lam * reg

    def one_update(self, X, Y):
        self.model.train()
        P = self.model(X)
        grads = self.model.gradients(P, Y, self.lam)
        for name, params in self.model.groups().items():
            for p, dp in zip(params, grads[name]):
                p -= self.rate * dp
        self.t += 1

    def evaluate(self, X, Y):
        self.model.eval()
        cost = self.cost(X, Y)
        accuracy = (self.model(X).argmax(0) == Y.argmax(0)).mean()
        self.model.train()
        return cost, accuracy

    def train(self, data, rng):
        X, Y = data["train"]
        n = X.shape[1]
        last = 2 * self.n_s * self.cycles
        while self.t < last:
            order = rng.permutation(n)
            for i in range(0, n, self.n_batch):
                sel = order[i:i + self.n_batch]
                self.one_update(X[:, sel], Y[:, sel])
                if self.t % (self.n_s // 4) == 0:
                    row = (self.t,) + self.evaluate(*data["val"])
                    self.history.append(row)
                    print("t=%d val cost=%.4f val acc=%.4f" % row)
                if self.t >= last:
                    break


def get_data(folder):
    def one(name):
        with open(os.path.join(folder, name), "rb") as f:
            d = pickle.load(f, encoding="bytes")
        Y = np.zeros((10, len(d[b"labels"])))
        Y[d[b"labels"], np.arange(Y.shape[1])] = 1
        return d[b"data"][:2000].T.astype("float64") / 255, Y[:, :2000]

    parts = {"train": one("data_batch_1"), "val": one("data_batch_2"), "test": one("test_batch")}
    mean = parts["train"][0].mean(1, keepdims=True)
    std = parts["train"][0].std(1, keepdims=True)
    return {k: ((X - mean) / std, Y) for k, (X, Y) in parts.items()}


if __name__ == "__main__":
    data = get_data("cifar-10-batches-py")
    trainer = Trainer(Model([3072, 20, 15, 10], seed=3))
    trainer.train(data, np.random.default_rng(3))
    print("test: cost %.4f accuracy %.4f" % trainer.evaluate(*data["test"]))
