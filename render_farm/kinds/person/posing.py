"""From (seed, frame, person) to people at rest in a world of their own: shape, pose, expression, contact with the ground.

Everything here runs on a *proxy* of SMPL's 24 joints and some 260 vertices; the sampler skins the whole body once. Each
person stands, sits or lies about the origin facing +Z; :mod:`.placing` puts people together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.body import Body
from ....models.bodies.gestures import ANGLES, GESTURES, LIMITS, hand_pose
from ....models.bodies.skinning import SkinnedMesh, joint_transforms, skin
from ....models.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from ....models.joints import SMPL24_PARENTS, joint_set
from ....models.joints.hands import HAND15
from ...looks.regions import REGIONS, smpl24_regions
from ...poses.angles import COLUMN, angles_to_pose, choose
from ...poses.config import PoseConfig
from ...poses.mix import PoseMix, load_pose_mix
from ...poses.plausibility import Plausibility
from ...poses.resting import Proxy, build_proxy, pick_candidates, settle, stand, turn_about
from .activities import ACTIVITIES, HIGH, LOW, Activity, draw_activity, draw_angles
from .config import AGES, PeopleConfig, PersonPoses

Floats = NDArray[np.float64]
CANDIDATES = 4
_ANKLES = (7, 8)
# Mass of the segment that starts at each SMPL joint, share of an adult (Winter 2009, Biomechanics, table 4.1; the trunk's
# 0.497 shared among its joints).
_MASS = np.array(
    [0.142, 0.100, 0.100, 0.139, 0.0465, 0.0465, 0.108, 0.0145, 0.0145, 0.108, 0.0, 0.0, 0.02, 0.0, 0.0, 0.061, 0.028,
     0.028, 0.016, 0.016, 0.006, 0.006, 0.0, 0.0]
)  # fmt: skip
_X, _Y, _Z = np.eye(3)


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


def body24(body: Body) -> Body:
    """A body with SMPL's 24 joints, fingers and face rigid, for the farm's tools that know these alone."""
    if body.joint_set == "smpl24":
        return body
    names = joint_set(body.joint_set).joints
    kept = [names.index(name if name in names else name.replace("_hand", "_middle1")) for name in REGIONS]
    weights, _ = smpl24_regions(body)
    mesh, count = body.mesh, len(body.template)
    places = (torch.tensor(kept)[:, None] * 3 + torch.arange(3)).reshape(-1)
    thin = SkinnedMesh(
        template=mesh.template,
        shapedirs=mesh.shapedirs,
        posedirs=torch.zeros(0, 3 * count),
        pose_features=torch.zeros(0, dtype=torch.int64),
        joints=mesh.joints[kept].contiguous(),
        joint_shapedirs=mesh.joint_shapedirs[:, places].contiguous(),
        parents=SMPL24_PARENTS,
        weights=torch.from_numpy(weights.T.copy()),
    )
    return replace(body, weights=weights, mesh=thin, joint_count=24, joint_set="smpl24")


class Figure:
    """Reads sex and stature off a shape, by distances of vertices, which are linear in the betas."""

    def __init__(self, body: Body) -> None:
        self.body, template = body, body.template
        owner = smpl24_regions(body)[0].argmax(1)
        joints = body.mesh.joints.numpy()
        metre = float(np.ptp(template[:, 1])) / 1.53
        height = 0.5 * (joints[3, 1] + joints[6, 1]) + 0.02 * metre
        waist = np.isin(owner, (3, 6)) & (np.abs(template[:, 1] - height) < 0.02 * metre)
        hips = np.isin(owner, (0, 1, 2)) & (np.abs(template[:, 1] - joints[1, 1] + 0.02 * metre) < 0.03 * metre)
        self._ends = [int(template[:, 1].argmax()), int(template[:, 1].argmin())]
        for part in (waist, hips):
            rows = np.flatnonzero(part)
            self._ends += [int(rows[template[rows, 0].argmax()]), int(rows[template[rows, 0].argmin()])]
        self._height = float(np.ptp(template[:, 1]))
        self._middle = 0.8
        if body.population is not None and body.population_ages is not None:
            grown = body.population[body.population_ages > np.quantile(body.population_ages, 0.4)]
            low, high = np.quantile(self._waist_by_hips(torch.from_numpy(grown)), (0.15, 0.85))
            self._middle = float(low + high) / 2  # the ratio of adults has two well separated modes

    def size(self, betas: torch.Tensor) -> NDArray[np.float32]:
        """Stature (B,) as a share of the template's."""
        return (self._spans(betas)[:, 0, 1] / self._height).astype(np.float32)

    def woman(self, betas: torch.Tensor) -> NDArray[np.bool_]:
        """(B,) whether the waist is narrow for the hips, as most women's is."""
        return np.asarray(self._waist_by_hips(betas) < self._middle)

    def _waist_by_hips(self, betas: torch.Tensor) -> Floats:
        spans = self._spans(betas)
        return np.asarray(spans[:, 1, 0] / spans[:, 2, 0])

    def _spans(self, betas: torch.Tensor) -> Floats:
        """(B, 3, 3): from sole to crown, across the waist, across the hips, metres."""
        mesh, count = self.body.mesh, len(self.body.template)
        planes = torch.tensor([row + axis * count for row in self._ends for axis in range(3)])
        ends = (mesh.template[planes] + betas @ mesh.shapedirs[: betas.shape[1], planes]).view(len(betas), 3, 2, 3)
        return np.asarray((ends[:, :, 0] - ends[:, :, 1]).double().numpy())


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
        mass = _MASS[self.proxy.owner] / np.bincount(self.proxy.owner, minlength=24)[self.proxy.owner]
        self.mass = mass / mass.sum()
        self.mix: PoseMix = load_pose_mix(PoseConfig(sources=poses.sources), body.joint_set)
        self.judge = Plausibility(body, poses.plausibility)
        self.figure = Figure(body)
        self.counts: Counter[str] = Counter()
        names = joint_set(body.joint_set).joints
        self._body24 = [names.index(name) if name in names else -1 for name in REGIONS]
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
        rngs = [np.random.default_rng([*request.key, 0]) for request in requests]
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
        rngs = [np.random.default_rng([*request.key, 1, attempt]) for request in requests]
        names, pose, orient, origins = self._drawn(requests, rngs, shape)
        full = self._whole(rngs, pose)
        for row, (request, rng) in enumerate(zip(requests, rngs, strict=True)):
            source = self.mix.sources[self.mix.choose(request.key[0], 97 * request.key[1] + request.key[2])]
            if source is not None:
                chosen = int(rng.integers(len(source)))
                full[row], orient[row] = torch.from_numpy(source.pose[chosen]), source.nominal(chosen, 0.0)
                names[row], origins[row] = f"file_{source.postures[chosen]}", source.names[chosen]
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
        angles, pitch = self._balanced(tables, angles, np.array(pitches), columns)
        orient = [_lie(table, p, *tilt) for table, p, tilt in zip(tables, pitch, tilts, strict=True)]
        return names, angles_to_pose(angles), np.stack(orient), [""] * len(names)

    def _columns(self, betas: torch.Tensor) -> torch.Tensor:
        return self.body.shape_columns(betas) if self.body.num_expressions else betas

    def _balanced(
        self, tables: list[Activity], angles: Floats, pitch: Floats, columns: torch.Tensor
    ) -> tuple[Floats, Floats]:
        """Angles and pitch with soles turned flat, and with the centre of mass over the feet of who stands on them.

        The lean is the angle at the feet by which the centre of mass is ahead of them; three rounds, since soles follow.
        """
        soles = np.array([table.soles for table in tables])
        stands = np.array([table.support == "feet" for table in tables])
        rest = self.proxy.mesh.joints + (columns @ self.proxy.mesh.joint_shapedirs).view(len(columns), -1, 3)
        for _ in range(3):
            for side in ("l_", "r_"):
                hip, knee, ankle = (COLUMN[side + name] for name in ("hip_flex", "knee", "ankle"))
                wanted = np.clip(pitch - angles[:, hip] + angles[:, knee], LOW[ankle], HIGH[ankle])
                angles[soles, ankle] = wanted[soles]
            turns = axis_angle_to_matrix(angles_to_pose(angles))
            turns[:, 0] = torch.from_numpy(np.stack([turn_about(_X, np.radians(p)) for p in pitch])).float()
            joints = joint_transforms(turns, rest, self.proxy.mesh.parents)[1].double().numpy()
            centre = np.einsum("j,bjk->bk", _MASS, _segments(joints)) / _MASS.sum()
            feet = 0.5 * (joints[:, [7, 8]] + joints[:, [10, 11]])
            low = np.minimum(feet[:, 0, 1], feet[:, 1, 1])
            carries = np.exp(-np.abs(feet[..., 1] - low[:, None]) / 0.05)  # the lower foot carries more
            base = (carries[..., None] * feet).sum(1) / carries.sum(1)[:, None]
            lean = np.degrees(np.arctan2(centre[:, 2] - base[:, 2], centre[:, 1] - low))
            pitch = pitch - np.where(stands, np.clip(lean, -25, 25), 0.0)
            _shorten(angles, stands & soles, joints)
        for side in ("l_", "r_"):
            hip, knee, abduction = (COLUMN[side + name] for name in ("hip_flex", "knee", "hip_abd"))
            flat = np.array([table.heels for table in tables]) & (angles[:, abduction] < 30)
            angles[flat, hip] = np.clip(93 + angles[flat, knee] / 2 + pitch[flat], LOW[hip], HIGH[hip])
        return angles, pitch

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
        for row, rng in enumerate(rngs):
            opened, gaze = max(0.0, rng.normal(-0.02, 0.08)), rng.normal(0, 0.10, 2)
            for name, joint in self._face.items():
                full[row, joint] = torch.tensor([opened, 0, 0] if name == "jaw" else [gaze[0], gaze[1], 0])
        return full

    def _at_rest(self, names: list[str], betas: torch.Tensor, full: torch.Tensor, orient: Floats) -> torch.Tensor:
        """Global orientations (B, 3) after bodies have settled or stand level."""
        kept = [joint if joint >= 0 else 0 for joint in self._body24]
        pose = full[:, kept].clone()
        pose[:, [0, 22, 23]] = 0
        rough = skin(self.proxy.mesh, self._columns(betas), pose)[0].transpose(1, 2).double().numpy()
        turns = []
        for k, name in enumerate(names):
            points, last = rough[k] @ orient[k].T, np.eye(3)
            activity = ACTIVITIES.get(name)
            if activity is None:  # of a file: what stands keeps its gravity
                last = np.eye(3) if name == "file_standing" else settle(points, self.mass, 40.0)
            elif activity.support == "settle":
                last = settle(points, self.mass, activity.limit)
            elif activity.support == "feet":
                last = stand(points, self.proxy.owner)
            turns.append(last @ orient[k])
        return matrix_to_axis_angle(torch.from_numpy(np.stack(turns)).float())


