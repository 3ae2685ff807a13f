"""Hard shadows: against brute force over all triangles, against geometry on paper, and rays against triangles."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.renderers.raycast import RaycastRenderer
from sim2pose.render_farm.scenes.scene import Camera, Ground, Lights, PersonInScene, Rendered, Scene, Surface, Topology

FIGURE = Figure(10, 12)
LIFT = 0.004  # metres before a surface at which the way to the lamp begins
SIZE = 72
WHITE = np.full((4, 4, 3), 255, np.uint8)


def camera_at(eye: tuple[float, float, float], target: tuple[float, float, float], size: int = SIZE) -> Camera:
    R, t = look_at(np.array(eye), np.array(target))
    return Camera(camera_matrix(1.4 * size, size, size), R, t, size, size)


def only_lamp(direction: tuple[float, float, float]) -> Lights:
    """What the lamp does not reach is black."""
    return Lights(np.array(direction), np.full(3, 0.7), np.zeros(3), np.zeros(3))


def mesh(
    name: str, vertices: NDArray[np.floating], faces: NDArray[np.integer], two_sided: bool | None = None
) -> Surface:
    """A white mesh."""
    uv = np.zeros((len(vertices), 2), np.float32)
    faces = faces.astype(np.int32)
    topology = Topology(name, faces, uv, faces, np.full(len(faces), 255, np.uint8), two_sided)
    return Surface(topology, vertices.astype(np.float32), WHITE, specular=0, wrap=0)


def quad(name: str, corners: list[list[float]]) -> Surface:
    """A white sheet through four corners."""
    return mesh(name, np.array(corners), np.array([[0, 1, 2], [0, 2, 3]]))


def figure(seed: int, offset: float = 0.0) -> PersonInScene:
    """The closed figure, white, lying on y = 0, limbs at random."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.35, (24, 3))
    pose[0] = [-np.pi / 2, 0, 0]
    low = float(FIGURE(np.zeros(20), pose, np.zeros(3))[0][:, 1].min())
    person = FIGURE.person(np.zeros(20), pose, np.array([offset, -low, 0]))
    return replace(person, surface=replace(person.surface, texture=WHITE, specular=0, wrap=0))


def scene_of(seed: int) -> Scene:
    """One or two people, sometimes beneath a sheet and before a thing that reaches out of the picture, on a floor."""
    rng = np.random.default_rng([3, seed])
    people = [figure(seed)] + ([figure(seed + 9, 0.4)] if seed % 2 else [])
    eye = (rng.uniform(-0.6, 0.6), rng.uniform(0.6, 1.2), rng.uniform(-0.6, 0.6))
    sheet = quad("sheet", [[-0.1, 0.2, -0.2], [-0.1, 0.25, 0.1], [0.2, 0.3, 0.1], [0.2, 0.2, -0.2]])
    wall = quad("wall", [[0.5, -0.2, -9], [0.5, -0.2, 9], [0.5, 0.6, 9], [0.5, 0.6, -9]])
    lights = only_lamp((rng.uniform(-1, 1), rng.uniform(0.3, 1), rng.uniform(-1, 1)))
    ground = Ground(WHITE, 1.0)
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    return Scene(camera_at(eye, (0, 0.05, 0)), people, black, lights, [sheet, wall][: seed % 3], ground)


