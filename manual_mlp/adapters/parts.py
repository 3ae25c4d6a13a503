"""Which function of a DD2424 program does what, told from its name, its parameters and who calls it."""

import ast
import inspect
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from manual_mlp.adapters.dropout_switch import SWITCHES
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.program import Program, nodes_of, words
from manual_mlp.adapters.roles import Role, argument_role, role_of, roles_at_calls, string_keys
from manual_mlp.adapters.script_globals import global_names
from manual_mlp.adapters.unfilled import does_nothing

DERIVATIVE = {"d", "der", "deriv", "derivative", "prime", "delta"}  # of a loss, a function of its own


class Part(NamedTuple):
    """A function of the file, or a method of one of its classes, with a part to play."""

    name: str
    function: Callable[..., Any]
    method_of: str  # the class; "" for a function
    tree: ast.FunctionDef | None

    @property
    def title(self) -> str:
        return f"{self.method_of}.{self.name}" if self.method_of else self.name

    def parameters(self) -> list[inspect.Parameter]:
        try:
            found = parameters_of(self.function)
        except (TypeError, ValueError):
            return []
        if self.method_of and found and found[0].name in ("self", "cls"):
            found = found[1:]
        return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

    def kinds(self) -> set[str]:
        return {role.kind for p in self.parameters() if (role := self.role(p))}

    def role(self, parameter: inspect.Parameter) -> Role | None:
        """onehot=False is no array."""
        role = argument_role(parameter.name)
        is_flag = isinstance(parameter.default, bool) and role is not None and role.kind in OF_NETWORK
        return None if is_flag else role

    def globals(self) -> set[Role]:
        """What it takes from the script."""
        return {role for name in global_names(self.function) if (role := role_of(name))}


def gives_nothing(program: Program, part: Part, sentence: str) -> Failed:
    """For a function that is not filled in yet, or leaves what it computes where it is not found."""
    if does_nothing(part.tree):
        return program.guard.failed(part.title, "unfilled", f"{sentence}: it is not filled in yet")
    return program.guard.failed(part.title, "uncallable", sentence)


def parameters_of(function: Callable[..., Any]) -> Sequence[inspect.Parameter]:
    """Of a plain function they are the same as long as its defaults are not exchanged."""
    if isinstance(function, types.FunctionType) and not vars(function) and not function.__kwdefaults__:
        return parameters_kept(function, id(function.__defaults__))[1]
    return list(inspect.signature(function).parameters.values())


@lru_cache(maxsize=256)
def parameters_kept(function: types.FunctionType, _: int) -> tuple[Any, Sequence[inspect.Parameter]]:
    """With the defaults, so that while they are kept no others are found at their place in memory."""
    return function.__defaults__, list(inspect.signature(function).parameters.values())


def plays(name: str, kinds: Iterable[str] = ()) -> str:
    """forward, cost, gradients, accuracy, schedule, softmax or nothing, by the function's name (and what it takes)."""
    parts, joined = words(name), "".join(words(name)).lower()
    numerical = {  # or another loss than the course's
        "num",
        "numerical",
        "numerically",
        "slow",
        "check",
        "compare",
        "test",
        "relative",
        "plot",
        "print",
        "fd",
        "torch",
        "autograd",
        "analyze",
        "analyse",
        "verify",
        "validate",
        "error",
        "difference",
        "diff",
    }
    if numerical & set(parts) or any(
        bad in joined for bad in ("plot", "numeric", "check", "compare", "slow", "svm", "bce", "hinge")
    ):
        return ""
    if "accuracy" in joined or joined in ("acc", "computeacc", "getaccuracy"):
        return "accuracy"
    if joined in ("softmax", "softmaxfunction", "computesoftmax", "stablesoftmax", "softmaxfunc"):
        return "softmax"
    if joined in ("eta", "geteta", "computeeta", "etat", "updateeta", "calculateeta", "calceta", "lr", "getlr"):
        return "schedule"
    if "descent" in joined or {"gd", "sgd", "train", "fit", "update", "step", "search"} & set(parts):
        return "schedule" if "learningrate" in joined else ""
    if any(word in joined for word in ("cyclic", "learningrate", "cyclelr", "etaschedule", "triangular", "clr")):
        return "" if (role := role_of(name)) and role.kind == "lambda" else "schedule"
    single = ("relu", "linear", "affine", "softmax", "batchnorm", "batchnormalize", "normalize")
    backward = ("grad", "backward", "backprop", "backpass", "bprop")
    if any(word in joined for word in backward):
        of_one = any(word in joined for word in ("relu", "batchnorm", "bn", "linear", "softmax"))
        return "operation" if of_one and not set(kinds) & {"X", "Y", "y", "P", "W"} else "gradients"
    if DERIVATIVE & set(parts):
        return ""
    if any(word in joined for word in ("cost", "objective")):
        return "cost"
    if "loss" in joined or "crossentropy" in joined:
        return "loss"
    forward = "evaluateclassifier applynetwork forward feedforward evaluatenetwork fprop classify evaluate applynet"
    forward += " evalclassifier networkoutput runnetwork applymodel predictproba"
    applies = {"apply", "evaluate"} & set(parts) and {"network", "net", "model", "classifier"} & set(parts)
    if applies or any(word in joined for word in forward.split()):
        return (
            "operation"
            if joined.startswith(("batchnorm", "bn", "relu", "linear")) and "pass" not in joined
            else "forward"
        )
    if joined.startswith(single):
        return "operation"
    return "predict" if joined in ("predict", "computep", "getp", "probabilities", "computeprobabilities") else ""


