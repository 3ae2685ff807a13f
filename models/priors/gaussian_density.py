"""Gaussian densities of poses, diagonal or full, in closed form throughout."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...config import UserError
from ..geometry import axis_angle_to_matrix
from ..joints import PARENTS, joint_set
from .density import PoseDensity
from .gaussian import GaussianPrior
from .space import PoseSpace

JITTER = 1e-6  # of each variance, added so that factors exist


class GaussianDensity(PoseDensity):
    """N(mean, covariance) of standardised coordinates; whitened by z = W (t − mean), W lower triangular.

    W = diag(exp(−log_scale)) (I + lower), ``lower`` strictly triangular and zero where ``full`` is false. Its parameters
    can be learned by gradients, yet :meth:`initialise` already sets them to the data's moments.

    Args:
        space: what the density is stated on.
        full: all covariances, not only variances.
        shrinkage: share in [0, 1) by which covariances are drawn to zero (Ledoit and Wolf 2004, towards the diagonal).
    """

    kind = "gaussian"

    def __init__(self, space: PoseSpace, full: bool = True, shrinkage: float = 0.01) -> None:
        super().__init__(space, full=full, shrinkage=shrinkage)
        if not 0 <= shrinkage < 1:
            raise UserError(f"shrinkage must be in [0, 1), not {shrinkage}")
        self.full, self.shrinkage = full, shrinkage
        self.mean = nn.Parameter(torch.zeros(space.dim))
        self.log_scale = nn.Parameter(torch.zeros(space.dim))
        self.lower = nn.Parameter(torch.zeros(space.dim, space.dim), requires_grad=full)

    @torch.no_grad()
    def initialise(self, t: Tensor) -> None:
        """Set mean and covariance to those of coordinates (n, D), shrunk."""
        mean = t.double().mean(0)
        covariance = (t.double() - mean).T @ (t.double() - mean) / len(t)
        self.set_moments(mean, covariance + JITTER * torch.diag(torch.diag(covariance)))

    @torch.no_grad()
    def set_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Take over a mean (D,) and covariance (D, D), of which the off-diagonal is shrunk, or left out unless full."""
        variance = torch.diag(covariance)
        keep = 1 - self.shrinkage if self.full else 0.0
        covariance = keep * covariance + torch.diag((1 - keep) * variance)
        root = torch.linalg.cholesky(covariance)
        whitener = torch.linalg.solve_triangular(
            root, torch.eye(self.dim, dtype=root.dtype, device=root.device), upper=False
        )
        scale = torch.diag(whitener)
        self.mean.copy_(mean)
        self.log_scale.copy_(-scale.log())
        self.lower.copy_(torch.tril(whitener / scale[:, None], -1))

    @property
    def covariance(self) -> Tensor:
        """(D, D) of standardised coordinates."""
        root = torch.linalg.inv(self._whitener())
        return root @ root.T

    def _whitener(self) -> Tensor:
        unit = torch.eye(self.dim, dtype=self.mean.dtype, device=self.mean.device)
        return (-self.log_scale).exp()[:, None] * (unit + torch.tril(self.lower, -1))

    def encode_standard(self, t: Tensor) -> Tensor:
        """Whitened coordinates (n, D)."""
        apart = t - self.mean
        if not self.full:
            return apart * (-self.log_scale).exp()
        return apart @ self._whitener().T

    def decode_standard(self, z: Tensor) -> Tensor:
        """Coordinates of whitened ones (n, D)."""
        if not self.full:
            return self.mean + z * self.log_scale.exp()
        return self.mean + torch.linalg.solve_triangular(self._whitener(), z.T, upper=False).T

    def log_prob_standard(self, t: Tensor) -> Tensor:
        """Log density (n,)."""
        return self._log_probs(t).sum(-1)

    def _log_probs(self, t: Tensor) -> Tensor:
        return -(self.encode_standard(t) ** 2) / 2 - self.log_scale - math.log(2 * math.pi) / 2

    def joint_log_prob(self, pose: Tensor) -> Tensor | None:
        """Log densities (n, J) of each joint, given the joints before it if the Gaussian is full."""
        x = self.space.to_coordinates(pose)
        t, logs = self.space.standardise_joints(x)
        return self._log_probs(t) @ self.space.members + logs

    def sample_standard(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws (count, D)."""
        shape, device, dtype = (count, self.dim), self.mean.device, self.mean.dtype
        return self.decode_standard(torch.randn(shape, generator=generator, device=device, dtype=dtype))

    def complete_standard(
        self, t: Tensor, known: Tensor, count: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws (count, n, D) from the exact conditional given the known columns."""
        covariance = self.covariance.double()
        free = ~known
        gain = torch.linalg.solve(covariance[known][:, known], covariance[known][:, free]).T
        rest = covariance[free][:, free] - gain @ covariance[known][:, free]
        root = torch.linalg.cholesky(rest).to(t)
        expected = self.mean[free] + (t - self.mean)[:, known] @ gain.to(t).T
        noise = torch.randn((count, *expected.shape), generator=generator, device=t.device, dtype=t.dtype)
        filled = t.expand(count, -1, -1).clone()
        filled[..., free] = expected + noise @ root.T
        return filled

    @torch.no_grad()
    def denoise(self, pose: Tensor, sigma: float) -> Tensor:
        """The likeliest poses behind noisy ones in closed form: noise and prior combined at the same place of the chart."""
        space = self.space
        x = space.to_coordinates(pose)
        prior = (self.covariance * space.scale * space.scale[:, None]).double()
        noise = sigma**2 * torch.eye(self.dim, dtype=torch.float64, device=prior.device)
        gain = torch.linalg.solve(prior + noise, prior).to(x)
        mean = space.unstandardise(self.mean[None])
        return space.to_pose(mean + (x - mean) @ gain)

    @torch.no_grad()
    def to_fit_prior(self, count: int = 4096, seed: int = 0, floor: float = 0.04) -> GaussianPrior:
        """The Gaussian itself, linearised at its mean; ``floor`` radians are added to every direction, 0 for none.

        Directions that the space drops get at least the resolution. ``count`` and ``seed`` are of no use here.
        """
        space = self.space.to(torch.float64)
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(
                lambda t: space.to_pose(space.unstandardise(t[None])).flatten(), self.mean.detach().double()
            )
        mean = space.to_pose(space.unstandardise(self.mean.double()[None])).flatten()
        covariance = jacobian @ self.covariance.double() @ jacobian.T
        lost = torch.linalg.svd(jacobian).U[:, self.dim :]  # orthogonal to all kept directions
        covariance = covariance + floor**2 * torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
        covariance = covariance + max(space.resolution**2 - floor**2, 0.0) * lost @ lost.T
        precision = torch.linalg.inv(covariance)
        return GaussianPrior(_numbers(mean), _numbers((precision + precision.T) / 2), space.joints)

    @classmethod
    def from_mahalanobis(cls, prior: GaussianPrior | str | Path) -> GaussianDensity:
        """The density of a Gaussian over axis-angle (SMIL's pickled prior, an ``.npz``, or one in memory).

        The charts' origins are the prior's mean; to first order about it the chart is a linear map of axis-angle.

        Raises:
            UserError: for a file that is no such prior, or joints that no joint set with a tree has.
        """
        prior = prior if isinstance(prior, GaussianPrior) else GaussianPrior.from_file(prior)
        mean = torch.from_numpy(np.asarray(prior.mean, np.float64)).reshape(-1, 3)
        covariance = torch.linalg.inv(torch.from_numpy(np.asarray(prior.precision, np.float64)))
        count = 3 * len(mean)
        space = PoseSpace(
            _set_of(prior.joints),
            prior.joints,
            axis_angle_to_matrix(mean),
            torch.eye(3, dtype=torch.float64).repeat(len(mean), 1),
            torch.arange(count) // 3,
            torch.ones(count, dtype=torch.float64),
        )
        jacobian = torch.autograd.functional.jacobian(
            lambda x: space.to_pose(x[None]).flatten(), torch.zeros(count, dtype=torch.float64)
        )
        inverse = torch.linalg.inv(jacobian)
        covariance = inverse @ covariance @ inverse.T
        scale = torch.diag(covariance).sqrt()
        density = cls(replace(space, scale=scale).to(torch.float32), full=True, shrinkage=0.0)
        density.set_moments(torch.zeros(count, dtype=torch.float64), covariance / scale / scale[:, None])
        return density


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _set_of(joints: tuple[str, ...]) -> str:
    """The first joint set with a kinematic tree that has all of these joints."""
    for name in PARENTS:
        if set(joints) <= set(joint_set(name).joints):
            return name
    raise UserError(f"no joint set with a kinematic tree has all of the joints {', '.join(joints)}")
