"""FiDIP's small network: MobileNetV2, a 1×1 convolution and three stages of pixel shuffling.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018; the head is that of
ostadabbas/Infant-Pose-Estimation (3.91 · 2²⁰ parameters and 0.46 · 1024³ multiply-adds at 224²). ``features.*`` has the names
of torchvision's ``mobilenet_v2``, whose weights load as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from ...config import UserError
from .base import HeatmapNetwork

# Expansion, channels, blocks, stride of the first: table 2 of the paper.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """1×1 expansion, depthwise 3×3, linear 1×1 projection; a shortcut where size and channels stay."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = [_conv(inputs, wide)] if expansion != 1 else []
        layers += [_conv(wide, wide, 3, stride, groups=wide), nn.Conv2d(wide, outputs, 1, bias=False)]
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(outputs))
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(b, inputs, h, w) → (b, outputs, h / stride, w / stride)``."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class ShuffleUp(nn.Sequential):
    """3×3 convolution, BN, ReLU, and four channels to one with twice the sides."""

    def __init__(self, inputs: int, outputs: int) -> None:
        conv = nn.Conv2d(inputs, 4 * outputs, 3, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(4 * outputs), nn.ReLU(inplace=True), nn.PixelShuffle(2))


class PoseMobileNet(HeatmapNetwork):
    """MobileNetV2 with FiDIP's head.

    Args:
        joints: number of heatmaps.
        compressed: channels of the 1×1 convolution behind the backbone. widths: channels after each doubling of the sides.
        feature: which map ``forward`` gives beside the heatmaps: ``backbone`` (1280 channels, H/32: where FiDIP's
            classifier attaches) or ``head`` (the last map before ``final_layer``).
        softmax: σ in heatmap pixels. The heatmaps are then 2πσ² times a softmax over the map, as FiDIP's weights want it: a
            Gaussian of that σ, whose softmax sums to 1, has the peak of 1 that targets have. None: linear heatmaps.

    Input ``(b, 3, H, W)``, H and W multiples of 32. Returns ``(feature, heatmaps (b, joints, H/4, W/4))``.
    """

    head = ("compress", "up", "final_layer")

    def __init__(
        self,
        joints: int,
        compressed: int = 256,
        widths: Sequence[int] = (128, 64, 32),
        feature: Literal["backbone", "head"] = "backbone",
        softmax: float | None = None,
    ) -> None:
        if feature not in ("backbone", "head"):
            raise UserError(f"feature must be 'backbone' or 'head', found '{feature}'")
        super().__init__(feature_channels=1280 if feature == "backbone" else widths[-1], stride=32)
        self.feature = feature
        self.softmax = softmax
        layers: list[nn.Module] = [_conv(3, 32, 3, 2)]
        inputs = 32
        for expansion, outputs, count, stride in _STAGES:
            for block in range(count):
                layers.append(InvertedResidual(inputs, outputs, stride if block == 0 else 1, expansion))
                inputs = outputs
        self.features = nn.Sequential(*layers, _conv(inputs, 1280))
        self.compress = nn.Conv2d(1280, compressed, 1, bias=False)
        sides = [compressed, *widths]
        self.up = nn.Sequential(*(ShuffleUp(a, b) for a, b in zip(sides, widths, strict=False)))
        self.final_layer = nn.Conv2d(widths[-1], joints, 1)
        self.initialise()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(b, 3, H, W)`` normalised images → ``(feature, heatmaps (b, joints, H/4, W/4))``, see the class.

        Raises:
            UserError: if H or W is no multiple of 32.
        """
        self.check_size(images)
        deep = self.features(images)
        last = self.up(self.compress(deep))
        heatmaps: Tensor = self.final_layer(last)
        if self.softmax is not None:
            shares = heatmaps.float().flatten(2).softmax(-1).unflatten(2, heatmaps.shape[-2:])
            heatmaps = 2 * math.pi * self.softmax**2 * shares
        return deep if self.feature == "backbone" else last, heatmaps
