import numpy as np

class NN():
    """k-layer network with batch normalisation, images as columns"""
    def __init__(self, dims, lamda=0.005, alpha=0.8):
        self.dims = dims
        self.lamda = lamda
        self.alpha = alpha
        self.L = len(dims) - 1
        self.eps = 1e-8
        self.first = True
        self.W, self.b, self.gamma, self.beta, self.mu_av, self.v_av = [], [], [], [], [], []
        for i in range(self.L):
            self.W.append(np.random.normal(0, np.sqrt(2 / dims[i]), (dims[i + 1], dims[i])))
            self.b.append(np.zeros((dims[i + 1], 1)))
        for i in range(self.L - 1):
            self.gamma.append(np.ones((dims[i + 1], 1)))
            self.beta.append(np.zeros((dims[i + 1], 1)))
            self.mu_av.append(np.zeros((dims[i + 1], 1)))
            self.v_av.append(np.zeros((dims[i + 1], 1)))

    def evaluate(self, X, training=True):
        self.h, self.s, self.shat, self.mu, self.v = [X], [], [], [], []
        for i in range(self.L - 1):
            s = self.W[i] @ self.h[-1] + self.b[i]
            if training:
                mu = np.mean(s, axis=1, keepdims=True)
                v = np.var(s, axis=1, keepdims=True)
                if self.first:
                    self.mu_av[i], self.v_av[i] = mu, v
                else:
                    self.mu_av[i] = self.alpha * self.mu_av[i] + (1 - self.alpha) * mu
                    self.v_av[i] = self.alpha * self.v_av[i] + (1 - self.alpha) * v
            else:
                mu, v = self.mu_av[i], self.v_av[i]
            self.mu.append(mu); self.v.append(v); self.s.append(s)
            shat = (s - mu) / np.sqrt(v + self.eps)
            self.shat.append(shat)
            self.h.append(np.maximum(0, self.gamma[i] * shat + self.beta[i]))
        if training:
            self.first = False
        s = self.W[-1] @ self.h[-1] + self.b[-1]
        e = np.exp(s - np.max(s, axis=0))
        return e / e.sum(axis=0)

    def cost(self, X, Y, training=False):
        P = self.evaluate(X, training)
        return -np.sum(Y * np.log(P)) / X.shape[1] + self.lamda * sum(np.sum(w ** 2) for w in self.W)

    def compute_gradients(self, X, Y):
        P = self.evaluate(X, True)
        N = X.shape[1]
        gW, gb, ggamma, gbeta = [0] * self.L, [0] * self.L, [0] * (self.L - 1), [0] * (self.L - 1)
        G = P - Y
        gW[-1] = G @ self.h[-1].T / N + 2 * self.lamda * self.W[-1]
        gb[-1] = np.sum(G, axis=1, keepdims=True) / N
        G = (self.W[-1].T @ G) * (self.h[-1] > 0)
        for i in range(self.L - 2, -1, -1):
            ggamma[i] = np.sum(G * self.shat[i], axis=1, keepdims=True) / N
            gbeta[i] = np.sum(G, axis=1, keepdims=True) / N
            G = G * self.gamma[i]
            inv = 1 / np.sqrt(self.v[i] + self.eps)
            G = inv * (G - G.mean(axis=1, keepdims=True) - self.shat[i] * (G * self.shat[i]).mean(axis=1, keepdims=True))
            gW[i] = G @ self.h[i].T / N + 2 * self.lamda * self.W[i]
            gb[i] = np.sum(G, axis=1, keepdims=True) / N
            if i > 0:
                G = (self.W[i].T @ G) * (self.h[i] > 0)
        return gW, gb, ggamma, gbeta

    def update(self, X, Y, eta):
        gW, gb, gg, gbe = self.compute_gradients(X, Y)
        for i in range(self.L):
            self.W[i] -= eta * gW[i]
            self.b[i] -= eta * gb[i]
        for i in range(self.L - 1):
            self.gamma[i] -= eta * gg[i]
            self.beta[i] -= eta * gbe[i]

    def compute_accuracy(self, X, y):
        return np.mean(np.argmax(self.evaluate(X, False), axis=0) == y)
