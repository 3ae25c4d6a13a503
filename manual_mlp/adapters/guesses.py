"""What an argument holds whose name does not say it: the role that is left over, or what the file's own calls pass."""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manual_mlp.adapters.options import is_options
from manual_mlp.adapters.parts import Network, Part, plays
from manual_mlp.adapters.program import nodes_of, words
from manual_mlp.adapters.roles import Role, argument_role, call_arguments, name_in

IMAGES = {"X", "P", "H", "S", "forward"}  # one of them
LABELS, PARAMETERS, LAMBDA = {"Y", "y"}, {"W", "params"}, {"lambda"}
NEEDED = {"forward": [{"X"}, PARAMETERS], "cost": [IMAGES, LABELS, PARAMETERS, LAMBDA]}
NEEDED["gradients"] = NEEDED["cost"]
HANDED = ("X", "Y", "y", "W", "b", "gamma", "beta", "lambda", "params")  # what callers have in their own variables
OFF = ("no", "none", "off", "false", "without", "nobn", "")  # a mode that is switched off


def guessed_roles(network: Network, part: Part) -> dict[str, str]:
    """Roles of arguments, as far as all calls agree, or as one is left over: a cost needs images, labels, parameters
    and lambda, and only one of its arguments says nothing.
    """
    if part.title in network.guessed:
        return network.guessed[part.title]
    unclear = [p.name for p in part.parameters() if p.default is p.empty and is_unclear(p.name)]
    found = {name: kind for name in unclear if (kind := role_at_calls(network, part, name))}
    what = next((w for w in NEEDED if getattr(network, w) is part), "")
    taken = {argument_role(p.name) for p in part.parameters() if p.name not in unclear}
    kinds = {role.kind for role in taken | part.globals() if role} | set(found.values()) | held_by_object(part)
    missing = [needed for needed in NEEDED.get(what, ()) if not needed & kinds]
    if what == "forward" and "W" in kinds and "b" not in kinds:
        missing.append({"b"})
    rest = [name for name in unclear if name not in found]
    if len(rest) == len(missing) == 1:
        found[rest[0]] = next(kind for kind in HANDED if kind in missing[0])
    network.guessed[part.title] = found
    return found


def is_unclear(name: str) -> bool:
    """Also a plain l: the number of layers, or lambda."""
    return (argument_role(name) is None and not is_options(name) and plays(name) != "loss") or name == "l"


def meaning(network: Network, part: Part, name: str) -> Role | None:
    """The role of an argument, guessed where its name does not say it."""
    guess = guessed_roles(network, part).get(name)
    return Role(guess, None) if guess else argument_role(name)


def kinds_of(network: Network, part: Part) -> set[str]:
    return part.kinds() | set(guessed_roles(network, part).values())


def role_at_calls(network: Network, part: Part, name: str) -> str:
    """The role of the variables that callers pass there; "" where they do not say it or differ."""
    roles = {argument_role(name_in(value)) for value in passed_at_calls(network, part, name) if is_variable(value)}
    kinds = {role.kind for role in roles if role is not None and role.layer is None}
    return kinds.pop() if len(kinds) == 1 and kinds <= {*HANDED} else ""


def is_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Name | ast.Attribute)


def passed_at_calls(network: Network, part: Part, name: str) -> Iterator[ast.expr]:
    names = [p.name for p in part.parameters()]
    for call in call_arguments(network.program.trees, part.name):
        yield from (k.value for k in call.keywords if k.arg == name)
        if not any(isinstance(value, ast.Starred) for value in call.args):
            yield from (value for n, value in zip(names, call.args, strict=False) if n == name)


def held_by_object(part: Part) -> set[str]:
    """What a method finds in its object: self.W, self.lambda."""
    if not part.method_of or part.tree is None:
        return set()
    names = {n.attr for n in nodes_of(part.tree) if isinstance(n, ast.Attribute) and name_in(n) == n.attr}
    return {role.kind for name in names if (role := argument_role(name)) is not None}


def literal(network: Network, part: Part, name: str, env: Mapping[str, Any]) -> Any:
    """What stands at calls without being a variable: None, or else what all of them agree on, False or "no";
    `inspect.Parameter.empty` where nothing does. Of a mode in words, that in which batches are normalized, or not, as
    asked.
    """
    if mode := modes(part, name):
        off = [word for word in mode if word.lower() in OFF]
        on = [word for word in mode if word not in off]
        if {"bn", "norm", "batchnorm"} & {*words(name), "".join(words(name)[:2])}:
            return next(iter(on), "yes") if env["bn"] else next(iter(off), "no")
    values = set(constants_at_calls(network, part, name))
    if None in values:
        return None
    return values.pop() if len(values) == 1 else inspect.Parameter.empty


def is_none_at_calls(network: Network, part: Part, name: str) -> bool:
    return None in constants_at_calls(network, part, name)


def constants_at_calls(network: Network, part: Part, name: str) -> list[Any]:
    return [value.value for value in passed_at_calls(network, part, name) if isinstance(value, ast.Constant)]


def modes(part: Part, name: str) -> Sequence[str]:
    """The words that an argument is compared with."""
    return words_compared(part.tree, name) if part.tree is not None else []


def words_compared(tree: ast.AST, name: str) -> Sequence[str]:
    """The words that a variable is compared with: mode == "test", mode in ("eval", "test")."""
    found = [
        constant.value
        for node in nodes_of(tree)
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == name
        for comparator in node.comparators
        for constant in (comparator.elts if isinstance(comparator, ast.Tuple | ast.List | ast.Set) else [comparator])
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    ]
    return list(dict.fromkeys(found))
