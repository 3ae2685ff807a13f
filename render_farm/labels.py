"""Labels from what was drawn: boxes of visible pixels, keypoints with visibility by depth test, camera-frame bodies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config import UserError
from ..datasets.frames import Person
from ..models.joints import PARENTS, joint_set
from .scenes.scene import Camera, PersonInScene, Rendered, Scene

MARGIN = 0.012  # metres: thickness of clothes, and error of interpolated depth
BARE_MARGIN = (
    0.003  # the same before hands for what is no flesh around the point: they are bare, and things in them thin
)
# How far before a keypoint a surface may lie without hiding it, in distances of the keypoint to the nearest skin: flesh of
# its own limb may be thicker along the line of sight (a hip seen past the belly), anything else may only be the skin itself.
OWN, OTHER = 2.8, 1.3
# Joints of the model whose flesh surrounds a point of another kind, by the point's name.
_FLESH = {
    "shoulder": ("spine3", "{side}_collar", "{side}_shoulder"),
    "elbow": ("{side}_shoulder", "{side}_elbow"),
    "wrist": ("{side}_elbow", "{side}_wrist", "{side}_hand", "{side}_index1", "{side}_pinky1", "{side}_thumb1"),
    "hip": ("pelvis", "{side}_hip", "spine1"),
    "knee": ("{side}_hip", "{side}_knee"),
    "ankle": ("{side}_knee", "{side}_ankle", "{side}_foot"),
}
_MIDDLE = {
    "mid_hip": ("pelvis", "left_hip", "right_hip", "spine1"),
    "root": ("pelvis", "left_hip", "right_hip", "spine1"),
    "spine": ("spine1", "spine2", "spine3"),
    "thorax": ("spine3", "neck", "left_collar", "right_collar"),
}
_HEAD = ("neck", "head", "jaw", "left_eyeball", "right_eyeball")
MAX_DEPTH_MM = 65535


def label_person(
    scene: Scene, index: int, rendered: Rendered, joint_sets: Sequence[str] = ("coco17",)
) -> Person | None:
    """Label person ``index`` of a scene from what its renderer returned.

    - bbox: x, y, width, height that tightly hold the visible pixels, in pycocotools' convention: the first column and
      row, and the numbers of columns and rows. area: number of visible pixels.
    - keypoints: pixel position and v. 0: outside of the picture or behind the camera (x = y = 0). 2: visible, 1: hidden.
      A keypoint is visible if its pixel, and most of the 3 x 3 around it, show nothing before it but the flesh it lies
      in, see :func:`label_keypoints`.
    - pose and transl are turned into the camera frame: ``body(betas, pose, transl)`` gives camera-frame vertices.

    Args:
        scene: the scene drawn.
        index: which of ``scene.persons``.
        rendered: what the renderer returned for it.
        joint_sets: which sets ``keypoints_3d`` of the person holds, one after the other.

    Returns:
        The labels, or None if no pixel of the person is visible (the caller counts these).
    """
    if not 0 <= index < len(scene.persons):
        raise UserError(f"person {index} asked for, the scene has {len(scene.persons)}")
    box = visible_box(rendered.instances, index + 1)
    if box is None:
        return None
    person, camera = scene.persons[index], scene.camera
    bbox, area = box
    points = np.asarray(person.keypoints_3d, np.float64) @ np.asarray(camera.R).T + np.asarray(camera.t)
    pose, transl = camera_frame_pose(person, camera)
    own = own_parts(tuple(joint_sets), person.skeleton)
    margin = BARE_MARGIN if person.skeleton == "mano16" else MARGIN
    keypoints = label_keypoints(points, skin_distance(person), camera, rendered, index + 1, own, margin)
    first = joint_set(joint_sets[0]).count
    return Person(
        bbox=bbox,
        keypoints=keypoints[:first],
        area=area,
        keypoints_3d=points[:first].astype(np.float32),
        more_keypoints=keypoints[first:] if len(joint_sets) > 1 else None,
        more_keypoints_3d=points[first:].astype(np.float32) if len(joint_sets) > 1 else None,
        expression=None if person.expression is None else np.asarray(person.expression, np.float32).ravel(),
        body=person.body,
        betas=np.asarray(person.betas, np.float32).ravel(),
        pose=pose,
        transl=transl,
    )


def visible_box(instances: NDArray[np.uint8], instance: int) -> tuple[NDArray[np.float32], float] | None:
    """Tight box (4,) xywh and number of the pixels that show ``instance``; None if there is none."""
    mask = (instances == instance).view(np.uint8)
    area = cv2.countNonZero(mask)
    if area == 0:
        return None
    return np.array(cv2.boundingRect(mask), np.float32), float(area)


def label_keypoints(
    points: NDArray[np.float64],
    beneath: NDArray[np.floating],
    camera: Camera,
    rendered: Rendered,
    instance: int,
    own_of: NDArray[np.bool_],
    margin: float = MARGIN,
) -> NDArray[np.float32]:
    """Pixel positions and visibility of keypoints.

    A pixel hides a keypoint at depth z if its depth is less than ``z - (a * beneath + margin)``, where a = 2.8 and the
    margin 1.2 cm for the parts of the same person that surround the keypoint, a = 1.3 for everything else.

    Args:
        points: (J, 3) camera frame, metres.
        beneath: (J,) how deep each lies beneath the skin, metres.
        camera: the pinhole camera.
        rendered: what was drawn.
        instance: number of the person in ``rendered.instances``.
        own_of: (J, 256) which part ids surround each keypoint, see :func:`own_parts`.
        margin: metres before everything else, for the thickness of clothes and the error of interpolated depth.

    Returns:
        (J, 3) float32: x, y, v.
    """
    z = points[:, 2]
    ahead = np.where(z > 1e-6, z, 1.0)
    homogeneous = points @ np.asarray(camera.K, np.float64).T
    u, v = homogeneous[:, 0] / ahead, homogeneous[:, 1] / ahead
    inside = (z > 1e-6) & (u >= -0.5) & (u < camera.width - 0.5) & (v >= -0.5) & (v < camera.height - 0.5)
    column, row = (np.floor(np.where(inside, a, 0) + 0.5).astype(np.int64) for a in (u, v))
    steps = np.arange(-1, 2)
    rows = np.clip(row[:, None, None] + steps[:, None], 0, camera.height - 1)
    columns = np.clip(column[:, None, None] + steps, 0, camera.width - 1)
    own = own_of[np.arange(len(points))[:, None, None], rendered.parts[rows, columns]]
    own &= rendered.instances[rows, columns] == instance
    deep = beneath[:, None, None]
    limit = z[:, None, None] - np.where(own, OWN * deep + MARGIN, OTHER * deep + margin)
    free = rendered.depth[rows, columns] >= limit
    seen = free[:, 1, 1] & (free.sum((1, 2)) >= 5)
    labels = np.stack([u, v, np.where(seen, 2.0, 1.0)], 1)
    labels[~inside] = 0
    return labels.astype(np.float32)


@lru_cache(maxsize=16)
def own_parts(joint_sets: tuple[str, ...], skeleton: str) -> NDArray[np.bool_]:
    """Which part ids surround each point of some joint sets: (K, 256), for a model's skeleton.

    Args:
        joint_sets: names of the sets, one after the other.
        skeleton: joint set of the model: smpl24, smplx55, mano16; part ids are 1 + its indices.
    """
    model = {name: index for index, name in enumerate(joint_set(skeleton).joints)}
    parents = PARENTS[skeleton]
    rows = []
    for point in (name for each in joint_sets for name in joint_set(each).joints):
        row = np.zeros(256, bool)
        row[[1 + index for index in _flesh(point, model, parents)]] = True
        rows.append(row)
    return np.stack(rows)


def _flesh(point: str, model: dict[str, int], parents: Sequence[int]) -> list[int]:
    """Joints of a model whose flesh surrounds a point."""
    side, _, rest = point.partition("_")
    finger = point.removesuffix("_tip")
    if rest in _FLESH:
        names = [each.format(side=side) for each in _FLESH[rest]]
    elif point in _MIDDLE:
        names = list(_MIDDLE[point])
    elif point in model:
        own = model[point]
        return [own, *(k for k, parent in enumerate(parents) if parent == own), *([parents[own]] if own > 0 else [])]
    elif finger != point:
        names = [f"{finger}{segment}" for segment in (1, 2, 3)]
    elif rest in ("big_toe", "small_toe", "heel"):
        names = [f"{side}_ankle", f"{side}_foot"]
    else:  # points of the face
        names = list(_HEAD)
    return [model[name] for name in names if name in model]


def skin_distance(person: PersonInScene) -> NDArray[np.float32]:
    """How deep each keypoint lies beneath the skin: (J,) metres to the nearest of every second vertex of the body."""
    vertices = np.asarray(person.surface.vertices[::2], np.float32)
    points = np.asarray(person.keypoints_3d, np.float32)
    middle = vertices[0]  # distances from nearby, where float32 squares lose nothing that matters
    vertices, points = vertices - middle, points - middle
    squares = np.einsum("vc,vc->v", vertices, vertices)
    nearest = (squares - 2 * (points @ vertices.T)).min(1) + np.einsum("jc,jc->j", points, points)
    return np.sqrt(np.maximum(nearest, 0))


def camera_frame_pose(person: PersonInScene, camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Parameters that place the body in the camera frame: pose (3J,) axis-angle, transl (3,) metres, float32.

    SMPL turns the body about its pelvis, which rests at J: ``x -> G (x - J) + J + transl``. With ``X_cam = R X + t`` that
    is ``R G (x - J) + R (J + transl) + t``, so the orientation becomes ``R G`` and the translation
    ``R (J + transl) + t - J``, where ``J + transl`` is the posed pelvis and J itself the pelvis less ``transl``.
    """
    R, t = np.asarray(camera.R, np.float64), np.asarray(camera.t, np.float64)
    pelvis, transl = np.asarray(person.joints[0], np.float64), np.asarray(person.transl, np.float64)
    pose = np.array(person.pose, np.float64).reshape(-1, 3)
    pose[0] = cv2.Rodrigues(R @ cv2.Rodrigues(pose[0])[0])[0].ravel()  # matrix from axis-angle, and back
    return pose.ravel().astype(np.float32), (R @ pelvis + t - (pelvis - transl)).astype(np.float32)


