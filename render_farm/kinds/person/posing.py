"""From (seed, frame, person) to people at rest in a world of their own: shape, pose, expression, contact with the ground.

Everything here runs on a *proxy* of SMPL's 24 joints and some 260 vertices; the sampler skins the whole body once. Each
person stands, sits or lies about the origin facing +Z; :mod:`.placing` puts people together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.blocks import pose_joints, skin_blocks
from ....models.bodies.body import Body
from ....models.bodies.gestures import ANGLES, GESTURES, LIMITS, hand_pose
from ....models.geometry import matrix_to_axis_angle
from ....models.joints import joint_set
from ....models.joints.hands import HAND15
from ...looks.regions import REGIONS
from ...poses.angles import angles_to_pose, choose
from ...poses.config import PoseConfig
from ...poses.mix import PoseMix, load_pose_mix
from ...poses.plausibility import Plausibility
from ...poses.resting import Proxy, build_proxy, pick_candidates, stand
from ...poses.settling import settle
from ...streams import generators
from .activities import ACTIVITIES, draw_activity, draw_angles
from .balance import MASS, balanced, lie
from .config import AGES, PeopleConfig, PersonPoses
from .figure import Figure, body24

Floats = NDArray[np.float64]
CANDIDATES = 4


@dataclass(frozen=True)
class Request:
    """Who is wanted: the frame's generators' key, and what to do. ``key`` is (seed, frame, person)."""

    key: tuple[int, int, int]
    activity: str


@dataclass
class People:
    """B people.

    Attributes:
        activities: what each does ("standing", ...). origins: pose file and pose, "" for drawn ones.
        ages: group of ages. woman: (B,) whether the figure is rather a woman's.
        betas: (B, N), expression: (B, E), pose: (B, J, 3) axis-angle with global orientation, float32.
        lift: (B,) metres from the ground to the lowest point: negative sinks in, positive flies.
        size: (B,) stature as a share of the template's.
    """

    activities: list[str]
    origins: list[str]
    ages: list[str]
    woman: NDArray[np.bool_]
    betas: torch.Tensor
    expression: torch.Tensor
    pose: torch.Tensor
    lift: NDArray[np.float32]
    size: NDArray[np.float32]

    def take(self, row: int, other: People, of: int) -> None:
        """Replace person ``row`` by person ``of`` of others."""
        for name in ("activities", "origins", "ages", "woman", "betas", "expression", "pose", "lift", "size"):
            getattr(self, name)[row] = getattr(other, name)[of]


class Poser:
    """Poses people of one body (55 joints of SMPL-X, or 24 of SMPL without hands and face).

    Args:
        body: the body. poses, people: the ranges.

    Raises:
        UserError: for a source of poses that cannot be used.
    """

    def __init__(self, body: Body, poses: PersonPoses, people: PeopleConfig) -> None:
        self.body, self.poses, self.people = body, poses, people
        self.proxy: Proxy = build_proxy(body24(body))
        mass = MASS[self.proxy.owner] / np.bincount(self.proxy.owner, minlength=24)[self.proxy.owner]
        self.mass = mass / mass.sum()
        self.mix: PoseMix = load_pose_mix(PoseConfig(sources=poses.sources), body.joint_set)
        self.judge = Plausibility(body, poses.plausibility)
        self.figure = Figure(body)
        self.counts: Counter[str] = Counter()
        names = joint_set(body.joint_set).joints
        self._body24 = [names.index(name) if name in names else -1 for name in REGIONS]
        self._bodily = [joint for joint in self._body24 if joint > 0]
        self._fingers = {
            side: [names.index(f"{side}_{finger}") for finger in HAND15]
            for side in ("left", "right")
            if f"{side}_{HAND15[0]}" in names
        }
        self._face = {name: names.index(name) for name in ("jaw", "left_eyeball", "right_eyeball") if name in names}
        rest = body.mesh.joints.double().numpy()
        self._hand_rest = {
            side: rest[[names.index(f"{side}_wrist"), *rows]] - rest[names.index(f"{side}_wrist")]
            for side, rows in self._fingers.items()
        }

    def pose(self, requests: list[Request]) -> People:
        """Pose people; implausible draws are made again, and counted in ``counts``."""
        best = self._attempt(requests, 0)
        badness = self._badness(best)
        for attempt in range(1, 1 + self.poses.plausibility.redraws):
            again = np.flatnonzero(badness > 0)
            if not len(again):
                break
            self.counts["poses_rejected"] += len(again)
            fresh = self._attempt([requests[k] for k in again], attempt)
            for row, (k, bad) in enumerate(zip(again, self._badness(fresh), strict=True)):
                if bad < badness[k]:
                    best.take(int(k), fresh, row)
                    badness[k] = bad
        self.counts["kept_implausible"] += int((badness > 0).sum())
        return best

    def _badness(self, people: People) -> Floats:
        """(B,) how implausible, 0 fine. Balance matters only for who stands on feet."""
        columns = self.body.shape_columns(people.betas, people.expression if self.body.num_expressions else None)
        judged = self.judge.judge(columns, people.pose)
        excess = np.maximum(judged.excess, 0)
        excess[
            [ACTIVITIES[name].support != "feet" if name in ACTIVITIES else True for name in people.activities], 3
        ] = 0
        return np.asarray(excess.sum(1))

    def _attempt(self, requests: list[Request], attempt: int) -> People:
        rngs = generators([(*request.key, 0) for request in requests])
        ages = [choose(rng, self.people.ages) for rng in rngs]
        months = [(12 * AGES[age][0], 12 * AGES[age][1]) for age in ages]
        known = self.body.population is not None
        betas = np.concatenate(
            [self.body.sample_betas(rng, 1, span if known else None) for rng, span in zip(rngs, months, strict=True)]
        )
        shape = torch.from_numpy(np.clip(betas, -self.people.limit, self.people.limit))
        expression = torch.from_numpy(
            np.stack([self.people.expression * rng.standard_normal(self.body.num_expressions) for rng in rngs])
        ).float()
        rngs = generators([(*request.key, 1, attempt) for request in requests])
        names, pose, orient, origins = self._drawn(requests, rngs, shape)
        full = self._whole(rngs, pose)
        for row, (request, rng) in enumerate(zip(requests, rngs, strict=True)):
            source = self.mix.sources[self.mix.choose(request.key[0], 97 * request.key[1] + request.key[2])]
            if source is not None:
                chosen = int(rng.integers(len(source)))
                given = slice(None) if source.covered is None else np.flatnonzero(source.covered)
                full[row, given] = torch.from_numpy(source.pose[chosen, given])
                origins[row] = source.names[chosen]
                if source.covered is None or source.covered[self._bodily].any():
                    orient[row], names[row] = source.nominal(chosen, 0.0), f"file_{source.postures[chosen]}"
        full[:, 0] = self._at_rest(names, shape, full, orient)
        lift = np.array(
            [
                rng.uniform(*self.poses.leap) if name == "jumping" else -rng.uniform(*self.poses.sink)
                for rng, name in zip(rngs, names, strict=True)
            ],
            np.float32,
        )
        return People(
            names, origins, ages, self.figure.woman(shape), shape, expression, full, lift, self.figure.size(shape)
        )

    def _drawn(
        self, requests: list[Request], rngs: list[np.random.Generator], betas: torch.Tensor
    ) -> tuple[list[str], torch.Tensor, Floats, list[str]]:
        """Names of activities, poses (B, 24, 3) without global orientation, that orientation (B, 3, 3), origins."""
        names, candidates, pitches, tilts = [], [], [], []
        for request, rng in zip(requests, rngs, strict=True):
            names.append(draw_activity(rng, request.activity))
            activity = ACTIVITIES[names[-1]]
            candidates.append(draw_angles(rng, activity, self.poses.spread, CANDIDATES))
            pitches.append(rng.normal(*activity.pitch))
            tilts.append((rng.normal(0, 2.0), rng.random() < 0.5))
        columns = self._columns(betas)
        angles = pick_candidates(self.proxy, columns, np.stack(candidates))
        tables = [ACTIVITIES[name] for name in names]
        angles, pitch = balanced(self.proxy.mesh.mesh, tables, angles, np.array(pitches), columns)
        orient = [lie(table, p, *tilt) for table, p, tilt in zip(tables, pitch, tilts, strict=True)]
        return names, angles_to_pose(angles), np.stack(orient), [""] * len(names)

    def _columns(self, betas: torch.Tensor) -> torch.Tensor:
        return self.body.shape_columns(betas) if self.body.num_expressions else betas

    def _whole(self, rngs: list[np.random.Generator], pose: torch.Tensor) -> torch.Tensor:
        """Poses (B, J, 3) of the body from those of 24 joints, with fingers, jaw and eyes where it has them."""
        full = torch.zeros(len(pose), self.body.joint_count, 3)
        for k, joint in enumerate(self._body24):
            if joint >= 0:
                full[:, joint] = pose[:, k]
        for side, fingers in self._fingers.items():
            angles = np.stack([draw_gesture(rng) for rng in rngs])
            hands = hand_pose(angles, side, self._hand_rest[side]).reshape(len(rngs), 15, 3)
            full[:, fingers] = torch.from_numpy(hands).float()
        faces = np.array([(rng.normal(-0.02, 0.08), *rng.normal(0, 0.10, 2)) for rng in rngs], np.float32)
        for name, joint in self._face.items():
            full[:, joint, :2] = torch.from_numpy(faces[:, 1:])
            if name == "jaw":
                full[:, joint, 0], full[:, joint, 1] = torch.from_numpy(np.maximum(faces[:, 0], 0)), 0.0
        return full

    def _at_rest(self, names: list[str], betas: torch.Tensor, full: torch.Tensor, orient: Floats) -> torch.Tensor:
        """Global orientations (B, 3) after bodies have settled or stand level."""
        kept = [joint if joint >= 0 else 0 for joint in self._body24]
        pose = full[:, kept].clone()
        pose[:, [0, 22, 23]] = 0
        columns = self._columns(betas)
        skeleton = pose_joints(self.proxy.mesh.mesh, columns, pose)
        rough = skin_blocks(self.proxy.mesh, skeleton, columns).double().numpy() @ orient.transpose(0, 2, 1)
        turns, limits, standing = orient.copy(), np.zeros(len(names)), []
        for k, name in enumerate(names):
            activity = ACTIVITIES.get(name)
            if activity is None:  # of a file: what stands keeps its gravity
                limits[k] = 0.0 if name == "file_standing" else 40.0
            elif activity.support == "settle":
                limits[k] = activity.limit
            elif activity.support == "feet":
                standing.append(k)
        if standing:
            turns[standing] = stand(rough[standing], self.proxy.owner) @ orient[standing]
        if len(loose := np.flatnonzero(limits > 0)):
            turns[loose] = settle(rough[loose], self.mass, limits[loose]) @ orient[loose]
        return matrix_to_axis_angle(torch.from_numpy(turns).float())


def draw_gesture(rng: np.random.Generator) -> Floats:
    """Angles (21,) of one hand in degrees: a gesture, mostly a relaxed one, shaken."""
    name = choose(
        rng, {"relaxed": 5.0, "fist": 0.8, "flat": 1.0, "point": 0.4, "power_grasp": 0.8, "spread": 0.4, "two": 0.2}
    )
    angles: Floats = np.clip(GESTURES[name] + rng.normal(0, 6.0, len(ANGLES)), LIMITS[:, 0], LIMITS[:, 1])
    return angles
