"""One call of a whole network: parameters get what their names ask for, results go to the next function."""

import contextlib
import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import OBJECTS, Arrangement, Inputs, environment, sizes_of
from manual_mlp.adapters.data_sets import KeyedSets, form_of
from manual_mlp.adapters.dropout_switch import switch_off
from manual_mlp.adapters.gradients import gradients_in
from manual_mlp.adapters.guard import Failed, Shared
from manual_mlp.adapters.guesses import guessed_roles, kinds_of, literal
from manual_mlp.adapters.instances import instance_of, raise_if_unmade
from manual_mlp.adapters.layer_lists import layer_list
from manual_mlp.adapters.mode_words import is_mode, mode_word, tells_training
from manual_mlp.adapters.options import Options, is_options
from manual_mlp.adapters.parts import Network, Part, gives_nothing, mentioned, parts_of, plays
from manual_mlp.adapters.program import words
from manual_mlp.adapters.roles import (
    call_arguments,
    name_in,
    places_in,
    plain,
    returned_names,
    role_of,
    unpacked_names,
)
from manual_mlp.adapters.script_globals import set_globals
from manual_mlp.adapters.swallow import Swallow
from manual_mlp.adapters.told import not_clear, told_value
from manual_mlp.layers import Array

OF_BATCH_NORM = ("gamma", "beta", "mean", "var", "S", "S_hat")
OF_ONE_BATCH = {"x", "batch", "train", "in", "input", "data", "test", "val"}  # in the name of images, not of all layers


def value_for(parameter: inspect.Parameter, part: Part, env: Mapping[str, Any], passed: Mapping[str, Any]) -> Any:
    """What to pass for one parameter; `inspect.Parameter.empty` to leave it at its default."""
    if parameter.name in env["told"]:
        return told_value(env["told"][parameter.name], parameter.name, part.title, env, passed)
    role = part.role(parameter)
    if role is None and is_options(parameter.name):
        return Options(env)
    if (
        (role is None or role.kind == "X")
        and form_of(part.tree, parameter.name) == "keys"
        and plain(parameter.name) not in passed
    ):
        return KeyedSets({"X": env["X"], "Y": env["Y"], "y": env["numbers"]})
    made = passed.get(plain(parameter.name)) if set(words(parameter.name)) - OF_ONE_BATCH else None
    if role is not None and role.kind == "X":
        labels = passed.get(("caller", part.name, parameter.name), ())  # type: ignore[call-overload]
        listed = [label for label in labels if label != "x" and isinstance(passed.get(label), list)]
        if listed and listed == list(labels) and not isinstance(made, list | dict):
            made = passed[listed[0]]
        if isinstance(made, list | dict):
            return made  # X_l, the inputs of all layers, from the forward pass
        if (every := inputs_of_all_layers(parameter.name, part, passed)) is not None:
            return every
    inputs = ("X", "Y", "y", "W", "b", "gamma", "beta", "lambda", "params", "bn", "eta")
    held = bool(part.method_of) and parameter.default is not inspect.Parameter.empty  # by the object itself
    if role is not None and role.kind in inputs and not (held and role.kind in (*inputs[3:7], "params")):
        numbered = f"{role.kind}{role.layer}"
        if role.layer is not None and numbered in env:
            return env[numbered]
        if role.kind in env and role.layer is None:
            alone = env["depth"] == 1 and role.kind in ("W", "b") and not isinstance(env[role.kind], list)
            alone = alone and places_in(part.tree, parameter.name) == {0}
            return [env[role.kind]] if alone else env[role.kind]  # W = W[0], of a list with one layer's
    name = plain(parameter.name)
    callers = passed.get(("caller", part.name, parameter.name), ())  # type: ignore[call-overload]
    if parameter.default is None:  # statistics are given at test time
        callers = [label for label in callers if not is_statistic(label)]
    for candidate in (name, *callers):
        if candidate in passed:
            return passed[candidate]
    if role is not None and role.kind == "forward" and "whole" in passed:
        inner = (
            [v for v in passed["whole"] if isinstance(v, dict | list | tuple)]
            if isinstance(passed["whole"], tuple)
            else []
        )
        return inner[0] if len(inner) == 1 else passed["whole"]
    given_at_test_time = is_statistic(parameter.name) and parameter.default is None
    if role is not None and role.kind in passed and not given_at_test_time:
        return passed[role.kind]
    if parameter.default is not inspect.Parameter.empty:
        return inspect.Parameter.empty
    if role is not None and role.kind in env:
        return env[role.kind]
    if role is not None and (role.kind == "forward" or (role.kind in OF_BATCH_NORM and not env["bn"])):
        return None
    raise Failed(part.title, "missing", not_clear(parameter.name))


def inputs_of_all_layers(name: str, part: Part, passed: Mapping[Any, Any]) -> list[Any] | None:
    """What the forward pass returned under the same name, or as a whole, if it is a list and X[0], X[-1] are used."""
    places = places_in(part.tree, name)
    named, whole = passed.get(plain(name)), passed.get("whole")
    if places and isinstance(named, list):
        return named
    return whole if {0, -1} <= places and isinstance(whole, list) else None


