"""Where the joints of posed bodies are: what the measures of pose priors compare, in metres about the root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...config import UserError
from ...models.bodies.body import Body
from ...models.bodies.skinning import joint_transforms
from ...models.geometry import axis_angle_to_matrix
from ...models.joints import joint_set


@dataclass(frozen=True)
class Skeleton:
    """The joints of a body of mean shape that a prior's joints move.

    Measured are the covered joints, and of a covered joint without a covered child its first child (the jaw of a head, the
    first finger joint of a wrist), less those that no covered joint moves.

    Attributes:
        joints: names of the covered joints, C of them. measured: names of the M measured ones.
        place: (C,) int64 rows of the covered joints in the body's pose, -1 for joints it lacks. rows: (M,) int64 of the
            measured ones. rest: (J, 3) metres, unposed. parents: J entries, -1 at the root.
        moved: (C, M) bool, whether a covered joint moves a measured one.
    """

    joints: tuple[str, ...]
    measured: tuple[str, ...]
    place: Tensor
    rows: Tensor
    rest: Tensor
    parents: tuple[int, ...]
    moved: Tensor

    def __call__(self, pose: Tensor, batch: int = 8192) -> Tensor:
        """Measured joints (n, M, 3) float32 of poses (n, C, 3) axis-angle, metres; root at the origin, not turned."""
        parts = [self._placed(part) for part in pose.split(batch)]
        return torch.cat(parts) if parts else self.rest.new_zeros(0, len(self.measured), 3)

    def _placed(self, pose: Tensor) -> Tensor:
        full = self.rest.new_zeros(len(pose), *self.rest.shape)
        known = self.place >= 0
        full[:, self.place[known]] = pose[:, known].to(full.dtype)
        rest = (self.rest - self.rest[:1]).expand_as(full)
        return joint_transforms(axis_angle_to_matrix(full), rest, self.parents)[1][:, self.rows]

    def moved_by(self, joints: Sequence[str]) -> Tensor:
        """(M,) bool: measured joints that any of the covered ``joints`` moves."""
        return self.moved[[self.joints.index(name) for name in joints]].any(0)


def skeleton_of(body: Body, joints: Sequence[str], device: str | torch.device = "cpu") -> Skeleton:
    """The skeleton by which a prior over ``joints`` is measured.

    Raises:
        UserError: if the body has none of the joints, or they move none of its joints.
    """
    names = joint_set(body.joint_set).joints
    place = [names.index(joint) if joint in names else -1 for joint in joints]
    covered = {row for row in place if row >= 0}
    above = _ancestors(body.parents)
    ends = set()
    for row in covered:
        children = [child for child, parent in enumerate(body.parents) if parent == row]
        if children and not covered & set(children):
            ends.add(children[0])
    rows = [row for row in sorted(covered | ends) if above[row] & covered]
    if not rows:
        raise UserError(
            f"body '{body.name}' ({body.joint_set}) has no joint that {', '.join(list(joints)[:4])}... move: "
            "give a body of the prior's joint set"
        )
    moved = torch.tensor([[joint in above[row] for row in rows] for joint in place], device=device)
    rest = body.mesh.joints.float().to(device)
    return Skeleton(
        tuple(joints),
        tuple(names[row] for row in rows),
        torch.tensor(place, device=device),
        torch.tensor(rows, device=device),
        rest,
        body.parents,
        moved,
    )


def _ancestors(parents: tuple[int, ...]) -> list[set[int]]:
    """Joints above each joint, itself left out."""
    above: list[set[int]] = []
    for parent in parents:
        above.append(set() if parent < 0 else above[parent] | {parent})
    return above
