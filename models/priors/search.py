"""Completion and denoising by search in the latent space of a density, for models without a closed form.

A density's latents are N(0, I), so that the prior is well conditioned there however narrow the density is in places. Draws
from the posterior given noisy coordinates are found by randomised maximum likelihood (Oliver, He and Reynolds 1996; also
"perturb and optimise"): each draw minimises the distance to a prior draw of its own plus that to observations perturbed by
their own noise. It is exact where the decoder is linear; elsewhere it stays diverse and near the posterior.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .density import PoseDensity

BLOCK = 8192  # latents optimised at once


def minimise(energy: Callable[[Tensor], Tensor], start: Tensor, steps: int, lr: float) -> Tensor:
    """Adam on all rows of ``start`` (n, Z) at once, step sizes falling to nothing (cosine); energy is (n,)."""
    with torch.enable_grad():
        z = start.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([z], lr=lr, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            (z.grad,) = torch.autograd.grad(energy(z).sum(), z)
            optimizer.step()
            schedule.step()
    return z.detach()


def complete_by_search(
    density: PoseDensity,
    t: Tensor,
    known: Tensor,
    count: int,
    generator: torch.Generator | None = None,
    steps: int = 150,
    lr: float = 0.1,
) -> Tensor:
    """Coordinates (count, n, D) drawn given the columns ``known`` (D,) of ``t`` (n, D), observed at the resolution.

    Known columns come back as they were given.
    """
    sigma = (density.space.resolution / density.space.scale)[known]
    wanted = t[:, known].expand(count, -1, -1).flatten(0, 1)
    noise = torch.randn(wanted.shape, generator=generator, device=t.device, dtype=t.dtype)
    shape = (len(wanted), density.latent_dim)
    prior = torch.randn(shape, generator=generator, device=t.device, dtype=t.dtype)
    filled = []
    for begin in range(0, len(wanted), BLOCK):
        rows = slice(begin, begin + BLOCK)
        filled.append(_nearest(density, wanted[rows] + sigma * noise[rows], sigma, known, prior[rows], steps, lr))
    found = torch.cat(filled).unflatten(0, (count, len(t)))
    return torch.where(known, t, found)


def _nearest(
    density: PoseDensity, wanted: Tensor, sigma: Tensor, known: Tensor, prior: Tensor, steps: int, lr: float
) -> Tensor:
    """Decoded latents near ``prior`` (m, Z) whose known columns are near ``wanted`` (m, K)."""

    def energy(z: Tensor) -> Tensor:
        apart = (density.decode_standard(z)[:, known] - wanted) / sigma
        return (apart**2).sum(-1) / 2 + ((z - prior) ** 2).sum(-1) / 2

    return density.decode_standard(minimise(energy, prior, steps, lr))


def denoise_by_search(density: PoseDensity, x: Tensor, sigma: float, steps: int = 150, lr: float = 0.05) -> Tensor:
    """The likeliest chart coordinates (n, D) behind ``x`` (n, D) with noise N(0, ``sigma``²) on them.

    Bijective models are searched for the mode of the posterior of coordinates, parametrised by latents; others for the
    mode over latents.
    """
    space = density.space

    def energy(z: Tensor) -> Tensor:
        clean = space.unstandardise(density.decode_standard(z))
        prior = density.log_prob_coordinates(clean) if density.bijective else -(z**2).sum(-1) / 2
        return ((clean - x) ** 2).sum(-1) / (2 * sigma**2) - prior

    start = density.encode_standard(space.standardise(x)[0])
    return space.unstandardise(density.decode_standard(minimise(energy, start, steps, lr)))
