"""Bodies and poses of a block of frames: from (seed, index) to bodies at rest in the world, implausible ones drawn again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.blocks import pose_joints, skin_blocks
from ...models.bodies.body import Body
from ...models.geometry import matrix_to_axis_angle
from ..streams import Streams
from .angles import COLUMN, HIGH, LOW, Plan, angles_to_pose, draw_angles, draw_plan, nominal_orientations
from .config import PoseConfig, ShapeConfig
from .mix import PoseMix, load_pose_mix
from .plausibility import Judgement, Plausibility
from .resting import Proxy, build_proxy, lay_down, pick_candidates, stand
from .settling import settle

CANDIDATES = 6
"""Draws of the limbs among which the first that stays out of trunk and head is taken."""
SHAPE_STREAM, POSE_STREAM = 0, 1
"""Child streams of a frame's randomness, see ``Stream`` of the samplers. Never renumber."""


@dataclass
class Posed:
    """Bodies at rest in the world, before translation.

    Attributes:
        plans: what each does. betas: (B, N), pose: (B, 24, 3) axis-angle with global orientation.
        sinks: (B,) metres by which each presses into the surface. origins: which pose of which source, "" for drawn ones.
        nominal: (B, 3, 3) orientations, body to world, from which bodies come to rest.
    """

    plans: list[Plan]
    betas: torch.Tensor
    pose: torch.Tensor
    sinks: NDArray[np.float32]
    origins: list[str]
    nominal: NDArray[np.float64]


