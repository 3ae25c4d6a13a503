"""CS231n's networks with dropout: the gradient beside differences of their own loss, and what the masks tell of it."""

import ast
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_dropped_images import RULE, dropped_images
from manual_mlp.adapters.cs231n_instances import (
    BASICS,
    CLASSES,
    HIDDEN,
    INPUTS,
    cost_and_gradients,
    filled,
    not_refused,
    problem,
    their_key,
)
from manual_mlp.adapters.cs231n_modes import relu, scores_of, test_mode
from manual_mlp.adapters.cs231n_penalty import of_either_penalty
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.guard import Failed, copied
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.dropout import as_plain_dropout, in_meaning_of_p
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

P = 0.6  # what the networks are told, whether it is the probability to keep or to drop
OF_COST, OF_TEST = "dropout: loss", "test mode: scores"
STEPS = ((1e-6, 1e-5), (1e-3, 2e-3))  # of differences, and what they may be off: in float64, and in float32


def network_with_dropout(program: Program, name: str, deep: bool, batch_norm: bool = False) -> Report:
    """With the same seed the loss is one function, so its gradient can be held against its own differences; without
    labels nothing is dropped, and batch normalization takes its running averages.
    """
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, y = problem(hidden, batch_norm)
    settings = {**BASICS, "hidden": hidden, "reg": 0.2, "dropout": P, "seed": 11, "batch_norm": batch_norm}
    plain = {**settings, "dropout": None}

    def answer(values: Mapping[str, Array], settings: Mapping[str, Any] = settings, images: Array = x) -> Any:
        net = filled(program, name, settings, values)
        np.random.seed(5)  # noqa: NPY002 - where the network has no seed of its own
        return cost_and_gradients(program, name, net, program.guard.call(f"{name}.loss", net.loss, images, y), values)

    def at_test_time(settings: Mapping[str, Any]) -> Array:
        net = filled(program, name, settings, parameters)
        return program.guard.array(
            f"{name}.loss", "scores", program.guard.call(f"{name}.loss", net.loss, x), (len(x), CLASSES)
        )

    if batch_norm:
        not_refused(program, f"{name} with batch norm and dropout", lambda: answer(parameters))
    unseeded = {key: value for key, value in settings.items() if key not in ("seed", "reg")}
    cost, gradient = answer(parameters)
    check_differences(program, name, cost, answer(parameters)[0])
    findings = list[Finding]()
    if agree(cost, lambda: answer(parameters, plain)[0], 1e-9):
        if not drops_somewhere(program, name):
            raise program.guard.failed(f"{name} with dropout", "unfilled", "is not filled in yet: it calls no dropout")
        sentence = "the loss is the same as without dropout: nothing is dropped, or what is left is not passed on"
        findings.append(Finding(OF_COST, sentence, "dropout_never_applied"))
    findings += dropped_images(x, lambda images: float(answer(parameters, images=images)[0]))
    wrong, agreeing = own_gradient(program, name, parameters, gradient, lambda moved: answer(moved)[0])
    named = [] if findings else judged_by_masks(program, name, unseeded, parameters, x, y, wrong=bool(wrong))
    findings += named
    if not any(finding.place.startswith(("gradient", OF_COST)) for finding in named):
        findings += wrong
    if batch_norm:
        at_test = in_their_words(test_mode(program, name, unseeded, parameters, x, y))
        return as_plain_dropout(Report(name, [*findings, *at_test.findings], [*agreeing, *at_test.agreeing]))
    scores = at_test_time(settings)
    if np.allclose(scores, scores_of(parameters, x), rtol=1e-8) or agree(scores, lambda: at_test_time(plain), 1e-8):
        agreeing.append(OF_TEST)
    elif scaled := [s for s in (P, 1 - P) if np.allclose(scores, scores_of(parameters, x, scaled_relu(s)), rtol=1e-8)]:
        with seen_masks(program) as masks:
            answer(parameters)
        kept = np.mean([mask.mean() for mask in masks]) if masks else scaled[0]
        is_kept = abs(kept - scaled[0]) <= abs(kept - (1 - scaled[0]))
        sentence = "units are scaled at test time; that is done in training, by the inverse of the probability to keep"
        sentence = sentence if is_kept else "units are scaled at test time, and by the probability to drop"
        findings.append(
            Finding(OF_TEST, sentence, "dropout_scaled_at_test_time" if is_kept else "dropout_scaled_by_drop")
        )
    else:
        findings.append(Finding(OF_TEST, "units are dropped, or scaled, at test time too", "dropout_at_test_time"))
    return as_plain_dropout(Report(name, findings, agreeing))


def scaled_relu(factor: float) -> Callable[[Array], Array]:
    return lambda x: factor * relu(x)


def agree(value: Any, without: Callable[[], Any], tolerance: float) -> bool:
    """Is it that of the network that was not asked for dropout? (Some cannot be made without it.)"""
    try:
        return bool(np.allclose(value, without(), rtol=tolerance, atol=0))
    except Failed:
        return False


def check_differences(program: Program, name: str, cost: Any, again: Any) -> None:
    """Differences of the loss say something where the same units are dropped every time."""
    if cost != again:
        sentence = "drops other units every time, whatever the seed: its gradient could not be looked at"
        raise program.guard.failed(f"{name} with dropout", "uncallable", sentence)


