"""A body as its shape tells: with SMPL's 24 joints alone, and whether it is a woman's, and how tall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.body import Body
from ....models.bodies.skinning import SkinnedMesh
from ....models.joints import SMPL24_PARENTS, joint_set
from ...looks.regions import REGIONS, smpl24_regions

Floats = NDArray[np.float64]


def body24(body: Body) -> Body:
    """A body with SMPL's 24 joints, fingers and face rigid, for the farm's tools that know these alone."""
    if body.joint_set == "smpl24":
        return body
    names = joint_set(body.joint_set).joints
    kept = [names.index(name if name in names else name.replace("_hand", "_middle1")) for name in REGIONS]
    weights, _ = smpl24_regions(body)
    mesh, count = body.mesh, len(body.template)
    places = (torch.tensor(kept)[:, None] * 3 + torch.arange(3)).reshape(-1)
    thin = SkinnedMesh(
        template=mesh.template,
        shapedirs=mesh.shapedirs,
        posedirs=torch.zeros(0, 3 * count),
        pose_features=torch.zeros(0, dtype=torch.int64),
        joints=mesh.joints[kept].contiguous(),
        joint_shapedirs=mesh.joint_shapedirs[:, places].contiguous(),
        parents=SMPL24_PARENTS,
        weights=torch.from_numpy(weights.T.copy()),
    )
    return replace(body, weights=weights, mesh=thin, joint_count=24, joint_set="smpl24")


class Figure:
    """Reads sex and stature off a shape, by distances of vertices, which are linear in the betas."""

    def __init__(self, body: Body) -> None:
        self.body, template = body, body.template
        owner = smpl24_regions(body)[0].argmax(1)
        joints = body.mesh.joints.numpy()
        metre = float(np.ptp(template[:, 1])) / 1.53
        height = 0.5 * (joints[3, 1] + joints[6, 1]) + 0.02 * metre
        waist = np.isin(owner, (3, 6)) & (np.abs(template[:, 1] - height) < 0.02 * metre)
        hips = np.isin(owner, (0, 1, 2)) & (np.abs(template[:, 1] - joints[1, 1] + 0.02 * metre) < 0.03 * metre)
        self._ends = [int(template[:, 1].argmax()), int(template[:, 1].argmin())]
        for part in (waist, hips):
            rows = np.flatnonzero(part)
            self._ends += [int(rows[template[rows, 0].argmax()]), int(rows[template[rows, 0].argmin()])]
        self._height = float(np.ptp(template[:, 1]))
        self._middle = 0.8
        if body.population is not None and body.population_ages is not None:
            grown = body.population[body.population_ages > np.quantile(body.population_ages, 0.4)]
            low, high = np.quantile(self._waist_by_hips(torch.from_numpy(grown)), (0.15, 0.85))
            self._middle = float(low + high) / 2  # the ratio of adults has two well separated modes

    def size(self, betas: torch.Tensor) -> NDArray[np.float32]:
        """Stature (B,) as a share of the template's."""
        return (self._spans(betas)[:, 0, 1] / self._height).astype(np.float32)

    def woman(self, betas: torch.Tensor) -> NDArray[np.bool_]:
        """(B,) whether the waist is narrow for the hips, as most women's is."""
        return np.asarray(self._waist_by_hips(betas) < self._middle)

    def _waist_by_hips(self, betas: torch.Tensor) -> Floats:
        spans = self._spans(betas)
        return np.asarray(spans[:, 1, 0] / spans[:, 2, 0])

    def _spans(self, betas: torch.Tensor) -> Floats:
        """(B, 3, 3): from sole to crown, across the waist, across the hips, metres."""
        mesh, count = self.body.mesh, len(self.body.template)
        planes = torch.tensor([row + axis * count for row in self._ends for axis in range(3)])
        ends = (mesh.template[planes] + betas @ mesh.shapedirs[: betas.shape[1], planes]).view(len(betas), 3, 2, 3)
        return np.asarray((ends[:, :, 0] - ends[:, :, 1]).double().numpy())
