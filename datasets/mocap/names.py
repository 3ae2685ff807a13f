"""Which joint of a skeleton is which: name tables of the common conventions, or a user's own map.

A convention names the limbs, the head and the root; the spine is what lies between the root and where the shoulders
part, the neck what lies between there and the head, so that any number of them will do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ...config import UserError, nearest, parse_yaml
from ...models.joints.hands import FINGERS
from ...models.joints.smpl_family import SMPL_SETS
from .skeleton import Skeleton

LIMBS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
"""Joints that both sides have, by their SMPL names; "foot" is the ball of the foot."""

OPTIONAL = frozenset(f"{side}_{limb}" for side in ("left", "right") for limb in ("foot", "collar")) | {"neck"}
"""Joints that a skeleton may lack; all others must be there."""

REQUIRED = tuple(
    name
    for name in ("pelvis", "head", *(f"{side}_{limb}" for side in ("left", "right") for limb in LIMBS))
    if name not in OPTIONAL
)

# Two-sided names hold {S} (Left), {s} (l) or {C} (L). Alternatives are parted by bars. Matching ignores case, spaces,
# underscores, dots and dashes. Order: hip knee ankle foot collar shoulder elbow wrist.
_TABLES: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    # convention: (root, head, limbs, fingers with {finger} and {n})
    "cmu-asf": (
        "root",
        "head",
        ("{s}femur", "{s}tibia", "{s}foot", "{s}toes", "{s}clavicle", "{s}humerus", "{s}radius", "{s}hand"),
        "",
    ),
    "cmu-bvh": (  # B. Hahne's conversion for MotionBuilder; HIK names, with joints that HIK does not have
        "Hips",
        "Head",
        (
            *("{S}UpLeg", "{S}Leg", "{S}Foot", "{S}ToeBase", "{S}Shoulder", "{S}Arm", "{S}ForeArm"),
            "{S}FingerBase",
        ),
        "",
    ),
    "cmu-bvh-3dsmax": (  # the same for 3ds Max, and most BVH files of the web
        "Hips|Hip",
        "Head",
        ("{S}Hip", "{S}Knee", "{S}Ankle", "{S}Toe", "{S}Collar", "{S}Shoulder", "{S}Elbow", "{s}hand|{S}Wrist"),
        "",
    ),
    "humanik": (  # MotionBuilder's HumanIK; Mixamo, LAFAN1 and many others use it
        "Hips",
        "Head",
        (
            *("{S}UpLeg", "{S}Leg", "{S}Foot", "{S}ToeBase|{S}Toe", "{S}Shoulder", "{S}Arm", "{S}ForeArm"),
            "{S}Hand",
        ),
        "{S}Hand{finger}{n}",
    ),
    "biped": (  # 3ds Max character studio
        "Pelvis",
        "Head",
        (
            *("{C} Thigh", "{C} Calf", "{C} Foot", "{C} Toe0", "{C} Clavicle", "{C} UpperArm", "{C} Forearm"),
            "{C} Hand",
        ),
        "",
    ),
    "unreal": (
        "pelvis",
        "head",
        ("thigh_{s}", "calf_{s}", "foot_{s}", "ball_{s}", "clavicle_{s}", "upperarm_{s}", "lowerarm_{s}", "hand_{s}"),
        "{finger}_0{n}_{s}",
    ),
    "daz": (  # Poser, Daz and Second Life; Genesis adds Bend
        "hip|mPelvis",
        "head",
        (
            *("{s}Thigh|{s}ThighBend", "{s}Shin", "{s}Foot", "{s}Toe|{s}Toes", "{s}Collar"),
            *("{s}Shldr|{s}ShldrBend", "{s}ForeArm|{s}ForearmBend", "{s}Hand"),
        ),
        "{s}{finger}{n}",
    ),
    "xsens": (
        "Hips|Pelvis",
        "Head",
        (
            *("{S}UpperLeg|{S}Thigh", "{S}LowerLeg|{S}Shin", "{S}Foot", "{S}Toe|{S}Toes", "{S}Shoulder"),
            *("{S}UpperArm", "{S}ForeArm|{S}LowerArm", "{S}Hand"),
        ),
        "",
    ),
    "smpl": ("pelvis", "head", tuple("{S}_" + limb for limb in LIMBS), "{S}_{finger}{n}"),
}

_PREFIX = re.compile(r"^(?:.*:|mixamorig\d*|character\d*_|bip\d+\s*|valvebiped\W*|def-)", re.IGNORECASE)


@dataclass(frozen=True)
class JointMap:
    """Which joint of a skeleton stands for which of SMPL's.

    Attributes:
        convention: name of the table, or the file of a user's map.
        joints: index in the skeleton by SMPL joint name; limbs, head, pelvis, and fingers where there are any.
        spine: joints from the one above the root to where the shoulders part.
        neck: joints above that, up to the head, which is the last.
    """

    convention: str
    joints: dict[str, int]
    spine: tuple[int, ...]
    neck: tuple[int, ...]


def find_joints(skeleton: Skeleton, source: str, names: str | Path | None = None) -> JointMap:
    """Recognise a skeleton, or apply the user's map in the YAML file ``names`` (SMPL joint name: name in the file).

    Raises:
        UserError: for a skeleton of no known convention (the nearest is named, with what it lacks), a map that names
            joints that are not there, or one that lacks joints.
    """
    if names is not None:
        return _complete(skeleton, str(names), _own_map(skeleton, Path(names)), source)
    found = {convention: _match(skeleton, convention) for convention in _TABLES}
    whole = {name: joints for name, joints in found.items() if not _missing(joints)}
    if not whole:
        best = max(found, key=lambda name: len(found[name]))
        missing = ", ".join(_missing(found[best])[:4])
        raise UserError(
            f"{source}: unknown skeleton; nearest is '{best}' ({len(found[best])} joints match, missing {missing}): "
            f"give a map with names=FILE.yaml, lines of the form 'left_knee: name in the file'"
        )
    # More joints of the body win (fingers do not count), then the more special convention, which stands further up.
    best = max(whole, key=lambda name: sum(joint[-1] not in "123" for joint in whole[name]))
    return _complete(skeleton, best, whole[best], source)


def _missing(joints: Mapping[str, int]) -> list[str]:
    return [name for name in REQUIRED if name not in joints]


def _plain(name: str) -> str:
    """A joint name without namespace, case and punctuation."""
    return re.sub(r"[\s_.\-]", "", _PREFIX.sub("", name)).lower()


def _wanted(convention: str) -> dict[str, list[str]]:
    """Plain spellings by SMPL joint name."""
    root, head, limbs, fingers = _TABLES[convention]
    spelled = {"pelvis": root, "head": head}
    for side in ("left", "right"):
        sides = {"S": side, "s": side[0], "C": side[0].upper()}
        spelled |= {f"{side}_{limb}": text.format(**sides) for limb, text in zip(LIMBS, limbs, strict=True)}
        if fingers:
            spelled |= {
                f"{side}_{finger}{n}": fingers.format(**sides, finger=finger, n=n)
                for finger in FINGERS
                for n in (1, 2, 3)
            }
    return {joint: [_plain(word) for word in text.split("|")] for joint, text in spelled.items()}


def _match(skeleton: Skeleton, convention: str) -> dict[str, int]:
    """Index by SMPL joint name of what a convention finds."""
    known: dict[str, int] = {}
    for index, name in enumerate(skeleton.names):
        if index not in skeleton.ends:
            known.setdefault(_plain(name), index)
    return {
        joint: known[spelling]
        for joint, spellings in _wanted(convention).items()
        for spelling in spellings[::-1]
        if spelling in known
    }


def _own_map(skeleton: Skeleton, path: Path) -> dict[str, int]:
    """A user's map, checked."""
    if not path.is_file():
        raise UserError(f"no joint map at {path}; write lines of the form 'left_knee: name in the file'")
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold lines of the form 'left_knee: name in the file'")
    ours = [name for name in SMPL_SETS["smplx55"].joints if not name.startswith("spine")]
    joints = {}
    for joint, name in values.items():
        if joint not in ours:
            raise UserError(f"{path}: unknown SMPL joint '{joint}': {nearest(str(joint), ours)}")
        if str(name) not in skeleton.names:
            raise UserError(
                f"{path}: '{joint}: {name}': no such joint in the file, {nearest(str(name), skeleton.names)}"
            )
        joints[str(joint)] = skeleton.names.index(str(name))
    return joints


