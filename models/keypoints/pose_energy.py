"""How plausible a set of 2D keypoints is: a Gaussian over its shape, learned from labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...config import UserError

RIDGE = 0.05  # of the mean variance, added to the covariance's diagonal


class GaussianShape(nn.Module):
    """Squared Mahalanobis distance of keypoints, centred and scaled to unit RMS, per degree of freedom.

    About 1 for shapes like those it was fitted to. Invariant to translation and scale, not to rotation.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, keypoints: np.ndarray) -> None:
        """Fit to ``(n, j, 2)`` keypoints, all labelled.

        Raises:
            UserError: for fewer than two examples.
        """
        super().__init__()
        if len(keypoints) < 2:
            raise UserError(f"a pose prior needs people with all keypoints labelled, found {len(keypoints)}")
        shapes = normalise_shape(torch.as_tensor(keypoints, dtype=torch.float64)).flatten(1)
        centred = shapes - shapes.mean(0)
        covariance = centred.T @ centred / len(shapes)
        covariance += RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
        inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
        self.register_buffer("mean", shapes.mean(0).float())
        self.register_buffer("whiten", inverse.float())

    def forward(self, keypoints: Tensor) -> Tensor:
        """``(b, j, 2)`` → ``(b,)``."""
        offset = normalise_shape(keypoints.float()).flatten(1) - self.mean
        return (offset @ self.whiten.T).square().mean(1)


def normalise_shape(keypoints: Tensor) -> Tensor:
    """Keypoints ``(b, j, 2)`` about their mean, scaled to a root-mean-square distance of 1."""
    centred = keypoints - keypoints.mean(1, keepdim=True)
    size = centred.square().sum(-1).mean(1).clamp_min(1e-12).sqrt()
    return centred / size[:, None, None]


def soft_argmax(heatmaps: Tensor, sharpness: float) -> Tensor:
    """Expected position under ``softmax(sharpness · heatmap)``: ``(b, j, h, w)`` → ``(b, j, 2)`` x, y in heatmap pixels."""
    h, w = heatmaps.shape[-2:]
    probability = (sharpness * heatmaps.float().flatten(2)).softmax(-1).unflatten(-1, (h, w))
    x = (probability.sum(-2) * torch.arange(w, device=heatmaps.device)).sum(-1)
    y = (probability.sum(-1) * torch.arange(h, device=heatmaps.device)).sum(-1)
    return torch.stack([x, y], dim=-1)
