import numpy as np
from typing import List, Tuple

Layer = Tuple[np.ndarray, np.ndarray]

def build(layer_dims: List[int], seed: int = 1) -> List[Layer]:
    gen = np.random.default_rng(seed)
    return [(gen.normal(scale=1 / np.sqrt(a), size=(b, a)), np.zeros((b, 1))) for a, b in zip(layer_dims[:-1], layer_dims[1:])]

def network_forward(X: np.ndarray, layers: List[Layer]):
    acts = [X]
    for k, (W, b) in enumerate(layers):
        Z = W @ acts[-1] + b
        if k + 1 < len(layers):
            acts.append(Z * (Z > 0))
        else:
            E = np.exp(Z - Z.max(0))
            acts.append(E / E.sum(0))
    return acts

def cross_entropy_cost(X, Y, layers, lam):
    P = network_forward(X, layers)[-1]
    return float(-np.log(np.einsum('ij,ij->j', Y, P)).mean() + lam * sum((W * W).sum() for W, _ in layers))

def backprop(X, Y, layers, lam):
    acts = network_forward(X, layers)
    n = X.shape[1]
    delta = (acts[-1] - Y) / n
    out = []
    for k in range(len(layers) - 1, -1, -1):
        W, _ = layers[k]
        out.append((delta @ acts[k].T + 2 * lam * W, delta.sum(1, keepdims=True)))
        delta = (W.T @ delta) * (acts[k] > 0)
    return out[::-1]

def sgd_step(layers, grads, eta):
    return [(W - eta * gW, b - eta * gb) for (W, b), (gW, gb) in zip(layers, grads)]
