"""torch's twin of a manual network: nn.Linear, nn.BatchNorm1d, ReLU and F.cross_entropy, nothing made by hand."""

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from manual_mlp import MLP
from manual_mlp.checks import checked_images, checked_labels, checked_number
from manual_mlp.network import checked_network


class Twin(nn.Module):
    """linear1 -> [bn1 ->] ReLU -> ... -> linearK -> logits. Its state_dict has the manual network's names, no more."""

    def __init__(self, sizes: tuple[int, ...], batch_norm: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.depth = len(sizes) - 1
        for layer, (fan_in, width) in enumerate(itertools.pairwise(sizes), start=1):
            self.add_module(f"linear{layer}", nn.Linear(fan_in, width, dtype=dtype))
            if batch_norm and layer < self.depth:
                self.add_module(f"bn{layer}", _without_batch_count(nn.BatchNorm1d(width, dtype=dtype)))

    def forward(self, x: Tensor) -> Tensor:
        for name, module in self.named_children():
            # every hidden layer ends in a ReLU: in front of each linear layer but the first
            x = module(F.relu(x) if name.startswith("linear") and name != "linear1" else x)
        return x

    def cost(self, x: Tensor, y: Tensor, l2: float = 0.0) -> Tensor:
        """Mean cross-entropy + l2 sum(W^2), the penalty on the weights of the linear layers alone."""
        linears = (module for module in self.children() if isinstance(module, nn.Linear))
        return F.cross_entropy(self(x), y) + l2 * sum(linear.weight.square().sum() for linear in linears)


def mirror(net: MLP) -> Twin:
    """A twin with copies of the network's parameters and buffers, in its dtype, in training mode as every new
    nn.Module.
    """
    net = checked_network(net)
    twin = Twin(net.sizes, net.batch_norm, torch.float64 if net.dtype == np.float64 else torch.float32)
    twin.load_state_dict({name: torch.tensor(value) for name, value in (*net.parameters.items(), *net.buffers.items())})
    return twin


def mirror_back(twin: Twin, net: MLP) -> None:
    """Copies the twin's parameters and buffers into the network: all of them or none."""
    net = checked_network(net)
    state = {name: value.detach().cpu().double().numpy() for name, value in twin.state_dict().items()}
    expected = {name: value.shape for name, value in (*net.parameters.items(), *net.buffers.items())}
    found = {name: value.shape for name, value in state.items()}
    if found != expected:
        raise ValueError(f"twin has {found}; net needs {expected}")
    for arrays in (net.parameters, net.buffers):
        for name in arrays:
            arrays[name] = state[name]


def autograd_gradients(net: MLP, x: ArrayLike, y: ArrayLike, l2: float = 0.0) -> dict[str, NDArray[Any]]:
    """torch's gradient of the training cost at the network's values. The network stays as it is."""
    net = checked_network(net)
    x = checked_images(x, net.sizes[0], net.dtype, batch_statistics=bool(net.buffers))
    y = checked_labels(y, len(x), net.sizes[-1])
    twin = mirror(net)
    cost = twin.cost(torch.tensor(x.copy()), torch.tensor(y.astype(np.int64)), checked_number("l2", l2, minimum=0))
    names, parameters = zip(*twin.named_parameters(), strict=True)
    return {name: gradient.numpy() for name, gradient in zip(names, torch.autograd.grad(cost, parameters), strict=True)}


def _without_batch_count(norm: nn.BatchNorm1d) -> nn.BatchNorm1d:
    """torch counts batches for momentum=None alone; here the count would only be a name that the manual network lacks.

    Loading a plain dictionary adds the missing count again, so it is taken out there too.
    """
    norm.num_batches_tracked = None
    norm.register_load_state_dict_pre_hook(_drop_batch_count)  # type: ignore[no-untyped-call]
    return norm


def _drop_batch_count(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    state.pop(f"{prefix}num_batches_tracked", None)
