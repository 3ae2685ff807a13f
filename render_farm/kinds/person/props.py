"""What people sit on, hold, and what stands before and about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...poses.angles import choose
from ...scenes.furniture import Things, build, seat_blocks, table_blocks
from ...scenes.plants import Crown
from ...scenes.scene import Camera, Ground, PersonInScene, Surface
from .config import ThingsConfig
from .placing import Footprint

Floats = NDArray[np.float64]
_FAR = 9.0
"""Who is further from the camera than this, metres, would vanish behind what stands between."""
_CLEAR = 1.1
"""Nearer to the camera, metres, things would fill its view."""
_SPOTS = 4
"""Places tried for a thing."""
_HANDS = ((20, 18), (21, 19))
_SEATS_INSIDE = {"chair": 5.0, "stool": 2.0, "sofa": 2.0, "bench": 1.0}
_SEATS_OUTSIDE = {"bench": 3.0, "wall": 2.0, "chair": 1.0, "stool": 1.0}
_HELD = {"phone": 3.0, "bottle": 2.0, "bag": 2.0, "ball": 1.0, "stick": 2.0}


def seat_for(rng: np.random.Generator, things: Things, pool: int, person: PersonInScene, indoor: bool) -> Surface:
    """A seat beneath somebody who sits: its top where the buttocks end, its front edge before the knees' hollows."""
    joints, vertices = np.asarray(person.joints, np.float64), person.surface.vertices
    hips, knees = joints[[1, 2]].mean(0), joints[[4, 5]].mean(0)
    forward = (knees - hips) * (1, 0, 1)
    thigh = float(np.linalg.norm(forward))
    forward = forward / max(thigh, 1e-6)
    yaw = float(np.arctan2(forward[0], forward[2]))
    along = (vertices - hips) @ forward
    across = (vertices - hips) @ np.array([forward[2], 0, -forward[0]])
    over = (along > -0.12) & (along < 0.25 * thigh) & (np.abs(across) < 0.22) & (vertices[:, 1] < hips[1])
    height = float(vertices[over, 1].min()) + 0.012 if over.any() else float(hips[1]) - 0.1
    trunk = (vertices[:, 1] > hips[1]) & (vertices[:, 1] < hips[1] + 0.35) & (np.abs(across) < 0.2)
    back = float(np.quantile(along[trunk], 0.01)) - 0.03 if trunk.any() else -0.2
    kind = choose(
        rng,
        {"chair": 5, "stool": 2, "sofa": 2, "bench": 1} if indoor else {"bench": 3, "wall": 2, "chair": 1, "stool": 1},
    )
    front = (0.62 if kind in ("sofa", "wall") else 0.72) * thigh
    reach = float(np.abs(across[over]).max()) if over.any() else 0.2
    width = {"chair": 2 * reach + rng.uniform(0.02, 0.12), "stool": 2 * reach, "sofa": rng.uniform(1.0, 2.0)}.get(
        kind, rng.uniform(0.9, 1.8)
    )
    depth = front - back
    middle = hips + forward * (front + back) / 2
    blocks = seat_blocks(rng, kind, max(height, 0.08), depth, width)
    texture = things.texture(
        int(rng.integers(pool)), "wood" if kind in ("chair", "bench") and rng.random() < 0.6 else "any"
    )
    return build(blocks, texture, yaw, (float(middle[0]), 0.0, float(middle[2])))


