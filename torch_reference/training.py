"""torch's own training of a twin: an optimizer of torch.optim, penalty or decay on the weights alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torch_reference.twin import Twin


class TwinTraining:
    """Updates of a twin on mean cross-entropy by an optimizer of torch's."""

    def __init__(self, twin: Twin, optimizer: torch.optim.Optimizer) -> None:
        self.twin, self.optimizer = twin, optimizer

    def update(self, x: Tensor, y: Tensor, eta: float, masks: Sequence[Tensor] | None = None) -> float:
        """One update of the twin, which is in training mode. Returns the batch's mean cross-entropy."""
        for group in self.optimizer.param_groups:
            group["lr"] = eta
        self.optimizer.zero_grad()
        loss = self.twin.loss(x, y, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


class TwinSGD(TwinTraining):
    """SGD, plain or with momentum, on mean cross-entropy + l2 sum(W^2): torch adds weight_decay W to the gradient, so
    weight_decay = 2 l2.
    """

    def __init__(self, twin: Twin, l2: float, momentum: float = 0.0, nesterov: bool = False) -> None:
        groups = parameter_groups(twin, weight_decay=2 * l2)
        super().__init__(twin, torch.optim.SGD(groups, lr=0.0, momentum=momentum, nesterov=nesterov, fused=True))


class TwinAdam(TwinTraining):
    """Adam on mean cross-entropy + l2 sum(W^2), whose gradient goes into the moments: weight_decay = 2 l2 again."""

    def __init__(self, twin: Twin, l2: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        groups = parameter_groups(twin, weight_decay=2 * l2)
        super().__init__(twin, torch.optim.Adam(groups, lr=0.0, betas=(beta1, beta2), eps=eps, fused=True))


class TwinAdamW(TwinTraining):
    """Adam on mean cross-entropy; W -= eta weight_decay W apart from it."""

    def __init__(
        self, twin: Twin, weight_decay: float = 1e-2, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
    ) -> None:
        groups = parameter_groups(twin, weight_decay)
        super().__init__(twin, torch.optim.AdamW(groups, lr=0.0, betas=(beta1, beta2), eps=eps, fused=True))


def parameter_groups(twin: Twin, weight_decay: float) -> list[dict[str, Any]]:
    """The weights of the linear layers, which are decayed, and the rest: biases, gammas, betas, which are not."""
    parameters = list(twin.named_parameters())
    return [
        {"params": [value for name, value in parameters if is_weight(name)], "weight_decay": weight_decay},
        {"params": [value for name, value in parameters if not is_weight(name)], "weight_decay": 0.0},
    ]


def is_weight(name: str) -> bool:
    """Is it the weight of a linear layer, which alone is penalized? (torch calls gamma a weight too.)"""
    return name.startswith("linear") and name.endswith(".weight")
