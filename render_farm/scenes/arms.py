"""Adults' arms that reach into the picture: the open person's arm and hand, posed, sleeved and set down on the infant.

Arms are a pool of the job, entry j a pure function of (seed, j): each is posed once, its hand flat, palm down and
fingers along +X, and then placed rigidly. Only the faces of arm and hand are drawn, with part id 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from ...config import UserError
from ...models.bodies import load_body
from ...models.bodies.body import Body
from ...models.bodies.gestures import gesture
from ...models.bodies.meshes import vertex_normals
from ...models.bodies.skinning import skin
from ...models.geometry import axis_angle_to_matrix
from ...models.joints import joint_set
from ..looks.patterns import Bytes, Singles, draw_palette, finish, noise, tile
from ..looks.skin import tone
from ..poses.angles import choose
from .cloths import HeightMap
from .config import OccluderConfig
from .meshes import turned
from .scene import OCCLUDER, Camera, Surface, Topology

_ARM_STREAM = 404
_TEXTURE = (64, 128)
_GESTURES = {"relaxed": 0.45, "wide_grasp": 0.3, "spread": 0.15, "power_grasp": 0.1}
_AGES = (240.0, 720.0)  # months
_TRIES = 8
_PRESS = 0.005  # metres by which a hand presses in
_HOVER = 0.03  # metres between palm and body that need no better direction
_TOO_NEAR = 0.28  # metres from the lens
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ArmMesh:
    """The left arm of a body, cut off at the shoulder.

    Attributes:
        rows: (V,) which vertices of the body. faces: (F, 3) among them.
        uv: (2V, 2) along and round the arm, twice, the second time a turn further. uv_faces: (F, 3).
        along: (V,) 0 at the shoulder, 1 at the finger tips. wrist: ``along`` of the wrist.
    """

    rows: NDArray[np.intp]
    faces: NDArray[np.int32]
    uv: Singles
    uv_faces: NDArray[np.int32]
    along: Singles
    wrist: float


@cache
def _person() -> tuple[Body, ArmMesh]:
    body = load_body("open-person", flat_hand_mean=True)
    return body, cut_arm(body)


def cut_arm(body: Body) -> ArmMesh:
    """Find the left arm of a body of 55 joints.

    Raises:
        UserError: for a body without fingers.
    """
    if body.joint_set != "smplx55":
        raise UserError(f"body '{body.name}' ({body.joint_set}) has no fingers; arms need a body of smplx55")
    names = joint_set("smplx55").joints
    joints = body.mesh.joints.cpu().numpy()
    own = [k for k, name in enumerate(names) if name.startswith("left_") and _of_arm(name)]
    owner = np.argmax(body.weights, axis=1)
    template = body.template.astype(np.float32)
    shoulder, wrist = joints[names.index("left_shoulder"), 0], joints[names.index("left_wrist"), 0]
    kept = np.isin(owner, own) & (template[:, 0] > shoulder)
    faces = body.faces[kept[body.faces].all(1)]
    rows = np.unique(faces)
    place = np.zeros(len(template), np.int64)
    place[rows] = np.arange(len(rows))
    points = template[rows]
    along = (points[:, 0] - shoulder) / (points[:, 0].max() - shoulder)
    middle = joints[names.index("left_elbow")]
    round_ = (np.arctan2(points[:, 2] - middle[2], points[:, 1] - middle[1]) / (2 * np.pi)) % 1.0
    uv = np.stack([along, round_], 1)
    local = place[faces]
    corner = round_[local]
    across = (np.ptp(corner, axis=1) > 0.5)[:, None] & (corner < 0.5)
    return ArmMesh(
        rows=rows,
        faces=local.astype(np.int32),
        uv=np.concatenate([uv, uv + np.array([0, 1])]).astype(np.float32),
        uv_faces=(local + len(rows) * across).astype(np.int32),
        along=along.astype(np.float32),
        wrist=float((wrist - shoulder) / (points[:, 0].max() - shoulder)),
    )


def _of_arm(name: str) -> bool:
    fingers = ("index", "middle", "pinky", "ring", "thumb")
    return name.removeprefix("left_").startswith(("shoulder", "elbow", "wrist", *fingers))


@cache
def _topology(side: str) -> Topology:
    arm = _person()[1]
    flip = slice(None) if side == "left" else slice(None, None, -1)
    part = np.full(len(arm.faces), OCCLUDER, np.uint8)
    faces, coords = (np.ascontiguousarray(each[:, flip]) for each in (arm.faces, arm.uv_faces))
    return Topology(f"adult-arm-{side}", faces, arm.uv, coords, part, two_sided=True)


@dataclass(frozen=True)
class Arm:
    """One arm of the pool: vertices (V, 3) about the palm, hand flat, palm down, fingers along +X; its look."""

    vertices: Singles
    texture: Bytes
    side: str


def _posed(rng: np.random.Generator) -> Singles:
    """The left arm's vertices (V, 3) and normals stacked, (2V, 3), the hand flat and its middle at the origin."""
    body, arm = _person()
    names = joint_set("smplx55").joints
    joints = body.mesh.joints.cpu().numpy().astype(np.float64)
    fingers = [k for k, name in enumerate(names) if name.startswith("left_") and k >= 25]
    wrist, elbow = names.index("left_wrist"), names.index("left_elbow")
    pose = np.zeros((55, 3), np.float32)
    pose[elbow, 1] = -np.radians(rng.uniform(8, 55))
    pose[wrist, 2] = np.radians(rng.uniform(12, 52))
    pose[wrist, 1] = np.radians(rng.normal(0, 8))
    bent = gesture(choose(rng, _GESTURES), "left", joints[[wrist, *fingers]] - joints[wrist]).reshape(15, 3)
    pose[fingers] = bent * rng.uniform(0.6, 1.1)
    betas = torch.zeros(1, len(body.mesh.shapedirs))  # shape, then expression
    betas[:, : body.num_betas] = torch.from_numpy(body.sample_betas(rng, 1, _AGES))
    with torch.no_grad():
        planes, posed = skin(body.mesh, betas, torch.from_numpy(pose)[None])
    vertices = planes[0].T.contiguous().numpy()
    normals = vertex_normals(vertices, body.faces)
    local = axis_angle_to_matrix(torch.from_numpy(pose)).numpy()
    hand = local[elbow] @ local[wrist]
    palm = 0.5 * (posed[0, wrist] + posed[0, names.index("left_middle1")]).numpy()
    moved = (vertices[arm.rows] - palm) @ hand
    return np.concatenate([moved, normals[arm.rows] @ hand]).astype(np.float32)


