"""Mistakes of batch normalization's dx; those of the gradients of gamma and beta are in batch_norm_parameters.py."""

from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.batch_norm_parameters import simplified
from manual_mlp.diagnosis.mistakes.mistake import exchanged, known

BATCH_NORM_DX = "dx = inv_std (dx̂ - meanₙ(dx̂) - x̂ meanₙ(dx̂ x̂)), dx̂ = gamma dout"


def mean_in_dvar(v: Any) -> Any:
    return -0.5 * (v.dx_hat * v.mean).sum(axis=0) * v.inv_std_backward**3


def mean_in_through_var(v: Any) -> Any:
    return v.dvar * 2 * v.mean / len(v.x)


def mean_of_one_row(v: Any) -> Any:
    """Where the term through the variance is a row, taking its mean over axis 0 out leaves one number for all."""
    return v.dmean / len(v.x) - v.through_var.mean()


def own_dvar(v: Any) -> Any:
    return -0.5 * v.dx_hat * v.centered * v.inv_std_backward**3


def own_dmean(v: Any) -> Any:
    return -v.dx_hat * v.inv_std_backward


def mean_of_both(v: Any) -> Any:
    """Through the mean goes what goes straight through x̂ and what goes through the variance; the latter's sum is 0,
    unless it is wrong.
    """
    return v.dmean / len(v.x) - v.through_var.mean(axis=0)


def own_mean_of_both(v: Any) -> Any:
    return -(v.dx_hat * v.inv_std_backward + v.through_var) / len(v.x)


