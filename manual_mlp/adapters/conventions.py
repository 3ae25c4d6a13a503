"""Which course a file is from, told by the names that its handout gives, and what `--functions` can map in each."""

import ast
import difflib
from collections.abc import Iterable, Iterator, Mapping

from manual_mlp.adapters.parts import plays
from manual_mlp.adapters.program import Program, words

COURSES = {"cs231n": "CS231n", "dd2424": "DD2424"}
HANDED_OUT = {
    "cs231n": {
        f"{name}_{way}" for name in ("affine", "relu", "batchnorm", "dropout") for way in ("forward", "backward")
    }
    | {"affine_relu_forward", "affine_relu_backward", "affine_bn_relu_forward", "affine_bn_relu_backward"}
    | {"softmax_loss", "svm_loss", "softmax_loss_naive", "softmax_loss_vectorized", "sgd_momentum", "rmsprop"}
    | {"TwoLayerNet", "FullyConnectedNet", "two_layer_net", "init_two_layer_model"},
    "dd2424": {"EvaluateClassifier", "ComputeCost", "ComputeAccuracy", "ComputeGradients", "MiniBatchGD"}
    | {"ApplyNetwork", "BackwardPass", "ComputeLoss", "ComputeGradsNum", "ComputeGrads", "LoadBatch"},
}
MAPPED = {
    "cs231n": (
        *("affine_forward", "affine_backward", "relu_forward", "relu_backward", "batchnorm_forward"),
        *("batchnorm_backward", "batchnorm_backward_alt", "dropout_forward", "dropout_backward", "softmax_loss"),
        *("affine_relu_forward", "affine_relu_backward", "softmax_loss_naive", "softmax_loss_vectorized"),
        *("sgd", "sgd_momentum", "rmsprop", "adam", "network"),
    ),
    "dd2424": ("forward", "cost", "gradients", "schedule"),
}


def check_mapped(convention: str, functions: Mapping[str, str]) -> None:
    """Nothing is mapped to a name that the convention does not have."""
    for ours, theirs in functions.items():
        if ours not in MAPPED[convention]:
            near = difflib.get_close_matches(ours, MAPPED[convention], n=1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise ValueError(
                f"--functions {ours}={theirs}: {ours} is no name of {COURSES[convention]}'s here{meant} "
                f"The names are {', '.join(MAPPED[convention])}"
            )


def looks_like_another(program: Program, convention: str) -> str:
    """A sentence where the file has at least two names of another course's handout and none of this one's; else
    nothing.
    """
    if program.mapped or any(handed_out(program, convention)):
        return ""
    for other in COURSES:
        names = list(dict.fromkeys(handed_out(program, other)))
        if other != convention and len(names) > 1:
            listed = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            return f"this looks like {COURSES[other]}'s code ({listed}): read it with --convention {other}"
    return ""


def handed_out(program: Program, convention: str) -> Iterator[str]:
    """The file's names that are in the course's handout, in whatever spelling: compute_cost, ComputeCost."""
    known = {joined(name) for name in HANDED_OUT[convention]}
    for name in program.defined:
        if joined(name) in known or (convention == "dd2424" and plays(name) in ("cost", "accuracy")):
            yield name
    if convention == "cs231n":
        yield from networks_with_optional_labels(program.defined.values())


def joined(name: str) -> str:
    return "".join(words(name))


def networks_with_optional_labels(definitions: Iterable[ast.AST]) -> Iterator[str]:
    """Classes with .params and a loss(X, y=None), which gives the scores where there are no labels."""
    for made in definitions:
        if not isinstance(made, ast.ClassDef) or not any(is_params(node) for node in ast.walk(made)):
            continue
        for method in made.body:
            if isinstance(method, ast.FunctionDef) and method.name == "loss":
                optional = method.args.args[len(method.args.args) - len(method.args.defaults) :]
                if "y" in {argument.arg for argument in optional}:
                    yield from (made.name, f"{made.name}.loss")


def is_params(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "params"