def draw_arm(rng: np.random.Generator, config: OccluderConfig) -> Arm:
    """Draw one arm: gesture, build, skin, sleeve, perhaps a glove or a watch."""
    _, arm = _person()
    points, normals = np.split(_posed(rng), 2)
    end = float(choose(rng, {"-1": 0.15, "0.3": 0.35, "0.5": 0.2, "1": 0.3}))  # of the sleeve, in ways to the wrist
    sleeve = end * arm.wrist * rng.uniform(0.94, 1.0) if end > 0 else -1.0
    cover = np.clip((sleeve - arm.along) / 0.012, 0, 1)
    thick = rng.uniform(0.004, 0.009)
    wrinkle = 0.0025 * np.sin(90 * arm.along + 4 * np.sin(12 * arm.uv[: len(points), 1]))
    points = points + (cover * (thick + wrinkle))[:, None] * normals
    texture = _painted(rng, config, sleeve, arm.wrist)
    side = "left" if rng.random() < 0.5 else "right"
    if side == "right":
        points = points * (1, 1, -1)
    return Arm(np.ascontiguousarray(points, np.float32), texture, side)


def _painted(rng: np.random.Generator, config: OccluderConfig, sleeve: float, wrist: float) -> Bytes:
    """Texture with rows round the arm and columns from the shoulder to the finger tips."""
    rows, columns = _TEXTURE
    skin_ = tone(rng.uniform(*config.arm_tone))
    along = (np.arange(columns) + 0.5) / columns
    lab = np.empty((rows, columns, 3), np.float32)
    lab[:] = skin_ + np.array([-4, 5, 2], np.float32) * np.clip(skin_[0] / 90, 0.2, 1)
    mottle = np.tile(noise(rng, rows, 5), (1, 2))
    lab += np.array([1.0, 0.9, 0.3], np.float32) * mottle[..., None]
    lab[:, :, 1] += 3.0 * (along > wrist + 0.12)
    gloved, watch = rng.random() < 0.12, rng.random() < 0.2
    if gloved:
        lab[:, along > wrist - 0.03] = choose_colour(rng, ((62, -6, -34), (88, 0, 1), (48, 12, -30)))
    elif watch:
        lab[:, (along > wrist - 0.075) & (along < wrist - 0.045)] = choose_colour(
            rng, ((18, 0, 0), (60, 2, 12), (88, 0, 0))
        )
    cloth = along < sleeve
    kind = choose(rng, {"plain": 0.5, "stripes": 0.2, "heather": 0.2, "checks": 0.1})
    print_ = np.tile(tile(rng, kind, draw_palette(rng, (20, 92), (0, 35)), rows), (1, 2, 1))
    lab[:, cloth] = print_[:, cloth]
    shade = 1 + 0.02 * np.tile(noise(rng, rows, 14), (1, 2))
    shade[:, cloth] += 0.07 * np.tile(noise(rng, rows, 6, aspect=0.4), (1, 2))[:, cloth]
    shade[:, (along > sleeve - 0.012) & cloth] *= 0.85
    return finish(lab, shade.astype(np.float32))


