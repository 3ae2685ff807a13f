"""What the renderers share: normals, shadows from scattered points, texture levels, caches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.renderers.look import SKY_STRENGTH, ambient_from_above, ambient_terms
from sim2pose.render_farm.renderers.mesh import IdentityCache, static_mesh, texel_level, vertex_normals
from sim2pose.render_farm.renderers.shading import halved, prepare
from sim2pose.render_farm.renderers.shadows import MARGIN, GroundMap, light_basis
from sim2pose.render_farm.renderers.vertices import VertexLight, host
from sim2pose.render_farm.scenes.scene import Camera, Ground, Lights, Scene, Surface, Topology


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


def lit_scene(surfaces: list[Surface], direction: tuple[float, float, float], ground: bool = True) -> Scene:
    """Surfaces as occluders over a black ground, lit by a white lamp alone."""
    camera = Camera(np.diag([50.0, 50.0, 1.0]), np.eye(3), np.array([0.0, -5.0, 0.0]), 16, 16)  # its eye is 5 m up
    nothing = np.zeros(3)
    plane = Ground(np.zeros((4, 4, 3), np.uint8)) if ground else None
    lights = Lights(np.array(direction), np.ones(3), nothing, nothing)
    return Scene(camera, [], np.zeros((16, 16, 3), np.uint8), lights, occluders=surfaces, ground=plane)


def shade_of(surface: Surface, direction: tuple[float, float, float]) -> GroundMap:
    shade = prepare(lit_scene([surface], direction), VertexLight()).ground
    assert shade is not None
    return shade


@pytest.mark.parametrize("direction", [(0.0, 1.0, 0.0), (0.5, 1.0, -0.3)])
def test_a_small_sheet_hides_what_lies_behind_it(direction: tuple[float, float, float]) -> None:
    floor, cover = grid("floor", 1.0, 80), grid("cover", 0.3, 40, height=0.3)
    lit = VertexLight().light(lit_scene([floor, cover], direction), [floor, cover])
    light = host(lit.direct, lit.total)[:, 0]
    cosine = direction[1] / np.linalg.norm(direction)
    expected = (cosine + floor.wrap) / (1 + floor.wrap)
    on_floor, on_cover = light[: len(floor.vertices)] / expected, light[len(floor.vertices) :] / expected
    assert (on_cover > 0.99).all()
    foot = floor.vertices[:, [0, 2]] + 0.3 * np.array(direction)[[0, 2]] / direction[1]  # where its ray meets the cover
    inner, outer = (np.abs(foot) < 0.12).all(1), (np.abs(foot) > 0.18).any(1)
    assert on_floor[inner].max() < 0.05
    assert on_floor[outer].min() > 0.95


def test_what_lies_above_takes_light_of_the_sky() -> None:
    floor, cover = grid("floor", 1.0, 80), grid("cover", 0.3, 40, height=0.3)
    scene = lit_scene([floor, cover], (0.0, 1.0, 0.0))
    scene.lights.sky = np.ones(3)
    shares = []
    for shadow in (True, False):
        lit = VertexLight(ambient_shadow=shadow).light(scene, [floor, cover])
        shares.append(host(lit.ambient, lit.total)[: len(floor.vertices), 0].copy())
    beneath, aside = (
        (np.abs(floor.vertices[:, [0, 2]]) < 0.12).all(1),
        (np.abs(floor.vertices[:, [0, 2]]) > 0.18).any(1),
    )
    np.testing.assert_allclose(shares[0][beneath], 1 - SKY_STRENGTH, atol=0.05)
    np.testing.assert_allclose(shares[0][aside], 1, atol=0.05)
    np.testing.assert_allclose(shares[1], 1, atol=1e-5)


def test_normals_and_light_at_the_vertices() -> None:
    """Normals equal numpy's; a lamp alone gives wrapped cosines, the surroundings their polynomial."""
    figure = Figure(12, 12)
    topology = replace(figure.topology, name="figure-one-sided", two_sided=False)
    surface = Surface(topology, figure(np.zeros(20), np.zeros((24, 3)), np.zeros(3))[0], figure.texture, wrap=0.0)
    scene = lit_scene([surface], (1.0, 0.0, 0.0), ground=False)
    rng = np.random.default_rng(0)
    scene.lights.environment = rng.normal(0, 0.05, (9, 3)) + np.eye(9, 3)[[0] * 9] * 0.5
    lit = VertexLight(soft_shadow=False, ambient_shadow=False).light(scene, [surface])
    expected = vertex_normals(topology, surface.vertices)
    n = host(lit.normals, lit.total)
    np.testing.assert_allclose(n, expected, atol=2e-5)
    np.testing.assert_allclose(host(lit.direct, lit.total)[:, 0], np.maximum(n[:, 0], 0), atol=1e-5)
    x, y, z = n.T.astype(np.float64)
    harmonics = [0.282095 + 0 * x, 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y, 1.092548 * y * z]
    harmonics += [0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y)]
    around = np.maximum(np.stack(harmonics, 1) @ scene.lights.environment, 0)
    np.testing.assert_allclose(host(lit.ambient, lit.total), around, atol=1e-5)


def test_an_environment_of_sky_and_floor_is_the_hemisphere() -> None:
    sky, floor = np.array([0.5, 0.6, 0.7]), np.array([0.2, 0.1, 0.3])
    hemisphere = Lights(sky=sky, floor=floor)
    terms = np.zeros((9, 3))
    terms[0], terms[1] = (sky + floor) / 2 / 0.282095, (sky - floor) / 2 / 0.488603
    panorama = Lights(environment=terms)
    np.testing.assert_allclose(ambient_terms(hemisphere), ambient_terms(panorama), atol=1e-6)
    np.testing.assert_allclose(ambient_from_above(panorama), sky, atol=1e-6)
    with pytest.raises(UserError, match=r"environment must be \(9, 3\)"):
        ambient_terms(Lights(environment=np.zeros((3, 9))))


def test_the_ground_is_dark_where_something_lies_and_free_at_the_border() -> None:
    light = (1.0, 1.0, 0.0)
    shade = shade_of(grid("patch", 0.3, 40, height=0.005), light)
    np.testing.assert_allclose(shade.origin, [-0.15 - MARGIN - 0.005, -0.15 - MARGIN], atol=1e-6)
    count = shade.values.shape[0]
    assert shade.values[count // 2, count // 2].max() < 110
    assert (shade.values[[0, -1]] == 255).all()
    assert (shade.values[:, [0, -1]] == 255).all()
    lifted = shade_of(grid("patch", 0.3, 40, height=0.305), light)  # contact is lost, the shadow moves
    place = (np.array([-0.3, 0.0]) - lifted.origin) / lifted.size * count
    column, row = place.astype(int)
    assert lifted.values[row, column, 1] < 60
    assert lifted.values[..., 0].min() > shade.values[..., 0].min() + 60


def test_light_from_below_throws_no_shadow() -> None:
    assert (shade_of(grid("patch", 0.3, 40, height=0.1), (0.0, -1.0, 0.2)).values[..., 1] == 255).all()


def test_coarse_meshes_get_points_on_their_faces() -> None:
    coarse = grid("coarse", 1.0, 2)
    lit = VertexLight().light(lit_scene([coarse], (0.0, 1.0, 0.0)), [coarse])
    points = host(lit.points, lit.everything)
    assert len(points) > 1000
    np.testing.assert_array_equal(points[:4], coarse.vertices)
    assert (np.abs(points[:, [0, 2]]) <= 0.5 + 1e-6).all()
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
