"""The open infant as committed, its agreement with smplx, and what loading refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch

from sim2pose.config import UserError
from sim2pose.models import geometry
from sim2pose.models.bodies import Body, load_body, load_parts
from sim2pose.models.bodies.load import OPEN_BODIES, SMPL_KEYS, read_npz
from sim2pose.models.bodies.meshes import distance_to_mesh, grid_atlas
from sim2pose.models.bodies.smplx_layer import smplx_layer
from sim2pose.models.joints import joint_set

SMPL, COCO = joint_set("smpl24"), joint_set("coco17")


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open-infant")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return read_npz(OPEN_BODIES["open-infant"])


def params(body: Body, count: int, seed: int = 0, angle: float = 0.3):
    rng = np.random.default_rng(seed)
    pose = angle * rng.standard_normal((count, 72)).astype(np.float32)
    transl = rng.standard_normal((count, 3)).astype(np.float32)
    return torch.from_numpy(body.sample_betas(rng, count)), torch.from_numpy(pose), torch.from_numpy(transl)


def rest(body: Body, count: int = 1):
    return torch.zeros(count, body.num_betas), torch.zeros(count, 72), torch.zeros(count, 3)


# ---- the committed file


def test_file_is_small_and_says_where_it_comes_from(body: Body) -> None:
    assert OPEN_BODIES["open-infant"].stat().st_size < 4e6
    assert "CC0" in body.licence
    report = body.meta["report"]
    assert report["vertex_mean_mm"] <= 0.55
    assert report["joint_mean_mm"] <= 0.5
    assert report["explained_variance"] > 0.999


def test_growth_follows_the_who_medians(body: Body) -> None:
    for row in body.meta["report"]["growth"]:
        assert abs(row["length_cm"] - row["length_who"]) < 0.5
        assert abs(row["head_cm"] - row["head_who"]) < 0.5
        assert abs(row["weight_kg"] - row["weight_who"]) < 0.05 * row["weight_who"]


def test_shapes_and_types(body: Body) -> None:
    vertices, faces = body.template.shape[0], body.faces.shape[0]
    assert (body.num_betas, body.joint_count, vertices) == (20, 24, 7000)
    assert body.faces.dtype == body.uv_faces.dtype == np.int32
    assert body.uv_faces.shape == (faces, 3)
    assert body.uv.dtype == body.template.dtype == body.keypoint_depth.dtype == np.float32
    assert body.part_ids.shape == (faces,)
    assert body.part_ids.dtype == np.uint8
    assert set(body.part_ids.tolist()) == set(range(1, 25))
    output = body(*params(body, 3))
    assert output.vertices.shape == (3, vertices, 3)
    assert output.joints.shape == (3, 24, 3)
    assert output.keypoints.shape == (3, 17, 3)
    assert output.vertices.is_contiguous()


GOLDEN_JOINTS = {
    "pelvis": (0.0, 0.0, 0.0),
    "left_knee": (0.0523, -0.1639, 0.0072),
    "left_ankle": (0.0638, -0.3108, 0.0036),
    "head": (0.0, 0.274, -0.0076),
    "right_shoulder": (-0.0764, 0.1918, -0.0129),
    "right_wrist": (-0.2948, 0.1939, -0.016),
}
GOLDEN_SPREAD = (3.1086, 0.3664, 0.2627)


def test_golden_numbers(body: Body) -> None:
    """Any rebuild that moves the body by more than a tenth of a millimetre must be meant, and change these."""
    joints = body(*rest(body)).joints[0].numpy()
    for name, place in GOLDEN_JOINTS.items():
        assert np.allclose(joints[SMPL.index(name)], place, atol=1e-4), name
    spread = body.mesh.shapedirs.square().sum(1).sqrt().numpy()
    assert np.allclose(spread[:3], GOLDEN_SPREAD, rtol=1e-3)


def test_skinning_weights_and_regressors_are_partitions(body: Body, arrays: dict[str, np.ndarray]) -> None:
    assert np.allclose(body.weights.sum(1), 1, atol=1e-6)
    assert body.weights.min() >= 0
    assert (body.weights > 0).sum(1).max() <= 5  # four, and equal ones on the midline
    for key in ("J_regressor", "keypoint_regressor"):
        assert np.allclose(arrays[key].sum(1), 1, atol=1e-5), key


def test_mesh_is_closed_and_faces_outwards(body: Body) -> None:
    edges = np.sort(np.stack([body.faces, np.roll(body.faces, -1, 1)], -1).reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    corners = body.template[body.faces].astype(np.float64)
    volume = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum() / 6
    assert 0.005 < volume < 0.012  # cubic metres; a baby of 5 to 12 kg
    assert np.unique(body.faces).size == len(body.template)


def test_texture_triangles_do_not_overlap(body: Body) -> None:
    """Paint all triangles into a picture: no texel centre may belong to two."""
    assert body.uv.min() >= 0
    assert body.uv.max() <= 1
    corners = body.uv[body.uv_faces].astype(np.float64)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    assert (area < 0).all()  # one orientation: v grows downwards, so counter-clockwise faces turn clockwise
    size, hits = 512, np.zeros((512, 512), int)
    for triangle in corners * size - 0.5:
        low, high = np.ceil(triangle.min(0)).astype(int), np.floor(triangle.max(0)).astype(int)
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        inside = np.ones(x.shape, bool)
        for k in range(3):
            (ax, ay), (bx, by) = triangle[k], triangle[(k + 1) % 3]
            inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) < 0
        hits[y[inside], x[inside]] += 1
    assert hits.max() == 1
    assert hits.mean() > 0.5


def test_keypoints_lie_where_their_names_say(body: Body) -> None:
    output = body(*rest(body))
    keypoints, joints = output.keypoints[0].numpy(), output.joints[0].numpy()
    place = dict(zip(COCO.joints, keypoints, strict=True))
    assert place["nose"][2] > place["left_eye"][2] > place["left_ear"][2]
    assert place["left_eye"][1] > place["nose"][1]
    assert place["left_ear"][0] > place["left_eye"][0] > 0 > place["right_eye"][0] > place["right_ear"][0]
    for limb in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        for side in ("left", "right"):
            gap = place[f"{side}_{limb}"] - joints[SMPL.index(f"{side}_{limb}")]
            assert np.linalg.norm(gap) < 0.03, (side, limb)
    depth = dict(zip(COCO.joints, body.keypoint_depth, strict=True))
    assert max(depth[name] for name in ("nose", "left_eye", "left_ear")) < 0.005
    assert all(0.005 < depth[name] < 0.06 for name in ("left_shoulder", "left_elbow", "left_hip", "left_knee"))


# ---- the function


def test_rest_pose_is_the_template(body: Body) -> None:
    vertices = body(*rest(body)).vertices[0].numpy()
    assert np.abs(vertices - body.template).max() < 1e-6


def test_pelvis_is_the_origin_for_all_shapes(body: Body) -> None:
    betas = torch.from_numpy(body.sample_betas(np.random.default_rng(0), 64))
    joints = body(betas, torch.zeros(64, 72), torch.zeros(64, 3)).joints
    assert joints[:, 0].norm(dim=1).max() < 5e-4


def test_agrees_with_smplx(body: Body) -> None:
    betas, pose, transl = params(body, 5)
    layer = smplx_layer(body)
    theirs = layer(betas=betas, global_orient=pose[:, :3], body_pose=pose[:, 3:], transl=transl)
    ours = body(betas, pose, transl)
    assert isinstance(layer, smplx.SMPL)
    assert (ours.vertices - theirs.vertices).abs().max() < 1e-5
    assert (ours.joints - theirs.joints[:, :24]).abs().max() < 1e-5


def test_global_orientation_turns_about_the_pelvis(body: Body) -> None:
    betas, pose, transl = params(body, 4)
    turned = pose.clone()
    turned[:, :3] = torch.tensor([0.4, -1.1, 0.7])
    plain = pose.clone()
    plain[:, :3] = 0
    rotation = geometry.axis_angle_to_matrix(turned[:, :3])
    still, moved = body(betas, plain, torch.zeros(4, 3)), body(betas, turned, transl)
    pivot = still.joints[:, :1]
    for name in ("vertices", "joints", "keypoints"):
        expected = (getattr(still, name) - pivot) @ rotation.transpose(1, 2) + pivot + transl[:, None]
        assert (getattr(moved, name) - expected).abs().max() < 2e-6, name


def test_mirrored_pose_gives_mirrored_body(body: Body, arrays: dict[str, np.ndarray]) -> None:
    betas, pose, _ = params(body, 6)
    mirrored = geometry.mirror_axis_angle(pose.view(6, 24, 3)[:, torch.from_numpy(SMPL.flip_permutation())])
    straight, seen = body(betas, pose, torch.zeros(6, 3)), body(betas, mirrored, torch.zeros(6, 3))
    flip = torch.tensor([-1.0, 1, 1])
    for name, permutation in (
        ("keypoints", COCO.flip_permutation()),
        ("joints", SMPL.flip_permutation()),
        ("vertices", arrays["mirror"].astype(np.int64)),
    ):
        expected = getattr(straight, name)[:, torch.from_numpy(permutation)] * flip
        assert (getattr(seen, name) - expected).norm(dim=-1).max() < 5e-4, name


def test_knee_flexes_and_elbow_bends_the_right_way(body: Body) -> None:
    """A positive turn about x folds the calf backwards; a negative one about y brings the left forearm forwards."""
    betas, pose, transl = rest(body)
    pose = pose.view(1, 24, 3).clone()
    pose[0, SMPL.index("left_knee"), 0] = 1.2
    pose[0, SMPL.index("left_elbow"), 1] = -1.2
    before, after = body(*rest(body)).joints[0], body(betas, pose, transl).joints[0]
    assert after[SMPL.index("left_ankle"), 2] < before[SMPL.index("left_ankle"), 2] - 0.05
    assert after[SMPL.index("left_wrist"), 2] > before[SMPL.index("left_wrist"), 2] + 0.05
    assert torch.allclose(after[SMPL.index("right_ankle")], before[SMPL.index("right_ankle")], atol=1e-6)


def test_gradients_reach_all_parameters(body: Body) -> None:
    betas, pose, transl = (p.requires_grad_() for p in params(body, 2))
    mix = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 17, 3)).astype(np.float32))
    loss = (body(betas, pose, transl).keypoints * mix).sum()
    grads = torch.autograd.grad(loss, (betas, pose, transl))
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in grads)
    step = torch.zeros_like(pose)
    step[0, 4] = 5e-3
    with torch.no_grad():
        ends = [(body(betas, pose + s * step, transl).keypoints * mix).sum() for s in (1, -1)]
    assert float((ends[0] - ends[1]) / 1e-2) == pytest.approx(float(grads[1][0, 4]), rel=1e-2, abs=1e-3)


def test_same_batch_gives_the_same_bytes(body: Body) -> None:
    arguments = params(body, 8)
    assert torch.equal(body(*arguments).vertices, body(*arguments).vertices)


def test_wrong_shapes_are_refused(body: Body) -> None:
    betas, pose, transl = rest(body, 2)
    with pytest.raises(ValueError, match="betas"):
        body(betas[:, :10], pose, transl)
    with pytest.raises(ValueError, match="pose"):
        body(betas, pose[:, :69], transl)


# ---- shapes


def test_sampled_shapes_are_those_of_infants(body: Body) -> None:
    betas = torch.from_numpy(body.sample_betas(np.random.default_rng(1), 200))
    assert betas.dtype == torch.float32
    assert betas.abs().max() <= 2.2
    assert betas.std(0).sub(1).abs().max() < 0.25
    vertices = body(betas, torch.zeros(200, 72), torch.zeros(200, 3)).vertices
    lengths = vertices[..., 1].amax(1) - vertices[..., 1].amin(1)
    assert 0.42 < lengths.min() < 0.54  # newborn; WHO medians 0.495 and 0.871 m at 0 and 24 months
    assert 0.82 < lengths.max() < 0.98


def test_age_orders_length(body: Body) -> None:
    means = []
    for months in ((0, 2), (5, 7), (11, 13), (22, 24)):
        betas = torch.from_numpy(body.sample_betas(np.random.default_rng(0), 100, months=months))
        vertices = body(betas, torch.zeros(100, 72), torch.zeros(100, 3)).vertices
        means.append(float((vertices[..., 1].amax(1) - vertices[..., 1].amin(1)).mean()))
    assert np.allclose(means, (0.52, 0.667, 0.749, 0.861), atol=0.025)
    with pytest.raises(UserError, match="months"):
        body.sample_betas(np.random.default_rng(0), 1, months=(30, 40))


def test_sampling_depends_on_the_generator_alone(body: Body) -> None:
    draws = [body.sample_betas(np.random.default_rng([7, 3]), 5) for _ in range(2)]
    assert np.array_equal(*draws)


def test_head_of_the_newborn_is_large(body: Body) -> None:
    """Crown to chin over length: about a quarter at birth, less at two years."""
    shares = []
    for months in ((0, 1), (23, 24)):
        betas = torch.from_numpy(body.sample_betas(np.random.default_rng(0), 50, months=months))
        output = body(betas, torch.zeros(50, 72), torch.zeros(50, 3))
        height = output.vertices[..., 1]
        chin = output.keypoints[:, 0, 1] - (height.amax(1) - output.keypoints[:, 0, 1]) * 0.35
        shares.append(float(((height.amax(1) - chin) / (height.amax(1) - height.amin(1))).mean()))
    assert shares[0] > shares[1] > 0.15


# ---- other files


def official(arrays: dict[str, np.ndarray], folder: Path, **changes: np.ndarray | None) -> Path:
    """A file in SMPL's own layout, with arrays replaced or (None) left out."""
    parts = {key: arrays[key] for key in (*SMPL_KEYS, "keypoint_regressor")} | changes
    path = folder / "my_smil.npz"
    np.savez(path, **{key: value for key, value in parts.items() if value is not None})
    return path


