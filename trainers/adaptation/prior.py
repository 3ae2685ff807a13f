"""A pose prior on unlabelled target pictures: keypoints that no body has cost something.

The energy is any module from keypoints ``(b, j, 2)`` to ``(b,)``; :func:`source_prior` fits one to the source's labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...datasets.persons import PersonDataset
from ...models.keypoints.pose_energy import GaussianShape, soft_argmax
from ..keypoint_config import KeypointConfig
from .teacher import ramp
from .term import Step, Term

SHARPNESS = 25.0  # of the soft argmax; heatmaps have a peak of 1


class PriorTerm(Term):
    """Mean energy of the keypoints that the pose network sees on the target; see ``PriorConfig``."""

    def __init__(self, cfg: KeypointConfig, energy: nn.Module) -> None:
        super().__init__()
        self.config = cfg.prior
        self.energy = energy.requires_grad_(False).eval()

    def loss(self, step: Step) -> Tensor | None:
        """``weight`` times the mean energy, each sample's held at ``clip``."""
        weight = self.config.weight * ramp(step.fraction, self.config.ramp)
        if step.sources == len(step.heatmaps) or weight == 0:
            return None
        keypoints = soft_argmax(step.heatmaps[step.sources :], SHARPNESS)
        energy = self.energy(keypoints)
        step.metrics["prior_energy"] = energy.detach().mean()
        return weight * torch.clamp(energy, max=self.config.clip).mean()


def source_prior(source: PersonDataset) -> GaussianShape:
    """The shape of the source's fully labelled people, as they stand in the pictures.

    Raises:
        UserError: if no two of them are fully labelled.
    """
    full = (source.keypoints[..., 2] > 0).all(axis=1) & source.labelled
    return GaussianShape(source.keypoints[full][..., :2])
