"""A function of the handout that is not filled in yet: what it returns was set to None, and never to anything else."""

import ast
from collections.abc import Iterator

from manual_mlp.adapters.source import assigned

HALF_DONE = "half_done"  # a finding that accuses nobody: what is there is right, and this is not begun


def is_unfilled(function: ast.FunctionDef) -> bool:
    """What it returns first was None from the start, and so was everything else that it set to None and returns."""
    returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and not is_none(node.value)]
    if not returns:
        return all(is_empty(statement) for statement in function.body)
    names = list(returned_names(returns[-1]))
    set_to_none, filled = set[str](), set[str]()
    for node in ast.walk(function):
        for target, value in assignments(node):
            name = target.id if isinstance(target, ast.Name) else ""
            if isinstance(value, ast.Constant) and value.value is None:
                set_to_none.add(name)
            elif not any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(value)):
                filled |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
    empty = [name for name in names if name in set_to_none - filled]
    return bool(empty) and (empty[0] == names[0]) and set(names) & set_to_none <= {*empty, "cache", "mask"}


def does_nothing(function: ast.FunctionDef | None) -> bool:
    """Whether nobody has begun it."""
    return function is not None and is_unfilled(function) and not is_begun(function)


def is_begun(function: ast.FunctionDef) -> bool:
    """Whether it computes anything: the handout only unpacks, asks for settings and makes zeros."""
    return any(map(computes, ast.walk(function)))


def computes(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(left=ast.Constant(value=str())):  # text % values
            return False
        case ast.BinOp() | ast.AugAssign() | ast.Call(func=ast.Attribute(attr="dot" | "matmul")):
            return True
    return False


def is_empty(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Return) and is_none(statement.value))
    )


def is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def returned_names(value: ast.expr | None) -> Iterator[str]:
    for part in value.elts if isinstance(value, ast.Tuple | ast.List) else [value]:
        if isinstance(part, ast.Name):
            yield part.id


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Target and value of each; a, b = None, None are two."""
    if isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    if isinstance(node, ast.For):
        yield node.target, node.iter
    yield from assigned(node)
