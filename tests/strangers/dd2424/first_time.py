"""Batch normalization in layers of a class within the class; the forward pass also gives the cost."""

import numpy as np

TINY = 1e-12


class KLayers:
    class layer:
        def __init__(self, n_in, n_out, init, std):
            self.W = np.random.normal(0, np.sqrt(2 / n_in) if init == "he" else std, (n_out, n_in))
            self.b, self.beta, self.gamma = np.zeros((n_out, 1)), np.zeros((n_out, 1)), np.ones((n_out, 1))
            self.mu_av, self.var_av = np.zeros(n_out), np.zeros(n_out)

    def __init__(self, input_dim, output_dim, nodes_list, init, Lambda, std=0.01):
        dims = np.r_[input_dim, nodes_list, output_dim]
        self.layers = [self.layer(dims[i], dims[i + 1], init, std) for i in range(len(dims) - 1)]
        self.Lambda = Lambda

    def forward_pass(self, X, Y, testing=False, first_time=False):
        acts, S_hat, S_batch = [X], [], []
        for i, layer in enumerate(self.layers):
            s = layer.W @ acts[-1] + layer.b
            if i == len(self.layers) - 1:
                break
            mu, var = s.mean(axis=1), s.var(axis=1)
            if testing:
                mu, var = layer.mu_av, layer.var_av
            elif first_time:
                layer.mu_av, layer.var_av = mu, var
            else:
                layer.mu_av = 0.9 * layer.mu_av + 0.1 * mu
                layer.var_av = 0.9 * layer.var_av + 0.1 * var
            layer.mu, layer.var = mu[:, None], var[:, None]
            S_batch.append(s)
            S_hat.append(np.diag(1 / np.sqrt(var + TINY)) @ (s - mu[:, None]))
            acts.append(np.maximum(layer.gamma * S_hat[-1] + layer.beta, 0))
        P = np.exp(s) / np.exp(s).sum(axis=0)
        loss = -np.mean(np.log((Y * P).sum(axis=0)))
        cost = loss + self.Lambda * sum((layer.W**2).sum() for layer in self.layers)
        return P, acts, S_hat, S_batch, loss, cost

    def normalize_back(self, G, S, mu, var):
        n = G.shape[1]
        G1, G2 = G * (var + TINY) ** -0.5, G * (var + TINY) ** -1.5
        D = S - mu
        return G1 - G1.mean(axis=1, keepdims=True) - D * (G2 * D).sum(axis=1, keepdims=True) / n

    def backward_pass(self, Y, P, X, S_hat, S_batch):
        G, n = P - Y, X[0].shape[1]
        gradW, gradb, gradgamma, gradbeta = [], [], [], []
        for i in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[i]
            if i < len(self.layers) - 1:
                gradgamma.insert(0, (G * S_hat[i]).mean(axis=1, keepdims=True))
                gradbeta.insert(0, G.mean(axis=1, keepdims=True))
                G = self.normalize_back(G * layer.gamma, S_batch[i], layer.mu, layer.var)
            gradW.insert(0, G @ X[i].T / n + 2 * self.Lambda * layer.W)
            gradb.insert(0, G.mean(axis=1, keepdims=True))
            G = (layer.W.T @ G) * (X[i] > 0)
        return gradW, gradb, gradgamma, gradbeta

    def train(self, X, Y, n_batch, eta):
        for i in range(X.shape[1] // n_batch):
            x, y = X[:, i * n_batch : (i + 1) * n_batch], Y[:, i * n_batch : (i + 1) * n_batch]
            P, acts, S_hat, S_batch, loss, cost = self.forward_pass(x, y, False, i == 0)
            gradW, gradb, gradgamma, gradbeta = self.backward_pass(y, P, acts, S_hat, S_batch)
