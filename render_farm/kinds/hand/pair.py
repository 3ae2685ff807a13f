"""The two bodies of a job of hand frames."""

from __future__ import annotations

import numpy as np

from ....config import UserError
from ....models.bodies import load_body
from ....models.bodies.body import Body
from ....models.bodies.digest import body_digest
from ...poses.points import point_reader
from ..registry import Inputs
from .config import HandConfig

SIDES = ("left", "right")


def load_hands(config: HandConfig) -> dict[str, Body]:
    """Both bodies of a job, with the pose components that it draws."""
    number = min(config.scene.poses.components, 44)
    return {side: load_body(config.body_of(side), use_pca=True, num_pca_comps=number) for side in SIDES}


def check_sides(bodies: dict[str, Body]) -> None:
    """Refuse bodies that are no hands of the sides they are named for.

    Raises:
        UserError: naming the body.
    """
    for side in SIDES:
        body = bodies[side]
        if body.format != "mano":
            raise UserError(f"hand frames need hands in MANO's format, '{body.name}' is {body.format}")
        joints = body.mesh.joints
        if (float(joints[1:, 0].mean()) > float(joints[0, 0])) != (side == "left"):
            raise UserError(f"'{body.name}' is given for the {side} hand, but its fingers lie on the other side")


def are_twins(bodies: dict[str, Body]) -> bool:
    """Whether one hand and its texture are the other's mirror image."""
    left, right = bodies["left"], bodies["right"]
    return (
        np.array_equal(left.uv_faces, right.uv_faces[:, ::-1])
        and np.allclose(left.uv, right.uv * (-1, 1) + (1, 0), atol=1e-5)
        and np.allclose(left.template, right.template * (-1, 1, 1), atol=1e-6)
    )


def describe_inputs(config: HandConfig) -> Inputs:
    """Digests of both bodies, and their licence."""
    bodies = load_hands(config)
    check_sides(bodies)
    for body in bodies.values():
        point_reader(body, config.joint_sets)  # refuses joint sets that the body cannot give
    licences = dict.fromkeys(body.licence for body in bodies.values())
    return Inputs({f"body_{side}": body_digest(body) for side, body in bodies.items()}, " ".join(licences))
