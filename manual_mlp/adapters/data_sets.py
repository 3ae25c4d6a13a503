"""A set of images as a class may want it: data.X, data["X_train"], data[0], or each item as an attribute of its own."""

import ast
import re
import types
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from manual_mlp.adapters.arrangement import Inputs
from manual_mlp.adapters.program import nodes_of
from manual_mlp.adapters.roles import role_of

OF_A_SET = re.compile("train(ing)?|val(id(ation)?)?|test|_")
IMAGES_AND_LABELS = ("X", "Y", "y")
ATTRIBUTES = ("X", "Y", "X_train", "Y_train", "X_val", "Y_val", "X_test", "Y_test")


@lru_cache(maxsize=256)
def form_of(tree: ast.AST | None, name: str) -> str:
    """How the class takes images out of it: "attributes", "keys", "places"; "" if it does not."""
    found = {form for node in (nodes_of(tree) if tree is not None else ()) if (form := use_of(node, name))}
    return next((form for form in ("attributes", "keys", "places") if form in found), "")


def use_of(node: ast.AST, name: str) -> str:
    match node:
        case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=attribute) if owner == name:
            if kind_of(attribute):
                return "attributes"
            return "keys" if attribute == "items" else ""
        case ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=str() as key)) if owner == name:
            return "keys" if kind_of(key) else ""
        case ast.Attribute(
            value=ast.Subscript(value=ast.Name(id=owner) | ast.Attribute(attr=owner), slice=ast.Constant(value=int())),
            attr="shape",
        ) if owner == name:
            return "places"
    return ""


def kind_of(name: str) -> str:
    """X, Y or y; trainY holds the labels one-hot, trainy as numbers."""
    name = OF_A_SET.sub("", name)
    role = role_of(name) if name else None
    kind = role.kind if role is not None and role.layer is None else ""
    if kind == "y" and "Y" in name:
        return "Y"
    return kind if kind in IMAGES_AND_LABELS else ""


class KeyedSets(dict[str, Any]):
    """data["X_train"], data["y_val"]: every set is the same one."""

    def __missing__(self, key: str) -> Any:
        if not (kind := kind_of(key)) or kind not in self:
            raise KeyError(key)
        return self[kind]


def data_set(form: str, tree: ast.AST, env: Mapping[str, Any], given: Inputs) -> Any:
    values = KeyedSets({"X": env["X"], "Y": env["Y"], "y": given.y})
    match form:
        case "attributes":
            held = {name: env[name[0]] for name in ATTRIBUTES}
            return types.SimpleNamespace(**held, **dict.fromkeys(("y", "y_train", "y_val", "y_test"), given.y))
        case "keys":
            return KeyedSets(values | {name: values[name] for name in names_in(tree) if kind_of(name)})
    return tuple(values[kind] for kind in IMAGES_AND_LABELS)


def names_in(tree: ast.AST) -> Iterator[str]:
    """The strings that something is indexed with, and the names of the object's own attributes."""
    for node in nodes_of(tree):
        match node:
            case ast.Subscript(slice=ast.Constant(value=str() as key)):
                yield key
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                yield attribute
