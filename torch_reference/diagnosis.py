"""A torch module before the diagnosis: its cost and gradients by autograd, under the manual network's names."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from manual_mlp import diagnose
from manual_mlp.diagnosis import Report

Cost = Callable[[nn.Module, Tensor, Tensor, float], Tensor]


def diagnose_module(module: nn.Module, x: ArrayLike, y: ArrayLike, l2: float = 0.0, cost: Cost | None = None) -> Report:
    """Is this module, with its cost, the network linear - [batch norm] - ReLU - ... - linear and softmax cross-entropy?

    module   its nn.Linear and nn.BatchNorm1d, in the order in which it makes them, are linear1, bn1, linear2, ...
    cost     (module, x, y, l2) -> a scalar, as the training computes it; left out, F.cross_entropy of the module's
             output and l2 sum(W^2), which is what an optimizer with weight_decay = 2 l2 on the weights descends

    The module is used in training mode and in float64; its values, buffers, mode and dtype end as they were. It must
    drop nothing (p = 0): the masks of nn.Dropout are not known here. `diagnose(..., dropout=p)` takes a function that
    returns them.
    """
    names = parameter_names(module)
    check_nothing_drops(module)
    parameters = {name: value.detach().cpu().double().numpy().copy() for name, value in names.items()}
    dtype, mode = next(module.parameters()).dtype, module.training
    state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    try:
        module.double().train()
        answer = answer_of(module, cost or cross_entropy_and_penalty)
        report = diagnose(answer, parameters, x, y, l2)
        if not all(np.isnan(finding.residual) for finding in report.findings):  # numbers came, and differ
            check_not_random(answer, parameters, np.asarray(x, np.float64), np.asarray(y), l2)
        return report
    finally:
        module.to(dtype).train(mode)
        module.load_state_dict(state)


def parameter_names(module: nn.Module) -> dict[str, Tensor]:
    """The module's parameters under our names."""
    found: dict[str, Tensor] = {}
    layer = 0
    for part in module.modules():
        if isinstance(part, nn.Linear):
            layer += 1
            found[f"linear{layer}.weight"] = part.weight
            if part.bias is None:
                raise ValueError(f"linear layer {layer} has no bias; the manual network's layers have one")
            found[f"linear{layer}.bias"] = part.bias
        elif isinstance(part, nn.BatchNorm1d):
            if not part.affine:
                raise ValueError(f"the batch normalization of layer {layer} has no weight and bias; use affine=True")
            found |= {f"bn{layer}.weight": part.weight, f"bn{layer}.bias": part.bias}
    known = {id(parameter) for parameter in found.values()}
    if unknown := [name for name, parameter in module.named_parameters() if id(parameter) not in known]:
        raise ValueError(f"module has {', '.join(unknown)}; only nn.Linear and nn.BatchNorm1d are known here")
    if not found:
        raise ValueError("module has no nn.Linear")
    return found


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


def cross_entropy_and_penalty(module: nn.Module, x: Tensor, y: Tensor, l2: float) -> Tensor:
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Linear)]
    return F.cross_entropy(module(x), y) + l2 * torch.stack([weight.square().sum() for weight in weights]).sum()


def answer_of(module: nn.Module, cost: Cost) -> Callable[..., tuple[float, dict[str, NDArray[Any]]]]:
    """(parameters, x, y, l2) -> cost, gradients, as `diagnose` asks for it."""

    def answer(
        parameters: Mapping[str, NDArray[Any]], x: NDArray[Any], y: NDArray[Any], l2: float
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        names = parameter_names(module)
        with torch.no_grad():
            for name, array in parameters.items():
                names[name].copy_(torch.tensor(array))
        value = cost(module, torch.tensor(x), torch.tensor(y.astype(np.int64)), l2)
        gradients = torch.autograd.grad(value, list(names.values()), allow_unused=True)
        arrays = {n: g.detach().cpu().numpy() for n, g in zip(names, gradients, strict=True) if g is not None}
        return value.item(), arrays

    return answer
