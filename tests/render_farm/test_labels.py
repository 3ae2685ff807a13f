"""Labels: boxes, keypoint visibility, camera-frame parameters, pictures of ids and depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.labels import (
    camera_frame_pose,
    decode_png,
    encode_depth,
    encode_parts,
    label_person,
    skin_distance,
    visible_box,
)
from sim2pose.render_farm.renderers import Renderer, make_renderer
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.scenes.scene import OCCLUDER, Camera, PersonInScene, Rendered, Scene, Surface, Topology

FIGURE = Figure(16, 18)
BACKDROP = np.zeros((4, 4, 3), np.uint8)
LEFT = [1, 3, 5, 7, 9, 11, 13, 15]  # COCO's left keypoints


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return make_renderer("raycast")


def camera_at(eye: tuple[float, float, float], size: int = 160, focal: float = 1.2) -> Camera:
    R, t = look_at(np.array(eye), np.array([0.0, 0.05, 0.0]))
    return Camera(camera_matrix(focal * size, size, size), R, t, size, size)


def standing(pose: np.ndarray | None = None, transl: tuple[float, float, float] = (0, 0, 0)) -> PersonInScene:
    return FIGURE.person(np.zeros(20), np.zeros((24, 3)) if pose is None else pose, np.array(transl))


def wall(name: str, x: tuple[float, float], y: tuple[float, float], z: float) -> Surface:
    """An upright rectangle across the z axis that hides what lies behind it."""
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    corners = np.array([[x[0], y[1], z], [x[0], y[0], z], [x[1], y[0], z], [x[1], y[1], z]], np.float32)
    topology = Topology(name, faces, np.zeros((4, 2), np.float32), faces, np.full(2, OCCLUDER, np.uint8))
    return Surface(topology, corners, np.full((2, 2, 3), 90, np.uint8))


def test_keypoints_project_and_the_box_holds_the_visible_pixels(renderer: Renderer) -> None:
    camera = camera_at((0.3, 0.2, 1.4))
    scene = Scene(camera, [standing()], BACKDROP)
    drawn = renderer.render(scene)
    label = label_person(scene, 0, drawn)
    assert label is not None
    points = scene.persons[0].keypoints_3d @ camera.R.T + camera.t
    expected = (points @ camera.K.T)[:, :2] / points[:, 2:]
    np.testing.assert_allclose(label.keypoints[:, :2], expected, atol=1e-4)
    np.testing.assert_allclose(label.keypoints_3d, points, atol=1e-6)
    rows, columns = np.nonzero(drawn.instances == 1)
    x, y, width, height = label.bbox
    assert (x, y) == (columns.min(), rows.min())
    assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())
    assert label.area == len(rows)
    assert label.bbox.dtype == label.keypoints.dtype == label.keypoints_3d.dtype == np.float32
    assert label.body == "figure"


def test_from_the_front_and_the_back_of_the_head(renderer: Renderer) -> None:
    for z, face in ((1.4, 2), (-1.4, 1)):
        scene = Scene(camera_at((0, 0.1, z)), [standing()], BACKDROP)
        seen = label_person(scene, 0, renderer.render(scene)).keypoints[:, 2]
        assert (seen[:3] == face).all(), "nose and eyes show from the front, not through the head"
        assert (seen[[7, 8, 9, 10, 13, 14, 15, 16]] == 2).all(), "limbs show from both sides, through their own flesh"


def test_from_the_side_the_far_half_is_hidden(renderer: Renderer) -> None:
    pose = np.zeros((24, 3))
    pose[16], pose[17] = (0, 0, -1.3), (0, 0, 1.3)  # arms down
    scene = Scene(camera_at((-1.5, 0.05, 0.0)), [standing(pose)], BACKDROP)  # the person's right is at -x
    seen = label_person(scene, 0, renderer.render(scene)).keypoints[:, 2]
    assert (seen[LEFT[1:]] == 1).all()  # all but the eye, which the coarse head hardly covers in profile
    assert (seen[[4, 6, 8, 10, 14, 16]] == 2).all()


def test_occluders_and_other_people_hide_keypoints(renderer: Renderer) -> None:
    scene = Scene(camera_at((0, 0.1, 1.4)), [standing()], BACKDROP)
    free = label_person(scene, 0, renderer.render(scene))
    scene.occluders = [wall("legs", (-0.3, 0.3), (-0.4, -0.06), 0.3)]
    covered = label_person(scene, 0, renderer.render(scene))
    assert (covered.keypoints[13:, 2] == 1).all()
    np.testing.assert_array_equal(covered.keypoints[:11], free.keypoints[:11])
    assert covered.area < free.area
    assert covered.bbox[3] < free.bbox[3]

    scene.occluders, scene.persons = [], [standing(), standing(transl=(0.0, 0.0, 0.3))]
    behind, before = (label_person(scene, i, renderer.render(scene)) for i in range(2))
    assert (before.keypoints[5:, 2] == 2).sum() >= 10
    assert (behind.keypoints[:, 2] == 1).all()
    assert behind.area < before.area


def test_people_cut_by_the_border(renderer: Renderer) -> None:
    camera = camera_at((0, 0.1, 1.4))
    camera.K[0, 2] += 75  # the principal point moves right: the person's left arm leaves the picture
    scene = Scene(camera, [standing()], BACKDROP)
    label = label_person(scene, 0, renderer.render(scene))
    x, y, width, height = label.bbox
    assert x + width == 160
    assert min(x, y) >= 0
    assert y + height <= 160
    outside = label.keypoints[:, 2] == 0
    assert outside[[7, 9]].all()
    assert 0 < outside.sum() < 17
    np.testing.assert_array_equal(label.keypoints[outside], 0)
    assert (label.keypoints[~outside, 0] < 159.5).all()


def test_nobody_visible_gives_none(renderer: Renderer) -> None:
    hidden = Scene(camera_at((0, 0.1, 1.4)), [standing()], BACKDROP, occluders=[wall("all", (-2, 2), (-2, 2), 0.4)])
    away = Scene(camera_at((0, 0.1, 1.4)), [standing(transl=(0, 0, 3))], BACKDROP)  # behind the camera
    for scene in (hidden, away):
        assert label_person(scene, 0, renderer.render(scene)) is None
    with pytest.raises(UserError, match="the scene has 1"):
        label_person(hidden, 1, renderer.render(hidden))


def test_layers_count_as_the_person(renderer: Renderer) -> None:
    person = standing()
    for part, seen in ((19, 2), (1, 1)):  # a sleeve around the left elbow counts as its own flesh, a skirt does not
        sleeve = wall(f"sleeve-{part}", (0.1, 0.25), (0.12, 0.26), 0.05)
        topology = sleeve.topology
        own = Topology(f"worn-{part}", topology.faces, topology.uv, topology.uv_faces, np.full(2, part, np.uint8))
        scene = Scene(camera_at((0, 0.1, 1.4)), [person], BACKDROP)
        person.layers = []
        bare = label_person(scene, 0, renderer.render(scene))
        person.layers = [Surface(own, sleeve.vertices, sleeve.texture)]
        worn = label_person(scene, 0, renderer.render(scene))
        assert worn.area > bare.area + 50
        assert bare.keypoints[7, 2] == 2
        assert worn.keypoints[7, 2] == seen


def test_figure_parameters_are_turned_into_the_camera_frame() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        camera = camera_at(tuple(rng.uniform(0.5, 1.5, 3)))
        pose = rng.normal(0, 0.6, (24, 3))
        pose[0] = rng.normal(0, 2, 3)
        betas = rng.normal(0, 1, 20)
        person = FIGURE.person(betas, pose, rng.normal(0, 1, 3))
        turned, transl = camera_frame_pose(person, camera)
        vertices = FIGURE(betas, turned, transl)[0]
        expected = person.surface.vertices @ camera.R.T + camera.t
        np.testing.assert_allclose(vertices, expected, atol=2e-6)


def test_open_body_parameters_are_turned_into_the_camera_frame() -> None:
    rng = np.random.default_rng(1)
    body, camera = load_body("open-infant"), camera_at((0.6, 1.2, -0.4))
    pose, transl = rng.normal(0, 0.4, (24, 3)), np.array([0.3, 0.1, -0.2])
    pose[0] = 1.1, 2.0, -0.4
    betas = body.sample_betas(rng, 1)[0]

    def posed(pose: np.ndarray, transl: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        numbers = (torch.as_tensor(a, dtype=torch.float32)[None] for a in (betas, pose.reshape(24, 3), transl))
        with torch.no_grad():
            out = body(*numbers)
        return out.vertices[0].numpy(), out.joints[0].numpy(), out.keypoints[0].numpy()

    vertices, joints, keypoints = posed(pose, transl)
    topology = Topology("open-infant", body.faces, body.uv, body.uv_faces, body.part_ids)
    surface = Surface(topology, vertices, np.zeros((1, 1, 3), np.uint8))
    person = PersonInScene(surface, keypoints, joints, betas, pose, transl, "open-infant")
    again, _, keypoints_again = posed(*camera_frame_pose(person, camera))
    np.testing.assert_allclose(again, vertices @ camera.R.T + camera.t, atol=5e-6)
    np.testing.assert_allclose(keypoints_again, keypoints @ camera.R.T + camera.t, atol=5e-6)


def test_skin_distance_is_that_of_the_nearest_vertex() -> None:
    person = standing(transl=(50.0, -20.0, 30.0))  # far from the origin, where naive float32 squares would fail
    vertices = person.surface.vertices[::2].astype(np.float64)
    expected = np.linalg.norm(vertices[None] - person.keypoints_3d[:, None], axis=-1).min(1)
    np.testing.assert_allclose(skin_distance(person), expected, atol=1e-4)


def test_visible_box_of_a_single_pixel() -> None:
    instances = np.zeros((5, 7), np.uint8)
    assert visible_box(instances == 1) is None
    instances[2, 3] = 1
    box, area = visible_box(instances == 1)
    np.testing.assert_array_equal(box, [3, 2, 1, 1])
    assert area == 1


def test_pngs_give_ids_and_millimetres_back() -> None:
    rng = np.random.default_rng(0)
    parts = rng.choice(np.array([0, 1, 24, 255], np.uint8), (37, 53))
    np.testing.assert_array_equal(decode_png(encode_parts(parts)), parts)
    depth = rng.uniform(0.2, 60, (37, 53)).astype(np.float32)
    depth[0, :3] = np.inf, 65.6, 1.2344
    back = decode_png(encode_depth(depth))
    assert back.dtype == np.uint16
    assert tuple(back[0, :3]) == (0, 0, 1234)
    np.testing.assert_allclose(back[1:], depth[1:] * 1000, atol=0.51)
    with pytest.raises(UserError, match="not a PNG"):
        decode_png(b"nothing")


def test_part_pictures_are_small() -> None:
    parts = np.zeros((256, 256), np.uint8)
    cv2.ellipse(parts, (128, 128), (90, 40), 30, 0, 360, 7, -1)
    assert len(encode_parts(parts)) < 1500


def test_a_hidden_minority_of_pixels_does_not_hide() -> None:
    """Four of the eight neighbours may show something before the keypoint; five, or its own pixel, may not."""
    camera = Camera(np.array([[10.0, 0, 5], [0, 10.0, 5], [0, 0, 1]]), np.eye(3), np.zeros(3), 11, 11)
    person = standing()
    person.keypoints_3d = np.repeat([[0.0, 0.0, 1.0]], 17, 0)
    person.surface.vertices = person.surface.vertices * 0 + np.float32([0, 0, 1])
    scene = Scene(camera, [person], BACKDROP)
    depth = np.full((11, 11), np.inf, np.float32)
    instances = np.zeros((11, 11), np.uint8)
    instances[5, 5] = 1
    for count, expected in ((0, 2), (4, 2), (5, 1)):
        near = depth.copy()
        rows, columns = np.divmod(np.array([0, 1, 2, 3, 5])[:count], 3)
        near[4 + rows, 4 + columns] = 0.5
        drawn = Rendered(np.zeros((11, 11, 3), np.uint8), near, np.full((11, 11), OCCLUDER, np.uint8), instances)
        assert (label_person(scene, 0, drawn).keypoints[:, 2] == expected).all()
    drawn.depth[:] = np.inf
    drawn.depth[5, 5] = 0.5
    assert (label_person(scene, 0, drawn).keypoints[:, 2] == 1).all()
