"""An update rule with its state beside the textbook: plain, momentum, RMSprop, Adam."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from manual_mlp.diagnosis.explain import Comparison, Numbers, Planted, explain, lines_at
from manual_mlp.diagnosis.mistakes.update_rules import UPDATE_RULES
from manual_mlp.diagnosis.operations import EPS, EXACT, SINGLE, measured_eps
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers, unpacked
from manual_mlp.diagnosis.textbook import Values, compute
from manual_mlp.layers import Array

STEPS = 5
SHAPE = (4, 5)
SETTINGS: dict[str, dict[str, Any]] = {  # none at a default but eps, which many write as a number
    "sgd": {"learning_rate": 0.07},
    "sgd_momentum": {"learning_rate": 0.07, "momentum": 0.8},
    "rmsprop": {"learning_rate": 0.07, "decay_rate": 0.9, "epsilon": 1e-8},
    "adam": {"learning_rate": 0.07, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-8, "t": 0},
}
STATES = {"sgd": (), "sgd_momentum": ("velocity",), "rmsprop": ("cache",), "adam": ("m", "v", "t")}
THEIR_NAMES = {"learning_rate": "eta", "momentum": "mu", "decay_rate": "decay", "epsilon": "eps"}


def diagnose_update_rule(name: str, rule: Callable[..., Any]) -> Report:
    """Is this update rule right over several steps with its own state, and if not, what is wrong?

    name   "sgd", "sgd_momentum", "rmsprop" or "adam"
    rule   (w, dw, config) -> next w, config, as in CS231n's optim.py. config holds learning_rate, momentum, decay_rate,
           beta1, beta2, epsilon and, for Adam, t = 0 at first; whatever the rule puts in there comes back in the next
           step. Momentum finds a velocity in it, the other states begin at 0.
    """
    if name not in SETTINGS:
        raise ValueError(f"name is {name!r}; it must be one of {', '.join(SETTINGS)}")
    rng = np.random.default_rng(6)
    velocity = rng.normal(size=SHAPE)
    weights, gradients = rng.normal(size=(2, STEPS, *SHAPE))
    config = {**SETTINGS[name], **({"velocity": velocity.copy()} if name == "sgd_momentum" else {})}
    broken: list[Finding] = []
    observed: dict[str, Array] = {}
    single = False
    for step, (w, dw) in enumerate(zip(weights, gradients, strict=True), start=1):
        place = place_of(name, step)
        try:
            answer, config = unpacked(place, call(place, rule, w, dw, config), ("next w", "config"))
            if not isinstance(config, dict):
                raise Unusable(place, "wrong_type", "it returns no config; the next step needs its state")
            after, reshaped = numbers(place, answer, SHAPE)
            if after.shape != SHAPE:
                raise Unusable(place, "wrong_shape", f"its shape is {after.shape}, it must be w's, {SHAPE}")
            observed[place], single = w - after, single or after.dtype == np.float32
        except Unusable as unusable:
            broken.append(unusable.finding)
            break
        broken += [reshaped] if reshaped is not None and not broken else []

    def predict(planted: Sequence[Planted], _: int, eps: float | None = None) -> Numbers:
        lines = lines_at(planted)
        state = {key: np.zeros(SHAPE) if key != "t" else 0 for key in STATES[name]}
        state |= {"velocity": velocity} if "velocity" in state else {}
        settings = {THEIR_NAMES.get(key, key): value for key, value in SETTINGS[name].items() if key != "t"}
        settings |= {"eps": eps} if eps is not None else {}
        steps = {}
        for step, dw in enumerate(gradients, start=1):
            v = compute(name, "forward", Values(gradient=dw, **settings, **state), lines)
            steps[place_of(name, step)] = v.step
            state = {key: getattr(v, f"kept_{key}") for key in state}
        return steps

    scales = {place: float(np.abs(step).max()) for place, step in predict((), 0).items()}
    titles = {place: place for place in scales}
    tolerance = SINGLE if single else EXACT

    def comparison_at(eps: float) -> Comparison:
        return Comparison(
            list(scales), [observed], [scales], lambda plan, n: predict(plan, n, eps), tolerance, titles, [{}]
        )

    given = SETTINGS[name].get("epsilon")
    eps, comparison = measured_eps(comparison_at, list(dict.fromkeys((given, *EPS))) if given else (0.0,))
    candidates = [Planted(m, variant) for m in UPDATE_RULES if m.operations == {name} for variant in m.variants]
    findings, agreeing, unjudged = explain(comparison, candidates)
    notes = [f"eps is {eps:g} here, whatever config['epsilon'] says"] if given and eps != given else []
    return Report(name, [*broken, *findings], agreeing, unjudged, notes)


def place_of(name: str, step: int) -> str:
    return f"{name}: update {step}"
