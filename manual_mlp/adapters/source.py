"""A stranger's file becomes a namespace: its imports, functions, classes and constants run, its script does not.

What a script does at its top level (loading data, training, plotting) would take minutes or need files that are not
here. So of the top level only definitions are executed, and assignments that compute with literals and NumPy.
"""

import __future__

import ast
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from manual_mlp.adapters.saved_text import code_of
from manual_mlp.adapters.swallow import Swallow

HARMLESS = {"np", "numpy", "math", "range", "list", "dict", "tuple", "set", "len", "int", "float", "bool", "str", "sum"}
HARMLESS |= {"zip", "enumerate", "min", "max", "abs", "round", "pow", "sqrt", "defaultdict", "namedtuple", "partial"}
MAGIC = r"^(\s*)[%!].*"  # a notebook's %matplotlib, !ls; where it parses, a line goes on with it: % (a, b)
READS_FILES = {"load", "loadtxt", "genfromtxt", "fromfile", "save", "savez", "savetxt", "memmap", "seterr"}

PRINT = r"(^|[:;])(\s*)print(\s+[^(=\s].*|\s*$|\s*\(.*\)\s*%.*|\s*>>.*)"
PYTHON_2 = [  # a line that Python 3 cannot parse, and what replaces it
    (PRINT, "write print(...)"),
    (r"^\s*except\s+[\w.()\s]+,\s*\w+\s*:", "write except ERROR as NAME:"),
    (r"^\s*raise\s+[\w.]+\s*,", "write raise ERROR(...)"),
    (r"^\s*exec\s+[^(]", "write exec(...)"),
    (r"<>", "write !="),
    (r"`[^`]+`", "write repr(...)"),
]
OF_DICTIONARIES = {"iteritems": "items", "iterkeys": "keys", "itervalues": "values"}  # of Python 2, and of 3


@dataclass
class Source:
    """A file as text that parses, and what had to be said about it on the way."""

    path: Path
    tree: ast.Module
    lines: list[str]
    notes: list[str] = field(default_factory=list)  # for the reader; nothing is wrong
    faults: list[tuple[int, str]] = field(default_factory=list)  # (line, what cannot run under today's Python)
    broken: dict[str, str] = field(default_factory=dict)  # function: why it could not be read

    def line(self, number: int) -> str:
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""


def read_source(path: Path) -> Source:
    """Parses a file; a part that does not parse is named, left out, and the rest is parsed again."""
    text, faults = code_of(path)
    lines = text.expandtabs(8).split("\n")
    source = Source(path, ast.Module([], []), list(lines), faults=faults)
    for _ in range(200):
        try:
            source.tree = OfPython3(source).visit(ast.parse("\n".join(lines)))
            return source
        except SyntaxError as error:
            leave_out(source, lines, error)
    raise ValueError(f"{path.name} is not Python: every part of it fails to parse")


class OfPython3(ast.NodeTransformer):
    """d.iteritems() becomes d.items(), d.has_key(k) becomes k in d, and a range whose items are set a list; all of
    this is noted.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        written = {
            part.value.id
            for part in ast.walk(node)
            if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store) and isinstance(part.value, ast.Name)
        }
        for part in ast.walk(node):
            for target, value in assigned(part):
                if isinstance(target, ast.Name) and target.id in written and is_range(value):
                    self.note(
                        value.lineno, f"{target.id} = range(...) makes no list in Python 3; write list(range(...))"
                    )
                    value.args = [ast.copy_location(ast.Call(value.func, value.args, []), value)]
                    value.func = ast.copy_location(ast.Name("list", ast.Load()), value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute):
            return node
        old = node.func.attr
        if old in OF_DICTIONARIES and not node.args:
            node.func.attr = OF_DICTIONARIES[old]
            self.note(node.lineno, f".{old}() is Python 2; write {OF_DICTIONARIES[old]}()")
        elif old == "has_key" and len(node.args) == 1:
            self.note(node.lineno, ".has_key() is Python 2; write KEY in DICT")
            return ast.copy_location(ast.Compare(node.args[0], [ast.In()], [node.func.value]), node)
        return node

    def note(self, number: int, text: str) -> None:
        self.source.faults.append((number, f"line {number}: {text}"))


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Target and value of each; a, b = 1, 2 are two."""
    for target in node.targets if isinstance(node, ast.Assign) else []:
        value = node.value  # type: ignore[attr-defined]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            yield from zip(target.elts, value.elts, strict=True)
        else:
            yield target, value


