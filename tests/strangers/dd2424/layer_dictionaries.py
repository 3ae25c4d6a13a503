import numpy as np
class MLP:
    def __init__(self, dims, lam=0.01, seed=42):
        np.random.seed(seed)
        self.lam = lam
        self.layers = []
        for i in range(1, len(dims)):
            self.layers.append({'W': np.random.randn(dims[i], dims[i-1]) / np.sqrt(dims[i-1]), 'b': np.zeros((dims[i], 1))})
    def forward(self, X):
        a = X
        acts = [X]
        for i, layer in enumerate(self.layers):
            z = layer['W'] @ a + layer['b']
            if i == len(self.layers) - 1:
                e = np.exp(z - np.max(z, axis=0, keepdims=True))
                a = e / np.sum(e, axis=0, keepdims=True)
            else:
                a = np.maximum(z, 0)
            acts.append(a)
        return acts
    def compute_loss(self, X, Y):
        P = self.forward(X)[-1]
        ce = -np.sum(Y * np.log(P)) / X.shape[1]
        return ce + self.lam * sum(np.sum(l['W']**2) for l in self.layers)
    def backprop(self, X, Y):
        acts = self.forward(X)
        n = X.shape[1]
        delta = acts[-1] - Y
        grads = [None] * len(self.layers)
        for i in range(len(self.layers) - 1, -1, -1):
            grads[i] = {'dW': delta @ acts[i].T / n + 2 * self.lam * self.layers[i]['W'], 'db': np.sum(delta, axis=1, keepdims=True) / n}
            if i:
                delta = self.layers[i]['W'].T @ delta * (acts[i] > 0)
        return grads
