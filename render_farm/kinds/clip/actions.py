"""What people do in clips drawn without data: key poses joined by smooth splines, limbs in phase with steps.

Each action gives wanted places of pelvis and feet and the angles of trunk, neck and arms over time; legs then reach the
feet (:func:`.motion.on_feet`), so whatever the body's proportions, feet stand where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ....datasets.mocap.target import Target
from ....models.geometry import axis_rotation
from ...poses.angles import COLUMN, angles_to_pose
from ...poses.postures import NAMES
from ...scenes.smooth import Floats, band_noise, ease, window
from .motion import Motion, on_feet, to_motion
from .steps import SIDES, Feet, Gait, Path, ankle_height, planted, stepping

IDLE = (0.08, 0.5)
"""Band in Hz of what a body does while it does nothing."""
GRAVITY = 9.81


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


def perform(rng: np.random.Generator, action: str, target: Target, times: Floats, seat_depth: float) -> Motion:
    """Draw one action for a body.

    Args:
        action: a key of :data:`ACTIONS`.
        times: (T,) seconds, evenly spaced. seat_depth: from the hip joints down to a seat when sitting, metres.
    """
    ankle = ankle_height(target)
    stand = ankle - float(target.place(["left_ankle", "right_ankle"])[:, 1].mean()) + float(target.rest[0, 1])
    script = Script(rng, target, times, seat_depth, np.tile([0.0, stand, 0.0], (len(times), 1)))
    _idle(script)
    ACTIONS[action](script)
    assert script.feet is not None
    turn = axis_rotation(1, np.radians(np.broadcast_to(script.heading + script.twist, times.shape)))
    tilt = axis_rotation(2, np.radians(np.broadcast_to(script.list, times.shape)))
    bow = axis_rotation(0, np.radians(np.broadcast_to(script.lean, times.shape)))
    fps = 1 / (times[1] - times[0])
    rotations, pelvis = on_feet(_local(script), turn @ tilt @ bow, script.pelvis, script.feet, target, fps)
    return to_motion(action, rotations, pelvis, target, seat=script.seat)


def _local(script: Script) -> Floats:
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


def _idle(script: Script) -> None:
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


def _stand(script: Script, width: float, toe_out: float) -> None:
    """Both feet on the ground beneath the pelvis; ``width`` in legs."""
    half = width * script.target.leg_length()
    hip = float(np.abs(script.target.place(["left_hip"])[0, 0] - script.target.rest[0, 0]))
    ahead = script.uniform(-0.03, 0.03)
    spots = {"left": np.array([max(half, 0.7 * hip), ahead]), "right": np.array([-max(half, 0.7 * hip), -ahead])}
    script.feet = planted(
        script.target, len(script.times), spots, {"left": np.radians(toe_out), "right": -np.radians(toe_out)}
    )


def _route(times: Floats, forward: Floats, sideways: Floats, turning: Floats) -> Path:
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


def _go(script: Script, gait: Gait, speed: float, sideways: float, turning: Floats | float) -> Floats:
    """Step along a route with hips and arms in phase; returns the left foot's phase (T,) in radians, 0 as it lands."""
    times = script.times
    long = np.arange(times[0] - 3, times[-1] + 3, 1 / 240)
    pace = 1 + 0.04 * band_noise(script.rng, long, (0.1, 0.4))[:, 0]
    turns = np.broadcast_to(np.interp(long, times, np.broadcast_to(turning, times.shape)), long.shape)
    path = _route(long, speed * pace, sideways * pace, turns)
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


def _gait(script: Script, frequency: float, duty: float, lift: float, heel: float, toe: float, width: float) -> Gait:
    leg = script.target.leg_length()
    toe_out, phase = script.uniform(2, 10), script.uniform(0, 1)
    return Gait(frequency / np.sqrt(leg / 0.8), duty, lift * leg, heel, toe, width * leg, toe_out, phase)


