"""Config of what surrounds people: backgrounds, cameras, lights, things in the way, the sensor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ...config import Config
from ..ranges import Range, Share, Weights, check_weights

SURFACES = ("sheet", "quilt", "muslin", "towel", "carpet", "wood", "tiles", "playmat", "tabletop")
VIEWS = ("above", "oblique", "side")
TOYS = (
    "ball", "block", "ring", "bear", "rabbit", "duck", "rattle", "teether", "cups", "bottle", "book", "cloth_book", "car",
    "spoon",
)  # fmt: skip


class BackgroundConfig(Config):
    """What lies beneath and behind the body; ``backgrounds: FOLDER`` is short for ``backgrounds: {folder: FOLDER}``."""

    shorthand = "folder"

    folder: Path | None = Field(None, description="photographs (jpg, png) or panoramas (.hdr) to use as backdrops")
    folder_share: Share = Field(1.0, description="share of frames that use the folder, where one is given")
    folder_ground: Share = Field(
        0.6,
        description="share of those frames that still lie on bedding or a mat; the others lie on a panorama's floor, or on "
        "a photograph seen from above as if it were one",
    )
    matched: Share = Field(
        1.0, description="share of panorama frames that are lit by the panorama and stand on its floor"
    )
    panorama_height: Range = Field((1.2, 1.8), description="of the panorama's camera above its floor")
    panorama_reach: Range = Field(
        (5.0, 12.0), description="metres of floor about it; beyond, the picture stands upright"
    )
    balance: Range = Field((0.3, 0.9), description="how far the camera takes a panorama's own colour for white")
    surfaces: Weights = {
        "sheet": 0.34,
        "quilt": 0.14,
        "muslin": 0.12,
        "towel": 0.06,
        "carpet": 0.12,
        "wood": 0.08,
        "tiles": 0.07,
        "playmat": 0.05,
    }
    lightness: Range = Field((40.0, 97.0), description="CIE L* of bedding")
    chroma: Range = Field((0.0, 26.0), description="CIE chroma of bedding")
    white: Share = Field(0.3, description="share of white grounds among sheets, quilts and muslins, whatever the above")
    print_share: Share = Field(0.5, description="share of printed (patterned) among sheets, quilts and muslins")
    folds: Range = Field((0.15, 1.0), description="strength of folds in bedding")
    bounded: Share = Field(
        0.45, description="share of surfaces that end (a cot, a mat), with the room behind; wooden floors never do"
    )
    pool: int = Field(64, ge=1, le=1024, description="surfaces, and rooms, a job draws")
    texture: Literal[256, 512, 1024] = Field(256, description="side of the surface's texture in texels")

    @model_validator(mode="after")
    def _known(self) -> BackgroundConfig:
        check_weights("backgrounds.surfaces", self.surfaces, SURFACES)
        if self.panorama_height[0] <= 0 or self.panorama_reach[0] < 2 * self.panorama_height[1]:
            raise ValueError(
                "backgrounds.panorama_height must be positive and backgrounds.panorama_reach at least twice as much"
            )
        return self


class CameraConfig(Config):
    """A camera above a cot, or a phone in a parent's hand."""

    views: Weights = {"above": 0.42, "oblique": 0.42, "side": 0.16}
    above: Range = Field((62.0, 90.0), description="elevation above the horizon, view 'above'")
    oblique: Range = Field((28.0, 62.0), description="elevation, view 'oblique'")
    side: Range = Field((6.0, 28.0), description="elevation, view 'side'")
    distance: Range = Field((0.5, 1.6), description="from the body's centre")
    fov: Range = Field((18.0, 72.0), description="admissible field of view of the picture's longer side")
    fill: Range = Field((0.50, 0.92), description="share of the frame the body spans, in its longer direction")
    head_up: Share = Field(0.65, description="share of pictures from above in which the head is near the upper border")
    head_up_spread: float = Field(28.0, ge=0.0, description="standard deviation about that, degrees")
    roll: float = Field(9.0, ge=0.0, description="standard deviation of the roll of pictures from the side, degrees")
    shift: float = Field(0.05, ge=0.0, le=0.5, description="standard deviation of the body's offset, in frame sides")
    roam: Share = Field(
        0.0, description="how far that grows for small bodies and shrinks for large ones; 1: by half, to a fifth"
    )
    truncated: Share = Field(0.10, description="share of pictures in which the border cuts the body")
    cut: Range = Field((0.08, 0.28), description="share of the body's extent beyond the border then")
    close: Share = Field(0.0, description="share of pictures of the upper body alone")

    @model_validator(mode="after")
    def _known(self) -> CameraConfig:
        check_weights("camera.views", self.views, VIEWS)
        if self.distance[0] <= 0 or self.fov[0] <= 0 or self.fov[1] >= 170 or self.fill[0] <= 0:
            raise ValueError("camera.distance, camera.fov (below 170) and camera.fill must be positive")
        if self.cut[0] < 0 or self.cut[1] > 0.9:
            raise ValueError(f"camera.cut must lie within 0..0.9, found {list(self.cut)}")
        return self


