"""Instances of a stranger's CS231n network: constructed by their own argument names, given our parameters."""

import ast
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program
from manual_mlp.layers import Array

HIDDEN, INPUTS, CLASSES = (7, 5), 6, 4
BASICS: dict[str, Any] = {"inputs": INPUTS, "classes": CLASSES, "dtype": np.float64}  # of every network here

DROPOUT = ("dropout", "dropout_keep_ratio", "dropout_p", "keep_prob", "drop")
ALIASES: dict[str, tuple[str, ...]] = {
    "inputs": ("input_dim", "input_size", "D", "in_dim", "n_in"),
    "hidden": ("hidden_dims", "hidden_sizes", "hidden_layers", "layers", "hidden_dim", "hidden_size", "H", "n_hidden"),
    "classes": ("num_classes", "output_size", "output_dim", "C", "n_classes", "n_out"),
    "reg": ("reg", "regularization", "reg_strength"),
    "scale": ("weight_scale", "std", "scale", "weight_std"),
    "dtype": ("dtype",),
    "seed": ("seed",),
    "batch_norm": ("use_batchnorm", "normalization", "batchnorm", "use_bn"),
    "dropout": DROPOUT,
}
WIDTHS = ALIASES["hidden"][:4]  # those that take a list, for any number of hidden layers
NEUTRAL = {"reg": 0.0, "scale": 0.01, "dtype": np.float64, "seed": 1, "batch_norm": False}  # where there is no default


def built(program: Program, name: str, values: Mapping[str, Any]) -> Any:
    """An instance, with those of the values that its constructor has an argument for; what is None is left to its
    default, if it has one. (hidden is a tuple.)
    """
    made = program.classes()[name]
    accepts = inspect.signature(made).parameters
    arguments = {}
    for key, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in accepts), None)
        value = values.get(key)
        if alias is None or (value is None and accepts[alias].default is not inspect.Parameter.empty):
            continue
        if value is None:
            value = no_dropout(program, name, alias) if key == "dropout" else NEUTRAL.get(key)
        elif key == "hidden":
            value = list(value) if takes_widths(program, name) else value[0]
        if alias == "normalization":
            value = ("batchnorm" if value else None) if isinstance(value, bool) else value
        arguments[alias] = value
    net = program.guard.call(name, made, **arguments)
    if not isinstance(getattr(net, "params", None), dict):
        raise program.guard.failed(name, "type", "keeps no dictionary .params of its parameters")
    if not net.params:
        raise program.guard.failed(name, "unfilled", "is not filled in yet: its constructor makes no parameters")
    for alias in ALIASES["reg"]:
        if "reg" in values and hasattr(net, alias):
            setattr(net, alias, values["reg"])
    return net


def not_refused(program: Program, title: str, asked: Callable[[], Any]) -> None:
    """Fails as what cannot be asked, and accuses nobody, where the network's own assert or raise excludes it."""
    try:
        asked()
    except Failed as failed:
        if failed.refused in ("__init__", "loss"):
            raise program.guard.failed(title, "uncallable", f"is not offered: {failed}") from None
        raise


def filled(program: Program, name: str, values: Mapping[str, Any], parameters: Mapping[str, Array]) -> Any:
    """An instance that holds these parameters."""
    net = built(program, name, values)
    put(program, name, net, parameters)
    return net


def takes_widths(program: Program, name: str) -> bool:
    """Whether its constructor takes a list of hidden layers: by the argument's name, or by what it does with it."""
    accepts = inspect.signature(program.classes()[name]).parameters
    argument = next(alias for alias in ALIASES["hidden"] if alias in accepts)
    nodes = ast.walk(program.defined[name]) if name in program.defined else ()
    return argument in WIDTHS or any(uses_as_list(node, argument) for node in nodes)


