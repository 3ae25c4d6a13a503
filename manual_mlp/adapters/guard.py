"""Calling a stranger's function: on copies, in silence, with whatever goes wrong turned into a sentence."""

import ast
import contextlib
import copy
import dataclasses
import difflib
import io
import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from manual_mlp.adapters.restraint import NotAllowed
from manual_mlp.adapters.source import Source, said
from manual_mlp.adapters.stubs import GONE_WITH_PYTHON_2
from manual_mlp.adapters.swallow import NotHere, Swallow
from manual_mlp.diagnosis.report import Finding, Report

Event = Callable[[dict[str, Any]], None]


class Failed(Exception):
    """A function gave nothing that can be compared. `kind`: unfilled, empty (nobody has begun it), raises, never, type,
    shape, missing, uncallable.
    """

    def __init__(self, function: str, kind: str, sentence: str, error: str = "", refused: str = "") -> None:
        super().__init__(f"{function} {sentence}")
        self.function, self.kind, self.sentence = function, kind, sentence
        self.error = error  # the name of the exception behind it
        self.refused = refused  # the function of the file whose own assert or raise it is


class Guard:
    """Every call of the stranger's code goes through here. What is learned on the way is kept in `notes`; in `failures`
    what failed since the last `begin`, in `shapes` what came out in the wrong shape with the right number of values.

    failing   functions that are known not to return, and the sentence that says so
    """

    def __init__(self, sources: Iterable[Source], event: Event, failing: Mapping[str, str]) -> None:
        self.sources = {str(source.path): source for source in sources}
        self.event, self.failing = event, failing
        self.notes: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.failures: list[Failed] = []
        self.shapes: dict[str, str] = {}

    def explain(self, report: Report) -> Report:
        """The report with the file's own lines in it where a function failed, and with the shape mistakes."""
        findings = []
        for finding in report.findings:
            cause = next((f for f in self.failures if f"raises Failed: {f}" in finding.sentence), None)
            if cause is not None:
                mistake = "unfilled" if cause.kind in ("unfilled", "empty") else "raises"
                finding = dataclasses.replace(finding, sentence=str(cause), mistake=mistake)
            findings.append(finding)
        shapes = [Finding(place, sentence, "wrong_shape") for place, sentence in self.shapes.items()]
        return dataclasses.replace(report, findings=[*shapes, *findings])

    def call(self, function_name: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """The function's result; its inputs are copies, unless they are shared on purpose (`Shared`)."""
        if function_name in self.failing:
            raise self.failed(function_name, "never", self.failing[function_name])
        given = [argument.value if isinstance(argument, Shared) else copied(argument) for argument in arguments]
        named = {key: v.value if isinstance(v, Shared) else copied(v) for key, v in keywords.items()}
        self.event({"calling": function_name})
        try:
            with quiet():
                result = function(*given, **named)
        except BaseException as error:
            failed = self.explained(function_name, error)
            self.failures.append(failed)
            raise failed from None
        finally:
            self.event({"returned": function_name})
        for place, (before, after) in enumerate(zip(arguments, given, strict=True)):
            if isinstance(before, np.ndarray) and not np.array_equal(before, after, equal_nan=True):
                self.note(
                    f"{function_name} changes its {ordinal(place)} argument in place; whoever still needs it finds "
                    "other values there (here it was given a copy)"
                )
        return result

    def failed(self, function: str, kind: str, sentence: str) -> Failed:
        self.failures.append(failed := Failed(function, kind, sentence))
        return failed

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def raised(self, error: BaseException) -> tuple[str, str]:
        """In which function of the file, and at which line: "line 7: `s = W @ X`"."""
        for frame, number in reversed([*traceback.walk_tb(error.__traceback__)]):
            if source := self.sources.get(frame.f_code.co_filename):
                return frame.f_code.co_name, f"line {number}: `{source.line(number)}`"
        return "", ""

    def where(self, error: BaseException) -> str:
        _, line = self.raised(error)
        return f"{line}: " if line else ""

    def explained(self, name: str, error: BaseException) -> Failed:
        if isinstance(error, Failed):
            return error
        where = self.where(error)
        inside, line = self.raised(error)
        refused = inside if re.search(r"\b(assert|raise)\b", line) else ""
        if isinstance(error, NotImplementedError):
            return Failed(name, "unfilled", "is not filled in yet")
        if isinstance(error, NotHere):
            return Failed(name, "missing", f"computes with something that is not run here: {where}{error.name}")
        if isinstance(error, NotAllowed | io.UnsupportedOperation):
            return Failed(name, "uncallable", f"is not run here: {where}{error}")
        sentence = f"{where}{said(error)}"
        missing = getattr(error, "name", None)
        if isinstance(error, NameError) and missing in GONE_WITH_PYTHON_2:
            sentence = f"{where}{missing} is Python 2; write {GONE_WITH_PYTHON_2[missing][1]}"
        elif isinstance(error, AttributeError) and "module 'numpy" in str(error):
            sentence = f"{where}np.{missing} is not in NumPy {np.__version__}; it was removed or never existed"
        elif isinstance(error, NameError) and missing:
            sentence = f"{where}{missing} is not defined{self.meant(missing, innermost(error))}"
        elif isinstance(error, SystemExit):
            sentence = f"{where}it ends the whole program (exit)"
        elif isinstance(error, RecursionError):
            sentence = f"{where}it calls itself without end"
        elif isinstance(error, TypeError) and "'float' object cannot be interpreted as an integer" in str(error):
            sentence += "; where / was meant to give an integer, as it did in Python 2, write //"
        return Failed(name, "raises", f"raises an error: {sentence}", type(error).__name__, refused)

    def meant(self, missing: str, known: Iterable[str]) -> str:
        """What an undefined name may have been meant for: of a file beside, of the script, or one that is spelt so."""
        alike = {name.lower(): name for name in known}
        near = difflib.get_close_matches(missing.lower(), alike, n=1, cutoff=0.75)
        for source in self.sources.values():
            for node in source.tree.body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == missing:
                    return f"; {source.path.name} has it: import it from there"
        if near:
            return f"; {alike[near[0]]} is"
        trees = [source.tree for source in self.sources.values()]
        made = {node.id for tree in trees for node in ast.walk(tree) if is_stored(node)}
        return "; only the script part of the file, which is not run, may make it" if missing in made else ""

    def array(self, name: str, place: str, value: Any, shape: tuple[int, ...] | None) -> NDArray[Any]:
        """The value as numbers of that shape; one that only has too many or missing axes of length 1, or is one flat
        row of the right length, is kept as a shape mistake and compared after reshaping.
        """
        if value is None:
            raise self.failed(name, "unfilled", f"returns None for {place}: is not filled in yet")
        if isinstance(value, Swallow):
            raise self.failed(name, "missing", f"needs {value._name}, which is not here")
        try:
            array = np.asarray(value)
            if array.dtype == object:
                array = array.astype(np.float64)
        except (ValueError, TypeError):
            raise self.failed(
                name, "type", f"returns {kind_of(value)} for {place}; it must be an array of numbers"
            ) from None
        if array.dtype.kind not in "fiub":
            raise self.failed(
                name, "type", f"returns {kind_of(value)} for {place}; it must be an array of real numbers"
            )
        array = array.astype(np.float64)
        if shape is None or array.shape == shape:
            return array
        without_ones = tuple(size for size in array.shape if size != 1)
        if without_ones == tuple(size for size in shape if size != 1):
            self.shapes.setdefault(
                place,
                f"{name} returns {place} with shape {array.shape}; it must be {shape}: in an update NumPy "
                "would broadcast it to something else",
            )
            return array.reshape(shape)
        raise self.failed(name, "shape", f"returns {place} with shape {array.shape}; it must be {shape}")

    def several(self, name: str, value: Any, keys: Sequence[str]) -> list[Any]:
        """What a function returns under these names, as a tuple or a list."""
        if not isinstance(value, tuple | list) or len(value) != len(keys):
            given = "None" if value is None else f"a {type(value).__name__}"
            kind = "unfilled" if value is None else "type"
            raise self.failed(name, kind, f"returns {given}; it must be ({', '.join(keys)})")
        return list(value)

    def scalar(self, name: str, place: str, value: Any) -> float:
        if isinstance(value, Swallow) or value is None:
            self.array(name, place, value, None)
        array = self.array(name, place, value, None)
        if array.size != 1:
            raise self.failed(name, "shape", f"returns {place} with shape {array.shape}; it must be one number")
        if array.ndim > 0:
            self.note(f"{name} returns {place} as an array of shape {array.shape}; one number was read out of it")
        return float(array.reshape(()))


def innermost(error: BaseException) -> list[str]:
    """The local names where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return list(trace.tb_frame.f_locals) if trace is not None else []


def is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


class Shared:
    """An argument that is handed over itself, not as a copy: a bn_param which the function updates."""

    def __init__(self, value: Any) -> None:
        self.value = value


def copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # an object of the stranger's that cannot be copied
        return value


@contextlib.contextmanager
def quiet() -> Any:
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield


def kind_of(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {value.shape}"
    return f"a {type(value).__name__}"


def ordinal(place: int) -> str:
    return ["first", "second", "third", "fourth", "fifth"][place] if place < 5 else f"{place + 1}th"
