"""Bodies as renderers know them."""

from __future__ import annotations

import torch

from ...models.bodies.body import Body
from .scene import Topology

_BENT = 0.6  # radians about each axis: bends every joint, whichever way its limb points


def body_topology(body: Body) -> Topology:
    """The topology of a whole body, with the poses that say how finely it must be drawn from afar."""
    pose = torch.full((2, body.joint_count, 3), _BENT)
    pose[0], pose[:, 0] = 0.0, 0.0
    with torch.no_grad():
        posed = body(torch.zeros(2, body.num_betas), pose, torch.zeros(2, 3)).vertices.numpy()
    return Topology(body.name, body.faces, body.uv, body.uv_faces, body.part_ids, poses=posed)