def is_range(value: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("range", "xrange")


def leave_out(source: Source, lines: list[str], error: SyntaxError) -> None:
    """Takes out the line that a notebook or Python 2 alone understands, or else the whole definition that the error is
    in.
    """
    number = min(max(error.lineno or 1, 1), len(lines))
    if fill_empty_block(lines, error, number):
        return
    line = lines[number - 1]
    if re.match(MAGIC, line):
        lines[number - 1] = re.sub(MAGIC, r"\1pass", line)
        return
    for pattern, advice in PYTHON_2:
        if re.search(pattern, line):
            source.faults.append((number, f"line {number}: `{line.strip()}` is Python 2; {advice}"))
            lines[number - 1] = python_3(line)
            if pattern == PRINT:
                leave_out_continuation(lines, number, line)
            if lines[number - 1] != line:
                return
            break
    start, end = block_around(lines, number)
    named = re.match(r"(\s*)(?:async\s+)?(def|class)\s+(\w+)", lines[start])
    where, why = f"line {number}", f"`{source.line(number)}` is not Python: {error.msg}"  # as it was: it must not grow
    if named:
        source.broken.setdefault(named.group(3), f"{where}: {why}")
    else:
        source.broken.setdefault(where, why)
    for place in range(start, end):
        lines[place] = ""
    if named and named.group(2) == "def":  # so that a class keeps its other methods, and this one says why
        lines[start] = f"{named.group(1)}def {named.group(3)}(*_, **__): raise SyntaxError({why!r})"


def fill_empty_block(lines: list[str], error: SyntaxError, number: int) -> bool:
    """A function with nothing but comments in it, which nobody has begun, gets a pass."""
    empty = re.match(r"expected an indented block after .* on line (\d+)", error.msg)
    for place in range(int(empty.group(1)) - 1, number) if empty else ():
        head, comment, rest = lines[place].partition("#")
        if head.rstrip().endswith(":"):
            lines[place] = f"{head.rstrip()} pass  {comment}{rest}"
            return True
    return False


def leave_out_continuation(lines: list[str], number: int, line: str) -> None:
    """The lines over which a print goes on: behind a backslash, or until its brackets are closed."""
    open_brackets = line.count("(") - line.count(")")
    while (line.rstrip().endswith("\\") or open_brackets > 0) and number < len(lines):
        line, lines[number] = lines[number], ""
        open_brackets += line.count("(") - line.count(")")
        number += 1


def python_3(line: str) -> str:
    if re.search(PRINT, line):
        return re.sub(PRINT, r"\1\2pass", line)
    line = re.sub(r"except\s+([\w.()\s]+),\s*(\w+)\s*:", r"except \1 as \2:", line)
    line = re.sub(r"raise\s+([\w.]+)\s*,\s*(.+)", r"raise \1(\2)", line)
    return re.sub(r"`([^`]+)`", r"repr(\1)", line).replace("<>", "!=")


def block_around(lines: list[str], number: int) -> tuple[int, int]:
    """The function, method or class that a line is in; a broken method costs its method alone."""
    depth = indent_of(lines[number - 1])
    start = number - 1
    if depth == 0 and not closes(lines[start]) and not re.match(r"(async\s+)?(def|class)\b|@", lines[start]):
        return start, number  # of the script
    while start > 0:
        head = re.match(r"\s*(async\s+)?(def|class|@)\b|\s*@", lines[start])
        if head and (start == number - 1 or indent_of(lines[start]) < max(depth, 1)):
            break
        start -= 1
    indent, end = indent_of(lines[start]), number
    while end < len(lines) and (not lines[end].strip() or indent_of(lines[end]) > indent or closes(lines[end])):
        end += 1
    return start, end


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def closes(line: str) -> bool:
    """The end of a call over several lines, or a comment: neither ends a block."""
    return line.lstrip().startswith((")", "]", "}", "#"))


def definitions(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module that define something and do no work."""
    for node in tree.body:
        if isinstance(node, ast.If):
            yield from (inner for inner in [*node.body, *node.orelse] if is_definition(inner))
        elif isinstance(node, ast.Try):
            yield from definitions(ast.Module([*node.body, *(s for h in node.handlers for s in h.body)], []))
        elif is_definition(node):
            yield node


def is_definition(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value is not None and is_harmless(node.value)
    return isinstance(
        node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Global
    )


def is_harmless(value: ast.expr) -> bool:
    """Computes with literals and NumPy alone: calls nothing of the file, reads nothing, makes no large array."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call):
            root: ast.expr = node.func
            if isinstance(root, ast.Attribute) and root.attr in READS_FILES:
                return False
            while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
                root = root.func if isinstance(root, ast.Call) else root.value
            if isinstance(root, ast.Name) and root.id not in HARMLESS:
                return False
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) > 10**7:
            return False
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            return False
    return True


def execute(source: Source, namespace: dict[str, Any]) -> None:
    """Runs the definitions, one by one: one that fails is noted, the others stand."""
    for node in definitions(source.tree):
        try:
            exec(compiled(source, node), namespace)
        except BaseException as error:
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                again = without_what_failed(node)
                try:
                    exec(compiled(source, again), namespace)
                except BaseException:
                    source.broken[node.name] = f"line {node.lineno}: cannot be defined: {said(error)}"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                source.notes.append(f"line {node.lineno}: {ast.unparse(node)} failed ({said(error)}) and was left out")
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    namespace.setdefault(name, Swallow(alias.name))


def compiled(source: Source, node: ast.stmt) -> types.CodeType:
    """One statement, with what the module has imported from __future__ in force."""
    imports = [n for n in source.tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    names = {alias.name for other in imports for alias in other.names} & set(__future__.all_feature_names)
    flags: int = sum(getattr(__future__, name).compiler_flag for name in names)
    code: types.CodeType = compile(ast.Module([node], []), str(source.path), "exec", flags, dont_inherit=True)
    return code


def without_what_failed(node: Any) -> Any:
    """A definition whose decorators or default arguments need what only the script makes: they become None."""
    node.decorator_list = [
        d for d in node.decorator_list if ast.unparse(d) in ("staticmethod", "classmethod", "property")
    ]
    functions = [node] if not isinstance(node, ast.ClassDef) else node.body
    for function in functions:
        if isinstance(function, ast.FunctionDef):
            for place, default in enumerate(function.args.defaults):
                if not isinstance(default, ast.Constant):
                    function.args.defaults[place] = ast.copy_location(ast.Constant(None), default)
            function.returns = None
    return node


def said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def module_of(source: Source, name: str, package: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__, module.__package__ = str(source.path), package
    return module
