"""What adults do with their limbs, in the clinical angles of :mod:`..postures`: the source of open-person's pose prior.

Ranges: American Academy of Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording" (1965), where adults differ
from the infants of :data:`..postures.LIMITS`. Modes are those of everyday and sport photographs; their means and deviations
are estimates, wide on purpose.
"""

from __future__ import annotations

import numpy as np

from ...models.priors.gaussian import Floats
from ..poses.angles import COLUMN, angles_to_pose, choose, truncated_normal
from ..poses.postures import ARM, DEFAULTS, LEG, LIMITS, MIDLINE, NAMES, Angles

ADULT_LIMITS = LIMITS | {
    "neck_turn": (-75.0, 75.0),
    "neck_side": (-42.0, 42.0),
    "hip_flex": (-28.0, 122.0),
    "hip_abd": (-22.0, 52.0),
    "hip_rot": (-38.0, 48.0),
    "ankle": (-48.0, 22.0),
    "elbow": (0.0, 148.0),
    "knee": (0.0, 140.0),
}

_REST: Angles = DEFAULTS | {
    "spine_flex": (4.0, 8.0),
    "fist": (18.0, 15.0),
    "forearm": (15.0, 30.0),
    "ankle": (0.0, 10.0),
}

ARM_MODES: dict[str, tuple[float, Angles]] = {
    "hang": (3.0, {"shoulder_plane": (25, 25), "shoulder_elev": (15, 10), "shoulder_rot": (0, 20), "elbow": (18, 13)}),
    "bent": (2.5, {"shoulder_plane": (50, 25), "shoulder_elev": (28, 14), "shoulder_rot": (-15, 25), "elbow": (92, 24)}),
    "forward": (2.0, {"shoulder_plane": (80, 15), "shoulder_elev": (75, 22), "shoulder_rot": (0, 25), "elbow": (28, 20)}),
    "aside": (1.5, {"shoulder_plane": (5, 18), "shoulder_elev": (80, 20), "shoulder_rot": (15, 30), "elbow": (25, 22)}),
    "raised": (1.5, {"shoulder_plane": (40, 28), "shoulder_elev": (140, 18), "shoulder_rot": (30, 28), "elbow": (38, 28)}),
    "hip": (1.0, {"shoulder_plane": (-15, 15), "shoulder_elev": (38, 12), "shoulder_rot": (-40, 18), "elbow": (95, 16)}),
    "crossed": (1.0, {"shoulder_plane": (72, 14), "shoulder_elev": (42, 14), "shoulder_rot": (-38, 18), "elbow": (102, 18)}),
    "swung": (1.0, {"shoulder_plane": (-25, 12), "shoulder_elev": (35, 15), "shoulder_rot": (0, 22), "elbow": (50, 28)}),
}  # fmt: skip
"""Share and angles of each mode of an arm."""

LEG_MODES: dict[str, tuple[float, Angles]] = {
    "stand": (3.5, {"hip_flex": (3, 8), "hip_abd": (6, 6), "hip_rot": (8, 10), "knee": (6, 6)}),
    "front": (1.5, {"hip_flex": (28, 12), "hip_abd": (4, 6), "hip_rot": (4, 10), "knee": (16, 12)}),
    "back": (1.5, {"hip_flex": (-8, 7), "hip_abd": (4, 6), "hip_rot": (6, 10), "knee": (32, 22)}),
    "wide": (1.0, {"hip_flex": (15, 12), "hip_abd": (30, 11), "hip_rot": (14, 14), "knee": (16, 14)}),
    "raised": (1.0, {"hip_flex": (75, 22), "hip_abd": (12, 14), "hip_rot": (4, 16), "knee": (85, 30)}),
    "sit": (2.0, {"hip_flex": (86, 11), "hip_abd": (11, 11), "hip_rot": (4, 14), "knee": (85, 20)}),
    "squat": (1.0, {"hip_flex": (102, 14), "hip_abd": (20, 13), "hip_rot": (8, 14), "knee": (112, 18), "ankle": (14, 8)}),
    "lunge": (1.0, {"hip_flex": (58, 16), "hip_abd": (12, 12), "hip_rot": (8, 14), "knee": (66, 20)}),
    "kneel": (0.6, {"hip_flex": (12, 14), "hip_abd": (8, 8), "hip_rot": (2, 10), "knee": (105, 20), "ankle": (-30, 12)}),
}  # fmt: skip
"""Share and angles of each mode of a leg."""

TRUNK_MODES: dict[str, tuple[float, Angles]] = {
    "straight": (3.0, {}),
    "turned": (1.5, {"spine_turn": (0, 18), "neck_turn": (0, 32)}),
    "leaning": (1.5, {"spine_flex": (28, 13), "neck_flex": (-4, 15)}),
    "bowed": (0.6, {"spine_flex": (55, 12), "neck_flex": (0, 20)}),
    "arched": (0.6, {"spine_flex": (-14, 7), "neck_flex": (-12, 14)}),
    "sideways": (0.8, {"spine_side": (0, 16), "neck_side": (0, 14)}),
}
"""Share and angles of each mode of spine and neck."""

SAME_LEGS, SAME_ARMS = 0.55, 0.4
"""Shares of poses in which both legs (arms) are in one mode."""


def adult_poses(count: int, seed: int) -> Floats:
    """Body poses (count, 63) of the joints spine1 ... right_wrist as SMPL orders its first 21, axis-angle, radians."""
    rng = np.random.default_rng(seed)
    limits = np.array([ADULT_LIMITS[name[2:] if name[:2] in ("l_", "r_") else name] for name in NAMES])
    mean, sd = np.empty((count, len(NAMES))), np.empty((count, len(NAMES)))
    for row in range(count):
        for prefix, names, angles in _modes(rng):
            for name in names:
                column = COLUMN[prefix + name]
                mean[row, column], sd[row, column] = angles.get(name, _REST.get(name, (0.0, 10.0)))
    drawn = truncated_normal(rng.random(mean.shape), mean, sd, limits[:, 0], limits[:, 1])
    pose = angles_to_pose(drawn)[:, 1:22]
    result: Floats = pose.double().numpy().reshape(count, -1)
    return result


def _modes(rng: np.random.Generator) -> list[tuple[str, tuple[str, ...], Angles]]:
    """Prefix, angle names and mode of trunk, arms and legs of one pose."""
    trunk = TRUNK_MODES[choose(rng, {name: share for name, (share, _) in TRUNK_MODES.items()})][1]
    chosen: list[tuple[str, tuple[str, ...], Angles]] = [("", MIDLINE, trunk)]
    for names, modes, same in ((ARM, ARM_MODES, SAME_ARMS), (LEG, LEG_MODES, SAME_LEGS)):
        weights = {name: share for name, (share, _) in modes.items()}
        left, right = choose(rng, weights), choose(rng, weights)
        right = left if rng.random() < same else right
        chosen += [("l_", names, modes[left][1]), ("r_", names, modes[right][1])]
    return chosen
