"""Warp kernels of the ray-casting renderer: the same formulas as the GLSL files, one ray through each pixel centre."""

# mypy: disable-error-code="valid-type,misc,no-any-return"
# ruff: noqa: UP018, RUF046 - Warp wants int(...) and float(...) around variables that change in branches and loops
import warp as wp

from . import shading

wp.set_module_options({"enable_backward": False, "fast_math": True})

KNEE = wp.constant(float(shading.KNEE))
GLOSS = wp.constant(float(shading.GLOSS))
NEAR = wp.constant(float(shading.NEAR))
FAR = wp.constant(float(shading.FAR))
REACH = wp.constant(wp.vec3(*shading.WRAP_TINT))
PIERCED = wp.constant(16)  # faces seen from behind that a ray may pass before it gives up
SKIP = wp.constant(1.0e-5)  # share of the way a ray moves on behind such a face
SHADOW_LIFT = wp.constant(0.004)  # metres a shadow ray starts before the surface


@wp.struct
class Frame:
    """Camera, lights and ground of a frame; see ``glsl/frame.glsl`` for the fields."""

    pixel_to_ray: wp.mat33
    eye: wp.vec3
    light_direction: wp.vec3
    light_colour: wp.vec3
    sky: wp.vec3
    floor_light: wp.vec3
    plane_light: wp.vec3
    ground_turn: wp.vec4
    ground_place: wp.vec4
    ground_look: wp.vec4
    occlusion_region: wp.vec4
    surfaces: int
    hard_shadow: int


@wp.struct
class Surfaces:
    """All surfaces of a scene, one entry each; the last three are concatenated over the surfaces.

    ``offsets``: first vertex, first face, first texel, and 1 if seen from both sides; ``sizes``: height and width of the
    texture; ``look``: specular, wrap, instance.
    """

    meshes: wp.array(dtype=wp.uint64)
    offsets: wp.array(dtype=wp.vec4i)
    sizes: wp.array(dtype=wp.vec2i)
    look: wp.array(dtype=wp.vec3)
    corners: wp.array(dtype=wp.vec3i)  # of each face: vertices, from the surface's first
    corner_uv: wp.array2d(dtype=wp.vec2)
    parts: wp.array(dtype=wp.uint8)
    texels: wp.array(dtype=wp.uint32)  # red + 256 green + 65536 blue


@wp.struct
class Shaded:
    """Light at the vertices: what the directional light gives, the ambient light, the highlight."""

    direct: wp.array(dtype=wp.vec3)
    ambient: wp.array(dtype=wp.vec3)
    glint: wp.array(dtype=wp.vec3)


@wp.struct
class Backdrops:
    """Pictures behind the surfaces: the ground's pyramid, its occlusion map, the backdrop."""

    ground: wp.array(dtype=wp.uint32)
    ground_levels: wp.array(dtype=wp.vec3i)  # first texel, height, width of each level
    occlusion: wp.array3d(dtype=wp.uint8)
    backdrop: wp.array3d(dtype=wp.uint8)


@wp.func
def to_linear(code: wp.vec3) -> wp.vec3:
    """SRGB to linear light, the polynomial of ``glsl/colour.glsl``."""
    square = wp.cw_mul(code, code)
    return wp.cw_mul(square, code) * 0.305306011 + square * 0.682171111 + code * 0.012522878


@wp.func
def show_channel(light: float) -> float:
    """Linear light to sRGB with the soft shoulder, 0..255."""
    over = wp.max(light - KNEE, 0.0) / (1.0 - KNEE)
    held = wp.min(light, KNEE) + (1.0 - KNEE) * over / (1.0 + over)
    root2 = wp.sqrt(held)
    root4 = wp.sqrt(root2)
    code = 0.662002687 * root2 + 0.684122060 * root4 - 0.323583601 * wp.sqrt(root4) - 0.0225411470 * held
    return wp.clamp(code, 0.0, 1.0) * 255.0 + 0.5


@wp.func
def unpack(texel: wp.uint32) -> wp.vec3:
    """Red, green and blue of a packed texel, 0..255."""
    code = int(texel)
    return wp.vec3(float(code & 255), float((code >> 8) & 255), float((code >> 16) & 255))


