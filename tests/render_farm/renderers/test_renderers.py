"""Renderers: exact geometry of pixels, depth and ids, equal labels of all backends, looks, and honest failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.kinds.registry import KINDS, load_render_config
from sim2pose.render_farm.labels import label_person
from sim2pose.render_farm.renderers import RENDERERS, Options, Renderer, available_renderers, make_renderer
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.renderers.selfcheck import check_renderer
from sim2pose.render_farm.renderers.shading import Prepared, prepare
from sim2pose.render_farm.renderers.vertices import VertexLight
from sim2pose.render_farm.scenes.scene import (
    OCCLUDER,
    Camera,
    Ground,
    Lights,
    PersonInScene,
    Rendered,
    Scene,
    Surface,
    Topology,
)

FIGURE = Figure(12, 14)
DARK = np.full((96, 96, 3), 20, np.uint8)


def open_renderer(name: str, normals: bool = False) -> Renderer:
    """The renderer; skips the test with the reason where there is no EGL, or no pyrender. raycast must always work."""
    try:
        return make_renderer(name, normals=normals)
    except UserError as error:
        if name != "raycast" and any(why in str(error) for why in ("no EGL context", "no egl context", "not import")):
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="module", params=list(RENDERERS))
def renderer(request: pytest.FixtureRequest) -> Iterator[Renderer]:
    made = open_renderer(request.param)
    yield made
    made.close()


def camera_at(eye: tuple[float, float, float], target: tuple[float, float, float], size: int = 96) -> Camera:
    R, t = look_at(np.array(eye), np.array(target))
    return Camera(camera_matrix(1.4 * size, size, size), R, t, size, size)


def sheet(name: str, corners: np.ndarray, colour: tuple[int, int, int], part: int = OCCLUDER) -> Surface:
    """A square of one colour through four corners (4, 3)."""
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32)
    topology = Topology(name, faces, uv, faces, np.full(2, part, np.uint8))
    return Surface(topology, np.asarray(corners, np.float32), np.full((4, 4, 3), colour, np.uint8), specular=0)


def person_of(surface: Surface) -> PersonInScene:
    nothing = np.zeros((24, 3))
    return PersonInScene(surface, np.zeros((17, 3)), nothing, np.zeros(20), nothing, np.zeros(3))


def lying(seed: int, offset: tuple[float, float] = (0.0, 0.0)) -> PersonInScene:
    """The figure on its back on y = 0, limbs at random."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.35, (24, 3))
    pose[0] = np.array([-np.pi / 2, 0, 0]) + rng.normal(0, 0.2, 3)
    betas = np.zeros(20)
    betas[0] = rng.normal()
    vertices = FIGURE(betas, pose, np.zeros(3))[0]
    return FIGURE.person(betas, pose, np.array([offset[0], -float(vertices[:, 1].min()), offset[1]]))


def infant(seed: int) -> PersonInScene:
    """The open body, lying, painted as if in a suit all over."""
    rng = np.random.default_rng(seed)
    body = load_body("open-infant")
    pose = rng.normal(0, 0.3, (24, 3))
    pose[0] = [(-1) ** seed * np.pi / 2, 0, 0]
    betas = body.sample_betas(rng, 1)
    with torch.no_grad():
        out = body(*(torch.as_tensor(a, dtype=torch.float32) for a in (betas, pose[None], np.zeros((1, 3)))))
    lift = np.array([0, -float(out.vertices[0, :, 1].min()), 0])
    topology = Topology("open-infant", body.faces, body.uv, body.uv_faces, body.part_ids)
    cloth = np.full((64, 64, 3), (120, 150, 190), np.uint8)
    cloth[::4] = 230
    surface = Surface(topology, out.vertices[0].numpy() + lift.astype(np.float32), cloth)
    return PersonInScene(
        surface, out.keypoints[0].numpy() + lift, out.joints[0].numpy() + lift, betas[0], pose, lift, "open-infant"
    )


