"""What an action is written in: wanted places of pelvis and feet, and angles of trunk, head and arms over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ....datasets.mocap.target import Target
from ...poses.angles import COLUMN, angles_to_pose
from ...poses.postures import NAMES
from ...scenes.smooth import Floats, band_noise
from .steps import SIDES, Feet, Gait, Path, planted, stepping

IDLE = (0.08, 0.5)
"""Band in Hz of what a body does while it does nothing."""


@dataclass
class Script:
    """One clip of one person before the legs are solved; times (T,) in seconds, the body faces +Z at heading 0.

    Attributes:
        angles: clinical angles (T,) in degrees by name (see ``poses/postures.py``); what is absent is 0.
        pelvis: (T, 3) wanted places. heading, lean, list, twist: (T,) degrees of the pelvis: about the vertical, forward,
            the left side up, and a further turn about the vertical that the spine takes back.
    """

    rng: np.random.Generator
    target: Target
    times: Floats
    seat_depth: float
    pelvis: Floats
    angles: dict[str, Floats] = field(default_factory=dict)
    heading: Floats | float = 0.0
    lean: Floats | float = 0.0
    list: Floats | float = 0.0
    twist: Floats | float = 0.0
    feet: Feet | None = None
    seat: tuple[float, float, float, float] | None = None

    def uniform(self, low: float, high: float) -> float:
        """A draw."""
        return float(self.rng.uniform(low, high))

    def arm(self, side: str, flexion: Floats | float, abduction: Floats | float, elbow: Floats | float) -> None:
        """Raise an arm forward and sideways (degrees, small or one of them large), and bend its elbow."""
        flexion, abduction = (
            np.broadcast_to(np.asarray(a, np.float64), self.times.shape) for a in (flexion, abduction)
        )
        key = side[0]
        self.angles[f"{key}_shoulder_plane"] = np.degrees(np.arctan2(flexion, abduction))
        self.angles[f"{key}_shoulder_elev"] = np.hypot(flexion, abduction)
        self.angles[f"{key}_elbow"] = np.broadcast_to(np.asarray(elbow, np.float64), self.times.shape)

    def noise(self, degrees: float, band: tuple[float, float] = IDLE) -> Floats:
        """(T,) idle movement of a standard deviation."""
        return np.asarray(degrees * band_noise(self.rng, self.times, band)[:, 0], np.float64)

    def add(self, name: str, value: Floats | float) -> None:
        """Add to an angle."""
        self.angles[name] = self.angles.get(name, np.zeros(len(self.times))) + value


def local_pose(script: Script) -> Floats:
    """Axis-angle (T, J, 3) of trunk, head, arms and hands."""
    angles = np.zeros((len(script.times), len(NAMES)))
    for name, values in script.angles.items():
        angles[:, COLUMN[name]] = values
    drawn = angles_to_pose(angles).double().numpy()
    target = script.target
    pose = np.tile(target.base_pose, (len(angles), 1, 1))
    grip = {side: script.uniform(0.4, 1.3) for side in SIDES}
    for joint, name in enumerate(target.joint_set.joints):
        if joint < 22:  # the joints of the body come first, and in one order, in all SMPL bodies
            pose[:, joint] = drawn[:, joint]
        elif name.startswith(SIDES) and not name.endswith("eyeball"):
            pose[:, joint] *= grip[name.split("_")[0]]
    return pose


def idle(script: Script) -> None:
    """Arms that hang, a head that looks around, breath and sway."""
    for side in SIDES:
        script.arm(side, script.uniform(-4, 10) + script.noise(2), script.uniform(9, 16) + script.noise(1), 0.0)
        script.add(f"{side[0]}_elbow", script.uniform(12, 28) + script.noise(3))
        script.add(f"{side[0]}_forearm", script.uniform(-10, 25))
        script.add(f"{side[0]}_wrist_flex", script.noise(4))
    script.add("neck_turn", script.noise(script.uniform(3, 16)))
    script.add("neck_flex", script.uniform(-4, 10) + script.noise(4))
    script.add("spine_flex", script.uniform(0, 8) + script.noise(1.5))
    script.add("spine_side", script.noise(1.5))
    sway = band_noise(script.rng, script.times, IDLE, 2) * (0.009, 0.006)
    script.pelvis[:, [0, 2]] += sway * script.target.leg_length()


def stand_still(script: Script, width: float, toe_out: float) -> None:
    """Both feet on the ground beneath the pelvis; ``width`` in legs."""
    half = width * script.target.leg_length()
    hip = float(np.abs(script.target.place(["left_hip"])[0, 0] - script.target.rest[0, 0]))
    ahead = script.uniform(-0.03, 0.03)
    spots = {"left": np.array([max(half, 0.7 * hip), ahead]), "right": np.array([-max(half, 0.7 * hip), -ahead])}
    script.feet = planted(
        script.target, len(script.times), spots, {"left": np.radians(toe_out), "right": -np.radians(toe_out)}
    )


def route(times: Floats, forward: Floats, sideways: Floats, turning: Floats) -> Path:
    """A path from speeds in metres a second and turning in degrees a second, given at even ``times``."""
    step = times[1] - times[0]
    heading = np.radians(np.cumsum(turning) * step)
    x = np.cumsum(forward * np.sin(heading) + sideways * np.cos(heading)) * step
    z = np.cumsum(forward * np.cos(heading) - sideways * np.sin(heading)) * step
    start = int(np.searchsorted(times, 0.0))
    heading, x, z = heading - heading[start], x - x[start], z - z[start]

    def at(moments: Floats) -> tuple[Floats, Floats]:
        places = np.stack([np.interp(moments, times, x), np.interp(moments, times, z)], -1)
        return places, np.asarray(np.interp(moments, times, heading), np.float64)

    return at


def go(script: Script, gait: Gait, speed: float, sideways: float, turning: Floats | float) -> Floats:
    """Step along a route with hips and arms in phase; returns the left foot's phase (T,) in radians, 0 as it lands."""
    times = script.times
    long = np.arange(times[0] - 3, times[-1] + 3, 1 / 240)
    pace = 1 + 0.04 * band_noise(script.rng, long, (0.1, 0.4))[:, 0]
    turns = np.broadcast_to(np.interp(long, times, np.broadcast_to(turning, times.shape)), long.shape)
    path = route(long, speed * pace, sideways * pace, turns)
    script.feet = stepping(script.target, times, path, gait)
    places, heading = path(times)
    phase = 2 * np.pi * (gait.frequency * times + gait.phase)
    over = np.cos(phase - np.pi * gait.duty)  # 1 as the left foot stands beneath the body
    leg = script.target.leg_length()
    shift = 0.022 * leg * over
    script.pelvis[:, 0] += places[:, 0] + shift * np.cos(heading)
    script.pelvis[:, 2] += places[:, 1] - shift * np.sin(heading)
    script.heading = np.degrees(heading)
    vigour = min(1.0, abs(speed) / (1.6 * leg) + 0.2)
    script.list = 2.5 * vigour * over
    script.twist = -script.uniform(3, 6) * vigour * np.cos(phase)
    script.add("spine_turn", -1.9 * script.twist)
    script.add("spine_side", -1.5 * script.list)
    script.lean = script.uniform(1, 4) + 2.0 * max(speed, 0.0)
    script.add("neck_flex", -0.6 * script.lean)
    swing = script.uniform(14, 26) * min(1.2, abs(speed) / (1.3 * leg))
    for side, sign in (("left", -1.0), ("right", 1.0)):
        rhythm = sign * np.cos(phase - 0.15)
        script.arm(side, swing * rhythm + 4, script.uniform(8, 13), script.uniform(14, 30) + 0.4 * swing * (1 + rhythm))
    return np.asarray(phase, np.float64)


def make_gait(
    script: Script, frequency: float, duty: float, lift: float, heel: float, toe: float, width: float
) -> Gait:
    """A gait whose frequency holds for a leg of 0.8 m; ``lift`` and ``width`` in legs, a phase and toe-out are drawn."""
    leg = script.target.leg_length()
    toe_out, phase = script.uniform(2, 10), script.uniform(0, 1)
    return Gait(frequency / np.sqrt(leg / 0.8), duty, lift * leg, heel, toe, width * leg, toe_out, phase)
