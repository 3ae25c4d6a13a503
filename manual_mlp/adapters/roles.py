"""What a name means: X_batch, Xtrain and images are the images, lamda and reg_lambda the penalty's factor."""

import ast
import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from manual_mlp.adapters.program import nodes_of, words

NOISE = {"batch", "train", "trn", "training", "mini", "small", "list", "lst", "dict", "mat", "matrix", "vec", "array"}
NOISE |= {"validation", "valid", "test", "dev", "tr"}
NOISE |= {"arr", "layer", "layers", "values", "val", "current", "curr", "cur", "new", "the", "all", "np", "my", "in"}
GRADIENT = {"grad", "grads", "gradient", "gradients", "d", "del", "delta", "nabla", "dj", "dl", "l", "g", "j", "dloss"}

MEANINGS = {
    "X": "x xs image images data input inputs feature features xbatch xtrain trainx batchx xdata datax sample samples",
    "Y": "yonehot onehot yhot ys hot oneh target targets truth groundtruth onehoty yenc yencoded onehotlabel "
    "ytrue ytrues onehotlabels labelsonehot labelonehot yoh yhotencoded ybatch ytrain",
    "y": "y label labels trueclass classes_of trainy valy testy",
    "P": "p ps prob probs probability probabilities pred preds prediction predictions yhat ypred softmax phat output "
    "out",
    "W": "w ws weight weights",
    "b": "b bs bias biases",
    "gamma": "gamma gammas gama gam gm",
    "beta": "beta betas bet bt",
    "lambda": "lambda lambd lamda lmbda lam lmb lbda labda lda lambdas lamb lmd reg lambdareg reglambda regularization "
    "l2 regularizationterm regularizationfactor regterm regularizer regfactor lmda lambdaval regparam regstrength "
    "weightdecay lambdal2 l2reg regularisation regularizationparameter lambdaregularization rho regularizationstrength",
    "H": "h hs hact acth hidden act acts activation activations hiddenlayers xs_hidden a as layeroutputs outputs "
    "hiddens",
    "S": "s ss score scores z zs logits",
    "S_hat": "shat shats snorm sbn xhat snormalized normalized snormed normscores norms normalizedscores",
    "mean": "mu mus mean means m_u mulist average mub",
    "var": "v vs va var vars variance variances vb sigma2",
    "bn": "batchnorm bn usebn usebatchnorm dobn dobatchnorm batchnormalization withbn isbn bnflag "
    "usebatchnormalization normalize norm batchnormflag",
    "trains": "istraining istrain train training trainingmode trainmode",
    "tests": "istest testing test testmode testtime useavg useav useaverage userunning usemoving inference evalmode "
    "istesting evaluation eval isinference",
    "params": "params parameters param net network netparams networkparams theta model nn initnet weightsandbiases "
    "parametersdict nets pars",
    "forward": "fpdata cache caches fwd fp forward forwarddata forwardpass forwardcache memory intermediates fwddata "
    "activationsdict",
    "depth": "k numlay nlayers numlayers nlayer numberoflayers l nbrlayers depth noflayers numlayer nrlayers",
    "n": "n nbatch batchsize nimages nsamples npoints numsamples",
    "D": "d inputdim inputsize nin nfeatures indim dim dimension dimensions ninputs inputdimension numfeatures ndim "
    "inputnodes dims_in dimensionality inputnode sizein numinputs insize nrinputs",
    "m": "m nh hiddensize hiddendim nhidden hiddennodes nodes numnodes units hiddenunits nnodes numhidden hiddennode "
    "hiddendims hiddensizes nodesperlayer nodesinhidden hiddenlayersize hiddenlayersizes nbrhidden hidden layerhidden "
    "numhiddennodes numhiddenunits hiddenlayer hiddendimension hiddendimensions",
    "K": "c nclasses numclasses outputs outputdim outputsize nout outdim noutputs outputdimension numlabels nlabels "
    "outputnodes sizeout numoutputs outsize classes numberofclasses",
    "sizes": "sizes layersizes layerdims dims structure architecture shape shapes layersdims netsizes networksize "
    "networkstructure layout topology config netstructure networksizes layerstructure size",
    "eps": "eps epsilon",
    "eta": "eta lr learningrate etas",
    "keep": "keep keeps keepprob keepprobability keeprate keepp pkeep probkeep",
    "drop": "dropout dropouts dropoutrate dropoutp dropoutprob dropoutprobability pdropout dropprob "
    "dropprobability droprate dropp pdrop probdrop usedropout applydropout withdropout",
    "seed": "seed rngseed randomseed",
    "rng": "rng generator randomstate",
}
ROLE_OF = {word: role for role, text in MEANINGS.items() for word in text.split()}


