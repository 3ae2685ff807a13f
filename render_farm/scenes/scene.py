"""What a renderer is given and what it returns: plain dataclasses, numpy arrays, no device and no behaviour.

Conventions, used by every renderer and by the labels:

- World: Y up, metres; the support surface (bed, floor) lies at ``y = 0`` unless a :class:`Ground` says otherwise.
- Camera: OpenCV axes (x right, y down, z forward), ``X_cam = R @ X_world + t``, ``u = fx * X / Z + cx``. **Pixel centres
  lie at integer coordinates**: the picture covers ``-0.5 <= u < width - 0.5`` and a centred principal point is ``(W - 1) / 2``.
- Textures are ``uint8`` sRGB, row 0 first. Texture coordinates put ``(0, 0)`` at the **top-left corner of the array** and
  ``(1, 1)`` at its bottom-right corner (so ``u = (column + 0.5) / width``); outside of [0, 1] they repeat. Files in OBJ style,
  whose v axis points up, need ``v = 1 - v`` first.
- Colours of lights are linear RGB; a white Lambertian plate lit by ``colour = (1, 1, 1)`` from straight above shows as 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import UserError

Floats = NDArray[np.floating]
OCCLUDER = 255  # part id of whatever hides people: blankets, rails, toys, hands of others


@dataclass(frozen=True)
class Topology:
    """Static connectivity of a mesh. Renderers keep buffers for it under ``name``: one name, one topology.

    Attributes:
        name: unique and stable, for instance ``"open-infant"``.
        faces: (F, 3) int32 indices into the vertices of a surface; counter-clockwise seen from outside.
        uv: (T, 2) float32 texture coordinates, (0, 0) = top-left corner of the texture array.
        uv_faces: (F, 3) int32 indices into ``uv``.
        part_ids: (F,) uint8: body parts (1 + joint index of the body model), 255 an occluder.
        two_sided: False to draw faces from outside only, which halves the cost of closed bodies; True for open sheets
            (a blanket, a skirt). None finds out: one-sided if every edge joins two faces, else two-sided.
        poses: (S, V, 3) metres, a body at rest and bent, from which renderers learn which vertices they can do without
            where it is small; None has all of them drawn.
    """

    name: str
    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    uv_faces: NDArray[np.int32]
    part_ids: NDArray[np.uint8]
    two_sided: bool | None = None
    poses: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.faces)
        if self.faces.shape != (count, 3) or self.uv_faces.shape != (count, 3) or self.part_ids.shape != (count,):
            raise UserError(
                f"topology '{self.name}': faces {self.faces.shape}, uv_faces {self.uv_faces.shape} and part_ids "
                f"{self.part_ids.shape} must be (F, 3), (F, 3) and (F,) with one F"
            )
        if self.uv.ndim != 2 or self.uv.shape[1] != 2 or (count and int(self.uv_faces.max()) >= len(self.uv)):
            raise UserError(f"topology '{self.name}': uv must be (T, 2) and uv_faces must index it")

    @property
    def vertex_count(self) -> int:
        """Number of vertices a surface of this topology needs at least (highest index + 1)."""
        return int(self.faces.max()) + 1 if len(self.faces) else 0


@dataclass
class Surface:
    """A posed mesh with its look.

    Attributes:
        topology: connectivity, shared by all surfaces of the kind.
        vertices: (V, 3) float32 world positions in metres.
        texture: (h, w, 3) uint8 sRGB. Renderers cache it by object identity: never write into it after the first render.
        specular: strength of the highlight, 0 (cloth) to about 0.3 (moist skin).
        wrap: how far light creeps round the terminator, 0 (chalk) to about 0.5 (skin, fleece); wrapped Lambert.
        normals: (V, 3) float32 unit normals in world axes, or None to have them computed from the mesh.
        shade: (V,) float32 share of the ambient light that reaches each vertex past what the renderer's own shadows are too
            coarse for (fingers), or None for all of it.
    """

    topology: Topology
    vertices: NDArray[np.float32]
    texture: NDArray[np.uint8]
    specular: float = 0.05
    wrap: float = 0.25
    normals: NDArray[np.float32] | None = None
    shade: NDArray[np.float32] | None = None


@dataclass
class PersonInScene:
    """One person: what is drawn, and what the labels are made of.

    Attributes:
        surface: the body, painted or bare beneath ``layers`` (people are always dressed).
        keypoints_3d: (K, 3) world positions of the points of all labelled joint sets, one set after the other.
        joints: (J, 3) world positions of the model's joints (joint 0 is the root, about which the body turns).
        betas, pose, transl: parameters that place the body in the world: (N,), (J, 3) axis-angle with the global
            orientation first, (3,) metres.
        body: name or path of the body model.
        layers: further surfaces of this person: garments with thickness, hair. They carry body part ids, and count as
            the person in masks, boxes and visibility.
        skeleton: joint set of ``joints``: smpl24, smplx55 or mano16; part ids are 1 + its indices.
        expression: (E,) of SMPL-X, or None.
    """

    surface: Surface
    keypoints_3d: Floats
    joints: Floats
    betas: Floats
    pose: Floats
    transl: Floats
    body: str = ""
    layers: list[Surface] = field(default_factory=list)
    skeleton: str = "smpl24"
    expression: Floats | None = None


@dataclass
class Ground:
    """The horizontal plane people lie or stand on; it receives contact shade and the soft shadow of the light.

    Attributes:
        texture: (h, w, 3) uint8 sRGB, repeated every ``tile`` metres.
        tile: side length in metres of one repetition of the texture.
        half_size: half lengths (x, z) in metres of a finite rectangle (a mattress), or None for an endless floor.
        height: y of the plane.
        centre: (x, z) of the rectangle and of the texture's origin.
        yaw: rotation about +Y in radians of rectangle and texture.
    """

    texture: NDArray[np.uint8]
    tile: float = 1.0
    half_size: tuple[float, float] | None = None
    height: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    yaw: float = 0.0


@dataclass
class Lights:
    """One directional light and a hemisphere of ambient light; all colours linear RGB.

    Attributes:
        direction: (3,) towards the light, world axes; need not be normalised. ``direction[1] > 0`` for light from above.
        colour: (3,) of the directional light.
        sky, floor: (3,) ambient light arriving from above and from below.
        environment: (9, 3) light of a panorama in place of sky and floor, or None: spherical harmonics of the irradiance
            divided by pi (a white Lambertian plate with normal n shows ``environment.T @ Y(n)``), real harmonics up to
            degree 2 of (x, y, z) in world axes in the order 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2 with their
            usual constants (Ramamoorthi and Hanrahan 2001).
        softness: angular radius of the light in radians: 0.01 the sun, 0.3 a window; sets how soft shadows are.
    """

    direction: Floats = field(default_factory=lambda: np.array([0.4, 1.0, 0.3]))
    colour: Floats = field(default_factory=lambda: np.array([0.75, 0.72, 0.68]))
    sky: Floats = field(default_factory=lambda: np.array([0.38, 0.40, 0.44]))
    floor: Floats = field(default_factory=lambda: np.array([0.20, 0.18, 0.16]))
    softness: float = 0.15
    environment: Floats | None = None


@dataclass
class Camera:
    """Pinhole camera, OpenCV axes: ``X_cam = R @ X_world + t``; pixel centres at integer coordinates.

    Attributes:
        K: (3, 3) intrinsics in pixels. K[0, 1], the skew, is the shear of a rolling shutter while the camera pans.
        R, t: (3, 3) rotation and (3,) translation from world to camera.
        width, height: size of the picture in pixels.
        distortion: (5,) k1, k2, p1, p2, k3 of OpenCV's lens model, or None. Renderers draw pinhole cameras without skew;
            ``lens.py`` bends what they return.
    """

    K: Floats
    R: Floats
    t: Floats
    width: int
    height: int
    distortion: Floats | None = None

    @property
    def position(self) -> Floats:
        """(3,) centre of the camera in the world."""
        return -np.asarray(self.R).T @ np.asarray(self.t)


@dataclass
class Scene:
    """All that decides a picture.

    Attributes:
        camera, lights: see there.
        persons: at most 254 people.
        occluders: surfaces with part id 255 that hide people.
        ground: the plane beneath, or None.
        backdrop: (h, w, 3) uint8 sRGB, what is seen where nothing is hit; resampled to the picture if sizes differ.
        source: where the scene comes from (seed and index), kept with the labels.
        sensor: parameters of the camera's sensor, applied after rendering (see ``sensor.py``); None for a clean picture.
        lens: parameters of the lens (depth of field), applied after rendering (see ``lens.py``), or None.
        clip, time: number of the sequence and seconds since it began, or None for a single picture.
    """

    camera: Camera
    persons: list[PersonInScene]
    backdrop: NDArray[np.uint8]
    lights: Lights = field(default_factory=Lights)
    occluders: list[Surface] = field(default_factory=list)
    ground: Ground | None = None
    source: str = ""
    sensor: Any = None
    lens: Any = None
    clip: int | None = None
    time: float | None = None

    def surfaces(self) -> list[tuple[Surface, int]]:
        """Every surface with its instance number: 1 + person index, or 255 for occluders."""
        people = [(s, i + 1) for i, p in enumerate(self.persons) for s in (p.surface, *p.layers)]
        return people + [(s, OCCLUDER) for s in self.occluders]


@dataclass
class Rendered:
    """What a renderer returns; all arrays C-contiguous, row 0 at the top.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB.
        depth: (H, W) float32 camera z in metres at the pixel centre; inf where no person, occluder or ground is hit.
        parts: (H, W) uint8: 0 ground and backdrop, body parts (1 + joint index), 255 occluders.
        instances: (H, W) uint8: 0 ground and backdrop, 1 + person index, 255 occluders.
        normals: (H, W, 3) int8, 127 times the unit normal in the camera frame (OpenCV axes), 0 where nothing was hit; None
            unless the renderer was asked for them.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    parts: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    normals: NDArray[np.int8] | None = None
