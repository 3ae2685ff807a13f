"""Warp kernels of the ray-casting renderer: what each pixel's ray hits, and what that looks like.

What is hit is found in one of two ways with equal results: by a ray through each pixel centre (on a GPU), or by trying each
triangle on the pixels around it, several times as fast where one core does all the work.
"""

# mypy: disable-error-code="valid-type,misc,no-any-return"
# ruff: noqa: UP018, RUF046 - Warp wants int(...) and float(...) around variables that change in branches and loops
import warp as wp

from . import look

wp.set_module_options({"enable_backward": False, "fast_math": True})

KNEE = wp.constant(float(look.KNEE))
NEAR = wp.constant(float(look.NEAR))
FAR = wp.constant(float(look.FAR))
CELLS = wp.constant(look.LIGHT_CELLS)
TOPMOST = wp.constant(0.012)  # metres; what throws a shadow from nearer than this is the surface's own relief
PIERCED = wp.constant(16)  # faces seen from behind that a ray may pass before it gives up
SKIP = wp.constant(1.0e-5)  # share of the way a ray moves on behind such a face
SHADOW_LIFT = wp.constant(0.004)  # metres a shadow ray starts before the surface


@wp.struct
class Frame:
    """Camera, lights and ground of a frame; see ``glsl/frame.glsl`` for the fields.

    ``map_holds_shadow``: whether the occlusion map covers every shadow on the ground.
    """

    pixel_to_ray: wp.mat33
    pixel_to_camera: wp.mat33
    rotation: wp.mat33
    translation: wp.vec3
    eye: wp.vec3
    light_direction: wp.vec3
    lamp: wp.vec3
    plane_ambient: wp.vec3
    plane_light: wp.vec3
    ground_turn: wp.vec4
    ground_place: wp.vec4
    ground_look: wp.vec4
    occlusion_region: wp.vec4
    surfaces: int
    hard_shadow: int
    map_holds_shadow: int


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
class Shaded:
    """Light at the vertices, and the height field along the lamp's direction; see vertices.Lit."""

    direct: wp.array(dtype=wp.vec3)
    ambient: wp.array(dtype=wp.vec3)
    glint: wp.array(dtype=float)
    normals: wp.array(dtype=wp.vec3)
    light_basis: wp.mat33
    grid: wp.array2d(dtype=float)
    field: wp.array2d(dtype=float)


@wp.struct
class Hits:
    """What each pixel's ray hits: depth (0 nothing), surface, face (of all surfaces), weights of two corners."""

    depth: wp.array2d(dtype=float)
    surface: wp.array2d(dtype=int)
    face: wp.array2d(dtype=int)
    weights: wp.array2d(dtype=wp.vec2)


@wp.struct
class Picture:
    """What is returned; ``normals`` is empty unless asked for."""

    rgb: wp.array3d(dtype=wp.uint8)
    parts: wp.array2d(dtype=wp.uint8)
    instances: wp.array2d(dtype=wp.uint8)
    normals: wp.array3d(dtype=wp.int8)


@wp.struct
class Behind:
    """The ground behind the surfaces: its pyramid and its occlusion map."""

    ground: wp.array(dtype=wp.uint32)
    ground_levels: wp.array(dtype=wp.vec3i)  # first texel, height, width of each level
    occlusion: wp.array3d(dtype=wp.uint8)


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
    start = place + frame.light_direction * SHADOW_LIFT
    for index in range(frame.surfaces):
        if wp.mesh_query_ray_anyhit(surfaces.meshes[index], start, frame.light_direction, 10.0):
            return 0.0
    return 1.0


@wp.func
def is_topmost(shaded: Shaded, point: wp.vec3) -> bool:
    """Whether no point of the height field near ``point`` rises above it towards the lamp: then no ray is needed."""
    place = shaded.light_basis * point
    column = int((place[0] - shaded.grid[0, 0]) * shaded.grid[0, 2])
    row = int((place[1] - shaded.grid[0, 1]) * shaded.grid[0, 2])
    if column < 1 or row < 1 or column > CELLS - 2 or row > CELLS - 2:
        return False
    for down in range(-1, 2):
        for right in range(-1, 2):
            if shaded.field[0, (row + down) * CELLS + column + right] > place[2] + TOPMOST:
                return False
    return True


@wp.func
def ground_depth(frame: Frame, ray: wp.vec3) -> float:
    """Depth at which a ray meets the ground, or 0."""
    z = (frame.ground_look[0] - frame.eye[1]) / ray[1]
    spot = ground_spot(frame, frame.eye + ray * z)
    if (
        frame.ground_look[3] > 0.0
        and z > NEAR
        and z < FAR
        and wp.abs(spot[0]) <= frame.ground_place[2]
        and wp.abs(spot[1]) <= frame.ground_place[3]
    ):
        return z
    return 0.0


