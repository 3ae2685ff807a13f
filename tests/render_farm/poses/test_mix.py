"""Mixed sources: shares hold, frames are functions of seed and index, bad sources are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim2pose.config import UserError, load_config
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.kinds.infant.config import InfantConfig
from sim2pose.render_farm.poses.config import PoseConfig, ShapeConfig
from sim2pose.render_farm.poses.mix import load_pose_mix, prior_source
from sim2pose.render_farm.poses.posing import Poser


def _file(path: Path, count: int = 12, joints: str = "smpl24") -> Path:
    rng = np.random.default_rng(count)
    size = {"smpl24": 24, "smplx55": 55, "mano16": 16}[joints]
    pose = rng.normal(0, 0.1, (count, size, 3)).astype(np.float32)
    pose[:, 0] = 0
    return save_poses(path, PoseSequence(pose, np.zeros((count, 3), np.float32), "open-person", joints))


def test_shares_hold(tmp_path: Path) -> None:
    weights = {"procedural": 2.0, str(_file(tmp_path / "a.npz")): 1.0, "prior:open-infant": 1.0}
    mix = load_pose_mix(PoseConfig(sources=weights))
    taken = np.bincount([mix.choose(5, index) for index in range(2000)], minlength=3) / 2000
    sd = np.sqrt(np.array([0.5, 0.25, 0.25]) * np.array([0.5, 0.75, 0.75]) / 2000)
    assert (np.abs(taken - [0.5, 0.25, 0.25]) < 4 * sd).all(), taken


def test_a_frame_is_a_function_of_seed_and_index(tmp_path: Path) -> None:
    config = PoseConfig(sources={"procedural": 0.5, str(_file(tmp_path / "a.npz")): 0.3, "prior:open-infant": 0.2})
    body = load_body("open-infant")
    first, second = (Poser(body, config, ShapeConfig(), 9) for _ in range(2))
    forth = [first.pose(range(start, start + 32)) for start in (0, 32)]
    back = [second.pose(range(start, start + 32)) for start in (32, 0)][::-1]
    origins = [origin for posed in forth for origin in posed.origins]
    for a, b in zip(forth, back, strict=True):
        assert a.origins == b.origins
        np.testing.assert_array_equal(a.pose.numpy(), b.pose.numpy())
        np.testing.assert_array_equal(a.betas.numpy(), b.betas.numpy())
    assert {"", "a.npz", "prior"} == {origin.split(":")[0] for origin in origins}


def test_samples_of_a_prior_lie_down() -> None:
    source = prior_source("open-infant")
    assert source.laid.all() and set(source.postures) == {"supine", "prone", "side"}
    assert np.isfinite(source.pose).all() and 0.1 < np.abs(source.pose[:, 1:]).mean() < 1.0
    np.testing.assert_allclose(np.linalg.det(source.orient), 1, atol=1e-9)
    assert source.digest == prior_source("open-infant").digest != prior_source("open-person").digest


def test_bodies_with_fingers_take_poses_without(tmp_path: Path) -> None:
    from sim2pose.render_farm.poses.source import load_pose_source

    source = load_pose_source(_file(tmp_path / "a.npz"), "smplx55")
    assert source.pose.shape == (12, 55, 3) and not source.pose[:, 22:].any() and source.pose[:, 21].any()


def test_digest_tells_sources_apart(tmp_path: Path) -> None:
    one, other = _file(tmp_path / "a.npz", 4), _file(tmp_path / "b.npz", 5)
    digests = {load_pose_mix(PoseConfig(source=path)).digest for path in (one, other)}
    assert len(digests) == 2 and load_pose_mix(PoseConfig()).digest is None


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"prior:open-infnt": 1.0}, r"no prior 'open-infnt': did you mean 'open-infant'"),
        ({"no/such/folder": 1.0}, r"no pose file or folder at 'no/such/folder'; priors are named prior:NAME"),
        ({"procedural": 0.0}, r"poses.sources needs at least one positive weight"),
        ({"procedural": -1.0}, r"poses.sources.procedural must not be negative"),
    ],
)
def test_bad_sources_are_refused(sources: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_pose_mix(load_config(InfantConfig, None, {"scene": {"poses": {"sources": sources}}}).scene.poses)


def test_hands_an_empty_folder_and_two_ways_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds .mano16. poses: poses of whole bodies are needed"):
        load_pose_mix(PoseConfig(source=_file(tmp_path / "hand.npz", joints="mano16")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no \.npz or \.parquet file"):
        load_pose_mix(PoseConfig(source=tmp_path / "empty"))
    both = {"source": "a.npz", "sources": {"b.npz": 1.0}}
    with pytest.raises(UserError, match=r"poses\.source and poses\.sources are given"):
        load_config(InfantConfig, None, {"scene": {"poses": both}})


def test_a_file_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.npz"
    np.savez(path, pose=np.zeros((2, 23, 3)), transl=np.zeros((2, 3)), body="open-infant", joint_set="smpl24")
    with pytest.raises(UserError, match=r"wide.npz: pose is \(2, 23, 3\), need \(2, 24, 3\)"):
        load_pose_mix(PoseConfig(source=path))