def encode_parts(parts: NDArray[np.uint8]) -> bytes:
    """Part ids (H, W) uint8 as a greyscale PNG, the values unchanged."""
    # Runs of equal ids: run-length coding of unfiltered rows is both the fastest and the smallest.
    return _png(parts, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER_NONE)


def encode_depth(depth: NDArray[np.float32]) -> bytes:
    """Depth (H, W) metres as a 16-bit PNG in whole millimetres: 0 where nothing was hit, or beyond 65.535 m."""
    scaled = depth * np.float32(1000) + np.float32(0.5)
    millimetres = np.where(scaled < MAX_DEPTH_MM, scaled, 0).astype(np.uint16)
    return _png(millimetres, cv2.IMWRITE_PNG_STRATEGY_FILTERED, cv2.IMWRITE_PNG_FILTER_UP)


def encode_normals(normals: NDArray[np.int8]) -> bytes:
    """Normals (H, W, 3) as 127 times unit vectors, to a PNG of ``n * 127.5 + 127.5``; 0 where nothing was hit."""
    hit = normals.any(2, keepdims=True)
    levels = np.where(hit, np.round(normals.astype(np.float32) * (127.5 / 127) + 127.5), 0).astype(np.uint8)
    return _png(np.ascontiguousarray(levels[..., ::-1]), cv2.IMWRITE_PNG_STRATEGY_FILTERED, cv2.IMWRITE_PNG_FILTER_SUB)


def decode_png(png: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Part ids or millimetres (H, W) from :func:`encode_parts` or :func:`encode_depth`.

    Raises:
        UserError: if the bytes are no picture.
    """
    image: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise UserError("these bytes are not a PNG picture")
    return image


def _png(image: NDArray[np.uint8] | NDArray[np.uint16], strategy: int, row_filter: int) -> bytes:
    options = [
        *(cv2.IMWRITE_PNG_COMPRESSION, 1),
        *(cv2.IMWRITE_PNG_STRATEGY, strategy),
        *(cv2.IMWRITE_PNG_FILTER, row_filter),  # one filter; the default tries all of them on every row
    ]
    ok, buffer = cv2.imencode(".png", image, options)
    if not ok:
        raise UserError(f"cannot encode an array of shape {image.shape} and type {image.dtype} as PNG")
    return buffer.tobytes()
