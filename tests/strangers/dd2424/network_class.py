import numpy as np
from tqdm import tqdm

class NeuralNetwork:
    def __init__(self, layer_sizes, lamda=0.0, batch_norm=False, alpha=0.9):
        self.k = len(layer_sizes) - 1
        self.lamda = lamda
        self.use_bn = batch_norm
        self.alpha = alpha
        self.W, self.b, self.gamma, self.beta = [], [], [], []
        for n_in, n_out in zip(layer_sizes[:-1], layer_sizes[1:]):
            self.W.append(np.random.randn(n_out, n_in) * np.sqrt(2 / n_in))
            self.b.append(np.zeros((n_out, 1)))
        if batch_norm:
            for n in layer_sizes[1:-1]:
                self.gamma.append(np.ones((n, 1)))
                self.beta.append(np.zeros((n, 1)))
        self.mu_av = None

    def softmax(self, s):
        e = np.exp(s - s.max(axis=0))
        return e / e.sum(axis=0)

    def forward(self, X):
        self.H = [X]
        self.S, self.S_hat, self.mu, self.var = [], [], [], []
        for l in range(self.k - 1):
            s = self.W[l] @ self.H[-1] + self.b[l]
            if self.use_bn:
                mu = s.mean(axis=1, keepdims=True); v = s.var(axis=1, keepdims=True)
                self.S.append(s); self.mu.append(mu); self.var.append(v)
                s_hat = (s - mu) / np.sqrt(v + 1e-8)
                self.S_hat.append(s_hat)
                s = self.gamma[l] * s_hat + self.beta[l]
            self.H.append(np.maximum(s, 0))
        return self.softmax(self.W[-1] @ self.H[-1] + self.b[-1])

    def cost(self, X, Y):
        P = self.forward(X)
        return -np.sum(Y * np.log(P)) / X.shape[1] + self.lamda * sum((w ** 2).sum() for w in self.W)

    def backward(self, X, Y):
        n = X.shape[1]
        P = self.forward(X)
        self.grad_W = [None] * self.k
        self.grad_b = [None] * self.k
        self.grad_gamma = [None] * (self.k - 1)
        self.grad_beta = [None] * (self.k - 1)
        G = P - Y
        for l in reversed(range(self.k)):
            if l < self.k - 1:
                G = G * (self.H[l + 1] > 0)
                if self.use_bn:
                    self.grad_gamma[l] = (G * self.S_hat[l]).sum(axis=1, keepdims=True) / n
                    self.grad_beta[l] = G.sum(axis=1, keepdims=True) / n
                    G = G * self.gamma[l]
                    s1 = (self.var[l] + 1e-8) ** -0.5
                    D = self.S[l] - self.mu[l]
                    c = (G * s1 ** 3 * D).sum(axis=1, keepdims=True)
                    G = G * s1 - (G * s1).mean(axis=1, keepdims=True) - D * c / n
            self.grad_W[l] = G @ self.H[l].T / n + 2 * self.lamda * self.W[l]
            self.grad_b[l] = G.mean(axis=1, keepdims=True)
            G = self.W[l].T @ G

    def accuracy(self, X, y):
        return np.mean(self.forward(X).argmax(0) == y)

net = NeuralNetwork([3072, 50, 10])
net.fit()
