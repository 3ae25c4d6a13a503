import numpy as np
def relu(x): return np.maximum(0, x)
class ThreeLayerNet(object):
    """Only numpy: affine - relu - affine - relu - affine - softmax."""
    def __init__(self, input_size, hidden_sizes, output_size, std=1e-2, reg=0.0):
        h1, h2 = hidden_sizes
        self.reg = reg
        self.params = dict(W1=std * np.random.randn(input_size, h1), b1=np.zeros(h1), W2=std * np.random.randn(h1, h2), b2=np.zeros(h2),
                           W3=std * np.random.randn(h2, output_size), b3=np.zeros(output_size))
    def loss(self, X, y=None):
        p = self.params
        a1 = relu(X @ p['W1'] + p['b1'])
        a2 = relu(a1 @ p['W2'] + p['b2'])
        scores = a2 @ p['W3'] + p['b3']
        if y is None: return scores
        e = np.exp(scores - scores.max(1)[:, None]); P = e / e.sum(1)[:, None]
        N = len(X)
        loss = -np.log(P[np.arange(N), y]).mean() + 0.5 * self.reg * sum(np.sum(p[k] ** 2) for k in p if k[0] == 'W')
        P[np.arange(N), y] -= 1; d = P / N
        g = {}
        for i, a in ((3, a2), (2, a1), (1, X)):
            g['W%d' % i] = a.T @ d + self.reg * p['W%d' % i]
            g['b%d' % i] = d.sum(0)
            d = (d @ p['W%d' % i].T) * (a > 0)
        return loss, g
