"""A body model ready for use: shape and pose in, vertices, joints and keypoints out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import smplx
import torch

from ...config import UserError
from .skinning import SkinnedMesh, skin

BETA_LIMIT = 2.2
"""Sampled betas stay within this many standard deviations: beyond it infants thin out or swell."""

KERNEL = 0.25
"""Width of the kernel of ``sample_betas`` in standard deviations of each beta."""


@dataclass(frozen=True)
class BodyOutput:
    """What a body returns: ``vertices`` (B, V, 3), ``joints`` (B, J, 3), ``keypoints`` (B, 17, 3), COCO order.

    Metres, float32, in the frame of the given pose and translation.
    """

    vertices: torch.Tensor
    joints: torch.Tensor
    keypoints: torch.Tensor


@dataclass(frozen=True)
class Body:
    """An SMPL-family body.

    The native frame is SMPL's: T-pose, Y up, facing +Z, the person's left at +X, metres. Made by ``load_body``.

    Attributes:
        name: "open-infant", or the stem of the file.
        faces: (F, 3) int32, counter-clockwise from outside.
        uv: (T, 2) float32 texture coordinates; (0, 0) is the **top-left** corner of a texture, v grows downwards.
        uv_faces: (F, 3) int32 into ``uv``.
        part_ids: (F,) uint8, 1 + index of the SMPL joint that dominates the face's skinning weights (1..24).
        template: (V, 3) float32, vertices at zero betas and zero pose.
        weights: (V, J) float32 skinning weights.
        parents: parent of each joint, -1 at the root.
        keypoint_depth: (17,) float32, distance of each COCO keypoint to the skin of the template, metres.
        num_betas: shape coefficients used. joint_count: joints J, 24.
        licence: sentence to carry into data sets made with this body.
        layer: the ``smplx`` model holding the same arrays.
    """

    name: str
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    part_ids: np.ndarray
    template: np.ndarray
    weights: np.ndarray
    parents: tuple[int, ...]
    keypoint_depth: np.ndarray
    num_betas: int
    joint_count: int
    licence: str
    layer: smplx.SMPL
    mesh: SkinnedMesh = field(repr=False)
    keypoint_regressor: torch.Tensor = field(repr=False)
    population: np.ndarray | None = field(default=None, repr=False)
    population_months: np.ndarray | None = field(default=None, repr=False)
    meta: dict[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, betas: torch.Tensor, pose: torch.Tensor, transl: torch.Tensor) -> BodyOutput:
        """Pose a batch of bodies; differentiable.

        Args:
            betas: (B, num_betas) float32, in standard deviations of the population.
            pose: (B, 72) or (B, 24, 3) float32 axis-angle, radians, global orientation first.
            transl: (B, 3) float32, metres, added after the body has turned about its pelvis.

        Raises:
            ValueError: for shapes that do not match.
        """
        batch = betas.shape[0]
        if betas.shape != (batch, self.num_betas) or pose.numel() != batch * self.joint_count * 3:
            raise ValueError(
                f"{self.name} needs betas (B, {self.num_betas}) and pose (B, {self.joint_count * 3}), "
                f"got {tuple(betas.shape)} and {tuple(pose.shape)}"
            )
        planes, joints = skin(self.mesh, betas, pose.reshape(batch, self.joint_count, 3))
        planes = planes + transl.unsqueeze(-1)
        keypoints = (planes @ self.keypoint_regressor.T).transpose(1, 2)
        return BodyOutput(planes.transpose(1, 2).contiguous(), joints + transl.unsqueeze(1), keypoints.contiguous())

    def sample_betas(self, rng: np.random.Generator, n: int, months: tuple[float, float] | None = None) -> np.ndarray:
        """Draw ``n`` plausible shapes, (n, num_betas) float32.

        Bodies that carry the population they were built from are drawn by a smoothed bootstrap: a member of the
        population, shrunk and given Gaussian noise of width :data:`KERNEL` such that mean and variance stay those of
        the population (Silverman 1986, section 6.4.1). Age and build therefore stay coupled as in the population, which
        independent Gaussians would not keep. Other bodies: independent standard normals. Both are clamped to
        +-:data:`BETA_LIMIT`.

        Args:
            rng: source of randomness; the draws depend on it alone.
            months: only members of the population whose age lies in this range, in months.

        Raises:
            UserError: for a range of months that the body does not have.
        """
        if self.population is None:
            if months is not None:
                raise UserError(f"body '{self.name}' does not know ages: leave 'months' out")
            draws = rng.standard_normal((n, self.num_betas))
        else:
            members = self._members(months)
            chosen = self.population[members[rng.integers(len(members), size=n)]].astype(np.float64)
            noise = rng.standard_normal((n, self.num_betas))
            draws = (chosen + KERNEL * noise) / np.sqrt(1 + KERNEL**2)
        return np.clip(draws, -BETA_LIMIT, BETA_LIMIT).astype(np.float32)

    def _members(self, months: tuple[float, float] | None) -> np.ndarray:
        """Indices of the members of the population in an age range."""
        assert self.population_months is not None
        if months is None:
            return np.arange(len(self.population_months))
        members = np.flatnonzero((self.population_months >= months[0]) & (self.population_months <= months[1]))
        if not len(members):
            low, high = self.population_months.min(), self.population_months.max()
            raise UserError(
                f"no body of '{self.name}' is {months} months old: choose a range within {low:.0f}-{high:.0f}"
            )
        return members