def nursery(seed: int) -> Scene:
    """Seed 0..: one or two people on a mat or an endless floor, sometimes beneath a sheet, from a random camera."""
    rng = np.random.default_rng([7, seed])
    people = [infant(seed)] if seed % 3 == 2 else [lying(seed)]
    if seed % 4 == 1:
        people.append(lying(seed + 50, (0.35, 0.1)))
    eye = (rng.uniform(-0.6, 0.6), rng.uniform(0.5, 1.3), rng.uniform(-0.6, 0.6))
    camera = camera_at(eye, (rng.uniform(-0.1, 0.1), 0.05, rng.uniform(-0.1, 0.1)), 128)
    x, y, z = rng.uniform(-0.1, 0.1), rng.uniform(0.12, 0.25), rng.uniform(-0.2, 0.1)
    blanket = sheet("quadrangle", [[x, y, z], [x, y, z + 0.2], [x + 0.2, y, z + 0.2], [x + 0.2, y, z]], (90, 160, 90))
    tiles = rng.integers(60, 220, (32, 32, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    ground = Ground(tiles, 0.5, half_size=(0.4, 0.7) if seed % 2 else None, centre=(0.05, -0.03), yaw=0.4)
    return Scene(
        camera,
        people,
        rng.integers(0, 255, (128, 128, 3), dtype=np.uint8),
        occluders=[blanket] if seed % 3 == 0 else [],
        ground=ground,
        lights=Lights(direction=np.array([rng.uniform(-1, 1), 1.0, rng.uniform(-1, 1)])),
    )


def test_pixel_centres_lie_at_integers(renderer: Renderer) -> None:
    """A square over the pixels 10..20 x 30..35, its border half a pixel outside of their centres."""
    K = np.array([[50.0, 0, 40], [0, 60.0, 28], [0, 0, 1]])
    camera = Camera(K, np.eye(3), np.zeros(3), 80, 56)
    edges = np.array([[9.6, 29.6], [9.6, 35.4], [20.4, 35.4], [20.4, 29.6]])
    corners = np.column_stack([(edges - K[:2, 2]) / [50, 60] * 1.5, np.full(4, 1.5)])
    scene = Scene(
        camera, [person_of(sheet("square", corners, (255, 255, 255), part=9))], np.zeros((56, 80, 3), np.uint8)
    )
    drawn = renderer.render(scene)
    expected = np.zeros((56, 80), np.uint8)
    expected[30:36, 10:21] = 9
    np.testing.assert_array_equal(drawn.parts, expected)
    np.testing.assert_array_equal(drawn.instances, expected // 9)
    np.testing.assert_allclose(drawn.depth[expected > 0], 1.5, atol=1e-4)
    assert np.isinf(drawn.depth[expected == 0]).all()
    for array, kind in ((drawn.rgb, np.uint8), (drawn.depth, np.float32), (drawn.parts, np.uint8)):
        assert array.dtype == kind
        assert array.flags.c_contiguous


def test_texture_coordinates_start_at_the_top_left_of_the_array(renderer: Renderer) -> None:
    """A square facing the camera shows its texture upright: array row 0 on top, column 0 on the left."""
    camera = Camera(np.array([[64.0, 0, 31.5], [0, 64.0, 31.5], [0, 0, 1]]), np.eye(3), np.zeros(3), 64, 64)
    square = sheet("upright", [[-0.5, -0.5, 1], [-0.5, 0.5, 1], [0.5, 0.5, 1], [0.5, -0.5, 1]], (0, 0, 0), part=1)
    square.texture = np.zeros((64, 64, 3), np.uint8)
    square.texture[:32, :32] = 255, 0, 0
    square.texture[:32, 32:] = 0, 255, 0
    square.texture[32:, :32] = 0, 0, 255
    lights = Lights(np.array([0, 0, -1.0]), np.full(3, 0.6), np.zeros(3), np.zeros(3))
    drawn = renderer.render(Scene(camera, [person_of(square)], np.zeros((64, 64, 3), np.uint8), lights))
    for place, channel in (((16, 16), 0), ((16, 48), 1), ((48, 16), 2)):
        assert drawn.rgb[place].argmax() == channel
        assert drawn.rgb[place][channel] > 150
    assert drawn.rgb[48, 48].max() < 30


def test_ground_depth_is_that_of_the_plane(renderer: Renderer) -> None:
    camera = camera_at((0.5, 1.2, 0.8), (0, 0.1, 0))
    ground = Ground(np.full((8, 8, 3), 128, np.uint8), height=0.1, half_size=(0.2, 0.3), centre=(0.1, 0.0), yaw=0.5)
    drawn = renderer.render(Scene(camera, [], DARK, ground=ground))
    rows, columns = np.nonzero(np.isfinite(drawn.depth))
    assert 300 < len(rows) < 96 * 96
    rays = np.linalg.inv(camera.K) @ np.stack([columns, rows, np.ones(len(rows))])
    world = camera.R.T @ (rays * drawn.depth[rows, columns] - camera.t[:, None])
    np.testing.assert_allclose(world[1], 0.1, atol=1e-4)
    cos, sin = np.cos(0.5), np.sin(0.5)  # local x axis of the turned rectangle: (cos, -sin) in world (x, z)
    x, z = world[0] - 0.1, world[2]
    assert np.abs(x * cos - z * sin).max() == pytest.approx(0.2, abs=0.02)
    assert np.abs(x * sin + z * cos).max() == pytest.approx(0.3, abs=0.02)
    assert (drawn.parts == 0).all()
    np.testing.assert_array_equal(drawn.rgb[np.isinf(drawn.depth)], 20)


def test_what_lies_beneath_the_ground_is_hidden(renderer: Renderer) -> None:
    person = lying(0)
    scene = Scene(camera_at((0, 1.2, 0.1), (0, 0, 0)), [person], DARK, ground=Ground(np.full((4, 4, 3), 99, np.uint8)))
    assert (renderer.render(scene).parts > 0).any()
    person.surface.vertices = person.surface.vertices - np.float32([0, 1, 0])
    assert not (renderer.render(scene).parts > 0).any()


def test_occluders_hide_people_and_carry_their_id(renderer: Renderer) -> None:
    scene = Scene(camera_at((0, 1.2, 0.05), (0, 0, 0)), [lying(1)], DARK)
    free = renderer.render(scene)
    corners = [[-0.05, 0.5, -0.05], [-0.05, 0.5, 0.05], [0.05, 0.5, 0.05], [0.05, 0.5, -0.05]]
    for order in (1, -1):  # seen from either side, as open sheets are
        scene.occluders = [sheet(f"cover{order}", corners[::order], (200, 60, 60))]
        covered = renderer.render(scene)
        hidden = covered.parts == OCCLUDER
        assert hidden.sum() > 100
        np.testing.assert_array_equal(hidden, covered.instances == OCCLUDER)
        np.testing.assert_array_equal(covered.parts[~hidden], free.parts[~hidden])
        red, green, _ = covered.rgb[hidden].astype(int).T
        assert np.median(red - green) > 50


def test_light_and_contact_shade_darken_the_ground(renderer: Renderer) -> None:
    camera = camera_at((0.0, 1.6, 0.01), (0, 0, 0))
    ground = Ground(np.full((8, 8, 3), 200, np.uint8))
    empty = renderer.render(Scene(camera, [], DARK, ground=ground)).rgb
    assert empty.std() < 1, "an evenly lit plane of one colour"
    lights = Lights(direction=np.array([1.0, 1.0, 0.0]))
    scene = Scene(camera, [lying(2)], DARK, ground=ground, lights=lights)
    drawn, bare = renderer.render(scene), renderer.render(replace(scene, persons=[]))
    darker = bare.rgb.astype(int).sum(-1) - drawn.rgb.astype(int).sum(-1)
    floor, columns = drawn.parts == 0, np.arange(96)[None] * np.ones((96, 1))
    assert darker[floor].max() > 80
    assert (darker[floor] >= -3).all()
    body = columns[~floor].mean()
    shade = np.average(columns[floor], weights=np.maximum(darker[floor], 0))
    assert shade < body - 2, "the light comes from +x, the right of the picture, so the shadow falls to the left"


def test_two_people_of_one_topology(renderer: Renderer) -> None:
    people = [lying(3, (-0.3, 0)), lying(4, (0.3, 0))]
    camera = camera_at((0, 1.7, 0.1), (0, 0, 0))
    both = renderer.render(Scene(camera, people, DARK))
    for index in range(2):
        alone = renderer.render(Scene(camera, [people[index]], DARK))
        np.testing.assert_array_equal(both.instances == index + 1, alone.instances == 1)


def test_pictures_are_repeatable_and_independent_of_what_was_drawn_before(renderer: Renderer) -> None:
    first = renderer.render(nursery(1))
    renderer.render(nursery(2))
    again = renderer.render(nursery(1))
    for name in ("rgb", "depth", "parts", "instances"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_backdrop_is_shown_unchanged_or_resampled(renderer: Renderer) -> None:
    backdrop = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    scene = Scene(camera_at((0, 1, 1), (0, 0, 0)), [], backdrop)
    np.testing.assert_array_equal(renderer.render(scene).rgb, backdrop)
    scene.backdrop = backdrop.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(renderer.render(scene).rgb, backdrop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": np.full((FIGURE.topology.vertex_count, 3), np.nan, np.float32)}, "not finite"),
        ({"vertices": np.zeros((5, 3), np.float32)}, "the topology needs"),
        ({"texture": np.zeros((4, 4), np.uint8)}, "needed uint8"),
    ],
)
def test_surfaces_that_cannot_be_drawn_are_refused(renderer: Renderer, change: dict, message: str) -> None:
    person = lying(0)
    scene = Scene(camera_at((0, 1, 1), (0, 0, 0)), [replace(person, surface=replace(person.surface, **change))], DARK)
    with pytest.raises(UserError, match=message):
        renderer.render(scene)


def test_a_camera_that_is_none_is_refused(renderer: Renderer) -> None:
    camera = camera_at((0, 1, 1), (0, 0, 0))
    camera.K = camera.K * np.nan
    with pytest.raises(UserError, match="finite numbers"):
        renderer.render(Scene(camera, [], DARK))


def test_one_name_for_two_meshes_is_refused(renderer: Renderer) -> None:
    one, other = sheet("twice", np.eye(4, 3), (9, 9, 9), part=1), sheet("twice", np.eye(4, 3), (9, 9, 9), part=2)
    camera = camera_at((0, 1, 3), (0, 0, 0))
    with pytest.raises(UserError, match="two different meshes are called 'twice'"):
        renderer.render(Scene(camera, [person_of(one), person_of(other)], DARK))


def same_labels(a: Rendered, b: Rendered, scene: Scene) -> float:
    """Assert that two renderers agree on a scene; returns the largest depth difference in metres."""
    for index in range(len(scene.persons)):
        first, second = label_person(scene, index, a), label_person(scene, index, b)
        assert first is not None
        assert second is not None
        np.testing.assert_array_equal(first.keypoints, second.keypoints)
        np.testing.assert_allclose(first.bbox, second.bbox, atol=1)
        one, two = a.instances == index + 1, b.instances == index + 1
        assert (one & two).sum() / (one | two).sum() >= 0.999 - 2 / (one | two).sum()
    assert (a.parts == b.parts).mean() >= 0.999
    both = (a.parts == b.parts) & np.isfinite(a.depth) & np.isfinite(b.depth)
    difference = np.abs(a.depth[both] - b.depth[both])
    # Where one limb lies before another, a pixel on the border may show either.
    assert np.mean(difference > 0.001) < 2e-4
    return float(np.quantile(difference, 0.999))


@pytest.mark.parametrize("name", ["opengl", "pyrender"])
def test_all_renderers_give_equal_labels_and_nearly_equal_pictures(name: str) -> None:
    other, raycast = open_renderer(name, normals=True), open_renderer("raycast", normals=True)
    for seed in range(12):
        scene = nursery(seed)
        if seed % 2:
            scene.lights.environment = np.random.default_rng(seed).normal(0, 0.04, (9, 3)) + 0.9 * np.eye(9, 3)[[0] * 9]
            scene.lights.environment[1:] -= 0.9 * np.eye(9, 3)[[0] * 8]
        a, b = other.render(scene), raycast.render(scene)
        assert same_labels(a, b, scene) < 0.001
        # Of a ground whose texels are noise, raycast's steps of detail show; pyrender multiplies texture and light as encoded
        # values, and makes the ground's levels of detail its own way.
        assert np.abs(a.rgb.astype(int) - b.rgb).mean() < (1.5 if name == "opengl" else 4.0)
        assert a.normals is not None
        assert b.normals is not None
        same = (a.parts == b.parts) & (a.instances == b.instances)
        assert np.quantile(np.abs(a.normals.astype(int) - b.normals).max(-1)[same], 0.995) <= 2
    other.close()
    raycast.close()


def test_opengl_and_raycast_agree_on_frames_of_a_job() -> None:
    """On what is really rendered, whose grounds are no noise, the pictures differ by under a level in the mean."""
    pools = ["scene.wardrobe.pool=6", "scene.skin.pool=4", "scene.backgrounds.pool=6", "scene.occluders.pool=4"]
    scenes = KINDS["infant"].sampler(load_render_config("infant", pools)).scenes(0)[:8]
    opengl, raycast = open_renderer("opengl"), open_renderer("raycast")
    for scene in scenes:
        assert np.abs(opengl.render(scene).rgb.astype(int) - raycast.render(scene).rgb).mean() < 1.0
    opengl.close()
    raycast.close()


def test_normals_are_unit_vectors_of_the_camera_frame(renderer: Renderer) -> None:
    """A square that faces the camera, tilted: its normal points back at the camera; the floor's points up."""
    made = open_renderer(renderer.name, normals=True)
    K, tilt = np.array([[64.0, 0, 31.5], [0, 64.0, 31.5], [0, 0, 1]]), 0.4
    corners = np.array([[-0.2, -0.2, 0], [-0.2, 0.2, 0], [0.2, 0.2, 0], [0.2, -0.2, 0]])
    turn = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    square = sheet("tilted", corners @ turn.T + [0, 0, 1], (200, 200, 200), part=1)
    scene = Scene(Camera(K, np.eye(3), np.zeros(3), 64, 64), [person_of(square)], np.zeros((64, 64, 3), np.uint8))
    drawn = made.render(scene)
    assert drawn.normals is not None
    assert drawn.normals.dtype == np.int8
    expected = 127 * turn @ [0, 0, -1]
    assert np.abs(drawn.normals[drawn.parts == 1] - expected).max() <= 1.5
    assert not drawn.normals[np.isinf(drawn.depth)].any()
    camera = camera_at((0.3, 1.2, 0.2), (0, 0, 0))
    floor = made.render(Scene(camera, [], DARK, ground=Ground(np.full((4, 4, 3), 99, np.uint8))))
    assert floor.normals is not None
    assert np.abs(floor.normals - 127 * np.asarray(camera.R)[:, 1]).max() <= 1.5
    assert renderer.render(scene).normals is None
    made.close()


def test_rays_and_triangles_find_the_same() -> None:
    """The CPU's way of finding what pixels see, and the GPU's, on the CPU; also with a corner behind the camera."""
    from sim2pose.render_farm.renderers.raycast import RaycastRenderer

    triangles, rays = RaycastRenderer(rays=False), RaycastRenderer(rays=True)
    near = nursery(0)
    near.camera = camera_at((0.05, 0.17, 0.05), (0.0, 0.0, 0.1), 128)
    for scene in (*(nursery(seed) for seed in range(6)), near):
        a, b = triangles.render(scene), rays.render(scene)
        assert (a.parts == b.parts).mean() >= 0.9995
        both = np.isfinite(a.depth) & np.isfinite(b.depth) & (a.parts == b.parts)
        assert np.quantile(np.abs(a.depth[both] - b.depth[both]), 0.999) < 1e-4
        scene.ground = replace(
            scene.ground, texture=cv2.blur(scene.ground.texture, (9, 9))
        )  # noise would show steps of detail
        a, b = triangles.render(scene), rays.render(scene)
        assert np.abs(a.rgb.astype(int) - b.rgb).mean() < 0.8
    assert (near.camera.R @ near.persons[0].surface.vertices.T + near.camera.t[:, None])[2].min() < 0


def test_closing_pyrender_leaves_other_contexts_alive() -> None:
    opengl, pyrender = open_renderer("opengl"), open_renderer("pyrender")
    before = opengl.render(nursery(1))
    pyrender.close()
    np.testing.assert_array_equal(opengl.render(nursery(1)).rgb, before.rgb)
    open_renderer("pyrender").close()


def test_environment_light_replaces_sky_and_floor(renderer: Renderer) -> None:
    scene = nursery(0)
    plain = renderer.render(scene).rgb.astype(int)
    sky, floor = np.asarray(scene.lights.sky), np.asarray(scene.lights.floor)
    scene.lights.environment = np.zeros((9, 3))
    scene.lights.environment[0], scene.lights.environment[1] = (
        (sky + floor) / 2 / 0.282095,
        (sky - floor) / 2 / 0.488603,
    )
    assert np.abs(renderer.render(scene).rgb.astype(int) - plain).max() <= 2, "the hemisphere as a panorama"
    scene.lights.environment[0] = (3.0, 0.0, 0.0)
    red = renderer.render(scene).rgb.astype(int)
    shown = np.isfinite(renderer.render(scene).depth)
    assert (red[shown][:, 0] - plain[shown][:, 0]).mean() > 10


def test_hard_shadows_change_the_picture_and_not_the_labels() -> None:
    from sim2pose.render_farm.renderers.raycast import RaycastRenderer

    scene = nursery(0)
    soft, hard = RaycastRenderer().render(scene), RaycastRenderer(shadow="hard").render(scene)
    np.testing.assert_array_equal(soft.parts, hard.parts)
    np.testing.assert_array_equal(soft.depth, hard.depth)
    assert np.abs(soft.rgb.astype(int) - hard.rgb).mean() > 0.3
    with pytest.raises(UserError, match="unknown shadow"):
        RaycastRenderer(shadow="foggy")


def test_ambient_shadow_can_be_left_out() -> None:
    from sim2pose.render_farm.renderers.raycast import RaycastRenderer

    scene = nursery(0)
    with_, without = RaycastRenderer().render(scene), RaycastRenderer(ambient_shadow=False).render(scene)
    np.testing.assert_array_equal(with_.parts, without.parts)
    brighter = (without.rgb.astype(int) - with_.rgb)[with_.parts > 0]
    assert brighter.max() > 2
    assert brighter.min() >= -1


def test_antialiasing_touches_borders_alone() -> None:
    from sim2pose.render_farm.renderers.raycast import RaycastRenderer

    scene = nursery(0)
    plain, soft = RaycastRenderer(antialias=False).render(scene), RaycastRenderer().render(scene)
    changed = (plain.rgb != soft.rgb).any(-1)
    assert 0 < changed.mean() < 0.25
    flat = np.ones_like(changed)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        flat &= np.roll(plain.parts, step, axis) == plain.parts
    assert not changed[1:-1, 1:-1][flat[1:-1, 1:-1]].any()


class _Broken:
    """A renderer whose driver does something wrong."""

    name, device_name = "broken", "test"

    def __init__(self, inner: Renderer, fault: str) -> None:
        self.inner, self.fault = inner, fault

    def render(self, scene: Scene) -> Rendered:
        good = self.inner.render(scene)
        if self.fault == "grey":
            return Rendered(
                np.full_like(good.rgb, 128), np.full_like(good.depth, np.inf), good.parts * 0, good.parts * 0
            )
        if self.fault == "rows":
            return Rendered(*(np.flipud(a) for a in (good.rgb, good.depth, good.parts, good.instances)))
        if self.fault == "shift":
            return Rendered(*(np.roll(a, 1, 1) for a in (good.rgb, good.depth, good.parts, good.instances)))
        return replace(good, rgb=good.rgb[..., ::-1])

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize("fault", ["grey", "rows", "shift", "colours"])
def test_the_self_check_notices(renderer: Renderer, fault: str) -> None:
    check_renderer(renderer)
    with pytest.raises(UserError, match="draws a wrong test picture"):
        check_renderer(_Broken(renderer, fault))


def test_the_self_check_notices_half_a_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    from sim2pose.render_farm.renderers import raycast

    open_renderer("raycast").close()
    for shift in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):

        def moved(scene: Scene, light: VertexLight, shift: tuple[float, float] = shift) -> Prepared:
            scene.camera.K = scene.camera.K + np.array([[0, 0, shift[0]], [0, 0, shift[1]], [0, 0, 0]])
            return prepare(scene, light)

        monkeypatch.setattr(raycast, "prepare", moved)
        with pytest.raises(UserError, match="missing or misplaced"):
            make_renderer("raycast")


def test_names_and_devices_are_checked() -> None:
    with pytest.raises(UserError, match="set renderer=raycast"):
        make_renderer("opengl", shadow="hard")
    with pytest.raises(UserError, match="did you mean 'opengl'"):
        make_renderer("opengel")
    with pytest.raises(UserError, match="unknown device 'gpu'"):
        make_renderer("auto", "gpu")


def test_auto_takes_what_works_and_says_why_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(device: str, options: Options) -> Renderer:
        raise UserError("no EGL context opens")

    monkeypatch.setitem(RENDERERS, "opengl", fails)
    with caplog.at_level("INFO"):
        chosen = make_renderer("auto")
    assert chosen.name == "raycast"
    assert "using raycast" in caplog.text
    assert "no EGL context opens" in caplog.text
    found = available_renderers()
    assert found["opengl"] == "no EGL context opens"
    assert found["raycast"] is None
    monkeypatch.setitem(RENDERERS, "raycast", fails)
    with pytest.raises(UserError, match="no renderer works here"):
        make_renderer("auto")


def test_cuda_is_refused_where_there_is_none() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(UserError, match="no CUDA device"):
        make_renderer("raycast", "cuda")
    open_renderer("opengl").close()
    with pytest.raises(UserError, match="no CUDA or other hardware"):
        make_renderer("opengl", "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", list(RENDERERS))
def test_cuda_gives_the_labels_of_the_cpu(name: str) -> None:
    device, reference = make_renderer(name, "cuda"), make_renderer("raycast")
    for seed in range(6):
        scene = nursery(seed)
        assert same_labels(device.render(scene), reference.render(scene), scene) < 0.001
