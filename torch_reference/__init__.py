"""The same network from torch's own parts: the reference that the hand-written one is held against."""

from torch_reference.diagnosis import diagnose_module
from torch_reference.training import TwinAdam, TwinAdamW, TwinSGD
from torch_reference.twin import Twin, autograd_gradients, mirror, mirror_back

__all__ = [
    "Twin",
    "TwinAdam",
    "TwinAdamW",
    "TwinSGD",
    "autograd_gradients",
    "diagnose_module",
    "mirror",
    "mirror_back",
]
