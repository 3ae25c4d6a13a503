import numpy as np
import torch
import copy

def InitNetwork(d, m, K, rng):
    net = {}
    net['W'] = [rng.standard_normal((m, d)) / np.sqrt(d), rng.standard_normal((K, m)) / np.sqrt(m)]
    net['b'] = [np.zeros((m, 1)), np.zeros((K, 1))]
    return net

def ApplyNetwork(X, network):
    fp_data = {}
    s1 = network['W'][0] @ X + network['b'][0]
    h = np.maximum(0, s1)
    s = network['W'][1] @ h + network['b'][1]
    P = np.exp(s) / np.exp(s).sum(axis=0)
    fp_data['s1'] = s1
    fp_data['h'] = h
    fp_data['P'] = P
    return fp_data

def ComputeLoss(P, y):
    return -np.mean(np.log(P[y, np.arange(len(y))]))

def ComputeCost(P, y, network, lam):
    return ComputeLoss(P, y) + lam * sum(np.sum(W ** 2) for W in network['W'])

def ComputeAccuracy(P, y):
    return np.mean(P.argmax(axis=0) == y)

def BackwardPass(X, Y, fp_data, network, lam):
    n = X.shape[1]
    G = -(Y - fp_data['P'])
    grads = {}
    grads['W'] = [None, None]
    grads['b'] = [None, None]
    grads['W'][1] = G @ fp_data['h'].T / n + 2 * lam * network['W'][1]
    grads['b'][1] = np.sum(G, axis=1, keepdims=True) / n
    G = network['W'][1].T @ G
    G = G * (fp_data['h'] > 0)
    grads['W'][0] = G @ X.T / n + 2 * lam * network['W'][0]
    grads['b'][0] = np.sum(G, axis=1, keepdims=True) / n
    return grads