@wp.func
def bilinear(texels: wp.array(dtype=wp.uint32), first: int, height: int, width: int, u: float, v: float) -> wp.vec3:
    """Texture at (u, v), texel centres at half-integers, repeated, 0..1 in sRGB."""
    x = (u - wp.floor(u)) * float(width) - 0.5
    y = (v - wp.floor(v)) * float(height) - 0.5
    left = int(wp.floor(x))
    upper = int(wp.floor(y))
    a = x - float(left)
    b = y - float(upper)
    right = left + 1
    lower = upper + 1
    if left < 0:
        left = width - 1
    if upper < 0:
        upper = height - 1
    if right >= width:
        right = 0
    if lower >= height:
        lower = 0
    if left >= width:
        left = 0
    if upper >= height:
        upper = 0
    row = first + upper * width
    below = first + lower * width
    top = unpack(texels[row + left]) * (1.0 - a) + unpack(texels[row + right]) * a
    low = unpack(texels[below + left]) * (1.0 - a) + unpack(texels[below + right]) * a
    return (top * (1.0 - b) + low * b) * (1.0 / 255.0)


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


@wp.func
def lit(frame: Frame, surfaces: Surfaces, place: wp.vec3) -> float:
    """1 if nothing lies between a point and the light, else 0."""
    for index in range(frame.surfaces):
        query = wp.mesh_query_ray(
            surfaces.meshes[index], place + frame.light_direction * SHADOW_LIFT, frame.light_direction, 10.0
        )
        if query.result:
            return 0.0
    return 1.0


@wp.kernel
def shade_vertices(
    frame: Frame, attributes: wp.array2d(dtype=float), owner: wp.array(dtype=int), surfaces: Surfaces, shaded: Shaded
) -> None:
    """Lighting at each vertex, as ``glsl/surface_vertex.glsl``."""
    index = wp.tid()
    surface = owner[index]
    look = surfaces.look[surface]
    place = wp.vec3(attributes[index, 0], attributes[index, 1], attributes[index, 2])
    normal = wp.vec3(attributes[index, 3], attributes[index, 4], attributes[index, 5])
    to_eye = wp.normalize(frame.eye - place)
    if surfaces.offsets[surface][3] == 1 and wp.dot(normal, to_eye) < 0.0:
        normal = -normal
    cosine = wp.dot(normal, frame.light_direction)
    reach = REACH * look[1]
    direct = wp.vec3(
        wp.max((cosine + reach[0]) / (1.0 + reach[0]), 0.0),
        wp.max((cosine + reach[1]) / (1.0 + reach[1]), 0.0),
        wp.max((cosine + reach[2]) / (1.0 + reach[2]), 0.0),
    )
    share = attributes[index, 6]
    if frame.hard_shadow == 1:
        share = 1.0
    up = 0.5 + 0.5 * normal[1]
    middle = wp.normalize(to_eye + frame.light_direction)
    shine = wp.pow(wp.max(wp.dot(normal, middle), 1.0e-4), GLOSS) * wp.clamp(4.0 * cosine, 0.0, 1.0)
    shaded.direct[index] = wp.cw_mul(frame.light_colour, direct) * share
    shaded.ambient[index] = (frame.floor_light * (1.0 - up) + frame.sky * up) * attributes[index, 7]
    shaded.glint[index] = frame.light_colour * (look[0] * share * shine)