def is_statistic(name: str) -> bool:
    role = role_of(name)
    return role is not None and role.kind in ("mean", "var")


def known_or_guessed(
    network: Network, parameter: inspect.Parameter, part: Part, env: Mapping[str, Any], passed: Mapping[Any, Any]
) -> Any:
    """What its name asks for, or else what seems to belong there."""
    if parameter.name in env["told"]:
        return value_for(parameter, part, env, passed)
    guess = guessed_roles(network, part).get(parameter.name)
    if guess is None:
        try:
            return value_for(parameter, part, env, passed)
        except Failed:
            if (value := literal(network, part, parameter.name, env)) is inspect.Parameter.empty:
                raise
    else:
        value = env.get(guess)
    network.unsure.add((part.title, parameter.name))
    return value


def called_part(network: Network, part: Part, env: Mapping[str, Any], passed: Mapping[Any, Any], instance: Any) -> Any:
    keywords = {}
    numbered = {name: role for name, role in network.behind(part).items() if name not in env["told"]}
    for parameter in part.parameters():
        value = env.get(numbered.get(parameter.name, ""), None)
        if value is None:
            value = known_or_guessed(network, parameter, part, env, passed)
        if value is not inspect.Parameter.empty:
            keywords[parameter.name] = value
    positional = [keywords.pop(p.name) for p in part.parameters() if p.kind is p.POSITIONAL_ONLY]
    function = part.function
    if part.method_of:
        function = types.MethodType(part.function, instance)
    return network.program.guard.call(part.title, function, *positional, **keywords)


def spread(network: Network, part: Part, result: Any, given: Inputs) -> dict[Any, Any]:
    """What a forward pass returned, under the names that the file has for it."""
    trees = network.program.trees
    users = {other.name for other in network.parts} - {part.name}
    passed: dict[Any, Any] = {"whole": result}
    values = list(result) if isinstance(result, tuple | list) else [result]
    if isinstance(result, Mapping):
        for key, value in result.items():
            passed[plain(str(key))] = value
            if (role := role_of(str(key))) is not None:
                passed.setdefault(role.kind, value)
        values = list(result.values())
    else:
        namings = unpacked_names(trees, part.name, users) + (returned_names(part.tree) if part.tree else [])
        for naming in reversed(namings):
            if len(naming) == len(values) and isinstance(result, tuple | list):
                for name, value in zip(naming, values, strict=True):
                    if name and name != "_":
                        passed[plain(name)] = value
                        if (role := role_of(name)) is not None and role.layer is None:
                            passed[role.kind] = value
            elif len(naming) == 1 and naming[0]:
                passed[plain(naming[0])] = result
    if (p := probabilities(values, given)) is not None:
        passed["P"] = p
        for candidate in ("p", "pred", "probs", "yhat"):
            if len(values) > 1 and passed.get(candidate) is result:  # elsewhere it returns the probabilities alone
                passed[candidate] = p
            passed.setdefault(candidate, p)
    for gradient in network.parts:
        for call in call_arguments(trees, gradient.name):
            names = [p.name for p in gradient.parameters()]
            for name, argument in zip(names, call.args, strict=False):
                if label := name_in(argument):
                    passed.setdefault(("caller", gradient.name, name), []).append(plain(label))
            for keyword in call.keywords:
                if keyword.arg and (label := name_in(keyword.value)):
                    passed.setdefault(("caller", gradient.name, keyword.arg), []).append(plain(label))
    rest = [value for value in values if value is not passed.get("P")]
    if "H" not in passed and len(rest) == 1:
        passed["H"] = rest[0]
    return passed


def probabilities(values: Sequence[Any], given: Inputs) -> Any:
    """The array among them whose entries are probabilities of the classes; lists are searched from their end."""
    classes, n = sizes_of(given.parameters)[-1], len(given.x)
    axis_of = {(classes, n): 0, (n, classes): 1}
    for value in values:
        for candidate in [value, *(reversed(value) if isinstance(value, list | tuple) else [])]:
            try:
                array = np.asarray(candidate, dtype=np.float64)
            except (ValueError, TypeError):
                continue
            axis = axis_of.get(array.shape)
            if axis is not None and np.all(array >= 0) and np.allclose(array.sum(axis=axis), 1):
                return candidate
    return None


class Outcome(NamedTuple):
    P: Array | None  # (N, K)
    costs: list[float]
    gradients: dict[str, Array]
    instance: Any = None  # the network as it is afterwards, where it is an object
    raw: Any = None  # the gradients as their function returned them