class Role(NamedTuple):
    kind: str
    layer: int | None  # W1 -> 1


@cache
def plain(name: str) -> str:
    """The name without what only decorates it: X_batch -> x, S_batch_norm -> snorm."""
    kept = [word for word in words(name) if word not in NOISE]
    return "".join(kept) or "".join(words(name))


@cache
def role_of(name: str) -> Role | None:
    """What a parameter, attribute or key of this name holds."""
    parts = words(name)
    digits = [int(part) for part in parts if part.isdigit()]
    letters = [part for part in parts if not part.isdigit()]
    kept = [part for part in letters if part not in NOISE]
    index = digits[-1] if digits else None
    if name.strip("_").startswith("Y") and plain(name)[0] == "y":
        return Role("Y", index)
    if name in ("K", "C", "M", "N", "D", "L", "T"):
        return {"K": Role("K", None), "C": Role("K", None), "M": Role("m", None), "N": Role("n", None)}.get(
            name, {"D": Role("D", None), "L": Role("depth", None)}.get(name)
        )
    if digits and "".join(parts) in ROLE_OF:  # l2, sigma2: the number belongs to the name
        return Role(ROLE_OF["".join(parts)], None)
    for candidate in ("".join(letters), "".join(kept)):
        for form in (candidate, f"{candidate}s", candidate.removesuffix("s")) if len(candidate) > 3 else (candidate,):
            if form in ROLE_OF:
                return Role(ROLE_OF[form], index)
        if candidate == "layers":
            return Role("sizes", index)
    if any(part.startswith(("lambd", "lamd", "lmbd", "regular")) for part in letters):
        return Role("lambda", index)
    if kept and kept[0] == "x":
        return Role("X", index)
    if "hot" in kept:
        return Role("Y", index)
    return None


AVERAGED = (
    "average",
    "averages",
    "averaged",
    "avg",
    "av",
    "running",
    "run",
    "moving",
    "ema",
    "mavg",
    "ma",
    "est",
    "global",
)


def running_role(name: str) -> Role | None:
    """mu_av, running_var, avgMeans1: which running average it is, mean or var; None for all other names."""
    parts = [word for word in words(name) if not word.isdigit()]
    rest = [word for word in parts if word not in AVERAGED]
    if len(rest) == len(parts):
        joined = "".join(parts)
        ends = [w for w in AVERAGED if len(w) > 1 and joined != w and (joined.endswith(w) or joined.startswith(w))]
        rest = [joined.removesuffix(ends[0]).removeprefix(ends[0])] if ends else []
    role = role_of("_".join(rest)) if rest else None
    numbers = [int(word) for word in words(name) if word.isdigit()]
    return Role(role.kind, numbers[-1] if numbers else None) if role and role.kind in ("mean", "var") else None


def argument_role(name: str) -> Role | None:
    """The role of a function's argument: `layers` of a function is the network itself, of a constructor its sizes."""
    role = role_of(name)
    return Role("params", None) if role is not None and role.kind == "sizes" else role


def gradient_role(name: str) -> Role | None:
    """What a gradient of this name is the gradient of: grad_W1, dW1, del_w, gradGamma -> W, W, W, gamma."""
    parts = words(name)
    digits = [int(part) for part in parts if part.isdigit()]
    letters = [part for part in parts if not part.isdigit() and part not in NOISE and part not in GRADIENT]
    joined = "".join(letters)
    for prefix in ("", "grads", "grad", "delta", "del", "d", "nabla", "g"):
        rest = joined.removeprefix(prefix)
        if joined.startswith(prefix) and ROLE_OF.get(rest) in ("W", "b", "gamma", "beta"):
            return Role(ROLE_OF[rest], digits[-1] if digits else None)
    return None


def returned_names(function: ast.FunctionDef) -> list[list[str]]:
    """The names in each of a function's return statements, in order: return P, H[1:] -> [P, H]."""
    found = []
    for node in nodes_of(function):
        if isinstance(node, ast.Return) and node.value is not None:
            values = node.value.elts if isinstance(node.value, ast.Tuple | ast.List) else [node.value]
            found.append([name_in(value) for value in values])
    return found


def name_in(value: ast.expr) -> str:
    """The name that an expression is about: H[1:] -> H, self.P -> P, dict(W=...) -> ''."""
    while True:
        match value:
            case ast.Name():
                return value.id
            case ast.Attribute():
                if isinstance(value.value, ast.Name) and value.value.id == "self":
                    return value.attr
                value = value.value
            case ast.Subscript():
                if isinstance(value.slice, ast.Constant) and isinstance(value.slice.value, str):
                    return value.slice.value
                value = value.value
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "copy")), args=[inner, *_]):
                value = inner
            case ast.Call(func=ast.Attribute(value=inner)):
                value = inner
            case ast.Starred():
                value = value.value
            case _:
                return ""


