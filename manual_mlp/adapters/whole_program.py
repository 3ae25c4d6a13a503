"""A file run from its first line to its last, as `python FILE.py` runs it: for a limited time, in silence, with random
images under the names of the files that it loads.
"""

import argparse
import ast
import builtins
import contextlib
import copy
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from manual_mlp.adapters.guard import quiet
from manual_mlp.adapters.restraint import exchanged, is_written, nothing, restrained
from manual_mlp.adapters.source import Source, compiled, module_of
from manual_mlp.adapters.stand_in_images import as_file, is_data_file, is_data_folder, is_stand_in, loadmat
from manual_mlp.adapters.stubs import PACKAGE, Finder, names_of_python_2

NAME = ".".join([PACKAGE] * 4 + ["script"])
ENDS = (SystemExit, KeyboardInterrupt)
WATCH, STOP, NEXT, FAIL = "__watch__", "__stop__", "__next__", "__fail__"
RAISED = "__raised__"
DECLARES = (ast.Global, ast.Nonlocal, ast.FunctionDef, ast.ClassDef, ast.Return)
AGAIN = 1.0  # seconds after which what goes on is stopped again

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


class Enough(BaseException):
    """Enough was seen, or the time is over; no `except` of the file stops it (`Watched`)."""


class Next(Enough):
    """Enough was seen of what this statement does; what comes behind it may train another network."""


def run_whole(program: Source, finder: Finder, wrap: Wrap, seconds: float) -> list[Exception]:
    """Runs the file statement by statement, and what it imports of the files beside it. Returns the errors that ended a
    statement, but not those that may come of what was made up.

    wrap      its functions and methods are wrapped where they are defined
    seconds   of computing
    """
    errors: list[Exception] = []

    def execute(source: Source, namespace: dict[str, Any]) -> None:
        namespace.update({WATCH: wrap, STOP: Enough, NEXT: Next, FAIL: errors.append})
        tree, is_program = copy.deepcopy(source.tree), source is program
        every = list(statements(tree) if is_program else tree.body)
        for node in map(Watched(is_program, called_as_scripts(every)).visit, every):
            ast.fix_missing_locations(node)
            try:
                exec(compiled(source, node), namespace)
            except ENDS:
                return
            except Next:
                continue
            except Exception as error:  # of a plot, say; what comes behind it may train
                errors.append(error)

    finder.execute = execute
    module = module_of(program, NAME, NAME.rpartition(".")[0])
    module.__dict__.update(names_of_python_2())
    module.__dict__["np"] = np
    with fresh_modules(finder, module), restrained(), stand_ins(program) as made_up, quiet():
        np.random.seed(0)  # noqa: NPY002 - the file's own draws
        with contextlib.suppress(Enough), limited(seconds):
            execute(program, module.__dict__)
    return [] if made_up else errors


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Those of the module, and one by one those that stand under `if __name__ == "__main__"`."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            yield from node.body
        else:
            yield node


def called_as_scripts(every: Iterable[ast.stmt]) -> set[str]:
    """Functions that hold what others have in the script: they are called, with no arguments or as main(arguments), and
    nothing is made of what they return.
    """
    calls = [n.value for n in every if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call)]
    named = [(call.func.id, call.args or call.keywords) for call in calls if isinstance(call.func, ast.Name)]
    return {name for name, arguments in named if name == "main" or not arguments}


class Watched(ast.NodeTransformer):
    """Wraps its functions, has the file that is the program believe so, and hands the stop on where everything is
    caught. Of functions that are scripts each statement is run, whatever became of the one in front of it.
    """

    def __init__(self, is_program: bool, scripts: Collection[str]) -> None:
        self.is_program, self.scripts = is_program, scripts

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        if node.name in self.scripts:
            node.body = [one if isinstance(one, DECLARES) else whatever_becomes(one) for one in node.body]
        node.decorator_list.append(ast.Name(WATCH, ast.Load()))
        return node

    def visit_Try(self, node: ast.Try) -> ast.Try:
        self.generic_visit(node)
        if node.handlers:
            node.handlers.insert(0, ast.ExceptHandler(ast.Name(STOP, ast.Load()), None, [ast.Raise()]))
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if self.is_program and node.id == "__name__" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant("__main__"), node)
        return node


