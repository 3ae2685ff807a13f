"""Bodies seen from afar are drawn by fewer of their own vertices, and nobody sees it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim2pose.models.bodies import load_body
from sim2pose.render_farm.renderers import make_renderer
from sim2pose.render_farm.renderers.detail import FINEST, STEP, coarser, drawn, pixel_metres
from sim2pose.render_farm.renderers.mesh import static_mesh
from sim2pose.render_farm.renderers.vertices import VertexLight
from sim2pose.render_farm.scenes.bodies import body_topology
from sim2pose.render_farm.scenes.scene import Camera, Ground, PersonInScene, Scene, Surface, Topology

LEVEL = 1


@pytest.fixture(scope="module")
def body():
    return load_body("open-infant")


@pytest.fixture(scope="module")
def topology(body):
    return body_topology(body)


def _camera(metres: float, size: int = 256) -> Camera:
    """A camera before the infant, ``metres`` away, which fills the picture at 1 m."""
    focal = size * 0.9
    K = np.array([[focal, 0, (size - 1) / 2], [0, focal, (size - 1) / 2], [0, 0, 1.0]])
    return Camera(K, np.diag([1.0, -1.0, -1.0]), np.array([0.0, 0.1, metres]), size, size)


def _scene(body, topology: Topology, metres: float = 1.2) -> Scene:
    pose = torch.zeros(1, body.joint_count, 3)
    pose[0, [1, 4, 16, 18]] = torch.tensor([[-0.7, 0.2, 0.3], [1.1, 0, 0], [0.2, -0.6, -0.8], [0, -1.2, 0]])
    out = body(torch.zeros(1, body.num_betas), pose, torch.zeros(1, 3))
    texture = np.full((64, 64, 3), (70, 110, 190), np.uint8)
    texture[:, 32:] -= 40
    surface = Surface(topology, out.vertices[0].numpy(), texture)
    person = PersonInScene(
        surface, out.keypoints[0].numpy(), out.joints[0].numpy(), np.zeros(20), pose[0].numpy(), np.zeros(3)
    )
    return Scene(_camera(metres), [person], np.full((8, 8, 3), 120, np.uint8), ground=Ground(texture, height=-0.5))


def test_a_coarse_mesh_is_a_choice_of_the_whole_ones_corners(topology) -> None:
    coarse, whole = coarser(topology, LEVEL), static_mesh(topology)
    assert len(coarse.topology.faces) < 0.7 * len(topology.faces)
    mesh = static_mesh(coarse.topology)
    known = {(v, *uv, part) for v, uv, part in zip(whole.source, map(tuple, whole.uv), whole.part, strict=True)}
    taken = {
        (v, *uv, part) for v, uv, part in zip(coarse.kept[mesh.source], map(tuple, mesh.uv), mesh.part, strict=True)
    }
    assert taken <= known
    assert set(coarse.topology.part_ids) == set(topology.part_ids)
    assert (
        not mesh.two_sided and not static_mesh(replace(coarse.topology, name="found", two_sided=None)).two_sided
    )  # closed


def test_coarse_surfaces_stay_near_the_whole_one(topology) -> None:
    coarse = coarser(topology, LEVEL)
    for pose in topology.poses:
        corner = pose[coarse.kept][coarse.topology.faces]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        whole = np.cross(*(pose[topology.faces[:, k]] - pose[topology.faces[:, 0]] for k in (1, 2)))
        assert np.linalg.norm(normal, axis=1).sum() > 0.96 * np.linalg.norm(whole, axis=1).sum()
        assert np.linalg.norm(normal, axis=1).min() > 0


@pytest.mark.parametrize("name", ["opengl", "raycast"])
def test_the_picture_and_its_labels_stay(body, topology, name: str) -> None:
    renderer = make_renderer(name)
    scene, whole = _scene(body, topology), _scene(body, replace(topology, poses=None))
    assert pixel_metres(scene.persons[0].surface, scene.camera) > 2 * FINEST
    few, all_ = renderer.render(scene), renderer.render(whole)
    renderer.close()
    one, other = few.instances == 1, all_.instances == 1
    assert (one & other).sum() > 0.975 * (one | other).sum()
    both = one & other
    pixel = pixel_metres(scene.persons[0].surface, scene.camera)
    assert np.median(np.abs(few.depth[both] - all_.depth[both])) < 0.3 * pixel
    assert (few.parts[both] == all_.parts[both]).mean() > 0.95
    assert np.abs(few.rgb[both].astype(int) - all_.rgb[both]).mean() < 8


def test_near_surfaces_and_things_without_poses_are_drawn_whole(body, topology) -> None:
    surface = _scene(body, topology).persons[0].surface
    assert drawn(surface, 0.9 * FINEST) is surface
    thing = replace(surface, topology=replace(topology, poses=None))
    assert drawn(thing, 10 * FINEST) is thing


def test_what_vertices_bring_along_follows_them(body, topology) -> None:
    surface = _scene(body, topology).persons[0].surface
    count = len(surface.vertices)
    rich = replace(surface, shade=np.arange(count, dtype=np.float32), normals=np.ones((count, 3), np.float32))
    few = drawn(rich, FINEST * STEP**LEVEL * 1.01)
    kept = coarser(topology, LEVEL).kept
    np.testing.assert_array_equal(few.shade, kept)
    np.testing.assert_array_equal(few.vertices, surface.vertices[kept])
    assert few.normals is not None and few.normals.shape == few.vertices.shape


def test_furniture_leaves_shadows_on_people_as_they_are(body, topology) -> None:
    scene, light = _scene(body, topology), VertexLight("cpu")
    surface = scene.persons[0].surface
    count = len(surface.vertices)
    alone = light.light(scene, [surface]).direct.numpy()[:count].copy()
    assert (alone.min(1) < 0.6 * alone.max()).any()  # some of it lies in shadow
    corners = np.array([[-6, -0.5, -6], [6, -0.5, -6], [6, -0.45, 6], [-6, -0.45, 6]], np.float32)
    faces = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    table = Surface(
        Topology("wide-table", faces, corners[:, ::2] / 12, faces, np.full(2, 255, np.uint8)), corners, surface.texture
    )
    crowded = replace(scene, occluders=[table])
    beside = light.light(crowded, [surface, table]).direct.numpy()[:count]
    assert np.abs(beside - alone).mean() < 0.01
