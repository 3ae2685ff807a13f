"""Spheres along the bones of a body: a cheap stand-in for its skin in the interpenetration term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...models.bodies.body import Body
from ...models.joints import joint_set

ALONG = (0.3, 0.8)
"""Places on a bone, from the parent's joint to the child's."""

SHRINK = 0.8
"""Share of a sphere's radius that counts: skin gives way, and bodies touch themselves."""


@dataclass(frozen=True)
class Spheres:
    """S spheres: rows (S, J) of weights of the posed joints that give their centres, radii (S,) metres, and the pairs
    (P, 2) that may not meet: those of bones at least two joints apart."""

    rows: np.ndarray
    radii: np.ndarray
    pairs: np.ndarray


def build_spheres(body: Body) -> Spheres:
    """Spheres along the bones of the 22 body joints, as thick as the skin about them on the template."""
    names = joint_set(body.joint_set).joints
    bones = [(p, c) for c, p in enumerate(body.parents) if p >= 0 and names[c] in joint_set("smpl24").joints[:22]]
    joints = body.mesh.joints.double().cpu().numpy()
    rows, radii, owner = [], [], []
    for bone, (parent, child) in enumerate(bones):
        start, along = joints[parent], joints[child] - joints[parent]
        near = body.template[body.weights[:, parent] > 0.5].astype(np.float64)
        if not len(near) or parent == 0:
            continue
        share = (near - start) @ along / (along @ along)
        beside = (share > 0) & (share < 1)
        if not beside.any():
            continue
        radius = np.median(np.linalg.norm(near - start - share[:, None] * along, axis=1)[beside])
        for part in ALONG:
            row = np.zeros(len(joints))
            row[parent], row[child] = 1 - part, part
            rows.append(row)
            radii.append(SHRINK * radius)
            owner.append(bone)
    return Spheres(np.stack(rows), np.array(radii), _pairs(joints, np.stack(rows), np.array(radii), bones, owner))


def _pairs(joints: np.ndarray, rows: np.ndarray, radii: np.ndarray, bones: list, owner: list[int]) -> np.ndarray:
    """Pairs of spheres on bones without a common joint that do not meet on the template."""
    centres = rows @ joints
    gap = np.linalg.norm(centres[:, None] - centres[None], axis=-1) - radii[:, None] - radii[None]
    pairs = [
        (a, b)
        for a in range(len(owner))
        for b in range(a)
        if not set(bones[owner[a]]) & set(bones[owner[b]]) and gap[a, b] > 0
    ]
    return np.array(pairs, np.int64)


class SphereTerm:
    """Sum over pairs of squared overlaps in centimetres; linearised for Gauss-Newton.

    Args:
        spheres: what to keep apart. device, dtype: of the tensors.
    """

    def __init__(self, spheres: Spheres, device: torch.device, dtype: torch.dtype) -> None:
        self.first, self.second = (torch.as_tensor(column, device=device) for column in spheres.pairs.T)
        radii = torch.as_tensor(spheres.radii, dtype=dtype, device=device)
        self.reach = radii[self.first] + radii[self.second]

    def _overlap(self, centres: Tensor) -> tuple[Tensor, Tensor]:
        apart = centres[:, self.first] - centres[:, self.second]
        distance = apart.norm(dim=-1).clamp_min(1e-6)
        return 100 * (self.reach - distance).clamp_min(0), apart / distance.unsqueeze(-1)

    def value(self, centres: Tensor) -> Tensor:
        """Sum of squared overlaps (M,) at sphere centres (M, S, 3)."""
        return self._overlap(centres)[0].square().sum(1)

    def add(self, centres: Tensor, moves: Tensor, weight: float, gradient: Tensor, hessian: Tensor) -> Tensor:
        """Add the weighted term to halved gradient and Hessian in place; its value (M,).

        ``moves``: (M, S, 3, E) derivative of the centres by the first E unknowns.
        """
        overlap, along = self._overlap(centres)
        apart = moves[:, self.first] - moves[:, self.second]  # (M, P, 3, E)
        touching = (overlap > 0).unsqueeze(-1)
        jacobian = torch.where(touching, -100 * (along.unsqueeze(-2) @ apart).squeeze(-2), 0.0)  # (M, P, E)
        width = jacobian.shape[-1]
        gradient[:, :width] += weight * (jacobian.transpose(1, 2) @ overlap.unsqueeze(-1)).squeeze(-1)
        hessian[:, :width, :width] += weight * jacobian.transpose(1, 2) @ jacobian
        return weight * overlap.square().sum(1)
