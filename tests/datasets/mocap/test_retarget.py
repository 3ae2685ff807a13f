"""Retargeting: a body onto itself under other names, axes and units; legs and soles; one take from two formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.mocap.amc import read_amc
from sim2pose.datasets.mocap.bvh import parse_bvh, read_bvh
from sim2pose.datasets.mocap.bvh_writer import write_bvh
from sim2pose.datasets.mocap.export import motion_from_poses
from sim2pose.datasets.mocap.feet import SIDES, reach
from sim2pose.datasets.mocap.names import find_joints
from sim2pose.datasets.mocap.report import agreement
from sim2pose.datasets.mocap.retarget import RetargetOptions, retarget
from sim2pose.datasets.mocap.rotations import geodesic, global_rotations, rotvec_to_matrix
from sim2pose.datasets.mocap.skeleton import Motion, starts_apart
from sim2pose.datasets.mocap.target import Target
from sim2pose.datasets.poses import PoseSequence

from .conftest import BVH, HUMANIK, poses_of, renamed

AS_IT_IS = RetargetOptions(feet="direction", ground=False, unit="m")


def joints_of(poses: PoseSequence, target: Target) -> np.ndarray:
    return target.positions(global_rotations(poses.pose, target.parents), poses.transl + target.rest[0])


def test_smpl_to_bvh_to_smpl(infant: Target, tmp_path: Path) -> None:
    """Round trip with any rotations, near half turns too: at most 0.01 degrees."""
    rng = np.random.default_rng(0)
    poses = replace(poses_of(infant), pose=rng.normal(size=(40, 24, 3)) * 1.3)
    write_bvh(tmp_path / "x.bvh", motion_from_poses(poses, infant))
    back = retarget(read_bvh(tmp_path / "x.bvh"), infant).poses
    error = np.degrees(geodesic(rotvec_to_matrix(poses.pose), rotvec_to_matrix(back.pose)))
    assert error.max() < 1e-3
    np.testing.assert_allclose(back.transl, poses.transl, atol=2e-6)
    assert back.fps == 30


def test_a_body_under_other_names_comes_back(humanik: tuple[Motion, PoseSequence], infant: Target) -> None:
    motion, poses = humanik
    done = retarget(motion, infant, AS_IT_IS)
    assert done.joints.convention == "humanik" and done.report.scale == pytest.approx(1)
    wanted, found = joints_of(poses, infant), joints_of(done.poses, infant)
    body = [infant.index(name) for name in infant.joint_set.joints if "hand" not in name and "foot" not in name]
    assert np.linalg.norm(wanted - found, axis=-1)[:, body].max() < 1e-3
    assert done.report.direction_mean_deg < 1e-3 and done.report.position_mean_mm < 0.5
    knees = [infant.index(f"{side}_knee") for side in SIDES]
    local = np.degrees(geodesic(rotvec_to_matrix(poses.pose[:, knees]), rotvec_to_matrix(done.poses.pose[:, knees])))
    assert local.max() < 3  # twist told by the bending axis


@pytest.mark.parametrize(("axis", "unit"), [("z", "cm"), ("-y", "inch"), ("x", "m"), ("-z", "cmu")])
def test_axes_and_units_are_found(axis: str, unit: str, humanik: tuple[Motion, PoseSequence], infant: Target) -> None:
    """A person of adult size in any world comes out as the same motion up to its heading."""
    from sim2pose.datasets.mocap.axes import UNITS, turn_upright

    motion, poses = humanik
    adult = motion.moved(np.eye(3), 2.6)
    hidden = adult.moved(turn_upright(axis).T, 1 / UNITS[unit])
    done = retarget(hidden, infant, RetargetOptions(feet="direction", ground=False))
    assert (done.axes.up, done.axes.unit) == (axis, unit)
    again = retarget(adult, infant, replace(AS_IT_IS))
    assert agreement(done.poses, again.poses, infant)["position_mean_mm"] < 0.1
    np.testing.assert_allclose(joints_of(done.poses, infant)[:, 12], joints_of(poses, infant)[:, 12], atol=2e-3)


def test_forward_turns_the_take(humanik: tuple[Motion, PoseSequence], infant: Target) -> None:
    motion, _ = humanik
    plain = retarget(motion, infant, AS_IT_IS).poses
    turned = retarget(motion, infant, replace(AS_IT_IS, up="y", forward="x")).poses
    path, other = np.ptp(plain.transl, axis=0), np.ptp(turned.transl, axis=0)
    np.testing.assert_allclose(other[[2, 0]], path[[0, 2]], atol=1e-5)
    with pytest.raises(UserError, match="lie along the same axis"):
        retarget(motion, infant, replace(AS_IT_IS, up="y", forward="-y"))


def test_another_rest_pose_does_not_matter(humanik: tuple[Motion, PoseSequence], infant: Target) -> None:
    """The rest pose of the file turned into that of an arbitrary frame: limbs still point where they should."""
    motion, _ = humanik
    done = retarget(motion.rest_at(7), infant, AS_IT_IS)
    assert done.report.direction_mean_deg < 1e-3
    back = retarget(motion.rest_at(7).rest_at(0), infant, replace(AS_IT_IS, rest="first"))
    assert back.report.direction_mean_deg < 1e-3


def test_feet_reach_and_stand_on_the_ground(humanik: tuple[Motion, PoseSequence], infant: Target) -> None:
    motion, _ = humanik
    longer = motion.skeleton.offsets.copy()
    for side in ("Left", "Right"):
        longer[motion.skeleton.index(f"{side}UpLeg")] *= 1.3
        longer[motion.skeleton.index(f"{side}Leg")] *= 1.15
    other = replace(motion, skeleton=replace(motion.skeleton, offsets=longer))
    kept = retarget(other, infant, replace(AS_IT_IS, ground=True))
    done = retarget(other, infant, replace(AS_IT_IS, feet="reach", ground=True))
    for side in SIDES:
        assert done.report.position_mm[f"{side}_ankle"] < 2 < kept.report.position_mm[f"{side}_ankle"]
    soles = np.concatenate(
        [
            infant.sole_points(global_rotations(done.poses.pose, infant.parents), joints_of(done.poses, infant), side)
            for side in SIDES
        ],
        1,
    )
    assert -0.08 < soles[..., 1].min() <= 0.01


def test_reach_is_exact_and_keeps_knees_in_front(infant: Target) -> None:
    rotations = np.broadcast_to(np.eye(3), (5, 24, 3, 3)).copy()
    pelvis = np.zeros((5, 3))
    lifted = np.linspace(0.01, 0.1, 5)[:, None] * [0.1, 1, 0.2]
    ankles = {side: infant.rest[infant.index(f"{side}_ankle")] - infant.rest[0] + lifted for side in SIDES}
    positions = infant.positions(reach(rotations, pelvis, ankles, infant), pelvis)
    for side in SIDES:
        np.testing.assert_allclose(positions[:, infant.index(f"{side}_ankle")], ankles[side], atol=1e-9)
        hip, knee, ankle = (positions[:, infant.index(f"{side}_{name}")] for name in ("hip", "knee", "ankle"))
        assert (knee[:, 2] > (hip[:, 2] + ankle[:, 2]) / 2).all()


def test_unknown_skeletons_and_own_maps(humanik: tuple[Motion, PoseSequence], infant: Target, tmp_path: Path) -> None:
    motion, _ = humanik
    odd = {ours: f"bone_{i}" for i, ours in enumerate(HUMANIK)}
    foreign = renamed(motion_from_poses(poses_of(infant), infant), odd)
    with pytest.raises(UserError, match=r"unknown skeleton; nearest is '.*missing .*names=FILE.yaml"):
        retarget(foreign, infant)
    file = tmp_path / "map.yaml"
    chosen = [name for name in HUMANIK if "spine" not in name and "_hand" not in name]
    file.write_text("".join(f"{name}: {odd[name]}\n" for name in chosen))
    mapped = retarget(foreign, infant, replace(AS_IT_IS, names=file)).poses
    assert agreement(mapped, retarget(motion, infant, AS_IT_IS).poses, infant)["position_mean_mm"] < 1e-3
    file.write_text(f"left_kne: {odd['left_knee']}\n")
    with pytest.raises(UserError, match="unknown SMPL joint 'left_kne': did you mean 'left_knee'"):
        find_joints(foreign.skeleton, "x", file)
    file.write_text("left_knee: bone_99\n")
    with pytest.raises(UserError, match="no such joint in the file"):
        find_joints(foreign.skeleton, "x", file)
    file.write_text(f"left_knee: {odd['left_knee']}\n")
    with pytest.raises(UserError, match="lacks pelvis, head"):
        find_joints(foreign.skeleton, "x", file)
    swapped = {**{name: odd[name] for name in chosen}, "left_hip": odd["left_knee"], "left_knee": odd["left_hip"]}
    file.write_text("".join(f"{name}: {value}\n" for name, value in swapped.items()))
    with pytest.raises(UserError, match="does not hang below"):
        find_joints(foreign.skeleton, "x", file)


def test_zero_length_bones_are_refused(humanik: tuple[Motion, PoseSequence], infant: Target, tmp_path: Path) -> None:
    motion, _ = humanik
    offsets = motion.skeleton.offsets.copy()
    offsets[motion.skeleton.index("LeftForeArm")] = 0
    write_bvh(tmp_path / "x.bvh", replace(motion, skeleton=replace(motion.skeleton, offsets=offsets)))
    read = read_bvh(tmp_path / "x.bvh")
    line = read.skeleton.lines[read.skeleton.index("LeftForeArm")]
    with pytest.raises(UserError, match=rf"x.bvh:{line}: 'LeftArm' and 'LeftForeArm' .* lie in one place"):
        retarget(read, infant)
    with pytest.raises(UserError, match="fits no unit"):
        retarget(motion.moved(np.eye(3), 1e6), infant)
    with pytest.raises(UserError, match="unknown skeleton"):
        retarget(parse_bvh(BVH, "x.bvh"), infant)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda name: f"mixamorig:{name}",
        lambda name: f"Character1_{name}",
        lambda name: name.upper(),
        lambda name: name.replace("Left", "Left_").replace("Right", "Right_"),
    ],
)
def test_namespaces_and_spelling_do_not_matter(spelled, humanik: tuple[Motion, PoseSequence]) -> None:
    skeleton = humanik[0].skeleton
    names = tuple(spelled(name) for name in skeleton.names)
    assert find_joints(replace(skeleton, names=names), "x").convention == "humanik"


def test_calibration_frames_are_told_from_motion(humanik: tuple[Motion, PoseSequence], infant: Target) -> None:
    motion, _ = humanik
    assert not starts_apart(motion)
    order = np.r_[20, np.arange(len(motion))]
    jumped = motion.frames(order)
    assert starts_apart(jumped)
    assert retarget(jumped, infant, AS_IT_IS).dropped == 1
    assert len(retarget(jumped, infant, replace(AS_IT_IS, calibration="keep")).poses) == len(motion) + 1


def test_cmu_take_from_bvh_and_amc(shared_data: Path, infant: Target) -> None:
    """The same capture in both formats: the BVH has a T-pose before it and then agrees frame by frame."""
    folder = shared_data / "motion"
    acclaim = retarget(read_amc(folder / "cmu_asfamc" / "01_01.amc.gz"), infant)
    hierarchy = retarget(read_bvh(folder / "bvh" / "01_01_fairmotion.bvh.gz"), infant)
    assert (acclaim.dropped, hierarchy.dropped) == (0, 1)
    assert len(acclaim.poses) == len(hierarchy.poses) == 2751
    found = agreement(acclaim.poses, hierarchy.poses, infant)
    assert found["direction_mean_deg"] < 0.01 and found["position_mean_mm"] < 0.1


def test_cmu_walk_on_another_skeleton(shared_data: Path, infant: Target) -> None:
    """Take 02_01: the BVH puts subject 02's walk on subject 01's bones: its limbs point elsewhere by degrees."""
    folder = shared_data / "motion"
    acclaim = retarget(read_amc(folder / "cmu_asfamc" / "02_01.amc.gz"), infant)
    hierarchy = retarget(read_bvh(folder / "bvh" / "02_01.bvh.gz"), infant)
    assert len(acclaim.poses) == len(hierarchy.poses) == 343
    assert agreement(acclaim.poses, hierarchy.poses, infant)["direction_mean_deg"] < 4.5
    assert acclaim.report.direction_mean_deg < 2
    knees = [infant.index(f"{side}_knee") for side in SIDES]
    bend = acclaim.poses.pose[:, knees, 0]
    assert bend.max() > 0.7 and bend.min() > -0.1  # knees bend, and never backwards
