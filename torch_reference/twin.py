"""torch's twin of a manual network: nn.Linear, nn.BatchNorm1d, ReLU, F.dropout and F.cross_entropy, nothing made by
hand.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from manual_mlp import MLP
from manual_mlp.checks import checked_images, checked_labels, checked_number
from manual_mlp.network import Masks, checked_network


class Twin(nn.Module):
    """linear1 -> [bn1 ->] ReLU -> ... -> linearK -> logits. Its state_dict has the manual network's names, no more.

    In training it drops by the masks that it is handed, so that both networks can drop alike; without, it draws.
    """

    def __init__(self, net: MLP) -> None:
        super().__init__()
        dtype = torch.float64 if net.dtype == np.float64 else torch.float32
        self.depth, self.relu_first, self.skips = net.depth, net.relu_first, net.skips
        self.rate, self.label_smoothing = net.dropout, net.label_smoothing
        for layer, (fan_in, width) in enumerate(itertools.pairwise(net.sizes), start=1):
            self.add_module(f"linear{layer}", nn.Linear(fan_in, width, dtype=dtype))
            if net.batch_norm and layer < self.depth:
                self.add_module(f"bn{layer}", _without_batch_count(nn.BatchNorm1d(width, dtype=dtype)))

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        modules = dict(self.named_children())
        for layer in range(1, self.depth):
            norm = modules.get(f"bn{layer}", nn.Identity())
            out = modules[f"linear{layer}"](x)
            out = norm(F.relu(out)) if self.relu_first else F.relu(norm(out))
            if masks is not None:
                out = out * masks[layer - 1]
            elif self.rate and self.training:
                out = F.dropout(out, self.rate)
            x = out + x if layer in self.skips else out
        logits: Tensor = modules[f"linear{self.depth}"](x)
        return logits

    def loss(self, x: Tensor, y: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Mean cross-entropy, its target smoothed."""
        return F.cross_entropy(self(x, masks), y, label_smoothing=self.label_smoothing)

    def cost(self, x: Tensor, y: Tensor, l2: float = 0.0, masks: Sequence[Tensor] | None = None) -> Tensor:
        """loss + l2 sum(W^2), the penalty on the weights of the linear layers alone."""
        linears = (module for module in self.children() if isinstance(module, nn.Linear))
        return self.loss(x, y, masks) + l2 * sum(linear.weight.square().sum() for linear in linears)


def mirror(net: MLP) -> Twin:
    """A twin with copies of the network's parameters and buffers, in its dtype, in training mode as every new
    nn.Module.
    """
    net = checked_network(net)
    twin = Twin(net)
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


def autograd_gradients(
    net: MLP, x: ArrayLike, y: ArrayLike, l2: float = 0.0, masks: Masks | None = None
) -> dict[str, NDArray[Any]]:
    """torch's gradient of the training cost at the network's values. The network stays as it is."""
    net = checked_network(net)
    x = checked_images(x, net.sizes[0], net.dtype, batch_statistics=bool(net.buffers))
    y = checked_labels(y, len(x), net.sizes[-1])
    twin = mirror(net)
    checked = net.checked_masks(masks, len(x), training=True)
    tensors = None if checked is None else [torch.tensor(mask) for mask in checked]
    l2 = checked_number("l2", l2, minimum=0)
    cost = twin.cost(torch.tensor(x.copy()), torch.tensor(y.astype(np.int64)), l2, tensors)
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
