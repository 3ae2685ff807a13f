"""What a body model file holds, for a reader who has just been given one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .body import Body
from .files import OPEN_BODIES, licensed_files, locate, read_arrays
from .formats import FORMATS
from .load import load_parts, stated_formats


@dataclass(frozen=True)
class BodyFacts:
    """A file and the body in it.

    Attributes:
        name: by which ``load_body`` takes it: of an open body, else the path. path: of the file.
        body: as loaded with the defaults.
        arrays: (name, shape, dtype) of every array that was read, as stored.
        lacks: what the file does not hold of its format, or of what this project can use, in words.
        chumpy: whether it is a pickle of chumpy objects. size: bytes.
    """

    name: str
    path: Path
    body: Body
    arrays: tuple[tuple[str, str, str], ...]
    lacks: tuple[str, ...]
    chumpy: bool
    size: int


def describe(model: str, model_type: str | None = None) -> BodyFacts:
    """Read a body by open name or path.

    Raises:
        UserError: as ``load_body``.
    """
    asked: set[str] = set()
    path = locate(model, model_type)
    arrays = read_arrays(path, asked)
    body = load_parts(model if model in OPEN_BODIES else path.stem, arrays, claims=stated_formats(path, model_type))
    listed = tuple((key, "×".join(map(str, a.shape)) or "–", str(a.dtype)) for key, a in sorted(arrays.items()))
    chumpy = any(name.startswith("chumpy") for name in asked)
    return BodyFacts(model, path, body, listed, _lacks(body, set(arrays)), chumpy, path.stat().st_size)


def _lacks(body: Body, keys: set[str]) -> tuple[str, ...]:
    """What cannot be done with this file, and why."""
    entry = FORMATS[body.format]
    found = [f"{key} ({entry.title} files hold it)" for key in entry.extra if key not in keys]
    if not {"uv", "vt"} & keys:
        found.append("texture coordinates (uv, uv_faces, or SMPL-X's vt, ft): a grid of triangles stands in")
    if not body.extra_vertices:
        found.append("extra_vertices: toes, heels and finger tips are unknown on this mesh")
    if body.format == "smplx" and "dynamic_lmk_faces_idx" not in keys:
        found.append("dynamic_lmk_faces_idx: no jaw line (face0 to face16)")
    return tuple(found)


def known_bodies() -> list[str]:
    """Open bodies that are built, then licensed files found on this machine, as ``describe`` takes them."""
    return [name for name, path in OPEN_BODIES.items() if path.is_file()] + [str(path) for path in licensed_files()]
