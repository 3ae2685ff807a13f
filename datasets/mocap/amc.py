"""AMC: the motions that go with an ASF skeleton."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...config import UserError, nearest
from .asf import Acclaim, read_asf, turn_in_sequence
from .skeleton import Motion
from .text import Place, numbers, read_text

CMU_FPS = 120.0
"""AMC files do not say how fast they run; CMU's were taken at 120 Hz (mocap.cs.cmu.edu/faqs.php)."""


def read_amc(path: Path | str, asf: Path | str | None = None, fps: float = CMU_FPS) -> Motion:
    """Read an AMC file, plain or gzip, and the ASF file beside it. Metres, in the axes of the file.

    Args:
        asf: the skeleton; by default looked for beside the motion, see :func:`find_asf`.
        fps: frames a second, which the format does not hold.

    Raises:
        UserError: with file and line, if either file is not whole or they do not fit each other.
    """
    skeleton = read_asf(find_asf(path) if asf is None else asf)
    return parse_amc(read_text(path), skeleton, str(path), fps)


def find_asf(amc: Path | str) -> Path:
    """The skeleton of a motion: ``02.asf`` (or .asf.gz) beside ``02_01.amc``, or one of the motion's own name.

    Raises:
        UserError: if there is none; names what was looked for.
    """
    amc = Path(amc)
    stem = amc.name.removesuffix(".gz").removesuffix(".amc")
    tried = [
        f"{name}.asf{pack}" for name in dict.fromkeys([stem, stem.rpartition("_")[0]]) if name for pack in ("", ".gz")
    ]
    for name in tried:
        if (amc.parent / name).is_file():
            return amc.parent / name
    raise UserError(f"{amc}: no skeleton beside it (looked for {', '.join(tried)}); give it by asf=FILE.asf")


def parse_amc(text: str, body: Acclaim, source: str, fps: float = CMU_FPS) -> Motion:
    """The motion that the text of an AMC file holds."""
    if not fps > 0:
        raise UserError(f"{source}: fps is {fps}; give a positive number")
    place = Place(source)
    lines = [(n, line.split()) for n, line in enumerate(text.split("\n"), 1)]
    lines = [(n, words) for n, words in lines if words and not words[0].startswith("#")]
    head = [(n, words) for n, words in lines if words[0].startswith(":")]
    degrees = body.degrees
    for number, words in head:
        key = words[0].lower()
        if key in (":degrees", ":radians"):
            degrees = key == ":degrees"
        elif key not in (":fully-specified", ":samples-per-second"):
            raise place.error(number, f"unknown word '{words[0]}': {nearest(key, (':degrees', ':radians'))}")
    values = _values([(n, words) for n, words in lines if not words[0].startswith(":")], body, place)
    return _assemble(values, body, degrees, fps, source)


def _values(lines: list[tuple[int, list[str]]], body: Acclaim, place: Place) -> dict[str, np.ndarray]:
    """Values (T, dof) by bone; every frame must give the same bones in the same order."""
    if not lines:
        raise place.error(None, "there is no frame: the file is truncated or no AMC")
    wanted = {name: dof for name, dof in zip(body.skeleton.names, body.dof, strict=True) if dof}
    size = len(wanted) + 1
    order = [words[0] for _, words in lines[1:size]]
    if len(lines) % size or set(order) != set(wanted) or not _regular(lines, order, wanted, size):
        _explain(lines, wanted, place)
        # Whole frames whose bones come in another order each time: sort them.
        lines = _reordered(lines, wanted, size)
        order = list(wanted)
    result = {}
    for row, name in enumerate(order, 1):
        chosen = lines[row::size]
        try:
            block = np.array([words[1:] for _, words in chosen], np.float64)
        except ValueError:
            block = np.full((1, 1), np.nan)
        if not np.isfinite(block).all():
            for number, words in chosen:
                numbers(words[1:], place, number, f"bone '{name}'")
        result[name] = block
    return result


