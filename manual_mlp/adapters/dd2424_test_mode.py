"""A DD2424 network at test time: with running averages that are arguments of its forward pass, or kept by an object."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, as_bias, as_computed, collected, sizes_of
from manual_mlp.adapters.calls import called_part, modes_of_training, prepared, probabilities, spread
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.guesses import is_none_at_calls
from manual_mlp.adapters.instances import Slot, slots
from manual_mlp.adapters.mode_words import TESTING, TRAINING, is_mode, mode_word
from manual_mlp.adapters.parts import Network, Part
from manual_mlp.adapters.program import words
from manual_mlp.adapters.reading import Reading, absent, reading_of
from manual_mlp.adapters.roles import plain, role_of, running_role
from manual_mlp.adapters.told import not_clear
from manual_mlp.diagnosis import diagnose_operation, diagnose_test_mode
from manual_mlp.diagnosis.report import Report
from manual_mlp.layers import Array


def running_arguments(network: Network, part: Part) -> dict[str, tuple[str, int | None]]:
    """mu_av and v_av, or means=None and variances=None, or those that are None while training: which of the forward
    pass's arguments are running averages.
    """
    found = {}
    for p in part.parameters():
        role = running_role(p.name)
        if role is None and (p.default is None or (p.default is p.empty and is_none_at_calls(network, part, p.name))):
            role = role_of(p.name)
        if role is not None and role.kind in ("mean", "var"):
            found[p.name] = (role.kind, role.layer)
    return found


def mode_arguments(network: Network, part: Part, training: bool, first: bool = False) -> dict[str, Any]:
    """training=True, is_test=False, mode="train", first_time=True: what tells the forward pass which of them it is."""
    chosen: dict[str, Any] = {}
    for p in part.parameters():
        role = role_of(p.name)
        if role is not None and role.kind in ("trains", "tests"):
            chosen[plain(p.name)] = training if role.kind == "trains" else not training
        elif "first" in words(p.name):
            chosen[plain(p.name)] = first
        elif is_mode(network, part, p.name):
            word = mode_word(network, part, p.name, training)
            if word is None:
                raise absent("test mode")
            chosen[plain(p.name)] = word
    return chosen


def test_mode(network: Network) -> Report:
    """The class scores with running averages that are not the batch's own statistics."""
    reading = reading_of(network, batch_norm=True)
    part = network.forward
    if part is None or network.draws:
        raise absent("test mode")
    how, given = reading.how, reading.given
    rng = np.random.default_rng(7)
    hidden = sizes_of(given.parameters)[1:-1]
    means: list[Array] = [rng.normal(0.3, 0.5, width) for width in hidden]
    variances: list[Array] = [rng.uniform(0.3, 3, width) for width in hidden]
    buffers: dict[str, Array] = {}
    for layer, (mean, var) in enumerate(zip(means, variances, strict=True), start=1):
        buffers |= {f"bn{layer}.running_mean": mean, f"bn{layer}.running_var": var}
    env, instance = prepared(network, how, given)
    passed = mode_arguments(network, part, training=False)
    arguments = running_arguments(network, part)
    if {kind for kind, _ in arguments.values()} == {"mean", "var"}:
        flat = keeps_flat(network, part, how, given)
        passed |= in_their_layout(how, arguments, {"mean": means, "var": variances}, flat)
    elif instance is not None:
        trained(network, part, env, instance, first=True)
        places = running_slots(instance)
        if not all(len(places[kind]) >= len(hidden) for kind in places):
            raise absent("test mode")
        for kind, values in (("mean", means), ("var", variances)):
            for slot, value in zip(places[kind], values, strict=False):
                slot.put(
                    value.reshape(np.shape(slot.value)) if np.size(slot.value) == value.size else as_bias(how, value)
                )
        put_mode(instance, training=False)
    else:
        raise absent("test mode")
    result = called_part(network, part, env, passed, instance)
    found = spread(network, part, result, given).get("P")
    if found is None:
        found = probabilities(list(vars(instance).values()), given) if instance is not None else None
    if found is None:
        raise absent("test mode")
    scores = np.asarray(found, dtype=np.float64)
    scores = scores if len(scores) == len(given.x) else scores.T
    parameters = as_computed(how, given).parameters
    report = diagnose_test_mode(
        scores, parameters, buffers, given.x, relu_first=given.relu_first, relu_slope=given.relu_slope
    )
    unsure = sorted(name for title, name in network.unsure if title == part.title and name not in arguments)
    if unsure and not report.ok:  # a guess accuses nobody
        raise Failed(part.title, "missing", not_clear(unsure[0]))
    return report


def keeps_flat(network: Network, part: Part, how: Arrangement, given: Inputs) -> bool:
    """Are the statistics that its forward pass returns while training of shape (m,), whatever the biases are?"""
    env, instance = prepared(network, how, given)
    try:
        result = called_part(network, part, env, modes_of_training(network, part, batch_norm=True), instance)
    except Failed:
        return False
    mean: Any = spread(network, part, result, given).get("mean")
    return mean is not None and np.ndim(mean[0] if isinstance(mean, list | tuple) and mean else mean) == 1


