"""Which poses are implausible: people of frames or pose files by a prior's density, with the joints that are to blame.

Three things make a pose implausible. Its density as a whole may be too low; that is blind to a single broken joint among
twenty common ones, so each joint's deviation in its own marginal is judged, too; and a joint may turn in directions of
which the density knows nothing, since its training never did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...models.priors import PosePrior, PriorEnergy
from ...models.priors.density import PoseDensity
from .measures import rotation_distance
from .scored_people import People, Person
from .trials import nats_per_dim

Floats = NDArray[np.float64]

OWN_SAMPLES = 8192
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)
"""Of a density's scores of its own training poses, kept with it."""
JOINT = "joint/"
BLAMED = 3
"""Joints that are named of an implausible pose."""


@dataclass(frozen=True)
class Verdict:
    """A person's score.

    Attributes:
        nats_per_dim: negative log density. deviation: the largest of any joint, standard deviations (Mahalanobis).
        lost_deg: largest angle, degrees, of a joint's turn in directions that never occur in the prior's training.
        implausible: whether a limit is exceeded. joints: worst first: what exceeds a limit by itself, then those whose
            return to the mean makes the pose likelier; of those implausible alone.
    """

    person: Person
    nats_per_dim: float
    deviation: float
    lost_deg: float
    implausible: bool
    joints: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What is still plausible: nats per dimension, a joint's deviation, and degrees in unknown directions.

    ``source`` says whose scores the first two are a quantile of.
    """

    nats_per_dim: float
    deviation: float
    lost_deg: float
    source: str


class Scorer:
    """Log densities of any prior, nats per dimension.

    A density scores on its chart, a mixture or Gaussian of a fit on rotation vectors: the two do not compare.

    Attributes:
        joints: C names. dim: dimensions. mean: (C, 3) the pose that takes the place of what is not known.
    """

    def __init__(self, prior: PoseDensity | PosePrior) -> None:
        self.prior = prior
        if isinstance(prior, PoseDensity):
            self.joints, self.dim = prior.space.joints, prior.space.dim
            self.mean = prior.space.to_pose(torch.zeros(1, self.dim))[0].numpy()
            self._learn_marginals()
            return
        self.joints, self.dim = prior.joints, 3 * len(prior.joints)
        self.mean = np.asarray(prior.mean, np.float32).reshape(-1, 3)
        self._energy = PriorEnergy(prior.parts, prior.classes, np.arange(self.dim), torch.device("cpu"), torch.float64)
        sizes = [np.linalg.slogdet(part.covariances)[1].min() / 2 for part in prior.parts]
        self._constant = float(sum(sizes)) + self.dim / 2 * math.log(2 * math.pi)
        self._learn_marginals()

    def _learn_marginals(self) -> None:
        """Mean and covariance of each joint's own coordinates, from samples."""
        self._own = self._samples()
        x, owner = self._coordinates(self._own)
        self._marginals: list[tuple[NDArray[np.intp], Floats, Floats]] = []
        for joint in range(len(self.joints)):
            columns = np.flatnonzero(owner == joint)
            apart = x[:, columns] - x[:, columns].mean(0)
            covariance = apart.T @ apart / len(apart)
            self._marginals.append((columns, x[:, columns].mean(0), np.linalg.inv(covariance)))

    def _samples(self) -> NDArray[np.float32]:
        if isinstance(self.prior, PoseDensity):
            return np.asarray(self.prior.sample(OWN_SAMPLES, torch.Generator().manual_seed(0)).numpy())
        drawn = self.prior.draw(np.random.default_rng(0), OWN_SAMPLES)
        return np.asarray(drawn.reshape(OWN_SAMPLES, -1, 3), np.float32)

    def _coordinates(self, pose: NDArray[np.floating]) -> tuple[Floats, NDArray[np.int64]]:
        """Coordinates (n, D) of poses, and whose joint each is."""
        if isinstance(self.prior, PoseDensity):
            x = self.prior.space.to_coordinates(torch.as_tensor(pose, dtype=torch.float32))
            return x.double().numpy(), self.prior.space.owner.numpy()
        flat = np.asarray(pose, np.float64).reshape(len(pose), -1)
        return flat, np.repeat(np.arange(len(self.joints)), 3)

    def deviations(self, pose: NDArray[np.floating]) -> Floats:
        """(n, C) Mahalanobis distance of each joint of poses (n, C, 3) in its own marginal."""
        x, _ = self._coordinates(pose)
        found = np.zeros((len(pose), len(self.joints)))
        for joint, (columns, mean, precision) in enumerate(self._marginals):
            apart = x[:, columns] - mean
            found[:, joint] = np.sqrt(np.einsum("ni,ij,nj->n", apart, precision, apart))
        return found

    def nats(self, pose: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n,) of poses (n, C, 3)."""
        if isinstance(self.prior, PoseDensity):
            return nats_per_dim(self.prior, torch.as_tensor(pose, dtype=torch.float32)).double().numpy()
        flat = torch.as_tensor(pose, dtype=torch.float64).flatten(1)
        squares = [self._energy(part)[0] for part in flat.split(256)]
        return np.asarray((torch.cat(squares) / 2 + self._constant).numpy() / self.dim)

    def lost(self, pose: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, C) degrees by which joints turn in directions that the prior does not know."""
        if not isinstance(self.prior, PoseDensity):
            return np.zeros(pose.shape[:2])
        given = torch.as_tensor(pose, dtype=torch.float32)
        space = self.prior.space
        kept = space.to_pose(space.to_coordinates(given))
        return np.degrees(rotation_distance(kept, given).double().numpy())

    def limits(self, share: float, lost_deg: float) -> Limits:
        """What ``share`` of the prior's training poses keep (:func:`training_scores`), else of its own samples.

        Raises:
            UserError: for a share that the prior has not kept.
        """
        kept: dict[str, float] = self.prior.data.get("scores", {}) if isinstance(self.prior, PoseDensity) else {}
        if kept:
            if f"{JOINT}{share:g}" not in kept:
                there = ", ".join(key for key in kept if not key.startswith(JOINT))
                raise UserError(f"the prior has kept no quantile {share:g} of its training: {there}")
            return Limits(kept[f"{share:g}"], kept[f"{JOINT}{share:g}"], lost_deg, "training poses")
        nats, worst = self.nats(self._own), self.deviations(self._own).max(1)
        return Limits(float(np.quantile(nats, share)), float(np.quantile(worst, share)), lost_deg, "its own samples")

    def blame(self, pose: NDArray[np.floating]) -> tuple[str, ...]:
        """Joints of a pose (C, 3), worst first, whose return to the mean makes it likelier."""
        tried = np.repeat(pose[None], len(self.joints) + 1, 0)
        rows = np.arange(len(self.joints))
        tried[rows, rows] = self.mean
        nats = self.nats(tried)
        gain = nats[-1] - nats[:-1]
        order = np.argsort(-gain)[:BLAMED]
        return tuple(self.joints[k] for k in order if gain[k] > 0)


def judge(scorer: Scorer, people: People, limits: Limits) -> list[Verdict]:
    """Score people, the least plausible first."""
    nats, deviations, lost = scorer.nats(people.pose), scorer.deviations(people.pose), scorer.lost(people.pose)
    beyond = np.maximum(deviations / limits.deviation, lost / limits.lost_deg)  # (N, C), above 1 is implausible
    severity = np.maximum(beyond.max(1), 1 + nats - limits.nats_per_dim)
    verdicts = []
    for k in np.argsort(-severity):
        bad, joints = bool(severity[k] > 1), ()
        if bad:
            outside = [scorer.joints[j] for j in np.argsort(-beyond[k]) if beyond[k, j] > 1]
            joints = tuple(dict.fromkeys([*outside, *scorer.blame(people.pose[k])]))[:BLAMED]
        figures = (float(nats[k]), float(deviations[k].max()), float(lost[k].max()))
        verdicts.append(Verdict(people.people[k], *figures, bad, joints))
    return verdicts
