"""One operation's diagnosis: mistakes planted into the source of a student's operations are found and named."""

import inspect
import math

import numpy as np
import pytest
import student_layers
import torch

from manual_mlp import diagnose_operation, layers

SOURCE = inspect.getsource(student_layers)
SEEDS = [0, 1, 2]  # each draws other shapes

# (operation, first wrong place, the mistake's name, what stands in the source, what stands there instead)
MISTAKES = [
    ("linear", "forward: out", "bias_not_added", "np.dot(x, W.T) + b", "np.dot(x, W.T)"),
    ("linear", "forward: out", "bias_subtracted", "np.dot(x, W.T) + b", "np.dot(x, W.T) - b"),
    ("linear", "forward: out", "bias_added_twice", "np.dot(x, W.T) + b", "np.dot(x, W.T) + b + b"),
    (
        "linear",
        "backward: dW",
        "weight_gradient_from_positive_part",
        "np.dot(dout.T, x)",
        "np.dot(dout.T, np.maximum(x, 0))",
    ),
    ("linear", "backward: db", "bias_gradient_averaged", "db = np.sum(", "db = np.mean("),
    (
        "linear",
        "backward: db",
        "bias_gradient_wrong_axis",
        "np.sum(dout, axis=0)\n    return dx, dW",
        "np.sum(dout, axis=1)\n    return dx, dW",
    ),
    ("linear", "backward: db", "bias_gradient_one_sum", "db = np.sum(dout, axis=0)", "db = np.sum(dout)"),
    ("linear", "backward: db", "bias_gradient_not_summed", "db = np.sum(dout, axis=0)", "db = dout"),
    (
        "linear",
        "backward: db",
        "linear_upstream_ignored",
        "db = np.sum(dout, axis=0)",
        "db = np.sum(np.ones(dout.shape), axis=0)",
    ),
    ("linear", "backward: db", "bias_gradient_sign", "db = np.sum(dout, axis=0)", "db = -np.sum(dout, axis=0)"),
    ("linear", "backward: dW", "weight_gradient_sign", "np.dot(dout.T, x)", "np.dot(-dout.T, x)"),
    ("linear", "backward: dx", "input_gradient_sign", "np.dot(dout, W)", "np.dot(-dout, W)"),
    ("linear", "backward: dW", "weight_gradient_averaged", "np.dot(dout.T, x)", "np.dot(dout.T, x) / len(x)"),
    ("linear", "backward: dW", "weight_gradient_transposed", "np.dot(dout.T, x)", "np.dot(x.T, dout)"),
    ("linear", "backward: dx", "linear_upstream_ignored", "np.dot(dout, W)", "np.dot(np.ones(dout.shape), W)"),
    ("linear", "backward: dx", "input_gradient_averaged", "np.dot(dout, W)", "np.dot(dout, W) / len(x)"),
    ("relu", "forward: out", "relu_skipped", "np.where(x > 0, x, 0)", "x.copy()"),
    ("relu", "forward: out", "relu_leaky", "np.where(x > 0, x, 0)", "np.where(x > 0, x, 0.01 * x)"),
    ("relu", "forward: out", "relu_absolute_value", "np.where(x > 0, x, 0)", "np.abs(x)"),
    ("relu", "backward: dx", "relu_not_masked", "dout * (x > 0)", "dout"),
    ("relu", "backward: dx", "relu_mask_from_gradient", "dout * (x > 0)", "dout * (dout > 0)"),
    ("relu", "backward: dx", "relu_mask_leaky", "dout * (x > 0)", "dout * np.where(x > 0, 1, 0.01)"),
    ("relu", "backward: dx", "relu_input_and_gradient_exchanged", "dout * (x > 0)", "x * (dout > 0)"),
    ("relu", "backward: dx", "relu_mask_inverted", "dout * (x > 0)", "dout * (x < 0)"),
    ("relu", "backward: dx", "relu_upstream_ignored", "dout * (x > 0)", "1 * (x > 0)"),
    ("relu", "backward: dx", "relu_multiplied_by_activation", "dout * (x > 0)", "dout * np.maximum(x, 0)"),
    ("batch_norm", "forward: out", "bn_eps_outside_root", "std = np.sqrt(var + eps)", "std = np.sqrt(var) + eps"),
    (
        "batch_norm",
        "forward: out",
        "bn_variance_unbiased",
        "var = np.mean(xmu * xmu, axis=0)",
        "var = np.var(x, axis=0, ddof=1)",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_one_variance_for_all",
        "var = np.mean(xmu * xmu, axis=0)",
        "var = np.mean(xmu * xmu)",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_one_variance_for_all",
        "var = np.mean(xmu * xmu, axis=0)",
        "var = np.mean(xmu * xmu, axis=0)[0]",
    ),
    ("batch_norm", "forward: out", "bn_variance_for_std", "std = np.sqrt(var + eps)", "std = var + eps"),
    (
        "batch_norm",
        "forward: out",
        "bn_wrong_axis",
        "mu = np.mean(x, axis=0)\n    xmu = x - mu\n    var = np.mean(xmu * xmu, axis=0)",
        "mu = np.mean(x, axis=1, keepdims=True)\n    xmu = x - mu\n    var = np.mean(xmu * xmu, axis=1, keepdims=True)",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_variance_not_centered",
        "var = np.mean(xmu * xmu, axis=0)",
        "var = np.mean(x * x, axis=0)",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_gamma_forgotten",
        "out = gamma * xhat + beta\n    return out, (x",
        "out = xhat + beta\n    return out, (x",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_beta_forgotten",
        "out = gamma * xhat + beta\n    return out, (x",
        "out = gamma * xhat\n    return out, (x",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_ones_and_zeros",
        "out = gamma * xhat + beta\n    return out, (x",
        "out = xhat\n    return out, (x",
    ),
    ("batch_norm", "backward: dgamma", "bn_dgamma_from_x", "np.sum(dout * xhat, axis=0)", "np.sum(dout * x, axis=0)"),
    ("batch_norm", "backward: dgamma", "bn_dgamma_from_x", "np.sum(dout * xhat, axis=0)", "np.sum(dout * xmu, axis=0)"),
    (
        "batch_norm",
        "backward: dgamma",
        "bn_dgamma_averaged",
        "np.sum(dout * xhat, axis=0)",
        "np.mean(dout * xhat, axis=0)",
    ),
    (
        "batch_norm",
        "forward: out",
        "bn_beta_before_scaling",
        "out = gamma * xhat + beta\n    return out, (x",
        "out = gamma * (xhat + beta)\n    return out, (x",
    ),
    ("batch_norm", "forward: out", "bn_skipped", "out = gamma * xhat + beta\n", "out = x.copy()\n"),
    (
        "batch_norm",
        "backward: dgamma",
        "bn_parameter_gradient_sign",
        "np.sum(dout * xhat, axis=0)",
        "-np.sum(dout * xhat, axis=0)",
    ),
    (
        "batch_norm",
        "backward: dbeta",
        "bn_parameter_gradient_sign",
        "dbeta = np.sum(dout, axis=0)",
        "dbeta = -np.sum(dout, axis=0)",
    ),
    ("batch_norm", "backward: dgamma", "bn_dgamma_missing", "np.sum(dout * xhat, axis=0)", "np.zeros(len(gamma))"),
    (
        "batch_norm",
        "backward: dx",
        "bn_upstream_ignored",
        "dxhat = dout * gamma",
        "dxhat = np.ones(dout.shape) * gamma",
    ),
    ("batch_norm", "backward: dbeta", "bn_dbeta_averaged", "dbeta = np.sum(", "dbeta = np.mean("),
    (
        "batch_norm",
        "backward: dbeta",
        "bn_parameter_gradients_wrong_axis",
        "dbeta = np.sum(dout, axis=0)",
        "dbeta = np.sum(dout, axis=1)",
    ),
    ("batch_norm", "backward: dbeta", "bn_gradients_exchanged", "dgamma, dbeta\n", "dbeta, dgamma\n"),
    ("batch_norm", "backward: dx", "bn_gamma_missing_in_dx", "dxhat = dout * gamma", "dxhat = dout"),
    ("batch_norm", "backward: dx", "bn_statistics_constant", "return dx1 + dmu / N", "return dxmu1"),
    ("batch_norm", "backward: dx", "bn_mean_constant", "return dx1 + dmu / N", "return dx1"),
    ("batch_norm", "backward: dx", "bn_variance_constant", "dx1 = dxmu1 + dxmu2", "dx1 = dxmu1"),
    ("batch_norm", "backward: dx", "bn_mean_term_sign", "dmu = -np.sum", "dmu = np.sum"),
    ("batch_norm", "backward: dx", "bn_variance_term_sign", "dstd = -divar", "dstd = divar"),
    ("batch_norm", "backward: dx", "bn_variance_term_not_halved", "dvar = 0.5 *", "dvar ="),
    ("batch_norm", "backward: dx", "bn_variance_term_without_factor", "dvar = 0.5 *", "dvar = -1 *"),
    ("batch_norm", "backward: dx", "bn_direct_term_averaged", "return dx1 +", "return dxmu1 / N + dxmu2 +"),
    ("batch_norm", "backward: dx", "bn_variance_term_without_two", "2 * xmu * dvar", "xmu * dvar"),
    ("batch_norm", "backward: dx", "bn_variance_term_not_averaged", "* dvar / N", "* dvar"),
    ("batch_norm", "backward: dx", "bn_mean_term_not_averaged", "dmu / N", "dmu"),
    ("batch_norm", "backward: dx", "bn_variance_term_power", "-divar / std**2", "-divar / std"),
    ("batch_norm", "backward: dx", "bn_variance_term_unbiased", "* dvar / N", "* dvar / (N - 1)"),
    ("batch_norm", "backward: dx", "bn_x_for_x_hat", "np.sum(dxhat * xmu", "np.sum(dxhat * x"),
    ("batch_norm", "backward: dx", "bn_dout_for_dx_hat", "np.sum(dxhat * xmu", "np.sum(dout * xmu"),
    ("batch_norm", "backward: dx", "bn_variance_for_std_backward", "dxmu1 = dxhat / std", "dxmu1 = dxhat / std**2"),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_weights_alike",
        "0.9 * running_mean + 0.1 * mean\n    running_var = 0.9 * running_var + 0.1",
        "0.9 * running_mean + 0.9 * mean\n    running_var = 0.9 * running_var + 0.9",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "loss_of_every_class",
        "np.sum(log_probs[np.arange(n), y])",
        "np.sum(log_probs)",
    ),
    ("batch_norm", "backward: dx", "bn_inv_std_missing_in_dx", "dxmu1 = dxhat / std", "dxmu1 = dxhat"),
    ("batch_norm", "test mode: out", "test_sign", "return gamma * xhat + beta", "return gamma * xhat - beta"),
    ("batch_norm", "test mode: out", "test_sign", "return gamma * xhat + beta", "return beta - gamma * xhat"),
    ("batch_norm", "test mode: out", "test_sign", "(x - running_mean) / np", "(x + running_mean) / np"),
    *(
        (
            "batch_norm",
            f"running averages: running_{average}",
            name,
            f"running_{average} = 0.9 * running_{average} + 0.1 *",
            f"running_{average} = 0.9 * running_{average} {weight}",
        )
        for average in ("mean", "var")
        for name, weight in (("running_batch_subtracted", "- 0.1 *"), ("running_batch_without_weight", "+"))
    ),
    ("batch_norm", "test mode: out", "test_gamma_forgotten", "return gamma * xhat + beta", "return xhat + beta"),
    (
        "batch_norm",
        "test mode: out",
        "test_beta_before_scaling",
        "return gamma * xhat + beta",
        "return gamma * (xhat + beta)",
    ),
    ("batch_norm", "test mode: out", "test_beta_forgotten", "return gamma * xhat + beta", "return gamma * xhat"),
    ("batch_norm", "test mode: out", "test_ones_and_zeros", "return gamma * xhat + beta", "return xhat"),
    ("batch_norm", "test mode: out", "test_variance_for_std", "np.sqrt(running_var + 1e-5)", "(running_var + 1e-5)"),
    (
        "batch_norm",
        "test mode: out",
        "test_eps_outside_root",
        "np.sqrt(running_var + 1e-5)",
        "(np.sqrt(running_var) + 1e-5)",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_batch_statistics",
        "(x - running_mean) / np.sqrt(running_var + 1e-5)",
        "(x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_not_normalized",
        "(x - running_mean) / np.sqrt(running_var + 1e-5)",
        "x.copy()",
    ),
    ("batch_norm", "test mode: out", "test_mean_not_subtracted", "(x - running_mean) /", "x /"),
    (
        "batch_norm",
        "test mode: running averages",
        "running_advanced_by_evaluation",
        "return gamma * xhat + beta",
        "running_mean += 0.1 * (x.mean(0) - running_mean)\n    return gamma * xhat + beta",
    ),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_restart",
        "0.9 * running_mean + 0.1 * mean\n    running_var = 0.9 * running_var +",
        "0.1 * mean\n    running_var =",
    ),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_is_last_batch",
        "return running_mean, running_var",
        "return mean, var",
    ),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_not_advanced",
        "return running_mean, running_var",
        "return (running_mean - 0.1 * mean) / 0.9, (running_var - 0.1 * var) / 0.9",
    ),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_weights_exchanged",
        "0.9 * running_mean + 0.1 * mean\n    running_var = 0.9 * running_var + 0.1",
        "0.1 * running_mean + 0.9 * mean\n    running_var = 0.1 * running_var + 0.9",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_weights_exchanged",
        "0.9 * running_var + 0.1 * var",
        "0.1 * running_var + 0.9 * x.var(axis=0)",
    ),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_averages_exchanged",
        "mean, var = x.mean",
        "var, mean = x.mean",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_var_plus_eps",
        "x.var(axis=0) * n / (n - 1)",
        "x.var(axis=0) + 1e-5",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_std_for_var",
        "x.var(axis=0) * n / (n - 1)",
        "x.std(axis=0)",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_var_corrected_upside_down",
        "* n / (n - 1)",
        "* (n - 1) / n",
    ),
    ("dropout", "forward: out", "dropout_scaled_twice", "out = x * mask", "out = x * mask / (1 - p)"),
    ("dropout", "forward: out", "dropout_not_scaled", "> p) / (1 - p)", "> p)"),
    ("dropout", "forward: out", "dropout_scaled_by_wrong_probability", "> p) / (1 - p)", "> p) / p"),
    ("dropout", "forward: out", "dropout_multiplied", "> p) / (1 - p)", "> p) * (1 - p)"),
    ("dropout", "forward: mask", "dropout_never_applied", "return out, mask", "return x, mask"),
    ("dropout", "forward: mask", "dropout_p_keeps", "> p) / (1 - p)", "< p) / p"),
    ("dropout", "backward: dx", "dropout_gradient_not_masked", "return dout * mask", "return dout"),
    (
        "dropout",
        "test mode: out",
        "dropout_at_test_time",
        "    return x\n",
        "    return dropout_forward(x, _, np.random.default_rng(0))[0]\n",
    ),
    ("dropout", "test mode: out", "dropout_scaled_at_test_time", "    return x\n", "    return x * (1 - _)\n"),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "log10",
        "log_probs[np.arange(n), y]",
        "log_probs[np.arange(n), y] / np.log(10)",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "eps_in_log",
        "log_probs[np.arange(n), y]",
        "np.log(np.exp(log_probs[np.arange(n), y]) + 1e-8)",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "eps_in_log",
        "log_probs[np.arange(n), y]",
        "np.log(np.exp(log_probs[np.arange(n), y]) + 1e-15)",
    ),
    ("softmax_cross_entropy", "forward: loss", "softmax_not_normalized", "shifted - log_z", "shifted"),
    ("softmax_cross_entropy", "forward: loss", "loss_summed", "y]) / n\n", "y])\n"),
    ("softmax_cross_entropy", "forward: loss", "loss_fixed_batch_size", "y]) / n\n", "y]) / 100\n"),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "softmax_wrong_axis",
        "shifted - log_z",
        "logits - np.log(np.sum(np.exp(logits), axis=0))",
    ),
    (
        "dropout",
        "backward: dx",
        "dropout_gradient_other_mask",
        "    return dout * mask\n",
        "    return dout * (np.random.default_rng(dout.size).random(dout.shape) > 0.3) / 0.7\n",
    ),
    ("batch_norm", "forward: out", "bn_root_of_std", "var = np.mean(xmu * xmu, axis=0)", "var = np.std(x, axis=0)"),
    (
        "batch_norm",
        "test mode: out",
        "test_one_batch_statistic",
        "xhat = (x - running_mean)",
        "xhat = (x - x.mean(axis=0))",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_one_batch_statistic",
        "np.sqrt(running_var + 1e-5)",
        "np.sqrt(x.var(axis=0) + 1e-5)",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_mean_scaled_alone",
        "xhat = (x - running_mean) / np.sqrt(running_var + 1e-5)",
        "xhat = x - running_mean / np.sqrt(running_var + 1e-5)",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_mean_scaled_alone",
        "xhat = (x - running_mean) / np.sqrt(running_var + 1e-5)\n    return gamma * xhat + beta",
        "return gamma * x - running_mean / np.sqrt(running_var + 1e-5) + beta",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_beta_before_scaling",
        "xhat = (x - running_mean) / np.sqrt(running_var + 1e-5)\n    return gamma * xhat + beta",
        "return (gamma * (x - running_mean) + beta) / np.sqrt(running_var + 1e-5)",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_var_not_centered",
        "running_var = 0.9 * running_var + 0.1 * var",
        "running_var = 0.9 * running_var + 0.1 * (x**2).mean(axis=0)",
    ),
    ("batch_norm", "backward: dx", "bn_variance_term_power", "dstd = -divar / std**2", "dstd = -divar * std**-0.5"),
    (
        "batch_norm",
        "backward: dx",
        "bn_summed_over_everything",
        "divar = np.sum(dxhat * xmu, axis=0)\n    dxmu1 = dxhat / std\n    dstd = -divar / std**2",
        "dxmu1 = dxhat / std\n    dstd = -np.sum(dxhat * xmu / std**3) * std",
    ),
    ("batch_norm", "backward: dx", "bn_summed_over_everything", "dmu = -np.sum(dx1, axis=0)", "dmu = -np.sum(dx1)"),
    (
        "batch_norm",
        "backward: dx",
        "bn_bracket_missing",
        "return dx1 + dmu / N, dgamma",
        "return gamma / std * dout - dbeta / N - xhat * dgamma / N, dgamma",
    ),
    (
        "batch_norm",
        "backward: dx",
        "bn_bracket_missing",
        "return dx1 + dmu / N, dgamma",
        "return gamma / std / N * N * dout - dbeta - xhat * dgamma, dgamma",
    ),
    (
        "batch_norm",
        "backward: dx",
        "bn_dgamma_dbeta_exchanged_in_dx",
        "return dx1 + dmu / N, dgamma",
        "return gamma / std / N * (N * dout - dgamma - xhat * dbeta), dgamma",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "softmax_wrong_axis",
        "np.sum(np.exp(shifted), axis=1, keepdims=True)",
        "np.sum(np.exp(shifted))",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "log_missing",
        "loss = -np.sum(log_probs[np.arange(n), y]) / n",
        "loss = -np.sum(np.exp(log_probs)[np.arange(n), y]) / n",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "log_missing",
        "loss = -np.sum(log_probs[np.arange(n), y]) / n",
        "loss = 1 - np.sum(np.exp(log_probs)[np.arange(n), y]) / n",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "labels_of_all_images",
        "np.sum(log_probs[np.arange(n), y])",
        "np.sum(log_probs[:, y])",
    ),
    (
        "softmax_cross_entropy",
        "backward: dlogits",
        "labels_of_all_images",
        "dlogits[np.arange(n), y] -= 1",
        "dlogits[:, y] -= 1",
    ),
    (
        "softmax_cross_entropy",
        "backward: dlogits",
        "loss_gradient_label_not_averaged",
        "    dlogits[np.arange(n), y] -= 1\n    return dlogits / n",
        "    dlogits /= n\n    dlogits[np.arange(n), y] -= 1\n    return dlogits",
    ),
    (
        "batch_norm",
        "test mode: out",
        "test_gamma_beta_exchanged",
        "gamma * xhat + beta\n\n\ndef batch_norm_advance",
        "beta * xhat + gamma\n\n\ndef batch_norm_advance",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_mean_for_var",
        "running_var = 0.9 * running_var + 0.1 * var",
        "running_var = 0.9 * running_var + 0.1 * mean",
    ),
    (
        "batch_norm",
        "running averages: running_mean",
        "running_var_for_mean",
        "running_mean = 0.9 * running_mean + 0.1 * mean",
        "running_mean = 0.9 * running_mean + 0.1 * var",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_var_from_mean",
        "running_mean = 0.9 * running_mean + 0.1 * mean\n    running_var = 0.9 * running_var + 0.1 * var",
        "old, running_mean = running_mean, 0.9 * running_mean + 0.1 * mean\n    running_var = 0.9 * old + 0.1 * var",
    ),
    (
        "batch_norm",
        "running averages: running_var",
        "running_var_from_mean",
        "running_var = 0.9 * running_var + 0.1 * var",
        "running_var = running_mean.copy()",
    ),
    (
        "batch_norm",
        "backward: dx",
        "bn_mean_for_centered",
        "divar = np.sum(dxhat * xmu,",
        "divar = np.sum(dxhat * (x - xmu),",
    ),
    (
        "batch_norm",
        "backward: dx",
        "bn_mean_for_centered",
        "    dxmu2 = 2 * xmu * dvar / N\n    dx1 = dxmu1 + dxmu2\n    dmu = -np.sum(dx1, axis=0)\n",
        "    dxmu2 = 2 * x.mean(axis=0) * dvar / N\n    dx1 = dxmu1 + dxmu2\n"
        "    dmu = -np.sum(dxmu1, axis=0) - N * np.mean(dxmu2, axis=0)\n",
    ),
    (
        "batch_norm",
        "backward: dx",
        "bn_not_summed_over_batch",
        "return dx1 + dmu / N, dgamma",
        "return dxhat / std * (1 - 1 / N - xhat**2 / N), dgamma",
    ),
    (
        "batch_norm",
        "backward: dx",
        "bn_not_summed_over_batch",
        "divar = np.sum(dxhat * xmu, axis=0)",
        "divar = dxhat * xmu",
    ),
    ("batch_norm", "backward: dx", "bn_not_summed_over_batch", "dmu = -np.sum(dx1, axis=0)", "dmu = -dxmu1"),
    ("batch_norm", "backward: dx", "bn_not_summed_over_batch", "dmu = -np.sum(dx1, axis=0)", "dmu = -dx1"),
    ("dropout", "test mode: out", "dropout_relu_at_test_time", "    return x\n", "    return np.maximum(x, 0)\n"),
    (
        "softmax_cross_entropy",
        "forward: loss",
        "softmax_shifted_by_class_maxima",
        "np.max(logits, axis=1, keepdims=True)",
        "np.max(logits, axis=0)",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss, large class scores",
        "softmax_not_shifted",
        "logits - np.max(logits, axis=1, keepdims=True)",
        "logits",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss, large class scores",
        "softmax_shifted_by_batch_maximum",
        "np.max(logits, axis=1, keepdims=True)",
        "np.max(logits)",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss, large class scores",
        "log_of_softmax",
        "shifted - log_z",
        "np.log(np.exp(shifted) / np.exp(log_z))",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss, large class scores",
        "eps_in_log",
        "shifted - log_z",
        "np.log(np.exp(shifted - log_z) + 1e-22)",
    ),
    (
        "softmax_cross_entropy",
        "forward: loss, large class scores",
        "log_clipped",
        "shifted - log_z",
        "np.log(np.clip(np.exp(shifted - log_z), 1e-16, 1 - 1e-16))",
    ),
    ("softmax_cross_entropy", "backward: dlogits", "loss_gradient_summed", "return dlogits / n", "return dlogits"),
    (
        "softmax_cross_entropy",
        "backward: dlogits",
        "loss_gradient_fixed_batch_size",
        "return dlogits / n",
        "return dlogits / 100",
    ),
    ("softmax_cross_entropy", "backward: dlogits", "loss_gradient_sign", "return dlogits / n", "return -dlogits / n"),
    (
        "softmax_cross_entropy",
        "backward: dlogits",
        "loss_gradient_without_labels",
        "    dlogits[np.arange(n), y] -= 1\n",
        "",
    ),
    (
        "softmax_cross_entropy",
        "backward: dlogits",
        "loss_gradient_label_subtracted",
        "dlogits[np.arange(n), y] -= 1",
        "dlogits -= y[:, None]",
    ),
    (
        "softmax_cross_entropy",
        "backward: dlogits",
        "loss_gradient_label_added",
        "dlogits[np.arange(n), y] -= 1",
        "dlogits[np.arange(n), y] += 1",
    ),
]


