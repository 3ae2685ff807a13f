"""Reading text files of motion: gzip, line ends, numbers, and errors that name file and line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...config import UserError


class Place:
    """A file, for errors of the form ``walk.bvh:12: what is wrong``."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)

    def error(self, line: int | None, message: str) -> UserError:
        """The error to raise; ``line`` counts from 1, None for the file as a whole."""
        return UserError(f"{self.path}:{line}: {message}" if line else f"{self.path}: {message}")


def read_text(path: Path | str) -> str:
    """The text of a file, unpacked if it is gzip, line ends as ``\\n``.

    Raises:
        UserError: if it is absent, a truncated or damaged gzip, or no text.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no motion file at {path}")
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{path} cannot be unpacked ({error}): the file is truncated or damaged, get it again"
        ) from error
    if b"\0" in data[:4096]:
        raise UserError(f"{path} is a binary file: BVH, ASF and AMC are text")
    return data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def numbers(words: Sequence[str], place: Place, line: int, what: str) -> list[float]:
    """Words as finite numbers.

    Raises:
        UserError: with file and line for a word that is no number, NaN or infinite.
    """
    values = []
    for word in words:
        try:
            value = float(word)
        except ValueError:
            raise place.error(line, f"{what}: '{word}' is no number") from None
        if not np.isfinite(value):
            raise place.error(line, f"{what}: '{word}' is not a finite number; mend or cut the frame")
        values.append(value)
    return values
