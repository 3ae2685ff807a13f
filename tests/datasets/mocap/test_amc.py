"""ASF and AMC: positions by hand, and defects named with their line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.mocap.amc import find_asf, parse_amc, read_amc
from sim2pose.datasets.mocap.asf import parse_asf

from .conftest import AMC, ASF

UNIT = 0.0254 / 0.45


def test_positions_by_hand() -> None:
    motion = parse_amc(AMC, parse_asf(ASF, "x.asf"), "x.amc")
    assert motion.skeleton.names == ("root", "femur", "tibia", "tibia_end") and motion.fps == 120
    _, positions = motion.global_pose()
    metres = np.array([[0, 10, 0], [0, 10, 0], [0, 3, 0], [0, 0, 0]]) * UNIT
    np.testing.assert_allclose(positions[0], metres, atol=1e-12)
    # The root turns by 90 degrees about y, the tibia by 90 about x: it would point to -z and points to -x.
    np.testing.assert_allclose(positions[1, 3], np.array([-3, 3, 0]) * UNIT, atol=1e-12)


def test_degrees_of_freedom_are_measured_in_the_bones_axis() -> None:
    motion = parse_amc(AMC.replace("femur 0 0 0\ntibia 90", "femur 30 0 0\ntibia 0"), parse_asf(ASF, "x.asf"), "x.amc")
    axis = motion.rotations[1, 1] - motion.rotations[1, 1].T
    axis = np.array([axis[2, 1], axis[0, 2], axis[1, 0]])
    tilted = [np.cos(np.radians(20)), np.sin(np.radians(20)), 0]  # x turned by the axis, 20 degrees about z
    np.testing.assert_allclose(axis / np.linalg.norm(axis), tilted, atol=1e-12)


def test_order_of_bones_may_change_from_frame_to_frame() -> None:
    body = parse_asf(ASF, "x.asf")
    swapped = AMC.replace("femur 0 0 0\ntibia 90", "tibia 90\nfemur 0 0 0")
    np.testing.assert_array_equal(parse_amc(swapped, body, "x").rotations, parse_amc(AMC, body, "x").rotations)


def test_the_skeleton_is_found_by_subject(tmp_path: Path) -> None:
    amc = tmp_path / "07_03.amc"
    amc.write_text(AMC)
    with pytest.raises(UserError, match=r"no skeleton beside it \(looked for 07_03.asf.*07.asf.*asf=FILE.asf"):
        find_asf(amc)
    (tmp_path / "07.asf").write_text(ASF)
    assert len(read_amc(amc)) == 2


ASF_DEFECTS = {
    "cycle": (
        ("root femur\n    femur tibia", "root\n femur tibia\n tibia femur"),
        "x.asf:14: the hierarchy goes in a circle through",
    ),
    "self": (("femur tibia", "femur femur"), "x.asf:35: 'femur' hangs on 'femur': the hierarchy goes in a circle"),
    "unknown": (("femur tibia", "femur tiba"), "x.asf:35: unknown bone 'tiba' in the hierarchy: did you mean 'tibia'"),
    "lonely": (("    femur tibia\n", ""), "x.asf:25: bone 'tibia' hangs nowhere"),
    "two parents": (
        ("femur tibia", "femur tibia\n root tibia"),
        "x.asf:36: bone 'tibia' hangs on 'femur' and on 'root'",
    ),
    "zero": (("length 3", "length 0"), "x.asf:27: bone 'tibia' has length 0; it must be positive"),
    "no direction": (
        ("    direction 0 -1 0\n    length 3\n", "    length 3\n"),
        "x.asf:25: bone 'tibia' has no direction",
    ),
    "twice": (("name tibia", "name femur"), "x.asf:25: bone 'femur' is declared twice"),
    "dof": (("dof rx\n", "dof rx l\n"), "x.asf:29: degree of freedom 'l' of bone 'tibia' is not read"),
    "axis": (("axis 0 0 20 XYZ", "axis 0 0 20 XYY"), "x.asf:17: axis order 'XYY' is none of"),
    "angle": (("angle deg", "angle grad"), "x.asf:5: angle is 'grad'"),
    "section": ((":hierarchy", ":hierarchi"), "there is no :hierarchy section"),
    "end": (("  end\n:hier", ":hier"), "x.asf:25: bone 'tibia' has no 'end'"),
    "unit": (("length 0.45", "length 0"), "x.asf:4: the unit of length must be a positive number"),
}


@pytest.mark.parametrize("name", ASF_DEFECTS)
def test_defects_of_skeletons(name: str) -> None:
    (old, new), sentence = ASF_DEFECTS[name]
    assert old in ASF
    with pytest.raises(UserError, match=sentence):
        parse_asf(ASF.replace(old, new), "x.asf")


AMC_DEFECTS = {
    "unknown bone": (("tibia 90", "tiba 90"), "x.amc:11: unknown bone 'tiba' .*did you mean 'tibia'"),
    "dof count": (
        ("femur 0 0 0\ntibia 90", "femur 0 0\ntibia 90"),
        "x.amc:10: bone 'femur' has 2 values, its dof.* are 3",
    ),
    "bone missing": (("femur 0 0 0\ntibia 90", "tibia 90"), "x.amc:8: frame 2 lacks bone 'femur'"),
    "bone twice": (("tibia 90", "femur 0 0 0"), "x.amc:11: frame 2 gives bone 'femur' twice"),
    "frame missing": (("\n2\n", "\n3\n"), "x.amc:8: frame 3 follows frame 1: frames are missing"),
    "truncated": (("tibia 90\n", ""), r"x.amc:8: frame 2 lacks bone 'tibia' \(the file is truncated\)"),
    "nan": (("tibia 90", "tibia nan"), "x.amc:11: bone 'tibia': 'nan' is not a finite number"),
    "no frame": ((AMC, ":DEGREES\n"), "there is no frame"),
    "no number": (("\n1\nroot", "\nroot"), "x.amc:4: 'root 0 10 0 0 0 0' where the number of the first frame"),
}


@pytest.mark.parametrize("name", AMC_DEFECTS)
def test_defects_of_motions(name: str) -> None:
    (old, new), sentence = AMC_DEFECTS[name]
    assert old in AMC
    with pytest.raises(UserError, match=sentence):
        parse_amc(AMC.replace(old, new), parse_asf(ASF, "x.asf"), "x.amc")
