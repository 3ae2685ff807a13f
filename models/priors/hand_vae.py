"""The hand VAE: a variational autoencoder whose decoder says how sure it is of every coordinate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .latent import LatentDensity, mlp
from .space import PoseSpace

_LOG_STD_MAX = 1.5


class HandVAE(LatentDensity):
    """Independent normal distributions of standardised chart coordinates about a decoded mean (heteroscedastic).

    The coordinates are those of axis-angle in the log chart (:mod:`.space`), so that this is a density of rotations. No
    direction is known better than half of the space's resolution, which bounds the density. ``log_prob`` is a lower bound
    (:mod:`.latent`).

    Args:
        space: what the density is stated on; made for the 30 finger joints, any joints do.
        args: latent, hidden, layers, free_bits, draws, see :class:`.latent.LatentDensity`.
    """

    kind = "hand_vae"

    def __init__(self, space: PoseSpace, **args: Any) -> None:
        super().__init__(space, **args)
        self.decoder = mlp(self.latent, self.hidden, self.layers, 2 * space.dim)

    @property
    def groups(self) -> Tensor:
        """(D,): every coordinate is a factor of its own."""
        return torch.arange(self.dim, device=self.device)

    def decoded(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (..., n, D) of coordinates at latents (..., n, Z)."""
        mean, log_std = self.decoder(z).float().chunk(2, -1)
        least = self._space.resolution / 2 / self.space.scale
        return mean, (least**2 + (2 * log_std.clamp(max=_LOG_STD_MAX)).exp()).sqrt()

    def log_likelihood(self, t: Tensor, z: Tensor) -> Tensor:
        """Log densities (..., n, D)."""
        mean, std = self.decoded(z)
        return -(((t - mean) / std) ** 2) / 2 - std.log() - math.log(2 * math.pi) / 2

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded chart coordinates (n, D), and their deviations, near the mean rotation those of the chart."""
        mean, std = self.decoded(z)
        return self.space.unstandardise(mean), std * self.space.scale

    def decode_standard(self, z: Tensor) -> Tensor:
        """Mean coordinates (n, D)."""
        return self.decoded(z)[0]

    def draw_decoded(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Coordinates (n, D) with the decoder's noise."""
        mean, std = self.decoded(z)
        return mean + std * torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
