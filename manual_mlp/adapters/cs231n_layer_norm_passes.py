"""CS231n's layernorm_forward and layernorm_backward, alone: every image is normalized over its own units."""

from collections.abc import Sequence

import numpy as np

from manual_mlp.adapters.cs231n_known_values import Known, failed_at, judged
from manual_mlp.adapters.cs231n_textbook import batchnorm_backward, batchnorm_forward, layernorm_backward
from manual_mlp.adapters.cs231n_textbook import layernorm_forward as layernorm
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array

NAMES = ("layernorm_forward", "layernorm_backward")
IMAGES, UNITS = 7, 5
OVER_THE_BATCH = "it is normalized over the images, as in batch normalization, instead of over each image's units"
FORMULAS = {
    "out": "out = gamma (x - mean) / √(var + eps) + beta, with x.mean(axis=1, keepdims=True) and so the variance",
    "dx": "that of batch normalization for gamma dout, with axis 1 in place of axis 0",
    "dgamma": "dgamma = Σₙ dout[n] x̂[n]",
    "dbeta": "dbeta = Σₙ dout[n]",
}


def layer_norm(program: Program, names: Sequence[str]) -> Report:
    forward_name, backward_name = names
    if not program.has(forward_name):
        sentence = f"cannot be called: it needs the cache of a {forward_name}, which is not here"
        raise program.guard.failed(program.name_of(backward_name), "missing", sentence)
    rng = np.random.default_rng(10)
    x, dout = 3 * rng.normal(size=(IMAGES, UNITS)), rng.normal(size=(IMAGES, UNITS))
    gamma, beta = rng.uniform(0.5, 1.5, UNITS) * rng.choice([-1, 1], UNITS), rng.normal(size=UNITS)
    right, right_cache = layernorm(x, gamma, beta, {})
    answer = program.call(forward_name, x, gamma, beta, {})
    out, cache = program.guard.several(program.name_of(forward_name), answer, ("out", "cache"))
    title = "layer norm forward: out"
    known = {OVER_THE_BATCH: batchnorm_forward(x, gamma, beta, {"mode": "train"})[0]}
    wrong = judged(program, program.name_of(forward_name), title, out, right, known, FORMULAS["out"])
    report = Report("layer norm", [wrong] if wrong else [], [] if wrong else [title])
    places = {key: f"layer norm backward: {key}" for key in ("dx", "dgamma", "dbeta")}
    if not program.has(backward_name):
        return report
    if wrong:
        return Report(report.subject, [wrong], unjudged=list(places.values()))
    theirs = program.name_of(backward_name)
    try:
        given = program.guard.several(theirs, program.call(backward_name, dout, cache), tuple(places))
    except Failed as failed:
        return Report(report.subject, [failed_at("layer norm backward", failed)], report.agreeing)
    expected = layernorm_backward(dout, right_cache)
    found = {}
    for (key, place), mine, value in zip(places.items(), given, expected, strict=True):
        found[place] = judged(program, theirs, place, mine, value, known_gradients(key, x, gamma, dout), FORMULAS[key])
    findings = [found[places[key]] for key in ("dbeta", "dgamma", "dx")]
    agreeing = [place for place, finding in found.items() if finding is None]
    return Report(report.subject, [f for f in findings if f is not None], [*report.agreeing, *agreeing])


def known_gradients(key: str, x: Array, gamma: Array, dout: Array) -> Known:
    """What mistakes make of one gradient."""
    if key == "dbeta":
        return {"it is averaged over the batch instead of summed": dout.mean(axis=0)}
    normalized, _ = layernorm(x, np.ones(UNITS), np.zeros(UNITS), {})
    if key == "dgamma":
        return {
            "it is averaged over the batch instead of summed": (dout * normalized).mean(axis=0),
            "it is taken with the input x instead of the normalized x̂": (dout * x).sum(axis=0),
        }
    unscaled = layernorm(x, np.ones(UNITS), np.zeros(UNITS), {})[1]
    over_the_batch = batchnorm_forward(x, gamma, np.zeros(UNITS), {"mode": "train"})[1]
    return {
        "gamma is missing in dx̂ = gamma dout": layernorm_backward(dout, unscaled)[0],
        OVER_THE_BATCH: batchnorm_backward(dout, over_the_batch)[0],
    }
