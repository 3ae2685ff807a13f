"""Warp functions of colour: textures and their levels of detail, linear light, and what a picture shows of it."""

# mypy: disable-error-code="valid-type,misc,no-any-return"

import warp as wp

from . import look

wp.set_module_options({"enable_backward": False, "fast_math": True})

KNEE = wp.constant(float(look.KNEE))
SHOULDER = wp.constant(float(1 - look.KNEE))
STEEPNESS = wp.constant(float(1 / (1 - look.KNEE)))


@wp.func
def to_linear(code: wp.vec3) -> wp.vec3:
    """SRGB to linear light, the polynomial of ``glsl/colour.glsl``."""
    square = wp.cw_mul(code, code)
    return wp.cw_mul(square, code) * 0.305306011 + square * 0.682171111 + code * 0.012522878


@wp.func
def show_channel(light: float) -> int:
    """Linear light to sRGB with the soft shoulder, 0..255."""
    over = wp.max(light - KNEE, 0.0)
    held = wp.min(light, KNEE) + over / (1.0 + STEEPNESS * over)
    root2 = wp.sqrt(held)
    root4 = wp.sqrt(root2)
    code = 0.662002687 * root2 + 0.684122060 * root4 - 0.323583601 * wp.sqrt(root4) - 0.0225411470 * held
    return int(wp.max(wp.min(code, 1.0), 0.0) * 255.0 + 0.5)


@wp.kernel
def show(
    red: wp.array(dtype=float), green: wp.array(dtype=float), blue: wp.array(dtype=float), colours: wp.array(dtype=int)
) -> None:
    """Linear light as packed colours: red + 256 green + 65536 blue.

    A kernel of its own because the compiler makes this one work on 16 pixels at once, once it knows that no index is negative.
    """
    pixel = wp.tid() & 0x7FFFFFFF
    shown = show_channel(red[pixel]) + (show_channel(green[pixel]) << 8) + (show_channel(blue[pixel]) << 16)
    colours[pixel] = shown


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
def trilinear(
    texels: wp.array(dtype=wp.uint32), levels: wp.array(dtype=wp.vec3i), detail: float, u: float, v: float
) -> wp.vec3:
    """A pyramid of textures at (u, v); where ``detail`` is n, a pixel is as wide as 2^n texels of level 0."""
    lod = wp.clamp(detail, 0.0, float(levels.shape[0] - 1))
    level = int(lod)
    between = lod - float(level)
    size = levels[level]
    colour = bilinear(texels, size[0], size[1], size[2], u, v)
    if between > 0.01:
        size = levels[level + 1]
        colour = colour * (1.0 - between) + bilinear(texels, size[0], size[1], size[2], u, v) * between
    return colour
