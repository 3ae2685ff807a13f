"""What a fit leaves on disk: poses, figures, meshes, and pictures to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.keypoint_files import PersonKeypoints
from ...datasets.poses import PoseSequence, save_poses
from ...models.bodies import Body
from ...models.geometry import project
from .result import FitResult

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

CHUNK = 32
"""Bodies posed at once for meshes and pictures."""
NEAR = 0.02
"""Metres before the camera from which on a body can be drawn."""
GREY = 214
"""Of the canvas for people without a picture."""


def pose_sequence(body: Body, result: FitResult, source: str, up: tuple[float, float, float] | None) -> PoseSequence:
    """The fitted people as a pose sequence in the camera frame, one "frame" a person.

    Args:
        source: says where the poses come from.
        up: direction against gravity in the camera frame, where known.
    """
    return PoseSequence(
        pose=result.pose,
        transl=result.transl,
        body=body.name,
        joint_set=body.joint_set,
        betas=result.betas,
        frame="camera",
        names=tuple(result.ids),
        source=source,
        up=up,
    )


def save_both(folder: Path, poses: PoseSequence) -> list[Path]:
    """The same poses as ``poses.npz`` and ``poses.parquet``."""
    return [save_poses(folder / name, poses) for name in ("poses.npz", "poses.parquet")]


def save_figures(folder: Path, figures: Mapping[str, Any]) -> Path:
    """``fits.json``; numbers that are not finite become null."""
    path = folder / "fits.json"
    path.write_text(json.dumps(_plain(figures), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value


def posed(body: Body, result: FitResult) -> Iterator[tuple[Floats, Floats]]:
    """Vertices (V, 3) and joints (J, 3) of each fitted person in turn, camera frame, metres."""
    device = body.mesh.template.device
    for start in range(0, len(result.ids), CHUNK):
        part = slice(start, start + CHUNK)
        arguments = (
            torch.as_tensor(values[part], dtype=torch.float32, device=device)
            for values in (result.betas, result.pose, result.transl)
        )
        with torch.no_grad():
            found = body(*arguments)
        yield from zip(found.vertices.double().cpu().numpy(), found.joints.double().cpu().numpy(), strict=True)


def save_mesh(path: Path, vertices: Floats, faces: NDArray[np.integer]) -> Path:
    """A Wavefront OBJ, metres, Y up as viewers expect it: the camera frame turned by 180 degrees about x."""
    lines = ["# camera frame turned upright: x right, y up, z towards the camera; metres"]
    lines += [f"v {x:.6f} {-y:.6f} {-z:.6f}" for x, y, z in vertices]
    lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def check_in_front(vertices: Floats) -> None:
    """Refuse to draw a body (V, 3) that reaches behind the camera, as bodies cut by the picture's border may.

    Raises:
        UserError: if it does.
    """
    behind = float((vertices[:, 2] < NEAR).mean())
    if behind > 0:
        raise UserError(
            f"{100 * behind:.0f} % of the body reach behind the camera: too little of the person is in the picture"
        )


def read_picture(person: PersonKeypoints) -> Bytes:
    """The person's picture (H, W, 3) RGB; a grey canvas where there is none.

    Raises:
        UserError: if there should be one and it cannot be read.
    """
    if person.image is None:
        return np.full((person.height, person.width, 3), GREY, np.uint8)
    picture = cv2.imread(str(person.image), cv2.IMREAD_COLOR)
    if picture is None:
        raise UserError(f"cannot read the picture {person.image}: restore it, or set overlays=false")
    return np.ascontiguousarray(picture[..., ::-1])


def targets(body: Body, person: PersonKeypoints, vertices: Floats, joints: Floats, K: Floats) -> tuple[Floats, Floats]:
    """Keypoints (P, 3) that the body can be compared with, others at confidence 0, and where its own (P, 2) project."""
    weights = body.point_weights(person.joint_set, allow_missing=True)
    points = weights.vertices.double().cpu().numpy() @ vertices + weights.joints.double().cpu().numpy() @ joints
    lacking = np.array([name in weights.missing for name in weights.names])
    points[lacking] = joints[0]  # anywhere in front of the camera; nothing is drawn there
    keypoints = person.keypoints.copy()
    keypoints[lacking, 2] = 0
    return keypoints, project(points, K)
