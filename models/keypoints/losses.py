"""Losses of adversarial keypoint training (FiDIP: Huang et al., "Invariant Representation
Learning for Infant Pose Estimation with Small Data", FG 2021)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def joints_mse(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """FiDIP's and HRNet's heatmap loss ``(1/J) · Σ_j 0.5 · mean((w·p − w·t)²)``, the mean over **batch and pixels**.

    A joint of weight 0 adds nothing to the sum but still counts in the mean, so a batch half of which is unlabelled has
    half the loss. Rescaling this loss rescales the adversarial weight λ that goes with it.

    Args:
        predicted, target: ``(b, j, h, w)``.
        weight: ``(b, j)``, 1 labelled, 0 not.

    Returns:
        Scalar in float32, whatever the autocast type of ``predicted``.
    """
    w = weight[..., None, None]
    return 0.5 * (w * predicted.float() - w * target).square().mean()


def domain_bce(logits: Tensor, domain: Tensor) -> Tensor:
    """Binary cross-entropy of domain logits ``(b,)`` against ``domain`` ``(b,)``: 1 source, 0 target.

    The classifier descends it; the pose network ascends it, weighted by λ: ``joints_mse − λ · domain_bce``.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), domain.to(logits.device).float())
