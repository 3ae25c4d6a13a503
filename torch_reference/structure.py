"""How a module's layers are strung together: batch normalization in front of or behind the ReLU, skip connections."""

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from manual_mlp.blocks import layer_names
from manual_mlp.diagnosis.reference import Batch, forward_pass

MOST_STRUCTURES = 2000  # a second or two


class Structure(NamedTuple):
    """As `MLP` has it."""

    relu_first: bool = False
    skips: tuple[int, ...] = ()

    def __str__(self) -> str:
        parts = [f"adds the input of layer {layer} to its output" for layer in self.skips]
        if self.relu_first:
            parts.insert(0, "normalizes behind the ReLU")
        return "the module " + " and ".join(parts)


def structure_of(
    output: Tensor | None, parameters: Mapping[str, NDArray[np.float64]], x: NDArray[np.float64], eps: float
) -> Structure | None:
    """The simplest structure in which the textbook has these class scores, too; None if there is none."""
    if output is None or x.ndim != 2 or x.shape[1] != parameters["linear1.weight"].shape[1]:
        return None
    scores = output.detach().cpu().numpy()
    depth = sum(name.startswith("linear") for name in parameters) // 2
    names = [layer_names(layer) for layer in range(1, depth + 1)]
    for structure in itertools.islice(structures(parameters, depth), MOST_STRUCTURES):
        batch = Batch(parameters, x, np.zeros(len(x), dtype=int), 0.0, **structure._asdict())
        expected = forward_pass(batch, names, (), eps).logits
        if scores.shape == expected.shape and np.abs(scores - expected).max() < 1e-6 * np.abs(expected).max():
            return structure
    return None


def structures(parameters: Mapping[str, NDArray[np.float64]], depth: int) -> Iterator[Structure]:
    shapes = {layer: parameters[f"linear{layer}.weight"].shape for layer in range(1, depth)}
    square = [layer for layer, (width, fan_in) in shapes.items() if width == fan_in]
    for count in range(len(square) + 1):
        for skips in itertools.combinations(square, count):
            for relu_first in (False, True) if "bn1.weight" in parameters else (False,):
                yield Structure(relu_first, skips)


def adds_activations(output: Tensor | None) -> bool:
    """Whether two tensors that both come from layers are added on the way to this output."""
    found, left = set(), [output.grad_fn] if output is not None else []
    while left:
        node = left.pop()
        if node is None or node in found:
            continue
        found.add(node)
        sources = [source for source, _ in node.next_functions]
        computed = [
            source for source in sources if source is not None and source.name() != "torch::autograd::AccumulateGrad"
        ]
        if node.name() == "AddBackward0" and len(computed) > 1:
            return True
        left += sources
    return False
