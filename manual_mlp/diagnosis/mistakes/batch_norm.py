"""Mistakes of batch normalization in training mode, forward and backward."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import known, put_before
from manual_mlp.diagnosis.textbook import Line

X_HAT = "x̂ = (x - mean) / √(var + eps)"
BATCH_NORM_DX = "dx = inv_std (dx̂ - meanₙ(dx̂) - x̂ meanₙ(dx̂ x̂)), dx̂ = gamma dout"


def simplified(v: Any) -> Any:
    """dx in the form that uses dgamma and dbeta: a wrong one of these spoils it."""
    n = len(v.x)
    return v.gamma * v.inv_std * (v.dout - v.dbeta / n - v.x_hat * v.dgamma / n)


def either_form(**lines: Line) -> tuple[Mapping[str, Line], ...]:
    """A wrong dgamma or dbeta leaves dx right in one of its two forms, and spoils it in the other."""
    planted = {f"batch_norm.{line}": formula for line, formula in lines.items()}
    return planted, planted | {"batch_norm.dx": simplified}


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
        "bn_gradients_exchanged",
        "the gradients of gamma and beta are exchanged",
        "dgamma = Σₙ dout[n] x̂[n], dbeta = Σₙ dout[n]",
        "batch-normalization",
        {
            "batch_norm.dgamma": lambda v: v.dout.sum(axis=0),
            "batch_norm.dbeta": lambda v: (v.dout * v.x_hat).sum(axis=0),
        },
    ),
    known(
        "bn_dgamma_from_x",
        "gamma's gradient is taken with the input x instead of the normalized x̂",
        "dgamma = Σₙ dout[n] x̂[n]",
        "batch-normalization",
        *either_form(dgamma=lambda v: (v.dout * v.x).sum(axis=0)),
        *either_form(dgamma=lambda v: (v.dout * v.centered).sum(axis=0)),
    ),
    known(
        "bn_dgamma_from_out",
        "gamma's gradient is taken with the output instead of the normalized x̂",
        "dgamma = Σₙ dout[n] x̂[n]",
        "batch-normalization",
        *either_form(dgamma=lambda v: (v.dout * v.out).sum(axis=0)),
        *either_form(dgamma=lambda v: (v.dout * v.x_hat * v.gamma).sum(axis=0)),
    ),
    known(
        "bn_parameter_gradients_after_gamma",
        "the gradients of gamma and beta are taken after dout was multiplied by gamma",
        "dgamma = Σₙ dout[n] x̂[n], dbeta = Σₙ dout[n], before dx̂ = gamma dout",
        "batch-normalization",
        {
            "batch_norm.dgamma": lambda v: (v.dout * v.gamma * v.x_hat).sum(axis=0),
            "batch_norm.dbeta": lambda v: (v.dout * v.gamma).sum(axis=0),
        },
        {"batch_norm.dbeta": lambda v: (v.dout * v.gamma).sum(axis=0)},
    ),
    known(
        "bn_dgamma_averaged",
        "gamma's gradient is averaged over the batch instead of summed",
        "dgamma = Σₙ dout[n] x̂[n]",
        "batch-normalization",
        *either_form(dgamma=lambda v: (v.dout * v.x_hat).mean(axis=0)),
    ),
    known(
        "bn_dbeta_averaged",
        "beta's gradient is averaged over the batch instead of summed",
        "dbeta = Σₙ dout[n]",
        "batch-normalization",
        *either_form(dbeta=lambda v: v.dout.mean(axis=0)),
    ),
    known(
        "bn_parameter_gradients_averaged",
        "the gradients of gamma and beta are averaged over the batch instead of summed",
        "dgamma = Σₙ dout[n] x̂[n], dbeta = Σₙ dout[n]; 1/N is in the upstream gradient already",
        "batch-normalization",
        *either_form(dgamma=lambda v: (v.dout * v.x_hat).mean(axis=0), dbeta=lambda v: v.dout.mean(axis=0)),
    ),
    known(
        "bn_parameter_gradients_not_averaged",
        "the gradients of gamma and beta, or one of them, are not divided by the batch size, other gradients are",
        "dgamma = Σₙ dout[n] x̂[n], dbeta = Σₙ dout[n], with 1/N in dout: dlogits = (p - onehot(y)) / N",
        "batch-normalization",
        {
            "batch_norm.dgamma": lambda v: len(v.x) * (v.dout * v.x_hat).sum(axis=0),
            "batch_norm.dbeta": lambda v: len(v.x) * v.dout.sum(axis=0),
        },
        {"batch_norm.dgamma": lambda v: len(v.x) * (v.dout * v.x_hat).sum(axis=0)},
        {"batch_norm.dbeta": lambda v: len(v.x) * v.dout.sum(axis=0)},
        network=True,
    ),
    known(
        "bn_parameter_gradients_wrong_axis",
        "the gradients of gamma and beta are summed over the wrong axis",
        "dgamma = Σₙ dout[n] x̂[n], dbeta = Σₙ dout[n], with images as rows .sum(axis=0)",
        "batch-normalization",
        {
            "batch_norm.dgamma": lambda v: (v.dout * v.x_hat).sum(axis=1),
            "batch_norm.dbeta": lambda v: v.dout.sum(axis=1),
        },
        {"batch_norm.dgamma": lambda v: (v.dout * v.x_hat).sum(axis=1)},
        {"batch_norm.dbeta": lambda v: v.dout.sum(axis=1)},
        {"batch_norm.dbeta": lambda v: np.full(len(v.beta), v.dout.sum())},
        {"batch_norm.dbeta": lambda v: v.dout.sum()},
        {"batch_norm.dgamma": lambda v: np.full(len(v.beta), (v.dout * v.x_hat).sum())},
        {"batch_norm.dgamma": lambda v: (v.dout * v.x_hat).sum()},
    ),
    known(
        "bn_dgamma_missing",
        "gamma's gradient stays 0",
        "dgamma = Σₙ dout[n] x̂[n]",
        "batch-normalization",
        {"batch_norm.dgamma": lambda v: np.zeros_like(v.gamma)},
    ),
    known(
        "bn_dbeta_missing",
        "beta's gradient stays 0",
        "dbeta = Σₙ dout[n]",
        "batch-normalization",
        {"batch_norm.dbeta": lambda v: np.zeros_like(v.beta)},
    ),
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
        "bn_variance_term_power",
        "the term that goes through the variance has the wrong power of the standard deviation",
        "dvar = -1/2 Σₙ dx̂[n] (x[n] - mean) (var + eps)^(-3/2)",
        "batch-normalization",
        *(
            {"batch_norm.dvar": lambda v, k=k: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.inv_std_backward**k}
            for k in (0, 1, 2, 4, 6)
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
    ),
    known(
        "bn_eps_missing_backward",
        "eps is missing in the backward pass, or in one of its terms",
        "inv_std = 1 / √(var + eps), the same in both passes",
        "batch-normalization",
        {"batch_norm.inv_std_backward": lambda v: 1 / np.sqrt(v.var)},
        {"batch_norm.dvar": lambda v: -0.5 * (v.dx_hat * v.centered).sum(axis=0) * v.var**-1.5},
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
