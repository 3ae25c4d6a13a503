import numpy as np
class TwoLayer(object):
    """images (d, n)"""
    def __init__(self, d, m=50, K=10, lmbda=0.0):
        self.d, self.m, self.K = d, m, K
        self.lmbda = lmbda
        self.init_weights()
    def init_weights(self):
        self.W1 = np.random.normal(0, 1/np.sqrt(self.d), (self.m, self.d)).astype(np.float32)
        self.W2 = np.random.normal(0, 1/np.sqrt(self.m), (self.K, self.m)).astype(np.float32)
        self.b1 = np.zeros((self.m, 1), dtype=np.float32)
        self.b2 = np.zeros((self.K, 1), dtype=np.float32)
    def _forward(self, X):
        X = X.astype(np.float32)
        h = np.maximum(0, self.W1.astype(np.float32) @ X + self.b1.astype(np.float32))
        s = self.W2.astype(np.float32) @ h + self.b2.astype(np.float32)
        p = np.exp(s) / np.exp(s).sum(0)
        return h, p
    def cost(self, X, Y):
        _, p = self._forward(X)
        return float(-np.log((p * Y.astype(np.float32)).sum(0)).mean() + self.lmbda * ((self.W1**2).sum() + (self.W2**2).sum()))
    def gradients(self, X, Y):
        h, p = self._forward(X)
        n = X.shape[1]
        g = (p - Y).astype(np.float32)
        gW2 = g @ h.T / n + np.float32(2 * self.lmbda) * self.W2
        gb2 = g.mean(1, keepdims=True)
        g = self.W2.T.astype(np.float32) @ g * (h > 0)
        gW1 = g @ X.T.astype(np.float32) / n + np.float32(2 * self.lmbda) * self.W1
        gb1 = g.mean(1, keepdims=True)
        return (gW1, gb1), (gW2, gb2)
