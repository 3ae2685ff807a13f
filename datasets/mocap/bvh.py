"""Reading BVH, whatever the order of its channels.

A joint's channels read from left to right: ``Zrotation Yrotation Xrotation`` turns by Rz @ Ry @ Rx. Position channels
take the place of the joint's OFFSET, axis by axis, as animation programs write them. Angles are degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...config import nearest
from .rotations import AXES, euler_to_matrix
from .skeleton import Motion, Skeleton, snap_fps
from .text import Place, numbers, read_text

CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in AXES)


@dataclass
class _Hierarchy:
    """What the upper part of a file declares, joint by joint."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float] | None] = field(default_factory=list)
    channels: list[tuple[str, ...] | None] = field(default_factory=list)
    ends: set[int] = field(default_factory=set)
    lines: list[int] = field(default_factory=list)


def read_bvh(path: Path | str) -> Motion:
    """Read a BVH file, plain or gzip, in the units and axes of the file.

    Raises:
        UserError: with file and line, for a hierarchy or motion block that is not whole; see the checks below.
    """
    return parse_bvh(read_text(path), str(path))


def parse_bvh(text: str, source: str) -> Motion:
    """The motion that the text of a BVH file holds; ``source`` names it in errors."""
    place = Place(source)
    lines = text.split("\n")
    motion_at = next((n for n, line in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    if motion_at is None:
        raise place.error(None, "there is no line MOTION: the file is truncated or no BVH")
    tree = _read_hierarchy(lines[:motion_at], place)
    skeleton = Skeleton(
        tuple(tree.names), tuple(tree.parents), np.array(tree.offsets, float), frozenset(tree.ends), tuple(tree.lines)
    )
    channels = [channel or () for channel in tree.channels]
    values, fps = _read_motion(lines, motion_at, sum(map(len, channels)), place)
    return _assemble(skeleton, channels, values, fps, source)


def _read_hierarchy(lines: list[str], place: Place) -> _Hierarchy:
    """Walk the declarations; the stack holds the joints whose braces are open."""
    tree, opening, started = _Hierarchy(), False, False
    stack: list[int] = []
    for number, line in enumerate(lines, 1):
        words = line.replace("{", " { ").replace("}", " } ").split()
        while words:
            word = words.pop(0)
            key = word.upper()
            if key == "HIERARCHY":
                started = True
            elif key in ("ROOT", "JOINT", "END"):
                if opening:
                    raise place.error(number, f"'{tree.names[-1]}' (line {tree.lines[-1]}) is not followed by a brace")
                called = [words.pop(0) for _ in range(len(words)) if words[0] != "{"]
                _declare(tree, stack, key, " ".join(called), number, place)
                opening = True
            elif key == "{":
                if not opening:
                    raise place.error(number, "a brace opens that belongs to no joint")
                stack.append(len(tree.names) - 1)
                opening = False
            elif key == "}":
                _close(tree, stack, number, place)
            elif key in ("OFFSET", "CHANNELS") and stack and not opening:
                (_offset if key == "OFFSET" else _channels)(tree, stack[-1], words, number, place)
            else:
                known = ("HIERARCHY", "ROOT", "JOINT", "End Site", "OFFSET", "CHANNELS", "MOTION")
                raise place.error(number, f"unexpected '{word}': {nearest(word, known)}")
    if not started or not tree.names:
        raise place.error(1, "a BVH file begins with HIERARCHY and a ROOT joint")
    if stack or opening:
        last = tree.names[stack[-1] if stack else -1]
        raise place.error(len(lines), f"the braces of joint '{last}' are not closed before MOTION")
    return tree


def _declare(tree: _Hierarchy, stack: list[int], key: str, name: str, line: int, place: Place) -> None:
    """Add a joint or an end site below the innermost open joint."""
    if (key == "ROOT") == bool(tree.names) or (key != "ROOT" and not stack):
        reason = "a second ROOT; one skeleton a file is read" if key == "ROOT" else f"{key} outside of a ROOT"
        raise place.error(line, reason)
    if stack and stack[-1] in tree.ends:
        raise place.error(line, f"{key} inside of an End Site, where bones end")
    if key == "END":
        name = f"{tree.names[stack[-1]]}_end"
        while name in tree.names:
            name += "_"
        tree.ends.add(len(tree.names))
    elif not name:
        raise place.error(line, f"{key} without a name")
    elif name in tree.names:
        where = tree.lines[tree.names.index(name)]
        kind = "is its own ancestor" if tree.names.index(name) in stack else "is declared twice"
        raise place.error(line, f"joint '{name}' {kind} (first on line {where}); names must differ")
    tree.names.append(name)
    tree.parents.append(stack[-1] if stack else -1)
    tree.offsets.append(None)
    tree.channels.append(() if key == "END" else None)
    tree.lines.append(line)


def _close(tree: _Hierarchy, stack: list[int], line: int, place: Place) -> None:
    """Leave a joint, which must have been described."""
    if not stack:
        raise place.error(line, "a brace closes that was never opened")
    joint = stack.pop()
    lacking = "OFFSET" if tree.offsets[joint] is None else "CHANNELS" if tree.channels[joint] is None else ""
    if lacking:
        raise place.error(tree.lines[joint], f"joint '{tree.names[joint]}' has no {lacking}")


def _offset(tree: _Hierarchy, joint: int, words: list[str], line: int, place: Place) -> None:
    if len(words) < 3:
        raise place.error(line, f"OFFSET of '{tree.names[joint]}' has {len(words)} numbers, need 3")
    tree.offsets[joint] = numbers([words.pop(0) for _ in range(3)], place, line, f"OFFSET of '{tree.names[joint]}'")


def _channels(tree: _Hierarchy, joint: int, words: list[str], line: int, place: Place) -> None:
    name = tree.names[joint]
    if not words or not words[0].isdecimal():
        raise place.error(line, f"CHANNELS of '{name}' must begin with their number")
    count = int(words.pop(0))
    if len(words) < count:
        raise place.error(line, f"CHANNELS of '{name}' announces {count} channels and names {len(words)}")
    spelled = {channel.lower(): channel for channel in CHANNELS}
    found = []
    for _ in range(count):
        word = words.pop(0)
        if word.lower() not in spelled:
            raise place.error(line, f"unknown channel '{word}' of '{name}': {nearest(word, CHANNELS)}")
        found.append(spelled[word.lower()])
    if len(set(found)) < len(found):
        raise place.error(line, f"CHANNELS of '{name}' names a channel twice")
    tree.channels[joint] = tuple(found)


def _read_motion(lines: list[str], start: int, width: int, place: Place) -> tuple[np.ndarray, float]:
    """Values (T, width) and the frame rate of the lower part of a file."""
    rows = [(n, line) for n, line in enumerate(lines[start + 1 :], start + 2) if line.strip()]
    announced, fps = None, None
    while rows and ":" in rows[0][1]:
        number, line = rows.pop(0)
        key, _, value = line.partition(":")
        what = " ".join(key.split()).lower()
        if what not in ("frames", "frame time"):
            raise place.error(number, f"unexpected '{key.strip()}': {nearest(what, ('Frames', 'Frame Time'))}")
        given = numbers(value.split()[:1] or [""], place, number, key.strip())[0]
        if what == "frames":
            announced = int(given)
        elif given <= 0:
            raise place.error(number, f"Frame Time is {value.strip()}; it must be positive seconds")
        else:
            fps = snap_fps(given)
    if announced is None or fps is None:
        lacking = "Frames" if announced is None else "Frame Time"
        raise place.error(start + 1, f"MOTION is not followed by '{lacking}:'")
    if not rows:
        raise place.error(len(lines), "there is no frame after 'Frame Time:': the file is truncated")
    return _read_rows(rows, announced, width, place), fps


def _read_rows(rows: list[tuple[int, str]], announced: int, width: int, place: Place) -> np.ndarray:
    """The block of numbers at once; line by line only to name what is wrong."""
    words = [line.split() for _, line in rows]
    for (number, _), row in zip(rows, words, strict=True):
        if len(row) != width:
            raise place.error(number, f"{len(row)} values where the hierarchy has {width} channels")
    if len(rows) != announced:
        raise place.error(
            rows[-1][0], f"{len(rows)} frames where the header announces {announced}: mend 'Frames:' or the file"
        )
    try:
        values = np.array(words, np.float64)
    except ValueError:
        values = np.full((1, 1), np.nan)
    if not np.isfinite(values).all():
        for (number, _), row in zip(rows, words, strict=True):
            numbers(row, place, number, f"frame {number - rows[0][0] + 1}")
    return values


def _assemble(
    skeleton: Skeleton, channels: list[tuple[str, ...]], values: np.ndarray, fps: float, source: str
) -> Motion:
    """Channels to rotations, the root's path, and the paths of other joints that move."""
    frames = len(values)
    rotations = np.broadcast_to(np.eye(3), (frames, skeleton.count, 3, 3)).copy()
    positions = np.broadcast_to(skeleton.offsets, (frames, skeleton.count, 3)).copy()
    column = 0
    for joint, names in enumerate(channels):
        block = dict(zip(names, values[:, column : column + len(names)].T, strict=True))
        column += len(names)
        turning = [name for name in names if name.endswith("rotation")]
        if turning:
            angles = np.radians(np.stack([block[name] for name in turning], -1))
            rotations[:, joint] = euler_to_matrix(angles, "".join(name[0] for name in turning))
        for name in names:
            if name.endswith("position"):
                positions[:, joint, AXES.index(name[0])] = block[name]
    below_root = any(name.endswith("position") for names in channels[1:] for name in names)
    return Motion(skeleton, rotations, positions[:, 0], fps, source, positions if below_root else None)
