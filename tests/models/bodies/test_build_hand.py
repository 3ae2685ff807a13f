"""The open hands: their files as committed, the gestures, the pose sampler, the cut at the wrist; with Anny, accuracy."""

import importlib.util
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import roma
import smplx
import torch
from smplx.utils import Struct

from sim2pose.config import UserError
from sim2pose.models.bodies import gestures, hand_draws
from sim2pose.models.bodies.build import fitting, hand_poses, wrist
from sim2pose.models.bodies.build.hand import mirrored_arrays
from sim2pose.models.bodies.files import OPEN_BODIES, read_npz
from sim2pose.models.bodies.gestures import ANGLES, GESTURES, LIMITS, gesture, hand_axes, hand_pose
from sim2pose.models.bodies.load import load_body
from sim2pose.models.joints import PARENTS, joint_set

MANO = joint_set("mano16")
SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
FLIP = np.array([-1.0, 1.0, 1.0])
TURN = np.tile([1.0, -1.0, -1.0], 15)


@pytest.fixture(scope="module")
def files() -> dict[str, dict]:
    return {side: read_npz(OPEN_BODIES[f"open-hand-{side}"]) for side in SIDES}


@pytest.fixture(scope="module")
def bodies() -> dict:
    return {side: load_body(f"open-hand-{side}", flat_hand_mean=True) for side in SIDES}


def posed(body, pose: np.ndarray):
    """Vertices, joints and keypoints of the mean hand in a pose (45,), wrist at rest, metres."""
    full = body.full_pose(hand_pose=torch.tensor(pose, dtype=torch.float32)[None])
    out = body(torch.zeros(1, 10), full, torch.zeros(1, 3))
    return (part[0].numpy().astype(float) for part in (out.vertices, out.joints, out.keypoints))


def tip_ids(arrays: dict) -> list[int]:
    table = json.loads(str(arrays["extra_vertices"]))
    assert tuple(table) == FINGERS
    return [table[finger] for finger in FINGERS]


# The files


@pytest.mark.parametrize("side", SIDES)
def test_mesh_is_one_disc_whose_border_is_one_ring_across_the_forearm(files: dict, side: str) -> None:
    arrays = files[side]
    faces, points = arrays["f"].astype(int), arrays["v_template"]
    directed = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)  # neighbours turn the same way
    edges, times = np.unique(np.sort(directed, 1), axis=0, return_counts=True)
    assert set(times) == {1, 2}
    assert np.array_equal(np.unique(faces), np.arange(len(points)))
    assert len(points) - len(edges) + len(faces) == 1  # Euler's number of a disc, so it is one piece without holes
    border = edges[times == 1]
    assert set(Counter(border.ravel().tolist()).values()) == {2}
    ring, ahead = [int(border[0, 0])], int(border[0, 1])
    while ahead != ring[0]:
        ring.append(ahead)
        here = border[(border == ahead).any(1)]
        ahead = next(int(v) for v in here[here != ahead] if v != ring[-2])
    assert len(ring) == len(border)
    loop = points[ring].astype(float)
    normal = np.linalg.svd(loop - loop.mean(0))[2][2]
    assert abs(normal[0]) > np.cos(np.radians(12))
    assert np.abs((loop - loop.mean(0)) @ normal).max() < 0.003
    assert 0.01 < -loop[:, 0].mean() * np.sign(points[:, 0].mean()) < 0.03  # up the arm from the wrist joint
    # No vertex shares two fans of triangles.
    around: dict[int, int] = Counter(faces.ravel().tolist())
    degree = Counter(edges.ravel().tolist())
    assert all(degree[v] - around[v] == (1 if v in set(ring) else 0) for v in range(len(points)))


def test_left_is_the_exact_mirror_image_of_right(files: dict) -> None:
    left, right = files["left"], files["right"]
    flip = FLIP.astype(np.float32)
    assert np.array_equal(left["v_template"], right["v_template"] * flip)
    assert np.array_equal(left["shapedirs"], right["shapedirs"] * flip[:, None].astype(np.float16))
    assert np.array_equal(left["f"], right["f"][:, ::-1])
    for key in ("weights", "J_regressor", "keypoint_regressor", "kintree_table", "population_betas", "extra_vertices"):
        assert np.array_equal(left[key], right[key])
    assert np.array_equal(left["hands_mean"], right["hands_mean"] * TURN)
    assert np.array_equal(left["hands_components"], right["hands_components"] * TURN)
    assert not np.isin(left["source_vertices"], right["source_vertices"]).any()


