"""Finger poses that hand priors learn from: of motion files whose fingers move, or drawn as the farm draws hands.

Files of whole bodies rarely hold fingers, as most systems do not capture them. Drawn hands are those of hand frames
(``render_farm/kinds/hand``): gestures and what lies between them, draws of the body's own components, and grasps closed
round things, all within the ranges of motion.
"""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.pose_cache import Keep, Labels, cached
from ...datasets.pose_tables import PoseTable, rows
from ...models.bodies.hand_draws import hand_mirrored
from ...models.joints import joint_set
from ...models.joints.base import sided
from ...models.joints.hands import HAND15
from ...render_farm.kinds.hand.config import HandConfig, HandScene
from ...render_farm.kinds.hand.hands import Wanted, pose_hands
from ...render_farm.kinds.hand.model import HandModel
from ...render_farm.kinds.hand.pair import load_hands
from ...render_farm.poses.angles import choose

FINGERS = sided(HAND15)
"""The 30 finger joints of ``smplx55``: 15 of the left hand, then 15 of the right."""

BLOCK = 256
"""Pairs of hands drawn together; each block is a take of its own, so that splits have groups to choose from."""

MOVES = 0.02
"""Radians: the standard deviation, over a take, of some finger's rotation from which on a hand counts as moving."""

_SET = "smplx55"
_FORMAT = "sim2pose.hand_poses/1"


def hand_poses(
    count: int, seed: int = 0, cache: str | Path | None = None, config: HandConfig | None = None
) -> PoseTable:
    """Draw poses of both hands, each hand on its own: a table of ``smplx55`` in which only :data:`FINGERS` move.

    All are drawn as right hands; every second one is mirrored to the left. The pose of a row is a function of config, seed
    and row: more of them begin with the same ones. About 400 pairs a second on one core, hence the cache.

    Args:
        count: pairs, the table's rows. cache: folder in which they are written once. config: what hands may do, and whose.

    Raises:
        UserError: for a count below 1, bodies that are no hands, or a cache that cannot be written.
    """
    if count < 1:
        raise UserError(f"hand poses: count is {count}; give at least 1")
    config = config or HandConfig()
    if cache is None:
        parts: list[NDArray[np.float32]] = []
        labels = _draw(count, seed, config, parts.append)
        pose: NDArray[np.float32] = np.concatenate(parts)
    else:
        known = json.dumps([_FORMAT, count, seed, config.body, config.scene.model_dump(mode="json")])
        folder = Path(cache) / sha256(known.encode()).hexdigest()[:16]
        pose, labels = cached(folder, joint_set(_SET).count, lambda keep: _draw(count, seed, config, keep))
    take = np.repeat(np.arange(len(labels.lengths), dtype=np.int32), labels.lengths)
    names = tuple(labels.takes)
    return PoseTable(_SET, pose, take, names, names, tuple(labels.fps), tuple(labels.notes), labels.counts)


def moving_hands(table: PoseTable) -> NDArray[np.int64]:
    """Rows of a table of ``smplx55`` that are of takes in which fingers of both hands move.

    Raises:
        UserError: for a table of another joint set.
    """
    if table.joint_set != _SET:
        raise UserError(f"hand priors learn from poses of '{_SET}', found a table of '{table.joint_set}'")
    columns = [joint_set(_SET).index(name) for name in FINGERS]
    found = []
    for take in range(len(table.takes)):
        own = np.flatnonzero(table.take == take)
        some = rows(table, own[:: max(1, len(own) // 1024)], columns)
        spread = some.std(0).reshape(2, -1).max(1) if len(some) else np.zeros(2)
        found += [own] if (spread > MOVES).all() else []
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _draw(count: int, seed: int, config: HandConfig, keep: Keep) -> Labels:
    """Hand blocks of pairs to ``keep``."""
    model = HandModel(load_hands(config)["right"], "right", config.joint_sets)
    blocks = -(-count // BLOCK)
    lengths = [min(BLOCK, count - BLOCK * block) for block in range(blocks)]
    names = [f"drawn{seed}-{block:04d}" for block in range(blocks)]
    fingers = [joint_set(_SET).index(name) for name in FINGERS]
    counts: Counter[str] = Counter(files=0, frames=count, kept_frames=count, dropped_frames=0, reduced_angles=0)
    for block, length in enumerate(lengths):
        pose = np.zeros((length, joint_set(_SET).count, 3), np.float32)
        pose[:, fingers] = _pairs(model, config.scene, length, np.random.default_rng([seed, block]), counts)
        keep(pose)
    notes = [f"drawn hands: {counts[name]} {name.replace('_', ' ')}" for name in ("grasps", "grasps_given_up")]
    return Labels(lengths, names, names, [None] * blocks, notes, dict(counts))


def _pairs(
    model: HandModel, config: HandScene, count: int, rng: np.random.Generator, counts: Counter[str]
) -> NDArray[np.floating]:
    """Finger poses (count, 30, 3), axis-angle, of left and right hands that know nothing of each other."""
    wanted = []
    for row, own in enumerate(rng.spawn(2 * count)):
        holds = own.random() < config.grasp.share
        kind = choose(own, config.grasp.objects) if holds else None
        wanted.append(Wanted(row, "right", _betas(model, config, own), own, kind))
        counts["grasps"] += holds
    with torch.no_grad():
        hands = pose_hands({"right": model}, config, wanted, counts)
    pose = np.stack([hand.pose for hand in hands]).reshape(count, 2, 45)
    pose[:, 0] = hand_mirrored(pose[:, 0])
    return pose.reshape(count, 30, 3)


def _betas(model: HandModel, config: HandScene, rng: np.random.Generator) -> NDArray[np.float32]:
    """The shape of a hand, on which depends how fingers close round a thing."""
    low, high = config.shape.years
    months = (12 * low, 12 * high) if model.body.population is not None else None
    return np.clip(model.body.sample_betas(rng, 1, months)[0], -config.shape.limit, config.shape.limit)
