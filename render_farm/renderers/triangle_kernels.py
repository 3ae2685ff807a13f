"""Warp kernels that find what each pixel's centre sees by trying each triangle on the pixels around it.

The results equal those of rays (cast_kernels.py); where one core does all the work, this is several times as fast.
"""

# mypy: disable-error-code="valid-type,misc,no-any-return"

import warp as wp

from .cast_kernels import FAR, NEAR, Frame, Hits, Surfaces, surface_of

wp.set_module_options({"enable_backward": False, "fast_math": True})

WIDE = wp.constant(8)  # columns of a triangle from which on each row is worth narrowing


@wp.kernel
def see_points(
    frame: Frame,
    K: wp.mat33,
    points: wp.array(dtype=wp.vec3),
    seen: wp.array(dtype=wp.vec3),
    shown: wp.array(dtype=wp.vec2),
) -> None:
    """Points of the world in the camera frame, and in pixels."""
    index = wp.tid()
    point = frame.rotation * points[index] + frame.translation
    pixel = K * point
    scale = 1.0 / point[2]
    seen[index] = point
    shown[index] = wp.vec2(pixel[0] * scale, pixel[1] * scale)


@wp.func
def pixels_of(frame: Frame, a: wp.vec2, b: wp.vec2, c: wp.vec2) -> wp.vec4i:
    """First and last column and row of the pixels that a triangle before the camera may cover."""
    left = wp.max(wp.min(a[0], wp.min(b[0], c[0])) - 0.01, 0.0)
    right = wp.min(wp.max(a[0], wp.max(b[0], c[0])) + 0.01, float(frame.width - 1))
    upper = wp.max(wp.min(a[1], wp.min(b[1], c[1])) - 0.01, 0.0)
    lower = wp.min(wp.max(a[1], wp.max(b[1], c[1])) + 0.01, float(frame.height - 1))
    return wp.vec4i(int(wp.ceil(left)), int(wp.floor(right)), int(wp.ceil(upper)), int(wp.floor(lower)))


@wp.func
def narrowed(span: wp.vec2i, slope: float, level: float) -> wp.vec2i:
    """The columns, from first to last, in which ``slope * column + level`` may be positive, with one to spare at the end."""
    if wp.abs(slope) * 1.0e6 < wp.abs(level) or slope == 0.0:
        return span
    root = wp.clamp(-level / slope, -1.0e6, 1.0e6)
    if slope > 0.0:
        return wp.vec2i(wp.max(span[0], int(wp.floor(root)) - 1), span[1])
    return wp.vec2i(span[0], wp.min(span[1], int(wp.ceil(root)) + 1))


@wp.kernel
def hit_by_triangles(
    frame: Frame,
    surfaces: Surfaces,
    seen: wp.array(dtype=wp.vec3),
    shown: wp.array(dtype=wp.vec2),
    hits: Hits,
) -> None:
    """One triangle against the pixels around it; launched on one core only, so nothing is atomic.

    With p, q, r the corners in the camera frame and d a pixel's ray, the weight of p is ``d . (q x r)`` over the sum of the
    three; products are of edges, ``q x (r - q)``, where float32 loses nothing that matters.
    """
    face = wp.tid()
    surface = surface_of(frame, surfaces, face)
    offset = surfaces.offsets[surface]
    corner = surfaces.corners[face]
    i = offset[0] + corner[0]
    j = offset[0] + corner[1]
    k = offset[0] + corner[2]
    p = seen[i]
    q = seen[j]
    r = seen[k]
    normal = wp.cross(q - p, r - p)
    level = wp.dot(normal, p)
    if (level > 0.0 and offset[3] == 0) or wp.max(p[2], wp.max(q[2], r[2])) <= NEAR:
        return
    bounds = wp.vec4i(0, frame.width - 1, 0, frame.height - 1)
    if wp.min(p[2], wp.min(q[2], r[2])) > NEAR:
        bounds = pixels_of(frame, shown[i], shown[j], shown[k])
        if bounds[0] > bounds[1] or bounds[2] > bounds[3]:
            return
    turn = wp.transpose(frame.pixel_to_camera) * wp.where(level > 0.0, 1.0, -1.0)
    over_p = turn * wp.cross(q, r - q)
    over_q = turn * wp.cross(r, p - r)
    slope = turn * normal
    level = wp.abs(level)
    for row in range(bounds[2], bounds[3] + 1):
        y = float(row)
        row_p = over_p[1] * y + over_p[2]
        row_q = over_q[1] * y + over_q[2]
        row_all = slope[1] * y + slope[2]
        span = wp.vec2i(bounds[0], bounds[1])
        if span[1] - span[0] > WIDE:
            span = narrowed(span, over_p[0], row_p)
            span = narrowed(span, over_q[0], row_q)
            span = narrowed(span, slope[0] - over_p[0] - over_q[0], row_all - row_p - row_q)
        for column in range(span[0], span[1] + 1):
            x = float(column)
            total = slope[0] * x + row_all
            one = over_p[0] * x + row_p
            two = over_q[0] * x + row_q
            if one >= 0.0 and two >= 0.0 and total > 0.0 and one + two <= total:
                z = level / total
                pixel = row * frame.width + column
                old = hits.depth[pixel]
                if z > NEAR and z < FAR and (old == 0.0 or z < old or (z == old and hits.surface[pixel] < 0)):
                    hits.depth[pixel] = z
                    hits.surface[pixel] = surface
                    hits.face[pixel] = face
                    hits.weights[pixel] = wp.vec2(one / total, two / total)
