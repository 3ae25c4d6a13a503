# KTH DD2424 Assignment 2, b as (m,), functions in one class without constructor args
import numpy as np
class Params:
    def __init__(self, W1, b1, W2, b2):
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2
def softmax(Z):
    Z = np.exp(Z - Z.max(axis=0))
    return Z / Z.sum(axis=0)
def fwd(X, W1, b1, W2, b2):
    S1 = W1.dot(X) + b1[:, None]
    H = np.maximum(S1, 0)
    return S1, H, softmax(W2.dot(H) + b2[:, None])
def get_cost(X, Y, W1, b1, W2, b2, lmda):
    _, _, P = fwd(X, W1, b1, W2, b2)
    return -np.sum(Y * np.log(P + 1e-15)) / X.shape[1] + lmda * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
def get_gradients(X, Y, W1, b1, W2, b2, lmda):
    S1, H, P = fwd(X, W1, b1, W2, b2)
    N = X.shape[1]
    G = (P - Y) / N
    dW2, db2 = G.dot(H.T) + 2 * lmda * W2, G.sum(1)
    G = W2.T.dot(G)
    G[S1 < 0] = 0
    return G.dot(X.T) + 2 * lmda * W1, G.sum(1), dW2, db2
def acc(X, y, W1, b1, W2, b2):
    return np.mean(fwd(X, W1, b1, W2, b2)[2].argmax(0) == y)
