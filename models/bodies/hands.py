"""Hands of a body: mean poses, principal components, and the assembly of a full pose from smplx's parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...config import UserError

POSE_PARTS = {
    "smpl": {"global_orient": 1, "body_pose": 23},
    "smplh": {"global_orient": 1, "body_pose": 21, "left_hand_pose": 15, "right_hand_pose": 15},
    "smplx": {
        "global_orient": 1,
        "body_pose": 21,
        "jaw_pose": 1,
        "leye_pose": 1,
        "reye_pose": 1,
        "left_hand_pose": 15,
        "right_hand_pose": 15,
    },
    "mano": {"global_orient": 1, "hand_pose": 15},
}
"""Parts of a full pose by format, in order, with their number of joints (smplx's names)."""


@dataclass(frozen=True)
class HandSpace:
    """How the parameters of one hand become 15 rotations.

    Attributes:
        mean: (45,) axis-angle, radians, added to every pose of the hand; None where the file has none.
        components: (C, 45), one row each coefficient; None where poses are given as axis-angle.
    """

    mean: torch.Tensor | None
    components: torch.Tensor | None

    @property
    def size(self) -> int:
        """Numbers that describe the hand: coefficients, or 45 angles."""
        return 45 if self.components is None else len(self.components)

    def expand(self, values: torch.Tensor) -> torch.Tensor:
        """Axis-angle (B, 45) of parameters (B, :attr:`size`), the mean included."""
        angles = values if self.components is None else values @ self.components
        assert self.mean is not None
        return angles + self.mean


def assemble(
    name: str,
    kind: str,
    hands: dict[str, HandSpace],
    given: dict[str, torch.Tensor | None],
    like: torch.Tensor,
) -> torch.Tensor:
    """Full pose (B, J, 3) axis-angle from parts; see ``Body.full_pose``.

    Args:
        name: of the body, for messages. kind: its format.
        hands: by "left", "right" or "hand".
        given: parts by smplx's name, None where left out; (B, ...) or (1, ...) each.
        like: a tensor of the device and dtype wanted where no part is given.
    """
    parts = POSE_PARTS[kind]
    known = {part: value for part, value in given.items() if value is not None}
    foreign = sorted(set(known) - set(parts))
    if foreign:
        raise UserError(f"body '{name}' ({kind}) has no {', '.join(foreign)}; its pose has {', '.join(parts)}")
    batch = max((len(value) for value in known.values()), default=1)
    like = next(iter(known.values()), like)
    columns = []
    for part, joints in parts.items():
        hand = hands.get(part.removesuffix("_pose").removesuffix("_hand")) if part.endswith("hand_pose") else None
        width = 3 * joints if hand is None else hand.size
        value = known.get(part)
        flat = like.new_zeros(batch, width) if value is None else value.reshape(len(value), -1)
        if flat.shape[1] != width or len(flat) not in (1, batch):
            raise ValueError(f"{name}: {part} needs ({batch}, {width}) numbers, got {tuple(known[part].shape)}")
        if hand is not None and hand.mean is None:
            raise UserError(
                f"body '{name}' has no mean pose of the hands (hands_mean…), as SMPL-H files without MANO's hands: "
                "load it with flat_hand_mean=True"
            )
        flat = flat if hand is None else hand.expand(flat)
        columns.append(flat.expand(batch, 3 * joints).reshape(batch, joints, 3))
    return torch.cat(columns, 1)