def prepared(network: Network, how: Arrangement, given: Inputs, *others: Part) -> tuple[dict[str, Any], Any]:
    """What stands for each role, in the script's globals, too, and the object whose methods are called."""
    parts = [*network.parts, *others]
    owner = next((part.method_of for part in reversed(parts) if part.method_of), "")
    if owner and how.container != OBJECTS:
        raise_if_unmade(network, owner, how)
    env = environment(how, given, network.keys) | {"told": network.program.told}
    bound = {p.name for part in parts for p in part.parameters()}
    functions = [part.function for part in parts_of(network.program)]
    functions += [made.__init__ for made in network.program.classes().values()]  # type: ignore[misc]
    for function in functions:
        switch_off(function, env)
    set_globals(network.program.namespace, functions, bound, env, network.program.made)
    if how.container == OBJECTS:
        held = layer_list(network.program, how, env, given)
        return env | {"params": Shared(held.layers)}, held
    return env, instance_of(network, owner, how, env, given) if owner else None


def computed(network: Network, how: Arrangement, given: Inputs, script: Mapping[str, Any] | None = None) -> Outcome:
    """Everything that the network's functions say about one batch, under our names.

    script   globals that hold something else than usual
    """
    network.failures.clear()
    network.unsure.clear()
    env, instance = prepared(network, how, given)
    network.program.namespace.update(script or {})
    passed: dict[Any, Any] = {}
    probability = None
    if network.forward is not None:
        try:
            training = modes_of_training(network, network.forward, how.batch_norm)
            result = called_part(network, network.forward, env, training, instance)
            passed = spread(network, network.forward, result, given)
            with contextlib.suppress(ValueError, TypeError):
                if (found := passed.get("P")) is not None:
                    array = np.asarray(found, dtype=np.float64)
                    probability = array if len(array) == len(given.x) else array.T
            if result is None and instance is None:
                network.failures["forward"] = gives_nothing(network.program, network.forward, "returns None")
        except Failed as failed:
            network.failures["forward"] = failed
    costs: list[float] = []
    if network.cost is not None:
        try:
            if network.loss is not None:
                passed["loss"] = called_part(network, network.loss, env, passed, instance)
            costs = numbers_in(called_part(network, network.cost, env, passed, instance), network)
        except Failed as failed:
            network.failures["cost"] = failed
    elif (returned := passed.get("cost")) is not None and np.size(returned) == 1:
        costs = [float(np.asarray(returned, dtype=np.float64).reshape(()))]
    if network.cost is not None and is_loss_alone(network, network.cost):
        costs = [cost + penalty(given) for cost in costs]
    gradients: dict[str, Array] = {}
    result = None
    if network.gradients is not None:
        try:
            result = called_part(network, network.gradients, env, passed, instance)
            gradients = gradients_in(network, result, instance, how, given)
        except Failed as failed:
            network.failures["gradients"] = failed
    return Outcome(probability, costs, gradients, instance, result)


def modes_of_training(network: Network, part: Part, batch_norm: bool) -> dict[str, Any]:
    """What a forward pass must be told that is in test mode if it is told nothing: mode="test", is_training=False; or
    that asks which of them it is.

    And returnH=False: the backward pass needs it.
    """
    chosen: dict[str, Any] = {}
    for p in part.parameters():
        role = role_of(p.name)
        if {"return", "returns"} & set(words(p.name)) and p.default is False:
            chosen[plain(p.name)] = True
        elif batch_norm and is_mode(network, part, p.name) and not tells_training(p.default):
            if (word := mode_word(network, part, p.name, training=True)) is not None:
                chosen[plain(p.name)] = word
        elif batch_norm and role and role.kind in ("trains", "tests") and p.default is (role.kind == "tests"):
            chosen[plain(p.name)] = role.kind == "trains"
    return chosen


def is_loss_alone(network: Network, part: Part) -> bool:
    """A function of the loss, by its name, that knows no lambda: the penalty is added elsewhere."""
    names = mentioned(part.tree) if part.tree is not None else ()
    knows = "lambda" in kinds_of(network, part) or any((r := role_of(name)) and r.kind == "lambda" for name in names)
    return plays(part.name) == "loss" and not knows


def penalty(given: Inputs) -> float:
    weights = [v for name, v in given.parameters.items() if name.startswith("linear") and name.endswith("weight")]
    return given.l2 * sum(float((W**2).sum()) for W in weights)


def numbers_in(result: Any, network: Network) -> list[float]:
    """The scalars of a cost function's result, the most likely one first."""
    assert network.cost is not None
    name = network.cost.title
    if result is None:
        raise gives_nothing(network.program, network.cost, "returns None")
    values = (
        list(result.values())
        if isinstance(result, Mapping)
        else list(result)
        if isinstance(result, tuple | list)
        else [result]
    )
    found = []
    for value in values:
        try:
            array = np.asarray(value, dtype=np.float64)
        except (ValueError, TypeError):
            continue
        if array.size == 1:
            found.append(float(array.reshape(())))
    if not found:
        shape = np.shape(values[0]) if values and not isinstance(values[0], Swallow) else ()
        raise network.program.guard.failed(name, "shape", f"returns the cost with shape {shape}; it must be one number")
    return found
