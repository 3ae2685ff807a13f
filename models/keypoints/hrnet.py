"""HRNet for pose, in the topology and with the state-dict names of the published code, at any width and depth.

Sun et al., "Deep High-Resolution Representation Learning for Human Pose Estimation", CVPR 2019. Module names
(``conv1 bn1 conv2 bn2 layer1 transition1 stage2 … stage4 final_layer``) are those of
leoxiaobin/deep-high-resolution-net.pytorch ``pose_hrnet``, so its checkpoints load as they are, DarkPose's and FiDIP's
too.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .base import HeatmapNetwork
from .blocks import BasicBlock, Bottleneck, batch_norm, conv3


def _conv3_bn(inputs: int, outputs: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [conv3(inputs, outputs, stride), batch_norm(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def _fuse_path(widths: Sequence[int], source: int, target: int) -> nn.Module | None:
    """From branch ``source`` to the size and width of branch ``target``; None where they are the same."""
    if source == target:
        return None
    if source > target:  # lower resolution: 1×1 and nearest upsampling
        return nn.Sequential(
            nn.Conv2d(widths[source], widths[target], 1, bias=False),
            batch_norm(widths[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    steps = target - source - 1  # higher resolution: strided 3×3, the last one changes width and has no ReLU
    down = [_conv3_bn(widths[source], widths[source], 2) for _ in range(steps)]
    return nn.Sequential(*down, _conv3_bn(widths[source], widths[target], 2, relu=False))


class HighResolutionModule(nn.Module):
    """Parallel branches of residual blocks, then every branch receives the sum over all of them ("FUSE: SUM")."""

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], multi_scale_output: bool = True) -> None:
        super().__init__()
        count = len(widths)
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(depth)))
            for width, depth in zip(widths, blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(  # holds None on the diagonal, as upstream
            nn.ModuleList(_fuse_path(widths, j, i) for j in range(count))  # type: ignore[misc]
            for i in range(count if multi_scale_output else 1)
        )
        self.relu = nn.ReLU()

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        """One map a branch in, one map a branch out (only the first without ``multi_scale_output``)."""
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            assert isinstance(paths, nn.ModuleList)
            terms = [x if path is None else path(x) for path, x in zip(paths, xs, strict=True)]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            fused.append(self.relu(total))
        return fused


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Adapt the maps of one stage to the widths of the next, and open its new, lower-resolution branches."""
    layers: list[nn.Module | None] = []
    for i, width in enumerate(after):
        if i < len(before):
            layers.append(None if before[i] == width else _conv3_bn(before[i], width))
        else:
            steps = i - len(before)
            down = [_conv3_bn(before[-1], before[-1], 2) for _ in range(steps)]
            layers.append(nn.Sequential(*down, _conv3_bn(before[-1], width, 2)))
    return nn.ModuleList(layers)  # type: ignore[arg-type]  # holds None, as upstream


class HRNet(HeatmapNetwork):
    """High-resolution network for keypoint heatmaps.

    Args:
        joints: number of heatmaps.
        widths: channels of the branches, highest resolution first (published: ``w, 2w, 4w, 8w`` with w = 32 or 48).
        modules: high-resolution modules of stages 2, 3, …; stage s has s branches, so one number less than ``widths``.
        blocks: residual blocks of each branch in a module, highest resolution first (published: 4 everywhere).
        stem: channels of the two strided convolutions in front.
        planes: planes of each stage-1 bottleneck (``4 · planes`` channels leave it); empty for none.

    Input ``(b, 3, H, W)``, H and W multiples of ``stride`` (32 for four branches). Returns ``(feature, heatmaps)``:
    the highest-resolution map before the head ``(b, widths[0], H/4, W/4)`` and ``(b, joints, H/4, W/4)``.
    """

    def __init__(
        self,
        joints: int,
        widths: Sequence[int],
        modules: Sequence[int] = (1, 4, 3),
        blocks: Sequence[int] = (4, 4, 4, 4),
        stem: tuple[int, int] = (64, 64),
        planes: Sequence[int] = (64, 64, 64, 64),
    ) -> None:
        assert len(modules) == len(widths) - 1, (modules, widths)
        super().__init__(feature_channels=widths[0], stride=4 * 2 ** len(modules))
        self.stages = len(modules)
        self.conv1, self.bn1 = conv3(3, stem[0], 2), batch_norm(stem[0])
        self.conv2, self.bn2 = conv3(stem[0], stem[1], 2), batch_norm(stem[1])
        self.relu = nn.ReLU(inplace=True)
        inputs = [stem[1], *(4 * p for p in planes)]
        self.layer1 = nn.Sequential(*(Bottleneck(i, p) for i, p in zip(inputs, planes, strict=False)))
        before = inputs[-1:]
        for s, count in enumerate(modules):
            after = list(widths[: s + 2])
            last = s == len(modules) - 1
            setattr(self, f"transition{s + 1}", _transition(before, after))
            stage = [HighResolutionModule(after, blocks[: s + 2], not (last and m == count - 1)) for m in range(count)]
            setattr(self, f"stage{s + 2}", nn.Sequential(*stage))
            before = after
        self.final_layer = nn.Conv2d(widths[0], joints, 1)
        self.initialise()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(b, 3, H, W)`` normalised images → ``(feature (b, widths[0], H/4, W/4), heatmaps (b, joints, H/4, W/4))``.

        Raises:
            UserError: if H or W is no multiple of ``stride``.
        """
        self.check_size(images)
        x = self.relu(self.bn1(self.conv1(images)))
        xs = [self.layer1(self.relu(self.bn2(self.conv2(x))))]
        for s in range(1, self.stages + 1):
            transition = getattr(self, f"transition{s}")
            known = len(xs)  # a new branch grows from the lowest-resolution map
            xs = [xs[min(i, known - 1)] if t is None else t(xs[min(i, known - 1)]) for i, t in enumerate(transition)]
            xs = getattr(self, f"stage{s + 1}")(xs)
        return xs[0], self.final_layer(xs[0])