def uses_as_list(node: ast.AST, argument: str) -> bool:
    def is_argument(part: ast.AST) -> bool:
        return isinstance(part, ast.Name) and part.id == argument

    match node:
        case ast.Call(func=ast.Name(id="len" | "list" | "enumerate"), args=[first, *_]):
            return is_argument(first)
        case ast.For(iter=items) | ast.comprehension(iter=items):
            return is_argument(items)
        case ast.Subscript(value=value) | ast.Starred(value=value):
            return is_argument(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return any(is_argument(a) and isinstance(b, ast.List) for a, b in ((left, right), (right, left)))
    return False


def no_dropout(program: Program, name: str, argument: str) -> int:
    """What stands for no dropout: 1 to keep everything, or 0."""
    keeps = "keep" in argument or f"{argument} != 1" in ast.unparse(program.defined[name])
    return 1 if keeps else 0


def bn_params(net: Any) -> list[dict[str, Any]]:
    """Of every normalized layer the dictionary with its mode and running averages, whatever the network calls them."""
    for kept in (getattr(net, "bn_params", None), *vars(net).values()):
        params = list(kept.values()) if isinstance(kept, Mapping) else kept
        if isinstance(params, list) and params and all(map(is_bn_param, params)):
            return params
    return []


def is_bn_param(value: Any) -> bool:
    return isinstance(value, dict) and "p" not in value and bool({"mode", "running_mean"} & set(value))


def key_in(values: Mapping[str, Any], ours: str, counted: Mapping[str, Any] | None = None) -> str:
    """Their name of our parameter, as it stands there: some write w1 for W1, some count from W0.

    counted   where it is seen from which number they count, if not in the values
    """
    theirs = their_key(ours)
    kind = theirs.rstrip("0123456789")
    if f"{kind}0".lower() in {str(key).lower() for key in (values if counted is None else counted)}:
        theirs = f"{kind}{int(theirs[len(kind) :]) - 1}"
    return theirs if theirs in values else next((k for k in values if str(k).lower() == theirs.lower()), theirs)


def their_key(ours: str) -> str:
    kind, what = ours.split(".")
    layer = "".join(filter(str.isdigit, kind))
    names = {("linear", "weight"): "W", ("linear", "bias"): "b", ("bn", "weight"): "gamma", ("bn", "bias"): "beta"}
    return names[kind.rstrip("0123456789"), what] + layer


def put(program: Program, name: str, net: Any, parameters: Mapping[str, Array]) -> None:
    rows = []
    for ours, value in parameters.items():
        theirs = key_in(net.params, ours)
        value = value.T.copy() if value.ndim == 2 else value.copy()
        if theirs not in net.params:
            keys = ", ".join(map(str, net.params))
            if (elsewhere := kept_elsewhere(net, theirs)) is not None:
                sentence = f"keeps {theirs} in .{elsewhere} instead of in .params: there no update finds it"
                raise program.guard.failed(name, "shape", sentence)
            if ours.startswith("bn") and not any(str(key).startswith(("gamma", "beta")) for key in net.params):
                raise program.guard.failed(
                    f"{name} with batch normalization", "unfilled", f"is not filled in yet: it makes {keys} alone"
                )
            raise program.guard.failed(name, "shape", f"has no params[{theirs!r}]; it has {keys}")
        shape = np.shape(net.params[theirs])
        if shape == () and value.ndim == 1:  # a 0 that NumPy broadcasts
            place = f"initialization: {theirs}"
            program.guard.shapes[place] = f"it is one number; it must be an array of shape {value.shape}"
            shape = value.shape
        if shape not in (value.shape, (1, *value.shape)):
            raise program.guard.failed(
                name, "shape", f"makes params[{theirs!r}] of shape {shape}; it must be {value.shape}"
            )
        net.params[theirs] = value.reshape(shape)
        rows += [theirs] if len(shape) > value.ndim else []
    if key_in(net.params, "linear1.weight") not in ("W1", "w1"):
        program.guard.note(f"{name} counts its layers from 0; here they are counted from 1, as in the handout")
    if rows:
        handout = "the handout's have shape (D,), as the gradients that its layers give have"
        program.guard.note(f"{name} makes {rows[0]}, for one, with shape (1, D); {handout}")
    if len({id(param) for param in bn_params(net)}) < len(bn_params(net)):
        sentence = (
            "hands the same bn_param to several layers, whose running averages overwrite each other: make one for each"
        )
        raise program.guard.failed(name, "shape", sentence)
    extra = set(net.params) - {key_in(net.params, ours) for ours in parameters}
    if any(key.startswith(("gamma", "beta")) for key in extra):
        program.guard.note(
            f"{name} also makes {', '.join(sorted(extra))}: the output layer is not normalized, so these are never used"
        )


def kept_elsewhere(net: Any, theirs: str) -> str | None:
    """The attribute whose dictionary has this parameter."""
    return next((name for name, kept in vars(net).items() if isinstance(kept, Mapping) and theirs in kept), None)


def problem(hidden: Sequence[int], batch_norm: bool) -> tuple[dict[str, Array], Array, Any]:
    """Parameters under our names, none at its default, and a batch."""
    rng = np.random.default_rng(8)
    sizes = (INPUTS, *hidden, CLASSES)
    parameters: dict[str, Array] = {}
    for layer, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
        parameters[f"linear{layer}.weight"] = rng.normal(0, np.sqrt(2 / fan_in), (width, fan_in))
        parameters[f"linear{layer}.bias"] = rng.normal(0, 0.3, width)
        if batch_norm and layer <= len(hidden):
            parameters[f"bn{layer}.weight"] = rng.uniform(0.5, 1.5, width) * rng.choice([-1, 1], width)
            parameters[f"bn{layer}.bias"] = rng.normal(0, 0.5, width)
    return parameters, rng.normal(size=(11, INPUTS)), rng.integers(0, CLASSES, 11)


def cost_and_gradients(program: Program, name: str, net: Any, result: Any, values: Mapping[str, Array]) -> Any:
    """Under our names and in our layout; a bias of shape (1, M) may have a gradient of that shape."""
    cost, theirs = program.guard.several(f"{name}.loss", result, ("loss", "grads"))
    if not isinstance(theirs, Mapping):
        raise program.guard.failed(
            f"{name}.loss", "type", f"returns grads as a {type(theirs).__name__}; it must be a dictionary"
        )
    if cost is None or not theirs:
        raise program.guard.failed(f"{name}.loss", "unfilled", "is not filled in yet: it returns no gradients")
    mine = {}
    for ours in values:
        if (value := theirs.get(key_in(theirs, ours, net.params))) is not None:
            is_weight = ours.startswith("linear") and ours.endswith("weight")
            as_made = np.ndim(value) == 2 and np.shape(value) == np.shape(net.params[key_in(net.params, ours)])
            mine[ours] = np.asarray(value).T if is_weight else np.reshape(value, -1) if as_made else value
    return cost, mine
