"""From (seed, frame index) to a scene.

Frames are sampled in aligned blocks of 32 with one forward pass of the body. Everything about frame i is drawn from
``np.random.default_rng([seed, i, stream])``, one stream for each subsystem, so a frame is the same in whatever shard,
order or process it is drawn, and a change to, say, the cameras moves no pose. Pools (outfits, skins, bedding, toys)
hang on (seed, entry).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray

from ....models.bodies import load_body
from ....models.bodies.body import Body
from ....models.bodies.digest import body_digest
from ....models.bodies.skinning import skin
from ...config import BLOCK
from ...looks.bodymap import BodyMap, build_body_map
from ...looks.patterns import Bytes
from ...looks.skin import Skins
from ...looks.skirts import paint_skirt, skirt_mesh, skirt_topology
from ...looks.wardrobe import OUTFIT_STREAM, Wardrobe, dress
from ...poses.angles import Plan
from ...poses.mix import load_pose_mix
from ...poses.points import PointReader, point_reader
from ...poses.posing import POSE_STREAM, SHAPE_STREAM, Posed, Poser
from ...scenes import occluders as things
from ...scenes.backgrounds import Backgrounds
from ...scenes.cameras import sample_camera
from ...scenes.lights import sample_lights
from ...scenes.scene import Camera, PersonInScene, Scene, Surface, Topology
from ...scenes.sensor import sample_sensor
from ..registry import Inputs
from .config import InfantConfig, InfantScene

DISTINCT, OUTFIT_TRIES = 20.0, 4
"""An outfit whose mean colour is nearer (in Lab) to the skin's than this gives way to the next of the pool."""


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