@wp.func
def ground_spot(frame: Frame, place: wp.vec3) -> wp.vec2:
    """A place on the ground in metres along its texture's axes."""
    x = place[0] - frame.ground_place[0]
    z = place[2] - frame.ground_place[1]
    turn = frame.ground_turn
    return wp.vec2(turn[0] * x + turn[1] * z, turn[2] * x + turn[3] * z)


@wp.kernel
def hit_by_rays(frame: Frame, surfaces: Surfaces, hits: Hits) -> None:
    """One ray a pixel against the surfaces' trees."""
    row, column = wp.tid()
    ray = frame.pixel_to_ray * wp.vec3(float(column), float(row), 1.0)  # camera z = 1: distances along it are depths
    origin = frame.eye + ray * NEAR
    limit = FAR - NEAR
    best = int(-1)
    face = int(0)
    weights = wp.vec2(0.0, 0.0)
    for index in range(frame.surfaces):
        query = hit_surface(surfaces.meshes[index], surfaces.offsets[index][3], origin, ray, limit)
        if query.result:
            limit = query.t
            best = index
            face = query.face + surfaces.offsets[index][1]
            weights = wp.vec2(query.u, query.v)
    hits.surface[row, column] = best
    hits.face[row, column] = face
    hits.weights[row, column] = weights
    hits.depth[row, column] = 0.0
    if best >= 0:
        hits.depth[row, column] = limit + NEAR


@wp.kernel
def to_camera(frame: Frame, points: wp.array(dtype=wp.vec3), seen: wp.array(dtype=wp.vec3)) -> None:
    """Points in the camera frame."""
    index = wp.tid()
    seen[index] = frame.rotation * points[index] + frame.translation


@wp.kernel
def hit_by_triangles(
    frame: Frame,
    surfaces: Surfaces,
    seen: wp.array(dtype=wp.vec3),
    K: wp.mat33,
    surface: int,
    hits: Hits,
) -> None:
    """One triangle of a surface against the pixels around it; launched on one core only, so nothing is atomic.

    With p, q, r the corners in the camera frame and d a pixel's ray, the weight of p is ``d . (q x r)`` over the sum of the
    three; products are of edges, ``q x (r - q)``, where float32 loses nothing that matters.
    """
    offset = surfaces.offsets[surface]
    face = offset[1] + wp.tid()
    corner = surfaces.corners[face]
    p = seen[offset[0] + corner[0]]
    q = seen[offset[0] + corner[1]]
    r = seen[offset[0] + corner[2]]
    normal = wp.cross(q - p, r - p)
    level = wp.dot(normal, p)
    if level < 0.0 or offset[3] == 1:
        height = hits.depth.shape[0]
        width = hits.depth.shape[1]
        left = int(0)
        right = width - 1
        upper = int(0)
        lower = height - 1
        nearest = wp.min(p[2], wp.min(q[2], r[2]))
        if nearest > NEAR:
            a = K * p / p[2]
            b = K * q / q[2]
            c = K * r / r[2]
            left = int(wp.ceil(wp.clamp(wp.min(a[0], wp.min(b[0], c[0])), -1.0e6, 1.0e6) - 0.01))
            right = int(wp.floor(wp.clamp(wp.max(a[0], wp.max(b[0], c[0])), -1.0e6, 1.0e6) + 0.01))
            upper = int(wp.ceil(wp.clamp(wp.min(a[1], wp.min(b[1], c[1])), -1.0e6, 1.0e6) - 0.01))
            lower = int(wp.floor(wp.clamp(wp.max(a[1], wp.max(b[1], c[1])), -1.0e6, 1.0e6) + 0.01))
        if wp.max(p[2], wp.max(q[2], r[2])) <= NEAR:
            right = int(-1)
        turn = wp.transpose(frame.pixel_to_camera)
        over_p = turn * wp.cross(q, r - q)
        over_q = turn * wp.cross(r, p - r)
        slope = turn * normal
        sign = float(-1.0)
        if level > 0.0:
            sign = 1.0
        for row in range(wp.max(upper, 0), wp.min(lower, height - 1) + 1):
            for column in range(wp.max(left, 0), wp.min(right, width - 1) + 1):
                pixel = wp.vec3(float(column), float(row), 1.0)
                total = wp.dot(slope, pixel) * sign
                one = wp.dot(over_p, pixel) * sign
                two = wp.dot(over_q, pixel) * sign
                if one >= 0.0 and two >= 0.0 and total > 0.0 and one + two <= total:
                    z = level * sign / total
                    old = hits.depth[row, column]
                    if z > NEAR and z < FAR and (old == 0.0 or z < old):
                        hits.depth[row, column] = z
                        hits.surface[row, column] = surface
                        hits.face[row, column] = face
                        hits.weights[row, column] = wp.vec2(one / total, two / total)


