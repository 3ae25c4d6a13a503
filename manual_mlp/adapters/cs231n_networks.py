"""CS231n's networks (fc_net.py, neural_net.py): classes with .params and .loss(X, y)."""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp import layers
from manual_mlp.adapters.program import Inspection, Program
from manual_mlp.diagnosis import diagnose, diagnose_test_mode
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

HIDDEN, INPUTS, CLASSES = (7, 5), 6, 4


def networks(program: Program, name: str) -> list[Inspection]:
    """A class with .params and .loss(X, y): without batch normalization and, where it has them, with it and dropout."""
    accepts = inspect.signature(program.classes()[name]).parameters
    deep = any(word in accepts for word in ("hidden_dims", "hidden_sizes", "hidden_layers", "layers"))
    found = [Inspection(name, [f"{name}.loss"], lambda: network(program, name, deep, batch_norm=False))]
    if deep and any(word in accepts for word in ("use_batchnorm", "normalization", "batchnorm", "use_bn")):
        title = f"{name} with batch norm"
        found.append(Inspection(title, [f"{name}.loss"], lambda: network(program, name, deep, batch_norm=True)))
    if any(word in accepts for word in DROPOUT):
        found.append(
            Inspection(f"{name} with dropout", [f"{name}.loss"], lambda: network_with_dropout(program, name, deep))
        )
    return found


DROPOUT = ("dropout", "dropout_keep_ratio", "dropout_p", "keep_prob", "drop")
ALIASES: dict[str, tuple[str, ...]] = {
    "inputs": ("input_dim", "input_size", "D", "in_dim", "n_in"),
    "hidden": ("hidden_dims", "hidden_sizes", "hidden_layers", "layers", "hidden_dim", "hidden_size", "H", "n_hidden"),
    "classes": ("num_classes", "output_size", "output_dim", "C", "n_classes", "n_out"),
    "reg": ("reg", "regularization", "reg_strength"),
    "scale": ("weight_scale", "std", "scale", "weight_std"),
    "dtype": ("dtype",),
    "seed": ("seed",),
    "batch_norm": ("use_batchnorm", "normalization", "batchnorm", "use_bn"),
    "dropout": DROPOUT,
}


def built(program: Program, name: str, values: Mapping[str, Any]) -> Any:
    """An instance, with those of the values that its constructor has an argument for. (hidden is a tuple.)"""
    made = program.classes()[name]
    accepts = inspect.signature(made).parameters
    arguments = {}
    for key, value in values.items():
        for alias in ALIASES[key]:
            if alias in accepts:
                if key == "hidden":
                    value = list(value) if alias in ALIASES["hidden"][:4] else value[0]
                if alias == "normalization":
                    value = "batchnorm" if value else None
                arguments[alias] = value
                break
    net = program.guard.call(name, made, **arguments)
    if not isinstance(getattr(net, "params", None), dict):
        raise program.guard.failed(name, "type", "keeps no dictionary .params of its parameters")
    if not net.params:
        raise program.guard.failed(name, "unfilled", "is not filled in yet: its constructor makes no parameters")
    for alias in ALIASES["reg"]:
        if "reg" in values and hasattr(net, alias):
            setattr(net, alias, values["reg"])
    return net


def their_key(ours: str) -> str:
    kind, what = ours.split(".")
    layer = "".join(filter(str.isdigit, kind))
    names = {("linear", "weight"): "W", ("linear", "bias"): "b", ("bn", "weight"): "gamma", ("bn", "bias"): "beta"}
    return names[kind.rstrip("0123456789"), what] + layer


def put(program: Program, name: str, net: Any, parameters: Mapping[str, Array]) -> None:
    for ours, value in parameters.items():
        theirs = their_key(ours)
        value = value.T.copy() if value.ndim == 2 else value.copy()
        if theirs not in net.params:
            keys = ", ".join(map(str, net.params))
            raise program.guard.failed(name, "shape", f"has no params[{theirs!r}]; it has {keys}")
        shape = np.shape(net.params[theirs])
        if shape not in (value.shape, (1, *value.shape)):
            raise program.guard.failed(
                name, "shape", f"makes params[{theirs!r}] of shape {shape}; it must be {value.shape}"
            )
        net.params[theirs] = value.reshape(shape)
    shared = getattr(net, "bn_params", None) or []
    if isinstance(shared, list) and len({id(param) for param in shared}) < len(shared):
        sentence = (
            "hands the same bn_param to several layers, whose running averages overwrite each other: make one for each"
        )
        raise program.guard.failed(name, "shape", sentence)
    extra = set(net.params) - {their_key(ours) for ours in parameters}
    if any(key.startswith(("gamma", "beta")) for key in extra):
        program.guard.note(
            f"{name} also makes {', '.join(sorted(extra))}: the output layer is not normalized, so these are never used"
        )


