"""Points of every joint set on every format, from the vertices of the mesh at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import Body, BodyOutput, load_body
from sim2pose.models.joints import JOINT_SETS, joint_set

Posed = tuple[Body, BodyOutput]


@pytest.fixture(scope="module")
def bodies(official: Path) -> dict[str, Posed]:
    """Each format in a random pose."""
    rng, made = np.random.default_rng(0), {}
    for kind in ("smpl", "smplh", "smplx", "mano"):
        body = load_body(official, model_type=kind, gender="male" if kind == "smplh" else "neutral", num_betas=10)
        pose = torch.from_numpy(0.3 * rng.standard_normal((2, body.joint_count, 3)).astype(np.float32))
        made[kind] = body, body(torch.zeros(2, 10), pose, torch.ones(2, 3))
    return made


def point(posed: Posed, joint_set_name: str, name: str) -> torch.Tensor:
    body, output = posed
    return body.points(output, joint_set_name)[:, joint_set(joint_set_name).index(name)]


def test_smplx127_is_what_smplx_returns(bodies: dict[str, Posed], official: Path) -> None:
    body, _ = bodies["smplx"]
    reference = smplx.create(
        str(official), model_type="smplx", ext="npz", use_pca=False, flat_hand_mean=True, use_face_contour=True
    )
    orient, pose = torch.full((1, 3), 0.3), torch.full((1, 63), 0.1)
    pose[:, 33:36] = pose[:, 24:27] = pose[:, 15:18] = pose[:, 6:9] = 0  # spine and neck straight: no yaw of the head
    theirs = reference(global_orient=orient * 0, body_pose=pose, expression=torch.zeros(1, 10)).joints
    flat = torch.cat([orient * 0, pose, torch.zeros(1, 99)], 1)
    ours = body(torch.zeros(1, 10), flat, torch.zeros(1, 3))
    assert (body.points(ours, "smplx127") - theirs[:, :127]).abs().max() < 1e-5
    wholebody = body.points(ours, "coco_wholebody133")
    first = joint_set("coco_wholebody133").index("face0")
    assert (wholebody[:, first : first + 17] - theirs[:, 127:]).abs().max() < 1e-5
    assert (wholebody[:, first + 17 : first + 68] - theirs[:, 76:127]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "nose", "left_ear", "left_heel"),
    [("smpl", 332, 583, 3387), ("smplx", 9120, 6, 8846), ("smplh", 332, 583, 3387)],
)
def test_vertex_numbers_are_those_of_the_mesh(
    kind: str, nose: int, left_ear: int, left_heel: int, bodies: dict[str, Posed]
) -> None:
    _, output = bodies[kind]
    for name, vertex in (("nose", nose), ("left_ear", left_ear), ("left_heel", left_heel)):
        assert torch.allclose(point(bodies[kind], "openpose25", name), output.vertices[:, vertex], atol=1e-6)
    assert torch.allclose(output.keypoints[:, 0], output.vertices[:, nose], atol=1e-6)


def test_fidip_order_is_that_of_the_reference(bodies: dict[str, Posed]) -> None:
    """SMPLify-X on SMIL maps its 19 keypoints to these of smplx's joints; the middle hip is the hips' mean, as OpenPose's."""
    body, output = bodies["smpl"]
    face = output.vertices[
        :, [332, 6260, 2800, 4071, 583]
    ]  # smplx appends nose, right eye, left eye, right ear, left ear
    theirs = torch.cat([output.joints, face], 1)
    theirs = theirs[:, [24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28]]
    ours = body.points(output, "fidip19")
    theirs[:, 8] = output.joints[:, 1:3].mean(1)
    assert (ours - theirs).abs().max() < 1e-5


def test_coco_points_are_the_keypoints(bodies: dict[str, Posed]) -> None:
    for kind in ("smpl", "smplh", "smplx"):
        body, output = bodies[kind]
        assert torch.allclose(body.points(output, "coco17"), output.keypoints, atol=1e-6)
        hips = torch.from_numpy(body.joint_regressor[1]) @ output.vertices
        assert torch.allclose(output.keypoints[:, 11], hips, atol=1e-5)  # regressed, not SMPL's posed joint