def in_their_layout(
    how: Arrangement,
    arguments: Mapping[str, tuple[str, int | None]],
    values: Mapping[str, list[Array]],
    flat: bool = False,
) -> dict[str, Any]:
    """The running averages as lists, or each in an argument of its own, by the arguments' names.

    flat   of shape (m,), not as the biases are
    """
    passed: dict[str, Any] = {}
    for name, (kind, layer) in arguments.items():
        arrays = [value.reshape(-1) if flat else as_bias(how, value) for value in values[kind]]
        if layer is not None and layer - how.first < len(arrays):
            passed[plain(name)] = arrays[layer - how.first]
        else:
            passed[plain(name)] = collected(how, kind, arrays)
    return passed


def running_slots(instance: Any) -> dict[str, list[Slot]]:
    """Where an object keeps its running averages, in the order of the layers."""
    found = list(slots(instance, meaning=running_role))
    return {
        kind: sorted((slot for slot in found if slot.kind == kind), key=lambda slot: slot.number or 0)
        for kind in ("mean", "var")
    }


def put_mode(owner: Any, training: bool) -> None:
    for name, old in list(vars(owner).items()):
        role = role_of(name)
        if role is not None and role.kind in ("trains", "tests") and isinstance(old, bool):
            setattr(owner, name, training if role.kind == "trains" else not training)
        elif isinstance(old, str) and old.lower() in (*TRAINING, *TESTING):
            raise absent("test mode")  # self.mode = "train": which words it knows is not told


def trained(network: Network, part: Part, env: Mapping[str, Any], instance: Any, first: bool) -> None:
    """One forward pass in training mode."""
    put_mode(instance, training=True)
    called_part(network, part, env, mode_arguments(network, part, training=True, first=first), instance)


def running_averages(network: Network) -> Report:
    """One step of the averages that an object keeps: W1 is the identity, so that x itself is normalized first, or where
    a ReLU comes before that, x + b1 > 0, whose mean is larger by b1 at every step.
    """
    reading = reading_of(network, batch_norm=True)
    part = network.forward
    if part is None or not part.method_of or running_arguments(network, part):
        raise absent("running averages")

    def advance(x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
        given = identity_first(reading, x)
        env, instance = prepared(network, reading.how, given._replace(x=x[::-1] ** 2))
        trained(network, part, env, instance, first=True)
        env, _ = prepared(network, reading.how, given)
        first = {kind: places[0] for kind, places in running_slots(instance).items() if places}
        if len(first) < 2:
            raise absent("running averages")
        above = given.parameters["linear1.bias"]
        for kind, value in (("mean", mean + above), ("var", var)):
            if np.size(first[kind].value) != value.size:
                raise absent("running averages")
            first[kind].put(value.reshape(np.shape(first[kind].value)))
        trained(network, part, env, instance, first=False)
        after = {kind: places[0].value for kind, places in running_slots(instance).items()}
        return np.array(after["mean"]).reshape(-1) - above, np.array(after["var"]).reshape(-1)

    before = np.full(6, 0.5)
    x = np.random.default_rng(6).normal(size=(9, 6))
    if all(np.array_equal(value, before) for value in advance(x, before, before)):
        raise absent("running averages")  # another function advances them
    report = diagnose_operation("batch_norm", advance=guarded(advance))
    unnamed = [finding for finding in report.findings if finding.mistake is None]
    if unnamed and len(unnamed) == len(report.findings) and not report.agreeing:
        raise absent("running averages")
    return report


def guarded(advance: Any) -> Any:
    def calls(x: Array, mean: Array, var: Array) -> Any:
        try:
            return advance(x, mean, var)
        except Failed as failed:
            raise ValueError(str(failed)) from None

    return calls


def identity_first(reading: Reading, x: Array) -> Inputs:
    """Our reading's network for images of x's width, whose first layer passes them on, above 0 if a ReLU follows."""
    rng, width = np.random.default_rng(8), x.shape[1]
    sizes = [width, width, *sizes_of(reading.given.parameters)[2:]]
    parameters: dict[str, Array] = {}
    for layer, (fan_in, out) in enumerate(itertools.pairwise(sizes), start=1):
        parameters[f"linear{layer}.weight"] = np.eye(width) if layer == 1 else rng.normal(size=(out, fan_in))
        parameters[f"linear{layer}.bias"] = np.zeros(out)
        if layer < len(sizes) - 1:
            parameters |= {f"bn{layer}.weight": np.ones(out), f"bn{layer}.bias": np.zeros(out)}
    if reading.given.relu_first:
        parameters["linear1.bias"] = np.full(width, 1 - x.min())
    return reading.given._replace(parameters=parameters, x=x, y=np.arange(len(x)) % sizes[-1], l2=0.0)
