"""A prior as mixtures of body parts: trunk, each arm, each leg, tied together by classes of the whole body.

Poses in the wild have modes (a leg is stretched or tucked), which one Gaussian averages into poses that nobody takes. Limbs
choose theirs nearly independently once it is known what the whole body does (lie, crawl, stand): so a pose belongs to a
class, and given the class each part is a mixture of a few Gaussians that all classes share, in shares of its own. A few
dozen modes give thousands of combinations (compare the pose mixture of SMPLify: Bogo et al. 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ..geometry import mirror_axis_angle
from .gaussian import Floats, Part, draw_parts, read_arrays, shares

TRUNK = ("spine1", "spine2", "spine3", "neck", "head")
ARM = ("collar", "shoulder", "elbow", "wrist", "hand")
LEG = ("hip", "knee", "ankle", "foot")


@dataclass(frozen=True)
class PartMixture:
    """Mixtures over the parts of a pose, independent given a class of the whole body.

    Attributes:
        joints: the D / 3 joints covered, three axis-angle columns each, radians.
        parts: mixtures; their columns together are all columns, each once.
        classes: (Z,) logarithms of the shares of the classes.
        exemplars: (E, D) poses, from which a fit takes its first guesses; or None, and guesses are drawn.
    """

    joints: tuple[str, ...]
    parts: tuple[Part, ...]
    classes: Floats
    exemplars: Floats | None = None

    def __post_init__(self) -> None:
        columns = np.sort(np.concatenate([part.columns for part in self.parts]))
        if not np.array_equal(columns, np.arange(self.dim)):
            raise UserError(
                f"the parts of a prior over {len(self.joints)} joints must cover each of {self.dim} columns once"
            )

    @property
    def dim(self) -> int:
        """D."""
        return 3 * len(self.joints)

    @property
    def mean(self) -> Floats:
        """(D,) mean of the prior."""
        return self._moments()[0]

    @property
    def precision(self) -> Floats:
        """(D, D) inverse covariance of the prior: the Gaussian nearest to it."""
        return np.asarray(np.linalg.inv(self._moments()[1]), np.float64)

    def _moments(self) -> tuple[Floats, Floats]:
        mean, covariance = np.zeros(self.dim), np.zeros((self.dim, self.dim))
        for part in self.parts:
            mean[part.columns], covariance[np.ix_(part.columns, part.columns)] = part.moments(self.classes)
        return mean, covariance

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Poses (count, D)."""
        return draw_parts(self.parts, self.classes, self.dim, rng, count)

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``; exemplars as float16 (steps of 0.001 rad), the rest as float32."""
        arrays: dict[str, NDArray] = {"joints": np.array(self.joints), "classes": self.classes.astype(np.float32)}
        for number, part in enumerate(self.parts):
            upper = np.triu_indices(len(part.columns))
            arrays[f"part{number}_columns"] = part.columns.astype(np.int16)
            arrays[f"part{number}_log_weights"] = part.log_weights.astype(np.float32)
            arrays[f"part{number}_means"] = part.means.astype(np.float32)
            arrays[f"part{number}_covariances"] = part.covariances[:, upper[0], upper[1]].astype(np.float32)
        if self.exemplars is not None:
            arrays["exemplars"] = self.exemplars.astype(np.float16)
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]

    @classmethod
    def from_file(cls, path: str | Path) -> PartMixture:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: for a file that is absent, damaged, or no mixture prior.
        """
        path = Path(path)
        arrays = read_arrays(path)
        if "joints" not in arrays or "part0_columns" not in arrays:
            raise UserError(f"{path} holds {', '.join(sorted(arrays))}; no mixture prior of this project")
        parts, number = [], 0
        while f"part{number}_columns" in arrays:
            columns = arrays[f"part{number}_columns"].astype(np.int64)
            upper, packed = np.triu_indices(len(columns)), arrays[f"part{number}_covariances"].astype(np.float64)
            covariances = np.zeros((len(packed), len(columns), len(columns)))
            covariances[:, upper[0], upper[1]] = packed
            covariances[:, upper[1], upper[0]] = packed
            weights, means = (arrays[f"part{number}_{key}"].astype(np.float64) for key in ("log_weights", "means"))
            parts.append(Part(columns, weights, means, covariances))
            number += 1
        exemplars = arrays["exemplars"].astype(np.float64) if "exemplars" in arrays else None
        return cls(
            tuple(str(name) for name in arrays["joints"]), tuple(parts), arrays["classes"].astype(np.float64), exemplars
        )

    @classmethod
    def from_samples(
        cls,
        samples: NDArray[np.floating],
        joints: Sequence[str],
        components: Mapping[str, int],
        exemplars: int = 512,
        floor: float = 0.04,
        seed: int = 0,
    ) -> PartMixture:
        """Learn the mixtures by expectation maximisation (scikit-learn); left and right share theirs, mirrored.

        Args:
            samples: (N, D) poses, radians.
            joints: the joints covered, SMPL's names.
            components: number of components of "trunk", "arm" and "leg", and of "class"es.
            exemplars: poses to keep as first guesses, drawn from the samples.
            floor: standard deviation, radians, added to every direction.
            seed: of the initialisation and the exemplars.

        Raises:
            UserError: for samples of another width.
        """
        names = tuple(joints)
        if np.ndim(samples) != 2 or samples.shape[1] != 3 * len(names):
            raise UserError(f"poses of {len(names)} joints are (N, {3 * len(names)}), found {samples.shape}")
        poses: Floats = np.asarray(samples, np.float64)
        both = np.concatenate([poses, _mirrored(poses, names)])
        trunk = _columns(names, TRUNK, "")
        found = [(trunk, *_learn(both[:, trunk], components["trunk"], floor, seed))]
        for kind, group in (("arm", ARM), ("leg", LEG)):
            left, right = (_columns(names, group, side) for side in ("left_", "right_"))
            means, covariances = _learn(both[:, left], components[kind], floor, seed)
            sign = np.tile([1.0, -1.0, -1.0], len(left) // 3)  # a mirror negates the y and z of an axis-angle
            found += [(left, means, covariances), (right, means * sign, covariances * sign * sign[:, None])]
        likelihoods = [_log_densities(both[:, columns], means, covariances) for columns, means, covariances in found]
        classes, weights = _learn_classes(likelihoods, components["class"], seed)
        parts = tuple(Part(columns, own, means, cov) for (columns, means, cov), own in zip(found, weights, strict=True))
        rng = np.random.default_rng(seed)
        kept: Floats = poses[rng.choice(len(poses), size=min(exemplars, len(poses)), replace=False)]
        return cls(names, parts, classes, kept)


def _mirrored(poses: Floats, names: tuple[str, ...]) -> Floats:
    """Poses (N, D) seen in a mirror."""
    swap = {"left": "right", "right": "left"}
    sides = [name.partition("_") for name in names]
    order = [names.index(f"{swap[side]}_{rest}") if side in swap else k for k, (side, _, rest) in enumerate(sides)]
    return mirror_axis_angle(poses.reshape(len(poses), -1, 3)[:, order]).reshape(len(poses), -1)


def _log_densities(values: Floats, means: Floats, covariances: Floats) -> Floats:
    """Logarithms (N, C) of the components' densities, up to a constant."""
    apart = values[:, None] - means
    square = np.einsum("nci,cij,ncj->nc", apart, np.linalg.inv(covariances), apart, optimize=True)
    result: Floats = -(square + np.linalg.slogdet(covariances)[1]) / 2
    return result


def _learn_classes(likelihoods: list[Floats], count: int, seed: int, rounds: int = 100) -> tuple[Floats, list[Floats]]:
    """Expectation maximisation of a latent class: log shares (Z,) and, for each part, log weights (Z, C).

    Args:
        likelihoods: (N, C) log densities of the components, one array a part; they stay as they are.
    """
    rng = np.random.default_rng(seed)
    people = len(likelihoods[0])
    classes = np.full(count, -np.log(count))
    weights = [np.log(rng.dirichlet(np.full(values.shape[1], 1.0), size=count)) for values in likelihoods]
    for _ in range(rounds):
        joints = [values[:, None] + own for values, own in zip(likelihoods, weights, strict=True)]  # (N, Z, C)
        total = classes + sum(np.logaddexp.reduce(joint, -1) for joint in joints)
        member = shares(total)  # (N, Z)
        classes = np.log(member.sum(0) + 1) - np.log(people + count)
        for k, joint in enumerate(joints):
            used = np.einsum("nz,nzc->zc", member, shares(joint)) + 0.5  # half a pose each: none is impossible
            weights[k] = np.log(used) - np.log(used.sum(-1, keepdims=True))
    return classes, weights


def _columns(names: tuple[str, ...], group: tuple[str, ...], side: str) -> NDArray[np.int64]:
    """Columns of the joints of a group that the prior covers."""
    rows = [names.index(side + joint) for joint in group if side + joint in names]
    return np.concatenate([np.arange(3 * row, 3 * row + 3) for row in rows])


def _learn(values: Floats, components: int, floor: float, seed: int) -> tuple[Floats, Floats]:
    """Means and covariances of a mixture fitted to rows of ``values``."""
    from sklearn.mixture import GaussianMixture  # heavy, and of no use to who only fits

    mixture = GaussianMixture(components, reg_covar=floor**2, random_state=seed, max_iter=60).fit(values)
    return mixture.means_, mixture.covariances_
