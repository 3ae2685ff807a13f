"""Numbers of persons and pictures that can be said beforehand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sim2pose.datasets.frames import Frame, Person
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.audit.duplicates import HASH_BITS
from sim2pose.render_farm.audit.features import Measured, person_features, pose_vector, tilt, upright, view_angles
from sim2pose.render_farm.audit.pictures import picture_features, picture_hash, skin_angle, tone_shares

COCO, HAND = joint_set("coco17"), joint_set("mano21")


def standing(turn: float = 0.0, size: float = 40.0) -> np.ndarray:
    """(17, 3) keypoints of a person turned clockwise by ``turn`` degrees about (100, 100), all visible."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.2, 0.2, (17, 2))
    points[[5, 6]], points[[11, 12]] = [[0.2, -0.5], [-0.2, -0.5]], [[0.15, 0.5], [-0.15, 0.5]]
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return np.column_stack([100 + size * points @ np.array([[c, s], [-s, c]]), np.full(17, 2)]).astype(np.float32)


def labelled(keypoints: np.ndarray, bbox: tuple[float, ...] = (60, 60, 80, 80), area: float = 3200) -> Person:
    return Person(np.float32(bbox), keypoints, area)


def frame(person: Person, width: int = 200, height: int = 200) -> Frame:
    return Frame(0, b"", height, width, "real", persons=[person])


@pytest.mark.parametrize("turn", [0, 35, 90, 179, -120])
def test_turn_in_the_picture(turn: float) -> None:
    assert tilt(standing(turn), COCO) == pytest.approx(turn, abs=1e-3)
    hidden = standing(turn)
    hidden[11, 2] = 0
    assert math.isnan(tilt(hidden, COCO))


def test_pose_vectors_forget_place_size_and_turn() -> None:
    first, second = pose_vector(standing(0, 40), COCO), pose_vector(standing(0, 90) + np.float32([5, -9, 0]), COCO)
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert (first**2).sum() == pytest.approx(12)
    turned = pose_vector(standing(70), COCO)
    assert np.abs(turned - first).max() > 0.3
    np.testing.assert_allclose(upright(turned[None], COCO), upright(first[None], COCO), atol=1e-5)
    hidden = standing()
    hidden[15, 2] = 0
    assert pose_vector(hidden, COCO) is None
    assert pose_vector(np.full((21, 3), 1.0) * np.arange(21)[:, None] + 1, HAND).shape == (42,)


def test_difficulty_by_hand() -> None:
    easy = person_features(labelled(standing(), (2, 2, 190, 190)), frame(labelled(standing())), COCO)
    assert easy["difficulty"] == pytest.approx(0.2 * math.log2(256 / 190) / 3)
    points = standing()
    points[:4, 2], points[4:6] = 1, 0
    person = labelled(points, (0, 60, 32, 32))
    hard = person_features(person, frame(person), COCO)
    assert hard["truncated"] == 1
    assert hard["difficulty"] == pytest.approx(0.4 * 6 / 17 + 0.2 * 4 / 17 + 0.2 * 0.5 + 0.2)
    assert (hard["box_height"], hard["fill"], hard["centre_y"]) == pytest.approx((0.16, 3.125, 0.38))


def test_where_the_camera_stands() -> None:
    """A body that faces the camera is seen from its front; turned left about its own height, from its right."""
    facing = Rotation.from_matrix(np.diag([1.0, -1, -1]))  # Y up and Z towards the camera, in OpenCV's axes
    for turn, azimuth, elevation in (
        (Rotation.identity(), 0, 0),
        (Rotation.from_euler("y", 90, degrees=True), -90, 0),
        (Rotation.from_euler("x", 60, degrees=True), 0, 60),
    ):
        person = labelled(standing())
        person.pose = (facing * turn).as_rotvec().astype(np.float32)
        person.keypoints_3d = np.tile(np.float32([0, 0, 3]), (17, 1))
        assert view_angles(person) == pytest.approx((azimuth, elevation), abs=1e-4)
    assert all(math.isnan(angle) for angle in view_angles(labelled(standing())))


def test_crowds_and_unlabelled_people_are_not_measured() -> None:
    crowd, empty = labelled(standing()), labelled(np.zeros((17, 3), np.float32))
    crowd.iscrowd = True
    whole = frame(labelled(standing()))
    whole.persons += [crowd, empty]
    measured = Measured()
    measured.add(whole, COCO, 3)
    assert measured.frames["persons"] == [1]
    assert (measured.persons["position"], measured.persons["number"]) == ([3], [0])


def test_light_and_colour() -> None:
    grey = picture_features(np.full((50, 60, 3), 119, np.uint8))  # L* 50 of sRGB is level 118.9
    assert grey == pytest.approx({"brightness": 50, "contrast": 0, "saturation": 0}, abs=0.3)
    board = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((12, 12)))[..., None] * np.uint8([255, 0, 0])
    assert picture_features(board.astype(np.uint8))["contrast"] == pytest.approx(53.24 / 2, abs=0.5)
    assert picture_features(np.full((9, 9, 3), (255, 0, 0), np.uint8))["saturation"] == pytest.approx(104.6, abs=0.5)


def test_skin_is_read_off_the_face() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[30:70, 30:70] = (224, 172, 150)
    points = np.zeros((17, 3), np.float32)
    points[:3] = (50, 52, 2), (58, 44, 2), (42, 44, 2)
    person = labelled(points)
    lab = cv2.cvtColor(np.float32([[[224, 172, 150]]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]
    expected = math.degrees(math.atan2(lab[0] - 50, lab[2]))
    assert skin_angle(picture, person, COCO, None) == pytest.approx(expected, abs=0.1)
    points[1, 2] = 1  # an eye turned away: no frontal face
    assert math.isnan(skin_angle(picture, person, COCO, None))
    hand = labelled(np.zeros((21, 3), np.float32))
    mask = np.zeros((100, 100), bool)
    mask[35:65, 35:65] = True
    assert skin_angle(picture, hand, HAND, mask) == pytest.approx(expected, abs=0.1)
    np.testing.assert_allclose(tone_shares(np.array([60, 50, 30, 20, 0, -50, math.nan])), np.full(6, 1 / 6))


def test_hashes_bear_light_and_jpeg_but_not_another_picture() -> None:
    rng = np.random.default_rng(0)

    def scene() -> np.ndarray:
        noise = cv2.resize(rng.uniform(0, 1, (6, 6, 3)), (96, 80), interpolation=cv2.INTER_CUBIC)
        return (np.clip(noise, 0, 1) * 200).astype(np.uint8)

    picture = scene()
    jpeg = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    near = [(picture_hash(picture) ^ picture_hash(other)).bit_count() for other in (jpeg, picture + 30)]
    far = [(picture_hash(picture) ^ picture_hash(scene())).bit_count() for _ in range(10)]
    assert max(near) <= HASH_BITS
    assert min(far) > 10
