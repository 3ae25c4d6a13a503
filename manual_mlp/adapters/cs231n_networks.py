"""CS231n's networks (fc_net.py, neural_net.py): classes with .params and .loss(X, y)."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_dropout import network_with_dropout
from manual_mlp.adapters.cs231n_instances import (
    ALIASES,
    BASICS,
    CLASSES,
    DROPOUT,
    HIDDEN,
    cost_and_gradients,
    filled,
    not_refused,
    problem,
    takes_widths,
)
from manual_mlp.adapters.cs231n_layer_norm import knows_layer_norm, network_with_layer_norm
from manual_mlp.adapters.cs231n_modes import initialization, test_mode
from manual_mlp.adapters.cs231n_penalty import of_either_penalty
from manual_mlp.adapters.cs231n_predictions import predictions
from manual_mlp.adapters.cs231n_textbook import loss_of_training
from manual_mlp.adapters.cs231n_training import descends, training
from manual_mlp.adapters.cs231n_unfinished import beginning, scores_alone
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.log_guards import as_remark, has_guard
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.diagnosis import diagnose
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

OTHER_NETWORKS = ("num_filters", "filter_size", "word_to_idx")  # arguments of those that are not fully connected


OF_2015 = ("two_layer_net", "init_two_layer_model")


def function_networks(program: Program) -> dict[str, type]:
    """As in 2015, when the network was a function of its images and its model: two_layer_net(X, model, y, reg)."""
    function, make = (program.functions().get(name) for name in OF_2015)
    return {OF_2015[0]: as_class(function, make)} if function is not None and make is not None else {}


def as_class(function: Callable[..., Any], make: Callable[..., Any]) -> type:
    class TwoLayerNet:
        def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
            self.params = make(input_size, hidden_size, output_size)

        def loss(self, X: Any, y: Any = None, reg: float = 0.0) -> Any:
            return function(X, self.params, y, reg)

    return TwoLayerNet


def is_network(made: type) -> bool:
    """A class that is constructed with hidden layers and has a loss."""
    accepts = inspect.signature(made).parameters
    hidden = any(word in accepts for word in ALIASES["hidden"])
    return hasattr(made, "loss") and hidden and not any(word in accepts for word in OTHER_NETWORKS)


def networks(program: Program, name: str) -> list[Inspection]:
    """Without batch normalization and, where it has them, with it and dropout; then .train and .predict."""
    made = program.classes()[name]
    accepts = inspect.signature(made).parameters
    deep = takes_widths(program, name)
    names = OF_2015 if name in program.wrapped else [f"{name}.loss"]
    found = [Inspection(name, names, lambda: network(program, name, deep, batch_norm=False))]
    if deep and any(word in accepts for word in ALIASES["batch_norm"]):
        title = f"{name} with batch norm"
        found.append(Inspection(title, [f"{name}.loss"], lambda: network(program, name, deep, batch_norm=True)))
    if any(word in accepts for word in DROPOUT):
        found.append(
            Inspection(f"{name} with dropout", [f"{name}.loss"], lambda: network_with_dropout(program, name, deep))
        )
        if any(" with batch norm" in inspection.title for inspection in found):
            title = f"{name} with batch norm and dropout"
            found.append(Inspection(title, [f"{name}.loss"], lambda: network_with_dropout(program, name, deep, True)))
    if deep and name in program.defined and knows_layer_norm(program, name):
        title = f"{name} with layer norm"
        found.append(Inspection(title, [f"{name}.loss"], lambda: network_with_layer_norm(program, name)))
    for method, run in {"train": training, "predict": predictions}.items():
        if hasattr(made, method):
            title = f"{name}.{method}"
            found.append(Inspection(title, [title], lambda run=run: run(program, name, deep)))  # type: ignore[misc]
    return found


def loss_of(program: Program, name: str) -> Callable[..., Any]:
    loss: Callable[..., Any] = getattr(program.classes()[name], "loss")  # noqa: B009 - a type is not known to have one
    return loss


def network(program: Program, name: str, deep: bool, batch_norm: bool) -> Report:
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, y = problem(hidden, batch_norm)
    accepts = inspect.signature(loss_of(program, name)).parameters
    settings = {**BASICS, "hidden": hidden, "batch_norm": batch_norm}
    if batch_norm:
        not_refused(program, f"{name} with batch norm", lambda: filled(program, name, settings, parameters))

    def loss_with(factor: float) -> Callable[..., Any]:
        def loss(values: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
            net = filled(program, name, {**settings, "reg": factor * l2}, values)
            extra = {"reg": factor * l2} if "reg" in accepts else {}
            return net, program.guard.call(f"{name}.loss", net.loss, x, y, **extra)

        return loss

    def answer_with(factor: float) -> Callable[..., Any]:
        def answer(values: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
            net, result = loss_with(factor)(values, x, y, l2)
            return cost_and_gradients(program, name, net, result, values)

        return answer

    if (begun := beginning(program, name, settings, loss_with, parameters, x, y)) is not None:
        return begun
    in_constructor = "reg" not in accepts
    factor, report = of_either_penalty(
        lambda factor: diagnose(answer_with(factor), parameters, x, y, 0.1), half=in_constructor
    )
    report = with_rows_that_are_taken(program, name, deep, report)
    report = with_guard_as_remark(report, answer_with(factor), parameters, x, y)
    if factor == 1 and in_constructor:
        program.guard.note(f"{name}: the penalty is reg sum(W^2); the handout has 0.5 reg sum(W^2)")
    if report.ok:
        report = with_more(report, rare_batches(program, name, deep, answer_with(factor), parameters, x, y))
    if report.ok or all("cost" not in finding.place for finding in report.findings):
        report = with_more(report, test_mode(program, name, settings, parameters, x, y))
        report = with_more(report, initialization(program, name, settings))
    else:
        if report.findings[0].mistake == "raises" and (
            scores := scores_alone(program, name, settings, parameters, x, y)
        ):
            report = with_more(report, scores)
        wrong_from_the_start = started(program, name, settings)
        if batch_norm_used(report):
            report = with_more(report, wrong_from_the_start)
        else:
            report = with_more(wrong_from_the_start, unused(report))
    if not report.ok and (beside := sorted({source.path.name for source in program.finder.sources.values()})):
        program.guard.note(f"{name} uses {' and '.join(beside)} beside it: look at these first")
    return in_their_words(report, factor)


def with_guard_as_remark(
    report: Report, answer: Callable[..., Any], parameters: Mapping[str, Array], x: Array, y: Any
) -> Report:
    if not has_guard(report):
        return report
    usual = loss_of_training(parameters, x, y)
    return as_remark(report, abs(answer(parameters, x, y, 0.0)[0] - usual) / usual)


def with_rows_that_are_taken(program: Program, name: str, deep: bool, report: Report) -> Report:
    """Gradients of shape (1, D) are no mistake of a network whose own .train takes them so."""
    rows = [finding for finding in report.findings if finding.mistake == "wrong_shape"]
    if not rows or not hasattr(program.classes()[name], "train") or not descends(program, name, deep):
        return report
    places = ", ".join(finding.place for finding in reversed(rows))
    note = f"the gradients of {places} have shape (1, D), the parameters (D,); {name}.train takes them so"
    kept = [finding for finding in report.findings if finding not in rows]
    agreeing = [place for place in (finding.place for finding in rows) if place not in {f.place for f in kept}]
    return replace(report, findings=kept, agreeing=[*report.agreeing, *agreeing], notes=[*report.notes, note])


def started(program: Program, name: str, settings: Mapping[str, Any]) -> Report:
    """What is wrong with the initialization of a network whose loss is wrong or not there yet."""
    try:
        return Report(name, initialization(program, name, settings).findings)
    except Failed:
        return Report(name)


def batch_norm_used(report: Report) -> bool:
    """Whether the loss has gammas and betas; one that nobody has begun skips them in both passes."""
    skipped = report.findings[0].mistake == "bn_skipped"
    missing = [f for f in report.findings if f.mistake == "unfilled" and f.place.startswith("bn")]
    return not (skipped and len(missing) == 2 * len(HIDDEN) == len(report.findings) - 1)


def unused(report: Report) -> Report:
    sentence = "batch normalization is not filled in yet: the loss uses no gamma and no beta"
    return Report(report.subject, [Finding("cost and gradients", sentence, "unfilled")])


def rare_batches(
    program: Program,
    name: str,
    deep: bool,
    answer: Callable[..., Any],
    parameters: Mapping[str, Array],
    x: Array,
    y: Any,
) -> Report:
    """What is right for most batches must be right for one without the last class. (And for images that are no rows, in
    the second assignment.)
    """
    case, labels = "for a batch in which the last class does not occur", np.minimum(y, CLASSES - 2)
    try:
        report = diagnose(answer(parameters, x, labels, 0.1), parameters, x, labels, 0.1)
    except Failed as failed:
        return Report(name, [Finding("cost and gradients", f"{case}: {failed}", "raises")])
    report = with_rows_that_are_taken(program, name, deep, report)
    report = with_guard_as_remark(report, answer, parameters, x, labels)
    if not report.ok:
        return Report(name, [replace(f, sentence=f"{case}: {f.sentence}") for f in report.findings[:1]])
    if "reg" not in inspect.signature(loss_of(program, name)).parameters:
        images = x.reshape(len(x), 2, -1)
        try:
            taken = diagnose(answer(parameters, images, y, 0.1), parameters, x, y, 0.1).ok
        except Failed:
            taken = False
        if not taken:
            program.guard.note(f"{name}.loss takes X as rows (N, D) alone, not as images (N, d_1, ..., d_k)")
    return Report(name)


def with_more(report: Report, more: Report) -> Report:
    return Report(
        report.subject,
        [*report.findings, *more.findings],
        [*report.agreeing, *more.agreeing],
        report.unjudged,
        [*report.notes, *more.notes],
    )
