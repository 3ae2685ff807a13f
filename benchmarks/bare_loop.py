"""What a training step costs without a training loop: the same networks, batches, losses and optimisers in a few plain lines.

They are the baselines of ``sim2pose bench train``: no finite check, metrics, schedule, progress, checkpoints or ranks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def bare_fidip_loop(
    network: HeatmapNetwork,
    classifier: nn.Module,
    batches: Sequence[Batch],
    steps: int,
    input_wh: tuple[int, int],
    sigma: float,
    lr: tuple[float, float],
    weight: float,
) -> float:
    """FiDIP's two-step training (see ``trainers/adaptation/domain.py``), as one would write it by hand.

    Args:
        network, classifier: on the CPU, in training mode.
        batches, steps, input_wh, sigma: as in :func:`bare_loop`.
        lr: learning rates of network and classifier; weight: λ.

    Returns:
        Seconds.
    """
    pose = torch.optim.AdamW(network.parameters(), lr=lr[0], weight_decay=1e-4, fused=True)
    domain = torch.optim.AdamW(classifier.parameters(), lr=lr[1], weight_decay=1e-4, fused=True)
    begin = time.perf_counter()
    for step in range(steps):
        batch = batches[step % len(batches)]
        label = batch["domain"].float()
        feature, heatmaps = network(normalise(batch["image"]))
        loss = F.binary_cross_entropy_with_logits(classifier(feature.detach()), label)
        domain.zero_grad(set_to_none=True)
        loss.backward()
        domain.step()
        h, w = heatmaps.shape[-2:]
        target = encode(batch["keypoints"], batch["weight"], input_wh, (w, h), sigma)
        classifier.requires_grad_(False)
        confusion = F.binary_cross_entropy_with_logits(classifier(feature), label)
        loss = joints_mse(heatmaps, target, batch["weight"]) - weight * confusion
        pose.zero_grad(set_to_none=True)
        loss.backward()
        pose.step()
        classifier.requires_grad_(True)
    return time.perf_counter() - begin