def hidden(scene: Scene, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Brute force in float64: whether any triangle lies between places (N, 3) and the lamp, (N,)."""
    unit = scene.lights.direction / np.linalg.norm(scene.lights.direction)
    across = np.linalg.svd(unit[None])[2][1:]
    triangles = np.concatenate([s.vertices[s.topology.faces] for s, _ in scene.surfaces()]).astype(np.float64)
    flat, height = triangles @ across.T, triangles @ unit
    found = np.zeros(len(places), bool)
    for index, place in enumerate(places):
        x, y = np.moveaxis(flat - across @ place, -1, 0)
        areas = np.stack([x[:, i - 2] * y[:, i - 1] - y[:, i - 2] * x[:, i - 1] for i in range(3)], 1)
        inside = ((areas >= 0).all(1) | (areas <= 0).all(1)) & (areas.sum(1) != 0)
        met = (areas * height)[inside].sum(1) / areas[inside].sum(1)
        found[index] = (met > place @ unit + LIFT).any()
    return found


def some_places(scene: Scene, drawn: Rendered, count: int = 500) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pixels that see something, (N,) as flat indices, and what they see, (N, 3) in the world."""
    pixels = np.random.default_rng(0).permutation(np.flatnonzero(np.isfinite(drawn.depth)))[:count]
    rows, columns = np.divmod(pixels, drawn.depth.shape[1])
    rays = np.linalg.inv(scene.camera.K) @ np.stack([columns, rows, np.ones(len(rows))])
    return pixels, (rays * drawn.depth.ravel()[pixels] - scene.camera.t[:, None]).T @ scene.camera.R


@pytest.mark.parametrize("rays", [False, True])
def test_shadows_are_those_of_brute_force(rays: bool) -> None:
    renderer = RaycastRenderer(shadow="hard", normals=True, antialias=False, rays=rays)
    asked, lit, shadow, other = [], [], [], []
    for seed in range(6):
        scene = scene_of(seed)
        drawn = renderer.render(scene)
        pixels, places = some_places(scene, drawn)
        unit = scene.lights.direction / np.linalg.norm(scene.lights.direction)
        assert drawn.normals is not None
        asked.append(drawn.normals.reshape(-1, 3)[pixels] / 127.0 @ (scene.camera.R @ unit) > 0.15)
        lit.append(drawn.rgb.reshape(-1, 3)[pixels].max(-1) > 0)
        shadow.append(hidden(scene, places))
        turned = replace(scene, lights=replace(scene.lights, direction=scene.lights.direction * [1, 1, -1.3]))
        other.append(hidden(turned, places))
        assert (shadow[-1] & asked[-1]).sum() > 5, "a scene that says something"
    light, dark = np.concatenate(lit), np.concatenate(shadow)
    assert (light & dark).mean() < 0.002, "light where a triangle hides the lamp"
    assert (np.concatenate(asked) & ~light & ~dark).mean() < 0.002, "shadow where nothing throws any"
    assert (light & np.concatenate(other)).mean() > 0.01, "the shadows of another lamp are told apart"
    renderer.close()


@pytest.mark.parametrize("direction", [(0.2, 1.0, 0.5), (0.8, 1.0, -0.5), (-4.0, 1.0, 0.0)])
def test_a_sheet_throws_its_own_shape(direction: tuple[float, float, float]) -> None:
    """A sheet one metre up, its shadow moved by the lamp's slope; also from a lamp that stands low."""
    x, z = -direction[0], -direction[2]
    camera = camera_at((x + 0.01, 9.0, z), (x, 0, z))
    sheet = quad("one metre up", [[-0.5, 1, -0.25], [-0.5, 1, 0.25], [0.5, 1, 0.25], [0.5, 1, -0.25]])
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    scene = Scene(camera, [], black, only_lamp(direction), [sheet], Ground(WHITE))
    drawn = RaycastRenderer(shadow="hard", antialias=False).render(scene)
    rows, columns = np.nonzero(drawn.instances == 0)
    rays = camera.R.T @ np.linalg.inv(camera.K) @ np.stack([columns, rows, np.ones(len(rows))])
    place = camera.position[:, None] - rays * (camera.position[1] / rays[1])
    outside = np.maximum(np.abs(place[0] - x) - 0.5, np.abs(place[2] - z) - 0.25)
    dark = drawn.rgb[rows, columns].max(-1) == 0
    sure = np.abs(outside) > 0.003
    np.testing.assert_array_equal(dark[sure], outside[sure] < 0)
    assert dark.sum() > 10


def test_a_closed_box_throws_the_shadow_of_its_sheets() -> None:
    """Of closed meshes only faces turned to the lamp are asked; they throw the whole shadow."""
    corners = np.array([[x, y, z] for x in (-0.2, 0.2) for y in (0.1, 0.4) for z in (-0.2, 0.2)])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([(a, b, c) for a, *rest in sides for b, c in pairwise(rest)])
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    shadows = []
    for name, two_sided in (("box", None), ("box of sheets", True)):
        box = mesh(name, corners, faces, two_sided)
        scene = Scene(camera_at((0.9, 0.8, 0.9), (0, 0.1, 0)), [], black, only_lamp((-1, 1, 0.2)), [box], Ground(WHITE))
        drawn = RaycastRenderer(shadow="hard", antialias=False).render(scene)
        shadows.append((drawn.rgb.max(-1) == 0) & (drawn.parts == 0))
    np.testing.assert_array_equal(*shadows)
    assert shadows[0].mean() > 0.02


def test_lit_as_if_alone_where_nothing_is_near() -> None:
    """Shadows stay where their throwers are: a wide floor around a person shows no other difference."""
    scene = replace(scene_of(0), camera=camera_at((0.1, 14.0, 0.0), (0, 0, 0)))
    renderer = RaycastRenderer(shadow="hard", ambient_shadow=False, antialias=False)
    drawn, bare = renderer.render(scene), renderer.render(replace(scene, persons=[]))
    changed = (drawn.rgb != bare.rgb).any(-1) & (drawn.parts == 0)
    assert 0 < changed.mean() < 0.01


def soup(count: int, seed: int) -> Surface:
    """Triangles of all sizes anywhere, some of them behind the camera or across the whole picture."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-2, 1.3, (count, 1, 1))
    corners = rng.uniform(-1, 1, (count, 1, 3)) + size * rng.normal(0, 0.4, (count, 3, 3))
    return mesh(f"soup {seed}", corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3))


def test_rays_and_triangles_see_the_same_of_triangles_of_any_size() -> None:
    triangles, rays = (RaycastRenderer(shadow="hard", antialias=False, rays=way) for way in (False, True))
    for seed in range(4):
        black = np.zeros((SIZE, SIZE, 3), np.uint8)
        scene = Scene(
            camera_at((0.0, 0.5, 2.0), (0, 0, 0)), [], black, only_lamp((0.3, 1, 0.2)), occluders=[soup(150, seed)]
        )
        a, b = triangles.render(scene), rays.render(scene)
        assert (a.parts > 0).mean() > 0.5
        assert np.isclose(a.depth, b.depth, rtol=1e-3).mean() > 0.998
        assert (np.abs(a.rgb.astype(int) - b.rgb).max(-1) <= 3).mean() > 0.99


def test_pictures_do_not_depend_on_sizes_drawn_before() -> None:
    """Buffers are kept from frame to frame: a small picture after a larger one is that of a fresh renderer, and stays."""
    used, fresh = (RaycastRenderer(shadow="hard", normals=True) for _ in range(2))
    scene = scene_of(1)
    used.render(replace(scene_of(4), camera=camera_at((0.3, 0.9, 0.2), (0, 0, 0), 2 * SIZE)))
    a, b = used.render(scene), fresh.render(scene)
    for name in ("rgb", "depth", "parts", "instances", "normals"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    kept = a.rgb.copy()
    used.render(scene_of(2))
    np.testing.assert_array_equal(a.rgb, kept)
