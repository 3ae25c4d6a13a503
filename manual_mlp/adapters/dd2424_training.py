"""How a DD2424 program's training function is called: its arguments, its object's settings and its script's."""

import ast
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manual_mlp.adapters.arrangement import Arrangement, Inputs, arranged
from manual_mlp.adapters.calls import value_for
from manual_mlp.adapters.data_sets import OF_A_SET, KeyedSets, kind_of
from manual_mlp.adapters.dd2424_listening import HELD
from manual_mlp.adapters.guard import Shared
from manual_mlp.adapters.options import Options, is_options, option
from manual_mlp.adapters.parts import Network, Part, mentioned, parts_of
from manual_mlp.adapters.program import Program, words
from manual_mlp.adapters.roles import argument_role, gradient_role, name_in, role_of
from manual_mlp.adapters.script_globals import global_names
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


def updates(program: Program) -> list[Part]:
    """Functions that make a step, by their names; those of other rules than gradient descent are left alone."""
    found = []
    for part in parts_of(program):
        named = set(words(part.name)) & STEPS or "descent" in part.name.lower() or "minibatch" in part.name.lower()
        source = ast.unparse(part.tree) if part.tree is not None else ""
        if named and not OTHER_RULES.search(source) and not set(words(part.name)) & {"eta", "rate", "test", "plot"}:
            found.append(part)
    return found


def trainers(program: Program) -> list[Part]:
    """Functions that take the images and say how large a batch is, or how many epochs there are."""
    return [
        part
        for part in updates(program)
        if takes_images(part)
        and (
            any({"batch", "epoch", "epochs"} & set(words(p.name)) or is_options(p.name) for p in part.parameters())
            or any(is_amount(name) for name in (mentioned(part.tree) if part.tree is not None else ()))
        )
    ]


def takes_images(part: Part) -> bool:
    """From an argument, out of a dictionary, or from its object: self.X_train."""
    if part.kinds() & {"X"} or any("X" in map(kind_of, keys_of(part.tree, p.name)) for p in part.parameters()):
        return True
    nodes = ast.walk(part.tree) if part.method_of and part.tree is not None else ()
    attributes = [n.attr for n in nodes if isinstance(n, ast.Attribute) and name_in(n) == n.attr]
    return any(name == "data" or kind_of(name) == "X" for name in attributes)


def is_amount(name: str) -> bool:
    """n_batch, batch_size, n_epochs, but not X_batch."""
    role, joined = role_of(name), "".join(words(name))
    return (role is None or role.kind == "n") and any(
        joined in (word, f"n{word}", f"{word}size", f"num{word}s", f"n{word}s", f"{word}s")
        for word in ("batch", "epoch", "minibatch")
    )


def counts_images(name: str) -> bool:
    """N, num_images."""
    role = role_of(name)
    return role is not None and role.kind == "n" and "batch" not in words(name)


def unexplained(network: Network, part: Part) -> list[str]:
    """Numbers that it takes from the script, of which the names do not say what they are."""
    namespace = network.program.namespace
    numbers = [name for name in global_names(part.function) if type(namespace.get(name)) in (int, float)]
    asked = dict.fromkeys(("epochs", "n", "eta"), 1)
    return [name for name in numbers if role_of(name) is None and option(name, asked) is None]


@contextlib.contextmanager
def with_amounts(network: Network, part: Part, instance: Any, answers: Mapping[str, Any]) -> Iterator[None]:
    """The size of a batch, the number of epochs and of all images, where the script or the object says them."""
    namespace = network.program.namespace
    names = [name for name in global_names(part.function) if isinstance(namespace.get(name, 0), int | float)]
    amounts = {name: option(name, answers) for name in names if is_amount(name)}
    amounts |= {name: answers["images"] for name in names if name not in amounts and counts_images(name)}
    before = {name: namespace[name] for name in amounts if name in namespace}
    namespace.update(amounts)
    for name, value in list(vars(instance).items()) if hasattr(instance, "__dict__") else ():
        if is_amount(name) and type(value) is int:
            setattr(instance, name, option(name, answers))
    try:
        yield
    finally:
        for name in amounts:
            namespace.pop(name, None)
        namespace.update(before)


def step_keywords(
    program: Program, part: Part, env: Mapping[str, Any], passed: Mapping[str, Any], answers: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a function that trains; parameters are handed over themselves, for it may change them."""
    keywords: dict[str, Any] = {}
    if {"Y", "y"} <= part.kinds():
        env = {**env, "y": env["numbers"]}
    for parameter in part.parameters():
        role = argument_role(parameter.name)
        if parameter.name in passed:
            value = passed[parameter.name]
        elif is_options(parameter.name):
            listed = listed_options(part.tree, parameter.name)
            value = [option(name, answers) for name in listed] if listed else Options(answers)
        elif keys := keys_of(part.tree, parameter.name):
            images = any(kind_of(key) for key in keys)
            value = (
                KeyedSets({"X": env["X"], "Y": env["Y"], "y": env["numbers"]})
                if images
                else Options(answers, parameter.name)
            )
        elif not OF_A_SET.sub("", parameter.name):  # val[0], val[1], val[2]
            value = env["X"], env["Y"], env["numbers"]
        elif (chosen := option(parameter.name, answers)) is not None and (
            role is None or role.kind not in (*HELD, "X", "Y", "y")
        ):
            value = [chosen, chosen] if is_pair(program, parameter.name) else chosen
        else:
            value = value_for(parameter, part, env, {})
        if value is not parameter.empty:
            share = role is not None and role.kind in HELD and not isinstance(value, Shared)
            keywords[parameter.name] = Shared(value) if share else value
    return keywords


def is_pair(program: Program, name: str) -> bool:
    """Is a learning rate of this name its two bounds: eta[0], eta[1]?"""
    role = role_of(name)
    nodes = (node for tree in program.trees for node in ast.walk(tree) if isinstance(node, ast.Subscript))
    places = {
        n.slice.value
        for n in nodes
        if isinstance(n.slice, ast.Constant) and isinstance(n.value, ast.Name) and n.value.id == name
    }
    return role is not None and role.kind == "eta" and {0, 1} <= places


def listed_options(tree: ast.AST | None, name: str) -> list[str]:
    """The names of hyper-parameters that are told by their place: n_batch = GDparams[0], or n_batch, eta = GDparams."""
    found: dict[int, str] = {}
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Name(id=owner)) if owner == name:
                found |= {place: name_in(target) for place, target in enumerate(targets)}
            case ast.Assign(
                targets=[ast.Name(id=target)],
                value=ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=int() as place)),
            ) if owner == name:
                found[place] = target
    return [found.get(place, "") for place in range(max(found, default=-1) + 1)]


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
