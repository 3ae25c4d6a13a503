import numpy as np
import pickle
import matplotlib.pyplot as plt

FOLDER = 'cifar-10-batches-py/'


def read(name, count):
    with open(FOLDER + name, 'rb') as f:
        d = pickle.load(f, encoding='latin1')
    X = np.array(d['data'][:count], dtype=float).T / 255
    y = np.array(d['labels'][:count])
    Y = np.zeros((10, count))
    Y[y, np.arange(count)] = 1
    return X, Y, y


class Experiment:
    """the data, the network and its training: nothing of it works without the files"""

    def __init__(self):
        self.X, self.Y, self.y = read('data_batch_1', 3000)
        self.Xv, self.Yv, self.yv = read('data_batch_2', 500)
        m, s = self.X.mean(1, keepdims=True), self.X.std(1, keepdims=True)
        self.X = (self.X - m) / s
        self.Xv = (self.Xv - m) / s
        self.lamda = 0.004
        self.eps = 1e-8
        sizes = [self.X.shape[0], 30, 20, 10]
        self.W, self.b, self.gamma, self.beta = [], [], [], []
        for n_in, n_out in zip(sizes, sizes[1:]):
            self.W.append(np.random.normal(0, np.sqrt(2 / n_in), (n_out, n_in)))
            self.b.append(np.zeros((n_out, 1)))
        for n_out in sizes[1:-1]:
            self.gamma.append(np.ones((n_out, 1)))
            self.beta.append(np.zeros((n_out, 1)))

    def forward(self, X, means=None, variances=None):
        self.H, self.S, self.S_hat, self.mu, self.v = [X], [], [], [], []
        last = len(self.W) - 1
        for l in range(last):
            s = self.W[l] @ self.H[-1] + self.b[l]
            mu = s.mean(axis=1, keepdims=True) if means is None else means[l]
            v = s.var(axis=1, keepdims=True) if variances is None else variances[l]
            s_hat = (s - mu) / np.sqrt(v + self.eps)
            self.S.append(s)
            self.S_hat.append(s_hat)
            self.mu.append(mu)
            self.v.append(v)
            self.H.append(np.maximum(self.gamma[l] * s_hat + self.beta[l], 0))
        s = self.W[last] @ self.H[-1] + self.b[last]
        p = np.exp(s - s.max(axis=0))
        return p / p.sum(axis=0)

    def cost(self, X, Y, means=None, variances=None):
        P = self.forward(X, means, variances)
        loss = -np.log((Y * P).sum(axis=0)).mean()
        return loss + self.lamda * sum((w ** 2).sum() for w in self.W)

    def backward(self, X, Y):
        n = X.shape[1]
        P = self.forward(X)
        grad_W, grad_b = [None] * len(self.W), [None] * len(self.W)
        grad_gamma, grad_beta = [None] * len(self.gamma), [None] * len(self.gamma)
        G = P - Y
        for l in range(len(self.W) - 1, -1, -1):
            if l < len(self.gamma):
                G = G * (self.H[l + 1] > 0)
                grad_gamma[l] = (G * self.S_hat[l]).sum(axis=1, keepdims=True) / n
                grad_beta[l] = G.sum(axis=1, keepdims=True) / n
                G = G * self.gamma[l]
                G = self.normalization_backward(G, l)
            grad_W[l] = G @ self.H[l].T / n + 2 * self.lamda * self.W[l]
            grad_b[l] = G.sum(axis=1, keepdims=True) / n
            G = self.W[l].T @ G
        return grad_W, grad_b, grad_gamma, grad_beta

    def normalization_backward(self, G, l):
        n = G.shape[1]
        s1 = (self.v[l] + self.eps) ** -0.5
        s2 = (self.v[l] + self.eps) ** -1.5
        D = self.S[l] - self.mu[l]
        c = ((G * s2) * D).sum(axis=1, keepdims=True)
        G1 = G * s1
        return G1 - G1.mean(axis=1, keepdims=True) - D * c / n

    def train(self, epochs=2, n_batch=100, eta_min=1e-5, eta_max=1e-1, n_s=90):
        N = self.X.shape[1]
        t = 0
        costs = []
        for epoch in range(epochs * 4):
            order = np.random.permutation(N)
            for j in range(N // n_batch):
                rows = order[j * n_batch:(j + 1) * n_batch]
                gW, gb, gg, gbeta = self.backward(self.X[:, rows], self.Y[:, rows])
                l = t // (2 * n_s)
                if t <= (2 * l + 1) * n_s:
                    eta = eta_min + (t - 2 * l * n_s) / n_s * (eta_max - eta_min)
                else:
                    eta = eta_max - (t - (2 * l + 1) * n_s) / n_s * (eta_max - eta_min)
                for k in range(len(self.W)):
                    self.W[k] = self.W[k] - eta * gW[k]
                    self.b[k] = self.b[k] - eta * gb[k]
                for k in range(len(self.gamma)):
                    self.gamma[k] = self.gamma[k] - eta * gg[k]
                    self.beta[k] = self.beta[k] - eta * gbeta[k]
                t += 1
            costs.append(self.cost(self.Xv, self.Yv))
        return costs


experiment = Experiment()
plt.plot(experiment.train())
plt.show()
