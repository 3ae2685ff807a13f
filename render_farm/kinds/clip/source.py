"""Clips of imported motion: takes of a folder, cut at a random place, turned around, mirrored, put on another body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from ....config import UserError
from ....datasets.mocap.amass import repose
from ....datasets.mocap.rotations import global_rotations, matrix_to_quaternion, rotvec_to_matrix
from ....datasets.mocap.target import Target, body_target
from ....datasets.poses import PoseSequence, load_poses
from ....models.bodies import load_body
from ....models.bodies.body import Body
from ....models.bodies.load import OPEN_BODIES
from ....models.geometry import mirror_axis_angle
from ...scenes.smooth import Floats
from .motion import Motion, retargeted
from .steps import ankle_height

SUFFIXES = (".npz", ".parquet")
TRIES, GROUNDED, NEAR_FLOOR = 12, 0.8, 0.10
"""Draws of a part of a take; share of its frames whose lower ankle must lie within so many metres of where
that of a standing body lies."""


@dataclass(frozen=True)
class Take:
    """One sequence, on a body of the job's model.

    Attributes:
        name: of the file. pose: (T, J, 3) axis-angle, world, Y up. pelvis: (T, 3) metres. fps: frames a second.
        origin: the shape it was made for. low: (T,) height in metres of the lower foot over that of a standing body.
    """

    name: str
    pose: Floats
    pelvis: Floats
    fps: float
    origin: Target
    low: Floats

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (len(self.pose) - 1) / self.fps

    def grounded(self, times: Floats) -> float:
        """Share of the time from the first to the last of ``times`` in which a foot is near the floor."""
        first, last = int(times[0] * self.fps), int(times[-1] * self.fps) + 1
        return float((self.low[first:last] < NEAR_FLOOR).mean())


@dataclass(frozen=True)
class MotionSource:
    """Takes that are long enough for a clip.

    Attributes:
        takes: in the order of their paths. digest: 16 hex digits of their files.
    """

    takes: tuple[Take, ...]
    digest: str

    def clip(
        self, rng: np.random.Generator, target: Target, count: int, fps: float, mirror: float, reverse: float
    ) -> tuple[Motion, int]:
        """Draw a clip: a take in proportion to its length, a start, whether it is mirrored or runs backwards.

        Parts of a take that leave the floor (stairs, climbing frames: the body would hang in the air) are drawn again, up
        to :data:`TRIES` times; of these the one that is on the floor for longest is taken.

        Args:
            target: the body it is put on. count: frames. mirror, reverse: shares of clips.

        Returns:
            the motion, and how many parts were refused before it.
        """
        share, mirrored, backwards = rng.random(TRIES), rng.random() < mirror, rng.random() < reverse
        begin, edges = rng.random(TRIES), np.cumsum([take.seconds for take in self.takes])
        best, most = None, -1.0
        for k in range(TRIES):
            number = min(int(np.searchsorted(edges, share[k] * edges[-1], side="right")), len(self.takes) - 1)
            take = self.takes[number]
            times = begin[k] * (take.seconds - (count - 1) / fps) + np.arange(count) / fps
            grounded = take.grounded(times)
            if grounded > most:
                best, most = (take, times), grounded
            if grounded >= GROUNDED:
                break
        assert best is not None
        take, times = best
        pose, pelvis = resample(take, times)
        if backwards:
            pose, pelvis = pose[::-1], pelvis[::-1]
        if mirrored:
            pose, pelvis = mirror_motion(pose, pelvis, target)
        words = [
            take.name,
            f"{times[0]:.2f}s",
            *(["mirrored"] if mirrored else []),
            *(["backwards"] if backwards else []),
        ]
        return retargeted(":".join(words), pose, pelvis, take.origin, target, fps), k


def resample(take: Take, times: Floats) -> tuple[Floats, Floats]:
    """Pose (T, J, 3) and pelvis (T, 3) at times in seconds since the take began: cubic splines, on unit quaternions."""
    at = np.asarray(times) * take.fps
    first, last = max(0, int(at.min()) - 3), min(len(take.pose), int(np.ceil(at.max())) + 4)
    frames = np.arange(first, last)
    quaternions = matrix_to_quaternion(rotvec_to_matrix(take.pose[first:last]))
    for k in range(1, len(quaternions)):  # of both quaternions of a rotation, the one nearer to the frame before
        flip = (quaternions[k] * quaternions[k - 1]).sum(-1) < 0
        quaternions[k, flip] *= -1
    between = CubicSpline(frames, quaternions)(at)
    between /= np.linalg.norm(between, axis=-1, keepdims=True)
    return _rotvec(between), np.asarray(CubicSpline(frames, take.pelvis[first:last])(at))


def _rotvec(quaternion: Floats) -> Floats:
    """Unit quaternions (..., 4), w first, to rotation vectors (..., 3)."""
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    return np.asarray(quaternion[..., 1:] * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-12), 2.0))


def mirror_motion(pose: Floats, pelvis: Floats, target: Target) -> tuple[Floats, Floats]:
    """What a mirror in the plane x = 0 shows: left and right limbs change places. ``target`` names the joints."""
    swapped = target.joint_set.flip_permutation()
    return mirror_axis_angle(pose[:, swapped]), pelvis * (-1, 1, 1)


@lru_cache(maxsize=4)
def load_motion_source(path: Path, body_name: str, least_seconds: float) -> MotionSource:
    """Read the takes of a folder (with its subfolders) or file that last at least ``least_seconds``.

    Poses for another body of the family are put on the job's by name of joint, their paths scaled.

    Raises:
        UserError: if there is none, one is damaged, is no motion in a Y-up world, or all are too short.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
    if not files or not path.exists():
        raise UserError(f"scene.motion.source: no {' or '.join(SUFFIXES)} file at {path}; see 'data import motion'")
    body = load_body(body_name)
    digest = hashlib.sha256()
    takes = []
    for file in files:
        take = _take(load_poses(file), body, file)
        digest.update(np.ascontiguousarray(take.pose).tobytes() + np.ascontiguousarray(take.pelvis).tobytes())
        takes.append(take)
    long = tuple(take for take in takes if take.seconds >= least_seconds)
    if not long:
        longest = max(take.seconds for take in takes)
        raise UserError(
            f"scene.motion.source: a clip lasts {least_seconds:.1f} s, the longest take in {path} {longest:.1f} s; "
            "lower clip_frames or import longer takes"
        )
    return MotionSource(long, digest.hexdigest()[:16])


def _take(poses: PoseSequence, body: Body, file: Path) -> Take:
    if poses.frame != "world" or poses.fps is None:
        raise UserError(f"{file}: clips need motion in the world frame with a frame rate; this file holds single poses")
    target, fps = body_target(body), poses.fps
    if poses.body == body.name and poses.joint_set == body.joint_set:
        betas = poses.betas
        if betas is not None:
            target = body_target(body, betas if betas.ndim == 1 else betas.mean(0))
    else:
        origin = body_target(load_body(poses.body)) if poses.body in OPEN_BODIES else None
        poses, _ = repose(poses, target, True, origin)
    pose = np.asarray(poses.pose, np.float64)
    pelvis = np.asarray(poses.transl, np.float64) + target.rest[0]
    joints = target.positions(global_rotations(pose, target.parents), pelvis)
    ankle = joints[:, [target.index("left_ankle"), target.index("right_ankle")], 1].min(1)
    return Take(file.stem, pose, pelvis, fps, target, ankle - ankle_height(target))
