"""Who is seen in a clip: shape, clothes, and the posed, dressed surface of every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ....datasets.mocap.target import Target, body_target
from ....models.bodies.blocks import blocked, pose_joints, skin_blocks
from ....models.bodies.body import Body
from ....models.bodies.skinning import skin
from ...looks.adults import AdultLook, AdultLooks
from ...poses.points import PointReader, point_reader
from ...preview.dressing import INFANT_HEIGHT, dress_plainly
from ...renderers.mesh import vertex_normals
from ...scenes.bodies import body_topology
from ...scenes.scene import PersonInScene, Surface
from ...scenes.smooth import Floats
from ..person.figure import Figure as Build
from .config import ClipConfig
from .motion import Motion

INFANT_OUTFITS = 24
GREY_FROM = 55.0
"""Age in years from which hair may be grey."""


@dataclass(frozen=True)
class Figure:
    """One person of a clip.

    Attributes:
        betas: (N,) float32. expression: (E,) float32. target: the skeleton of this shape.
        look: texture and the dressed rest shape. height: from soles to crown at rest, metres. seat_depth: from the hip joints
            to the back of the thighs. sole: metres by which shoes are thicker than bare soles.
    """

    betas: NDArray[np.float32]
    expression: NDArray[np.float32]
    target: Target
    look: AdultLook
    height: float
    seat_depth: float
    sole: float


class Figures:
    """Draws figures of a job and poses them.

    Raises:
        UserError: for a body that is a hand, has no texture coordinates, or lacks points of the joint sets.
    """

    def __init__(self, config: ClipConfig, body: Body, texels: int) -> None:
        self.config, self.body, self.texels = config, body, texels
        body_target(body)  # refuses hands
        self.infant = float(np.ptp(body.template[:, 1])) < INFANT_HEIGHT
        self.looks = None if self.infant else AdultLooks(config.scene.looks, body, config.seed, texels)
        self._build = None if self.infant else Build(body)
        self.topology = body_topology(body)
        self._points: PointReader = point_reader(body, config.joint_sets)
        self._mesh = blocked(body.mesh)
        self._skirt = None if self.looks is None else blocked(self.looks.skirt_mesh)
        self._dominant = body.weights.argmax(1)

    def draw(self, shape: np.random.Generator, look: np.random.Generator) -> Figure:
        """Draw a shape and a look; each has its own stream."""
        body, limit = self.body, self.config.scene.limit
        years, expression = self._age(shape), 0.5 * shape.standard_normal(body.num_expressions).astype(np.float32)
        months = None if body.population_months is None else (12 * (years - 4), 12 * (years + 4))
        if self.infant and months is not None:
            months = (0.0, 24.0)
        betas = np.clip(body.sample_betas(shape, 1, months)[0], -limit, limit)
        worn = self._look(look, betas, years)
        rest = self._rest(betas)
        dressed = rest + worn.offset
        hips = np.isin(self._dominant, [1, 2])
        target = body_target(body, betas)
        thighs = rest[hips & (np.abs(rest[:, 1] - target.rest[1, 1]) < 0.12 * np.ptp(rest[:, 1]))]
        return Figure(
            betas=betas,
            expression=expression,
            target=target,
            look=worn,
            height=float(np.ptp(rest[:, 1])),
            seat_depth=float(target.rest[1, 2] - thighs[:, 2].min()),
            sole=max(0.0, float(rest[:, 1].min() - dressed[:, 1].min())),
        )

    def _age(self, rng: np.random.Generator) -> float:
        """Years; of a population that has nobody of that age, the nearest that it has."""
        years = float(rng.uniform(*self.config.scene.years))
        known = self.body.population_months
        return years if known is None else float(np.clip(years, known.min() / 12, known.max() / 12))

    def _look(self, rng: np.random.Generator, betas: NDArray[np.float32], years: float) -> AdultLook:
        old, number = rng.random() < (years - GREY_FROM) / 15, rng.integers(INFANT_OUTFITS)
        if self.looks is not None and self._build is not None:
            woman = self._build.woman(torch.from_numpy(betas)[None])[0]
            return self.looks.pick(rng, bool(woman), bool(old))
        dress = dress_plainly(self.body, "infant", self.config.seed * 1000 + int(number), self.texels)
        offset = dress.bulge[:, None] * vertex_normals(self.topology, self.body.template)
        return AdultLook(dress.texture, offset, dress.specular, dress.wrap, None, ("infant",))

    def _rest(self, betas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bare vertices (V, 3) at rest."""
        shape = self.body.shape_columns(torch.from_numpy(betas)[None])
        with torch.no_grad():
            return skin(self.body.mesh, shape, torch.zeros(1, self.body.joint_count, 3))[0][0].T.contiguous().numpy()

    def people(self, figure: Figure, motion: Motion, frames: range) -> list[PersonInScene]:
        """The figure in some frames of its motion: one forward pass."""
        body, count = self.body, len(frames)
        part = slice(frames.start, frames.stop)
        pose = np.ascontiguousarray(motion.pose[part], np.float32)
        transl = np.ascontiguousarray(motion.transl[part], np.float32)
        expression = torch.from_numpy(figure.expression)[None] if body.num_expressions else None
        shape = body.shape_columns(torch.from_numpy(figure.betas)[None], expression)
        scale = figure.height / float(np.ptp(body.template[:, 1]))
        worn = torch.from_numpy(np.ascontiguousarray(scale * figure.look.offset.T, np.float32))[None]
        with torch.no_grad():
            skeleton = pose_joints(body.mesh, shape, pose)
            vertices = skin_blocks(self._mesh, skeleton, shape, worn).numpy()
            vertices += transl[:, None]
            places = skeleton.joints + transl[:, None]
            keypoints = self._points(skeleton, shape) + transl[:, None]
            skirts = self._skirts(figure, shape, pose, transl)
        return [
            PersonInScene(
                Surface(self.topology, vertices[k], figure.look.texture, figure.look.specular, figure.look.wrap),
                keypoints[k],
                places[k],
                figure.betas,
                pose[k],
                transl[k],
                body.name,
                layers=[] if skirts is None else [skirts[k]],
                skeleton=body.joint_set,
                expression=figure.expression if body.num_expressions else None,
            )
            for k in range(count)
        ]

    def _skirts(
        self, figure: Figure, shape: torch.Tensor, pose: NDArray[np.float32], transl: NDArray[np.float32]
    ) -> list[Surface] | None:
        if figure.look.skirt is None or self.looks is None or self._skirt is None:
            return None
        skeleton = pose_joints(self._skirt.mesh, shape, pose)
        vertices = skin_blocks(self._skirt, skeleton, shape).numpy() + transl[:, None]
        return [Surface(self.looks.skirt_topology, each, figure.look.skirt, specular=0.0) for each in vertices]


def centre_of(motion: Motion) -> Floats:
    """Middle of the body (T, 3): the mean of its joints on the ground, half way between the lowest and the highest."""
    joints = motion.joints[:, :22]
    centre = joints.mean(1)
    centre[:, 1] = (joints[..., 1].min(1) + joints[..., 1].max(1)) / 2
    return np.asarray(centre, np.float64)
