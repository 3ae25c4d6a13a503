from cs231n.layers import *
from cs231n.fast_layers import *


def affine_relu_forward(x, w, b):
    a, fc = affine_forward(x, w, b)
    out, r = relu_forward(a)
    return out, (fc, r)


def affine_relu_backward(dout, cache):
    fc, r = cache
    return affine_backward(relu_backward(dout, r), fc)


def affine_bn_relu_forward(x, w, b, gamma, beta, bn_param):
    a, fc = affine_forward(x, w, b)
    n, bn = batchnorm_forward(a, gamma, beta, bn_param)
    out, r = relu_forward(n)
    return out, (fc, bn, r)


def affine_bn_relu_backward(dout, cache):
    fc, bn, r = cache
    dn = relu_backward(dout, r)
    da, dgamma, dbeta = batchnorm_backward(dn, bn)
    dx, dw, db = affine_backward(da, fc)
    return dx, dw, db, dgamma, dbeta


def conv_relu_forward(x, w, b, conv_param):
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    out, relu_cache = relu_forward(a)
    return out, (conv_cache, relu_cache)
