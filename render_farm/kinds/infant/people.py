"""Infants at rest in the world, dressed: one forward pass for a block, and a second infant beside some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.blocks import blocked, pose_joints, skin_blocks
from ....models.bodies.body import Body
from ...looks.bodymap import BodyMap, build_body_map
from ...looks.sacks import fits, sack_content, sack_topology, span_sack
from ...looks.skirts import off_the_thighs, skirt_mesh, skirt_topology
from ...poses.angles import Plan
from ...poses.config import PoseConfig
from ...poses.points import PointReader, point_reader
from ...poses.posing import Posed, Poser
from ...scenes.bodies import body_topology
from ...scenes.meshes import bounds
from ...scenes.scene import PersonInScene, Surface
from .config import InfantScene
from .look import Look, Looks

Singles = NDArray[np.float32]
TWIN = 1 << 40
"""The second infant of frame i is drawn as the first one of frame ``TWIN + i`` would be."""
_LYING = ("supine", "prone", "side")


@dataclass(frozen=True)
class Infant:
    """One infant of a scene: the person, what it does, what it wears, and which pose of which source ("" if drawn)."""

    person: PersonInScene
    plan: Plan
    look: Look
    origin: str

    @property
    def lying(self) -> bool:
        """Whether it lies on its back, belly or side, flat."""
        return self.plan.posture in _LYING


class People:
    """Makes infants.

    Args:
        config: the ranges. body: any SMPL-family body with 24 joints and texture coordinates. seed: of the job.
        joint_sets: labelled joint sets.

    Raises:
        UserError: for a body without texture coordinates, an age range it does not have, or unusable poses.
    """

    def __init__(self, config: InfantScene, body: Body, seed: int, joint_sets: tuple[str, ...]) -> None:
        self.body, self.seed, self.config = body, seed, config
        self.map: BodyMap = build_body_map(body, config.wardrobe.texture or 512)
        self.looks = Looks(config.wardrobe, config.skin, self.map, seed)
        self.poser = Poser(body, config.poses, config.shape, seed)
        self.topology = body_topology(body)
        self._lying: Poser | None = None
        self._points: PointReader = point_reader(body, joint_sets)
        self._mesh, self._skirt = blocked(body.mesh), blocked(skirt_mesh(body, self.looks.wardrobe.cutter))
        self._skirt_topology = skirt_topology(f"{body.name}-skirt")
        self._sack_content, self._sack_rim = sack_content(self.map.vertices)
        joint = self.map.vertices.joint
        self._thighs = (np.flatnonzero(joint == 1)[::2], np.flatnonzero(joint == 2)[::2])

    def block(self, indices: Sequence[int], looks: Sequence[Look]) -> list[Infant]:
        """The infants of an aligned block of frames."""
        with torch.no_grad():
            return self._made(self.poser.pose(indices), looks)

    def twins(self, indices: Sequence[int], looks: Sequence[Look], firsts: Sequence[Infant]) -> list[Infant]:
        """A second infant beside each of some lying ones: of nearly the same shape, lying too, side by side.

        Args:
            indices: the frames. looks: of the second infants. firsts: the first infants, all lying.
        """
        if not len(indices):
            return []
        if self._lying is None:
            self._lying = Poser(self.body, _lying_poses(self.config), self.config.shape, self.seed)
        with torch.no_grad():
            posed = self._lying.pose([TWIN + index for index in indices])
            alike = torch.from_numpy(np.stack([first.person.betas for first in firsts])).float()
            posed.betas = 0.8 * alike + 0.2 * posed.betas
            seconds = self._made(posed, looks)
        for index, first, second in zip(indices, firsts, seconds, strict=True):
            rng = np.random.default_rng([self.seed, index, TWIN])
            _lay_beside(rng, first.person, second.person)
        return seconds

    def _made(self, posed: Posed, looks: Sequence[Look]) -> list[Infant]:
        """One forward pass of the dressed bodies; what each wears enters as a shape direction of its own."""
        betas, pose, count = posed.betas, posed.pose, len(looks)
        skeleton = pose_joints(self.body.mesh, betas, pose)
        raised = torch.from_numpy(np.stack([look.raised for look in looks])).view(count, 3, -1)
        vertices = skin_blocks(self._mesh, skeleton, betas, raised).numpy()
        low, high = bounds(vertices)
        moves = np.asarray(-0.5 * (low + high), np.float32)
        moves[:, 1] = -low[:, 1] - posed.sinks
        vertices += moves[:, None]
        places = skeleton.joints + moves[:, None]
        keypoints = self._points(skeleton, betas) + moves[:, None]
        skirts = self._skirts(betas, pose, moves, looks)
        infants = []
        for k, look in enumerate(looks):
            surface = Surface(self.topology, vertices[k], look.texture, specular=0.5 * look.specular, wrap=0.3)
            person = PersonInScene(
                surface, keypoints[k], places[k], betas[k].numpy(), pose[k].numpy(), moves[k], self.body.name
            )
            person.layers += self._layers(look, person, skirts.get(k))
            infants.append(Infant(person, posed.plans[k], look, posed.origins[k]))
        return infants

    def _skirts(
        self, betas: torch.Tensor, pose: torch.Tensor, moves: Singles, looks: Sequence[Look]
    ) -> dict[int, Singles]:
        """Posed skirts (S, 3) of those who wear one."""
        rows = [k for k, look in enumerate(looks) if look.skirt is not None]
        if not rows:
            return {}
        skeleton = pose_joints(self._skirt.mesh, betas[rows], pose[rows])
        hanging = skin_blocks(self._skirt, skeleton, betas[rows]).numpy() + moves[rows, None]
        return dict(zip(rows, hanging, strict=True))

    def _layers(self, look: Look, person: PersonInScene, skirt: Singles | None) -> list[Surface]:
        vertices = person.surface.vertices
        joints = np.asarray(person.joints, np.float32)
        if look.skirt is not None and skirt is not None:
            hanging = off_the_thighs(skirt, vertices, joints, self._thighs)
            return [Surface(self._skirt_topology, hanging, look.skirt, specular=0.0)]
        if look.sack is not None and fits(joints, self.map.height):
            scale = self.looks.wardrobe.cutter.scale
            bag = span_sack(vertices, joints, self._sack_content, self._sack_rim, scale)
            return [Surface(sack_topology(f"{self.body.name}-sack"), bag, look.sack, specular=0.0)]
        return []


def _lying_poses(config: InfantScene) -> PoseConfig:
    """The job's poses with the postures that lie alone, drawn: files of poses do not say who lies."""
    weights = {name: config.poses.postures.get(name, 0.0) for name in _LYING}
    if sum(weights.values()) <= 0:
        weights = {"supine": 1.0}
    return config.poses.model_copy(update={"postures": weights, "source": None, "sources": {}})


