"""BatchNorm with statistics of its own for each domain (Chang et al., "Domain-Specific Batch Normalization for
Unsupervised Domain Adaptation", CVPR 2019), here with one affine transform for both.

``running_mean`` and ``running_var`` are the target's, so that a state dict stays that of the plain network and what is
deployed is what the target needs. The source's lie in buffers that are not saved with the network
(:func:`source_statistics`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Domains:
    """What all layers of a network are told of a forward pass.

    Attributes:
        sources: how many samples, from the first on, are of the source; None: all are of the target.
        only_source: all samples are of the source.
    """

    sources: int | None = None
    only_source: bool = False


class DomainBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm2d that normalises each domain's samples by that domain's statistics."""

    domains: Domains
    source_mean: Tensor
    source_var: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """``(b, c, h, w)``; see :class:`Domains` for whose samples these are."""
        if self.domains.only_source:
            return self._source(input)
        count = self.domains.sources
        if not count:
            return super().forward(input)
        if count == len(input):
            return self._source(input)
        return torch.cat([self._source(input[:count]), super().forward(input[count:])])

    def _source(self, input: Tensor) -> Tensor:
        assert self.momentum is not None, "a cumulative average is taken of one domain at a time"
        moves = self.training and self.track_running_stats
        mean, var = (None, None) if self.training and not moves else (self.source_mean, self.source_var)
        return F.batch_norm(input, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)


def separate(network: nn.Module) -> Domains:
    """Give every BatchNorm2d of ``network`` statistics for each domain, both equal to those it has; in place.

    Returns:
        What to tell the layers with before each forward pass.
    """
    domains = Domains()
    for layer in network.modules():
        if type(layer) is nn.BatchNorm2d and layer.running_mean is not None and layer.running_var is not None:
            layer.__class__ = DomainBatchNorm2d
            layer.domains = domains  # type: ignore[assignment]
            layer.register_buffer("source_mean", layer.running_mean.clone(), persistent=False)
            layer.register_buffer("source_var", layer.running_var.clone(), persistent=False)
    return domains


@contextmanager
def of_source(network: nn.Module, count: int | None = None) -> Iterator[None]:
    """Forward passes within are of source samples: all, or the first ``count``. Changes nothing without separate layers."""
    told = {id(layer.domains): layer.domains for layer in _layers(network).values()}
    for domains in told.values():
        domains.sources, domains.only_source = count, count is None
    try:
        yield
    finally:
        for domains in told.values():
            domains.sources, domains.only_source = None, False


def source_statistics(network: nn.Module) -> dict[str, Tensor]:
    """The source's statistics as ``<layer>.mean`` and ``<layer>.var``; empty without separate layers."""
    state = {}
    for name, layer in _layers(network).items():
        state[f"{name}.mean"], state[f"{name}.var"] = layer.source_mean.clone(), layer.source_var.clone()
    return state


def load_source_statistics(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Restore :func:`source_statistics`."""
    for name, layer in _layers(network).items():
        layer.source_mean.copy_(state[f"{name}.mean"])
        layer.source_var.copy_(state[f"{name}.var"])


def _layers(network: nn.Module) -> dict[str, DomainBatchNorm2d]:
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, DomainBatchNorm2d)}
