"""Mean teacher on unlabelled target pictures (Tarvainen & Valpola, NeurIPS 2017; for keypoints: Kim et al., "A Unified
Framework for Domain Adaptive Pose Estimation", ECCV 2022, and SHIFT, arXiv:2504.05789).

The teacher, the running average of the pose network's weights, looks at the weak view of a target picture, the pose
network at the strong view of the same crop. Where the teacher is confident of a keypoint, its heatmap is the label.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...models.keypoints.base import normalise
from ...models.keypoints.heatmaps import decode, encode, flip_heatmaps
from ...models.keypoints.losses import joints_mse
from ..keypoint_config import KeypointConfig
from .config import TeacherConfig
from .held import held_statistics
from .term import Step, Term

RAMP_SHAPE = 5.0  # weight · exp(−5 (1 − t)²), Tarvainen & Valpola, appendix B


class MeanTeacher(Term):
    """Consistency of the pose network with its own average; see ``TeacherConfig``."""

    needs_weak_view = True

    def __init__(self, cfg: KeypointConfig, teacher: nn.Module, flip_permutation: list[int]) -> None:
        """``teacher`` is the averaged network, which the task updates after each step."""
        super().__init__()
        self.config: TeacherConfig = cfg.teacher
        self.data = cfg.data
        self.teacher = teacher
        self.flip_permutation = flip_permutation
        self.thresholds: Tensor | None = None

    def loss(self, step: Step) -> Tensor | None:
        """JointsMSE against pseudo-labels, over the batch's target samples that have no labels."""
        target = step.batch["labelled"].logical_not()
        target[: step.sources] = False
        rows = torch.nonzero(target)[:, 0]  # the batch's own tensors lie on the host: this waits for no GPU
        weight = self.config.weight * ramp(step.fraction, self.config.ramp)
        if not len(rows) or weight == 0:
            return None
        device = step.heatmaps.device
        rows = rows.to(device, non_blocking=True)
        pseudo, mask = self.pseudo_labels(step, rows)
        step.metrics["teacher_kept"] = mask.mean()
        share = len(rows) / len(step.heatmaps)  # so that weight 1 weighs a pseudo-label like a label
        loss = joints_mse(step.heatmaps[rows], pseudo, mask) * share
        step.metrics["teacher_mse"] = loss.detach()
        return weight * loss

    @torch.no_grad()
    def pseudo_labels(self, step: Step, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmaps ``(n, j, h, w)`` to learn from, and which keypoints to learn ``(n, j)``."""
        images = normalise(step.batch["weak_image"].to(rows.device, non_blocking=True)[rows])
        with step.autocast:
            heatmaps = self._teach(images)
            if self.config.flip:
                mirrored = self._teach(images.flip(-1))
                heatmaps = 0.5 * (heatmaps + flip_heatmaps(mirrored, self.flip_permutation))
        heatmaps = heatmaps.float()
        if self.config.label == "heatmap":
            scores = heatmaps.amax((-2, -1))
            return heatmaps, self._confident(scores)
        h, w = heatmaps.shape[-2:]
        keypoints, scores = decode(heatmaps, self.data.input)
        mask = self._confident(scores)
        return encode(keypoints, mask, self.data.input, (w, h), self.data.sigma), mask

    def _teach(self, images: Tensor) -> Tensor:
        """The teacher's heatmaps, normalised by this batch of target pictures or by its running statistics."""
        heatmaps: Tensor
        if self.config.statistics == "running":
            heatmaps = self.teacher.eval()(images)[1]
            return heatmaps
        with held_statistics(self.teacher):
            heatmaps = self.teacher.train()(images)[1]
        self.teacher.eval()
        return heatmaps

    def _confident(self, scores: Tensor) -> Tensor:
        """Which keypoints count, ``(n, j)`` of 0 and 1: above a fixed confidence, or the surest share of each joint's.

        A joint that is hard has low peaks everywhere, so one threshold for all joints would teach the easy ones only.
        The joint's own threshold is a running mean of the quantile of its scores.
        """
        if self.config.keep is None:
            return (scores >= self.config.confidence).float()
        quantile = torch.quantile(scores, 1 - self.config.keep, dim=0)
        momentum = self.config.momentum
        old = quantile if self.thresholds is None else self.thresholds.to(scores.device)
        self.thresholds = momentum * old + (1 - momentum) * quantile
        return ((scores >= self.thresholds) & (scores > 0)).float()

    def state_dict(self) -> dict[str, Any]:
        """The joints' thresholds."""
        return {"thresholds": None if self.thresholds is None else self.thresholds.cpu()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.thresholds = state["thresholds"]


def ramp(fraction: float, length: float) -> float:
    """Rises from 0 to 1 over the first ``length`` of the run as ``exp(−5 (1 − t)²)``."""
    t = min(fraction / length, 1.0) if length > 0 else 1.0
    return math.exp(-RAMP_SHAPE * (1 - t) ** 2) if t > 0 else 0.0
