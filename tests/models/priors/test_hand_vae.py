"""Both hand VAEs: proper densities on the kept dimensions, bounds that bound, latents that complete, files that come back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sim2pose.config import UserError
from sim2pose.models.geometry import matrix_from_6d
from sim2pose.models.priors.build import build_density
from sim2pose.models.priors.files import load_density
from sim2pose.models.priors.hand_vae import HandVAE
from sim2pose.models.priors.hand_vae_so3 import HandVAESO3
from sim2pose.models.priors.latent import LatentDensity
from sim2pose.models.priors.space import PoseSpace

KINDS = ("hand_vae", "hand_vae_so3")
JOINTS = ("left_index1", "left_index2", "left_index3", "left_middle1", "left_thumb1")
KEPT = (3, 1, 2, 0, 3)
"""Directions in which each of the joints moves."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hands(count: int, seed: int = 0) -> Tensor:
    """Poses (count, 5, 3) that hang on three numbers, and bend in :data:`KEPT` directions."""
    factors = torch.randn(count, 3, generator=generator(seed), dtype=torch.float64)
    mix = torch.randn(3, 5, 3, generator=generator(99), dtype=torch.float64)
    noise = torch.randn(count, 5, 3, generator=generator(seed + 1), dtype=torch.float64)
    turns = 0.3 * torch.einsum("nf,fji->nji", torch.tanh(factors), mix) + 0.05 * noise
    for joint, kept in enumerate(KEPT):
        turns[:, joint, kept:] = 0
    axes = torch.linalg.qr(torch.randn(5, 3, 3, generator=generator(98), dtype=torch.float64)).Q
    return torch.einsum("jik,njk->nji", axes, turns).float()


@pytest.fixture(scope="module")
def space() -> PoseSpace:
    found = PoseSpace.fit(hands(4000), JOINTS)
    assert found.sizes.tolist() == list(KEPT)
    return found


def coordinates(space: PoseSpace, count: int, seed: int = 0) -> Tensor:
    """Standardised ones, blurred by the resolution."""
    x = space.perturb(space.to_coordinates(hands(count, seed)), space.resolution, generator(seed + 7))
    return space.standardise(x)[0]


def trained(kind: str, space: PoseSpace, steps: int = 150) -> LatentDensity:
    torch.manual_seed(0)
    density = build_density(kind, space, latent=4, hidden=48, layers=2, draws=16)
    assert isinstance(density, LatentDensity)
    optimizer = torch.optim.Adam(density.parameters(), lr=5e-3)
    t = coordinates(space, 4000)
    for step in range(steps):
        rows = slice(256 * (step % 15), 256 * (step % 15 + 1))
        optimizer.zero_grad()
        density.loss(t[rows], generator(step))[0].backward()
        optimizer.step()
    return density.eval()


@pytest.fixture(scope="module", params=KINDS)
def density(request: pytest.FixtureRequest, space: PoseSpace) -> LatentDensity:
    return trained(request.param, space)


