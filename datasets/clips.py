"""Sequences in a folder of frames: which frames belong together, world parameters, and arrays over time for trainers.

    folder = ClipFolder.open("frames/clip")
    for clip in folder.clips():                 # one after the other
        for track in clip.tracks:               # one a person
            track.pose_world, track.transl_world, track.keypoints, clip.K, clip.world_to_camera

Frames hold bodies in the camera's frame. World parameters follow from the camera: SMPL turns the body about its pelvis,
which rests at J, ``x -> G (x - J) + J + transl``; with ``X_cam = R X + t`` the world's parameters are ``G = R^T G_cam``
and ``transl = R^T (J + transl_cam - t) - J``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..config import UserError
from ..models.bodies.body import Body
from .frames import DatasetInfo, Frame, Person
from .mocap.rotations import matrix_to_rotvec, rotvec_to_matrix
from .poses import PoseSequence
from .shards import FramesFolder

FIELDS = ("frame_id", "height", "width", "camera", "persons", "distortion", "world_to_camera", "clip", "time")
"""Columns that sequences need: no picture."""


@dataclass(frozen=True)
class WorldParameters:
    """Parameters that place a body in the world (Y up, metres): betas (N,), pose (J, 3) axis-angle, transl (3,)."""

    betas: np.ndarray
    pose: np.ndarray
    transl: np.ndarray


def world_parameters(frame: Frame, person: Person, body: Body | None = None) -> WorldParameters:
    """Parameters in the world of a person of a frame, whose labels are in the camera's frame.

    Args:
        frame: with ``world_to_camera``. person: one of its persons, with body parameters.
        body: the model that ``person.body`` names; loaded (once) if None.

    Raises:
        UserError: if the frame has no world-to-camera transform, or the person no parameters.
    """
    if frame.world_to_camera is None:
        raise UserError(f"frame {frame.frame_id} has no world_to_camera: only rendered frames know the world")
    if person.pose is None or person.transl is None or person.betas is None:
        raise UserError(f"frame {frame.frame_id}: this person has no body parameters")
    root = rest_pelvis(_body(person.body) if body is None else body, person.betas)
    pose, transl = to_world(person.pose.reshape(1, -1, 3), person.transl[None], frame.world_to_camera[None], root)
    return WorldParameters(person.betas, pose[0], transl[0])


def to_world(
    pose: np.ndarray, transl: np.ndarray, world_to_camera: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """World poses (T, J, 3) and translations (T, 3), float32, from those in the camera's frame.

    Args:
        world_to_camera: (T, 3, 4) [R | t]. root: (3,) the pelvis of the shape at rest, metres.
    """
    R, t = np.asarray(world_to_camera, np.float64)[..., :3], np.asarray(world_to_camera, np.float64)[..., 3]
    turned = np.array(pose, np.float32)
    turned[:, 0] = matrix_to_rotvec(np.swapaxes(R, -1, -2) @ rotvec_to_matrix(pose[:, 0]))
    moved = np.einsum("tji,tj->ti", R, root + np.asarray(transl, np.float64) - t) - root
    return turned, moved.astype(np.float32)


def rest_pelvis(body: Body, betas: np.ndarray) -> np.ndarray:
    """Where the root joint of a shape rests: (3,) float64 metres, about which the body turns."""
    shift = np.asarray(betas, np.float64) @ body.mesh.joint_shapedirs[: len(betas), :3].numpy().astype(np.float64)
    return np.asarray(body.mesh.joints[0].numpy().astype(np.float64) + shift)


@lru_cache(maxsize=4)
def _body(name: str) -> Body:
    from ..models.bodies import load_body

    return load_body(name)


@dataclass(frozen=True)
class Track:
    """One person over the T frames of a clip; where nothing of the person was seen, ``present`` is False and floats are NaN.

    Attributes:
        body: name of the model. present: (T,) bool. betas: (N,), the same in all frames. expression: (E,) or None.
        pose_world, pose_camera: (T, J, 3) axis-angle; transl_world, transl_camera: (T, 3) metres.
        keypoints: (T, K, 3) x, y in pixels and v; keypoints_3d: (T, K, 3) metres, camera frame; all joint sets of the folder.
        bbox: (T, 4) x, y, width, height of the visible silhouette.
    """

    body: str
    present: np.ndarray
    betas: np.ndarray
    expression: np.ndarray | None
    pose_world: np.ndarray
    transl_world: np.ndarray
    pose_camera: np.ndarray
    transl_camera: np.ndarray
    keypoints: np.ndarray
    keypoints_3d: np.ndarray
    bbox: np.ndarray


@dataclass(frozen=True)
class Clip:
    """One sequence.

    Attributes:
        number: of the clip. frame_ids: (T,) int64. times: (T,) seconds. fps: frames a second, None for a single frame.
        width, height: of the pictures. K: (T, 3, 3) pixels. world_to_camera: (T, 3, 4).
        tracks: its people, in the order in which they appear.
    """

    number: int
    frame_ids: np.ndarray
    times: np.ndarray
    fps: float | None
    width: int
    height: int
    K: np.ndarray
    world_to_camera: np.ndarray
    tracks: tuple[Track, ...]

    def poses(self, track: int = 0) -> PoseSequence:
        """World poses of a person, for ``save_poses`` and ``data export motion``.

        Raises:
            UserError: if there is no such track, or it has gaps.
        """
        if not 0 <= track < len(self.tracks):
            raise UserError(f"clip {self.number} has {len(self.tracks)} people, person {track} was asked for")
        one = self.tracks[track]
        if not one.present.all():
            gaps = int((~one.present).sum())
            raise UserError(f"clip {self.number}: person {track} is out of sight in {gaps} frames; choose another clip")
        joint_set = _body(one.body).joint_set
        return PoseSequence(
            one.pose_world, one.transl_world, one.body, joint_set, betas=one.betas, expression=one.expression,
            fps=self.fps, source=f"clip {self.number}", up=(0.0, 1.0, 0.0),
        )  # fmt: skip


class ClipFolder:
    """The sequences of a folder of frames; see the module's docstring.

    Attributes:
        frames: the folder. numbers: of its clips, in order. positions: of each clip's frames in the folder, by time.
    """

    def __init__(self, frames: FramesFolder) -> None:
        self.frames = frames
        self.info: DatasetInfo = frames.info
        found: dict[int, list[tuple[float, int]]] = {}
        for position, frame in enumerate(frames.iterate(("frame_id", "clip", "time"))):
            if frame.clip is not None and frame.time is not None:
                found.setdefault(frame.clip, []).append((frame.time, position))
        if not found:
            raise UserError(f"{frames.path} holds no clips, only single pictures: render some with 'render clip'")
        self.positions = {number: [at for _, at in sorted(found[number])] for number in sorted(found)}
        self.numbers = tuple(self.positions)

    @classmethod
    def open(cls, path: Path | str) -> ClipFolder:
        """Open a folder.

        Raises:
            UserError: if it is no whole folder of frames, or holds no clips.
        """
        return cls(FramesFolder.open(path))

    def read(self, number: int, images: bool = False) -> list[Frame]:
        """Frames of a clip in the order of time; pictures only if asked for.

        Raises:
            UserError: if there is no such clip.
        """
        if number not in self.positions:
            known = f"{self.numbers[0]} to {self.numbers[-1]}" if len(self.numbers) > 1 else str(self.numbers[0])
            raise UserError(f"{self.frames.path} has no clip {number}; there are {len(self.numbers)}: {known}")
        return self.frames.read(self.positions[number], (*FIELDS, "image") if images else FIELDS)

    def clip(self, number: int) -> Clip:
        """One clip as arrays over time.

        Raises:
            UserError: if there is no such clip, or its frames lack cameras.
        """
        return make_clip(self.read(number))

    def clips(self) -> Iterator[Clip]:
        """All clips, one in memory at a time."""
        for number in self.numbers:
            yield self.clip(number)


def make_clip(frames: Sequence[Frame]) -> Clip:
    """Arrays over time from the frames of one clip, in order; people are told apart by their betas, which stay the same."""
    first = frames[0]
    if any(frame.camera is None or frame.world_to_camera is None for frame in frames):
        raise UserError(f"clip {first.clip}: frames lack K or world_to_camera; only rendered clips have both")
    times = np.array([frame.time for frame in frames], np.float64)
    rows: dict[bytes, dict[int, Person]] = {}
    for k, frame in enumerate(frames):
        for person in frame.persons:
            if person.betas is not None:
                rows.setdefault(person.body.encode() + person.betas.tobytes(), {})[k] = person
    cameras = np.stack([np.asarray(frame.world_to_camera) for frame in frames])
    return Clip(
        number=int(first.clip if first.clip is not None else -1),
        frame_ids=np.array([frame.frame_id for frame in frames], np.int64),
        times=times,
        fps=None if len(times) < 2 else float(round((len(times) - 1) / (times[-1] - times[0]), 6)),
        width=first.width,
        height=first.height,
        K=np.stack([np.asarray(frame.camera) for frame in frames]),
        world_to_camera=cameras,
        tracks=tuple(_track(people, cameras) for people in rows.values()),
    )


def _track(people: dict[int, Person], cameras: np.ndarray) -> Track:
    count, seen = len(cameras), sorted(people)
    one = people[seen[0]]
    assert one.pose is not None and one.betas is not None

    def over_time(values: list[np.ndarray]) -> np.ndarray:
        result = np.full((count, *values[0].shape), np.nan, np.float32)
        result[seen] = np.stack(values)
        return result

    pose = over_time([np.asarray(people[k].pose).reshape(-1, 3) for k in seen])
    transl = over_time([np.asarray(people[k].transl) for k in seen])
    root = rest_pelvis(_body(one.body), one.betas)
    pose_world, transl_world = np.full_like(pose, np.nan), np.full_like(transl, np.nan)
    pose_world[seen], transl_world[seen] = to_world(pose[seen], transl[seen], cameras[seen], root)
    present = np.zeros(count, bool)
    present[seen] = True
    return Track(
        body=one.body,
        present=present,
        betas=one.betas,
        expression=one.expression,
        pose_world=pose_world,
        transl_world=transl_world,
        pose_camera=pose,
        transl_camera=transl,
        keypoints=over_time([_joined(people[k].keypoints, people[k].more_keypoints) for k in seen]),
        keypoints_3d=over_time([_joined(people[k].keypoints_3d, people[k].more_keypoints_3d) for k in seen]),
        bbox=over_time([people[k].bbox for k in seen]),
    )


def _joined(first: np.ndarray | None, more: np.ndarray | None) -> np.ndarray:
    """Points of all joint sets (K, 3), one after the other."""
    assert first is not None
    return first if more is None else np.concatenate([first, more])
