"""What children and adults do, as tables over the modes of limbs: how they stand, walk, sit, lie, run and reach.

Angles and limits are those of :mod:`render_farm.poses.postures` and :mod:`render_farm.fit.adults`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...fit.adults import ADULT_LIMITS, ARM_MODES, LEG_MODES, TRUNK_MODES
from ...poses.angles import COLUMN, PLACES, choose, truncated_normal
from ...poses.postures import ARM, DEFAULTS, LEG, MIDLINE, NAMES, Angles

Floats = NDArray[np.float64]
Weights = dict[str, float]

_REST: Angles = DEFAULTS | {
    "spine_flex": (4, 7), "spine_side": (0, 5), "spine_turn": (0, 8), "neck_flex": (4, 11), "neck_turn": (0, 20),
    "fist": (18, 15), "forearm": (15, 30), "ankle": (0, 8),
}  # fmt: skip

ARMS: dict[str, Angles] = {name: angles for name, (_, angles) in ARM_MODES.items()} | {
    "lap": {"shoulder_plane": (66, 12), "shoulder_elev": (28, 8), "shoulder_rot": (-14, 14), "elbow": (62, 16),
            "forearm": (40, 15)},
    "desk": {"shoulder_plane": (72, 10), "shoulder_elev": (38, 9), "shoulder_rot": (-14, 14), "elbow": (74, 14),
             "forearm": (45, 15)},
    "phone": {"shoulder_plane": (60, 12), "shoulder_elev": (36, 10), "shoulder_rot": (-12, 12), "elbow": (112, 14)},
    "face": {"shoulder_plane": (62, 12), "shoulder_elev": (52, 12), "shoulder_rot": (0, 14), "elbow": (132, 8)},
    "prop": {"shoulder_plane": (-22, 14), "shoulder_elev": (34, 10), "shoulder_rot": (5, 18), "elbow": (10, 8),
             "wrist_flex": (-45, 12), "fist": (8, 8)},
    "pump_front": {"shoulder_plane": (82, 8), "shoulder_elev": (38, 12), "shoulder_rot": (0, 10), "elbow": (95, 14)},
    "pump_back": {"shoulder_plane": (-62, 12), "shoulder_elev": (42, 12), "shoulder_rot": (0, 10), "elbow": (92, 14)},
    "swing_front": {"shoulder_plane": (82, 10), "shoulder_elev": (22, 9), "elbow": (22, 12)},
    "swing_back": {"shoulder_plane": (-75, 12), "shoulder_elev": (20, 8), "elbow": (16, 9)},
    "reach_up": {"shoulder_plane": (70, 22), "shoulder_elev": (148, 14), "shoulder_rot": (20, 20), "elbow": (16, 12)},
    "floor": {"shoulder_plane": (84, 7), "shoulder_elev": (90, 7), "shoulder_rot": (0, 10), "elbow": (8, 7),
              "forearm": (45, 12), "wrist_flex": (-62, 3), "fist": (5, 5)},
    "pillow": {"shoulder_plane": (20, 20), "shoulder_elev": (125, 18), "shoulder_rot": (40, 20), "elbow": (95, 22)},
    "along": {"shoulder_plane": (5, 15), "shoulder_elev": (18, 9), "shoulder_rot": (0, 20), "elbow": (22, 16)},
    "belly": {"shoulder_plane": (52, 14), "shoulder_elev": (26, 9), "shoulder_rot": (-20, 14), "elbow": (88, 14)},
    "knees": {"shoulder_plane": (72, 10), "shoulder_elev": (52, 10), "shoulder_rot": (-6, 12), "elbow": (40, 16)},
    "rail": {"shoulder_plane": (80, 10), "shoulder_elev": (52, 12), "shoulder_rot": (0, 14), "elbow": (48, 18),
             "forearm": (40, 12)},
}  # fmt: skip
"""Modes of an arm: those of the pose prior, and others."""

LEGS: dict[str, Angles] = {name: angles for name, (_, angles) in LEG_MODES.items()} | {
    "relaxed": {"hip_flex": (9, 5), "hip_abd": (7, 4), "hip_rot": (12, 8), "knee": (18, 8)},
    "stride_front": {"hip_flex": (25, 7), "hip_abd": (2, 3), "hip_rot": (5, 6), "knee": (9, 6), "ankle": (2, 5)},
    "stride_back": {"hip_flex": (-12, 6), "hip_abd": (2, 3), "hip_rot": (5, 6), "knee": (20, 9), "ankle": (-8, 8)},
    "pass": {"hip_flex": (22, 8), "hip_abd": (2, 3), "hip_rot": (4, 6), "knee": (55, 10), "ankle": (-4, 6)},
    "run_front": {"hip_flex": (62, 15), "hip_abd": (2, 5), "hip_rot": (2, 7), "knee": (86, 20), "ankle": (4, 7)},
    "run_back": {"hip_flex": (-14, 7), "hip_abd": (2, 4), "hip_rot": (4, 7), "knee": (38, 24), "ankle": (-22, 10)},
    "chair": {"hip_flex": (90, 5), "hip_abd": (10, 7), "hip_rot": (2, 8), "knee": (84, 11), "ankle": (2, 7)},
    "chair_out": {"hip_flex": (88, 4), "hip_abd": (8, 6), "hip_rot": (6, 10), "knee": (52, 12), "ankle": (-8, 8)},
    "chair_over": {"hip_flex": (97, 5), "hip_abd": (-9, 4), "hip_rot": (-4, 6), "knee": (88, 12), "ankle": (-12, 8)},
    "floor_long": {"hip_flex": (84, 6), "hip_abd": (10, 6), "hip_rot": (12, 9), "knee": (10, 8), "ankle": (-6, 10)},
    "floor_bent": {"hip_flex": (108, 8), "hip_abd": (10, 7), "hip_rot": (4, 9), "knee": (72, 12), "ankle": (-6, 9)},
    "floor_crossed": {"hip_flex": (94, 7), "hip_abd": (40, 5), "hip_rot": (70, 5), "knee": (116, 7), "ankle": (-18, 10)},
    "lie_long": {"hip_flex": (5, 5), "hip_abd": (9, 6), "hip_rot": (16, 12), "knee": (6, 6), "ankle": (-22, 10)},
    "lie_bent": {"hip_flex": (48, 12), "hip_abd": (8, 7), "hip_rot": (4, 10), "knee": (92, 16), "ankle": (-30, 8)},
    "fetal": {"hip_flex": (70, 22), "hip_abd": (2, 6), "hip_rot": (0, 9), "knee": (78, 20)},
    "fours": {"hip_flex": (86, 7), "hip_abd": (6, 5), "hip_rot": (2, 6), "knee": (88, 7), "ankle": (-38, 6)},
    "deep": {"hip_flex": (116, 6), "hip_abd": (18, 9), "hip_rot": (10, 10), "knee": (132, 6), "ankle": (20, 4)},
    "kneel_up": {"hip_flex": (4, 6), "hip_abd": (6, 5), "hip_rot": (2, 6), "knee": (88, 8), "ankle": (-40, 6)},
    "kneel_front": {"hip_flex": (84, 8), "hip_abd": (10, 6), "hip_rot": (3, 8), "knee": (86, 8), "ankle": (0, 6)},
    "heels": {"hip_flex": (72, 8), "hip_abd": (8, 6), "hip_rot": (0, 6), "knee": (138, 3), "ankle": (-44, 4)},
}  # fmt: skip
"""Modes of a leg: those of the pose prior, and others."""

TRUNKS: dict[str, Angles] = {name: angles for name, (_, angles) in TRUNK_MODES.items()} | {
    "sit": {"spine_flex": (16, 9), "neck_flex": (2, 13), "neck_turn": (0, 26)},
    "slump": {"spine_flex": (34, 9), "neck_flex": (12, 11)},
    "read": {"spine_flex": (14, 9), "neck_flex": (30, 9)},
    "lie": {"spine_flex": (4, 6), "neck_flex": (2, 9), "neck_turn": (0, 30)},
    "cheek": {"spine_flex": (2, 5), "neck_flex": (-4, 8), "neck_turn": (66, 6)},
}  # fmt: skip


@dataclass(frozen=True)
class Activity:
    """One activity.

    Attributes:
        arms: pairs of modes, "left+right" or one for both sides at random, with weights; legs: the same. trunks: modes.
        pitch: (mean, sd) tilt of the trunk about its left-right axis, degrees: 0 upright, -90 on the back, 90 on the front.
        support: what carries the body: "feet" (balanced over them), "lowest" (whatever is lowest), "seat" (a chair),
            "settle" (the body comes to rest as a rigid thing), "air" (nothing).
        limit: largest tilt by which a body that settles may turn, degrees. rolled: lies on its side.
        soles: both feet are turned flat. heels: the thighs are raised so that heels and seat lie on one level.
    """

    arms: Weights
    legs: Weights
    trunks: Weights = field(default_factory=lambda: {"straight": 3.0, "turned": 1.5})
    pitch: tuple[float, float] = (0.0, 3.0)
    support: str = "feet"
    limit: float = 0.0
    rolled: bool = False
    soles: bool = True
    heels: bool = False


_TALK: Weights = {
    "hang": 3,
    "bent": 1.5,
    "hip": 1,
    "crossed+crossed": 0.6,
    "phone+hang": 0.8,
    "phone": 0.5,
    "face+hang": 0.4,
}

ACTIVITIES: dict[str, Activity] = {
    "standing": Activity(
        _TALK | {"forward": 0.5, "raised+hang": 0.4, "aside+hang": 0.3},
        {"stand": 3, "relaxed+stand": 2, "stand+relaxed": 2, "wide": 0.5},
        {"straight": 3, "turned": 2, "read": 1, "sideways": 0.4},
    ),
    "walking": Activity(
        {"swing_front+swing_back": 3, "swing_back+swing_front": 3, "phone+swing_back": 0.6, "hang": 1},
        {"stride_front+stride_back": 2, "stride_back+stride_front": 2, "pass+stand": 0.8, "stand+pass": 0.8},
        pitch=(3, 3), soles=False,
    ),
    "reaching": Activity(
        {"reach_up": 1, "reach_up+hang": 1.5, "hang+reach_up": 1.5, "forward+hang": 1, "forward": 1, "rail": 1},
        {"stand": 3, "relaxed+stand": 1, "wide": 0.6},
        {"straight": 2, "turned": 1, "arched": 0.6, "sideways": 0.8},
    ),
    "bending": Activity(
        {"forward": 2, "knees": 1, "hang": 1}, {"relaxed": 2, "wide": 1, "front": 1}, {"bowed": 2, "leaning": 1}, (28, 12)
    ),
    "crouching": Activity(
        {"knees": 2, "forward": 1.5, "bent": 1, "desk": 1}, {"squat": 2, "deep": 1, "lunge": 1},
        {"leaning": 2, "straight": 1}, (22, 8),
    ),
    "kneeling": Activity(
        {"bent": 1, "forward": 1, "lap": 1, "hang": 1},
        {"kneel_up": 1, "kneel_up+kneel_front": 1.4, "kneel_front+kneel_up": 1.4, "heels": 1.2},
        {"straight": 2, "leaning": 1, "read": 1}, (4, 5), "settle", 16.0, soles=False,
    ),
    "running": Activity(
        {"pump_front+pump_back": 1, "pump_back+pump_front": 1},
        {"run_front+run_back": 1, "run_back+run_front": 1},
        {"straight": 2, "leaning": 1}, (9, 5), "lowest", soles=False,
    ),
    "sport": Activity(
        {"raised": 1, "raised+forward": 1, "forward+raised": 1, "aside": 1.2, "swung+forward": 1, "forward+swung": 1,
         "bent": 1, "reach_up+aside": 0.7},
        {"wide": 1.5, "lunge+back": 1, "back+lunge": 1, "lunge+wide": 1, "squat": 0.5, "raised+stand": 0.5,
         "stand+raised": 0.5},
        {"straight": 1, "turned": 1.5, "leaning": 1.5, "arched": 0.8, "sideways": 1.2}, (6, 8),
    ),
    "jumping": Activity(
        {"raised": 2, "aside": 1, "reach_up": 1, "forward": 0.6}, {"raised": 1, "wide": 1, "run_front+run_back": 1, "back": 1},
        {"straight": 1, "arched": 1, "turned": 1}, (3, 10), "air", soles=False,
    ),
    "seated": Activity(
        {"lap": 3, "desk": 3, "phone+lap": 1, "phone": 0.8, "face+desk": 0.7, "bent": 0.6, "crossed+crossed": 0.4,
         "raised+lap": 0.3},
        {"chair": 4, "chair_out": 1.5, "chair_over+chair": 0.8, "chair+chair_over": 0.8, "chair_out+chair": 1},
        {"sit": 3, "slump": 1, "read": 1, "turned": 1}, (-4, 6), "seat", soles=True,
    ),
    "floor": Activity(
        {"lap": 2, "prop": 1.5, "prop+lap": 1, "knees": 1.5, "phone": 0.6},
        {"floor_long": 1.4, "floor_bent": 1.6, "floor_crossed": 1.6, "floor_long+floor_bent": 1, "floor_bent+floor_long": 1},
        {"sit": 2, "slump": 1.5, "turned": 0.5}, (-14, 6), "settle", 24.0, soles=False, heels=True,
    ),
    "lying": Activity(
        {"along": 2, "belly": 1.4, "pillow": 1, "pillow+along": 1, "along+belly": 1, "phone": 0.5},
        {"lie_long": 2.2, "lie_bent": 1, "lie_long+lie_bent": 1, "lie_bent+lie_long": 1},
        {"lie": 1}, (-90, 2), "settle", 40.0, soles=False,
    ),
    "prone": Activity(
        {"pillow": 1.5, "along": 1, "pillow+along": 1}, {"lie_long": 1}, {"cheek": 1}, (90, 2), "settle", 30.0, soles=False
    ),
    "side": Activity(
        {"bent": 1, "face+bent": 1, "pillow+belly": 1, "belly+pillow": 1}, {"fetal": 1, "fetal+lie_bent": 0.5}, {"lie": 1},
        (0, 2), "settle", 32.0, True, False,
    ),
    "fours": Activity(
        {"floor": 1}, {"fours": 1}, {"straight": 1, "turned": 1}, (84, 4), "settle", 20.0, soles=False
    ),
}  # fmt: skip
"""All activities; "lying" of a config is shared among "lying", "prone" and "side"."""

_LIMITS = ADULT_LIMITS | {"hip_rot": (-38.0, 80.0)}
"""Who sits cross-legged turns the thighs out further than the table of passive ranges has it."""
_LYING: Weights = {"lying": 0.55, "prone": 0.2, "side": 0.25}
LOW, HIGH = (np.array([_LIMITS[name[2:] if name[:2] in ("l_", "r_") else name][k] for name in NAMES]) for k in (0, 1))


def draw_activity(rng: np.random.Generator, name: str) -> str:
    """The variant of an activity: which way somebody lies."""
    return choose(rng, _LYING) if name == "lying" else name


def draw_angles(rng: np.random.Generator, activity: Activity, spread: float, candidates: int) -> Floats:
    """Angles (candidates, 40) in degrees: one choice of modes, trunk and head the same in all, the limbs differ."""
    trunk = choose(rng, activity.trunks)
    parts = [_modes(MIDLINE, "trunk", trunk)]
    flipped = trunk == "cheek" and rng.random() < 0.5
    for names, kind, weights in ((ARM, "arm", activity.arms), (LEG, "leg", activity.legs)):
        left, _, right = choose(rng, weights).partition("+")
        swap = rng.random() < 0.5
        left, right = (right or left, left) if swap and names is ARM and activity.soles else (left, right or left)
        parts += [_modes(names, kind, left), _modes(names, kind, right)]
    mean, sd = np.concatenate(parts, 1)[:, PLACES]
    if flipped:
        mean[COLUMN["neck_turn"]] *= -1
    uniform = rng.random((candidates, len(NAMES)))
    uniform[:, : len(MIDLINE)] = uniform[0, : len(MIDLINE)]
    return truncated_normal(uniform, mean, sd * spread, LOW, HIGH)


@cache
def _modes(names: tuple[str, ...], part: str, mode: str) -> Floats:
    """Mean and deviation (2, n) of the angles ``names`` in a mode of trunk, arm or leg."""
    table = {"trunk": TRUNKS, "arm": ARMS, "leg": LEGS}[part][mode]
    return np.array([table.get(name, _REST.get(name, (0.0, 8.0))) for name in names]).T
