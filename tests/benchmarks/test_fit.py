"""``bench fit``: what the fit is given, how its errors are counted, and that the baseline is the reference's fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim2pose.benchmarks import fit, smplify_baseline
from sim2pose.benchmarks.fit import BenchConfig, Infant, errors, perturbed, render_infants
from sim2pose.benchmarks.smplify_baseline import OneAtATime
from sim2pose.config import validate
from sim2pose.models.bodies import Body, load_body
from sim2pose.models.geometry import camera_matrix, project


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open-infant")


@pytest.fixture(scope="module")
def infants(body: Body) -> list[Infant]:
    return render_infants(BenchConfig(people=8, size=(320, 240)), body)[0]


def test_infants_are_labelled_with_bodies_that_project_onto_their_keypoints(body: Body, infants: list[Infant]) -> None:
    assert len({infant.id for infant in infants}) == 8
    people = perturbed(infants, BenchConfig(missing=0.0, size=(320, 240)), noise=0.0)
    arrays = (np.stack([getattr(infant, name) for infant in infants]) for name in ("betas", "pose", "transl", "K"))
    found = errors(body, infants, people, *arrays)
    assert found.given_px.max() < 0.02 and found.true_px.max() < 0.02
    assert max(found.pa_mm.max(), found.rigid_mm.max(), found.root_mm.max()) < 0.01


def test_errors_tell_what_they_are(body: Body, infants: list[Infant]) -> None:
    betas, pose, transl, K = (
        np.stack([getattr(i, name) for i in infants]) for name in ("betas", "pose", "transl", "K")
    )
    people = perturbed(infants, BenchConfig(size=(320, 240)), noise=2.0)
    moved = errors(body, infants, people, betas, pose, transl + np.array([0.1, 0, 0]), K)
    assert moved.pa_mm.max() < 0.01 and moved.root_mm.max() < 0.01, "Procrustes, and the pelvis, take a shift away"
    assert moved.true_px.min() > 5
    tilted, bent, fat = pose.copy(), pose.copy(), betas.copy()
    tilted[:, 0] *= 0.9
    bent[:, 18] += [0.0, 0.8, 0.0]
    fat[:, 0] += 2
    found = errors(body, infants, people, betas, tilted, transl, K)
    assert found.root_mm.min() > 5 and found.rigid_mm.max() < 0.01, "and without scale it takes a turn away"
    found = errors(body, infants, people, fat, pose, transl, K)
    assert found.rigid_mm.min() > 1 and np.all(found.pa_mm < 0.7 * found.rigid_mm), "only with scale a size"
    found = errors(body, infants, people, betas, bent, transl, K)
    assert found.pa_mm.min() > 1, "and never a pose"


def test_a_fifth_goes_missing_and_six_stay(infants: list[Infant]) -> None:
    config = BenchConfig(missing=0.2, size=(320, 240))
    many = [Infant(f"{i}/{k}", *list(vars(one).values())[1:]) for k in range(60) for i, one in enumerate(infants)]
    noisy, exact = perturbed(many, config, 2.0), perturbed(many, config, 0.0)
    labelled = sum(int((one.keypoints[:, 2] > 0).sum()) for one in many)
    left = sum(int((person.keypoints[:, 2] > 0).sum()) for person in noisy)
    assert 0.77 < left / labelled < 0.83
    shifts = []
    for one, a, b in zip(many, noisy, exact, strict=True):
        seen = a.keypoints[:, 2] > 0
        np.testing.assert_array_equal(seen, b.keypoints[:, 2] > 0)
        np.testing.assert_array_equal(b.keypoints[seen, :2], one.keypoints[seen, :2])
        shifts.append((a.keypoints - b.keypoints)[seen, :2])
    assert abs(np.concatenate(shifts).std() - 2.0) < 0.05
    for missing in (0.5, 0.99):
        few = perturbed(many, BenchConfig(missing=missing, size=(320, 240)), 0.0)
        for person, one in zip(few, many, strict=True):
            assert (person.keypoints[:, 2] > 0).sum() >= min(fit.LEAST, (one.keypoints[:, 2] > 0).sum())


def test_the_baseline_finds_a_standing_infant(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer iterations than the reference's, and a prior about the standing pose."""
    monkeypatch.setattr(smplify_baseline, "ITERATIONS", 9)
    monkeypatch.setattr(smplify_baseline, "TOLERANCE", 1e-3)
    pose, transl = torch.zeros(1, 24, 3), torch.tensor([[0.1, 0.0, 3.0]])
    pose[0, 0, 0] = np.pi  # upright in a picture whose y points down
    pose[0, 16, 2], pose[0, 17, 2] = -1.1, 1.1
    with torch.no_grad():
        points = body(torch.zeros(1, body.num_betas), pose, transl).keypoints[0].double().numpy()
    K = camera_matrix(smplify_baseline.FOCAL, 640, 480)
    keypoints = np.concatenate([project(points, K), np.ones((17, 1))], 1)
    keypoints[3, 2] = 0.0  # a missing ear
    baseline = OneAtATime(body, "coco17", pose[0, 1:].reshape(-1).numpy(), 100 * np.eye(69))
    found = baseline(keypoints, 640, 480)
    np.testing.assert_allclose(found.K, K)
    with torch.no_grad():
        again = body(*(torch.as_tensor(x[None], dtype=torch.float32) for x in (found.betas, found.pose, found.transl)))
    off = np.linalg.norm(project(again.keypoints[0].double().numpy(), K) - keypoints[:, :2], axis=1)
    assert off.mean() < 3 and abs(found.transl[2] - 3.0) < 0.3
    assert found.evaluations > 50 and np.isfinite(found.loss)


