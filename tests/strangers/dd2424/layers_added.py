import numpy as np

class Linear:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_out, n_in) * np.sqrt(2. / n_in)
        self.b = np.zeros((n_out, 1))

    def forward(self, X):
        self.X = X
        return self.W @ X + self.b

    def backward(self, G, eta, lam):
        n = self.X.shape[1]
        dW = G @ self.X.T / n + 2 * lam * self.W
        db = G.sum(axis=1, keepdims=True) / n
        G = self.W.T @ G
        self.W -= eta * dW
        self.b -= eta * db
        return G


class Relu:
    def forward(self, X):
        self.mask = X > 0
        return X * self.mask

    def backward(self, G, eta, lam):
        return G * self.mask


class Softmax:
    def forward(self, X):
        e = np.exp(X - X.max(axis=0))
        self.P = e / e.sum(axis=0)
        return self.P

    def backward(self, Y, eta, lam):
        return self.P - Y


class Network:
    def __init__(self, lam=0.0):
        self.layers = []
        self.lam = lam

    def add(self, layer):
        self.layers.append(layer)

    def forward(self, X):
        for l in self.layers:
            X = l.forward(X)
        return X

    def backward(self, X, Y, eta):
        self.forward(X)
        G = Y
        for l in reversed(self.layers):
            G = l.backward(G, eta, self.lam)

    def compute_cost(self, X, Y):
        P = self.forward(X)
        J = -np.sum(Y * np.log(P)) / X.shape[1]
        for l in self.layers:
            if isinstance(l, Linear):
                J += self.lam * np.sum(l.W ** 2)
        return J

    def accuracy(self, X, y):
        return (self.forward(X).argmax(axis=0) == y).mean()

    def fit(self, X, Y, eta, n_batch, epochs):
        for _ in range(epochs):
            for i in range(0, X.shape[1], n_batch):
                self.backward(X[:, i:i + n_batch], Y[:, i:i + n_batch], eta)


if __name__ == '__main__':
    net = Network(0.001)
    net.add(Linear(3072, 50))
    net.add(Relu())
    net.add(Linear(50, 10))
    net.add(Softmax())
    net.fit(X, Y, 0.01, 100, 10)
