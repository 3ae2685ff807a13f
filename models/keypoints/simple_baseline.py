"""SimpleBaseline: ResNet, three transposed convolutions and a 1×1 convolution.

Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018. Module names (``conv1 bn1 layer1 …
layer4 deconv_layers final_layer``) are those of the published ``pose_resnet``, whose checkpoints load as they are; those of
the backbone are torchvision's and timm's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from ...config import UserError
from .base import HeatmapNetwork
from .blocks import Bottleneck, batch_norm


class SimpleBaseline(HeatmapNetwork):
    """ResNet with three deconvolutions.

    Args:
        joints: number of heatmaps.
        blocks: bottlenecks of the four stages; (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) 101, (3, 8, 36, 3) 152.
        deconv: channels of the transposed convolutions, each of which doubles the sides (published: 256 each).
        feature: which map ``forward`` gives beside the heatmaps: ``backbone`` (layer4, 2048 channels, H/32: where FiDIP's
            classifier attaches) or ``head`` (the last map before ``final_layer``).

    Input ``(b, 3, H, W)``, H and W multiples of 32. Returns ``(feature, heatmaps (b, joints, H/4, W/4))``.
    """

    head = ("deconv_layers", "final_layer")

    def __init__(
        self,
        joints: int,
        blocks: Sequence[int] = (3, 4, 6, 3),
        deconv: Sequence[int] = (256, 256, 256),
        feature: Literal["backbone", "head"] = "backbone",
    ) -> None:
        if feature not in ("backbone", "head"):
            raise UserError(f"feature must be 'backbone' or 'head', found '{feature}'")
        planes = [64 * 2**i for i in range(len(blocks))]
        super().__init__(feature_channels=4 * planes[-1] if feature == "backbone" else deconv[-1], stride=32)
        self.feature = feature
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), batch_norm(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.stages = len(blocks)
        inputs = 64
        for stage, (count, width) in enumerate(zip(blocks, planes, strict=True), 1):
            first = Bottleneck(inputs, width, stride=1 if stage == 1 else 2)
            inputs = 4 * width
            setattr(self, f"layer{stage}", nn.Sequential(first, *(Bottleneck(inputs, width) for _ in range(count - 1))))
        layers: list[nn.Module] = []
        for width in deconv:
            up = nn.ConvTranspose2d(inputs, width, 4, 2, 1, bias=False)
            layers += [up, batch_norm(width), nn.ReLU(inplace=True)]
            inputs = width
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(inputs, joints, 1)
        self.initialise()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(b, 3, H, W)`` normalised images → ``(feature, heatmaps (b, joints, H/4, W/4))``, see the class.

        Raises:
            UserError: if H or W is no multiple of 32.
        """
        self.check_size(images)
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        last = self.deconv_layers(x)
        return x if self.feature == "backbone" else last, self.final_layer(last)