@wp.kernel
def cast(
    frame: Frame,
    surfaces: Surfaces,
    shaded: Shaded,
    behind: Backdrops,
    rgb: wp.array3d(dtype=wp.uint8),
    depth: wp.array2d(dtype=float),
    parts: wp.array2d(dtype=wp.uint8),
    instances: wp.array2d(dtype=wp.uint8),
) -> None:
    """One pixel: nearest surface, else ground, else backdrop."""
    row, column = wp.tid()
    ray = frame.pixel_to_ray * wp.vec3(float(column), float(row), 1.0)  # camera z = 1: distances along it are depths
    origin = frame.eye + ray * NEAR

    z = (frame.ground_look[0] - frame.eye[1]) / ray[1]
    offset_x = frame.eye[0] + z * ray[0] - frame.ground_place[0]
    offset_z = frame.eye[2] + z * ray[2] - frame.ground_place[1]
    turn = frame.ground_turn
    x = turn[0] * offset_x + turn[1] * offset_z
    y = turn[2] * offset_x + turn[3] * offset_z
    on_ground = (
        frame.ground_look[3] > 0.0
        and z > NEAR
        and z < FAR
        and wp.abs(x) <= frame.ground_place[2]
        and wp.abs(y) <= frame.ground_place[3]
    )
    limit = FAR - NEAR
    if on_ground:
        limit = z - NEAR

    best = int(-1)
    face = int(0)
    bary = wp.vec2(0.0, 0.0)
    for index in range(frame.surfaces):
        query = hit_surface(surfaces.meshes[index], surfaces.offsets[index][3], origin, ray, limit)
        if query.result:
            limit = query.t
            best = index
            face = query.face
            bary = wp.vec2(query.u, query.v)

    light = wp.vec3(0.0, 0.0, 0.0)
    if best >= 0:
        first = surfaces.offsets[best]
        at = first[1] + face
        corner = surfaces.corners[at]
        a = bary[0]
        b = bary[1]
        c = 1.0 - a - b
        i = first[0] + corner[0]
        j = first[0] + corner[1]
        k = first[0] + corner[2]
        uv = surfaces.corner_uv[at, 0] * a + surfaces.corner_uv[at, 1] * b + surfaces.corner_uv[at, 2] * c
        size = surfaces.sizes[best]
        albedo = to_linear(bilinear(surfaces.texels, first[2], size[0], size[1], uv[0], uv[1]))
        share = float(1.0)
        if frame.hard_shadow == 1:
            share = lit(frame, surfaces, origin + ray * limit)
        direct = (shaded.direct[i] * a + shaded.direct[j] * b + shaded.direct[k] * c) * share
        ambient = shaded.ambient[i] * a + shaded.ambient[j] * b + shaded.ambient[k] * c
        light = wp.cw_mul(albedo, direct + ambient)
        light += (shaded.glint[i] * a + shaded.glint[j] * b + shaded.glint[k] * c) * share
        depth[row, column] = limit + NEAR
        parts[row, column] = surfaces.parts[at]
        instances[row, column] = wp.uint8(surfaces.look[best][2])
    elif on_ground:
        region = frame.occlusion_region
        u = (offset_x + frame.ground_place[0] - region[0]) * region[2]
        v = (offset_z + frame.ground_place[1] - region[1]) * region[3]
        arrives = shade_at(behind.occlusion, u, v)
        if frame.hard_shadow == 1:
            arrives = wp.vec2(arrives[0], lit(frame, surfaces, frame.eye + ray * z))
        albedo = ground_at(behind, frame.ground_look, ray, z, x, y)
        light = wp.cw_mul(to_linear(albedo), frame.sky * arrives[0] + frame.plane_light * arrives[1])
        depth[row, column] = z
        parts[row, column] = wp.uint8(0)
        instances[row, column] = wp.uint8(0)
    else:
        for channel in range(3):
            rgb[row, column, channel] = behind.backdrop[row, column, channel]
        depth[row, column] = wp.inf
        parts[row, column] = wp.uint8(0)
        instances[row, column] = wp.uint8(0)
    if best >= 0 or on_ground:
        for channel in range(3):
            rgb[row, column, channel] = wp.uint8(show_channel(light[channel]))


@wp.func
def shade_at(values: wp.array3d(dtype=wp.uint8), u: float, v: float) -> wp.vec2:
    """Ambient and directional share from the occlusion map, clamped to its border, bilinear."""
    height = values.shape[0]
    width = values.shape[1]
    x = wp.clamp(u * float(width) - 0.5, 0.0, float(width) - 1.001)
    y = wp.clamp(v * float(height) - 0.5, 0.0, float(height) - 1.001)
    column = int(x)
    row = int(y)
    a = x - float(column)
    b = y - float(row)
    share = wp.vec2(0.0, 0.0)
    for channel in range(2):
        top = float(values[row, column, channel]) * (1.0 - a) + float(values[row, column + 1, channel]) * a
        low = float(values[row + 1, column, channel]) * (1.0 - a) + float(values[row + 1, column + 1, channel]) * a
        share[channel] = (top * (1.0 - b) + low * b) / 255.0
    return share


@wp.func
def ground_at(behind: Backdrops, look: wp.vec4, ray: wp.vec3, z: float, x: float, y: float) -> wp.vec3:
    """Ground texture at (x, y) metres from the pyramid level whose texels are as wide as the pixel, trilinear."""
    slant = wp.length(ray) / wp.max(wp.abs(ray[1]), 1.0e-4)
    lod = wp.log2(wp.max(look[2] * z * wp.sqrt(slant), 1.0e-6))
    lod = wp.clamp(lod, 0.0, float(behind.ground_levels.shape[0] - 1))
    level = int(lod)
    between = lod - float(level)
    size = behind.ground_levels[level]
    colour = bilinear(behind.ground, size[0], size[1], size[2], x * look[1], y * look[1])
    if between > 0.01:
        size = behind.ground_levels[level + 1]
        coarse = bilinear(behind.ground, size[0], size[1], size[2], x * look[1], y * look[1])
        colour = colour * (1.0 - between) + coarse * between
    return colour
