"""Gaussian and mixture priors over axis-angle poses, as tables of numbers: learn, read, write, draw.

A prior covers named joints, three axis-angle components each, global orientation left out. A :class:`Part` is a mixture of
Gaussians over some of the columns; given the class of the whole body, parts are independent of each other, so that a few
arm and leg modes give all their combinations. A plain :class:`GaussianPrior` is one class, one part, one component. What
evaluates them is :mod:`.energy`.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..bodies.unpickle import Mahalanobis, read_pickle
from ..joints import joint_set

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A mixture of C Gaussians over d columns of a pose.

    Attributes:
        columns: (d,) int64 columns of the pose vector.
        log_weights: (Z, C) logarithms of the components' shares in each class of the whole body; (1, C) for all classes.
        means: (C, d) radians. covariances: (C, d, d) radians squared, positive definite.
    """

    columns: NDArray[np.int64]
    log_weights: Floats
    means: Floats
    covariances: Floats

    def moments(self, classes: Floats) -> tuple[Floats, Floats]:
        """Mean (d,) and covariance (d, d) of the mixture over all classes (Z,)."""
        share = shares(classes) @ np.broadcast_to(shares(self.log_weights), (len(classes), len(self.means)))
        mean = share @ self.means
        apart = self.means - mean
        return mean, np.einsum("c,cij->ij", share, self.covariances) + np.einsum("c,ci,cj->ij", share, apart, apart)


def shares(logarithms: Floats) -> Floats:
    """Logarithms (..., C) of weights as shares that sum to one."""
    result: Floats = np.exp(logarithms - np.logaddexp.reduce(logarithms, -1)[..., None])
    return result