def problem(hidden: Sequence[int], batch_norm: bool) -> tuple[dict[str, Array], Array, Any]:
    """Parameters under our names, none at its default, and a batch."""
    rng = np.random.default_rng(8)
    sizes = (INPUTS, *hidden, CLASSES)
    parameters: dict[str, Array] = {}
    for layer, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
        parameters[f"linear{layer}.weight"] = rng.normal(0, np.sqrt(2 / fan_in), (width, fan_in))
        parameters[f"linear{layer}.bias"] = rng.normal(0, 0.3, width)
        if batch_norm and layer <= len(hidden):
            parameters[f"bn{layer}.weight"] = rng.uniform(0.5, 1.5, width) * rng.choice([-1, 1], width)
            parameters[f"bn{layer}.bias"] = rng.normal(0, 0.5, width)
    return parameters, rng.normal(size=(11, INPUTS)), rng.integers(0, CLASSES, 11)


def network(program: Program, name: str, deep: bool, batch_norm: bool) -> Report:
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, y = problem(hidden, batch_norm)
    accepts = inspect.signature(vars(program.classes()[name])["loss"]).parameters
    settings = {"inputs": INPUTS, "hidden": hidden, "classes": CLASSES, "dtype": np.float64, "batch_norm": batch_norm}

    def answer_with(factor: float) -> Callable[..., Any]:
        def answer(values: Mapping[str, Array], x: Array, y: Any, l2: float) -> Any:
            net = built(program, name, {**settings, **{"reg": factor * l2}})
            put(program, name, net, values)
            extra = {"reg": factor * l2} if "reg" in accepts else {}
            result = program.guard.call(f"{name}.loss", net.loss, x, y, **extra)
            return cost_and_gradients(program, name, result, values)

        return answer

    report = diagnose(answer_with(2), parameters, x, y, 0.1)
    if not report.ok and "reg" in accepts:  # the first assignment's network: some years without the factor 0.5
        other = diagnose(answer_with(1), parameters, x, y, 0.1)
        report = other if other.ok or len(other.findings) < len(report.findings) else report
    if report.ok or all("cost" not in finding.place for finding in report.findings):
        report = with_more(report, test_mode(program, name, settings, parameters, x, y))
        report = with_more(report, initialization(program, name, settings))
    return report


def with_more(report: Report, more: Report) -> Report:
    return Report(
        report.subject,
        [*report.findings, *more.findings],
        [*report.agreeing, *more.agreeing],
        report.unjudged,
        [*report.notes, *more.notes],
    )


def cost_and_gradients(program: Program, name: str, result: Any, values: Mapping[str, Array]) -> Any:
    if not isinstance(result, tuple | list) or len(result) != 2:
        kind = "None" if result is None else f"a {type(result).__name__}"
        kind_of_failure = "unfilled" if result is None else "type"
        raise program.guard.failed(f"{name}.loss", kind_of_failure, f"returns {kind}; it must be (loss, grads)")
    cost, theirs = result
    if not isinstance(theirs, Mapping):
        raise program.guard.failed(
            f"{name}.loss", "type", f"returns grads as a {type(theirs).__name__}; it must be a dictionary"
        )
    if cost is None or not theirs:
        raise program.guard.failed(f"{name}.loss", "unfilled", "is not filled in yet: it returns no gradients")
    mine = {}
    for ours in values:
        if (value := theirs.get(their_key(ours))) is not None:
            mine[ours] = np.asarray(value).T if ours.startswith("linear") and ours.endswith("weight") else value
    return cost, mine


def hidden_layers(parameters: Mapping[str, Array], x: Array, normalized: Callable[[Array, int], Array]) -> Array:
    """Our own forward pass; normalized(x, layer) stands in front of every ReLU."""
    depth = sum(name.startswith("linear") for name in parameters) // 2
    for layer in range(1, depth + 1):
        x = x @ parameters[f"linear{layer}.weight"].T + parameters[f"linear{layer}.bias"]
        if layer < depth:
            x = np.maximum(normalized(x, layer), 0)
    return x


def test_mode(
    program: Program, name: str, settings: Mapping[str, Any], parameters: Mapping[str, Array], x: Array, y: Any
) -> Report:
    """loss(X) without labels gives the scores, with the running statistics of the batches seen so far."""
    net = built(program, name, {**settings, **{"reg": 0.0}})
    put(program, name, net, parameters)
    running: list[Mapping[str, Any]] = []
    if settings["batch_norm"]:
        rng = np.random.default_rng(9)
        for _ in range(3):
            program.guard.call(f"{name}.loss", net.loss, x + rng.normal(size=x.shape), y)
        running = getattr(net, "bn_params", [])
        if isinstance(running, Mapping):
            running = list(running.values())
        if not all("running_mean" in param for param in list(running)[: len(settings["hidden"])]) or not running:
            place = "test mode: running averages"
            sentence = (
                "net.bn_params holds no running_mean after three training batches: they are not kept for test mode"
            )
            return Report(name, [Finding(place, sentence, "bn_running_never_advance")])
        running = [dict(param) for param in running]

    scores = program.guard.call(f"{name}.loss", net.loss, x)
    if isinstance(scores, tuple):
        raise program.guard.failed(f"{name}.loss", "type", "returns a tuple without labels; it must return the scores")
    mine = program.guard.array(f"{name}.loss", "scores without labels", scores, (len(x), CLASSES))
    buffers: dict[str, Any] = {}
    for layer, param in enumerate(running[: len(settings["hidden"])], start=1):
        buffers |= {f"bn{layer}.running_mean": param["running_mean"], f"bn{layer}.running_var": param["running_var"]}
    return diagnose_test_mode(mine, parameters, buffers, x)


