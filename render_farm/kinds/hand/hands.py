"""The hands of a block: whose they are, how they are posed, and what they hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.blocks import blocked, pose_joints, skin_blocks, some_vertices
from ....models.bodies.body import Body
from ....models.bodies.gestures import hand_pose
from ....models.bodies.hand_draws import OVERLAP_MM, draw_angles, hand_mirrored, overlap
from ...poses.angles import choose
from ...poses.points import point_reader
from .config import HandScene
from .grasp import Grasps, Hands, Reach, grasp, reach
from .objects import Thing, make_thing
from .placing import MIRROR

Floats = NDArray[np.floating]
DRAWS, GRASP_TRIES = 3, 3
"""Draws of a free pose, and of a grasp, of which the first plausible one is taken."""
GRASP_OVERLAP_MM = 9.0
TOUCH = 0.004
_COEFFICIENT_DRAWS, _COEFFICIENT_SEED = 600, 311


@dataclass(frozen=True)
class Wanted:
    """One hand to be posed: its frame's row in the block, side, betas (N,), and the generator of its pose."""

    row: int
    side: str
    betas: NDArray[np.float32]
    rng: np.random.Generator
    kind: str | None


@dataclass(frozen=True)
class PosedHand:
    """One hand in its own frame: at rest orientation, wrist at the origin; metres.

    Attributes:
        side: "left" or "right". betas: (N,). pose: (15, 3) axis-angle about the flat hand.
        root: (3,) the wrist joint in the body's own rest frame.
        vertices: (V, 3), joints: (16, 3), keypoints: (K, 3), tips: (5, 3), float64.
        thing: what it holds, or None; turn: (3, 3) and place: (3,) of the thing in the hand's frame. scale: see Hands.
        depth: metres to which the skin sinks into the thing.
    """

    side: str
    betas: NDArray[np.float32]
    pose: Floats
    root: Floats
    vertices: Floats
    joints: Floats
    keypoints: Floats
    tips: Floats
    scale: float
    thing: Thing | None = None
    turn: Floats | None = None
    place: Floats | None = None
    depth: float = 0.0


