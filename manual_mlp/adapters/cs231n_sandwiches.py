"""CS231n's convenience layers (layer_utils.py): affine - ReLU, and affine - batch norm - ReLU.

Their own layers are diagnosed by themselves, where they are in the file; those of files beside it are used as they are.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.adapters.cs231n_textbook import (
    TEXTBOOK,
    affine_bn_relu_backward,
    affine_bn_relu_forward,
    affine_relu_backward,
    affine_relu_forward,
)
from manual_mlp.adapters.guard import Failed, Shared
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

NORMALIZED = re.compile(r"affine_(bn|norm|batchnorm|batch_norm)_relu_(forward|backward)")
GRADIENTS = ("dx", "dw", "db", "dgamma", "dbeta")


def sandwiches(program: Program) -> list[Inspection]:
    names = {"affine_relu_forward", "affine_relu_backward"}
    title, there = "linear and ReLU", [name for name in sorted(names, reverse=True) if program.has(name)]
    found = [Inspection(title, there, partial(sandwich, program, there, title, False))] if there else []
    title = "linear, batch norm and ReLU"
    there = sorted((name for name in program.defined if NORMALIZED.fullmatch(name)), reverse=True)
    return [*found, *([Inspection(title, there, partial(sandwich, program, there, title, True))] if there else [])]


def sandwich(program: Program, names: Sequence[str], title: str, normalized: bool) -> Report:
    rng = np.random.default_rng(4)
    x, w, b, gamma, beta = (rng.normal(size=shape) for shape in ((9, 6), (6, 5), 5, 5, 5))
    dout = rng.normal(size=(9, 5))
    inputs = (x, w, b, gamma, beta) if normalized else (x, w, b)
    forward, backward = (
        (affine_bn_relu_forward, affine_bn_relu_backward) if normalized else (affine_relu_forward, affine_relu_backward)
    )
    right, cache = forward(*inputs, *([{"mode": "train"}] if normalized else []))
    expected, results = backward(dout, cache), list[tuple[str, str, Any, Array]]()
    for name in names:
        if name.endswith("forward"):
            param: dict[str, Any] = {"mode": "train"}
            answer = program.call(name, *inputs, *([Shared(param)] if normalized else []))
            out, cache = values(program, name, answer, ("out", "cache"))
            results.append((f"{title} forward: out", name, out, right))
            if normalized and "running_mean" not in param:
                sentence = "it does not hand its bn_param on: the running averages are not kept for test mode"
                return Report(title, [Finding(f"{title} forward: bn_param", sentence, "bn_running_never_advance")])
        else:
            keys = GRADIENTS[: len(expected)]
            answer = in_usual_order(values(program, name, program.call(name, dout, cache), keys), expected)
            results += [
                (f"{title} backward: {key}", name, mine, other)
                for key, mine, other in zip(keys, answer, expected, strict=True)
            ]
    report = compared_values(program, title, results)
    for layers_own in of_their_layers(program, inputs, dout) if not report.ok else ():
        theirs = {place: layers_own[place.split(": ")[1]] for place, *_ in results}
        if all(alike(mine, theirs[place]) for place, _, mine, _ in results):
            note = (
                f"{' and '.join(names)} do what the layers give that they call; these are not right: look at them first"
            )
            return Report(title, agreeing=[place for place, *_ in results], notes=[note])
    return explained(report, title, results, dout)


def of_their_layers(program: Program, inputs: Sequence[Array], dout: Array) -> Iterator[dict[str, Any]]:
    """What the layers make that the file has or imports, strung together: with each of its two backward passes of batch
    normalization.
    """

    def layer(name: str, *arguments: Any) -> Any:
        return program.guard.call(name, program.namespace.get(name, TEXTBOOK[name]), *arguments)

    x, w, b, *gamma_beta = inputs
    for backward in ("batchnorm_backward", "batchnorm_backward_alt") if gamma_beta else ("",):
        with contextlib.suppress(Failed, TypeError, ValueError):
            out, linear = layer("affine_forward", x, w, b)
            normalization = None
            if gamma_beta:
                out, normalization = layer("batchnorm_forward", out, *gamma_beta, {"mode": "train"})
            out, rectified = layer("relu_forward", out)
            dhidden, of_norm = layer("relu_backward", dout, rectified), ()
            if gamma_beta:
                dhidden, *of_norm = layer(backward, dhidden, normalization)
            gradients = (*layer("affine_backward", dhidden, linear), *of_norm)
            yield {"out": out, **dict(zip(GRADIENTS, gradients, strict=False))}


def values(program: Program, name: str, answer: Any, keys: Sequence[str]) -> list[Any]:
    if isinstance(answer, Mapping):
        answer = [answer.get(key) for key in keys]
    return program.guard.several(name, answer, keys)


def in_usual_order(answer: list[Any], expected: Sequence[Array]) -> list[Any]:
    """Some return the gradients in another order, which only their own network must know."""
    for order in itertools.permutations(range(len(answer))):
        if all(alike(answer[k], right) for k, right in zip(order, expected, strict=True)):
            return [answer[k] for k in order]
    return answer


def alike(mine: Any, right: Array) -> bool:
    return isinstance(mine, np.ndarray) and mine.shape == right.shape and np.allclose(mine, right, atol=1e-9)


def compared_values(
    program: Program, subject: str, results: Sequence[tuple[str, str, Any, Array]], tolerance: float = 1e-6
) -> Report:
    findings, agreeing = [], []
    rounding = 1e-12 * max(float(np.abs(right).max()) for *_, right in results)  # db behind batch norm is 0
    for place, name, mine, right in results:
        array = program.guard.array(name, place, mine, np.shape(right))
        difference = float(np.max(np.abs(array - right), initial=0.0)) if np.isfinite(array).all() else np.inf
        if difference <= max(tolerance * float(np.abs(right).max()), rounding):
            agreeing.append(place)
        else:
            findings.append(
                Finding(place, f"{name} is off by up to {difference:.2g}; the values reach {np.abs(right).max():.2g}")
            )
    return Report(subject, findings, agreeing)


def explained(report: Report, title: str, results: Sequence[tuple[str, str, Any, Array]], dout: Array) -> Report:
    """What a sandwich can get wrong by itself: that the gradient goes past the ReLU on its way back."""
    if report.ok or not report.findings[0].place.startswith(f"{title} backward"):
        return report
    backward = {place.split(": ")[1]: mine for place, _, mine, _ in results if "backward" in place}
    if not np.allclose(backward.get("dbeta", backward["db"]), dout.sum(axis=0)):
        return report
    finding = Finding(report.findings[0].place, "the gradient is not masked: it goes past the ReLU", "relu_not_masked")
    return Report(title, [finding], report.agreeing)