def functions_of(operation, namespace):
    """What a namespace has for the operation, as `diagnose_operation` takes it."""
    parts = {"forward": "forward", "backward": "backward", "test": "test_forward", "advance": "advance"}
    return {
        argument: namespace[f"{operation}_{part}"]
        for part, argument in parts.items()
        if f"{operation}_{part}" in namespace
    }


def with_mistake(old, new):
    assert SOURCE.count(old) == 1, old
    namespace = {}
    exec(compile(SOURCE.replace(old, new), "<student with a mistake>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize(
    ("operation", "place", "name", "old", "new", "seed"),
    [
        pytest.param(
            *mistake,
            seed,
            id=f"{mistake[0]}-{mistake[2]}-{number}-{seed}",
            marks=[] if number % len(SEEDS) == seed else [pytest.mark.thorough],
        )
        for number, mistake in enumerate(MISTAKES)
        for seed in SEEDS
    ],
)
def test_a_planted_mistake_is_found_and_named(operation, place, name, old, new, seed):
    report = diagnose_operation(operation, **functions_of(operation, with_mistake(old, new)), seed=seed)
    assert report.findings[0].place == f"{operation} {place}"
    assert report.findings[0].mistake == name
    assert len(report.findings) == 1  # nothing that only follows from it
    extreme = place.endswith("large class scores")
    assert report.ok == extreme  # a remark there, everywhere else an accusation
    assert report.verdict == ("all right, with a remark" if extreme else "something is wrong")
    assert ("note: right at usual inputs, but" in str(report)) == extreme
    assert ("first wrong place" in str(report)) != extreme


def test_a_wrong_sign_without_a_name_is_described():
    report = diagnose_operation("relu", **functions_of("relu", with_mistake("dout * (x > 0)", "-dout * (x > 0)")))
    assert [(f.place, f.mistake) for f in report.findings] == [("relu backward: dx", None)]
    assert "it has the wrong sign" in report.findings[0].sentence


WITH_CONSTANTS = [  # another eps or momentum is a convention; it is a mistake only where these are said to be known
    ("test mode: out", "test_eps_missing", "np.sqrt(running_var + 1e-5)", "np.sqrt(running_var)"),
    (
        "running averages: running_mean",
        "running_advanced_twice",
        "    return running_mean, running_var\n",
        "    return 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var\n",
    ),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("place", "name", "old", "new"), WITH_CONSTANTS, ids=[m[1] for m in WITH_CONSTANTS])
def test_a_mistake_that_only_known_constants_tell_from_a_convention(place, name, old, new, seed):
    functions = functions_of("batch_norm", with_mistake(old, new))
    unsaid = diagnose_operation("batch_norm", **functions, seed=seed)
    assert unsaid.ok
    assert ("test mode: eps is next to 0 here; in training it is 1e-05" in unsaid.notes) == (name == "test_eps_missing")
    report = diagnose_operation("batch_norm", **functions, eps=1e-5, momentum=0.1, seed=seed)
    assert [(f.place, f.mistake) for f in report.findings] == [(f"batch_norm {place}", name)]


def test_what_raises_for_large_class_scores_alone_is_a_remark():
    def forward(logits, y):
        odds = [[math.exp(score) for score in row] for row in logits]  # OverflowError, where NumPy has inf
        return layers.softmax_cross_entropy_forward(np.log(odds), y)

    report = diagnose_operation("softmax_cross_entropy", **OURS["softmax_cross_entropy"] | {"forward": forward})
    assert report.ok, report
    assert "OverflowError" in str(report)
    assert [finding.place for finding in report.findings] == ["softmax_cross_entropy forward, large class scores"]


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("return dlogits / n", "return dlogits", "loss_gradient_summed"),
        ("return dlogits / n", "return np.tanh(dlogits) / n", None),
    ],
    ids=["named", "not named"],
)
@pytest.mark.parametrize(
    "log_probs", ["np.log(np.exp(shifted) / np.exp(log_z))", "np.where(shifted < -300, -300, shifted) - log_z"]
)
def test_a_remark_hides_no_mistake_and_comes_after_it(log_probs, old, new, name):
    text = SOURCE.replace("shifted - log_z", log_probs)
    namespace = {}
    exec(compile(text.replace(old, new), "<student with two mistakes>", "exec"), namespace)
    report = diagnose_operation("softmax_cross_entropy", **functions_of("softmax_cross_entropy", namespace))
    assert not report.ok
    assert report.findings[0].place == "softmax_cross_entropy backward: dlogits"
    assert report.findings[0].mistake == name


