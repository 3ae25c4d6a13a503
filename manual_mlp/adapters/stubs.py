"""What a stranger's file imports and this machine does not have, or must not run: stand-ins that swallow every use.

Files beside it are read like the file itself (`source.py`): their scripts do not run either.
"""

import ast
import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import math
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manual_mlp.adapters import ragged
from manual_mlp.adapters.source import Source, execute, read_source
from manual_mlp.adapters.swallow import Swallow

NEVER_RUN = {"matplotlib", "seaborn", "pylab", "plotly", "cv2", "PIL", "imageio", "tqdm", "IPython", "ipywidgets"}
NEVER_RUN |= {"pandas", "tensorflow", "keras", "sklearn", "torchvision", "h5py", "wandb", "numba", "skimage", "google"}
NEVER_RUN |= {"torch", "jax", "theano", "mxnet", "cupy"}  # seconds to import; what they compute is not written by hand

REMOVED_FROM_NUMPY: dict[str, tuple[Any, str]] = {
    "int": (int, "int"),
    "float": (float, "float"),
    "bool": (bool, "bool"),
    "object": (object, "object"),
    "str": (str, "str"),
    "complex": (complex, "complex"),
    "long": (int, "int"),
    "unicode": (str, "str"),
    "float_": (np.float64, "np.float64"),
    "int0": (np.intp, "np.intp"),
    "Inf": (np.inf, "np.inf"),
    "Infinity": (np.inf, "np.inf"),
    "infty": (np.inf, "np.inf"),
    "PINF": (np.inf, "np.inf"),
    "NINF": (-np.inf, "-np.inf"),
    "NaN": (np.nan, "np.nan"),
    "NAN": (np.nan, "np.nan"),
    "product": (np.prod, "np.prod"),
    "cumproduct": (np.cumprod, "np.cumprod"),
    "alltrue": (np.all, "np.all"),
    "sometrue": (np.any, "np.any"),
    "asscalar": (lambda a: np.asarray(a).item(), "a.item()"),
    "mat": (np.asmatrix, "np.asarray"),
    "row_stack": (np.vstack, "np.vstack"),
    "in1d": (np.isin, "np.isin"),
    "round_": (np.round, "np.round"),
    "rank": (np.ndim, "np.ndim"),
    "trapz": (getattr(np, "trapezoid", None), "np.trapezoid"),
    "msort": (lambda a: np.sort(a, axis=0), "np.sort(a, axis=0)"),
    "cast": ({}, "a.astype(...)"),
}


def xrange(*bounds: Any) -> range:
    """Where it is built in, / of integers gives one, too; here it gave a float."""
    return range(*(int(bound) if isinstance(bound, float) else bound for bound in bounds))


GONE_WITH_PYTHON_2: dict[str, tuple[Any, str]] = {
    "xrange": (xrange, "range"),
    "unicode": (str, "str"),
    "long": (int, "int"),
    "raw_input": (input, "input"),
    "reduce": (__import__("functools").reduce, "functools.reduce"),
    "basestring": (str, "str"),
    "unichr": (chr, "chr"),
}


def names_of_python_2() -> dict[str, Any]:
    return {name: value for name, (value, _) in GONE_WITH_PYTHON_2.items()}


