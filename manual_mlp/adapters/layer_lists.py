"""Networks that are a list of layer objects, which plain functions go through: forward(X, layers)."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from manual_mlp.adapters.arrangement import Arrangement, Inputs, sizes_of
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.instances import is_object, put_values, slots
from manual_mlp.adapters.layer_classes import layer_arguments, layer_classes, layer_objects
from manual_mlp.adapters.program import Program


class LayerList:
    """What holds the list, as an object of a network's class would."""

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers


def is_layer_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_object, value))


def layer_list(program: Program, how: Arrangement, env: Mapping[str, Any], given: Inputs) -> LayerList:
    """Objects of the file's own classes, one after the other, that hold these parameters."""
    for layers in stacks(program, how, env, given):
        made = LayerList(layers)
        kinds = {slot.kind for slot in slots(made)}
        if "W" in kinds and (not how.batch_norm or not how.affine or "gamma" in kinds):
            filled, fits = put_values(made, how, env, given)
            if fits and "W" in filled:
                return made
    raise Failed("the layers", "missing", "cannot be made: it is not clear what their constructors take")


def stacks(program: Program, how: Arrangement, env: Mapping[str, Any], given: Inputs) -> Iterator[list[Any]]:
    """One class for each operation, or else one for a whole layer, activation included."""
    sizes = sizes_of(given.parameters)
    operations = layer_classes(program, "")
    if {"linear", "relu"} <= set(operations):
        yield layer_objects(program, "", sizes, how.batch_norm)
    for name, made in program.classes().items():
        layers = []
        for number, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
            last = number == len(sizes) - 1
            arguments = layer_arguments(made, program.defined.get(name), fan_in, width, last, env)
            if arguments is None:
                break
            try:
                layers.append(program.guard.call(name, made, **arguments))
            except Failed:
                break
        if len(layers) == len(sizes) - 1:
            yield layers
