"""Names that a program reads and nothing in it makes: an error over them is its own, whatever stood in for its data."""

import ast
from collections.abc import Iterable, Iterator

OF_NOTEBOOKS = {"get_ipython", "display"}


def is_undefined(error: BaseException, trees: Iterable[ast.AST]) -> bool:
    """A NameError over a name that is made nowhere; a star import may make any."""
    if type(error) is not NameError or not error.name or error.name in OF_NOTEBOOKS:
        return False
    made = {name for tree in trees for node in ast.walk(tree) for name in names_made(node)}
    return not made & {error.name, "*"}


def names_made(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name) | ast.alias(asname=str(name)):
            yield name
        case ast.alias(name=name):
            yield name.split(".")[0]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.Global(names=names):
            yield from names
