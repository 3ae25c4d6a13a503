"""Mistakes of batch normalization's running averages and of its test mode."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import known
from manual_mlp.diagnosis.textbook import Line


def of_either_average(average: Callable[[Any, Any, float], Any]) -> list[dict[str, Line]]:
    """This average of the old running value and the new batch's, in both running averages or in one of them."""
    mean: dict[str, Line] = {"running_average.new_mean": lambda v: average(v.running_mean, v.mean, v.momentum)}
    var: dict[str, Line] = {"running_average.new_var": lambda v: average(v.running_var, v.var, v.momentum)}
    return [{**mean, **var}, mean, var]


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
        "test_beta_before_scaling",
        "at test time beta is added before the scaling, which then scales beta, too",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * ((v.x - v.running_mean) * v.inv_std + v.beta)},
        {"batch_norm_test.out": lambda v: v.gamma * (v.x - v.running_mean + v.beta) * v.inv_std},
        {"batch_norm_test.out": lambda v: (v.gamma * (v.x - v.running_mean) + v.beta) * v.inv_std},
        {"batch_norm_test.out": lambda v: v.gamma * (v.x - v.running_mean + v.beta) / v.running_var},
    ),
    known(
        "test_gamma_beta_exchanged",
        "gamma and beta are exchanged at test time",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.beta * (v.x - v.running_mean) * v.inv_std + v.gamma},
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
        "test_one_batch_statistic",
        "at test time the mean or the variance is the batch's own instead of the running average",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * (v.x - v.x.mean(axis=0)) * v.inv_std + v.beta},
        {"batch_norm_test.inv_std": lambda v: 1 / np.sqrt(v.x.var(axis=0) + v.eps)},
    ),
    known(
        "test_mean_scaled_alone",
        "at test time parentheses are missing: the running mean alone is divided, x is not",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * v.x - v.running_mean * v.inv_std + v.beta},
        {"batch_norm_test.out": lambda v: v.gamma * (v.x - v.running_mean * v.inv_std) + v.beta},
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
        "test_sign",
        "at test time a sign is wrong: of the running mean, which is subtracted, of gamma or of beta, which is added",
        "out = gamma (x - running_mean) / √(running_var + eps) + beta",
        "batch-normalization",
        {"batch_norm_test.out": lambda v: v.gamma * (v.x + v.running_mean) * v.inv_std + v.beta},
        {"batch_norm_test.out": lambda v: v.gamma * (v.x - v.running_mean) * v.inv_std - v.beta},
        {"batch_norm_test.out": lambda v: v.gamma * (v.running_mean - v.x) * v.inv_std + v.beta},
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
        "running_weights_alike",
        "old average and new batch have the same weight: the two do not add up to 1",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        *(
            {name: line for name, line in weighed.items() if name in places}
            for weighed in (
                {
                    "running_average.new_mean": lambda v: v.momentum * (v.running_mean + v.mean),
                    "running_average.new_var": lambda v: v.momentum * (v.running_var + v.var),
                },
                {
                    "running_average.new_mean": lambda v: (1 - v.momentum) * (v.running_mean + v.mean),
                    "running_average.new_var": lambda v: (1 - v.momentum) * (v.running_var + v.var),
                },
            )
            for places in (weighed.keys(), {"running_average.new_mean"}, {"running_average.new_var"})
        ),
    ),
    known(
        "running_batch_subtracted",
        "the new batch is subtracted from the old average instead of added",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        *of_either_average(lambda old, new, momentum: (1 - momentum) * old - momentum * new),
    ),
    known(
        "running_batch_without_weight",
        "the new batch has no weight, so that the running averages grow: the two weights do not add up to 1",
        "running = (1 - momentum) running + momentum batch",
        "batch-normalization",
        *of_either_average(lambda old, new, momentum: (1 - momentum) * old + new),
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
    known(
        "running_var_not_centered",
        "the running variance takes the mean of the squares, from which the mean was not subtracted",
        "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
        "batch-normalization",
        {"running_average.var": lambda v: (v.x**2).mean(axis=0)},
    ),
    known(
        "running_mean_for_var",
        "the running variance takes the batch's mean",
        "running_mean takes the batch's mean, running_var its variance",
        "batch-normalization",
        {"running_average.var": lambda v: v.mean},
    ),
    known(
        "running_var_for_mean",
        "the running mean takes the batch's variance",
        "running_mean takes the batch's mean, running_var its variance",
        "batch-normalization",
        {"running_average.mean": lambda v: v.x.var(axis=0)},
        {"running_average.mean": lambda v: v.x.var(axis=0, ddof=1)},
    ),
    known(
        "running_var_from_mean",
        "the new running variance is made from the old running mean",
        "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
        "batch-normalization",
        {"running_average.new_var": lambda v: (1 - v.momentum) * v.running_mean + v.momentum * v.var},
        {"running_average.new_var": lambda v: v.new_mean},
    ),
]

BIASED_RUNNING_VARIANCE = known(  # no mistake: CS231n's and the course's convention
    "running_var_biased",
    "the running variance takes the batch's biased variance",
    "running_var = (1 - momentum) running_var + momentum var N/(N - 1)",
    "batch-normalization",
    {"running_average.var": lambda v: v.x.var(axis=0)},
)
