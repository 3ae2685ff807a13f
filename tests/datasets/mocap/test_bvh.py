"""BVH: positions by hand, every channel order, tolerance, round trips, and defects named with their line."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.mocap.bvh import parse_bvh, read_bvh
from sim2pose.datasets.mocap.bvh_writer import format_bvh, write_bvh

from .conftest import BVH


def test_positions_by_hand() -> None:
    motion = parse_bvh(BVH, "x.bvh")
    assert motion.skeleton.names == ("Hips", "Knee", "Knee_end") and motion.skeleton.parents == (-1, 0, 1)
    assert motion.fps == 120 and motion.skeleton.ends == {2}
    _, positions = motion.global_pose()
    np.testing.assert_allclose(positions[0], [[0, 5, 0], [0, 3, 0], [0, 2, 0]], atol=1e-12)
    # Hips turn by 90 degrees about z: the thigh points to +x; the knee by 90 about its own x: the shin points to -z.
    np.testing.assert_allclose(positions[1], [[1, 5, 0], [3, 5, 0], [3, 5, -1]], atol=1e-12)


@pytest.mark.parametrize("order", map("".join, itertools.permutations("XYZ")))
def test_every_order_of_channels_reads_back(order: str) -> None:
    motion = parse_bvh(BVH, "x.bvh")
    again = parse_bvh(format_bvh(motion, order), "y.bvh")
    np.testing.assert_allclose(again.rotations, motion.rotations, atol=1e-7)
    np.testing.assert_allclose(again.translation, motion.translation, atol=1e-6)
    assert again.fps == 120 and again.skeleton.names == motion.skeleton.names


def test_case_line_ends_tabs_and_gzip_do_not_matter(tmp_path: Path) -> None:
    ugly = BVH.replace("\n", "\r\n").replace("  ", "\t").replace("Xrotation", "XROTATION").replace("{", " { ")
    (tmp_path / "x.bvh.gz").write_bytes(gzip.compress(ugly.encode() + b"\r\n\r\n"))
    read, plain = read_bvh(tmp_path / "x.bvh.gz"), parse_bvh(BVH, "x.bvh")
    np.testing.assert_array_equal(read.rotations, plain.rotations)


def test_position_channels_of_any_joint_take_the_place_of_offsets() -> None:
    text = BVH.replace("CHANNELS 1 Xrotation", "CHANNELS 2 Yposition Xrotation")
    text = text.replace("0 5 0 0 0 0 0\n", "0 5 0 0 0 0 -3 0\n").replace("1 5 0 90 0 0 90\n", "1 5 0 90 0 0 -4 90\n")
    motion = parse_bvh(text, "x.bvh")
    _, positions = motion.global_pose()
    np.testing.assert_allclose(positions[:, 1], [[0, 2, 0], [5, 5, 0]], atol=1e-12)
    again = parse_bvh(format_bvh(motion), "y.bvh")
    np.testing.assert_allclose(again.global_pose()[1], positions, atol=1e-5)


def test_rest_at_a_frame_keeps_the_motion() -> None:
    motion = parse_bvh(BVH, "x.bvh")
    moved = motion.rest_at(1)
    np.testing.assert_allclose(moved.global_pose()[1], motion.global_pose()[1], atol=1e-12)
    np.testing.assert_allclose(moved.rotations[1], np.stack([np.eye(3)] * 3), atol=1e-12)


DEFECTS = {
    "duplicate": (("JOINT Knee", "JOINT Hips"), r"x.bvh:6: joint 'Hips' is its own ancestor \(first on line 2\)"),
    "no channels": (("    CHANNELS 1 Xrotation\n", ""), "x.bvh:6: joint 'Knee' has no CHANNELS"),
    "no offset": (("    OFFSET 0 -2 0\n", ""), "x.bvh:6: joint 'Knee' has no OFFSET"),
    "unknown channel": (("1 Xrotation", "1 Xrotatoin"), "x.bvh:9: unknown channel 'Xrotatoin' of 'Knee': did you mean"),
    "channel twice": (("1 Xrotation", "2 Xrotation Xrotation"), "x.bvh:9: CHANNELS of 'Knee' names a channel twice"),
    "channel count": (("1 Xrotation", "3 Xrotation"), "x.bvh:9: CHANNELS of 'Knee' announces 3 channels and names 1"),
    "frame count": (("Frames: 2", "Frames: 3"), "x.bvh:20: 2 frames where the header announces 3"),
    "short row": (("1 5 0 90 0 0 90", "1 5 0 90 0 0"), "x.bvh:20: 6 values where the hierarchy has 7 channels"),
    "nan": (("1 5 0 90 0 0 90", "1 5 0 nan 0 0 90"), "x.bvh:20: frame 2: 'nan' is not a finite number"),
    "word": (("1 5 0 90 0 0 90", "1 5 0 -1.#IND 0 0 90"), "x.bvh:20: frame 2: '-1.#IND' is no number"),
    "frame time": ((".0083333", "0"), "x.bvh:18: Frame Time is 0; it must be positive"),
    "no frames line": (("Frames: 2\n", ""), "x.bvh:16: MOTION is not followed by 'Frames:'"),
    "open brace": (("}\n}\nMOTION", "}\nMOTION"), "x.bvh:14: the braces of joint 'Hips' are not closed"),
    "second root": (("  JOINT Knee", "  ROOT Knee"), "x.bvh:6: .*ROOT"),
    "no motion": (("MOTION", ""), "there is no line MOTION: the file is truncated or no BVH"),
    "bad word": (("JOINT Knee", "JONT Knee"), "x.bvh:6: unexpected 'JONT': did you mean 'JOINT'"),
    "infinite offset": (("OFFSET 0 -2 0", "OFFSET 0 -inf 0"), "x.bvh:8: OFFSET of 'Knee': '-inf' is not a finite"),
    "no end": (("1 5 0 90 0 0 90\n", ""), "x.bvh:19: 1 frames where the header announces 2"),
    "nothing": ((BVH, "\n"), "there is no line MOTION"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_are_named_with_file_and_line(name: str) -> None:
    (old, new), sentence = DEFECTS[name]
    assert old in BVH
    with pytest.raises(UserError, match=sentence):
        parse_bvh(BVH.replace(old, new), "x.bvh")


def test_any_truncation_is_refused() -> None:
    """Cut anywhere, a file gives a sentence and never half a motion (cut within its last number it is undetectable)."""
    end = BVH.rstrip().rindex(" ")
    for cut in range(0, end, 7):
        with pytest.raises(UserError):
            parse_bvh(BVH[:cut], "x.bvh")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_bytes(b"\0\1\2" * 100)
    (tmp_path / "b.bvh.gz").write_bytes(gzip.compress(BVH.encode())[:60])
    with pytest.raises(UserError, match="binary file"):
        read_bvh(tmp_path / "a.bvh")
    with pytest.raises(UserError, match="truncated or damaged"):
        read_bvh(tmp_path / "b.bvh.gz")
    with pytest.raises(UserError, match="no motion file at"):
        read_bvh(tmp_path / "c.bvh")


def test_writing_replaces_whole_files(tmp_path: Path) -> None:
    motion = parse_bvh(BVH, "x.bvh")
    write_bvh(tmp_path / "o.bvh", motion)
    write_bvh(tmp_path / "o.bvh", motion.frames(slice(0, 1)))
    assert len(read_bvh(tmp_path / "o.bvh")) == 1 and len(list(tmp_path.iterdir())) == 1
