"""The builder's parts on planted problems, and (soak) the committed body against its source."""

import importlib.util

import numpy as np
import pytest
import roma
import torch
from scipy.spatial import cKDTree

from sim2pose.models.bodies.build import fitting
from sim2pose.models.bodies.build.decimate import decimate
from sim2pose.models.joints import SMPL24_PARENTS as PARENTS
from sim2pose.models.joints import joint_set

FLIP = np.array([-1.0, 1.0, 1.0])
SMPL = joint_set("smpl24")


def sphere(rows: int = 16, columns: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A symmetric closed sphere of 5 cm: points, faces and the mirror permutation."""
    latitude = np.pi * np.arange(1, rows) / rows
    # Columns start on the midline, x = 0.
    longitude = 2 * np.pi * np.arange(columns) / columns
    ring = np.stack([np.sin(longitude), np.zeros(columns), np.cos(longitude)], 1)
    points = [[0, 1.0, 0]]
    for angle in latitude:
        points += (ring * np.sin(angle) + (0, np.cos(angle), 0)).tolist()
    points = np.array([*points, [0, -1.0, 0]]) * 0.05
    faces = []
    for k in range(columns):
        after = (k + 1) % columns
        faces.append((0, 1 + k, 1 + after))
        last = 1 + (rows - 2) * columns
        faces.append((len(points) - 1, last + after, last + k))
        for row in range(rows - 2):
            a, b = 1 + row * columns + k, 1 + row * columns + after
            c, d = a + columns, b + columns
            faces += [(a, c, b), (b, c, d)] if k < columns // 2 else [(a, d, b), (a, c, d)]
    return points, np.array(faces), cKDTree(points).query(points * FLIP)[1]


def test_decimation_keeps_the_surface_closed_symmetric_and_close() -> None:
    points, faces, mirror = sphere()
    # A net of longitude and height as texture: it allows most collapses, and has a seam.
    uv = np.stack([np.arctan2(points[:, 0], points[:, 2]), points[:, 1] * 20], 1)
    uv_faces = faces.copy()
    extra = []
    for row, face in enumerate(faces):  # cut the net at the back, where longitude jumps
        angles = uv[face, 0]
        if np.ptp(angles) > np.pi:
            for corner in range(3):
                if angles[corner] < 0:
                    extra.append(uv[face[corner]] + (2 * np.pi, 0))
                    uv_faces[row, corner] = len(uv) + len(extra) - 1
    uv = np.concatenate([uv, np.array(extra)])
    weights = np.ones((len(points), 1))
    new, new_uv = decimate(points, faces, uv_faces, uv, mirror, weights, np.ones(len(faces)), 150)
    edges = np.sort(np.stack([new, np.roll(new, -1, 1)], -1).reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert 140 <= len(np.unique(new)) <= 220
    assert new_uv.shape == new.shape

    def canonical(some: np.ndarray) -> set:
        return {tuple(np.roll(face, -face.argmin())) for face in some}

    assert canonical(new) == canonical(mirror[new][:, ::-1])
    corners = points[new]
    volume = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.05**3, rel=0.12)


def test_shape_space_recovers_planted_components() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 3)) + np.array([2, 0, 0])
    base = np.concatenate([half, half * FLIP])
    mirror = np.roll(np.arange(40), 20)
    steps = rng.normal(size=(3, 20, 3)) * np.array([1.0, 0.5, 0.2])[:, None, None]
    steps = np.concatenate([steps, steps * FLIP], 1)
    vertices = base + np.einsum("nk,kvc->nvc", rng.normal(size=(200, 3)), steps)
    joints = vertices[:, SMPL.flip_permutation()[np.arange(24)] % 20] * (0, 1, 1)
    space = fitting.shape_space(vertices, joints, 3, mirror, SMPL.flip_permutation())
    assert space.explained == pytest.approx(1, abs=1e-9)
    assert np.allclose(space.betas.std(0), 1)
    rebuilt = space.template + np.einsum("vck,nk->nvc", space.shapedirs, space.betas)
    assert np.allclose(rebuilt, vertices, atol=1e-9)
    assert np.allclose(space.project(vertices), space.betas, atol=1e-9)
    assert np.allclose(fitting.mirrored(space.shapedirs.transpose(2, 0, 1), mirror), space.shapedirs.transpose(2, 0, 1))


def test_regressor_finds_points_and_sums_to_one() -> None:
    rng = np.random.default_rng(1)
    sources = rng.normal(size=(6, 80, 3))
    truth = rng.random((2, 80))
    truth /= truth.sum(1, keepdims=True)
    targets = np.einsum("pv,svc->spc", truth, sources)
    found = fitting.regressor(sources, targets, near=80, ridge=1e-12)
    assert np.allclose(found.sum(1), 1)
    assert np.allclose(np.einsum("pv,svc->spc", found, sources), targets, atol=1e-6)
    assert ((fitting.regressor(sources, targets, near=30) != 0).sum(1) <= 30).all()


def test_pose_correctives_recover_planted_ones() -> None:
    rng = np.random.default_rng(2)
    count, size = 400, 12
    knee, hip = SMPL.index("left_knee"), SMPL.index("left_hip")
    weights = np.zeros((size, 24))
    share = rng.random(size)
    weights[:, hip], weights[:, knee] = share, 1 - share
    planted = np.zeros((size, 3, 23, 9))
    planted[:, :, knee - 1] = 0.002 * rng.normal(size=(size, 3, 9))
    joints = np.repeat(rng.normal(size=(1, 24, 3)), count, 0)
    rest = rng.normal(size=(count, size, 3))
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(0.5 * rng.normal(size=(count, 24, 3)))).numpy()
    features = (rotations[:, 1:] - np.eye(3)).reshape(count, 207)
    offsets = np.einsum("vcf,nf->nvc", planted.reshape(size, 3, 207), features)
    world, shift = fitting.chain(rotations, joints, PARENTS)
    blend = np.einsum("vj,njab->nvab", weights, world)
    posed = np.einsum("nvab,nvb->nva", blend, rest + offsets) + np.einsum("vj,njc->nvc", weights, shift)
    gaps = fitting.unposed_gaps(rest, joints, rotations, posed, weights, PARENTS)
    found = fitting.pose_correctives(gaps, rotations, weights, PARENTS, ridge=1e-9)
    again = np.einsum("vcf,nf->nvc", found, features)
    assert np.abs(again - offsets).max() < 1e-4
    assert not np.delete(found.reshape(size, 3, 23, 9), knee - 1, axis=2).any()


def test_only_joints_between_the_support_matter() -> None:
    names = ("spine3", "left_shoulder")
    between = fitting.relevant_joints(tuple(SMPL.index(name) for name in names), PARENTS)
    assert [SMPL.joints[j] for j in between] == ["left_collar", "left_shoulder"]
    assert fitting.relevant_joints((5,), PARENTS) == ()


def test_mirroring_correctives_twice_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    mirror = np.array([1, 0, 2])
    once = fitting.symmetrised_posedirs(rng.normal(size=(3, 3, 207)), mirror, SMPL.flip_permutation())
    assert np.allclose(fitting.symmetrised_posedirs(once, mirror, SMPL.flip_permutation()), once)


def test_reduced_weights_keep_the_largest() -> None:
    weights = np.array([[0.5, 0.2, 0.15, 0.1, 0.05], [1, 0, 0, 0, 0]])
    reduced = fitting.reduce_weights(weights, keep=4)
    assert np.allclose(reduced.sum(1), 1)
    assert (reduced > 0).sum(1).tolist() == [4, 1]


def test_measures_of_a_sphere() -> None:
    from sim2pose.models.bodies.build.anthropometry import body_length, body_mass, head_circumference

    points, faces, _ = sphere(60, 120)
    assert body_length(points[None])[0] == pytest.approx(0.1)
    assert body_mass(points[None], faces)[0] == pytest.approx(1030 * 4 / 3 * np.pi * 0.05**3, rel=0.01)
    girth = head_circumference(points, faces, eye_height=-0.03)  # sections from -0.002 m upwards
    assert girth == pytest.approx(2 * np.pi * 0.05, rel=0.01)


@pytest.mark.soak
def test_committed_body_follows_anny_on_new_shapes_and_poses() -> None:
    if importlib.util.find_spec("anny") is None:
        pytest.skip("anny is not installed (pip install 'sim2pose[bodies]')")
    from sim2pose.models.bodies.build.infant import recheck

    error = recheck(count=64)
    assert error["vertex_mean_mm"] <= 0.55
    assert error["vertex_p99_mm"] <= 3
    assert error["joint_mean_mm"] <= 0.5
    assert error["keypoint_mean_mm"] <= 0.6
