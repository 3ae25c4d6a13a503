"""How a DD2424 program trains: one step of its update or of its training loop, beside gradient descent."""

import ast
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import ETA, Arrangement, Inputs, arranged
from manual_mlp.adapters.calls import computed, prepared, value_for
from manual_mlp.adapters.gradients import Leaf, leaves, matched, size_of, under_our_names, with_names
from manual_mlp.adapters.guard import Failed, Shared
from manual_mlp.adapters.instances import held_parameters
from manual_mlp.adapters.options import Options, is_options, option
from manual_mlp.adapters.parts import Network, Part, parts_of
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.rest import RESTS, Rest, with_rest
from manual_mlp.adapters.roles import argument_role, gradient_role, role_of
from manual_mlp.diagnosis import diagnose_update
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array

STEPS = {
    "gd",
    "sgd",
    "train",
    "fit",
    "update",
    "step",
    "descent",
    "minibatch",
    "optimize",
    "apply",
    "learn",
    "training",
}
OTHER_RULES = re.compile(r"adam|beta1|beta_1|rmsprop|adagrad|nesterov", re.IGNORECASE)
HELD = ("W", "b", "gamma", "beta", "params")


def updates(program: Program) -> list[Part]:
    """Functions that make a step, by their names; those of other rules than gradient descent are left alone."""
    found = []
    for part in parts_of(program):
        named = set(words(part.name)) & STEPS or "descent" in part.name.lower() or "minibatch" in part.name.lower()
        source = ast.unparse(part.tree) if part.tree is not None else ""
        if named and not OTHER_RULES.search(source) and not set(words(part.name)) & {"eta", "rate", "test", "plot"}:
            found.append(part)
    return found


def update(network: Network) -> Report:
    """The parameters after one step, with the network's own gradient, right or wrong."""
    return update_with(network, reading_of(network), network.rest or Rest())


def rest_of(network: Network, reading: Reading) -> Rest | None:
    """What the step still does to gradients that look wrong: its own numbers say so. None where it takes them as they
    are, or where there is no step to be seen.
    """
    for rest in (Rest(), *RESTS):
        with contextlib.suppress(Failed):
            report = update_with(network, reading, rest)
            slip = "" if report.ok else report.findings[0].mistake or ""
            if report.ok or (rest.penalty and slip.startswith(("update_penalty_not", "update_penalty_with"))):
                return rest if rest != Rest() else None
    return None


def update_with(network: Network, reading: Reading, rest: Rest) -> Report:
    how, given = reading.how, reading.given
    found = with_rest(network, how, given, reading.outcome.gradients, rest, penalty=False)
    if set(found) != set(given.parameters) or any(
        found[name].size != value.size for name, value in given.parameters.items()
    ):
        raise absent("update")
    gradients = {n: g.reshape(given.parameters[n].shape) for n, g in found.items()}
    l2 = given.l2 if rest.penalty else 0.0
    for part in updates(network.program):
        with contextlib.suppress(Failed):
            for after in after_one_step(network, part, reading):
                report = diagnose_update(given.parameters, after, ETA, gradients=gradients, l2=l2)
                if report.ok:
                    return report
                if report.findings[0].mistake is not None:
                    return report
    raise absent("update")


def after_one_step(network: Network, part: Part, reading: Reading) -> Iterator[dict[str, Array]]:
    """The parameters where the function leaves them: in what it returns, in its arguments, in the object."""
    how, given = reading.how, reading.given
    outcome = computed(network, how, given)
    env, instance = prepared(network, how, given, part)
    if not part.kinds() & {"X"} and hasattr(outcome.instance, part.name):
        instance = outcome.instance  # the gradient is in it
    passed = step_arguments(part, outcome.raw, outcome.gradients, how, given)
    keywords = step_keywords(part, env, passed, {**env, "n": len(given.x), "epochs": 1})
    function = part.function.__get__(instance) if part.method_of else part.function
    result = network.program.guard.call(part.title, function, **keywords)
    expected = arranged(how, given)
    places: list[Any] = [list(leaves(with_names(network, part, result)))]
    places.append(list(leaves({name: value.value for name, value in keywords.items() if isinstance(value, Shared)})))
    if instance is not None:
        held = held_parameters(instance, how, given)
        places.append([Leaf((kind, number), v) for kind, values in held.items() for number, v in enumerate(values)])
    for found in places:
        chosen = matched(found, expected, lambda kind, layer: expected[kind][layer - 1])
        complete = all(
            (kind, layer) in chosen and size_of(chosen[kind, layer]) == size_of(value)
            for kind, values in expected.items()
            for layer, value in enumerate(values, start=1)
        )
        if complete and any(not np.array_equal(v.ravel(), expected[k][n - 1].ravel()) for (k, n), v in chosen.items()):
            yield under_our_names(how, chosen)


def step_keywords(
    part: Part, env: Mapping[str, Any], passed: Mapping[str, Any], answers: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a function that trains; parameters are handed over themselves, for it may change them."""
    keywords: dict[str, Any] = {}
    for parameter in part.parameters():
        role = argument_role(parameter.name)
        if parameter.name in passed:
            value = passed[parameter.name]
        elif is_options(parameter.name):
            value = Options(answers)
        elif (keys := keys_of(part.tree, parameter.name)) and "X" in keys:
            value = {key: env[key] for key in keys if key in env}
        elif (chosen := option(parameter.name, answers)) is not None and (
            role is None or role.kind not in (*HELD, "X", "Y", "y")
        ):
            value = chosen
        else:
            value = value_for(parameter, part, env, {})
        if value is not parameter.empty:
            keywords[parameter.name] = Shared(value) if role is not None and role.kind in HELD else value
    return keywords


def keys_of(tree: ast.AST | None, name: str) -> set[str]:
    """The strings that an argument is indexed with: training_data["X"] -> X."""
    return {
        node.slice.value
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }


def step_arguments(
    part: Part, raw: Any, gradients: Mapping[str, Array], how: Arrangement, given: Inputs
) -> dict[str, Any]:
    """What a function that is handed gradients gets: all of them as they were returned, or dW1, db1, ... one by one."""
    passed: dict[str, Any] = {}
    layout = arranged(
        how, given._replace(parameters={name: gradients[name] for name in given.parameters if name in gradients})
    )
    for parameter in part.parameters():
        parts = words(parameter.name)
        role = gradient_role(parameter.name) if role_of(parameter.name) is None else None
        if role is not None:
            values: Sequence[Array] = layout.get(role.kind, [])
            if role.layer is None:
                passed[parameter.name] = list(values)
            elif 0 <= role.layer - how.first < len(values):
                passed[parameter.name] = values[role.layer - how.first]
        elif {"grads", "grad", "gradients", "gradient"} & set(parts):
            passed[parameter.name] = raw
    return passed
