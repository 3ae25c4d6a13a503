"""The scale of the first weights: every weight of a layer is drawn from N(0, std^2).

Biases start at 0, gamma at 1, beta at 0.
"""

import math

from manual_mlp.checks import checked_number


def he(fan_in: int) -> float:
    """std = sqrt(2 / fan_in): keeps the variance of the activations through layers of ReLU, which zero half of them.

    Source: He et al. 2015, equation 10.
    """
    return math.sqrt(2 / fan_in)


def xavier(fan_in: int) -> float:
    """std = sqrt(1 / fan_in): keeps the variance through linear layers; the course's "Xavier" (assignment 2).

    torch's `xavier_normal_` is Glorot's average of both directions, sqrt(2 / (fan_in + fan_out)).
    """
    return math.sqrt(1 / fan_in)


def weight_std(initializer: str | float, fan_in: int) -> float:
    """The std for a layer of `fan_in` inputs; a number is sigma itself, the same in every layer."""
    match initializer:
        case "he":
            return he(fan_in)
        case "xavier":
            return xavier(fan_in)
        case str():
            raise ValueError(f'initializer is {initializer!r}; it must be "he", "xavier" or a number sigma')
    return checked_number("initializer", initializer, minimum=0) + 0.0  # of -0.0 numpy says that it is below 0
