"""A network with skip connections, a smoothed target and batch normalization behind the ReLU, or in front of it, and a
leaky ReLU, as a student writes it, right as it stands; the tests of the diagnosis plant mistakes.
"""

import numpy as np
from student_layers import batch_norm_backward, batch_norm_forward

SKIPS = ()
SMOOTHING = 0.0
RELU_FIRST = False
RELU_SLOPE = 0.0
P = 0.0
rng = np.random.default_rng(5)


def targets(y, classes):
    q = np.zeros((len(y), classes))
    q[np.arange(len(y)), y] = 1
    return q


def cost_and_gradients(params, x, y, l2):
    k = sum(name.startswith("linear") for name in params) // 2
    n, bn = len(x), "bn1.weight" in params
    h, inputs, signs, sums, masks, caches = x, [], [], [], [], []
    for i in range(1, k):
        skip = i in SKIPS
        inputs.append(h)
        a = h @ params[f"linear{i}.weight"].T + params[f"linear{i}.bias"]
        if bn and not RELU_FIRST:
            a, cache = batch_norm_forward(a, params[f"bn{i}.weight"], params[f"bn{i}.bias"])
        r = np.maximum(a, RELU_SLOPE * a)
        signs.append(np.where(a > 0, 1, RELU_SLOPE))
        if bn and RELU_FIRST:
            r, cache = batch_norm_forward(r, params[f"bn{i}.weight"], params[f"bn{i}.bias"])
        caches.append(cache if bn else None)
        mask = (rng.random(r.shape) >= P) / (1 - P)
        masks.append(mask)
        f = r * mask
        h = f + h if skip else f
        sums.append((f, h))
    inputs.append(h)
    scores = h @ params[f"linear{k}.weight"].T + params[f"linear{k}.bias"]
    shifted = scores - scores.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    onehot, classes = targets(y, scores.shape[1]), scores.shape[1]
    q = (1 - SMOOTHING) * onehot + SMOOTHING / classes
    cost = -(q * logp).sum() / n
    t = q
    g = (np.exp(logp) - t) / n
    grads = {}
    for i in range(k, 0, -1):
        W = params[f"linear{i}.weight"]
        cost = cost + l2 * np.sum(W**2)
        around = None
        if i < k:
            around = g
            g = g * masks[i - 1]
            if bn and RELU_FIRST:
                g, grads[f"bn{i}.weight"], grads[f"bn{i}.bias"] = batch_norm_backward(g, caches[i - 1])
            g = g * signs[i - 1]
            if bn and not RELU_FIRST:
                g, grads[f"bn{i}.weight"], grads[f"bn{i}.bias"] = batch_norm_backward(g, caches[i - 1])
        grads[f"linear{i}.weight"] = g.T @ inputs[i - 1] + 2 * l2 * W
        grads[f"linear{i}.bias"] = g.sum(axis=0)
        g = g @ W
        if i in SKIPS:
            g = g + around
    return (cost, grads, masks) if P else (cost, grads)