def test_left_moves_as_the_mirror_image_of_right(bodies: dict) -> None:
    rng = np.random.default_rng(0)
    pose = hand_poses.hand_poses(rng, 1)[0]
    betas = torch.from_numpy(rng.standard_normal((1, 10))).float()
    results = {}
    for side, values in (("right", pose), ("left", pose * TURN)):
        full = bodies[side].full_pose(hand_pose=torch.from_numpy(values).float()[None])
        full[:, 0] = torch.tensor([0.3, -0.5, 0.7]) * (torch.tensor([1, -1, -1]) if side == "left" else 1)
        results[side] = bodies[side](betas, full, torch.zeros(1, 3))
    for name in ("vertices", "joints", "keypoints"):
        gap = getattr(results["left"], name) - getattr(results["right"], name) * torch.tensor([-1.0, 1, 1])
        assert gap.abs().max() < 1e-6


@pytest.mark.parametrize("side", SIDES)
def test_arrays_are_those_of_a_mano_file(files: dict, side: str) -> None:
    arrays = files[side]
    size = len(arrays["v_template"])
    assert 1000 <= size <= 2000
    assert arrays["shapedirs"].shape == (size, 3, 10)
    assert arrays["posedirs"].shape == (size, 3, 135)
    assert np.allclose(arrays["weights"].sum(1), 1, atol=1e-6)
    assert (arrays["weights"] >= 0).all()
    assert ((arrays["weights"] > 0).sum(1) <= 4).all()
    assert np.allclose(arrays["J_regressor"].sum(1), 1, atol=1e-4)
    assert np.allclose(arrays["keypoint_regressor"].sum(1), 1, atol=1e-4)
    assert arrays["kintree_table"][0].tolist() == [2**32 - 1, *PARENTS["mano16"][1:]]
    assert arrays["hands_mean"].shape == (45,)
    components = arrays["hands_components"]
    assert np.allclose(components @ components.T, np.eye(45), atol=1e-9)
    assert np.abs(arrays["population_betas"].astype(float).std(0) - 1).max() < 0.01
    assert OPEN_BODIES[f"open-hand-{side}"].stat().st_size < 1_000_000


@pytest.mark.parametrize("side", SIDES)
def test_frame_is_manos(files: dict, side: str) -> None:
    arrays = files[side]
    joints = arrays["J_regressor"] @ arrays["v_template"]
    outward = 1 if side == "left" else -1
    assert np.abs(joints[0]).max() < 2e-4  # wrist at the origin
    middle = joints[MANO.index("middle3")] - joints[0]
    assert middle[0] * outward > 0.99 * np.linalg.norm(middle)  # fingers along X
    assert joints[MANO.index("thumb3"), 2] > joints[MANO.index("pinky1"), 2] + 0.08  # thumb in front
    assert np.ptp(joints[1:13, 1]) < 0.01  # flat, Y up
    tips = arrays["v_template"][tip_ids(arrays)]
    for finger, tip in zip(FINGERS[1:], tips[1:], strict=True):
        chain = [joints[MANO.index(f"{finger}{k}")] for k in (1, 2, 3)] + [tip]
        first, second, third = (b - a for a, b in pairwise(chain))
        assert first @ second > 0.995 * np.linalg.norm(first) * np.linalg.norm(second)
        assert second @ third > 0.96 * np.linalg.norm(second) * np.linalg.norm(third)


def test_normals_point_outwards(files: dict) -> None:
    for arrays in files.values():
        corners = arrays["v_template"].astype(float)[arrays["f"].astype(int)]
        volume = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum() / 6  # open only at the wrist, near 0
        assert 1.5e-4 < volume < 4.5e-4  # cubic metres; a hand holds some 0.3 l


@pytest.mark.parametrize("side", SIDES)
def test_fingertips_are_the_ends_of_the_fingers(files: dict, side: str) -> None:
    arrays = files[side]
    points, dominant = arrays["v_template"], arrays["weights"].argmax(1)
    joints = arrays["J_regressor"] @ points
    for finger, tip in zip(FINGERS, tip_ids(arrays), strict=True):
        last = MANO.index(f"{finger}3")
        along = (joints[last] - joints[last - 1]) / np.linalg.norm(joints[last] - joints[last - 1])
        reach = (points - joints[last]) @ along
        assert dominant[tip] == last
        assert reach[tip] == reach[dominant == last].max()
        assert 0.012 < reach[tip] < 0.035