@dataclass(frozen=True)
class GaussianPrior:
    """A Gaussian over a pose.

    Attributes:
        mean: (D,) axis-angle, radians, joint by joint.
        precision: (D, D), inverse of the covariance; the distance is ``(x - mean)' precision (x - mean)``.
        joints: the D / 3 joints covered.
    """

    mean: Floats
    precision: Floats
    joints: tuple[str, ...]

    def __post_init__(self) -> None:
        dim = 3 * len(self.joints)
        if self.mean.shape != (dim,) or self.precision.shape != (dim, dim):
            raise UserError(
                f"a prior over {len(self.joints)} joints needs mean ({dim},) and precision ({dim}, {dim}), "
                f"found {self.mean.shape} and {self.precision.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.precision).all()):
            raise UserError("a prior's mean and precision must be finite numbers")
        if np.abs(self.precision - self.precision.T).max() > 1e-6 * np.abs(self.precision).max():
            raise UserError("a prior's precision must be symmetric")
        if np.linalg.eigvalsh(self.precision).min() <= 0:
            raise UserError("a prior's precision must be positive definite: a direction has no bounds")

    @property
    def dim(self) -> int:
        """D."""
        return len(self.mean)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The Gaussian as one part with one component."""
        covariance = np.asarray(np.linalg.inv(self.precision), np.float64)
        return (Part(np.arange(self.dim), np.zeros((1, 1)), self.mean[None], covariance[None]),)

    @property
    def classes(self) -> Floats:
        """One class."""
        return np.zeros(1)

    @property
    def exemplars(self) -> Floats | None:
        """Poses that came with the prior: none."""
        return None

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Poses (count, D)."""
        return draw_parts(self.parts, self.classes, self.dim, rng, count)

    @classmethod
    def from_samples(cls, samples: NDArray[np.floating], joints: tuple[str, ...], floor: float = 0.05) -> GaussianPrior:
        """Moments of poses (N, D), with a variance of ``floor``² rad² added, so that what never moved stays soft.

        Raises:
            UserError: for fewer than two poses, or poses of another width or with values that are not finite.
        """
        samples = np.asarray(samples, np.float64)
        if samples.ndim != 2 or len(samples) < 2 or samples.shape[1] != 3 * len(joints):
            raise UserError(
                f"a prior over {len(joints)} joints needs poses (N >= 2, {3 * len(joints)}), found {samples.shape}"
            )
        if not np.isfinite(samples).all():
            raise UserError("poses to learn a prior from must be finite numbers")
        covariance = np.cov(samples.T) + floor**2 * np.eye(samples.shape[1])
        precision = np.linalg.inv(covariance)
        return cls(samples.mean(0), (precision + precision.T) / 2, joints)

    @classmethod
    def from_file(cls, path: str | Path) -> GaussianPrior:
        """Read SMIL's pickled ``Mahalanobis(mean, prec, prefix)`` without running its code, or an ``.npz``.

        The ``.npz`` holds ``mean``, ``precision`` and, unless its width names them, ``joints``.

        Raises:
            UserError: for a file that is absent, damaged, or no prior.
        """
        path = Path(path)
        if path.suffix == ".npz":
            arrays = read_arrays(path)
            if "mean" not in arrays or "precision" not in arrays:
                raise UserError(f"{path} holds {', '.join(sorted(arrays))}; a Gaussian prior needs mean and precision")
            mean, precision = arrays["mean"].astype(np.float64), arrays["precision"].astype(np.float64)
            names = (
                tuple(str(name) for name in arrays["joints"]) if "joints" in arrays else body_joints(len(mean), path)
            )
            return cls(mean, precision, names)
        content: Any = read_pickle(path)
        if not isinstance(content, Mahalanobis):
            raise UserError(f"{path} holds a {type(content).__name__}; a prior is a pickled Mahalanobis or an .npz")
        mean, root = content.mean.astype(np.float64).reshape(-1), content.prec.astype(np.float64)
        if content.prefix not in (0, 3):
            raise UserError(
                f"{path}: the prior leaves out {content.prefix} leading columns; 3 (global orientation) is known"
            )
        if content.prefix == 0:  # over the global orientation too: condition on nothing, keep the rest
            mean, root = mean[3:], root[3:]
        precision = root @ root.T
        return cls(mean, (precision + precision.T) / 2, body_joints(len(mean), path))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` that :meth:`from_file` reads."""
        np.savez_compressed(path, mean=self.mean, precision=self.precision, joints=np.array(self.joints))


def body_joints(width: int, path: Path) -> tuple[str, ...]:
    """Joints of a body pose by its width: 69 (SMPL, SMIL) or 63 (SMPL-X, SMPL-H without hands).

    Raises:
        UserError: for another width.
    """
    if width not in (63, 69):
        raise UserError(
            f"{path}: a pose prior of width {width}; 69 (SMPL, SMIL) and 63 (SMPL-X) are known: add 'joints'"
        )
    return joint_set("smpl24").joints[1 : 1 + width // 3]


def draw_parts(parts: tuple[Part, ...], classes: Floats, dim: int, rng: np.random.Generator, count: int) -> Floats:
    """Poses (count, dim): a class each, then every part on its own."""
    poses = np.zeros((count, dim))
    member = rng.choice(len(classes), size=count, p=shares(classes))
    for part in parts:
        edges = np.broadcast_to(shares(part.log_weights).cumsum(-1), (len(classes), len(part.means)))[member]
        chosen = (rng.random((count, 1)) * edges[:, -1:] > edges).sum(1)
        roots = np.linalg.cholesky(part.covariances)
        noise = rng.standard_normal((count, len(part.columns)))
        poses[:, part.columns] = part.means[chosen] + np.einsum("nij,nj->ni", roots[chosen], noise)
    return poses


def read_arrays(path: Path) -> dict[str, NDArray]:
    """Plain arrays of an ``.npz`` file.

    Raises:
        UserError: if it is absent, damaged, or holds pickled objects.
    """
    if not path.is_file():
        raise UserError(f"no pose prior at {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a readable .npz of plain arrays: {error}") from error
