"""One operation, a forward and a backward pass, beside the textbook."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.checks import checked_bool, checked_integer, checked_number, checked_share
from manual_mlp.diagnosis.comparison import Numbers
from manual_mlp.diagnosis.dropout import (
    as_plain_dropout,
    at_test_time,
    called_with_keep,
    in_meaning_of_p,
    scales_by,
    shared_draw,
    wrong_share,
)
from manual_mlp.diagnosis.epsilon import EPS, eps_note, settle
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.running_statistics import running_averages, test_mode
from manual_mlp.diagnosis.strangers import Unusable, call, unpacked
from manual_mlp.diagnosis.textbook import Values
from manual_mlp.diagnosis.trials import BATCHES, SIGNATURES, Trial, candidates_of, comparison_of, keep, problem, say
from manual_mlp.layers import BATCH_NORM_EPS, Array


def diagnose_operation(
    name: str,
    forward: Callable[..., Any] | None = None,
    backward: Callable[..., Any] | None = None,
    *,
    test_forward: Callable[..., Any] | None = None,
    advance: Callable[..., Any] | None = None,
    eps: float | None = None,
    momentum: float | None = None,
    p: float = 0.3,
    p_keeps: bool = False,
    seed: int = 0,
) -> Report:
    """Is this operation right, and if not, what is wrong first?

    name        "linear", "relu", "batch_norm", "dropout" or "softmax_cross_entropy"
    forward     as in `manual_mlp.layers`: (x, W, b), (x), (x, gamma, beta), (x, p, rng) or (logits, y) -> out, cache;
                the cache may be anything, it is only handed on
    backward    (dout, cache) -> dx, dW, db / dx / dx, dgamma, dbeta / dx; of the loss (cache) -> dlogits
    test_forward  batch norm's test mode, (x, gamma, beta, running_mean, running_var) -> out; dropout's, (x, p) -> out
    advance     batch norm's running averages, (x, running_mean, running_var) -> running_mean, running_var
    eps, momentum  those of batch normalization; None: whatever the code has, measured
    p           the probability with which dropout drops; or keeps, where p_keeps. The report's formulas are in this p.
    seed        draws other numbers, of other shapes

    The forward pass comes first, then the backward pass with the code's own cache and random upstream gradients, at
    three batch sizes. Arguments are copies, so a function may write into them.
    """
    if name not in SIGNATURES:
        raise ValueError(f"name is {name!r}; it must be one of {', '.join(SIGNATURES)}")
    if forward is None and backward is not None:
        raise ValueError("forward is missing: the backward pass is called with the cache that it makes")
    if checked_bool("p_keeps", p_keeps) and name != "dropout":
        raise ValueError(f"p_keeps is given for {name}; only dropout has a p")
    if name != "batch_norm":
        for argument, value in {"advance": advance, "eps": eps, "momentum": momentum}.items():
            if value is not None:
                raise ValueError(f"{argument} is given for {name}; only batch_norm has it")
    p, seed = checked_share("p", p), checked_integer("seed", seed, minimum=0)
    eps = None if eps is None else checked_number("eps", eps, minimum=0)
    momentum = None if momentum is None else checked_share("momentum", momentum)
    if name not in ("batch_norm", "dropout") and test_forward is not None:
        raise ValueError(f"test_forward is given for {name}; only batch_norm and dropout have a test mode")
    if forward is None and test_forward is None and advance is None:
        raise ValueError("forward is missing; give at least one function")
    if p_keeps:
        p = 1 - p
        forward, test_forward = (function and called_with_keep(function) for function in (forward, test_forward))
    reports, in_training, plain = [], eps, False
    if forward is not None:
        report, in_training = passes(name, forward, backward, eps, p, seed)
        reports.append(report)
    if test_forward is not None and name == "batch_norm":
        reports.append(test_mode(test_forward, eps, in_training, seed))
    elif test_forward is not None:
        images = problem("dropout", BATCHES[-1], np.random.default_rng(seed), p).x
        reports.append(at_test_time(test_forward, images, p))
        plain = scales_by(1 - p, test_forward, images, p) and "dropout backward: dx" not in reports[0].agreeing
    if advance is not None:
        reports.append(running_averages(advance, momentum, seed))
    report = as_plain_dropout(joined(name, reports)) if plain else joined(name, reports)
    return in_meaning_of_p(report, p_keeps) if name == "dropout" else report


def joined(subject: str, reports: Sequence[Report]) -> Report:
    return Report(
        subject,
        [finding for report in reports for finding in report.findings],
        [place for report in reports for place in report.agreeing],
        [place for report in reports for place in report.unjudged],
        [note for report in reports for note in report.notes],
    )


def passes(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    eps: float | None,
    p: float,
    seed: int,
) -> tuple[Report, float]:
    """The forward pass and, with its own cache, the backward pass; and the eps that it has."""
    rng = np.random.default_rng(seed)
    trials = [Trial(problem(name, n, rng, p), {}) for n in BATCHES]
    if name == "softmax_cross_entropy":
        trials.append(Trial(problem(name, 6, rng, p), {}, ", large class scores"))
        trials[-1].v.logits *= 500
    broken: dict[str, Finding] = {}
    for trial in trials:
        run(name, forward, backward, trial, broken)
    if name == "dropout":
        measure_masks(trials, broken)
    guesses = (0.0,) if name != "batch_norm" else EPS if eps is None else (eps,)
    settled = settle(lambda guess: comparison_of(name, trials, guess), candidates_of(name), guesses)
    if settled.findings and "forward" in settled.findings[0].place and (settled.unjudged or settled.findings[1:]):
        own = [own_derivative(name, forward, trial.v) for trial in trials]
        settled = settle(lambda guess: comparison_of(name, trials, guess, own), candidates_of(name), guesses)
    notes = [eps_note(settled.eps)] if name == "batch_norm" and eps is None and settled.eps != BATCH_NORM_EPS else []
    extremes = tuple(trial.extreme for trial in trials if trial.extreme)
    findings = [replace(f, remark=f.place.endswith(extremes)) for f in (*broken.values(), *settled.findings)]
    return Report(name, in_order(findings), settled.agreeing, settled.unjudged, notes), settled.eps


def run(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    trial: Trial,
    broken: dict[str, Finding],
) -> None:
    """Fills in what the code gives, or says why it gives nothing."""
    signature, v = SIGNATURES[name], trial.v
    try:
        answer = call(f"{name} forward", forward, *(getattr(v, argument) for argument in signature.inputs))
        results, cache = unpacked(f"{name} forward", answer, [*signature.outputs, "cache"])
        keep(trial, broken, f"{name} forward", zip(signature.outputs, [results], strict=True))
        if backward is None:
            return
        answer = call(f"{name} backward", backward, *([v.dout] if signature.upstream else []), cache)
        if len(signature.gradients) > 1:
            answer = unpacked(f"{name} backward", answer, signature.gradients)
        else:
            answer = [answer[0] if isinstance(answer, tuple) and len(answer) == 1 else answer]
        keep(trial, broken, f"{name} backward", zip(signature.gradients, answer, strict=True))
    except Unusable as unusable:
        say(trial, broken, unusable.finding)


def own_derivative(name: str, forward: Callable[..., Any], v: Values, h: float = 1e-6) -> Numbers:
    """Centered differences of the user's own forward pass, right or wrong: a backward pass that agrees with them is
    the derivative of what stands before it, and no mistake of its own.
    """
    signature = SIGNATURES[name]
    if name == "dropout":  # every call drops others
        return {}

    def value(**moved: Array) -> float:
        arguments = (moved.get(argument, getattr(v, argument)) for argument in signature.inputs)
        out = unpacked(name, call(name, forward, *arguments), ("out", "cache"))[0]
        return float(np.sum(np.asarray(out) * (v.dout if signature.upstream else 1.0)))

    gradients = {}
    try:
        for gradient in signature.gradients:
            argument = gradient[1:]
            start = getattr(v, argument)
            slopes = np.zeros(start.shape)
            for entry in np.ndindex(start.shape):
                step = np.zeros(start.shape)
                step[entry] = h
                slopes[entry] = (value(**{argument: start + step}) - value(**{argument: start - step})) / (2 * h)
            gradients[gradient] = slopes
    except (Unusable, TypeError, ValueError):
        return {}
    return gradients


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Forward before backward, remarks last; within a pass, in the order in which they were found."""
    return sorted(findings, key=lambda finding: (finding.remark, "backward" in finding.place))


def measure_masks(trials: Sequence[Trial], broken: dict[str, Finding]) -> None:
    """What the code's masks kept, read off its output and its gradient, and whether they keep as many as asked."""
    kept = total = 0
    for trial in trials:
        out = trial.observed.get("out", trial.v.x)
        trial.v.kept = (out != 0).astype(np.float64) if out.shape == trial.v.x.shape else np.ones_like(trial.v.x)
        trial.v.kept_in_gradient = trial.observed.get("dx", trial.v.kept) != 0
        kept, total = kept + int(trial.v.kept.sum()), total + trial.v.kept.size
    p, place = trials[0].v.p, "dropout forward: mask"
    masks = [[trial.v.kept] for trial in trials if "out" in trial.observed]
    if not masks:
        return
    finding = shared_draw(place, masks) or wrong_share(place, kept, total, p)
    if finding is None:
        return
    broken[place] = finding
    for trial in trials:
        if finding.mistake == "dropout_p_keeps":  # judged from here on as what it was meant to be
            trial.v.p = 1 - p
        elif kept == total:  # there is no mask to judge the rest by
            trial.observed.clear()
