"""Numbers of operations that this package's network has not, beside the right ones and those of known mistakes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis.differences import close, described
from manual_mlp.diagnosis.precision import SINGLE, size
from manual_mlp.diagnosis.report import Finding
from manual_mlp.layers import Array

Known = Mapping[str, Any]  # what a mistake makes instead, by the sentence that names it


def judged(
    program: Program, name: str, place: str, mine: Any, right: Any, known: Known, formula: str = ""
) -> Finding | None:
    """A finding where `mine`, returned by their function `name`, is not right."""
    right = np.asarray(right, dtype=np.float64)
    scale = size(right)
    try:
        array = program.guard.array(name, place, mine, None)
        for sentence, other in known.items():
            if close(array, np.asarray(other, dtype=np.float64), scale, SINGLE):
                return Finding(place, sentence, "known", formula=formula)
        array = program.guard.array(name, place, mine, right.shape)
    except Failed as failed:
        return failed_at(place, failed)
    if close(array, right, scale, SINGLE):
        return None
    pair: list[tuple[Array, Array, float, Mapping[str, float]]] = [(array, right, scale, {})]
    return Finding(place, described(pair, pair, SINGLE), formula=formula)


def failed_at(place: str, failed: Failed) -> Finding:
    return Finding(place, str(failed), "unfilled" if failed.kind in ("unfilled", "empty") else "raises")
