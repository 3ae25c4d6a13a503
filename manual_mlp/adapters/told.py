"""`--arguments THEIRS=WHAT`: what belongs in an argument whose name does not tell, said by whoever knows the file."""

import ast
import re
from collections.abc import Mapping
from typing import Any

from manual_mlp.adapters.guard import Failed

ROLES = {
    "images": "X",
    "onehot": "Y",
    "labels": "y",
    "probabilities": "P",
    "weights": "W",
    "biases": "b",
    "gamma": "gamma",
    "beta": "beta",
    "parameters": "params",
    "lambda": "lambda",
    "eta": "eta",
    "batch_norm": "bn",
    "forward": "whole",  # all that the forward pass returned
}
ALLOWED = (
    f"one of {', '.join(ROLES)}, those of one layer with its number, as weights1; or a value in Python, such as None, "
    "0.9 or '\"train\"'"
)


def role_told(what: str) -> str | None:
    """weights1 -> W1; None for a value."""
    word, number = re.fullmatch(r"(.*?)(\d*)", what).groups()  # type: ignore[union-attr]
    return f"{ROLES[word]}{number}" if word in ROLES else None


def check_told(arguments: Mapping[str, str]) -> None:
    for theirs, what in arguments.items():
        if role_told(what) is None:
            try:
                ast.literal_eval(what)
            except (ValueError, SyntaxError):
                raise ValueError(f"--arguments {theirs}={what}: {what} must be {ALLOWED}") from None


def told_value(what: str, name: str, title: str, env: Mapping[str, Any], passed: Mapping[Any, Any]) -> Any:
    """What to pass to the function `title` as `name`."""
    role = role_told(what)
    if role is None:
        return ast.literal_eval(what)
    for source in (passed, env):
        if role in source:
            return source[role]
    raise Failed(title, "missing", f"is to have {what} as {name!r}, which are not there")


def not_clear(name: str) -> str:
    return (
        f"has a parameter {name!r} of which it is not clear what belongs there: say it with --arguments {name}=WHAT "
        "(images, weights, lambda, ... or a value such as None; --help has them all)"
    )
