"""What infants do with their limbs, as tables: joint limits, and the modes of legs, arms and trunk in each posture.

Angles are clinical ones in degrees, measured from the anatomical position (standing, arms hanging, palms to the thighs):

=================  =====================================================================================
``spine_*``        thoracolumbar flexion, side bending to the left, turn to the left (all three joints together)
``neck_*``         the same of neck and head together
``hip_*``          flexion, abduction, outward rotation
``knee``           flexion
``ankle*``         dorsiflexion; ``ankle_in``: inversion; ``toes``: extension
``collar_*``       elevation and protraction of the shoulder girdle
``shoulder_*``     plane of elevation (0 to the side, 90 forward), elevation, outward rotation (ISB globe angles)
``elbow``          flexion; ``forearm``: pronation from the mid position
``wrist*``         palmar flexion; ``wrist_dev``: ulnar deviation; ``fist``: curl of the fingers
=================  =====================================================================================

Limits: American Academy of Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording" (1965), widened or
narrowed where infants differ: hips that lack full extension by 28 deg at birth and 7 deg at three months (Waugh et al.,
Phys Ther 63:1616, 1983; Coon et al., Clin Orthop 110:256, 1975) but abduct to the bed when flexed, knees that flex to 150
(Soucie et al., Haemophilia 17:500, 2011), ankles whose dorsiflexion is nearly unlimited (Waugh), necks that turn to 110
and bend to 70 deg (Ohman and Beckung, Pediatr Phys Ther 20:53, 2008; the outermost tenth is left out here).
"""

from __future__ import annotations

from dataclasses import dataclass

Angles = dict[str, tuple[float, float]]
"""Angle name -> (mean, standard deviation), degrees."""

MIDLINE = ("spine_flex", "spine_side", "spine_turn", "neck_flex", "neck_side", "neck_turn")
ARM = ("collar_up", "collar_fwd", "shoulder_plane", "shoulder_elev", "shoulder_rot", "elbow", "forearm", "wrist_flex",
       "wrist_dev", "fist")  # fmt: skip
LEG = ("hip_flex", "hip_abd", "hip_rot", "knee", "ankle", "ankle_in", "toes")
NAMES = (*MIDLINE, *(f"{side}_{name}" for side in ("l", "r") for name in (*ARM, *LEG)))
"""All 40 angles in the order of the columns of an angle array."""

LIMITS: dict[str, tuple[float, float]] = {
    "spine_flex": (-25, 75), "spine_side": (-35, 35), "spine_turn": (-45, 45),
    "neck_flex": (-60, 50), "neck_side": (-55, 55), "neck_turn": (-95, 95),
    "collar_up": (-8, 25), "collar_fwd": (-15, 20),
    "shoulder_plane": (-40, 130), "shoulder_elev": (0, 172), "shoulder_rot": (-70, 95),
    "elbow": (2, 148), "forearm": (-80, 80), "wrist_flex": (-65, 75), "wrist_dev": (-20, 30), "fist": (-8, 75),
    "hip_flex": (-8, 132), "hip_abd": (-15, 82), "hip_rot": (-40, 85), "knee": (2, 148),
    "ankle": (-45, 55), "ankle_in": (-18, 30), "toes": (-35, 45),
}  # fmt: skip

DEFAULTS: Angles = {
    "spine_flex": (12, 9), "spine_side": (0, 7), "spine_turn": (0, 9),
    "neck_flex": (4, 10), "neck_side": (0, 9), "neck_turn": (0, 18),
    "collar_up": (4, 6), "collar_fwd": (3, 6), "forearm": (5, 28), "wrist_flex": (8, 18), "wrist_dev": (3, 8),
    "fist": (34, 20), "ankle": (8, 16), "ankle_in": (6, 8), "toes": (5, 10),
}  # fmt: skip
"""Where a mode says nothing."""

