"""Warp kernels over the vertices of a scene: normals, self-shadow, light. The formulas of the look stand here alone: every
backend interpolates what :func:`light` leaves at the vertices."""

# mypy: disable-error-code="valid-type,misc,no-any-return,operator"
# ruff: noqa: UP018, RUF046 - Warp wants int(...) and float(...) around variables that change in branches and loops
import warp as wp

from . import look
from .shadows import ABOVE as LOWEST

wp.set_module_options({"enable_backward": False, "fast_math": True})

CELLS = wp.constant(look.LIGHT_CELLS)
FADE = wp.constant(float(look.FADE_CELLS))
REACH = wp.constant(wp.vec3(*look.WRAP_TINT))
LIGHT_BIAS = wp.constant(look.LIGHT_BIAS)
LIGHT_SPREAD = wp.constant(look.LIGHT_SPREAD)
SKY_BIAS = wp.constant(look.SKY_BIAS)
SKY_SPREAD = wp.constant(look.SKY_SPREAD)
SKY_STRENGTH = wp.constant(look.SKY_STRENGTH)
NEAR_GROUND = wp.constant(look.NEAR_GROUND)
NEAR_GROUND_STRENGTH = wp.constant(look.NEAR_GROUND_STRENGTH)
EMPTY = wp.constant(-1.0e30)
ABOVE = wp.constant(LOWEST)


@wp.struct
class Lamp:
    """Light of a frame. The bases' rows are two axes across the light and towards it; the sky's direction is up.

    ``ground``: height of the ground in metres, or -1e30 without one.
    """

    light_basis: wp.mat33
    sky_basis: wp.mat33
    colour: wp.vec3
    eye: wp.vec3
    ground: float
    soft_shadow: int
    sky_shadow: int
    shaded: int


@wp.func
def basis_of(lamp: Lamp, view: int) -> wp.mat33:
    """The basis of the light (0) or of the sky (1)."""
    if view == 0:
        return lamp.light_basis
    return lamp.sky_basis


@wp.kernel
def cross_faces(
    points: wp.array(dtype=wp.vec3), first: int, faces: wp.array(dtype=wp.vec3i), crossed: wp.array(dtype=wp.vec3)
) -> None:
    """Twice the area times the normal of each face; the surface's vertices begin at ``first``."""
    index = wp.tid()
    face = faces[index]
    corner = points[first + face[0]]
    crossed[index] = wp.cross(points[first + face[1]] - corner, points[first + face[2]] - corner)


@wp.kernel
def unite_normals(
    crossed: wp.array(dtype=wp.vec3),
    starts: wp.array(dtype=int),
    incident: wp.array(dtype=int),
    first: int,
    normals: wp.array(dtype=wp.vec3),
) -> None:
    """Unit normals at the vertices: faces' normals weighted by area; zero for vertices in no face."""
    index = wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    for at in range(starts[index], starts[index + 1]):
        total += crossed[incident[at]]
    normals[first + index] = wp.normalize(total)


@wp.kernel
def place_samples(
    points: wp.array(dtype=wp.vec3),
    first: int,
    faces: wp.array(dtype=wp.vec3i),
    weights: wp.array(dtype=wp.vec3),
    begin: int,
) -> None:
    """Points on the faces of coarse meshes, written from ``begin`` on."""
    index, sample = wp.tid()
    face = faces[index]
    share = weights[sample]
    at = begin + index * weights.shape[0] + sample
    points[at] = (
        points[first + face[0]] * share[0] + points[first + face[1]] * share[1] + points[first + face[2]] * share[2]
    )


@wp.kernel
def scatter(
    points: wp.array(dtype=wp.vec3), lamp: Lamp, grid: wp.array2d(dtype=float), field: wp.array2d(dtype=float)
) -> None:
    """The highest point in each cell of each view; points outside of the grid hide nothing on it."""
    view, index = wp.tid()
    place = basis_of(lamp, view) * points[index]
    x = (place[0] - grid[view, 0]) * grid[view, 2]
    y = (place[1] - grid[view, 1]) * grid[view, 2]
    if x < 0.0 or y < 0.0 or x >= float(CELLS) or y >= float(CELLS):
        return
    wp.atomic_max(field, view, int(y) * CELLS + int(x), place[2])


@wp.func
def free(
    place: wp.vec3,
    view: int,
    grid: wp.array2d(dtype=float),
    field: wp.array2d(dtype=float),
    bias: float,
    spread: float,
) -> float:
    """1 where nothing rises above a place (in a view's axes) towards its direction, 0 where it is hidden.

    The field is read bilinearly, which makes the edges of shadows soft. Towards the grid's border shadows fade out.
    """
    x = (place[0] - grid[view, 0]) * grid[view, 2] - 0.5
    y = (place[1] - grid[view, 1]) * grid[view, 2] - 0.5
    inside = wp.min(wp.min(x, y), float(CELLS - 1) - wp.max(x, y))
    if inside <= 0.0:
        return 1.0
    column = int(x)
    row = int(y)
    a = x - float(column)
    b = y - float(row)
    at = row * CELLS + column
    least = place[2] - 0.3  # empty cells: far below
    top = wp.max(field[view, at], least) * (1.0 - a) + wp.max(field[view, at + 1], least) * a
    at += CELLS
    low = wp.max(field[view, at], least) * (1.0 - a) + wp.max(field[view, at + 1], least) * a
    over = top * (1.0 - b) + low * b - place[2] - bias
    return wp.clamp(wp.max(1.0 - over / spread, 1.0 - inside / FADE), 0.0, 1.0)


