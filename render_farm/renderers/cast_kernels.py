"""Warp kernels that find what each pixel's centre sees by a ray through it, and what all kernels know of a frame.

See triangle_kernels.py for the other way to find it.
"""

# mypy: disable-error-code="valid-type,misc,no-any-return"
# ruff: noqa: UP018, RUF046 - Warp wants int(...) and float(...) around variables that change in branches and loops
import warp as wp

from . import look

wp.set_module_options({"enable_backward": False, "fast_math": True})

NEAR = wp.constant(float(look.NEAR))
FAR = wp.constant(float(look.FAR))
PIERCED = wp.constant(16)  # faces seen from behind that a ray may pass before it gives up
SKIP = wp.constant(1.0e-5)  # share of the way a ray moves on behind such a face


@wp.struct
class Frame:
    """Camera, lights and ground of a frame; see ``glsl/frame.glsl`` for the fields.

    ``light_basis``: rows are the light's axes, two across the lamp's light and one towards it; ``pixel_to_light``,
    ``eye_to_light``: a pixel's ray and the eye in these; ``traced``: 1 to find pixels and shadows by rays through trees.
    """

    width: int
    height: int
    pixel_to_ray: wp.mat33
    pixel_to_camera: wp.mat33
    rotation: wp.mat33
    translation: wp.vec3
    eye: wp.vec3
    light_basis: wp.mat33
    pixel_to_light: wp.mat33
    eye_to_light: wp.vec3
    lamp: wp.vec3
    plane_ambient: wp.vec3
    plane_light: wp.vec3
    ground_turn: wp.vec4
    ground_place: wp.vec4
    ground_look: wp.vec4
    occlusion_region: wp.vec4
    surfaces: int
    hard_shadow: int
    traced: int


@wp.struct
class Surfaces:
    """All surfaces of a scene, one entry each; the last four are concatenated over the surfaces.

    ``offsets``: first vertex, first face, first texel, and 1 if seen from both sides; ``sizes``: height and width of the
    texture; ``instances``: numbers for the instance map.
    """

    meshes: wp.array(dtype=wp.uint64)
    offsets: wp.array(dtype=wp.vec4i)
    sizes: wp.array(dtype=wp.vec2i)
    instances: wp.array(dtype=wp.uint8)
    corners: wp.array(dtype=wp.vec3i)  # of each face: vertices, from the surface's first
    corner_uv: wp.array2d(dtype=wp.vec2)
    parts: wp.array(dtype=wp.uint8)
    texels: wp.array(dtype=wp.uint32)  # red + 256 green + 65536 blue


@wp.struct
class Hits:
    """What each pixel sees, row by row: depth (0 nothing), surface (-1 the ground), face (of all), weights of two corners.

    The first weight of the ground is its level of detail.
    """

    depth: wp.array(dtype=float)
    surface: wp.array(dtype=int)
    face: wp.array(dtype=int)
    weights: wp.array(dtype=wp.vec2)


@wp.func
def surface_of(frame: Frame, surfaces: Surfaces, face: int) -> int:
    """The surface that a face, counted over all surfaces, belongs to."""
    surface = int(0)
    for index in range(1, frame.surfaces):
        if surfaces.offsets[index][1] <= face:
            surface = index
    return surface


@wp.func
def centre_of(frame: Frame, pixel: int) -> wp.vec3:
    """Column, row, 1 of a pixel."""
    row = pixel / frame.width
    return wp.vec3(float(pixel - row * frame.width), float(row), 1.0)


@wp.func
def ray_of(frame: Frame, pixel: int) -> wp.vec3:
    """The ray through a pixel's centre, in the world; its camera z is 1, so that distances along it are depths."""
    return frame.pixel_to_ray * centre_of(frame, pixel)


@wp.func
def ground_spot(frame: Frame, place: wp.vec3) -> wp.vec2:
    """A place on the ground in metres along its texture's axes."""
    x = place[0] - frame.ground_place[0]
    z = place[2] - frame.ground_place[1]
    turn = frame.ground_turn
    return wp.vec2(turn[0] * x + turn[1] * z, turn[2] * x + turn[3] * z)


@wp.func
def ground_depth(frame: Frame, ray: wp.vec3) -> float:
    """Depth at which a ray meets the ground, or 0."""
    if frame.ground_look[3] == 0.0:
        return 0.0
    z = (frame.ground_look[0] - frame.eye[1]) / ray[1]
    if not (z > NEAR and z < FAR):
        return 0.0
    spot = ground_spot(frame, frame.eye + ray * z)
    if wp.abs(spot[0]) > frame.ground_place[2] or wp.abs(spot[1]) > frame.ground_place[3]:
        return 0.0
    return z


@wp.func
def log2_of(x: float) -> float:
    """Binary logarithm of a positive number within 0.01, from its exponent and a parabola through its mantissa."""
    bits = wp.cast(x, int)
    mantissa = wp.cast((bits & 0x7FFFFF) | 0x3F800000, float)
    return float((bits >> 23) - 127) + (2.0 - mantissa * 0.333333333) * mantissa - 1.666666667


@wp.func
def ground_detail(frame: Frame, ray: wp.vec3, z: float) -> float:
    """Binary logarithm of a pixel's width on the ground in texels."""
    # A slanted pixel counts as wide as the root of its length. All is to the fourth power here, which saves the roots.
    width = frame.ground_look[2] * z * frame.ground_look[2] * z
    slant = wp.dot(ray, ray) / wp.max(ray[1] * ray[1], 1.0e-8)
    return 0.25 * log2_of(wp.max(width * width * slant, 1.0e-20))


@wp.func
def hit_surface(mesh: wp.uint64, two_sided: int, origin: wp.vec3, ray: wp.vec3, limit: float) -> wp.MeshQueryRay:
    """Nearest hit before ``limit``; faces seen from behind are passed through unless the mesh is two-sided."""
    query = wp.mesh_query_ray(mesh, origin, ray, limit)
    if two_sided == 0:
        start = float(0.0)
        count = int(0)
        while query.result and query.sign < 0.0 and count < PIERCED:
            start = start + query.t * (1.0 + SKIP) + 1.0e-6
            query = wp.mesh_query_ray(mesh, origin + ray * start, ray, limit - start)
            count += 1
        query.t = query.t + start
        if query.result and query.sign < 0.0:
            query.result = False
    return query


@wp.kernel
def hit_by_rays(frame: Frame, surfaces: Surfaces, hits: Hits) -> None:
    """One ray a pixel against the surfaces' trees."""
    pixel = wp.tid()
    ray = ray_of(frame, pixel)
    depth = ground_depth(frame, ray)
    weights = wp.vec2(ground_detail(frame, ray, depth), 0.0)
    limit = FAR - NEAR
    if depth > 0.0:
        limit = depth - NEAR
    best = int(-1)
    face = int(0)
    for index in range(frame.surfaces):
        query = hit_surface(surfaces.meshes[index], surfaces.offsets[index][3], frame.eye + ray * NEAR, ray, limit)
        if query.result:
            limit = query.t
            depth = query.t + NEAR
            best = index
            face = query.face + surfaces.offsets[index][1]
            weights = wp.vec2(query.u, query.v)
    hits.depth[pixel] = depth
    hits.surface[pixel] = best
    hits.face[pixel] = face
    hits.weights[pixel] = weights
