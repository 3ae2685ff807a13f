"""What is measured of pictures: light, colour, skin tone, and a hash that tells look-alikes."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from ...datasets.frames import Person
from ...models.joints import JointSet

SMALL = 96
"""Statistics of a picture are taken at this many pixels a side."""
TONES = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -math.inf),
)
"""Classes of skin by the least individual typology angle, degrees (Chardon et al. 1991; Del Bino and Bernerd 2013)."""

_LEAST_EYES = 4.0  # pixels between the eyes below which no skin is sampled


def picture_features(rgb: np.ndarray) -> dict[str, float]:
    """Of (H, W, 3) uint8: brightness (mean L*, 0 to 100), contrast (standard deviation of L*), saturation (mean chroma C*)."""
    small = cv2.resize(rgb, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    lightness, a, b = np.moveaxis(_lab(small), -1, 0)
    return {
        "brightness": float(lightness.mean()),
        "contrast": float(lightness.std()),
        "saturation": float(np.hypot(a, b).mean()),
    }


def skin_angle(rgb: np.ndarray, person: Person, joints: JointSet, mask: np.ndarray | None) -> float:
    """Individual typology angle of a person's skin as photographed, degrees: ``atan2(L* - 50, b*)``; NaN if none is seen.

    The median colour of the face around a visible nose, between visible eyes, or of a whole hand that is no part of a
    person. It includes the light: compare distributions, not people.

    Args:
        rgb: (H, W, 3) uint8.
        person: its keypoints are of ``joints``.
        mask: (H, W) bool, pixels that show the person, or None.
    """
    if joints.one_hand:
        patch = None if mask is None else cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    else:
        patch = _face(rgb.shape, person.keypoints, joints)
    if patch is None:
        return math.nan
    if mask is not None:
        patch &= mask
    if patch.sum() < 12:
        return math.nan
    lightness, _, b = np.median(_lab(rgb[patch][None])[0], axis=0)
    return math.degrees(math.atan2(float(lightness) - 50, float(b)))


def tone_shares(angles: np.ndarray) -> np.ndarray:
    """(6,) shares of the classes of :data:`TONES`."""
    angles = angles[np.isfinite(angles)]
    edges = np.array([bound for _, bound in TONES])
    return np.bincount((angles[:, None] < edges).sum(1).clip(0, 5), minlength=6) / max(1, len(angles))


def picture_hash(rgb: np.ndarray) -> int:
    """64 bits of a picture's coarse structure: signs of its lowest frequencies against their median (pHash)."""
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = np.asarray(cv2.dct(grey.astype(np.float32)))[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return int(np.packbits(bits).view(">u8")[0])


def _face(shape: tuple[int, ...], keypoints: np.ndarray, joints: JointSet) -> np.ndarray | None:
    """(H, W) bool disc of cheeks and nose without the eyes, or None unless nose and both eyes are seen from the front."""
    names = ("nose", "left_eye", "right_eye")
    if not set(names) <= set(joints.joints):
        return None
    points = keypoints[[joints.index(name) for name in names]]
    apart = float(np.hypot(*(points[1, :2] - points[2, :2])))
    if not (points[:, 2] == 2).all() or apart < _LEAST_EYES:
        return None
    y, x = np.ogrid[: shape[0], : shape[1]]
    nose, *eyes = points[:, :2]
    patch = (x - nose[0]) ** 2 + (y - nose[1]) ** 2 <= (0.6 * apart) ** 2
    for eye in eyes:
        patch &= (x - eye[0]) ** 2 + (y - eye[1]) ** 2 > (0.35 * apart) ** 2
    return np.asarray(patch)


def _lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of uint8 sRGB, L* from 0 to 100."""
    lab: Any = cv2.cvtColor(np.ascontiguousarray(rgb, np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab)
