"""A person's labels from what was drawn: box and mask of visible pixels, keypoints with v, the body in the camera frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.frames import Person
from ...datasets.masks import encode_mask
from ...models.joints import joint_set
from ..scenes.lens import project
from ..scenes.scene import Camera, PersonInScene, Rendered, Scene
from .flesh import open_ends, own_parts

MARGIN = 0.012  # metres: thickness of clothes, and error of interpolated depth
# How far before a keypoint a surface may lie without hiding it, in distances of the keypoint to the nearest skin: flesh of
# its own limb may be thicker along the line of sight (a hip seen past the belly), anything else may only be the skin itself.
OWN, OTHER = 2.8, 1.3
TOUCH = 0.004  # metres: a thing, another person or the ground cannot lie within the flesh, only be drawn inexactly
BARE = 0.003  # metres, in place of MARGIN for other parts of a hand: hands wear nothing, and fingers are thin


def label_person(
    scene: Scene, index: int, rendered: Rendered, joint_sets: Sequence[str] = ("coco17",), mask: bool = True
) -> Person | None:
    """Label person ``index`` of a scene from what its renderer returned.

    - bbox: x, y, width, height that tightly hold the visible pixels, in pycocotools' convention: the first column and
      row, and the numbers of columns and rows. area: number of visible pixels. mask: those pixels, run-length coded.
    - keypoints: pixel position (through the lens, if it bends) and v. 0: outside of the picture or behind the camera
      (x = y = 0). 2: visible, 1: hidden, see :func:`label_keypoints`.
    - pose and transl are turned into the camera frame: ``body(betas, pose, transl)`` gives camera-frame vertices.

    Args:
        scene: the scene drawn.
        index: which of ``scene.persons``.
        rendered: what the renderer returned for it, bent by the lens if the camera has a distortion.
        joint_sets: which sets ``keypoints_3d`` of the person holds, one after the other: the first goes to ``keypoints``,
            the others to ``more_keypoints``.
        mask: whether to write the mask.

    Returns:
        The labels, or None if no pixel of the person is visible (the caller counts these).
    """
    if not 0 <= index < len(scene.persons):
        raise UserError(f"person {index} asked for, the scene has {len(scene.persons)}")
    shown = rendered.instances == index + 1
    box = visible_box(shown)
    if box is None:
        return None
    person, camera = scene.persons[index], scene.camera
    points = np.asarray(person.keypoints_3d, np.float64) @ np.asarray(camera.R).T + np.asarray(camera.t)
    pose, transl = camera_frame_pose(person, camera)
    beneath, hand = skin_distance(person), person.skeleton == "mano16"
    own = own_parts(tuple(joint_sets), person.skeleton)
    things = np.full(len(points), TOUCH)
    if hand:  # the arm that a hand hangs on is a thing to its labels, but its skin hides no wrist
        wrists = open_ends(tuple(joint_sets))
        things[wrists] = OTHER * beneath[wrists] + BARE
    keypoints = label_keypoints(points, beneath, camera, rendered, index + 1, own, things, BARE if hand else MARGIN)
    first, further = joint_set(joint_sets[0]).count, len(joint_sets) > 1
    return Person(
        bbox=box[0],
        keypoints=keypoints[:first],
        area=box[1],
        keypoints_3d=points[:first].astype(np.float32),
        more_keypoints=keypoints[first:] if further else None,
        more_keypoints_3d=points[first:].astype(np.float32) if further else None,
        expression=None if person.expression is None else np.asarray(person.expression, np.float32).ravel(),
        body=person.body,
        betas=np.asarray(person.betas, np.float32).ravel(),
        pose=pose,
        transl=transl,
        mask=encode_mask(shown) if mask else None,
    )


def visible_box(shown: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float] | None:
    """Tight box (4,) xywh and number of the pixels that are True in (H, W); None if there is none."""
    pixels = shown.view(np.uint8)
    area = cv2.countNonZero(pixels)
    if area == 0:
        return None
    return np.array(cv2.boundingRect(pixels), np.float32), float(area)


def label_keypoints(
    points: NDArray[np.float64],
    beneath: NDArray[np.floating],
    camera: Camera,
    rendered: Rendered,
    instance: int,
    own_of: NDArray[np.bool_],
    things: NDArray[np.floating],
    cloth: float = MARGIN,
) -> NDArray[np.float32]:
    """Pixel positions and visibility of keypoints.

    A pixel that shows the person hides a keypoint at depth z if its depth is less than ``z - (a * beneath + b)``, where
    a = 2.8 and b = 1.2 cm for the parts that surround the keypoint, a = 1.3 and b = ``cloth`` for the person's other parts;
    a pixel that shows anything else does if that lies more than ``things`` before the keypoint. A keypoint is visible if
    neither its own pixel nor most of the 3 x 3 around it hide it, one of them shows the person, and a part that surrounds
    it shows within 2 pixels (of a picture of 256; more in larger ones): an elbow sunk into a belly is not seen, however
    near the belly's skin is.

    Args:
        points: (J, 3) camera frame, metres.
        beneath: (J,) how deep each lies beneath the skin, metres.
        camera: the camera; its distortion, if any, moves the keypoints.
        rendered: what was drawn, bent alike.
        instance: number of the person in ``rendered.instances``.
        own_of: (J, 256) which part ids surround each keypoint, see :func:`own_parts`.
        things: (J,) how far other things may lie before each, metres.
        cloth: thickness of what is worn, metres.

    Returns:
        (J, 3) float32: x, y, v.
    """
    z = points[:, 2]
    u, v = project(points, camera).T  # NaN, hence outside, behind the camera and out of the lens's sight
    inside = (u >= -0.5) & (u < camera.width - 0.5) & (v >= -0.5) & (v < camera.height - 0.5)
    column, row = (np.floor(np.where(inside, a, 0) + 0.5).astype(np.int64) for a in (u, v))
    pixels = _around(row, column, 1, 1, rendered)
    own = _own(pixels, own_of, rendered)
    person = rendered.instances.take(pixels) == instance
    deep = beneath[:, None]
    within = np.where(own, OWN * deep + MARGIN, OTHER * deep + cloth)
    free = rendered.depth.take(pixels) >= z[:, None] - np.where(person, within, things[:, None])
    seen = free[:, 4] & (free.sum(1) >= 5) & person.any(1)
    # And a part of the person that surrounds it shows on the 5 x 5 grid about its pixel.
    pixels = _around(row, column, 2, max(1, round(max(camera.height, camera.width) / 256)), rendered)
    seen &= (_own(pixels, own_of, rendered) & (rendered.instances.take(pixels) == instance)).any(1)
    labels = np.stack([u, v, np.where(seen, 2.0, 1.0)], 1)
    labels[~inside] = 0
    return labels.astype(np.float32)


def _around(
    row: NDArray[np.int64], column: NDArray[np.int64], reach: int, step: int, rendered: Rendered
) -> NDArray[np.int64]:
    """Flat indices (J, (2 reach + 1)^2) of the grid about some pixels, ``step`` apart, kept within the picture."""
    height, width = rendered.parts.shape
    steps = step * np.arange(-reach, reach + 1)
    rows = np.minimum(np.maximum(row[:, None] + steps, 0), height - 1)
    columns = np.minimum(np.maximum(column[:, None] + steps, 0), width - 1)
    return np.asarray((width * rows[:, :, None] + columns[:, None]).reshape(len(row), -1))


def _own(pixels: NDArray[np.int64], own_of: NDArray[np.bool_], rendered: Rendered) -> NDArray[np.bool_]:
    """Which pixels (J, N), flat indices, show a part that surrounds the keypoint: (J, N)."""
    return own_of.take(256 * np.arange(len(pixels))[:, None] + rendered.parts.take(pixels))


def skin_distance(person: PersonInScene) -> NDArray[np.float32]:
    """How deep each keypoint lies beneath the skin: (J,) metres to the nearest of every second vertex of the body."""
    vertices = np.asarray(person.surface.vertices[::2], np.float32)
    points = np.asarray(person.keypoints_3d, np.float32)
    middle = vertices[0]  # distances from nearby, where float32 squares lose nothing that matters
    x, y, z = columns = np.subtract(vertices.T, middle[:, None], order="C")
    points = points - middle
    # |v|^2 - 2 p v by one product of (J, 4) and (4, V)
    rows = np.concatenate([columns, (x * x + y * y + z * z)[None]])
    nearest = (np.insert(-2 * points, 3, 1, axis=1) @ rows).min(1) + np.einsum("jc,jc->j", points, points)
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