def test_hands_of_freihand(bodies: dict[str, Posed]) -> None:
    body, output = bodies["mano"]
    order = joint_set("freihand21")
    for name in order.joints:
        found = output.keypoints[:, order.index(name)]
        tips = {"thumb_tip": 744, "index_tip": 320, "middle_tip": 443, "ring_tip": 554, "pinky_tip": 671}
        wanted = output.vertices[:, tips[name]] if name in tips else output.joints[:, joint_set("mano16").index(name)]
        assert torch.allclose(found, wanted, atol=1e-5), name
    assert torch.allclose(body.points(output, "freihand21"), output.keypoints, atol=1e-6)
    assert torch.allclose(body.points(output, "mano21")[:, :16], output.joints, atol=1e-6)


COMPLETE = {
    "smpl": {"coco17", "openpose25", "fidip19", "smpl24"},
    "smplh": {"coco17", "openpose25", "fidip19", "smpl24", "smplh52"},
    "smplx": {"coco17", "coco_wholebody133", "openpose25", "fidip19", "smpl24", "smplh52", "smplx55", "smplx127"},
    "mano": {"mano16", "mano21", "freihand21"},
}


@pytest.mark.parametrize("name", JOINT_SETS)
@pytest.mark.parametrize("kind", COMPLETE)
def test_every_set_is_complete_or_names_what_it_lacks(kind: str, name: str, bodies: dict[str, Posed]) -> None:
    body, output = bodies[kind]
    weights = body.point_weights(name, allow_missing=True)
    assert weights.names == joint_set(name).joints
    assert (name in COMPLETE[kind]) == (weights.missing == ())
    total = weights.vertices.sum(1) + weights.joints.sum(1)
    lacking = torch.tensor([point in weights.missing for point in weights.names])
    assert torch.allclose(total, (~lacking).float(), atol=1e-5)
    if weights.missing:
        with pytest.raises(UserError, match=f"cannot give {weights.missing[0]}.* of joint set '{name}'"):
            body.points(output, name)
    else:
        assert torch.isfinite(body.points(output, name)).all()


def test_h36m_lacks_only_what_no_smpl_body_has(bodies: dict[str, Posed]) -> None:
    assert bodies["smpl"][0].point_weights("h36m17", allow_missing=True).missing == ("spine", "neck_nose", "head_top")


def test_unknown_mesh_gives_no_vertex_numbers_of_another(toys, tmp_path: Path) -> None:
    """A body of its own mesh, as open-infant: the tips stay unknown until the file names them."""
    arrays = toys("mano")
    changed = arrays | {"f": arrays["f"][:-1], "keypoint_regressor": np.full((21, 778), 1 / 778)}
    np.savez(tmp_path / "hand.npz", **changed)
    body = load_body(tmp_path / "hand.npz")
    assert not body.official and not body.extra_vertices
    tip = joint_set("mano21").index("thumb_tip")
    assert torch.allclose(
        body.point_weights("mano21").vertices[tip], torch.full((778,), 1 / 778)
    )  # the regressor's row
    vertices = {"thumb": 3, "index": 4, "middle": 5, "ring": 6, "pinky": 7}
    np.savez(tmp_path / "hand.npz", **changed, extra_vertices=np.array(json.dumps(vertices)))
    named = load_body(tmp_path / "hand.npz").point_weights("mano21")
    assert named.vertices[tip].argmax() == 3 and named.vertices[tip].max() == 1


def test_open_infant_says_what_to_add() -> None:
    infant = load_body("open-infant")
    if infant.extra_vertices:
        assert infant.point_weights("openpose25").missing == ()
    else:
        with pytest.raises(UserError, match=r"cannot give left_big_toe.*add 'extra_vertices'"):
            infant.point_weights("openpose25")


def test_points_are_differentiable(bodies: dict[str, Posed]) -> None:
    body, _ = bodies["mano"]
    pose = torch.full((1, 48), 0.1, requires_grad=True)
    output = body(torch.zeros(1, 10), pose, torch.zeros(1, 3))
    (gradient,) = torch.autograd.grad(body.points(output, "mano21").square().sum(), pose)
    assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0