def _walk(script: Script) -> None:
    leg = script.target.leg_length()
    speed = script.uniform(0.6, 1.22) * np.sqrt(leg / 0.8)
    steps_a_minute = np.sqrt(60 * speed / (0.0055 * leg / 0.85))  # walking ratio (Sekiya 1996)
    turning = script.noise(script.uniform(3, 22), (0.06, 0.25)) + script.uniform(-12, 12)
    brisk = speed / (1.6 * np.sqrt(leg / 0.8))
    gait = _gait(script, 1.0, 0.62, 0.09, 17 * brisk, 32 + 30 * brisk, 0.09)
    gait = Gait(**{**gait.__dict__, "frequency": steps_a_minute / 120})
    _go(script, gait, speed, 0.0, turning)


def _run_in_place(script: Script) -> None:
    gait = _gait(script, script.uniform(1.2, 1.5), 0.42, script.uniform(0.14, 0.3), 0, 34, 0.11)
    phase = _go(script, gait, 0.0, 0.0, script.noise(6))
    rate = 4 * np.pi * gait.frequency  # of the rise and fall, twice a cycle, radians a second
    bounce = 0.85 * GRAVITY / rate**2  # falls no faster than a body does
    rise = np.cos(2 * (phase - np.pi * gait.duty))
    script.pelvis[:, 1] += -0.012 * script.target.leg_length() - bounce * (1 + rise)
    script.lean = script.uniform(3, 8)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        script.arm(side, 12 + 26 * sign * np.cos(phase - 0.15), script.uniform(10, 18), script.uniform(75, 100))


def _sidestep(script: Script) -> None:
    way = script.uniform(0.18, 0.3) * (1 if script.rng.random() < 0.5 else -1)
    gait = _gait(script, script.uniform(0.7, 0.95), 0.62, 0.06, 0, 12, 0.18)
    _go(script, gait, 0.0, way * script.target.leg_length() / 0.8, script.noise(2.5))


def _turn(script: Script) -> None:
    sign = 1 if script.rng.random() < 0.5 else -1
    rate = sign * script.uniform(30, 75) * (1 + 0.2 * band_noise(script.rng, script.times, IDLE)[:, 0])
    gait = _gait(script, script.uniform(0.9, 1.15), 0.64, 0.05, 0, 14, 0.12)
    _go(script, gait, 0.0, 0.0, rate)
    script.add("neck_turn", sign * script.uniform(5, 18))
    script.add("spine_turn", sign * script.uniform(2, 7))


def _squat(script: Script) -> None:
    _stand(script, script.uniform(0.17, 0.26), script.uniform(10, 24))
    depth, period = script.uniform(0.22, 0.46) * script.target.leg_length(), script.uniform(1.8, 3.0)
    share = (script.times / period + script.uniform(0, 1)) % 1.0
    down = ease(share / 0.42) * (1 - ease((share - 0.5) / 0.42))
    script.pelvis[:, 1] -= depth * down
    script.pelvis[:, 2] -= 0.45 * depth * down
    script.lean = script.uniform(60, 85) * depth * down
    script.add("spine_flex", 14 * down)
    script.add("neck_flex", -0.55 * script.lean)
    raised = script.uniform(20, 88)
    for side in SIDES:
        script.arm(side, 4 + raised * down, 10 - 6 * down, 16 + 6 * down)


def _wave(script: Script) -> None:
    _stand(script, script.uniform(0.09, 0.16), script.uniform(4, 14))
    side, rate = SIDES[int(script.rng.integers(2))], script.uniform(1.2, 2.1)
    start, stay = script.uniform(-0.4, 0.8), script.uniform(1.6, 4.0)
    up = window(script.times, start, 0.8, stay, 0.9)
    shake = np.sin(2 * np.pi * rate * script.times + script.uniform(0, 6)) * up
    forward, aside, bent = script.uniform(10, 45), script.uniform(55, 100), script.uniform(55, 95)
    script.arm(side, 5 + forward * up, 11 + aside * up, 18 + bent * up + 14 * shake)
    script.add(f"{side[0]}_shoulder_rot", script.uniform(55, 80) * up + 16 * shake)
    script.add(f"{side[0]}_collar_up", 8 * up)
    script.add("spine_side", (3 if side == "right" else -3) * up)


