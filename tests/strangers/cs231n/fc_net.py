from builtins import range
from builtins import object
import numpy as np
from ..layers import *
from ..layer_utils import *

class TwoLayerNet(object):
    def __init__(self, input_dim=3*32*32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.params = {}
        self.reg = reg
        self.params['W1'] = weight_scale * np.random.randn(input_dim, hidden_dim)
        self.params['b1'] = np.zeros(hidden_dim)
        self.params['W2'] = weight_scale * np.random.randn(hidden_dim, num_classes)
        self.params['b2'] = np.zeros(num_classes)

    def loss(self, X, y=None):
        W1, b1, W2, b2 = self.params['W1'], self.params['b1'], self.params['W2'], self.params['b2']
        h, c1 = affine_relu_forward(X, W1, b1)
        scores, c2 = affine_forward(h, W2, b2)
        if y is None:
            return scores
        loss, grads = 0, {}
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 ** 2))
        dh, grads['W2'], grads['b2'] = affine_backward(dscores, c2)
        _, grads['W1'], grads['b1'] = affine_relu_backward(dh, c1)
        grads['W1'] += self.reg * W1
        grads['W2'] += self.reg * W2
        return loss, grads

class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3*32*32, num_classes=10, dropout_keep_ratio=1, normalization=None,
                 reg=0.0, weight_scale=1e-2, dtype=np.float32, seed=None):
        self.normalization = normalization
        self.use_dropout = dropout_keep_ratio != 1
        self.reg = reg
        self.num_layers = 1 + len(hidden_dims)
        self.dtype = dtype
        self.params = {}
        dims = [input_dim] + list(hidden_dims) + [num_classes]
        for i in range(self.num_layers):
            self.params['W%d' % (i + 1)] = np.random.normal(0, weight_scale, (dims[i], dims[i + 1]))
            self.params['b%d' % (i + 1)] = np.zeros(dims[i + 1])
            if normalization == 'batchnorm' and i < self.num_layers - 1:
                self.params['gamma%d' % (i + 1)] = np.ones(dims[i + 1])
                self.params['beta%d' % (i + 1)] = np.zeros(dims[i + 1])
        self.dropout_param = {}
        if self.use_dropout:
            self.dropout_param = {'mode': 'train', 'p': dropout_keep_ratio}
            if seed is not None:
                self.dropout_param['seed'] = seed
        self.bn_params = []
        if self.normalization == 'batchnorm':
            self.bn_params = [{'mode': 'train'} for i in range(self.num_layers - 1)]
        for k, v in self.params.items():
            self.params[k] = v.astype(dtype)

    def loss(self, X, y=None):
        X = X.astype(self.dtype)
        mode = 'test' if y is None else 'train'
        if self.use_dropout:
            self.dropout_param['mode'] = mode
        if self.normalization == 'batchnorm':
            for bn_param in self.bn_params:
                bn_param['mode'] = mode
        caches = []
        h = X
        for i in range(1, self.num_layers):
            h, ca = affine_forward(h, self.params['W%d' % i], self.params['b%d' % i])
            cb = cd = None
            if self.normalization == 'batchnorm':
                h, cb = batchnorm_forward(h, self.params['gamma%d' % i], self.params['beta%d' % i], self.bn_params[i - 1])
            h, cr = relu_forward(h)
            if self.use_dropout:
                h, cd = dropout_forward(h, self.dropout_param)
            caches.append((ca, cb, cr, cd))
        L = self.num_layers
        scores, ca = affine_forward(h, self.params['W%d' % L], self.params['b%d' % L])
        if mode == 'test':
            return scores
        grads = {}
        loss, dh = softmax_loss(scores, y)
        for i in range(1, L + 1):
            loss += 0.5 * self.reg * np.sum(self.params['W%d' % i] ** 2)
        dh, grads['W%d' % L], grads['b%d' % L] = affine_backward(dh, ca)
        grads['W%d' % L] += self.reg * self.params['W%d' % L]
        for i in range(L - 1, 0, -1):
            ca, cb, cr, cd = caches[i - 1]
            if self.use_dropout:
                dh = dropout_backward(dh, cd)
            dh = relu_backward(dh, cr)
            if cb is not None:
                dh, grads['gamma%d' % i], grads['beta%d' % i] = batchnorm_backward(dh, cb)
            dh, grads['W%d' % i], grads['b%d' % i] = affine_backward(dh, ca)
            grads['W%d' % i] += self.reg * self.params['W%d' % i]
        return loss, grads
