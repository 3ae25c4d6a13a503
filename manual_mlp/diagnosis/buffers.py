"""The running statistics of a network, as a caller hands them over."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from manual_mlp.blocks import LayerNames
from manual_mlp.checks import checked_reals
from manual_mlp.layers import Array


def at_first(names: Sequence[LayerNames], parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Those that a network with batch normalization begins with; none of one without."""
    buffers: dict[str, Array] = {}
    for layer in names[:-1]:
        if layer.gamma in parameters:
            width = len(parameters[layer.gamma])
            buffers |= {layer.running_mean: np.zeros(width), layer.running_var: np.ones(width)}
    return buffers


def checked_buffers(buffers: Mapping[str, ArrayLike], known: Mapping[str, Array]) -> dict[str, Array]:
    """By our names, in float64, of the shapes of those known."""
    if not isinstance(buffers, Mapping):
        raise ValueError(f"buffers is a {type(buffers).__name__}; it must be a dictionary, such as net.buffers")
    for name in buffers:
        if name not in known:
            raise ValueError(f"buffers has {name!r}; of this network it may have {', '.join(known) or 'none'}")
    checked = {name: checked_reals(f"buffers[{name!r}]", value) for name, value in buffers.items()}
    for name, value in checked.items():
        if value.shape != known[name].shape:
            raise ValueError(f"buffers[{name!r}] has shape {value.shape}; it must be {known[name].shape}")
    return checked
