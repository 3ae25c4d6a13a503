"""Learning rates as pure functions of the update number, counted from 0."""

import math

from manual_mlp.checks import checked_fraction, checked_integer, checked_number


def cyclical_learning_rate(
    step: int, step_size: int = 500, eta_min: float = 1e-5, eta_max: float = 1e-1, annealing: float = 1.0
) -> float:
    """The triangular policy: `step_size` updates up from eta_min to eta_max, as many down, and again.

        eta = eta_min + (1 - |t / step_size - 1|) (eta_max - eta_min),  t = step mod (2 step_size)

    `step_size` is the course's n_s, so a cycle has 2 n_s updates; eta_max falls on step = n_s, not one before it.
    From cycle to cycle the height over eta_min is multiplied by `annealing`; 1/2 is the policy triangular2.
    Source: Smith 2017, "Cyclical learning rates for training neural networks".
    """
    step, step_size = checked_integer("step", step, minimum=0), checked_integer("step_size", step_size, minimum=1)
    eta_min, eta_max = checked_range(eta_min, eta_max)
    annealing = checked_number("annealing", annealing, minimum=0)
    if not 0 < annealing <= 1:
        raise ValueError(f"annealing is {annealing}; it must be above 0 and at most 1, which leaves every cycle alike")
    cycle = step // (2 * step_size)
    t = step % (2 * step_size)
    height = annealing**cycle * (1 - abs(t / step_size - 1))  # 0 at the ends of a cycle, 1 in the first one's middle
    return eta_min + height * (eta_max - eta_min)


def linear_decay(step: int, updates: int, eta_max: float, eta_min: float = 0.0) -> float:
    """From eta_max at step 0 straight down to eta_min, which is reached after all updates."""
    eta_min, eta_max = checked_range(eta_min, eta_max)
    return eta_min + (1 - done(step, updates)) * (eta_max - eta_min)


def cosine_decay(step: int, updates: int, eta_max: float, eta_min: float = 0.0) -> float:
    """From eta_max at step 0 down to eta_min after all updates, along half a cosine: slowly at both ends.

        eta = eta_min + (1 + cos(pi step / updates)) / 2 (eta_max - eta_min)

    Source: Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts"; here without restarts.
    """
    eta_min, eta_max = checked_range(eta_min, eta_max)
    return eta_min + (1 + math.cos(math.pi * done(step, updates))) / 2 * (eta_max - eta_min)


def one_cycle(step: int, updates: int, eta_max: float, warmup: float = 0.3, eta_min: float = 0.0) -> float:
    """Up from eta_min to eta_max in the first `warmup` of the updates, down to eta_min in the rest, along half a cosine
    each.

    Source: Smith and Topin 2019, "Super-convergence", in the form of torch's OneCycleLR, whose total_steps is
    updates + 1: it counts eta_min after the last update too.
    """
    eta_min, eta_max = checked_range(eta_min, eta_max)
    warmup, part = checked_fraction("warmup", warmup), done(step, updates)
    below = 1 - part / warmup if part < warmup else (part - warmup) / (1 - warmup)  # 1 at the ends, 0 at eta_max
    return eta_min + (1 + math.cos(math.pi * below)) / 2 * (eta_max - eta_min)


def done(step: int, updates: int) -> float:
    """The part of all updates that lies behind, 0 to 1."""
    step, updates = checked_integer("step", step, minimum=0), checked_integer("updates", updates, minimum=1)
    if step > updates:
        raise ValueError(f"step is {step}, beyond the {updates} updates of this schedule")
    return step / updates


def checked_range(eta_min: float, eta_max: float) -> tuple[float, float]:
    eta_min, eta_max = checked_number("eta_min", eta_min, minimum=0), checked_number("eta_max", eta_max, minimum=0)
    if eta_min > eta_max:
        raise ValueError(f"eta_min is {eta_min}, above eta_max, {eta_max}; lower the one or raise the other")
    return eta_min, eta_max