@lru_cache(maxsize=1024)
def places_in(tree: ast.AST | None, name: str) -> frozenset[int | str]:
    """What a list of this name is indexed with, in one place: X[0], X[-1], X[l] -> 0, -1, "l"; not X[:, i]."""
    nodes = (node for node in (nodes_of(tree) if tree is not None else ()) if isinstance(node, ast.Subscript))
    found: set[int | str] = set()
    for node in nodes:
        if (
            isinstance(node.value, ast.Name)
            and node.value.id == name
            and not isinstance(node.slice, ast.Tuple | ast.Slice)
        ):
            with contextlib.suppress(ValueError):
                place = ast.literal_eval(node.slice)
                if isinstance(place, int):
                    found.add(place)
                continue
            found.add(ast.unparse(node.slice))
    return frozenset(found)


def unpackings(trees: Sequence[ast.AST]) -> dict[str, list[str]]:
    """W, b = params: the names of a variable's parts, where they are always the same ones."""
    found: dict[str, list[str]] = {}
    for tree in trees:
        for node in nodes_of(tree):
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=parts)], value=ast.Name(id=whole)):
                    names = [part.id if isinstance(part, ast.Name) else "" for part in parts]
                    if found.setdefault(whole, names) != names:
                        found[whole] = []
    return found


def unpacked_names(trees: Sequence[ast.AST], function: str, users: Collection[str] = ()) -> list[list[str]]:
    """Under which names its callers take what it returns: P, H = EvaluateClassifier(X, W, b) -> [P, H]. Only those of
    callers that also call one of the users, where there are such: others may take it under any name.
    """
    found: list[list[str]] = []
    handed_on: list[list[str]] = []
    for nodes in (nodes for tree in trees for nodes in scopes(tree)):
        calls = [node for node in nodes if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
        here = [
            [name_in(value) for value in (target.elts if isinstance(target, ast.Tuple | ast.List) else [target])]
            for node in calls
            if isinstance(node.value, ast.Call) and called(node.value) == function
            for target in node.targets
        ]
        found += here
        if any(isinstance(node, ast.Call) and called(node) in users for node in nodes):
            handed_on += here
    return handed_on or found


@cache
def scopes(tree: ast.AST) -> list[list[ast.AST]]:
    """The nodes of each function, and those outside all functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = [list(ast.walk(function)) for function in functions]
    known = {id(node) for nodes in inside for node in nodes}
    return [*inside, [node for node in ast.walk(tree) if id(node) not in known]]


def call_arguments(trees: list[ast.AST], function: str) -> list[ast.Call]:
    """Every call of this function, by the file itself."""
    return [call for tree in trees for call in calls_in(tree).get(function, ())]


@lru_cache(maxsize=256)
def calls_in(tree: ast.AST) -> Mapping[str, Sequence[ast.Call]]:
    """By the name of what is called."""
    calls: dict[str, list[ast.Call]] = {}
    for node in nodes_of(tree):
        if isinstance(node, ast.Call):
            calls.setdefault(called(node), []).append(node)
    return calls


def roles_at_calls(trees: list[ast.AST], function: str, names: list[str]) -> dict[str, str]:
    """Which layer's parameter stands behind an argument whose own name does not say so: forward(X, V, W) is called as
    forward(X, W1, W2) -> {"V": "W1", "W": "W2"}. Only where all calls agree.
    """
    found: dict[str, set[str]] = {}
    for call in call_arguments(trees, function):
        passed = [*zip(names, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
        for name, value in passed:
            role = role_of(name_in(value)) if isinstance(value, ast.Name | ast.Attribute) else None
            if role is not None and role.kind in ("W", "b", "gamma", "beta") and role.layer is not None and name:
                found.setdefault(name, set()).add(f"{role.kind}{role.layer}")
    own = {name: role_of(name) for name in found}
    return {
        name: next(iter(roles))
        for name, roles in found.items()
        if len(roles) == 1 and ((role := own[name]) is None or role.layer is None)
    }


def called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def string_keys(tree: ast.AST) -> list[str]:
    """Every string that something is indexed with; of f"W{i}" and 'W' + str(i), the text in front of the number."""
    found = []
    for node in nodes_of(tree):
        if isinstance(node, ast.Subscript):
            found += key_texts(node.slice)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            found += key_texts(node.args[0])
    return list(dict.fromkeys(found))


def key_texts(key: Any) -> list[str]:
    match key:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
            return [text + "#"]
        case ast.BinOp(left=ast.Constant(value=str() as text)):
            return [re.sub(r"(%[sd]|\{\})", "", text) + "#"]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format")):
            return [re.sub(r"\{.*?\}", "", text) + "#"]
    return []
