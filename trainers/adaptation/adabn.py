"""AdaBN: BatchNorm statistics from unlabelled target pictures (Li et al. 2016, arXiv:1603.04779)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import nn

from ...datasets.shards import FramesFolder
from ..keypoint_config import KeypointConfig
from ..predict import crop_batches, reestimate_bn

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
