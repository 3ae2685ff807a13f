"""Parts of the builder of open-person on planted problems; none needs the source."""

import numpy as np
import pytest

from sim2pose.models.bodies.build import expressions
from sim2pose.models.bodies.build.accuracy import RANGES, sample_poses
from sim2pose.models.bodies.build.bones import bone_groups, free_joints, tree
from sim2pose.models.bodies.build.face_raster import front_view
from sim2pose.models.bodies.build.landmarks import _outline
from sim2pose.models.bodies.build.population_person import BMI, HEAD_CM, STATURE_CM, YEARS, by_age, change_labels, draw
from sim2pose.models.bodies.build.rest_pose import flat_rest, rotation, shortest_arc
from sim2pose.models.joints import JOINT_SETS


@pytest.mark.parametrize("name", ["smpl24", "smplx55"])
def test_every_bone_belongs_to_one_joint(name: str) -> None:
    groups = bone_groups(name)
    bones = [bone for group in groups for bone in group]
    assert len(groups) == len(tree(name)) and all(groups)
    assert len(set(bones)) == len(bones) == (104 if name == "smpl24" else 105)  # with a jaw
    names = JOINT_SETS[name].joints
    mirrored = [groups[names.index(joint.replace("left_", "right_"))] for joint in names]
    for joint, group, other in zip(names, groups, mirrored, strict=True):
        if joint.startswith("left_"):
            assert tuple(bone.replace(".L", ".R") for bone in group) == other
    fixed = {names[j] for j in range(len(names)) if j not in free_joints(name)}
    feet = {"left_foot", "right_foot"}
    assert fixed == (feet | {"left_hand", "right_hand"} if name == "smpl24" else feet)


def test_fingers_are_numbered_as_mano_does() -> None:
    groups = dict(zip(JOINT_SETS["mano16"].joints, bone_groups("mano16", "right"), strict=True))
    assert groups["index1"] == ("finger2-1.R",) and groups["thumb3"] == ("finger1-3.R",)
    assert groups["pinky2"] == ("finger5-2.R",) and groups["wrist"][0] == "wrist.R"


def test_sampled_poses_mirror_and_keep_their_ranges() -> None:
    names = JOINT_SETS["smplx55"].joints
    poses = sample_poses(np.random.default_rng(0), 200, "smplx55")
    assert not poses[:, [0, names.index("left_foot")]].any()
    bent = np.degrees(poses[:, names.index("left_index2"), 2])
    low, high = RANGES["index2"][2]
    assert low - 1 < bent.min() < -60 and bent.max() < high + 1
    assert np.degrees(poses[:, names.index("right_index2"), 2]).max() > 60  # towards the palm, mirrored
    opened = np.degrees(poses[:, names.index("jaw"), 0])
    assert opened.min() > -1 and opened.max() > 20


def test_expressions_stay_in_their_bounds_and_are_fair_to_both_sides() -> None:
    drawn = expressions.sample(np.random.default_rng(0), 4000)
    assert set(drawn) == set(expressions.action_labels())
    assert all(value.min() >= 0 and value.max() <= 1 for value in drawn.values())
    assert not any(label.startswith(("jaw", "eyeLook", "tongue")) for label in drawn)
    assert drawn["mouthSmileLeft"].mean() == pytest.approx(drawn["mouthSmileRight"].mean(), rel=0.08)
    assert not (drawn["mouthLeft"] * drawn["mouthRight"]).any()
    resting = np.mean([(value == 0).mean() for value in drawn.values()])
    assert 0.4 < resting < 0.8


class ToyFace:
    """Two actions on three vertices: a smile that moves left and right vertex, and a worry that moves the middle."""

    def change(self, label: str) -> np.ndarray:
        moves = np.zeros((3, 3))
        if label == "mouthSmileLeft":
            moves[0] = (0.01, 0.02, 0)
        elif label == "mouthSmileRight":
            moves[1] = (-0.01, 0.02, 0)
        elif label == "browInnerUp":
            moves[2] = (0, 0.001, 0)
        return moves


def test_expression_columns_are_scaled_by_their_spread() -> None:
    mirror = np.array([1, 0, 2])
    columns, share = expressions.directions(ToyFace(), np.arange(3), mirror, seed=1)  # type: ignore[arg-type]
    assert share == pytest.approx(1)
    assert columns.shape == (3, 3, 10)
    first = columns[:, :, 0]  # a smile of both sides: symmetric, upwards
    assert np.allclose(first[mirror] * (-1, 1, 1), first, atol=1e-9) and first[0, 1] > 0
    strengths = expressions.sample(np.random.default_rng(1), 20000)
    both = (strengths["mouthSmileLeft"] + strengths["mouthSmileRight"]) / 2
    assert np.linalg.norm(first[0]) == pytest.approx(np.sqrt(5) * 0.01 * np.sqrt((both**2).mean()), rel=0.02)


def test_population_follows_its_tables_and_mirrors_left_and_right() -> None:
    years, gender = np.array([2.0, 40.0, 70.0]), np.array([0.0, 1.0, 0.5])
    shapes = draw(np.random.default_rng(0), years, gender)
    changes = shapes["local_changes"]
    assert set(changes) | {"head-trans-out"} == set(change_labels())
    for label, values in changes.items():
        assert np.abs(values).max() <= 1
        if label.startswith("l-"):
            assert np.array_equal(values, changes["r-" + label[2:]])
    mix = sum(shapes["phenotypes"][name] for name in ("african", "asian", "caucasian"))
    assert np.allclose(mix, 1)
    assert shapes["phenotypes"]["cupsize"][0] == 0  # of a child
    assert by_age(STATURE_CM, years, gender) == pytest.approx((87.8, 165.0, 169.0), abs=0.02)
    assert len(YEARS) == len(STATURE_CM[0]) == len(HEAD_CM[1]) == len(BMI[0])


