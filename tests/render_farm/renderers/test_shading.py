"""What the renderers share: normals, shadows from scattered points, texture levels, caches."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.renderers.mesh import (
    IdentityCache,
    static_mesh,
    surface_points,
    texel_level,
    vertex_normals,
)
from sim2pose.render_farm.renderers.shading import halved
from sim2pose.render_farm.renderers.shadows import MARGIN, ground_map, light_basis, visibility
from sim2pose.render_farm.scenes.scene import Ground, Lights, Surface, Topology


def grid(name: str, side: float, count: int, height: float = 0.0, part: int = 1) -> Surface:
    """A square sheet of ``count`` x ``count`` vertices around the origin, facing up; its texture covers it once."""
    axis = np.linspace(-side / 2, side / 2, count)
    x, z = np.meshgrid(axis, axis)
    vertices = np.stack([x, np.full_like(x, height), z], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + count, corner + 1], 1),
            np.stack([corner + 1, corner + count, corner + count + 1], 1),
        ]
    )
    uv = (vertices[:, [0, 2]] / side + 0.5).astype(np.float32)
    topology = Topology(name, faces.astype(np.int32), uv, faces.astype(np.int32), np.full(len(faces), part, np.uint8))
    return Surface(topology, vertices, np.zeros((256, 256, 3), np.uint8))


def test_normals_of_a_sphere_point_away_from_its_middle() -> None:
    figure = Figure(24, 24)
    head = slice(15 * 600, 16 * 600)  # 25 x 24 vertices an ellipsoid; a sphere once its axes are divided out
    vertices = figure(np.zeros(20), np.zeros((24, 3)), np.zeros(3))[0]
    middle = (vertices[head].min(0) + vertices[head].max(0)) / 2
    half = (vertices[head].max(0) - vertices[head].min(0)) / 2
    normals = vertex_normals(figure.topology, (vertices - middle) / half)[head]
    away = (vertices[head] - middle) / half
    ring = slice(24, -24)  # without the two poles, where vertices coincide
    np.testing.assert_allclose(np.linalg.norm(normals[ring], axis=1), 1, atol=1e-5)
    assert (np.einsum("ij,ij->i", normals, away)[ring] > 0.99).all()
    batch = vertex_normals(figure.topology, np.stack([vertices, vertices * 2]))
    np.testing.assert_allclose(batch[0], batch[1], atol=1e-4)


def test_open_meshes_are_two_sided_and_closed_ones_are_not() -> None:
    figure = Figure(6, 8).topology
    assert static_mesh(grid("sheet-open", 1, 4).topology).two_sided
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32)
    tetrahedron = Topology("tetrahedron", faces, np.zeros((4, 2), np.float32), faces, np.ones(4, np.uint8))
    assert not static_mesh(tetrahedron).two_sided
    assert static_mesh(figure).source.max() < figure.vertex_count


def test_vertices_are_split_where_texture_or_part_changes() -> None:
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.zeros((4, 2), np.float32)
    one = static_mesh(Topology("one-part", faces, uv, faces, np.array([1, 1], np.uint8)))
    two = static_mesh(Topology("two-parts", faces, uv, faces, np.array([1, 2], np.uint8)))
    assert len(one.source) == 4
    assert len(two.source) == 6
    np.testing.assert_array_equal(two.part[two.faces], [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(two.source[two.faces], faces)


def test_light_basis_is_orthonormal() -> None:
    for direction in ([0, 1, 0], [3.0, 2.0, -1.0], [0, 0, -2]):
        basis = light_basis(np.array(direction))
        np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(basis[2] * np.linalg.norm(direction), direction, atol=1e-12)


@pytest.mark.parametrize("direction", [(0.0, 1.0, 0.0), (0.5, 1.0, -0.3)])
def test_a_small_sheet_hides_what_lies_behind_it(direction: tuple[float, float, float]) -> None:
    floor, cover = grid("floor", 1.0, 80), grid("cover", 0.3, 40, height=0.3)
    points = np.ascontiguousarray(np.concatenate([floor.vertices, cover.vertices]).T)
    free = visibility(points, np.array(direction), 0.02, 0.03)
    on_floor, on_cover = free[: len(floor.vertices)], free[len(floor.vertices) :]
    assert (on_cover > 0.99).all()
    foot = floor.vertices[:, [0, 2]] + 0.3 * np.array(direction)[[0, 2]] / direction[1]  # where its ray meets the cover
    inner, outer = (np.abs(foot) < 0.12).all(1), (np.abs(foot) > 0.18).any(1)
    assert on_floor[inner].max() < 0.05
    assert on_floor[outer].min() > 0.95


def test_the_ground_is_dark_where_something_lies_and_free_at_the_border() -> None:
    ground, lights = Ground(np.zeros((4, 4, 3), np.uint8)), Lights(direction=np.array([1.0, 1.0, 0.0]))
    points = np.ascontiguousarray(grid("patch", 0.3, 40, height=0.005).vertices.T)
    shade = ground_map(points, ground, lights)
    np.testing.assert_allclose(shade.origin, [-0.15 - MARGIN - 0.005, -0.15 - MARGIN], atol=1e-6)
    count = shade.values.shape[0]
    assert shade.values[count // 2, count // 2].max() < 110
    assert (shade.values[[0, -1]] == 255).all()
    assert (shade.values[:, [0, -1]] == 255).all()
    lifted = ground_map(points + np.float32([[0], [0.3], [0]]), ground, lights)  # contact is lost, the shadow moves
    place = (np.array([-0.3, 0.0]) - lifted.origin) / lifted.size * count
    column, row = place.astype(int)
    assert lifted.values[row, column, 1] < 60
    assert lifted.values[..., 0].min() > shade.values[..., 0].min() + 60


def test_light_from_below_throws_no_shadow() -> None:
    points = np.ascontiguousarray(grid("patch", 0.3, 40, height=0.1).vertices.T)
    lights = Lights(direction=np.array([0.0, -1.0, 0.2]))
    assert (ground_map(points, Ground(np.zeros((4, 4, 3), np.uint8)), lights).values[..., 1] == 255).all()


def test_coarse_meshes_get_points_on_their_faces() -> None:
    coarse = grid("coarse", 1.0, 2)
    points = surface_points(coarse)
    assert len(points) > 1000
    np.testing.assert_array_equal(points[:4], coarse.vertices)
    assert (np.abs(points[:, [0, 2]]) <= 0.5).all()
    assert np.histogram2d(points[:, 0], points[:, 2], bins=10)[0].min() > 0


def test_textures_are_halved_until_texels_are_as_wide_as_pixels() -> None:
    surface = grid("metre", 1.0, 8)  # 256 texels a metre
    for pixels_per_metre, level in ((512, 0), (256, 0), (128, 1), (32, 3), (1, 5)):
        assert texel_level(surface, 1 / pixels_per_metre) == level
    texture = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
    assert halved(texture, 1).shape == (3, 2, 3)
    np.testing.assert_allclose(halved(texture, 1)[0, 0], texture[:2, :2].mean((0, 1)), atol=0.51)
    assert halved(texture, 9).shape == (1, 1, 3)


def test_the_cache_finds_by_identity_and_drops_the_oldest() -> None:
    cache: IdentityCache[str] = IdentityCache(2)
    one, two, three = np.zeros(3), np.zeros(3), np.zeros(3)
    assert cache.put(one, "one") == []
    assert cache.put(two, "two", 5) == []
    assert cache.get(one) == "one"
    assert cache.get(two) is None
    assert cache.get(one.copy()) is None
    assert cache.put(three, "three") == ["two"], "one was used since"
    assert sorted(cache.values()) == ["one", "three"]
