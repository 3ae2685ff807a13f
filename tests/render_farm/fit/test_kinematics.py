import pytest
import torch

from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.fit.folding import fold
from sim2pose.render_farm.fit.kinematics import exponential, pose_points

KINDS = [("open-infant", "coco17"), ("open-infant", "smpl24"), ("open-infant", "fidip19"), ("open-person", "coco17")]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("name", "points"), KINDS)
def test_folded_points_are_the_bodys(name: str, points: str) -> None:
    body = load_body(name).to(dtype=torch.float64)
    pose, betas, transl = 0.5 * random(3, body.joint_count, 3), random(3, body.num_betas), random(3, 3)
    wanted = body(betas, pose, transl)
    model = fold(body, points, "cpu")
    posed = pose_points(model, exponential(pose[:, 0])[0], pose[:, 1:], betas, transl)
    assert torch.allclose(posed.points, body.points(wanted, points), atol=1e-7)
    assert torch.allclose(posed.joints, wanted.joints, atol=1e-7)


@pytest.fixture(scope="module")
def model(precise: Body):
    return fold(precise, "smpl24", "cpu")


def test_derivatives_of_joints_are_exact(model) -> None:
    pose, betas, transl = 0.7 * random(2, 24, 3), random(2, model.betas), random(2, 3)
    root = exponential(pose[:, 0])[0]

    def points(turn: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        moved = root @ exponential(turn[:, 0])[0]
        return pose_points(model, moved, pose[:, 1:] + turn[:, 1:], shape, transl).points.sum(0)

    posed = pose_points(model, root, pose[:, 1:], betas, transl, torch.arange(24))
    by_turn, by_shape = torch.autograd.functional.jacobian(points, (torch.zeros_like(pose), betas))
    assert torch.allclose(posed.turns, by_turn.permute(2, 0, 1, 3, 4).flatten(-2), atol=1e-10)
    assert torch.allclose(posed.shapes, by_shape.permute(2, 0, 1, 3), atol=1e-10)


def test_neglected_correctives_are_small(precise: Body) -> None:
    model = fold(precise, "coco17", "cpu")
    pose, betas, transl = 0.5 * random(2, 24, 3), random(2, model.betas), random(2, 3)
    root = exponential(pose[:, 0])[0]
    posed = pose_points(model, root, pose[:, 1:], betas, transl, torch.arange(24))
    full = torch.autograd.functional.jacobian(
        lambda turn: pose_points(model, root, pose[:, 1:] + turn, betas, transl).points.sum(0),
        torch.zeros(2, 23, 3).double(),
    )
    full = full.permute(2, 0, 1, 3, 4).flatten(-2)
    assert (posed.turns[..., 3:] - full).norm() < 0.005 * full.norm()


@pytest.mark.parametrize("size", [1e-9, 1e-4, 0.5, 3.0])
def test_right_jacobian(size: float) -> None:
    turn, small = size * torch.nn.functional.normalize(random(5, 3), dim=1), 1e-6 * random(5, 3, seed=1)
    rotation, jacobian = exponential(turn, derivative=True)
    ahead = exponential(turn + small)[0]
    wanted = rotation @ exponential((jacobian @ small[..., None])[..., 0])[0]
    assert torch.allclose(ahead, wanted, atol=1e-11)


def test_absent_points_are_known(precise: Body) -> None:
    model = fold(precise, "coco_wholebody133", "cpu")
    assert model.present[:17].all()
    assert not model.present.all()
