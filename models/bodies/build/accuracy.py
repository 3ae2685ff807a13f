"""How closely a body follows the source it was built from: equal shapes and poses, compared vertex by vertex."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .anny_source import AnnySource
from ..body import Body
from ...joints import JOINT_SETS
from .population import sample

# Ranges of motion in degrees, (low, high) for rotations about x, y, z of the T-pose; left side, mirrored for the right.
# They cover lying, sitting and crawling infants with their hips and knees flexed, and are wider than any scene draws.
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
}


def sample_poses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Poses (count, 24, 3) axis-angle with each joint uniform within :data:`RANGES`, toes, fingers and root at rest."""
    import roma

    poses = np.zeros((count, 24, 3))
    for joint, name in enumerate(JOINT_SETS["smpl24"].joints):
        side, _, part = name.partition("_")
        ranges = RANGES.get(part or name)
        if ranges is None:
            continue
        low, high = np.array(ranges).T
        euler = rng.uniform(low, high, (count, 3))
        if side == "right":
            euler *= (1, -1, -1)
        poses[:, joint] = roma.euler_to_rotvec("ZYX", torch.from_numpy(euler[:, ::-1].copy()), degrees=True).numpy()
    return poses


def compare(body: Body, source: AnnySource, kept: np.ndarray, seed: int, count: int) -> dict[str, float]:
    """Errors of a body against its source on ``count`` shapes and poses drawn from ``seed``, in millimetres.

    Args:
        kept: (V,) indices of the body's vertices in the source.

    Returns:
        mean, 99th percentile and maximum over all vertices and bodies; mean and maximum joint error; the part that the
        shape space alone causes (T-pose); mean and maximum distance of the COCO keypoints from the source's regressor.
    """
    rng = np.random.default_rng(seed)
    regressor = source.coco_regressor()
    found: dict[str, list[Any]] = {"vertex": [], "rest": [], "joint": [], "keypoint": []}
    for start in range(0, count, 32):
        some = min(32, count - start)
        shapes, _ = sample(source, rng, some)
        pose = sample_poses(rng, some)
        rest, _ = source(shapes)
        posed, joints = source(shapes, pose)
        betas = torch.from_numpy(project(body, rest[:, kept])).float()
        with torch.no_grad():
            still = body(betas, torch.zeros(some, 72), torch.zeros(some, 3))
            moved = body(betas, torch.from_numpy(pose).float(), torch.zeros(some, 3))
        found["rest"].append(np.linalg.norm(still.vertices.numpy() - rest[:, kept], axis=-1))
        found["vertex"].append(np.linalg.norm(moved.vertices.numpy() - posed[:, kept], axis=-1))
        found["joint"].append(np.linalg.norm(moved.joints.numpy() - joints, axis=-1))
        found["keypoint"].append(np.linalg.norm(moved.keypoints.numpy() - regressor @ posed, axis=-1))
    error = {name: 1000 * np.concatenate(parts) for name, parts in found.items()}
    return {
        "vertex_mean_mm": float(error["vertex"].mean()),
        "vertex_p99_mm": float(np.percentile(error["vertex"], 99)),
        "vertex_max_mm": float(error["vertex"].max()),
        "shape_mean_mm": float(error["rest"].mean()),
        "joint_mean_mm": float(error["joint"].mean()),
        "joint_max_mm": float(error["joint"].max()),
        "keypoint_mean_mm": float(error["keypoint"].mean()),
        "keypoint_max_mm": float(error["keypoint"].max()),
    }


def project(body: Body, vertices: np.ndarray) -> np.ndarray:
    """Betas (B, N) float64 that bring the T-posed body nearest to vertices (B, V, 3) in least squares."""
    basis = body.layer.shapedirs.double().numpy().reshape(-1, body.num_betas)
    gaps = (vertices - body.template).reshape(len(vertices), -1)
    return np.linalg.solve(basis.T @ basis, basis.T @ gaps.T).T
