"""The hand VAE on rotations: 6D outputs, and a likelihood by geodesic distance that is normalised on the rotations."""

from __future__ import annotations

import math
from typing import Any

import roma
import torch
from torch import Tensor

from ...config import UserError
from ..geometry import matrix_from_6d
from . import geodesic
from .latent import LatentDensity, mlp
from .space import PoseSpace

_LOG_SIGMA_MAX = math.log(1.2)
_IDENTITY = ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))


class HandVAESO3(LatentDensity):
    """Each joint's rotation R has the density exp(−d(R, R̂)² / 2σ²) / Z(σ) about a decoded rotation R̂, with a σ of its own.

    The decoder gives six numbers a joint, two columns that Gram-Schmidt turns into R̂ (Zhou et al. 2019), relative to the
    joint's mean rotation; d is the geodesic distance and Z the integral over all rotations (:mod:`.geodesic`).

    **Joints with fewer than three kept directions.** The space keeps of them the rotations about axes of a line or a plane
    (through the mean rotation): a closed, totally geodesic part of the rotations. R̂ goes to its nearest rotation there,
    and the same density is normalised on that part, by its own volume. So every model is a density of the same D
    coordinates; joints without kept directions take no part. No σ is below half of the space's resolution.
    ``log_prob`` is a lower bound (:mod:`.latent`).

    Args:
        space: what the density is stated on; made for the 30 finger joints, any joints do.
        args: latent, hidden, layers, free_bits, draws, see :class:`.latent.LatentDensity`.
    """

    kind = "hand_vae_so3"

    def __init__(self, space: PoseSpace, **args: Any) -> None:
        super().__init__(space, **args)
        if not space.dim:
            raise UserError("the space of a hand VAE keeps no direction")
        moving = space.sizes > 0
        count = int(moving.sum())
        self.decoder = mlp(self.latent, self.hidden, self.layers, 7 * count)
        axes = space.axes.new_zeros(space.dim, count, 3)
        place = (torch.cumsum(moving, 0) - 1)[space.owner]
        axes[torch.arange(space.dim), place] = space.axes
        self.register_buffer("basis", axes, persistent=False)  # (D, M, 3): a coordinate's axis, at its joint
        self.register_buffer("projection", torch.einsum("dmi,dmj->mij", axes, axes), persistent=False)
        self.register_buffer("sizes", space.sizes[moving], persistent=False)
        widest = space.scale.new_zeros(count).scatter_reduce(0, place, space.scale, "amax")
        self.register_buffer("spread", widest, persistent=False)  # (M,) radians
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("moving", moving.nonzero()[:, 0], persistent=False)
        self.register_buffer("identity", space.scale.new_tensor(_IDENTITY), persistent=False)

    basis: Tensor
    moving: Tensor
    identity: Tensor
    projection: Tensor
    sizes: Tensor
    spread: Tensor
    place: Tensor

    @property
    def groups(self) -> Tensor:
        """(D,): a factor a joint that moves."""
        return self.place

    def decoded(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations as quaternions (..., n, M, 4) about the mean ones, and σ (..., n, M), radians, at latents (..., n, Z)."""
        raw = self.decoder(z).float().unflatten(-1, (-1, 7))
        columns = self.identity + self.spread[:, None, None] * raw[..., :6].unflatten(-1, (3, 2))
        xyzw = roma.rotmat_to_unitquat(matrix_from_6d(columns))
        rotation = geodesic.nearest_within(xyzw.roll(1, -1), self.projection)
        log_sigma = (self.spread.log() + raw[..., 6]).clamp(max=_LOG_SIGMA_MAX)
        return rotation, ((self._space.resolution / 2) ** 2 + (2 * log_sigma).exp()).sqrt()

    def log_likelihood(self, t: Tensor, z: Tensor) -> Tensor:
        """Log densities (..., n, M) of the joints that move, per unit of ``t``."""
        rotation, sigma = self.decoded(z)
        x = self.space.unstandardise(t)
        vectors = torch.einsum("nd,dmi->nmi", x, self.basis)
        value = geodesic.log_density(geodesic.to_quaternions(vectors), rotation, sigma, self.sizes)
        radius = vectors.square().sum(-1).add(1e-20).sqrt()
        slopes = self.space.standardise_joints(x)[1][:, self.moving]
        return value + geodesic.log_volume(radius, self.sizes) - slopes

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded chart coordinates (n, D), and their deviations, σ of each one's joint."""
        rotation, sigma = self.decoded(z)
        return self._in_chart(rotation), sigma[:, self.place]

    def decode_standard(self, z: Tensor) -> Tensor:
        """Coordinates (n, D) of the decoded rotations."""
        return self._coordinates(self.decoded(z)[0])

    def draw_decoded(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Coordinates (n, D) of rotations drawn about the decoded ones."""
        rotation, sigma = self.decoded(z)
        projection = self.projection.expand(len(z), -1, -1, -1)
        return self._coordinates(geodesic.draw(rotation, sigma, projection, generator))

    def _coordinates(self, rotation: Tensor) -> Tensor:
        return self.space.standardise(self._in_chart(rotation))[0]

    def _in_chart(self, rotation: Tensor) -> Tensor:
        return torch.einsum("nmi,dmi->nd", geodesic.to_vectors(rotation), self.basis)