class Poser:
    """Poses infants (any SMPL body of 24 joints).

    Args:
        body: the body. poses, shape: the ranges. seed: of the job.

    Raises:
        UserError: for a source of poses that cannot be used.
    """

    def __init__(self, body: Body, poses: PoseConfig, shape: ShapeConfig, seed: int) -> None:
        self.body, self.poses, self.shape, self.seed = body, poses, shape, seed
        self.mix: PoseMix = load_pose_mix(poses, body.joint_set)
        self.proxy: Proxy = build_proxy(body)
        self.judge = Plausibility(body, poses.plausibility)
        self.counts: Counter[str] = Counter()
        self._streams = Streams(seed)

    def pose(self, indices: Sequence[int]) -> Posed:
        """Pose the frames of an aligned block; rejections are added to ``counts``.

        ``counts`` names the reasons of rejected draws (one draw may fail for several), ``poses_rejected`` draws, and
        ``kept_implausible`` frames whose last draw failed too, so that the least bad one was taken.
        """
        best = self._chosen(indices)
        best.pose[:, 0] = self._at_rest(best)
        return best

    def _chosen(self, indices: Sequence[int]) -> Posed:
        """The first plausible draws, not at rest yet: what is judged of drawn bodies has nothing to do with the ground."""
        best = self._attempt([(index, 0) for index in indices])
        judged = self._judgement(best)
        again, redraws = np.flatnonzero(judged.badness > 0), self.poses.plausibility.redraws
        if not len(again):
            return best
        self._count(judged, again)
        if redraws == 0:
            self.counts["kept_implausible"] += len(again)
            return best
        # All further draws of a frame at once: one small batch more a block, instead of one a round.
        fresh = self._attempt([(indices[int(k)], attempt) for k in again for attempt in range(1, redraws + 1)])
        second = self._judgement(fresh)
        badness = second.badness.reshape(len(again), redraws)
        for row, k in enumerate(again):
            clear = np.flatnonzero(badness[row] <= 0)
            tried = int(clear[0]) if len(clear) else redraws
            self._count(second, row * redraws + np.arange(tried))
            pick = tried if len(clear) else int(np.argmin(badness[row]))
            if not len(clear):
                self.counts["kept_implausible"] += 1
            if badness[row, pick] < judged.badness[k]:
                _take(best, int(k), fresh, row * redraws + pick)
        return best

    def _count(self, judged: Judgement, rejected: NDArray[np.int64]) -> None:
        self.counts["poses_rejected"] += len(rejected)
        self.counts.update(judged.counts(rejected))

    def _judgement(self, posed: Posed) -> Judgement:
        """Balance is looked at only where a file knows gravity: drawn bodies settle or hold on to something."""
        judged = self.judge.judge(posed.betas, posed.pose)
        own = np.array(
            [not origin or plan.table.settle > 0 for origin, plan in zip(posed.origins, posed.plans, strict=True)]
        )
        excess = judged.excess.copy()
        excess[own, 3] = -1
        return Judgement(excess)

    def _rng(self, index: int, stream: int, attempt: int) -> np.random.Generator:
        return self._streams(*_key(index, stream, attempt))

    def _attempt(self, draws: list[tuple[int, int]]) -> Posed:
        """Draw frames (index, attempt), drawn poses and those of files together."""
        drawn_from = [(index, POSE_STREAM, attempt) for index, attempt in draws]
        drawn_from += [(index, SHAPE_STREAM, 0) for index, _ in draws]
        self._streams.prepare(_key(*key) for key in drawn_from)
        origins, plans, sinks = [], [], []
        pose = torch.zeros(len(draws), 24, 3)
        nominal = np.zeros((len(draws), 3, 3))
        drawn, candidates = [], []
        for k, (index, attempt) in enumerate(draws):
            source = self.mix.sources[self.mix.choose(self.seed, index)]
            rng = self._rng(index, POSE_STREAM, attempt)
            if source is None:
                same = draw_plan(self._rng(index, POSE_STREAM, 0), self.poses).posture if attempt else None
                plans.append(draw_plan(rng, self.poses, same))
                candidates.append(rng.random((CANDIDATES, len(LOW))))
                drawn.append(k)
                origins.append("")
            else:
                row = source.row(self.seed, index) if not attempt else int(rng.integers(len(source)))
                plans.append(source.plan(row, float(rng.uniform(-np.pi, np.pi))))
                nominal[k] = source.nominal(row, plans[-1].yaw)
                pose[k] = torch.from_numpy(source.pose[row])
                origins.append(source.names[row])
            sinks.append(rng.uniform(*self.poses.sink))
        betas = torch.from_numpy(
            np.stack([self._betas(index, plan) for (index, _), plan in zip(draws, plans, strict=True)])
        )
        if drawn:
            own = [plans[k] for k in drawn]
            nominal[drawn] = nominal_orientations(own)
            angles = pick_candidates(self.proxy, betas[drawn], draw_angles(np.stack(candidates), own))
            angles = lay_down(self.proxy, betas[drawn], angles, own, nominal[drawn])
            pose[drawn] = angles_to_pose(_flatten_feet(angles, own))
        if len(drawn) < len(draws):
            pose[:, 0] = matrix_to_axis_angle(torch.from_numpy(nominal).float())
        return Posed(plans, betas, pose, np.array(sinks, np.float32), origins, nominal)

    def _betas(self, index: int, plan: Plan) -> NDArray[np.float32]:
        shape = self.shape
        months = (
            (shape.upright_months if plan.table.upright else shape.months) if self.body.population is not None else None
        )
        betas = self.body.sample_betas(self._rng(index, SHAPE_STREAM, 0), 1, months)[0]
        betas[: len(shape.offset)] += np.array(shape.offset, np.float32)[: len(betas)]
        return np.clip(betas, -shape.limit, shape.limit)

    def _at_rest(self, posed: Posed) -> torch.Tensor:
        """Global orientations (B, 3): the nominal ones after standing level or settling."""
        pose = posed.pose.clone()
        pose[:, 0] = 0
        skeleton = pose_joints(self.proxy.mesh.mesh, posed.betas, pose)
        rough = skin_blocks(self.proxy.mesh, skeleton, posed.betas).double().numpy() @ posed.nominal.transpose(0, 2, 1)
        turns = posed.nominal.copy()
        limits = np.array([plan.table.settle for plan in posed.plans])
        if len(flat := np.flatnonzero([plan.table.flat_feet for plan in posed.plans])):
            turns[flat] = stand(rough[flat], self.proxy.owner) @ posed.nominal[flat]
        if len(loose := np.flatnonzero(limits > 0)):
            turns[loose] = settle(rough[loose], self.proxy.mass, limits[loose]) @ posed.nominal[loose]
        return matrix_to_axis_angle(torch.from_numpy(turns).float())


def _key(index: int, stream: int, attempt: int) -> tuple[int, ...]:
    return (index, stream, attempt) if attempt else (index, stream)


def _take(into: Posed, k: int, other: Posed, row: int) -> None:
    """Replace entry ``k`` by entry ``row`` of another block."""
    into.plans[k], into.origins[k], into.sinks[k] = other.plans[row], other.origins[row], other.sinks[row]
    into.betas[k], into.pose[k], into.nominal[k] = other.betas[row], other.pose[row], other.nominal[row]


def _flatten_feet(angles: NDArray[np.float64], plans: list[Plan]) -> NDArray[np.float64]:
    """Stand infants on both soles: the right leg follows the left, the ankle undoes pelvis, hip and knee."""
    result = angles.copy()
    for k, plan in enumerate(plans):
        if plan.table.flat_feet:
            for name in ("hip_flex", "hip_abd", "knee"):
                left, right = COLUMN["l_" + name], COLUMN["r_" + name]
                result[k, right] += 0.8 * (result[k, left] - result[k, right])
            for side in ("l_", "r_"):
                hip, knee, ankle = (COLUMN[side + name] for name in ("hip_flex", "knee", "ankle"))
                wanted = plan.pitch - result[k, hip] + result[k, knee]
                result[k, ankle] = np.clip(wanted, LOW[ankle], HIGH[ankle])
    return result