@wp.func
def power28(x: float) -> float:
    """``x ** look.GLOSS`` by products; powers cost more than all the rest."""
    x4 = x * x * x * x
    x8 = x4 * x4
    return x8 * x8 * x8 * x4


@wp.kernel
def light(
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    owner: wp.array(dtype=int),
    looks: wp.array(dtype=wp.vec3),
    lamp: Lamp,
    ambient_light: wp.array(dtype=wp.vec3),
    grid: wp.array2d(dtype=float),
    field: wp.array2d(dtype=float),
    shade: wp.array(dtype=float),
    direct: wp.array(dtype=wp.vec3),
    ambient: wp.array(dtype=wp.vec3),
    glint: wp.array(dtype=float),
) -> None:
    """Light at each vertex: what the lamp gives, what the surroundings give, and the highlight as a share of the lamp.

    ``looks``: specular, wrap, and 1 if seen from both sides, of each surface; ``ambient_light``: see look.ambient_terms;
    ``shade``: share of the surroundings' light that surfaces bring along, read if the lamp says so.
    """
    index = wp.tid()
    own = looks[owner[index]]
    point = points[index]
    to_eye = wp.normalize(lamp.eye - point)
    n = normals[index]
    if own[2] > 0.0 and wp.dot(n, to_eye) < 0.0:
        n = -n
        normals[index] = n
    to_light = wp.vec3(lamp.light_basis[2, 0], lamp.light_basis[2, 1], lamp.light_basis[2, 2])
    cosine = wp.dot(n, to_light)
    share = float(1.0)
    if lamp.soft_shadow == 1:
        share = free(lamp.light_basis * point, 0, grid, field, LIGHT_BIAS, LIGHT_SPREAD)
    sky = float(1.0)
    if lamp.sky_shadow == 1:
        place = lamp.sky_basis * point
        sky = 1.0 - SKY_STRENGTH * (1.0 - free(place, 1, grid, field, SKY_BIAS, SKY_SPREAD))
        if lamp.ground > EMPTY:
            near = wp.clamp(1.0 - (point[1] - lamp.ground) / NEAR_GROUND, 0.0, 1.0)
            sky *= 1.0 - NEAR_GROUND_STRENGTH * near * (0.5 - 0.5 * n[1])
    if lamp.shaded == 1:
        sky *= shade[index]
    x = n[0]
    y = n[1]
    z = n[2]
    around = ambient_light[0] + ambient_light[1] * y + ambient_light[2] * z + ambient_light[3] * x
    around += ambient_light[4] * (x * y) + ambient_light[5] * (y * z) + ambient_light[6] * (3.0 * z * z - 1.0)
    around += ambient_light[7] * (x * z) + ambient_light[8] * (x * x - y * y)
    reach = REACH * own[1]
    lit = wp.vec3(0.0, 0.0, 0.0)
    for channel in range(3):
        lit[channel] = wp.max((cosine + reach[channel]) / (1.0 + reach[channel]), 0.0)
        around[channel] = wp.max(around[channel], 0.0)
    direct[index] = wp.cw_mul(lamp.colour, lit) * share
    ambient[index] = around * sky
    half = wp.normalize(to_eye + to_light)
    glint[index] = own[0] * share * power28(wp.max(wp.dot(n, half), 0.0)) * wp.clamp(4.0 * cosine, 0.0, 1.0)


@wp.kernel
def gather(
    source: wp.array(dtype=int),
    first: int,
    points: wp.array(dtype=wp.vec3),
    direct: wp.array(dtype=wp.vec3),
    ambient: wp.array(dtype=wp.vec3),
    glint: wp.array(dtype=float),
    out: wp.array2d(dtype=float),
) -> None:
    """What a vertex buffer holds: position, diffuse light, highlight, for each drawn vertex of a surface."""
    index = wp.tid()
    at = first + source[index]
    point = points[at]
    diffuse = direct[at] + ambient[at]
    for axis in range(3):
        out[index, axis] = point[axis]
        out[index, 3 + axis] = diffuse[axis]
    out[index, 6] = glint[at]


@wp.kernel
def gather_normals(
    source: wp.array(dtype=int), first: int, normals: wp.array(dtype=wp.vec3), out: wp.array(dtype=wp.vec3)
) -> None:
    """Normals of the drawn vertices of a surface."""
    index = wp.tid()
    out[index] = normals[first + source[index]]


@wp.kernel
def splat(
    points: wp.array(dtype=wp.vec3),
    stride: int,
    low: wp.vec2,
    scale: wp.vec2,
    slope: wp.vec2,
    ground: float,
    falls: wp.vec2,
    layers: wp.vec2,
    grids: wp.array3d(dtype=float),
) -> None:
    """Scatter points over the ground: contact shade of two falls, and where the light's shadow of three layers lands."""
    point = points[wp.tid() * stride]
    if point[1] <= ground + ABOVE:
        return
    side = grids.shape[1]
    height = wp.max(point[1] - ground, 0.0)
    column = wp.clamp(int((point[0] - low[0]) * scale[0]), 0, side - 1)
    row = wp.clamp(int((point[2] - low[1]) * scale[1]), 0, side - 1)
    wp.atomic_max(grids, 0, row, column, wp.exp(-height / falls[0]))
    wp.atomic_max(grids, 1, row, column, wp.exp(-height / falls[1]))
    column = wp.clamp(int((point[0] - height * slope[0] - low[0]) * scale[0]), 0, side - 1)
    row = wp.clamp(int((point[2] - height * slope[1] - low[1]) * scale[1]), 0, side - 1)
    layer = int(2)
    if height >= layers[1]:
        layer = 4
    elif height >= layers[0]:
        layer = 3
    wp.atomic_max(grids, layer, row, column, 1.0)
