"""From (seed, frame index) to a scene with people.

Blocks of 32 frames share one forward pass of all their people. What frame i shows is drawn from generators of
(seed, i, stream, ...) alone; looks, walls, floors and furniture are pools of the job.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies import load_body
from ....models.bodies.body import Body
from ...config import BLOCK
from ...looks.adults import AdultLooks
from ...poses.angles import choose
from ...poses.config import PoseConfig
from ...scenes.backgrounds import Backgrounds, Setting
from ...scenes.blur import sample_blur
from ...scenes.furniture import Things
from ...scenes.lens import sample_bend
from ...scenes.lights import LUMINANCE, for_camera, sample_lights, wall_light
from ...scenes.photographs import shaded, suit_photograph
from ...scenes.scene import Camera, Ground, Lights, PersonInScene, Scene, Surface
from ...scenes.sensor import sample_sensor
from ...scenes.surroundings import place_panorama
from ...streams import Streams
from ..inputs import describe_body_inputs
from ..registry import Inputs
from . import props
from .activities import ACTIVITIES
from .camera import in_the_way, sample_view
from .config import PersonConfig, PersonScene
from .crowd import Crowd, Crowds
from .places import Places
from .placing import Footprint, place_people
from .posing import Poser, Request

_STEEP = -0.6
"""Vertical part of a view from which on photographs, which are seldom taken so, do without their own ground."""
_THIN = 23
"""Every so many vertices stand for a body where people are placed and framed."""


class Stream(IntEnum):
    """Child streams of a frame's randomness. Numbers are part of the data's definition: never renumber."""

    PEOPLE = 10
    LOOK = 11
    PLACING = 12
    CAMERA = 13
    PLACE = 14
    LIGHTS = 15
    THINGS = 16
    SENSOR = 17
    LENS = 18


class PersonSampler:
    """Samples scenes with people.

    Args:
        config: the ranges. body: an SMPL-X body, or an SMPL one (which has no fingers and no expressions).
        seed: of the job. width, height: of the pictures, pixels. joint_sets: labelled joint sets.

    Raises:
        UserError: for a body without texture coordinates, an unusable picture folder, or an unusable source of poses.
    """

    def __init__(
        self,
        config: PersonScene,
        body: Body,
        seed: int,
        width: int = 256,
        height: int = 256,
        joint_sets: tuple[str, ...] = ("coco17",),
    ) -> None:
        self.config, self.body, self.seed = config, body, seed
        self.width, self.height = width, height
        self._streams = Streams(seed)
        fine = max(width, height) > 600
        self.poser = Poser(body, config.poses, config.people)
        self.counts: Counter[str] = self.poser.counts
        self.looks = AdultLooks(config.looks, body, seed, 1024 if fine else 512)
        self.places = Places(config.places, seed, 512 if fine else 256)
        self.backgrounds = Backgrounds(config.backgrounds, seed)
        self.things = Things(seed)
        self.crowds = Crowds(body, self.poser, self.looks, Stream.LOOK, joint_sets)

    def rng(self, index: int, stream: Stream, *more: int) -> np.random.Generator:
        """The generator of one subsystem of one frame (and one of its people)."""
        return self._streams(index, int(stream), *more)

    def scenes(self, start: int) -> list[Scene]:
        """The 32 scenes of the block that begins at ``start``, a multiple of 32."""
        assert start % BLOCK == 0, f"blocks start at multiples of {BLOCK}, found {start}"
        indices = range(start, start + BLOCK)
        self._streams.prepare((index, int(stream)) for index in indices for stream in Stream)
        requests = [request for index in indices for request in self._requests(index)]
        with torch.no_grad():
            crowd = self.crowds.draw(requests)
        return [self._scene(index, np.flatnonzero(crowd.frame == index), crowd) for index in indices]

    def _requests(self, index: int) -> list[Request]:
        """How many people a frame has, and what each does."""
        rng, config = self.rng(index, Stream.PEOPLE), self.config
        count = int(choose(rng, config.people.count))
        first = choose(rng, config.poses.activities)
        activities = [first]
        for _ in range(3):
            other, same = choose(rng, config.poses.activities), rng.random() < config.poses.together
            activities.append(first if same else other)
        return [Request((self.seed, index, k), activities[k]) for k in range(count)]

    def _scene(self, index: int, rows: NDArray[np.intp], crowd: Crowd) -> Scene:
        spots, taken = place_people(
            self.rng(index, Stream.PLACING), self.config.people, [crowd.vertices[row, ::_THIN] for row in rows]
        )
        placed = [(int(row), spot) for row, spot in zip(rows, spots, strict=True) if spot is not None]
        people = [self.crowds.person(row, spot, crowd) for row, spot in placed]
        camera, view = sample_view(
            self.rng(index, Stream.CAMERA),
            self.config.camera,
            [person.surface.vertices[::_THIN] for person in people],
            [np.asarray(person.joints) for person in people],
            placed[0][1].yaw,
            self.width,
            self.height,
        )
        kept = [
            k for k, person in enumerate(people) if k == 0 or not in_the_way(camera, person.surface.vertices[::_THIN])
        ]
        people, placed = [people[k] for k in kept], [placed[k] for k in kept]
        doing = [crowd.people.activities[row] for row, _ in placed]
        lens_rng = self.rng(index, Stream.LENS)
        camera = sample_bend(lens_rng, self.config.lens, camera)
        indoor, setting = self._setting(index, camera, people, doing)
        origins = "".join(f" pose={crowd.people.origins[row]}" for row, _ in placed if crowd.people.origins[row])
        things = self._things(index, camera, people, doing, indoor, taken, setting.ground)
        backdrop = setting.backdrop
        if setting.ground is None:  # a photograph
            points = [each.surface.vertices[::5] for each in people] + [thing.vertices for thing in things]
            backdrop = shaded(backdrop, camera, setting.lights, np.concatenate(points))
        return Scene(
            camera=camera,
            persons=people,
            backdrop=backdrop,
            lights=setting.lights,
            occluders=things,
            ground=setting.ground,
            source=f"seed={self.seed} frame={index} people={'+'.join(doing)} view={view}{origins}",
            sensor=sample_sensor(self.rng(index, Stream.SENSOR), self.config.sensor),
            lens=sample_blur(lens_rng, self.config.lens, camera, people),
        )

    def _setting(
        self, index: int, camera: Camera, people: list[PersonInScene], doing: list[str]
    ) -> tuple[bool, Setting]:
        """Whether a frame is indoors, what people stand on, what is behind, and the light."""
        rng, config = self.rng(index, Stream.PLACE), self.config
        draw, folder, with_ground, matched = rng.random(4)
        share = config.places.indoor * (0.35 if {"running", "jumping", "sport"} & set(doing) else 1.0)
        indoor = bool(draw < share)
        ranges = config.indoor_lights if indoor else config.outdoor_lights
        lights_rng = self.rng(index, Stream.LIGHTS)
        lights = for_camera(lights_rng, sample_lights(lights_rng, ranges), ranges, camera)
        inside = np.concatenate([camera.position[None], *(person.surface.vertices[::_THIN] for person in people)])
        place = self.places.place(rng, indoor, inside)
        pictures = self.backgrounds.pictures
        if pictures is None or folder >= config.backgrounds.folder_share:
            return indoor, Setting(place.ground, lit(self.places.backdrop(rng, place, camera), lights), lights)
        number, own = pictures.choose(rng), with_ground < config.backgrounds.folder_ground
        panorama = pictures.panorama(number)
        if panorama is None:
            photo, own = pictures.photo(rng, number, camera), own or camera.R[2, 1] < _STEEP
            return indoor, Setting(place.ground if own else None, photo, suit_photograph(lights, photo, camera))
        around = place_panorama(rng, panorama, config.backgrounds, ranges, camera)
        fits = matched < config.backgrounds.matched
        ground = around.ground() if fits else place.ground if own else None
        return indoor, Setting(ground, around.backdrop(camera), around.lights() if fits else lights, around)

    def _things(
        self,
        index: int,
        camera: Camera,
        people: list[PersonInScene],
        doing: list[str],
        indoor: bool,
        taken: Footprint,
        ground: Ground | None,
    ) -> list[Surface]:
        rng, config = self.rng(index, Stream.THINGS), self.config.things
        surfaces: list[Surface] = []
        for person, activity in zip(people, doing, strict=True):
            table, held = rng.random() < config.table, rng.random() < config.held
            if activity in ACTIVITIES and ACTIVITIES[activity].support == "seat":
                surfaces.append(props.seat_for(rng, self.things, config.pool, person, indoor))
                top = props.table_for(rng, self.things, config.pool, person) if table else None
                surfaces += [] if top is None else [top]
            elif held and activity not in ("fours", "lying", "prone", "side"):
                surfaces.append(props.held_by(rng, self.things, config.pool, person))
        for surface in surfaces:
            taken.add(surface.vertices)
        if rng.random() < config.front:
            surfaces += props.in_front(rng, self.things, config.pool, camera, people)
        size = max(float(np.hypot(*np.asarray(person.joints)[:, [0, 2]].T).max()) for person in people)
        return surfaces + props.about(rng, self.things, config, indoor, taken, camera, size, ground)


def lit(backdrop: NDArray[np.uint8], lights: Lights) -> NDArray[np.uint8]:
    """A backdrop in the light of the scene: as bright as an upright wall is in it, and somewhat of its colour."""
    colour = np.asarray(lights.sky) + np.asarray(lights.colour)
    gain = (wall_light(lights) * (colour / (colour @ LUMINANCE)) ** 0.7) ** (1 / 2.2)
    table = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(backdrop, table[None]), np.uint8)


def make_sampler(config: PersonConfig) -> PersonSampler:
    """The sampler of a job."""
    body = load_body(config.body)
    return PersonSampler(config.scene, body, config.seed, config.width, config.height, config.joint_sets)


def describe_inputs(config: PersonConfig) -> Inputs:
    """Digests of body, poses and backgrounds, and the body's licence."""
    return describe_body_inputs(config, PoseConfig(sources=config.scene.poses.sources), config.scene.backgrounds.folder)
