"""What a network costs: parameters, multiply-adds and measured latency."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .base import HeatmapNetwork
from .networks import build_network

GIGA = 1024**3
"""Multiply-adds to one GFLOP as the HRNet and FiDIP tables count them."""


@dataclass(frozen=True)
class Cost:
    """Of one network at one input size.

    Attributes:
        parameters: number of learnable values.
        gflops: multiply-adds of one image's convolutions and fully connected layers, over 1024³. As in the published tables a
            transposed convolution counts its whole kernel at every *output* position, 4 times what stride 2 computes.
    """

    parameters: int
    gflops: float


def network_cost(name: str, size: tuple[int, int], joints: int = 17, **options: Any) -> Cost:
    """Count a network without weights or data.

    Args:
        name: key of ``NETWORKS``. size: (width, height) of the input, pixels.
        joints: number of heatmaps. options: of the network.

    Raises:
        UserError: for an unknown name or option, or a size that the network does not take.
    """
    with torch.device("meta"):
        network = build_network(name, joints, **options).eval()
        return Cost(sum(p.numel() for p in network.parameters()), _multiply_adds(network, size) / GIGA)


def _multiply_adds(network: HeatmapNetwork, size: tuple[int, int]) -> int:
    counted = [0]

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        counted[0] += module.weight.numel() * (1 if output.ndim < 4 else output.shape[-2] * output.shape[-1])

    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    width, height = size
    network(torch.empty(1, 3, height, width, device="meta"))
    for hook in hooks:
        hook.remove()
    return counted[0]


@torch.inference_mode()
def network_latency(name: str, size: tuple[int, int], device: str = "cpu", repeats: int = 5) -> float:
    """Median milliseconds of one image's forward pass here, random weights, channels last, after one warm-up.

    Args:
        name: key of ``NETWORKS``. size: (width, height), pixels. device: torch device. repeats: timed passes.
    """
    network: Any = build_network(name, 17).eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.zeros(1, 3, size[1], size[0], device=device).to(memory_format=torch.channels_last)
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        network(images)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times[1:])
