"""Charts: round trips, Jacobians, measures, dropped directions."""

from __future__ import annotations

import math

import pytest
import roma
import torch
from torch.func import jacrev, vmap

from sim2pose.config import UserError
from sim2pose.models.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from sim2pose.models.priors import PoseSpace
from sim2pose.models.priors.space import LIMIT, mean_rotation

from .conftest import JOINTS, walk


def whole_joint(center: torch.Tensor | None = None, scale: float = 1.0) -> PoseSpace:
    """One joint with all three directions, in float64."""
    center = torch.eye(3, dtype=torch.float64) if center is None else center
    eye, owner = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    return PoseSpace("smplx55", ("spine1",), center[None], eye, owner, torch.full((3,), scale, dtype=torch.float64))


def test_degenerate_directions_are_dropped_and_named(space: PoseSpace) -> None:
    assert space.sizes.tolist() == [3, 1, 3, 3, 3, 0]
    assert space.dropped == (
        "left_knee: 2 of 3 directions vary by less than 0.01 rad",
        "jaw: constant",
    )
    assert space.axes[3].abs().tolist() == pytest.approx([1, 0, 0], abs=0.01)
    back = space.to_pose(torch.zeros(2, space.dim))
    assert torch.allclose(back[:, 5], torch.tensor([0.2, 0.0, 0.0]), atol=1e-6)


def test_poses_come_back(space: PoseSpace) -> None:
    pose = walk(seed=1)
    x = space.to_coordinates(pose)
    t, _ = space.standardise(x)
    assert (space.to_coordinates(space.to_pose(x)) - x).abs().max() < 1e-5
    assert (space.unstandardise(t) - x).abs().max() < 1e-5
    whole = (axis_angle_to_matrix(space.to_pose(x)) - axis_angle_to_matrix(pose))[:, [0, 2, 3, 4]]
    assert whole.abs().max() < 1e-5, "joints with all directions are kept as they are"


@pytest.mark.parametrize("spread", [0.0, 1e-4, 0.05, 0.6])
def test_logdet_is_autograds(space: PoseSpace, spread: float) -> None:
    exact = space.to(torch.float64)
    x = spread * torch.randn(8, space.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    jacobian = vmap(jacrev(lambda one: exact.standardise(one[None])[0][0]))(x)
    assert torch.allclose(torch.linalg.slogdet(jacobian)[1], exact.standardise(x)[1], atol=1e-9)
    single = space.standardise(x.float())[1]
    assert torch.allclose(single.double(), exact.standardise(x)[1], atol=1e-4)


def test_all_rotations_have_haars_volume() -> None:
    """∫ exp(log_haar) dx over the ball is 8π², by quadrature over the radius."""
    space = whole_joint()
    radius = torch.linspace(1e-6, math.pi, 4001, dtype=torch.float64)
    x = torch.stack([radius, 0 * radius, 0 * radius], -1)
    shells = space.log_haar(x).exp() * 4 * math.pi * radius**2
    assert torch.trapezoid(shells, radius).item() == pytest.approx(8 * math.pi**2, rel=1e-5)


def test_the_chart_has_no_seam_at_half_turns() -> None:
    """A joint that moves about an angle of π has axis-angle vectors that jump; its coordinates do not."""
    angles = torch.linspace(math.pi - 0.3, math.pi + 0.3, 61, dtype=torch.float64)
    pose = matrix_to_axis_angle(axis_angle_to_matrix(angles[:, None] * torch.tensor([1.0, 0, 0], dtype=torch.float64)))
    assert pose[:, 0].diff().abs().max() > 6, "the sign of the vector changes"
    space = PoseSpace.fit(pose[:, None], ("spine1",)).to(torch.float64)
    assert space.dim == 1
    x = space.to_coordinates(pose[:, None])[:, 0]
    assert torch.allclose(x.diff().abs(), torch.tensor(0.01, dtype=torch.float64), atol=1e-6)


def test_noise_stays_inside_the_ball() -> None:
    space = whole_joint()
    x = space.perturb(torch.tensor([[3.1, 0.0, 0.0]], dtype=torch.float64).expand(200, 3), 0.5)
    assert space.radii(x).max() <= LIMIT + 1e-9
    assert space.standardise(x)[0].isfinite().all()


def test_mean_rotation_is_where_logarithms_cancel() -> None:
    rotations = roma.random_rotmat(50, dtype=torch.float64)[:, None]
    near = axis_angle_to_matrix(0.4 * matrix_to_axis_angle(rotations))
    center = mean_rotation(near)
    assert matrix_to_axis_angle(center.mT @ near).mean(0).abs().max() < 1e-9


def test_wrong_shapes_are_named(space: PoseSpace) -> None:
    with pytest.raises(UserError, match=r"over 6 joints of smplx55 .* must be \(n, 6, 3\) axis-angle, found \(2, 63\)"):
        space.to_coordinates(torch.zeros(2, 63))
    with pytest.raises(UserError, match=r"must be \(N >= 2, 6, 3\), found \(5, 4, 3\)"):
        PoseSpace.fit(torch.zeros(5, 4, 3), JOINTS)
    with pytest.raises(UserError, match="nothing to learn"):
        PoseSpace.fit(torch.zeros(5, 6, 3), JOINTS)
    with pytest.raises(UserError, match="finite"):
        PoseSpace.fit(torch.full((5, 6, 3), math.nan), JOINTS)
