"""Find body model files and read them into plain arrays, whatever their layout; nothing in them is run."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import scipy.sparse

from ...config import UserError, nearest
from .formats import FORMATS, REQUIRED, format_named
from .unpickle import Expression, Mahalanobis, loads, read_pickle

OPEN_BODIES = {
    name: Path(__file__).parent / "data" / f"{name.replace('-', '_')}.npz"
    for name in ("open-infant", "open-person", "open-hand-left", "open-hand-right")
}
"""Bodies that come with the package, by name."""

TEXT_KEYS = ("meta", "extra_vertices")
"""Entries of our own files that hold JSON."""

OPTIONAL = (
    *("keypoint_regressor", "uv", "uv_faces", "vt", "ft", *TEXT_KEYS),
    *("population_betas", "population_months", "population_years"),
    *("lmk_faces_idx", "lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"),
    *(f"hands_{part}{side}" for part in ("components", "mean") for side in ("l", "r", "")),
)
"""Arrays that are used where a file has them."""

LICENSED_FILES = {
    "SMIL (infants)": ("smil_web.pkl", "https://s.fhg.de/smil"),
    "SMPL": ("SMPL_NEUTRAL.pkl", "https://smpl.is.tue.mpg.de"),
    "SMPL-X": ("SMPLX_NEUTRAL.npz", "https://smpl-x.is.tue.mpg.de"),
    "MANO": ("MANO_RIGHT.pkl", "https://mano.is.tue.mpg.de"),
}
"""Licensed bodies by title: the file's name, and where to register for it."""


def licensed_root() -> Path:
    """Folder of licensed body files: ``SIM2POSE_BODIES``, or ``~/body_models``."""
    return Path(os.environ.get("SIM2POSE_BODIES", Path.home() / "body_models"))


def licensed_files() -> list[Path]:
    """All body model files under :func:`licensed_root`, by path."""
    root = licensed_root()
    named = {file.lower() for file, _ in LICENSED_FILES.values()}
    prefixes = (*(f"{name}_" for name in FORMATS), "smil", "basicmodel")
    found = (p for p in root.rglob("*") if p.suffix in (".npz", ".pkl")) if root.is_dir() else ()
    return sorted(
        p for p in found if p.name.lower() in named or p.name.lower().startswith(prefixes) or p.name == "model.npz"
    )


def locate(model: str | Path, model_type: str | None = None, gender: str = "neutral", is_rhand: bool = True) -> Path:
    """The file of an open body's name, a path, or a folder; see ``load_body``.

    Raises:
        UserError: for an unknown name (the nearest is named), or a folder without such a file.
    """
    name, path = str(model), Path(model)
    if name in OPEN_BODIES:
        return OPEN_BODIES[name]
    if path.is_dir():
        return file_in_folder(path, model_type, gender, is_rhand)
    if path.suffix not in (".npz", ".pkl") and not path.exists():
        raise UserError(f"unknown body '{name}': {nearest(name, OPEN_BODIES)} (or give the path of a model file)")
    return path


def file_in_folder(folder: Path, model_type: str | None, gender: str, is_rhand: bool) -> Path:
    """The model file in a folder laid out as ``smplx.create`` wants it.

    That is ``FOLDER/smplx/SMPLX_NEUTRAL.npz``; the file right in ``FOLDER`` and ``FOLDER/smplx/neutral/model.npz``
    (AMASS) are found too, ``.npz`` before ``.pkl``.

    Raises:
        UserError: without ``model_type``, or where no such file is; names what was looked for.
    """
    if model_type is None:
        raise UserError(f"{folder} is a folder: say which body of it by model_type ({', '.join(FORMATS)})")
    entry = format_named(model_type)
    if gender.lower() not in ("neutral", "male", "female"):
        raise UserError(f"unknown gender '{gender}': {nearest(gender, ('neutral', 'male', 'female'))}")
    which = ("RIGHT" if is_rhand else "LEFT") if entry.name == "mano" else gender.upper()
    stem = f"{entry.name.upper()}_{which}"
    places = (folder / entry.name, folder)
    candidates = [place / f"{stem}{suffix}" for place in places for suffix in (".npz", ".pkl")]
    candidates += [place / gender.lower() / "model.npz" for place in places if entry.name != "mano"]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise UserError(f"no {stem}.npz or {stem}.pkl in {folder / entry.name} or {folder}")
    return found


def read_arrays(path: Path, asked: set[str] | None = None) -> dict[str, Any]:
    """Arrays of a model file, ``.npz`` or ``.pkl``: dense and numeric, but for the JSON of :data:`TEXT_KEYS`.

    ``asked`` is filled with the names that a pickle asks for ("chumpy.ch.Ch").

    Raises:
        UserError: if the file is absent, damaged or no model file, or asks to run anything.
    """
    if path.suffix != ".pkl" or (path.is_file() and zipfile.is_zipfile(path)):
        return read_npz(path)
    if not path.is_file():
        raise UserError(f"no body model file at {path}")
    content = read_pickle(path, asked)
    if isinstance(content, Mahalanobis):
        raise UserError(f"{path} holds a pose prior, not a body: give it as the prior of a fit")
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, need a dict of arrays ({', '.join(REQUIRED)})")
    return {key: dense(f"{path}: {key}", content[key]) for key in (*REQUIRED, *OPTIONAL) if key in content}


def read_npz(path: Path) -> dict[str, Any]:
    """Arrays of an ``.npz`` file.

    Entries with pickled objects are never opened unless a body needs them (a sparse ``J_regressor``); those go through
    the restricted unpickler. Official SMPL-X files have two others, which are left out.

    Raises:
        UserError: if the file is absent, not an npz archive, damaged, or an array that is needed holds other objects.
    """
    if not path.is_file():
        raise UserError(f"no body model file at {path}")
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not an .npz archive, or is cut short; save the model's arrays ({', '.join(REQUIRED)}) "
            "with numpy.savez"
        )
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                key = member.removesuffix(".npy")
                with archive.open(member) as stream:
                    array = _read_member(stream, key, str(path))
                if array is not None:
                    arrays[key] = array
    except UserError:
        raise
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, SyntaxError) as error:
        raise UserError(f"{path} is damaged or no .npz archive of arrays ({error}): fetch it again") from error
    return arrays


def _read_member(stream: IO[bytes], key: str, path: str) -> np.ndarray | None:
    """One array of an archive, or None for objects that no body needs."""
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns, dtype = read_header(stream)
    if dtype.hasobject:
        if key not in (*REQUIRED, *OPTIONAL):
            return None
        objects = loads(stream.read(), f"{path}: {key}")
        return dense(f"{path}: {key}", objects[()] if isinstance(objects, np.ndarray) and not shape else objects)
    raw = stream.read()
    if len(raw) != dtype.itemsize * int(np.prod(shape)):
        raise ValueError(f"{key} is cut short")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if columns else "C")


def dense(where: str, value: Any) -> np.ndarray:
    """A value of a model file as a plain array; ``where`` names it in messages.

    Raises:
        UserError: for anything but numbers, matrices of them, or text.
    """
    if isinstance(value, Expression):
        raise UserError(
            f"{where} is a '{value.name}', a chumpy expression rather than an array: fetch the model file as its authors "
            "publish it, or save its arrays with numpy.savez"
        )
    array = value.toarray() if scipy.sparse.issparse(value) else np.asarray(value)
    if array.dtype.kind not in "biufSU":
        raise UserError(f"{where} holds {type(value).__name__} objects, which are not read: need an array of numbers")
    return array
