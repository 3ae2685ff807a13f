import subprocess
import sys

import numpy as np
import pytest
import smplx.joint_names
from pycocotools.cocoeval import Params

from sim2pose.config import UserError
from sim2pose.models.joints import JOINT_SETS, PARENTS, SMPL24_PARENTS, JointSet, joint_set
from sim2pose.models.joints.face import FACE_LINES, FACE_PAIRS

COUNTS = {
    "coco17": (17, 8),
    "coco_wholebody133": (133, 8 + 3 + 29 + 21),
    "openpose25": (25, 11),
    "fidip19": (19, 8),
    "h36m17": (17, 6),
    "smpl24": (24, 9),
    "smplh52": (52, 8 + 15),
    "smplx55": (55, 8 + 1 + 15),
    "smplx127": (127, 24 + 2 + 3 + 5 + 21),
    "mano16": (16, 0),
    "mano21": (21, 0),
    "freihand21": (21, 0),
}


def test_all_sets_are_there_with_their_counts() -> None:
    assert {name: (s.count, len(s.flip_pairs)) for name, s in JOINT_SETS.items()} == COUNTS
    assert all(s.name == name and s.about for name, s in JOINT_SETS.items())


@pytest.mark.parametrize("name", sorted(JOINT_SETS))
def test_flip_swaps_left_and_right_and_undoes_itself(name: str) -> None:
    joints = joint_set(name)
    flip = joints.flip_permutation()
    assert np.array_equal(flip[flip], np.arange(joints.count))
    for i, j in enumerate(flip):
        if not joints.joints[i].startswith("face"):
            mirrored = joints.joints[i].replace("left_", "?").replace("right_", "left_").replace("?", "right_")
            assert joints.joints[j] == mirrored
    assert all(joints.joints[left].startswith(("left_", "face")) for left, _ in joints.flip_pairs)
    assert joints.one_hand == (not joints.flip_pairs)


@pytest.mark.parametrize("name", sorted(JOINT_SETS))
def test_skeleton_is_symmetric_and_reaches_every_joint(name: str) -> None:
    joints = joint_set(name)
    flip = joints.flip_permutation()
    edges = {frozenset(edge) for edge in joints.skeleton}
    assert len(edges) == len(joints.skeleton), "a bone is drawn twice"
    assert {frozenset(int(flip[i]) for i in edge) for edge in edges} == edges
    assert {i for edge in edges for i in edge} == set(range(joints.count))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": ("a", "b", "a")}, "'a' occurs twice"),
        ({"flip_pairs": ((0, 1), (1, 2))}, "'b' is in two flip pairs"),
        ({"flip_pairs": ((0, 3),)}, r"flip pair \(0, 3\) has an index outside of 0 … 2"),
        ({"flip_pairs": ((-1, 1),)}, "outside of 0"),
        ({"flip_pairs": ((2, 2),)}, "joins 'c' with itself"),
        ({"skeleton": ((0, 7),)}, r"bone \(0, 7\) has an index outside"),
        ({"skeleton": ((1, 1),)}, "joins 'b' with itself"),
        ({"sigmas": (0.1, 0.1)}, "sigmas must be 3 positive numbers"),
        ({"sigmas": (0.1, 0.1, 0.0)}, "sigmas must be 3 positive numbers"),
        ({"sigmas": (0.1, 0.1, float("nan"))}, "sigmas must be 3 positive numbers"),
    ],
)
def test_a_bad_table_is_refused(change: dict[str, tuple], message: str) -> None:
    table = {"joints": ("a", "b", "c"), "flip_pairs": ((0, 1),), "sigmas": None, "skeleton": ((0, 2),)}
    assert JointSet("mine", **table).flip_permutation().tolist() == [1, 0, 2]
    with pytest.raises(UserError, match=f"joint set 'mine': .*{message}"):
        JointSet("mine", **{**table, **change})


