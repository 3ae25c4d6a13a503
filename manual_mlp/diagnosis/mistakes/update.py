"""Mistakes of an update."""

import numpy as np

from manual_mlp.diagnosis.mistakes.adam import of_the_decay
from manual_mlp.diagnosis.mistakes.mistake import known, mistakes_in

adamw = mistakes_in(
    "adamw_update",
    "in the first step W -= eta g / (|g| + eps) + eta decay W; biases, gamma and beta do not decay",
    "adam",
)

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
        {"update.penalty": lambda v: (2 * v.l2 or v.weight_l2) * v.value},
    ),
]

ADAMW_UPDATE = [
    adamw("adamw_update_never", "it is never updated", {"step": lambda v: 0 * v.value}),
    adamw(
        "adamw_update_ascent",
        "the step is added instead of subtracted",
        {"direction": lambda v: -v.seen / (np.abs(v.seen) + v.eps)},
    ),
    *of_the_decay(adamw, "adamw_update"),
    adamw(
        "adamw_update_decays_others",
        "biases, gamma or beta decay, too",
        {"decay": lambda v: v.eta * v.decay_of_weights * v.value},
        {"decay": lambda v: v.decay_of_weights * v.value},
    ),
    adamw(
        "adamw_update_not_corrected",
        "the bias correction is missing (with beta1 = 0.9, beta2 = 0.999): the first step is three times too long",
        {"direction": lambda v: 0.1 * v.seen / (np.sqrt(0.001) * np.abs(v.seen) + v.eps)},
    ),
]
