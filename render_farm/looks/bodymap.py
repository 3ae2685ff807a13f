"""A body's skin as a map: where on the body each texel of the texture lies, in the rest pose.

Clothes, skin and hair are cut out of this map by smooth surfaces through the joints, so they work for any SMPL-family
body with texture coordinates. The same measures are kept for the mesh's vertices, for garments have thickness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies.body import Body
from ...models.bodies.meshes import vertex_normals
from .points import Points, Singles
from .regions import smpl24_regions
from .taut import taut_cloth

# SMPL joints by region.
_TRUNK, _HEAD = (0, 3, 6, 9), (12, 15)
_ARMS = (13, 14, 16, 17, 18, 19, 20, 21, 22, 23)
_LEGS = (1, 2, 4, 5, 7, 8, 10, 11)


@dataclass(frozen=True)
class BodyMap:
    """The map of one body at one texture size.

    Attributes:
        size: side of the texture.
        joints: (24, 3) rest joints. landmarks: (17, 3) COCO keypoints of the rest pose.
        inside: (T,) flat indices of the texels that lie on the body.
        texels: measures of those T texels.
        vertices: measures of the mesh's V vertices.
        nearest: (size * size,) for every texel the position in ``inside`` of the nearest texel on the body; filling
            from it keeps seams clean.
        eyeball: (T,) 1 on the left, 2 on the right eyeball, 0 elsewhere; all 0 for bodies without eyeballs.
        hull: (V, 3) metres from each vertex to taut cloth over it: hollows filled, toes and fingers in one.
        crotch: y of the lowest point between the legs. height: of the rest pose, metres.
    """

    size: int
    joints: Singles
    landmarks: Singles
    inside: NDArray[np.int64]
    texels: Points
    vertices: Points
    nearest: NDArray[np.int64]
    eyeball: NDArray[np.uint8]
    hull: Singles
    crotch: float
    height: float

    def spread(self, values: NDArray) -> NDArray:
        """Values of the body's texels (T, ...) to a whole picture (size, size, ...), gaps filled by the nearest."""
        return values[self.nearest].reshape(self.size, self.size, *values.shape[1:])


def _face_of_texel(body: Body, size: int) -> NDArray[np.int64]:
    """(size, size) index of the face that covers each texel's centre (or touches the texel), -1 where none."""
    corners = body.uv[body.uv_faces].astype(np.float64) * size - 0.5
    fixed = np.round(corners * 16).astype(np.int32)
    picture = np.full((size, size), -1.0, np.float32)
    for index, triangle in enumerate(fixed):
        cv2.fillConvexPoly(picture, triangle, float(index), cv2.LINE_8, 4)
    return picture.astype(np.int64)


