import pickle
import numpy as np
import matplotlib.pyplot as plt


class Data:
    """everything at once, so that nothing can be asked for alone"""

    def __init__(self, folder):
        with open(folder + '/data_batch_1', 'rb') as f:
            batch = pickle.load(f, encoding='bytes')
        pixels = batch[b'data'][:2000].T / 255.0
        classes = batch[b'labels'][:2000]
        with open(folder + '/test_batch', 'rb') as f:
            batch = pickle.load(f, encoding='bytes')
        self.train = pixels[:, :-600]
        self.mu = self.train.mean(axis=1, keepdims=True)
        self.sd = self.train.std(axis=1, keepdims=True)
        self.train = (self.train - self.mu) / self.sd
        self.held_out = (pixels[:, -600:] - self.mu) / self.sd
        self.test = (batch[b'data'][:700].T / 255.0 - self.mu) / self.sd
        self.train_hot = np.eye(10)[classes[:-600]].T
        self.held_out_hot = np.eye(10)[classes[-600:]].T
        self.test_hot = np.eye(10)[batch[b'labels'][:700]].T


class Trainer:
    def __init__(self, data, widths, lam, seed=400):
        self.data = data
        self.lam = lam
        rng = np.random.RandomState(seed)
        dims = [data.train.shape[0]] + widths + [data.train_hot.shape[0]]
        self.Ws = [rng.randn(b, a) * np.sqrt(2 / a) for a, b in zip(dims[:-1], dims[1:])]
        self.bs = [np.zeros((b, 1)) for b in dims[1:]]
        self.history = []

    def forward_pass(self, X):
        self.inputs = [X]
        for W, b in zip(self.Ws[:-1], self.bs[:-1]):
            self.inputs.append(np.maximum(0, W @ self.inputs[-1] + b))
        s = self.Ws[-1] @ self.inputs[-1] + self.bs[-1]
        e = np.exp(s - s.max(axis=0))
        return e / e.sum(axis=0)

    def cost(self, X, Y):
        P = self.forward_pass(X)
        return -np.mean(np.log(np.sum(Y * P, axis=0))) + self.lam * sum(np.sum(W ** 2) for W in self.Ws)

    def backward_pass(self, X, Y):
        n = X.shape[1]
        G = self.forward_pass(X) - Y
        grad_W, grad_b = [], []
        for i in reversed(range(len(self.Ws))):
            grad_W.insert(0, G @ self.inputs[i].T / n + 2 * self.lam * self.Ws[i])
            grad_b.insert(0, G.mean(axis=1, keepdims=True))
            G = (self.Ws[i].T @ G) * (self.inputs[i] > 0)
        return grad_W, grad_b

    def run(self, n_batch, eta_min, eta_max, n_s, cycles):
        t = 0
        N = self.data.train.shape[1]
        while t < 2 * n_s * cycles:
            order = np.random.permutation(N)
            for j in range(N // n_batch):
                picked = order[j * n_batch:(j + 1) * n_batch]
                grad_W, grad_b = self.backward_pass(self.data.train[:, picked], self.data.train_hot[:, picked])
                cycle, place = divmod(t, 2 * n_s)
                up = place / n_s if place <= n_s else 2 - place / n_s
                eta = eta_min + up * (eta_max - eta_min)
                for i in range(len(self.Ws)):
                    self.Ws[i] -= eta * grad_W[i]
                    self.bs[i] -= eta * grad_b[i]
                t += 1
            self.history.append(self.cost(self.data.held_out, self.data.held_out_hot))


if __name__ == '__main__':
    data = Data('Datasets/cifar-10-batches-py')
    net = Trainer(data, [14, 12], lam=0.005)
    net.run(n_batch=100, eta_min=1e-5, eta_max=1e-1, n_s=50, cycles=2)
    plt.plot(net.history)
    plt.savefig('history.png')
    print(net.cost(data.test, data.test_hot))