class HandModel:
    """One side's body, prepared.

    Args:
        body: a MANO hand. side: which. joint_sets: that are labelled.
    """

    def __init__(self, body: Body, side: str, joint_sets: tuple[str, ...]) -> None:
        self.body, self.side = body, side
        self.mirror = MIRROR if side == "left" else np.ones(3)
        self.points = point_reader(body, joint_sets)
        self.tips = point_reader(body, ("mano21",))
        self.owner = owner = body.weights.argmax(1)
        template = (body.template - body.mesh.joints[0].cpu().numpy()) * self.mirror
        reach = float(np.abs(template[:, 0]).max())
        flat = (
            (owner == 0)
            & (template[:, 1] < -0.3 * np.ptp(template[owner == 0, 1]) + 0.004)
            & (template[:, 0] < -0.1 * reach)
        )
        self._mesh, self._palms = blocked(body.mesh), blocked(some_vertices(body.mesh, np.flatnonzero(flat)[::2]))
        self._radii, self._length = self._measured()
        self._spread = self._coefficients()

    def _measured(self) -> tuple[Floats, float]:
        """Radii (5, 3) in metres of the template's finger segments, from bone to pad, and its length to the middle knuckle."""
        zero = torch.zeros(1, self.body.num_betas)
        flat = pose_joints(self.body.mesh, zero, torch.zeros(1, 16, 3))
        root = self.body.mesh.joints[0].cpu().numpy()
        joints = (self.body.mesh.joints.cpu().numpy() - root) * self.mirror
        tips = (_tips(self.tips(flat, zero))[0] - root) * self.mirror
        ends = np.concatenate([joints[1:].reshape(5, 3, 3)[:, 1:], tips[:, None]], 1)
        owner = self.body.weights.argmax(1)
        points = (self.body.template - self.body.mesh.joints[0].cpu().numpy()) * self.mirror
        radii = np.empty((5, 3))
        for f in range(5):
            for k in range(3):
                start, end = joints[1 + 3 * f + k], ends[f, k]
                own = points[owner == 1 + 3 * f + k]
                share = np.clip((own - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
                gap = np.linalg.norm(own - start - share[:, None] * (end - start), axis=1)
                radii[f, k] = np.quantile(gap[(share > 0.1) & (share < 0.9)], 0.85)
        return radii, float(np.linalg.norm(joints[4]))

    def _coefficients(self) -> tuple[Floats, Floats, Floats] | None:
        """Mean (45,), components (C, 45) and deviations (C,) of plausible poses in the body's own pose space."""
        space = self.body.hands.get("hand")
        if space is None or space.components is None or space.mean is None:
            return None
        mean, components = (x.cpu().numpy().astype(np.float64) for x in (space.mean, space.components))
        drawn = draw_angles(np.random.default_rng(_COEFFICIENT_SEED), _COEFFICIENT_DRAWS)
        poses = hand_mirrored(hand_pose(drawn, "right")) if self.side == "left" else hand_pose(drawn, "right")
        return mean, components, ((poses - mean) @ components.T).std(0)

    def coefficients_pose(self, rng: np.random.Generator, count: int, spread: float, number: int) -> Floats:
        """Poses (count, 45) of this side about the flat hand, Gaussian in the first components of the body."""
        assert self._spread is not None
        mean, components, deviation = self._spread
        used = components[:number]
        draws = np.clip(rng.standard_normal((count, len(used))), -2, 2)
        return mean + spread * draws * deviation[: len(used)] @ used

    def rest(self, betas: torch.Tensor) -> tuple[Hands, Floats]:
        """Hands at rest of betas (B, N) in the frame of grasps, and their wrist joints (B, 3)."""
        skeleton = pose_joints(self.body.mesh, betas, np.zeros((len(betas), 16, 3), np.float32))
        root = skeleton.joints[:, :1]
        joints, tips = skeleton.joints - root, _tips(self.tips(skeleton, betas)) - root
        palms = skin_blocks(self._palms, skeleton, betas).numpy() - root
        scale = np.linalg.norm(joints[:, 4].astype(np.float64), axis=1) / self._length
        hands = (part.astype(np.float64) * self.mirror for part in (joints, tips, palms))
        return Hands(*hands, self._radii * scale[:, None, None]), root[:, 0].astype(np.float64)

    def pose(self, betas: torch.Tensor, poses: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Vertices, joints, keypoints, tips (B, ., 3) float64 of hands in poses (B, 45) of this side, wrist at the origin."""
        full = np.zeros((len(betas), 16, 3), np.float32)
        full[:, 1:] = poses.reshape(-1, 15, 3)
        skeleton = pose_joints(self.body.mesh, betas, full)
        vertices = skin_blocks(self._mesh, skeleton, betas).numpy()
        points = vertices, skeleton.joints, self.points(skeleton, betas), _tips(self.tips(skeleton, betas))
        root = skeleton.joints[:, :1].astype(np.float64)
        return tuple(part - root for part in points)  # type: ignore[return-value]


def _tips(mano21: Floats) -> Floats:
    """Tips (B, 5, 3) in MANO's order of fingers from points of mano21, which ends with thumb, index, middle, ring, pinky."""
    return mano21[:, [17, 18, 20, 19, 16]]


def pose_hands(
    models: dict[str, HandModel], config: HandScene, wanted: list[Wanted], counts: Counter[str]
) -> list[PosedHand]:
    """Pose hands that are wanted, in their order; a grasp that fails leaves the hand empty, in a free pose.

    Rejected draws are added to ``counts``: ``poses_rejected``, ``kept_implausible`` (free poses taken although their fingers
    meet), ``grasps_rejected`` and ``grasps_given_up`` (hands that were left empty).
    """
    hands, roots = _at_rest(models, wanted)
    found = _made(models, wanted, _free_poses(models, config, wanted, counts), roots, hands.scale)
    missing = [row for row, w in enumerate(wanted) if w.kind is not None]
    for _ in range(GRASP_TRIES):
        if not missing:
            break
        rows = np.array(missing)
        things, grasps = _grasps(config, [wanted[row] for row in missing], hands.at(rows))
        right = hand_pose(grasps.angles, "right")
        left = np.array([wanted[row].side == "left" for row in missing])
        poses = np.where(left[:, None], hand_mirrored(right), right)
        made = _made(models, [wanted[row] for row in missing], poses, roots[rows], hands.scale[rows])
        taken = _holding(models, config, things, grasps, made)
        for k, hand in taken.items():
            found[missing[k]] = hand
        missing = [row for k, row in enumerate(missing) if k not in taken]
        counts["grasps_rejected"] += len(missing)
    counts["grasps_given_up"] += len(missing)
    return found


def _made(
    models: dict[str, HandModel], wanted: list[Wanted], poses: Floats, roots: Floats, scale: Floats
) -> list[PosedHand]:
    """Hands in poses (N, 45) of their own sides."""
    found: list[PosedHand] = [None] * len(wanted)  # type: ignore[list-item]
    for side, model in models.items():
        own = [k for k, w in enumerate(wanted) if w.side == side]
        if own:
            made = model.pose(torch.from_numpy(np.stack([wanted[k].betas for k in own])), poses[own])
            for n, k in enumerate(own):
                vertices, joints, keypoints, tips = (part[n] for part in made)
                own_pose, size = poses[k].reshape(15, 3), float(scale[k])
                found[k] = PosedHand(side, wanted[k].betas, own_pose, roots[k], vertices, joints, keypoints, tips, size)
    return found


def _at_rest(models: dict[str, HandModel], wanted: list[Wanted]) -> tuple[Hands, Floats]:
    """The hands at rest, and their wrist joints (N, 3), in the order wanted."""
    order, parts = [], []
    for side, model in models.items():
        own = [k for k, w in enumerate(wanted) if w.side == side]
        if own:
            order += own
            parts.append(model.rest(torch.from_numpy(np.stack([wanted[k].betas for k in own]))))
    back = np.argsort(order)
    names = ("joints", "tips", "palms", "radii")
    fewest = min(hands.palms.shape[1] for hands, _ in parts)
    joined = {n: np.concatenate([getattr(hands, n) for hands, _ in parts]) for n in names if n != "palms"}
    joined["palms"] = np.concatenate([hands.palms[:, :fewest] for hands, _ in parts])
    return Hands(**joined).at(back), np.concatenate([root for _, root in parts])[back]


def _free_poses(models: dict[str, HandModel], config: HandScene, wanted: list[Wanted], counts: Counter[str]) -> Floats:
    """Poses (N, 45) of empty hands: of some draws each, the first whose fingers do not sink into each other."""
    angles, drawn = np.zeros((len(wanted), DRAWS, 21)), {}
    for k, w in enumerate(wanted):
        if choose(w.rng, config.poses.sources) == "components":
            drawn[k] = models[w.side].coefficients_pose(w.rng, DRAWS, config.poses.spread, config.poses.components)
        else:
            angles[k] = draw_angles(w.rng, DRAWS)
    draws = hand_pose(angles, "right")
    for k, own in drawn.items():
        draws[k] = hand_mirrored(own) if wanted[k].side == "left" else own
    depth = overlap(draws.reshape(-1, 45)).reshape(len(wanted), DRAWS)
    plain = depth <= OVERLAP_MM
    pick = np.where(plain.any(1), plain.argmax(1), depth.argmin(1))
    counts["poses_rejected"] += int(np.where(plain.any(1), plain.argmax(1), DRAWS).sum())
    counts["kept_implausible"] += int((~plain.any(1)).sum())
    poses = draws[np.arange(len(wanted)), pick]
    left = np.array([w.side == "left" for w in wanted])
    return np.where(left[:, None], hand_mirrored(poses), poses)


def _grasps(config: HandScene, wanted: list[Wanted], hands: Hands) -> tuple[list[Thing], Grasps]:
    """Closed grasps of hands: the things, and how they are held."""
    things: list[Thing] = []
    reaches: list[Reach] = []
    for row, w in enumerate(wanted):
        assert w.kind is not None
        size = w.rng.uniform(*config.grasp.size) * (0.3 + 0.7 * float(hands.scale[row]))
        things.append(make_thing(w.rng, w.kind, size))
        reaches.append(reach(w.rng, things[-1], hands.at([row])))
    return things, grasp(things, reaches, hands)


def _holding(
    models: dict[str, HandModel], config: HandScene, things: list[Thing], grasps: Grasps, made: list[PosedHand]
) -> dict[int, PosedHand]:
    """The grasps that hold: skin not deep in the thing, thumb and fingers on it, fingers not in each other."""
    depth = grasps.depth(np.stack([hand.vertices[::2] * models[hand.side].mirror for hand in made]))
    crossed = overlap(hand_pose(grasps.angles, "right"))
    taken: dict[int, PosedHand] = {}
    for k, (thing, hand) in enumerate(zip(things, made, strict=True)):
        owner = models[hand.side].owner[::2]
        touching = np.unique((owner[(depth[k] > -TOUCH) & (owner > 0)] - 1) // 3)
        deepest = float(depth[k].max())
        enough = len(touching) >= (4 if thing.grip == "power" else 2) and 4 in touching
        if deepest <= config.grasp.penetration and enough and crossed[k] <= GRASP_OVERLAP_MM:
            mirror = models[hand.side].mirror
            turn, place = grasps.turn[k] * np.outer(mirror, mirror), grasps.place[k] * mirror
            taken[k] = replace(hand, thing=thing, turn=turn, place=place, depth=deepest)
    return taken
