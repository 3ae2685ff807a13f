"""Maps between joint sets: what is the same stays to the last bit, what the source does not say is never made up."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.joints import JOINT_SETS, conversion, convert, joint_set

BODIES = sorted(name for name, joints in JOINT_SETS.items() if not joints.one_hand)
HANDS = sorted(set(JOINT_SETS) - set(BODIES))


def _points(name: str, people: int = 3, dims: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(200, 90, (people, joint_set(name).count, dims))


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("coco17", "coco_wholebody133"),
        ("coco17", "openpose25"),
        ("coco17", "smplx127"),
        ("fidip19", "openpose25"),
        ("smplx55", "smplx127"),
        ("mano16", "mano21"),
        ("freihand21", "mano21"),
    ],
)
def test_there_and_back_is_exact(small: str, large: str) -> None:
    points = _points(small)
    there, valid, made = convert(points, small, large)
    assert made.unused == ()
    assert valid.sum(axis=1).tolist() == [sum(made.known)] * 3
    back, valid, _ = convert(there, large, small)
    assert valid.all()
    np.testing.assert_array_equal(back, points)


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("person", ["coco_wholebody133", "smplx127"])
def test_a_hand_goes_to_its_side_of_a_person_and_back(hand: str, side: str, person: str) -> None:
    points = _points(hand)
    there, valid, _ = convert(points, hand, person, side=side)
    placed = {name for name, ok in zip(joint_set(person).joints, valid[0], strict=True) if ok}
    assert {name.partition("_")[0] for name in placed} == {side}
    assert f"{side}_index1" in placed
    back, valid, _ = convert(there, person, hand, side=side)
    assert valid.all()
    np.testing.assert_array_equal(back, points)


def test_freihand_order_in_manos() -> None:
    """MANO's joints by FreiHAND's index, as the data set's own code has it."""
    numbers = np.arange(21.0)[None, :, None]
    mano, _, made = convert(numbers, "freihand21", "mano21")
    expected = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
    assert mano[0, :, 0].tolist() == expected
    assert made.matrix().sum(axis=0).tolist() == [1.0] * 21


def test_openpose_to_fidip_drops_the_feet() -> None:
    points = _points("openpose25")
    found, valid, made = convert(points, "openpose25", "fidip19")
    np.testing.assert_array_equal(found, points[:, :19])
    assert valid.all()
    assert made.unused == joint_set("openpose25").joints[19:]
    assert "lost: left_big_toe, left_small_toe, left_heel, right_big_toe" in made.describe()


def test_means_are_of_both_and_of_nothing_else() -> None:
    points, names = _points("coco17"), joint_set("coco17")
    visible = np.ones((3, 17), bool)
    visible[1, names.index("left_hip")] = False
    points[2, names.index("right_shoulder"), 0] = np.nan
    found, valid, made = convert(points, "coco17", "openpose25", visible)
    openpose = joint_set("openpose25")
    hip, neck = openpose.index("mid_hip"), openpose.index("neck")
    np.testing.assert_allclose(found[0, hip], (points[0, 11] + points[0, 12]) / 2)
    np.testing.assert_allclose(found[0, neck], (points[0, 5] + points[0, 6]) / 2)
    assert valid[:, hip].tolist() == [True, False, True]
    assert valid[:, neck].tolist() == [True, True, False]
    assert np.isnan(found[~valid]).all()
    assert np.isfinite(found[valid]).all()
    assert made.derived["neck"] == (("left_shoulder", "right_shoulder"), (0.5, 0.5))
    assert made.missing == openpose.joints[19:]
    assert not valid[:, 19:].any()


@pytest.mark.parametrize(("source", "target"), itertools.product(BODIES, BODIES))
def test_every_point_has_one_account(source: str, target: str) -> None:
    made = conversion(source, target)
    parts = [*made.exact, *made.approximate, *made.derived, *made.missing]
    assert sorted(parts) == sorted(joint_set(target).joints)
    points = _points(source, dims=3)
    found, valid, _ = convert(points, source, target)
    np.testing.assert_allclose(np.where(valid[..., None], found, 0), made.matrix() @ points, atol=1e-12)
    assert set(made.unused) == {
        name for name, used in zip(joint_set(source).joints, made.matrix().any(axis=0), strict=True) if not used
    }
    if source == target:
        assert made.exact == joint_set(source).joints
        np.testing.assert_array_equal(found, points)


@pytest.mark.parametrize(("source", "target"), itertools.product(BODIES, BODIES))
def test_mirroring_first_or_last_is_the_same(source: str, target: str) -> None:
    points = _points(source)
    flip = joint_set(source).flip_permutation(), joint_set(target).flip_permutation()
    mirrored, after = convert(points[:, flip[0]], source, target)[0], convert(points, source, target)[0][:, flip[1]]
    np.testing.assert_allclose(mirrored, after, atol=1e-12)


