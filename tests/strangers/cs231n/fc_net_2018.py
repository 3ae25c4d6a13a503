from builtins import range
from builtins import object
import numpy as np

from cs231n.layers import *
from cs231n.layer_utils import *


class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3 * 32 * 32, num_classes=10, dropout=1, normalization=None, reg=0.0,
                 weight_scale=1e-2, dtype=np.float32, seed=None):
        self.normalization = normalization
        self.use_dropout = dropout != 1
        self.reg, self.dtype = reg, dtype
        self.num_layers = 1 + len(hidden_dims)
        self.params = {}
        fan_in = input_dim
        for layer, width in enumerate([*hidden_dims, num_classes], 1):
            self.params['W' + str(layer)] = weight_scale * np.random.randn(fan_in, width)
            self.params['b' + str(layer)] = np.zeros(width)
            if self.normalization and layer < self.num_layers:
                self.params['gamma' + str(layer)] = np.ones(width)
                self.params['beta' + str(layer)] = np.zeros(width)
            fan_in = width
        self.dropout_param = {}
        if self.use_dropout:
            self.dropout_param = {'mode': 'train', 'p': dropout}
            if seed is not None:
                self.dropout_param['seed'] = seed
        self.bn_params = []
        if self.normalization == 'batchnorm':
            self.bn_params = [{'mode': 'train'} for _ in hidden_dims]
        if self.normalization == 'layernorm':
            self.bn_params = [{} for _ in hidden_dims]
        self.params = {key: value.astype(dtype) for key, value in self.params.items()}

    def loss(self, X, y=None):
        h = X.astype(self.dtype)
        mode = 'test' if y is None else 'train'
        if self.use_dropout:
            self.dropout_param['mode'] = mode
        if self.normalization == 'batchnorm':
            for bn_param in self.bn_params:
                bn_param['mode'] = mode
        linear, norm, relu, drop = {}, {}, {}, {}
        for i in range(1, self.num_layers):
            h, linear[i] = affine_forward(h, self.params['W' + str(i)], self.params['b' + str(i)])
            if self.normalization:
                forward = batchnorm_forward if self.normalization == 'batchnorm' else layernorm_forward
                gamma, beta = self.params['gamma' + str(i)], self.params['beta' + str(i)]
                h, norm[i] = forward(h, gamma, beta, self.bn_params[i - 1])
            h, relu[i] = relu_forward(h)
            if self.use_dropout:
                h, drop[i] = dropout_forward(h, self.dropout_param)
        last = self.num_layers
        scores, linear[last] = affine_forward(h, self.params['W' + str(last)], self.params['b' + str(last)])
        if mode == 'test':
            return scores
        loss, dout = softmax_loss(scores, y)
        grads = {}
        for i in range(last, 0, -1):
            if i < last:
                if self.use_dropout:
                    dout = dropout_backward(dout, drop[i])
                dout = relu_backward(dout, relu[i])
                if self.normalization:
                    backward = batchnorm_backward if self.normalization == 'batchnorm' else layernorm_backward
                    dout, dgamma, dbeta = backward(dout, norm[i])
                    grads['gamma' + str(i)], grads['beta' + str(i)] = dgamma, dbeta
            W = self.params['W' + str(i)]
            loss += 0.5 * self.reg * np.sum(W * W)
            dout, dW, grads['b' + str(i)] = affine_backward(dout, linear[i])
            grads['W' + str(i)] = dW + self.reg * W
        return loss, grads
