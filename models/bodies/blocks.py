"""Linear blend skinning for drawing: the function of :mod:`.skinning`, several times as fast, without gradients.

Meshes list neighbours near each other, so that a run of some hundred vertices hangs on a few joints and answers to a few
pose correctives. Such blocks are posed one by one, with the few columns each needs, while they lie in the core's cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..turns import Floats, chain, vectors_to_matrices
from .skinning import SkinnedMesh

WIDTH = 256
"""Vertices of a block: measured, 128 to 384 differ by less than a tenth."""


@dataclass(frozen=True)
class Skeleton:
    """Posed joints of B bodies, without translation.

    Attributes:
        local, world: (B, J, 3, 3) rotations, relative to the parent and to the world.
        rest, joints: (B, J, 3) metres, of the T-pose and posed. All float32.
    """

    local: Floats
    world: Floats
    rest: Floats
    joints: Floats


@dataclass(frozen=True)
class Block:
    """Vertices ``first`` to ``last - 1`` of a mesh, n of them.

    Attributes:
        joints: (k,) those that move any of them; weights: (k, n).
        features: (p,) rows of the pose correctives that are not zero here; posedirs: (p, 3n).
    """

    first: int
    last: int
    joints: torch.Tensor
    weights: torch.Tensor
    features: torch.Tensor
    posedirs: torch.Tensor


@dataclass(frozen=True)
class BlockedMesh:
    """A mesh in blocks."""

    mesh: SkinnedMesh
    blocks: tuple[Block, ...]


def blocked(mesh: SkinnedMesh, width: int = WIDTH) -> BlockedMesh:
    """Divide a mesh into blocks of ``width`` vertices."""
    count = mesh.template.shape[0] // 3
    correctives = mesh.posedirs.view(-1, 3, count)
    blocks = []
    for first in range(0, count, width):
        last = min(first + width, count)
        joints = torch.nonzero((mesh.weights[:, first:last] != 0).any(1))[:, 0]
        features = torch.nonzero((correctives[:, :, first:last] != 0).flatten(1).any(1))[:, 0]
        blocks.append(
            Block(
                first,
                last,
                joints,
                mesh.weights[joints, first:last].contiguous(),
                features,
                correctives[features, :, first:last].reshape(len(features), 3 * (last - first)).contiguous(),
            )
        )
    return BlockedMesh(mesh, tuple(blocks))


def some_vertices(mesh: SkinnedMesh, rows: NDArray[np.integer]) -> SkinnedMesh:
    """The vertices ``rows`` of a mesh, on the same joints."""
    kept = torch.from_numpy(np.asarray(rows, np.int64))
    count = mesh.template.shape[0] // 3
    planes = torch.cat([kept, kept + count, kept + 2 * count])
    return replace(
        mesh,
        template=mesh.template[planes],
        shapedirs=mesh.shapedirs[:, planes].contiguous(),
        posedirs=mesh.posedirs[:, planes].contiguous(),
        weights=mesh.weights[:, kept].contiguous(),
    )


def pose_joints(mesh: SkinnedMesh, betas: torch.Tensor, pose: torch.Tensor | Floats) -> Skeleton:
    """Pose the joints of bodies.

    Args:
        betas: (B, N) shape coefficients, or (1, N) for all. pose: (B, J, 3) axis-angle, radians, or (B, J, 3, 3) rotations.
    """
    turns = np.asarray(pose, np.float32)
    local = vectors_to_matrices(turns) if turns.ndim == 3 else turns
    rest = (mesh.joints + (betas @ mesh.joint_shapedirs).view(len(betas), -1, 3)).numpy()
    rest = np.broadcast_to(rest, (len(local), *rest.shape[1:]))
    world, joints = chain(local, rest, mesh.parents)
    return Skeleton(local, world, rest, joints)


def pose_features(mesh: SkinnedMesh, local: Floats) -> torch.Tensor:
    """Coefficients (B, P) of the pose correctives of local rotations (B, J, 3, 3)."""
    return torch.from_numpy((local[:, 1:] - np.eye(3, dtype=np.float32)).reshape(len(local), -1))[:, mesh.pose_features]


def skin_blocks(
    body: BlockedMesh, skeleton: Skeleton, betas: torch.Tensor, worn: torch.Tensor | None = None
) -> torch.Tensor:
    """Vertices (B, V, 3) of posed bodies, metres, without translation, contiguous.

    Args:
        skeleton: of :func:`pose_joints`. betas: (B, N) or (1, N) for all.
        worn: (B, 3, V) or (1, 3, V) metres by which clothes move the shaped template.
    """
    mesh, batch = body.mesh, len(skeleton.world)
    count = mesh.template.shape[0] // 3
    features = pose_features(mesh, skeleton.local)
    shift = skeleton.joints - (skeleton.world @ skeleton.rest[..., None])[..., 0]
    affine = np.concatenate([skeleton.world, shift[..., None]], -1).reshape(batch, -1, 12)
    transforms = torch.from_numpy(np.ascontiguousarray(affine.transpose(0, 2, 1)))  # (B, 12, J)
    shaped = torch.addmm(mesh.template, betas, mesh.shapedirs).view(len(betas), 3, count)
    if worn is not None:
        shaped = shaped + worn
    vertices = torch.empty(batch, count, 3)
    for block in body.blocks:
        run = slice(block.first, block.last)
        size = block.last - block.first
        rest = shaped[:, :, run]
        if len(block.features):
            rest = rest + (features[:, block.features] @ block.posedirs).view(batch, 3, size)
        moved = (transforms[:, :, block.joints].view(12 * batch, -1) @ block.weights).view(batch, 3, 4, size)
        posed = torch.addcmul(moved[:, :, 3], moved[:, :, 0], rest[:, None, 0])
        posed.addcmul_(moved[:, :, 1], rest[:, None, 1]).addcmul_(moved[:, :, 2], rest[:, None, 2])
        vertices[:, run] = posed.transpose(1, 2)
    return vertices
