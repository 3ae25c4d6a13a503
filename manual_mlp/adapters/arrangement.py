"""How a DD2424 program passes its arrays around: lists or W1, W2, columns or rows, (m, 1) or (m,)."""

import ast
import copy
import itertools
import pickle
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.guesses import guessed_roles
from manual_mlp.adapters.parts import Network
from manual_mlp.adapters.program import Program, nodes_of
from manual_mlp.adapters.roles import Role, name_in, role_of
from manual_mlp.blocks import layer_names
from manual_mlp.diagnosis.reference import Batch, forward_pass, gradients_of
from manual_mlp.layers import BATCH_NORM_EPS, Array

ETA = 0.125  # of a step, where gradient and update are one: dividing by it loses no digit
SIZES = {1: (6, 4), 2: (6, 7, 4), 3: (6, 7, 5, 4)}  # inputs, hidden, classes; by depth


@dataclass(frozen=True)
class Arrangement:
    """How one program passes its arrays around."""

    depth: int
    batch_norm: bool
    weights: str = "list"  # list, array, dict
    container: str = "named"  # of a `params` argument
    labels: str = "onehot"  # onehot, numbers
    biases: str = "(m, 1)"  # (m, 1), (m,), (1, m)
    x_columns: bool = True
    y_columns: bool = True
    turned: bool = False  # W is (in, out)
    first: int = 1  # the number of the first layer in W1, W2
    flag: bool = False  # what stands under a key of a `params` dictionary whose meaning is not known
    affine: bool = True  # batch normalization has a gamma and a beta
    matrices: str = ""  # all, images: what is an np.matrix, whose * is the matrix product
    drop: float = 0.0  # what switches dropout off: 1 where its rate is the share of units that stay

    def words(self) -> str:
        weights = "(in, out)" if self.turned else "(out, in)"
        labels = (
            "as numbers"
            if self.labels == "numbers"
            else "one-hot" + ("" if self.y_columns == self.x_columns else " the other way")
        )
        layers = "1 layer" if self.depth == 1 else f"{self.depth} layers"
        images = "columns" if self.x_columns else "rows"
        arrays = f", {self.matrices} as np.matrix" if self.matrices else ""
        return f"{layers}, images as {images}, W {weights}, b {self.biases}, labels {labels}{arrays}"


class Settings(dict[str, Any]):
    """A dictionary of parameters that also knows the settings which programs keep there: params["use_bn"], ["k"]."""

    def __init__(self, values: Mapping[str, Any], known: Mapping[str, Any], flag: bool) -> None:
        super().__init__(values)
        self.known, self.flag = known, flag

    def __missing__(self, key: str) -> Any:
        role = role_of(key) if isinstance(key, str) else None
        if role is not None and role.kind in ("W", "b", "gamma", "beta"):
            raise KeyError(key)  # a layer too many is a mistake, or another arrangement's
        return self.known[role.kind] if role is not None and role.kind in self.known else self.flag

    def __deepcopy__(self, memo: dict[int, Any]) -> "Settings":
        return Settings(copy.deepcopy(dict(self), memo), self.known, self.flag)

    def copy(self) -> "Settings":
        return Settings(self, self.known, self.flag)


class Inputs(NamedTuple):
    """One question to a network, and what the network has that the course's has not."""

    parameters: Mapping[str, Array]  # under our names
    x: Array  # (N, D)
    y: Any  # (N,)
    l2: float
    relu_first: bool = False  # batch normalization stands behind the ReLU
    label_smoothing: float = 0.0
    relu_slope: float = 0.0  # below 0, of a leaky ReLU
    eps: float = BATCH_NORM_EPS


def sizes_of(parameters: Mapping[str, Array]) -> list[int]:
    weights = [value for name, value in parameters.items() if name.startswith("linear") and name.endswith("weight")]
    return [weights[0].shape[1], *(len(weight) for weight in weights)]


def arranged(how: Arrangement, given: Inputs) -> dict[str, list[Array]]:
    """The parameters in their layout, by letter: a list over the layers."""
    values: dict[str, list[Array]] = {"W": [], "b": [], "gamma": [], "beta": []}
    for name, value in given.parameters.items():
        kind = {"lw": "W", "lb": "b", "bw": "gamma", "bb": "beta"}[name[0] + name.split(".")[1][0]]
        values[kind].append(np.array(as_weight(how, value) if kind == "W" else as_bias(how, value)))
    return {kind: found for kind, found in values.items() if found}


def as_weight(how: Arrangement, value: Array) -> Array:
    return value.T if how.turned else value


def as_bias(how: Arrangement, value: Array) -> Array:
    return value.reshape({"(m, 1)": (-1, 1), "(m,)": (-1,), "(1, m)": (1, -1)}[how.biases])


