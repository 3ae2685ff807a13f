"""What a batch of people is fitted to: pixels, their weights, and cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...datasets.keypoint_files import PersonKeypoints
from .config import FitConfig
from .setup import Setup
from .variables import Targets

SMPLIFY_DATA, SMPLIFY_RHO, SMPLIFY_FOCAL = 1000.0, 100.0, 1800.0
"""SMPLify-X as used for infants: data weight times picture height, rho and focal length in pixels."""


def make_targets(setup: Setup, people: Sequence[PersonKeypoints], config: FitConfig, K: np.ndarray | None) -> Targets:
    """Pixels, weights and cameras of people of one joint set; ``K`` (N, 3, 3) where cameras are known."""
    keypoints = np.stack([np.asarray(person.keypoints, np.float64) for person in people])
    size = np.array([(person.width, person.height) for person in people], np.float64)
    confidence = np.where(setup.usable, keypoints[..., 2], 0.0)
    pixels = np.where(confidence[..., None] > 0, keypoints[..., :2], 0.0)
    if config.recipe == "smplify":
        scale, rho = SMPLIFY_DATA / size[:, 1], np.full(len(people), SMPLIFY_RHO)
    else:
        noise = np.maximum(config.data.sigma_px, config.data.sigma * box_diagonals(keypoints, confidence > 0))
        scale, rho = 1 / noise, config.data.rho * noise
    camera = np.empty((len(people), 4))
    spread = config.camera.focal_spread if config.recipe == "sim2pose" else 0.0
    if K is not None:
        camera[:] = np.stack([K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2]], 1)
        spread = 0.0
    else:
        usual = SMPLIFY_FOCAL if config.recipe == "smplify" else config.camera.focal_share * size.max(1)
        focal = usual if config.camera.focal is None else config.camera.focal
        camera[:, :2] = np.broadcast_to(focal, len(people))[:, None]
        camera[:, 2:] = (size - 1) / 2
    arrays = (
        pixels,
        confidence * scale[:, None],
        rho,
        camera,
        np.zeros(len(people)),
        np.full(len(people), 1 / spread if spread else 0.0),
    )
    like = setup.mean
    return Targets(*(torch.as_tensor(array, dtype=like.dtype, device=like.device) for array in arrays))


def box_diagonals(keypoints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Diagonals (N,) of the boxes about seen keypoints, pixels, at least 1."""
    low = np.where(seen[..., None], keypoints[..., :2], np.inf).min(1)
    high = np.where(seen[..., None], keypoints[..., :2], -np.inf).max(1)
    diagonals: np.ndarray = np.maximum(np.linalg.norm(high - low, axis=1), 1.0)
    return diagonals
