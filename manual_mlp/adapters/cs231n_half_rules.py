"""CS231n's update rules that keep their state right or wrong and do not compute next_w yet: the step that would follow
is taken for them, so that the state is judged by it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.adapters.unfilled import HALF_DONE
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import NOT_COMPUTED
from manual_mlp.diagnosis.textbook import Line, Values
from manual_mlp.layers import Array


def momentum_step(v: Values) -> Any:
    """In the direction that its new part of the velocity tells."""
    new = v.velocity - v.momentum * v.before["velocity"]
    return v.velocity if np.vdot(new, v.dw) < 0 else -v.velocity


def rmsprop_step(v: Values) -> Any:
    return -v.learning_rate * v.dw / (np.sqrt(v.cache) + v.epsilon)


def adam_step(v: Values) -> Any:
    m, mean_square = v.m / (1 - v.beta1**v.t), v.v / (1 - v.beta2**v.t)
    return -v.learning_rate * m / (np.sqrt(mean_square) + v.epsilon)


STEPS: dict[str, tuple[tuple[str, ...], Line]] = {  # by what state, and how
    "sgd_momentum": (("velocity",), momentum_step),
    "rmsprop": (("cache",), rmsprop_step),
    "adam": (("m", "v"), adam_step),
}


class Unfinished:
    """One rule while it is asked; `missing` is what it was found not to compute."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: tuple[str, ...] = STEPS[name][0] if name in STEPS else ()
        self.missing: list[str] = []

    def finished(self, w: Array, dw: Array, before: Mapping[str, Any], answer: Any) -> Any:
        """The answer with the step that its state stands for, in place of None."""
        if answer[0] is not None or not self.state or not isinstance(answer[1], dict):
            return answer
        config = answer[1]
        unmoved = [key for key in self.state if key not in config or np.array_equal(before.get(key, 0), config[key])]
        self.missing = [*unmoved, "next_w"]
        if unmoved or (self.name == "adam" and not config.get("t")):
            return answer
        return w + STEPS[self.name][1](Values(**config, dw=dw, before=before)), config

    def said(self, report: Report) -> Report:
        """The report on the state, and that next_w is missing."""
        if not self.missing:
            return report
        sentence = NOT_COMPUTED if self.missing == ["next_w"] else "they are not computed yet"
        missing = Finding(f"{self.name}: {', '.join(self.missing)}", sentence, HALF_DONE)
        if len(self.missing) > 1:
            return Report(report.subject, [missing])
        right = [f"{self.name}: {key}" for key in self.state] if report.ok else []
        return replace(report, findings=[*report.findings, missing], agreeing=right)
