"""Networks used as fixed functions for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def held_statistics(*modules: nn.Module) -> Iterator[None]:
    """Run modules in training mode without moving the running statistics of their BatchNorm layers."""
    layers = [m for module in modules for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """Use a module as a fixed function: gradients pass through it to its input, none reach its parameters."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        with held_statistics(module):
            yield
    finally:
        for p in trained:
            p.requires_grad_(True)