OURS = {
    "linear": {"forward": layers.linear_forward, "backward": layers.linear_backward},
    "relu": {"forward": layers.relu_forward, "backward": layers.relu_backward},
    "batch_norm": {
        "forward": layers.batch_norm_forward,
        "backward": layers.batch_norm_backward,
        "test_forward": layers.batch_norm_inference,
    },
    "softmax_cross_entropy": {
        "forward": layers.softmax_cross_entropy_forward,
        "backward": lambda cache: layers.softmax_cross_entropy_backward(1.0, cache),
    },
}


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(other, marks=pytest.mark.thorough) for other in range(2, 10))])
@pytest.mark.parametrize("operation", OURS)
def test_our_layers_are_right(operation, seed):
    report = diagnose_operation(operation, **OURS[operation], seed=seed)
    assert report.ok, report


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(other, marks=pytest.mark.thorough) for other in range(2, 10))])
@pytest.mark.parametrize("operation", [*OURS, "dropout"])
def test_the_student_is_right(operation, seed):
    report = diagnose_operation(operation, **functions_of(operation, vars(student_layers)), seed=seed)
    assert report.ok, report


def in_torch(function):
    """A torch function as a forward and a backward pass; the cache is torch's graph."""

    def forward(*arguments):
        inputs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arguments]
        out = function(*inputs)
        return out.detach().numpy(), (out, [value for value in inputs if value.requires_grad])

    def backward(*arguments):
        *dout, (out, inputs) = arguments
        gradients = torch.autograd.grad(out, inputs, *(torch.tensor(d) for d in dout))
        return tuple(gradient.numpy() for gradient in gradients) if len(inputs) > 1 else gradients[0].numpy()

    return {"forward": forward, "backward": backward}


