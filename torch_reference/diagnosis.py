"""A torch module before the diagnosis: its cost and gradients by autograd, under the manual network's names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from manual_mlp import diagnose
from manual_mlp.diagnosis import Finding, Report
from manual_mlp.layers import BATCH_NORM_EPS
from torch_reference.structure import Structure, adds_activations, structure_of

Cost = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


def diagnose_module(
    module: nn.Module,
    x: ArrayLike,
    y: ArrayLike,
    l2: float = 0.0,
    cost: Cost | None = None,
    *,
    relu_first: bool | None = None,
    skips: Sequence[int] | None = None,
    label_smoothing: float = 0.0,
) -> Report:
    """Is this module, with its cost, the network linear - [batch norm] - ReLU - ... - linear and softmax cross-entropy?

    module   its nn.Linear and nn.BatchNorm1d, in the order in which it calls them, are linear1, bn1, linear2, ...; a
             linear layer right in front of batch normalization may go without a bias
    cost     (module, x, y, l2) -> a scalar, as the training computes it; left out, F.cross_entropy of the module's
             output and l2 sum(W^2), which is what an optimizer with weight_decay = 2 l2 on the weights descends
    relu_first, skips  as `MLP` has them; None: as the module has them, found out from its class scores
    label_smoothing  the share of the target that the cost spreads over all classes

    The module is used in training mode and in float64; its values, buffers, mode and dtype end as they were. It must
    drop nothing (p = 0): the masks of nn.Dropout are not known here. `diagnose(..., dropout=p)` takes a function that
    returns them.
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module is a {type(module).__name__}; it must be a torch.nn.Module")
    check_nothing_drops(module)
    dtype, mode = next((p.dtype for p in module.parameters()), torch.float32), module.training
    state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    cost = cost or partial(cross_entropy_and_penalty, label_smoothing=label_smoothing)
    try:
        module.double().train()
        images, labels = tensors(x, y)
        images = images.requires_grad_().clone()  # computed, for the graph, and so added like what a layer puts out
        parts, output, value = called_by(module, lambda: cost(module, images, labels, l2))
        check_cost(value)
        if unused := sorted(set(layers_of(module)) - set(parts)):
            return Report("network", [never_called(name) for name in unused])
        names, constant = parameter_names(module, parts)
        parameters = {name: value.detach().cpu().numpy().copy() for name, value in names.items()}
        eps = next((part.eps for part in module.modules() if isinstance(part, nn.BatchNorm1d)), BATCH_NORM_EPS)
        found = structure_of(output, parameters, np.asarray(x, np.float64), eps)
        if found is None and relu_first is None and skips is None and adds_activations(output):
            raise ValueError(
                "module adds what two of its layers put out, and with the input of single hidden layers added to their"
                " output its class scores are others; such a network is not known here (or say which: skips=(2,))"
            )
        structure = Structure(
            (found or Structure()).relu_first if relu_first is None else relu_first,
            (found or Structure()).skips if skips is None else tuple(skips),
        )
        if structure.relu_first and constant:
            raise ValueError(
                f"module has no {constant[0]}, which the manual network adds before the ReLU; use bias=True"
            )
        answer = answer_of(module, names, constant, cost)
        report = diagnose(answer, parameters, x, y, l2, label_smoothing=label_smoothing, **structure._asdict())
        if not all(np.isnan(finding.residual) for finding in report.findings):  # numbers came, and differ
            check_not_random(answer, parameters, np.asarray(x, np.float64), np.asarray(y), l2)
        told = structure == (relu_first or False, tuple(skips or ()))
        return report if told else replace(report, notes=[*report.notes, f"{structure}; it is judged as such"])
    finally:
        module.to(dtype).train(mode)
        module.load_state_dict(state)


def tensors(x: ArrayLike, y: ArrayLike) -> tuple[Tensor, Tensor]:
    return torch.tensor(np.asarray(x, np.float64)), torch.tensor(np.asarray(y).astype(np.int64))


def layers_of(module: nn.Module) -> dict[str, nn.Module]:
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.BatchNorm1d)}


def called_by(module: nn.Module, run: Callable[[], Any]) -> tuple[list[str], Tensor | None, Any]:
    """The names of its layers in the order in which the cost calls them, what the module puts out itself, and the cost;
    where that cannot be computed, the names in the order in which they were made.
    """
    called: list[str] = []
    outputs: list[Any] = []
    layers = layers_of(module)
    hooks = [part.register_forward_hook(lambda *_, name=name: called.append(name)) for name, part in layers.items()]
    hooks.append(module.register_forward_hook(lambda *arguments: outputs.append(arguments[-1])))
    try:
        value = run()
    except Exception:  # the diagnosis meets it again, and says so
        return list(layers), None, None
    finally:
        for hook in hooks:
            hook.remove()
    output = outputs[-1] if outputs and isinstance(outputs[-1], Tensor) else None
    return list(dict.fromkeys(called)), output, value


