"""A hand's skin as a map: where on the resting hand each texel lies, and which of nails, creases and palm it belongs to.

Coordinates are those of a **right** hand at rest, wrist joint at the origin, fingers along -X, palm towards -Y, thumb towards
+Z, in metres of an adult; a left hand is mirrored into them, so both sides get one skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ...models.bodies.body import Body
from ...models.bodies.meshes import vertex_normals
from .bodymap import Singles, _barycentric, _face_of_texel

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
THUMB_BACK = np.array([0.66, 0.49, 0.57]) / np.linalg.norm([0.66, 0.49, 0.57])
ARM_TEXELS = 128
ARM_LENGTH = 0.62
_LINES = (  # of the palm, as (x, z) metres: below the fingers, across, round the thumb's ball
    ((-0.070, -0.040), (-0.078, -0.025), (-0.086, -0.008), (-0.090, 0.008), (-0.092, 0.014)),
    ((-0.052, -0.034), (-0.062, -0.016), (-0.070, 0.006), (-0.076, 0.030)),
    ((-0.076, 0.032), (-0.066, 0.018), (-0.050, 0.006), (-0.030, 0.000), (-0.012, 0.002)),
)


@dataclass(frozen=True)
class HandMap:
    """The map of one hand, and of the forearm that goes with it.

    Attributes:
        size: side of the texture. nearest: (size * size,) for each texel the row below of the nearest texel on the hand.
        position, normal: (T, 3) of the texels. palm, nail, moon, rim, crease, wrinkle, tip, knuckle: (T,) 0..1 shares.
        vein: (T,) 0..1 on the back. arm: (A, 3) places of a forearm's ARM_TEXELS x ARM_TEXELS texels, v along the arm.
    """

    size: int
    nearest: NDArray[np.int64]
    position: Singles
    normal: Singles
    palm: Singles
    nail: Singles
    moon: Singles
    rim: Singles
    crease: Singles
    wrinkle: Singles
    tip: Singles
    knuckle: Singles
    arm: Singles


def _smooth(value: NDArray, low: float, high: float) -> Singles:
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def build_hand_map(body: Body, size: int) -> HandMap:
    """Rasterise a hand's texture coordinates and find its places; some tenths of a second, once for each process and side."""
    covering = _face_of_texel(body, size).reshape(-1)
    inside = np.flatnonzero(covering >= 0)
    faces = covering[inside]
    weights = _barycentric(body, faces, inside, size)
    joints = body.mesh.joints.cpu().numpy().astype(np.float64)
    mirror = np.array([-1.0 if joints[1:, 0].mean() > joints[0, 0] else 1.0, 1.0, 1.0])
    template = (body.template - joints[0]) * mirror
    normals = vertex_normals(body.template.astype(np.float64), body.faces) * mirror
    joints = (joints - joints[0]) * mirror
    corner = body.faces[faces]
    scale = 0.1784 / float(np.abs(template[:, 0]).max())  # a child's template would have children's creases
    position = np.einsum("tk,tkc->tc", weights, template[corner]) * scale
    normal = np.einsum("tk,tkc->tc", weights, normals[corner])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    owner = body.weights.argmax(1)[corner[np.arange(len(faces)), weights.argmax(1)]]
    tips = {f: template[body.extra_vertices[f"{f}_tip"]] * scale for f in FINGERS if f"{f}_tip" in body.extra_vertices}
    fields = _places(position, normal, owner, joints * scale, tips)
    outside = (covering < 0).reshape(size, size).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(labels.max() + 1, np.int64)
    of_label[labels.reshape(-1)[inside]] = np.arange(len(inside))
    return HandMap(
        size=size, nearest=of_label[labels.reshape(-1)], position=position.astype(np.float32),
        normal=normal.astype(np.float32), arm=_arm_places(template * scale), **fields,
    )  # fmt: skip