TORCH = {
    "linear": in_torch(torch.nn.functional.linear),
    "relu": in_torch(torch.relu),
    "batch_norm": in_torch(
        lambda x, gamma, beta: torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True)
    ),
    "softmax_cross_entropy": in_torch(torch.nn.functional.cross_entropy),
}


@pytest.mark.parametrize("operation", TORCH)
def test_torch_is_right(operation):
    report = diagnose_operation(operation, **TORCH[operation])
    assert report.ok, report


def in_single(function):
    """The function in float32 throughout."""

    def single(*arguments):
        return function(*(a.astype(np.float32) if getattr(a, "dtype", None) == np.float64 else a for a in arguments))

    return single


@pytest.mark.parametrize("operation", OURS)
def test_float32_is_right_within_its_own_tolerance(operation):
    report = diagnose_operation(operation, **{part: in_single(f) for part, f in OURS[operation].items()})
    assert report.ok, report


SHORT_FORM = [  # dx in one line, of gamma, s = 1 / std, dout, x̂, dgamma, dbeta, N
    (None, "gamma * s / N * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_bracket_not_averaged", "gamma * s * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_bracket_not_averaged", "gamma * s / (N - 1) * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_gamma_missing_in_dx", "s / N * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_gamma_twice", "gamma**2 * s / N * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_gamma_twice", "gamma * s / N * (N * dout - dbeta - x_hat * gamma * dgamma)"),
    ("bn_inv_std_missing_in_dx", "gamma / N * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_multiplied_by_std", "gamma / s / N * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_variance_for_std_backward", "gamma * s**2 / N * (N * dout - dbeta - x_hat * dgamma)"),
    ("bn_direct_term_averaged", "gamma * s / N * (dout - dbeta - x_hat * dgamma)"),
    ("bn_mean_constant", "gamma * s / N * (N * dout - x_hat * dgamma)"),
    ("bn_variance_constant", "gamma * s / N * (N * dout - dbeta)"),
    ("bn_variance_term_half", "gamma * s / N * (N * dout - dbeta - dgamma)"),
    ("bn_variance_term_half", "gamma * s / N * (N * dout - dbeta - x_hat)"),
    ("bn_variance_term_power", "gamma * s / N * (N * dout - dbeta - x_hat * s**2 * dgamma)"),
    ("bn_eps_missing_backward", "gamma / np.sqrt(x.var(axis=0)) / N * (N * dout - dbeta - x_hat * dgamma)"),
    (
        "bn_eps_outside_root_backward",
        "gamma / (np.sqrt(x.var(axis=0)) + EPS) / N * (N * dout - dbeta - x_hat * dgamma)",
    ),
]


