"""Writing BVH that reads back to better than a hundredth of a degree."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..publish import replace_file
from .rotations import matrix_to_euler
from .skeleton import Motion


def write_bvh(path: Path | str, motion: Motion, order: str = "ZYX", decimals: int = 6) -> Path:
    """Write a motion as BVH in its own units and axes, by a temporary file and a rename.

    Args:
        order: rotation channels from left to right.
        decimals: of angles in degrees and of lengths; 6 keeps angles to a millionth of a degree, away from the pole
            of the Euler angles too, since matrices are written and not differences.

    Raises:
        UserError: if the file cannot be written.
    """
    text = format_bvh(motion, order, decimals)
    return replace_file(Path(path), lambda temp: temp.write_text(text, encoding="utf-8"))


def format_bvh(motion: Motion, order: str = "ZYX", decimals: int = 6) -> str:
    """The text of a BVH file; see :func:`write_bvh`."""
    skeleton, turning = motion.skeleton, " ".join(f"{axis}rotation" for axis in order)
    moving = motion.local_positions is not None
    lines = ["HIERARCHY"]
    columns: list[np.ndarray] = []

    def joint(index: int, depth: int) -> None:
        tab, end = "\t" * depth, index in skeleton.ends
        kind = "End Site" if end else f"{'ROOT' if depth == 0 else 'JOINT'} {skeleton.names[index]}"
        offset = " ".join(f"{value:.{decimals}f}" for value in skeleton.offsets[index])
        lines.extend([tab + kind, tab + "{", f"{tab}\tOFFSET {offset}"])
        if not end:
            placed = depth == 0 or moving
            places = "Xposition Yposition Zposition " if placed else ""
            lines.append(f"{tab}\tCHANNELS {6 if placed else 3} {places}{turning}")
            if depth == 0:
                columns.append(motion.translation)
            elif motion.local_positions is not None:
                columns.append(motion.local_positions[:, index])
            columns.append(np.degrees(matrix_to_euler(motion.rotations[:, index], order)))
            children = skeleton.children(index)
            for child in children:
                joint(child, depth + 1)
            if not children:
                lines.extend([tab + "\tEnd Site", tab + "\t{", tab + "\t\tOFFSET 0 0 0", tab + "\t}"])
        lines.append(tab + "}")

    joint(0, 0)
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {1 / motion.fps:.9f}"]
    row = " ".join([f"%.{decimals}f"] * sum(column.shape[1] for column in columns))
    lines += [row % tuple(values) for values in np.concatenate(columns, 1).tolist()]
    return "\n".join(lines) + "\n"
