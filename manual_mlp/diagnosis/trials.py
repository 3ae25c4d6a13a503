"""Random problems for one operation, what the user's code makes of them, and the comparison with the textbook."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from manual_mlp.diagnosis.catalogue import mistakes_of
from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.precision import size, tolerance_for
from manual_mlp.diagnosis.report import Finding
from manual_mlp.diagnosis.strangers import Unusable, numbers
from manual_mlp.diagnosis.textbook import OPERATIONS, Values, compute
from manual_mlp.layers import Array

BATCHES = (5, 100, 12)  # numbers of images; 100 is the one that is written into many programs


@dataclass(frozen=True)
class Signature:
    """What goes into an operation, and what comes out in which order."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    gradients: Sequence[str]
    upstream: bool = True  # the backward pass is handed dout


SIGNATURES = {
    "linear": Signature(("x", "W", "b"), ("out",), ("dx", "dW", "db")),
    "relu": Signature(("x",), ("out",), ("dx",)),
    "batch_norm": Signature(("x", "gamma", "beta"), ("out",), ("dx", "dgamma", "dbeta")),
    "dropout": Signature(("x", "p", "rng"), ("out",), ("dx",)),
    "softmax_cross_entropy": Signature(("logits", "y"), ("loss",), ("dlogits",), upstream=False),
}


def problem(name: str, n: int, rng: np.random.Generator, p: float) -> Values:
    """Random inputs that hide nothing: gammas off 1 and of both signs, betas off 0, no ReLU at its corner, features of
    very different scales, images that are classified with confidence and wrongly.
    """
    d, m = rng.choice(np.arange(3, 8), 2, replace=False)  # never alike, so that a transposed matrix does not fit
    v = Values(n=n)
    match name:
        case "linear":
            v.x, v.W, v.b = rng.normal(size=(n, d)), rng.normal(size=(m, d)), rng.normal(size=m)
            v.dout = rng.normal(size=(n, m))
        case "relu":
            v.x = rng.uniform(0.1, 2, (n, d)) * rng.choice([-1, 1], (n, d))
            v.dout = rng.normal(size=(n, d))
            v.slope = 0.0
        case "batch_norm" | "batch_norm_test" | "running_average":
            v.x = rng.normal(size=(n, d)) * np.geomspace(0.02, 2, d) + rng.normal(size=d)
            v.gamma = rng.uniform(0.5, 1.5, d) * rng.choice([-1, 1], d)
            v.beta = rng.normal(size=d)
            v.running_mean, v.running_var = rng.normal(size=d), rng.permutation(np.geomspace(0.002, 2, d))
            v.dout = rng.normal(size=(n, d))
        case "dropout":
            v.x = rng.uniform(0.5, 2, (n, 50 * d)) * rng.choice([-1, 1], (n, 50 * d))
            v.dout, v.p, v.rng = rng.normal(size=v.x.shape), p, rng
        case "softmax_cross_entropy":
            v.logits = rng.normal(0, 2, (n, d))
            v.y = rng.integers(0, d, n)
            v.y[:2] = 0, d - 1
            v.s = 0.0
            v.logits[0, 0] -= 25  # a right class of probability near 1e-11: nothing added to it goes unnoticed
    return v


@dataclass
class Trial:
    """One problem and what the user's code made of it, by the names of the textbook's lines."""

    v: Values
    observed: dict[str, Array]
    extreme: str = ""  # what is extreme about the problem, for the place's title: whatever is wrong there is a remark


def say(trial: Trial, broken: dict[str, Finding], finding: Finding) -> None:
    """Once for each place; of an extreme problem only what was not said of a usual one."""
    if finding.place not in broken:
        place = finding.place + trial.extreme
        broken.setdefault(place, replace(finding, place=place))


def keep(trial: Trial, broken: dict[str, Finding], part: str, results: Iterable[tuple[str, Any]]) -> None:
    for line, value in results:
        place = f"{part}: {line}"
        try:
            trial.observed[line], reshaped = numbers(place, value, shape_of(line, trial.v))
        except Unusable as unusable:
            say(trial, broken, unusable.finding)
            continue
        if reshaped is not None:
            say(trial, broken, reshaped)


def shape_of(line: str, v: Values) -> tuple[int, ...]:
    """A gradient has the shape of what it is the gradient of."""
    if line == "out":
        return np.shape(v.dout)
    return np.shape(getattr(v, line[1:])) if line.startswith("d") else ()


def textbook(name: str, v: Values, planted: Sequence[Planted], eps: float) -> Values:
    """The operation on this problem, with the planted lines."""
    lines = lines_at(planted)
    v = Values(**vars(v), eps=eps)
    compute(name, "forward", v, lines)
    return compute(name, "backward", v, lines)


def comparison_of(name: str, trials: Sequence[Trial], eps: float, own: Sequence[Numbers] = ()) -> Comparison:
    signature = SIGNATURES.get(name, Signature((), tuple(OPERATIONS[name].forward), ()))
    lines = [*signature.outputs, *(line for line in OPERATIONS[name].backward if line in signature.gradients)]
    extremes = list(dict.fromkeys(trial.extreme for trial in trials))  # after all that is usual
    titles: dict[str, str] = {}
    forward = frozenset(line + extreme for line in signature.outputs for extreme in extremes)
    for extreme in extremes:
        for line in lines:
            part = "forward" if line in signature.outputs else "backward"
            titles[line + extreme] = f"{name} {part}: {line}{extreme}"

    def predict(planted: Sequence[Planted], number: int) -> Numbers:
        v, extreme = textbook(name, trials[number].v, planted, eps), trials[number].extreme
        return {line + extreme: np.asarray(getattr(v, line)) for line in lines}

    observed = [{line + t.extreme: array for line, array in t.observed.items()} for t in trials]
    return Comparison(
        list(titles),
        observed,
        [{place: size(array) for place, array in predict((), number).items()} for number in range(len(trials))],
        predict,
        tolerance_for(observed),
        titles,
        [{"n": float(trial.v.n)} for trial in trials],
        forward,
        alternative=[{line + t.extreme: array for line, array in o.items()} for o, t in zip(own, trials, strict=True)]
        if own
        else (),
    )


def candidates_of(name: str) -> list[Planted]:
    """Every variant of every mistake that can be made in this operation."""
    return [Planted(mistake, variant) for mistake in mistakes_of([name]) for variant in mistake.variants]
