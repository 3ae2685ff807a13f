"""A body as some fifty spheres that ride on its joints: for finding limbs that pass through each other or the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.bodies.blocks import pose_joints
from ...models.bodies.body import Body
from ...models.joints import joint_set

Floats = NDArray[np.float64]

SHRINK = 0.8
"""Share of a sphere's radius that counts: skin gives way, and bodies touch themselves."""
ALONG = (0.2, 0.5, 0.8)
"""Quantiles along a part's longest axis at which its spheres sit."""
LIMBS = ("elbow", "wrist", "knee", "ankle", "foot")
"""Parts (forearm, hand, shin, foot) whose meeting with other parts is looked at: trunk and thighs press on each other."""


@dataclass(frozen=True)
class Capsules:
    """S spheres on a body.

    Attributes:
        joint: (S,) joint each rides on. offset: (S, 3) its centre in that joint's axes, metres, and radius: (S,) metres,
            both of the template.
        pairs: (P, 2) spheres that may not meet, one of them on a forearm, hand, shin or foot.
        parts: names of the S spheres' parts.
        mass: (S,) share of the body's mass, sums to 1.
    """

    joint: NDArray[np.int64]
    offset: Floats
    radius: Floats
    pairs: NDArray[np.int64]
    parts: tuple[str, ...]
    mass: Floats


def build_capsules(body: Body) -> Capsules:
    """Spheres along each part of a whole body, as thick as the flesh about them; fingers count as the hand.

    Raises:
        UserError: never for bodies that load; hands have no pairs, since they lack a trunk.
    """
    names = joint_set(body.joint_set).joints
    owner = _owners(body, names)
    template, joints = body.template.astype(np.float64), body.mesh.joints.double().cpu().numpy()
    joint, offset, radius, volume = [], [], [], []
    for part in np.unique(owner):
        points = template[owner == part]
        if len(points) < 12:
            continue
        middle = points.mean(0)
        axis = np.linalg.svd(points - middle, full_matrices=False)[2][0]
        place = (points - middle) @ axis
        across = np.linalg.norm(points - middle - place[:, None] * axis, axis=1)
        for share in ALONG:
            at = np.quantile(place, share)
            near = np.abs(place - at) < 0.25 * np.ptp(place)
            thick = float(np.median(across[near]))
            joint.append(part)
            offset.append(middle + at * axis - joints[part])
            radius.append(thick)
            volume.append(thick**2 * float(np.ptp(place)))
    owners, reach = np.array(joint, np.int64), np.array(radius)
    pairs = _pairs(joints[owners] + np.stack(offset), SHRINK * reach, owners, body.parents, names)
    mass = np.array(volume) / sum(volume)
    return Capsules(owners, np.stack(offset), reach, pairs, tuple(names[k] for k in owners), mass)


def _owners(body: Body, names: tuple[str, ...]) -> NDArray[np.int64]:
    """(V,) part each vertex belongs to: its main joint, moved up to one of SMPL's first 22 (the head for jaw and eyes)."""
    whole = set(joint_set("smpl24").joints[:22])
    parents = list(body.parents)
    up = np.arange(len(names))
    for k, name in enumerate(names):
        if name not in whole and parents[k] >= 0:
            up[k] = up[parents[k]]
    return up[np.argmax(body.weights, axis=1)]


def _pairs(
    centres: Floats, radius: Floats, owner: NDArray[np.int64], parents: tuple[int, ...], names: tuple[str, ...]
) -> NDArray[np.int64]:
    """Pairs (P, 2) of spheres, one of them on a limb, whose parts are three or more joints apart and clear at rest."""
    limb = [names[k].endswith(LIMBS) for k in owner]
    gap = np.linalg.norm(centres[:, None] - centres[None], axis=-1) - radius[:, None] - radius[None]
    pairs = [
        (a, b)
        for a in range(len(owner))
        for b in range(a)
        if (limb[a] or limb[b]) and gap[a, b] > 0 and _steps(int(owner[a]), int(owner[b]), parents) >= 3
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _steps(a: int, b: int, parents: tuple[int, ...]) -> int:
    """Bones between two joints on the tree."""
    above = {}
    step = 0
    while a >= 0:
        above[a], a, step = step, parents[a], step + 1
    step = 0
    while b not in above:
        b, step = parents[b], step + 1
    return above[b] + step


def place_capsules(body: Body, capsules: Capsules, shape: torch.Tensor, pose: torch.Tensor) -> tuple[Floats, Floats]:
    """Centres (B, S, 3) and radii (B, S) in metres of posed bodies, before translation.

    Radii follow the body's size as the distance of its hips from its neck does.

    Args:
        shape: (B, N) betas, then expression where the body has one.
        pose: (B, J, 3) axis-angle, radians, global orientation first.
    """
    skeleton = pose_joints(body.mesh, shape, pose)
    template, rest = body.mesh.joints.numpy(), skeleton.rest.astype(np.float64)
    size = np.linalg.norm(rest[:, 12] - rest[:, 0], axis=1) / np.linalg.norm(template[12] - template[0])
    turned = skeleton.world[:, capsules.joint] @ capsules.offset[:, :, None]
    centres = skeleton.joints[:, capsules.joint] + turned[..., 0] * size[:, None, None]
    return centres, capsules.radius * size[:, None]
