import numpy as np
import copy
import pickle
import matplotlib.pyplot as plt
from torch_gradient_computations_bn import ComputeGradsWithTorch

cifar_dir = 'Datasets/cifar-10-batches-py/'

def LoadBatch(filename):
    with open(cifar_dir + filename, 'rb') as fo:
        dict = pickle.load(fo, encoding='bytes')
    X = dict[b'data'].astype(np.float64) / 255.0
    y = np.array(dict[b'labels'])
    Y = np.zeros((10, y.size)); Y[y, np.arange(y.size)] = 1
    return X.T, Y, y

def InitNetParams(layers, use_bn, rng):
    NetParams = {}
    NetParams['W'] = []
    NetParams['b'] = []
    NetParams['use_bn'] = use_bn
    if use_bn:
        NetParams['gamma'] = []
        NetParams['beta'] = []
    for i in range(len(layers) - 1):
        NetParams['W'].append(rng.standard_normal((layers[i+1], layers[i])) * np.sqrt(2.0 / layers[i]))
        NetParams['b'].append(np.zeros((layers[i+1], 1)))
        if use_bn and i < len(layers) - 2:
            NetParams['gamma'].append(np.ones((layers[i+1], 1)))
            NetParams['beta'].append(np.zeros((layers[i+1], 1)))
    return NetParams

def Softmax(s):
    return np.exp(s - s.max(axis=0)) / np.exp(s - s.max(axis=0)).sum(axis=0)

def BatchNormalize(s, mu, v):
    return (s - mu) / np.sqrt(v + np.finfo(np.float64).eps)

def ForwardPass(X, NetParams, mu_av=None, v_av=None):
    fp = {'X': [X], 's': [], 'shat': [], 'mu': [], 'v': []}
    h = X
    L = len(NetParams['W'])
    for l in range(L):
        s = NetParams['W'][l] @ h + NetParams['b'][l]
        if l == L - 1:
            fp['P'] = Softmax(s)
            break
        if NetParams['use_bn']:
            mu = mu_av[l] if mu_av is not None else s.mean(axis=1, keepdims=True)
            v = v_av[l] if v_av is not None else s.var(axis=1, keepdims=True)
            fp['s'].append(s); fp['mu'].append(mu); fp['v'].append(v)
            shat = BatchNormalize(s, mu, v)
            fp['shat'].append(shat)
            s = NetParams['gamma'][l] * shat + NetParams['beta'][l]
        h = np.maximum(0, s)
        fp['X'].append(h)
    return fp

def ComputeCost(X, Y, NetParams, lam, mu_av=None, v_av=None):
    P = ForwardPass(X, NetParams, mu_av, v_av)['P']
    loss = -np.mean(np.log(np.sum(Y * P, axis=0)))
    reg = lam * np.sum([np.sum(W * W) for W in NetParams['W']])
    return loss + reg, loss

def ComputeAccuracy(X, y, NetParams, mu_av=None, v_av=None):
    P = ForwardPass(X, NetParams, mu_av, v_av)['P']
    return np.mean(np.argmax(P, axis=0) == y)

def BatchNormBackPass(G, S, mu, v):
    n = G.shape[1]
    eps = np.finfo(np.float64).eps
    sigma1 = (v + eps) ** -0.5
    sigma2 = (v + eps) ** -1.5
    G1 = G * sigma1
    G2 = G * sigma2
    D = S - mu
    c = np.sum(G2 * D, axis=1, keepdims=True)
    return G1 - np.sum(G1, axis=1, keepdims=True) / n - D * c / n

def BackwardPass(X, Y, fp, NetParams, lam):
    n = X.shape[1]
    L = len(NetParams['W'])
    grads = {'W': [None] * L, 'b': [None] * L}
    if NetParams['use_bn']:
        grads['gamma'] = [None] * (L - 1)
        grads['beta'] = [None] * (L - 1)
    G = -(Y - fp['P'])
    for l in reversed(range(L)):
        if l < L - 1 and NetParams['use_bn']:
            grads['gamma'][l] = np.sum(G * fp['shat'][l], axis=1, keepdims=True) / n
            grads['beta'][l] = np.sum(G, axis=1, keepdims=True) / n
            G = G * NetParams['gamma'][l]
            G = BatchNormBackPass(G, fp['s'][l], fp['mu'][l], fp['v'][l])
        grads['W'][l] = G @ fp['X'][l].T / n + 2 * lam * NetParams['W'][l]
        grads['b'][l] = np.sum(G, axis=1, keepdims=True) / n
        if l > 0:
            G = NetParams['W'][l].T @ G
            G = G * (fp['X'][l] > 0)
    return grads

def CyclicLearningRate(t, eta_min, eta_max, n_s):
    l = np.floor(t / (2 * n_s))
    if 2 * l * n_s <= t <= (2 * l + 1) * n_s:
        return eta_min + (t - 2 * l * n_s) / n_s * (eta_max - eta_min)
    return eta_max - (t - (2 * l + 1) * n_s) / n_s * (eta_max - eta_min)

def MiniBatchGD(X, Y, y, X_val, Y_val, GDparams, NetParams, lam, rng):
    net = copy.deepcopy(NetParams)
    n = X.shape[1]
    mu_av, v_av = None, None
    alpha = 0.9
    t = 0
    for epoch in range(GDparams['n_epochs']):
        perm = rng.permutation(n)
        for j in range(n // GDparams['n_batch']):
            inds = perm[j * GDparams['n_batch']:(j + 1) * GDparams['n_batch']]
            Xb, Yb = X[:, inds], Y[:, inds]
            fp = ForwardPass(Xb, net)
            if net['use_bn']:
                if mu_av is None:
                    mu_av = copy.deepcopy(fp['mu']); v_av = copy.deepcopy(fp['v'])
                else:
                    for l in range(len(mu_av)):
                        mu_av[l] = alpha * mu_av[l] + (1 - alpha) * fp['mu'][l]
                        v_av[l] = alpha * v_av[l] + (1 - alpha) * fp['v'][l]
            grads = BackwardPass(Xb, Yb, fp, net, lam)
            eta = CyclicLearningRate(t, GDparams['eta_min'], GDparams['eta_max'], GDparams['n_s'])
            for k in grads:
                for l in range(len(net[k])):
                    net[k][l] -= eta * grads[k][l]
            t += 1
        print(epoch, ComputeCost(X, Y, net, lam, mu_av, v_av)[0])
    return net, mu_av, v_av

def main():
    rng = np.random.default_rng(42)
    trainX, trainY, trainy = LoadBatch('data_batch_1')
    mean_X = trainX.mean(axis=1, keepdims=True)
    std_X = trainX.std(axis=1, keepdims=True)
    trainX = (trainX - mean_X) / std_X
    net = InitNetParams([3072, 50, 50, 10], True, rng)
    MiniBatchGD(trainX, trainY, trainy, None, None, {'n_epochs': 10, 'n_batch': 100, 'eta_min': 1e-5, 'eta_max': 1e-1, 'n_s': 500}, net, 0.005, rng)

if __name__ == '__main__':
    main()