def _lay_beside(rng: np.random.Generator, first: PersonInScene, second: PersonInScene) -> None:
    """Turn and shift the second person on the plane, so that both lie side by side without touching."""
    gap, lean, slide = rng.uniform(0.0, 0.07), rng.normal(0, 0.22), rng.normal(0, 0.05)
    side, head_to_feet = (1 if rng.random() < 0.5 else -1), rng.random() < 0.12
    along = _long_axis(first)
    own = _long_axis(second)
    yaw = np.arctan2(along[0], along[1]) - np.arctan2(own[0], own[1]) + lean + (np.pi if head_to_feet else 0.0)
    _turn(second, float(yaw))
    across = side * np.array([along[1], -along[0]])
    a, b = (p.surface.vertices[:, [0, 2]].astype(np.float64) for p in (first, second))
    a_long, b_long = a @ along, b @ along
    move = along * (0.5 * (a_long.min() + a_long.max() - b_long.min() - b_long.max()) + slide)
    b = b + move
    edges = np.arange(min(a_long.min(), (b @ along).min()), max(a_long.max(), (b @ along).max()) + 0.04, 0.04)
    far, near = np.full(len(edges) + 1, -np.inf), np.full(len(edges) + 1, np.inf)
    np.maximum.at(far, np.digitize(a_long, edges), a @ across)
    np.minimum.at(near, np.digitize(b @ along, edges), b @ across)
    wide = np.maximum(np.maximum(far, np.roll(far, 1)), np.roll(far, -1))  # slices beside each other, too
    overlap = float(np.max(np.where(np.isfinite(wide) & np.isfinite(near), wide - near, -np.inf)))
    move = move + across * (overlap + gap)
    shift = np.array([move[0], 0.0, move[1]], np.float32)
    second.surface.vertices = second.surface.vertices + shift
    for layer in second.layers:
        layer.vertices = layer.vertices + shift
    second.joints, second.keypoints_3d = second.joints + shift, second.keypoints_3d + shift
    second.transl = np.asarray(second.transl + shift, np.float32)


def _long_axis(person: PersonInScene) -> NDArray[np.float64]:
    """Unit vector (x, z) from the pelvis to the head, on the plane."""
    way = np.asarray(person.joints[15] - person.joints[0], np.float64)[[0, 2]]
    return way / max(float(np.linalg.norm(way)), 1e-6)


def _turn(person: PersonInScene, yaw: float) -> None:
    """Turn a person about the world's vertical axis, parameters and all."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    rest = person.joints[0] - person.transl  # the pelvis before translation, about which the body turns
    single = turn.astype(np.float32).T
    for surface in (person.surface, *person.layers):
        surface.vertices = surface.vertices @ single
    person.joints, person.keypoints_3d = person.joints @ single, person.keypoints_3d @ single
    pose = np.array(person.pose, np.float64)
    pose[0] = cv2.Rodrigues(turn @ cv2.Rodrigues(pose[0])[0])[0].ravel()
    person.pose = pose.astype(np.float32)
    person.transl = np.asarray(person.joints[0] - rest, np.float32)