def _barycentric(body: Body, faces: NDArray[np.int64], flat: NDArray[np.int64], size: int) -> Singles:
    """(T, 3) weights of the corners for texels ``flat``, clamped into the triangle."""
    point = np.stack([flat % size, flat // size], 1) + 0.5
    a, b, c = (body.uv[body.uv_faces[faces, k]].astype(np.float64) * size for k in range(3))
    ab, ac, ap = b - a, c - a, point - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    second = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area
    third = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area
    weights = np.clip(np.stack([1 - second - third, second, third], 1), 0, 1)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _measure(position: Singles, normal: Singles, joint: NDArray[np.int32], joints: Singles) -> Points:
    """Arm, leg and weave coordinates of places on the body; radii of the cylinders are shares of the trunk's size."""
    x, y, z = position.T
    span = joints[16, 0] - joints[17, 0]  # shoulder to shoulder
    shoulder, wrist = (joints[16, 0] - joints[17, 0]) / 2, (joints[20, 0] - joints[21, 0]) / 2
    arm = np.where(np.isin(joint, _ARMS), (np.abs(x) - shoulder) / (wrist - shoulder), -1.0)
    hip, ankle = joints[[1, 2], 1].mean(), joints[[7, 8], 1].mean()
    leg = np.where(np.isin(joint, _ARMS) | np.isin(joint, _HEAD), -1.0, (hip - y) / (hip - ankle))

    round_, along = np.arctan2(x, z) * 0.5 * span, y.copy()
    on_arm = np.isin(joint, (16, 17, 18, 19, 20, 21, 22, 23))
    arm_y, arm_z = joints[[16, 18, 20], 1].mean(), joints[[16, 18, 20], 2].mean()
    round_ = np.where(on_arm, np.arctan2(z - arm_z, y - arm_y) * 0.16 * span, round_)
    along = np.where(on_arm, np.abs(x), along)
    on_leg = np.isin(joint, _LEGS)
    side = np.where(x > 0, 1, -1)
    leg_x = np.interp(y, [ankle, hip], [joints[7, 0], joints[1, 0]])
    leg_z = np.interp(y, [ankle, hip], [joints[7, 2], joints[1, 2]])
    round_ = np.where(on_leg, np.arctan2(side * x - leg_x, z - leg_z) * 0.24 * span, round_)
    weave = np.stack([round_, along], 1).astype(np.float32)
    return Points(position, normal, joint, arm.astype(np.float32), leg.astype(np.float32), weave)


def _eyeballs(body: Body, landmarks: Singles) -> NDArray[np.uint8]:
    """(V,) 1 and 2 on the vertices of the left and right eyeball: small separate pieces of the mesh at the eyes."""
    faces, count = body.faces, len(body.template)
    edges = scipy.sparse.coo_matrix(
        (np.ones(2 * len(faces)), (faces[:, :2].ravel(), faces[:, 1:].ravel())), shape=(count, count)
    )
    pieces, label = scipy.sparse.csgraph.connected_components(edges, directed=False)
    side = np.zeros(count, np.uint8)
    between = float(np.linalg.norm(landmarks[1] - landmarks[2]))
    for piece in range(pieces):
        points = body.template[label == piece]
        if np.linalg.norm(np.ptp(points, axis=0)) > between * 1.5:
            continue
        distance = np.linalg.norm(landmarks[1:3] - points.mean(0), axis=1)
        if distance.min() < 0.5 * between:
            side[label == piece] = 1 + int(distance.argmin())
    return side


def build_body_map(body: Body, size: int) -> BodyMap:
    """Rasterise a body's texture coordinates; about half a second, once for each process.

    Raises:
        UserError: if the body has no texture coordinates, or such as do not fit, a regressor of another mesh, or is a hand.
    """
    if len(body.uv) == 0 or len(body.uv_faces) != len(body.faces):
        raise UserError(f"body '{body.name}' has no texture coordinates, so it cannot be dressed; give a file with uv")
    if not np.isfinite(body.uv).all() or int(body.uv_faces.max()) >= len(body.uv) or int(body.uv_faces.min()) < 0:
        raise UserError(
            f"body '{body.name}': its texture coordinates do not fit its faces ({len(body.uv)} coordinates, indices up to "
            f"{int(body.uv_faces.max())}); give a file whose uv and uv faces belong to its mesh"
        )
    if body.keypoint_regressor.shape[1] != len(body.template):
        raise UserError(
            f"body '{body.name}': its keypoint regressor is {tuple(body.keypoint_regressor.shape)}, its mesh has "
            f"{len(body.template)} vertices; eyes, nose and mouth cannot be found"
        )
    covering = _face_of_texel(body, size).reshape(-1)
    inside = np.flatnonzero(covering >= 0)
    faces = covering[inside]
    weights = _barycentric(body, faces, inside, size)
    template = body.template.astype(np.float32)
    normals = vertex_normals(template, body.faces)
    corner = body.faces[faces]
    position = np.einsum("tk,tkc->tc", weights, template[corner])
    normal = np.einsum("tk,tkc->tc", weights, normals[corner])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    regions, joints = smpl24_regions(body)
    owner = np.argmax(regions, axis=1).astype(np.int32)
    largest = corner[np.arange(len(faces)), weights.argmax(1)]
    joint = owner[largest]
    landmarks = (body.keypoint_regressor.cpu().numpy() @ template).astype(np.float32)

    outside = (covering < 0).reshape(size, size).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(labels.max() + 1, np.int64)
    of_label[labels.reshape(-1)[inside]] = np.arange(len(inside))
    vertices = _measure(template, normals.astype(np.float32), owner, joints)
    middle = (np.abs(template[:, 0]) < 0.02 * (joints[1, 0] - joints[2, 0]) + 0.004) & np.isin(owner, (0, 1, 2, 3))
    return BodyMap(
        size=size,
        joints=joints,
        landmarks=landmarks,
        inside=inside,
        texels=_measure(position.astype(np.float32), normal.astype(np.float32), joint, joints),
        vertices=vertices,
        nearest=of_label[labels.reshape(-1)],
        eyeball=_eyeballs(body, landmarks)[largest],
        hull=taut_cloth(template, body.faces, vertices),
        crotch=float(template[middle, 1].min()),
        height=float(np.ptp(template[:, 1])),
    )