def table_for(rng: np.random.Generator, things: Things, pool: int, person: PersonInScene) -> Surface | None:
    """A table before somebody who sits, beneath the hands and over the thighs, or None where there is no room for one."""
    joints, vertices = np.asarray(person.joints, np.float64), person.surface.vertices
    hips, knees = joints[[1, 2]].mean(0), joints[[4, 5]]
    forward = (knees.mean(0) - hips) * (1, 0, 1)
    forward = forward / max(float(np.linalg.norm(forward)), 1e-6)
    along = (vertices - hips) @ forward
    chest = float(np.quantile(along[vertices[:, 1] > hips[1] + 0.12], 0.55)) + 0.10
    arms = np.isin(person.surface.topology.part_ids, (19, 20, 21, 22)) | (person.surface.topology.part_ids > 25)
    used = np.unique(person.surface.topology.faces[arms])
    before = used[along[used] > chest]
    height = float(vertices[before, 1].min()) - 0.01 if len(before) else float(hips[1]) + 0.25
    lap = vertices[(along > chest) & (vertices[:, 1] < joints[[4, 5], 1].max() + 0.10)]
    if height < (float(lap[:, 1].max()) + 0.03 if len(lap) else 0.5):
        return None
    width, depth = rng.uniform(0.7, 1.8), rng.uniform(0.6, 1.0)
    middle = hips + forward * (chest + depth / 2)
    yaw = float(np.arctan2(forward[0], forward[2]))
    texture = things.texture(int(rng.integers(pool)), "wood" if rng.random() < 0.6 else "cloth")
    return build(table_blocks(rng, height, width, depth), texture, yaw, (float(middle[0]), 0.0, float(middle[2])))


def held_by(rng: np.random.Generator, things: Things, pool: int, person: PersonInScene) -> Surface:
    """Something in a hand: a phone, a bottle, a bag, a ball, a stick."""
    wrist, elbow = _HANDS[int(rng.integers(2))]
    joints = np.asarray(person.joints, np.float64)
    arm = joints[wrist] - joints[elbow]
    arm = arm / max(float(np.linalg.norm(arm)), 1e-6)
    grip = joints[wrist] + 0.10 * arm
    kind, texture = (
        choose(rng, {"phone": 3, "bottle": 2, "bag": 2, "ball": 1, "stick": 2}),
        things.texture(int(rng.integers(pool))),
    )
    yaw = float(rng.uniform(-np.pi, np.pi))
    at = (float(grip[0]), float(grip[1]), float(grip[2]))
    if kind == "phone":
        return build([((0, 0.03, 0), (0.036, 0.074, 0.005))], texture, yaw, at, specular=0.2)
    if kind == "bottle":
        return build(
            [((0, 0.02, 0), (0.032, 0.10, 0.032)), ((0, 0.14, 0), (0.012, 0.03, 0.012))], texture, yaw, at, "tube", 0.2
        )
    if kind == "ball":
        radius = rng.uniform(0.04, 0.13)
        return build([((0.8 * radius, 0, 0.8 * radius), (radius,) * 3)], texture, yaw, at, "ball", 0.1)
    if kind == "bag":
        wide, high = rng.uniform(0.1, 0.2), min(rng.uniform(0.12, 0.2), max(float(grip[1]) / 2 - 0.06, 0.03))
        return build(
            [((0, -high - 0.06, 0), (0.05, high, wide)), ((0, -0.03, 0), (0.006, 0.05, 0.4 * wide))], texture, yaw, at
        )
    long = rng.uniform(0.3, 0.6)
    return build(
        [((0, 0.6 * long, 0), (0.012, long, 0.012)), ((0, 1.5 * long, 0), (0.10, 0.14, 0.008))], texture, yaw, at
    )


