"""CS231n's operations (layers.py): weights (in, out), a bn_param that the function updates, p that keeps or drops."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from manual_mlp.adapters import cs231n_layer_norm_passes, cs231n_svm
from manual_mlp.adapters.cs231n_classifier import classifiers
from manual_mlp.adapters.cs231n_networks import function_networks, is_network, networks
from manual_mlp.adapters.cs231n_sandwiches import sandwiches
from manual_mlp.adapters.cs231n_textbook import (
    TEXTBOOK,
    affine_forward,
    relu_forward,
    softmax_loss,
)
from manual_mlp.adapters.cs231n_updates import update
from manual_mlp.adapters.cs231n_words import in_their_words
from manual_mlp.adapters.guard import Failed, Shared
from manual_mlp.adapters.log_guards import as_remark, has_guard
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.adapters.unfilled import HALF_DONE
from manual_mlp.diagnosis import diagnose_operation
from manual_mlp.diagnosis.dropout import shared_draw
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.diagnosis.strangers import NOT_COMPUTED
from manual_mlp.layers import Array

WHY_UNSEEN = "nothing here to compare them with"
NOT_OURS = ("conv", "max_pool", "spatial", "groupnorm", "rnn", "lstm", "temporal", "im2col")


def known_helpers(module: str) -> dict[str, Any]:
    """What the course's helper files hold, by the last part of their name."""
    name = module.split(".")[-1]
    return dict(TEXTBOOK) if "layer" in name else {"xrange": range, "np": np} if name == "builtins" else {}


def inspections(program: Program) -> list[Inspection]:
    pairs = {
        "linear": ("affine_forward", "affine_backward"),
        "ReLU": ("relu_forward", "relu_backward"),
        "batch norm": ("batchnorm_forward", "batchnorm_backward"),
        "batch norm, simplified": ("batchnorm_forward", "batchnorm_backward_alt"),
        "layer norm": cs231n_layer_norm_passes.NAMES,
        "dropout": ("dropout_forward", "dropout_backward"),
        "softmax": ("softmax_loss",),
    }
    operations: dict[str, Callable[[Program, Sequence[str]], Report]] = {
        "linear": linear,
        "ReLU": relu,
        "batch norm": batch_norm,
        "batch norm, simplified": simplified_batch_norm,
        "layer norm": cs231n_layer_norm_passes.layer_norm,
        "dropout": dropout,
        "softmax": softmax,
    }
    found = []
    for title, names in pairs.items():
        there = [name for name in names if program.has(name)]
        if there and not (title == "batch norm, simplified" and len(there) < 2):
            found.append(inspection(program, title, names, operations[title]))
    if program.has(cs231n_svm.NAME):
        found.append(Inspection("svm", [program.name_of(cs231n_svm.NAME)], partial(cs231n_svm.svm, program)))
    found += [*sandwiches(program), *classifiers(program)]
    for name in ("sgd", "sgd_momentum", "rmsprop", "adam"):
        if program.has(name):
            found.append(Inspection(name, [program.name_of(name)], partial(update, program, name)))
    program.wrapped = function_networks(program)
    for name in program.classes():
        if name in program.defined and is_network(program.classes()[name]):
            found += networks(program, name)
    for ours, theirs in program.mapped.items():
        if ours == "network" and theirs not in program.classes():
            raise ValueError(f"--functions network={theirs}: {theirs} is not a class of the file")
    return found


def inspection(
    program: Program, title: str, names: Sequence[str], run: Callable[[Program, Sequence[str]], Report]
) -> Inspection:
    theirs = [program.name_of(name) for name in names if program.has(name)]
    return Inspection(title, theirs, lambda: run(program, names))


def nothing_found(program: Program) -> str:
    names = [name for name in program.defined if not name.startswith("_")]
    known = "affine_forward, relu_forward, batchnorm_forward, dropout_forward, softmax_loss, sgd, FullyConnectedNet"
    ignored = [name for name in names if name.startswith(NOT_OURS)]
    extra = f" ({', '.join(ignored)}: not part of a fully connected network)" if ignored else ""
    if program.source.broken:
        extra += "".join(f"; {name}: {why}" for name, why in program.source.broken.items())
    return (
        f"{program.source.path.name} defines {', '.join(names[:20]) or 'no function'}{extra}; looked for {known}, ... "
        "Name yours with --functions, such as affine_forward=my_linear."
    )


def aspects(program: Program, inspections: Sequence[Inspection]) -> list[str]:
    """What is there and is not looked at."""
    return program.left_over(function for inspection in inspections for function in inspection.functions)


