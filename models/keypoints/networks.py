"""The keypoint networks by name; each returns ``(feature, heatmaps)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ...config import UserError, nearest
from .base import HeatmapNetwork
from .hrnet import HRNet


def hrnet(joints: int, width: int = 32, **options: Any) -> HRNet:
    """HRNet at any width: its four resolutions have ``width``, 2, 4 and 8 times ``width`` channels."""
    return HRNet(joints, **{"widths": tuple(width * 2**i for i in range(4)), **options})


def hrnet_w32(joints: int, **options: Any) -> HRNet:
    """HRNet-W32: 28.5 M parameters, 7.1 GFLOPs at 256×192 (multiply-adds / 1024³, as its README counts)."""
    return hrnet(joints, 32, **options)


def hrnet_w48(joints: int, **options: Any) -> HRNet:
    """HRNet-W48: 63.6 M parameters, 32.9 GFLOPs at 384×288 (counted as above)."""
    return hrnet(joints, 48, **options)


def hrnet_nano(joints: int, **options: Any) -> HRNet:
    """A small member of the family that one CPU core trains from scratch in minutes; input sides multiples of 16."""
    shape = {"widths": (16, 32, 64), "modules": (1, 1), "blocks": (1, 1, 2), "stem": (16, 16), "planes": ()}
    return HRNet(joints, **{**shape, **options})


NETWORKS: dict[str, Callable[..., HeatmapNetwork]] = {
    "hrnet": hrnet,
    "hrnet_w32": hrnet_w32,
    "hrnet_w48": hrnet_w48,
    "hrnet_nano": hrnet_nano,
}


def build_network(name: str, joints: int, **options: Any) -> HeatmapNetwork:
    """A network by name, freshly initialised from torch's global generator.

    Args:
        name: key of :data:`NETWORKS`.
        joints: number of heatmaps.
        options: arguments of the network's class in place of the named variant's (``blocks=(2, 2, 2)``).

    Raises:
        UserError: for an unknown name (nearest named), or an option that the network does not have.
    """
    if name not in NETWORKS:
        raise UserError(f"unknown network '{name}': {nearest(name, NETWORKS)}")
    known = {*inspect.signature(HRNet).parameters, *inspect.signature(NETWORKS[name]).parameters}
    known -= {"joints", "options"}
    for option in options:
        if option not in known:
            raise UserError(f"network '{name}' has no option '{option}': {nearest(option, known)}")
    return NETWORKS[name](joints, **options)
