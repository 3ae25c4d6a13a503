"""Mistakes of the gradients of gamma and beta."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import known
from manual_mlp.diagnosis.textbook import Line


def simplified(v: Any) -> Any:
    """dx in the form that uses dgamma and dbeta: a wrong one of these spoils it."""
    n = len(v.x)
    return v.gamma * v.inv_std * (v.dout - v.dbeta / n - v.x_hat * v.dgamma / n)


def either_form(**lines: Line) -> tuple[Mapping[str, Line], ...]:
    """A wrong dgamma or dbeta leaves dx right in one of its two forms, and spoils it in the other."""
    planted = {f"batch_norm.{line}": formula for line, formula in lines.items()}
    return planted, planted | {"batch_norm.dx": simplified}


def over_all_features() -> tuple[Mapping[str, Line], ...]:
    """Summed over the features, too, or averaged over them: one number for all of them, or the same for each."""
    lines: list[Mapping[str, Line]] = []
    for averages, repeats in itertools.product((False, True), (True, False)):

        def dbeta(v: Any, products: Any = None, averages: bool = averages, repeats: bool = repeats) -> Any:
            terms = v.dout if products is None else products
            number = terms.sum() / (len(v.beta) if averages else 1)
            return np.full(len(v.beta), number) if repeats else number

        def dgamma(v: Any, dbeta: Any = dbeta) -> Any:
            return dbeta(v, v.dout * v.x_hat)

        both: dict[str, Line] = {"batch_norm.dgamma": dgamma, "batch_norm.dbeta": dbeta}
        lines += [{name: both[name]} for name in both] + [both]
    return tuple(lines)


BATCH_NORM_PARAMETERS = [
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
        *over_all_features(),
    ),
    known(
        "bn_parameter_gradient_sign",
        "the gradient of gamma or of beta has the wrong sign",
        "dgamma = Σₙ dout[n] x̂[n], dbeta = Σₙ dout[n]",
        "batch-normalization",
        *either_form(dgamma=lambda v: -(v.dout * v.x_hat).sum(axis=0)),
        *either_form(dbeta=lambda v: -v.dout.sum(axis=0)),
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
]