def pair(program: Program, title: str, value: Any) -> tuple[Any, Any]:
    out, cache = program.guard.several(title, value, ("out", "cache"))
    return out, cache


def out_at_test_time(program: Program, title: str, value: Any) -> Any:
    if (out := pair(program, title, value)[0]) is None:
        raise program.guard.failed(title, "empty", "leaves out at None in test mode: it is not computed yet")
    return out


def gradients(program: Program, name: str, value: Any, names: Sequence[str]) -> list[Any]:
    if isinstance(value, Mapping):
        without_d = {str(key).lower().removeprefix("d"): gradient for key, gradient in value.items()}
        value = [without_d.get(key.removeprefix("d")) for key in names]
    return program.guard.several(name, value, names)


def transposed(weight_gradient: Any) -> Any:
    return weight_gradient.T if isinstance(weight_gradient, np.ndarray) else weight_gradient


def if_there(program: Program, name: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
    return function if program.has(name) else None


def linear(program: Program, names: Sequence[str]) -> Report:
    forward_name, backward_name = names

    def forward(x: Array, W: Array, b: Array) -> Any:
        if not program.has(forward_name):
            return affine_forward(x, W.T, b)
        return pair(program, program.name_of(forward_name), program.call(forward_name, x, W.T.copy(), b))

    def backward(dout: Array, cache: Any) -> Any:
        answer = program.call(backward_name, dout, cache)
        dx, dw, db = gradients(program, program.name_of(backward_name), answer, ("dx", "dw", "db"))
        return dx, transposed(dw), db

    report = diagnose_operation("linear", forward=forward, backward=if_there(program, backward_name, backward))
    return images_kept(program, report, names) if report.ok else in_their_words(report)


def images_kept(program: Program, report: Report, names: Sequence[str]) -> Report:
    """CS231n's affine layer takes images (N, d_1, ..., d_k) as they are and gives dx back in their shape."""
    forward_name, backward_name = names
    rng = np.random.default_rng(3)
    x, w, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(6, 5)), rng.normal(size=5)
    try:
        cache = affine_forward(x, w, b)[1]
        if program.has(forward_name):
            out, cache = pair(program, program.name_of(forward_name), program.call(forward_name, x, w, b))
            program.guard.array(program.name_of(forward_name), "out", out, (4, 5))
        if program.has(backward_name):
            theirs = program.name_of(backward_name)
            answer = program.call(backward_name, rng.normal(size=(4, 5)), cache)
            program.guard.array(theirs, "dx", gradients(program, theirs, answer, ("dx", "dw", "db"))[0], x.shape)
    except Failed as failed:
        sentence = f"for images of shape (N, d_1, ..., d_k): {failed}"
        place = "linear backward: dx" if "dx" in failed.sentence else "linear forward: out"
        finding = Finding(place, sentence, "wrong_shape", formula="reshape x to (N, D); give dx the shape of x")
        return Report(report.subject, [finding], report.agreeing, notes=report.notes)
    return report


def relu(program: Program, names: Sequence[str]) -> Report:
    forward_name, backward_name = names

    def forward(x: Array) -> Any:
        if not program.has(forward_name):
            return relu_forward(x)
        return pair(program, program.name_of(forward_name), program.call(forward_name, x))

    def backward(dout: Array, cache: Any) -> Any:
        return program.call(backward_name, dout, cache)

    return diagnose_operation("relu", forward=forward, backward=if_there(program, backward_name, backward))


