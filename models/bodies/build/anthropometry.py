"""Measures of bodies: length, mass and head circumference of T-posed meshes, and of a body file's own shapes."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

# Medians of boys and girls, averaged (WHO Child Growth Standards 2006).
WHO_MONTHS = (0.0, 6.0, 12.0, 24.0)
WHO_LENGTH_CM = (49.5, 66.65, 74.85, 87.1)
WHO_WEIGHT_KG = (3.25, 7.6, 9.25, 11.85)
WHO_HEAD_CM = (34.2, 42.75, 45.5, 47.75)

DENSITY = 1030.0
"""Of infants, kg/m^3 (Fomon et al. 1982: 1020 to 1060)."""


def body_length(vertices: np.ndarray) -> np.ndarray:
    """Crown to sole (B,) metres of T-posed bodies (B, V, 3)."""
    return vertices[:, :, 1].max(1) - vertices[:, :, 1].min(1)


def body_mass(vertices: np.ndarray, faces: np.ndarray, density: float = DENSITY) -> np.ndarray:
    """Mass (B,) kg of closed meshes (B, V, 3), metres, of so many kg/m^3."""
    a, b, c = (vertices[:, faces[:, k]] for k in range(3))
    return np.abs((np.cross(a, b) * c).sum((1, 2))) / 6 * density


def head_circumference(vertices: np.ndarray, faces: np.ndarray, eye_height: float) -> float:
    """Largest horizontal girth (convex hull), metres, of the head of one T-posed body above the brows.

    Sections are searched between 35 % and 70 % of the way from the eyes (``eye_height``, metres) to the crown.
    """
    crown = vertices[:, 1].max()
    girth = 0.0
    for share in np.linspace(0.35, 0.7, 8):
        height = eye_height + share * (crown - eye_height)
        triangles = vertices[faces]
        cut = triangles[(triangles[:, :, 1].min(1) < height) & (triangles[:, :, 1].max(1) >= height)]
        points = []
        for i, j in ((0, 1), (1, 2), (2, 0)):
            start, end = cut[:, i], cut[:, j]
            crosses = (start[:, 1] < height) != (end[:, 1] < height)
            start, end = start[crosses], end[crosses]
            along = ((height - start[:, 1]) / (end[:, 1] - start[:, 1]))[:, None]
            points.append((start + along * (end - start))[:, [0, 2]])
        girth = max(girth, ConvexHull(np.concatenate(points)).area)  # in two dimensions "area" is the perimeter
    return girth


def shape_measures(
    arrays: dict[str, np.ndarray], betas: np.ndarray, density: float = DENSITY
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Length in cm, weight in kg and head circumference in cm, (B,) each, of shapes of a body file.

    Args:
        arrays: of the file. betas: (B, N).
    """
    basis = arrays["shapedirs"][:, :, : betas.shape[1]].astype(np.float64)
    vertices = arrays["v_template"].astype(np.float64) + np.einsum("vcn,bn->bvc", basis, betas)
    faces = arrays["f"].astype(int)
    eyes = (arrays["keypoint_regressor"][1:3].astype(np.float64) @ vertices)[:, :, 1].mean(1)
    girths = [head_circumference(body, faces, float(eye)) for body, eye in zip(vertices, eyes, strict=True)]
    return 100 * body_length(vertices), body_mass(vertices, faces, density), 100 * np.array(girths)


def mean_betas(betas: np.ndarray, ages: np.ndarray, age: float, width: float) -> np.ndarray:
    """Mean shape (N,) of a population (M, N) at an age: the local line through members no further than ``width``."""
    near = np.abs(ages - age) <= width
    weights = 1 - (np.abs(ages[near] - age) / width) ** 2
    design = np.stack([np.ones(near.sum()), ages[near] - age], 1) * np.sqrt(weights)[:, None]
    return np.linalg.lstsq(design, betas[near].astype(np.float64) * np.sqrt(weights)[:, None], rcond=None)[0][0]
