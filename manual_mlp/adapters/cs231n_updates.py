"""CS231n's update rules (optim.py): sgd, momentum, rmsprop, adam, each for three steps with its own state."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array


def sgd(w: Array, dw: Array, c: dict[str, Any]) -> Any:
    return w - c["learning_rate"] * dw


def sgd_momentum(w: Array, dw: Array, c: dict[str, Any]) -> Any:
    c["velocity"] = c["momentum"] * c.get("velocity", 0 * w) - c["learning_rate"] * dw
    return w + c["velocity"]


def rmsprop(w: Array, dw: Array, c: dict[str, Any]) -> Any:
    c["cache"] = c["decay_rate"] * c.get("cache", 0 * w) + (1 - c["decay_rate"]) * dw**2
    return w - c["learning_rate"] * dw / (np.sqrt(c["cache"]) + c["epsilon"])


def adam(w: Array, dw: Array, c: dict[str, Any]) -> Any:
    c["t"] = c.get("t", 0) + 1
    c["m"] = c["beta1"] * c.get("m", 0 * w) + (1 - c["beta1"]) * dw
    c["v"] = c["beta2"] * c.get("v", 0 * w) + (1 - c["beta2"]) * dw**2
    m, v = c["m"] / (1 - c["beta1"] ** c["t"]), c["v"] / (1 - c["beta2"] ** c["t"])
    return w - c["learning_rate"] * m / (np.sqrt(v) + c["epsilon"])


RULES = {"sgd": sgd, "sgd_momentum": sgd_momentum, "rmsprop": rmsprop, "adam": adam}
FORMULAS = {
    "sgd": "w - eta * dw",
    "sgd_momentum": "v = mu * v - eta * dw; w + v",
    "rmsprop": "cache = decay * cache + (1 - decay) * dw^2; w - eta * dw / (sqrt(cache) + eps)",
    "adam": "t += 1; m, v averaged; w - eta * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.07},
    "sgd_momentum": {"learning_rate": 0.07, "momentum": 0.8},
    "rmsprop": {"learning_rate": 0.07, "decay_rate": 0.9, "epsilon": 1e-8},
    "adam": {"learning_rate": 0.07, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-8, "t": 0},
}
WRONG_UPDATES: dict[str, list[tuple[str, str, Callable[[Array, Array, Array, dict[str, Any]], Array]]]] = {
    "sgd": [
        ("update_ascends", "it adds the gradient: the cost goes up", lambda w, dw, _, c: w + c["learning_rate"] * dw),
        ("update_without_eta", "it forgets the learning rate", lambda w, dw, _, c: w - dw),  # noqa: ARG005
    ],
    "sgd_momentum": [
        (
            "momentum_sign",
            "it adds eta * dw to the velocity instead of taking it away",
            lambda w, dw, v, c: w + c["momentum"] * v + c["learning_rate"] * dw,
        ),
        (
            "momentum_forgets",
            "the old velocity is not used",
            lambda w, dw, _, c: w - c["learning_rate"] * dw,
        ),
        (
            "momentum_average",
            "the velocity is an average, mu * v - (1 - mu) * eta * dw; the course's has no factor 1 - mu",
            lambda w, dw, v, c: w + c["momentum"] * v - (1 - c["momentum"]) * c["learning_rate"] * dw,
        ),
    ],
    "rmsprop": [],
    "adam": [],
}


def update(program: Program, name: str) -> Report:
    """Three steps of an update rule with its own state, beside the textbook's."""
    rng, theirs = np.random.default_rng(6), program.name_of(name)
    w: Array = rng.normal(size=(4, 5))
    state = dict(SETTINGS[name])
    config = dict(SETTINGS[name])
    if name == "sgd_momentum":
        state["velocity"] = rng.normal(size=w.shape)
        config["velocity"] = state["velocity"].copy()
    for step in range(1, 4):
        dw = rng.normal(size=w.shape)
        before = dict(state)
        answer = program.call(name, w, dw, config)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            kind = "None" if answer is None else f"a {type(answer).__name__}"
            kind_of_failure = "unfilled" if answer is None else "type"
            raise program.guard.failed(theirs, kind_of_failure, f"returns {kind}; it must be (next_w, config)")
        right, place = RULES[name](w, dw, state), f"{name}: next_w of update {step}"
        mine = program.guard.array(theirs, place, answer[0], w.shape)
        if not isinstance(answer[1], dict):
            raise program.guard.failed(theirs, "type", "returns no config; the next update needs its state")
        if not np.allclose(mine, right, rtol=1e-9, atol=1e-12):
            finding = Finding(place, "the updated values are wrong", formula=FORMULAS[name], link="")
            for mistake, sentence, rule in WRONG_UPDATES[name]:
                wrong = rule(w, dw, before.get("velocity", np.zeros_like(w)), before)
                if np.allclose(mine, wrong, rtol=1e-9, atol=1e-12):
                    finding = Finding(place, sentence, mistake, formula=FORMULAS[name], residual=0.0)
            if step > 1:
                sentence = f"{finding.sentence}; the first update was right, so its state is not kept as it should be"
                finding = Finding(place, sentence, finding.mistake, formula=FORMULAS[name])
            return Report(name, [finding])
        w, config = right, answer[1]
    return Report(name, agreeing=[f"{name}: three updates"])