def choose_colour(rng: np.random.Generator, colours: tuple[tuple[float, float, float], ...]) -> Singles:
    """One of some Lab colours."""
    return np.array(colours[int(rng.integers(len(colours)))], np.float32)


class Arms:
    """The arms of one job; entry j is a pure function of (seed, j)."""

    def __init__(self, config: OccluderConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._arms: dict[int, Arm] = {}

    def arm(self, index: int) -> Arm:
        """Entry ``index`` of the pool, posed and painted at first use."""
        if index not in self._arms:
            rng = np.random.default_rng([self.seed, _ARM_STREAM, index])
            self._arms[index] = draw_arm(rng, self.config)
        return self._arms[index]

    def reach(self, rng: np.random.Generator, camera: Camera, bumps: HeightMap, joints: Floats) -> list[Surface]:
        """One or two arms whose hands lie on the infant or beside it, and which leave the picture.

        Args:
            joints: (J, 3) of the infant, world, metres. An arm that finds no such place is left out.
        """
        both, entry = rng.random() < self.config.second_arm, int(rng.integers(self.config.arm_pool))
        surfaces, heading = [], float(rng.uniform(-np.pi, np.pi))
        arm = self.arm(entry)
        other = "right" if arm.side == "left" else "left"
        pair = ((arm.side, arm.vertices), (other, arm.vertices * np.array([1, 1, -1], np.float32)))
        for number, (side, vertices) in enumerate(pair[: 2 if both else 1]):
            anchor = _ANCHORS[int(rng.integers(len(_ANCHORS)))]
            beside, offset = rng.random() < 0.2, rng.normal(0, 0.03, 2)
            target = joints[list(anchor)].mean(0)[[0, 2]] + offset
            if beside:
                target = target + 0.17 * np.array([np.cos(heading), np.sin(heading)])
            found = _set_down(vertices, target, heading + number * rng.uniform(0.5, 1.1), camera, bumps)
            if found is not None:
                surfaces.append(Surface(_topology(side), found, arm.texture, specular=0.04, wrap=0.3))
        return surfaces


_ANCHORS = ((3,), (9,), (6,), (1, 4), (2, 5), (4, 7), (5, 8), (16, 18), (17, 19), (15,), (20,), (21,))
"""Joints amid which a hand is laid: belly, chest, thighs, shins, upper arms, head, hands."""


def _set_down(vertices: Singles, target: Floats, heading: float, camera: Camera, bumps: HeightMap) -> Singles | None:
    """The arm lowered onto what lies beneath, from the direction near ``heading`` in which it hovers least.

    Only directions count from which the arm's cut end lies outside of the picture.
    """
    hand = vertices[:, 0] > -0.10
    thin = np.concatenate([vertices[hand][::5], vertices[~hand][::17]])
    root = thin[thin[:, 0] < thin[:, 0].min() + 0.06]
    best: tuple[float, Singles] | None = None
    for step in range(_TRIES):
        yaw = heading + (step + 1) // 2 * (1 if step % 2 else -1) * 2 * np.pi / _TRIES
        points = turned(thin, yaw)
        x, z = points[:, 0] + target[0], points[:, 2] + target[1]
        lift = float((bumps.at(x, z) - points[:, 1]).max()) - _PRESS
        place = np.array([target[0], lift, target[1]])
        if not _outside(turned(root, yaw) + place, camera):
            continue
        if np.linalg.norm(points + place - camera.position, axis=1).min() < _TOO_NEAR:
            continue
        hover = lift - float(bumps.at(target[:1], target[1:])[0])
        if best is None or hover < best[0] - 0.02:
            best = hover, np.asarray(turned(vertices, yaw) + place, np.float32)
        if best[0] < _HOVER:
            break
    return None if best is None or best[0] > 0.12 else best[1]


def _outside(points: Floats, camera: Camera) -> bool:
    """Whether all points (N, 3) lie behind the camera or outside of the picture."""
    seen = points @ np.asarray(camera.R).T + np.asarray(camera.t)
    ahead = seen[:, 2] > 0.05
    flat = seen @ np.asarray(camera.K).T
    pixel = flat[:, :2] / np.maximum(flat[:, 2:], 1e-6)
    inside = ahead & (pixel >= 0).all(1) & (pixel[:, 0] < camera.width) & (pixel[:, 1] < camera.height)
    return not bool(inside.any())
