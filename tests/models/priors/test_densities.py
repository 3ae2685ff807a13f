"""What holds of every density: it is one, its Jacobian is right, it comes back from a file the same."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.func import jacrev, vmap

from sim2pose.config import UserError
from sim2pose.models.priors import PoseDensity, PoseSpace, build_density, load_density

from .conftest import trained, walk
from .test_space import whole_joint


def test_encoding_is_undone(density: PoseDensity) -> None:
    pose = density.space.to_pose(density.space.to_coordinates(walk(seed=2)))
    again = density.decode(density.encode(pose))
    assert (again - pose).abs().max() < 1e-4
    z = torch.randn(200, density.latent_dim)
    assert (density.encode_standard(density.decode_standard(z)) - z).abs().max() < 2e-3


@pytest.mark.parametrize("kind", ["joint_flow", "global_flow"])
def test_sharp_flows_are_undone_in_float32(kind: str, space: PoseSpace) -> None:
    """Parameters driven to their bounds: still 1e-4 rad, as scales and slopes are bounded."""
    flow = trained(kind, space)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("bias2"):
                parameter.add_(2 * torch.randn_like(parameter))
    x = space.to_coordinates(walk(seed=2))
    assert (space.to_coordinates(flow.decode(flow.encode(space.to_pose(x)))) - x).abs().max() < 1e-4


def test_log_determinant_is_autograds(density: PoseDensity) -> None:
    exact = density.double()
    t = torch.randn(6, density.dim, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda one: exact.encode_standard(one[None])[0]))(t)
    z = exact.encode_standard(t)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    assert torch.allclose(normal + torch.linalg.slogdet(jacobian)[1], exact.log_prob_standard(t), atol=1e-4)


def test_float32_scores_as_float64(density: PoseDensity) -> None:
    pose = walk(seed=3)
    single = density.log_prob(pose).double()
    assert torch.allclose(single, density.double().log_prob(pose.double()), atol=2e-3)


def test_saved_is_bitwise_the_same(density: PoseDensity, tmp_path: Path) -> None:
    density.notes, density.data = ["a note"], {"poses": 600}
    density.save(tmp_path / "one.safetensors")
    again = load_density(tmp_path / "one.safetensors")
    pose = walk(seed=4)
    assert torch.equal(again.log_prob(pose), density.log_prob(pose))
    assert again.space.dropped == density.space.dropped and again.space.joints == density.space.joints
    assert (again.notes, again.data, again.args) == (density.notes, density.data, density.args)
    again.train().loss(torch.randn(32, again.dim))
    assert torch.equal(again.eval().log_prob(pose), density.log_prob(pose)), "nothing is set anew by the first batch"


@pytest.mark.parametrize("kind", ["gaussian", "joint_flow", "global_flow"])
def test_density_integrates_to_one_on_a_plane(kind: str) -> None:
    """Two hinges of one degree of freedom each: quadrature over all of their chart, (−π, π)²."""
    axes = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    space = PoseSpace(
        "smplx55", ("left_hip", "left_knee"), torch.eye(3).repeat(2, 1, 1), axes, torch.arange(2), torch.ones(2)
    )
    density = _off_identity(kind, space.to(torch.float64)).double()
    line = torch.linspace(-math.pi + 0.002, math.pi - 0.002, 801, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)
    values = density.log_prob_coordinates(x).exp().reshape(801, 801)
    assert torch.trapezoid(torch.trapezoid(values, line), line).item() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("kind", ["gaussian", "joint_flow", "global_flow"])
def test_haar_density_integrates_to_one_over_rotations(kind: str) -> None:
    """Monte Carlo with uniform rotations, whose Haar density is 1 / 8π²."""
    import roma

    torch.manual_seed(0)
    density = _off_identity(kind, whole_joint(scale=0.8)).double()
    pose = roma.rotmat_to_rotvec(roma.random_rotmat(100_000, dtype=torch.float64))[:, None]
    mean = density.log_prob(pose, haar=True).exp().mean().item() * 8 * math.pi**2
    assert mean == pytest.approx(1, abs=0.03)
    chart = density.log_prob(pose).exp().mean().item() * 8 * math.pi**2
    assert abs(chart - 1) > 0.05, "the chart's own measure is another one"


def _off_identity(kind: str, space: PoseSpace) -> PoseDensity:
    torch.manual_seed(1)
    arguments = {
        "gaussian": {},
        "joint_flow": {"hidden": 8, "bins": 4},
        "global_flow": {"layers": 2, "hidden": 8, "tree_hidden": 8},
    }
    density = build_density(kind, space, **arguments[kind])
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return density.eval()


def test_samples_have_the_density(density: PoseDensity) -> None:
    """The mean log density of samples is minus the entropy: importance weights of another Gaussian average to one."""
    generator = torch.Generator().manual_seed(0)
    t = density.sample_standard(4000, generator)
    wide = torch.distributions.MultivariateNormal(t.mean(0), torch.cov(t.T) * 0.5)
    weights = (wide.log_prob(t) - density.log_prob_standard(t)).exp()
    assert weights.mean().item() == pytest.approx(1, abs=0.15)
    assert density.sample(5, generator).shape == (5, 6, 3)


def test_joint_terms_sum_to_the_whole(space: PoseSpace) -> None:
    for kind in ("gaussian", "joint_flow"):
        density, pose = trained(kind, space), walk(seed=5)
        terms = density.joint_log_prob(pose)
        assert terms is not None and terms.shape == (len(pose), 6)
        assert torch.allclose(terms.sum(-1), density.log_prob(pose), atol=1e-3)
        assert (terms[:, 5] == 0).all(), "a joint that never moves says nothing"
    assert trained("global_flow", space).joint_log_prob(walk()) is None


def test_density_goes_on_over_half_turns() -> None:
    """No jump of the density where axis-angle vectors change their sign."""
    angles = torch.linspace(math.pi - 0.3, math.pi + 0.3, 61)
    pose = (torch.where(angles > math.pi, angles - 2 * math.pi, angles)[:, None] * torch.eye(3)[0])[:, None]
    space = PoseSpace.fit(pose, ("spine1",))
    density = build_density("gaussian", space)
    density.initialise(space.standardise(space.to_coordinates(pose))[0])
    assert density.log_prob(pose).diff().abs().max() < 0.2


@pytest.mark.parametrize("first", ["whiten", "none"])
def test_other_first_layers(first: str, space: PoseSpace) -> None:
    """Their Jacobian and inverse; whitened, an untrained flow is the full Gaussian."""
    flow = trained("global_flow", space, first=first).double()
    t = torch.randn(6, flow.dim, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda one: flow.encode_standard(one[None])[0]))(t)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(flow.encode_standard(t)).sum(-1)
    assert torch.allclose(normal + torch.linalg.slogdet(jacobian)[1], flow.log_prob_standard(t), atol=1e-4)
    assert torch.allclose(flow.decode_standard(flow.encode_standard(t)), t, atol=1e-6)
    fresh = build_density("global_flow", space, hidden=8, first=first)
    data = space.standardise(space.to_coordinates(walk()))[0]
    fresh.initialise(data)
    gaussian = build_density("gaussian", space, full=first == "whiten", shrinkage=0.0)
    gaussian.initialise(data)
    fresh.eval()
    assert torch.allclose(fresh.log_prob_standard(data), gaussian.log_prob_standard(data), atol=0.01)


def test_bad_files_and_kinds(space: PoseSpace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown kind of prior 'joint_flw'.*joint_flow"):
        build_density("joint_flw", space)
    with pytest.raises(UserError, match="hiden"):
        build_density("joint_flow", space, hiden=3)
    with pytest.raises(UserError, match="unknown first layer 'whitening'"):
        build_density("global_flow", space, first="whitening")
    with pytest.raises(UserError, match="no pose prior at"):
        load_density(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="damaged"):
        load_density(tmp_path / "bad.safetensors")
    with pytest.raises(UserError, match=r"as \.safetensors"):
        trained("gaussian", space).save(tmp_path / "one.npz")
    with pytest.raises(UserError, match=r"found \(3, 5, 3\)"):
        trained("gaussian", space).log_prob(torch.zeros(3, 5, 3))
