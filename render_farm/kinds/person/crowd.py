"""The people of a block of frames: posed, dressed and skinned in one pass, then set down one by one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.blocks import blocked, pose_joints, skin_blocks
from ....models.bodies.body import Body
from ...looks.adults import AdultLook, AdultLooks
from ...poses.points import PointReader, point_reader
from ...scenes.scene import PersonInScene, Surface
from ...streams import generators
from .placing import Spot
from .posing import People, Poser, Request

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Crowd:
    """The people of a block, dressed, about the origin and facing +Z.

    Attributes:
        people: their parameters. looks: what each looks like. frame: (B,) frame index of each.
        vertices: (B, V, 3), skirts: (B, S, 3), joints: (B, J, 3), keypoints: (B, K, 3) metres.
        transl: (B, 3) of each.
    """

    people: People
    looks: list[AdultLook]
    frame: NDArray[np.int64]
    vertices: Floats
    skirts: Floats
    joints: Floats
    keypoints: Floats
    transl: Floats


class Crowds:
    """Makes crowds.

    Args:
        body: the body. poser: poses it. looks: dresses it. stream: of looks. joint_sets: labelled joint sets.
    """

    def __init__(self, body: Body, poser: Poser, looks: AdultLooks, stream: int, joint_sets: tuple[str, ...]) -> None:
        self.body, self.poser, self.looks, self.stream = body, poser, looks, stream
        self._points: PointReader = point_reader(body, joint_sets)
        self._mesh, self._skirt = blocked(body.mesh), blocked(looks.skirt_mesh)

    def draw(self, requests: list[Request]) -> Crowd:
        """Pose, dress and skin all people of a block in one pass."""
        people = self.poser.pose(requests)
        looks = []
        for k, rng in enumerate(generators([(*r.key[:2], self.stream, r.key[2]) for r in requests])):
            grey = people.ages[k] == "old" and rng.random() < 0.85
            looks.append(self.looks.pick(rng, bool(people.woman[k]), grey))
        size = torch.from_numpy(people.size)
        columns = self.body.shape_columns(people.betas, people.expression if self.body.num_expressions else None)
        skeleton = pose_joints(self.body.mesh, columns, people.pose)
        worn = torch.from_numpy(np.stack([look.offset for look in looks])).mul_(size[:, None, None])
        vertices = skin_blocks(self._mesh, skeleton, columns, worn.transpose(1, 2)).numpy()
        transl = np.zeros((len(requests), 3), np.float32)
        transl[:, 1] = people.lift - vertices[..., 1].min(1)
        transl[:, [0, 2]] = -skeleton.joints[:, 0, [0, 2]]
        vertices += transl[:, None]
        hung = [k for k, look in enumerate(looks) if look.skirt is not None]
        skirts = np.zeros((len(requests), len(self.looks.skirt_mesh.template) // 3, 3), np.float32)
        if hung:
            own = pose_joints(self.looks.skirt_mesh, columns[hung], people.pose[hung])
            skirts[hung] = skin_blocks(self._skirt, own, columns[hung]).numpy() + transl[hung, None]
        return Crowd(
            people=people,
            looks=looks,
            frame=np.array([request.key[1] for request in requests]),
            vertices=vertices,
            skirts=skirts,
            joints=skeleton.joints + transl[:, None],
            keypoints=self._points(skeleton, columns) + transl[:, None],
            transl=transl,
        )

    def person(self, row: int, spot: Spot, crowd: Crowd) -> PersonInScene:
        """Somebody at a spot: everything turned about +Y and moved, labels included."""
        look, people = crowd.looks[row], crowd.people
        surface = Surface(self.looks.topology, spot.place(crowd.vertices[row]), look.texture, look.specular, look.wrap)
        joints = spot.place(crowd.joints[row])
        pose = people.pose[row].numpy().copy()
        pose[0] = cv2.Rodrigues(spot.turn @ cv2.Rodrigues(pose[0].astype(np.float64))[0])[0].ravel()
        person = PersonInScene(
            surface=surface,
            keypoints_3d=spot.place(crowd.keypoints[row]),
            joints=joints,
            betas=people.betas[row].numpy(),
            pose=pose,
            transl=crowd.transl[row] + joints[0] - crowd.joints[row, 0],
            body=self.body.name,
            skeleton=self.body.joint_set,
            expression=people.expression[row].numpy() if self.body.num_expressions else None,
        )
        if look.skirt is not None:
            person.layers.append(
                Surface(self.looks.skirt_topology, spot.place(crowd.skirts[row]), look.skirt, specular=0.0)
            )
        return person