@wp.func
def show(picture: Picture, row: int, column: int, light: wp.vec3) -> None:
    """Write linear light as sRGB."""
    for channel in range(3):
        picture.rgb[row, column, channel] = wp.uint8(show_channel(light[channel]))


@wp.func
def write_normal(picture: Picture, row: int, column: int, normal: wp.vec3) -> None:
    """Write a unit normal of the camera frame."""
    for channel in range(3):
        picture.normals[row, column, channel] = wp.int8(wp.round(127.0 * normal[channel]))


@wp.kernel
def paint(frame: Frame, surfaces: Surfaces, shaded: Shaded, behind: Behind, hits: Hits, picture: Picture) -> None:
    """One pixel: its surface, unless the ground lies before it; where neither is, depth 0."""
    row, column = wp.tid()
    ray = frame.pixel_to_ray * wp.vec3(float(column), float(row), 1.0)
    z = hits.depth[row, column]
    floor_z = ground_depth(frame, ray)
    part = wp.uint8(0)
    instance = wp.uint8(0)
    if z > 0.0 and (floor_z == 0.0 or z <= floor_z):
        index = hits.surface[row, column]
        first = surfaces.offsets[index]
        at = hits.face[row, column]
        corner = surfaces.corners[at]
        weights = hits.weights[row, column]
        a = weights[0]
        b = weights[1]
        c = 1.0 - a - b
        i = first[0] + corner[0]
        j = first[0] + corner[1]
        k = first[0] + corner[2]
        uv = surfaces.corner_uv[at, 0] * a + surfaces.corner_uv[at, 1] * b + surfaces.corner_uv[at, 2] * c
        size = surfaces.sizes[index]
        albedo = to_linear(bilinear(surfaces.texels, first[2], size[0], size[1], uv[0], uv[1]))
        direct = shaded.direct[i] * a + shaded.direct[j] * b + shaded.direct[k] * c
        ambient = shaded.ambient[i] * a + shaded.ambient[j] * b + shaded.ambient[k] * c
        glint = shaded.glint[i] * a + shaded.glint[j] * b + shaded.glint[k] * c
        share = float(1.0)
        place = frame.eye + ray * z
        if frame.hard_shadow == 1 and direct[0] > 0.0:  # noqa: SIM102 - Warp's "and" computes both sides
            if not is_topmost(shaded, place):
                share = lit(frame, surfaces, place)
        show(picture, row, column, wp.cw_mul(albedo, direct * share + ambient) + frame.lamp * (glint * share))
        part = surfaces.parts[at]
        instance = surfaces.instances[index]
        if picture.normals.shape[0] > 0:
            normal = shaded.normals[i] * a + shaded.normals[j] * b + shaded.normals[k] * c
            write_normal(picture, row, column, frame.rotation * wp.normalize(normal))
    else:
        hits.depth[row, column] = floor_z
        normal = wp.vec3(0.0, 0.0, 0.0)
        if floor_z > 0.0:
            paint_ground(frame, surfaces, behind, ray, floor_z, row, column, picture)
            normal = frame.rotation * wp.vec3(0.0, wp.sign(-ray[1]), 0.0)
        if picture.normals.shape[0] > 0:
            write_normal(picture, row, column, normal)
    picture.parts[row, column] = part
    picture.instances[row, column] = instance


@wp.func
def paint_ground(
    frame: Frame, surfaces: Surfaces, behind: Behind, ray: wp.vec3, z: float, row: int, column: int, picture: Picture
) -> None:
    """One pixel of the ground."""
    place = frame.eye + ray * z
    region = frame.occlusion_region
    arrives = shade_at(behind.occlusion, (place[0] - region[0]) * region[2], (place[2] - region[1]) * region[3])
    if frame.hard_shadow == 1:
        share = float(1.0)
        # The soft shadow's map reaches farther than the hard shadow; beyond it, no ray is needed.
        if arrives[1] < 0.99 or frame.map_holds_shadow == 0:
            share = lit(frame, surfaces, place)
        arrives = wp.vec2(arrives[0], share)
    spot = ground_spot(frame, place)
    albedo = to_linear(ground_at(behind, frame.ground_look, ray, z, spot[0], spot[1]))
    show(picture, row, column, wp.cw_mul(albedo, frame.plane_ambient * arrives[0] + frame.plane_light * arrives[1]))


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
def ground_at(behind: Behind, look: wp.vec4, ray: wp.vec3, z: float, x: float, y: float) -> wp.vec3:
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
