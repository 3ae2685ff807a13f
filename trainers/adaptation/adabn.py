"""AdaBN: BatchNorm statistics from unlabelled target pictures (Li et al. 2016, arXiv:1603.04779)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ...config import UserError
from ...datasets.shards import FramesFolder
from ...models.keypoints.base import normalise
from ..keypoint_config import KeypointConfig
from ..predict import crop_batches

PICTURES = 2048  # at most; statistics have settled long before


def take_target_statistics(network: nn.Module, cfg: KeypointConfig, otherwise: Sequence[FramesFolder] = ()) -> int:
    """Replace the BatchNorm statistics of ``network`` by those of ``data.target``, labels unseen; in place.

    Args:
        network: on its device.
        cfg: names the target and the crop.
        otherwise: folders to take where no target is named.

    Returns:
        The number of pictures used.

    Raises:
        UserError: if the network has no BatchNorm, or there is no picture.
    """
    folders = [FramesFolder.open(path) for path in cfg.data.target] or list(otherwise)
    size = min(cfg.batch, 64)
    batches = itertools.chain.from_iterable(crop_batches(folder, cfg.data.input, size) for folder in folders)
    return reestimate_bn(network, batches, limit=math.ceil(PICTURES / size))


@torch.no_grad()
def reestimate_bn(
    network: nn.Module, batches: Iterable[Tensor | Mapping[str, Tensor]], limit: int | None = None
) -> int:
    """Replace BatchNorm statistics by those of other pictures, in place (AdaBN, Li et al. 2016, arXiv:1603.04779).

    Statistics become the plain average over the batches given, those of frozen layers too; weights stay. Unlabelled
    pictures do. The network's mode, and each layer's momentum, are restored.

    Args:
        network: gives anything; only its BatchNorm layers matter.
        batches: uint8 crops ``(b, 3, H, W)``, or batches of the stream (their ``image``), any device.
        limit: use at most this many batches, for endless streams.

    Returns:
        The number of pictures used.

    Raises:
        UserError: if there is no BatchNorm to estimate, or no batch.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        raise UserError("the network has no BatchNorm layers whose statistics could be re-estimated")
    device = next(network.parameters()).device
    modes = [(module, module.training) for module in network.modules()]
    momenta = [norm.momentum for norm in norms]
    used = 0
    try:
        network.eval()
        for norm in norms:
            norm.train()
            norm.momentum = None  # cumulative average
        for number, given in enumerate(batches):
            if number == limit:
                break
            images = given["image"] if isinstance(given, Mapping) else given
            if number == 0:
                for norm in norms:
                    norm.reset_running_stats()
            network(normalise(images.to(device)))
            used += len(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode
    if not used:
        raise UserError("no pictures to re-estimate BatchNorm statistics from")
    return used