ARMS: dict[str, Angles] = {
    # Supine sleepers: upper arms out, forearms towards the head, "hands up".
    "surrender": {"shoulder_plane": (-4, 13), "shoulder_elev": (84, 20), "shoulder_rot": (68, 18), "elbow": (88, 24)},
    "chest": {"shoulder_plane": (58, 18), "shoulder_elev": (40, 14), "shoulder_rot": (-18, 18), "elbow": (112, 16)},
    "mouth": {"shoulder_plane": (62, 14), "shoulder_elev": (58, 12), "shoulder_rot": (2, 14), "elbow": (128, 9)},
    "side": {"shoulder_plane": (5, 16), "shoulder_elev": (32, 14), "shoulder_rot": (10, 25), "elbow": (52, 26)},
    "wide": {"shoulder_plane": (4, 14), "shoulder_elev": (82, 20), "shoulder_rot": (22, 30), "elbow": (32, 20)},
    "reach": {"shoulder_plane": (76, 16), "shoulder_elev": (84, 20), "shoulder_rot": (0, 25), "elbow": (32, 20)},
    "feet": {"shoulder_plane": (76, 10), "shoulder_elev": (62, 12), "shoulder_rot": (-5, 15), "elbow": (22, 12)},
    "overhead": {"shoulder_plane": (18, 22), "shoulder_elev": (138, 16), "shoulder_rot": (30, 25), "elbow": (48, 26)},
    "elbows": {"shoulder_plane": (72, 10), "shoulder_elev": (66, 10), "shoulder_rot": (-8, 12), "elbow": (84, 12),
               "forearm": (40, 15)},
    "push_up": {"shoulder_plane": (80, 9), "shoulder_elev": (74, 9), "shoulder_rot": (0, 14), "elbow": (18, 12),
                "forearm": (45, 15), "wrist_flex": (-56, 8), "fist": (8, 10)},
    "all_fours": {"shoulder_plane": (84, 7), "shoulder_elev": (94, 10), "shoulder_rot": (0, 12), "elbow": (14, 9),
                  "forearm": (45, 15), "wrist_flex": (-60, 6), "fist": (6, 8)},
    "prop": {"shoulder_plane": (58, 22), "shoulder_elev": (34, 12), "shoulder_rot": (0, 22), "elbow": (20, 13),
             "forearm": (30, 20), "wrist_flex": (-40, 16), "fist": (12, 12)},
    "play": {"shoulder_plane": (66, 18), "shoulder_elev": (48, 16), "shoulder_rot": (-6, 20), "elbow": (62, 24)},
    "wave": {"shoulder_plane": (35, 25), "shoulder_elev": (105, 24), "shoulder_rot": (45, 22), "elbow": (60, 28)},
    "hold": {"shoulder_plane": (78, 12), "shoulder_elev": (66, 14), "shoulder_rot": (0, 16), "elbow": (42, 20),
             "forearm": (40, 18)},
    "led": {"shoulder_plane": (58, 18), "shoulder_elev": (146, 12), "shoulder_rot": (25, 16), "elbow": (32, 16)},
}  # fmt: skip

LEGS: dict[str, Angles] = {
    "frog": {"hip_flex": (70, 18), "hip_abd": (56, 11), "hip_rot": (18, 13), "knee": (82, 20)},
    "curled": {"hip_flex": (104, 13), "hip_abd": (34, 12), "hip_rot": (10, 12), "knee": (108, 16)},
    "kick": {"hip_flex": (66, 30), "hip_abd": (24, 14), "hip_rot": (8, 15), "knee": (58, 34)},
    "kick_out": {"hip_flex": (52, 20), "hip_abd": (20, 12), "hip_rot": (5, 14), "knee": (20, 13)},
    "asleep": {"hip_flex": (32, 13), "hip_abd": (36, 13), "hip_rot": (36, 16), "knee": (52, 22)},
    "long": {"hip_flex": (14, 9), "hip_abd": (17, 9), "hip_rot": (22, 16), "knee": (18, 13), "ankle": (-6, 14)},
    "crossed": {"hip_flex": (38, 15), "hip_abd": (4, 7), "hip_rot": (30, 14), "knee": (62, 22)},
    "feet": {"hip_flex": (112, 10), "hip_abd": (38, 11), "hip_rot": (22, 13), "knee": (58, 22)},
    "fetal": {"hip_flex": (88, 20), "hip_abd": (3, 7), "hip_rot": (2, 10), "knee": (92, 20)},
    "prone_frog": {"hip_flex": (66, 20), "hip_abd": (68, 8), "hip_rot": (16, 10), "knee": (96, 20), "ankle": (-8, 14)},
    "prone_long": {"hip_flex": (6, 7), "hip_abd": (16, 9), "hip_rot": (12, 16), "knee": (20, 16), "ankle": (-30, 10)},
    "prone_kick": {"hip_flex": (8, 7), "hip_abd": (18, 10), "hip_rot": (6, 14), "knee": (68, 24), "ankle": (-20, 14)},
    "tucked": {"hip_flex": (118, 8), "hip_abd": (26, 9), "hip_rot": (4, 9), "knee": (132, 8), "ankle": (-30, 10)},
    "all_fours": {"hip_flex": (90, 9), "hip_abd": (13, 7), "hip_rot": (2, 8), "knee": (90, 9), "ankle": (-36, 7),
                  "toes": (0, 8)},
    "side_bent": {"hip_flex": (48, 18), "hip_abd": (0, 6), "hip_rot": (4, 9), "knee": (62, 22)},
    "ring": {"hip_flex": (94, 8), "hip_abd": (48, 8), "hip_rot": (68, 7), "knee": (86, 16), "ankle": (-5, 12)},
    "sit_long": {"hip_flex": (88, 6), "hip_abd": (27, 9), "hip_rot": (16, 10), "knee": (15, 10), "ankle": (0, 12)},
    "sit_bent": {"hip_flex": (90, 6), "hip_abd": (38, 8), "hip_rot": (60, 8), "knee": (46, 16), "ankle": (-2, 12)},
    "stand": {"hip_flex": (14, 8), "hip_abd": (10, 5), "hip_rot": (12, 8), "knee": (15, 9), "ankle_in": (0, 4),
              "toes": (0, 4)},
    "squat": {"hip_flex": (66, 14), "hip_abd": (22, 6), "hip_rot": (14, 8), "knee": (76, 14), "ankle_in": (0, 4),
              "toes": (0, 4)},
}  # fmt: skip

