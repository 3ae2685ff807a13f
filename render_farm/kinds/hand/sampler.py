"""From (seed, frame index) to a scene of hands.

Frames are sampled in aligned blocks of 32; all hands of a block are posed together. Everything about frame i is drawn from
``np.random.default_rng([seed, i, stream])``, one stream for each subsystem. Pools (skins, cloth, backgrounds) hang on
(seed, entry).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies.body import Body
from ...config import BLOCK
from ...looks.hands import HandSkin, HandSkins, Marks
from ...looks.hands_map import build_hand_map
from ...poses.angles import choose
from ...scenes.backgrounds import Backgrounds
from ...scenes.blur import sample_blur
from ...scenes.lens import sample_bend
from ...scenes.scene import Scene, Surface
from ...scenes.sensor import sample_sensor
from ...streams import Streams
from .backdrops import draw_place, draw_setting
from .composing import Placed, covering_hand, covering_thing, lift, second_hand
from .config import HandConfig, HandScene
from .dressing import Tailor, Wardrobe, Wear, draw_wear
from .hands import PosedHand, Wanted, pose_hands
from .model import HandModel
from .pair import SIDES, are_twins, check_sides, load_hands
from .placing import Aim, aim, place_camera
from .showing import Showing

Floats = NDArray[np.floating]


class Stream(IntEnum):
    """Child streams of a frame's randomness. Numbers are part of the data's definition: never renumber."""

    SHAPE = 0
    POSE = 1
    LOOK = 2
    BACKGROUND = 3
    CAMERA = 4
    LIGHTS = 5
    COVER = 6
    SENSOR = 7
    PLAN = 8
    ARM = 9
    SECOND = 10
    LENS = 11


@dataclass(frozen=True)
class Plan:
    """What a frame shows.

    Attributes:
        side: of the first hand. two: whether the other hand is there, too. kind: what the first holds, or None.
        view, place: see the config. resting: the hand lies on the desk. cover: what hides part of it, or None.
    """

    side: str
    two: bool
    kind: str | None
    view: str
    place: str
    resting: bool
    cover: str | None


class HandSampler:
    """Samples scenes of hands.

    Args:
        config: the ranges. bodies: MANO hands by side, loaded with ``use_pca=True``. seed: of the job.
        width, height: of the pictures, pixels. joint_sets: labelled joint sets.

    Raises:
        UserError: for a body that is no hand or of the wrong side, an age range it does not have, or an unusable folder.
    """

    def __init__(
        self,
        config: HandScene,
        bodies: dict[str, Body],
        seed: int,
        width: int = 224,
        height: int = 224,
        joint_sets: tuple[str, ...] = ("freihand21",),
    ) -> None:
        self.config, self.seed, self.width, self.height = config, seed, width, height
        self._streams = Streams(seed)
        check_sides(bodies)
        self.counts: Counter[str] = Counter()
        self.models = {side: HandModel(bodies[side], side, joint_sets) for side in SIDES}
        self.tailors = {side: Tailor(model) for side, model in self.models.items()}
        skin = config.skin
        maps = {side: build_hand_map(body, skin.texture) for side, body in bodies.items()}
        marks = Marks(skin.tone, skin.blotches, skin.veins, skin.creases, skin.polish)
        self.skins = HandSkins(marks, maps, seed, are_twins(bodies))
        self.backgrounds = Backgrounds(config.backgrounds, seed)
        self.wardrobe = Wardrobe(seed)
        self.showing = Showing(self.tailors, self.wardrobe, seed)

    def rng(self, index: int, stream: Stream) -> np.random.Generator:
        """The generator of one subsystem of one frame."""
        return self._streams(index, int(stream))

    def scenes(self, start: int) -> list[Scene]:
        """The 32 scenes of the block that begins at ``start``, a multiple of 32."""
        assert start % BLOCK == 0, f"blocks start at multiples of {BLOCK}, found {start}"
        self._streams.prepare((start + row, int(stream)) for row in range(BLOCK) for stream in Stream)
        plans = [self._plan(index) for index in range(start, start + BLOCK)]
        wanted: list[Wanted] = []
        for row, plan in enumerate(plans):
            wanted += self._wanted(start + row, row, plan)
        with torch.no_grad():
            hands = pose_hands(self.models, self.config, wanted, self.counts)
        by_frame: list[list[PosedHand]] = [[] for _ in plans]
        for each, hand in zip(wanted, hands, strict=True):
            by_frame[each.row].append(hand)
        return [self._scene(start + row, plan, by_frame[row]) for row, plan in enumerate(plans)]

    def _plan(self, index: int) -> Plan:
        config, rng = self.config, self.rng(index, Stream.PLAN)
        side = "left" if rng.random() < config.shape.left else "right"
        two, grasp, cover = (rng.random() for _ in range(3))
        kind = choose(rng, config.grasp.objects)
        view, place = choose(rng, config.camera.views), draw_place(rng, config.backgrounds)
        resting = bool(rng.random() < 0.5) and place == "desk" and view == "allocentric" and grasp >= config.grasp.share
        what = choose(rng, config.covers.kinds)
        alone = two >= config.shape.two
        return Plan(
            side, not alone, kind if grasp < config.grasp.share else None, view, place, resting,
            what if cover < config.covers.share and alone else None,
        )  # fmt: skip

    def _wanted(self, index: int, row: int, plan: Plan) -> list[Wanted]:
        """The hands of a frame: the first, the other of the same person, and one that covers."""
        shape, rng = self.rng(index, Stream.SHAPE), self.rng(index, Stream.POSE)
        own, foreign = self._betas(shape, plan.side), self._betas(shape, plan.side)
        wanted = [Wanted(row, plan.side, own, rng, plan.kind)]
        if plan.two:
            other = "left" if plan.side == "right" else "right"
            wanted.append(Wanted(row, other, own, self.rng(index, Stream.SECOND), None))
        if plan.cover in ("hand", "arm"):
            cover = self.rng(index, Stream.COVER)
            wanted.append(Wanted(row, SIDES[int(cover.integers(2))], foreign, cover, None))
        return wanted

    def _betas(self, rng: np.random.Generator, side: str) -> NDArray[np.float32]:
        shape, body = self.config.shape, self.models[side].body
        low, high = shape.years
        months = (12 * low, 12 * high) if body.population is not None else None
        return np.clip(body.sample_betas(rng, 1, months)[0], -shape.limit, shape.limit)

    def _scene(self, index: int, plan: Plan, hands: list[PosedHand]) -> Scene:
        look = self.rng(index, Stream.LOOK)
        numbers = look.integers(self.config.skin.pool, size=2)
        skins = [self.skins.skin(int(number)) for number in numbers]
        rng = self.rng(index, Stream.ARM)
        wears = [draw_wear(rng, self.config.arm) for _ in range(2)]
        first, turned = self._first(index, plan, hands[0], wears[0], skins[0])
        placed = [first]
        if plan.two:
            second, plain = self.rng(index, Stream.SECOND), replace(wears[0], watch=False, bangles=())
            placed.append(second_hand(second, first, hands[1], plain, self.tailors, turned, plan.resting))
        if plan.place == "desk":
            lift(placed, self.rng(index, Stream.SECOND).uniform(0, 0.12) if plan.view == "egocentric" else 0.0)
        points = np.concatenate([each.world(each.hand.vertices[::7]) for each in placed])
        camera = place_camera(
            self.rng(index, Stream.CAMERA), self.config.camera, turned, points, self.width, self.height
        )
        lens_rng = self.rng(index, Stream.LENS)
        camera = sample_bend(lens_rng, self.config.lens, camera)
        covers: list[Surface] = []
        if plan.cover in ("hand", "arm"):
            tailor, own = self.tailors[hands[-1].side], self.rng(index, Stream.COVER)
            other = (hands[-1], wears[1], skins[1], tailor, camera)
            placed.append(covering_hand(own, self.config.covers, plan.cover, first, *other))
        elif plan.cover == "thing":
            covers = [covering_thing(self.rng(index, Stream.COVER), self.config.covers, first, self.wardrobe, camera)]
        streams = self.rng(index, Stream.BACKGROUND), self.rng(index, Stream.LIGHTS)
        setting = draw_setting(*streams, self.backgrounds, plan.place, camera, self.config.lights)
        persons, occluders = self.showing.surfaces(self.rng(index, Stream.LOOK), placed, 1 + plan.two, camera)
        what = "" if first.hand.thing is None else f" holds={first.hand.thing.kind}"
        return Scene(
            camera=camera,
            persons=persons,
            backdrop=setting.backdrop,
            lights=setting.lights,
            occluders=occluders + covers,
            ground=setting.ground,
            source=f"seed={self.seed} frame={index} view={plan.view} place={plan.place}{what}",
            lens=sample_blur(lens_rng, self.config.lens, camera, persons),
            sensor=sample_sensor(self.rng(index, Stream.SENSOR), self.config.sensor),
        )

    def _first(self, index: int, plan: Plan, hand: PosedHand, wear: Wear, skin: HandSkin) -> tuple[Placed, Floats]:
        """The first hand, its middle knuckle at the origin, and the camera's rotation."""
        tailor, rng = self.tailors[plan.side], self.rng(index, Stream.CAMERA)
        arm = tailor.arm(hand, wear)
        up = None
        if hand.thing is not None and hand.turn is not None and hand.thing.upright and rng.random() < 0.75:
            up = hand.turn[:, 1] * (1 if hand.thing.grip == "pinch" or hand.turn[2, 1] > 0 else -1)
        direction = arm.direction() * tailor.model.mirror
        found: Aim = aim(
            rng, self.config.camera, plan.view, plan.side == "left", direction, up, plan.resting, plan.place == "desk"
        )
        return Placed(hand, wear, arm, found.hand, -found.hand @ hand.joints[4], skin), found.camera


def make_sampler(config: HandConfig) -> HandSampler:
    """The sampler of a job."""
    return HandSampler(config.scene, load_hands(config), config.seed, config.width, config.height, config.joint_sets)
