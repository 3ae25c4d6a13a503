import numpy as np

class Dense:
    def __init__(self, n_in, n_out):
        self.W = np.random.normal(0, 1 / np.sqrt(n_in), (n_out, n_in))
        self.b = np.zeros((n_out, 1))
        self.grad_W = None
        self.grad_b = None
    def forward(self, x):
        self.x = x
        return self.W @ x + self.b
    def backward(self, g, lamda):
        n = self.x.shape[1]
        self.grad_W = g @ self.x.T / n + 2 * lamda * self.W
        self.grad_b = g.sum(axis=1, keepdims=True) / n
        return self.W.T @ g

class ReLU:
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)
    def backward(self, g, lamda):
        return g * (self.x > 0)

class Network:
    def __init__(self, sizes, lamda):
        self.lamda = lamda
        self.layers = []
        for i in range(len(sizes) - 1):
            self.layers.append(Dense(sizes[i], sizes[i + 1]))
            if i < len(sizes) - 2:
                self.layers.append(ReLU())
    def forward(self, X):
        for layer in self.layers:
            X = layer.forward(X)
        X = X - X.max(axis=0)
        return np.exp(X) / np.exp(X).sum(axis=0)
    def cost(self, X, Y):
        P = self.forward(X)
        reg = sum((l.W ** 2).sum() for l in self.layers if isinstance(l, Dense))
        return -np.mean(np.log((Y * P).sum(axis=0))) + self.lamda * reg
    def backward(self, X, Y):
        g = self.forward(X) - Y
        for layer in self.layers[::-1]:
            g = layer.backward(g, self.lamda)
