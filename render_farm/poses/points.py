"""Points of several joint sets on posed bodies, without skinning the mesh.

Points are linear in vertices and joints, and linear blend skinning (Loper et al. 2015) is a sum over joints; so the sum over
the vertices of each point can be taken once. Point k of a body with world rotations G_j, joints x_j and their rest places
r_j is exactly ``sum_j [G_j (a_kj - m_kj r_j) + m_kj x_j]``, a_kj linear in the betas and the pose features: a few pairs
(k, j) a point in place of some hundred vertices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.blocks import Skeleton, pose_features
from ...models.bodies.body import Body
from ...models.bodies.skinning import SkinnedMesh

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class PointReader:
    """Reads the points of some joint sets, one set after the other, off a body; n pairs (point, joint).

    Attributes:
        mesh: of the body.
        local: (3n,), shapes: (N, 3n), poses: (P, 3n): the a of the pairs, as planes, and its change.
        owner: (n,) joint of each pair, mass: (n,) its m.
        gather: (K, n) which pairs make a point; joints: (K, J) share of the joints themselves.
        sets: names of the joint sets; sizes: their numbers of points, K in all.
    """

    mesh: SkinnedMesh
    local: torch.Tensor
    shapes: torch.Tensor
    poses: torch.Tensor
    owner: NDArray[np.int64]
    mass: Singles
    gather: Singles
    joints: Singles
    sets: tuple[str, ...]
    sizes: tuple[int, ...]

    def __call__(self, skeleton: Skeleton, shape: torch.Tensor) -> Singles:
        """Points (B, K, 3) in metres, before translation.

        Args:
            skeleton: posed joints. shape: (B, N) or (1, N) betas, then expression where the body has one.
        """
        features = pose_features(self.mesh, skeleton.local)
        places = torch.addmm(self.local, shape, self.shapes) + features @ self.poses
        local = places.view(len(features), 3, -1).numpy().transpose(0, 2, 1)
        local = local - self.mass[:, None] * skeleton.rest[:, self.owner]
        turned = (skeleton.world[:, self.owner] @ local[..., None])[..., 0]
        return self.gather @ turned + self.joints @ skeleton.joints


def point_reader(body: Body, sets: Sequence[str]) -> PointReader:
    """The reader of joint sets ``sets`` on a body.

    Raises:
        UserError: for an unknown joint set, or points that the body lacks, by name.
    """
    weights = [body.point_weights(name) for name in sets]
    vertices = torch.cat([each.vertices for each in weights]).double()
    joints = torch.cat([each.joints for each in weights]).double()
    mesh, count = body.mesh, vertices.shape[1]
    pairs: list[
        tuple[int, torch.Tensor, torch.Tensor, torch.Tensor]
    ] = []  # a point: its joints, vertices, (j, v) weights
    for point in torch.nonzero(vertices.any(1))[:, 0].tolist():
        used = torch.nonzero(vertices[point])[:, 0]
        blend = vertices[point, used] * mesh.weights[:, used].double()
        owner = torch.nonzero(blend.any(1))[:, 0]
        pairs.append((point, owner, used, blend[owner]))
        joints[point] += blend.sum(1)

    def folded(directions: torch.Tensor) -> torch.Tensor:
        """Rows (R, 3V) summed over the vertices of each pair: (R, 3n)."""
        planes = directions.view(len(directions), 3, count)
        sums = [planes[:, :, used].double() @ blend.T for _, _, used, blend in pairs]
        return torch.cat([planes.new_zeros(len(planes), 3, 0).double(), *sums], 2).flatten(1).float()

    points = [point for point, owner, _, _ in pairs for _ in owner]
    gather = np.zeros((len(vertices), len(points)), np.float32)
    gather[points, np.arange(len(points))] = 1
    return PointReader(
        mesh=mesh,
        local=folded(mesh.template[None])[0],
        shapes=folded(mesh.shapedirs),
        poses=folded(mesh.posedirs),
        owner=np.array([int(joint) for _, owner, _, _ in pairs for joint in owner], np.int64),
        mass=np.array([float(mass) for *_, blend in pairs for mass in blend.sum(1)], np.float32),
        gather=gather,
        joints=joints.float().numpy(),
        sets=tuple(sets),
        sizes=tuple(len(each.names) for each in weights),
    )
