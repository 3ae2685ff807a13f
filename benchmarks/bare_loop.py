"""What a training step costs without a training loop: the same network, batches, loss and optimiser in a few plain lines.

It is the baseline of ``sim2pose bench train``: no finite check, metrics, schedule, progress, checkpoints or ranks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.keypoints.base import HeatmapNetwork, normalise
from ..models.keypoints.heatmaps import encode
from ..models.keypoints.losses import joints_mse

Batch = dict[str, Tensor]


def bare_loop(
    network: HeatmapNetwork, batches: Sequence[Batch], steps: int, input_wh: tuple[int, int], sigma: float, lr: float
) -> float:
    """Train ``steps`` steps over ``batches`` in turn, as one would write it by hand.

    Args:
        network: on the CPU, in training mode.
        batches: as the stream gives them.
        steps: updates.
        input_wh: crop size; sigma: of the heatmaps; lr: learning rate.

    Returns:
        Seconds.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4, fused=True)
    begin = time.perf_counter()
    for step in range(steps):
        batch = batches[step % len(batches)]
        _, heatmaps = network(normalise(batch["image"]))
        h, w = heatmaps.shape[-2:]
        target = encode(batch["keypoints"], batch["weight"], input_wh, (w, h), sigma)
        loss = joints_mse(heatmaps, target, batch["weight"])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return time.perf_counter() - begin
