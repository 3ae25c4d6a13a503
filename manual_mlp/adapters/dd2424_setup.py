"""What a DD2424 program does before and after training: initialization, standardization, accuracy.

Each is found by its name. The assignments leave freedom here (a fixed std, Xavier's or He's; biases drawn or 0), and
students take more: only a slip that has a name is called wrong, all else is left unjudged.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, arranged, as_computed, environment, rectified, sizes_of
from manual_mlp.adapters.calls import called_part, prepared
from manual_mlp.adapters.constructors import constructor_arguments
from manual_mlp.adapters.dd2424_test_mode import in_their_layout, keeps_flat, running_arguments
from manual_mlp.adapters.gradients import leaves, matched, under_our_names, with_names
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.instances import slots
from manual_mlp.adapters.parts import Network, Part, parts_of, plays
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.roles import argument_role, gradient_role, returned_names, role_of
from manual_mlp.diagnosis import diagnose_initialization, diagnose_standardization
from manual_mlp.diagnosis.initialization import MOST_SIGMAS, sigmas
from manual_mlp.diagnosis.report import Finding, Report
from manual_mlp.layers import Array

LARGE = {1: (130, 40), 2: (130, 60, 40), 3: (130, 60, 30, 20)}  # enough weights for their spread to be measured
KNOWN = {"he": "He's", "xavier": "Xavier's"}
ACCEPTED = ("init_glorot", "init_torch_default")  # no slips, only other choices
FIXED = (0.1, 0.01, 0.001, 1e-4, 1e-5)
VARIANCE = ("init_variance_for_std", "init_xavier_variance_for_std")
PARTIAL = ("standardized_not_at_all", "standardized_only_scaled", "standardized_only_centered")


def shapes_of(sizes: Sequence[int], batch_norm: bool) -> Inputs:
    parameters: dict[str, Array] = {}
    for layer, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
        parameters |= {f"linear{layer}.weight": np.zeros((width, fan_in)), f"linear{layer}.bias": np.zeros(width)}
        if batch_norm and layer < len(sizes) - 1:
            parameters |= {f"bn{layer}.weight": np.ones(width), f"bn{layer}.bias": np.zeros(width)}
    x = np.random.default_rng(3).normal(size=(12, sizes[0]))
    return Inputs(parameters, x, np.arange(12) % sizes[-1], 0.0)


def initializers(program: Program) -> list[Part]:
    """Functions such as init_params(d, m, K), with or without arguments."""
    found = []
    for part in parts_of(program):
        parts, joined = words(part.name), "".join(words(part.name))
        makes = {"create", "build", "make", "get", "generate"} & set(parts) and any(
            word in joined for word in ("param", "weight", "network", "net", "model")
        )
        makes = makes or ({"create", "build", "make", "setup"} & set(parts) and part.kinds() & {"params", "m", "D"})
        named = any(word.startswith("init") for word in parts)
        if not part.method_of and (named or makes) and not part.kinds() & {"W", "X"}:
            found.append(part)
    return found


def initialization(network: Network) -> Report:
    """The first weights of a large network, against every initialization that the course teaches."""
    reading = reading_of(network)
    given = shapes_of(LARGE[reading.how.depth], reading.how.batch_norm and reading.how.affine)
    names = set(given.parameters)
    own = as_the_file_draws_them(network, reading.how)
    empty: dict[str, Array] = {}
    for values in itertools.chain(own, first_values(network, reading, given)):
        values = {name: value for name, value in values.items() if name in names}
        if {name for name in names if name.startswith("linear")} <= set(values):
            values = {name: values.get(name, given.parameters[name]) for name in given.parameters}
            if any(value.any() for name, value in values.items() if is_weight(name)):
                return judged_initialization(values)
            empty = empty or values  # of a sigma that is 0 by default, perhaps: there may be another way
    if empty:
        return judged_initialization(empty)
    raise absent("initialization")


def is_weight(name: str) -> bool:
    return name.startswith("linear") and name.endswith("weight")


def as_the_file_draws_them(network: Network, how: Arrangement) -> Iterator[dict[str, Array]]:
    """What an initializer without arguments gives, with the sizes that the file itself has in its globals."""
    program = network.program
    for part in initializers(program):
        if any(p.default is p.empty for p in part.parameters()):
            continue
        with program.as_loaded(), contextlib.suppress(Failed):
            found = list(leaves(with_names(network, part, program.guard.call(part.title, part.function))))
            roles = [(gradient_role(str(step)), leaf.value) for leaf in found for step in leaf.path[:1]]
            weights = [v.T if how.turned else v for role, v in roles if role and role.kind == "W" and v.ndim == 2]
            if len(weights) != how.depth or any(a.shape[0] != b.shape[1] for a, b in itertools.pairwise(weights)):
                continue
            sizes = weights[0].shape[1], *(len(W) for W in weights)
            given = shapes_of(sizes, how.batch_norm and how.affine)
            expected = arranged(how, given)
            yield under_our_names(how, matched(found, expected, lambda kind, n: expected[kind][n - 1]))  # noqa: B023


def first_values(network: Network, reading: Reading, given: Inputs) -> Iterator[dict[str, Array]]:
    how, expected = reading.how, arranged(reading.how, given)
    env = environment(how, given, network.keys)
    with contextlib.suppress(Failed):
        prepared(network, how, given)  # the sizes that it takes from the script
    if owner := network.owner:
        made = network.program.classes()[owner]
        for arguments in constructor_arguments(network.program, made, how, env, given):
            try:
                places = list(slots(network.program.guard.call(owner, made, **arguments)))
            except Failed:
                continue
            held = {(s.kind, n): s.value for kind in expected for n, s in enumerate(of_kind(places, kind), start=1)}
            if all(
                held[key].size == expected[key[0]][key[1] - 1].size for key in held if key[1] <= len(expected[key[0]])
            ):
                yield under_our_names(how, {key: v for key, v in held.items() if key[1] <= len(expected[key[0]])})
    for part in initializers(network.program):
        for sizes in (list(LARGE[how.depth]), tuple(LARGE[how.depth]), list(LARGE[how.depth][1:-1])):
            keywords = {p.name: size_for(p.name, how, sizes, env) for p in part.parameters() if p.default is p.empty}
            if any(value is None for value in keywords.values()):
                continue
            try:
                result = network.program.guard.call(part.title, part.function, **keywords)
            except Failed:
                continue
            found = list(leaves(with_names(network, part, result)))
            yield under_our_names(how, matched(found, expected, lambda kind, layer: expected[kind][layer - 1]))


def of_kind(places: list[Any], kind: str) -> list[Any]:
    return sorted((slot for slot in places if slot.kind == kind), key=lambda slot: slot.number or 0)


def size_for(name: str, how: Arrangement, sizes: Any, env: Mapping[str, Any]) -> Any:
    role, joined = role_of(name), "".join(words(name))
    if joined in ("sigma", "std", "sig", "scale", "stddev"):
        return 0.05
    if role is None:
        return None
    if role.kind in ("m", "H") and how.depth == 2 and role.layer is None and len(sizes) > 1:
        return LARGE[2][1]
    if role.kind in ("m", "H"):
        return LARGE[how.depth][role.layer] if role.layer and role.layer < how.depth else list(LARGE[how.depth][1:-1])
    if role.kind in ("sizes", "params"):
        return sizes
    return {"rng": np.random.default_rng(4), "seed": 4}.get(role.kind, env.get(role.kind))


def judged_initialization(values: Mapping[str, Array]) -> Report:
    if broken := [name for name, value in values.items() if not np.isfinite(value).all()]:
        findings = [Finding(name, "it is drawn with NaN or infinity in it") for name in broken]
        return Report("initialization", findings)
    weight = values["linear1.weight"]
    weights = [value for name, value in values.items() if is_weight(name)]
    if all(stds := [fixed_std(W) for W in weights]):
        chosen = ", ".join(f"{std:g}" for std in dict.fromkeys(stds))
        note = f"the weights are drawn with a fixed standard deviation ({chosen}), whatever the layer's inputs"
        return Report("initialization", agreeing=["fixed standard deviations"], notes=[note])
    common = float(weight.std())
    reports = {kind: diagnose_initialization(values, kind) for kind in KNOWN}
    if common > 0 or len(weights) == 1:  # a single layer may start at 0; the units of a hidden one would stay equal
        reports[f"N(0, {common:.3g}²)"] = diagnose_initialization(values, common)
    reports = {kind: with_seeding_noted(report) for kind, report in reports.items()}
    first = reports["he"].findings[0].mistake if reports["he"].findings else None
    for kind, report in reports.items():
        if kind not in KNOWN and first in VARIANCE and len(weights) > 1:
            continue  # of the first layer, in every layer
        findings = [f for f in report.findings if not f.place.endswith(".bias") or f.place.startswith("bn")]
        if not findings and (kind in KNOWN or common < 0.5):
            note = f"the weights are drawn as {KNOWN.get(kind, kind)}"
            if kind not in KNOWN and (whose := [k for k in KNOWN if "linear1.weight" in reports[k].agreeing]):
                note += f" in every layer, which is {KNOWN[whose[0]]} for the inputs of the first layer alone"
            return replace(report, findings=[], notes=[*report.notes, note])
        reports[kind] = replace(report, findings=findings)
    report = reports["he"] if len(reports["he"].findings) <= len(reports["xavier"].findings) else reports["xavier"]
    slips = [f for f in report.findings if f.mistake is not None and f.mistake not in ACCEPTED]
    if not slips:
        raise absent("initialization")
    return replace(report, findings=slips)


def with_seeding_noted(report: Report) -> Report:
    """The same random numbers in two layers are odd, but the network learns all the same."""
    seeded = [f for f in report.findings if f.mistake == "init_seeded_again"]
    others = [f for f in report.findings if f not in seeded]
    agreeing = [*report.agreeing, *(f.place for f in seeded if f.place not in {other.place for other in others})]
    notes = [f"{f.place}: {f.sentence}" for f in seeded]
    return replace(report, findings=others, agreeing=agreeing, notes=[*report.notes, *notes])


def fixed_std(weight: Array) -> float | None:
    """The round number that the weights were drawn with: assignment 3 explores 0.1, 0.001 and 0.0001 on purpose."""
    return next((std for std in FIXED if abs(sigmas(weight, std)) <= MOST_SIGMAS), None)


def standardization(program: Program, part: Part) -> Report:
    """Training, validation and test images, as rows and as columns."""
    rng = np.random.default_rng(5)
    names = ("train", "validation", "test")
    raw = {name: rng.normal(120 + 10 * n, 60, (40 + n, 6)) + 30 * np.arange(6) for n, name in enumerate(names)}
    reports = []
    taken = [p for p in part.parameters() if p.default is p.empty]
    for columns in (True, False):
        turned = {name: images.T.copy() if columns else images for name, images in raw.items()}
        arguments = [value_of(p.name, number, len(taken), turned, columns) for number, p in enumerate(taken)]
        own = own_statistics(program, turned["train"])
        arguments = [own.get(statistic(p.name), value) for p, value in zip(taken, arguments, strict=True)]
        try:
            result = program.guard.call(part.title, part.function, *arguments)
        except Failed:
            continue
        values = [v for v in (result if isinstance(result, tuple | list) else [result]) if isinstance(v, np.ndarray)]
        found = {
            name: value.T if columns else value
            for name in names
            for value in values
            if value.shape == turned[name].shape
        }
        if "train" in found:
            reports.append(diagnose_standardization(raw, found))
    if best := next((report for report in reports if report.ok), None):
        return best
    for report in reports:
        slips = [f for f in report.findings if f.mistake is not None and f.mistake not in PARTIAL]
        divided = slips and slips[0].mistake == "standardized_by_variance"
        if slips and ("train images" in report.agreeing or divided):
            return replace(report, findings=slips)
    raise absent("standardization")


def own_statistics(program: Program, images: Array) -> dict[str, Any]:
    """Mean and standard deviation as the file computes them, where one of its functions does nothing else."""
    for part in parts_of(program):
        for naming in returned_names(part.tree) if part.tree and not part.method_of else ():
            needed = [p for p in part.parameters() if p.default is p.empty]
            if {statistic(name) for name in naming} == {"mean", "std"} and len(naming) == 2 and len(needed) == 1:
                with contextlib.suppress(Failed, TypeError, ValueError):
                    result = program.guard.call(part.title, part.function, images)
                    return {statistic(name): value for name, value in zip(naming, result, strict=True)}
    return {}


def statistic(name: str) -> str:
    """mean, std or neither."""
    parts, joined = words(name), "".join(words(name)).lower()
    if "mean" in joined or "mu" in parts:
        return "mean"
    return "std" if "std" in joined or "sigma" in parts else ""


def value_of(name: str, number: int, count: int, images: Mapping[str, Array], columns: bool) -> Array:
    joined = "".join(words(name)).lower()
    axis = 1 if columns else 0
    if kind := statistic(name):
        images_of = images["train"]
        return np.asarray((images_of.mean if kind == "mean" else images_of.std)(axis=axis, keepdims=True))
    if "val" in joined:
        return images["validation"]
    if "test" in joined:
        return images["test"]
    order = ("train", "validation", "test") if count > 2 else ("train", "test")
    return images[order[min(number, len(order) - 1)]] if "train" not in joined else images["train"]


def standardizers(program: Program) -> list[Part]:
    found = []
    for part in parts_of(program):
        joined = "".join(words(part.name))
        named = any(word in joined for word in ("standardi", "normali", "preprocess", "zeromean", "zscore"))
        needed = [p for p in part.parameters() if p.default is p.empty]
        if named and "batch" not in joined and not part.method_of and 1 <= len(needed) <= 3 and not is_operation(part):
            found.append(part)
    return found


def is_operation(part: Part) -> bool:
    """Of the network: takes its scores, means or parameters."""
    roles = {role.kind for p in part.parameters() if (role := role_of(p.name))}
    return bool(roles & {"S", "W", "gamma", "beta", "var", "S_hat", "Y", "y", "params"})


def accuracy(network: Network, part: Part) -> Report:
    """The share of images whose largest probability is that of their class."""
    reading = reading_of(network)
    how, given = reading.how, reading.given
    p = reading.outcome.P
    if p is None:
        raise absent("accuracy")
    right_y = p.argmax(axis=1)
    given = given._replace(
        y=np.where(np.arange(len(given.x)) % 3 > 0, right_y, (right_y + 1) % sizes_of(given.parameters)[-1])
    )
    share = float(np.mean(right_y == given.y))
    known = {p.name: role for p in part.parameters() if (role := argument_role(p.name))}
    averages = running_arguments(network, part) or {
        name: (role.kind, role.layer) for name, role in known.items() if role.kind in ("mean", "var")
    }
    statistics = {}
    if how.batch_norm and averages:
        flat = network.forward is not None and keeps_flat(network, network.forward, how, given)
        statistics = in_their_layout(how, averages, batch_statistics(as_computed(how, given)), flat)
    found = []
    for labels in ("numbers", "onehot"):
        env, instance = prepared(network, replace(how, labels=labels), given, part)
        probabilities = p.T if how.x_columns else p
        try:
            result = called_part(network, part, env, {"P": probabilities, "p": probabilities, **statistics}, instance)
            found.append(float(np.asarray(result, dtype=np.float64).reshape(())))
        except (Failed, ValueError, TypeError):
            continue
    if any(abs(value - right) < 1e-9 for value in found for right in (share, 100 * share, share * len(given.x))):
        return Report("accuracy", agreeing=["accuracy"])
    if not found or (how.batch_norm and not statistics) or len(known | averages) < len(part.parameters()):
        raise absent("accuracy")
    sentence = f"it is {found[0]:.4g}; {share:.4g} of the images have their largest probability at their own class"
    formula = "the share of images with argmax p = y"
    if any(abs(value - (1 - share)) < 1e-9 for value in found):
        return Report(
            "accuracy", [Finding("accuracy", f"{sentence}: it is the error rate", "accuracy_is_error", formula=formula)]
        )
    if any(
        abs(value * other - share * len(given.x)) < 1e-9
        for value in found
        for other in (given.x.shape[1], sizes_of(given.parameters)[-1])
    ):
        sentence += ": it is divided by the wrong length of the array"
        return Report("accuracy", [Finding("accuracy", sentence, "accuracy_wrong_divisor", formula=formula)])
    raise absent("accuracy")


def batch_statistics(given: Inputs) -> dict[str, list[Array]]:
    """Means and variances in front of every batch normalization: as running averages, they change no class."""
    h, found = given.x, {"mean": [], "var": []}  # type: ignore[var-annotated]
    for layer in range(1, len(sizes_of(given.parameters)) - 1):
        s: Array = h @ given.parameters[f"linear{layer}.weight"].T + given.parameters[f"linear{layer}.bias"]
        s = rectified(given, s) if given.relu_first else s
        found["mean"].append(s.mean(axis=0))
        found["var"].append(s.var(axis=0))
        normalized = (s - s.mean(axis=0)) / s.std(axis=0)
        h = given.parameters[f"bn{layer}.weight"] * normalized + given.parameters[f"bn{layer}.bias"]
        h = h if given.relu_first else rectified(given, h)
    return found


def accuracies(program: Program) -> list[Part]:
    return [part for part in parts_of(program) if plays(part.name) == "accuracy"]