def _regular(
    lines: list[tuple[int, list[str]]], order: list[str], wanted: dict[str, tuple[str, ...]], size: int
) -> bool:
    """Whether all frames are numbered from the first on and hold the bones in the same order with the right counts."""
    first = lines[0][1]
    if len(first) != 1 or not first[0].isdecimal():
        return False
    start = int(first[0])
    if any(words != [str(start + i)] for i, (_, words) in enumerate(lines[::size])):
        return False
    for row, name in enumerate(order, 1):
        length = len(wanted[name]) + 1
        if any(words[0] != name or len(words) != length for _, words in lines[row::size]):
            return False
    return True


def _explain(lines: list[tuple[int, list[str]]], wanted: dict[str, tuple[str, ...]], place: Place) -> None:
    """Raise for the first thing that is wrong; return if every frame is whole."""
    if not _is_number(lines[0][1]):
        raise place.error(lines[0][0], f"'{' '.join(lines[0][1])}' where the number of the first frame should stand")
    frame, seen, begun = "", set(wanted), lines[0][0]
    for number, words in [*lines, (lines[-1][0], ["end"])]:
        if _is_number(words) or words == ["end"]:
            missing = [name for name in wanted if name not in seen]
            if missing:
                cut = " (the file is truncated)" if words == ["end"] else ""
                raise place.error(begun, f"frame {frame} lacks bone '{missing[0]}'{cut}")
            if frame and words != ["end"] and int(words[0]) != int(frame) + 1:
                raise place.error(number, f"frame {words[0]} follows frame {frame}: frames are missing")
            frame, seen, begun = words[0], set(), number
            continue
        name, given = words[0], len(words) - 1
        if name not in wanted:
            raise place.error(number, f"unknown bone '{name}' (or one without dof): {nearest(name, wanted)}")
        if name in seen:
            raise place.error(number, f"frame {frame} gives bone '{name}' twice")
        if given != len(wanted[name]):
            raise place.error(number, f"bone '{name}' has {given} values, its dof in the ASF are {len(wanted[name])}")
        seen.add(name)


def _is_number(words: list[str]) -> bool:
    return len(words) == 1 and words[0].isdecimal()


def _reordered(
    lines: list[tuple[int, list[str]]], wanted: dict[str, tuple[str, ...]], size: int
) -> list[tuple[int, list[str]]]:
    """Lines with the bones of every frame in the order of the skeleton."""
    result = []
    for start in range(0, len(lines), size):
        by_name = {words[0]: (number, words) for number, words in lines[start + 1 : start + size]}
        result += [lines[start], *(by_name[name] for name in wanted)]
    return result


def _assemble(values: dict[str, np.ndarray], body: Acclaim, degrees: bool, fps: float, source: str) -> Motion:
    """Degrees of freedom to rotations C M C^-1 and the root's path."""
    frames, skeleton = len(values["root"]) if "root" in values else len(next(iter(values.values()))), body.skeleton
    rotations = np.broadcast_to(np.eye(3), (frames, skeleton.count, 3, 3)).copy()
    translation = np.broadcast_to(body.origin, (frames, 3)).copy()
    for joint, dof in enumerate(body.dof):
        block = values.get(skeleton.names[joint], np.zeros((frames, 0)))
        columns = dict(zip(dof, block.T, strict=True))
        letters = "".join(name[1].upper() for name in dof if name.startswith("r"))
        if joint == 0:
            letters = "".join(letter for letter in body.root_turn if letter in letters)
            for axis, name in enumerate(("tx", "ty", "tz")):
                if name in columns:
                    translation[:, axis] += columns[name] * body.metre
        angles = np.zeros((frames, len(letters)))
        for place, letter in enumerate(letters):
            angles[:, place] = columns[f"r{letter.lower()}"]
        turn = turn_in_sequence(np.radians(angles) if degrees else angles, letters)
        rotations[:, joint] = body.axes[joint] @ turn @ body.axes[joint].T
    return Motion(skeleton, rotations, translation, fps, source)
