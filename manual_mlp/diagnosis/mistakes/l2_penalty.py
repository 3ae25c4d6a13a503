"""Mistakes of the L2 penalty, in the cost and in the gradient."""

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in

penalty = mistakes_in("l2_penalty", "l2 Σ W², gradient 2 l2 W, weights alone", "l2-penalty", network=True)

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
        "penalty_without_l2",
        "the penalty is not multiplied by l2",
        {"penalty": lambda v: (v.W**2).sum(), "on_W": lambda v: 2 * v.W},
        {"penalty": lambda v: (v.W**2).sum()},
        {"on_W": lambda v: 2 * v.W},
    ),
    penalty(
        "penalty_l2_squared",
        "l2 is squared as well as the weights",
        {"penalty": lambda v: v.l2**2 * (v.W**2).sum(), "on_W": lambda v: 2 * v.l2**2 * v.W},
        {"penalty": lambda v: v.l2**2 * (v.W**2).sum()},
        {"on_W": lambda v: 2 * v.l2**2 * v.W},
    ),
    penalty(
        "penalty_hard_coded",
        "l2 is a number that is written into the program, whatever it is given",
        {"penalty": lambda v: v.own_l2 * (v.W**2).sum(), "on_W": lambda v: 2 * v.own_l2 * v.W},
        {"on_W": lambda v: 2 * v.own_l2 * v.W},
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
        {"on_W": lambda v: 4 * v.l2 * v.W},
    ),
    penalty(
        "penalty_twice_in_cost",
        "the penalty in the cost is twice what its gradient belongs to: it is counted twice, or lacks a factor 1/2",
        {"penalty": lambda v: 2 * v.l2 * (v.W**2).sum()},
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
        "penalty_subtracted",
        "the penalty is subtracted from the loss instead of added",
        {"penalty": lambda v: -v.l2 * (v.W**2).sum(), "on_W": lambda v: -2 * v.l2 * v.W},
        {"penalty": lambda v: -v.l2 * (v.W**2).sum()},
    ),
    penalty(
        "penalty_sign",
        "the gradient of the penalty has the wrong sign",
        {"on_W": lambda v: -2 * v.l2 * v.W},
    ),
]

PENALTY_OF_BATCH_NORM = [  # can only be made where gamma and beta are
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
]