def _reach(script: Script) -> None:
    _stand(script, script.uniform(0.11, 0.2), script.uniform(4, 14))
    both, one = script.rng.random() < 0.35, SIDES[int(script.rng.integers(2))]
    start, stay = script.uniform(-0.3, 1.0), script.uniform(0.5, 2.0)
    out = window(script.times, start, script.uniform(0.7, 1.2), stay, script.uniform(0.8, 1.3))
    low = script.uniform(0, 1)  # 0: above the head, 1: towards the knees
    raised, bow, turn = 145 - 95 * low, 48 * low**2, script.uniform(-30, 30)
    script.lean = bow * 0.6 * out
    script.pelvis[:, 2] -= 0.12 * np.sin(np.radians(bow)) * out
    script.add("spine_flex", 0.6 * bow * out)
    script.add("spine_turn", turn * out)
    script.add("neck_turn", 0.4 * turn * out)
    script.add("neck_flex", (25 * low - 14) * out)
    for side in SIDES if both else (one,):
        script.arm(side, 4 + raised * out, 11 + script.uniform(-4, 14) * out, 20 + script.uniform(-8, 10) * out)
        script.add(f"{side[0]}_collar_fwd", 10 * out)
        script.add(f"{side[0]}_collar_up", (14 * (1 - low)) * out)


def _sit(script: Script) -> None:
    _stand(script, script.uniform(0.13, 0.2), script.uniform(4, 14))
    target, times = script.target, script.times
    shin = float(np.linalg.norm(np.diff(target.place(["left_knee", "left_ankle"]), axis=0)))
    thigh = target.leg_length() - shin
    down_at, takes = script.uniform(-0.3, 1.2), script.uniform(1.1, 1.7)
    stays = script.uniform(1.5, 6.0)
    first, second = (times - down_at) / takes, (times - down_at - takes - stays) / takes
    back = ease(1.25 * first) * (1 - ease(1.25 * (second - 0.2)))
    down = ease(1.18 * (first - 0.15)) * (1 - ease(1.18 * second))
    hips_over_pelvis = float(target.place(["left_hip"])[0, 1] - target.rest[0, 1])
    seat_hips = ankle_height(target) + shin * script.uniform(0.93, 1.08)
    away = script.uniform(0.82, 0.97) * thigh
    drop = float(script.pelvis[0, 1]) + hips_over_pelvis - seat_hips
    script.pelvis[:, 1] -= drop * down
    script.pelvis[:, 2] -= away * back
    moving = np.sin(np.pi * np.clip(first, 0, 1)) ** 2 + np.sin(np.pi * np.clip(second, 0, 1)) ** 2
    script.lean = 30 * moving + script.uniform(-6, 8) * down
    script.add("spine_flex", 12 * moving + script.uniform(0, 14) * down)
    script.add("neck_flex", -22 * moving)
    lap, elbow = script.uniform(18, 38), script.uniform(50, 75)
    for side in SIDES:
        script.arm(side, 4 + lap * down + 18 * moving, 11, 18 + elbow * down)
        script.add(f"{side[0]}_shoulder_rot", -script.uniform(5, 22) * down)
    script.seat = (0.0, seat_hips - script.seat_depth, -away - 0.03, 0.0)


ACTIONS: dict[str, Callable[[Script], None]] = {
    "walk": _walk,
    "run_in_place": _run_in_place,
    "turn": _turn,
    "sit": _sit,
    "wave": _wave,
    "reach": _reach,
    "squat": _squat,
    "sidestep": _sidestep,
}
"""The actions by name; config weighs them."""
