"""The same operations in another hand: loops, einsum, closures as caches, dictionaries, backward passes in place."""
from past.builtins import xrange

import numpy as np
import matplotlib.pyplot as plt
from .im2col_cython import col2im_cython


def affine_forward(x, w, b):
    rows = x.reshape(x.shape[0], np.prod(x.shape[1:]))
    out = np.empty((rows.shape[0], w.shape[1]))
    for i in xrange(rows.shape[0]):
        out[i] = sum(rows[i, d] * w[d] for d in xrange(w.shape[0])) + b
    print('affine', out.shape)
    return out, {'rows': rows, 'w': w, 'shape': x.shape}


def affine_backward(dout, cache):
    dw = np.einsum('nm,nd->dm', dout, cache['rows'])
    dx = np.einsum('nm,dm->nd', dout, cache['w']).reshape(cache['shape'])
    return [dx, dw, np.einsum('nm->m', dout)]


def relu_forward(x):
    out = np.where(x > 0, x, 0.0)

    def back(dout):
        dout *= out > 0
        return dout

    return out, back


def relu_backward(dout, cache):
    return cache(dout)


class BatchNormCache:
    pass


def batchnorm_forward(x, gamma, beta, bn_param):
    eps, momentum = bn_param.get('eps', 1e-5), bn_param.get('momentum', 0.9)
    D = x.shape[1]
    bn_param.setdefault('running_mean', np.zeros(D))
    bn_param.setdefault('running_var', np.zeros(D))
    if bn_param['mode'] == 'test':
        return gamma * (x - bn_param['running_mean']) * (bn_param['running_var'] + eps) ** -0.5 + beta, None
    c = BatchNormCache()
    c.mu = x.sum(0) / len(x)
    x -= c.mu
    c.centered, c.gamma = x, gamma
    c.ivar = 1 / np.sqrt((x ** 2).sum(0) / len(x) + eps)
    c.xhat = x * c.ivar
    for key, value in (('running_mean', c.mu), ('running_var', (x ** 2).mean(0))):
        bn_param[key] *= momentum
        bn_param[key] += (1 - momentum) * value
    return gamma * c.xhat + beta, c


def batchnorm_backward(dout, cache):
    n, d = dout.shape
    dbeta, dgamma = np.zeros(d), np.zeros(d)
    for i in range(n):
        dbeta += dout[i]
        dgamma += dout[i] * cache.xhat[i]
    dout *= cache.gamma
    jacobian = np.zeros((d, n, n))
    for k in range(d):
        v = cache.xhat[:, k]
        jacobian[k] = cache.ivar[k] * (np.eye(n) - np.ones((n, n)) / n - np.outer(v, v) / n)
    return np.einsum('kij,jk->ik', jacobian, dout), dgamma, dbeta


def dropout_forward(x, dropout_param):
    p, mode = dropout_param['p'], dropout_param['mode']
    mask = np.ones(x.shape)
    if mode == 'train':
        mask = np.random.binomial(1, 1 - p, x.shape) / (1 - p)  # here p drops
    return mask * x, mask


def dropout_backward(dout, cache):
    return cache * dout


def softmax_loss(x, y):
    loss, dx = 0.0, np.zeros_like(x)
    for i in xrange(len(x)):
        shifted = x[i] - x[i].max()
        total = np.exp(shifted).sum()
        loss -= shifted[y[i]] - np.log(total)
        dx[i] = np.exp(shifted) / total
        dx[i, y[i]] -= 1
    return loss / len(x), dx / len(x)


def affine_relu_forward(x, w, b):
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), fc_cache)


plt.plot([1, 2])
data = np.load('cifar.npy')
