"""A network with dropout as a student writes it, right as it stands; the tests of the diagnosis plant mistakes."""

import numpy as np
from student_layers import batch_norm_backward, batch_norm_forward

P = 0.3
rng = np.random.default_rng(5)


def cost_and_gradients(params, x, y, l2):
    k = sum(name.startswith("linear") for name in params) // 2
    n = len(x)
    h, inputs, normed, active, masks, caches = x, [], [], [], [], []
    for i in range(1, k):
        inputs.append(h)
        h = h @ params[f"linear{i}.weight"].T + params[f"linear{i}.bias"]
        if "bn1.weight" in params:
            h, cache = batch_norm_forward(h, params[f"bn{i}.weight"], params[f"bn{i}.bias"])
            caches.append(cache)
        normed.append(h)
        h = np.maximum(h, 0)
        active.append(h)
        mask = (rng.random(h.shape) >= P) / (1 - P)
        masks.append(mask)
        dropped = h * mask
        h = dropped
    inputs.append(h)
    scores = h @ params[f"linear{k}.weight"].T + params[f"linear{k}.bias"]
    shifted = scores - scores.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    cost = -logp[np.arange(n), y].mean()
    g = np.exp(logp)
    g[np.arange(n), y] -= 1
    g = g / n
    grads = {}
    for i in range(k, 0, -1):
        W = params[f"linear{i}.weight"]
        cost = cost + l2 * np.sum(W**2)
        grads[f"linear{i}.weight"] = g.T @ inputs[i - 1] + 2 * l2 * W
        grads[f"linear{i}.bias"] = g.sum(axis=0)
        if i > 1:
            g = g @ W
            g = g * masks[i - 2]
            g = g * (normed[i - 2] > 0)
            if caches:
                g, grads[f"bn{i - 1}.weight"], grads[f"bn{i - 1}.bias"] = batch_norm_backward(g, caches[i - 2])
    return cost, grads, masks


def scores_at_test_time(params, _, x):
    k = sum(name.startswith("linear") for name in params) // 2
    for i in range(1, k):
        x = np.maximum(x @ params[f"linear{i}.weight"].T + params[f"linear{i}.bias"], 0)
        x = x * 1
    return x @ params[f"linear{k}.weight"].T + params[f"linear{k}.bias"]
