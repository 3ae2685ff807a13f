"""Fit the arrays of an SMPL-family body, of any joint tree, to samples of a source body.

Least squares run in float64: in single precision they were seen to err by 87 mm.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..hand_draws import chain

Parents = tuple[int, ...]
"""Parent of each joint, -1 at the root, parents before children."""


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


def shape_space(
    vertices: np.ndarray,
    joints: np.ndarray,
    count: int,
    mirror: np.ndarray | None = None,
    joint_flip: np.ndarray | None = None,
    joint_weight: float = 0.0,
) -> ShapeSpace:
    """Principal components of a population, made symmetric where a mirror is given.

    Args:
        vertices: (N, V, 3) T-posed, root joint at the origin. joints: (N, J, 3). count: number of components.
        mirror: (V,) vertex permutation. joint_flip: (J,) joint permutation.
        joint_weight: how many vertices a joint counts for; bodies bend better about joints that are in place.
    """
    if mirror is not None:
        assert joint_flip is not None
        vertices = (vertices + mirrored(vertices, mirror)) / 2
        joints = (joints + mirrored(joints, joint_flip)) / 2
    members, size = len(vertices), vertices.shape[1]
    template, mean_joints = vertices.mean(0), joints.mean(0)
    gaps = (vertices - template).reshape(members, -1)
    joint_gaps = np.sqrt(joint_weight) * (joints - mean_joints).reshape(members, -1)
    _, vectors = np.linalg.eigh(gaps @ gaps.T + joint_gaps @ joint_gaps.T)
    vectors = vectors[:, ::-1][:, :count]
    betas = vectors * np.sqrt(members)  # unit variance
    basis = gaps.T @ betas / members  # least squares: betas are orthogonal
    signs = np.sign(basis.reshape(size, 3, count)[template[:, 1].argmax(), 1])  # positive: the highest vertex rises
    betas, basis = betas * signs, basis * signs
    return ShapeSpace(
        template=template,
        shapedirs=basis.reshape(size, 3, count),
        joints=mean_joints,
        joint_shapedirs=np.einsum("njc,nk->jck", joints - mean_joints, betas) / members,
        betas=betas,
        explained=float(((vectors.T @ gaps) ** 2).sum() / (gaps**2).sum()),
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


def relevant_joints(support: tuple[int, ...], parents: Parents) -> tuple[int, ...]:
    """Joints whose rotation can bend a vertex skinned to ``support``: those between the joints of the support."""
    paths: list[set[int]] = []
    for joint in support:
        path = [joint]
        while parents[path[-1]] >= 0:
            path.append(parents[path[-1]])
        paths.append(set(path))
    return tuple(sorted(paths[0].union(*paths) - paths[0].intersection(*paths)))


def unposed_gaps(
    rest: np.ndarray,
    joints: np.ndarray,
    rotations: np.ndarray,
    posed: np.ndarray,
    weights: np.ndarray,
    parents: Parents,
) -> np.ndarray:
    """What linear blend skinning of the rest bodies misses of ``posed``, (N, V, 3), turned back to the T-pose."""
    world, shift = chain(rotations, joints, parents)
    gaps = np.empty(rest.shape)
    for i in range(len(rest)):
        blend = (weights @ world[i].reshape(-1, 9)).reshape(-1, 3, 3)
        gap = posed[i] - weights @ shift[i]
        # Where blended rotations nearly cancel, the inverse explodes; 2 cm is more than any true corrective.
        gaps[i] = np.clip(np.linalg.solve(blend, gap[..., None])[..., 0] - rest[i], -0.02, 0.02)
    return gaps


def pose_correctives(
    gaps: np.ndarray, rotations: np.ndarray, weights: np.ndarray, parents: Parents, ridge: float
) -> np.ndarray:
    """Ridge-fit posedirs (V, 3, 9 (J - 1)) to posed samples.

    A vertex depends only on the joints that lie between those it is skinned to: nothing else can bend it, and the array
    stays sparse (and its file small).

    Args:
        gaps: (N, V, 3) from :func:`unposed_gaps`. rotations: (N, J, 3, 3) relative to the parent. weights: (V, J).
        ridge: penalty on the squared correctives, per sample.
    """
    count, size = gaps.shape[:2]
    bends = len(parents) - 1
    features = (rotations[:, 1:] - np.eye(3)).reshape(count, bends, 9)
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for vertex, row in enumerate(weights > 0):
        groups[relevant_joints(tuple(np.flatnonzero(row)), parents)].append(vertex)
    posedirs = np.zeros((size, 3, bends, 9))
    for between, members in groups.items():
        columns = [joint - 1 for joint in between if joint > 0]
        if not columns:
            continue
        system = features[:, columns].reshape(count, -1)
        right = system.T @ gaps[:, members].reshape(count, -1)
        left = system.T @ system + ridge * count * np.eye(system.shape[1])
        found = np.linalg.solve(left, right).reshape(len(columns), 9, len(members), 3)
        posedirs[np.ix_(members, range(3), columns)] = found.transpose(2, 3, 0, 1)
    return posedirs.reshape(size, 3, 9 * bends)


def symmetrised_posedirs(posedirs: np.ndarray, mirror: np.ndarray, joint_flip: np.ndarray) -> np.ndarray:
    """Mean of posedirs (V, 3, 9 (J - 1)) and their mirror image.

    Under the mirror S = diag(-1, 1, 1) a rotation feature R - I of a joint becomes S (R - I) S of the opposite joint.

    Args:
        mirror: (V,) vertex permutation. joint_flip: (J,) joint permutation.
    """
    flip = np.array([-1.0, 1.0, 1.0])
    joints = joint_flip[1:] - 1
    features = posedirs.reshape(-1, 3, len(joints), 3, 3)
    image = features[mirror][:, :, joints] * flip[:, None, None, None] * flip[:, None] * flip
    return ((features + image) / 2).reshape(posedirs.shape)


def kintree_table(parents: Parents) -> np.ndarray:
    """Joint tree (2, J) uint32 as model files hold it: parents, with 2^32 - 1 at the root, above joint numbers."""
    tree = np.stack([np.array(parents), np.arange(len(parents))])
    tree[0, 0] = 2**32 - 1
    return tree.astype(np.uint32)
