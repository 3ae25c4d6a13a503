"""The schedules that may be meant, and the ways in which each is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from manual_mlp.diagnosis.mistakes.decays import DECAYS
from manual_mlp.diagnosis.mistakes.mistake import Mistake
from manual_mlp.diagnosis.mistakes.schedule import SCHEDULE
from manual_mlp.diagnosis.textbook import Line

KindName = Literal["cyclical", "linear", "cosine", "one-cycle"]


@dataclass(frozen=True)
class Kind:
    """operation: its table in the textbook. forms: lines that are as right as the textbook's, by what is said of them;
    the first is the textbook's own.
    """

    title: str
    operation: str
    arguments: Sequence[str]
    mistakes: Sequence[Mistake]
    forms: Mapping[str, Mapping[str, Line]]


def decay(title: str, operation: str, *settings: str, **others: Mapping[str, Line]) -> Kind:
    """In each of them the last update, T - 1, may have eta_min already; and it may move once an epoch."""
    forms: dict[str, Mapping[str, Line]] = {
        "": {},
        "eta_min falls on the last update instead of after it: T - 1 intervals": {
            "part": lambda v: v.t / (v.updates - 1)
        },
        "eta changes once an epoch": {"t": lambda v: v.step // v.updates_per_epoch * v.updates_per_epoch},
        "eta changes once an epoch, and is eta_min in the last one": {
            "part": lambda v: v.step // v.updates_per_epoch / (v.updates / v.updates_per_epoch - 1)
        },
        **others,
    }
    mistakes = [mistake for mistake in DECAYS if mistake.operations == {operation}]
    arguments = ("updates", "eta_max", "eta_min", *settings)
    return Kind(title, operation, arguments, mistakes, written_in(operation, forms))


def written_in(operation: str, forms: Mapping[str, Mapping[str, Line]]) -> dict[str, Mapping[str, Line]]:
    return {note: {f"{operation}.{line}": formula for line, formula in lines.items()} for note, lines in forms.items()}


WHOLE_UPDATES: dict[str, dict[str, Line]] = {
    "the warm-up takes whole updates, rounded down": {"top": lambda v: np.floor(v.warmup * v.updates) / v.updates},
    "the warm-up takes whole updates, rounded up": {"top": lambda v: np.ceil(v.warmup * v.updates) / v.updates},
}
STRAIGHT: dict[str, Line] = {
    "height": lambda v: np.where(v.part < v.top, 1 - v.below, (1 + np.cos(np.pi * v.below)) / 2)
}
STRAIGHT_WARMUPS: dict[str, dict[str, Line]] = {
    "the warm-up is a straight line": STRAIGHT,
    "the warm-up is a straight line from 0": {
        **STRAIGHT,
        "eta": lambda v: v.height * v.eta_max + np.where(v.part < v.top, 0, (1 - v.height) * v.eta_min),
    },
    "the warm-up is a straight line that hides the beginning of a cosine decay, as in timm": {
        **STRAIGHT,
        "fall": lambda v: v.part,
    },
}

KINDS: dict[KindName, Kind] = {
    "cyclical": Kind(
        "the triangular policy",
        "schedule",
        ("n_s", "eta_min", "eta_max", "annealing"),
        SCHEDULE,
        written_in(
            "schedule",
            {
                "": {},
                "annealing lowers eta_max itself, not its height over eta_min": {
                    "eta": lambda v: (
                        v.eta_min + v.height * (v.eta_max * v.annealing ** (v.t // (2 * v.n_s)) - v.eta_min)
                    )
                },
            },
        ),
    ),
    "linear": decay("a linear decay", "linear_decay"),
    "cosine": decay("a cosine decay", "cosine_decay"),
    "one-cycle": decay(
        "one cycle",
        "one_cycle",
        "warmup",
        **{
            "as torch's OneCycleLR counts it, eta_min falls on the last update, eta_max one before warmup T": {
                "part": lambda v: v.t / (v.updates - 1),
                "top": lambda v: (v.warmup * v.updates - 1) / (v.updates - 1),
            },
            **WHOLE_UPDATES,
            **STRAIGHT_WARMUPS,
            **{
                f"{straight}; {whole}": {**lines, **top}
                for straight, lines in STRAIGHT_WARMUPS.items()
                for whole, top in WHOLE_UPDATES.items()
            },
        },
    ),
}