@pytest.mark.parametrize(("name", "dx"), SHORT_FORM, ids=[f"{m[0]}-{i}" for i, m in enumerate(SHORT_FORM)])
def test_a_mistake_in_the_short_form_of_batch_norms_gradient_is_named(name, dx):
    def forward(x, gamma, beta):
        s = 1 / np.sqrt(x.var(axis=0) + layers.BATCH_NORM_EPS)
        x_hat = (x - x.mean(axis=0)) * s
        return gamma * x_hat + beta, (x, x_hat, gamma, s)

    def backward(dout, cache):
        x, x_hat, gamma, s = cache
        dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
        values = {"x": x, "x_hat": x_hat, "gamma": gamma, "s": s, "dout": dout, "dgamma": dgamma, "dbeta": dbeta}
        return eval(dx, {"np": np, "EPS": layers.BATCH_NORM_EPS}, values | {"N": len(x)}), dgamma, dbeta

    report = diagnose_operation("batch_norm", forward, backward)
    assert [(f.place, f.mistake) for f in report.findings] == ([("batch_norm backward: dx", name)] if name else [])


def consistent(x, gamma, beta):
    """A wrong forward pass: one scale for all features."""
    centered = x - x.mean(axis=0)
    scale = np.abs(x).max() ** 0.5
    return gamma * centered / scale + beta, (x, gamma, scale)


