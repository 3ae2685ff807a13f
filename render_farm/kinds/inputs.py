"""What a job reads besides its config, described alike for every kind."""

from __future__ import annotations

from pathlib import Path

from ...models.bodies import load_body
from ...models.bodies.digest import body_digest
from ..config import RenderConfig
from ..poses.config import PoseConfig
from ..poses.mix import load_pose_mix
from ..poses.points import point_reader
from ..scenes.pictures import pictures_digest
from .registry import Inputs


def describe_body_inputs(config: RenderConfig, poses: PoseConfig, backgrounds: Path | None) -> Inputs:
    """Digests of the body, of files of poses and of a folder of backgrounds, and the body's licence.

    Raises:
        UserError: for files that cannot be read, or joint sets that the body cannot give.
    """
    body = load_body(config.body)
    point_reader(body, config.joint_sets)
    digests = {"body": body_digest(body)}
    if (digest := load_pose_mix(poses, body.joint_set).digest) is not None:
        digests["poses"] = digest
    if backgrounds is not None:
        digests["backgrounds"] = pictures_digest(backgrounds)
    return Inputs(digests, body.licence)