def environment(how: Arrangement, given: Inputs, keys: Sequence[str]) -> dict[str, Any]:
    """What stands for each role."""
    classes = sizes_of(given.parameters)[-1]
    onehot = np.eye(classes)[given.y]
    labels = onehot.T.copy() if how.y_columns else onehot
    roles: dict[str, Any] = {
        "X": given.x.T.copy() if how.x_columns else given.x,
        "Y": labels,
        "y": given.y if how.labels == "numbers" else labels,
        "numbers": given.y,  # beside one-hot labels
        "lambda": given.l2,
        "bn": how.batch_norm,
        "depth": how.depth,
        "n": len(given.x),
        "D": given.x.shape[1],
        "K": classes,
        "m": sizes_of(given.parameters)[1] if how.depth > 1 else classes,
        "trains": True,
        "tests": False,
        "keep": 1.0,
        "drop": how.drop,
        "eps": BATCH_NORM_EPS,  # so that only an eps of its own is another
        "eta": ETA,
    }
    values = arranged(how, given)
    if how.matrices == "images":
        roles["X"] = roles["X"].view(np.matrix)
    elif how.matrices:
        roles |= {kind: roles[kind].view(np.matrix) for kind in ("X", "Y", "y") if np.ndim(roles[kind]) == 2}
        values = {kind: [value.view(np.matrix) for value in found] for kind, found in values.items()}
    for kind, found in values.items():
        roles[kind] = collected(how, kind, found)
        for number, value in enumerate(found, start=how.first):
            roles[f"{kind}{number}"] = value
    known = {
        kind: roles[kind] for kind in ("bn", "depth", "lambda", "n", "D", "K", "m", "eps", "eta", "trains", "tests")
    }
    held = container(how, values, keys)
    roles["params"] = (
        Settings(held, known | {"sizes": sizes_of(given.parameters)}, how.flag) if type(held) is dict else held
    )
    return roles


def collected(how: Arrangement, kind: str, values: list[Array]) -> Any:
    match how.weights:
        case "array":
            return values[0]
        case "dict":
            return dict(enumerate(values, start=how.first))
        case "named dict":
            return {f"{kind}{number}": value for number, value in enumerate(values, start=how.first)}
    return values


CONTAINERS: tuple[str, ...] = ("named", "numbered", "layers", "flat", "pairs", "object", "collections")
OBJECTS = "layer objects"  # of the file's own classes


def container(how: Arrangement, values: Mapping[str, list[Array]], keys: Sequence[str]) -> Any:
    """All parameters in one object, in one of the ways that such objects are made."""
    key = {kind: kind for kind in values}
    for text in reversed(keys):
        role = role_of(text.rstrip("#"))
        if role is not None and role.kind in key:
            key[role.kind] = text.rstrip("#0123456789")
    depth = len(values["W"])
    match how.container:
        case "single":
            return {key[kind]: found[0] for kind, found in values.items()}
        case "named":
            return {key[kind]: list(found) for kind, found in values.items()}
        case "numbered":
            return {
                f"{key[kind]}{n}": v for kind, found in values.items() for n, v in enumerate(found, start=how.first)
            }
        case "layers":
            return [{key[kind]: found[n] for kind, found in values.items() if n < len(found)} for n in range(depth)]
        case "flat":
            return [found[n] for n in range(depth) for found in values.values() if n < len(found)]
        case "pairs":
            return [tuple(found[n] for found in values.values() if n < len(found)) for n in range(depth)]
        case "object":
            numbered = {f"{key[kind]}{n}": v for kind, found in values.items() for n, v in enumerate(found, start=1)}
            return types.SimpleNamespace(**{key[kind]: list(found) for kind, found in values.items()}, **numbered)
    return [list(found) for found in values.values()]


def as_computed(how: Arrangement, given: Inputs) -> Inputs:
    """With gamma 1 and beta 0 where the network normalizes without them. So little beside it that no number notices,
    they are not quite those defaults, which a diagnosis would move away from.
    """
    if not how.batch_norm or how.affine:
        return given
    parameters: dict[str, Array] = {}
    for name, value in given.parameters.items():
        parameters[name] = value
        if name.endswith("bias") and name != f"linear{how.depth}.bias":
            nothing = 1e-13 * np.arange(len(value))
            parameters |= {name.replace("linear", "bn").replace("bias", end): nothing for end in ("weight", "bias")}
            parameters[name.replace("linear", "bn").replace("bias", "weight")] = 1 + nothing
    return given._replace(parameters=parameters)


