"""Skinning in blocks is skinning; and points folded onto joints are points of the skinned mesh."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.blocks import blocked, pose_joints, skin_blocks, some_vertices
from sim2pose.models.bodies.body import Body
from sim2pose.models.bodies.skinning import skin
from sim2pose.render_farm.poses.points import point_reader

BODIES = ["open-infant", "open-person", "open-hand-right"]


@pytest.fixture(scope="module", params=BODIES)
def body(request: pytest.FixtureRequest) -> Body:
    return load_body(request.param)


def _draws(body: Body, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    shape = torch.randn(count, len(body.mesh.shapedirs), generator=generator)
    return shape, 0.4 * torch.randn(count, body.joint_count, 3, generator=generator)


@pytest.mark.parametrize("width", [100, 256])
def test_blocks_pose_bodies_as_skinning_does(body: Body, width: int) -> None:
    shape, pose = _draws(body, 3)
    planes, joints = skin(body.mesh, shape, pose)
    skeleton = pose_joints(body.mesh, shape, pose)
    vertices = skin_blocks(blocked(body.mesh, width), skeleton, shape)
    np.testing.assert_allclose(vertices.numpy(), planes.transpose(1, 2).numpy(), atol=2e-6)
    np.testing.assert_allclose(skeleton.joints, joints.numpy(), atol=2e-6)


def test_clothes_and_one_shape_for_all(body: Body) -> None:
    shape, pose = _draws(body, 3)
    worn = 0.01 * torch.randn(1, 3, len(body.template), generator=torch.Generator().manual_seed(5))
    skeleton = pose_joints(body.mesh, shape[:1], pose)
    found = skin_blocks(blocked(body.mesh), skeleton, shape[:1], worn)
    for k in range(3):
        alone = pose_joints(body.mesh, shape[:1], pose[k : k + 1])
        np.testing.assert_allclose(found[k], skin_blocks(blocked(body.mesh), alone, shape[:1], worn)[0], atol=1e-6)
    bare = skin_blocks(blocked(body.mesh), skeleton, shape[:1])
    stiff = (body.mesh.weights > 0).sum(0) == 1  # elsewhere, blended rotations shrink a little
    moved = ((found - bare).norm(dim=2) / worn[0].norm(dim=0))[:, stiff]
    np.testing.assert_allclose(moved, 1.0, atol=1e-3)


def test_some_vertices_lie_where_they_lie_in_the_whole(body: Body) -> None:
    shape, pose = _draws(body, 2)
    rows = np.random.default_rng(6).permutation(len(body.template))[:300]
    skeleton = pose_joints(body.mesh, shape, pose)
    part = skin_blocks(blocked(some_vertices(body.mesh, rows)), skeleton, shape)
    np.testing.assert_allclose(part, skin_blocks(blocked(body.mesh), skeleton, shape)[:, rows], atol=2e-6)


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("open-infant", ("coco17", "smpl24")),
        ("open-person", ("coco_wholebody133", "openpose25")),
        ("open-hand-right", ("freihand21", "mano21")),
    ],
)
def test_folded_points_are_those_of_the_mesh(name: str, sets: tuple[str, ...]) -> None:
    body = load_body(name)
    shape, pose = _draws(body, 3)
    planes, joints = skin(body.mesh, shape, pose)
    expected = [body.point_weights(each)(planes.transpose(1, 2), joints) for each in sets]
    reader = point_reader(body, sets)
    found = reader(pose_joints(body.mesh, shape, pose), shape)
    assert reader.sets == sets and reader.sizes == tuple(each.shape[1] for each in expected)
    np.testing.assert_allclose(found, torch.cat(expected, 1).numpy(), atol=3e-6)
