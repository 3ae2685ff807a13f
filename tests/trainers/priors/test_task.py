"""The recipe ``prior``: what it learns from, what it leaves, and that it goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sim2pose.config import UserError
from sim2pose.datasets.poses import PoseSequence, save_poses
from sim2pose.models.joints import joint_set
from sim2pose.models.priors.files import load_density
from sim2pose.models.priors.named import RUN_FILE as FILE
from sim2pose.trainers.model_folder import model_of_run
from sim2pose.trainers.priors.config import NoiseConfig, PriorTrainConfig
from sim2pose.trainers.priors.poses import covered, open_poses
from sim2pose.trainers.recipes import load_run, write_report
from sim2pose.trainers.runtimes import train

JOINTS = ("left_hip", "left_knee", "right_hip", "right_knee", "spine1")


def walk(seed: int, frames: int = 90) -> PoseSequence:
    """Legs that swing against each other, knees that bend with them, a trunk that leans: two degrees of freedom."""
    rng = np.random.default_rng(seed)
    phase = np.linspace(0, 6 * np.pi, frames) + rng.uniform(0, 2 * np.pi)
    lean = 0.2 * np.sin(phase / 3 + rng.uniform(0, 6))
    names = joint_set("smplx55").joints
    pose = np.zeros((frames, 55, 3), np.float32)
    pose[:, names.index("left_hip"), 0] = 0.5 * np.sin(phase)
    pose[:, names.index("right_hip"), 0] = -0.5 * np.sin(phase)
    pose[:, names.index("left_knee"), 0] = 0.4 + 0.3 * np.cos(phase)
    pose[:, names.index("right_knee"), 0] = 0.4 - 0.3 * np.cos(phase)
    pose[:, names.index("spine1"), 0] = lean
    pose[:, names.index("spine1"), 2] = 0.5 * lean
    return PoseSequence(pose, np.zeros((frames, 3), np.float32), "open-person", "smplx55", fps=30.0)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes of three people."""
    folder = tmp_path_factory.mktemp("motion")
    for i, name in enumerate(("01_01", "01_02", "02_01", "02_02", "11_01", "11_02")):
        save_poses(folder / f"{name}.npz", walk(i))
    return folder


@pytest.fixture
def config(motion: Path, tmp_path: Path) -> Callable[..., PriorTrainConfig]:
    """A config of few steps, refined by nested keys."""

    def make(**over: Any) -> PriorTrainConfig:
        values: dict[str, Any] = {
            "name": "run",
            "out": str(tmp_path / "runs"),
            "steps": 20,
            "batch": 64,
            "validate_every": 10,
            "checkpoint": {"every": 10},
            "evaluate": "likelihood",
            "tracking": {"enabled": False},
            "device": "cpu",
            "threads": 1,
        }
        values["data"] = {"train": str(motion), "held_out": ["11"], "joints": list(JOINTS), **over.pop("data", {})}
        made = load_run("gaussian_prior", {**values, **over})
        assert isinstance(made, PriorTrainConfig)
        return made

    return make


def test_people_are_held_out_whole_and_takes_kept_apart_to_choose_by(
    config: Callable[..., PriorTrainConfig], tmp_path: Path
) -> None:
    sets = open_poses(config(data={"select": 0.2}).data, 0, tmp_path)
    assert (len(sets.train), len(sets.select), len(sets.val)) == (270, 90, 180)
    held = np.concatenate([walk(i).pose for i in (4, 5)])
    names = joint_set("smplx55").joints
    assert np.array_equal(sets.val, held[:, [names.index(name) for name in JOINTS]])
    assert np.array_equal(np.unique(sets.val_takes, return_counts=True)[1], [90, 90])
    known = {pose.tobytes() for pose in sets.train}
    assert not known & {pose.tobytes() for pose in (*sets.select, *sets.val)}


def test_a_run_leaves_a_density_that_knows_held_out_people_better_than_a_broad_one(
    config: Callable[..., PriorTrainConfig],
) -> None:
    done = train(config())
    density = load_density(done.run_dir / FILE)
    assert density.space.joints == JOINTS
    assert any("left_knee" in note for note in density.space.dropped), "knees bend about one axis"
    assert done.metrics["val/nats_per_dim"] < -0.5, "two degrees of freedom in six dimensions, at 0.01 rad"
    assert set(density.data["scores"]) >= {"0.99", "0.999"}
    saved = load_file(done.run_dir / "checkpoints" / "step_00000020" / "prior.safetensors")
    for name, tensor in density.state_dict().items():
        assert torch.equal(tensor, saved[name]), name


def test_without_takes_to_choose_by_the_last_checkpoint_is_taken(config: Callable[..., PriorTrainConfig]) -> None:
    done = train(config())
    assert not (done.run_dir / "best.json").exists(), "held-out people choose nothing"
    other = train(config(name="chosen", data={"select": 0.2}))
    best = json.loads((other.run_dir / "best.json").read_text())
    assert best["metric"] == "select/log_prob_per_dim"
    assert best["score"] == pytest.approx(-other.metrics["select/nats_per_dim"], abs=0.2)


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_resumed_run_ends_bitwise_like_one_that_never_stopped(
    config: Callable[..., PriorTrainConfig], ema: float | None
) -> None:
    cfg = config(optim={"lr": 1e-2, "ema": ema}, noise={"start": 0.05})
    whole = load_file(train(cfg).run_dir / FILE)
    run_dir = Path(cfg.out) / cfg.name
    shutil.rmtree(run_dir / "checkpoints" / "step_00000020")
    for name in ("done.json", FILE):
        (run_dir / name).unlink()
    again = load_file(train(cfg, resume=True).run_dir / FILE)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


def test_the_report_shows_samples_joints_and_latents(config: Callable[..., PriorTrainConfig]) -> None:
    page = write_report(train(config()).run_dir).read_text()
    for title in ("Figures", "Samples", "By joint", "Latent directions", "Space", "Config"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<img") >= 4


def test_noise_falls_geometrically() -> None:
    noise = NoiseConfig(start=0.04, end=0.01)
    assert [round(noise.at(done), 6) for done in (0.0, 0.5, 1.0, 2.0)] == [0.04, 0.02, 0.01, 0.01]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"optim": {"bf16": True}}, "float32"),
        ({"early_stop": {"patience": 3}}, "data.select"),
        ({"model": {"kind": "gausian"}}, "did you mean 'gaussian'"),
        ({"data": {"joints": ["left_knie"]}}, "did you mean 'left_knee'"),
        ({"data": {"joints": "legs"}}, "body, hands, all"),
        ({"data": {"held_out": ["12"]}}, "no subject '12'"),
        ({"data": {"held_out": ["01", "02", "11"]}}, "no frame for training"),
        ({"data": {"train": []}}, "data.train=DIR"),
        ({"data": {"train": [], "procedural_hands": 10}}, "hands alone"),
        ({"data": {"joints": "hands"}}, "fingers of both hands move"),
        ({"noise": {"start": 0.001}}, "greater than or equal to 0.01"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    config: Callable[..., PriorTrainConfig], over: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        train(config(**over))


def test_parts_of_the_body_are_named() -> None:
    data = PriorTrainConfig(name="x", steps=1).data
    assert len(covered(data)) == 21
    assert len(covered(data.model_copy(update={"joints": "hands"}))) == 30
    assert len(covered(data.model_copy(update={"joints": "all"}))) == 54


def test_a_prior_is_no_keypoint_network(config: Callable[..., PriorTrainConfig]) -> None:
    done = train(config())
    with pytest.raises(UserError, match="recipe 'prior', without a keypoint network"):
        model_of_run(done.run_dir)
