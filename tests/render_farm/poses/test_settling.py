"""Bodies that settle together rest on the facet of their hull that carries the centre of mass, found by qhull."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from sim2pose.models.turns import vectors_to_matrices
from sim2pose.render_farm.poses.settling import settle

MASS = np.full(60, 1 / 60)


@pytest.fixture(scope="module")
def clouds() -> np.ndarray:
    """(40, 60, 3) potatoes."""
    return np.random.default_rng(0).standard_normal((40, 60, 3)) * (0.1, 0.3, 0.2)


def _rested(clouds: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    return clouds @ settle(clouds, MASS, limit).transpose(0, 2, 1)


def test_the_centre_of_mass_is_above_the_facet_it_lies_on(clouds: np.ndarray) -> None:
    for points in _rested(clouds, 180.0):
        hull, centre = ConvexHull(points), MASS @ points
        facet = int(hull.equations[:, 1].argmin())
        assert hull.equations[facet, 1] == pytest.approx(-1, abs=1e-9), "a facet looks down"
        a, b, c = points[hull.simplices[facet]][:, [0, 2]]
        shares = np.linalg.solve(np.stack([b - a, c - a], 1), centre[[0, 2]] - a)
        assert shares.min() >= -1e-9 and shares.sum() <= 1 + 1e-9


def test_settling_lowers_the_centre_of_mass(clouds: np.ndarray) -> None:
    def height(points: np.ndarray) -> np.ndarray:
        return np.einsum("p,bp->b", MASS, points[..., 1]) - points[..., 1].min(1)

    assert (height(_rested(clouds, 180.0)) < height(clouds)).all()


def test_a_body_settles_as_it_does_alone(clouds: np.ndarray) -> None:
    limits = np.linspace(5, 180, len(clouds))
    together = settle(clouds, MASS, limits)
    alone = [settle(points, MASS, limit) for points, limit in zip(clouds, limits, strict=True)]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-12)


def test_no_body_turns_further_than_its_limit(clouds: np.ndarray) -> None:
    turn = settle(clouds, MASS, 12.0)
    angle = np.degrees(np.arccos(np.clip((np.trace(turn, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert angle.max() <= 12.0 + 1e-9 and (angle > 0).any() and (angle == 0).any()


def test_bodies_whose_faces_are_flat() -> None:
    corners = np.stack(np.meshgrid([-1, 1], [-2, 2], [-3, 3]), -1).reshape(-1, 3).astype(float)
    leaning = corners @ vectors_to_matrices(np.array([0.1, 0.2, 0.15])).T
    rested = leaning @ settle(leaning, np.full(8, 1 / 8), 60.0).T
    assert sorted(np.round(rested[:, 1] - rested[:, 1].min(), 9)) == [0, 0, 0, 0, 4, 4, 4, 4]
