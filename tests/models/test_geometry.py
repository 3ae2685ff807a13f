import cv2
import numpy as np
import pytest
import torch

from sim2pose.models import geometry


def turns(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_axis_angle_turns_as_documented() -> None:
    quarter = geometry.axis_angle_to_matrix(torch.tensor([0.0, 0.0, torch.pi / 2], dtype=torch.float64))
    assert torch.allclose(quarter @ torch.tensor([1.0, 0, 0], dtype=torch.float64), torch.tensor([0, 1.0, 0]).double())


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (geometry.axis_angle_to_matrix, geometry.matrix_to_axis_angle),
        (geometry.axis_angle_to_quaternion, geometry.quaternion_to_axis_angle),
        (
            lambda a: geometry.matrix_to_6d(geometry.axis_angle_to_matrix(a)),
            lambda c: geometry.matrix_to_axis_angle(geometry.matrix_from_6d(c)),
        ),
    ],
)
def test_rotation_forms_return(there, back) -> None:
    axis_angle = turns(20) / 2  # shorter than half a turn
    assert torch.allclose(back(there(axis_angle)), axis_angle, atol=1e-9)


def test_rotation_gradient_at_rest_is_finite() -> None:
    rest = torch.zeros(4, 3, requires_grad=True)
    geometry.axis_angle_to_matrix(rest)[:, 0, 1].sum().backward()
    assert torch.allclose(rest.grad, torch.tensor([0.0, 0, -1]).expand(4, 3))


def test_compose_applies_the_first_first() -> None:
    a, b = turns(5, 1), turns(5, 2)
    together = geometry.axis_angle_to_matrix(geometry.compose_axis_angle(a, b))
    assert torch.allclose(together, geometry.axis_angle_to_matrix(a) @ geometry.axis_angle_to_matrix(b))


def test_mirror_is_the_rotation_seen_in_a_mirror() -> None:
    axis_angle = turns(5)
    flip = torch.diag(torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    seen = flip @ geometry.axis_angle_to_matrix(axis_angle) @ flip
    assert torch.allclose(geometry.axis_angle_to_matrix(geometry.mirror_axis_angle(axis_angle)), seen)
    assert np.allclose(geometry.mirror_axis_angle(axis_angle.numpy()), geometry.mirror_axis_angle(axis_angle).numpy())


def test_look_at_centres_the_target_with_up_upwards() -> None:
    eye, target = np.array([0.3, 1.2, -0.7]), np.array([0.1, 0.0, 0.2])
    rotation, translation = geometry.look_at(eye, target)
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.isclose(np.linalg.det(rotation), 1)
    camera = geometry.camera_matrix(200.0, 101, 81)
    points = np.stack([target, target + np.array([0, 0.1, 0])])
    pixels = geometry.project(geometry.world_to_camera(points, rotation, translation), camera)
    assert np.allclose(pixels[0], (50, 40))
    assert np.isclose(pixels[1, 0], 50)
    assert pixels[1, 1] < 40
    assert np.allclose(geometry.world_to_camera(eye, rotation, translation), 0)


def test_look_at_worked_example_and_refusals() -> None:
    rotation, translation = geometry.look_at(np.array([0, 0, 2.0]), np.zeros(3))
    assert np.allclose(rotation, np.diag([1, -1, -1]))
    assert np.allclose(translation, (0, 0, 2))
    with pytest.raises(ValueError, match="coincide"):
        geometry.look_at(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="parallel"):
        geometry.look_at(np.array([0, 2.0, 0]), np.zeros(3))


def test_projection_by_hand_and_back() -> None:
    camera = geometry.camera_matrix((100.0, 120.0), 64, 48)
    points = np.array([[0.0, 0, 2], [0.5, -0.25, 2]])
    pixels = geometry.project(points, camera)
    assert np.allclose(pixels, [[31.5, 23.5], [56.5, 8.5]])
    assert np.allclose(geometry.unproject(pixels, points[:, 2], camera), points)
    both = geometry.project(torch.from_numpy(points), torch.from_numpy(camera))
    assert np.allclose(both.numpy(), pixels)
    assert torch.allclose(
        geometry.unproject(both, torch.from_numpy(points[:, 2]), torch.from_numpy(camera)), torch.from_numpy(points)
    )


def test_field_of_view_reaches_the_picture_edge() -> None:
    focal = geometry.focal_from_fov(90, 100)
    edge = geometry.project(np.array([1.0, 0, 1]), geometry.camera_matrix(focal, 100, 100))
    assert np.isclose(edge[0], 99.5)  # the right border of the last pixel


def test_world_and_camera_frames_return() -> None:
    rotation, translation = geometry.look_at(np.array([1.0, 2, 3]), np.zeros(3))
    points = np.random.default_rng(0).normal(size=(4, 6, 3))
    there = geometry.world_to_camera(points, rotation, translation)
    assert np.allclose(geometry.camera_to_world(there, rotation, translation), points)


@pytest.mark.parametrize("scale", [True, False])
def test_procrustes_finds_the_planted_transform(scale: bool) -> None:
    rng = np.random.default_rng(3)
    source = rng.normal(size=(4, 17, 3))
    rotation = geometry.axis_angle_to_matrix(turns(4)).numpy()
    factor = np.array([0.5, 1, 2, 3]) if scale else np.ones(4)
    shift = rng.normal(size=(4, 3))
    target = factor[:, None, None] * source @ rotation.transpose(0, 2, 1) + shift[:, None]
    s, r, t = geometry.procrustes(source, target, scale)
    assert np.allclose(s, factor)
    assert np.allclose(r, rotation)
    assert np.allclose(t, shift)
    assert np.allclose(geometry.procrustes_align(source, target, scale), target)


def test_procrustes_never_mirrors() -> None:
    source = np.random.default_rng(0).normal(size=(10, 3))
    _, rotation, _ = geometry.procrustes(source, source * (-1, 1, 1))
    assert np.isclose(np.linalg.det(rotation), 1)


def test_procrustes_refuses_what_has_no_answer() -> None:
    with pytest.raises(ValueError, match="coincide"):
        geometry.procrustes(np.ones((5, 3)), np.eye(5, 3))
    with pytest.raises(ValueError, match="must be equal"):
        geometry.procrustes(np.ones((5, 3)), np.ones((4, 3)))


def test_distort_is_opencvs_lens() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.5, 0.5, (50, 2)), np.ones(50)])
    lens = np.array([-0.21, 0.06, 0.003, -0.002, 0.011])
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), lens)[0][:, 0]
    np.testing.assert_allclose(geometry.distort(points[:, :2], lens), expected, atol=1e-12)
    np.testing.assert_allclose(geometry.distort(points[:, :2], np.zeros(5)), points[:, :2])