def test_smpl_layout_loads_by_path(body: Body, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    mine = load_body(official(arrays, tmp_path, shapedirs=arrays["shapedirs"][:, :, :10]))
    assert (mine.name, mine.num_betas) == ("my_smil", 10)
    assert "my_smil" in mine.licence
    betas, pose, transl = params(body, 2)
    betas[:, 10:] = 0
    ours = body(betas, pose, transl).vertices
    assert (mine(betas[:, :10], pose, transl).vertices - ours).abs().max() < 1e-6
    draws = mine.sample_betas(np.random.default_rng(0), 500)
    assert abs(draws.std() - 1) < 0.1
    with pytest.raises(UserError, match="months"):
        mine.sample_betas(np.random.default_rng(0), 1, months=(0, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"posedirs": None}, "lacks posedirs"),
        ({"weights": None, "f": None}, "lacks weights, f"),
        ({"keypoint_regressor": None}, "keypoint_regressor"),
        ({"weights": np.zeros((7000, 55), np.float32)}, "are SMPL-X's|weights is|posedirs is"),
        ({"posedirs": np.zeros((7000, 3, 100), np.float16)}, "posedirs"),
        ({"kintree_table": np.zeros((2, 24), np.uint32)}, "joint tree"),
    ],
)
def test_wrong_files_are_named(changes: dict, message: str, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_body(official(arrays, tmp_path, **changes))


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'open-infant'"):
        load_body("open-infnt")
    with pytest.raises(UserError, match="no body model file at"):
        load_body(tmp_path / "absent.npz")
    text = tmp_path / "text.npz"
    text.write_text("not a model")
    with pytest.raises(UserError, match=r"not an \.npz"):
        load_body(text)


def test_meta_is_json(arrays: dict[str, np.ndarray]) -> None:
    meta = json.loads(str(arrays["meta"]))
    assert meta["name"] == "open-infant"
    assert load_parts("again", arrays).meta == meta


# ---- mesh helpers


def test_distance_to_a_triangle() -> None:
    vertices, faces = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float), np.array([[0, 1, 2]])
    points = np.array([[0.2, 0.2, 0.5], [-1, 0, 0], [1, 1, 0], [0.5, -2, 0]])
    assert np.allclose(distance_to_mesh(points, vertices, faces), [0.5, 1, np.sqrt(0.5), 2])


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_grid_atlas_keeps_triangles_apart(count: int) -> None:
    uv, faces = grid_atlas(count)
    corners = uv[faces]
    assert faces.shape == (count, 3)
    assert uv.min() >= 0
    assert uv.max() <= 1
    centres = corners.mean(1)
    assert len(np.unique(centres.round(4), axis=0)) == count
    cells = np.floor(centres * np.ceil(np.sqrt((count + 1) // 2))).astype(int)
    assert np.unique(cells, axis=0, return_counts=True)[1].max() <= 2
