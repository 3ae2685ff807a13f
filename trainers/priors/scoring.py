"""Which poses are implausible: people of frames or pose files by a prior's density, with the joints that are to blame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.poses import PoseSequence, load_poses
from ...datasets.shards import FramesFolder
from ...models.joints import joint_set
from ...models.joints.smpl_family import SMPL_SETS
from ...models.priors import PosePrior, PriorEnergy
from ...models.priors.density import PoseDensity
from .measures import rotation_distance
from .trials import nats_per_dim

OWN_SAMPLES = 8192
BLAMED = 3
"""Joints that are named of an implausible pose."""


@dataclass(frozen=True)
class Person:
    """One pose to be judged.

    Attributes:
        id: frame id and number of the person, or a pose's name in its file.
        frame: position of the frame in its folder, -1 in pose files. number: of the person in the frame, of the pose.
    """

    id: str
    frame: int
    number: int


@dataclass
class People:
    """Poses to be judged.

    Attributes:
        people: N of them. pose: (N, C, 3) of the prior's joints, those in ``lacking`` at its mean.
        lacking: joints of the prior that the data does not have. left_out: reasons, counted.
    """

    people: list[Person]
    pose: NDArray[np.float32]
    lacking: tuple[str, ...]
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Verdict:
    """A person's score.

    Attributes:
        nats_per_dim: negative log density. lost_deg: largest angle, degrees, of what the prior does not know: turns of a
            joint in directions that never occur in its training.
        implausible: whether a threshold is exceeded. joints: worst first, whose return to the mean makes the pose likelier;
            for those implausible.
    """

    person: Person
    nats_per_dim: float
    lost_deg: float
    implausible: bool
    joints: tuple[str, ...]


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
            return
        self.joints, self.dim = prior.joints, 3 * len(prior.joints)
        self.mean = np.asarray(prior.mean, np.float32).reshape(-1, 3)
        self._energy = PriorEnergy(prior.parts, prior.classes, np.arange(self.dim), torch.device("cpu"), torch.float64)
        sizes = [np.linalg.slogdet(part.covariances)[1].min() / 2 for part in prior.parts]
        self._constant = float(sum(sizes)) + self.dim / 2 * math.log(2 * math.pi)

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

    def threshold(self, share: float) -> tuple[float, str]:
        """The score that ``share`` of the prior's training poses keep, else of its own samples; and which it was.

        Raises:
            UserError: for a share that the prior has not kept.
        """
        if isinstance(self.prior, PoseDensity):
            kept: dict[str, float] = self.prior.data.get("scores", {})
            if kept:
                if f"{share:g}" not in kept:
                    raise UserError(f"the prior has kept no quantile {share:g} of its training: {', '.join(kept)}")
                return kept[f"{share:g}"], "training poses"
            drawn = self.prior.sample(OWN_SAMPLES, torch.Generator().manual_seed(0)).numpy()
        else:
            drawn = self.prior.draw(np.random.default_rng(0), OWN_SAMPLES).reshape(OWN_SAMPLES, -1, 3)
        return float(np.quantile(self.nats(drawn), share)), "its own samples"

    def blame(self, pose: NDArray[np.floating]) -> tuple[str, ...]:
        """Joints of a pose (C, 3), worst first, whose return to the mean makes it likelier."""
        tried = np.repeat(pose[None], len(self.joints) + 1, 0)
        rows = np.arange(len(self.joints))
        tried[rows, rows] = self.mean
        nats = self.nats(tried)
        gain = nats[-1] - nats[:-1]
        order = np.argsort(-gain)[:BLAMED]
        return tuple(self.joints[k] for k in order if gain[k] > 0)


def judge(scorer: Scorer, people: People, limit: float, lost_limit: float) -> list[Verdict]:
    """Score people, the least plausible first.

    Args:
        limit: nats per dimension. lost_limit: degrees; whoever exceeds either is implausible.
    """
    nats, lost = scorer.nats(people.pose), scorer.lost(people.pose)
    bad = (nats > limit) | (lost.max(1) > lost_limit)
    verdicts = []
    for k in np.lexsort((-nats, ~bad)):
        joints: tuple[str, ...] = ()
        if bad[k]:
            outside = [scorer.joints[j] for j in np.argsort(-lost[k]) if lost[k, j] > lost_limit]
            joints = tuple(dict.fromkeys([*outside, *scorer.blame(people.pose[k])]))[:BLAMED]
        verdicts.append(Verdict(people.people[k], float(nats[k]), float(lost[k].max()), bool(bad[k]), joints))
    return verdicts


def read_people(path: Path, scorer: Scorer) -> People:
    """People of a frames folder or a pose file (.npz, .parquet), their poses by joint names.

    Raises:
        UserError: if there is no pose, or none of the prior's joints.
    """
    if path.is_dir():
        return _collect(_of_frames(path), scorer, path)
    poses = load_poses(path)
    return _collect(_of_poses(poses), scorer, path)


Found = Iterator[tuple[Person, str, NDArray[np.float32] | None]]


def _of_poses(poses: PoseSequence) -> Found:
    for k, pose in enumerate(poses.pose):
        yield Person(poses.names[k] if poses.names else str(k), -1, k), poses.joint_set, pose


def _of_frames(path: Path) -> Found:
    """Persons of all frames; the joint set by the length of their pose."""
    sizes = {joints.count: name for name, joints in SMPL_SETS.items() if name in ("smpl24", "smplh52", "smplx55")}
    for position, frame in enumerate(FramesFolder.open(path).iterate(("frame_id", "persons"))):
        for number, person in enumerate(frame.persons):
            who = Person(f"{frame.frame_id}:{number}", position, number)
            pose = None if person.pose is None else np.asarray(person.pose, np.float32).reshape(-1, 3)
            name = "" if pose is None else sizes.get(len(pose), "")
            yield who, name, pose if name else None


def _collect(found: Found, scorer: Scorer, path: Path) -> People:
    people, rows = [], []
    left_out: Counter[str] = Counter()
    lacking: set[str] = set()
    for who, name, pose in found:
        if pose is None:
            left_out["people without a body's pose"] += 1
        elif not np.isfinite(pose).all():
            left_out["poses that are not finite"] += 1
        else:
            place = _places(name, scorer.joints)
            lacking |= {joint for joint, row in zip(scorer.joints, place, strict=True) if row < 0}
            rows.append(np.where(np.array(place)[:, None] >= 0, pose[place], scorer.mean))
            people.append(who)
    if not people:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it is empty"
        raise UserError(f"{path} holds no pose to score: {reasons}")
    if len(lacking) == len(scorer.joints):
        raise UserError(f"{path} has none of the prior's joints ({', '.join(scorer.joints[:4])}...)")
    ordered = tuple(joint for joint in scorer.joints if joint in lacking)
    return People(people, np.asarray(np.stack(rows), np.float32), ordered, left_out)


def _places(name: str, joints: Sequence[str]) -> list[int]:
    names = joint_set(name).joints
    return [names.index(joint) if joint in names else -1 for joint in joints]
