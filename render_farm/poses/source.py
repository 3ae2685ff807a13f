"""Poses from a file in place of drawn ones: mocap, fitted people, samples of a prior (``scene.poses.source``).

A frame's pose is a pure function of (seed, frame index): each round over the source is a permutation of its own, so that as
many frames as there are poses show each once. What a source knows about gravity is kept: bodies in a Y-up world, or in a
camera frame whose ``up`` is known, keep their orientation about a random yaw, and are only set down onto the surface. A
fit to a photograph knows no gravity; its camera is then taken to look down, the body takes the lying posture nearest to
what the camera saw (supine, prone, on either side), and settles as drawn bodies do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.pose_joints import to_joints
from ...datasets.poses import PoseSequence, load_poses
from ...models.geometry import axis_angle_to_matrix
from .angles import Plan
from .postures import NAMES, Posture
from .resting import turn_about

Floats = NDArray[np.float64]

SUFFIXES = (".npz", ".parquet")
UPRIGHT, FACING = 0.64, 0.5
"""Cosines: of the trunk's axis to the vertical, above which a body counts as upright (50 degrees), and of the chest's
normal to the vertical, above which one that is not upright lies on its back or front rather than on its side."""
LOOKING_DOWN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Camera frame to world where the camera is taken to look straight down; the picture's lower border points to +Z."""


def _posture(settle: float, upright: bool) -> Posture:
    return Posture(arms={}, legs={}, trunks={}, pitch=(0.0, 0.0), tilt=0.0, lying=False, settle=settle, upright=upright)


_KEPT = {name: _posture(0.0, name == "standing") for name in ("supine", "prone", "side", "standing")}
_LAID = {name: _posture(settle, False) for name, settle in (("supine", 50.0), ("prone", 50.0), ("side", 32.0))}

_X, _Y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
_LYING = {
    "supine": [turn_about(_X, -np.pi / 2)],
    "prone": [turn_about(_X, np.pi / 2)],
    "side": [turn_about(_X, -np.pi / 2) @ turn_about(_Y, roll) for roll in (np.pi / 2, -np.pi / 2)],
}
"""Lying orientations, body to world, up to a yaw; those of :func:`.poses.nominal_orientation` without tilts."""


@dataclass(frozen=True)
class PoseSource:
    """Poses ready for the bodies of one joint set.

    Attributes:
        pose: (T, J, 3) float32 axis-angle, the global orientation zero.
        orient: (T, 3, 3) body to world up to a yaw; of bodies that lie down, before they settle.
        laid: (T,) bool, whether gravity was unknown, so that the body was laid down.
        postures: T of "supine", "prone", "side", "standing" (anything upright).
        names: T, what frames name as their origin.
        digest: 16 hex digits of all of this.
    """

    pose: NDArray[np.float32]
    orient: Floats
    laid: NDArray[np.bool_]
    postures: tuple[str, ...]
    names: tuple[str, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.pose)

    def row(self, seed: int, index: int) -> int:
        """Which pose frame ``index`` of the job shows."""
        turn, place = divmod(index, len(self))
        return int(_permutation(seed, turn, len(self))[place])

    def plan(self, row: int, yaw: float) -> Plan:
        """What the body of a pose does, for whoever needs to know its posture; ``yaw`` in radians about world Y."""
        posture = self.postures[row]
        table = (_LAID if self.laid[row] else _KEPT)[posture]
        rest = np.zeros(len(NAMES))
        return Plan(posture, table, rest, rest, 0.0, 0.0, np.zeros(4, bool), np.zeros(2), yaw)

    def nominal(self, row: int, yaw: float) -> Floats:
        """Rotation (3, 3) body to world before the body settles."""
        turned: Floats = turn_about(_Y, yaw) @ self.orient[row]
        return turned


@lru_cache(maxsize=8)
def _permutation(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, turn, count]).permutation(count)


def load_pose_source(path: Path | str, joints: str = "smpl24") -> PoseSource:
    """Read a pose file (``.npz``, ``.parquet``), or all of a folder in the order of their names, for bodies of a joint set.

    Raises:
        UserError: if there is none, one is damaged, or one holds hands only; names the file.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
        if not files:
            raise UserError(f"scene.poses.source: no {' or '.join(SUFFIXES)} file in {path}")
    parts = [_prepare(load_poses(file), file, joints) for file in files]
    poses, orients, laid = (np.concatenate([part[i] for part in parts]) for i in range(3))
    postures = tuple(name for part in parts for name in part[3])
    names = tuple(name for part in parts for name in part[4])
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in (poses, orients, laid)))
    return PoseSource(poses, orients, laid, postures, names, digest.hexdigest()[:16])


def _prepare(
    poses: PoseSequence, file: Path, joints: str
) -> tuple[NDArray, Floats, NDArray[np.bool_], list[str], list[str]]:
    local = to_joints(poses, joints, str(file))
    turn = axis_angle_to_matrix(torch.from_numpy(local[:, 0]).double()).numpy()
    local[:, 0] = 0
    names = [f"{file.name}:{name}" for name in poses.names or range(len(poses))]
    if poses.frame == "camera" and poses.up is None:
        laid = [_nearest_lying(LOOKING_DOWN @ one) for one in turn]
        return local, np.stack([orient for _, orient in laid]), np.ones(len(turn), bool), [n for n, _ in laid], names
    up = np.array((0.0, 1.0, 0.0) if poses.up is None else poses.up, np.float64)
    orient = _upwards(up / np.linalg.norm(up)) @ turn
    return local, orient, np.zeros(len(turn), bool), [_posture_of(one) for one in orient], names


def _upwards(up: Floats) -> Floats:
    """Smallest rotation that takes a unit direction to +Y."""
    axis, cosine = np.cross(up, _Y), float(up @ _Y)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-12:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    return turn_about(axis / sine, float(np.arctan2(sine, cosine)))


def _posture_of(orient: Floats) -> str:
    """Name of the posture of a body whose orientation in a Y-up world is known."""
    trunk, chest = orient[1, 1], orient[1, 2]
    if abs(trunk) > UPRIGHT:
        return "standing"
    if abs(chest) > FACING:
        return "supine" if chest > 0 else "prone"
    return "side"


def turn_of_lying(posture: str, rng: np.random.Generator) -> Floats:
    """A lying orientation (3, 3), body to world up to a yaw, of a posture; on either side if it has two."""
    return _LYING[posture][int(rng.integers(len(_LYING[posture])))]


def _nearest_lying(orient: Floats) -> tuple[str, Floats]:
    """The lying posture and its orientation, yaw included, that differ from ``orient`` by the smallest angle."""
    found = []
    for name, lies in _LYING.items():
        for lie in lies:
            gap = orient @ lie.T
            yaw = np.arctan2(gap[0, 2] - gap[2, 0], gap[0, 0] + gap[2, 2])  # greatest trace of R_y(yaw).T @ gap
            candidate = turn_about(_Y, float(yaw)) @ lie
            found.append((float(np.sum(candidate * orient)), name, candidate))
    _, name, best = max(found, key=lambda item: item[0])
    return name, best
