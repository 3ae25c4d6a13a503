"""Mistakes of Adam, with and without decoupled weight decay."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import Mistake, mistakes_in
from manual_mlp.diagnosis.textbook import Line

MOMENTS = (
    "t = t + 1, m = beta1 m + (1 - beta1) dw, v = beta2 v + (1 - beta2) dw², all kept as they are; "
    "w - eta m / (1 - beta1^t) / (√(v / (1 - beta2^t)) + eps)"
)
EPS_INSIDE_ROOT = "eps is added inside the root, where 1e-8 counts like 1e-4 outside of it: small gradients move less"
adam = mistakes_in("adam", MOMENTS, "adam")
adamw = mistakes_in("adamw", f"{MOMENTS} - eta decay w", "adam")


def mean_not_averaged(v: Any) -> Any:
    return v.beta1 * v.m + v.seen


def square_not_averaged(v: Any) -> Any:
    return v.beta2 * v.v + v.seen**2


def with_beta1(number: float) -> dict[str, Line]:
    return {
        "mean": lambda v: number * v.m + (1 - number) * v.seen,
        "m_hat": lambda v: v.mean / (1 - number**v.count),
    }


def with_beta2(number: float) -> dict[str, Line]:
    return {
        "mean_square": lambda v: number * v.v + (1 - number) * v.seen**2,
        "v_hat": lambda v: v.mean_square / (1 - number**v.count),
    }


def with_exponent(number: int) -> list[dict[str, Line]]:
    """The bias correction of both moments, or of one of them, as if this were step `number`."""
    m_hat: dict[str, Line] = {"m_hat": lambda v: v.mean / (1 - v.beta1**number)}
    v_hat: dict[str, Line] = {"v_hat": lambda v: v.mean_square / (1 - v.beta2**number)}
    return [{**m_hat, **v_hat}, m_hat, v_hat]


def of_the_moments(mistake: Callable[..., Mistake], rule: str) -> list[Mistake]:
    return [
        mistake(
            f"{rule}_keeps_corrected",
            "m and v, or one of them, are kept with the bias correction, and are corrected again in the next step",
            {"kept_m": lambda v: v.m_hat, "kept_v": lambda v: v.v_hat},
            {"kept_m": lambda v: v.m_hat},
            {"kept_v": lambda v: v.v_hat},
        ),
        mistake(
            f"{rule}_t_from_0",
            "t is used before it is advanced: in the first step the correction divides by 1 - beta^0 = 0",
            {"count": lambda v: v.t, "kept_t": lambda v: v.t + 1},
            {"count": lambda v: v.t},
        ),
        mistake(
            f"{rule}_t_not_advanced",
            "t is not advanced: every step is corrected like the first",
            {"kept_t": lambda v: v.t},
        ),
        mistake(
            f"{rule}_not_corrected",
            "the bias correction is missing, of m and v or of one of them",
            {"m_hat": lambda v: v.mean, "v_hat": lambda v: v.mean_square},
            {"m_hat": lambda v: v.mean},
            {"v_hat": lambda v: v.mean_square},
        ),
        mistake(
            f"{rule}_exponent_fixed",
            "the bias correction has no exponent, or a number, where t belongs: it is right in one step alone",
            *with_exponent(1),
            *with_exponent(2),
        ),
        mistake(
            f"{rule}_correction_multiplied",
            "m or v is multiplied by 1 - beta^t instead of divided by it",
            {
                "m_hat": lambda v: v.mean * (1 - v.beta1**v.count),
                "v_hat": lambda v: v.mean_square * (1 - v.beta2**v.count),
            },
            {"m_hat": lambda v: v.mean * (1 - v.beta1**v.count)},
            {"v_hat": lambda v: v.mean_square * (1 - v.beta2**v.count)},
        ),
        mistake(
            f"{rule}_corrected_by_a_product",
            "the bias correction has beta times t where beta to the power of t belongs",
            {
                "m_hat": lambda v: v.mean / (1 - v.beta1 * v.count),
                "v_hat": lambda v: v.mean_square / (1 - v.beta2 * v.count),
            },
            {"m_hat": lambda v: v.mean / (1 - v.beta1 * v.count)},
            {"v_hat": lambda v: v.mean_square / (1 - v.beta2 * v.count)},
        ),
        mistake(
            f"{rule}_eps_inside_root",
            EPS_INSIDE_ROOT,
            {"direction": lambda v: v.m_hat / np.sqrt(v.v_hat + v.eps)},
        ),
        mistake(
            f"{rule}_root_missing",
            "the root is missing: m is divided by v",
            {"direction": lambda v: v.m_hat / (v.v_hat + v.eps)},
        ),
        mistake(
            f"{rule}_betas_exchanged",
            "beta1 and beta2 are exchanged, or one stands in both places",
            {
                "mean": lambda v: v.beta2 * v.m + (1 - v.beta2) * v.seen,
                "mean_square": lambda v: v.beta1 * v.v + (1 - v.beta1) * v.seen**2,
                "m_hat": lambda v: v.mean / (1 - v.beta2**v.count),
                "v_hat": lambda v: v.mean_square / (1 - v.beta1**v.count),
            },
            {
                "m_hat": lambda v: v.mean / (1 - v.beta2**v.count),
                "v_hat": lambda v: v.mean_square / (1 - v.beta1**v.count),
            },
            {"m_hat": lambda v: v.mean / (1 - v.beta2**v.count)},
            {"v_hat": lambda v: v.mean_square / (1 - v.beta1**v.count)},
        ),
        mistake(
            f"{rule}_weights_exchanged",
            "old average and new value have each other's weight, in m or in v",
            {"mean": lambda v: (1 - v.beta1) * v.m + v.beta1 * v.seen},
            {"mean_square": lambda v: (1 - v.beta2) * v.v + v.beta2 * v.seen**2},
            {
                "mean": lambda v: (1 - v.beta1) * v.m + v.beta1 * v.seen,
                "mean_square": lambda v: (1 - v.beta2) * v.v + v.beta2 * v.seen**2,
            },
        ),
        mistake(
            f"{rule}_betas_fixed",
            "beta1 and beta2 are written as the usual numbers, 0.9 and 0.999, or one of them is, whatever is asked for",
            *({**with_beta1(0.9), **with_beta2(number)} for number in (0.999, 0.99)),
            with_beta1(0.9),
            *(with_beta2(number) for number in (0.999, 0.99)),
        ),
        mistake(
            f"{rule}_not_averaged",
            "the factor 1 - beta is missing in m or v",
            {"mean": mean_not_averaged},
            {"mean_square": square_not_averaged},
            {"mean": mean_not_averaged, "mean_square": square_not_averaged},
        ),
        mistake(
            f"{rule}_neither_averaged_nor_corrected",
            "the factor 1 - beta is missing in m or v, and so is the bias correction",
            {"mean": mean_not_averaged, "m_hat": lambda v: v.mean},
            {"mean_square": square_not_averaged, "v_hat": lambda v: v.mean_square},
            *(
                {**moments, "m_hat": lambda v: v.mean, "v_hat": lambda v: v.mean_square}
                for moments in (
                    {"mean": mean_not_averaged},
                    {"mean_square": square_not_averaged},
                    {"mean": mean_not_averaged, "mean_square": square_not_averaged},
                )
            ),
        ),
        mistake(
            f"{rule}_not_squared",
            "the gradient is not squared in v",
            {"mean_square": lambda v: v.beta2 * v.v + (1 - v.beta2) * v.seen},
        ),
        mistake(
            f"{rule}_v_not_computed",
            "v stays at 0: the squared gradient is never averaged, and m is divided by eps alone",
            {"mean_square": lambda v: v.v},
        ),
        mistake(
            f"{rule}_square_of_mean",
            "v averages the square of m instead of the gradient's",
            {"mean_square": lambda v: v.beta2 * v.v + (1 - v.beta2) * v.mean**2},
            {"mean_square": lambda v: v.beta2 * v.v + (1 - v.beta2) * (v.mean / (1 - v.beta1**v.count)) ** 2},
        ),
        mistake(
            f"{rule}_forgets",
            "m or v are not kept",
            {"kept_m": lambda v: v.m, "kept_v": lambda v: v.v},
            {"kept_m": lambda v: v.m},
            {"kept_v": lambda v: v.v},
        ),
        mistake(
            f"{rule}_ascends",
            "the step is added: the cost goes up",
            {"direction": lambda v: -v.m_hat / (np.sqrt(v.v_hat) + v.eps)},
        ),
    ]


def of_the_decay(mistake: Callable[..., Mistake], rule: str) -> list[Mistake]:
    """What AdamW's decay may be instead, in the rule itself and in what its first step makes of a network."""
    return [
        mistake(
            f"{rule}_decay_in_gradient",
            "the decay is part of the gradient and goes through both moments: it is Adam with an l2 penalty",
            {"seen": lambda v: v.gradient + v.weight_decay * v.value, "decay": lambda v: 0 * v.value},
            {"seen": lambda v: v.gradient + 2 * v.weight_decay * v.value, "decay": lambda v: 0 * v.value},
        ),
        mistake(
            f"{rule}_decay_not_times_eta",
            "the decay is not multiplied by eta",
            {"decay": lambda v: v.weight_decay * v.value},
        ),
        mistake(f"{rule}_decay_missing", "the weights do not decay", {"decay": lambda v: 0 * v.value}),
        mistake(
            f"{rule}_decay_sign",
            "the decay makes the weights grow: it has the wrong sign",
            {"decay": lambda v: -v.eta * v.weight_decay * v.value},
        ),
        mistake(
            f"{rule}_decay_with_two",
            "the decay has a factor 2, as the gradient of an l2 penalty has",
            {"decay": lambda v: 2 * v.eta * v.weight_decay * v.value},
        ),
    ]


ADAM = [
    *of_the_moments(adam, "adam"),
    *of_the_moments(adamw, "adamw"),
    *of_the_decay(adamw, "adamw"),
    adamw(
        "adamw_decay_twice",
        "the weights decay twice: beside the step and through the gradient",
        {"seen": lambda v: v.gradient + v.weight_decay * v.value},
        {"seen": lambda v: v.gradient + 2 * v.weight_decay * v.value},
    ),
    adamw(
        "adamw_decay_divided_by_root",
        "the decay is divided by the root with m; it stands beside the step",
        {"decay": lambda v: v.eta * v.weight_decay * v.value / (np.sqrt(v.v_hat) + v.eps)},
    ),
    adamw(
        "adamw_decay_of_gradient",
        "the decay is taken of the gradient instead of the weight",
        {"decay": lambda v: v.eta * v.weight_decay * v.gradient},
    ),
    adamw(
        "adamw_decay_replaces_weight",
        "the weight is multiplied by eta decay instead of by 1 - eta decay",
        {"decay": lambda v: (1 - v.eta * v.weight_decay) * v.value},
    ),
]
