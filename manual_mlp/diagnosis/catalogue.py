"""The mistakes that the diagnosis knows: each is one or a few lines of the textbook, exchanged.

A mistake may have variants: the same slip leaves different numbers where the lines after it were written in another
form. `formula` is what should stand there, `anchor` a heading of docs/derivations.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from manual_mlp.diagnosis.report import DERIVATIONS
from manual_mlp.diagnosis.textbook import Line, one_hot


@dataclass(frozen=True)
class Mistake:
    id: str
    sentence: str
    formula: str
    anchor: str
    variants: tuple[Mapping[str, Line], ...]
    network: bool = False  # can only be made where operations are strung together

    @property
    def link(self) -> str:
        return f"{DERIVATIONS}#{self.anchor}"

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(line.split(".")[0] for variant in self.variants for line in variant)


def known(
    id: str, sentence: str, formula: str, anchor: str, *variants: Mapping[str, Line], network: bool = False
) -> Mistake:
    return Mistake(id, sentence, formula, anchor, variants, network)


BATCH_SIZES = (100, 128, 64, 32, 50, 10, 200, 250, 256, 500, 512, 1000, 10000)

LINEAR = [
    known(
        "bias_not_added",
        "the bias is not added",
        "out = x Wᵀ + b",
        "linear",
        {"linear.out": lambda v: v.x @ v.W.T},
    ),
    known(
        "bias_added_twice",
        "the bias is added twice",
        "out = x Wᵀ + b",
        "linear",
        {"linear.out": lambda v: v.x @ v.W.T + 2 * v.b},
    ),
    known(
        "bias_subtracted",
        "the bias is subtracted",
        "out = x Wᵀ + b",
        "linear",
        {"linear.out": lambda v: v.x @ v.W.T - v.b},
    ),
    known(
        "averaged_twice",
        "the gradients of weight and bias are divided by the batch size once more; the loss is an average already, "
        "so the upstream gradient contains 1/N",
        "dW = doutᵀ x, db = Σₙ dout[n]",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ v.x / len(v.x), "linear.db": lambda v: v.dout.mean(axis=0)},
    ),
    known(
        "bias_gradient_averaged",
        "the bias gradient is averaged over the batch instead of summed",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: v.dout.mean(axis=0)},
    ),
    known(
        "bias_gradient_wrong_axis",
        "the bias gradient is summed over the wrong axis: over the outputs instead of over the images",
        "db = Σₙ dout[n], with images as rows dout.sum(axis=0)",
        "linear",
        {"linear.db": lambda v: v.dout.sum(axis=1)},
        {"linear.db": lambda v: v.dout.mean(axis=1)},
    ),
    known(
        "bias_gradient_not_summed",
        "the bias gradient is not summed over the batch",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: v.dout},
    ),
    known(
        "bias_gradient_missing",
        "the bias gradient stays 0",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: np.zeros(v.dout.shape[1])},
    ),
    known(
        "bias_gradient_one_sum",
        "the bias gradient is one sum over everything instead of one for each output",
        "db = Σₙ dout[n], with images as rows dout.sum(axis=0)",
        "linear",
        {"linear.db": lambda v: np.full(v.dout.shape[1], v.dout.sum())},
        {"linear.db": lambda v: v.dout.sum()},
    ),
    known(
        "bias_gradient_of_one_image",
        "the bias gradient is that of one image alone, it is overwritten instead of summed",
        "db = Σₙ dout[n]",
        "linear",
        {"linear.db": lambda v: v.dout[-1]},
        {"linear.db": lambda v: v.dout[0]},
    ),
    known(
        "weight_gradient_averaged",
        "the weight gradient is divided by the batch size",
        "dW = doutᵀ x; 1/N is in the upstream gradient already",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ v.x / len(v.x)},
    ),
    known(
        "weight_gradient_transposed",
        "the weight gradient is transposed",
        "dW = doutᵀ x, of W's shape (M, D)",
        "linear",
        {"linear.dW": lambda v: v.x.T @ v.dout},
    ),
    known(
        "weight_gradient_missing",
        "the weight gradient stays 0",
        "dW = doutᵀ x",
        "linear",
        {"linear.dW": lambda v: np.zeros_like(v.W)},
    ),
    known(
        "weight_gradient_from_absolute_input",
        "the weight gradient is taken with the positive part of the input, as if a ReLU stood before the layer",
        "dW = doutᵀ x",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ np.maximum(v.x, 0)},
    ),
    known(
        "linear_upstream_ignored",
        "1 is passed on instead of the upstream gradient",
        "dx = dout W, dW = doutᵀ x, db = Σₙ dout[n]",
        "linear",
        {"linear.dx": lambda v: np.ones_like(v.dout) @ v.W},
        {"linear.dW": lambda v: np.ones_like(v.dout).T @ v.x},
        {"linear.db": lambda v: np.ones_like(v.dout).sum(axis=0)},
        {
            "linear.dx": lambda v: np.ones_like(v.dout) @ v.W,
            "linear.dW": lambda v: np.ones_like(v.dout).T @ v.x,
            "linear.db": lambda v: np.ones_like(v.dout).sum(axis=0),
        },
    ),
    known(
        "input_gradient_averaged",
        "the gradient of the input is divided by the batch size",
        "dx = dout W",
        "linear",
        {"linear.dx": lambda v: v.dout @ v.W / len(v.x)},
    ),
    known(
        "weight_gradient_from_preactivation",
        "the weight gradient is taken with the layer's input as it was before the ReLU",
        "dW = doutᵀ x, where x is the output of the ReLU below",
        "linear",
        {"linear.dW": lambda v: v.dout.T @ (v.below.relu.x if v.below else v.x)},
        {"linear.dW": lambda v: v.dout.T @ (v.below.linear.out if v.below else v.x)},
        network=True,
    ),
]

RELU = [
    known(
        "relu_skipped",
        "the ReLU is skipped: the pre-activation is used as the next layer's input",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: v.x},
        {"relu.out": lambda v: v.x, "relu.mask": lambda v: np.ones_like(v.x)},
    ),
    known(
        "relu_leaky",
        "negative inputs are not set to 0 but scaled: a leaky ReLU",
        "out = max(0, x)",
        "relu",
        *(
            {"relu.out": lambda v, a=a: np.where(v.x > 0, v.x, a * v.x)} | mask
            for a in (0.01, 0.1, 0.2)
            for mask in ({"relu.mask": lambda v, a=a: np.where(v.x > 0, 1, a)}, {})
        ),
    ),
    known(
        "relu_absolute_value",
        "the absolute value is taken instead of the positive part",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: np.abs(v.x), "relu.mask": lambda v: np.sign(v.x)},
        {"relu.out": lambda v: np.abs(v.x)},
        {"relu.out": lambda v: np.abs(v.x), "relu.mask": lambda v: np.ones_like(v.x)},
    ),
    known(
        "relu_wrong_side",
        "the negative inputs pass instead of the positive ones",
        "out = max(0, x)",
        "relu",
        {"relu.out": lambda v: np.minimum(v.x, 0), "relu.mask": lambda v: v.x < 0},
        {"relu.out": lambda v: np.minimum(v.x, 0)},
        {"relu.out": lambda v: np.minimum(v.x, 0), "relu.mask": lambda v: np.zeros_like(v.x)},
    ),
    known(
        "relu_not_masked",
        "the gradient is not masked: it passes where the ReLU was shut, too",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: np.ones_like(v.x)},
    ),
    known(
        "relu_mask_from_gradient",
        "the mask is taken from the upstream gradient instead of from the ReLU's input",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: v.dout > 0},
        {"relu.mask": lambda v: (v.dout > 0) & (v.x > 0)},
    ),
    known(
        "relu_mask_inverted",
        "the mask is the wrong way round: the gradient passes where the ReLU was shut",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: v.x <= 0},
    ),
    known(
        "relu_upstream_ignored",
        "1 is passed on instead of the upstream gradient",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: 1.0 * v.mask},
    ),
    known(
        "relu_multiplied_by_activation",
        "the upstream gradient is multiplied by the activation instead of by its mask of 0 and 1",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: v.dout * np.maximum(v.x, 0)},
        {"relu.dx": lambda v: v.dout * v.x},
    ),
    known(
        "relu_sigmoid_derivative",
        "the derivative is that of a sigmoid, out (1 - out)",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.dx": lambda v: v.dout * v.out * (1 - v.out)},
    ),
    known(
        "relu_mask_before_batch_norm",
        "the mask is taken from the linear layer's output, but the ReLU gets what batch normalization makes of it",
        "dx = dout where x > 0, else 0, x being the output of batch normalization",
        "relu",
        {"relu.mask": lambda v: v.layer.linear.out > 0},
        {"relu.mask": lambda v: v.layer.batch_norm.x_hat > 0},
        network=True,
    ),
    known(
        "relu_mask_from_layer_input",
        "the mask is taken from the layer's input instead of from the ReLU's",
        "dx = dout where x > 0, else 0",
        "relu",
        {"relu.mask": lambda v: v.layer.linear.x > 0},
        network=True,
    ),
]

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
        {"layer.order": lambda _: ("linear", "relu", "batch_norm")},
        network=True,
    ),
]

BATCH_NORM_TEST = [
    known(
        "test_ones_and_zeros",
        "at test time gamma and beta are left out: ones and zeros stand in for the learned values",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: (v.x - v.running_mean) * v.inv_std},
    ),
    known(
        "test_gamma_forgotten",
        "gamma is forgotten at test time",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: (v.x - v.running_mean) * v.inv_std + v.beta},
    ),
    known(
        "test_beta_forgotten",
        "beta is forgotten at test time",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * (v.x - v.running_mean) * v.inv_std},
    ),
    known(
        "test_batch_statistics",
        "at test time the batch's own statistics are used; the running averages are not",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {
            "batch_norm_test.out": lambda v: (
                v.gamma * (v.x - v.x.mean(axis=0)) / np.sqrt(v.x.var(axis=0) + v.eps) + v.beta
            )
        },
    ),
    known(
        "test_not_normalized",
        "at test time nothing is normalized",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * v.x + v.beta},
        {"batch_norm_test.out": lambda v: v.x},
    ),
    known(
        "test_mean_not_subtracted",
        "the running mean is not subtracted at test time",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * v.x * v.inv_std + v.beta},
    ),
    known(
        "test_eps_outside_root",
        "eps is added outside of the root at test time",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.inv_std": lambda v: 1 / (np.sqrt(v.running_var) + v.eps)},
    ),
    known(
        "test_eps_missing",
        "eps is missing at test time",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.inv_std": lambda v: 1 / np.sqrt(v.running_var)},
    ),
    known(
        "test_variance_for_std",
        "the running variance is used as a standard deviation",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.inv_std": lambda v: 1 / (v.running_var + v.eps)},
        {"batch_norm_test.inv_std": lambda v: 1 / v.running_var},
    ),
]

RUNNING_AVERAGE = [
    known(
        "running_restart",
        "the running averages restart from 0 with every batch",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        {
            "running_average.new_mean": lambda v: v.momentum * v.mean,
            "running_average.new_var": lambda v: v.momentum * v.var,
        },
        {
            "running_average.new_mean": lambda v: v.momentum * v.mean,
            "running_average.new_var": lambda v: (1 - v.momentum) + v.momentum * v.var,
        },
    ),
    known(
        "running_is_last_batch",
        "the running averages are those of the last batch",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        {"running_average.new_mean": lambda v: v.mean, "running_average.new_var": lambda v: v.var},
        {"running_average.new_mean": lambda v: v.mean, "running_average.new_var": lambda v: v.x.var(axis=0)},
        {"running_average.new_mean": lambda v: v.mean},
        {"running_average.new_var": lambda v: v.var},
    ),
    known(
        "running_not_advanced",
        "the running averages do not move",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        {
            "running_average.new_mean": lambda v: v.running_mean,
            "running_average.new_var": lambda v: v.running_var,
        },
        {"running_average.new_mean": lambda v: v.running_mean},
        {"running_average.new_var": lambda v: v.running_var},
    ),
    known(
        "running_weights_exchanged",
        "old average and new batch have each other's weight",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        {
            "running_average.new_mean": lambda v: v.momentum * v.running_mean + (1 - v.momentum) * v.mean,
            "running_average.new_var": lambda v: v.momentum * v.running_var + (1 - v.momentum) * v.var,
        },
        {"running_average.new_mean": lambda v: v.momentum * v.running_mean + (1 - v.momentum) * v.mean},
        {"running_average.new_var": lambda v: v.momentum * v.running_var + (1 - v.momentum) * v.var},
    ),
    known(
        "running_var_plus_eps",
        "the running variance takes var + eps, so eps is added twice at test time",
        "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
        "batch-normalization",
        {"running_average.var": lambda v: v.x.var(axis=0, ddof=1) + v.eps},
        {"running_average.var": lambda v: v.x.var(axis=0) + v.eps},
    ),
    known(
        "running_std_for_var",
        "the running variance takes the batch's standard deviation",
        "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
        "batch-normalization",
        {"running_average.var": lambda v: v.x.std(axis=0, ddof=1)},
        {"running_average.var": lambda v: v.x.std(axis=0)},
        {"running_average.var": lambda v: np.sqrt(v.x.var(axis=0) + v.eps)},
    ),
    known(
        "running_var_corrected_upside_down",
        "the running variance is corrected by (N - 1)/N instead of N/(N - 1)",
        "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
        "batch-normalization",
        {"running_average.var": lambda v: v.x.var(axis=0) * (len(v.x) - 1) / len(v.x)},
    ),
    known(
        "running_advanced_twice",
        "the running averages advance twice for one batch",
        "running = (1 - momentum) running + momentum batch, once an update",
        "batch-normalization",
        {
            "running_average.new_mean": lambda v: (
                (1 - v.momentum) ** 2 * v.running_mean + (1 - (1 - v.momentum) ** 2) * v.mean
            ),
            "running_average.new_var": lambda v: (
                (1 - v.momentum) ** 2 * v.running_var + (1 - (1 - v.momentum) ** 2) * v.var
            ),
        },
    ),
    known(
        "running_averages_exchanged",
        "mean and variance are exchanged in the running averages",
        "running_mean takes the batch's mean, running_var its variance",
        "batch-normalization",
        {
            "running_average.mean": lambda v: v.x.var(axis=0, ddof=1),
            "running_average.var": lambda v: v.x.mean(axis=0),
        },
        {"running_average.mean": lambda v: v.x.var(axis=0), "running_average.var": lambda v: v.x.mean(axis=0)},
    ),
]

BIASED_RUNNING_VARIANCE = known(  # no mistake: CS231n's and the course's convention
    "running_var_biased",
    "the running variance takes the batch's biased variance",
    "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
    "batch-normalization",
    {"running_average.var": lambda v: v.x.var(axis=0)},
)

DROPOUT = [
    known(
        "dropout_scaled_twice",
        "what is kept is scaled twice",
        "out = x mask / (1 - p)",
        "dropout",
        {
            "dropout.out": lambda v: v.x * v.kept / (1 - v.p) ** 2,
            "dropout.dx": lambda v: v.dout * v.kept / (1 - v.p) ** 2,
        },
        {"dropout.out": lambda v: v.x * v.kept / (1 - v.p) ** 2},
        {"dropout.dx": lambda v: v.dout * v.kept / (1 - v.p) ** 2},
    ),
    known(
        "dropout_not_scaled",
        "what is kept is not scaled: its sum is smaller in training than at test time",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept, "dropout.dx": lambda v: v.dout * v.kept},
        {"dropout.out": lambda v: v.x * v.kept},
        {"dropout.dx": lambda v: v.dout * v.kept},
    ),
    known(
        "dropout_scaled_by_wrong_probability",
        "what is kept is divided by the probability to drop instead of the one to keep",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept / v.p, "dropout.dx": lambda v: v.dout * v.kept / v.p},
        {"dropout.out": lambda v: v.x * v.kept / v.p},
        {"dropout.dx": lambda v: v.dout * v.kept / v.p},
    ),
    known(
        "dropout_multiplied",
        "what is kept is multiplied by the probability to keep instead of divided by it",
        "out = x mask / (1 - p)",
        "dropout",
        {"dropout.out": lambda v: v.x * v.kept * (1 - v.p), "dropout.dx": lambda v: v.dout * v.kept * (1 - v.p)},
        {"dropout.out": lambda v: v.x * v.kept * (1 - v.p)},
        {"dropout.dx": lambda v: v.dout * v.kept * (1 - v.p)},
    ),
    known(
        "dropout_gradient_not_masked",
        "the gradient is not masked: it passes through dropped units, too",
        "dx = dout mask / (1 - p), with the mask of the forward pass",
        "dropout",
        {"dropout.dx": lambda v: v.dout},
        {"dropout.dx": lambda v: v.dout / (1 - v.p)},
    ),
]

SOFTMAX = [
    known(
        "log10",
        "the logarithm is that to the base of 10",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: -v.log_p[np.arange(len(v.y)), v.y] / np.log(10)},
        {
            "softmax_cross_entropy.losses": lambda v: -v.log_p[np.arange(len(v.y)), v.y] / np.log(10),
            "softmax_cross_entropy.dlosses": lambda v: (v.p - one_hot(v.y, v.p.shape[1])) / np.log(10),
        },
    ),
    known(
        "log2",
        "the logarithm is that to the base of 2",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.losses": lambda v: -v.log_p[np.arange(len(v.y)), v.y] / np.log(2)},
    ),
    known(
        "eps_in_log",
        "a small number is added inside the logarithm, which hides a probability of 0 instead of avoiding it",
        "ln p = shifted - ln Σ exp(shifted), with the row's maximum subtracted",
        "softmax-cross-entropy",
        *(
            {"softmax_cross_entropy.losses": lambda v, e=e: -np.log(np.exp(v.log_p[np.arange(len(v.y)), v.y]) + e)}
            for e in 10.0 ** -np.arange(3, 21)
        ),
        {
            "softmax_cross_entropy.losses": lambda v: (
                -np.log(np.exp(v.log_p[np.arange(len(v.y)), v.y]) + np.finfo(float).eps)
            )
        },
    ),
    known(
        "log_clipped",
        "probabilities are clipped before the logarithm",
        "ln p = shifted - ln Σ exp(shifted), with the row's maximum subtracted",
        "softmax-cross-entropy",
        *(
            {
                "softmax_cross_entropy.losses": lambda v, e=e: (
                    -np.log(np.clip(np.exp(v.log_p[np.arange(len(v.y)), v.y]), e, 1 - e))
                )
            }
            for e in 10.0 ** -np.arange(3, 17)
        ),
    ),
    known(
        "loss_summed",
        "the loss is summed over the batch instead of averaged",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.loss": lambda v: v.losses.sum()},
        {
            "softmax_cross_entropy.loss": lambda v: v.losses.sum(),
            "softmax_cross_entropy.dlogits": lambda v: v.dlosses,
        },
    ),
    known(
        "loss_fixed_batch_size",
        "the loss is divided by a fixed batch size instead of by the number of images that it is given",
        "loss = -1/N Σₙ ln p[n, yₙ], N = len(y)",
        "softmax-cross-entropy",
        *(
            {"softmax_cross_entropy.loss": lambda v, n=n: v.losses.sum() / n} | gradient
            for n in BATCH_SIZES
            for gradient in ({"softmax_cross_entropy.dlogits": lambda v, n=n: v.dlosses / n}, {})
        ),
    ),
    known(
        "loss_over_classes",
        "the loss is divided by the number of classes",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        *(
            {"softmax_cross_entropy.loss": loss} | gradient
            for loss, gradient in (
                (lambda v: v.losses.sum() / v.p.size, {}),
                (
                    lambda v: v.losses.sum() / v.p.size,
                    {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.size},
                ),
                (lambda v: v.losses.sum() / v.p.shape[1], {}),
                (
                    lambda v: v.losses.sum() / v.p.shape[1],
                    {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.shape[1]},
                ),
            )
        ),
    ),
    known(
        "softmax_wrong_axis",
        "the softmax is taken over the images instead of over the classes",
        "p[n] = exp(logits[n]) / Σₖ exp(logits[n, k])",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits) / np.exp(v.logits).sum(axis=0),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits) / np.exp(v.logits).sum(),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
    ),
    known(
        "softmax_not_shifted",
        "the softmax is not shifted by the row's maximum: exp overflows for large class scores",
        "shifted = logits - maxₖ logits[n, k]",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits) / np.exp(v.logits).sum(axis=1, keepdims=True),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {"softmax_cross_entropy.shifted": lambda v: v.logits},
        {
            "softmax_cross_entropy.shifted": lambda v: v.logits,
            "softmax_cross_entropy.p": lambda v: np.exp(v.logits - np.log(np.exp(v.logits).sum(axis=1, keepdims=True))),
        },
    ),
    known(
        "softmax_shifted_by_batch_maximum",
        "the softmax is shifted by the maximum of the whole batch: the probabilities of other rows become 0",
        "shifted = logits - maxₖ logits[n, k], row by row",
        "softmax-cross-entropy",
        {
            "softmax_cross_entropy.shifted": lambda v: v.logits - v.logits.max(),
            "softmax_cross_entropy.log_p": lambda v: np.log(v.p),
        },
        {"softmax_cross_entropy.shifted": lambda v: v.logits - v.logits.max()},
    ),
    known(
        "log_of_softmax",
        "the logarithm is taken of a probability that has become 0: softmax and logarithm belong together",
        "ln p = shifted - ln Σ exp(shifted)",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.log_p": lambda v: np.log(v.p)},
    ),
    known(
        "loss_sign",
        "the loss has the wrong sign",
        "loss = -1/N Σₙ ln p[n, yₙ]",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.loss": lambda v: -v.losses.sum() / len(v.y)},
    ),
    known(
        "loss_gradient_summed",
        "the gradient of the loss is not divided by the batch size, the loss is",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses},
    ),
    known(
        "loss_gradient_fixed_batch_size",
        "the gradient of the loss is divided by a fixed batch size",
        "dlogits = (p - onehot(y)) / N, N = len(y)",
        "softmax-cross-entropy",
        *({"softmax_cross_entropy.dlogits": lambda v, n=n: v.dlosses / n} for n in BATCH_SIZES),
    ),
    known(
        "loss_gradient_over_classes",
        "the gradient of the loss is divided by the number of classes",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.size},
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / v.p.shape[1]},
    ),
    known(
        "loss_gradient_averaged_twice",
        "the gradient of the loss is divided by the batch size twice",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: v.dlosses / len(v.y) ** 2},
    ),
    known(
        "loss_gradient_sign",
        "the gradient of the loss has the wrong sign: onehot(y) - p",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlogits": lambda v: -v.dlosses / len(v.y)},
    ),
    known(
        "loss_gradient_without_labels",
        "the labels are missing in the gradient of the loss: 1 is not subtracted at the right class",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: v.p},
    ),
    known(
        "loss_gradient_label_subtracted",
        "the class number itself is subtracted, not its one-hot row",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: v.p - v.y[:, None]},
    ),
    known(
        "loss_gradient_with_softmax_derivative",
        "p - onehot(y) is multiplied by the derivative of the softmax once more; it is in there already",
        "dlogits = (p - onehot(y)) / N",
        "softmax-cross-entropy",
        {"softmax_cross_entropy.dlosses": lambda v: (v.p - one_hot(v.y, v.p.shape[1])) * v.p * (1 - v.p)},
    ),
]

SCORES = [
    known(
        "relu_on_scores",
        "a ReLU is applied to the class scores; the last layer has none",
        "logits = x Wᵀ + b",
        "softmax-cross-entropy",
        {"scores.out": lambda v: np.maximum(v.x, 0), "scores.dx": lambda v: v.dout * (v.x > 0)},
        {"scores.out": lambda v: np.maximum(v.x, 0)},
        network=True,
    ),
    known(
        "scores_masked",
        "the gradient of the class scores is masked as if a ReLU stood there",
        "dlogits goes into the last linear layer as it is",
        "softmax-cross-entropy",
        {"scores.dx": lambda v: v.dout * (v.x > 0)},
        network=True,
    ),
]

PENALTY = "l2 Σ W², gradient 2 l2 W, weights alone"


def penalty(
    id: str,
    sentence: str,
    *variants: Mapping[str, Line],
) -> Mistake:
    lines = tuple({f"l2_penalty.{line}": formula for line, formula in variant.items()} for variant in variants)
    return Mistake(id, sentence, PENALTY, "l2-penalty", lines, network=True)


L2_PENALTY = [
    penalty(
        "penalty_missing",
        "the penalty is missing, in the cost and in the gradient",
        {"penalty": lambda _: 0.0, "on_W": lambda v: 0 * v.W},
    ),
    penalty(
        "penalty_missing_in_cost", "the penalty is in the gradient but not in the cost", {"penalty": lambda _: 0.0}
    ),
    penalty(
        "penalty_missing_in_gradient", "the penalty is in the cost but not in the gradient", {"on_W": lambda v: 0 * v.W}
    ),
    penalty(
        "penalty_half",
        "the penalty is l2/2 Σ W², here it is l2 Σ W² (with the 1/2, pass half of your lambda as l2)",
        {"penalty": lambda v: 0.5 * v.l2 * (v.W**2).sum(), "on_W": lambda v: v.l2 * v.W},
    ),
    penalty(
        "penalty_half_in_cost",
        "the penalty in the cost has a factor 1/2 that its gradient does not know",
        {"penalty": lambda v: 0.5 * v.l2 * (v.W**2).sum()},
    ),
    penalty(
        "penalty_gradient_without_two",
        "the factor 2 is missing in the gradient of the penalty",
        {"on_W": lambda v: v.l2 * v.W},
    ),
    penalty(
        "penalty_twice",
        "the penalty is counted twice",
        {"penalty": lambda v: 2 * v.l2 * (v.W**2).sum(), "on_W": lambda v: 4 * v.l2 * v.W},
        {"penalty": lambda v: 2 * v.l2 * (v.W**2).sum()},
        {"on_W": lambda v: 4 * v.l2 * v.W},
    ),
    penalty(
        "penalty_over_n",
        "the penalty is divided by the batch size; it does not depend on the images",
        {"penalty": lambda v: v.l2 * (v.W**2).sum() / v.n, "on_W": lambda v: 2 * v.l2 * v.W / v.n},
        {"penalty": lambda v: v.l2 * (v.W**2).sum() / v.n},
        {"on_W": lambda v: 2 * v.l2 * v.W / v.n},
        {"penalty": lambda v: v.l2 * (v.W**2).sum() / v.n / 2, "on_W": lambda v: v.l2 * v.W / v.n},
        {"on_W": lambda v: v.l2 * v.W / v.n},
    ),
    penalty(
        "penalty_times_n",
        "the penalty is added once for every image, and is as many times too large",
        {"penalty": lambda v: v.l2 * (v.W**2).sum() * v.n, "on_W": lambda v: 2 * v.l2 * v.W * v.n},
        {"penalty": lambda v: v.l2 * (v.W**2).sum() * v.n},
        {"on_W": lambda v: 2 * v.l2 * v.W * v.n},
    ),
    penalty(
        "penalty_on_gradient",
        "the penalty is taken of the gradient instead of the weight",
        {"on_W": lambda v: 2 * v.l2 * v.dW},
        {"on_W": lambda v: v.l2 * v.dW},
    ),
    penalty(
        "penalty_on_biases",
        "the biases are penalized, too",
        {"penalty": lambda v: v.l2 * ((v.W**2).sum() + (v.b**2).sum()), "on_b": lambda v: 2 * v.l2 * v.b},
        {"penalty": lambda v: v.l2 * ((v.W**2).sum() + (v.b**2).sum())},
        {"on_b": lambda v: 2 * v.l2 * v.b},
        {"on_b": lambda v: v.l2 * v.b},
    ),
    penalty(
        "penalty_on_gamma_and_beta",
        "gamma or beta are penalized, too",
        *(
            {name: lines[name] for name in chosen}
            for lines in (
                {
                    "penalty": lambda v: v.l2 * ((v.W**2).sum() + (v.gamma**2).sum() + (v.beta**2).sum()),
                    "on_gamma": lambda v: 2 * v.l2 * v.gamma,
                    "on_beta": lambda v: 2 * v.l2 * v.beta,
                },
            )
            for chosen in (
                ("penalty", "on_gamma", "on_beta"),
                ("penalty",),
                ("on_gamma", "on_beta"),
                ("on_gamma",),
                ("on_beta",),
            )
        ),
        {"penalty": lambda v: v.l2 * ((v.W**2).sum() + (v.gamma**2).sum()), "on_gamma": lambda v: 2 * v.l2 * v.gamma},
        {"penalty": lambda v: v.l2 * ((v.W**2).sum() + (v.gamma**2).sum())},
        {"penalty": lambda v: v.l2 * ((v.W**2).sum() + (v.beta**2).sum()), "on_beta": lambda v: 2 * v.l2 * v.beta},
    ),
    penalty(
        "penalty_on_everything",
        "biases, gamma and beta are penalized, too",
        *(
            {name: lines[name] for name in chosen}
            for lines in (
                {
                    "penalty": lambda v: (
                        v.l2 * ((v.W**2).sum() + (v.b**2).sum() + (v.gamma**2).sum() + (v.beta**2).sum())
                    ),
                    "on_b": lambda v: 2 * v.l2 * v.b,
                    "on_gamma": lambda v: 2 * v.l2 * v.gamma,
                    "on_beta": lambda v: 2 * v.l2 * v.beta,
                },
            )
            for chosen in (
                ("penalty", "on_b", "on_gamma", "on_beta"),
                ("penalty",),
                ("on_b", "on_gamma", "on_beta"),
            )
        ),
    ),
    penalty(
        "penalty_not_squared",
        "the penalty takes the norm or the absolute values of the weights instead of their squares",
        {"penalty": lambda v: v.l2 * np.sqrt((v.W**2).sum())},
        {"penalty": lambda v: v.l2 * np.abs(v.W).sum()},
        {"penalty": lambda v: v.l2 * np.abs(v.W).sum(), "on_W": lambda v: v.l2 * np.sign(v.W)},
        {"penalty": lambda v: v.l2 * v.W.sum()},
        {"penalty": lambda v: v.l2 * v.W.sum() ** 2},
    ),
    penalty(
        "penalty_averaged",
        "the squared weights are averaged instead of summed",
        {"penalty": lambda v: v.l2 * (v.W**2).mean(), "on_W": lambda v: 2 * v.l2 * v.W / v.W.size},
        {"penalty": lambda v: v.l2 * (v.W**2).mean()},
    ),
    penalty(
        "penalty_sign",
        "the gradient of the penalty has the wrong sign",
        {"on_W": lambda v: -2 * v.l2 * v.W},
    ),
]

UPDATE = [
    known(
        "update_never",
        "it is never updated",
        "value -= eta gradient",
        "sgd-update",
        {"update.step": lambda v: 0 * v.value},
    ),
    known(
        "update_twice",
        "it is updated twice",
        "value -= eta gradient, once",
        "sgd-update",
        {"update.step": lambda v: 2 * v.eta * (v.gradient + v.penalty)},
        {
            "update.step": lambda v: (
                2 * v.eta * (v.gradient + v.penalty) - v.eta**2 * 2 * v.l2 * (v.gradient + v.penalty)
            )
        },
    ),
    known(
        "update_ascent",
        "the gradient is added instead of subtracted",
        "value -= eta gradient",
        "sgd-update",
        {"update.step": lambda v: -v.eta * (v.gradient + v.penalty)},
    ),
    known(
        "update_without_eta",
        "the learning rate is missing",
        "value -= eta gradient",
        "sgd-update",
        {"update.step": lambda v: v.gradient + v.penalty},
    ),
    known(
        "update_replaces",
        "the step replaces the value instead of being subtracted from it",
        "value -= eta gradient",
        "sgd-update",
        {"update.step": lambda v: v.value + v.eta * (v.gradient + v.penalty)},
        {"update.step": lambda v: v.value - v.eta * (v.gradient + v.penalty)},
    ),
    known(
        "update_gamma_beta_exchanged",
        "gamma is updated with beta's gradient and beta with gamma's",
        "gamma -= eta dgamma, beta -= eta dbeta",
        "sgd-update",
        {"update.step": lambda v: v.eta * v.partner},
    ),
    known(
        "update_penalty_missing",
        "the penalty is missing in the update",
        "W -= eta (dW + 2 l2 W)",
        "sgd-update",
        {"update.penalty": lambda v: 0 * v.value},
    ),
    known(
        "update_penalty_not_times_eta",
        "the penalty's gradient is not multiplied by eta",
        "W -= eta (dW + 2 l2 W)",
        "sgd-update",
        {"update.step": lambda v: v.eta * v.gradient + v.penalty},
        {"update.step": lambda v: v.eta * v.gradient + v.penalty / 2},
    ),
    known(
        "update_penalty_without_two",
        "the factor 2 is missing in the gradient of the penalty",
        "W -= eta (dW + 2 l2 W)",
        "sgd-update",
        {"update.penalty": lambda v: v.l2 * v.value},
    ),
    known(
        "update_penalty_twice",
        "the penalty is counted twice: it is in the gradient and in the update",
        "W -= eta (dW + 2 l2 W)",
        "sgd-update",
        {"update.penalty": lambda v: 4 * v.l2 * v.value},
    ),
    known(
        "update_penalty_sign",
        "the penalty makes the weights grow: it has the wrong sign",
        "W -= eta (dW + 2 l2 W)",
        "sgd-update",
        {"update.penalty": lambda v: -2 * v.l2 * v.value},
    ),
    known(
        "update_penalty_on_gradient",
        "the penalty is taken of the gradient instead of the weight",
        "W -= eta (dW + 2 l2 W)",
        "sgd-update",
        {"update.penalty": lambda v: 2 * v.l2 * v.gradient},
    ),
    known(
        "update_penalty_on_others",
        "biases, gamma or beta are penalized, too",
        "b -= eta db, without a penalty",
        "sgd-update",
        {"update.penalty": lambda v: 2 * v.weight_l2 * v.value},
        {"update.penalty": lambda v: v.weight_l2 * v.value},
    ),
]

TRIANGLE = "eta = eta_min + (1 - |t/n_s - 1|) (eta_max - eta_min), t = step mod 2 n_s, step from 0"


def schedule(id: str, sentence: str, *variants: Mapping[str, Line]) -> Mistake:
    lines = tuple({f"schedule.{line}": formula for line, formula in variant.items()} for variant in variants)
    return Mistake(id, sentence, TRIANGLE, "learning-rate", lines)


SCHEDULE = [
    schedule(
        "schedule_one_early",
        "it runs one update ahead: eta_min and eta_max fall one step early",
        {"t": lambda v: v.step + 1},
        {"position": lambda v: v.t % (2 * v.n_s - 1)},
    ),
    schedule(
        "schedule_one_late",
        "it runs one update behind",
        {"t": lambda v: np.maximum(v.step - 1, 0)},
        {"t": lambda v: v.step - 1},
    ),
    schedule(
        "schedule_half_cycle",
        "the cycle is half as long: it rises and starts again where it should fall",
        {"position": lambda v: v.t % v.n_s},
    ),
    schedule(
        "schedule_step_size_is_cycle",
        "n_s is taken as the whole cycle; it is half of one",
        {"position": lambda v: 2 * v.t % (2 * v.n_s)},
    ),
    schedule(
        "schedule_twice_as_long",
        "the cycle is twice as long as it should be",
        {"position": lambda v: v.t / 2 % (2 * v.n_s)},
    ),
    schedule(
        "schedule_per_epoch",
        "it is stepped per epoch instead of per update",
        {"t": lambda v: v.step // v.updates_per_epoch},
        {"t": lambda v: v.step // v.updates_per_epoch + 1},
    ),
    schedule(
        "schedule_starts_at_maximum",
        "it starts at eta_max and falls first",
        {"height": lambda v: np.abs(v.position / v.n_s - 1)},
    ),
    schedule(
        "schedule_minimum_forgotten",
        "eta_min is not added: the learning rate falls to 0",
        {"eta": lambda v: v.height * (v.eta_max - v.eta_min)},
        {"eta": lambda v: v.height * v.eta_max},
    ),
    schedule(
        "schedule_minimum_not_subtracted",
        "eta_min is not subtracted from the height of the triangle: it goes beyond eta_max",
        {"eta": lambda v: v.eta_min + v.height * v.eta_max},
    ),
    schedule(
        "schedule_one_cycle",
        "it does not repeat: after the first cycle it stays low or goes on falling",
        {"position": lambda v: v.t},
        {"position": lambda v: np.minimum(v.t, 2 * v.n_s)},
    ),
    schedule(
        "schedule_never_falls",
        "it stays at eta_max instead of falling",
        {"height": lambda v: np.minimum(v.position / v.n_s, 1)},
        {"height": lambda v: np.minimum(v.t / v.n_s, 1)},
    ),
    schedule(
        "schedule_constant",
        "it does not change",
        {"eta": lambda v: v.eta_min + 0 * v.height},
        {"eta": lambda v: v.eta_max + 0 * v.height},
    ),
    schedule(
        "schedule_halved_every_cycle",
        "its height is halved with every cycle",
        {"height": lambda v: (1 - np.abs(v.position / v.n_s - 1)) / 2.0 ** (v.t // (2 * v.n_s))},
    ),
    schedule(
        "schedule_cosine",
        "it follows a cosine instead of straight lines",
        {"height": lambda v: (1 - np.cos(np.pi * v.position / v.n_s)) / 2},
    ),
    schedule(
        "schedule_bounds_exchanged",
        "eta_min and eta_max are exchanged",
        {"eta": lambda v: v.eta_max + v.height * (v.eta_min - v.eta_max)},
    ),
]

STANDARD = "(x - mean) / std, pixel by pixel, with the mean and std of the training images for every set"


def standardization(id: str, sentence: str, *variants: Mapping[str, Line]) -> Mistake:
    lines = tuple({f"standardization.{line}": formula for line, formula in variant.items()} for variant in variants)
    return Mistake(id, sentence, STANDARD, "standardization", lines)


STANDARDIZATION = [
    standardization(
        "standardized_by_own_statistics",
        "these images are standardized with their own statistics instead of the training images'",
        {"mean": lambda v: v.raw.mean(axis=0), "std": lambda v: v.raw.std(axis=0)},
        {"mean": lambda v: v.raw.mean(axis=0)},
        {"std": lambda v: v.raw.std(axis=0)},
    ),
    standardization("standardized_not_at_all", "these images are not standardized", {"out": lambda v: v.raw}),
    standardization(
        "standardized_only_scaled",
        "these images are only divided by 255",
        {"out": lambda v: v.raw / 255},
        {"out": lambda v: v.raw / 255 - 0.5},
    ),
    standardization(
        "standardized_only_centered", "the standard deviation is not divided by", {"out": lambda v: v.raw - v.mean}
    ),
    standardization(
        "standardized_not_centered",
        "the mean is not subtracted",
        {"out": lambda v: v.raw / np.where(v.std > 0, v.std, 1)},
    ),
    standardization(
        "standardized_by_variance",
        "the images are divided by the variance instead of by its root",
        {"std": lambda v: v.train.var(axis=0)},
    ),
    standardization(
        "standardized_twice",
        "these images are standardized twice",
        {"out": lambda v: ((v.raw - v.mean) / np.where(v.std > 0, v.std, 1) - v.mean) / np.where(v.std > 0, v.std, 1)},
    ),
    standardization(
        "standardized_per_image",
        "mean and standard deviation are taken of each image instead of each pixel",
        {"mean": lambda v: v.raw.mean(axis=1, keepdims=True), "std": lambda v: v.raw.std(axis=1, keepdims=True)},
        {"std": lambda v: v.raw.std(axis=1, keepdims=True)},
        {"mean": lambda v: v.raw.mean(axis=1, keepdims=True)},
    ),
    standardization(
        "standardized_by_one_number",
        "one mean or one standard deviation serves all pixels",
        {"mean": lambda v: v.train.mean(), "std": lambda v: v.train.std()},
        {"std": lambda v: v.train.std()},
        {"std": lambda v: (v.train - v.train.mean(axis=0)).std()},
        {"mean": lambda v: v.train.mean()},
    ),
    standardization(
        "standardized_by_all_sets",
        "the statistics are those of all sets together: the test images have a say in the training",
        {"mean": lambda v: v.all_sets.mean(axis=0), "std": lambda v: v.all_sets.std(axis=0)},
    ),
    standardization(
        "standardized_constant_pixel",
        "a pixel that never changes is divided by 0",
        {"out": lambda v: (v.raw - v.mean) / v.std},
    ),
]

DIFFERENCE = "(cost(value + h) - cost(value - h)) / 2h, in training mode, the value restored afterwards"


def numerical(id: str, sentence: str, *variants: Mapping[str, Line]) -> Mistake:
    lines = tuple({f"numerical.{line}": formula for line, formula in variant.items()} for variant in variants)
    return Mistake(id, sentence, DIFFERENCE, "gradient-check", lines)


NUMERICAL = [
    numerical(
        "check_in_test_mode",
        "the cost is taken in test mode, with the running statistics; the gradient is that of the training mode",
        {"cost": lambda v: v.test_cost},
    ),
    numerical(
        "check_without_penalty",
        "the loss is differentiated without its penalty; the gradient contains it",
        {"cost": lambda v: v.loss},
    ),
    numerical(
        "check_half_the_difference",
        "half the difference: the step on one side only, but divided by 2h",
        {"slope": lambda v: (v.cost(v.h) - v.cost(0.0)) / (2 * v.h)},
        {"slope": lambda v: (v.cost(0.0) - v.cost(-v.h)) / (2 * v.h)},
        {"slope": lambda v: (v.cost(v.h) - v.cost(-v.h)) / (4 * v.h)},
    ),
    numerical(
        "check_twice_the_difference",
        "twice the difference: a step on both sides, but divided by h instead of 2h",
        {"slope": lambda v: (v.cost(v.h) - v.cost(-v.h)) / v.h},
    ),
    numerical(
        "check_one_sided",
        "the difference is one-sided, which is wrong by about h instead of h²",
        {"slope": lambda v: (v.cost(v.h) - v.cost(0.0)) / v.h},
        {"slope": lambda v: (v.cost(0.0) - v.cost(-v.h)) / v.h},
    ),
    numerical(
        "check_sign",
        "the difference is taken the wrong way round",
        {"slope": lambda v: (v.cost(-v.h) - v.cost(v.h)) / (2 * v.h)},
    ),
    numerical(
        "check_drifting_parameter",
        "the parameter drifts: after each entry it is not put back to where it was",
        {"left_at": lambda v: -v.h},
        {"left_at": lambda v: v.h},
        {"slope": lambda v: (v.cost(v.h) - v.cost(0.0)) / v.h, "left_at": lambda v: v.h},
        {"slope": lambda v: (v.cost(v.h) - v.cost(0.0)) / v.h, "left_at": lambda v: -v.h},
    ),
]

NETWORK = [*LINEAR, *RELU, *BATCH_NORM, *SOFTMAX, *SCORES, *L2_PENALTY]


def mistakes_of(operations: Iterable[str], network: bool = False) -> list[Mistake]:
    """All that can be made in these operations, in the order of the catalogue."""
    operations = frozenset(operations)
    everything = [
        *NETWORK,
        *BATCH_NORM_TEST,
        *RUNNING_AVERAGE,
        *DROPOUT,
        *UPDATE,
        *SCHEDULE,
        *STANDARDIZATION,
        *NUMERICAL,
    ]
    return [m for m in everything if m.operations <= operations and (network or not m.network)]
