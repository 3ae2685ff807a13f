"""Points of several joint sets on posed bodies, without skinning the whole mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ...models.bodies.body import Body
from ...models.bodies.skinning import SkinnedMesh, skin


@dataclass(frozen=True)
class PointReader:
    """Reads the points of some joint sets, one set after the other, off a body.

    Attributes:
        mesh: the V' vertices that any of the points needs, as a mesh of their own.
        vertices: (V', K) and joints: (J, K) weights of the points.
        sets: names of the joint sets; sizes: their numbers of points, K in all.
    """

    mesh: SkinnedMesh
    vertices: torch.Tensor
    joints: torch.Tensor
    sets: tuple[str, ...]
    sizes: tuple[int, ...]

    def __call__(self, shape: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """Points (B, K, 3) in metres, before translation.

        Args:
            shape: (B, N) betas, then expression where the body has one.
            pose: (B, J, 3) axis-angle, radians, global orientation first.
        """
        planes, joints = skin(self.mesh, shape, pose)
        return (planes @ self.vertices + joints.transpose(1, 2) @ self.joints).transpose(1, 2)


def point_reader(body: Body, sets: Sequence[str]) -> PointReader:
    """The reader of joint sets ``sets`` on a body.

    Raises:
        UserError: for an unknown joint set, or points that the body lacks, by name.
    """
    weights = [body.point_weights(name) for name in sets]
    vertices = torch.cat([each.vertices for each in weights])
    used = torch.nonzero(vertices.abs().amax(0) > 0)[:, 0]
    mesh, count = body.mesh, vertices.shape[1]
    planes = torch.cat([used, used + count, used + 2 * count])
    thin = replace(
        mesh,
        template=mesh.template[planes],
        shapedirs=mesh.shapedirs[:, planes].contiguous(),
        posedirs=mesh.posedirs[:, planes].contiguous(),
        weights=mesh.weights[:, used].contiguous(),
    )
    joints = torch.cat([each.joints for each in weights])
    sizes = tuple(len(each.names) for each in weights)
    return PointReader(thin, vertices[:, used].T.contiguous(), joints.T.contiguous(), tuple(sets), sizes)