def check_cost(value: Any) -> None:
    """Whether autograd can go back from it; None is what was not computed."""
    must = "it must return a tensor of one number, with the graph that leads to it"
    if value is None:
        return
    if not isinstance(value, Tensor):
        raise ValueError(f"cost returns a {type(value).__name__}; {must}: leave out .item() and float()")
    if value.numel() != 1:
        raise ValueError(f"cost returns a tensor of shape {tuple(value.shape)}; {must}: take the mean over the images")
    if not value.requires_grad:
        raise ValueError(f"cost returns a tensor without a graph; {must}: leave out .detach(), .data and no_grad()")


def never_called(name: str) -> Finding:
    return Finding(name, "it is made but never called: forward() goes past it", "layer_never_called")


def parameter_names(module: nn.Module, parts: Sequence[str]) -> tuple[dict[str, Tensor], list[str]]:
    """The module's parameters under our names, its layers in this order; and the names of the biases that are left out
    in front of batch normalization, where a bias changes nothing: they are given as tensors that nobody reads.
    """
    found: dict[str, Tensor] = {}
    constant: list[str] = []
    layers, layer = layers_of(module), 0
    for part in map(layers.__getitem__, parts):
        if isinstance(part, nn.Linear):
            layer += 1
            found[f"linear{layer}.weight"] = part.weight
            if part.bias is None:
                constant.append(f"linear{layer}.bias")
            found[f"linear{layer}.bias"] = part.weight.new_zeros(len(part.weight)) if part.bias is None else part.bias
        elif isinstance(part, nn.BatchNorm1d):
            if not part.affine:
                raise ValueError(f"the batch normalization of layer {layer} has no weight and bias; use affine=True")
            found |= {f"bn{layer}.weight": part.weight, f"bn{layer}.bias": part.bias}
    for bias in constant:
        if bias.replace("linear", "bn") not in found:
            raise ValueError(
                f"module has no {bias}; where no batch normalization follows, a layer needs one: use bias=True"
            )
    known = {id(parameter) for parameter in found.values()}
    if unknown := [name for name, parameter in module.named_parameters() if id(parameter) not in known]:
        raise ValueError(f"module has {', '.join(unknown)}; only nn.Linear and nn.BatchNorm1d are known here")
    if not found:
        raise ValueError("module has no nn.Linear")
    return found, constant


def check_nothing_drops(module: nn.Module) -> None:
    dropping = {name: part.p for name, part in module.named_modules() if isinstance(part, _DropoutNd) and part.p > 0}
    if dropping:
        parts = ", ".join(f"{name or 'itself'} (p = {p:g})" for name, p in dropping.items())
        raise ValueError(f"module drops units at random, in {parts}; set p to 0 for the diagnosis")


def check_not_random(
    answer: Callable[..., tuple[float, Mapping[str, Any]]],
    parameters: Mapping[str, NDArray[Any]],
    x: NDArray[Any],
    y: NDArray[Any],
    l2: float,
) -> None:
    """Where dropout is no nn.Dropout but a function, the same question has another answer."""
    first, second = (answer(parameters, x, y, l2)[0] for _ in range(2))
    if not np.isclose(first, second, rtol=1e-9, atol=0, equal_nan=True):
        raise ValueError(
            f"module has the cost {first:.6g}, and {second:.6g} when asked again: it draws random numbers, as F.dropout"
            " does; switch that off (p = 0) for the diagnosis"
        )


def cross_entropy_and_penalty(
    module: nn.Module, x: Tensor, y: Tensor, l2: float, label_smoothing: float = 0.0
) -> Tensor:
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Linear)]
    loss = F.cross_entropy(module(x), y, label_smoothing=label_smoothing)
    return loss + l2 * torch.stack([weight.square().sum() for weight in weights]).sum()


def answer_of(
    module: nn.Module, names: Mapping[str, Tensor], constant: Sequence[str], cost: Cost
) -> Callable[..., tuple[float, dict[str, NDArray[Any]]]]:
    """(parameters, x, y, l2) -> cost, gradients, as `diagnose` asks for it."""

    def answer(
        parameters: Mapping[str, NDArray[Any]], x: NDArray[Any], y: NDArray[Any], l2: float
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        with torch.no_grad():
            for name, array in parameters.items():
                names[name].copy_(torch.tensor(array))
        value = cost(module, *tensors(x, y), l2)
        learned = {name: tensor for name, tensor in names.items() if name not in constant}
        gradients = torch.autograd.grad(value, list(learned.values()), allow_unused=True)
        arrays = {n: g.detach().cpu().numpy() for n, g in zip(learned, gradients, strict=True) if g is not None}
        return value.item(), arrays | {name: np.zeros(len(names[name])) for name in constant}

    return answer