def consistent_backward(dout, cache):
    """Its right derivative."""
    x, gamma, scale = cache
    centered, dcentered = x - x.mean(axis=0), dout * gamma / scale
    dscale = -(dout * gamma * centered).sum() / scale**2
    dx = dcentered - dcentered.mean(axis=0)
    largest = np.unravel_index(np.abs(x).argmax(), x.shape)
    dx[largest] += dscale * 0.5 / scale * np.sign(x[largest])
    return dx, (dout * centered / scale).sum(axis=0), dout.sum(axis=0)


def test_a_backward_pass_that_belongs_to_a_wrong_forward_pass_is_not_accused():
    report = diagnose_operation("batch_norm", consistent, consistent_backward)
    assert [finding.place for finding in report.findings] == ["batch_norm forward: out"]
    assert report.findings[0].mistake is None
    assert not report.unjudged


def linear(**changed):
    return {"forward": layers.linear_forward, "backward": layers.linear_backward} | changed


DROPOUT = {  # in both meanings of p
    "p drops": SOURCE,
    "p keeps": SOURCE.replace("> p) / (1 - p)", "< p) / p"),
}


@pytest.mark.parametrize(
    ("draw", "name", "words"),
    [
        ("rng.random((1, x.shape[1])) + 0 * x", "dropout_shared_draw", "every image has the same mask"),
        ("rng.random((len(x), 1)) + 0 * x", "dropout_shared_draw", "all units of an image"),
        ("np.random.default_rng(0).random(x.shape)", "dropout_same_mask", "every call has the same mask"),
    ],
    ids=["images", "units", "calls"],
)
def test_masks_that_are_no_independent_draws_are_named(draw, name, words):
    def forward(x, p, rng):
        mask = (eval(draw, {"np": np}, {"rng": rng, "x": x}) >= p) / (1 - p)
        return x * mask, mask

    report = diagnose_operation("dropout", forward=forward, backward=lambda dout, mask: dout * mask)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [("dropout forward: mask", name)]
    assert words in report.findings[0].sentence


