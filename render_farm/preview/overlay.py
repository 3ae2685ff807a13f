"""Fitted bodies over their photographs, with the keypoints they were fitted to and where they came to lie."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...config import UserError
from ...datasets.draw import INK, Colour, joint_colours
from ...models.bodies.body import Body
from ...models.joints import joint_set as joint_set_named
from ..scenes.scene import Camera
from .draw import checked_vertices, draw_people
from .dressing import Dress, dress_plainly

Bytes = NDArray[np.uint8]
FLIP = np.array([1.0, -1.0, -1.0])
"""From OpenCV's camera axes to a world with Y up."""
_ERROR, _SHIFT = (255, 60, 60), 4
_FINE = 900  # pictures with a longer side below this many pixels are drawn with four samples a pixel


def overlay(
    image: Bytes,
    body: Body,
    vertices: NDArray[np.floating],
    K: NDArray[np.floating],
    keypoints: NDArray[np.floating] | None = None,
    projected: NDArray[np.floating] | None = None,
    *,
    joint_set: str | None = None,
    dress: Dress | None = None,
    opacity: float = 0.7,
    renderer_name: str = "auto",
) -> Bytes:
    """A copy of a photograph with the dressed body, or several, at its fitted place.

    Args:
        image: (H, W, 3) uint8 RGB.
        vertices: (V, 3) or (P, V, 3) bare posed vertices in the camera's frame (OpenCV axes), metres.
        K: (3, 3) intrinsics in pixels; (P, 3, 3) if each person was fitted with a camera of its own.
        keypoints: (J, 3) or (P, J, 3) x, y and confidence of what was fitted to, drawn as rings; 0 confidence is not.
        projected: (J, 2) or (P, J, 2) the same points of the body, drawn as dots, joined to their rings by a red line.
        joint_set: of the keypoints, for colours by side; None is the body's keypoint set.
        dress: clothes; None draws ``dress_plainly(body)``, with another seed for each of several people.
        opacity: of the body.

    Raises:
        UserError: for arrays that do not fit each other, or a renderer that does not work.
    """
    check_image(image)
    people = checked_vertices(body, vertices)
    cameras = np.broadcast_to(np.asarray(K, np.float64), (len(people), 3, 3))
    blended = np.ascontiguousarray(image)
    order = np.argsort(-people[..., 2].mean(1))  # far ones first
    for k in order:
        worn = dress if dress is not None else dress_plainly(body, seed=int(k), size=512)
        drawn = draw_over(blended, worn, people[k], cameras[k], renderer_name)
        blended = np.asarray(cv2.addWeighted(drawn, opacity, blended, 1 - opacity, 0), np.uint8)
    if keypoints is None:
        return blended
    names = joint_set or body.keypoint_set
    targets = np.asarray(keypoints, np.float64).reshape(-1, *np.shape(keypoints)[-2:])
    found = None if projected is None else np.asarray(projected, np.float64).reshape(len(targets), -1, 2)
    for k, target in enumerate(targets):
        blended = draw_residuals(blended, target, None if found is None else found[k], names)
    return blended


def check_image(image: Bytes) -> None:
    """Refuse what is no RGB picture.

    Raises:
        UserError: naming what was given.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UserError(f"the photograph is {image.dtype} {image.shape}; give uint8 RGB (H, W, 3)")


def draw_over(
    image: Bytes, dress: Dress, vertices: NDArray[np.floating], K: NDArray[np.floating], renderer_name: str = "auto"
) -> Bytes:
    """A dressed body (V, 3; camera frame) in front of a picture (H, W, 3), opaque."""
    height, width = image.shape[:2]
    camera = Camera(np.asarray(K, np.float64), np.diag(FLIP), np.zeros(3), width, height)
    fine = 2 if max(height, width) <= _FINE else 1
    backdrop = np.ascontiguousarray(np.repeat(np.repeat(image, fine, 0), fine, 1))
    return draw_people(
        [(dress, vertices * FLIP)], camera, None, backdrop=backdrop, supersample=fine, renderer_name=renderer_name
    )


def draw_residuals(
    image: Bytes, keypoints: NDArray[np.floating], projected: NDArray[np.floating] | None, joint_set: str
) -> Bytes:
    """A copy of the picture with rings at keypoints (J, 3), dots at projections (J, 2) and lines between the two."""
    names = joint_set_named(joint_set)
    if len(keypoints) != names.count or (projected is not None and len(projected) != names.count):
        raise UserError(f"{len(keypoints)} keypoints do not fit the joint set {joint_set} of {names.count}")
    shown = (keypoints[:, 2] > 0) & np.isfinite(keypoints).all(1)
    if not shown.any():
        return image.copy()
    fine = 2 if max(image.shape[:2]) <= _FINE else 1  # thin lines in small pictures
    radius = fine * mark_radius(image, keypoints[shown, :2])
    thick = max(1, round(0.4 * radius))
    canvas, colours = np.repeat(np.repeat(image, fine, 0), fine, 1), joint_colours(names)
    keypoints = fine * keypoints[:, :2] + (fine - 1) / 2
    projected = None if projected is None else fine * projected + (fine - 1) / 2

    def circle(point: NDArray[np.floating], size: float, colour: Colour, line: int) -> None:
        cv2.circle(canvas, _fixed(point), round(size * 16), colour, line, cv2.LINE_AA, _SHIFT)

    if projected is not None:
        for colour, line in ((INK, thick + 2), (_ERROR, thick)):
            for joint in np.flatnonzero(shown):
                ends = _fixed(keypoints[joint]), _fixed(projected[joint])
                cv2.line(canvas, *ends, colour, line, cv2.LINE_AA, _SHIFT)
        for joint in np.flatnonzero(shown):
            circle(projected[joint], 0.8 * radius + 1, INK, -1)
            circle(projected[joint], 0.8 * radius, colours[joint], -1)
    for joint in np.flatnonzero(shown):
        circle(keypoints[joint], 1.5 * radius, INK, thick + 2)
        circle(keypoints[joint], 1.5 * radius, colours[joint], thick)
    return np.asarray(cv2.resize(canvas, image.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)


def mark_radius(image: Bytes, points: NDArray[np.floating]) -> float:
    """Radius of a dot in pixels: a share of the picture, less on a small person, never illegible."""
    reach = float(np.linalg.norm(np.ptp(points, axis=0)))
    return float(np.clip(min(min(image.shape[:2]) / 130, reach / 60), 1.8, 24.0))


def _fixed(point: NDArray[np.floating]) -> tuple[int, int]:
    x, y = np.clip(point[:2], -1e5, 1e5)
    return round(float(x) * 16), round(float(y) * 16)
