"""Fit SMPL's arrays to samples of a source body.

Least squares run in float64: in single precision they were seen to err by 87 mm.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ...joints import JOINT_SETS, SMPL24_PARENTS


@dataclass(frozen=True)
class ShapeSpace:
    """Linear shapes: ``template (V, 3) + shapedirs (V, 3, N) @ betas``, betas of unit variance; joints likewise."""

    template: np.ndarray
    shapedirs: np.ndarray
    joints: np.ndarray
    joint_shapedirs: np.ndarray
    betas: np.ndarray
    explained: float

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """Betas (B, N) of T-posed bodies (B, V, 3) in least squares."""
        basis = self.shapedirs.reshape(-1, self.shapedirs.shape[-1])
        gaps = (vertices - self.template).reshape(len(vertices), -1)
        return np.linalg.solve(basis.T @ basis, basis.T @ gaps.T).T


def mirrored(points: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """Points (..., P, 3) in a mirror that negates x, left and right exchanged by ``permutation`` (P,)."""
    return points[..., permutation, :] * np.array([-1.0, 1.0, 1.0])


def shape_space(vertices: np.ndarray, joints: np.ndarray, mirror: np.ndarray, count: int) -> ShapeSpace:
    """Principal components of a population, made symmetric.

    Args:
        vertices: (N, V, 3) T-posed, pelvis at the origin. joints: (N, 24, 3). mirror: (V,) vertex permutation.
        count: number of components.
    """
    vertices = (vertices + mirrored(vertices, mirror)) / 2
    joints = (joints + mirrored(joints, JOINT_SETS["smpl24"].flip_permutation())) / 2
    members, size = len(vertices), vertices.shape[1]
    template, mean_joints = vertices.mean(0), joints.mean(0)
    gaps = (vertices - template).reshape(members, -1)
    values, vectors = np.linalg.eigh(gaps @ gaps.T)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    betas = vectors * np.sqrt(members)  # unit variance
    basis = gaps.T @ betas / members
    signs = np.sign(basis.reshape(size, 3, count)[template[:, 1].argmax(), 1])  # positive: a higher crown
    betas, basis = betas * signs, basis * signs
    return ShapeSpace(
        template=template,
        shapedirs=basis.reshape(size, 3, count),
        joints=mean_joints,
        joint_shapedirs=np.einsum("njc,nk->jck", joints - mean_joints, betas) / members,
        betas=betas,
        explained=float(values.sum() / (gaps**2).sum()),
    )


def regressor(sources: np.ndarray, targets: np.ndarray, near: int = 600, ridge: float = 1e-9) -> np.ndarray:
    """Weights (P, V), rows summing to one, with ``targets ~ weights @ sources`` over samples, by ridge regression.

    The penalty keeps the weights small and spread out (the least-norm solution where there are more vertices than
    equations); non-negative weights were tried and left joints 4 mm off, since few vertices surround one.

    Args:
        sources: (S, V, 3) vertices, metres; the first sample must be the template, whose ``near`` vertices closest to
            a target may carry weight. targets: (S, P, 3). ridge: penalty on squared weights, square metres a sample.
    """
    samples, size = sources.shape[:2]
    scale = 100.0 * np.sqrt(samples)  # weight of the row that asks the weights to sum to one
    found = np.zeros((targets.shape[1], size))
    for row in range(targets.shape[1]):
        gaps = np.linalg.norm(sources[0] - targets[0, row], axis=1)
        chosen = np.argsort(gaps, kind="stable")[:near]
        system = sources[:, chosen].transpose(0, 2, 1).reshape(-1, len(chosen))
        system = np.vstack([system, np.full((1, len(chosen)), scale)])
        wanted = np.append(targets[:, row].ravel(), scale)
        gram = system @ system.T + ridge * samples * np.eye(len(system))
        weights = system.T @ np.linalg.solve(gram, wanted)
        found[row, chosen] = weights / weights.sum()
    return found


def symmetrised_regressor(regressor: np.ndarray, rows: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Mean of a regressor (P, V) and its mirror image."""
    return (regressor + regressor[rows][:, mirror]) / 2