class AimConfig(Config):
    """A camera about somebody or something with a front; the defaults suit people who stand, walk or sit."""

    elevation: Range = Field((-8.0, 35.0), description="of the camera, seen from the middle of what it shows")
    azimuth: Range = Field((-180.0, 180.0), description="about the vertical; 0 sees the front")
    distance: Range = Field((1.5, 6.0), description="from that middle")
    fov: Range = Field((20.0, 80.0), description="admissible field of view of the picture's longer side")
    fill: Range = Field((0.45, 0.95), description="share of the frame spanned, in the tighter direction")
    roll: float = Field(4.0, ge=0.0, description="standard deviation, degrees")
    shift: float = Field(0.05, ge=0.0, le=0.5, description="standard deviation of the offset, in frame sides")
    truncated: Share = Field(0.12, description="share of pictures whose border cuts what they show")
    cut: Range = Field((0.08, 0.35), description="share of its extent beyond the border then")
    lowest: float = Field(0.15, description="least height of the camera")

    @model_validator(mode="after")
    def _sensible(self) -> AimConfig:
        if self.distance[0] <= 0 or self.fov[0] <= 0 or self.fov[1] >= 170 or self.fill[0] <= 0:
            raise ValueError("distance, fov (below 170) and fill must be positive")
        if self.elevation[0] < -90 or self.elevation[1] > 90:
            raise ValueError(f"elevation must lie within -90..90 degrees, found {list(self.elevation)}")
        if self.cut[0] < 0 or self.cut[1] > 0.9:
            raise ValueError(f"cut must lie within 0..0.9, found {list(self.cut)}")
        return self


class LightsConfig(Config):
    """One window or lamp, and the light that the room returns."""

    elevation: Range = Field((25.0, 85.0), description="of the window or lamp above the horizon")
    kelvin: Range = Field((2800.0, 7500.0), description="colour temperature, the camera being balanced for 5000 K")
    key: Range = Field(
        (0.35, 1.15), description="intensity of the window or lamp (linear; 1 on a facing white is white)"
    )
    ambient: Range = Field((0.28, 0.62), description="intensity of the room's light")
    level: Range = Field((0.5, 1.0), description="both together on the bed are scaled into this range, as by a meter")
    softness: Range = Field((0.05, 0.35), description="angular radius of the window or lamp, radians")
    tint: float = Field(0.05, ge=0.0, le=0.5, description="standard deviation of the log colour gains of the ambient")
    front: Share = Field(
        0.0, description="share of pictures taken with the lamp on the camera's side, not behind people"
    )
    facing: Range = Field(
        (0.0, 8.0), description="light on what faces the camera is brought into this range, as by a meter for faces"
    )


class LensConfig(Config):
    """Glass and shutter, before the sensor. Every item has its share of pictures; a share of 0 switches it off."""

    distorted: Share = Field(0.12, description="share of pictures with a lens that bends straight lines")
    distortion: Range = Field(
        (-0.08, 0.03), description="how far it moves the corners, of their radius; below 0 barrel"
    )
    decentring: float = Field(0.001, ge=0.0, le=0.02, description="standard deviation of p1 and p2")
    panned: Share = Field(0.04, description="share of pictures sheared by a rolling shutter in a moving hand")
    pan: Range = Field((0.005, 0.03), description="way the picture moves sideways while its rows are read, in widths")
    shallow: Share = Field(0.10, description="share of pictures with depth of field")
    aperture: Range = Field(
        (3.0, 14.0), description="diameter of the entrance pupil, mm: 2 a phone, 25 a portrait lens"
    )
    focus_error: float = Field(
        0.04, ge=0.0, le=0.5, description="standard deviation of the log of the distance in focus"
    )
    moving: Share = Field(0.07, description="share of pictures in which a limb, or the person, moves")
    whole: Share = Field(0.25, description="share of those in which the whole person does")
    travel: Range = Field((1.5, 6.0), description="length of its smear in pixels of a 256-pixel picture")

    @model_validator(mode="after")
    def _sensible(self) -> LensConfig:
        low, high = self.distortion
        if low < -0.12 or high > 0.25:
            raise ValueError(f"lens.distortion must lie within -0.12..0.25 (stronger lenses fold), found {[low, high]}")
        if self.aperture[0] < 0 or self.travel[0] < 0 or abs(self.pan[0]) > 0.2 or abs(self.pan[1]) > 0.2:
            raise ValueError("lens.aperture and lens.travel must not be negative, lens.pan must stay within 0.2")
        return self


