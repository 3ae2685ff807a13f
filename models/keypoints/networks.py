"""The keypoint networks by name; each returns ``(feature, heatmaps)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from ...config import UserError, nearest
from .base import HeatmapNetwork
from .hrnet import HRNet
from .mobilenet import PoseMobileNet
from .simple_baseline import SimpleBaseline


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


def resnet_50(joints: int, **options: Any) -> SimpleBaseline:
    """SimpleBaseline ResNet-50: 34.0 M parameters, 20.0 GFLOPs at 384×288 (deconvolutions counted at their output)."""
    return SimpleBaseline(joints, **{"blocks": (3, 4, 6, 3), **options})


def resnet_101(joints: int, **options: Any) -> SimpleBaseline:
    """SimpleBaseline ResNet-101: 53.0 M parameters, 12.4 GFLOPs at 256×192."""
    return SimpleBaseline(joints, **{"blocks": (3, 4, 23, 3), **options})


def resnet_152(joints: int, **options: Any) -> SimpleBaseline:
    """SimpleBaseline ResNet-152: 68.6 M parameters, 15.7 GFLOPs at 256×192."""
    return SimpleBaseline(joints, **{"blocks": (3, 8, 36, 3), **options})


def mobilenet_v2(joints: int, **options: Any) -> PoseMobileNet:
    """FiDIP's MobileNetV2: 3.91 · 2²⁰ parameters, 0.46 GFLOPs at 224×224."""
    return PoseMobileNet(joints, **options)


NETWORKS: dict[str, Callable[..., HeatmapNetwork]] = {
    "hrnet": hrnet,
    "hrnet_w32": hrnet_w32,
    "hrnet_w48": hrnet_w48,
    "hrnet_nano": hrnet_nano,
    "resnet_50": resnet_50,
    "resnet_101": resnet_101,
    "resnet_152": resnet_152,
    "mobilenet_v2": mobilenet_v2,
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
    network: type[HeatmapNetwork] = get_type_hints(NETWORKS[name])["return"]
    known = {*inspect.signature(network).parameters, *inspect.signature(NETWORKS[name]).parameters}
    known -= {"joints", "options"}
    for option in options:
        if option not in known:
            raise UserError(f"network '{name}' has no option '{option}': {nearest(option, known)}")
    return NETWORKS[name](joints, **options)
