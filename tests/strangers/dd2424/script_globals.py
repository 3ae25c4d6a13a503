import numpy as np
from helper_functions import *
import matplotlib.pyplot as plt

K = 10


def EvaluateNetwork(X, theta):
    H = X
    activations = [H]
    for i in range(1, n_layers + 1):
        S = theta['W' + str(i)] @ H + theta['b' + str(i)]
        H = S * (S > 0)
        activations.append(H)
    activations[-1] = softmax(S)
    return activations


def Objective(X, Y, theta):
    P = EvaluateNetwork(X, theta)[-1]
    J = -np.trace(Y.T @ np.log(P)) / X.shape[1]
    for i in range(1, n_layers + 1):
        J = J + lam * np.linalg.norm(theta['W' + str(i)]) ** 2
    return J


def BackProp(X, Y, theta):
    activations = EvaluateNetwork(X, theta)
    grads = {}
    G = (activations[-1] - Y) / X.shape[1]
    for i in range(n_layers, 0, -1):
        grads['W' + str(i)] = G @ activations[i - 1].T + 2 * lam * theta['W' + str(i)]
        grads['b' + str(i)] = G @ np.ones((X.shape[1], 1))
        G = (theta['W' + str(i)].T @ G) * (activations[i - 1] > 0)
    return grads


if __name__ == '__main__':
    X, Y, y = LoadBatch('data_batch_1')
    lam = 0.005
    n_layers = 3
    theta = Initialize([X.shape[0], 50, 50, K])
    for step in range(10 ** 9):
        grads = BackProp(X, Y, theta)
        plt.plot(step, Objective(X, Y, theta))
