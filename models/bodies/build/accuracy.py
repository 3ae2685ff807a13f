"""How closely a body follows the source it was built from: equal shapes and poses, compared vertex by vertex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...joints import JOINT_SETS
from ..skinning import SkinnedMesh, prepare, skin
from .anny_source import AnnySource

Draw = Callable[[np.random.Generator, int], Any]
"""Draws so many shapes or poses."""

# Ranges of motion in degrees, (low, high) for rotations about x, y, z of the T-pose; left side, mirrored for the right.
# They cover lying, sitting and crawling infants with their hips and knees flexed, closed fists and open mouths, and are
# wider than any scene draws.
RANGES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "spine1": ((-12, 20), (-12, 12), (-12, 12)),
    "spine2": ((-10, 15), (-12, 12), (-10, 10)),
    "spine3": ((-8, 12), (-12, 12), (-8, 8)),
    "neck": ((-20, 25), (-30, 30), (-15, 15)),
    "head": ((-20, 20), (-30, 30), (-15, 15)),
    "hip": ((-110, 15), (-30, 45), (-10, 50)),
    "knee": ((0, 125), (-8, 8), (-5, 5)),
    "ankle": ((-30, 35), (-12, 12), (-15, 15)),
    "collar": ((-6, 6), (-12, 8), (-10, 15)),
    "shoulder": ((-45, 45), (-80, 30), (-80, 40)),
    "elbow": ((-50, 50), (-130, 0), (-8, 8)),
    "wrist": ((-15, 15), (-20, 20), (-45, 40)),
    "jaw": ((0, 25), (-6, 6), (-3, 3)),
    "eyeball": ((-20, 20), (-30, 30), (0, 0)),
    **{f"{finger}1": ((-5, 5), (-12, 12), (-85, 15)) for finger in ("index", "middle", "ring", "pinky")},
    **{f"{finger}2": ((0, 0), (-3, 3), (-100, 5)) for finger in ("index", "middle", "ring", "pinky")},
    **{f"{finger}3": ((0, 0), (-2, 2), (-70, 5)) for finger in ("index", "middle", "ring", "pinky")},
    "thumb1": ((-25, 25), (-20, 40), (-25, 20)),
    "thumb2": ((-10, 10), (-10, 50), (-10, 10)),
    "thumb3": ((-5, 5), (-10, 70), (-5, 5)),
}


def sample_poses(rng: np.random.Generator, count: int, joint_set: str = "smpl24", side: str = "") -> np.ndarray:
    """Poses (count, J, 3) axis-angle with each joint uniform within :data:`RANGES`, the others at rest.

    Args:
        side: "left" or "right" for "mano16", whose joint names do not tell.
    """
    import roma

    names = JOINT_SETS[joint_set].joints
    poses = np.zeros((count, len(names), 3))
    for joint, name in enumerate(names):
        half, _, part = f"{side}_{name}".partition("_") if side else name.partition("_")
        ranges = RANGES.get(part or name)
        if ranges is None or (side and joint == 0):
            continue
        low, high = np.array(ranges).T
        euler = rng.uniform(low, high, (count, 3))
        if half == "right":
            euler *= (1, -1, -1)
        poses[:, joint] = roma.euler_to_rotvec("ZYX", torch.from_numpy(euler[:, ::-1].copy()), degrees=True).numpy()
    return poses


def skinned_mesh(arrays: dict[str, np.ndarray]) -> tuple[SkinnedMesh, np.ndarray]:
    """A body file's arrays ready for :func:`skin`, and its shape columns (3V, N) float64 without those that are zero."""
    size = len(arrays["v_template"])
    shapedirs = arrays["shapedirs"].astype(np.float32)
    shapedirs = shapedirs[:, :, np.abs(shapedirs).max((0, 1)) > 0]
    parents = (-1, *arrays["kintree_table"][0, 1:].astype(int).tolist())
    mesh = prepare(
        torch.from_numpy(arrays["v_template"]),
        torch.from_numpy(shapedirs),
        torch.from_numpy(arrays["posedirs"].astype(np.float32).reshape(3 * size, -1).T.copy()),
        torch.from_numpy(arrays["J_regressor"]),
        parents,
        torch.from_numpy(arrays["weights"]),
    )
    return mesh, shapedirs.astype(np.float64).reshape(3 * size, -1)


def project(basis: np.ndarray, template: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Coefficients (B, N) of shape columns (3V, N) that bring the T-posed body nearest to vertices (B, V, 3)."""
    gaps = (vertices - template).reshape(len(vertices), -1)
    return np.linalg.solve(basis.T @ basis, basis.T @ gaps.T).T


def compare(
    arrays: dict[str, np.ndarray],
    source: AnnySource,
    shapes: Draw,
    poses: Draw,
    seed: int,
    count: int,
    keypoints: np.ndarray | None = None,
    regions: dict[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Errors of a body against its source on ``count`` shapes and poses drawn from ``seed``, in millimetres.

    Args:
        arrays: those of the body's file. shapes, poses: draw parameters for ``source``.
        keypoints: (K, source vertices) regressor that the file's ``keypoint_regressor`` stands for.
        regions: masks (V,) of the body's vertices whose mean error is given apart, by name.

    Returns:
        mean, 99th percentile and maximum over all vertices and bodies; mean and maximum joint error; the part that the
        shape space alone causes (T-pose); mean and maximum distance of the keypoints from the source's regressor.
    """
    rng = np.random.default_rng(seed)
    kept = arrays["source_vertices"].astype(int)
    mesh, basis = skinned_mesh(arrays)
    found: dict[str, list[np.ndarray]] = {"vertex": [], "rest": [], "joint": [], "keypoint": []}
    for start in range(0, count, 32):
        some = min(32, count - start)
        drawn, pose = shapes(rng, some), poses(rng, some)
        rest, _ = source(drawn)
        posed, joints = source(drawn, pose)
        betas = project(basis, arrays["v_template"], rest[:, kept])
        planes, moved_joints = skin(mesh, torch.from_numpy(betas).float(), torch.from_numpy(pose).float())
        moved = planes.transpose(1, 2).double().numpy()
        still = arrays["v_template"] + (betas @ basis.T).reshape(some, -1, 3)
        found["rest"].append(np.linalg.norm(still - rest[:, kept], axis=-1))
        found["vertex"].append(np.linalg.norm(moved - posed[:, kept], axis=-1))
        found["joint"].append(np.linalg.norm(moved_joints.numpy() - joints, axis=-1))
        if keypoints is not None:
            points = arrays["keypoint_regressor"] @ moved
            found["keypoint"].append(np.linalg.norm(points - keypoints @ posed, axis=-1))
    error = {name: 1000 * np.concatenate(parts) for name, parts in found.items() if parts}
    report = {
        "vertex_mean_mm": error["vertex"].mean(),
        "vertex_p99_mm": np.percentile(error["vertex"], 99),
        "vertex_max_mm": error["vertex"].max(),
        "shape_mean_mm": error["rest"].mean(),
        "joint_mean_mm": error["joint"].mean(),
        "joint_max_mm": error["joint"].max(),
    }
    if keypoints is not None:
        report |= {"keypoint_mean_mm": error["keypoint"].mean(), "keypoint_max_mm": error["keypoint"].max()}
    for name, members in (regions or {}).items():
        report[f"{name}_mean_mm"] = error["vertex"][:, members].mean()
    return {name: float(value) for name, value in report.items()}
