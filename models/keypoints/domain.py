"""Domain classifiers: from a pose network's feature map to one logit, positive for the source (synthetic) domain.

``pooled`` works on any map; the ``fidip_*`` ones repeat the published layers, whose fully connected part fixes the
map's size. The tables are those of ostadabbas/Infant-Pose-Estimation; ReLU stands between fully connected layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor, nn

from ...config import UserError, nearest


def _conv(inputs: int, outputs: int, kernel: int, padding: int = 0, pool: bool = False) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs, momentum=0.1), nn.ReLU(inplace=True)]
    return [*layers, nn.MaxPool2d(2)] if pool else layers


def _linear(*sizes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return layers[:-1]


class DomainClassifier(nn.Module):
    """A stack of layers ending in one logit; ``expects`` is the feature shape ``(c, h, w)``, None for any size."""

    def __init__(self, layers: list[nn.Module], expects: tuple[int, int | None, int | None]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.expects = expects

    def forward(self, feature: Tensor) -> Tensor:
        """``(b, c, h, w)`` → logits ``(b,)``.

        Raises:
            UserError: if the feature has another shape than the classifier was made for.
        """
        given = feature.shape[1:]
        if len(given) != 3 or any(e is not None and e != g for e, g in zip(self.expects, given, strict=True)):
            wanted = "×".join("any" if e is None else str(e) for e in self.expects)
            raise UserError(
                f"this domain classifier takes a feature map of {wanted} (channels × height × width), got "
                f"{'×'.join(map(str, given))}; use the classifier 'pooled', which takes any size"
            )
        return self.layers(feature)[:, 0]


def pooled(channels: int) -> DomainClassifier:
    """The default: two 3×3 convolutions, mean over the map, two fully connected layers; any map of 2×2 or more."""
    layers = [*_conv(channels, 32, 3, padding=1, pool=True), *_conv(32, 32, 3, padding=1)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *_linear(32, 64, 1)]
    return DomainClassifier(layers, (channels, None, None))


def fidip_hrnet_w48() -> DomainClassifier:
    """For HRNet-W48 at 384×288. Unpadded: 96×72 → 94×70 → 47×35 → 45×33 → 22×16, and 8·22·16 = 2816 as published."""
    layers = [*_conv(48, 32, 3, pool=True), *_conv(32, 8, 3, pool=True), nn.Flatten(), *_linear(2816, 256, 64, 1)]
    return DomainClassifier(layers, (48, 96, 72))


def fidip_mobilenet() -> DomainClassifier:
    """For MobileNetV2 at 224²: three 1×1 convolutions, 7×7 → 3×3 by pooling, hence 16·9 = 144."""
    convs = [*_conv(1280, 512, 1), *_conv(512, 256, 1), *_conv(256, 16, 1, pool=True)]
    return DomainClassifier([*convs, nn.Flatten(), *_linear(144, 256, 64, 1)], (1280, 7, 7))


def fidip_resnet50() -> DomainClassifier:
    """For ResNet-50 at 384×288: fully connected from 2048·12·9 = 221184 values (453 million parameters)."""
    return DomainClassifier([nn.Flatten(), *_linear(221184, 2048, 512, 1)], (2048, 12, 9))


FIDIP: dict[str, Callable[[], DomainClassifier]] = {
    "fidip_hrnet_w48": fidip_hrnet_w48,
    "fidip_mobilenet": fidip_mobilenet,
    "fidip_resnet50": fidip_resnet50,
}


def build_domain_classifier(name: str, channels: int) -> DomainClassifier:
    """A domain classifier by name for features of ``channels`` channels.

    Raises:
        UserError: for an unknown name, or a published classifier made for another number of channels.
    """
    if name == "pooled":
        return pooled(channels)
    if name not in FIDIP:
        raise UserError(f"unknown domain classifier '{name}': {nearest(name, ['pooled', *FIDIP])}")
    classifier = FIDIP[name]()
    if classifier.expects[0] != channels:
        raise UserError(
            f"domain classifier '{name}' takes {classifier.expects[0]} channels, the network gives {channels}; "
            "use 'pooled'"
        )
    return classifier
