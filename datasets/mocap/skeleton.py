"""A skeleton and its motion, as every reader returns them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...config import UserError, nearest
from .rotations import geodesic


@dataclass(frozen=True)
class Skeleton:
    """Joints in an order in which parents come first; end sites are joints that never turn.

    Attributes:
        names: one a joint, all different; an end site is called after its joint, "LeftFoot_end".
        parents: parent of each joint, -1 at joint 0, the root.
        offsets: (J, 3) float64, from the parent to the joint when nothing is turned; metres once scaled.
        ends: indices of the end sites.
        lines: line of the file that declares each joint, for messages; may be empty.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    ends: frozenset[int] = frozenset()
    lines: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """Number of joints, end sites included."""
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a joint by name.

        Raises:
            UserError: if there is none; names the nearest.
        """
        if name not in self.names:
            raise UserError(f"the skeleton has no joint '{name}': {nearest(name, self.names)}")
        return self.names.index(name)

    def children(self, joint: int) -> list[int]:
        """Joints that hang on a joint."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]

    def chain(self, joint: int) -> list[int]:
        """The way from the root to a joint, both included."""
        way = [joint]
        while self.parents[way[0]] >= 0:
            way.insert(0, self.parents[way[0]])
        return way

    def rest(self) -> np.ndarray:
        """Joint positions (J, 3) when nothing is turned, the root at its offset."""
        positions = self.offsets.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                positions[joint] += positions[parent]
        return positions


@dataclass(frozen=True)
class Motion:
    """A skeleton that moves.

    Attributes:
        skeleton: the joints.
        rotations: (T, J, 3, 3) float64, turn of each joint in its parent's frame; the identity at end sites.
        translation: (T, 3) float64, position of the root in the world; metres and Y up once brought so.
        fps: frames a second.
        source: the file, for messages.
        local_positions: (T, J, 3) float64 in place of the offsets where joints below the root move, or None.
    """

    skeleton: Skeleton
    rotations: np.ndarray
    translation: np.ndarray
    fps: float
    source: str
    local_positions: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rotations)

    def global_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Rotations (T, J, 3, 3) and positions (T, J, 3) of all joints in the world."""
        rotations, positions = np.empty_like(self.rotations), np.empty((*self.rotations.shape[:2], 3))
        for joint, parent in enumerate(self.skeleton.parents):
            if parent < 0:
                rotations[:, joint], positions[:, joint] = self.rotations[:, joint], self.translation
                continue
            rotations[:, joint] = rotations[:, parent] @ self.rotations[:, joint]
            local = self.skeleton.offsets[joint] if self.local_positions is None else self.local_positions[:, joint]
            positions[:, joint] = positions[:, parent] + (rotations[:, parent] @ np.asarray(local)[..., None])[..., 0]
        return rotations, positions

    def frames(self, chosen: slice | np.ndarray) -> Motion:
        """Some of the frames."""
        local = None if self.local_positions is None else self.local_positions[chosen]
        return replace(
            self, rotations=self.rotations[chosen], translation=self.translation[chosen], local_positions=local
        )

    def moved(self, turn: np.ndarray, scale: float) -> Motion:
        """The same motion in another world: points X become ``scale * turn @ X``, rest pose included."""
        local = None if self.local_positions is None else scale * self.local_positions @ turn.T
        return replace(
            self,
            skeleton=replace(self.skeleton, offsets=scale * self.skeleton.offsets @ turn.T),
            rotations=turn @ self.rotations @ turn.T,
            translation=scale * self.translation @ turn.T,
            local_positions=local,
        )

    def rest_at(self, frame: int) -> Motion:
        """The same motion with the pose of one frame as rest pose: there nothing is turned."""
        turned, positions = self.global_pose()
        start = turned[frame]
        parents = np.array(self.skeleton.parents)
        offsets = positions[frame] - np.where(parents[:, None] >= 0, positions[frame][parents], 0)
        above = np.concatenate([np.eye(3)[None], start])[parents + 1]  # rest turn of each joint's parent
        rotations = above @ self.rotations @ np.swapaxes(start, -1, -2)
        local = None
        if self.local_positions is not None:
            local = (above @ self.local_positions[..., None])[..., 0]
        return replace(
            self, skeleton=replace(self.skeleton, offsets=offsets), rotations=rotations, local_positions=local
        )


def starts_apart(motion: Motion) -> bool:
    """Whether frame 0 is not part of the motion: a calibration pose put before it, as in the CMU takes in BVH.

    The joints then turn by 5 degrees or more on average to frame 1, and by five times what they turn in any of the
    next ten frames.
    """
    if len(motion) < 4:
        return False
    turned = [joint for joint in range(motion.skeleton.count) if joint not in motion.skeleton.ends]
    rotations = motion.rotations[:12, turned]
    jumps = np.degrees(geodesic(rotations[:-1], rotations[1:])).mean(1)
    return bool(jumps[0] > max(5.0, 5 * jumps[1:].max()))


def snap_fps(frame_time: float) -> float:
    """Frames a second of a frame time in seconds as files round it: 0.0083333 is 120, 0.008342 stays 119.88.

    Rates within 0.05 % of a whole number are that number.
    """
    rate = 1 / frame_time
    return float(round(rate)) if abs(rate - round(rate)) < 5e-4 * rate else rate
