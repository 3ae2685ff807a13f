"""Warp kernels that paint what each pixel sees: surfaces in the light at their vertices, and the ground."""

# mypy: disable-error-code="valid-type,misc,no-any-return"
# ruff: noqa: UP018 - Warp wants int(...) and float(...) around variables that change in branches and loops
import warp as wp

from .cast_kernels import Frame, Hits, Surfaces, ground_spot, ray_of
from .colour_kernels import bilinear, to_linear, trilinear

wp.set_module_options({"enable_backward": False, "fast_math": True})


@wp.struct
class Shaded:
    """Light at the vertices, see vertices.Lit; ``arrives``: of the lamp's light at each pixel, for hard shadows."""

    direct: wp.array(dtype=wp.vec3)
    ambient: wp.array(dtype=wp.vec3)
    glint: wp.array(dtype=float)
    normals: wp.array(dtype=wp.vec3)
    arrives: wp.array(dtype=float)


@wp.struct
class Behind:
    """The ground behind the surfaces: its pyramid and its occlusion map."""

    ground: wp.array(dtype=wp.uint32)
    ground_levels: wp.array(dtype=wp.vec3i)  # first texel, height, width of each level
    occlusion: wp.array(dtype=int)  # row by row, ambient + 256 directional share, 255 all
    side: int  # of the occlusion map


@wp.struct
class Picture:
    """What is returned, row by row or of some pixels; ``normals`` is empty unless asked for.

    ``red``, ``green``, ``blue``: linear light. Packed, lowest byte first, because whatever is written in single bytes has the
    compiler read all else again: ``labels`` part, instance; ``normals`` x, y, z, 0.
    """

    red: wp.array(dtype=float)
    green: wp.array(dtype=float)
    blue: wp.array(dtype=float)
    labels: wp.array(dtype=wp.uint16)
    normals: wp.array(dtype=int)


@wp.func
def write_light(picture: Picture, at: int, light: wp.vec3) -> None:
    """Write light."""
    picture.red[at] = light[0]
    picture.green[at] = light[1]
    picture.blue[at] = light[2]


@wp.func
def write_normal(frame: Frame, picture: Picture, at: int, normal: wp.vec3) -> None:
    """Write a unit normal of the world, or zero, in the camera frame."""
    seen = frame.rotation * normal * 127.0
    x = int(wp.round(seen[0])) & 255
    y = int(wp.round(seen[1])) & 255
    z = int(wp.round(seen[2])) & 255
    picture.normals[at] = x + (y << 8) + (z << 16)


@wp.kernel
def paint(frame: Frame, surfaces: Surfaces, shaded: Shaded, behind: Behind, hits: Hits, picture: Picture) -> None:
    """One pixel."""
    pixel = wp.tid()
    if hits.surface[pixel] >= 0:
        paint_surface(frame, surfaces, shaded, hits, pixel, picture, pixel)
        return
    normal = wp.vec3(0.0, 0.0, 0.0)
    z = hits.depth[pixel]
    if z > 0.0:
        ray = ray_of(frame, pixel)
        share = float(-1.0)
        if frame.hard_shadow == 1:
            share = shaded.arrives[pixel]
        write_light(picture, pixel, ground_light(frame, behind, ray * z, hits.weights[pixel][0], share))
        normal = wp.vec3(0.0, wp.sign(-ray[1]), 0.0)
    picture.labels[pixel] = wp.uint16(0)
    if picture.normals.shape[0] > 0:
        write_normal(frame, picture, pixel, normal)


@wp.kernel
def paint_surfaces(
    frame: Frame, surfaces: Surfaces, shaded: Shaded, hits: Hits, pixels: wp.array(dtype=int), picture: Picture
) -> None:
    """One of the pixels that see a surface; what is returned of it lies where it lies among them."""
    at = wp.tid()
    paint_surface(frame, surfaces, shaded, hits, pixels[at], picture, at)


@wp.func
def paint_surface(
    frame: Frame, surfaces: Surfaces, shaded: Shaded, hits: Hits, pixel: int, picture: Picture, to: int
) -> None:
    """A pixel that sees a surface, returned at ``to``."""
    index = hits.surface[pixel]
    first = surfaces.offsets[index]
    at = hits.face[pixel]
    corner = surfaces.corners[at]
    a = hits.weights[pixel][0]
    b = hits.weights[pixel][1]
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
    if frame.hard_shadow == 1:
        direct = direct * shaded.arrives[pixel]
        glint = glint * shaded.arrives[pixel]
    write_light(picture, to, wp.cw_mul(albedo, direct + ambient) + frame.lamp * glint)
    picture.labels[to] = wp.uint16(int(surfaces.parts[at]) + 256 * int(surfaces.instances[index]))
    if picture.normals.shape[0] > 0:
        normal = shaded.normals[i] * a + shaded.normals[j] * b + shaded.normals[k] * c
        write_normal(frame, picture, to, wp.normalize(normal))


@wp.func
def ground_light(frame: Frame, behind: Behind, away: wp.vec3, detail: float, share: float) -> wp.vec3:
    """Light of the ground ``away`` from the eye; ``share`` of the lamp's arrives, or the occlusion map says it if negative."""
    place = frame.eye + away
    region = frame.occlusion_region
    arrives = shade_at(
        behind.occlusion, behind.side, (place[0] - region[0]) * region[2], (place[2] - region[1]) * region[3]
    )
    light = arrives[1]
    if share >= 0.0:
        light = share
    spot = ground_spot(frame, place) * frame.ground_look[1]
    albedo = to_linear(trilinear(behind.ground, behind.ground_levels, detail, spot[0], spot[1]))
    return wp.cw_mul(albedo, frame.plane_ambient * arrives[0] + frame.plane_light * light)


@wp.func
def shade_at(values: wp.array(dtype=int), side: int, u: float, v: float) -> wp.vec2:
    """Ambient and directional share from the occlusion map, clamped to its border, bilinear."""
    x = wp.clamp(u * float(side) - 0.5, 0.0, float(side) - 1.001)
    y = wp.clamp(v * float(side) - 0.5, 0.0, float(side) - 1.001)
    column = int(x)
    row = int(y)
    a = x - float(column)
    b = y - float(row)
    at = row * side + column
    top = shares(values[at]) * (1.0 - a) + shares(values[at + 1]) * a
    low = shares(values[at + side]) * (1.0 - a) + shares(values[at + side + 1]) * a
    return (top * (1.0 - b) + low * b) * (1.0 / 255.0)


@wp.func
def shares(packed: int) -> wp.vec2:
    """Ambient and directional share of a packed texel, 0..255."""
    return wp.vec2(float(packed & 255), float(packed >> 8))
