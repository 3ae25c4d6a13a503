"""Mistakes of batch normalization's backward pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import exchanged, known
from manual_mlp.diagnosis.textbook import Line

BATCH_NORM_DX = "dx = inv_std (dx̂ - meanₙ(dx̂) - x̂ meanₙ(dx̂ x̂)), dx̂ = gamma dout"


def simplified(v: Any) -> Any:
    """dx in the form that uses dgamma and dbeta: a wrong one of these spoils it."""
    n = len(v.x)
    return v.gamma * v.inv_std * (v.dout - v.dbeta / n - v.x_hat * v.dgamma / n)


def either_form(**lines: Line) -> tuple[Mapping[str, Line], ...]:
    """A wrong dgamma or dbeta leaves dx right in one of its two forms, and spoils it in the other."""
    planted = {f"batch_norm.{line}": formula for line, formula in lines.items()}
    return planted, planted | {"batch_norm.dx": simplified}


BATCH_NORM_BACKWARD = [
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
        "bn_backward_in_forward_order",
        "the backward pass goes through batch normalization and ReLU in the order of the forward pass",
        "backward in the reverse order: what comes last in the forward pass is gone through first",
        "behind-the-relu",
        {"layer.order_backward": exchanged("batch_norm", "relu")},
        network=True,
    ),
]
