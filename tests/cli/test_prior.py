"""``sim2pose prior`` from files to files, and priors by name in renders and fits."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sim2pose.__main__ import main
from sim2pose.config import UserError, load_config
from sim2pose.datasets.poses import PoseSequence, load_poses, save_poses
from sim2pose.models.bodies import load_body
from sim2pose.models.joints import joint_set
from sim2pose.models.priors import GaussianDensity, GaussianPrior, PoseSpace
from sim2pose.models.priors.named import RUN_FILE
from sim2pose.render_farm.fit.config import FitConfig
from sim2pose.render_farm.fit.priors import pose_prior
from sim2pose.render_farm.poses import prior_source

NAMES = joint_set("smplx55").joints
BODY = NAMES[1:22]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sim2pose", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: elbows that bend alike, other joints nearly still."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(800, 21, 3, generator=generator) * 0.06
    bend = torch.rand(800, generator=generator)
    pose[:, BODY.index("left_elbow"), 1] -= bend
    pose[:, BODY.index("right_elbow"), 1] += bend
    pose[:, BODY.index("left_shoulder"), 2] -= 1.1
    pose[:, BODY.index("right_shoulder"), 2] += 1.1
    space = PoseSpace.fit(pose, BODY, "smplx55")
    density = GaussianDensity(space, shrinkage=0.0)
    density.initialise(space.standardise(space.to_coordinates(pose))[0])
    folder = tmp_path_factory.mktemp("run")
    density.save(folder / RUN_FILE)
    return folder


@pytest.fixture(scope="module")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three poses: elbows straight, bent, and one bent backwards."""
    pose = np.zeros((3, 55, 3), np.float32)
    pose[:, NAMES.index("left_shoulder"), 2], pose[:, NAMES.index("right_shoulder"), 2] = -1.1, 1.1
    for k, bend in enumerate((0.1, 0.9, -1.2)):
        pose[k, NAMES.index("left_elbow"), 1], pose[k, NAMES.index("right_elbow"), 1] = -bend, bend
    pose[:, 25:] = 0.2
    sequence = PoseSequence(
        pose, np.ones((3, 3), np.float32), "open-person", "smplx55", names=("a", "b", "c"), fps=30.0
    )
    return save_poses(tmp_path_factory.mktemp("poses") / "three.npz", sequence)