@pytest.mark.parametrize("p", [0.3, 0.8])
@pytest.mark.parametrize("meaning", DROPOUT)
@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("", "", None),
        ("out = x * mask", "out = x * mask * mask", "dropout_scaled_twice"),
        ("return dout * mask", "return dout * (mask > 0)", "dropout_gradient_not_scaled"),
        ("    return x\n", "    return x / 2\n", "dropout_scaled_at_test_time"),
    ],
    ids=["right", "twice", "backward", "test time"],
)
def test_formulas_of_dropout_are_in_the_p_of_the_code(old, new, name, meaning, p):
    namespace, keeps = {}, meaning == "p keeps"
    exec(compile(DROPOUT[meaning].replace(old, new), "<dropout>", "exec"), namespace)
    report = diagnose_operation("dropout", **functions_of("dropout", namespace), p=p, p_keeps=keeps)
    assert [finding.mistake for finding in report.findings] == ([name] if name else [])
    assert name is None or ("(1 - p)" in str(report)) == (not keeps)


@pytest.mark.parametrize("meaning", DROPOUT)
def test_formulas_are_in_the_p_of_the_code_where_it_is_the_wrong_one_as_well(meaning):
    namespace, keeps = {}, meaning == "p keeps"
    exec(compile(DROPOUT[meaning].replace("out = x * mask", "out = x * mask * mask"), "<dropout>", "exec"), namespace)
    report = diagnose_operation("dropout", **functions_of("dropout", namespace), p=0.3, p_keeps=not keeps)
    wrong_p, scaled = report.findings
    assert (wrong_p.mistake, scaled.mistake) == ("dropout_p_keeps", "dropout_scaled_twice")
    assert wrong_p.formula == f"mask = rng.random(x.shape) {'>=' if keeps else '<'} p"
    assert scaled.formula == f"out = x mask / {'p' if keeps else '(1 - p)'}"


