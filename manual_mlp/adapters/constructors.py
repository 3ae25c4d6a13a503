"""What to pass to a stranger's constructor, told from the names of its parameters and from what it does with them."""

import ast
import inspect
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from manual_mlp.adapters.arrangement import Arrangement, Inputs, sizes_of
from manual_mlp.adapters.data_sets import data_set, form_of
from manual_mlp.adapters.layer_classes import compared_constants, count_role, layer_objects
from manual_mlp.adapters.options import option
from manual_mlp.adapters.program import Program, nodes_of, words

FORMS = ("all", "hidden", "width", "hidden and classes", "pairs", "everything")  # of the sizes of the layers
MOST_GUESSES = 12  # for the parameters whose names say nothing
SIGMA, DEVIATIONS = 0.1, ("sigma", "std", "stddev", "stdev", "scale", "weightscale")  # of the weights that it draws


def constructor_arguments(
    program: Program, made: type, how: Arrangement, env: Mapping[str, Any], given: Inputs
) -> Iterator[dict[str, Any]]:
    """Ways to call the constructor."""
    if "__init__" not in vars(made) and made.__mro__[1] is object:
        yield {}
        return
    objects = layer_objects(program, made.__name__, sizes_of(given.parameters), how.batch_norm)
    yield from arguments_of(program, made, made.__name__, how, env, given, objects)


def method_arguments(
    program: Program, instance: Any, name: str, how: Arrangement, env: Mapping[str, Any], given: Inputs
) -> Iterator[dict[str, Any]]:
    """Ways to call a method that makes the weights: initialize(hidden_size)."""
    method = getattr(instance, name)
    if callable(method) and not isinstance(method, type):
        yield from arguments_of(program, method, type(instance).__name__, how, env, given, [])


def arguments_of(
    program: Program,
    called: Callable[..., Any],
    owner: str,
    how: Arrangement,
    env: Mapping[str, Any],
    given: Inputs,
    objects: list[Any],
) -> Iterator[dict[str, Any]]:
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return
    accepts = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    tree = program.defined.get(owner)
    unknown = [
        p.name for p in accepts if p.default is p.empty and (count_role(p.name) is None or form_of(tree, p.name))
    ]
    guesses = [guessed(name, tree, env, given) for name in unknown]
    widths = {p.name for p in accepts if (role := count_role(p.name)) is not None and role.kind == "m"}
    is_number = any(is_multiplied(node, widths) for node in (nodes_of(tree) if tree is not None else ()))
    for form in ["width"] if is_number else [*(["layers"] if objects else []), *FORMS]:
        sizes = in_form(form, sizes_of(given.parameters), objects)
        for chosen in itertools.islice(itertools.product(*guesses), MOST_GUESSES):
            arguments = {p.name: value_of(p, how, env, sizes) for p in accepts}
            arguments |= {
                name: sizes["sizes"] if value is SIZES else value for name, value in zip(unknown, chosen, strict=True)
            }
            yield {name: value for name, value in arguments.items() if value is not inspect.Parameter.empty}


SIZES = object()  # a parameter that is used as the list of sizes


def in_form(form: str, sizes: list[int], objects: list[Any]) -> dict[str, Any]:
    """The list of sizes and the hidden ones, as the constructor may want them."""
    hidden = sizes[1:-1]
    listed: Any = {
        "layers": objects,
        "all": list(sizes),
        "hidden": list(hidden),
        "width": hidden[0] if hidden else sizes[-1],
        "hidden and classes": sizes[1:],
        "pairs": list(itertools.pairwise(sizes)),
        "everything": list(sizes),
    }
    return {"sizes": listed[form], "m": list(hidden) if form == "all" else listed[form]}


def value_of(parameter: inspect.Parameter, how: Arrangement, env: Mapping[str, Any], sizes: Mapping[str, Any]) -> Any:
    role, optional = count_role(parameter.name), parameter.default is not inspect.Parameter.empty
    kind = role.kind if role else ""
    if kind in sizes or (kind == "K" and parameter.name.lower() == "layers"):
        return sizes.get(kind, sizes["sizes"])
    if parameter.name == "l" and (parameter.default == 0 or isinstance(parameter.default, float)):  # counts no layers
        return env["lambda"]
    if kind == "depth":
        return how.depth if not optional or how.depth != parameter.default else parameter.default
    if kind in ("D", "K", "lambda", "bn", "n") or (kind in env and not optional):
        return env[kind]
    if kind == "rng" and not optional:
        return np.random.default_rng(0)
    if kind == "seed" or (kind == "mean" and not optional):
        return 0
    if optional:
        return inspect.Parameter.empty
    return 0.01 if kind == "eta" else None


def guessed(name: str, tree: ast.AST | None, env: Mapping[str, Any], given: Inputs) -> list[Any]:
    """What a parameter whose name says nothing may be, by what the class does with it."""
    answers = {**env, "epochs": 1}
    if "names" in words(name):
        return [[f"class {number}" for number in range(env["K"])]]
    if tree is not None:
        for node in nodes_of(tree):
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Name(id=unpacked)) if unpacked == name:
                    return [tuple(option(target_name(target), answers) for target in targets)]
        if constants := compared_constants(name, tree):
            return constants
        if form := form_of(tree, name):
            return [data_set(form, tree, env, given)]
        if any(is_listed(node, name) for node in nodes_of(tree)):
            return [SIZES]
    return [SIGMA if "".join(words(name)) in DEVIATIONS else option(name, answers)]


def target_name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def is_multiplied(node: ast.AST, names: Collection[str]) -> bool:
    """Is one of them a factor, other than of a list: m * d?"""
    match node:
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div(), right=right):
            factors = [side for side in (left, right) if not isinstance(side, ast.List | ast.Tuple)]
            return len(factors) == 2 and any(isinstance(side, ast.Name) and side.id in names for side in factors)
    return False


def is_listed(node: ast.AST, name: str) -> bool:
    """Is it indexed or gone through here?"""
    match node:
        case ast.Subscript(value=ast.Name(id=owner)):
            return owner == name
        case ast.Call(func=ast.Name(id="len" | "enumerate" | "zip"), args=arguments):
            return any(isinstance(a, ast.Name) and a.id == name for a in arguments)
    return False