def _places(p: NDArray, n: NDArray, owner: NDArray, joints: NDArray, tips: dict[str, NDArray]) -> dict[str, Singles]:
    """Shares (T,) of palm, nails, creases and knuckles at texels p with normals n."""
    found = {
        name: np.zeros(len(p), np.float32) for name in ("nail", "moon", "rim", "crease", "wrinkle", "tip", "knuckle")
    }
    back = n[:, 1].astype(np.float64)
    for k, finger in enumerate(FINGERS):
        chain = joints[1 + 3 * k : 4 + 3 * k]
        tip = tips.get(finger, chain[2] + (chain[2] - chain[1]))
        dorsal = THUMB_BACK if finger == "thumb" else np.array([0.0, 1.0, 0.0])
        along = (tip - chain[2]) / np.linalg.norm(tip - chain[2])
        dorsal = dorsal - along * (dorsal @ along)
        dorsal /= np.linalg.norm(dorsal)
        own = np.isin(owner, (1 + 3 * k, 2 + 3 * k, 3 + 3 * k))
        facing = n @ dorsal
        back = np.where(own, facing, back)
        last = own & (owner == 3 + 3 * k)
        _add_nail(found, p, last, facing, tip, along, np.cross(along, dorsal), 0.0075 if finger == "thumb" else 0.0058)
        near_tip = np.linalg.norm(p - tip, axis=1)
        found["tip"] += np.where(own, np.exp(-((near_tip / 0.014) ** 2)), 0).astype(np.float32)
        bends = [(chain[1], chain[1] - chain[0], 1.0), (chain[2], chain[2] - chain[1], 0.8)]
        if finger != "thumb":
            base = chain[0] + 0.46 * (chain[1] - chain[0])
            bends.append((base, chain[1] - chain[0], 0.9))
        for number, (place, axis, amount) in enumerate(bends):
            axis = axis / np.linalg.norm(axis)
            s = (p - place) @ axis
            front, behind = _smooth(-facing, 0.0, 0.5), _smooth(facing, 0.1, 0.7)
            lines = np.exp(-((s / 0.0007) ** 2)) + 0.6 * np.exp(-(((s - 0.0022) / 0.0006) ** 2)) * (number == 0)
            found["crease"] += (own * amount * front * lines).astype(np.float32)
            if number < 2:
                wave = np.exp(-((s / (0.0045 if number == 0 else 0.003)) ** 2))
                found["wrinkle"] += (own * behind * wave * (0.5 + 0.5 * np.cos(s * 2 * np.pi / 0.0021))).astype(
                    np.float32
                )
                found["knuckle"] += (own * behind * np.exp(-((s / 0.008) ** 2))).astype(np.float32)
        if finger != "thumb":
            apart = np.linalg.norm((p - chain[0])[:, [0, 2]], axis=1)
            found["knuckle"] += (0.7 * _smooth(n[:, 1], 0.2, 0.7) * np.exp(-((apart / 0.010) ** 2))).astype(np.float32)
    hollow = _smooth(-n[:, 1], 0.2, 0.6) * (owner == 0)
    ball = _smooth(-n[:, 1], 0.2, 0.6) * np.isin(owner, (0, 13))
    for k, line in enumerate(_LINES):
        points = np.array(line)
        found["crease"] += (
            0.95 * (ball if k == 2 else hollow) * np.exp(-((_apart(p[:, [0, 2]], points) / 0.0009) ** 2))
        ).astype(np.float32)
    for x in (0.001, 0.006):
        ring = np.exp(-(((p[:, 0] - x) / 0.0008) ** 2)) * _smooth(-n[:, 1], 0.2, 0.6)
        found["crease"] += (0.6 * ring).astype(np.float32)
    found["palm"] = _smooth(-back, -0.45, 0.60) * _smooth(-p[:, 0], -0.012, 0.045)
    return {name: np.clip(value, 0, 1.2) for name, value in found.items()}


def _add_nail(
    found: dict[str, Singles],
    p: NDArray,
    last: NDArray,
    facing: NDArray,
    tip: NDArray,
    along: NDArray,
    across: NDArray,
    half: float,
) -> None:
    """Nail, its moon and the rim of skin around it, on the last segment of one finger."""
    s, t = (p - tip) @ along, (p - tip) @ across
    length = 1.9 * half
    u, v = (s + 0.0005 + length / 2) / (length / 2), t / half
    shape = (np.abs(u) ** 3.2 + np.abs(v) ** 3.2) ** (1 / 3.2)
    on = last & (facing > 0.15)
    found["nail"] += (on * _smooth(-shape, -1.06, -0.96)).astype(np.float32)
    found["rim"] += (on * np.exp(-(((shape - 1.06) / 0.09) ** 2))).astype(np.float32)
    found["moon"] += (on * _smooth(-(np.hypot(u + 1.05, 0.8 * v)), -0.62, -0.5) * (shape < 1)).astype(np.float32)
    found["moon"] += (on * _smooth(u, 0.74, 0.86) * (shape < 1)).astype(np.float32)


def _apart(p: NDArray, line: NDArray) -> NDArray:
    """Distance (T,) of points (T, 2) to a polyline (L, 2)."""
    best = np.full(len(p), np.inf)
    for a, b in pairwise(line):
        share = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        best = np.minimum(best, np.linalg.norm(p - a - share[:, None] * (b - a), axis=1))
    return best


def _arm_places(template: NDArray) -> Singles:
    """Where the texels of a straight forearm lie: the wrist's border, drawn out along +X; u runs as the angle of (y, z)."""
    wrist = template[template[:, 0] > template[:, 0].max() - 0.006]
    middle, half = wrist.mean(0), np.ptp(wrist, axis=0) / 2
    axis = (np.arange(ARM_TEXELS) + 0.5) / ARM_TEXELS
    along, turn = np.meshgrid(middle[0] + ARM_LENGTH * axis, -np.pi + 2 * np.pi * axis, indexing="ij")
    points = np.stack([along, middle[1] + half[1] * np.sin(turn), middle[2] + half[2] * np.cos(turn)], -1)
    return points.reshape(-1, 3).astype(np.float32)