def test_flat_rest_straightens_a_bent_arm() -> None:
    """A toy rig of one arm, hanging at 45 degrees with a bent elbow and a twisted palm; Anny's axes, Z up."""
    places, bones, parents = {}, ["root"], [-1]
    for side, sign in (("L", 1.0), ("R", -1.0)):
        chain = {
            "upperarm01": (0.2, 0.0, 1.4), "lowerarm01": (0.4, -0.02, 1.2), "lowerarm02": (0.5, -0.04, 1.12),
            "wrist": (0.6, -0.06, 1.05), "upperleg01": (0.1, 0.0, 0.9), "lowerleg01": (0.14, -0.02, 0.5),
            "foot": (0.2, 0.0, 0.1),
        }  # fmt: skip
        for f in range(1, 6):
            for s in (1, 2, 3):
                chain[f"finger{f}-{s}"] = (0.65 + 0.03 * s, -0.1 + 0.02 * f, 0.98 - 0.03 * s - 0.004 * s * s)
        for bone, (x, y, z) in chain.items():
            above = {
                "lowerarm01": "upperarm01",
                "lowerarm02": "lowerarm01",
                "wrist": "lowerarm02",
                "lowerleg01": "upperleg01",
            }
            parent = above.get(bone, "wrist" if bone.startswith("finger") else "root")
            places[f"{bone}.{side}"] = np.array([sign * x, y, z])
            bones.append(f"{bone}.{side}")
            parents.append(bones.index(parent if parent == "root" else f"{parent}.{side}"))
            if bone.endswith("-3"):
                places[f"{bone}.{side} end"] = np.array([sign * (x + 0.02), y, z - 0.025])
    rest = dict(zip(bones, flat_rest(places, bones, parents), strict=True))
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for bone, end in (("upperarm01", "lowerarm01"), ("lowerarm01", "wrist"), ("wrist", "finger3-1")):
            way = rest[f"{bone}.{side}"] @ (places[f"{end}.{side}"] - places[f"{bone}.{side}"])
            assert way / np.linalg.norm(way) == pytest.approx((sign, 0, 0), abs=1e-9)
        knuckles = rest[f"wrist.{side}"] @ (places[f"finger5-1.{side}"] - places[f"finger2-1.{side}"])
        assert abs(knuckles[2]) < 1e-9 and knuckles[1] > 0  # level, the little finger behind: palm down
        for finger in (2, 3, 4, 5):
            for segment in (1, 2):
                name = f"finger{finger}-{segment}.{side}"
                way = rest[name] @ (places[f"finger{finger}-{segment + 1}.{side}"] - places[name])
                assert abs(way[2]) < 1e-9  # level
        leg = rest[f"upperleg01.{side}"] @ (places[f"lowerleg01.{side}"] - places[f"upperleg01.{side}"])
        assert np.degrees(np.arctan2(sign * leg[0], -leg[2])) == pytest.approx(3, abs=0.2)
    assert all(np.allclose(turn @ turn.T, np.eye(3)) for turn in rest.values())


def test_shortest_arc() -> None:
    start, end = np.array([1.0, 2, 3]), np.array([-2.0, 0.5, 1])
    turned = shortest_arc(start, end) @ start
    assert turned / np.linalg.norm(turned) == pytest.approx(end / np.linalg.norm(end))
    assert shortest_arc(start, 2 * start) == pytest.approx(np.eye(3))
    assert rotation(np.array([0, 0, 2.0]), np.pi / 2) @ (1, 0, 0) == pytest.approx((0, 1, 0))


def test_front_view_shows_the_nearest_triangle_that_faces_the_viewer() -> None:
    square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    points = np.concatenate([square, square * (0.5, 0.5, 1) + (0, 0, 0.3), square * (0.5, 0.5, 1) + (0, 0, 0.6)])
    faces = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7), (10, 9, 8), (11, 10, 8)])  # the last face away
    view = front_view(points, faces, np.array([-1.2, -1.2]), np.array([1.2, 1.2]), 0.1)
    assert view.triangle.shape == (25, 25)
    middle = view.triangle[view.row(0.01), view.column(0.0)]
    assert middle in (2, 3) and view.depth[12, 12] == pytest.approx(0.3)
    assert view.triangle[view.row(0.8), view.column(0.8)] in (0, 1)
    assert view.triangle[0, 0] == -1 and view.depth[0, 0] == -np.inf
    places = view.sample(points, faces)
    assert places[view.row(0.2), view.column(-0.3)] == pytest.approx((-0.3, 0.2, 0.3))


def test_outline_of_a_disc_is_walked_in_even_steps() -> None:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    fan = np.stack([np.zeros((200, 2)), ring, np.roll(ring, -1, axis=0)], 1)
    triangles, weights = _outline(fan, 0.0)
    points = np.einsum("pk,pkc->pc", weights, fan[triangles])
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.ones(17), abs=1e-3)
    assert points[0] == pytest.approx((-1, 0), abs=0.05) and points[8] == pytest.approx((0, -1), abs=0.02)
    assert points[16] == pytest.approx((1, 0), abs=0.05)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.35
