"""What a file imports that is not here, and what stood in for it, as far as its functions use it."""

import ast
from collections.abc import Iterator

from manual_mlp.adapters.stubs import NEVER_RUN, Finder

OF_PYTHON_2 = {"past", "future", "builtins", "six", "itertools", "__future__"}  # what these bring is here


def missing_modules(tree: ast.Module, finder: Finder) -> Iterator[str]:
    used, said = names_in_functions(tree), set[str]()
    for node in ast.walk(tree):
        for module, name, alias in imported(node):
            if module not in finder.stand_ins or module.split(".")[0] in NEVER_RUN | OF_PYTHON_2:
                continue
            known = finder.stand_ins[module]
            taken = sorted(used & set(known) - said) if name == "*" else [alias] if alias in used else []
            if not taken:
                continue
            said |= set(taken)
            stand_in = "right ones stood in" if name in {*known, "*"} else "something that does nothing stood in"
            taken = [*taken[:4], "..."] if len(taken) > 4 else taken
            yield f"line {node.lineno}: {module} is not here; {stand_in} for {', '.join(taken)}"  # type: ignore[attr-defined]


def imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Module, name in it ("" for the module itself, * for all) and name in the file."""
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield node.module or "", alias.name, alias.asname or alias.name
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, "", alias.asname or alias.name.split(".")[0]


def names_in_functions(tree: ast.Module) -> set[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {name.id for function in functions for name in ast.walk(function) if isinstance(name, ast.Name)}