def _segments(joints: Floats) -> Floats:
    """Centres (B, 24, 3) of the segments that start at each joint: half way to the next joint outwards."""
    ends = {
        1: 4,
        2: 5,
        4: 7,
        5: 8,
        7: 10,
        8: 11,
        16: 18,
        17: 19,
        18: 20,
        19: 21,
        20: 22,
        21: 23,
        0: 3,
        3: 6,
        6: 9,
        9: 12,
    }
    centres = joints.copy()
    for start, end in ends.items():
        centres[:, start] = 0.5 * (joints[:, start] + joints[:, end])
    centres[:, 15] = joints[:, 15] + 0.6 * (joints[:, 15] - joints[:, 12])
    return centres


def _shorten(angles: Floats, stands: NDArray[np.bool_], joints: Floats) -> None:
    """Bend the leg that reaches lower, in place, so that both feet bear: a leg of length L bent by a, 2a at the knee, is
    L (1 - cos a) shorter. Legs that are lifted by more than a sixth of their length stay so."""
    gap = joints[:, 7, 1] - joints[:, 8, 1]  # above 0: the right foot is lower
    length = np.linalg.norm(joints[:, [4, 5]] - joints[:, [1, 2]], axis=2) + np.linalg.norm(
        joints[:, [7, 8]] - joints[:, [4, 5]], axis=2
    )
    for side, low in (("l_", gap < 0), ("r_", gap > 0)):
        row = stands & low & (np.abs(gap) < length.mean(1) / 6)
        bend = np.degrees(np.arccos(1 - np.abs(gap) / length.mean(1)))[row]
        hip, knee = COLUMN[side + "hip_flex"], COLUMN[side + "knee"]
        angles[row, hip] = np.minimum(angles[row, hip] + 0.6 * bend, HIGH[hip])
        angles[row, knee] = np.minimum(angles[row, knee] + 1.2 * bend, HIGH[knee])


def _lie(activity: Activity, pitch: float, tilt: float, left: bool) -> Floats:
    """Rotation (3, 3) body to world before the body settles, facing +Z or lying along it."""
    lean = turn_about(_Z, np.radians(tilt))
    if activity.rolled:
        side = turn_about(_Y, np.radians(90.0 if left else -90.0))
        return np.asarray(lean @ turn_about(_X, np.radians(-90.0)) @ side)
    return np.asarray(lean @ turn_about(_X, np.radians(pitch)))


def draw_gesture(rng: np.random.Generator) -> Floats:
    """Angles (21,) of one hand in degrees: a gesture, mostly a relaxed one, shaken."""
    name = choose(
        rng, {"relaxed": 5.0, "fist": 0.8, "flat": 1.0, "point": 0.4, "power_grasp": 0.8, "spread": 0.4, "two": 0.2}
    )
    angles: Floats = np.clip(GESTURES[name] + rng.normal(0, 6.0, len(ANGLES)), LIMITS[:, 0], LIMITS[:, 1])
    return angles
