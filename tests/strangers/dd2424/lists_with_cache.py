import numpy as np


def initialize(layers, seed=0):
    rng = np.random.RandomState(seed)
    weights, biases, gammas, betas = [], [], [], []
    for n_in, n_out in zip(layers, layers[1:]):
        weights.append(rng.normal(0, np.sqrt(2 / n_in), (n_out, n_in)))
        biases.append(np.zeros((n_out, 1)))
        gammas.append(np.ones((n_out, 1)))
        betas.append(np.zeros((n_out, 1)))
    return weights, biases, gammas[:-1], betas[:-1]


def batch_normalize(s, mean, variance):
    return (s - mean) / np.sqrt(variance + 1e-9)


def batch_norm_back_pass(g, s, mean, variance):
    n = s.shape[1]
    sigma = 1 / np.sqrt(variance + 1e-9)
    d = s - mean
    return sigma * g - np.mean(sigma * g, axis=1, keepdims=True) - d * np.sum(g * sigma ** 3 * d, axis=1, keepdims=True) / n


def forward_pass(X, weights, biases, gammas, betas, means=None, variances=None):
    cache = {'inputs': [X], 's': [], 's_hat': [], 'means': [], 'variances': []}
    for l, (W, b) in enumerate(zip(weights, biases)):
        s = W.dot(cache['inputs'][-1]) + b
        if l == len(weights) - 1:
            e = np.exp(s - s.max(axis=0, keepdims=True))
            return e / e.sum(axis=0, keepdims=True), cache
        mean = s.mean(axis=1, keepdims=True) if means is None else means[l]
        variance = s.var(axis=1, keepdims=True) if variances is None else variances[l]
        s_hat = batch_normalize(s, mean, variance)
        cache['s'].append(s)
        cache['s_hat'].append(s_hat)
        cache['means'].append(mean)
        cache['variances'].append(variance)
        cache['inputs'].append(np.maximum(0, gammas[l] * s_hat + betas[l]))


def compute_cost(X, Y, weights, biases, gammas, betas, lmbda, means=None, variances=None):
    P, _ = forward_pass(X, weights, biases, gammas, betas, means, variances)
    loss = -np.log(np.einsum('kn,kn->n', Y, P)).sum() / X.shape[1]
    penalty = lmbda * np.sum([np.square(W).sum() for W in weights])
    return loss + penalty, loss


def compute_gradients(Y, P, cache, weights, gammas, lmbda):
    n = Y.shape[1]
    grads = {'W': [], 'b': [], 'gamma': [], 'beta': []}
    G = P - Y
    for l in range(len(weights) - 1, -1, -1):
        if l < len(weights) - 1:
            G = np.where(cache['inputs'][l + 1] > 0, G, 0)
            grads['gamma'].insert(0, (G * cache['s_hat'][l]).mean(axis=1, keepdims=True))
            grads['beta'].insert(0, G.mean(axis=1, keepdims=True))
            G = batch_norm_back_pass(G * gammas[l], cache['s'][l], cache['means'][l], cache['variances'][l])
        grads['W'].insert(0, G.dot(cache['inputs'][l].T) / n + 2 * lmbda * weights[l])
        grads['b'].insert(0, G.mean(axis=1, keepdims=True))
        G = weights[l].T.dot(G)
    return grads


def train(X, Y, weights, biases, gammas, betas, lmbda, eta):
    P, cache = forward_pass(X, weights, biases, gammas, betas)
    grads = compute_gradients(Y, P, cache, weights, gammas, lmbda)
    return [W - eta * dW for W, dW in zip(weights, grads['W'])]