def own_gradient(
    program: Program,
    name: str,
    parameters: Mapping[str, Array],
    gradient: Mapping[str, Any],
    cost: Callable[[Mapping[str, Array]], Any],
) -> tuple[list[Finding], list[str]]:
    """The gradient beside differences of the network's own loss: what is wrong, and what agrees."""
    findings, agreeing = list[Finding](), list[str]()
    rng = np.random.default_rng(12)
    for ours in reversed(list(parameters)):
        theirs = their_key(ours)
        if ours not in gradient:
            findings.append(Finding(f"gradient of {theirs}", "it is missing", "unfilled"))
            continue
        mine = program.guard.array(f"{name}.loss", theirs, gradient[ours], parameters[ours].shape)
        wrong = 0
        for _ in range(3):
            direction = rng.normal(size=mine.shape)
            slopes = []
            for h, tolerance in STEPS:
                up, down = (cost({**parameters, ours: parameters[ours] + s * h * direction}) for s in (1, -1))
                off = abs((float(up) - float(down)) / (2 * h) - float(np.sum(mine * direction)))
                slopes.append(off <= tolerance * max(1.0, float(np.abs(mine).max())))
            wrong += not any(slopes)
        if wrong >= 2:  # one may have crossed a kink
            sentence = "it is not the derivative of the network's own loss with the same units dropped"
            findings.append(Finding(f"gradient of {theirs}", sentence, "dropout_backward"))
        else:
            agreeing.append(f"gradient of {theirs}")
    return findings, agreeing


def drops_somewhere(program: Program, name: str) -> bool:
    """Does a method call anything that could drop units?"""
    methods = [node for node in ast.walk(program.defined[name]) if isinstance(node, ast.FunctionDef)]
    calls = [
        ast.unparse(node)
        for method in methods
        if method.name != "__init__"
        for node in ast.walk(method)
        if isinstance(node, ast.Call)
    ]
    return any("drop" in call.split("(")[0].lower() or "random" in call for call in calls)


def judged_by_masks(
    program: Program,
    name: str,
    settings: Mapping[str, Any],
    parameters: Mapping[str, Array],
    x: Array,
    y: Any,
    wrong: bool,
) -> list[Finding]:
    """Where masks can be seen: layers that have none, and by name what is wrong. (What is wrong with the loss, not by
    dropout, is said of the network without dropout; here it is said as well where the gradient is `wrong`.)
    """
    seeds = itertools.count(17)
    widths = [len(parameters[f"linear{layer}.bias"]) for layer in range(1, len(settings["hidden"]) + 1)]

    def answer_with(factor: float) -> Callable[..., Any]:
        def answer(values: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
            net = filled(program, name, {**settings, "reg": factor * l2}, values)
            np.random.seed(next(seeds))  # noqa: NPY002 - without a seed of its own it draws from here
            with seen_masks(program) as masks:
                result = program.guard.call(f"{name}.loss", net.loss, x, y)
            return *cost_and_gradients(program, name, net, result, values), masks

        return answer

    with contextlib.suppress(Failed):
        seen = [answer_with(2)(parameters, x, y, 0.1)[2] for _ in range(10)]
        shapes = [mask.shape for mask in seen[0]]
        if any([mask.shape for mask in masks] != shapes for masks in seen):
            return []
        if shapes != [(len(x), width) for width in widths]:
            return misplaced([shape[-1] for shape in shapes], widths)
        keeps = bool(np.mean([mask.mean() for masks in seen for mask in masks]) > 0.5)
        rate = 1 - P if keeps else P
        factor, report = of_either_penalty(
            lambda factor: diagnose(answer_with(factor), parameters, x, y, 0.1, dropout=rate), half=True
        )
        if all(f.mistake and (wrong or "dropout" in f.mistake) and f.place != "masks" for f in report.findings):
            findings = in_their_words(in_meaning_of_p(report, keeps), factor).findings
            return [replace(f, place=OF_COST if f.place == "cost" else f"gradient of {f.place}") for f in findings]
    return []


def misplaced(dropped: Sequence[int], widths: Sequence[int]) -> list[Finding]:
    """Every layer has a width of its own, which tells where a mask belongs."""
    if not dropped or len(set(dropped)) < len(dropped) or not set(dropped) <= {INPUTS, *widths, CLASSES}:
        return []  # in a way of its own
    place = "dropout: layers"
    missing = ", ".join(str(layer) for layer, width in enumerate(widths, start=1) if width not in dropped)
    findings = []
    if missing:
        findings.append(Finding(place, f"nothing is dropped in hidden layer {missing}", "dropout_missing", "", RULE))
    if CLASSES in dropped:
        findings.append(Finding(place, "the class scores are dropped, too", "dropout_on_scores", "", RULE))
    return findings


@contextlib.contextmanager
def seen_masks(program: Program) -> Iterator[list[Array]]:
    """1 where a call of dropout_forward keeps a unit, call by call: what the same draw makes of ones."""
    masks: list[Array] = []

    def watched(forward: Callable[..., Any]) -> Callable[..., Any]:
        def dropping(x: Array, *rest: Any, **named: Any) -> Any:
            state = np.random.get_state()  # noqa: NPY002
            out, _ = forward(np.ones_like(x), *copied(rest), **copied(named))
            masks.append((out != 0).astype(np.float64))
            np.random.set_state(state)  # noqa: NPY002
            return forward(x, *rest, **named)

        return dropping

    theirs = program.name_of("dropout_forward")
    spaces = [program.namespace, *(vars(sys.modules[beside]) for beside in program.finder.sources)]
    before = [(names, names[theirs]) for names in spaces if theirs in names]
    for names, forward in before:
        names[theirs] = watched(forward)
    try:
        yield masks
    finally:
        for names, forward in before:
            names[theirs] = forward