def whatever_becomes(statement: ast.stmt) -> ast.stmt:
    """The next one is run as well."""
    skipped = ast.ExceptHandler(ast.Name(NEXT, ast.Load()), None, [ast.Pass()])
    noted = ast.parse(f"{FAIL}({RAISED})").body
    failed = ast.ExceptHandler(ast.Name("Exception", ast.Load()), RAISED, noted)
    return ast.copy_location(ast.Try([statement], [skipped, failed], [], []), statement)


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
def stand_ins(source: Source) -> Iterator[list[str]]:
    """Files of CIFAR-10 are there and hold random images; what somebody is asked for is made up, and noted."""
    made_up: list[str] = []
    real_open, is_file, is_folder = builtins.open, os.path.isfile, os.path.isdir
    folders = folders_named(source)

    def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        if is_stand_in(file) and not is_written(mode):
            return as_file(file)
        return real_open(file, mode, *arguments, **keywords)

    def file_there(path: Any) -> bool:
        return is_data_file(path) or is_file(path)

    def folder_there(path: Any) -> bool:
        return is_data_folder(path) or os.path.normpath(str(path)) in folders or is_folder(path)

    def there(path: Any, **_: Any) -> bool:
        return file_there(path) or folder_there(path)

    def entered(prompt: object = "") -> str:
        made_up.append(str(prompt))
        return ""

    def parsed(parser: argparse.ArgumentParser, arguments: Any = None, namespace: Any = None) -> Any:
        given = list(arguments or ()) or examples(parser)
        made_up.extend(given)
        return PARSE(parser, given, namespace)

    def ended(status: int = 0) -> None:
        raise SystemExit(status)

    replaced = {"builtins.open": opened, "io.open": opened, "sys.argv": [str(source.path)]}
    replaced |= dict.fromkeys(("os.path.exists", "pathlib.Path.exists"), there)
    replaced |= dict.fromkeys(("os.path.isfile", "pathlib.Path.is_file"), file_there)
    replaced |= dict.fromkeys(("os.path.isdir", "pathlib.Path.is_dir"), folder_there)
    replaced |= {"builtins.input": entered, "time.sleep": nothing}
    replaced |= dict.fromkeys(("os._exit", "os.abort"), ended)
    replaced["argparse.ArgumentParser.parse_known_args"] = parsed
    if any("loadmat" in line for line in source.lines):
        replaced["scipy.io.loadmat"] = loadmat
    with exchanged(replaced):
        yield made_up


def folders_named(source: Source) -> set[str]:
    """Those in which the file's own text says that CIFAR-10 lies: of Datasets/cifar-10-batches-py, Datasets."""
    texts = [node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant)]
    paths = [Path(text) for text in texts if isinstance(text, str) and (is_data_file(text) or is_data_folder(text))]
    return {str(parent) for path in paths for parent in path.parents} - {"."}


PARSE = argparse.ArgumentParser.parse_known_args
EXAMPLES = {int: "10", float: "0.01"}


def examples(parser: argparse.ArgumentParser) -> list[str]:
    """Of what has to be given on the command line: --eta 0.01 train."""
    groups = [group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required]
    needed = [*groups, *(action for action in parser._actions if action.required)]
    given: list[str] = []
    for action in sorted(needed, key=lambda action: not action.option_strings):  # of a command all that follows it
        count = action.nargs if isinstance(action.nargs, int) else 1
        example = next(iter(action.choices)) if action.choices else EXAMPLES.get(action.type, "1")  # type: ignore[call-overload]
        given += [*action.option_strings[:1], *[str(example)] * count]
    return given


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stops what runs, again and again if it goes on all the same: after so many seconds of computing, or twice as many
    on the clock of a busy machine.
    """

    def over(*_: Any) -> None:
        raise Enough

    limits = {(signal.ITIMER_PROF, signal.SIGPROF): seconds, (signal.ITIMER_REAL, signal.SIGALRM): 2 * seconds}
    before = {number: signal.signal(number, over) for _, number in limits}
    try:
        try:
            for (timer, _), limit in limits.items():
                signal.setitimer(timer, limit, AGAIN)
            yield
        finally:
            switch_off(limits)
    finally:  # even if the stop came in front of the line above
        switch_off(limits)
        for number, handler in before.items():
            signal.signal(number, handler)


def switch_off(timers: Iterable[tuple[int, int]]) -> None:
    for timer, _ in timers:
        signal.setitimer(timer, 0)


def can_be_limited() -> bool:
    """Not on Windows, and not in a thread."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
