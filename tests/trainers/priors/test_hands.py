"""Finger poses for hand priors: within the ranges of motion, left hands true mirror images, the same from a cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.datasets.pose_tables import PoseTable, gather, split
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.models.joints import joint_set
from sim2pose.trainers.priors import hands
from sim2pose.trainers.priors.hands import FINGERS, hand_poses, moving_hands

SET = joint_set("smplx55")
COLUMNS = [SET.index(name) for name in FINGERS]


@pytest.fixture(scope="module")
def drawn() -> PoseTable:
    return hand_poses(200, seed=3)


def test_only_fingers_move_and_both_hands_differ(drawn: PoseTable) -> None:
    assert drawn.pose.shape == (200, 55, 3) and drawn.pose.dtype == np.float32 and np.isfinite(drawn.pose).all()
    rest = np.delete(np.asarray(drawn.pose), COLUMNS, 1)
    assert not rest.any()
    assert FINGERS[:2] == ("left_index1", "left_index2") and FINGERS[15] == "right_index1" and len(FINGERS) == 30
    fingers = drawn.pose[:, COLUMNS]
    assert np.linalg.norm(fingers, axis=-1).max() < 2.2, "no finger bends by more than 110 degrees and what sways"
    left, right = fingers[:, :15] * (1, -1, -1), fingers[:, 15:]
    assert np.abs(left - right).max((1, 2)).min() > 0.05, "each hand is drawn on its own"
    np.testing.assert_allclose(left.mean(0), right.mean(0), atol=0.2)  # of the same population
    assert drawn.counts["grasps"] > 100


def test_left_hands_are_mirror_images_on_the_body(drawn: PoseTable) -> None:
    """The same pose in both hands of the whole body: its joints mirror each other, and fingers close below the palms."""
    body = load_body("open-person")
    pose = np.zeros((20, 55, 3), np.float32)
    right = np.asarray(drawn.pose[:20])[:, COLUMNS[15:]]
    pose[:, COLUMNS[15:]], pose[:, COLUMNS[:15]] = right, right * (1, -1, -1)
    with torch.no_grad():
        betas = torch.zeros(20, body.num_betas)
        joints = body(betas, torch.from_numpy(pose), torch.zeros(20, 3)).joints[:, :55].numpy()
        flat = body(betas[:1], torch.zeros(1, 55, 3), torch.zeros(1, 3)).joints[:, :55].numpy()
    left, other = joints[:, COLUMNS[:15]], joints[:, COLUMNS[15:]]
    np.testing.assert_allclose(left * (-1, 1, 1), other, atol=2e-3)
    ends = [SET.index(f"{side}_{finger}3") for side in ("left", "right") for finger in ("index", "middle", "ring")]
    with torch.no_grad():
        own = body(betas, torch.from_numpy(np.asarray(drawn.pose[:20])), torch.zeros(20, 3)).joints[:, ends].numpy()
    assert ((own - flat[:, ends])[..., 1].mean(0) < -0.005).all(), "palms face down in the rest pose"


def test_more_of_them_begin_with_the_same(drawn: PoseTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "BLOCK", 8)
    few, more = hand_poses(12, seed=3), hand_poses(20, seed=3, cache=tmp_path)
    np.testing.assert_allclose(few.pose, more.pose[:12], atol=1e-6)
    np.testing.assert_allclose(few.pose[:8], drawn.pose[:8], atol=1e-6)
    assert isinstance(more.pose, np.memmap) and more.takes == ("drawn3-0000", "drawn3-0001", "drawn3-0002")
    again = hand_poses(20, seed=3, cache=tmp_path)
    np.testing.assert_array_equal(again.pose, more.pose)
    assert again.counts == more.counts and len(list(tmp_path.iterdir())) == 1
    assert not np.allclose(hand_poses(8, seed=4).pose, few.pose[:8])
    train, val = split(more, "take", 0.3)
    assert len(train) + len(val) == 20 and len(val) >= 6
    with pytest.raises(UserError, match="count is 0"):
        hand_poses(0)


def test_takes_whose_fingers_move(drawn: PoseTable, tmp_path: Path) -> None:
    still = np.zeros((30, 55, 3), np.float32)
    still[:, 4] = np.random.default_rng(0).normal(size=(30, 3))
    one_hand = still.copy()
    one_hand[:, COLUMNS[15:]] = drawn.pose[:30, COLUMNS[15:]]
    for name, pose in (("a", still), ("b", one_hand), ("c", np.asarray(drawn.pose[:30]))):
        save_poses(tmp_path / f"{name}.npz", PoseSequence(pose, np.zeros((30, 3)), "open-person", "smplx55"))
    assert moving_hands(gather(tmp_path)).tolist() == list(range(60, 90))
    assert len(moving_hands(gather(tmp_path / "a.npz"))) == 0
    with pytest.raises(UserError, match="poses of 'smplx55', found a table of 'smpl24'"):
        moving_hands(gather(tmp_path, "smpl24"))
