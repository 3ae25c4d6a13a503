"""The network as it was in 2016: use_batchnorm, dropout=0 for none, helpers that are not beside this file."""
import numpy as np

from cs231n.layers import *
from cs231n.layer_utils import *


def affine_bn_relu_forward(x, w, b, gamma, beta, bn_param):
    a, fc = affine_forward(x, w, b)
    a, bn = batchnorm_forward(a, gamma, beta, bn_param)
    out, relu = relu_forward(a)
    return out, (fc, bn, relu)


def affine_bn_relu_backward(dout, cache):
    fc, bn, relu = cache
    da, dgamma, dbeta = batchnorm_backward(relu_backward(dout, relu), bn)
    return affine_backward(da, fc) + (dgamma, dbeta)


class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3 * 32 * 32, num_classes=10, dropout=0, use_batchnorm=False, reg=0.0,
                 weight_scale=1e-2, dtype=np.float32, seed=None):
        self.use_batchnorm, self.use_dropout = use_batchnorm, dropout > 0
        self.reg, self.dtype, self.num_layers = reg, dtype, 1 + len(hidden_dims)
        sizes = np.hstack((input_dim, hidden_dims, num_classes))
        self.params = {}
        for i in range(self.num_layers):
            layer = str(i + 1)
            self.params['W' + layer] = weight_scale * np.random.randn(sizes[i], sizes[i + 1])
            self.params['b' + layer] = np.zeros(sizes[i + 1])
            if use_batchnorm and i != self.num_layers - 1:
                self.params['gamma' + layer], self.params['beta' + layer] = np.ones(sizes[i + 1]), np.zeros(sizes[i + 1])
        self.dropout_param = {'mode': 'train', 'p': dropout} if self.use_dropout else {}
        if seed is not None and self.use_dropout:
            self.dropout_param['seed'] = seed
        self.bn_params = {'bn_param' + str(i + 1): {'mode': 'train'} for i in range(self.num_layers - 1)} if use_batchnorm else []
        for k, v in self.params.items():
            self.params[k] = v.astype(dtype)

    def loss(self, X, y=None):
        X = X.astype(self.dtype)
        mode = 'test' if y is None else 'train'
        if self.dropout_param:
            self.dropout_param['mode'] = mode
        if self.use_batchnorm:
            for key, bn_param in self.bn_params.items():
                bn_param['mode'] = mode
        hidden, caches, drops = X, [], []
        for i in range(1, self.num_layers):
            w, b = self.params['W' + str(i)], self.params['b' + str(i)]
            if self.use_batchnorm:
                hidden, cache = affine_bn_relu_forward(hidden, w, b, self.params['gamma' + str(i)],
                                                       self.params['beta' + str(i)], self.bn_params['bn_param' + str(i)])
            else:
                hidden, cache = affine_relu_forward(hidden, w, b)
            caches.append(cache)
            if self.use_dropout:
                hidden, drop = dropout_forward(hidden, self.dropout_param)
                drops.append(drop)
        last = str(self.num_layers)
        scores, cache_scores = affine_forward(hidden, self.params['W' + last], self.params['b' + last])
        if mode == 'test':
            return scores
        loss, dout = softmax_loss(scores, y)
        grads = {}
        dout, grads['W' + last], grads['b' + last] = affine_backward(dout, cache_scores)
        for i in range(self.num_layers - 1, 0, -1):
            if self.use_dropout:
                dout = dropout_backward(dout, drops[i - 1])
            if self.use_batchnorm:
                dout, dw, db, grads['gamma' + str(i)], grads['beta' + str(i)] = affine_bn_relu_backward(dout, caches[i - 1])
            else:
                dout, dw, db = affine_relu_backward(dout, caches[i - 1])
            grads['W' + str(i)], grads['b' + str(i)] = dw, db
        for key in self.params:
            if key[0] == 'W':
                loss += 0.5 * self.reg * np.sum(self.params[key] ** 2)
                grads[key] += self.reg * self.params[key]
        return loss, grads
