"""An update rule with its state beside the textbook: plain, momentum, Nesterov, RMSprop, Adam, AdamW."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.diagnosis.comparison import Comparison, Numbers, Planted, lines_at
from manual_mlp.diagnosis.epsilon import EPS, measured_eps
from manual_mlp.diagnosis.explain import explain
from manual_mlp.diagnosis.mistakes.update_rules import RIGHT_AT_USUAL_GRADIENTS, UPDATE_RULES
from manual_mlp.diagnosis.precision import DOUBLE, SINGLE
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers, unpacked
from manual_mlp.diagnosis.textbook import Line, Values, compute
from manual_mlp.layers import Array

STEPS = 5
SHAPE = (4, 5)
MOMENTUM = {"learning_rate": 0.07, "momentum": 0.8}
ADAM = {"learning_rate": 0.07, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-8, "t": 0}
SETTINGS: dict[str, dict[str, Any]] = {  # none at a default but eps, which many write as a number
    "sgd": {"learning_rate": 0.07},
    "sgd_momentum": MOMENTUM,
    "nesterov": MOMENTUM,
    "nesterov_look_ahead": MOMENTUM,
    "rmsprop": {"learning_rate": 0.07, "decay_rate": 0.9, "epsilon": 1e-8},
    "adam": ADAM,
    "adamw": {**ADAM, "weight_decay": 0.3},
}
STATES = {
    "sgd": (),
    "sgd_momentum": ("velocity",),
    "nesterov": ("velocity",),
    "nesterov_look_ahead": ("velocity",),
    "rmsprop": ("cache",),
    "adam": ("m", "v", "t"),
    "adamw": ("m", "v", "t"),
}
THEIR_NAMES = {"learning_rate": "eta", "momentum": "mu", "decay_rate": "decay", "epsilon": "eps"}
UNCORRECTED_EPS: dict[str, Line] = {
    "direction": lambda v: v.m_hat * np.sqrt(1 - v.beta2**v.count) / (np.sqrt(v.mean_square) + v.eps)
}
FORMS: dict[str, dict[str, dict[str, Line]]] = {  # what is as right as the textbook's line, by what is said of it
    "adam": {"eps is added to the root of the uncorrected v, as in Keras": UNCORRECTED_EPS},
    "adamw": {
        "eps is added to the root of the uncorrected v, as in Keras": UNCORRECTED_EPS,
        "the weights decay after the step instead of before it": {
            "decay": lambda v: v.eta * v.weight_decay * (v.value - v.eta * v.direction)
        },
    },
}
STARTS: dict[str, dict[str, float]] = {  # every right form is the textbook's that begins with this times the velocity
    "sgd_momentum": {
        "it is v = mu v + dw, w -= eta v, as in torch": -MOMENTUM["learning_rate"],
        "it is v = mu v + eta dw, w -= v": -1.0,
        "it is v = mu v - dw, w += eta v": MOMENTUM["learning_rate"],
        "its velocity begins at 0, whatever config['velocity'] says": 0.0,
    }
}


def diagnose_update_rule(name: str, rule: Callable[..., Any]) -> Report:
    """Is this update rule right over several steps with its own state, and if not, what is wrong?

    name   "sgd", "sgd_momentum", "nesterov", "nesterov_look_ahead", "rmsprop", "adam" or "adamw"
    rule   (w, dw, config) -> next w, config, as in CS231n's optim.py. config holds learning_rate, momentum, decay_rate,
           beta1, beta2, epsilon, weight_decay and, for Adam, t = 0 at first; whatever the rule puts in there comes back
           in the next step. Momentum finds a velocity in it, Nesterov one of zeros, the other states begin at 0.

    "sgd_momentum" may keep its velocity with eta or without it, with either sign, in config["velocity"] or elsewhere.

    "nesterov" is given the gradient at w, which is its look-ahead point, in torch's form as in CS231n's. Sutskever's
    form keeps the other point: for "nesterov_look_ahead" dw is a function that gives the gradient at any point.
    """
    if not (isinstance(name, str) and name in SETTINGS):
        raise ValueError(f"name is {name!r}; it must be one of {', '.join(SETTINGS)}")
    if isinstance(rule, type) or not callable(rule):
        what = f"the class {rule.__name__}" if isinstance(rule, type) else f"a {type(rule).__name__}"
        raise ValueError(f"rule is {what}; it must be a function (w, dw, config) that returns the next w and config")
    rng = np.random.default_rng(6)
    velocity = rng.normal(size=SHAPE)
    weights, gradients = rng.normal(size=(2, STEPS, *SHAPE))
    if name != "sgd_momentum":
        velocity = np.zeros(SHAPE)
    config = {**SETTINGS[name], **({"velocity": velocity.copy()} if "velocity" in STATES[name] else {})}
    slopes = [slope_at(dw) if name == "nesterov_look_ahead" else dw for dw in gradients]
    broken: list[Finding] = []
    observed: dict[str, Array] = {}
    kept: list[dict[str, Any]] = []
    single = False
    for step, (w, dw) in enumerate(zip(weights, slopes, strict=True), start=1):
        place = place_of(name, step)
        try:
            answer, config = unpacked(place, call(place, rule, w, dw, config), ("next w", "config"))
            if not isinstance(config, dict):
                raise Unusable(place, "wrong_type", "it returns no config; the next step needs its state")
            after, reshaped = numbers(place, answer, SHAPE)
            if after.shape != SHAPE:
                raise Unusable(place, "wrong_shape", f"its shape is {after.shape}, it must be w's, {SHAPE}")
            if np.array_equal(after, w.astype(after.dtype)):
                raise Unusable(place, "not_moved", "it returns w as it was given: nothing moves")
            observed[place], single = w - after, single or after.dtype == np.float32
            kept.append({key: np.array(config[key]) for key in STATES[name] if is_number(config.get(key))})
        except Unusable as unusable:
            broken.append(unusable.finding)
            break
        broken += [reshaped] if reshaped is not None and not broken else []

    def follow(
        planted: Sequence[Planted], form: Mapping[str, Line], eps: float | None = None, start: float = 1.0
    ) -> tuple[Numbers, list[dict[str, Any]]]:
        """The textbook's steps, and the state after each."""
        lines = {**form, **lines_at(planted)}
        state = {key: np.zeros(SHAPE) if key != "t" else 0 for key in STATES[name]}
        state |= {"velocity": start * velocity} if "velocity" in state else {}
        settings = {THEIR_NAMES.get(key, key): value for key, value in SETTINGS[name].items() if key != "t"}
        settings |= {"eps": eps} if eps is not None else {}
        steps, states = {}, []
        for step, (w, dw) in enumerate(zip(weights, slopes, strict=True), start=1):
            v = compute(name, "forward", Values(value=w, gradient=dw, **settings, **state), lines)
            steps[place_of(name, step)] = v.step
            state = {key: getattr(v, f"kept_{key}") for key in state}
            states.append(state)
        return steps, states

    scales = {place: float(np.abs(step).max()) for place, step in follow((), {})[0].items()}
    titles = {place: place for place in scales}
    tolerance = SINGLE if single else DOUBLE
    given = SETTINGS[name].get("epsilon")
    guesses = list(dict.fromkeys((given, *EPS))) if given else (0.0,)

    def measured(form: Mapping[str, Line], start: float = 1.0) -> tuple[float, Comparison]:
        def comparison_at(eps: float) -> Comparison:
            def predicted(planted: Sequence[Planted], _: int) -> Numbers:
                return follow(planted, form, eps, start)[0]

            def explained(planted: Sequence[Planted]) -> int:
                return changes_alike(kept, follow(planted, form, eps, start)[1])

            return Comparison(list(scales), [observed], [scales], predicted, tolerance, titles, [{}], state=explained)

        return measured_eps(comparison_at, guesses)

    forms = {"": measured({})}
    for form, lines in FORMS.get(name, {}).items():
        forms[form] = measured({f"{name}.{line}": formula for line, formula in lines.items()})
    note = max(forms, key=lambda form: right_until(forms[form][1]))
    eps, comparison = forms[note]
    candidates = [Planted(m, variant) for m in UPDATE_RULES if m.operations == {name} for variant in m.variants]
    explanations = [(note, explain(comparison, candidates))]
    if explanations[0][1][0]:
        read = {form: compared for form, (_, compared) in forms.items() if form != note}
        read |= {other: measured({}, start)[1] for other, start in STARTS.get(name, {}).items()}
        explanations += [(other, explain(compared, candidates)) for other, compared in read.items()]
    note, (findings, agreeing, unjudged) = min(explanations, key=lambda told: difficulty(told[1][0]))
    findings = [replace(finding, remark=finding.mistake in RIGHT_AT_USUAL_GRADIENTS) for finding in findings]
    findings.sort(key=lambda finding: finding.remark)
    notes = [note] if note else []
    notes += [f"eps is {eps:g} here, whatever config['epsilon'] says"] if given and eps != given else []
    return Report(name, [*broken, *findings], agreeing, unjudged, notes)


def difficulty(findings: Sequence[Finding]) -> tuple[bool, int]:
    """Of two ways to read a rule, that one is meant which leaves less to explain."""
    return any(finding.mistake is None for finding in findings), len(findings)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.ndarray) and np.asarray(value).dtype.kind in "fiu"


def changes_alike(kept: Sequence[Mapping[str, Any]], states: Sequence[Mapping[str, Any]]) -> int:
    """How many of the states change alike from step to step: t may begin at 0 or at 1."""
    alike = 0
    for (before, after), (start, end) in zip(itertools.pairwise(kept), itertools.pairwise(states), strict=False):
        for key in before.keys() & after.keys():
            if np.shape(before[key]) == np.shape(after[key]) == np.shape(end[key]):
                alike += bool(np.allclose(after[key] - before[key], end[key] - start[key], rtol=1e-5))
    return alike


def right_until(comparison: Comparison) -> int:
    return comparison.first_wrong(comparison.residuals([]))


def slope_at(constant: Array) -> Callable[[Array], Array]:
    """The gradient of some cost as a function of the weights, in their dtype."""
    return lambda w: (constant + np.tanh(w)).astype(np.asarray(w).dtype)


def place_of(name: str, step: int) -> str:
    return f"{name}: update {step}"