class OccluderConfig(Config):
    """Things in front of, or on, the body."""

    blanket: Share = Field(0.18, description="share of frames with a lying body, legs down, under a blanket")
    blanket_reach: Range = Field((0.15, 0.62), description="where it ends, 0 at the feet, 1 at the head")
    toy: Share = Field(0.22, description="share of frames with a toy")
    toys: Weights = dict.fromkeys(TOYS, 1.0)
    toy_size: Range = Field((0.05, 0.14), description="diameter")
    on_body: Share = Field(0.35, description="share of toys that lie on the body rather than beside it")
    more_toys: Share = Field(0.25, description="share of frames with a toy that have a second one")
    rail: Share = Field(
        0.03, description="share of frames on bedding seen through the side of a cot, views oblique and side"
    )
    support: Share = Field(0.6, description="share of standing infants who hold on to a low table")
    edge: Share = Field(0.7, description="share of bounded surfaces that show the edge of a mattress or mat")
    thickness: Range = Field((0.012, 0.14), description="of mattresses and mats")
    cot: Share = Field(0.2, description="share of bounded surfaces round which a cot stands, with bars or boards")
    cot_height: Range = Field((0.20, 0.50), description="of its upper rail above the mattress")
    cot_open: Share = Field(0.6, description="share of cots whose side towards the camera is let down")
    nest: Share = Field(0.05, description="share of frames with lying infants in a padded nest or a basket")
    clutter: Share = Field(0.08, description="share of frames with a cushion or a crumpled cloth beside the infant")
    leads: Share = Field(0.05, description="share of frames with medical leads or cables from chest or foot")
    pacifier: Share = Field(0.07, description="share of infants with a pacifier")
    arms: Share = Field(
        0.08, description="share of frames into which an adult's arm reaches, hand on or near the infant"
    )
    second_arm: Share = Field(0.35, description="share of those with the other arm, too")
    arm_tone: Range = Field((1.0, 10.0), description="adults' skin on the Monk scale, see skin.tone")
    arm_pool: int = Field(10, ge=1, le=256, description="arms a job draws: gesture, build, skin and sleeve")
    pool: int = Field(32, ge=1, le=1024, description="blankets, toy surfaces and furniture a job draws")

    @model_validator(mode="after")
    def _known(self) -> OccluderConfig:
        check_weights("occluders.toys", self.toys, TOYS)
        return self


class SensorConfig(Config):
    """The camera's sensor and its file. ``severity`` scales every departure from a neutral picture at once."""

    severity: float = Field(1.0, ge=0.0, le=4.0, description="factor on all departures below (noise, cast, haze, ...)")
    exposure: Range = Field((-0.35, 0.35), description="stops")
    cast: float = Field(0.04, ge=0.0, description="standard deviation of the log gains of red and blue")
    cast_offset: tuple[float, float] = Field((0.0, 0.0), description="mean of the log gains of red and blue")
    contrast: Range = Field((0.88, 1.12), description="slope at mid grey; 1 leaves it, above 1 an S")
    gamma: Range = Field((0.90, 1.12), description="on the encoded values; 1 leaves it, above 1 darkens")
    saturation: Range = Field((0.85, 1.12), description="1 leaves it, 0 is grey")
    haze: Range = Field((0.0, 0.05), description="veiling glare: share of white light mixed in")
    shot: Range = Field((0.0, 0.016), description="noise at white that grows with the root of the light")
    read: Range = Field((0.0, 0.008), description="noise in the dark")
    chroma_noise: Range = Field((0.0, 0.5), description="share of the noise that differs between the channels")
    defocus: Range = Field((0.0, 0.8), description="standard deviation in pixels of a 256-pixel picture")
    motion_share: Share = Field(0.10, description="share of pictures with motion blur")
    motion: Range = Field((1.5, 4.0), description="length in pixels of a 256-pixel picture")
    vignetting: Range = Field((0.0, 0.25), description="loss of light in the corners")
    flicker_share: Share = Field(0.05, description="share of pictures with bands: mains light under a rolling shutter")
    flicker: Range = Field((0.05, 0.30), description="part of the light that comes and goes")
    bands: Range = Field((0.8, 5.0), description="how often over the picture's height")
    hot_share: Share = Field(0.06, description="share of pictures with pixels stuck bright")
    hot: tuple[int, int] = Field((1, 8), description="their number, least and most")
    night_noise: Range = Field((0.008, 0.035), description="further noise of a night camera (see the scene's 'night')")
    night_vignetting: Range = Field((0.35, 0.85), description="loss of light in its corners")
    jpeg: tuple[int, int] = Field((72, 96), description="JPEG quality, low and high")

    @model_validator(mode="after")
    def _jpeg_range(self) -> SensorConfig:
        if not 0 <= self.hot[0] <= self.hot[1]:
            raise ValueError(f"sensor.hot must be [least, most], found {list(self.hot)}")
        if not 1 <= self.jpeg[0] <= self.jpeg[1] <= 100:
            raise ValueError(f"sensor.jpeg must be [low, high] within 1..100, found {list(self.jpeg)}")
        return self
