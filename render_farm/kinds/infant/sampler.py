"""From (seed, frame index) to a scene.

Frames are sampled in aligned blocks of 32 with one forward pass of the body. Everything about frame i is drawn from
``np.random.default_rng([seed, i, stream])``, one stream for each subsystem, so a frame is the same in whatever shard,
order or process it is drawn, and a change to, say, the cameras moves no pose. Pools (outfits, skins, bedding, toys)
hang on (seed, entry).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from ....models.bodies import load_body
from ....models.bodies.body import Body
from ...config import BLOCK
from ...poses.posing import POSE_STREAM, SHAPE_STREAM
from ...scenes.backgrounds import Backgrounds
from ...scenes.blur import sample_blur
from ...scenes.cameras import sample_camera
from ...scenes.lens import sample_bend
from ...scenes.lights import night_lights
from ...scenes.scene import Scene
from ...scenes.sensor import sample_sensor
from ...streams import Streams
from ..inputs import describe_body_inputs
from ..registry import Inputs
from .config import InfantConfig, InfantScene
from .look import Look
from .people import TWIN, Infant, People
from .surroundings import Surroundings


class Stream(IntEnum):
    """Child streams of a frame's randomness. Numbers are part of the data's definition: never renumber."""

    SHAPE = SHAPE_STREAM
    POSE = POSE_STREAM
    LOOK = 2
    BACKGROUND = 3
    CAMERA = 4
    LIGHTS = 5
    OCCLUDERS = 6
    SENSOR = 7
    LENS = 16
    COMPANY = 20
    FURNITURE = 21
    LEADS = 22
    ARMS = 23
    CLUTTER = 24


OWN = tuple(stream for stream in Stream if stream not in (Stream.SHAPE, Stream.POSE))
"""Streams that the sampler draws from itself."""
PLACED = {
    "occluders": Stream.OCCLUDERS,
    "furniture": Stream.FURNITURE,
    "leads": Stream.LEADS,
    "arms": Stream.ARMS,
    "clutter": Stream.CLUTTER,
}
"""Streams of what lies round the infants."""


def _with_texels(config: InfantScene, side: int) -> InfantScene:
    """Texture sizes left open, filled in for a picture of ``side`` pixels: finer texels than its pixels would not show."""
    texels = 256 if side <= 400 else 512
    wardrobe = config.wardrobe.model_copy(update={"texture": config.wardrobe.texture or texels})
    backgrounds = config.backgrounds.model_copy(update={"texture": config.backgrounds.texture or texels})
    return config.model_copy(update={"wardrobe": wardrobe, "backgrounds": backgrounds})


class InfantSampler:
    """Samples scenes of dressed infants.

    Args:
        config: the ranges.
        body: any SMPL-family body with 24 joints and texture coordinates.
        seed: of the job.
        width, height: of the pictures, pixels.
        joint_sets: labelled joint sets.

    Raises:
        UserError: for a body without texture coordinates, an age range it does not have, an unusable picture folder, or
            an unusable source of poses.
    """

    def __init__(
        self,
        config: InfantScene,
        body: Body,
        seed: int,
        width: int = 256,
        height: int = 256,
        joint_sets: tuple[str, ...] = ("coco17",),
    ) -> None:
        config = _with_texels(config, max(width, height))
        self.config, self.body, self.seed = config, body, seed
        self.width, self.height = width, height
        self._streams = Streams(seed)
        self.people = People(config, body, seed, joint_sets)
        self.counts = self.people.poser.counts
        self.backgrounds = Backgrounds(config.backgrounds, seed)
        self.surroundings = Surroundings(config.occluders, self.people.map, self.backgrounds, seed)

    def rng(self, index: int, stream: Stream) -> np.random.Generator:
        """The generator of one subsystem of one frame."""
        return self._streams(index, int(stream))

    def scenes(self, start: int) -> list[Scene]:
        """The 32 scenes of the block that begins at ``start``, a multiple of 32."""
        assert start % BLOCK == 0, f"blocks start at multiples of {BLOCK}, found {start}"
        indices = range(start, start + BLOCK)
        self._streams.prepare((index, int(stream)) for index in indices for stream in OWN)
        infants = self.people.block(indices, [self._look(index) for index in indices])
        with_company = [
            index
            for index in indices
            if self.rng(index, Stream.COMPANY).random() < self.config.twins and infants[index - start].lying
        ]
        firsts = [infants[index - start] for index in with_company]
        twins = self.people.twins(with_company, [self._look(TWIN + index) for index in with_company], firsts)
        company = dict(zip(with_company, twins, strict=True))
        return [
            self._scene(index, [infants[index - start], *([company[index]] if index in company else [])])
            for index in indices
        ]

    def _look(self, index: int) -> Look:
        return self.people.looks.look(self.rng(index, Stream.LOOK))

    def _scene(self, index: int, infants: list[Infant]) -> Scene:
        first, persons = infants[0], [infant.person for infant in infants]
        joints = first.person.joints
        vertices = np.concatenate([person.surface.vertices for person in persons])
        camera, view = sample_camera(
            self.rng(index, Stream.CAMERA),
            self.config.camera,
            vertices[::17],
            joints[15] - joints[0],
            self.width,
            self.height,
        )
        lens_rng = self.rng(index, Stream.LENS)
        camera = sample_bend(lens_rng, self.config.lens, camera)
        night = lens_rng.random() < self.config.night
        long = joints[15] - joints[[7, 8]].mean(0)
        light_rng = self.rng(index, Stream.LIGHTS)
        setting = self.backgrounds.surround(
            self.rng(index, Stream.BACKGROUND), light_rng, self.config.lights, camera, view, vertices, long, night
        )
        origin = f" pose={first.origin}" if first.origin else ""
        streams = {name: self.rng(index, stream) for name, stream in PLACED.items()}
        return Scene(
            camera=camera,
            persons=persons,
            backdrop=setting.backdrop,
            lights=night_lights(light_rng, camera, joints[0]) if night else setting.lights,
            occluders=self.surroundings.around(streams, camera, view, infants, setting),
            ground=setting.ground,
            source=f"seed={self.seed} frame={index} posture={first.plan.posture} view={view}{origin}",
            sensor=sample_sensor(self.rng(index, Stream.SENSOR), self.config.sensor, night),
            lens=sample_blur(lens_rng, self.config.lens, camera, persons),
        )


def make_sampler(config: InfantConfig) -> InfantSampler:
    """The sampler of a job."""
    body = load_body(config.body)
    return InfantSampler(config.scene, body, config.seed, config.width, config.height, config.joint_sets)


def describe_inputs(config: InfantConfig) -> Inputs:
    """Digests of body, poses and backgrounds, and the body's licence."""
    return describe_body_inputs(config, config.scene.poses, config.scene.backgrounds.folder)