@dataclass(frozen=True)
class PosedBlock:
    """A block of bodies at rest in the world.

    Attributes:
        plans: what each infant does. origins: which pose of which source, "" for drawn ones.
        betas: (B, N), pose: (B, 24, 3) axis-angle with global orientation, transl: (B, 3); float32.
        vertices: (B, V, 3) dressed (raised by cloth and hair). skirts: (B, S, 3) of a skirt, worn or not.
        joints: (B, 24, 3), keypoints: (B, K, 3) of the bare body.
    """

    plans: list[Plan]
    origins: list[str]
    betas: NDArray[np.float32]
    pose: NDArray[np.float32]
    transl: NDArray[np.float32]
    vertices: NDArray[np.float32]
    skirts: NDArray[np.float32]
    joints: NDArray[np.float32]
    keypoints: NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What one frame's infant looks like.

    Attributes:
        texture: (s, s, 3) uint8 of the dressed body. bulge: (V,) metres by which cloth and hair raise the vertices.
        specular: highlight of the skin. skirt: texture of a skirt, if one is worn.
    """

    texture: Bytes
    bulge: NDArray[np.float32]
    specular: float
    skirt: Bytes | None


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
        self.map: BodyMap = build_body_map(body, config.wardrobe.texture or 512)
        self.poser = Poser(body, config.poses, config.shape, seed)
        self.counts = self.poser.counts
        self.topology = Topology(body.name, body.faces, body.uv, body.uv_faces, body.part_ids)
        self.wardrobe = Wardrobe(config.wardrobe, self.map, seed)
        self.skins = Skins(config.skin, self.map, seed)
        self.backgrounds = Backgrounds(config.backgrounds, seed)
        self.toys = things.Toys(seed)
        self._skirt_mesh = skirt_mesh(body, self.wardrobe.cutter)
        self._skirt_topology = skirt_topology(f"{body.name}-skirt")
        self._skirt_textures: dict[int, Bytes] = {}
        self._normals = torch.from_numpy(np.ascontiguousarray(self.map.vertices.normal.T)).reshape(-1)
        self._points: PointReader = point_reader(body, joint_sets)

    def rng(self, index: int, stream: Stream) -> np.random.Generator:
        """The generator of one subsystem of one frame."""
        return np.random.default_rng([self.seed, index, int(stream)])

    def scenes(self, start: int) -> list[Scene]:
        """The 32 scenes of the block that begins at ``start``, a multiple of 32."""
        assert start % BLOCK == 0, f"blocks start at multiples of {BLOCK}, found {start}"
        indices = range(start, start + BLOCK)
        looks = [self._look(index) for index in indices]
        with torch.no_grad():
            block = self.pose_block(start, np.stack([look.bulge for look in looks]))
        return [self._scene(index, k, block, looks[k]) for k, index in enumerate(indices)]

    def _look(self, index: int) -> Look:
        rng = self.rng(index, Stream.LOOK)
        number, pool = int(rng.integers(self.config.wardrobe.pool)), self.config.wardrobe.pool
        skin_ = self.skins.skin(int(rng.integers(self.config.skin.pool)))
        for _ in range(OUTFIT_TRIES):  # clothes should be seen to be clothes
            outfit = self.wardrobe.outfit(number)
            if np.linalg.norm(outfit.colour - skin_.colour) > DISTINCT:
                break
            number = (number + 1) % pool
        skirt = None
        if outfit.skirt is not None:
            if number not in self._skirt_textures:
                own = np.random.default_rng([self.seed, OUTFIT_STREAM, number, 1])
                self._skirt_textures[number] = paint_skirt(own, outfit.skirt, self.wardrobe.cutter)
            skirt = self._skirt_textures[number]
        return Look(dress(skin_.texture, outfit), outfit.bulge + skin_.bulge, skin_.specular, skirt)

    def pose_block(self, start: int, bulges: NDArray[np.float32]) -> PosedBlock:
        """Pose, settle and skin a block.

        Args:
            bulges: (B, V) metres by which cloth and hair raise the vertices.
        """
        return self._skin(self.poser.pose(range(start, start + len(bulges))), torch.from_numpy(bulges))

    def _skin(self, posed: Posed, bulges: torch.Tensor) -> PosedBlock:
        """One forward pass of the dressed bodies; each frame's bulge enters as a shape direction of its own."""
        betas, pose = posed.betas, posed.pose
        mesh, count = self.body.mesh, len(bulges)
        raised = (bulges.repeat(1, 3)) * self._normals
        dressed = replace(
            mesh,
            shapedirs=torch.cat([mesh.shapedirs, raised]),
            joint_shapedirs=torch.cat([mesh.joint_shapedirs, torch.zeros(count, mesh.joint_shapedirs.shape[1])]),
        )
        planes, joints = skin(dressed, torch.cat([betas, torch.eye(count)], 1), pose)
        transl = torch.zeros(count, 3)
        transl[:, 1] = -planes[:, 1].amin(1) - torch.from_numpy(posed.sinks)
        transl[:, 0] = -0.5 * (planes[:, 0].amin(1) + planes[:, 0].amax(1))
        transl[:, 2] = -0.5 * (planes[:, 2].amin(1) + planes[:, 2].amax(1))
        vertices = (planes + transl[..., None]).transpose(1, 2).contiguous()
        skirts = (skin(self._skirt_mesh, betas, pose)[0] + transl[..., None]).transpose(1, 2).contiguous()
        keypoints = self._points(betas, pose) + transl[:, None]
        return PosedBlock(
            plans=posed.plans,
            origins=posed.origins,
            betas=betas.numpy(),
            pose=pose.numpy(),
            transl=transl.numpy(),
            vertices=vertices.numpy(),
            skirts=skirts.numpy(),
            joints=(joints + transl[:, None]).numpy(),
            keypoints=keypoints.contiguous().numpy(),
        )

    def _scene(self, index: int, k: int, block: PosedBlock, look: Look) -> Scene:
        vertices, joints = block.vertices[k], block.joints[k]
        surface = Surface(self.topology, vertices, look.texture, specular=0.5 * look.specular, wrap=0.3)
        person = PersonInScene(
            surface, block.keypoints[k], joints, block.betas[k], block.pose[k], block.transl[k], self.body.name
        )
        if look.skirt is not None:
            person.layers.append(Surface(self._skirt_topology, block.skirts[k], look.skirt, specular=0.0))
        camera, view = sample_camera(
            self.rng(index, Stream.CAMERA),
            self.config.camera,
            vertices[::17],
            joints[15] - joints[0],
            self.width,
            self.height,
        )
        long = joints[15] - joints[[7, 8]].mean(0)
        ground, backdrop = self.backgrounds.place(self.rng(index, Stream.BACKGROUND), camera, view, vertices, long)
        rng = self.rng(index, Stream.OCCLUDERS)
        origin = f" pose={block.origins[k]}" if block.origins[k] else ""
        return Scene(
            camera=camera,
            persons=[person],
            backdrop=backdrop,
            lights=sample_lights(self.rng(index, Stream.LIGHTS), self.config.lights),
            occluders=self._occluders(rng, camera, view, block.plans[k], vertices, joints),
            ground=ground,
            source=f"seed={self.seed} frame={index} posture={block.plans[k].posture} view={view}{origin}",
            sensor=sample_sensor(self.rng(index, Stream.SENSOR), self.config.sensor),
        )

    def _occluders(
        self, rng: np.random.Generator, camera: Camera, view: str, plan: Plan, vertices: NDArray, joints: NDArray
    ) -> list[Surface]:
        config = self.config.occluders
        lying = plan.posture in ("supine", "prone", "side")
        blanket = rng.random() < config.blanket and lying
        toy, rail = rng.random() < config.toy, rng.random() < config.rail and view != "above"
        low = float(joints[20:24, 1].min()) < 0.8 * float(joints[9, 1])  # hands below the chest: nothing hides behind
        table = rng.random() < config.support and plan.table.flat_feet and low
        cloth, look = int(rng.integers(config.pool)), int(rng.integers(config.pool))
        surfaces: list[Surface] = []
        if table:
            surfaces.append(things.table(rng, joints, self.toys.texture(look)))
        if blanket or toy:
            bumps = things.height_map(vertices)
            if blanket:
                feet = joints[[7, 8]].mean(0)
                texture = self.backgrounds.cloth(cloth).texture
                surfaces.append(things.drape_blanket(rng, config, bumps, feet, joints[15], texture))
            else:
                surfaces.append(things.place_toy(rng, config, bumps, joints, self.toys.texture(look), lying))
        if rail:
            surfaces += things.cot_rail(rng, camera, joints[0], self.toys.texture(look))
        return surfaces


def make_sampler(config: InfantConfig) -> InfantSampler:
    """The sampler of a job."""
    body = load_body(config.body)
    return InfantSampler(config.scene, body, config.seed, config.width, config.height, config.joint_sets)


def describe_inputs(config: InfantConfig) -> Inputs:
    """Digests of body and poses, and the body's licence."""
    body = load_body(config.body)
    point_reader(body, config.joint_sets)  # refuses joint sets that the body cannot give
    digests = {"body": body_digest(body)}
    if (poses := load_pose_mix(config.scene.poses, body.joint_set).digest) is not None:
        digests["poses"] = poses
    return Inputs(digests, body.licence)
