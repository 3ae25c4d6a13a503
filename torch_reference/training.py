"""torch's own training of a twin: torch.optim.SGD, the penalty as weight decay."""

from collections.abc import Sequence

import torch
from torch import Tensor

from torch_reference.twin import Twin


class TwinSGD:
    """Plain SGD on mean cross-entropy + l2 sum(W^2).

    torch adds weight_decay * W to the gradient, so weight_decay = 2 l2, on a group that holds the weights alone:
    biases, gammas and betas are not decayed.
    """

    def __init__(self, twin: Twin, l2: float) -> None:
        self.twin = twin
        parameters = list(twin.named_parameters())
        self.optimizer = torch.optim.SGD(
            [
                {"params": [value for name, value in parameters if is_weight(name)], "weight_decay": 2 * l2},
                {"params": [value for name, value in parameters if not is_weight(name)], "weight_decay": 0.0},
            ],
            lr=0.0,
            fused=True,
        )

    def update(self, x: Tensor, y: Tensor, eta: float, masks: Sequence[Tensor] | None = None) -> float:
        """One update of the twin, which is in training mode. Returns the batch's mean cross-entropy."""
        for group in self.optimizer.param_groups:
            group["lr"] = eta
        self.optimizer.zero_grad()
        loss = self.twin.loss(x, y, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


def is_weight(name: str) -> bool:
    """Is it the weight of a linear layer, which alone is penalized? (torch calls gamma a weight too.)"""
    return name.startswith("linear") and name.endswith(".weight")
