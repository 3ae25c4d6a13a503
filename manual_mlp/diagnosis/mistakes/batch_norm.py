"""Mistakes of batch normalization in the forward pass in training mode, and of where in a layer it stands; those of its
gradients are in batch_norm_parameters.py and batch_norm_backward.py.
"""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import known, put_before

X_HAT = "x̂ = (x - mean) / √(var + eps)"

BATCH_NORM = [
    known(
        "bn_eps_outside_root",
        "eps is added outside of the root",
        X_HAT,
        "batch-normalization",
        {"batch_norm.inv_std": lambda v: 1 / (np.sqrt(v.var) + v.eps)},
        {
            "batch_norm.inv_std": lambda v: 1 / (np.sqrt(v.var) + v.eps),
            "batch_norm.dvar": lambda v: (
                -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**2 / np.sqrt(v.var)
            ),
        },
        {
            "batch_norm.inv_std": lambda v: 1 / (np.sqrt(v.var) + v.eps),
            "batch_norm.inv_std_backward": lambda v: 1 / np.sqrt(v.var + v.eps),
        },
        {
            "batch_norm.inv_std": lambda v: 1 / (np.sqrt(v.var) + v.eps),
            "batch_norm.dvar": lambda v: (
                -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**2 / np.sqrt(v.var + v.eps)
            ),
        },
        {
            "batch_norm.inv_std": lambda v: 1 / (np.sqrt(v.var) + v.eps),
            "batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * (v.var + v.eps) ** -1.5,
        },
    ),
    known(
        "bn_root_of_std",
        "the standard deviation stands where the variance belongs: its root is taken once more",
        X_HAT,
        "batch-normalization",
        {"batch_norm.var": lambda v: np.sqrt((v.centered**2).mean(axis=0))},
    ),
    known(
        "bn_variance_for_std",
        "the input is divided by the variance, not by its root",
        X_HAT,
        "batch-normalization",
        {"batch_norm.inv_std": lambda v: 1 / (v.var + v.eps)},
        {
            "batch_norm.inv_std": lambda v: 1 / (v.var + v.eps),
            "batch_norm.dvar": lambda v: -(v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**2,
        },
        {
            "batch_norm.inv_std": lambda v: 1 / (v.var + v.eps),
            "batch_norm.inv_std_backward": lambda v: 1 / np.sqrt(v.var + v.eps),
        },
    ),
    known(
        "bn_variance_unbiased",
        "the variance that normalizes is divided by N - 1; the batch's own is divided by N",
        "var = 1/N Σₙ (x[n] - mean)²",
        "batch-normalization",
        {"batch_norm.var": lambda v: (v.centered**2).sum(axis=0) / (len(v.x) - 1)},
        {
            "batch_norm.var": lambda v: (v.centered**2).sum(axis=0) / (len(v.x) - 1),
            "batch_norm.through_var": lambda v: v.dvar * 2 * v.centered / (len(v.x) - 1),
        },
    ),
    known(
        "bn_one_variance_for_all",
        "one variance serves all features; every feature has its own",
        "var[h] = 1/N Σₙ (x[n, h] - mean[h])²",
        "batch-normalization",
        {"batch_norm.var": lambda v: (v.centered**2).mean() + 0 * v.mean},
        {"batch_norm.var": lambda v: v.x.var() + 0 * v.mean},
        {"batch_norm.var": lambda v: (v.centered**2).mean(axis=0)[0] + 0 * v.mean},
        {"batch_norm.var": lambda v: (v.centered**2).mean(axis=0)[-1] + 0 * v.mean},
        {
            "batch_norm.var": lambda v: (v.centered**2).mean() + 0 * v.mean,
            "batch_norm.dvar": lambda v: (-0.5 * (v.dx_hat * v.centered).sum() * v.inv_std**3) / v.x.shape[1],
        },
    ),
    known(
        "bn_one_mean_for_all",
        "one mean serves all features; every feature has its own",
        "mean[h] = 1/N Σₙ x[n, h]",
        "batch-normalization",
        {"batch_norm.mean": lambda v: np.full(v.x.shape[1], v.x.mean())},
        {"batch_norm.mean": lambda v: np.full(v.x.shape[1], v.x.mean()), "batch_norm.var": lambda v: v.x.var(axis=0)},
        {"batch_norm.mean": lambda v: np.full(v.x.shape[1], v.x.mean()), "batch_norm.var": lambda v: v.x.var()},
    ),
    known(
        "bn_wrong_axis",
        "mean and variance are taken over the features of each image instead of over the images of the batch",
        "mean[h] = 1/N Σₙ x[n, h], with images as rows x.mean(axis=0)",
        "batch-normalization",
        {
            "batch_norm.mean": lambda v: v.x.mean(axis=1, keepdims=True),
            "batch_norm.var": lambda v: (v.centered**2).mean(axis=1, keepdims=True),
        },
        {
            "batch_norm.mean": lambda v: v.x.mean(axis=1, keepdims=True),
            "batch_norm.var": lambda v: (v.centered**2).mean(axis=1, keepdims=True),
            "batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.centered * v.inv_std_backward**3).sum(axis=0),
        },
        {
            "batch_norm.mean": lambda v: v.x.mean(axis=1, keepdims=True),
            "batch_norm.var": lambda v: (v.centered**2).mean(axis=1, keepdims=True),
            "batch_norm.dvar": lambda v: (
                -0.5 * (v.dx_hat * v.centered).sum(axis=1, keepdims=True) * v.inv_std_backward**3
            ),
            "batch_norm.dmean": lambda v: -(v.dx_hat * v.inv_std_backward).sum(axis=1, keepdims=True),
            "batch_norm.through_var": lambda v: v.dvar * 2 * v.centered / v.x.shape[1],
            "batch_norm.through_mean": lambda v: v.dmean / v.x.shape[1],
        },
    ),
    known(
        "bn_mean_not_subtracted",
        "the mean is not subtracted",
        X_HAT,
        "batch-normalization",
        {"batch_norm.x_hat": lambda v: v.x * v.inv_std},
        {"batch_norm.centered": lambda v: v.x, "batch_norm.var": lambda v: v.x.var(axis=0)},
        {
            "batch_norm.x_hat": lambda v: v.x * v.inv_std,
            "batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.x).sum(axis=0) * v.inv_std_backward**3,
            "batch_norm.through_mean": lambda v: 0 * v.dmean,
        },
    ),
    known(
        "bn_variance_not_centered",
        "the variance is the mean of the squares; the mean was not subtracted first",
        "var = 1/N Σₙ (x[n] - mean)²",
        "batch-normalization",
        {"batch_norm.var": lambda v: (v.x**2).mean(axis=0)},
    ),
    known(
        "bn_variance_not_averaged",
        "the squares are summed but not divided by N",
        "var = 1/N Σₙ (x[n] - mean)²",
        "batch-normalization",
        {"batch_norm.var": lambda v: (v.centered**2).sum(axis=0)},
        {
            "batch_norm.var": lambda v: (v.centered**2).sum(axis=0),
            "batch_norm.through_var": lambda v: v.dvar * 2 * v.centered,
        },
    ),
    known(
        "bn_ones_and_zeros",
        "gamma and beta are left out: the network computes with ones and zeros instead of the learned values",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.x_hat},
        {"batch_norm.out": lambda v: v.x_hat, "batch_norm.dx_hat": lambda v: v.dout},
    ),
    known(
        "bn_gamma_forgotten",
        "gamma is forgotten",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.x_hat + v.beta},
        {"batch_norm.out": lambda v: v.x_hat + v.beta, "batch_norm.dx_hat": lambda v: v.dout},
    ),
    known(
        "bn_beta_forgotten",
        "beta is forgotten",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.gamma * v.x_hat},
    ),
    known(
        "bn_beta_before_scaling",
        "beta is added before the scaling, which then scales beta, too",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.gamma * (v.x_hat + v.beta)},
        {"batch_norm.out": lambda v: v.gamma * (v.centered + v.beta) * v.inv_std},
    ),
    known(
        "bn_bias_for_beta",
        "the bias of the layer is added in the place of beta",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.gamma * v.x_hat + v.layer.linear.b},
        network=True,
    ),
    known(
        "bn_gamma_beta_exchanged",
        "gamma and beta are exchanged in the forward pass",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.beta * v.x_hat + v.gamma},
        {"batch_norm.out": lambda v: v.beta * v.x_hat + v.gamma, "batch_norm.dx_hat": lambda v: v.dout * v.beta},
    ),
    known(
        "bn_skipped",
        "batch normalization is skipped",
        "out = gamma x̂ + beta",
        "batch-normalization",
        {"batch_norm.out": lambda v: v.x, "batch_norm.dx": lambda v: v.dout},
        {"batch_norm.out": lambda v: v.x},
    ),
    known(
        "bn_running_statistics",
        "the training batch is normalized with the running statistics, as at test time, instead of with its own",
        X_HAT,
        "batch-normalization",
        {
            "batch_norm.mean": lambda v: v.running_mean,
            "batch_norm.var": lambda v: v.running_var,
            "batch_norm.dx": lambda v: v.dx_hat * v.inv_std_backward,
        },
        {"batch_norm.mean": lambda v: v.running_mean, "batch_norm.var": lambda v: v.running_var},
        network=True,
    ),
    known(
        "bn_after_relu",
        "batch normalization stands behind the ReLU instead of in front of it",
        "linear, batch normalization, ReLU, in this order",
        "batch-normalization",
        {"layer.order": put_before("relu", "batch_norm")},
        network=True,
    ),
    known(
        "bn_before_relu",
        "batch normalization stands in front of the ReLU instead of behind it",
        "linear, ReLU, batch normalization, in this order",
        "behind-the-relu",
        {"layer.order": put_before("batch_norm", "relu")},
        network=True,
    ),
]