class LinearVAE(LatentDensity):
    """A linear decoder with constant noise, whose density is N(offset, W Wᵀ + s² I), and an encoder that is a little off."""

    kind = "linear"

    def __init__(self, space: PoseSpace) -> None:
        super().__init__(space, latent=2, hidden=1, layers=1, draws=64)
        self.weight = torch.randn(self.dim, 2, generator=generator(5))
        self.noise = 0.5

    @property
    def groups(self) -> Tensor:
        return torch.arange(self.dim)

    def decode_standard(self, z: Tensor) -> Tensor:
        return z @ self.weight.T + 0.2

    def log_likelihood(self, t: Tensor, z: Tensor) -> Tensor:
        return torch.distributions.Normal(self.decode_standard(z), self.noise).log_prob(t)

    def draw_decoded(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.decode_standard(z) + self.noise * torch.randn(len(z), self.dim, generator=generator)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.space.unstandardise(self.decode_standard(z)), self.noise * self.space.scale.expand(len(z), -1)

    def exact(self) -> torch.distributions.MultivariateNormal:
        covariance = self.weight @ self.weight.T + self.noise**2 * torch.eye(self.dim)
        return torch.distributions.MultivariateNormal(torch.full((self.dim,), 0.2), covariance)

    def posterior(self, t: Tensor) -> tuple[Tensor, Tensor]:
        precision = self.weight.T @ self.weight / self.noise**2 + torch.eye(2)
        mean = (t - 0.2) @ self.weight / self.noise**2 @ torch.linalg.inv(precision)
        return mean + 0.1, (torch.diag(precision).rsqrt().log() + 0.2).expand_as(mean)


def test_elbo_below_iwae_below_the_likelihood(space: PoseSpace) -> None:
    model = LinearVAE(space)
    torch.manual_seed(1)
    t = model.exact().sample((100,))
    exact = model.exact().log_prob(t).mean()
    bounds = [
        torch.stack([model.bound(t, torch.randn(k, 2, generator=generator(i))).mean() for i in range(300)])
        for k in (1, 8, 64)
    ]
    elbo, some, many = (values.mean() for values in bounds)
    error = bounds[2].std() / 300**0.5
    assert elbo + 0.1 < some and some + 0.01 < many and many < exact + 3 * error
    assert exact - many < 0.03, "and with many draws nearly reaches it"
    loss = torch.stack([model.loss(t, generator(i))[0] for i in range(100)]).mean() * model.dim
    assert -loss.item() == pytest.approx(elbo.item(), abs=0.1)
    own = model.log_prob_standard(t)
    torch.testing.assert_close(own, torch.cat([model.log_prob_standard(t[:7]), model.log_prob_standard(t[7:])]))
    assert own.mean() < exact + 0.05


def test_completions_follow_the_posterior(space: PoseSpace) -> None:
    """Of the linear model, where the conditional distribution is known."""
    model = LinearVAE(space)
    t, known = model.exact().sample((3,)), torch.arange(model.dim) < 4
    drawn = model.complete_standard(t, known, 3000, generator())
    torch.testing.assert_close(drawn[..., known], t[:, known].expand(3000, -1, -1))
    covariance = model.exact().covariance_matrix
    gain = torch.linalg.solve(covariance[known][:, known], covariance[known][:, ~known]).T
    mean = 0.2 + (t - 0.2)[:, known] @ gain.T
    rest = covariance[~known][:, ~known] - gain @ covariance[known][:, ~known]
    assert (drawn[..., ~known].mean(0) - mean).abs().max() < 0.08
    for row in range(3):
        assert (torch.cov(drawn[:, row, ~known].T) - rest).abs().max() < 0.12


def test_free_bits_cost_nothing(space: PoseSpace) -> None:
    """Below the allowance the divergence is not felt; above it is, whole."""
    t = coordinates(space, 64)
    for free in (0.0, 0.5, 1e-6):
        torch.manual_seed(0)
        model = HandVAE(space, latent=3, hidden=16, layers=1, free_bits=free)
        loss, metrics = model.loss(t, generator())
        kl = metrics["kl_per_dim"] * model.dim
        gradient = torch.autograd.grad(loss, model.encoder[-1].bias)[0]
        if free == 0.5:
            assert kl < 0.5, "no dimension uses its allowance"
            assert loss.item() == pytest.approx((metrics["nats_per_dim"] + (1.5 - kl) / model.dim).item(), abs=1e-5)
            free_gradient = gradient
        else:
            assert loss.item() == pytest.approx(metrics["nats_per_dim"].item(), abs=1e-5)
            plain_gradient = gradient
    assert not torch.allclose(free_gradient, plain_gradient)


def test_it_is_a_density_of_the_kept_dimensions(density: LatentDensity) -> None:
    """The decoder's distribution at a latent integrates to one over t, joint by joint: E_q[p / q] = 1 for a wide q."""
    z = torch.zeros(1, density.latent)
    scale = density.draw_decoded(z.expand(2000, -1), generator()).std(0)
    middle = density.decode_standard(z)[0]
    proposal = torch.distributions.StudentT(5.0, middle, 1.3 * scale)
    torch.manual_seed(0)
    t = proposal.sample((20_000,))
    likely = density.log_likelihood(t, z.expand(len(t), -1))
    offered = torch.zeros_like(likely).index_add(1, density.groups, proposal.log_prob(t))
    ratio = (likely - offered).exp()
    error = ratio.std(0) / len(t) ** 0.5
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all() and error.max() < 0.05
    assert likely.shape[1] == (density.dim if density.kind == "hand_vae" else 4)


def test_draws_and_scores_agree(density: LatentDensity) -> None:
    """The expected log density of the decoder's own draws is its negative entropy, also for joints that lost directions."""
    z = 0.5 * torch.ones(1, density.latent)
    drawn = density.draw_decoded(z.expand(4000, -1), generator())
    own = density.log_likelihood(drawn, z.expand(4000, -1)).mean(0)
    spread = drawn.std(0)
    if density.kind == "hand_vae":
        torch.testing.assert_close(own, -spread.log() - math.log(2 * math.pi * math.e) / 2, atol=0.05, rtol=0)
    else:
        narrow = density.decoded(z)[1][0] < 0.3
        sizes = density.space.sizes[density.space.sizes > 0]
        _, sigma = density.decoded(z)
        flat = -sizes * (sigma[0].log() + math.log(2 * math.pi * math.e) / 2)
        jacobian = torch.zeros(len(sizes)).index_add(0, density.groups, density.space.scale.log())
        torch.testing.assert_close((own - jacobian)[narrow], flat[narrow], atol=0.12, rtol=0)


def test_it_learns(density: LatentDensity, space: PoseSpace) -> None:
    """Held-out poses are likelier than under a Gaussian with a variance a coordinate."""
    plain = build_density("gaussian", space, full=False)
    plain.initialise(coordinates(space, 4000))
    t = coordinates(space, 500, seed=50)
    with torch.no_grad():
        own, other = (-model.log_prob_standard(t).mean() / space.dim for model in (density, plain))
        torch.manual_seed(0)
        fresh = build_density(density.kind, space, **density.args)
        before = -fresh.log_prob_standard(t).mean() / space.dim
    assert own < other - 0.3 and own < before - 0.3


def test_samples_are_poses(density: LatentDensity, space: PoseSpace) -> None:
    poses = density.sample(500, generator())
    assert poses.shape == (500, 5, 3) and poses.isfinite().all() and poses.norm(dim=-1).max() <= math.pi + 1e-4
    torch.testing.assert_close(poses, density.sample(500, generator()))
    x, theirs = space.to_coordinates(poses), space.to_coordinates(hands(500, seed=9))
    torch.testing.assert_close(space.to_pose(x), poses, atol=1e-4, rtol=0)  # dropped directions stay dropped
    assert ((x.std(0) / theirs.std(0) - 1).abs() < 0.5).all()
    assert poses[:, 3].std(0).max() < 1e-5, "the joint that never moves"


def test_encode_decode_denoise_and_complete(density: LatentDensity, space: PoseSpace) -> None:
    poses = hands(40, seed=60)
    z = density.encode(poses)
    assert z.shape == (40, density.latent) and density.latent_dim == density.latent
    x = space.to_coordinates(poses)
    assert (space.to_coordinates(density.decode(z)) - x).abs().mean() < 0.6 * x.abs().mean()
    noisy = space.to_pose(space.perturb(x, 0.3, generator()))
    cleaned = space.to_coordinates(density.denoise(noisy, 0.3))
    assert (cleaned - x).abs().mean() < 0.8 * (space.to_coordinates(noisy) - x).abs().mean()
    slight = space.to_pose(space.perturb(x, 0.005, generator()))
    better = space.to_coordinates(density.denoise(slight, 0.005))
    assert (better - x).abs().mean() < 1.1 * (space.to_coordinates(slight) - x).abs().mean(), (
        "little noise, little change"
    )
    known = torch.tensor([True, True, False, True, False])
    filled = density.complete(poses, known, 4, generator())
    assert filled.shape == (4, 40, 5, 3)
    torch.testing.assert_close(filled[:, :, known], poses[:, known].expand(4, -1, -1, -1))
    guessed = space.to_coordinates(filled.mean(0))[:, space.owner == 4]
    truth = x[:, space.owner == 4]
    assert (guessed - truth).abs().mean() < 0.9 * truth.abs().mean(), "the thumb follows the finger"
    assert density.complete(poses, torch.ones(5, dtype=torch.bool), 2).shape == (2, 40, 5, 3)
    drawn = density.complete(poses[:1], torch.zeros(5, dtype=torch.bool), 400, generator())[:, 0]
    spread = space.to_coordinates(drawn).std(0) / x.std(0)
    assert ((spread > 0.5) & (spread < 1.6)).all(), "with nothing known they are samples"


def test_a_saved_model_scores_bitwise_the_same(density: LatentDensity, tmp_path: Path) -> None:
    poses = hands(50, seed=70)
    density.save(tmp_path / "hand.safetensors")
    again = load_density(tmp_path / "hand.safetensors")
    assert again.args == density.args and type(again) is type(density)
    with torch.no_grad():
        assert torch.equal(density.log_prob(poses), again.log_prob(poses))
        assert torch.equal(density.sample(9, generator()), again.sample(9, generator()))


def test_decoded_rotations(space: PoseSpace) -> None:
    """Six numbers give a rotation, of kept axes; they need not be orthonormal, and training has a gradient everywhere."""
    columns = torch.randn(200, 3, 2, generator=generator(), dtype=torch.float64)
    matrix = matrix_from_6d(columns)
    torch.testing.assert_close(matrix.mT @ matrix, torch.eye(3, dtype=torch.float64).expand(200, 3, 3))
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(200, dtype=torch.float64))
    model = HandVAESO3(space, latent=3, hidden=16, layers=1)
    rotation, sigma = model.decoded(3 * torch.randn(100, 3, generator=generator()))
    torch.testing.assert_close(rotation.norm(dim=-1), torch.ones(100, 4))
    within = torch.einsum("mij,nmj->nmi", model.projection, rotation[..., 1:])
    torch.testing.assert_close(within, rotation[..., 1:])
    assert (sigma >= space.resolution / 2).all()
    t = torch.zeros(1, space.dim)
    model.loss(t, generator())[0].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_refused(kind: str, space: PoseSpace) -> None:
    with pytest.raises(UserError, match="latent must be at least 1, not 0"):
        build_density(kind, space, latent=0)
    with pytest.raises(UserError, match="free_bits must not be negative, found -1"):
        build_density(kind, space, free_bits=-1)
    with pytest.raises(UserError, match="unexpected keyword argument 'depth'"):
        build_density(kind, space, depth=3)
    with pytest.raises(UserError, match=r"must be \(n, 5, 3\) axis-angle, found \(2, 6, 3\)"):
        build_density(kind, space).log_prob(torch.zeros(2, 6, 3))
