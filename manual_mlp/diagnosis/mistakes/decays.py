"""Mistakes of the schedules that know their number of updates: linear decay, cosine decay, one cycle."""

from collections.abc import Callable

import numpy as np

from manual_mlp.diagnosis.mistakes.mistake import Mistake, mistakes_in

linear = mistakes_in("linear_decay", "eta = eta_min + (1 - t/T) (eta_max - eta_min), t from 0", "learning-rate")
cosine = mistakes_in(
    "cosine_decay", "eta = eta_min + (1 + cos(pi t/T)) / 2 (eta_max - eta_min), t from 0", "learning-rate"
)
one_cycle = mistakes_in(
    "one_cycle",
    "eta = eta_min + (1 + cos(pi b)) / 2 (eta_max - eta_min), t from 0; b = 1 - t/(w T) in the warm-up, the first w of "
    "all updates, then (t/T - w) / (1 - w)",
    "learning-rate",
)


def in_any(mistake: Callable[..., Mistake], kind: str) -> list[Mistake]:
    """What can go wrong with each of them."""
    return [
        mistake(
            f"{kind}_one_early", "it runs one update ahead: it begins with the second rate", {"t": lambda v: v.step + 1}
        ),
        mistake(
            f"{kind}_one_late",
            "it runs one update behind",
            {"t": lambda v: np.maximum(v.step - 1, 0)},
            {"t": lambda v: v.step - 1},
        ),
        mistake(
            f"{kind}_per_epoch",
            "it is stepped per epoch, while its length is counted in updates: it hardly moves",
            {"t": lambda v: v.step // v.updates_per_epoch},
            {"t": lambda v: v.step // v.updates_per_epoch + 1},
        ),
        mistake(
            f"{kind}_length_in_epochs",
            "its length is counted in epochs, while it is stepped per update: it is over after a few of them",
            {"part": lambda v: v.t / (v.updates / v.updates_per_epoch)},
            {"part": lambda v: np.minimum(v.t / (v.updates / v.updates_per_epoch), 1)},
        ),
        mistake(
            f"{kind}_twice_as_fast",
            "it has run through after half of the updates",
            {"part": lambda v: 2 * v.t / v.updates},
            {"part": lambda v: np.minimum(2 * v.t / v.updates, 1)},
            {"part": lambda v: 2 * v.t / v.updates % 1},
        ),
        mistake(
            f"{kind}_half_as_fast",
            "after all updates it has run through half of its course only",
            {"part": lambda v: v.t / v.updates / 2},
        ),
        mistake(
            f"{kind}_minimum_forgotten",
            "it ends at 0 instead of eta_min",
            {"eta": lambda v: v.height * v.eta_max},
            {"eta": lambda v: v.height * (v.eta_max - v.eta_min)},
        ),
        mistake(
            f"{kind}_minimum_not_subtracted",
            "eta_min is not subtracted from the height: it goes beyond eta_max",
            {"eta": lambda v: v.eta_min + v.height * v.eta_max},
        ),
        mistake(
            f"{kind}_bounds_exchanged",
            "it is upside down: eta_min and eta_max are exchanged, or a sign is wrong",
            {"eta": lambda v: v.eta_max + v.height * (v.eta_min - v.eta_max)},
        ),
        mistake(
            f"{kind}_constant",
            "it does not change",
            {"eta": lambda v: v.eta_max + 0 * v.height},
            {"eta": lambda v: v.eta_min + 0 * v.height},
        ),
        mistake(
            f"{kind}_geometric",
            "it falls by the same factor in every update",
            {"eta": lambda v: v.eta_max * (v.eta_min / v.eta_max) ** v.part},
        ),
    ]


DECAYS = [
    *in_any(linear, "linear_decay"),
    linear(
        "linear_decay_cosine",
        "it follows half a cosine instead of a straight line",
        {"height": lambda v: (1 + np.cos(np.pi * v.part)) / 2},
    ),
    *in_any(cosine, "cosine_decay"),
    cosine(
        "cosine_decay_straight",
        "it follows a straight line instead of half a cosine",
        {"height": lambda v: 1 - v.part},
    ),
    cosine(
        "cosine_decay_quarter",
        "it follows a quarter of a cosine: it is steep at the end, where it should be flat",
        {"height": lambda v: np.cos(np.pi / 2 * v.part)},
    ),
    cosine(
        "cosine_decay_without_half",
        "the half is missing: 1 + cos goes from 2 to 0, so it begins at twice the height",
        {"height": lambda v: 1 + np.cos(np.pi * v.part)},
    ),
    cosine(
        "cosine_decay_without_one",
        "the 1 is missing: the cosine alone falls below 0",
        {"height": lambda v: np.cos(np.pi * v.part)},
        {"height": lambda v: np.cos(np.pi * v.part) / 2},
    ),
    cosine(
        "cosine_decay_without_pi",
        "pi is missing: the cosine is not half through",
        {"height": lambda v: (1 + np.cos(v.part)) / 2},
    ),
    *in_any(one_cycle, "one_cycle"),
    one_cycle(
        "one_cycle_straight",
        "it follows straight lines instead of half cosines",
        {"height": lambda v: 1 - v.below},
    ),
    one_cycle("one_cycle_without_warmup", "there is no warm-up: it begins at eta_max", {"top": lambda _: 0.0}),
    one_cycle(
        "one_cycle_warmup_exchanged",
        "the warm-up takes as long as the rest should",
        {"top": lambda v: 1 - v.warmup},
    ),
    one_cycle("one_cycle_in_the_middle", "the peak stands in the middle", {"top": lambda _: 0.5}),
    one_cycle(
        "one_cycle_fall_offset",
        "the fall is counted from the first update instead of from the peak, or not over the rest of the updates",
        {"fall": lambda v: v.part},
        {"fall": lambda v: v.part - v.top},
        {"fall": lambda v: v.part / (1 - v.top)},
        {"fall": lambda v: np.minimum(v.part / (1 - v.top), 1)},
    ),
    one_cycle(
        "one_cycle_falls_to_zero",
        "it falls to 0 instead of to eta_min",
        {
            "eta": lambda v: np.where(
                v.part < v.top, v.eta_min + v.height * (v.eta_max - v.eta_min), v.height * v.eta_max
            )
        },
    ),
    one_cycle(
        "one_cycle_rises_from_zero",
        "it rises from 0 instead of from eta_min",
        {
            "eta": lambda v: np.where(
                v.part < v.top, v.height * v.eta_max, v.eta_min + v.height * (v.eta_max - v.eta_min)
            )
        },
    ),
    one_cycle("one_cycle_stays", "it stays at eta_max after the warm-up", {"fall": lambda v: 0 * v.part}),
    one_cycle(
        "one_cycle_other_start",
        "it starts at eta_max / 25 (torch's div_factor) instead of at eta_min",
        *(
            {
                "eta": lambda v, last=last: (
                    (low := np.where(v.part < v.top, v.eta_max / 25, last(v))) + v.height * (v.eta_max - low)
                )
            }
            for last in (lambda v: v.eta_min, lambda v: v.eta_max / 25e4)
        ),
    ),
]