BATCH_NORM_BACKWARD = [
    known(
        "bn_upstream_ignored",
        "1 is passed on instead of the upstream gradient",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx_hat": lambda v: v.gamma * np.ones_like(v.dout)},
        {"batch_norm.dgamma": lambda v: v.x_hat.sum(axis=0)},
        {"batch_norm.dbeta": lambda v: np.full(len(v.beta), float(len(v.x)))},
    ),
    known(
        "bn_gamma_missing_in_dx",
        "gamma is missing in dx: dout was not multiplied by it",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx_hat": lambda v: v.dout},
    ),
    known(
        "bn_statistics_constant",
        "mean and variance are treated as constants, but every image moves them",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx": lambda v: v.dx_hat * v.inv_std_backward},
    ),
    known(
        "bn_mean_constant",
        "the term that goes through the mean is dropped",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.through_mean": lambda v: 0 * v.dmean},
    ),
    known(
        "bn_variance_constant",
        "the term that goes through the variance is dropped",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.through_var": lambda v: 0 * v.dvar},
    ),
    known(
        "bn_direct_term_dropped",
        "the term that goes straight through x̂ is dropped",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx": lambda v: v.through_var + v.through_mean},
    ),
    known(
        "bn_direct_term_averaged",
        "the term that goes straight through x̂ is divided by N: dx̂ lacks the N before it in the bracket behind 1/N",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx": lambda v: v.dx_hat * v.inv_std_backward / len(v.x) + v.through_var + v.through_mean},
    ),
    known(
        "bn_mean_term_sign",
        "the term that goes through the mean has the wrong sign",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dmean": lambda v: (v.dx_hat * v.inv_std_backward).sum(axis=0)},
    ),
    known(
        "bn_variance_term_sign",
        "the term that goes through the variance has the wrong sign",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dvar": lambda v: 0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**3},
    ),
    known(
        "bn_variance_term_not_halved",
        "the term that goes through the variance is twice as large: the 1/2 of the root's derivative is missing",
        "dvar = -1/2 Σₙ dx̂[n] (x[n] - mean) (var + eps)^(-3/2)",
        "batch-normalization",
        {"batch_norm.dvar": lambda v: -((v.dx_hat * v.centered).sum(axis=0)) * v.inv_std_backward**3},
    ),
    known(
        "bn_variance_term_without_factor",
        "the term that goes through the variance lacks the factor -1/2 of the root's derivative",
        "dvar = -1/2 Σₙ dx̂[n] (x[n] - mean) (var + eps)^(-3/2)",
        "batch-normalization",
        {"batch_norm.dvar": lambda v: (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**3},
    ),
    known(
        "bn_variance_term_without_two",
        "the term that goes through the variance is half as large: the 2 of the square's derivative is missing",
        "∂var/∂x[n] = 2/N (x[n] - mean)",
        "batch-normalization",
        {"batch_norm.through_var": lambda v: v.dvar * v.centered / len(v.x)},
    ),
    known(
        "bn_variance_term_not_averaged",
        "the term that goes through the variance lacks its 1/N",
        "∂var/∂x[n] = 2/N (x[n] - mean)",
        "batch-normalization",
        {"batch_norm.through_var": lambda v: v.dvar * 2 * v.centered},
    ),
    known(
        "bn_mean_term_not_averaged",
        "the term that goes through the mean lacks its 1/N",
        "∂mean/∂x[n] = 1/N",
        "batch-normalization",
        {"batch_norm.through_mean": lambda v: v.dmean},
    ),
    known(
        "bn_terms_not_averaged",
        "both terms that go through the statistics lack their 1/N",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.through_mean": lambda v: v.dmean, "batch_norm.through_var": lambda v: v.dvar * 2 * v.centered},
    ),
    known(
        "bn_bracket_not_averaged",
        "the 1/N before the bracket is missing, or is 1/(N - 1): dx is too large",
        "dx = gamma inv_std / N (N dout - dbeta - x̂ dgamma)",
        "batch-normalization",
        {"batch_norm.dx": lambda v: len(v.x) * simplified(v)},
        {"batch_norm.dx": lambda v: len(v.x) / (len(v.x) - 1) * simplified(v)},
    ),
    known(
        "bn_variance_term_half",
        "of the product of x̂ and dgamma in the term that goes through the variance, one of the two is missing",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.through_var": lambda v: -v.inv_std * (v.dx_hat * v.x_hat).mean(axis=0)},
        {"batch_norm.through_var": lambda v: -v.inv_std * v.gamma * v.x_hat / len(v.x)},
    ),
    known(
        "bn_gamma_twice",
        "dout is multiplied by gamma twice, in dx or in one of its terms",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx_hat": lambda v: v.dout * v.gamma**2},
        {"batch_norm.through_var": lambda v: v.gamma * v.dvar * 2 * v.centered / len(v.x)},
        {"batch_norm.through_mean": lambda v: v.gamma * v.dmean / len(v.x)},
    ),
    known(
        "bn_variance_term_power",
        "the term that goes through the variance has the wrong power of the standard deviation",
        "dvar = -1/2 Σₙ dx̂[n] (x[n] - mean) (var + eps)^(-3/2)",
        "batch-normalization",
        *(
            {"batch_norm.dvar": lambda v, k=k: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**k}
            for k in (0, 1, 1.5, 2, 4, 5, 6)
        ),
    ),
    known(
        "bn_variance_term_unbiased",
        "the term that goes through the variance is divided by N - 1, the forward pass divides by N",
        "∂var/∂x[n] = 2/N (x[n] - mean)",
        "batch-normalization",
        {"batch_norm.through_var": lambda v: v.dvar * 2 * v.centered / (len(v.x) - 1)},
    ),
    known(
        "bn_dx_hat_for_x_hat",
        "dx̂ stands where x̂ belongs in the term that goes through the variance",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.through_var": lambda v: -v.inv_std * v.dx_hat * (v.dx_hat * v.x_hat).mean(axis=0)},
        {"batch_norm.through_var": lambda v: v.dvar * 2 * v.dx_hat / len(v.x)},
        {"batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.dx_hat).sum(axis=0) * v.inv_std_backward**3},
        {"batch_norm.through_var": lambda v: -v.inv_std * v.x_hat * (v.dx_hat * v.dx_hat).mean(axis=0)},
    ),
    known(
        "bn_x_for_x_hat",
        "x stands where the centered or normalized x belongs in the term that goes through the variance",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.x).sum(axis=0) * v.inv_std_backward**3},
        {"batch_norm.through_var": lambda v: v.dvar * 2 * v.x / len(v.x)},
        {"batch_norm.through_var": lambda v: -v.inv_std * v.x * (v.dx_hat * v.x_hat).mean(axis=0)},
        {"batch_norm.through_var": lambda v: -v.inv_std * v.x_hat * (v.dx_hat * v.x).mean(axis=0)},
        {"batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.x_hat).sum(axis=0) * v.inv_std_backward**3},
        {"batch_norm.through_var": lambda v: v.dvar * 2 * v.x_hat / len(v.x)},
    ),
    known(
        "bn_mean_for_centered",
        "the batch's mean stands where the centered x belongs in the term that goes through the variance",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dvar": mean_in_dvar},
        {"batch_norm.through_var": mean_in_through_var},
        {"batch_norm.dvar": mean_in_dvar, "batch_norm.through_var": mean_in_through_var},
        {"batch_norm.through_var": mean_in_through_var, "batch_norm.through_mean": mean_of_one_row},
        {
            "batch_norm.dvar": mean_in_dvar,
            "batch_norm.through_var": mean_in_through_var,
            "batch_norm.through_mean": mean_of_one_row,
        },
    ),
    known(
        "bn_not_summed_over_batch",
        "of the terms that go through mean and variance, or of one of them, each image gets its own share alone: they "
        "are sums over the batch",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dvar": own_dvar, "batch_norm.dmean": own_dmean},
        {"batch_norm.dvar": own_dvar},
        {"batch_norm.dvar": own_dvar, "batch_norm.through_mean": mean_of_both},
        {"batch_norm.dvar": own_dvar, "batch_norm.through_mean": own_mean_of_both},
        {"batch_norm.dmean": own_dmean},
        {"batch_norm.through_mean": own_mean_of_both},
    ),
    known(
        "bn_summed_over_everything",
        "a sum over the batch runs over all units, too: its axis is missing",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dvar": lambda v: (-0.5 * v.dx_hat * v.centered * v.inv_std_backward**3).sum()},
        {"batch_norm.dmean": lambda v: -(v.dx_hat * v.inv_std_backward).sum()},
    ),
    known(
        "bn_bracket_missing",
        "gamma inv_std multiplies the first term alone: the bracket around all three is missing",
        "dx = gamma inv_std / N (N dout - dbeta - x̂ dgamma)",
        "batch-normalization",
        {"batch_norm.dx": lambda v: v.gamma * v.inv_std * v.dout - (v.dbeta + v.x_hat * v.dgamma) / len(v.x)},
        {"batch_norm.dx": lambda v: v.gamma * v.inv_std * v.dout - v.dbeta - v.x_hat * v.dgamma},
    ),
    known(
        "bn_dgamma_dbeta_exchanged_in_dx",
        "dgamma and dbeta stand in each other's place in dx",
        "dx = gamma inv_std / N (N dout - dbeta - x̂ dgamma)",
        "batch-normalization",
        {"batch_norm.dx": lambda v: v.gamma * v.inv_std * (v.dout - (v.dgamma + v.x_hat * v.dbeta) / len(v.x))},
    ),
    known(
        "bn_dout_for_dx_hat",
        "dout stands where dx̂ = gamma dout belongs, in one of the terms",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dvar": lambda v: -0.5 * (v.dout * v.centered).sum(axis=0) * v.inv_std_backward**3},
        {"batch_norm.dmean": lambda v: -(v.dout * v.inv_std_backward).sum(axis=0)},
        {"batch_norm.dx": lambda v: v.dout * v.inv_std_backward + v.through_var + v.through_mean},
        {
            "batch_norm.dvar": lambda v: -0.5 * (v.dout * v.centered).sum(axis=0) * v.inv_std_backward**3,
            "batch_norm.dmean": lambda v: -(v.dout * v.inv_std_backward).sum(axis=0),
        },
    ),
    known(
        "bn_inv_std_missing_in_dx",
        "the division by the standard deviation is missing in dx",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx": lambda v: v.dx_hat + v.through_var + v.through_mean},
        {"batch_norm.dx": lambda v: v.dx_hat - v.dx_hat.mean(axis=0) - v.x_hat * (v.dx_hat * v.x_hat).mean(axis=0)},
        {"batch_norm.dmean": lambda v: -v.dx_hat.sum(axis=0)},
        {
            "batch_norm.dmean": lambda v: -v.dx_hat.sum(axis=0),
            "batch_norm.dx": lambda v: v.dx_hat + v.through_var + v.through_mean,
        },
    ),
    known(
        "bn_variance_for_std_backward",
        "the backward pass divides by the variance where the forward pass divides by its root",
        "inv_std = 1 / √(var + eps), forward and backward",
        "batch-normalization",
        {"batch_norm.inv_std_backward": lambda v: 1 / (v.var + v.eps)},
        {"batch_norm.inv_std_backward": lambda v: 1 / v.var},
        {
            "batch_norm.dmean": lambda v: -(v.dx_hat * v.inv_std**2).sum(axis=0),
            "batch_norm.dx": lambda v: v.dx_hat * v.inv_std**2 + v.through_var + v.through_mean,
        },
        {"batch_norm.dx": lambda v: v.inv_std * simplified(v)},
    ),
    known(
        "bn_multiplied_by_std",
        "dx is multiplied by the standard deviation instead of divided by it",
        BATCH_NORM_DX,
        "batch-normalization",
        {"batch_norm.dx": lambda v: simplified(v) / v.inv_std**2},
    ),
    known(
        "bn_eps_outside_root_backward",
        "eps is added outside of the root in the backward pass, inside in the forward pass",
        "inv_std = 1 / √(var + eps), the same in both passes",
        "batch-normalization",
        {"batch_norm.inv_std_backward": lambda v: 1 / (np.sqrt(v.var) + v.eps)},
        {
            "batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * (np.sqrt(v.var) + v.eps) ** -3,
        },
        {"batch_norm.dx": lambda v: simplified(v) / v.inv_std / (np.sqrt(v.var) + v.eps)},
    ),
    known(
        "bn_eps_missing_backward",
        "eps is missing in the backward pass, or in one of its terms",
        "inv_std = 1 / √(var + eps), the same in both passes",
        "batch-normalization",
        {"batch_norm.inv_std_backward": lambda v: 1 / np.sqrt(v.var)},
        {"batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.var**-1.5},
        {"batch_norm.dx": lambda v: simplified(v) / v.inv_std / np.sqrt(v.var)},
    ),
    known(
        "bn_backward_in_forward_order",
        "the backward pass goes through batch normalization and ReLU in the order of the forward pass",
        "backward in the reverse order: what comes last in the forward pass is gone through first",
        "behind-the-relu",
        {"layer.order_backward": exchanged("batch_norm", "relu")},
        network=True,
    ),
]