def in_front(
    rng: np.random.Generator, things: Things, pool: int, camera: Camera, people: list[PersonInScene]
) -> list[Surface]:
    """Something between the camera and the first person that hides a part: a counter, a plant, a pole, a box."""
    eye = np.asarray(camera.position, np.float64)
    target = np.asarray(people[0].joints, np.float64)[[0, 9]].mean(0)
    flat = (target - eye) * (1, 0, 1)
    distance = float(np.linalg.norm(flat))
    if not 0.8 < distance < _FAR:
        return []
    forward = flat / distance
    side = np.array([forward[2], 0, -forward[0]])
    share, offset = rng.uniform(0.4, 0.75), rng.normal(0, 0.22)
    spot = eye + flat * share + side * offset
    nearest = min(float(np.hypot(*(p.surface.vertices[:, [0, 2]] - spot[[0, 2]]).T).min()) for p in people)
    room = min(nearest, distance * share) - 0.08
    if room < 0.06 or distance * share < _CLEAR:
        return []
    yaw = float(np.arctan2(forward[0], forward[2]) + rng.normal(0, 0.3))
    at, texture = (float(spot[0]), 0.0, float(spot[2])), things.texture(int(rng.integers(pool)))
    # The line of sight to the person's middle at that place: things reach up to about there.
    sight = float(eye[1] + share * (target[1] - eye[1])) + rng.uniform(-0.35, 0.15)
    kind = choose(rng, {"counter": 3, "plant": 2, "pole": 1.5, "box": 1})
    if kind == "pole":
        return [build([((0, 1.6, 0), (0.025, 1.6, 0.025))], texture, yaw, at, "tube")]
    if sight < 0.15:
        return []
    if kind == "plant":
        wide = min(0.35, room)
        crown = Crown(0.35 * sight, 1.1 * sight, wide, 0.2 * wide * rng.uniform(0.8, 1.3))
        return things.plant(rng, crown, int(rng.integers(pool)), at, pot=True)
    deep = min(0.35, 0.7 * room)
    if kind == "counter":
        return [build(table_blocks(rng, sight, rng.uniform(0.8, 2.4), 2 * deep), texture, yaw, at)]
    half = min(rng.uniform(0.15, 0.4), 0.7 * room)
    return [build([((0, sight / 2, 0), (half, sight / 2, half))], texture, yaw, at)]


def about(
    rng: np.random.Generator,
    things: Things,
    config: ThingsConfig,
    indoor: bool,
    taken: Footprint,
    camera: Camera,
    size: float,
    ground: Ground | None,
) -> list[Surface]:
    """Things that stand about people where nobody is, not before the camera, and not beyond the walls.

    Args:
        size: metres from the middle of the people to the outermost. ground: what things stand on; without one there are none.
    """
    surfaces: list[Surface] = []
    if ground is None:
        return surfaces
    eye = camera.position
    forward = np.asarray(camera.R)[2]
    for _ in range(int(rng.integers(config.clutter[0], config.clutter[1] + 1))):
        angle, apart = rng.uniform(-np.pi, np.pi, _SPOTS), size + rng.uniform(0.3, 3.5 if indoor else 8.0, _SPOTS)
        spots = np.stack([apart * np.sin(angle), np.zeros(_SPOTS), apart * np.cos(angle)], 1)
        inside = [spot for spot in spots if on_ground(ground, spot[None])]
        if not inside:
            continue
        at = (float(inside[0][0]), float(inside[0][2]))
        thing = things.clutter(rng, indoor, config.pool, at)
        points = np.concatenate([surface.vertices for surface in thing])
        towards = (np.array([at[0], eye[1], at[1]]) - eye) * (1, 0, 1)
        before = (
            float(np.linalg.norm(towards)) < 0.75 * float(np.hypot(eye[0], eye[2])) and float(towards @ forward) > 0
        )
        near = np.linalg.norm(points - eye, axis=1).min() < 0.9
        if before or near or not on_ground(ground, points) or not taken.free(points[points[:, 1] < 2.2]):
            continue
        surfaces += thing
    return surfaces


def on_ground(ground: Ground, points: NDArray[np.floating]) -> bool:
    """Whether points (P, 3) stand over a ground, within the walls about it."""
    if ground.half_size is None:
        return True
    x, z = points[:, 0] - ground.centre[0], points[:, 2] - ground.centre[1]
    c, s = np.cos(ground.yaw), np.sin(ground.yaw)
    across, along = np.abs(c * x - s * z).max(), np.abs(s * x + c * z).max()
    return bool(across < ground.half_size[0] and along < ground.half_size[1])
