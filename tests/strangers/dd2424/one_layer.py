import numpy as np
import matplotlib.pyplot as plt
from functions import *
import pickle

def LoadBatch(filename):
    with open('Datasets/' + filename, 'rb') as fo:
        d = pickle.load(fo, encoding='bytes')
    return d

np.random.seed(400)
trainX = LoadBatch('data_batch_1')[b'data'].T
K, d = 10, trainX.shape[0]

def EvaluateClassifier(X, W, b):
    s = np.dot(W, X) + b
    return softmax(s)

def ComputeCost(X, Y, W, b, lamda):
    P = EvaluateClassifier(X, W, b)
    l = -np.log(np.sum(Y * P, axis=0))
    return np.mean(l) + lamda * np.sum(W ** 2)

def ComputeAccuracy(X, y, W, b):
    return np.mean(np.argmax(EvaluateClassifier(X, W, b), axis=0) == y)

def ComputeGradients(X, Y, P, W, lamda):
    n = X.shape[1]
    G = -(Y - P)
    grad_W = G @ X.T / n + 2 * lamda * W
    grad_b = (G @ np.ones((n, 1))) / n
    return grad_W, grad_b

P = EvaluateClassifier(trainX, W, b)
for i in range(100000000):
    plt.plot(i)