@dataclass
class Network:
    """The functions of one network, and everything that is needed to call them."""

    program: Program
    forward: Part | None
    cost: Part | None
    gradients: Part | None
    failures: dict[str, Failed] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    deeper: Failed | None = None  # why it could not be called with as many layers as were tried first
    deeper_depth: int = 0
    rest: Any = None  # what the step still does to the gradients
    readings: dict[bool, Any] = field(default_factory=dict)  # how it is called, with and without batch normalization
    loss: Part | None = None  # whose result the cost function is given
    unmade: dict[Any, Failed] = field(default_factory=dict)  # by what goes into its constructor, why it fails
    draws: bool = False  # asked again, it gives other numbers
    guessed: dict[str, dict[str, str]] = field(default_factory=dict)  # roles of arguments whose names do not say them
    unsure: set[tuple[str, str]] = field(default_factory=set)  # function and argument that were given what was guessed

    def behind(self, part: Part) -> dict[str, str]:
        """Which layer's parameters its arguments are, as far as only the calls say so."""
        return roles_at_calls(self.program.trees, part.name, [p.name for p in part.parameters()])

    @property
    def parts(self) -> list[Part]:
        return [part for part in (self.forward, self.cost, self.gradients) if part is not None]

    @property
    def owner(self) -> str:
        """The class whose methods its functions are; "" for plain functions."""
        return next((part.method_of for part in self.parts if part.method_of), "")


def parts_of(program: Program) -> list[Part]:
    """Plain functions, and the methods of every class that can be made, each as the class has it."""
    found = []
    for name, function in program.functions().items():
        tree = program.defined.get(name)
        found.append(Part(name, function, "", tree if isinstance(tree, ast.FunctionDef) else None))
    for class_name, made in program.classes().items():
        tree = program.defined.get(class_name)
        if not isinstance(tree, ast.ClassDef) or inspect.isabstract(made):
            continue
        methods = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        own: dict[str, Part] = {}
        for ancestor in reversed(made.__mro__):
            for name, method in vars(ancestor).items():
                function = method.__func__ if isinstance(method, staticmethod | classmethod) else method
                if inspect.isfunction(function) and not name.startswith("__"):
                    bare = isinstance(method, staticmethod)
                    tree_of = methods.get(name)
                    own[name] = Part(name, function, "" if bare else class_name, tree_of)
        found += own.values()
    return found


OF_NETWORK = {"X", "Y", "y", "P", "forward", "W", "params"}  # two of these make a function one of the whole network


