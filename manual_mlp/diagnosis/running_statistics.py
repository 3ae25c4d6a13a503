"""Batch normalization's running averages, and its test mode, which normalizes with them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.diagnosis.comparison import Planted
from manual_mlp.diagnosis.epsilon import EPS, eps_note, settle
from manual_mlp.diagnosis.mistakes.running_statistics import BIASED_RUNNING_VARIANCE
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers, unpacked
from manual_mlp.diagnosis.trials import BATCHES, Trial, candidates_of, comparison_of, keep, problem
from manual_mlp.layers import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, Array


def test_mode(test_forward: Callable[..., Any], eps: float | None, in_training: float | None, seed: int) -> Report:
    """Batch normalization with the running statistics, which it must leave alone. in_training: the eps that the forward
    pass has.
    """
    place, rng = "batch_norm test mode", np.random.default_rng(seed)
    trials = [Trial(problem("batch_norm_test", n, rng, 0.0), {}) for n in (*BATCHES, 1)]
    broken: dict[str, Finding] = {}
    for trial in trials:
        v = trial.v
        running = v.running_mean.copy(), v.running_var.copy()
        try:
            answer = call(
                place, lambda x, gamma, beta, r=running: test_forward(x, gamma, beta, *r), v.x, v.gamma, v.beta
            )
            keep(trial, broken, place, [("out", answer)])
        except Unusable as unusable:
            broken.setdefault(unusable.finding.place, unusable.finding)
        if not (np.array_equal(running[0], v.running_mean) and np.array_equal(running[1], v.running_var)):
            changed = advanced_by_evaluation(f"{place}: running averages")
            broken.setdefault(changed.place, changed)
    titles = {"out": f"{place}: out"}
    settled = settle(
        lambda guess: replace(comparison_of("batch_norm_test", trials, guess), places=["out"], titles=titles),
        candidates_of("batch_norm_test"),
        EPS if eps is None else (eps,),
    )
    notes = []
    if in_training is not None and settled.agreeing and settled.eps != in_training:
        notes.append(f"test mode: {eps_note(settled.eps).split(',')[0]}; in training it is {in_training:g}")
    return Report("batch_norm", [*broken.values(), *settled.findings], settled.agreeing, settled.unjudged, notes)


def advanced_by_evaluation(place: str) -> Finding:
    sentence = "evaluation changes the running averages; only training may"
    return Finding(place, sentence, "running_advanced_by_evaluation", link=f"{DERIVATIONS}#batch-normalization")


def running_averages(advance: Callable[..., Any], momentum: float | None, seed: int) -> Report:
    """One update of the running averages."""
    place, rng = "batch_norm running averages", np.random.default_rng(seed)
    trials = [Trial(problem("running_average", n, rng, 0.0), {}) for n in BATCHES]
    lines = {"new_mean": f"{place}: running_mean", "new_var": f"{place}: running_var"}
    broken: dict[str, Finding] = {}
    for trial in trials:
        v = trial.v
        running = v.running_mean.copy(), v.running_var.copy()

        def advanced(x: Array, running: tuple[Array, Array] = running) -> Any:
            answer = advance(x, *running)
            return running if answer is None else answer  # changed in place, or returned

        try:
            results = unpacked(place, call(place, advanced, v.x), ("running_mean", "running_var"))
        except Unusable as unusable:
            broken.setdefault(place, unusable.finding)
            continue
        for line, value in zip(lines, results, strict=True):
            try:
                trial.observed[line], reshaped = numbers(lines[line], value, v.running_mean.shape)
            except Unusable as unusable:
                broken.setdefault(lines[line], unusable.finding)
                continue
            if reshaped is not None:
                broken.setdefault(lines[line], reshaped)
    notes = []
    if momentum is None:
        momentum = measured_momentum(trials)
        if momentum != BATCH_NORM_MOMENTUM:
            notes.append(
                f"the batch's share in the running averages is {momentum:.6g}, torch's is {BATCH_NORM_MOMENTUM}"
            )
    for trial in trials:
        trial.v.momentum = momentum
    comparison = replace(comparison_of("running_average", trials, BATCH_NORM_EPS), places=list(lines), titles=lines)
    biased = Planted(BIASED_RUNNING_VARIANCE, BIASED_RUNNING_VARIANCE.variants[0])
    if comparison.compared and comparison.reach([]) and not comparison.reach([biased]) < 2:
        notes.append("the running variance is the biased one, divided by N; torch's is divided by N - 1")
        unbiased = comparison.predict
        comparison = replace(comparison, predict=lambda planted, number: unbiased([*planted, biased], number))
    candidates, no_eps = candidates_of("running_average"), (BATCH_NORM_EPS,)
    settled = settle(lambda _: comparison, candidates, no_eps)
    if settled.findings and settled.findings[0].mistake is None:  # a mistake on top of the biased variance
        usual = comparison.predict
        with_bias = replace(comparison, predict=lambda planted, number: usual([biased, *planted], number))
        other = settle(lambda _: with_bias, candidates, no_eps)
        settled = other if other.findings and other.findings[0].mistake is not None else settled
    return Report("batch_norm", [*broken.values(), *settled.findings], settled.agreeing, settled.unjudged, notes)


def measured_momentum(trials: Sequence[Trial]) -> float:
    """The batch's share in the new running mean, where there is one for all batches; else torch's. A share beyond one
    half is the old average's, which is diagnosed as a mistake.
    """
    shares = []
    for trial in trials:
        if "new_mean" in trial.observed and trial.observed["new_mean"].shape == trial.v.running_mean.shape:
            way = trial.v.x.mean(axis=0) - trial.v.running_mean
            shares.append(float(np.vdot(way, trial.observed["new_mean"] - trial.v.running_mean) / np.vdot(way, way)))
    if not shares or np.ptp(shares) > 1e-6 or not 1e-6 < shares[0] < 1 - 1e-6:
        return BATCH_NORM_MOMENTUM
    return round(min(shares[0], 1 - shares[0]), 9)