def _complete(skeleton: Skeleton, convention: str, joints: dict[str, int], source: str) -> JointMap:
    """Add spine and neck, after checking that joints follow each other down the tree."""
    missing = _missing(joints)
    if missing:
        raise UserError(f"{convention} lacks {', '.join(missing)}: name them, or the skeleton cannot be retargeted")
    for side in ("left", "right"):
        for upper, lower in zip(("hip", "knee", "shoulder", "elbow"), ("knee", "ankle", "elbow", "wrist"), strict=True):
            first, second = joints[f"{side}_{upper}"], joints[f"{side}_{lower}"]
            if first not in skeleton.chain(second)[:-1]:
                raise UserError(
                    f"{source}: '{skeleton.names[second]}' ({side}_{lower}) does not hang below "
                    f"'{skeleton.names[first]}' ({side}_{upper}): give the right joints with names=FILE.yaml"
                )
    arms = [skeleton.chain(joints[f"{side}_shoulder"]) for side in ("left", "right")]
    chest = [a for a, b in zip(*arms, strict=False) if a == b][-1]
    to_chest, to_head = skeleton.chain(chest), skeleton.chain(joints["head"])
    root = joints["pelvis"]
    spine = tuple(to_chest[to_chest.index(root) + 1 :]) if root in to_chest else tuple(to_chest[1:])
    shared = sum(a == b for a, b in zip(to_chest, to_head, strict=False))
    return JointMap(convention, joints, spine, tuple(to_head[shared:]))