def _picture(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


def test_samples_become_a_pose_file_and_a_sheet(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn.npz"
    assert run(monkeypatch, "prior", "sample", str(prior), f"out={out}", "count=20", "sheet=2") == 0
    drawn = load_poses(out)
    assert len(drawn) == 20 and drawn.body == "open-person" and drawn.joint_set == "smplx55"
    assert drawn.pose[:, 1:22].any((1, 2)).all() and not drawn.pose[:, 22:].any() and not drawn.pose[:, 0].any()
    assert "wrote 20 poses" in capsys.readouterr().out and _picture(out.with_suffix(".png")).std() > 10
    again = tmp_path / "again.npz"
    run(monkeypatch, "prior", "sample", str(prior), f"out={again}", "count=20", "sheet=0")
    np.testing.assert_array_equal(load_poses(again).pose, drawn.pose)
    assert not again.with_suffix(".png").exists()
    run(monkeypatch, "prior", "sample", "open-infant", f"out={again}", "count=3", "seed=1", "sheet=0")
    assert load_poses(again).body == "open-infant"


def test_missing_joints_are_filled_and_others_kept(
    prior: Path, poses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "filled.npz"
    words = ("prior", "complete", str(prior), str(poses), "missing=left_elbow", f"out={out}", "count=4")
    assert run(monkeypatch, *words) == 0
    filled, given = load_poses(out), load_poses(poses)
    assert filled.names[:5] == ("a#0", "a#1", "a#2", "a#3", "b#0") and filled.fps is None
    elbow, others = NAMES.index("left_elbow"), [k for k, name in enumerate(NAMES) if name != "left_elbow"]
    np.testing.assert_allclose(filled.pose[:, others], given.pose[np.repeat(np.arange(3), 4)][:, others], atol=1e-6)
    np.testing.assert_allclose(filled.transl, 1)
    bends = -filled.pose[:, elbow, 1].reshape(3, 4)
    assert abs(bends[0].mean() - 0.1) < 0.15 and abs(bends[1].mean() - 0.9) < 0.15, "as the right elbow does"
    assert bends[0].std() > 0.01 and _picture(out.with_suffix(".png")).std() > 10
    words = ("prior", "complete", "open-person", str(poses), "missing=[left_elbow]", f"out={out}", "picture=false")
    assert run(monkeypatch, *words) == 0
    assert load_poses(out).names == ("a#0", "b#0", "c#0"), "a mixture gives its expectation"


def test_implausible_poses_are_listed(
    prior: Path, poses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, figures = tmp_path / "scores", tmp_path / "figures.json"
    words = (
        "prior",
        "score",
        str(prior),
        str(poses),
        f"out={out}",
        "quantile=0.999",
        "sheet=2",
        "--json",
        str(figures),
    )
    assert run(monkeypatch, *words) == 0
    assert "1 of 3 poses implausible" in capsys.readouterr().out
    with (out / "scores.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0]["id"] == "c" and rows[0]["implausible"] == "True"
    assert "elbow" in rows[0]["joints"] and rows[1]["joints"] == ""
    assert json.loads(figures.read_text())["implausible"] == 1
    assert json.loads((out / "scores.json").read_text())["limits"]["source"] == "its own samples"
    assert _picture(out / "worst.png").std() > 10


def test_people_of_frames_are_scored(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prior_source, "BANK", 64)
    frames = tmp_path / "frames"
    words = ("render", "infant", f"poses=prior:{prior}", "frames=3", "workers=0", "width=96", "height=96")
    assert run(monkeypatch, *words, f"out={frames}", "scene.poses.plausibility.redraws=0") == 0
    out = tmp_path / "scores"
    capsys.readouterr()
    assert run(monkeypatch, "prior", "score", str(prior), str(frames), f"out={out}", "quantile=0.999") == 0
    assert "0 of 3 poses implausible" in capsys.readouterr().out, "frames of a prior are plausible to it"
    found = json.loads((out / "scores.json").read_text())
    assert {row["id"] for row in found["scores"]} == {"0:0", "1:0", "2:0"} and not found["lacking"]
    assert _picture(out / "worst.png").std() > 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prior", "sample", "open-persn"), "no prior 'open-persn': did you mean 'open-person'"),
        (("prior", "sample", "open-person", "body=open-hand-left", "sheet=0"), "has none of the prior's joints"),
        (("prior", "complete", "open-person", "POSES", "missing=left_arn"), "did you mean 'left_arm'"),
        (("prior", "complete", "open-person", "POSES", "missing=left_arm", "count=3"), "gives one completion"),
        (("prior", "complete", "open-person", "POSES"), "'missing' must be given"),
        (
            ("prior", "complete", "PRIOR", "POSES", "missing=[arms,legs,trunk,neck_and_head]"),
            "all joints of the prior are missing",
        ),
        (("prior", "score", "open-person", "NOWHERE"), "no pose file at"),
        (("prior", "compare", "open-person", "data=x"), "is a mixture for fits"),
        (("prior", "compare", "data=x"), "missing NAME"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...],
    message: str,
    prior: Path,
    poses: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    known = {"POSES": str(poses), "PRIOR": str(prior), "NOWHERE": "nowhere.npz"}
    assert run(monkeypatch, *(known.get(word, word) for word in words)) == 2
    assert message in capsys.readouterr().err


def test_fits_take_priors_by_name(prior: Path, tmp_path: Path) -> None:
    person, infant = load_body("open-person"), load_body("open-infant")
    config = load_config(FitConfig, None, [f"prior={prior}"])
    assert config.prior.path == prior
    found = pose_prior(config, person)
    assert found.joints == BODY and found.precision.shape == (63, 63)
    shipped = pose_prior(load_config(FitConfig, None, ["prior=open-infant"]), person)
    assert len(shipped.joints) == 23
    assert pose_prior(load_config(FitConfig, None, [f"prior.path={prior}", "prior.weight=2"]), infant).joints == BODY
    with pytest.raises(UserError, match=r"no prior 'open-infnt': did you mean 'open-infant'"):
        pose_prior(load_config(FitConfig, None, ["prior=open-infnt"]), person)
    GaussianPrior(np.zeros(3), np.eye(3), ("left_index1",)).save(tmp_path / "hand.npz")
    with pytest.raises(UserError, match="no joint of body 'open-infant'"):
        pose_prior(load_config(FitConfig, None, [f"prior={tmp_path / 'hand.npz'}"]), infant)
