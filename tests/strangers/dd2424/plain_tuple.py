import numpy as np

np.random.seed(100)

def softmax(x):
    e = np.exp(x - np.max(x, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)

def normalize(X_train, X_val, X_test):
    m = np.mean(X_train, axis=1, keepdims=True)
    s = np.std(X_train, axis=1, keepdims=True)
    return (X_train - m) / s, (X_val - m) / s, (X_test - m) / s

def initialize(d, m, K):
    W1 = np.random.normal(0, 1 / np.sqrt(d), size=(m, d))
    W2 = np.random.normal(0, 1 / np.sqrt(m), size=(K, m))
    return W1, np.zeros((m, 1)), W2, np.zeros((K, 1))

def evaluateClassifier(X, W1, b1, W2, b2):
    h = np.maximum(0, np.dot(W1, X) + b1)
    return softmax(np.dot(W2, h) + b2), h

def computeCost(X, Y, W1, b1, W2, b2, lam):
    p, _ = evaluateClassifier(X, W1, b1, W2, b2)
    return -np.sum(Y * np.log(p)) / X.shape[1] + lam * (np.sum(np.square(W1)) + np.sum(np.square(W2)))

def computeAccuracy(X, y, W1, b1, W2, b2):
    p, _ = evaluateClassifier(X, W1, b1, W2, b2)
    return np.sum(np.argmax(p, axis=0) == y) / X.shape[1]

def computeGradients(X, Y, W1, b1, W2, b2, lam):
    n = X.shape[1]
    p, h = evaluateClassifier(X, W1, b1, W2, b2)
    g = p - Y
    gW2 = np.dot(g, h.T) / n + 2 * lam * W2
    gb2 = np.sum(g, axis=1, keepdims=True) / n
    g = np.dot(W2.T, g) * (h > 0)
    gW1 = np.dot(g, X.T) / n + 2 * lam * W1
    gb1 = np.sum(g, axis=1, keepdims=True) / n
    return gW1, gb1, gW2, gb2

def miniBatchGD(X, Y, W1, b1, W2, b2, lam, n_batch, eta, n_epochs):
    n = X.shape[1]
    for e in range(n_epochs):
        for j in range(n // n_batch):
            xb = X[:, j * n_batch:(j + 1) * n_batch]
            yb = Y[:, j * n_batch:(j + 1) * n_batch]
            a, b, c, d = computeGradients(xb, yb, W1, b1, W2, b2, lam)
            W1 = W1 - eta * a
            b1 = b1 - eta * b
            W2 = W2 - eta * c
            b2 = b2 - eta * d
        print("epoch", e, computeCost(X, Y, W1, b1, W2, b2, lam))
    return W1, b1, W2, b2
