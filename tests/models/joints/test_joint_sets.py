import subprocess
import sys

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from sim2pose.config import UserError
from sim2pose.models.joints import JOINT_SETS, SMPL24_PARENTS, joint_set


@pytest.mark.parametrize("name", sorted(JOINT_SETS))
def test_flip_swaps_left_and_right_and_undoes_itself(name: str) -> None:
    joints = joint_set(name)
    flip = joints.flip_permutation()
    assert np.array_equal(flip[flip], np.arange(joints.count))
    for i, j in enumerate(flip):
        mirrored = joints.joints[i].replace("left_", "?").replace("right_", "left_").replace("?", "right_")
        assert joints.joints[j] == mirrored
    assert len(joints.flip_pairs) == sum(joint.startswith("left_") for joint in joints.joints)


@pytest.mark.parametrize("name", sorted(JOINT_SETS))
def test_skeleton_is_symmetric_and_within_range(name: str) -> None:
    joints = joint_set(name)
    flip = joints.flip_permutation()
    edges = {frozenset(edge) for edge in joints.skeleton}
    assert {frozenset(int(flip[i]) for i in edge) for edge in edges} == edges
    assert max(max(edge) for edge in joints.skeleton) < joints.count


def test_coco_sigmas_are_those_of_the_evaluation() -> None:
    assert np.allclose(joint_set("coco17").sigmas, Params("keypoints").kpt_oks_sigmas)


def test_smpl_parents_come_before_their_children() -> None:
    assert len(SMPL24_PARENTS) == joint_set("smpl24").count == 24
    assert all(parent < child for child, parent in enumerate(SMPL24_PARENTS))


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UserError, match="coco17"):
        joint_set("coco71")
    with pytest.raises(UserError, match="left_wrist"):
        joint_set("coco17").index("left_wirst")
    assert joint_set("coco17").index("nose") == 0


def test_joint_sets_do_not_import_torch() -> None:
    code = "import sys, sim2pose.models.joints; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