def networks(program: Program) -> list[Network]:
    """Each function that computes gradients, with the forward pass and the cost that go with it."""
    parts = parts_of(program)
    by_part: dict[str, list[Part]] = {}
    for part in parts:
        by_part.setdefault(plays(part.name, part.kinds()), []).append(part)
    for ours in ("forward", "cost", "gradients"):
        if theirs := program.mapped.get(ours):
            by_part[ours] = [part for part in parts if theirs in (part.name, part.title)]
    costs = [*by_part.get("cost", []), *by_part.get("loss", [])]
    costs = [part for part in costs if "history" not in part.name.lower()] or costs
    costs = [part for part in costs if not is_called_by(part, costs)] or costs
    forwards = by_part.get("forward") or by_part.get("predict", [])
    gradients = by_part.get("gradients", [])
    whole = [
        part
        for part in gradients
        if len((part.kinds() | {r.kind for r in part.globals()}) & OF_NETWORK) >= 2 or part.method_of
    ]
    if not whole and costs:  # their arguments' names say nothing: they may be told, or it is said that they did not run
        whole = gradients
    found = []
    whole = [part for part in whole if not is_helper(part, whole)]
    owners = {part.method_of for part in whole if part.method_of}
    if any(not part.method_of for part in whole):
        layers = called_in_functions(forwards)
        whole = [part for part in whole if part.method_of not in layers]
    for gradient in whole or [None] * bool(costs):  # type: ignore[list-item]
        if gradient is not None and is_a_layer(gradient, whole, owners):
            continue
        cost = nearest(gradient, costs)
        takes_loss = cost is not None and any(plays(p.name) == "loss" for p in cost.parameters())
        found.append(
            Network(
                program,
                nearest(gradient, forwards),
                cost,
                gradient,
                keys=[key for tree in program.trees for key in string_keys(tree)],
                loss=nearest(gradient, by_part.get("loss", [])) if takes_loss else None,
            )
        )
    return found


def called_in_functions(forwards: Sequence[Part]) -> set[str]:
    """The classes of layers that functions go through: [layer.forward(X) for layer in layers]."""
    functions = [part for part in forwards if not part.method_of]
    return {
        part.method_of
        for part in forwards
        if part.method_of and any(calls_of_others(function.tree, part.name) for function in functions)
    }


def is_called_by(part: Part, parts: Sequence[Part]) -> bool:
    """Does another one hand part of its work on to it: the cost of one layer to that of the network?"""
    return any(other is not part and part.name in names_called(other.tree) for other in parts)


def is_helper(part: Part, parts: Sequence[Part]) -> bool:
    """Is it a step of another function that computes gradients, or only hands on to one? Of the two, that whose
    arguments are all known is the network's.
    """

    def unknown(one: Part) -> int:
        return sum(argument_role(p.name) is None and p.default is p.empty for p in one.parameters())

    for other in parts:
        if other is part or other.name == part.name:
            continue
        if part.name in names_called(other.tree) and (unknown(other) <= unknown(part) or "X" not in part.kinds()):
            return not only_steps(other, part)
        if only_steps(part, other) and other.name in names_called(part.tree):
            return True
        if other.name in names_called(part.tree) and "X" in other.kinds() and unknown(other) < unknown(part):
            return True
    return False


def only_steps(part: Part, gradients: Part) -> bool:
    """Does it make the step, with the gradients that the other returns?"""
    return makes_step(part.tree) and returns_something(gradients.tree) and not returns_something(part.tree)


def makes_step(tree: ast.AST | None) -> bool:
    """Does it subtract something from what it holds: W -= eta * dW, or W = W - eta * dW?"""
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.AugAssign(op=ast.Sub(), value=step) if multiplies(step):
                return True
            case ast.Assign(targets=[target], value=ast.BinOp(op=ast.Sub(), left=left, right=step)):
                if ast.unparse(left) == ast.unparse(target) and multiplies(step):
                    return True
    return False


def multiplies(step: ast.expr) -> bool:
    return isinstance(step, ast.BinOp) and any(isinstance(node, ast.Mult) for node in ast.walk(step))


def returns_something(tree: ast.AST | None) -> bool:
    return tree is not None and any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(tree))


def is_a_layer(part: Part, parts: Sequence[Part], owners: Iterable[str]) -> bool:
    """Is it the backward pass of one layer among classes, one of which is the network?"""
    if not part.method_of:
        return False
    if any(other.method_of != part.method_of and calls_of_others(other.tree, part.name) for other in parts):
        return True
    if len(set(owners)) < 2:
        return False
    return not part.kinds() & {"Y", "y", "P"} and any(
        other.kinds() & {"Y", "y"} for other in parts if other.method_of != part.method_of
    )


