"""A file run from its first line to its last, as `python FILE.py` runs it: for a limited time, in silence, with random
images under the names of the files that it loads. It writes nothing, starts nothing and reaches no network.
"""

import ast
import builtins
import contextlib
import copy
import functools
import io
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any
from unittest import mock

import numpy as np

from manual_mlp.adapters.guard import quiet
from manual_mlp.adapters.source import Source, module_of
from manual_mlp.adapters.stand_in_images import as_file, loadmat, stand_in
from manual_mlp.adapters.stubs import PACKAGE, Finder, names_of_python_2

NAME = ".".join([PACKAGE] * 4 + ["script"])
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    *("os.remove", "os.rmdir", "os.rename", "os.mkdir", "os.chmod", "os.link", "os.symlink", "os.truncate"),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.startfile", "os.kill", "subprocess"),
    *("socket.", "shutil.", "ftplib", "urllib", "http."),
)
ENDS = (SystemExit, KeyboardInterrupt)
WATCH = "__watch__"

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


class Enough(BaseException):
    """Enough was seen, or the time is over; no `except Exception` of the file stops it."""


def run_whole(source: Source, finder: Finder, names: Collection[str], wrap: Wrap, seconds: float) -> None:
    """Runs the file statement by statement, and what it imports of the files beside it.

    names, wrap   functions and methods of these names are wrapped where they are defined
    """

    def execute(source: Source, namespace: dict[str, Any]) -> None:
        namespace[WATCH] = wrap
        for node in Watched(names).visit(copy.deepcopy(source.tree)).body:
            ast.fix_missing_locations(node)
            code = compile(ast.Module([node], []), str(source.path), "exec", dont_inherit=True)
            try:
                exec(code, namespace)
            except ENDS:
                return
            except Exception:  # a plot, say; what comes behind it may train
                continue

    finder.execute = execute
    module = module_of(source, NAME, NAME.rpartition(".")[0])
    module.__dict__.update(names_of_python_2())
    module.__dict__["np"] = np
    with fresh_modules(finder, module), stand_ins(source), restrained(), limited(seconds), quiet():
        np.random.seed(0)  # noqa: NPY002 - the file's own draws
        with contextlib.suppress(Enough):
            execute(source, module.__dict__)


class Watched(ast.NodeTransformer):
    """Wraps the functions of these names, and has the file believe that it is the program."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        if node.name in self.names:
            node.decorator_list.append(ast.Name(WATCH, ast.Load()))
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "__name__" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant("__main__"), node)
        return node


@contextlib.contextmanager
def fresh_modules(finder: Finder, module: types.ModuleType) -> Iterator[None]:
    """Files beside it are imported anew, and forgotten afterwards."""
    before = {name: loaded for name, loaded in sys.modules.items() if is_of_a_stranger(loaded)}
    for name in before:
        del sys.modules[name]
    sys.modules[module.__name__] = module
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name, loaded in sys.modules.items() if is_of_a_stranger(loaded)]:
            del sys.modules[name]
        sys.modules.update(before)


def is_of_a_stranger(module: types.ModuleType) -> bool:
    return isinstance(getattr(module, "__loader__", None), Finder) or module.__name__.startswith(PACKAGE)


@contextlib.contextmanager
def stand_ins(source: Source) -> Iterator[None]:
    """Files of CIFAR-10 are there and hold random images; what is written goes nowhere."""
    real_open, is_file = builtins.open, os.path.isfile

    def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if set(mode) & set("wax+"):
            return io.BytesIO() if "b" in mode else io.StringIO()
        content = stand_in(file)
        return as_file(content) if content is not None else real_open(file, mode, *arguments, **keywords)

    def there(path: Any) -> bool:
        return stand_in(path) is not None or is_file(path)

    def nothing(*_: Any, **__: Any) -> None:
        return None

    replaced = {"builtins.open": opened, "io.open": opened, "os.path.isfile": there, "sys.argv": [str(source.path)]}
    replaced |= {"os.path.exists": lambda _: True, "os.path.isdir": lambda path: not there(path)}
    replaced |= dict.fromkeys(("os.mkdir", "os.makedirs", "os.chdir", "builtins.input", "time.sleep"), nothing)
    if any("loadmat" in line for line in source.lines):
        replaced["scipy.io.loadmat"] = loadmat
    with contextlib.ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(mock.patch(name, value))
        yield


class Restraint:
    """Forbids, while it is on, what a program does to the world outside; Python cannot take such a hook off again."""

    def __init__(self) -> None:
        self.on = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            forbidden = isinstance(arguments[2], int) and bool(arguments[2] & WRITES)
        else:
            forbidden = event.startswith(FORBIDDEN)
        if forbidden:
            raise PermissionError(f"{event} is not allowed here")


@functools.cache
def restraint() -> Restraint:
    made = Restraint()
    sys.addaudithook(made)
    return made


@contextlib.contextmanager
def restrained() -> Iterator[None]:
    hook = restraint()
    hook.on = True
    try:
        yield
    finally:
        hook.on = False


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stops what runs, again and again if it goes on all the same."""

    def over(*_: Any) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def can_be_limited() -> bool:
    """Not on Windows, and not in a thread."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
