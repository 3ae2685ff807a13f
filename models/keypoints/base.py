"""What all heatmap networks share: their outputs, their input normalisation, and children that stay frozen."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ...config import UserError

# ImageNet statistics of RGB in [0, 1], which every published pose network was trained with.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class HeatmapNetwork(nn.Module):
    """A network whose forward gives ``(feature (b, c, h', w'), heatmaps (b, joints, h, w))`` from ``(b, 3, H, W)``.

    Attributes:
        feature_channels: c, of the last map before the head, where a domain classifier attaches.
        stride: the input's sides must be multiples of it.
        head: names of the children that are not of the backbone.
        final_layer: the 1×1 convolution that gives the heatmaps.
        frozen: names of children that stay in eval mode whatever :meth:`train` says (see ``weights.freeze``).
    """

    head: ClassVar[tuple[str, ...]] = ("final_layer",)
    final_layer: nn.Conv2d

    def __init__(self, feature_channels: int, stride: int) -> None:
        super().__init__()
        self.feature_channels = feature_channels
        self.stride = stride
        self.frozen: tuple[str, ...] = ()

    def train(self, mode: bool = True) -> Self:
        """As ``nn.Module.train``, but the children named in ``frozen`` keep eval mode and their BN statistics."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def initialise(self) -> None:
        """He's initialisation; what comes behind the backbone starts near zero, as in the published code."""
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.final_layer.weight, std=0.001)
        assert self.final_layer.bias is not None
        nn.init.zeros_(self.final_layer.bias)

    def check_size(self, images: Tensor) -> None:
        """Raises UserError unless both sides of ``(b, 3, H, W)`` images are multiples of ``stride``."""
        height, width = images.shape[-2:]
        if height % self.stride or width % self.stride:
            raise UserError(f"input size {width}×{height} must be a multiple of {self.stride} in both directions")


def normalise(images: Tensor) -> Tensor:
    """RGB uint8 ``(b, 3, h, w)`` → float32 by ImageNet's mean and deviation, on the same device, memory format kept."""
    mean = 255 * torch.tensor(IMAGENET_MEAN, device=images.device).view(1, 3, 1, 1)
    std = 255 * torch.tensor(IMAGENET_STD, device=images.device).view(1, 3, 1, 1)
    return images.sub(mean).div_(std)
