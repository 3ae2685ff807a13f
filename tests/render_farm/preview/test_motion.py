"""Motion previews: the right frames, upright in every frame of reference, from a view that suits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.render_farm.preview import motion_strip, motion_video, pose_body, show_body
from sim2pose.render_farm.preview.media import count_frames
from sim2pose.render_farm.preview.motion import suiting_view


@pytest.fixture(scope="module")
def infant() -> Body:
    return load_body("open-infant")


@pytest.fixture
def walk() -> PoseSequence:
    """Two metres along +Z in two seconds at 60 frames a second, arms down."""
    pose, transl = np.zeros((120, 24, 3), np.float32), np.zeros((120, 3), np.float32)
    pose[:, 16, 2], pose[:, 17, 2] = -1.1, 1.1
    pose[:, 1, 0] = 0.4 * np.sin(np.arange(120) / 10)
    transl[:, 2] = np.linspace(0, 2, 120)
    return PoseSequence(pose, transl, "open-infant", "smpl24", fps=60.0)


def test_frames_of_reference_all_come_out_upright(infant: Body, walk: PoseSequence) -> None:
    world = pose_body(infant, walk, [0, 60])
    turn = np.diag([1.0, -1, -1])  # the same motion, seen by a camera that looks along -Z
    seen = replace(walk, pose=_turned(walk, turn), transl=(_pelvis_path(infant, walk, turn)), frame="camera")
    np.testing.assert_allclose(pose_body(infant, seen, [0, 60]).vertices, world.vertices, atol=1e-4)
    for up in ((0, 0, 1), (0, 1, 0), (0.6, 0, 0.8), (0, -1, 0)):
        tilted = pose_body(infant, replace(walk, up=up), [0]).joints[0]
        trunk = tilted[12] - tilted[0]
        original = world.joints[0, 12] - world.joints[0, 0]
        assert trunk[1] == pytest.approx(float(original @ np.array(up)), abs=1e-5), "height along the given up"
        assert np.linalg.norm(trunk) == pytest.approx(np.linalg.norm(original), abs=1e-5)


def _turned(walk: PoseSequence, turn: np.ndarray) -> np.ndarray:
    """Poses with a global turn (here of half a turn about X) put before the identity that the walk has."""
    assert not walk.pose[:, 0].any()
    pose = walk.pose.copy()
    pose[:, 0] = (np.pi, 0, 0)
    assert np.allclose(turn, np.diag([1, -1, -1]))
    return pose


def _pelvis_path(body: Body, walk: PoseSequence, turn: np.ndarray) -> np.ndarray:
    """Translation after which the turned body's pelvis lies where the turned motion's does."""
    rest = body.mesh.joints[0].numpy()
    return ((walk.transl + rest) @ turn.T - rest).astype(np.float32)


def test_shapes_count_for_their_own_body_alone(infant: Body, walk: PoseSequence) -> None:
    betas = np.full(20, 1.5, np.float32)
    mean, own = pose_body(infant, walk, [0]), pose_body(infant, replace(walk, betas=betas), [0])
    other = pose_body(infant, replace(walk, betas=betas, body="another"), [0])
    assert np.abs(own.vertices - mean.vertices).max() > 0.01
    np.testing.assert_array_equal(other.vertices, mean.vertices)


def test_joints_are_matched_by_name(walk: PoseSequence) -> None:
    person = load_body("open-person")
    bent = walk.pose[:1].copy()
    bent[0, 18, 1] = -1.0  # the left elbow, joint 18 of either set
    posed = pose_body(person, PoseSequence(bent, walk.transl[:1], "open-infant", "smpl24"))
    wrist, elbow = posed.joints[0, 20], posed.joints[0, 18]
    straight = pose_body(person, replace(walk, pose=walk.pose[:1], transl=walk.transl[:1])).joints[0]
    assert np.abs(elbow - straight[18]).max() < 1e-6 < np.abs(wrist - straight[20]).max()
    with pytest.raises(UserError, match="poses are smpl24, body 'open-hand-left' is mano16"):
        pose_body(load_body("open-hand-left"), walk)


def test_views_suit(infant: Body, walk: PoseSequence) -> None:
    joints = pose_body(infant, walk, [0, 60, 119]).joints
    azimuth, elevation = suiting_view(infant, joints)
    assert 45 <= azimuth <= 90 and elevation < 30, "walking along +Z: from the left side, a little from the front"
    assert suiting_view(infant, joints[:1])[0] == pytest.approx(35), "standing and facing +Z: three quarters"
    lying = joints[:1] @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    assert suiting_view(infant, lying)[1] > 40, "who lies is seen from above"


def test_strip_and_video_hold_the_frames_asked_for(tmp_path: Path, infant: Body, walk: PoseSequence) -> None:
    sheet = motion_strip(infant, walk, tmp_path / "walk.png", count=3, size=(60, 80))
    assert sheet.shape[1] == 3 * 60 + 2 * 4 and (tmp_path / "walk.png").stat().st_size > 1000
    video = motion_video(infant, walk, tmp_path / "walk.mp4", fps=10, max_seconds=1, size=(64, 64))
    assert count_frames(video) == 10
    single = replace(walk, pose=walk.pose[:2], transl=walk.transl[:2], fps=None, names=("anna", "ben"))
    assert motion_strip(infant, single, size=(60, 80)).shape[1] == 2 * 60 + 4, "no frame twice"
    with pytest.raises(UserError, match="no fps"):
        motion_video(infant, single, tmp_path / "a.mp4")
    with pytest.raises(UserError, match="count=1 or more"):
        motion_strip(infant, walk, count=0)


def test_show_draws_poses_of_a_file_and_hands(tmp_path: Path, walk: PoseSequence) -> None:
    few = replace(walk, pose=walk.pose[::60], transl=walk.transl[::60])
    save_poses(tmp_path / "few.npz", few)
    assert show_body("open-infant", tmp_path / "few.jpg", tmp_path / "few.npz").stat().st_size <= 200_000
    assert show_body("open-hand-right", tmp_path / "hand.jpg").stat().st_size <= 200_000
    with pytest.raises(UserError, match="no known kind of picture"):
        show_body("open-infant", tmp_path / "a.txt")
    with pytest.raises(UserError, match="no pose file"):
        show_body("open-infant", tmp_path / "a.png", tmp_path / "none.npz")
