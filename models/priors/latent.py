"""What variational autoencoders of poses share: bounds on the likelihood, free bits, completion in the latent space.

A latent z ~ N(0, I) decodes to a distribution of coordinates; an encoder proposes the latents of a pose (Kingma and Welling
2014). **The log density of such a model is an integral over z that has no closed form.** What these models give is a lower
bound, the importance-weighted one (Burda et al. 2016) with K draws of the encoder,

    log 1/K Σ_k p(t | z_k) p(z_k) / q(z_k | t),

which rises with K towards the log density from below in expectation. The draws are the same numbers for every pose and in
every process, so that the bound is a function of the pose.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...config import UserError
from .density import Metrics, PoseDensity
from .search import minimise
from .space import PoseSpace

NOISE_SEED = 0
"""Of the draws with which poses are scored."""
ROWS = 16_384
"""Latents decoded at once."""
_LOG_STD = (-8.0, 2.0)


class LatentDensity(PoseDensity):
    """A variational autoencoder on standardised coordinates; the decoder's distribution is left to subclasses.

    Args:
        space: what the density is stated on.
        latent: Z, width of z. hidden, layers: of encoder and decoder (GELU).
        free_bits: nats of KL divergence a latent dimension, averaged over the batch, that cost nothing (Kingma et al. 2016):
            without any, most latents are given up within a few hundred steps and never taken up again.
        draws: K of the bound.
    """

    def __init__(
        self,
        space: PoseSpace,
        latent: int = 24,
        hidden: int = 256,
        layers: int = 3,
        free_bits: float = 0.3,
        draws: int = 64,
    ) -> None:
        super().__init__(space, latent=latent, hidden=hidden, layers=layers, free_bits=free_bits, draws=draws)
        for name, value in (("latent", latent), ("hidden", hidden), ("layers", layers), ("draws", draws)):
            if value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        if free_bits < 0:
            raise UserError(f"free_bits must not be negative, found {free_bits}")
        self.latent, self.hidden, self.layers = latent, hidden, layers
        self.free_bits, self.draws = free_bits, draws
        self.encoder = mlp(space.dim, hidden, layers, 2 * latent)

    @property
    def latent_dim(self) -> int:
        """Z."""
        return self.latent

    @property
    @abstractmethod
    def groups(self) -> Tensor:
        """(D,) int64: which factor of the decoder's distribution each coordinate belongs to, 0 … G - 1."""

    @abstractmethod
    def log_likelihood(self, t: Tensor, z: Tensor) -> Tensor:
        """Log densities (..., n, G) of the factors of coordinates (n, D) given latents (..., n, Z), per unit of ``t``."""

    @abstractmethod
    def draw_decoded(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Coordinates (n, D) drawn from the decoder's distribution at latents (n, Z)."""

    @abstractmethod
    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Chart coordinates (n, D) decoded from latents (n, Z), and the deviation (n, D) of draws about them, radians."""

    def posterior(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation (n, Z) of the encoder's latents of coordinates (n, D)."""
        mean, log_std = self.encoder(t).float().chunk(2, -1)
        return mean, log_std.clamp(*_LOG_STD)

    def loss(self, t: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Metrics]:
        """Negative evidence lower bound, in nats a dimension of ``t``, in which free bits of KL cost nothing.

        Metrics: ``nats_per_dim`` (the bound with one draw, all of KL counted), ``kl_per_dim``, ``active`` (latent
        dimensions with more than 0.01 nats).
        """
        mean, log_std = self.posterior(t)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        likely = self.log_likelihood(t, mean + noise * log_std.exp()).sum(-1).mean()
        spent = ((mean**2 + (2 * log_std).exp() - 1) / 2 - log_std).mean(0)  # of N(mean, std²) to N(0, 1)
        loss = (spent.clamp(min=self.free_bits).sum() - likely) / self.dim
        metrics = {
            "nats_per_dim": (spent.sum() - likely).detach() / self.dim,
            "kl_per_dim": spent.detach().sum() / self.dim,
            "active": (spent.detach() > 0.01).sum(),
        }
        return loss, metrics

    def log_prob_standard(self, t: Tensor) -> Tensor:
        """A lower bound (n,) of the log density of coordinates (n, D): importance-weighted, with K draws."""
        generator = torch.Generator().manual_seed(NOISE_SEED)
        noise = torch.randn((self.draws, self.latent), generator=generator).to(t)
        step = max(1, ROWS // self.draws)
        return torch.cat([self.bound(t[i : i + step], noise) for i in range(0, max(len(t), 1), step)])

    def bound(self, t: Tensor, noise: Tensor) -> Tensor:
        """The importance-weighted bound (n,) of coordinates (n, D) with the encoder's draws ``noise`` (K, Z)."""
        mean, log_std = self.posterior(t)
        z = mean + noise.unsqueeze(1) * log_std.exp()  # (K, n, Z)
        likely = self.log_likelihood(t, z).sum(-1)
        prior_to_proposal = ((noise.unsqueeze(1) ** 2 - z**2) / 2 + log_std).sum(-1)
        return (likely + prior_to_proposal).logsumexp(0) - math.log(len(noise))

    def sample_standard(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws (count, D), the decoder's noise included."""
        shape, where = (count, self.latent), self.space.scale
        z = torch.randn(shape, generator=generator, device=where.device, dtype=where.dtype)
        return torch.cat([self.draw_decoded(part, generator) for part in z.split(ROWS)])

    def encode_standard(self, t: Tensor) -> Tensor:
        """The encoder's mean latents (n, Z)."""
        return self.posterior(t)[0]

    @torch.no_grad()
    def denoise(self, pose: Tensor, sigma: float, steps: int = 100) -> Tensor:
        """Poses (n, J, 3) behind noisy ones: the likeliest latents, then what the decoder and the noisy pose agree upon.

        Given the latents both are taken for normal, in the chart; ``sigma`` is in radians.
        """
        x = self.space.to_coordinates(pose)

        def energy(z: Tensor) -> Tensor:
            mean, std = self.moments(z)
            variance = std**2 + sigma**2
            return ((x - mean) ** 2 / variance + variance.log()).sum(-1) / 2 + (z**2).sum(-1) / 2

        z = self._minimise(energy, self.encode_standard(self.space.standardise(x)[0]), steps)
        mean, std = self.moments(z)
        weight = std**2 / (std**2 + sigma**2)
        return self.space.to_pose(mean + weight * (x - mean))

    @torch.no_grad()
    def complete_standard(
        self, t: Tensor, known: Tensor, count: int, generator: torch.Generator | None = None, steps: int = 100
    ) -> Tensor:
        """Coordinates (count, n, D) with the columns ``known`` (D,) of ``t`` (n, D) kept, the others drawn.

        Latents are found by randomised maximum likelihood (Oliver et al. 1996), each from a start of its own: near a draw
        of the prior, they explain what is known, then what is known with noise as the decoder's there. With a linear
        decoder they are exact draws of the posterior. The rest is drawn from the decoder's distribution.
        """
        if known.all():
            return t.expand(count, -1, -1).clone()
        if not known.any():
            return self.sample_standard(count * len(t), generator).unflatten(0, (count, len(t)))
        factors = torch.unique(self.groups[known])
        wanted = t.expand(count, -1, -1).flatten(0, 1)
        prior = torch.randn((len(wanted), self.latent), generator=generator, device=t.device, dtype=t.dtype)
        filled = []
        for rows in torch.arange(len(wanted), device=t.device).split(ROWS):
            z = self._explaining(wanted[rows], factors, prior[rows], prior[rows], steps)
            noise = self.draw_decoded(z, generator) - self.decode_standard(z)
            z = self._explaining(wanted[rows] + noise, factors, prior[rows], z, steps)
            filled.append(self.draw_decoded(z, generator))
        return torch.where(known, t, torch.cat(filled).unflatten(0, (count, len(t))))

    def _explaining(self, t: Tensor, factors: Tensor, prior: Tensor, start: Tensor, steps: int) -> Tensor:
        """Latents (m, Z) near ``prior`` that explain the ``factors`` of ``t`` (m, D)."""

        def energy(z: Tensor) -> Tensor:
            return ((z - prior) ** 2).sum(-1) / 2 - self.log_likelihood(t, z)[:, factors].sum(-1)

        return self._minimise(energy, start, steps)

    def _minimise(self, energy: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
        return minimise(energy, start, torch.eye(self.latent, dtype=start.dtype, device=start.device), steps, lr=0.1)


def mlp(inputs: int, hidden: int, layers: int, outputs: int) -> nn.Sequential:
    """``layers`` hidden layers of GELU units and a linear one whose outputs begin near zero."""
    widths = [inputs, *[hidden] * layers]
    inner: list[nn.Module] = []
    for a, b in pairwise(widths):
        inner += [nn.Linear(a, b), nn.GELU()]
    last = nn.Linear(hidden, outputs)
    nn.init.normal_(last.weight, std=0.1 / math.sqrt(hidden))
    nn.init.zeros_(last.bias)
    return nn.Sequential(*inner, last)
