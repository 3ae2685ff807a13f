"""Warp kernels of hard shadows: which pixels see a place that the lamp's light does not reach.

All is done along the light: in its axes, a ray to the lamp is a point, and a triangle hides it if it covers the point from
above. Of a closed mesh, only faces turned to the lamp count: whoever is hidden by another is hidden by one of them, too. Cells
across the light hold the top of what lies in them; what lies above it is lit, and nobody asks further. For the rest, a GPU
follows rays through trees; one core does without: the places in doubt wait in the cells, and each triangle is tried on those
in the cells it touches.
"""

# mypy: disable-error-code="valid-type,misc,no-any-return"
# ruff: noqa: UP018, RUF046 - Warp wants int(...) and float(...) around variables that change in branches and loops
import warp as wp

from .cast_kernels import PIERCED, SKIP, Frame, Hits, Surfaces, centre_of, surface_of

wp.set_module_options({"enable_backward": False, "fast_math": True})

CELLS = wp.constant(224)
SHADOW_LIFT = wp.constant(0.004)  # metres a shadow ray starts before the surface
REACH = wp.constant(1000.0)  # metres, the length of a shadow ray
BELOW = wp.constant(-1.0e30)
HIDDEN = wp.constant(1.0e30)


@wp.struct
class Shadows:
    """A frame along the light; ``points`` are the vertices in the light's axes.

    ``bounds``: least and, negated, largest of two axes of all points; ``grid``: origin of the cells, and cells a metre, along
    two axes; ``tops``: highest point of the triangles in each cell; ``first``: of the pixels that wait in each cell, or -1;
    ``following``: the next pixel, -1 for none; ``places``: what each waiting pixel sees; ``arrives``: 1 for each pixel that the
    light reaches, else 0.
    """

    points: wp.array(dtype=wp.vec3)
    bounds: wp.array(dtype=float)
    grid: wp.array(dtype=float)
    tops: wp.array(dtype=float)
    first: wp.array(dtype=int)
    following: wp.array(dtype=int)
    places: wp.array(dtype=wp.vec3)
    arrives: wp.array(dtype=float)


@wp.kernel
def turn_points(frame: Frame, points: wp.array(dtype=wp.vec3), shadows: Shadows) -> None:
    """Points of the world in the light's axes, and their bounds across it."""
    index = wp.tid()
    place = frame.light_basis * points[index]
    shadows.points[index] = place
    wp.atomic_min(shadows.bounds, 0, place[0])
    wp.atomic_min(shadows.bounds, 1, place[1])
    wp.atomic_min(shadows.bounds, 2, -place[0])
    wp.atomic_min(shadows.bounds, 3, -place[1])


@wp.kernel
def fit_cells(shadows: Shadows) -> None:
    """Cells that span the bounds along one axis; within these, a point's cell is in [0, CELLS)."""
    axis = wp.tid()
    least = shadows.bounds[axis]
    shadows.grid[axis] = least
    shadows.grid[axis + 2] = (float(CELLS) - 0.01) / wp.max(-shadows.bounds[axis + 2] - least, 1.0e-6)


@wp.func
def cell_along(shadows: Shadows, axis: int, value: float) -> float:
    """A coordinate across the light in cells."""
    return (value - shadows.grid[axis]) * shadows.grid[axis + 2]


@wp.func
def cells_of(shadows: Shadows, p: wp.vec3, q: wp.vec3, r: wp.vec3) -> wp.vec4i:
    """First and last column and row of the cells that a triangle touches."""
    return wp.vec4i(
        int(cell_along(shadows, 0, wp.min(p[0], wp.min(q[0], r[0])))),
        int(cell_along(shadows, 0, wp.max(p[0], wp.max(q[0], r[0])))),
        int(cell_along(shadows, 1, wp.min(p[1], wp.min(q[1], r[1])))),
        int(cell_along(shadows, 1, wp.max(p[1], wp.max(q[1], r[1])))),
    )


@wp.func
def turned_away(p: wp.vec3, q: wp.vec3, r: wp.vec3) -> bool:
    """Whether the lamp sees a triangle from behind."""
    return (q[0] - p[0]) * (r[1] - p[1]) < (q[1] - p[1]) * (r[0] - p[0])


@wp.kernel
def raise_tops(frame: Frame, surfaces: Surfaces, shadows: Shadows) -> None:
    """One triangle raises the tops of the cells that it touches."""
    face = wp.tid()
    offset = surfaces.offsets[surface_of(frame, surfaces, face)]
    corner = surfaces.corners[face]
    p = shadows.points[offset[0] + corner[0]]
    q = shadows.points[offset[0] + corner[1]]
    r = shadows.points[offset[0] + corner[2]]
    if offset[3] == 0 and turned_away(p, q, r):
        return
    top = wp.max(p[2], wp.max(q[2], r[2]))
    cells = cells_of(shadows, p, q, r)
    for row in range(cells[2], cells[3] + 1):
        for column in range(cells[0], cells[1] + 1):
            wp.atomic_max(shadows.tops, row * CELLS + column, top)


@wp.func
def blocks(mesh: wp.uint64, two_sided: int, start: wp.vec3, towards: wp.vec3) -> bool:
    """Whether a ray to the lamp hits a mesh from behind, or at all if the mesh is two-sided."""
    if two_sided == 1:
        return wp.mesh_query_ray_anyhit(mesh, start, towards, REACH)
    query = wp.mesh_query_ray(mesh, start, towards, REACH)
    begin = float(0.0)
    count = int(0)
    while query.result and query.sign >= 0.0 and count < PIERCED:
        begin += query.t * (1.0 + SKIP) + 1.0e-6
        query = wp.mesh_query_ray(mesh, start + towards * begin, towards, REACH)
        count += 1
    return query.result


