"""Whose flesh surrounds a point: the part ids that never hide it, for every joint set and every kind of body."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...models.joints import PARENTS, joint_set

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_KNUCKLES = tuple(f"{{side}}_{finger}1" for finger in _FINGERS)
_TRUNK = ("pelvis", "left_hip", "right_hip", "spine1")
_SIDED = {
    "shoulder": ("spine3", "{side}_collar", "{side}_shoulder"),
    "elbow": ("{side}_shoulder", "{side}_elbow"),
    "wrist": ("{side}_elbow", "{side}_wrist", "{side}_hand", *_KNUCKLES),
    "hand_root": ("{side}_wrist", "{side}_hand", *_KNUCKLES),
    "hand": ("{side}_wrist", "{side}_hand", *_KNUCKLES),
    "hip": ("pelvis", "{side}_hip", "spine1"),
    "knee": ("{side}_hip", "{side}_knee"),
    "ankle": ("{side}_knee", "{side}_ankle", "{side}_foot"),
    **dict.fromkeys(("big_toe", "small_toe", "heel"), ("{side}_ankle", "{side}_foot")),
}
"""Joints of the model whose flesh surrounds a point of a limb, by the point's name without its side."""
_MIDDLE = {
    "mid_hip": _TRUNK,
    "root": _TRUNK,
    "spine": ("spine1", "spine2", "spine3"),
    "thorax": ("spine3", "neck", "left_collar", "right_collar"),
    "neck": ("spine3", "neck", "head"),
}
_HEAD = ("neck", "head", "jaw", "left_eyeball", "right_eyeball")
_ON_HEAD = ("nose", "neck_nose", "head_top", "jaw")


@lru_cache(maxsize=16)
def own_parts(joint_sets: tuple[str, ...], skeleton: str) -> NDArray[np.bool_]:
    """Which part ids surround each point of some joint sets: (K, 256), for a model's skeleton.

    Args:
        joint_sets: names of the sets, one after the other.
        skeleton: joint set of the model: smpl24, smplh52, smplx55, mano16; part ids are 1 + its indices.

    Raises:
        UserError: for a point that no flesh of this skeleton surrounds, such as a knee on a hand.
    """
    model = {name: index for index, name in enumerate(joint_set(skeleton).joints)}
    rows = []
    for name in joint_sets:
        for point in joint_set(name).joints:
            own = flesh(point, skeleton)
            if not own:
                raise UserError(f"joint set '{name}': a {skeleton} body has nothing around '{point}'")
            row = np.zeros(256, bool)
            row[[1 + model[each] for each in own]] = True
            rows.append(row)
    return np.stack(rows)


def flesh(point: str, skeleton: str) -> tuple[str, ...]:
    """Names of the joints whose flesh surrounds a point, in a model's skeleton; () if it has none.

    A joint of the model lies where its own part meets its children's and its parent's. Points of other kinds (what COCO's
    annotators click on, surface points) go by name; fingers that a body only has as a hand go to the hand.
    """
    model = joint_set(skeleton).joints
    side, _, rest = point.partition("_")
    if rest in _SIDED:
        names: Sequence[str] = [each.format(side=side) for each in _SIDED[rest]]
    elif point in _MIDDLE:
        names = _MIDDLE[point]
    elif point in model:
        parents, own = PARENTS[skeleton], model.index(point)
        near = [own, *(child for child, parent in enumerate(parents) if parent == own)]
        return tuple(model[k] for k in (near if own == 0 else [*near, parents[own]]))
    elif (finger := _finger(point)) is not None:
        whole = [f"{side}_wrist", f"{side}_hand"]
        names = [f"{finger}{segment}" for segment in (1, 2, 3)] if f"{finger}1" in model else whole
    elif point in _ON_HEAD or rest in ("eye", "ear", "eyeball") or point.startswith("face"):
        names = _HEAD
    else:
        return ()
    return tuple(name for name in names if name in model)


def _finger(point: str) -> str | None:
    """``left_thumb`` of ``left_thumb_tip`` or ``left_thumb2``, ``thumb`` of a single hand's; None if it is no finger."""
    stem = point.removesuffix("_tip").rstrip("123")
    return stem if stem.rpartition("_")[2] in _FINGERS and stem != point else None
