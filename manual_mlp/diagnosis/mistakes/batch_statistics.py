"""Mistakes of statistics that are measured anew for test time, over all images."""

from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in
from manual_mlp.layers import BATCH_NORM_MOMENTUM, Array

statistics = mistakes_in(
    "batch_statistics",
    "mean = E[mean_B], var = (E[var_B + mean_B²] - mean²) N/(N - 1), in training mode, a batch weighed by its images",
    "running-averages-and-test-time",
)


def running(old: Array, batches: Any) -> Array:
    for batch in batches:
        old = (1 - BATCH_NORM_MOMENTUM) * old + BATCH_NORM_MOMENTUM * batch
    return old


def unbiased_vars(v: Any) -> Array:
    return np.stack([x.var(axis=0) * len(x) / max(len(x) - 1, 1) for x in v.inputs])


BATCH_STATISTICS = [
    statistics(
        "statistics_means_forgotten",
        "the variance is the mean of the batches' variances: that the batches' means differ is forgotten",
        {"var": lambda v: v.shares @ v.vars},
        {"kept_var": lambda v: v.shares @ unbiased_vars(v)},
    ),
    statistics(
        "statistics_variance_of_means",
        "the variance is that of the batches' means alone: what varies within a batch is forgotten",
        {"var": lambda v: v.shares @ v.means**2 - v.mean**2},
        {"kept_var": lambda v: v.means.var(axis=0)},
    ),
    statistics(
        "statistics_mean_not_taken_away",
        "it is the mean square: the square of the mean is not taken away",
        {"var": lambda v: v.shares @ (v.vars + v.means**2)},
    ),
    statistics(
        "statistics_unbiased_batches",
        "the variance of each batch is made unbiased; only that of all images is",
        {"kept_var": lambda v: v.shares @ (unbiased_vars(v) + v.means**2) - v.mean**2},
        {"kept_var": lambda v: (v.shares @ (unbiased_vars(v) + v.means**2) - v.mean**2) * v.unbiased},
    ),
    statistics(
        "statistics_in_test_mode",
        "the layers before it run in test mode, with their old statistics",
        {"inputs": lambda v: v.testing},
    ),
    statistics(
        "statistics_of_outputs",
        "they are the statistics of what batch normalization puts out, not of what goes in",
        {"inputs": lambda v: v.outputs},
    ),
    statistics(
        "statistics_of_one_batch",
        "they are those of one batch, the last or the first, not of all images",
        {"inputs": lambda v: v.training[-1:]},
        {"inputs": lambda v: v.training[:1]},
    ),
    statistics(
        "statistics_last_batch_lost",
        "the last, smaller batch is lost",
        {"inputs": lambda v: [x for x in v.training if len(x) == len(v.training[0])]},
    ),
    statistics(
        "statistics_unweighed",
        "every batch counts alike, the last, smaller one too",
        {"shares": lambda v: np.full(len(v.inputs), 1 / len(v.inputs))},
    ),
    statistics(
        "statistics_running",
        "it is a running average, in which the last batches count most",
        {
            "kept_mean": lambda v: running(v.old_mean, v.means),
            "kept_var": lambda v: running(v.old_var, unbiased_vars(v)),
        },
        {"kept_mean": lambda v: running(v.old_mean, v.means), "kept_var": lambda v: running(v.old_var, v.vars)},
        {
            "kept_mean": lambda v: running(v.means[0], v.means[1:]),
            "kept_var": lambda v: running(unbiased_vars(v)[0], unbiased_vars(v)[1:]),
        },
        {
            "kept_mean": lambda v: running(v.means[0], v.means[1:]),
            "kept_var": lambda v: running(v.vars[0], v.vars[1:]),
        },
    ),
    statistics(
        "statistics_not_averaged",
        "the batches' statistics are added up, and not divided by their number",
        {"kept_mean": lambda v: v.means.sum(axis=0), "kept_var": lambda v: v.vars.sum(axis=0)},
        {"kept_mean": lambda v: v.means.sum(axis=0), "kept_var": lambda v: unbiased_vars(v).sum(axis=0)},
    ),
    statistics(
        "statistics_std",
        "the standard deviation is kept for the variance",
        {"kept_var": lambda v: np.sqrt(v.var * v.unbiased)},
        {"kept_var": lambda v: np.sqrt(v.var)},
    ),
    statistics(
        "statistics_exchanged",
        "mean and variance have each other's place",
        {"kept_mean": lambda v: v.var * v.unbiased, "kept_var": lambda v: v.mean},
        {"kept_mean": lambda v: v.var, "kept_var": lambda v: v.mean},
    ),
    statistics(
        "statistics_not_replaced",
        "the old statistics are still there",
        {"kept_mean": lambda v: v.old_mean, "kept_var": lambda v: v.old_var},
        {"kept_mean": lambda v: v.old_mean},
        {"kept_var": lambda v: v.old_var},
    ),
]
