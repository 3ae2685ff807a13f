"""The space on which pose densities are stated: which directions of which joints, and in which coordinates.

A joint's rotation R is written in the log chart at the joint's mean rotation C: x = Log(CᵀR), a rotation vector in the open
ball of radius π. There is no seam inside the ball, and it covers all rotations but the half turns away from the mean, a set
without volume: so a density on it is a density on rotations, without wrapping. Directions of the chart that the training
poses do not use (a jaw that never moves, a knee's two minor axes) are dropped, since no density on them is bounded.

Models live on R^D. The radial bijection u = x · f(r) / r with r = |x| and f(r) = π artanh(r / π) takes each joint's ball to
its whole tangent space (near the identity u = x to third order), and t = u / scale is what networks see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import roma
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ...config import UserError
from ..geometry import axis_angle_to_matrix, axis_angle_to_quaternion, matrix_to_axis_angle, quaternion_to_axis_angle

RESOLUTION = 0.01
"""Radians: directions that vary by less are dropped, and held-out poses are blurred by it before they are scored."""

LIMIT = math.pi - 1e-3
"""Largest distance from the mean rotation, radians; what lies beyond is drawn in along its radius."""

_MANY = 65_536  # poses that mean rotations and directions are estimated from; more are thinned evenly


@dataclass(frozen=True)
class PoseSpace:
    """Coordinates of a pose of J joints (global orientation left out) in D kept directions.

    Attributes:
        joint_set: the joint set that the names are of ("smplx55"); its kinematic tree is that of the joints.
        joints: the J joints covered.
        center: (J, 3, 3) mean rotations, the charts' origins.
        axes: (D, 3) unit tangent directions, orthogonal within a joint. owner: (D,) int64 joint of each, ascending.
        scale: (D,) standard deviation of the training poses along each direction, radians.
        dropped: notes on joints and directions that are left out, for people to read.
        resolution: radians, see :data:`RESOLUTION`.
    """

    joint_set: str
    joints: tuple[str, ...]
    center: Tensor
    axes: Tensor
    owner: Tensor
    scale: Tensor
    dropped: tuple[str, ...] = ()
    resolution: float = RESOLUTION

    @property
    def dim(self) -> int:
        """D."""
        return len(self.owner)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The fields that are tensors, by name."""
        return {field.name: value for field in fields(self) if isinstance(value := getattr(self, field.name), Tensor)}

    @property
    def basis(self) -> Tensor:
        """(3J, D): a pose's rotation vectors in the charts, flat, times this are its coordinates."""
        matrix = self.axes.new_zeros(self.dim, len(self.joints), 3)
        matrix[torch.arange(self.dim, device=self.owner.device), self.owner] = self.axes
        return matrix.flatten(1).T

    @property
    def members(self) -> Tensor:
        """(D, J): one where the direction is of the joint."""
        return one_hot(self.owner, len(self.joints)).to(self.axes)

    @property
    def sizes(self) -> Tensor:
        """(J,) int64 kept directions of each joint: 0 to 3."""
        return torch.bincount(self.owner, minlength=len(self.joints))

    def to_coordinates(self, pose: Tensor) -> Tensor:
        """Chart coordinates (n, D), radians, of poses (n, J, 3), axis-angle; dropped directions are lost.

        Raises:
            UserError: for poses of another shape.
        """
        self.check(pose)
        center = roma.quat_conjugation(roma.rotmat_to_unitquat(self.center))
        turned = roma.quat_product(center.expand(len(pose), -1, -1), axis_angle_to_quaternion(pose))
        return self._drawn_in(quaternion_to_axis_angle(turned).flatten(1) @ self.basis)

    def to_pose(self, x: Tensor) -> Tensor:
        """Poses (n, J, 3), axis-angle of length at most π, of chart coordinates (n, D); dropped directions are zero."""
        vectors = (x @ self.basis.T).unflatten(-1, (-1, 3))
        center = roma.rotmat_to_unitquat(self.center).expand(len(x), -1, -1)
        return quaternion_to_axis_angle(roma.quat_product(center, axis_angle_to_quaternion(vectors)))

    def standardise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised coordinates t (n, D) on all of R^D, and log |dt / dx| (n,)."""
        t, logs = self.standardise_joints(x)
        return t, logs.sum(-1)

    def standardise_joints(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`standardise`, with each joint's own log |dt / dx|, (n, J).

        The radial map has the singular values f'(r) = 1 / (1 − (r/π)²) once and f(r) / r for the others.
        """
        radius = self.radii(x)  # (n, J)
        ratio = (radius / math.pi).clamp(max=1 - 1e-7)
        small = ratio < 0.02
        safe = torch.where(small, 0.5, ratio)
        stretch = torch.where(small, 1 + ratio**2 / 3 + ratio**4 / 5, torch.atanh(safe) / safe)
        logs = -torch.log1p(-(ratio**2)) * (self.sizes > 0) + (self.sizes - 1).clamp(min=0) * stretch.log()
        return x * stretch[:, self.owner] / self.scale, logs - self.scale.log() @ self.members

    def unstandardise(self, t: Tensor) -> Tensor:
        """Inverse of :meth:`standardise`; farther than :data:`LIMIT` from the mean rotation nothing comes to lie."""
        u = t * self.scale
        ratio = self.radii(u) / math.pi
        small = ratio < 0.02
        safe = torch.where(small, 0.5, ratio)
        shrink = torch.where(small, 1 - ratio**2 / 3 + 2 * ratio**4 / 15, torch.tanh(safe) / safe)
        return self._drawn_in(u * shrink[:, self.owner])

    def log_haar(self, x: Tensor) -> Tensor:
        """(n,) log of the volume of rotations for a volume of the chart, over the joints with three kept directions.

        The Jacobian of Exp is (sin(θ/2) / (θ/2))² at an angle θ; Haar's measure is scaled to be Lebesgue's at θ = 0, so
        that all rotations together have 8π².
        """
        half = self.radii(x) / 2
        factor = torch.sinc(half / math.pi)
        return (2 * factor.log() * (self.sizes == 3)).sum(-1)

    def radii(self, x: Tensor) -> Tensor:
        """Length (n, J) of each joint's coordinates, of (n, D), with a gradient (zero) where they are zero."""
        square = (x * x) @ self.members
        return torch.where(square > 0, square, 1.0).sqrt() * (square > 0)

    def perturb(self, x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
        """Coordinates (n, D) with Gaussian noise of ``sigma`` radians added, kept inside the balls."""
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return self._drawn_in(x + sigma * noise)

    def check(self, pose: Tensor) -> None:
        """Refuse poses that are not (n, J, 3).

        Raises:
            UserError: naming what is expected and what was found.
        """
        if pose.ndim != 3 or pose.shape[1:] != (len(self.joints), 3):
            raise UserError(
                f"this prior is over {len(self.joints)} joints of {self.joint_set} ({self.joints[0]} … "
                f"{self.joints[-1]}): poses must be (n, {len(self.joints)}, 3) axis-angle, found {tuple(pose.shape)}"
            )

    def _drawn_in(self, x: Tensor) -> Tensor:
        shrink = (LIMIT / self.radii(x).clamp(min=1e-6)).clamp(max=1.0)
        return x * shrink[:, self.owner]

    @classmethod
    def fit(
        cls, pose: Tensor, joints: Sequence[str], joint_set: str = "smplx55", resolution: float = RESOLUTION
    ) -> PoseSpace:
        """Mean rotations, kept directions and scales of training poses (N, J, 3), axis-angle; float32 results.

        Directions are the principal axes of each joint in its chart; those whose standard deviation is below
        ``resolution`` are dropped and noted.

        Raises:
            UserError: for poses of another shape, values that are not finite, fewer than two poses, or none that moves.
        """
        names = tuple(joints)
        if pose.ndim != 3 or pose.shape[1:] != (len(names), 3) or len(pose) < 2:
            raise UserError(
                f"poses of {len(names)} joints must be (N >= 2, {len(names)}, 3), found {tuple(pose.shape)}"
            )
        some = pose[:: math.ceil(len(pose) / _MANY)].double()
        if not some.isfinite().all():
            raise UserError("poses to learn a prior from must be finite numbers")
        rotations = axis_angle_to_matrix(some)
        center = mean_rotation(rotations)
        local = matrix_to_axis_angle(center.mT @ rotations)
        covariance = torch.einsum("nji,njk->jik", local, local) / len(local)
        values, vectors = torch.linalg.eigh(covariance)
        spread = values.clamp(min=0).sqrt()
        axes, owner, scale, dropped = [], [], [], []
        for j, name in enumerate(names):
            kept = [k for k in (2, 1, 0) if spread[j, k] >= resolution]
            for k in kept:
                axis = vectors[j, :, k]
                axes.append(axis * axis[axis.abs().argmax()].sign())
                owner.append(j)
                scale.append(spread[j, k])
            if spread[j].max() < 1e-4:
                dropped.append(f"{name}: constant")
            elif len(kept) < 3:
                dropped.append(f"{name}: {3 - len(kept)} of 3 directions vary by less than {resolution:g} rad")
        if not axes:
            raise UserError(f"no joint of these poses varies by {resolution:g} rad: there is nothing to learn")
        whole = cls(joint_set, names, center, torch.stack(axes), torch.tensor(owner), torch.stack(scale))
        return replace(whole.to(torch.float32), dropped=tuple(dropped), resolution=resolution)

    def to(self, where: torch.dtype | torch.device) -> PoseSpace:
        """The same with floating tensors of another type, or all tensors on another device."""
        kept = {"owner"} if isinstance(where, torch.dtype) else set()
        moved = {name: tensor.to(where) for name, tensor in self.tensors.items() if name not in kept}
        return replace(self, **moved)  # type: ignore[arg-type]


def mean_rotation(rotations: Tensor, rounds: int = 20) -> Tensor:
    """Fréchet mean (J, 3, 3) of rotations (N, J, 3, 3): the point from which their logarithms average to zero.

    Begins at the projected arithmetic mean (Moakher 2002) and goes along the mean logarithm (Karcher 1977).
    """
    center = roma.special_procrustes(rotations.mean(0))
    for _ in range(rounds):
        step = matrix_to_axis_angle(center.mT @ rotations).mean(0)
        center = center @ axis_angle_to_matrix(step)
        if step.abs().max() < 1e-10:
            break
    return center
