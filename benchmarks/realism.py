"""What each item of realism costs: jobs of infant frames without it, and with it in every frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

PLAIN = (
    "ambient_shadow=false",
    "scene.night=0",
    "scene.twins=0",
    "scene.wardrobe.cuts={bodysuit: 1}",
    *(f"scene.wardrobe.{name}=0" for name in ("socks", "hat", "band")),
    *(f"scene.lens.{name}=0" for name in ("distorted", "panned", "shallow", "moving")),
    *(f"scene.sensor.{name}=[0, 0]" for name in ("shot", "read", "defocus", "vignetting")),
    *(f"scene.sensor.{name}_share=0" for name in ("motion", "flicker", "hot")),
    *(
        f"scene.occluders.{name}=0"
        for name in ("blanket", "toy", "rail", "support", "edge", "cot", "nest", "clutter", "leads", "pacifier", "arms")
    ),
)
"""An infant in a bodysuit on a surface, one lamp with a soft shadow, through a perfect camera."""

_POOLS = (
    "scene.wardrobe.pool=12",
    "scene.skin.pool=8",
    "scene.backgrounds.pool=8",
    "scene.occluders.pool=8",
    "scene.occluders.arm_pool=4",
)
"""Few of each to draw before the first frame; a frame's cost does not depend on their number."""
_BOUNDED = ("scene.backgrounds.bounded=1",)
_CAST = ("renderer=raycast",)
_LYING = ("scene.poses.postures={supine: 1}",)
_THINGS = "scene.occluders."

ITEMS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "all at the preset's shares": ((), ()),
    "ambient shadow": ((), ("ambient_shadow=true",)),
    "hard shadow, by raycast": (_CAST, (*_CAST, "shadow=hard")),
    "light and backdrop of a panorama": ((), ("scene.backgrounds.folder_ground=0",)),
    "infrared camera at night": ((), ("scene.night=1",)),
    "lens distortion": ((), ("scene.lens.distorted=1",)),
    "rolling shutter": ((), ("scene.lens.panned=1",)),
    "depth of field": ((), ("scene.lens.shallow=1",)),
    "moving limb": ((), ("scene.lens.moving=1",)),
    "motion blur of the camera": ((), ("scene.sensor.motion_share=1",)),
    "defocus": ((), ("scene.sensor.defocus=[0, 0.8]",)),
    "noise": ((), ("scene.sensor.shot=[0, 0.016]", "scene.sensor.read=[0, 0.008]")),
    "vignetting": ((), ("scene.sensor.vignetting=[0, 0.25]",)),
    "flicker": ((), ("scene.sensor.flicker_share=1",)),
    "dress": ((), ("scene.wardrobe.cuts={dress: 1}",)),
    "sleep sack": ((), ("scene.wardrobe.cuts={sleep_sack: 1}",)),
    "blanket": (_LYING, (*_LYING, _THINGS + "blanket=1")),
    "toy": ((), (_THINGS + "toy=1",)),
    "cushion or cloth": ((), (_THINGS + "clutter=1",)),
    "mattress": (_BOUNDED, (*_BOUNDED, _THINGS + "edge=1")),
    "mattress and cot": (_BOUNDED, (*_BOUNDED, _THINGS + "edge=1", _THINGS + "cot=1")),
    "padded nest": (_LYING, (*_LYING, _THINGS + "nest=1")),
    "leads": ((), (_THINGS + "leads=1",)),
    "adult's arm": ((), (_THINGS + "arms=1",)),
    "second infant": (_LYING, (*_LYING, "scene.twins=1")),
    "depth picture": ((), ("depth=true",)),
    "normals picture": ((), ("normals=true",)),
}
"""By item: overrides of the plain job without it, and with it in every frame that can have it."""

PRESET, PANORAMA = "all at the preset's shares", "light and backdrop of a panorama"


def overrides(item: str, panoramas: Path) -> tuple[list[str], list[str]]:
    """``key=value`` overrides of the preset without an item and with it.

    Args:
        item: a name in :data:`ITEMS`.
        panoramas: folder that holds a panorama (see :func:`draw_panorama`).
    """
    without, with_it = ([*_POOLS, *PLAIN, *each] for each in ITEMS[item])
    if item == PRESET:
        return without, list(_POOLS)
    if item == PANORAMA:
        with_it.append(f"scene.backgrounds.folder={panoramas}")
    return without, with_it


def draw_panorama(folder: Path) -> None:
    """Write an equirectangular Radiance picture of 1024 x 512: a bright sky with a lamp, above a darker floor."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = 512, 1024
    rows = np.linspace(1.2, 0.2, height, dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(rows, (height, width, 3)) * np.array([1.0, 0.95, 0.9], np.float32)
    picture = picture + np.random.default_rng(0).random((height, width, 1), np.float32) * 0.2
    picture[100:130, 300:330] += 60
    cv2.imwrite(str(folder / "room.hdr"), np.ascontiguousarray(picture, np.float32))