class StubModule(types.ModuleType):
    """A module that is not here: whatever is taken from it swallows its use."""

    def __init__(self, name: str, known: dict[str, Any]) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__dict__.update(known)
        self.__dict__["__all__"] = sorted(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if self.__name__.split(".")[0] in NEVER_RUN:
            return Swallow(f"{self.__name__}.{name}")
        if name in GONE_WITH_PYTHON_2:
            return GONE_WITH_PYTHON_2[name][0]
        if name == "range" or hasattr(builtins, name):
            return getattr(builtins, name)
        known = self.__dict__.get(name.lower())
        return known if callable(known) else Swallow(f"{self.__name__}.{name}")


PACKAGE = "stranger"  # as deep as a relative import may climb: stranger.stranger.stranger


def without_package(name: str) -> str:
    parts = name.split(".")
    while parts and parts[0] == PACKAGE:
        parts.pop(0)
    return ".".join(parts)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module beside the file (read without its script), else an installed one, else a stub.

    known(name) gives the functions of helper files that a course hands out, for a file that comes without them.
    """

    def __init__(self, path: Path, known: Callable[[str], dict[str, Any]]) -> None:
        self.path, self.known = path, known
        self.folders = [path.parent, *list(path.parent.parents)[:2]]
        self.stand_ins: dict[str, dict[str, Any]] = {}  # of each module that is not here, what was given instead
        self.sources: dict[str, Source] = {}
        self.execute = execute  # of what is beside it, the definitions
        self.asking = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:  # noqa: ARG002
        if self.asking or not self.is_imported_by_the_file():
            return None
        inner = without_package(name)
        top = inner.split(".")[0]
        installed = name == inner and top not in NEVER_RUN and self.is_installed(name)
        if (top in sys.stdlib_module_names or top in ("numpy", "manual_mlp")) or (installed and not self.beside(inner)):
            return None
        spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
        spec.submodule_search_locations = []
        return spec

    def is_imported_by_the_file(self) -> bool:
        """Or by a file beside it; a library that is here imports what it likes."""
        frame: types.FrameType | None = sys._getframe(2)
        while frame is not None and "importlib" in str(frame.f_globals.get("__name__")):
            frame = frame.f_back
        if frame is None:
            return True
        name, loader = str(frame.f_globals.get("__name__")), getattr(frame.f_globals.get("__spec__"), "loader", None)
        return loader is self or name.startswith(PACKAGE)

    def is_installed(self, name: str) -> bool:
        self.asking = True
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, AttributeError, ValueError):
            return False
        finally:
            self.asking = False

    def beside(self, name: str) -> Path | None:
        parts = name.split(".") if name else []
        for folder in self.folders:
            for tail in (parts, parts[1:], parts[-1:]):
                if not tail or tail[0] in NEVER_RUN:
                    continue
                file = folder.joinpath(*tail).with_suffix(".py")
                if file.is_file() and file.resolve() != self.path.resolve():
                    return file
        return None

    def create_module(self, spec: Any) -> Any:
        inner = without_package(spec.name)
        if self.beside(inner):
            return types.ModuleType(spec.name)
        given = {name: value for name, value in self.known(inner).items() if name not in self.defined()}
        if inner:
            self.stand_ins[inner] = given
        return StubModule(spec.name, given)

    def defined(self) -> set[str]:
        """What the files beside it define: no stand-in may take its place."""
        trees = [source.tree for source in self.sources.values()]
        return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}

    def exec_module(self, module: types.ModuleType) -> None:
        file = self.beside(without_package(module.__name__))
        if file is None or isinstance(module, StubModule):
            return
        module.__file__ = str(file)
        source = read_source(file)
        self.sources[module.__name__] = source
        module.__dict__.update(names_of_python_2())
        self.execute(source, module.__dict__)


class Old:
    """Names that NumPy 2 and Python 3 no longer have: they work here as they used to, and every use is noted."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, int], str] = {}  # (file, line): what to say

    def install(self) -> None:
        self.numpys_own = np.__dict__["__getattr__"]  # which imports np.ma and the like when they are first used
        self.strict = ragged.install(self.note)
        np.__dict__["__getattr__"] = self.numpy_attribute

    def uninstall(self) -> None:
        np.__dict__.update(self.strict)
        np.__dict__["__getattr__"] = self.numpys_own

    def numpy_attribute(self, name: str) -> Any:
        if name not in REMOVED_FROM_NUMPY:
            return self.numpys_own(name)
        value, instead = REMOVED_FROM_NUMPY[name]
        frame = sys._getframe(1)
        self.note(frame, f"np.{name} was removed from NumPy; write {instead}")
        return value

    def xrange(self, *bounds: Any) -> range:
        if any(isinstance(bound, float) for bound in bounds):
            self.note(sys._getframe(1), "this range ends at a float in Python 3; write // where / stands")
        return xrange(*bounds)

    def note(self, frame: types.FrameType, text: str) -> None:
        self.used[frame.f_code.co_filename, frame.f_lineno] = text


def course_softmax(x: Any) -> Any:
    """The softmax that DD2424 hands out: one column per image."""
    shifted = np.exp(x - np.max(x, axis=0))
    return shifted / np.sum(shifted, axis=0)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


COURSE_HELPERS = {"softmax": course_softmax, "sigmoid": sigmoid, "relu": relu, "sqrt": math.sqrt}