def test_shoulders_in_line_are_tried_from_both_sides(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smplify_baseline, "ITERATIONS", 1)
    begun = []

    def stage(self: OneAtATime, at: smplify_baseline._Variables, *_: object) -> float:
        begun.append(at.orient.clone())
        return float(len(begun))

    monkeypatch.setattr(OneAtATime, "_body_stage", stage)
    baseline = OneAtATime(body, "coco17", np.zeros(69), np.eye(69))
    keypoints = np.random.default_rng(0).uniform(100, 300, (17, 3))
    keypoints[:, 2] = 1
    for apart, orientations in ((40.0, 1), (20.0, 2)):
        keypoints[5, :2], keypoints[6, :2] = (200.0, 150.0), (200.0 + apart, 150.0)
        begun.clear()
        baseline(keypoints, 640, 480)
        assert len(begun) == orientations * len(smplify_baseline.STAGES)


def test_rows_hold_speed_accuracy_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smplify_baseline, "ITERATIONS", 2)
    quick = {"search": {"starts": 2, "finalists": 1, "exemplars": 64, "limbs": 0}, "iterations": 8, "limit": 0.02}
    rows = fit.run(
        validate(BenchConfig, {"people": 4, "size": (320, 240), "noise": (2.0,), "baseline": 1, "fit": quick})
    )
    speed, seconds = rows[:2]
    assert speed.unit == "images/s" and speed.ratio is not None and speed.ratio > 0
    assert seconds.value == pytest.approx(1 / speed.value) and seconds.ratio == pytest.approx(1 / speed.ratio)
    for camera in fit.CAMERAS:
        mine = {row.name.split(f"camera {camera}: ")[1]: row for row in rows if f"camera {camera}: " in row.name}
        pixels = mine["reprojection to the given keypoints, median"].value
        assert 0 < pixels < 8 and mine["PA-MPJPE, 24 joints, median"].value > 1
        named = [name for name in mine if name.startswith("failed: ")]
        assert mine["failed"].value == len(named), "every failure is named"
        assert mine["failed"].unit == "of 4"