def batch_norm(program: Program, names: Sequence[str]) -> Report:
    forward_name, backward_name = names
    if not program.has(forward_name):
        return batch_norm_backward_alone(program, backward_name)
    theirs = program.name_of(forward_name)

    def test_forward(x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Any:
        param: dict[str, Any] = {"mode": "test", "running_mean": mean.copy(), "running_var": var.copy()}
        answer = program.call(forward_name, x, gamma, beta, Shared(param))
        before = {"running_mean": mean, "running_var": var}
        changed = [key for key, value in before.items() if not np.array_equal(param[key], value)]
        if changed:
            program.guard.note(f"{theirs} changes {', '.join(changed)} in test mode; they must stay as they are")
        return out_at_test_time(program, theirs, answer)

    def advance(x: Array, mean: Array, var: Array) -> Any:
        param = {"mode": "train", "running_mean": mean.copy(), "running_var": var.copy()}
        gamma, beta = np.full(x.shape[1], 1.3), np.full(x.shape[1], 0.2)
        program.call(forward_name, x, gamma, beta, Shared(param))
        return param["running_mean"], param["running_var"]

    forward, backward = training_passes(program, names)
    return diagnose_operation(
        "batch_norm",
        forward=forward,
        backward=if_there(program, backward_name, backward),
        test_forward=test_forward,
        advance=advance,
    )


def simplified_batch_norm(program: Program, names: Sequence[str]) -> Report:
    program.half_done(names[1])  # alone: the forward pass is looked at by itself
    forward, backward = training_passes(program, names)
    return diagnose_operation("batch_norm", forward=forward, backward=backward)


def training_passes(program: Program, names: Sequence[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Batch normalization in training mode, forward and backward."""
    forward_name, backward_name = names

    def forward(x: Array, gamma: Array, beta: Array) -> Any:
        answer = program.call(forward_name, x, gamma, beta, {"mode": "train"})
        return pair(program, program.name_of(forward_name), answer)

    def backward(dout: Array, cache: Any) -> Any:
        answer = program.call(backward_name, dout, cache)
        return tuple(gradients(program, program.name_of(backward_name), answer, ("dx", "dgamma", "dbeta")))

    return forward, backward


def batch_norm_backward_alone(program: Program, name: str) -> Report:
    raise program.guard.failed(
        program.name_of(name),
        "missing",
        "cannot be called: it needs the cache of a batchnorm_forward, which is not here",
    )


def dropout(program: Program, names: Sequence[str]) -> Report:
    forward_name, backward_name = names
    if not program.has(forward_name):
        return batch_norm_backward_alone(program, backward_name)
    theirs = program.name_of(forward_name)
    if (shared := shared_draws(program, forward_name)) is not None:
        return Report("dropout", [shared])
    keeps = p_keeps(program, forward_name)

    def forward(x: Array, p: float, rng: Any) -> Any:
        param = {"mode": "train", "p": p, "seed": int(rng.integers(2**31))}
        return pair(program, theirs, program.call(forward_name, x, param))

    def backward(dout: Array, cache: Any) -> Any:
        return program.call(backward_name, dout, cache)

    def test_forward(x: Array, p: float) -> Any:
        answer = program.call(forward_name, x, {"mode": "test", "p": p, "seed": 1})
        return out_at_test_time(program, theirs, answer)

    report = diagnose_operation(
        "dropout",
        forward=forward,
        backward=if_there(program, backward_name, backward),
        test_forward=test_forward,
        p=0.7 if keeps else 0.3,
        p_keeps=keeps,
    )
    note = f"p is the probability to {'keep' if keeps else 'drop'} a unit here"
    return Report(report.subject, report.findings, report.agreeing, report.unjudged, [*report.notes, note])


def p_keeps(program: Program, name: str) -> bool:
    """Measured: at p = 0.8, are most units kept or most dropped?"""
    return bool(np.mean(kept_units(program, name, 5)) > 0.5)


def kept_units(program: Program, name: str, seed: int) -> Array:
    """Which units of 100 images are kept at p = 0.8."""
    answer = program.call(name, np.ones((100, 100)), {"mode": "train", "p": 0.8, "seed": seed})
    out, _ = pair(program, program.name_of(name), answer)
    kept: Array = program.guard.array(program.name_of(name), "out", out, (100, 100)) != 0
    return kept


def shared_draws(program: Program, name: str) -> Finding | None:
    """Are units kept or dropped together? A few seeds, for where one draw decides about everything."""
    finding = shared_draw("dropout forward: mask", [[kept_units(program, name, seed)] for seed in range(5, 25)])
    return finding and replace(finding, formula="np.random.rand(*x.shape)")


def softmax(program: Program, names: Sequence[str]) -> Report:
    (name,) = names
    theirs = program.name_of(name)

    def forward(logits: Array, y: Any) -> Any:
        answer = program.call(name, logits, y)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            kind = "None" if answer is None else f"a {type(answer).__name__}"
            raise program.guard.failed(
                theirs, "unfilled" if answer is None else "type", f"returns {kind}; it must be (loss, dx)"
            )
        return answer[0], answer[1]

    def backward(cache: Any) -> Any:
        return cache

    report = diagnose_operation("softmax_cross_entropy", forward=forward, backward=backward)
    if report.agreeing:
        findings = [
            replace(f, sentence=NOT_COMPUTED, mistake=HALF_DONE) if f.mistake == "unfilled" else f
            for f in report.findings
        ]
        report = replace(report, findings=findings)
    if not has_guard(report):
        return report
    rng = np.random.default_rng(2)
    logits, y = rng.normal(size=(9, 5)), rng.integers(0, 5, 9)
    usual = softmax_loss(logits, y)[0]
    return as_remark(report, abs(program.guard.scalar(theirs, "loss", forward(logits, y)[0]) - usual) / usual)
