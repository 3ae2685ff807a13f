"""Named hand poses, and anatomical joint angles as MANO poses. Needs numpy alone.

    body = load_body("open-hand-right", flat_hand_mean=True)
    fist = torch.tensor(gesture("fist", "right"), dtype=torch.float32)[None]
    body(betas, body.full_pose(hand_pose=fist), transl)

A hand pose is 21 angles in degrees, :data:`ANGLES`: for each of index, middle, pinky and ring the flexion of the
knuckle (MCP), its sway towards the thumb, and the flexion of the middle and end joints (PIP, DIP); for the thumb's base
(CMC) flexion across the palm, abduction out of the palm's plane and pronation, then the flexion of its two other joints
(MCP, IP). All are zero in the flat hand in which MANO, SMPL-X and the open bodies rest; flexion bends towards the palm.

Poses are about the **flat** hand, so a body must be loaded with ``flat_hand_mean=True``, or their mean taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from ...config import UserError, nearest

ANGLES = (
    *(
        f"{finger}_{angle}"
        for finger in ("index", "middle", "pinky", "ring")
        for angle in ("mcp", "sway", "pip", "dip")
    ),
    *("thumb_flexion", "thumb_abduction", "thumb_pronation", "thumb_mcp", "thumb_ip"),
)
"""Names of the 21 angles, in the order of MANO's fingers."""

LIMITS = np.array(
    [*[(-20, 90), (-20, 20), (0, 110), (0, 80)] * 4, (-25, 45), (-25, 50), (-20, 50), (-10, 60), (-15, 85)]
)
"""Ranges of motion (21, 2), degrees from the flat hand."""

REST_JOINTS_MM = np.array([
    (0, 0, 0),
    (-115.8, -4.6, 29.0), (-144.6, -4.6, 31.1), (-170.4, -4.6, 33.0),
    (-114.7, 0.0, 0.0), (-152.4, 0.0, -2.4), (-183.0, 0.0, -4.3),
    (-97.7, -4.6, -42.3), (-121.0, -4.6, -47.8), (-137.9, -4.6, -51.9),
    (-108.3, 0.5, -21.7), (-141.0, 0.5, -27.1), (-168.3, 0.5, -31.6),
    (-42.1, -4.3, 27.1), (-59.7, -17.1, 53.5), (-87.0, -27.6, 81.7),
])  # fmt: skip
"""Joints of ``mano16`` (16, 3) of an adult right hand at rest, millimetres, wrist at the origin: fingers along -X, palm
towards -Y, thumb towards +Z."""

THUMB_PAD = np.array([-0.66, -0.49, -0.57])
"""Direction that the pad of the thumb faces on that hand."""

_MIRROR = np.array([1.0, -1.0, -1.0])  # of rotation vectors, by a mirror that negates x


@dataclass(frozen=True)
class HandAxes:
    """Axes of the joints of a right hand at rest, unit vectors; positive turns are those of :data:`ANGLES`.

    Attributes:
        flexion: (5, 3) by finger in MANO's order. sway: (3,) of the four fingers' knuckles.
        abduction, pronation: (3,) of the thumb's base.
    """

    flexion: np.ndarray
    sway: np.ndarray
    abduction: np.ndarray
    pronation: np.ndarray


def hand_axes(joints: np.ndarray) -> HandAxes:
    """Axes from where the joints of a flat right hand lie.

    A finger flexes about the axis in the palm's plane that is perpendicular to it. The thumb's axes turn with its
    direction from those of the open hand, where they follow from the way its pad faces.

    Args:
        joints: (16, 3) of the rest pose in the order of ``mano16``, fingers along -X, any unit and origin.
    """
    first, third = joints[1::3], joints[3::3]
    palm = _unit(np.cross(first[:4].mean(0) - joints[0], joints[7] - joints[1]))  # out of the palm
    fingers = np.stack([_unit(np.cross(d, palm)) for d in (third - first)[:4]])
    along, wanted = _unit(REST_JOINTS_MM[15] - REST_JOINTS_MM[13]), _unit(third[4] - first[4])
    pad = _turned(_arc(along, wanted), THUMB_PAD)
    thumb = _unit(np.cross(wanted, pad))
    return HandAxes(np.concatenate([fingers, thumb[None]]), -palm, _unit(np.cross(wanted, thumb)), -wanted)