def test_sigmas_are_those_of_the_evaluations() -> None:
    coco, whole = joint_set("coco17").sigmas, joint_set("coco_wholebody133").sigmas
    assert coco is not None and whole is not None
    assert np.allclose(coco, Params("keypoints").kpt_oks_sigmas)
    assert whole[:17] == coco
    assert whole[91:112] == whole[112:], "the two hands have the same"
    sums = [sum(whole[a:b]) for a, b in ((17, 23), (23, 91), (91, 112))]
    np.testing.assert_allclose(sums, [0.480, 1.137, 0.553], atol=1e-9)
    places = {
        "left_heel": 0.066,
        "right_big_toe": 0.092,
        "face2": 0.044,
        "face16": 0.045,
        "face8": 0.020,
        "face36": 0.017,
    }
    places |= {
        "face47": 0.034,
        "face62": 0.011,
        "left_thumb_tip": 0.047,
        "right_index1": 0.026,
        "right_pinky_tip": 0.031,
    }
    assert {name: whole[joint_set("coco_wholebody133").index(name)] for name in places} == places
    assert {name for name, s in JOINT_SETS.items() if s.sigmas is None} == set(COUNTS) - {"coco17", "coco_wholebody133"}


def test_smplx_names_are_those_of_its_package() -> None:
    """smplx has other words for some: eyeballs, fingertips, and a name for each landmark of the face."""
    theirs = list(smplx.joint_names.JOINT_NAMES[:127])
    ours = [
        name.replace("eyeball", "eye_smplhf").removesuffix("_tip") if not name.startswith("face") else None
        for name in joint_set("smplx127").joints
    ]
    assert theirs[:76] == ours[:76]
    assert joint_set("smplx127").joints[76:] == tuple(f"face{i}" for i in range(17, 68))
    assert joint_set("smplx127").joints[:55] == joint_set("smplx55").joints
    # Left and right of the landmarks, as the package's names have them: the mirrored name is the mirrored landmark.
    flip = joint_set("smplx127").flip_permutation()
    for i in range(76, 127):
        side = theirs[i].partition("_")[0]
        mirrored = {"left": "right", "right": "left"}.get(side, side)
        assert theirs[flip[i]].partition("_")[0] == mirrored, theirs[i]
    assert list(smplx.joint_names.SMPLH_JOINT_NAMES[:52]) == list(joint_set("smplh52").joints)


def test_face_landmarks_mirror_along_their_lines() -> None:
    mirror = {a: b for pair in FACE_PAIRS for a, b in (pair, pair[::-1])}
    assert len(FACE_PAIRS) == 29
    assert sorted({*range(68)} - set(mirror)) == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    assert (mirror[0], mirror[17], mirror[36], mirror[31], mirror[48], mirror[60]) == (16, 26, 45, 35, 54, 64)
    assert sum(len(line) - 1 for line in FACE_LINES) == 16 + 4 + 4 + 3 + 4 + 6 + 6 + 12 + 8


def test_openpose_order() -> None:
    order = joint_set("openpose25").joints
    assert (order[1], order[8], order[9], order[16], order[19], order[24]) == (
        *("neck", "mid_hip", "right_hip", "left_eye", "left_big_toe", "right_heel"),
    )
    assert joint_set("fidip19").joints == order[:19]


def test_hand_orders() -> None:
    mano, freihand = joint_set("mano21").joints, joint_set("freihand21").joints
    assert mano[:16] == joint_set("mano16").joints
    assert mano[1:16:3] == ("index1", "middle1", "pinky1", "ring1", "thumb1")
    assert mano[16:] == ("thumb_tip", "index_tip", "middle_tip", "ring_tip", "pinky_tip")
    assert freihand[:6] == ("wrist", "thumb1", "thumb2", "thumb3", "thumb_tip", "index1")
    assert sorted(mano) == sorted(freihand)


@pytest.mark.parametrize("name", sorted(PARENTS))
def test_parents_come_before_their_children(name: str) -> None:
    assert len(PARENTS[name]) == joint_set(name).count
    assert all(parent < child for child, parent in enumerate(PARENTS[name]))


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match="coco17"):
        joint_set("coco71")
    with pytest.raises(UserError, match="left_wrist"):
        joint_set("coco17").index("left_wirst")
    assert joint_set("coco17").index("nose") == 0
    assert SMPL24_PARENTS is PARENTS["smpl24"]


def test_joint_sets_do_not_import_torch() -> None:
    code = "import sys, sim2pose.models.joints; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
