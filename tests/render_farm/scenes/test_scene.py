"""Scene dataclasses and the test figure."""

from __future__ import annotations

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.geometry import camera_matrix, look_at
from sim2pose.render_farm.renderers.figure import Figure
from sim2pose.render_farm.scenes.scene import OCCLUDER, Camera, Scene, Surface, Topology


def sheet(part: int = OCCLUDER, name: str = "sheet") -> Topology:
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32)
    return Topology(name, faces, uv, faces, np.full(2, part, np.uint8))


def test_topology_refuses_arrays_that_do_not_fit() -> None:
    good = sheet()
    with pytest.raises(UserError, match="must be \\(F, 3\\)"):
        Topology("bad", good.faces, good.uv, good.uv_faces[:1], good.part_ids)
    with pytest.raises(UserError, match="uv_faces must index it"):
        Topology("bad", good.faces, good.uv[:3], good.uv_faces, good.part_ids)
    assert good.vertex_count == 4


def test_camera_position_is_where_the_camera_looks_from() -> None:
    R, t = look_at(np.array([0.4, 1.2, 0.3]), np.zeros(3))
    camera = Camera(camera_matrix(300, 64, 48), R, t, 64, 48)
    np.testing.assert_allclose(camera.position, [0.4, 1.2, 0.3], atol=1e-12)


def test_surfaces_are_numbered_by_person_and_layers_belong_to_it() -> None:
    figure, nothing = Figure(6, 8), np.zeros(20)
    people = [figure.person(nothing, np.zeros((24, 3)), np.array([x, 0.3, 0])) for x in (-1, 1)]
    layer = Surface(sheet(5, "garment"), np.zeros((4, 3), np.float32), np.zeros((1, 1, 3), np.uint8))
    people[1].layers.append(layer)
    blanket = Surface(sheet(), np.zeros((4, 3), np.float32), np.zeros((1, 1, 3), np.uint8))
    camera = Camera(np.eye(3), np.eye(3), np.zeros(3), 8, 8)
    scene = Scene(camera, people, np.zeros((8, 8, 3), np.uint8), occluders=[blanket])
    assert [number for _, number in scene.surfaces()] == [1, 2, 2, OCCLUDER]


def test_figure_turns_about_its_pelvis_and_scales_with_betas() -> None:
    figure = Figure(6, 8)
    rest, joints, keypoints = figure(np.zeros(20), np.zeros((24, 3)), np.zeros(3))
    assert rest.dtype == np.float32
    assert keypoints.shape == (17, 3)
    assert keypoints[5, 0] > 0 > keypoints[6, 0], "the person's left is +X"
    pose = np.zeros((24, 3))
    pose[0] = 0, np.pi, 0
    turned, turned_joints, _ = figure(np.zeros(20), pose, np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(turned_joints[0], joints[0] + [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turned, rest * [-1, 1, -1] + np.float32([0, 1, 0]), atol=1e-6)
    betas = np.zeros(20)
    betas[0] = 1
    np.testing.assert_allclose(figure(betas, np.zeros((24, 3)), np.zeros(3))[0], rest * 1.1, atol=1e-6)


def test_figure_faces_look_outwards() -> None:
    figure = Figure(8, 8)
    vertices = figure(np.zeros(20), np.zeros((24, 3)), np.zeros(3))[0]
    corner = vertices[figure.topology.faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    middle = vertices.reshape(24, -1, 3).mean(1)[figure.topology.part_ids - 1]
    assert ((normal * (corner.mean(1) - middle)).sum(1) > 0).all()
