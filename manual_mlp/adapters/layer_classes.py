"""Networks that are put together from layer objects: net.add(Linear(6, 7)), or Network([Linear(6, 7), ReLU(), ...])."""

import ast
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.parts import parts_of, plays
from manual_mlp.adapters.program import Program, nodes_of, words
from manual_mlp.adapters.roles import Role, plain, role_of

ADDERS = ("add", "addlayer", "append", "appendlayer", "push")
COUNTS = {"input": "D", "inputs": "D", "in": "D", "feature": "D", "features": "D"}
COUNTS |= {"output": "K", "outputs": "K", "out": "K", "label": "K", "labels": "K"}


def count_role(name: str) -> Role | None:
    """The role of a constructor's parameter: `inputs` is their number there, not the images."""
    kind = COUNTS.get(plain(name))
    return Role(kind, None) if kind else role_of(name)


def kind_of_layer(name: str, made: type) -> str:
    """linear, batch_norm, relu, softmax or nothing that a network is made of."""
    joined = "".join(words(name))
    if "relu" in joined:
        return "relu"
    if "batchnorm" in joined or "bn" in words(name):
        return "batch_norm"
    if any(word in joined for word in ("loss", "entropy", "dropout", "network", "model")):
        return ""
    if "softmax" in joined:
        return "softmax"
    needed = [p for p in inspect.signature(made).parameters.values() if p.default is p.empty]
    return "linear" if len(needed) >= 2 else ""


def layer_classes(program: Program, network_class: str) -> dict[str, type]:
    """The first class of each kind that has a forward and a backward pass and is not the network's own."""
    methods: dict[str, set[str]] = {}
    for part in parts_of(program):
        methods.setdefault(part.method_of, set()).add(plays(part.name, part.kinds()))
    found: dict[str, type] = {}
    for name, made in program.classes().items():
        if name != network_class and {"forward", "gradients"} <= methods.get(name, set()):
            kind = kind_of_layer(name, made)
            if kind:
                found.setdefault(kind, made)
    return found


def layer_objects(program: Program, network_class: str, sizes: Sequence[int], batch_norm: bool) -> list[Any]:
    """Linear, batch norm, ReLU, ..., linear, softmax: of the file's own classes; [] where it has no linear layer, or
    one that its sizes alone do not make: its network knows what else belongs there.
    """
    made = layer_classes(program, network_class)
    if "linear" not in made or (batch_norm and "batch_norm" not in made):
        return []
    try:
        return stacked(program, made, sizes, batch_norm)
    except Failed:
        return []


def stacked(program: Program, made: Mapping[str, type], sizes: Sequence[int], batch_norm: bool) -> list[Any]:
    layers = []
    for number, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
        layers.append(sized(program, made["linear"], (fan_in, width)))
        if number < len(sizes) - 1:
            layers += [sized(program, made["batch_norm"], (width,))] if batch_norm else []
            layers += [sized(program, made["relu"], ())] if "relu" in made else []
    return layers + ([sized(program, made["softmax"], ())] if "softmax" in made else [])


def sized(program: Program, made: type, sizes: Sequence[int]) -> Any:
    needed = [p for p in inspect.signature(made).parameters.values() if p.default is p.empty]
    first = role_of(needed[0].name) if needed else None
    if len(sizes) == 2 and first is not None and first.kind == "K":  # Linear(n_out, n_in)
        sizes = sizes[::-1]
    return program.guard.call(made.__name__, made, *sizes)


def add_layers(program: Program, instance: Any, sizes: Sequence[int], batch_norm: bool) -> bool:
    """Builds the network with its own method; False where it has none."""
    adder = next((name for name in dir(instance) if "".join(words(name)) in ADDERS), None)
    if adder is None:
        return False
    layers = layer_objects(program, type(instance).__name__, sizes, batch_norm)
    for layer in layers:
        getattr(instance, adder)(layer)
    return bool(layers) or add_by_sizes(program, instance, adder, sizes)


def add_by_sizes(program: Program, instance: Any, adder: str, sizes: Sequence[int]) -> bool:
    """net.set_input(6), net.add_layer(7, "relu"), net.add_layer(4, "softmax")."""
    title = type(instance).__name__
    tree = program.defined.get(title)
    for name in dir(instance):
        if {"set", "input"} <= set(words(name)):
            program.guard.call(f"{title}.{name}", getattr(instance, name), sizes[0])
    for number, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
        arguments = layer_arguments(getattr(instance, adder), tree, fan_in, width, number == len(sizes) - 1, {})
        if arguments is None:
            return False
        program.guard.call(f"{title}.{adder}", getattr(instance, adder), **arguments)
    return True


def layer_arguments(
    called: Callable[..., Any], tree: ast.AST | None, fan_in: int, width: int, last: bool, env: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What makes one layer, from the names of the parameters; None where one of them says nothing."""
    arguments: dict[str, Any] = {}
    for p in inspect.signature(called).parameters.values():
        role, known = count_role(p.name), compared_constants(p.name, tree) if tree is not None else []
        wanted, kind = "softmax" if last else "relu", role.kind if role is not None else ""
        if chosen := [text for text in known if wanted in "".join(words(text))]:
            arguments[p.name] = chosen[0]
        elif kind in ("m", "K", "sizes", "n"):
            arguments[p.name] = width
        elif kind in ("D", "X"):
            arguments[p.name] = fan_in
        elif {"last", "final", "output"} & set(words(p.name)):
            arguments[p.name] = last
        elif "relu" in words(p.name):
            arguments[p.name] = not last
        elif kind == "bn" and env:
            arguments[p.name] = env["bn"] and not last
        elif kind == "rng":
            arguments[p.name] = np.random.default_rng(0)
        elif kind == "lambda" and env:
            arguments[p.name] = env["lambda"]
        elif p.default is p.empty:
            return None
    return arguments


def compared_constants(name: str, tree: ast.AST) -> list[str]:
    """The strings that a parameter or attribute of this name is compared with: init_method == "he"."""
    found = []
    for node in nodes_of(tree):
        match node:
            case ast.Compare(left=ast.Name(id=left) | ast.Attribute(attr=left), comparators=comparators) if (
                left == name
            ):
                for constant in comparators:
                    values = constant.elts if isinstance(constant, ast.Tuple | ast.List | ast.Set) else [constant]
                    found += [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return list(dict.fromkeys(found))
