"""Maps between joint sets: by name, by a few stated means, and nothing else.

A point of the target comes about in one of four ways, and :class:`Conversion` says which:

- *exact*: both sets name the same anatomical point;
- *approximate*: the name is the same, the definition is not. SMPL's hips and shoulders are centres of rotation, which lie
  centimetres from what COCO's annotators click on and from Human3.6M's marker skeleton;
- *derived*: the mean of two points or a near neighbour (:data:`DERIVED`), such as OpenPose's ``mid_hip`` from COCO's hips;
- *missing*: the source does not say. The point is NaN and not valid. It is never made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...config import UserError
from .base import JointSet, sided
from .sets import joint_set

_SHOULDERS = ("left_shoulder", "right_shoulder")
_HIPS = ("left_hip", "right_hip")

DERIVED: dict[str, tuple[tuple[str, ...], ...]] = {
    "mid_hip": (_HIPS, ("root",)),
    "root": (_HIPS, ("mid_hip",)),
    "pelvis": (_HIPS, ("mid_hip",)),
    "neck": (_SHOULDERS, ("thorax",)),
    "thorax": (_SHOULDERS, ("neck",)),
    **{
        f"{side}_{name}": ((f"{side}_{near}",),)
        for side in ("left", "right")
        for name, near in (
            *(("wrist", "hand_root"), ("hand_root", "wrist"), ("hand", "middle1")),
            *(("eye", "eyeball"), ("eyeball", "eye")),
        )
    },
}
"""Point → what it is the mean of where a source has no point of that name; of several ways the first that the source has."""

# Whose definition a set follows; every other set holds what annotators click on.
_RIGS = {
    **dict.fromkeys(("smpl24", "smplh52", "smplx55", "smplx127"), "SMPL"),
    "h36m17": "Human3.6M",
}
_DEFINED_DIFFERENTLY = ("neck", *sided(("hip", "shoulder")))


@dataclass(frozen=True)
class Conversion:
    """How the points of one joint set come about from those of another.

    Attributes:
        source: name of the joint set that is given; target: of the one that is made.
        exact: points of the target that the source has, too.
        approximate: points whose name is the same while the definition differs.
        derived: point → (names in the source, their weights).
        missing: points that the source says nothing about.
        unused: points of the source that nothing is made from: what is lost.
        first, second: T positions in the source; a point is the mean of its two, which are one and the same unless it
            is derived from two; 0 for a missing point.
        known: T times True, or False for a missing point.
    """

    source: str
    target: str
    exact: tuple[str, ...]
    approximate: tuple[str, ...]
    derived: dict[str, tuple[tuple[str, ...], tuple[float, ...]]]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    known: tuple[bool, ...]

    def matrix(self) -> np.ndarray:
        """(T, S) float64 such that ``target = matrix @ source``; the rows of missing points are zero."""
        rows = np.flatnonzero(self.known)
        result = np.zeros((len(self.known), joint_set(self.source).count))
        for positions in (self.first, self.second):
            np.add.at(result, (rows, np.array(positions)[rows]), 0.5)
        return result

    def describe(self) -> str:
        """What is kept, made up of others, missing and lost, in a few lines."""
        lines = [f"{self.source} → {self.target}: {len(self.exact)} of {len(self.known)} points are the same"]
        if self.approximate:
            lines.append(f"approximate, for the sets define them differently: {_listed(self.approximate)}")
        for name, (names, _) in self.derived.items():
            how = f"the mean of {' and '.join(names)}" if len(names) > 1 else f"taken from {names[0]}, its neighbour"
            lines.append(f"{name} is {how}")
        if self.missing:
            lines.append(f"missing (not valid): {_listed(self.missing)}")
        if self.unused:
            lines.append(f"lost: {_listed(self.unused)}")
        return "\n".join(lines)


def _listed(names: tuple[str, ...]) -> str:
    """Names in one line: runs of numbered landmarks as ``face0 … face16``, and no more than a dozen entries."""
    face = [name for name in names if name.startswith("face")]
    entries = [name for name in names if name not in face]
    for i in range(len(face)):
        follows = i > 0 and int(face[i][4:]) == int(face[i - 1][4:]) + 1
        entries = [*entries[:-1], f"{entries[-1].split()[0]} … {face[i]}"] if follows else [*entries, face[i]]
    more = [f"and {len(entries) - 12} more"] if len(entries) > 13 else []
    return ", ".join((entries[:12] if more else entries) + more).replace(", and", " and")


@lru_cache(maxsize=256)
def conversion(source: str, target: str, side: str | None = None) -> Conversion:
    """How to make the points of ``target`` from those of ``source``.

    Args:
        source, target: names of joint sets.
        side: ``left`` or ``right``: whose hand it is, where one set is a single hand and the other a person.

    Raises:
        UserError: for an unknown joint set, or a single hand without a side.
    """
    have, want = joint_set(source), joint_set(target)
    if side not in (None, "left", "right"):
        raise UserError(f"side must be 'left' or 'right', got '{side}'")
    if have.one_hand != want.one_hand and side is None:
        hand = have if have.one_hand else want
        raise UserError(f"joint set '{hand.name}' is one hand of either side: say side='left' or side='right'")
    sources, targets = _names(have, want, side), _names(want, have, side)
    ways = [_way(name, sources, source, target) for name in targets]
    kinds = dict(zip(want.joints, (kind for kind, _ in ways), strict=True))
    from_ = dict(zip(want.joints, ([have.joints[i] for i in way] for _, way in ways), strict=True))
    used = {name for names in from_.values() for name in names}
    return Conversion(
        source,
        target,
        exact=tuple(n for n in want.joints if kinds[n] == "exact"),
        approximate=tuple(n for n in want.joints if kinds[n] == "approximate"),
        derived={n: (tuple(from_[n]), (1 / len(from_[n]),) * len(from_[n])) for n in kinds if kinds[n] == "derived"},
        missing=tuple(n for n in want.joints if kinds[n] == "missing"),
        unused=tuple(n for n in have.joints if n not in used),
        first=tuple(way[0] if way else 0 for _, way in ways),
        second=tuple(way[-1] if way else 0 for _, way in ways),
        known=tuple(bool(way) for _, way in ways),
    )


def _names(own: JointSet, other: JointSet, side: str | None) -> tuple[str, ...]:
    """Names to compare by: a single hand's get the side they are meant for, beside a person's."""
    if not own.one_hand or other.one_hand:
        return own.joints
    wrist = f"{side}_hand_root" if f"{side}_hand_root" in other.joints else f"{side}_wrist"
    return tuple(wrist if name == "wrist" else f"{side}_{name}" for name in own.joints)


def _way(name: str, sources: tuple[str, ...], source: str, target: str) -> tuple[str, list[int]]:
    """How a point comes about, and the one or two positions in the source that it is the mean of."""
    rigs = _RIGS.get(source), _RIGS.get(target)
    differs = rigs[0] != rigs[1] and name in _DEFINED_DIFFERENTLY
    midpoint = name == "neck" and differs and rigs[1] is None  # by definition the middle between the shoulders
    if name in sources and not midpoint:
        return "approximate" if differs else "exact", [sources.index(name)]
    for recipe in DERIVED.get(name, ()):
        if all(joint in sources for joint in recipe):
            return "derived", [sources.index(joint) for joint in recipe]
    return "missing", []


def convert(
    points: Any, source: str, target: str, visibility: Any = None, side: str | None = None
) -> tuple[Any, Any, Conversion]:
    """Points of one joint set as those of another; NumPy arrays or PyTorch tensors (differentiable, on their device).

    A point is valid where all that it is made of is finite and visible. What is not valid is NaN.

    Args:
        points: (..., S, D) coordinates in any unit, without confidences.
        source, target: names of joint sets; side: see :func:`conversion`.
        visibility: (..., S) bool, or numbers of which those above 0 count as visible; None: all are.

    Returns:
        points (..., T, D), valid (..., T) bool, and the :class:`Conversion` that says what was lost.

    Raises:
        UserError: for unknown sets, or arrays that do not have the source's number of joints.
    """
    made = conversion(source, target, side)
    lib: Any = np
    if type(points).__module__.partition(".")[0] == "torch":
        import torch as lib

        first, second, known = (lib.tensor(a, device=points.device) for a in (made.first, made.second, made.known))
        visibility = None if visibility is None else lib.as_tensor(visibility, device=points.device)
    else:
        first, second, known = (np.array(a) for a in (made.first, made.second, made.known))
        points = np.asarray(points)
        visibility = None if visibility is None else np.asarray(visibility)
    count = joint_set(source).count
    if points.ndim < 2 or points.shape[-2] != count:
        raise UserError(f"'{source}' has {count} joints: points must be (…, {count}, D), not {tuple(points.shape)}")
    usable = lib.isfinite(points).all(-1)
    if visibility is not None:
        if visibility.shape != points.shape[:-1]:
            raise UserError(f"visibility {tuple(visibility.shape)} does not fit points {tuple(points.shape)}")
        usable = usable & (visibility > 0)
    valid = usable[..., first] & usable[..., second] & known
    means = (points[..., first, :] + points[..., second, :]) / 2
    return lib.where(valid[..., None], means, lib.nan), valid, made