TRUNKS: dict[str, Angles] = {
    "easy": {},
    "turned": {"neck_turn": (0, 46), "spine_turn": (0, 14)},
    "left": {"neck_turn": (62, 16)},
    "right": {"neck_turn": (-62, 16)},
    "bent": {"spine_side": (0, 17), "neck_side": (0, 18), "neck_turn": (0, 35)},
    "curled": {"spine_flex": (36, 12), "neck_flex": (16, 10), "neck_turn": (0, 20)},
    "cheek_left": {"spine_flex": (4, 7), "neck_flex": (0, 8), "neck_turn": (76, 9)},
    "cheek_right": {"spine_flex": (4, 7), "neck_flex": (0, 8), "neck_turn": (-76, 9)},
    "head_up": {"spine_flex": (-14, 7), "neck_flex": (-42, 9), "neck_turn": (0, 22)},
    "crawl": {"spine_flex": (4, 9), "neck_flex": (-30, 14), "neck_turn": (0, 24)},
    "sit": {"spine_flex": (20, 10), "neck_flex": (4, 14), "neck_turn": (0, 30)},
    "slump": {"spine_flex": (42, 10), "neck_flex": (14, 12), "neck_turn": (0, 25)},
    "stand": {"spine_flex": (4, 8), "neck_flex": (2, 13), "neck_turn": (0, 30)},
}  # fmt: skip


@dataclass(frozen=True)
class Posture:
    """One posture: weights of its modes and how the body lies.

    Attributes:
        arms, legs, trunks: mode -> weight.
        pitch: (mean, sd) of the trunk's tilt about its left-right axis, degrees: 0 upright, -90 on the back, 90 on the front.
        rolled: the body lies on its left (or right) side instead, by the flip of a coin.
        tilt: sd of further tilt in any direction before the body settles, degrees.
        lying: limbs may be laid down by gravity.
        settle: largest tilt by which the body may settle, degrees; beyond, it is held where it is.
        upright: needs an infant old enough to hold itself.
        flat_feet: stands: both legs do nearly the same, soles on the floor.
        seated: the legs are laid onto the floor on which the trunk sits.
    """

    arms: dict[str, float]
    legs: dict[str, float]
    trunks: dict[str, float]
    pitch: tuple[float, float]
    rolled: bool = False
    tilt: float = 5.0
    lying: bool = True
    settle: float = 50.0
    upright: bool = False
    flat_feet: bool = False
    seated: bool = False


POSTURE_TABLE: dict[str, Posture] = {
    "supine": Posture(
        arms={"surrender": 3, "chest": 2, "mouth": 2, "side": 2, "wide": 2, "reach": 2, "feet": 0.7, "overhead": 1},
        legs={"frog": 3, "curled": 2, "kick": 3, "kick_out": 1.5, "asleep": 2.5, "long": 1.5, "crossed": 1, "feet": 0.8},
        trunks={"easy": 3, "turned": 3, "left": 1.5, "right": 1.5, "bent": 1.5, "curled": 0.6},
        pitch=(-90, 4),
    ),
    "prone": Posture(
        arms={"surrender": 3, "side": 2, "wide": 1.5, "overhead": 1.2},
        legs={"prone_frog": 3, "prone_long": 2, "prone_kick": 1.2, "tucked": 0.8},
        trunks={"cheek_left": 1, "cheek_right": 1},
        pitch=(90, 4),
    ),
    "prone_up": Posture(
        arms={"elbows": 3, "push_up": 1.6},
        legs={"prone_frog": 1.5, "prone_long": 2, "prone_kick": 1.5},
        trunks={"head_up": 1},
        pitch=(76, 5), lying=False,
    ),
    "side": Posture(
        arms={"reach": 2, "chest": 3, "mouth": 2, "feet": 1},
        legs={"fetal": 3, "side_bent": 3},
        trunks={"easy": 2, "curled": 2.5},
        pitch=(0, 4), rolled=True, tilt=8, lying=False, settle=32,
    ),
    "sitting": Posture(
        arms={"play": 3, "prop": 2, "mouth": 1, "wave": 1, "reach": 1, "side": 1, "chest": 1},
        legs={"ring": 3, "sit_long": 2, "sit_bent": 2},
        trunks={"sit": 3, "slump": 1},
        pitch=(-6, 6), lying=False, seated=True, settle=22, upright=True,
    ),
    "crawling": Posture(
        arms={"all_fours": 1}, legs={"all_fours": 1}, trunks={"crawl": 1},
        pitch=(84, 6), lying=False, settle=20, upright=True,
    ),
    "standing": Posture(
        arms={"hold": 3, "led": 1.2, "wave": 1, "play": 1}, legs={"stand": 6, "squat": 1}, trunks={"stand": 1},
        pitch=(7, 5), lying=False, settle=0, upright=True, flat_feet=True,
    ),
}  # fmt: skip
"""``prone_up`` is the prone infant on its elbows or hands; the config's ``prone`` is shared between both."""

PRONE_UP_SHARE = 0.4