@pytest.mark.parametrize("side", SIDES)
def test_keypoints_follow_the_joints_in_poses(bodies: dict, side: str) -> None:
    names = joint_set("freihand21").joints
    arrays_tips = bodies[side].extra_vertices
    for name in ("flat", "fist", "victory"):
        vertices, joints, keypoints = posed(bodies[side], gesture(name, side))
        for row, point in enumerate(names):
            if point.endswith("_tip"):
                wanted = vertices[arrays_tips[point]]
            else:
                wanted = joints[MANO.index(point)]
            assert np.linalg.norm(keypoints[row] - wanted) < 0.001, (name, point)


def test_texture_triangles_lie_in_the_square_and_do_not_overlap(files: dict) -> None:
    uv, triangles = files["right"]["uv"].astype(float), files["right"]["uv_faces"].astype(int)
    assert uv.min() >= 0
    assert uv.max() <= 1
    corners = uv[triangles]
    side = np.roll(corners, -1, 1) - corners
    signs = np.sign(side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0])
    assert np.abs(signs.mean()) == 1
    cells = np.zeros((256, 256), int)
    centres = (np.arange(256) + 0.5) / 256
    for (a, b, c), sign in zip(corners, signs, strict=True):
        low = np.floor(np.minimum(np.minimum(a, b), c) * 256).astype(int)
        high = np.ceil(np.maximum(np.maximum(a, b), c) * 256).astype(int)
        x, y = np.meshgrid(centres[low[0] : high[0]], centres[low[1] : high[1]], indexing="ij")
        inside = np.ones(x.shape, bool)
        for p, q in ((a, b), (b, c), (c, a)):
            inside &= sign * ((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) > 0
        cells[low[0] : high[0], low[1] : high[1]] += inside
    assert cells.max() == 1
    assert (cells > 0).mean() > 0.3


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("use_pca", [True, False])
@pytest.mark.parametrize("flat", [True, False])
def test_smplx_reads_the_file_and_agrees(files: dict, side: str, use_pca: bool, flat: bool) -> None:
    arrays = dict(files[side])
    layer = smplx.MANO(
        "", data_struct=Struct(**arrays), is_rhand=side == "right", use_pca=use_pca, num_pca_comps=12,
        flat_hand_mean=flat, batch_size=2,
    )  # fmt: skip
    options = {"use_pca": use_pca, "num_pca_comps": 12, "flat_hand_mean": flat}
    body = load_body(f"open-hand-{side}", **options)
    torch.manual_seed(0)
    hand = 0.4 * torch.randn(2, 12 if use_pca else 45)
    betas, turn, shift = torch.randn(2, 10), torch.randn(2, 3), torch.randn(2, 3)
    theirs = layer(betas=betas, global_orient=turn, hand_pose=hand, transl=shift)
    ours = body(betas, body.full_pose(global_orient=turn, hand_pose=hand), shift)
    assert (ours.vertices - theirs.vertices).abs().max() < 2e-6
    assert (ours.joints - theirs.joints[:, :16]).abs().max() < 2e-6


def test_meta_states_what_was_measured(files: dict) -> None:
    meta = json.loads(str(files["right"]["meta"]))
    assert (meta["name"], meta["format"], meta["joint_set"], meta["side"]) == (
        "open-hand-right", "mano", "mano16", "right",
    )  # fmt: skip
    assert meta["report"]["vertex_mean_mm"] < 0.5
    assert meta["report"]["joint_mean_mm"] < 0.1
    assert meta["report"]["explained_variance"] > 0.999
    assert "CC0" in meta["licence"]


# Gestures


def test_gestures_are_named_and_stay_within_the_ranges_of_motion() -> None:
    wanted = {"flat", "fist", "pinch", "tripod", "key_pinch", "hook", "power_grasp", "relaxed", "point", "victory"}
    wanted |= {"thumbs_up", "ok", "i_love_you", "one", "two", "three", "four", "five"}
    assert wanted <= set(GESTURES)
    assert LIMITS.shape == (21, 2) == (len(ANGLES), 2)
    for name, angles in GESTURES.items():
        assert (angles >= LIMITS[:, 0]).all(), name
        assert (angles <= LIMITS[:, 1]).all(), name
        for side in SIDES:
            assert np.linalg.norm(gesture(name, side).reshape(15, 3), axis=1).max() < np.radians(125)
    assert not gesture("flat", "right").reshape(15, 3)[12:].any()


def test_unknown_gestures_and_sides_are_refused() -> None:
    with pytest.raises(UserError, match=r"unknown gesture 'fisst'.*fist"):
        gesture("fisst", "left")
    with pytest.raises(UserError, match="'left' or 'right', not 'middle'"):
        gesture("fist", "middle")


def test_left_gesture_mirrors_right() -> None:
    for name in GESTURES:
        assert np.allclose(gesture(name, "left"), gesture(name, "right") * TURN)


def test_axes_of_the_open_hand_are_the_default_ones(files: dict) -> None:
    right = files["right"]["J_regressor"] @ files["right"]["v_template"]
    own, default = hand_axes(right), hand_axes(gestures.REST_JOINTS_MM)
    for name in ("flexion", "sway", "abduction", "pronation"):
        a, b = np.atleast_2d(getattr(own, name)), np.atleast_2d(getattr(default, name))
        assert np.allclose(np.linalg.norm(a, axis=1), 1)
        assert ((a * b).sum(1) > np.cos(np.radians(1.5))).all()
    left = files["left"]["J_regressor"] @ files["left"]["v_template"]
    assert np.allclose(gesture("ok", "left", left), gesture("ok", "right", right) * TURN, atol=1e-6)


def angles_of(**degrees: float) -> np.ndarray:
    angles = np.zeros(21)
    for name, value in degrees.items():
        angles[ANGLES.index(name)] = value
    return angles


@pytest.mark.parametrize("finger", ["index", "middle", "ring", "pinky"])
@pytest.mark.parametrize("side", SIDES)
def test_flexion_moves_a_tip_towards_the_palm_and_not_sideways(bodies: dict, side: str, finger: str) -> None:
    tip = bodies[side].extra_vertices[f"{finger}_tip"]
    flat = next(posed(bodies[side], np.zeros(45)))[tip]
    for joint in ("mcp", "pip", "dip"):
        bent = next(posed(bodies[side], hand_pose(angles_of(**{f"{finger}_{joint}": 30}), side)))[tip]
        assert bent[1] < flat[1] - 0.006  # the palm faces down
        assert abs(bent[2] - flat[2]) < 0.004
    swayed = next(posed(bodies[side], hand_pose(angles_of(**{f"{finger}_sway": 15}), side)))[tip]
    assert swayed[2] > flat[2] + 0.009  # towards the thumb, which is in front
    assert abs(swayed[1] - flat[1]) < 0.003


def test_known_angles_give_known_rotations() -> None:
    pose = hand_pose(angles_of(index_mcp=90, index_pip=40), "right").reshape(15, 3)
    assert np.linalg.norm(pose[0]) == pytest.approx(np.pi / 2)
    assert np.linalg.norm(pose[1]) == pytest.approx(np.radians(40))
    assert not pose[2:].any()
    assert pose[0, 2] > 0.99 * np.pi / 2 * 0.99  # fingers along -X bend down by a turn about +Z
    both = hand_pose(angles_of(ring_mcp=50, ring_sway=12), "right").reshape(15, 3)[9]
    axes = hand_axes(gestures.REST_JOINTS_MM)
    first = roma.rotvec_to_rotmat(torch.tensor(np.radians(12) * axes.sway))
    second = roma.rotvec_to_rotmat(torch.tensor(np.radians(50) * axes.flexion[3]))
    assert np.allclose(roma.rotvec_to_rotmat(torch.tensor(both)), first @ second)


@pytest.mark.parametrize("side", SIDES)
def test_thumb_flexes_across_the_palm_and_abducts_out_of_it(bodies: dict, side: str) -> None:
    outward = 1 if side == "left" else -1
    tip = bodies[side].extra_vertices["thumb_tip"]
    flat = next(posed(bodies[side], np.zeros(45)))[tip]
    flexed = next(posed(bodies[side], hand_pose(angles_of(thumb_flexion=30), side)))[tip]
    assert flexed[2] < flat[2] - 0.02  # towards the fingers
    assert (flexed[0] - flat[0]) * outward > 0.01
    away = next(posed(bodies[side], hand_pose(angles_of(thumb_abduction=30), side)))[tip]
    assert away[1] < flat[1] - 0.03


@pytest.mark.parametrize("side", SIDES)
def test_a_fist_closes_on_the_palm(bodies: dict, side: str) -> None:
    body = bodies[side]
    tips = [body.extra_vertices[f"{finger}_tip"] for finger in FINGERS]
    dominant = body.weights.argmax(1)
    palm = (dominant == 0) & (body.template[:, 1] < -0.008)

    def to_palm(name: str) -> np.ndarray:
        vertices, _, _ = posed(body, gesture(name, side))
        return np.linalg.norm(vertices[tips][:, None] - vertices[palm], axis=-1).min(1)

    assert (to_palm("flat")[1:] > 0.05).all()
    assert (to_palm("fist")[1:] < 0.012).all()
    assert (to_palm("relaxed")[1:] > 0.03).all()


@pytest.mark.parametrize(
    ("name", "fingers"), [("pinch", ["index"]), ("ok", ["index"]), ("tripod", ["index", "middle"])]
)
def test_pinches_bring_thumb_and_fingers_together(bodies: dict, name: str, fingers: list[str]) -> None:
    body = bodies["right"]
    vertices, _, _ = posed(body, gesture(name, "right"))
    ends = {f: vertices[body.weights[:, MANO.index(f"{f}3")] > 0.5] for f in FINGERS}
    for finger in FINGERS[1:]:
        gap = np.linalg.norm(ends["thumb"][:, None] - ends[finger], axis=-1).min()
        assert gap < 0.006 if finger in fingers else gap > 0.01


# The pose sampler


def test_hand_poses_are_plausible_and_repeatable() -> None:
    poses = hand_poses.hand_poses(np.random.default_rng(3), 400)
    assert poses.shape == (400, 45)
    assert poses.dtype == np.float64
    assert np.array_equal(poses, hand_poses.hand_poses(np.random.default_rng(3), 400))
    assert hand_poses.overlap(poses).max() <= hand_poses.OVERLAP_MM
    axes = hand_axes(gestures.REST_JOINTS_MM)
    turns = poses.reshape(-1, 15, 3)
    for finger in range(5):
        for segment in (1, 2):  # hinges: no finger bends sideways there, none backwards
            hinge = turns[:, 3 * finger + segment]
            along = hinge @ axes.flexion[finger]
            assert np.abs(hinge - along[:, None] * axes.flexion[finger]).max() < 1e-12
            assert along.min() >= np.radians(-15 if finger == 4 else 0) - 1e-12
            assert along.max() <= np.radians(110) + 1e-12
    assert turns[:, 1].std() > 0.2


def test_angles_stay_within_limits_and_end_joints_follow() -> None:
    angles = hand_poses.draw_angles(np.random.default_rng(0), 2000)
    assert (angles >= LIMITS[:, 0]).all()
    assert (angles <= LIMITS[:, 1]).all()
    for finger in range(4):
        pip, dip = angles[:, 4 * finger + 2], angles[:, 4 * finger + 3]
        assert np.corrcoef(pip, dip)[0, 1] > 0.9
        assert 0.5 < (pip @ dip) / (pip @ pip) < 0.75


def test_overlap_finds_fingers_in_each_other_and_in_the_palm() -> None:
    crossed = hand_pose(angles_of(index_sway=-20, middle_sway=20), "right")
    sunk = hand_pose(angles_of(ring_mcp=90, ring_pip=110, ring_dip=80), "right")
    fine = gesture("spread", "right")
    depths = hand_poses.overlap(np.stack([crossed, sunk, fine]))
    assert depths[0] > hand_poses.OVERLAP_MM
    assert depths[1] > hand_poses.OVERLAP_MM
    assert depths[2] == 0
    assert hand_poses.overlap(np.stack([gesture(name, "right") for name in GESTURES])).max() <= hand_poses.OVERLAP_MM


def test_segment_distance_on_known_segments() -> None:
    p, q = np.zeros((3, 3)), np.tile([10.0, 0, 0], (3, 1))
    r = np.array([[5.0, 3, -4], [20, 0, 0], [-3, 4, 0]])
    s = np.array([[5.0, 3, 4], [30, 0, 0], [-3, 9, 0]])
    assert np.allclose(hand_draws._segment_distance(p, q, r, s), [3, 10, 5])


def test_pca_is_orthonormal_sorted_and_rebuilds_poses() -> None:
    poses = hand_poses.hand_poses(np.random.default_rng(0), 1500)
    mean, components = hand_poses.hand_pca(poses)
    assert np.allclose(mean, poses.mean(0))
    assert np.allclose(components @ components.T, np.eye(45))
    coefficients = (poses - mean) @ components.T
    variance = coefficients.var(0)
    assert (np.diff(variance) <= 1e-12).all()
    assert variance[:12].sum() > 0.95 * variance.sum()
    assert np.allclose(mean + coefficients @ components, poses)
    assert (components.sum(1) >= 0).all()


# The builder's parts


def tube(rings: int = 8, columns: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """A tube along X of quadrangles split in pairs of triangles, rings 1 cm apart, closed by nothing."""
    angle = 2 * np.pi * np.arange(columns) / columns
    circle = np.stack([np.zeros(columns), np.cos(angle), np.sin(angle)], 1) * 0.02
    points = np.concatenate([circle + np.array([0.01 * k, 0, 0]) for k in range(rings)])
    faces = []
    for k in range(rings - 1):
        for c in range(columns):
            a, b = k * columns + c, k * columns + (c + 1) % columns
            faces += [(a, b, b + columns), (a, b + columns, a + columns)]
    return points, np.array(faces)


def test_cut_follows_the_ring_nearest_to_the_wish() -> None:
    points, faces = tube()
    quads = wrist.quads_of(faces)
    sides = {frozenset(pair) for quad in quads.tolist() for pair in pairwise([*quad, quad[0]])}
    assert all(abs(len({a, b} & set(range(12))) - 1) <= 1 and max(a, b) - min(a, b) in (1, 11, 12) for a, b in sides)
    ring = wrist.nearest_ring(quads, points, np.array([0.042, 0, 0]), 0.05)
    assert sorted(ring.tolist()) == list(range(48, 60))
    inside = wrist.flood(faces, 0, ring)
    assert inside.sum() == 4 * 24
    assert faces[inside].max() == 59


def test_cut_without_a_ring_is_refused() -> None:
    points, faces = tube(rings=3)
    with pytest.raises(AssertionError, match="no closed edge loop"):
        wrist.nearest_ring(wrist.quads_of(faces), points, np.array([0.0, 0, 0]), 0.005)


def test_packing_keeps_islands_apart() -> None:
    big = np.array([[0.4, 0.5], [0.6, 0.6], [0.4, 0.7]])
    small = np.array([[0.0, 0.0], [0.01, 0.0], [0.0, 0.04]])
    packed = wrist.pack(np.concatenate([big, small]), np.array([[0, 1, 2], [3, 4, 5]]))
    assert np.allclose(np.ptp(packed[:3], axis=0), 0.98)
    assert packed.min() >= 0.01 - 1e-12
    assert packed.max() <= 0.99 + 1e-12

    def area(t: np.ndarray) -> float:
        (a, b), (c, d) = t[1] - t[0], t[2] - t[0]
        return (a * d - b * c) / 2

    assert area(packed[3:]) / area(packed[:3]) == pytest.approx(area(small) / area(big))


def test_mirrored_arrays_undo_themselves(files: dict) -> None:
    class Source:
        def mirror(self) -> np.ndarray:
            return np.arange(20000)[::-1]

    once = mirrored_arrays(files["right"], Source())
    twice = mirrored_arrays(once, Source())
    assert set(twice) == set(files["right"])
    for key, value in files["right"].items():
        if value.dtype.kind == "f":
            assert np.allclose(twice[key], value, atol=1e-6), key
        else:
            assert np.array_equal(twice[key], value), key


def test_chain_places_the_tips_of_a_straight_finger() -> None:
    joints, tips = hand_draws.posed_joints(hand_pose(angles_of(index_mcp=90), "right")[None])
    assert np.allclose(joints[0, 4:], gestures.REST_JOINTS_MM[4:])
    assert joints[0, 2, 1] == pytest.approx(gestures.REST_JOINTS_MM[1, 1] - np.linalg.norm(
        gestures.REST_JOINTS_MM[2] - gestures.REST_JOINTS_MM[1]), abs=0.1)  # fmt: skip
    assert tips[0, 0, 1] < -80
    assert fitting.kintree_table(PARENTS["mano16"]).shape == (2, 16)


@pytest.mark.soak
def test_committed_hand_follows_anny_on_new_shapes_and_poses() -> None:
    if importlib.util.find_spec("anny") is None:
        pytest.skip("anny is not installed (pip install 'sim2pose[bodies]')")
    from sim2pose.models.bodies.build.hand import recheck

    error = recheck(count=64)
    assert error["vertex_mean_mm"] <= 0.2
    assert error["vertex_p99_mm"] <= 1
    assert error["joint_mean_mm"] <= 0.1
