"""One operation, a forward and a backward pass, beside the textbook."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.diagnosis.catalogue import mistakes_of
from manual_mlp.diagnosis.dropout import at_test_time, called_with_keep, in_meaning_of_p, wrong_share
from manual_mlp.diagnosis.explain import Comparison, Numbers, Planted, best_of, explain, lines_at
from manual_mlp.diagnosis.mistakes.running_statistics import BIASED_RUNNING_VARIANCE
from manual_mlp.diagnosis.report import DERIVATIONS, Finding, Report
from manual_mlp.diagnosis.strangers import Unusable, call, numbers, unpacked
from manual_mlp.diagnosis.textbook import OPERATIONS, Values, compute
from manual_mlp.layers import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, Array

BATCHES = (5, 100, 12)  # numbers of images; 100 is the one that is written into many programs
EXACT, SINGLE = 1e-9, 2e-4  # of a place's largest value: what float64 and float32 may round off
TINY = float(np.finfo(float).eps)  # whatever is smaller makes the same numbers
EPS = (BATCH_NORM_EPS, 1e-8, TINY, 1e-3, 1e-4, 1e-6, 1e-7, 1e-9, 1e-10, 1e-12)  # in the order in which they are met


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
    if name != "dropout" and p_keeps:
        raise ValueError(f"p_keeps is given for {name}; only dropout has a p")
    if name not in ("batch_norm", "dropout") and test_forward is not None:
        raise ValueError(f"test_forward is given for {name}; only batch_norm and dropout have a test mode")
    if forward is None and test_forward is None and advance is None:
        raise ValueError("forward is missing; give at least one function")
    if p_keeps:
        p = 1 - p
        forward, test_forward = (function and called_with_keep(function) for function in (forward, test_forward))
    reports, in_training = [], eps
    if forward is not None:
        report, in_training = passes(name, forward, backward, eps, p, seed)
        reports.append(report)
    if test_forward is not None and name == "batch_norm":
        reports.append(test_mode(test_forward, eps, in_training, seed))
    elif test_forward is not None:
        images = problem("dropout", BATCHES[-1], np.random.default_rng(seed), p).x
        reports.append(at_test_time(test_forward, images, p))
    if advance is not None:
        reports.append(running_averages(advance, momentum, seed))
    report = joined(name, reports)
    return in_meaning_of_p(report, p_keeps) if name == "dropout" else report


def joined(subject: str, reports: Sequence[Report]) -> Report:
    return Report(
        subject,
        [finding for report in reports for finding in report.findings],
        [place for report in reports for place in report.agreeing],
        [place for report in reports for place in report.unjudged],
        [note for report in reports for note in report.notes],
    )


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
            v.logits[0, 0] -= 25  # a right class of probability near 1e-11: nothing added to it goes unnoticed
    return v


@dataclass
class Trial:
    """One problem and what the user's code made of it, by the names of the textbook's lines."""

    v: Values
    observed: dict[str, Array]
    extreme: str = ""  # what is extreme about the problem, for the place's title: whatever is wrong there is a remark


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
    settled = settle(lambda e: comparison_of(name, trials, e), name, eps if name == "batch_norm" else 0.0)
    if settled.findings and "forward" in settled.findings[0].place and (settled.unjudged or settled.findings[1:]):
        own = [own_derivative(name, forward, trial.v) for trial in trials]
        settled = settle(lambda e: comparison_of(name, trials, e, own), name, eps if name == "batch_norm" else 0.0)
    notes = [eps_note(settled.eps)] if name == "batch_norm" and settled.eps != BATCH_NORM_EPS else []
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


def size(array: Array) -> float:
    """The largest entry; 1 where all are 0."""
    return float(np.abs(array).max(initial=0.0)) or 1.0


def tolerance_for(observed: Iterable[Numbers]) -> float:
    return SINGLE if is_single(observed) else EXACT


def is_single(observed: Iterable[Numbers]) -> bool:
    return any(array.dtype == np.float32 for numbers in observed for array in numbers.values())


class Settled(NamedTuple):
    """An explanation, and the eps for which it holds."""

    findings: list[Finding]
    agreeing: list[str]
    unjudged: list[str]
    eps: float


def settle(comparison_at: Callable[[float], Comparison], name: str, eps: float | None) -> Settled:
    """The explanation; where eps is not given, with one that leaves nothing wrong, or else nothing without a name."""
    candidates = [Planted(m, variant) for m in mistakes_of([name]) for variant in m.variants]
    if eps is not None:
        return Settled(*explain(comparison_at(eps), candidates), eps)
    best, comparison = measured_eps(comparison_at, EPS)
    first = Settled(*explain(comparison, candidates), best)
    if first.findings and first.findings[0].mistake is None and comparison.reach([]) == 0:
        for guess in EPS:
            if best_of(comparison_at(guess), [], candidates, 0, set()):
                return Settled(*explain(comparison_at(guess), candidates), guess)
    return first


def eps_note(eps: float) -> str:
    return f"eps is {'next to 0' if eps == TINY else f'{eps:g}'} here, where torch has {BATCH_NORM_EPS:g}"


def measured_eps(comparison_at: Callable[[float], Comparison], guesses: Sequence[float]) -> tuple[float, Comparison]:
    """The guess at which most places agree, one after the other; the first of those. (The cost alone cannot tell 0 from
    1e-9, the gradients can.)
    """
    best: tuple[int, float, Comparison] | None = None
    for guess in guesses:
        comparison = comparison_at(guess)
        reached = comparison.reach([])
        if best is None or reached > best[0]:
            best = reached, guess, comparison
        if reached == len(comparison.places):
            break
    assert best is not None
    return best[1:]


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
    """What the code's masks kept, read off its output, and whether they keep as many as they should."""
    kept = total = 0
    for trial in trials:
        out = trial.observed.get("out", trial.v.x)
        trial.v.kept = (out != 0).astype(np.float64) if out.shape == trial.v.x.shape else np.ones_like(trial.v.x)
        kept, total = kept + int(trial.v.kept.sum()), total + trial.v.kept.size
    p, place = trials[0].v.p, "dropout forward: mask"
    finding = wrong_share(place, kept, total, p) if any(trial.observed for trial in trials) else None
    if finding is None:
        return
    broken[place] = finding
    for trial in trials:
        if finding.mistake == "dropout_p_keeps":  # judged from here on as what it was meant to be
            trial.v.p = 1 - p
        elif kept == total:  # there is no mask to judge the rest by
            trial.observed.clear()


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
            broken.setdefault(
                f"{place}: running averages",
                Finding(
                    f"{place}: running averages",
                    "evaluation changes the running averages; only training may",
                    "running_advanced_by_evaluation",
                    link=f"{DERIVATIONS}#batch-normalization",
                ),
            )
    titles = {"out": f"{place}: out"}
    settled = settle(
        lambda e: replace(comparison_of("batch_norm_test", trials, e), places=["out"], titles=titles),
        "batch_norm_test",
        eps,
    )
    notes = []
    if in_training is not None and settled.agreeing and settled.eps != in_training:
        notes.append(f"test mode: {eps_note(settled.eps).split(',')[0]}; in training it is {in_training:g}")
    return Report("batch_norm", [*broken.values(), *settled.findings], settled.agreeing, settled.unjudged, notes)


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
    if comparison.reach([]) and not comparison.reach([biased]) < 2:
        notes.append("the running variance is the biased one, divided by N; torch's is divided by N - 1")
        unbiased = comparison.predict
        comparison = replace(comparison, predict=lambda planted, number: unbiased([*planted, biased], number))
    settled = settle(lambda _: comparison, "running_average", BATCH_NORM_EPS)
    if settled.findings and settled.findings[0].mistake is None:  # a mistake on top of the biased variance
        usual = comparison.predict
        with_bias = replace(comparison, predict=lambda planted, number: usual([biased, *planted], number))
        other = settle(lambda _: with_bias, "running_average", BATCH_NORM_EPS)
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
