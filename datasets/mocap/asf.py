"""ASF: Acclaim's skeleton files, as the CMU motion capture database keeps them.

A bone runs from the end of its parent along ``direction`` for ``length``; ``axis`` turns the frame in which its degrees
of freedom are measured. With C the axis rotation and M the one of the motion file, a bone turns by C M C^-1 in its
parent's frame. In the skeleton made here **a joint bears the name of the bone that starts at it**, and bones that end
freely have an end site. ``length`` in ``:units`` counts file units an inch: 0.45 means 0.0254 / 0.45 m a unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...config import nearest
from ...models.geometry import axis_rotation
from .skeleton import Skeleton
from .text import Place, numbers, read_text

INCH = 0.0254
ROTATION_DOFS = ("rx", "ry", "rz")
TRANSLATION_DOFS = ("tx", "ty", "tz")


@dataclass
class Bone:
    """One bone as the file declares it, in file units and radians."""

    name: str
    line: int
    direction: np.ndarray | None = None
    length: float | None = None
    axis: np.ndarray = field(default_factory=lambda: np.eye(3))
    dof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acclaim:
    """A skeleton with what a motion file needs to be read.

    Attributes:
        skeleton: joints in metres, Y up as in the file; joint 0 is "root".
        axes: (J, 3, 3) axis rotation C of each joint.
        dof: what the motion file gives for each joint, in its order: "rx", "ry", "rz", and "tx" … at the root.
        root_turn: letters in which the root's rotations follow each other, the first turns first.
        origin: (3,) position of the root when the motion file says zero, metres.
        metre: metres a file unit. degrees: whether angles are degrees.
    """

    skeleton: Skeleton
    axes: np.ndarray
    dof: tuple[tuple[str, ...], ...]
    root_turn: str
    origin: np.ndarray
    metre: float
    degrees: bool
    path: str


def turn_in_sequence(angles: np.ndarray, letters: str) -> np.ndarray:
    """Rotations (..., 3, 3) of angles (..., n), radians, about fixed axes; the first letter turns first.

    "XYZ" gives Rz @ Ry @ Rx.
    """
    result = np.broadcast_to(np.eye(3), (*angles.shape[:-1], 3, 3)).copy()
    for place, letter in enumerate(letters):
        result = axis_rotation("XYZ".index(letter), angles[..., place]) @ result
    return result


def read_asf(path: Path | str) -> Acclaim:
    """Read an ASF file.

    Raises:
        UserError: with file and line, for bones that are unknown, twice there, without direction or length, of length
            zero, hung in a circle or not at all, or for degrees of freedom that are not understood.
    """
    return parse_asf(read_text(path), str(path))


def parse_asf(text: str, source: str) -> Acclaim:
    """The skeleton that the text of an ASF file holds."""
    place = Place(source)
    sections = _sections(text, place)
    for needed in (":root", ":bonedata", ":hierarchy"):
        if needed not in sections:
            raise place.error(None, f"there is no {needed} section: the file is truncated or no ASF")
    metre, degrees = _units(sections.get(":units", []), place)
    root, root_dof, root_turn, origin = _root(sections[":root"], degrees, place)
    bones = {"root": root, **_bones(sections[":bonedata"], degrees, place)}
    parents = _hierarchy(sections[":hierarchy"], bones, place)
    order = _sorted(parents, bones, place)
    names, index = list(order), {name: i for i, name in enumerate(order)}
    offsets, up = np.zeros((len(order), 3)), [-1] + [index[parents[name]] for name in order[1:]]
    for i, name in enumerate(order[1:], 1):
        offsets[i] = _vector(bones[parents[name]]) * metre
    leaves = [name for name in order[1:] if name not in parents.values()]
    skeleton = Skeleton(
        (*names, *(f"{name}_end" for name in leaves)),
        (*up, *(index[name] for name in leaves)),
        np.concatenate([offsets, [_vector(bones[name]) * metre for name in leaves]]),
        frozenset(range(len(names), len(names) + len(leaves))),
        tuple(bones[name].line for name in [*order, *leaves]),
    )
    axes = np.stack([bones[name].axis for name in order] + [np.eye(3)] * len(leaves))
    dof = (root_dof, *(bones[name].dof for name in order[1:]), *(() for _ in leaves))
    return Acclaim(skeleton, axes, dof, root_turn, origin * metre, metre, degrees, source)


def _vector(bone: Bone) -> np.ndarray:
    """From the start of a bone to its end; the root has no extent."""
    if bone.name == "root":
        return np.zeros(3)
    assert bone.direction is not None and bone.length is not None
    return bone.direction * bone.length


Lines = list[tuple[int, list[str]]]


def _sections(text: str, place: Place) -> dict[str, Lines]:
    """Lines of words by section keyword (":root"), with their numbers."""
    sections: dict[str, Lines] = {}
    current: Lines = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith(":"):
            key = words[0].lower()
            if key in sections:
                raise place.error(number, f"a second section {key}")
            current = sections[key] = []
        else:
            current.append((number, words))
    return sections


def _units(lines: Lines, place: Place) -> tuple[float, bool]:
    """Metres a unit, and whether angles are degrees."""
    length, degrees = 1.0, True
    for number, words in lines:
        key = words[0].lower()
        if key == "length":
            length = numbers(words[1:2], place, number, "length")[0] if len(words) > 1 else 0.0
            if length <= 0:
                raise place.error(number, "the unit of length must be a positive number")
        elif key == "angle":
            unit = words[1].lower() if len(words) > 1 else ""
            if unit not in ("deg", "rad"):
                raise place.error(number, f"angle is '{unit}'; known: deg, rad")
            degrees = unit == "deg"
    return INCH / length, degrees


def _root(lines: Lines, degrees: bool, place: Place) -> tuple[Bone, tuple[str, ...], str, np.ndarray]:
    """The root as a bone, the order of its values, the order of its turns, and where it starts (file units)."""
    root = Bone("root", lines[0][0] if lines else 1)
    dof: tuple[str, ...] = ("tx", "ty", "tz", "rx", "ry", "rz")
    turn, origin, orientation = "XYZ", np.zeros(3), np.zeros(3)
    for number, words in lines:
        key, rest = words[0].lower(), words[1:]
        if key == "order":
            dof = _dof(rest, ROTATION_DOFS + TRANSLATION_DOFS, place, number, "root")
        elif key == "axis":
            turn = _letters(rest[0] if rest else "", place, number)
        elif key in ("position", "orientation"):
            values = np.array(numbers(rest, place, number, key))
            if len(values) != 3:
                raise place.error(number, f"{key} has {len(values)} numbers, need 3")
            if key == "position":
                origin = values
            else:
                orientation = values
        else:
            raise place.error(number, f"unknown word '{key}': {nearest(key, ('order', 'axis', 'position'))}")
    root.axis = turn_in_sequence(np.radians(orientation) if degrees else orientation, turn)
    return root, dof, turn, origin


def _bones(lines: Lines, degrees: bool, place: Place) -> dict[str, Bone]:
    """Bones by name, checked one by one."""
    bones: dict[str, Bone] = {}
    bone: Bone | None = None
    for number, words in lines:
        key, rest = words[0].lower(), words[1:]
        if key == "begin":
            if bone is not None:
                raise place.error(number, f"'begin' inside of bone '{bone.name or '?'}' (line {bone.line})")
            bone = Bone("", number)
        elif bone is None:
            raise place.error(number, f"'{words[0]}' outside of a bone: 'begin' is missing")
        elif key == "end":
            _finish(bones, bone, place)
            bone = None
        else:
            _describe(bone, key, rest, degrees, place, number)
    if bone is not None:
        raise place.error(bone.line, f"bone '{bone.name}' has no 'end': the file is truncated")
    if not bones:
        raise place.error(None, "the :bonedata section holds no bone")
    return bones


def _describe(bone: Bone, key: str, rest: list[str], degrees: bool, place: Place, line: int) -> None:
    """Take one line of a bone."""
    if key == "name":
        bone.name, bone.line = " ".join(rest), line
    elif key == "direction":
        direction = np.array(numbers(rest, place, line, "direction"))
        if direction.shape != (3,) or not np.linalg.norm(direction) > 1e-6:
            raise place.error(line, f"direction of bone '{bone.name}' must be 3 numbers, not all zero")
        bone.direction = direction / np.linalg.norm(direction)
    elif key == "length":
        bone.length = numbers(rest[:1] or [""], place, line, "length")[0]
        if bone.length <= 0:
            raise place.error(line, f"bone '{bone.name}' has length {bone.length:g}; it must be positive")
    elif key == "axis":
        angles = np.array(numbers(rest[:3], place, line, "axis"))
        if len(angles) != 3 or len(rest) < 4:
            raise place.error(line, f"axis of bone '{bone.name}' must be three angles and their order, as XYZ")
        letters = _letters(rest[3], place, line)
        bone.axis = turn_in_sequence(np.radians(angles) if degrees else angles, letters)
    elif key == "dof":
        bone.dof = _dof(rest, ROTATION_DOFS, place, line, f"bone '{bone.name}'")
    elif key not in ("id", "limits", "bodymass", "cofmass") and not key.startswith("("):
        known = ("id", "name", "direction", "length", "axis", "dof", "limits")
        raise place.error(line, f"unknown word '{key}': {nearest(key, known)}")


def _finish(bones: dict[str, Bone], bone: Bone, place: Place) -> None:
    if not bone.name:
        raise place.error(bone.line, "a bone has no name")
    if bone.name in bones or bone.name == "root":
        raise place.error(bone.line, f"bone '{bone.name}' is declared twice; names must differ")
    if bone.direction is None or bone.length is None:
        raise place.error(bone.line, f"bone '{bone.name}' has no {'direction' if bone.direction is None else 'length'}")
    bones[bone.name] = bone


def _letters(word: str, place: Place, line: int) -> str:
    if sorted(word.upper()) != ["X", "Y", "Z"]:
        raise place.error(line, f"axis order '{word}' is none of XYZ, XZY, YXZ, YZX, ZXY, ZYX")
    return word.upper()


def _dof(words: list[str], known: tuple[str, ...], place: Place, line: int, what: str) -> tuple[str, ...]:
    found = tuple(word.lower() for word in words)
    for word in found:
        if word not in known:
            raise place.error(line, f"degree of freedom '{word}' of {what} is not read; known: {', '.join(known)}")
    if len(set(found)) < len(found):
        raise place.error(line, f"{what} names a degree of freedom twice")
    return found


def _hierarchy(lines: Lines, bones: dict[str, Bone], place: Place) -> dict[str, str]:
    """Parent of each bone by name."""
    parents: dict[str, str] = {}
    for number, words in lines:
        if words[0].lower() in ("begin", "end") and len(words) == 1:
            continue
        for name in words:
            if name not in bones:
                raise place.error(number, f"unknown bone '{name}' in the hierarchy: {nearest(name, bones)}")
        for child in words[1:]:
            if child == "root" or child == words[0]:
                raise place.error(number, f"'{child}' hangs on '{words[0]}': the hierarchy goes in a circle")
            if child in parents:
                raise place.error(number, f"bone '{child}' hangs on '{parents[child]}' and on '{words[0]}'")
            parents[child] = words[0]
    return parents


def _sorted(parents: dict[str, str], bones: dict[str, Bone], place: Place) -> list[str]:
    """Names such that parents come first; every bone must be reached from the root."""
    order = ["root"]
    for name in order:  # grows while it is walked
        order.extend(child for child, parent in parents.items() if parent == name)
    left = [name for name in bones if name not in order]
    if left:
        lonely = next((name for name in left if name not in parents), None)
        if lonely is None:
            raise place.error(bones[left[0]].line, f"the hierarchy goes in a circle through bone '{left[0]}'")
        raise place.error(bones[lonely].line, f"bone '{lonely}' hangs nowhere in the hierarchy")
    return order
