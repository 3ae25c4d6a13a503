"""A stranger's program, loaded: its functions by name, and the checks that were found possible."""

import ast
import contextlib
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from manual_mlp.adapters.guard import Failed, Guard
from manual_mlp.adapters.missing_modules import missing_modules
from manual_mlp.adapters.source import Source
from manual_mlp.adapters.stubs import GONE_WITH_PYTHON_2, Finder, Old
from manual_mlp.adapters.unfilled import is_begun, is_unfilled
from manual_mlp.diagnosis.report import Report


class Inspection(NamedTuple):
    """One line of the report to come."""

    title: str
    functions: Sequence[str]  # of the file
    run: Callable[[], Report]
    read: bool = False  # the others go by how it has read the program
    again: str = ""  # a second look at what checks whose titles begin so have found right; said if it is wrong


class Program:
    def __init__(
        self,
        source: Source,
        namespace: dict[str, Any],
        guard: Guard,
        mapped: dict[str, str],
        told: dict[str, str],
        finder: Finder,
        old: Old,
        script: bool = True,
    ) -> None:
        self.source, self.namespace, self.guard = source, namespace, guard
        self.mapped, self.told = mapped, told  # --functions, --arguments
        self.finder, self.old = finder, old
        self.runs_script = script  # --no-script
        self.made: set[str] = set()  # globals that its script would make
        self.defined: dict[str, ast.FunctionDef | ast.ClassDef] = {}
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.defined.setdefault(node.name, node)
        self.wrapped: dict[str, type] = {}  # networks that are functions of the file, as classes
        self.loaded = dict(namespace)
        self.trees: list[ast.AST] = [source.tree, *(other.tree for other in finder.sources.values())]
        for ours, theirs in mapped.items():
            if theirs not in namespace and theirs not in source.broken:
                names = ", ".join(sorted(n for n in namespace if callable(namespace[n]) and not n.startswith("_"))[:30])
                raise ValueError(f"--functions {ours}={theirs}: {source.path.name} has no {theirs}; it has {names}")
        arguments = {node.arg for tree in self.trees for node in ast.walk(tree) if isinstance(node, ast.arg)}
        for theirs, what in told.items():
            if theirs not in arguments:
                near = difflib.get_close_matches(theirs, arguments, n=1)
                meant = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(
                    f"--arguments {theirs}={what}: no function of {source.path.name} has an argument {theirs}{meant}"
                )

    @contextlib.contextmanager
    def as_loaded(self) -> Iterator[None]:
        """The file's own numbers in its globals, not those that were put there since."""
        kept = {name: value for name, value in self.loaded.items() if isinstance(value, int | float)}
        before = {name: self.namespace[name] for name in kept if name in self.namespace}
        self.namespace.update(kept)
        try:
            yield
        finally:
            self.namespace.update(before)

    @property
    def text(self) -> str:
        """Of the file and of those beside it that it imports."""
        sources = [self.source, *self.finder.sources.values()]
        return "\n".join(line for source in sources for line in source.lines)

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The plain functions of the file and of those beside it, not what it imports from libraries."""
        files = {str(self.source.path), *(str(s.path) for s in self.finder.sources.values())}
        return {
            name: value
            for name, value in self.namespace.items()
            if inspect.isfunction(value) and value.__code__.co_filename in files
        }

    def classes(self) -> dict[str, type]:
        return {
            name: value
            for name, value in self.namespace.items()
            if inspect.isclass(value) and value.__module__ == self.namespace["__name__"]
        } | self.wrapped

    def has(self, name: str) -> bool:
        """Is it defined in this very file, working or not?"""
        theirs = self.mapped.get(name, name)
        return theirs in self.source.broken or theirs in self.defined or name in self.mapped

    def name_of(self, name: str) -> str:
        return self.mapped.get(name, name)

    def call(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        theirs = self.mapped.get(name, name)
        if theirs in self.source.broken:
            raise self.guard.failed(theirs, "raises", f"could not be read: {self.source.broken[theirs]}")
        if theirs not in self.namespace:
            raise self.guard.failed(theirs, "missing", "is not in the file")
        half_done = self.half_done(name)
        try:
            answer = self.guard.call(theirs, self.namespace[theirs], *arguments, **keywords)
        except Failed as failed:
            if half_done and "NoneType" in failed.sentence:  # what it would return
                raise self.guard.failed(theirs, "empty", "is begun, but what it returns is still None") from None
            raise
        tree = self.defined.get(theirs)
        if answer is None and tree is not None and not any(isinstance(n, ast.Return) for n in ast.walk(tree)):
            raise self.guard.failed(theirs, "type", "returns nothing: its return is missing")
        return answer

    def half_done(self, name: str) -> bool:
        """Whether it computes something, but not what it returns; one that nobody has begun fails."""
        theirs = self.name_of(name)
        tree = self.defined.get(theirs)
        if not isinstance(tree, ast.FunctionDef) or not is_unfilled(tree):
            return False
        if not is_begun(tree):
            raise self.guard.failed(theirs, "empty", "is not filled in yet")
        return True

    def old_names_used(self) -> list[str]:
        """Where names of Python 2 and of an older NumPy stand in code that ran."""
        said = [f"line {line}: {text}" for (file, line), text in self.old.used.items() if file == str(self.source.path)]
        bound = {alias.asname or alias.name for node in ast.walk(self.source.tree) for alias in names_imported(node)}
        bound |= set(self.defined) | {"*"}
        stars = any(alias.name == "*" for node in ast.walk(self.source.tree) for alias in names_imported(node))
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.Name) and node.id in GONE_WITH_PYTHON_2 and node.id not in bound and not stars:
                said.append(f"line {node.lineno}: {node.id} is Python 2; write {GONE_WITH_PYTHON_2[node.id][1]}")
        return list(dict.fromkeys(said))

    def left_over(self, looked_at: Iterable[str]) -> list[str]:
        """Functions and classes of the file that were not looked at, that nothing else in it calls, and that are more
        than the handout's empty ones.
        """
        top = [
            node.name
            for node in self.source.tree.body
            if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not is_unfilled(node))
        ]
        used = {n.id for n in ast.walk(self.source.tree) if isinstance(n, ast.Name)}
        seen = {name.split(".")[0] for name in looked_at}
        return [name for name in dict.fromkeys(top) if name not in used | seen and not name.startswith("_")]

    def all_notes(self) -> list[str]:
        notes = [*self.source.notes, *missing_modules(self.source.tree, self.finder), *self.guard.notes]
        notes += [f"{name} could not be read: {why}" for name, why in self.source.broken.items()]
        return list(dict.fromkeys(notes))


def names_imported(node: ast.AST) -> Iterable[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else ()


@lru_cache(maxsize=256)
def nodes_of(tree: ast.AST) -> Sequence[ast.AST]:
    """The nodes of a tree that stays as it is, as ast.walk gives them; the same ones are asked for again and again."""
    return tuple(ast.walk(tree))


@cache
def words(name: str) -> Sequence[str]:
    """ComputeGradients, compute_gradients, computeGradsBN -> its words in lower case."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name))