def reduce_weights(weights: np.ndarray, keep: int = 4) -> np.ndarray:
    """Skinning weights (V, J) with the ``keep`` largest of a vertex (and their equals), rows summing to one."""
    threshold = np.sort(weights, axis=1)[:, -keep][:, None]
    reduced = np.where((weights >= threshold) & (weights > 1e-4), weights, 0.0)
    return reduced / reduced.sum(1, keepdims=True)


def chain(rotations: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (B, 24, 3, 3) and translations (B, 24, 3) of SMPL joints: ``x -> R x + t`` from the T-pose.

    Args:
        rotations: (B, 24, 3, 3) relative to the parent. joints: (B, 24, 3) of the T-pose.
    """
    world, places = [rotations[:, 0]], [joints[:, 0]]
    for child, parent in enumerate(SMPL24_PARENTS[1:], start=1):
        offset = (joints[:, child] - joints[:, parent])[..., None]
        places.append((world[parent] @ offset)[..., 0] + places[parent])
        world.append(world[parent] @ rotations[:, child])
    turned, moved = np.stack(world, 1), np.stack(places, 1)
    return turned, moved - (turned @ joints[..., None])[..., 0]


def relevant_joints(support: tuple[int, ...]) -> tuple[int, ...]:
    """Joints whose rotation can bend a vertex skinned to ``support``: those between the joints of the support."""
    paths: list[set[int]] = []
    for joint in support:
        path = [joint]
        while SMPL24_PARENTS[path[-1]] >= 0:
            path.append(SMPL24_PARENTS[path[-1]])
        paths.append(set(path))
    return tuple(sorted(paths[0].union(*paths) - paths[0].intersection(*paths)))


def pose_correctives(
    rest: np.ndarray,
    joints: np.ndarray,
    rotations: np.ndarray,
    posed: np.ndarray,
    weights: np.ndarray,
    ridge: float,
) -> np.ndarray:
    """Ridge-fit SMPL's posedirs (V, 3, 207) to posed samples.

    A vertex depends only on the joints that lie between those it is skinned to: nothing else can bend it, and the array
    stays sparse (and its file small).

    Args:
        rest: (N, V, 3) T-posed vertices. joints: (N, 24, 3) T-posed. rotations: (N, 24, 3, 3) relative to the parent.
        posed: (N, V, 3) vertices wanted. weights: (V, 24). ridge: penalty on the squared correctives, per sample.
    """
    count, size = rest.shape[:2]
    world, shift = chain(rotations, joints)
    wanted = np.zeros((count, size, 3))
    for i in range(count):
        blend = np.einsum("vj,jab->vab", weights, world[i])
        gap = posed[i] - weights @ shift[i]
        # Where blended rotations nearly cancel, the inverse explodes; 2 cm is more than any true corrective.
        wanted[i] = np.clip(np.linalg.solve(blend, gap[..., None])[..., 0] - rest[i], -0.02, 0.02)
    features = (rotations[:, 1:] - np.eye(3)).reshape(count, 23, 9)
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for vertex, row in enumerate(weights > 0):
        groups[relevant_joints(tuple(np.flatnonzero(row)))].append(vertex)
    posedirs = np.zeros((size, 3, 23, 9))
    for between, members in groups.items():
        columns = [joint - 1 for joint in between if joint > 0]
        if not columns:
            continue
        system = features[:, columns].reshape(count, -1)
        right = system.T @ wanted[:, members].reshape(count, -1)
        left = system.T @ system + ridge * count * np.eye(system.shape[1])
        found = np.linalg.solve(left, right).reshape(len(columns), 9, len(members), 3)
        posedirs[np.ix_(members, range(3), columns)] = found.transpose(2, 3, 0, 1)
    return posedirs.reshape(size, 3, 207)


def symmetrised_posedirs(posedirs: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Mean of posedirs (V, 3, 207) and their mirror image.

    Under the mirror S = diag(-1, 1, 1) a rotation feature R - I of a joint becomes S (R - I) S of the opposite joint.
    """
    flip = np.array([-1.0, 1.0, 1.0])
    joints = JOINT_SETS["smpl24"].flip_permutation()[1:] - 1
    features = posedirs.reshape(-1, 3, 23, 3, 3)
    image = features[mirror][:, :, joints] * flip[:, None, None, None] * flip[:, None] * flip
    return ((features + image) / 2).reshape(-1, 3, 207)
