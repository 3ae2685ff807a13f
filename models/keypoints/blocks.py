"""Residual blocks that HRNet and ResNet share, with the state-dict names of the published code."""

from __future__ import annotations

from torch import Tensor, nn

BN_MOMENTUM = 0.1  # of the published code


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with the published momentum."""
    return nn.BatchNorm2d(channels, momentum=BN_MOMENTUM)


def conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A padded 3×3 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and an identity shortcut; channels and size unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3(channels, channels), batch_norm(channels)
        self.conv2, self.bn2 = conv3(channels, channels), batch_norm(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(b, c, h, w) → (b, c, h, w)``."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)).add_(x))


class Bottleneck(nn.Module):
    """1×1, 3×3 (which carries the stride), 1×1 convolutions with a shortcut; 4·planes output channels."""

    def __init__(self, inputs: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, bias=False), batch_norm(planes)
        self.conv2, self.bn2 = conv3(planes, planes, stride), batch_norm(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, 4 * planes, 1, bias=False), batch_norm(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if inputs != 4 * planes or stride != 1:
            shortcut = nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, batch_norm(4 * planes))

    def forward(self, x: Tensor) -> Tensor:
        """``(b, inputs, h, w) → (b, 4·planes, h / stride, w / stride)``."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y.add_(x if self.downsample is None else self.downsample(x)))