def calls_of_others(tree: ast.AST | None, name: str) -> bool:
    """Does it call a method of this name of another object: layer.backward(G), but not self.backward(G)?"""
    return tree is not None and any(
        isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr == name
        and not (isinstance(n.func.value, ast.Name) and n.func.value.id in ("self", "np"))
        for n in ast.walk(tree)
    )


def nearest(part: Part | None, candidates: Sequence[Part]) -> Part | None:
    """The candidate that belongs to it: called by it, of its class, with or without batch normalization as it is."""
    if not candidates:
        return None
    calls = names_called(part.tree) if part is not None else set()
    normalized = part is not None and is_normalized(part)

    def closeness(candidate: Part) -> tuple[bool, bool, bool, bool, bool]:
        return (
            candidate.name in calls,
            part is not None and candidate.method_of == part.method_of,
            is_normalized(candidate) == normalized,
            plays(candidate.name) != "loss",
            candidate.kinds() & {"X"} != set(),
        )

    return max(candidates, key=closeness)


def is_normalized(part: Part) -> bool:
    lowered = part.name.lower()
    return (
        "gamma" in part.kinds()
        or lowered.endswith(("bn", "batchnorm", "batch_norm"))
        or "batchnorm" in lowered.replace("_", "")
    )


def names_called(tree: ast.AST | None) -> set[str]:
    if tree is None:
        return set()
    return {
        n.func.id if isinstance(n.func, ast.Name) else n.func.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name | ast.Attribute)
    }


def can_normalize(network: Network) -> tuple[bool, bool]:
    """Has it batch normalization, and does it need it (gamma without a default)?"""
    part = network.gradients or network.cost
    if part is None:
        return False, False
    gammas = [p for other in network.parts for p in other.parameters() if (r := role_of(p.name)) and r.kind == "gamma"]
    if is_normalized(part) and "gamma" not in part.kinds():
        return True, True
    if gammas:
        return True, any(p.default is inspect.Parameter.empty for p in gammas)
    flags = any("bn" in other.kinds() for other in network.parts)
    trees = [other.tree for other in network.parts if other.tree is not None]
    if part.method_of and isinstance(node := network.program.defined.get(part.method_of), ast.ClassDef):
        trees = [node]  # type: ignore[list-item]
    elif "params" in part.kinds():
        trees += classes_gone_through(network)  # type: ignore[arg-type]
    mentions = any("gamma" in text.lower() for tree in trees for text in mentioned(tree))
    choice = flags or any((r := role_of(text)) and r.kind == "bn" for tree in trees for text in mentioned(tree))
    conditional = choice or any(
        "gamma" in text.lower() and ("in" in words(text)) for tree in trees for text in mentioned(tree)
    )
    return mentions, mentions and not conditional


def classes_gone_through(network: Network) -> list[ast.ClassDef]:
    """Those of the layers in a list that its functions go through: their methods are called."""
    classes = [
        node
        for name in network.program.classes()
        if isinstance(node := network.program.defined.get(name), ast.ClassDef)
    ]
    methods = {node: {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)} for node in classes}
    called = set().union(*(names_called(part.tree) for part in network.parts))
    return [node for node in classes if methods[node] & called]


def has_gamma(network: Network) -> bool:
    """Is there a scale behind batch normalization? In 2018 the course asked for none."""
    names = (name for tree in network.program.trees for name in mentioned(tree))
    return any("gam" in name.lower() for name in names)


def drops(program: Program) -> bool:
    """Is there dropout, by the names of arguments, attributes and numbers of the script?"""
    nodes = [node for tree in program.trees for node in nodes_of(tree)]
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    names = [node.arg for node in nodes if isinstance(node, ast.arg)]
    names += [node.attr for node in nodes if isinstance(node, ast.Attribute) and not says_keep(node, called)]
    names += [name for name, value in program.loaded.items() if isinstance(value, int | float)]
    return any((role := role_of(name)) and role.kind in SWITCHES for name in names)


def says_keep(node: ast.Attribute, called: Collection[ast.expr]) -> bool:
    """A method of that name may keep anything: history.keep(cost)."""
    return node in called and "drop" not in node.attr.lower()


def mentioned(tree: ast.AST) -> Iterator[str]:
    for node in nodes_of(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 30:
            yield node.value