@lru_cache(maxsize=64)
def _known_axes(joints: bytes) -> HandAxes:
    return hand_axes(np.frombuffer(joints).reshape(16, 3))


@cache
def _open_hand_axes() -> HandAxes:
    return hand_axes(REST_JOINTS_MM)


def hand_pose(angles: np.ndarray, side: str, joints: np.ndarray | None = None) -> np.ndarray:
    """MANO pose (..., 45), axis-angle in radians about the flat hand, of angles (..., 21) in degrees.

    Args:
        side: "left" or "right". joints: (16, 3) rest joints of the hand if it is not the open hand, in its own frame
            (left: fingers along +X).

    Raises:
        UserError: for an unknown side.
    """
    if side not in ("left", "right"):
        raise UserError(f"a hand is 'left' or 'right', not '{side}'")
    mirror = side == "left"
    if joints is None:
        axes = _open_hand_axes()
    else:
        own = np.asarray(joints * (-1, 1, 1) if mirror else joints, np.float64)
        axes = _known_axes(own.tobytes())
    radians = np.radians(np.asarray(angles, np.float64))[..., None]
    mcp, sway, pip, dip = (radians[..., k:16:4, :] for k in range(4))  # of the four fingers
    flexion = axes.flexion[:4]
    base = _log(_product(_turn(axes.sway, sway), _turn(flexion, mcp)))
    fingers = np.stack([base, pip * flexion, dip * flexion], -2)
    flex, abduct, pronate, mcp, ip = (radians[..., k, :] for k in range(16, 21))
    own = axes.flexion[4]
    base = _log(_product(_turn(axes.abduction, abduct), _product(_turn(own, flex), _turn(axes.pronation, pronate))))
    thumb = np.stack([base, mcp * own, ip * own], -2)
    pose = np.concatenate([fingers.reshape(*thumb.shape[:-2], 12, 3), thumb], -2) * (_MIRROR if mirror else 1.0)
    return pose.reshape(*pose.shape[:-2], 45)


def gesture(name: str, side: str, joints: np.ndarray | None = None) -> np.ndarray:
    """MANO pose (45,) of a gesture in :data:`GESTURES`; for the arguments see :func:`hand_pose`.

    Raises:
        UserError: for an unknown gesture or side; names the nearest.
    """
    if name not in GESTURES:
        raise UserError(f"unknown gesture '{name}': {nearest(name, GESTURES)}")
    return hand_pose(GESTURES[name], side, joints)


# Quaternions (..., 4), real part first.


def _turn(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.concatenate([np.cos(angle / 2), np.sin(angle / 2) * axis], -1)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    real = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdims=True)
    return np.concatenate(
        [real, a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + _cross(a[..., 1:], b[..., 1:])], -1
    )


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``np.cross`` of vectors (..., 3), several times as fast on short arrays."""
    return a[..., [1, 2, 0]] * b[..., [2, 0, 1]] - a[..., [2, 0, 1]] * b[..., [1, 2, 0]]


def _log(q: np.ndarray) -> np.ndarray:
    """Rotation vector; the angle stays below 180 degrees because all angles are within their limits."""
    length = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    scale = np.where(length > 1e-12, 2 * np.arctan2(length, q[..., :1]) / np.maximum(length, 1e-12), 2.0)
    return scale * q[..., 1:]


def _arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Smallest rotation from one unit vector to another."""
    q = np.append(1 + start @ end, np.cross(start, end))
    return _unit(q)


def _turned(q: np.ndarray, point: np.ndarray) -> np.ndarray:
    twice = 2 * np.cross(q[1:], point)
    return point + q[0] * twice + np.cross(q[1:], twice)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


