"""The slopes that a program's ReLU may have below 0, where it is a leaky one."""

import ast
from functools import lru_cache

from manual_mlp.adapters.program import Program, nodes_of
from manual_mlp.diagnosis.mistakes.relu import SLOPES


@lru_cache(maxsize=1)
def slopes(program: Program) -> tuple[float, ...]:
    """0 and the usual ones, then the numbers that it is written with."""
    constants = (node.value for tree in program.trees for node in nodes_of(tree) if isinstance(node, ast.Constant))
    written = {value for value in constants if isinstance(value, float) and 0 < value < 1}
    return tuple(dict.fromkeys((*SLOPES, *sorted(written))))
