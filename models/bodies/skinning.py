"""Linear blend skinning of SMPL-family bodies (Loper et al. 2015, equations 2-10), batched for one CPU core.

The same function as ``smplx.lbs`` (a test holds them together), computed on coordinate planes (B, 3, V): all large
operations are matrix products or run over contiguous memory, and pose correctives that are zero cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from ..geometry import axis_angle_to_matrix


@dataclass(frozen=True)
class SkinnedMesh:
    """Arrays of a body, prepared for :func:`skin`.

    Attributes:
        template: (3V,) float32, T-pose vertices as planes (all x, all y, all z), metres.
        shapedirs: (N, 3V) float32, displacement for each unit of beta, metres.
        posedirs: (P, 3V) float32, rows of the pose correctives that are not all zero.
        pose_features: (P,) int64, which of the 9 (J - 1) pose features those rows belong to.
        joints: (J, 3) float32, joints of the template; joint_shapedirs: (N, 3J) float32, their change with beta.
        parents: parent of each joint, -1 at the root, parents before children.
        weights: (J, V) float32, each column sums to one.
    """

    template: torch.Tensor
    shapedirs: torch.Tensor
    posedirs: torch.Tensor
    pose_features: torch.Tensor
    joints: torch.Tensor
    joint_shapedirs: torch.Tensor
    parents: tuple[int, ...]
    weights: torch.Tensor


def prepare(
    v_template: torch.Tensor,
    shapedirs: torch.Tensor,
    posedirs: torch.Tensor,
    joint_regressor: torch.Tensor,
    parents: tuple[int, ...],
    weights: torch.Tensor,
) -> SkinnedMesh:
    """Rearrange a body's arrays from SMPL's layout.

    Args:
        v_template: (V, 3). shapedirs: (V, 3, N). posedirs: (9 (J - 1), 3V) as smplx holds them, x y z by vertex.
        joint_regressor: (J, V). parents: J entries. weights: (V, J).
    """
    count, betas = v_template.shape[0], shapedirs.shape[-1]
    planes = posedirs.reshape(-1, count, 3).transpose(1, 2).reshape(-1, 3 * count)
    active = torch.nonzero(planes.abs().amax(1) > 0)[:, 0]
    precise = shapedirs.double()
    joint_shapedirs = torch.einsum("jv,vkn->njk", joint_regressor.double(), precise).reshape(betas, -1)
    return SkinnedMesh(
        template=v_template.T.reshape(-1).contiguous(),
        shapedirs=shapedirs.permute(2, 1, 0).reshape(betas, -1).contiguous(),
        posedirs=planes[active].contiguous(),
        pose_features=active,
        joints=(joint_regressor.double() @ v_template.double()).to(v_template.dtype),
        joint_shapedirs=joint_shapedirs.to(v_template.dtype),
        parents=parents,
        weights=weights.T.contiguous(),
    )


def move(mesh: SkinnedMesh, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> SkinnedMesh:
    """The same mesh on a device, its floats in a precision."""
    tensors = {f.name: value for f in fields(mesh) if isinstance(value := getattr(mesh, f.name), torch.Tensor)}
    moved: dict[str, Any] = {
        name: value.to(device, dtype if value.is_floating_point() else None) for name, value in tensors.items()
    }
    return replace(mesh, **moved)


def joint_transforms(
    rotations: torch.Tensor, joints: torch.Tensor, parents: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Chain joint rotations from the root.

    Args:
        rotations: (B, J, 3, 3) relative to the parent. joints: (B, J, 3) of the T-pose, metres.

    Returns:
        world rotations (B, J, 3, 3) and posed joints (B, J, 3).
    """
    world, places = [rotations[:, 0]], [joints[:, 0]]
    for child, parent in enumerate(parents[1:], start=1):
        offset = (joints[:, child] - joints[:, parent]).unsqueeze(-1)
        places.append((world[parent] @ offset).squeeze(-1) + places[parent])
        world.append(world[parent] @ rotations[:, child])
    return torch.stack(world, 1), torch.stack(places, 1)


def skin(mesh: SkinnedMesh, betas: torch.Tensor, pose: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices and joints of posed bodies, without translation.

    Args:
        betas: (B, N) shape coefficients. pose: (B, J, 3) axis-angle, radians, global orientation first.

    Returns:
        vertices as planes (B, 3, V) and joints (B, J, 3), metres.
    """
    batch, count = betas.shape[0], mesh.template.shape[0] // 3
    rotations = axis_angle_to_matrix(pose)
    identity = torch.eye(3, dtype=pose.dtype, device=pose.device)
    features = (rotations[:, 1:] - identity).reshape(batch, -1)[:, mesh.pose_features]
    shaped = torch.addmm(mesh.template, betas, mesh.shapedirs)
    shaped = torch.addmm(shaped, features, mesh.posedirs).view(batch, 3, count)

    rest_joints = mesh.joints + (betas @ mesh.joint_shapedirs).view(batch, -1, 3)
    world, joints = joint_transforms(rotations, rest_joints, mesh.parents)
    shift = joints - (world @ rest_joints.unsqueeze(-1)).squeeze(-1)
    transforms = torch.cat([world, shift.unsqueeze(-1)], -1)  # (B, J, 3, 4)
    blended = (transforms.reshape(batch, -1, 12).transpose(1, 2) @ mesh.weights).view(batch, 3, 4, count)

    x, y, z = shaped.unsqueeze(1).unbind(2)  # each (B, 1, V)
    vertices = torch.addcmul(blended[:, :, 3], blended[:, :, 0], x)
    vertices = torch.addcmul(vertices, blended[:, :, 1], y)
    return torch.addcmul(vertices, blended[:, :, 2], z), joints
