"""Sheets, captions, animated GIFs and MP4 files of pictures (H, W, 3) uint8 RGB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ...config import UserError, nearest

Bytes = NDArray[np.uint8]
INK, PAPER = (40, 42, 46), (250, 250, 250)
STILLS = (".png", ".jpg", ".jpeg")
MOVING = (".gif", ".mp4")
MAX_GIF_FPS = 50.0
"""Viewers slow frames shorter than 20 ms down."""


def suffix_of(path: Path | str, known: Sequence[str] = (*STILLS, *MOVING)) -> str:
    """Lower-case suffix of an output file.

    Raises:
        UserError: if it is none of ``known``.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        raise UserError(f"{path}: '{suffix}' is no known kind of picture: {nearest(suffix, known)}")
    return suffix


def strip(images: Sequence[Bytes], columns: int | None = None, gap: int = 4, colour: tuple[int, ...] = PAPER) -> Bytes:
    """Pictures of one size in rows of ``columns`` (None: one row), ``gap`` pixels apart."""
    if not len(images):
        raise UserError("a strip needs a picture: none was given")
    height, width = images[0].shape[:2]
    columns = len(images) if columns is None else columns
    rows = math.ceil(len(images) / columns)
    sheet = np.empty((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.uint8)
    sheet[:] = colour
    for k, image in enumerate(images):
        y, x = k // columns * (height + gap), k % columns * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return sheet


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write_text(
    image: Bytes, text: str, place: tuple[float, float], size: int = 14, anchor: str = "la", colour: tuple = INK
) -> Bytes:
    """A copy of a picture with text at ``place`` (x, y); ``anchor`` as in Pillow ("la": left, top; "mm": centred)."""
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).text(place, text, fill=colour, font=_font(size), anchor=anchor)
    return np.asarray(picture)


def captioned(image: Bytes, text: str, size: int | None = None, colour: tuple[int, ...] = PAPER) -> Bytes:
    """The picture with lines of text beneath it; words that do not fit into a line go on the next.

    Args:
        size: of the letters in pixels; None: a 24th of the width, 11 to 18.
    """
    size = int(np.clip(image.shape[1] / 24, 11, 18)) if size is None else size
    font, lines = _font(size), []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > image.shape[1] - size:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    step = round(1.3 * size)
    label = Image.new("RGB", (image.shape[1], step * len(lines) + size // 2), tuple(colour))
    drawing = ImageDraw.Draw(label)
    for k, line in enumerate(lines):
        drawing.text((image.shape[1] / 2, size // 4 + step * k), line, fill=INK, font=font, anchor="ma")
    return np.concatenate([image, np.asarray(label)])


def labelled(images: Sequence[Bytes], texts: Sequence[str]) -> list[Bytes]:
    """Pictures with captions of equal height beneath them."""
    drawn = [captioned(image, text) for image, text in zip(images, texts, strict=True)]
    height = max(len(image) for image in drawn)
    return [np.pad(image, ((0, height - len(image)), (0, 0), (0, 0)), constant_values=PAPER[0]) for image in drawn]


def write_picture(image: Bytes, path: Path | str, most_bytes: int | None = None) -> Path:
    """Write a PNG or JPEG file; of a JPEG the quality goes down from 90 until it fits into ``most_bytes``.

    Raises:
        UserError: for another suffix, or a file that cannot be written.
    """
    path, suffix = Path(path), suffix_of(path, STILLS)
    _make_folder(path)
    picture = Image.fromarray(np.ascontiguousarray(image))
    try:
        if suffix == ".png":
            picture.save(path, optimize=True)
            return path
        for quality in range(90, 30, -6):
            picture.save(path, quality=quality, optimize=True, progressive=True)
            if most_bytes is None or path.stat().st_size <= most_bytes:
                return path
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}") from error
    raise UserError(f"{path} does not fit into {most_bytes} bytes at any quality; draw it smaller")


def write_gif(frames: Sequence[Bytes], path: Path | str, fps: float = 20.0, colours: int = 128) -> Path:
    """Write frames of one size as an endless animated GIF with one palette.

    Raises:
        UserError: for a rate above 50 frames a second, no frame, or a file that cannot be written.
    """
    path = Path(path)
    suffix_of(path, (".gif",))
    _check_frames(frames, fps, path)
    if fps > MAX_GIF_FPS:
        raise UserError(f"{path}: a GIF cannot show {fps:g} frames a second; give fps={MAX_GIF_FPS:g} or less")
    _make_folder(path)
    chosen = [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, 6).astype(int))]
    palette = Image.fromarray(np.concatenate(chosen)).quantize(colours, Image.Quantize.MEDIANCUT)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    ends = np.round(np.arange(1, len(frames) + 1) * 100 / fps).astype(int)  # GIF counts in hundredths of a second
    durations = (np.diff(ends, prepend=0) * 10).tolist()
    try:
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=False)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}") from error
    return path


def write_mp4(frames: Sequence[Bytes], path: Path | str, fps: float = 30.0) -> Path:
    """Write frames of one size as MPEG-4 video; odd sizes lose a row or column. The file is read back and counted.

    Raises:
        UserError: if there is no frame, or OpenCV cannot write the file here.
    """
    path = Path(path)
    suffix_of(path, (".mp4",))
    _check_frames(frames, fps, path)
    _make_folder(path)
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not writer.isOpened():
        raise UserError(f"cannot write {path}: this OpenCV has no MPEG-4 encoder, or the folder is closed; use a .gif")
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))
    writer.release()
    written = count_frames(path)
    if written != len(frames):
        raise UserError(f"{path} holds {written} of {len(frames)} frames: is the disk full? Write a .gif instead")
    return path


def count_frames(path: Path | str) -> int:
    """Frames of a video that can be decoded."""
    video, count = cv2.VideoCapture(str(path)), 0
    while video.grab():
        count += 1
    video.release()
    return count


def write_video(frames: Sequence[Bytes], path: Path | str, fps: float) -> Path:
    """Write frames as .mp4 or .gif, by the suffix; a GIF leaves frames out to stay at 25 a second."""
    if suffix_of(path, MOVING) == ".mp4":
        return write_mp4(frames, path, fps)
    step = max(1, math.ceil(fps / 25 - 1e-6))
    return write_gif(frames[::step], path, fps / step)


def _check_frames(frames: Sequence[Bytes], fps: float, path: Path) -> None:
    if not len(frames):
        raise UserError(f"{path}: a video needs a frame, none was given")
    if not (np.isfinite(fps) and fps > 0):
        raise UserError(f"{path}: fps is {fps}; give a positive number")
    sizes = {frame.shape for frame in frames}
    if len(sizes) > 1:
        raise UserError(f"{path}: frames differ in size: {sorted(sizes)[:2]}")


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path.parent}: {error.strerror or error}") from error
