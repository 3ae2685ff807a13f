"""What the builders of whole bodies share: draw a population and poses from the source, fit a file's arrays to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch

from ...joints import JOINT_SETS
from . import fitting
from .accuracy import Draw
from .anny_source import AnnySource
from .submesh import Submesh

SMALLEST_CORRECTIVE = 2e-5
"""Pose correctives below this, metres per unit, are dropped: they cost room and move nothing."""


@dataclass(frozen=True)
class Samples:
    """Bodies of the source: ``rest`` T-posed (N, V, 3) and joints; ``posed`` the same bodies, one pose each.

    ``keypoints`` (N, 2, 17, 3) in both, by Anny's regressor; ``ages`` (N,) as the population gives them.
    """

    ages: np.ndarray
    rest: np.ndarray
    rest_joints: np.ndarray
    rotations: np.ndarray
    posed: np.ndarray
    keypoints: np.ndarray


def draw_samples(
    source: AnnySource, kept: np.ndarray, shapes: Draw, poses: Draw, count: int, seed: int, chunk: int = 50
) -> Samples:
    """``count`` bodies, each T-posed and in one pose.

    Args:
        kept: (V,) source vertices to keep. shapes: draws shape parameters and ages. poses: draws poses (n, J, 3).
    """
    rng = np.random.default_rng(seed)
    regressor = source.coco_regressor()
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, count, chunk):
        some = min(chunk, count - start)
        drawn, ages = shapes(rng, some)
        pose = poses(rng, some)
        rest, joints = source(drawn)
        posed, _ = source(drawn, pose)
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(pose)).numpy()
        keypoints = np.stack([regressor @ rest, regressor @ posed], 1)
        parts.append((ages, rest[:, kept], joints, rotations, posed[:, kept], keypoints))
    return Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def typical_body(source: AnnySource, shapes: Draw, seed: int, count: int = 64) -> np.ndarray:
    """Mean T-posed body (source vertices, 3) of a population, made symmetric."""
    drawn, _ = shapes(np.random.default_rng(seed), count)
    mean = source(drawn)[0].mean(0)
    return (mean + fitting.mirrored(mean, source.mirror())) / 2


def fit(
    source: AnnySource,
    mesh: Submesh,
    samples: Samples,
    betas: int,
    ridge: float,
    joint_weight: float = 0.0,
    fixed: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], fitting.ShapeSpace]:
    """A body file's arrays, and ours that every whole body has, in the precision of the file.

    Args:
        betas: number of shape columns. ridge: penalty on pose correctives.
        joint_weight: see :func:`fitting.shape_space`.
        fixed: (V, 3, E) further shape columns, metres, that must not move a joint.

    Returns:
        the arrays, without ``shapedirs``, and the shape space.
    """
    flip = source.joint_set.flip_permutation()
    space = fitting.shape_space(samples.rest, samples.rest_joints, betas, mesh.mirror, flip, joint_weight)
    weights = fitting.reduce_weights(source.weights[mesh.kept])

    steps, joint_steps = np.moveaxis(space.shapedirs, -1, 0), np.moveaxis(space.joint_shapedirs, -1, 0)
    if fixed is not None:
        steps = np.concatenate([steps, np.moveaxis(fixed, -1, 0)])
        joint_steps = np.concatenate([joint_steps, np.zeros((fixed.shape[-1], *space.joints.shape))])
    joint_regressor = fitting.regressor(
        np.concatenate([space.template[None], space.template + steps]),
        np.concatenate([space.joints[None], space.joints + joint_steps]),
    )
    joint_regressor = fitting.symmetrised_regressor(joint_regressor, flip, mesh.mirror)

    gaps = fitting.unposed_gaps(
        samples.rest, samples.rest_joints, samples.rotations, samples.posed, weights, source.parents
    )
    posedirs = fitting.pose_correctives(gaps, samples.rotations, weights, source.parents, ridge)
    posedirs = fitting.symmetrised_posedirs(posedirs, mesh.mirror, flip)
    posedirs[np.abs(posedirs) < SMALLEST_CORRECTIVE] = 0

    some = slice(0, 120)
    bodies = np.concatenate([space.template[None], samples.rest[some], samples.posed[some]])
    template_points = samples.keypoints[:, 0].mean(0)
    points = np.concatenate([template_points[None], samples.keypoints[some, 0], samples.keypoints[some, 1]])
    coco = fitting.regressor(bodies, points)
    coco = fitting.symmetrised_regressor(coco, JOINT_SETS["coco17"].flip_permutation(), mesh.mirror)

    return {
        "v_template": space.template.astype(np.float32),
        "posedirs": posedirs.astype(np.float16),
        "J_regressor": joint_regressor.astype(np.float32),
        "kintree_table": fitting.kintree_table(source.parents),
        "weights": weights.astype(np.float32),
        "f": mesh.faces.astype(np.uint32),
        "uv": mesh.uv.astype(np.float32),
        "uv_faces": mesh.uv_faces.astype(np.uint32),
        "keypoint_regressor": coco.astype(np.float32),
        "population_betas": space.betas.astype(np.float16),
        "source_vertices": mesh.kept.astype(np.uint16),
        "mirror": mesh.mirror.astype(np.uint16),
    }, space


def save(out: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> float:
    """Write a body file; returns its size in MB. Same arrays, same bytes: numpy stamps its archives with 1980."""
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **arrays, meta=np.array(json.dumps(meta)))  # type: ignore[arg-type]
    return round(out.stat().st_size / 1e6, 3)
