"""From (seed, frame index) to a scene of a clip.

Frame i belongs to clip ``i // clip_frames``. Everything about a clip is drawn from ``np.random.default_rng([seed, clip,
stream])``, one stream for each subsystem; only the sensor's noise hangs on the frame. A block of 32 frames lies in one
clip, whose plan (motions, looks, camera, furniture) is made once and kept until another clip is asked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from ....config import UserError
from ....models.bodies import load_body
from ....models.bodies.body import Body
from ....models.bodies.digest import body_digest
from ...config import BLOCK
from ...poses.angles import choose
from ...poses.points import point_reader
from ...scenes.furniture import Things
from ...scenes.lights import for_camera, sample_lights, wall_light
from ...scenes.scene import Ground, Lights, Scene, Surface
from ...scenes.sensor import SensorParams, sample_sensor
from ...scenes.trajectories import Subject, Trajectory, sample_trajectory
from ..registry import Inputs
from .actions import perform
from .beside import APART, beside
from .config import ClipConfig
from .figures import Figure, Figures, centre_of
from .grounds import POOL, Grounds
from .kicking import kick
from .motion import Motion, placed
from .panorama import Panoramas, Place
from .props import POOL as THINGS
from .props import furnish, stool
from .source import MotionSource, load_motion_source


class Stream(IntEnum):
    """Child streams of a clip's randomness. Numbers are part of the data's definition: never renumber."""

    SHAPE = 0
    MOTION = 1
    LOOK = 2
    BACKGROUND = 3
    CAMERA = 4
    LIGHTS = 5
    PROPS = 6
    SENSOR = 7
    PLACE = 8


@dataclass(frozen=True)
class ClipPlan:
    """All that holds for the frames of one clip.

    Attributes:
        number: of the clip. figures, motions: of its one or two people. trajectory: of the camera.
        props: static surfaces. sensor: without the frame's noise. rejected: draws that were refused, by reason.
    """

    number: int
    figures: list[Figure]
    motions: list[Motion]
    trajectory: Trajectory
    place: Place
    ground: Ground
    lights: Lights
    props: list[Surface]
    sensor: SensorParams
    rejected: Counter[str]


class ClipSampler:
    """Samples scenes of clips.

    Raises:
        UserError: for a body that is a hand or has no texture coordinates, a folder without panoramas, or a source
            without a motion that is long enough.
    """

    def __init__(self, config: ClipConfig, body: Body) -> None:
        self.config, self.body, self.seed = config, body, config.seed
        self.figures = Figures(config, body, 512 if max(config.width, config.height) <= 400 else 1024)
        self.grounds = Grounds(config.seed, 512)
        panoramas = config.scene.panoramas
        if self.figures.infant:  # they lie in rooms
            panoramas = panoramas.model_copy(update={"halls": 1.0})
        self.panoramas = Panoramas(panoramas, config.seed)
        self.things = Things(config.seed)
        self.source = _source(config)
        self.counts: Counter[str] = Counter()
        self._plan: ClipPlan | None = None

    def rng(self, clip: int, stream: Stream, *more: int) -> np.random.Generator:
        """The generator of one subsystem of one clip (and one of its people)."""
        return np.random.default_rng([self.seed, clip, int(stream), *more])

    def scenes(self, start: int) -> list[Scene]:
        """The 32 scenes of the block that begins at ``start``, a multiple of 32."""
        assert start % BLOCK == 0, f"blocks start at multiples of {BLOCK}, found {start}"
        number, first = divmod(start, self.config.clip_frames)
        plan = self.plan(number)
        if first == 0:  # once a clip, however many shards it lies in
            self.counts += plan.rejected
        frames = range(first, first + BLOCK)
        people = [self.figures.people(*pair, frames) for pair in zip(plan.figures, plan.motions, strict=True)]
        scenes = []
        for k, frame in enumerate(frames):
            camera = plan.trajectory.camera(frame, self.config.width, self.config.height)
            noise = int(self.rng(start + k, Stream.SENSOR, 1).integers(1 << 20))
            doing = "+".join(motion.name for motion in plan.motions)
            scenes.append(
                Scene(
                    camera=camera,
                    persons=[each[k] for each in people],
                    backdrop=plan.place.around.backdrop(camera),
                    lights=plan.lights,
                    occluders=plan.props,
                    ground=plan.ground,
                    source=f"seed={self.seed} frame={start + k} motion={doing} camera={plan.trajectory.kind}",
                    sensor=replace(plan.sensor, noise_offset=noise),
                    clip=number,
                    time=frame / self.config.fps,
                )
            )
        return scenes

    def plan(self, number: int) -> ClipPlan:
        """The plan of a clip; the last one is kept."""
        if self._plan is None or self._plan.number != number:
            self._plan = self._draw(number)
        return self._plan

    def _draw(self, number: int) -> ClipPlan:
        config, scene = self.config, self.config.scene
        place, rejected = self.rng(number, Stream.PLACE), Counter[str]()
        wants_second, heading = place.random() < scene.second, place.uniform(-np.pi, np.pi)
        figure, motion = self._person(number, 0, rejected)
        figures, motions = [figure], [placed(motion, heading, (0.0, 0.0))]
        subject = Subject(centre_of(motions[0]), figure.height, motions[0].lying)
        trajectory = sample_trajectory(
            self.rng(number, Stream.CAMERA), scene.trajectory, subject, config.fps, config.width, config.height
        )
        if wants_second:
            other, moves = self._person(number, 1, rejected)
            apart = APART * max(figure.height, other.height)
            placed_by = beside(place, moves, motions[0], apart, trajectory.positions)
            if placed_by is None:
                rejected["second_without_place"] += 1
            else:
                figures, motions = [figure, other], [motions[0], placed_by]
        background = self.rng(number, Stream.BACKGROUND)
        camera = trajectory.camera(0, config.width, config.height)
        around, ground = self.panoramas.draw(background, scene.lights, camera), int(background.integers(POOL))
        lights_rng = self.rng(number, Stream.LIGHTS)
        lights = for_camera(lights_rng, sample_lights(lights_rng, scene.lights), scene.lights, camera)
        where = "nursery" if motions[0].lying else "hall" if around.indoors else "outdoors"
        look, share = self.grounds.look(ground, where), background.random()
        yaw, shift = 2 * np.pi * share, background.uniform(-1, 1, 2)
        sole = 0.0 if motions[0].lying else max(each.sole for each in figures)
        floor = Ground(look.texture, look.tile, None, -sole, (float(shift[0]), float(shift[1])), float(yaw))
        shown = around if around.real else around.lit(wall_light(lights))
        if around.real:
            floor, lights = replace(around.around.ground(), height=-sole), around.around.lights()
        return ClipPlan(
            number=number,
            figures=figures,
            motions=motions,
            trajectory=trajectory,
            place=shown,
            ground=floor,
            lights=lights,
            props=self._props(number, figures, motions, trajectory, where != "outdoors"),
            sensor=sample_sensor(self.rng(number, Stream.SENSOR), scene.sensor),
            rejected=rejected,
        )

    def _person(self, number: int, who: int, rejected: Counter[str]) -> tuple[Figure, Motion]:
        """A figure and what it does, about the origin; refused draws are added to ``rejected``."""
        config = self.config
        figure = self.figures.draw(self.rng(number, Stream.SHAPE, who), self.rng(number, Stream.LOOK, who))
        rng = self.rng(number, Stream.MOTION, who)
        times = np.arange(config.clip_frames) / config.fps
        told = config.scene.motion
        from_source, action = rng.random() < told.source_share, choose(rng, told.actions)
        if self.source is not None and from_source:
            motion, refused = self.source.clip(rng, figure.target, len(times), config.fps, told.mirror, told.reverse)
            rejected["off_the_floor"] += refused
            return figure, motion
        if self.figures.infant:
            return figure, kick(rng, self.body, figure.target, figure.betas, times)
        return figure, perform(rng, action, figure.target, times, figure.seat_depth)

    def _props(
        self, number: int, figures: list[Figure], motions: list[Motion], trajectory: Trajectory, indoor: bool
    ) -> list[Surface]:
        rng = self.rng(number, Stream.PROPS)
        seats = rng.integers(THINGS, size=len(motions))
        paths = [motion.joints[:, 0] for motion in motions]
        height, eyes = figures[0].height, trajectory.positions
        surfaces = furnish(rng, self.config.scene.props, self.things, indoor, paths, eyes, height)
        for figure, motion, look in zip(figures, motions, seats, strict=True):
            if motion.seat is not None:
                surfaces.append(stool(motion.seat, self.things.texture(int(look), "wood"), figure.height))
        return surfaces


def _source(config: ClipConfig) -> MotionSource | None:
    path = config.scene.motion.source
    if path is None:
        return None
    return load_motion_source(path, config.body, (config.clip_frames - 1) / config.fps)


def make_sampler(config: ClipConfig) -> ClipSampler:
    """The sampler of a job."""
    return ClipSampler(config, load_body(config.body))


def describe_inputs(config: ClipConfig) -> Inputs:
    """Digests of body and motions, and the body's licence.

    Raises:
        UserError: for joint sets that the body cannot give, and infants or SMPL-H bodies without what they need.
    """
    body = load_body(config.body)
    if body.joint_set == "mano16":
        raise UserError(f"clips show whole bodies, body '{body.name}' is a hand: use body=open-person")
    point_reader(body, config.joint_sets)
    digests = {"body": body_digest(body)}
    source = _source(config)
    if source is not None:
        digests["motions"] = source.digest
    return Inputs(digests, body.licence)
