"""Mistakes of the gradient check itself."""

from manual_mlp.diagnosis.mistakes.mistake import mistakes_in

numerical = mistakes_in(
    "numerical",
    "(cost(value + h) - cost(value - h)) / 2h, in training mode, the value restored afterwards",
    "gradient-check",
)

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