def problem(depth: int, batch_norm: bool) -> Inputs:
    rng = np.random.default_rng(8)
    sizes = SIZES[depth]
    parameters = {}
    for layer, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
        parameters[f"linear{layer}.weight"] = rng.normal(0, np.sqrt(2 / fan_in), (width, fan_in))
        parameters[f"linear{layer}.bias"] = rng.normal(0, 0.3, width)
        if batch_norm and layer < depth:
            parameters[f"bn{layer}.weight"] = rng.uniform(0.5, 1.5, width) * rng.choice([-1, 1], width)
            parameters[f"bn{layer}.bias"] = rng.normal(0, 0.5, width)
    y = rng.integers(0, sizes[-1], 11)
    return Inputs(parameters, rng.normal(size=(11, sizes[0])), y, 0.1)


Reference = tuple[Array, float, dict[str, Array]]


def reference(given: Inputs) -> Reference:
    """Our own probabilities, cost and gradients; the same question comes with hundreds of arrangements."""
    return answered(pickle.dumps(given))


@lru_cache(maxsize=128)
def answered(question: bytes) -> Reference:
    given: Inputs = pickle.loads(question)
    parameters = {name: np.asarray(value, dtype=np.float64) for name, value in given.parameters.items()}
    batch = Batch(
        parameters,
        given.x,
        given.y,
        given.l2,
        relu_first=given.relu_first,
        label_smoothing=given.label_smoothing,
        relu_slope=given.relu_slope,
    )
    names = [layer_names(layer) for layer in range(1, len(sizes_of(parameters)))]
    passed = forward_pass(batch, names, (), given.eps)
    return passed.loss.p, float(passed.cost), dict(gradients_of(passed, names))


def rectified(given: Inputs, s: Array) -> Array:
    """By the network's ReLU, or leaky ReLU."""
    out: Array = np.maximum(s, given.relu_slope * s)
    return out


ALL_WEIGHTS = (Role("W", None), Role("b", None))


def makes_matrices(program: Program) -> bool:
    """Does it mention np.matrix or np.mat?"""
    attributes = (node for tree in program.trees for node in nodes_of(tree) if isinstance(node, ast.Attribute))
    return any(node.attr in ("matrix", "mat", "asmatrix") and name_in(node.value) == "np" for node in attributes)


def arrangements(network: Network, batch_norm: bool, affine: bool = True) -> Iterator[Arrangement]:
    """All ways that are worth trying, the most usual first."""
    kinds = set().union(*(part.kinds() for part in network.parts))
    reads = {role for part in network.parts for role in part.globals()}
    kinds |= {role.kind for role in reads}
    kinds |= {kind for part in network.parts for kind in guessed_roles(network, part).values()}
    arguments = {role for part in network.parts for p in part.parameters() if (role := role_of(p.name))}
    numbered = {role.layer for role in reads | arguments if role.kind == "W"}
    for part in network.parts:
        numbered |= {
            role.layer for name in network.behind(part).values() if (role := role_of(name)) and role.kind == "W"
        }
    highest = max((index for index in numbered if index is not None), default=0)
    depths = [highest] if highest in SIZES else [3, 2, 1]
    containers = CONTAINERS if "params" in kinds or any(part.method_of for part in network.parts) else ("named",)
    if "params" in kinds and network.program.classes() and not network.owner:
        containers = (*CONTAINERS, OBJECTS)
    both = "y" in kinds and "Y" in kinds
    names = {p.name for part in network.parts for p in part.parameters() if (role := role_of(p.name)) in ALL_WEIGHTS}
    one_layer = ("list", "array") if any(name.endswith("s") for name in names) else ("array",)  # Ws[0]
    usual = [(True, True, False, "(m, 1)"), (True, True, False, "(m,)"), (False, False, False, "(m,)")]
    usual += [(False, False, True, "(m,)"), (False, False, True, "(1, m)"), (False, False, False, "(m, 1)")]
    rest = itertools.product((True, False), (True, False), (False, True), ("(m, 1)", "(m,)", "(1, m)"))
    layouts = [*usual, *(layout for layout in rest if layout not in usual)]
    forms_of_arrays = ("", "all", "images") if makes_matrices(network.program) else ("",)
    for (x_columns, y_columns, turned, biases), matrices in itertools.product(layouts, forms_of_arrays):
        for depth in depths:
            for weights in one_layer if depth == 1 else ("list",):
                for labels in ("numbers", "onehot") if both else ("onehot", "numbers"):
                    for form in (*containers, "single") if depth == 1 and "params" in kinds else containers:
                        normalized = batch_norm and depth > 1
                        yield Arrangement(
                            depth,
                            normalized,
                            weights,
                            form,
                            labels,
                            biases,
                            x_columns,
                            y_columns,
                            turned,
                            flag=normalized,
                            affine=affine,
                            matrices=matrices,
                        )
    if batch_norm:
        return
    for weights, first in itertools.product(("dict", "named dict"), (1, 0)):
        for depth, labels in itertools.product(depths, ("onehot", "numbers")):
            yield Arrangement(depth, False, weights, "numbered", labels, first=first)
