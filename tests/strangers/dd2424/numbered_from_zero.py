import numpy as np
class Net:
    def __init__(self, X, Y, y, hidden_units, GDparams={}, lambda_=0.0, use_batch_norm=True):
        self.X, self.Y, self.y = X, Y, y
        self.lambda_ = lambda_
        self.use_batch_norm = use_batch_norm
        units = [X.shape[0]] + list(hidden_units) + [Y.shape[0]]
        self.n_layers = len(units) - 1
        self.params = {}
        for i in range(self.n_layers):
            self.params['W' + str(i)] = np.random.randn(units[i + 1], units[i]) * np.sqrt(2 / units[i])
            self.params['b' + str(i)] = np.zeros((units[i + 1], 1))
            if i < self.n_layers - 1:
                self.params['gamma' + str(i)] = np.ones((units[i + 1], 1))
                self.params['beta' + str(i)] = np.zeros((units[i + 1], 1))
    def forward(self, X, params=None):
        p = params or self.params
        c = {'X0': X}
        for i in range(self.n_layers - 1):
            s = p['W%d' % i] @ c['X%d' % i] + p['b%d' % i]
            if self.use_batch_norm:
                mu, v = s.mean(1, keepdims=True), s.var(1, keepdims=True)
                c['s%d' % i], c['mu%d' % i], c['v%d' % i] = s, mu, v
                c['hat%d' % i] = (s - mu) / np.sqrt(v + 1e-5)
                s = p['gamma%d' % i] * c['hat%d' % i] + p['beta%d' % i]
            c['X%d' % (i + 1)] = np.maximum(s, 0)
        i = self.n_layers - 1
        s = p['W%d' % i] @ c['X%d' % i] + p['b%d' % i]
        c['P'] = np.exp(s) / np.exp(s).sum(0)
        return c
    def compute_cost(self, X, Y):
        P = self.forward(X)['P']
        return -np.log((Y * P).sum(0)).mean() + self.lambda_ * sum((self.params['W%d' % i] ** 2).sum() for i in range(self.n_layers))
    def compute_gradients(self, X, Y):
        c, n, grads, p = self.forward(X), X.shape[1], {}, self.params
        G = c['P'] - Y
        for i in range(self.n_layers - 1, -1, -1):
            if i < self.n_layers - 1:
                G = G * (c['X%d' % (i + 1)] > 0)
                if self.use_batch_norm:
                    grads['gamma%d' % i] = (G * c['hat%d' % i]).mean(1, keepdims=True)
                    grads['beta%d' % i] = G.mean(1, keepdims=True)
                    G = G * p['gamma%d' % i]
                    sig = (c['v%d' % i] + 1e-5) ** -0.5
                    G = sig * (G - G.mean(1, keepdims=True) - c['hat%d' % i] * (G * c['hat%d' % i]).mean(1, keepdims=True))
            grads['W%d' % i] = G @ c['X%d' % i].T / n + 2 * self.lambda_ * p['W%d' % i]
            grads['b%d' % i] = G.mean(1, keepdims=True)
            G = p['W%d' % i].T @ G
        return grads