# Fingers as (MCP, sway, PIP, DIP), the thumb as (flexion, abduction, pronation, MCP, IP), degrees. Where the thumb touches a
# finger, its angles were solved for contact of the pads.
_FINGERS = {
    "straight": ((0, -4, 4, 2), (0, 0, 4, 2), (0, 6, 4, 2), (0, 3, 4, 2)),
    "spread": ((-4, 10, 2, 0), (-4, 2, 2, 0), (-4, -14, 2, 0), (-4, -8, 2, 0)),
    "closed": ((76, -4, 91, 53), (78, 0, 95, 55), (78, 6, 85, 50), (80, 3, 87, 51)),
    "relaxed": ((18, -2, 26, 14), (24, 0, 32, 18), (32, 4, 34, 20), (28, 2, 34, 20)),
    "hooked": ((8, -4, 86, 50), (8, 0, 90, 54), (10, 6, 86, 52), (8, 3, 90, 54)),
    "victory": ((0, 8, 4, 2), (0, -10, 4, 2), (78, 6, 85, 50), (80, 3, 87, 51)),
}
_THUMB = {
    "aside": (-8, -6, 0, 0, 0),
    "along": (26, -8, 5, 4, 4),
    "relaxed": (10, 12, 10, 12, 14),
    "over": (29, 20, 26, 29, 43),
    "over middle": (37, 24, 19, 31, 38),
    "over ring": (45, 13, 8, 47, 8),
    "across palm": (44, 24, 28, 40, 36),
    "up": (-20, -16, 0, -6, -8),
}


def _straighten(fingers: tuple[tuple[int, ...], ...], *straight: str) -> list[tuple[int, ...]]:
    """Fingers with the named ones straight and a little spread."""
    names = ("index", "middle", "pinky", "ring")
    return [(0, (6, 0, -10, -6)[i], 4, 2) if name in straight else fingers[i] for i, name in enumerate(names)]


def _angles(
    fingers: str | list[tuple[int, ...]] | tuple[tuple[int, ...], ...], thumb: str | tuple[int, ...]
) -> np.ndarray:
    rows = _FINGERS[fingers] if isinstance(fingers, str) else fingers
    angles = np.array([*np.ravel(rows), *(_THUMB[thumb] if isinstance(thumb, str) else thumb)], np.float64)
    assert (angles >= LIMITS[:, 0]).all() and (angles <= LIMITS[:, 1]).all()
    return angles


GESTURES: dict[str, np.ndarray] = {
    "flat": _angles("straight", (0, 0, 0, 0, 0)),
    "closed_flat": _angles("straight", "along"),
    "spread": _angles("spread", "aside"),
    "relaxed": _angles("relaxed", "relaxed"),
    "power_grasp": _angles(((44, -4, 58, 32), (48, 0, 62, 34), (54, 6, 62, 36), (50, 3, 64, 36)), (18, 40, 20, 26, 30)),
    "wide_grasp": _angles(((26, 4, 34, 18), (28, 0, 36, 20), (30, -6, 36, 20), (28, -2, 36, 20)), (2, 38, 18, 10, 14)),
    "fist": _angles("closed", "over"),
    "hook": _angles("hooked", "relaxed"),
    "pinch": _angles(((54, -2, 50, 24), (32, 0, 32, 18), (24, 4, 24, 14), (28, 2, 28, 16)), (31, 26, 31, 18, 17)),
    "tripod": _angles(((55, -6, 48, 24), (60, 2, 52, 26), (62, 4, 70, 42), (60, 2, 64, 40)), (39, 33, 28, 20, 14)),
    "key_pinch": _angles(((50, -2, 70, 38), (58, 0, 78, 44), (62, 4, 80, 48), (60, 2, 80, 46)), (23, -13, 8, 7, 17)),
    "ok": _angles(((46, -2, 61, 34), (14, 0, 14, 8), (0, -8, 6, 4), (6, -3, 10, 6)), (28, 24, 31, 23, 24)),
    "point": _angles(_straighten(_FINGERS["closed"], "index"), "over middle"),
    "victory": _angles("victory", "over ring"),
    "thumbs_up": _angles("closed", "up"),
    "i_love_you": _angles(_straighten(_FINGERS["closed"], "index", "pinky"), "aside"),
    "horns": _angles(_straighten(_FINGERS["closed"], "index", "pinky"), "over middle"),
    "call_me": _angles(_straighten(_FINGERS["closed"], "pinky"), "aside"),
    "pistol": _angles(_straighten(_FINGERS["closed"], "index"), "up"),
    "one": _angles(_straighten(_FINGERS["closed"], "index"), "over middle"),
    "two": _angles(_straighten(_FINGERS["closed"], "index", "middle"), "over ring"),
    "three": _angles(_straighten(_FINGERS["closed"], "index", "middle", "ring"), "across palm"),
    "four": _angles(_straighten(_FINGERS["closed"], "index", "middle", "ring", "pinky"), "across palm"),
    "five": _angles("spread", "aside"),
}
"""Angles (21,) of named gestures, degrees; :func:`gesture` gives the pose."""
