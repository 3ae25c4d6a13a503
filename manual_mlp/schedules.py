"""Learning rates as pure functions of the update number, counted from 0."""

from manual_mlp.checks import checked_integer, checked_number


def cyclical_learning_rate(step: int, step_size: int = 500, eta_min: float = 1e-5, eta_max: float = 1e-1) -> float:
    """The triangular policy: `step_size` updates up from eta_min to eta_max, as many down, and again.

        eta = eta_min + (1 - |t / step_size - 1|) (eta_max - eta_min),  t = step mod (2 step_size)

    `step_size` is the course's n_s, so a cycle has 2 n_s updates; eta_max falls on step = n_s, not one before it.
    Source: Smith 2017, "Cyclical learning rates for training neural networks".
    """
    step, step_size = checked_integer("step", step, minimum=0), checked_integer("step_size", step_size, minimum=1)
    eta_min, eta_max = checked_number("eta_min", eta_min, minimum=0), checked_number("eta_max", eta_max, minimum=0)
    if eta_min > eta_max:
        raise ValueError(f"eta_min is {eta_min}, above eta_max, {eta_max}; it must be at most eta_max")
    t = step % (2 * step_size)
    height = 1 - abs(t / step_size - 1)  # 0 at the ends of a cycle, 1 in its middle
    return eta_min + height * (eta_max - eta_min)
