"""Where fits begin: orientations and poses compared with the keypoints in closed form.

A picture tells little of depth: a body seen from the front and one seen from behind, a leg bent towards the camera and one
bent away, project alike, and a descent from the wrong one does not find the right one. So all of a few hundred poses are
projected along a few dozen view directions (weak perspective). In the plane of the picture, turn, scale and shift that
bring the projection nearest to the keypoints are the solution of a complex least-squares problem; its residual costs a few
matrix products for all people, poses and directions together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .folding import PointModel
from .kinematics import pose_points

DEPTHS_APART = 0.5
"""Radians between neighbouring starts: directions nearer than this to a better one are passed over."""


@dataclass(frozen=True)
class Library:
    """Poses under view directions.

    Attributes:
        pose: (E, J - 1, 3) axis-angle. views: (G, 3, 3) body to camera rotations, free of turns in the picture.
        flat: (K, E G) complex, points of pose e in view g about the pelvis, metres, y down.
        near: (G, G) bool, views within :data:`DEPTHS_APART`. pelvis: (3,) root joint at rest, metres.
    """

    pose: Tensor
    views: Tensor
    flat: Tensor
    near: Tensor
    pelvis: Tensor


@dataclass(frozen=True)
class Starts:
    """H first guesses for each of N people: root (N, H, 3, 3), pose (N, H, J - 1, 3), pelvis (N, H, 3) metres in the
    camera frame, residual (N, H) pixels (root mean square), view (N, H)."""

    root: Tensor
    pose: Tensor
    pelvis: Tensor
    residual: Tensor
    view: Tensor


def view_directions(count: int) -> np.ndarray:
    """Rotations (count, 3, 3), body frame to camera, that look at a body from directions spread over the sphere.

    The first row of each is the camera's x axis, and so on; the body's up axis points up in the picture, where it can.
    Directions lie on a Fibonacci lattice (Gonzalez 2010).
    """
    k = np.arange(count) + 0.5
    height, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - height**2)
    eye = np.stack([flat * np.sin(angle), height, flat * np.cos(angle)], 1)  # where the camera is
    forward = -eye
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], 1)


def build_library(model: PointModel, pose: Tensor, directions: int) -> Library:
    """Project poses (E, J - 1, 3) of a mean-shaped body along view directions."""
    views = torch.as_tensor(view_directions(directions), dtype=pose.dtype, device=pose.device)
    count, zero = len(pose), pose.new_zeros
    identity = torch.eye(3, dtype=pose.dtype, device=pose.device).expand(count, 3, 3)
    points = pose_points(model, identity, pose, zero(count, model.betas), zero(count, 3)).points[:, : model.points]
    pelvis = model.rest[:3]
    seen = torch.einsum("gij,ekj->kegi", views[:, :2], points - pelvis)
    cosine = torch.einsum("gj,hj->gh", views[:, 2], views[:, 2])
    return Library(
        pose, views, torch.complex(seen[..., 0], seen[..., 1]).flatten(1), cosine > np.cos(DEPTHS_APART), pelvis
    )


def find_starts(library: Library, pixels: Tensor, weight: Tensor, camera: Tensor, count: int) -> Starts:
    """The ``count`` best distinct view directions of each person, each with its best pose.

    Args:
        pixels: (N, K, 2). weight: (N, K), zero for keypoints that are missing. camera: (N, 4) fx, fy, cx, cy.
    """
    people, views = len(pixels), len(library.views)
    square = (weight / weight.amax(1, keepdim=True)).square()
    total = square.sum(1, keepdim=True)
    seen = torch.complex(pixels[..., 0], pixels[..., 1])
    middle = (square * seen).sum(1, keepdim=True) / total
    centred = torch.where(weight > 0, seen - middle, 0)
    shares = square.to(seen.dtype)
    mean = shares @ library.flat / total  # (N, C)
    cross = (shares * centred) @ library.flat.conj()  # sum w o conj(q), o being centred
    spread = square @ library.flat.abs().square() - total * mean.abs().square()
    energy = (square * centred.abs().square()).sum(1, keepdim=True)
    left = (energy - cross.abs().square() / spread.clamp_min(1e-9)).clamp_min(0).view(people, -1, views)
    best, exemplar = left.min(1)  # (N, G)
    chosen = _distinct(best, library.near, count)
    rows = torch.arange(people, device=pixels.device)[:, None]
    exemplar = exemplar[rows, chosen]
    column = exemplar * views + chosen
    factor = cross[rows, column] / spread[rows, column].clamp_min(1e-9).to(seen.dtype)  # pixels a metre, and the turn
    origin = middle - factor * mean[rows, column]
    residual = (best[rows, chosen] / total).sqrt()
    root, pelvis = _place(library.views[chosen], factor, origin, camera)
    return Starts(root, library.pose[exemplar], pelvis, residual, chosen)


def _distinct(left: Tensor, near: Tensor, count: int) -> Tensor:
    """Greedily the ``count`` smallest of ``left`` (N, G), each barring its neighbours."""
    barred, chosen = left.clone(), []
    for _ in range(min(count, left.shape[1])):
        index = barred.argmin(1)
        chosen.append(index)
        barred = torch.where(near[index], barred + 1e9, barred)
    return torch.stack(chosen, 1)


def _place(view: Tensor, factor: Tensor, origin: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """Orientation (N, H, 3, 3) and pelvis (N, H, 3) in the camera frame of weak-perspective solutions.

    The body is turned with the ray to its pelvis, since weak perspective looks along that ray.
    """
    turn = factor / factor.abs().clamp_min(1e-9)
    zero, one = torch.zeros_like(turn.real), torch.ones_like(turn.real)
    rows = [turn.real, -turn.imag, zero, turn.imag, turn.real, zero, zero, zero, one]
    rotation = torch.stack(rows, -1).unflatten(-1, (3, 3)) @ view
    focal, centre = camera[:, None, :2], camera[:, None, 2:]
    flat = (torch.stack([origin.real, origin.imag], -1) - centre) / focal
    depth = focal.mean(-1) / factor.abs().clamp_min(1e-3)
    pelvis = torch.cat([flat, torch.ones_like(flat[..., :1])], -1) * depth.unsqueeze(-1)
    ray = pelvis / pelvis.norm(dim=-1, keepdim=True)
    # Smallest rotation that takes the optical axis to the ray: 1 + [a]x + [a]x^2 / (1 + cos), a = z x ray.
    x, y, cosine = ray.unbind(-1)
    skew = torch.stack([zero, zero, x, zero, zero, y, -x, -y, zero], -1).unflatten(-1, (3, 3))
    aim = torch.eye(3, dtype=ray.dtype, device=ray.device) + skew + skew @ skew / (1 + cosine)[..., None, None]
    return aim @ rotation, pelvis
