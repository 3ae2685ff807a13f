"""What people do in clips drawn without data: key poses joined by smooth splines, limbs in phase with steps.

Each action gives wanted places of pelvis and feet and the angles of trunk, neck and arms over time (:mod:`.script`); legs
then reach the feet (:func:`.motion.on_feet`), so whatever the body's proportions, feet stand where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ....datasets.mocap.target import Target
from ....models.geometry import axis_rotation
from ...scenes.smooth import Floats, band_noise, ease, window
from .motion import Motion, on_feet, to_motion
from .script import IDLE, Script, go, idle, local_pose, make_gait, stand_still
from .steps import SIDES, ankle_height

GRAVITY = 9.81


def perform(rng: np.random.Generator, action: str, target: Target, times: Floats, seat_depth: float) -> Motion:
    """Draw one action for a body.

    Args:
        action: a key of :data:`ACTIONS`.
        times: (T,) seconds, evenly spaced. seat_depth: from the hip joints down to a seat when sitting, metres.
    """
    ankle = ankle_height(target)
    stand = ankle - float(target.place(["left_ankle", "right_ankle"])[:, 1].mean()) + float(target.rest[0, 1])
    script = Script(rng, target, times, seat_depth, np.tile([0.0, stand, 0.0], (len(times), 1)))
    idle(script)
    ACTIONS[action](script)
    assert script.feet is not None
    turn = axis_rotation(1, np.radians(np.broadcast_to(script.heading + script.twist, times.shape)))
    tilt = axis_rotation(2, np.radians(np.broadcast_to(script.list, times.shape)))
    bow = axis_rotation(0, np.radians(np.broadcast_to(script.lean, times.shape)))
    fps = 1 / (times[1] - times[0])
    rotations, pelvis = on_feet(local_pose(script), turn @ tilt @ bow, script.pelvis, script.feet, target, fps)
    return to_motion(action, rotations, pelvis, target, seat=script.seat)


def _walk(script: Script) -> None:
    leg = script.target.leg_length()
    speed = script.uniform(0.6, 1.22) * np.sqrt(leg / 0.8)
    steps_a_minute = np.sqrt(60 * speed / (0.0055 * leg / 0.85))  # walking ratio (Sekiya 1996)
    turning = script.noise(script.uniform(3, 22), (0.06, 0.25)) + script.uniform(-12, 12)
    brisk = speed / (1.6 * np.sqrt(leg / 0.8))
    gait = make_gait(script, 1.0, 0.62, 0.09, 17 * brisk, 32 + 30 * brisk, 0.09)
    gait = replace(gait, frequency=steps_a_minute / 120)
    go(script, gait, speed, 0.0, turning)


def _run_in_place(script: Script) -> None:
    gait = make_gait(script, script.uniform(1.2, 1.5), 0.42, script.uniform(0.14, 0.3), 0, 34, 0.11)
    phase = go(script, gait, 0.0, 0.0, script.noise(6))
    rate = 4 * np.pi * gait.frequency  # of the rise and fall, twice a cycle, radians a second
    bounce = 0.85 * GRAVITY / rate**2  # falls no faster than a body does
    rise = np.cos(2 * (phase - np.pi * gait.duty))
    script.pelvis[:, 1] += -0.012 * script.target.leg_length() - bounce * (1 + rise)
    script.lean = script.uniform(3, 8)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        script.arm(side, 12 + 26 * sign * np.cos(phase - 0.15), script.uniform(10, 18), script.uniform(75, 100))


def _sidestep(script: Script) -> None:
    way = script.uniform(0.18, 0.3) * (1 if script.rng.random() < 0.5 else -1)
    gait = make_gait(script, script.uniform(0.7, 0.95), 0.62, 0.06, 0, 12, 0.18)
    go(script, gait, 0.0, way * script.target.leg_length() / 0.8, script.noise(2.5))


def _turn(script: Script) -> None:
    sign = 1 if script.rng.random() < 0.5 else -1
    rate = sign * script.uniform(30, 75) * (1 + 0.2 * band_noise(script.rng, script.times, IDLE)[:, 0])
    gait = make_gait(script, script.uniform(0.9, 1.15), 0.64, 0.05, 0, 14, 0.12)
    go(script, gait, 0.0, 0.0, rate)
    script.add("neck_turn", sign * script.uniform(5, 18))
    script.add("spine_turn", sign * script.uniform(2, 7))


def _squat(script: Script) -> None:
    stand_still(script, script.uniform(0.17, 0.26), script.uniform(10, 24))
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
    stand_still(script, script.uniform(0.09, 0.16), script.uniform(4, 14))
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
    stand_still(script, script.uniform(0.11, 0.2), script.uniform(4, 14))
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
    stand_still(script, script.uniform(0.13, 0.2), script.uniform(4, 14))
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