@wp.func
def reaches(frame: Frame, surfaces: Surfaces, place: wp.vec3) -> float:
    """1 if a ray from a place of the light's axes to the lamp meets nothing, else 0."""
    start = wp.transpose(frame.light_basis) * place
    towards = wp.vec3(frame.light_basis[2, 0], frame.light_basis[2, 1], frame.light_basis[2, 2])
    for index in range(frame.surfaces):
        if blocks(surfaces.meshes[index], surfaces.offsets[index][3], start, towards):
            return 0.0
    return 1.0


@wp.func
def faces_lamp(surfaces: Surfaces, hits: Hits, direct: wp.array(dtype=wp.vec3), pixel: int) -> bool:
    """Whether what a pixel sees would be lit by the lamp if nothing lay between."""
    surface = hits.surface[pixel]
    if surface < 0:
        return True
    first = surfaces.offsets[surface][0]
    corner = surfaces.corners[hits.face[pixel]]
    lit = direct[first + corner[0]][0] + direct[first + corner[1]][0] + direct[first + corner[2]][0]
    return lit > 0.0


@wp.kernel
def find_shadow(
    frame: Frame, surfaces: Surfaces, hits: Hits, direct: wp.array(dtype=wp.vec3), shadows: Shadows
) -> None:
    """One pixel."""
    pixel = wp.tid()
    find_shadow_at(frame, surfaces, hits, direct, shadows, pixel, centre_of(frame, pixel))


@wp.kernel
def find_shadow_in_row(
    frame: Frame, surfaces: Surfaces, hits: Hits, direct: wp.array(dtype=wp.vec3), shadows: Shadows
) -> None:
    """A row of pixels: what all kernels know of a frame is then read once a row, and not once a pixel."""
    row = wp.tid()
    for column in range(frame.width):
        centre = wp.vec3(float(column), float(row), 1.0)
        find_shadow_at(frame, surfaces, hits, direct, shadows, row * frame.width + column, centre)


@wp.func
def find_shadow_at(
    frame: Frame,
    surfaces: Surfaces,
    hits: Hits,
    direct: wp.array(dtype=wp.vec3),
    shadows: Shadows,
    pixel: int,
    centre: wp.vec3,
) -> None:
    """Whether a pixel is lit; else it is followed by a ray, or put among those that wait for the triangles."""
    shadows.arrives[pixel] = 1.0
    depth = hits.depth[pixel]
    if depth == 0.0:
        return
    place = frame.eye_to_light + frame.pixel_to_light * centre * depth
    across = cell_along(shadows, 0, place[0])
    along = cell_along(shadows, 1, place[1])
    if across < 0.0 or along < 0.0 or across >= float(CELLS) or along >= float(CELLS):
        return
    cell = int(along) * CELLS + int(across)
    place[2] = place[2] + SHADOW_LIFT
    if shadows.tops[cell] <= place[2]:
        return
    if not faces_lamp(surfaces, hits, direct, pixel):
        return
    if frame.traced == 1:
        shadows.arrives[pixel] = reaches(frame, surfaces, place)
    else:
        shadows.places[pixel] = place
        shadows.following[pixel] = shadows.first[cell]
        shadows.first[cell] = pixel


@wp.func
def hides(p: wp.vec3, q: wp.vec3, r: wp.vec3, place: wp.vec3) -> bool:
    """Whether a triangle, counter-clockwise seen from the lamp, covers a place from above, in the light's axes."""
    px = p[0] - place[0]
    py = p[1] - place[1]
    qx = q[0] - place[0]
    qy = q[1] - place[1]
    rx = r[0] - place[0]
    ry = r[1] - place[1]
    a = qx * ry - qy * rx
    b = rx * py - ry * px
    c = px * qy - py * qx
    if wp.min(a, wp.min(b, c)) < 0.0:
        return False
    return a * (p[2] - place[2]) + b * (q[2] - place[2]) + c * (r[2] - place[2]) > 0.0


@wp.kernel
def shadow_by_triangles(frame: Frame, surfaces: Surfaces, shadows: Shadows) -> None:
    """One triangle against the places that wait in the cells it touches; on one core only, so nothing is atomic."""
    face = wp.tid()
    offset = surfaces.offsets[surface_of(frame, surfaces, face)]
    corner = surfaces.corners[face]
    p = shadows.points[offset[0] + corner[0]]
    q = shadows.points[offset[0] + corner[1]]
    r = shadows.points[offset[0] + corner[2]]
    if turned_away(p, q, r):
        if offset[3] == 0:
            return
        r = shadows.points[offset[0] + corner[1]]
        q = shadows.points[offset[0] + corner[2]]
    top = wp.max(p[2], wp.max(q[2], r[2]))
    cells = cells_of(shadows, p, q, r)
    for row in range(cells[2], cells[3] + 1):
        for column in range(cells[0], cells[1] + 1):
            pixel = shadows.first[row * CELLS + column]
            while pixel >= 0:
                place = shadows.places[pixel]
                if place[2] < top:  # noqa: SIM102 - Warp's "and" computes both sides
                    if hides(p, q, r, place):
                        shadows.arrives[pixel] = 0.0
                        shadows.places[pixel] = wp.vec3(0.0, 0.0, HIDDEN)
                pixel = shadows.following[pixel]
