"""What a fit leaves on disk, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.datasets.keypoint_files import PersonKeypoints
from sim2pose.datasets.poses import load_poses
from sim2pose.models.bodies import Body, load_body
from sim2pose.render_farm.fit import outputs, report
from sim2pose.render_farm.fit.report import Bad
from sim2pose.render_farm.fit.result import FitResult

N = 3


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open-infant")


@pytest.fixture
def result(body: Body) -> FitResult:
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.2, (N, 24, 3))
    pose[:, 0] = [np.pi, 0, 0]
    K = np.broadcast_to([[500.0, 0, 159.5], [0, 500.0, 119.5], [0, 0, 1]], (N, 3, 3)).copy()
    return FitResult(
        ids=("a", "b", "c"),
        pose=pose,
        betas=rng.normal(0, 0.5, (N, body.num_betas)),
        transl=np.tile([0.02, 0.1, 2.0], (N, 1)),
        K=K,
        converged=np.array([True, False, True]),
        terms={"data": np.array([1.0, 2.0, 4.0]), "pose": np.array([0.5, 0.5, 0.7])},
        reprojection_px=np.array([1.0, 2.0, 30.0]),
        reprojection_box=np.array([0.01, 0.02, 0.3]),
        hypothesis=np.array([0, 2, 1]),
        margin=np.array([np.inf, 3.0, 9.0]),
        iterations=np.array([11, 40, 12]),
        failed=[("d", "no keypoints")],
        body=body.name,
        joint_set="smpl24",
    )


def test_poses_travel_through_both_files(body: Body, result: FitResult, tmp_path: Path) -> None:
    poses = outputs.pose_sequence(body, result, "people.json", (0.0, -1.0, 0.0))
    for path in outputs.save_both(tmp_path, poses):
        found = load_poses(path)
        np.testing.assert_allclose(found.pose, result.pose, atol=1e-6)
        np.testing.assert_allclose(found.betas, result.betas, atol=1e-6)
        assert found.frame == "camera" and found.names == result.ids and found.up == (0.0, -1.0, 0.0)
        assert found.body == "open-infant" and found.joint_set == "smpl24" and found.source == "people.json"


def test_meshes_stand_upright(body: Body, result: FitResult, tmp_path: Path) -> None:
    for number, (vertices, joints) in enumerate(outputs.posed(body, result)):
        path = outputs.save_mesh(tmp_path / f"{number}.obj", vertices, body.faces)
        lines = path.read_text().splitlines()
        points = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
        faces = np.array([line.split()[1:] for line in lines if line.startswith("f ")], int)
        np.testing.assert_allclose(points * [1, -1, -1], vertices, atol=1e-6)
        np.testing.assert_array_equal(faces - 1, body.faces)
        head, feet = joints[15], joints[[7, 8]].mean(0)
        assert -head[1] > -feet[1], "head above feet in a file whose y points up"
        volume = np.einsum(
            "fi,fi->f", points[faces[:, 0] - 1], np.cross(points[faces[:, 1] - 1], points[faces[:, 2] - 1])
        )
        assert volume.sum() > 0, "faces still look outwards"
    assert number == N - 1


def test_targets_leave_out_what_the_body_lacks(body: Body, result: FitResult) -> None:
    vertices, joints = next(outputs.posed(body, result))
    full = PersonKeypoints("a", "coco17", np.random.default_rng(0).uniform(0, 1, (17, 3)) * [300, 200, 1], 320, 240)
    keypoints, projected = outputs.targets(body, full, vertices, joints, result.K[0])
    np.testing.assert_array_equal(keypoints, full.keypoints)
    wanted = body.keypoint_regressor.double().numpy() @ vertices
    np.testing.assert_allclose(projected[:, 0], 500 * wanted[:, 0] / wanted[:, 2] + 159.5, atol=1e-3)
    whole = PersonKeypoints(
        "w", "coco_wholebody133", np.random.default_rng(0).uniform(0.1, 1, (133, 3)) * [300, 200, 1], 320, 240
    )
    keypoints, projected = outputs.targets(body, whole, vertices, joints, result.K[0])
    lacking = body.point_weights("coco_wholebody133", allow_missing=True).missing
    assert len(lacking) and (keypoints[:, 2] == 0).sum() == len(lacking) and np.isfinite(projected).all()


def test_pictures_are_read_or_refused(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(0, 1, (17, 3)) * [60, 40, 1]
    assert outputs.read_picture(PersonKeypoints("p", "coco17", points, 64, 48)).shape == (48, 64, 3)
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255  # BGR, as OpenCV writes
    cv2.imwrite(str(tmp_path / "p.png"), red)
    picture = outputs.read_picture(PersonKeypoints("p", "coco17", points, 64, 48, tmp_path / "p.png"))
    assert picture[0, 0].tolist() == [255, 0, 0]
    (tmp_path / "p.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"cannot read the picture .*p\.png"):
        outputs.read_picture(PersonKeypoints("p", "coco17", points, 64, 48, tmp_path / "p.png"))


def test_bodies_that_reach_behind_the_camera_are_not_drawn(body: Body, result: FitResult) -> None:
    vertices, _ = next(outputs.posed(body, result))
    outputs.check_in_front(vertices)
    with pytest.raises(UserError, match="of the body reach behind the camera"):
        outputs.check_in_front(vertices - [0, 0, 2.0])


def test_figures_are_plain_json(result: FitResult, tmp_path: Path) -> None:
    people = report.people_rows(result)
    path = outputs.save_figures(tmp_path, {"people": people, "figures": report.figures(result, 6.0)})
    read = json.loads(path.read_text())
    first, last = read["people"][0], read["people"][2]
    assert first["margin"] is None and read["people"][1]["margin"] == 3, "what is not finite is null"
    assert [row["status"] for row in read["people"]] == ["converged", report.ITERATION_LIMIT, "converged"]
    assert last["reprojection_percent_of_box"] == pytest.approx(30) and last["focal"] == 500
    figures = read["figures"]
    assert figures["reprojection_px"]["median"] == 2 and figures["converged"] == 2 and figures["ambiguous"] == 1
    assert figures["terms"]["data"]["median"] == 2 and figures["seconds_per_person"] == 2


def test_bad_items_are_named_with_their_reasons(result: FitResult) -> None:
    bad = [Bad("x.json", "left out", "is not JSON"), *report.doubtful(result, 8.0, {"a": 5, "b": 17, "c": 5})]
    assert report.bad_lines(bad[::-1]) == [
        "  left out   x.json: is not JSON",
        "  doubtful   a: 5 keypoints only: most of the pose is the prior's",
        "  doubtful   b: stopped at the limit of iterations",
        "  doubtful   c: misses its keypoints by 30.0 % of the box's diagonal",
    ]