def test_like_names_of_unlike_rigs_are_called_approximate() -> None:
    limbs = {f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "shoulder")}
    for source, target in (("smpl24", "coco17"), ("coco17", "smpl24"), ("h36m17", "smpl24"), ("coco17", "h36m17")):
        assert set(conversion(source, target).approximate) == limbs
    assert conversion("smpl24", "smplx55").approximate == ()
    assert conversion("openpose25", "smpl24").approximate[0] == "left_hip"
    assert "neck" in conversion("openpose25", "smpl24").approximate
    assert "neck" in conversion("smpl24", "openpose25").derived, "OpenPose's neck is the middle between the shoulders"


def test_tensors_keep_their_type_and_their_gradient() -> None:
    points = torch.tensor(_points("coco17"), dtype=torch.float32, requires_grad=True)
    found, valid, _ = convert(points, "coco17", "openpose25", np.ones((3, 17)))
    assert found.dtype == torch.float32
    array, mask, _ = convert(points.detach().numpy(), "coco17", "openpose25")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(found.detach().numpy(), array)
    np.testing.assert_array_equal(valid.numpy(), mask)
    found[valid].sum().backward()
    used = np.array(conversion("coco17", "openpose25").matrix().sum(axis=0))
    np.testing.assert_allclose(points.grad[0, :, 0].numpy(), used)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 16, 2)), "coco17", "smpl24"), r"'coco17' has 17 joints: points must be .*not \(2, 16, 2\)"),
        ((np.zeros(17), "coco17", "smpl24"), "has 17 joints"),
        ((np.zeros((2, 17, 2)), "coco17", "smpl24", np.ones(17)), r"visibility \(17,\) does not fit"),
        ((np.zeros((2, 17, 2)), "coco17", "smpl42"), "did you mean 'smpl24'"),
        ((np.zeros((2, 21, 2)), "mano21", "smplx55"), "'mano21' is one hand of either side"),
        ((np.zeros((2, 21, 2)), "mano21", "smplx55", None, "up"), "side must be 'left' or 'right'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        convert(*arguments)


def test_a_description_says_what_is_lost() -> None:
    assert conversion("smpl24", "h36m17").describe().splitlines() == [
        "smpl24 → h36m17: 8 of 17 points are the same",
        "approximate, for the sets define them differently: right_hip, left_hip, left_shoulder, right_shoulder",
        "root is the mean of left_hip and right_hip",
        "thorax is the mean of left_shoulder and right_shoulder",
        "missing (not valid): spine, neck_nose, head_top",
        "lost: pelvis, spine1, spine2, spine3, left_foot, right_foot, neck, left_collar, right_collar, head, left_hand, "
        "right_hand",
    ]
    assert "missing (not valid): face0 … face16" in conversion("smplx127", "coco_wholebody133").describe()
    assert conversion("mano16", "smplx55", "left").describe().endswith("and 27 more")


def _wholebody(path: Path) -> list[dict]:
    data = json.loads(path.read_text())
    return data["annotations"] if isinstance(data, dict) else data


def test_real_wholebody_annotations_and_predictions(shared_data: Path) -> None:
    """The order of the parts, seen from where they lie: hands at their wrists, toes at their ankles, faces at noses."""
    names = joint_set("coco_wholebody133")
    parts = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    folder = shared_data / "coco" / "xtcoco"
    people = _wholebody(folder / "example_wholebody_preds.json")
    assert len(people) == 26
    whole = np.array([[x for part in parts for x in person[part]] for person in people]).reshape(26, 133, 3)[..., :2]
    body, valid, _ = convert(whole, "coco_wholebody133", "coco17")
    assert valid.all()
    np.testing.assert_array_equal(body, np.array([p["keypoints"] for p in people]).reshape(26, 17, 3)[..., :2])

    def apart(a: str, b: str) -> np.ndarray:
        return np.linalg.norm(whole[:, names.index(a)] - whole[:, names.index(b)], axis=1)

    for side, other in (("left", "right"), ("right", "left")):
        for point, own in (("hand_root", "wrist"), ("heel", "ankle"), ("middle1", "wrist")):
            assert (
                np.median(apart(f"{side}_{point}", f"{side}_{own}") / apart(f"{side}_{point}", f"{other}_{own}")) < 0.4
            )
    for face, near, far in (
        *(("face30", "nose", "left_ear"), ("face42", "left_eye", "right_eye"), ("face36", "right_eye", "left_eye")),
        *(("face0", "right_ear", "left_ear"), ("face16", "left_ear", "right_ear")),
    ):
        assert np.median(apart(face, near) / apart(face, far)) < 0.7, face
    truth = _wholebody(folder / "example_wholebody_val.json")
    assert all([len(a[part]) // 3 for part in parts] == [17, 6, 68, 21, 21] for a in truth)
