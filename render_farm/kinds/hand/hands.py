"""The hands of a block: whose they are, how they are posed, and what they hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.gestures import hand_pose
from ....models.bodies.hand_draws import OVERLAP_MM, draw_angles, hand_mirrored, overlap
from ...poses.angles import choose
from .config import HandScene
from .grasp import Grasps, Hands, Reach, grasp, reach
from .model import HandModel
from .objects import Thing, make_thing

Floats = NDArray[np.floating]
DRAWS, GRASP_TRIES = 3, 3
"""Draws of a free pose, and of a grasp, of which the first plausible one is taken."""
GRASP_OVERLAP_MM = 9.0
TOUCH = 0.004


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