def raises(*_):
    raise ZeroDivisionError("division by zero")


def unfilled(*_):
    raise NotImplementedError


def backward_as(change):
    return lambda dout, cache: change(*layers.linear_backward(dout, cache))


@pytest.mark.parametrize(
    ("functions", "place", "mistake", "words"),
    [
        (linear(forward=raises), "linear forward", "raises", "ZeroDivisionError: division by zero"),
        (linear(forward=unfilled), "linear forward", "unfilled", "not written yet"),
        (linear(forward=lambda *_: None), "linear forward", "unfilled", "returns None"),
        (linear(forward=lambda x, W, b: x @ W.T + b), "linear forward", "wrong_type", "must return (out, cache)"),
        (linear(backward=raises), "linear backward", "raises", "ZeroDivisionError"),
        (linear(backward=backward_as(lambda dx, dW, _: (dx, dW))), "linear backward", "wrong_type", "(dx, dW, db)"),
        (linear(backward=backward_as(lambda dx, dW, _: (dx, dW, None))), "linear backward: db", "unfilled", "None"),
        (linear(backward=backward_as(lambda dx, dW, _: (dx, dW, "db"))), "linear backward: db", "wrong_type", "str"),
        (
            linear(backward=backward_as(lambda dx, dW, db: (dx, dW, db[None]))),
            "linear backward: db",
            "wrong_shape",
            "it must be",
        ),
    ],
    ids=["raises", "unfilled", "None", "no cache", "backward raises", "two of three", "None inside", "text", "(1, M)"],
)
def test_strange_functions_are_said_in_words(functions, place, mistake, words):
    report = diagnose_operation("linear", **functions)
    assert [(finding.place, finding.mistake) for finding in report.findings] == [(place, mistake)]
    assert words in report.findings[0].sentence


@pytest.mark.parametrize("told", [True, False])
def test_an_eps_that_was_told_is_not_noted(told):
    def forward(x, gamma, beta):
        return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3) + beta, None

    report = diagnose_operation("batch_norm", forward, eps=1e-3 if told else None)
    assert report.ok
    assert report.notes == ([] if told else ["eps is 0.001 here, where torch has 1e-05"])


def test_a_backward_pass_may_write_into_its_upstream_gradient():
    def backward(dout, mask):
        dout[~mask] = 0
        return dout

    assert diagnose_operation("relu", lambda x: (np.maximum(x, 0), x > 0), backward).ok


NORM = {"name": "batch_norm", "forward": layers.batch_norm_forward}
DROPS = {"name": "dropout", "forward": layers.dropout_forward}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "convolution", "forward": layers.relu_forward}, "one of linear, relu"),
        ({"name": "relu", "backward": layers.relu_backward}, "forward is missing"),
        ({"name": "relu"}, "at least one function"),
        ({"name": "relu", "test_forward": layers.relu_forward}, "test mode"),
        ({"name": "relu", "forward": layers.relu_forward, "p_keeps": True}, "p_keeps is given for relu"),
        ({"name": "relu", "forward": layers.relu_forward, "advance": layers.relu_forward}, "advance is given for relu"),
        ({"name": "relu", "forward": layers.relu_forward, "eps": 1e-5}, "eps is given for relu; only batch_norm"),
        ({**NORM, "eps": "a"}, "eps is 'a'; it must be a finite number of at least 0"),
        ({**NORM, "momentum": "a"}, "momentum is 'a'; it must be above 0 and below 1"),
        ({**NORM, "momentum": 1.0}, "momentum is 1.0; it must be above 0 and below 1"),
        ({**NORM, "seed": -1}, "seed is -1; it must be an integer"),
        *(({**DROPS, "p": p}, f"p is {p!r}; it must be above 0 and below 1") for p in ("a", 0, 1, 2, True)),
        ({**DROPS, "p_keeps": 1}, "p_keeps is 1; it must be True or False"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        diagnose_operation(**arguments)
