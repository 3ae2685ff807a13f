"""Where garments end: smooth surfaces through the joints of a body, and the garments cut along them.

A garment is a smooth *field* over the body, in metres, positive where it covers: sleeves end at a share of the arm, legs
at a share of the leg, necklines and hems at heights measured from the joints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .bodymap import BodyMap, Points, Singles

ARM_JOINTS = (16, 17, 18, 19, 20, 21, 22, 23)
LEG_JOINTS = (1, 2, 4, 5, 7, 8, 10, 11)
HEAD_JOINTS = (12, 15)
FAR = np.float32(0.5)
Field = Callable[[Points], Singles]


@dataclass(frozen=True)
class Piece:
    """One garment.

    Attributes:
        field: metres over any places of the body, positive where it covers.
        kind: its print. colours: (3, 3) Lab. span: metres one repetition of the print spans.
        thickness: metres. hem: width of hems and cuffs, metres. cuff: hems in the accent colour.
        placket: a row of snaps down the front.
        slack: metres by which loose cloth stands off the body beyond its thickness, or None.
        bridge: 0..1, how far the cloth spans hollows (between toes and fingers, the navel) instead of lining them.
    """

    field: Field
    kind: str
    colours: Singles
    span: float
    thickness: float
    hem: float = 0.012
    cuff: bool = False
    placket: bool = False
    slack: Field | None = None
    bridge: float = 0.0


def smooth_step(value: Singles, width: float) -> Singles:
    """0 below zero, 1 above ``width``, smooth between."""
    t = np.clip(value / width, 0, 1)
    return t * t * (3 - 2 * t)


class Cutter:
    """The smooth surfaces along which garments of one body are cut."""

    def __init__(self, body: BodyMap, scale: float | None = None) -> None:
        """``scale`` multiplies all that is given in metres for an infant of 0.65 m; None: by the body's height."""
        joints, vertices = body.joints, body.vertices
        self.body = body
        self.scale = body.height / 0.65 if scale is None else scale
        self.pelvis, self.chest, self.neck = (float(joints[k, 1]) for k in (0, 6, 12))
        self.hip, self.ankle = float(joints[[1, 2], 1].mean()), float(joints[[7, 8], 1].mean())
        self.leg_length = self.hip - self.ankle
        self.arm_length = float(np.abs(joints[[20, 21], 0]).mean() - np.abs(joints[[16, 17], 0]).mean())
        near = np.isin(vertices.joint, (0, 1, 2)) & (np.abs(vertices.position[:, 1] - self.hip) < 0.03 * self.scale)
        self.half_width = float(np.abs(vertices.position[near, 0]).max())
        self.shoulder = float(np.abs(joints[[16, 17], 0]).mean())
        self.middle = float(joints[9, 2])

    def leg_opening(self, p: Points, drop: float) -> Singles:
        """Above the line from the crotch to the hip bone; ``drop`` metres lower for a longer leg."""
        low = self.body.crotch - 0.016 * self.scale
        rise = (self.hip - 0.042 * self.scale - low) / self.half_width
        field = p.position[:, 1] - (low + rise * np.abs(p.position[:, 0])) + drop
        return np.where(np.isin(p.joint, ARM_JOINTS), -FAR, field).astype(np.float32)

    def below(self, p: Points, height: float) -> Singles:
        """Below a height, off the arms and the head."""
        off = np.isin(p.joint, (*ARM_JOINTS, *HEAD_JOINTS))
        return np.where(off, -FAR, height - p.position[:, 1]).astype(np.float32)

    def above(self, p: Points, height: float) -> Singles:
        """Above a height, or on the arms."""
        return np.where(np.isin(p.joint, ARM_JOINTS), FAR, p.position[:, 1] - height).astype(np.float32)

    def sleeves(self, p: Points, end: float) -> Singles:
        """Up to ``end`` of the arm (0 shoulder, 1 wrist, beyond 1.4 the whole hand)."""
        return np.where(p.arm > -1, (end - p.arm) * self.arm_length, FAR).astype(np.float32)

    def legs(self, p: Points, end: float) -> Singles:
        """Up to ``end`` of the leg (0 hip, 1 ankle, beyond 1.3 the whole foot)."""
        return np.where(p.leg > 0, (end - p.leg) * self.leg_length, FAR).astype(np.float32)

    def neckline(self, p: Points, front: float, back: float, width: float) -> Singles:
        """Below a scooped line round the neck: ``front`` and ``back`` metres beneath the neck joint, ``width`` its half."""
        x, y, z = p.position.T
        forward = np.clip((z - self.middle) / (0.05 * self.scale) * 0.5 + 0.5, 0, 1)
        scoop = back + (front - back) * forward
        line = self.neck - scoop + (scoop + 0.02 * self.scale) * np.minimum((x / width) ** 2, 1.6)
        return np.where(p.joint == 15, -FAR, line - y).astype(np.float32)


def diaper_field(cutter: Cutter, p: Points, rise: float = 0.0, drop: float = 0.0) -> Singles:
    """The diaper: below the navel, above the leg openings. ``rise`` and ``drop`` only make it larger."""
    waist = cutter.pelvis + 0.62 * (cutter.chest - cutter.pelvis) + rise
    return np.minimum(cutter.below(p, waist), cutter.leg_opening(p, drop))


def sock_field(cutter: Cutter, p: Points, start: float) -> Singles:
    """Beyond ``start`` of the leg (1 at the ankle)."""
    on_leg = np.isin(p.joint, LEG_JOINTS)
    return np.where(on_leg, (p.leg - start) * cutter.leg_length, -FAR).astype(np.float32)


def hat_field(cutter: Cutter, p: Points, low: float) -> Singles:
    """Above a plane from the forehead down to the nape."""
    marks = cutter.body.landmarks
    eyes = (marks[1] + marks[2]) / 2
    start = eyes + np.array([0, (0.030 + low) * cutter.scale, 0], np.float32)
    normal = np.array([0, 0.93, -0.37])
    field = (p.position - start) @ normal
    return np.where(p.joint == 15, field, -FAR).astype(np.float32)


def band_field(cutter: Cutter, p: Points, limb: str, place: float, width: float) -> Singles:
    """A band round a limb: ``limb`` "left_arm", "right_arm", "left_leg" or "right_leg", ``place`` along it, metres wide."""
    side, _, part = limb.partition("_")
    own = (p.position[:, 0] > 0) if side == "left" else (p.position[:, 0] < 0)
    if part == "arm":
        own, along, length = own & (p.arm > 0.5), p.arm, cutter.arm_length
    else:
        own, along, length = own & np.isin(p.joint, LEG_JOINTS) & (p.leg > 0.5), p.leg, cutter.leg_length
    return np.where(own, 0.5 * width - np.abs(along - place) * length, -FAR).astype(np.float32)