def initialization(program: Program, name: str, settings: Mapping[str, Any]) -> Report:
    """Weights of standard deviation weight_scale, biases and betas 0, gammas 1."""
    scale = 0.03
    hidden = [90, 80][: len(settings["hidden"])]
    net = built(program, name, {**settings, **{"inputs": 100, "hidden": hidden, "classes": 70, "scale": scale}})
    findings = []
    for key, value in net.params.items():
        array = np.asarray(value, dtype=np.float64)
        kind = key.rstrip("0123456789")
        if kind == "W" and abs(array.std() / scale - 1) > 0.1:
            known = {scale**2: "weight_scale is taken as the variance's square", 1.0: "weight_scale is not used"}
            known |= {np.sqrt(scale): "weight_scale is taken as the variance", 0.0: "all weights are equal"}
            why = next((text for std, text in known.items() if abs(array.std() - std) <= 0.1 * std), "")
            sentence = f"its standard deviation is {array.std():.3g}; weight_scale is {scale}{'. ' if why else ''}{why}"
            findings.append(
                Finding(f"initialization: {key}", sentence, "init_wrong_std", formula="weight_scale * randn")
            )
        elif kind in ("b", "beta") and np.any(array != 0):
            findings.append(Finding(f"initialization: {key}", "it must start at 0", "init_bias"))
        elif kind == "gamma" and np.any(array != 1):
            findings.append(Finding(f"initialization: {key}", "it must start at 1", "init_gamma"))
    return Report(name, findings, [] if findings else ["initialization"])


def network_with_dropout(program: Program, name: str, deep: bool) -> Report:
    """With the same seed the loss is one function, so its gradient can be held against its own differences; without
    labels nothing is dropped.
    """
    hidden = HIDDEN if deep else HIDDEN[:1]
    parameters, x, y = problem(hidden, batch_norm=False)
    settings = {"inputs": INPUTS, "hidden": hidden, "classes": CLASSES, "dtype": np.float64, "reg": 0.2}
    settings |= {"dropout": 0.6, "seed": 11}

    def answer(values: Mapping[str, Array]) -> Any:
        net = built(program, name, settings)
        put(program, name, net, values)
        np.random.seed(5)  # noqa: NPY002 - where the network has no seed of its own
        return cost_and_gradients(program, name, program.guard.call(f"{name}.loss", net.loss, x, y), values)

    cost, gradient = answer(parameters)
    findings, agreeing = [], []
    right = hidden_layers(parameters, x, lambda h, _: h)
    loss = float(layers.softmax_cross_entropy_forward(right, y)[0])
    penalty = 0.1 * sum(float(np.sum(v**2)) for n, v in parameters.items() if n.startswith("linear") and v.ndim == 2)
    if abs(float(cost) - loss - penalty) < 1e-9 * abs(loss):
        sentence = "the loss is the same as without dropout: nothing is dropped, or what is left is not passed on"
        findings.append(Finding("dropout: loss", sentence, "dropout_never_applied"))
    rng, h = np.random.default_rng(12), 1e-6
    for ours in reversed(list(parameters)):
        theirs = their_key(ours)
        if ours not in gradient:
            findings.append(Finding(f"gradient of {theirs}", "it is missing", "unfilled"))
            continue
        mine = program.guard.array(f"{name}.loss", theirs, gradient[ours], parameters[ours].shape)
        wrong = 0
        for _ in range(3):
            direction = rng.normal(size=mine.shape)
            up, down = (answer(parameters | {ours: parameters[ours] + s * h * direction})[0] for s in (1, -1))
            slope = (float(up) - float(down)) / (2 * h)
            wrong += abs(slope - float(np.sum(mine * direction))) > 1e-5 * max(1.0, float(np.abs(mine).max()))
        if wrong >= 2:  # one may have crossed a kink
            sentence = "it is not the derivative of the network's own loss with the same units dropped"
            findings.append(Finding(f"gradient of {theirs}", sentence, "dropout_backward"))
        else:
            agreeing.append(f"gradient of {theirs}")
    net = built(program, name, settings)
    put(program, name, net, parameters)
    scores = program.guard.array(f"{name}.loss", "scores", program.guard.call(f"{name}.loss", net.loss, x), right.shape)
    if np.allclose(scores, right, rtol=1e-8):
        agreeing.append("test mode: scores")
    else:
        findings.append(
            Finding("test mode: scores", "units are dropped, or scaled, at test time too", "dropout_at_test_time")
        )
    return Report(name, findings, agreeing)
