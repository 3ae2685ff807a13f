"""Hashes of files and folders, remembered by size and time of change so that what is unchanged is not read again."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...config import UserError
from ...datasets.manifest import MANIFEST
from ...datasets.storage import sha256

RUN_FILES = ("best.json", "checkpoints/*/meta.json")  # the latter hold the hashes of the checkpoints' files


class Digests:
    """SHA-256 by path, kept in a file between runs.

    Args:
        path: the file; read if it is there, written by :meth:`save`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, list[str | int]] = {}
        if path.is_file():
            try:
                self._known = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # cut short by a kill: it only saves time
                self._known = {}
        self._changed = False

    def file(self, path: Path) -> str:
        """SHA-256 of a file's content."""
        stat = path.stat()
        name, mark = str(path.absolute()), [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name)
        if known is None or known[1:] != mark:
            known = [sha256(path), *mark]
            self._known[name], self._changed = known, True
        return str(known[0])

    def files(self, folder: Path, patterns: Sequence[str]) -> dict[str, str]:
        """Path below the folder → SHA-256, of all files that match one of the patterns."""
        found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
        return {path.relative_to(folder).as_posix(): self.file(path) for path in sorted(found)}

    def content(self, text: str) -> str:
        """What a path holds: a file, a frames folder (its manifest, which has the hashes of the shards), a run folder (its
        checkpoints' hashes), any other folder (all its files), or all that a pattern such as ``keypoints/*.json`` finds.

        Raises:
            UserError: if there is nothing.
        """
        path = Path(text).expanduser()
        if path.is_file():
            return self.file(path)
        if (path / MANIFEST).is_file():
            return self.file(path / MANIFEST)
        if (path / "checkpoints").is_dir():
            return combined(self.files(path, RUN_FILES))
        if path.is_dir():
            return combined(self.files(path, ("**/*",)))
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        if not matches:
            raise UserError(f"there is nothing at {text}")
        return combined({str(i): self.content(str(match)) for i, match in enumerate(matches)})

    def save(self) -> None:
        """Write what was learnt."""
        if self._changed:
            aside = self.path.with_suffix(".tmp")
            aside.write_text(json.dumps(self._known), encoding="utf-8")
            aside.replace(self.path)
            self._changed = False


def combined(hashes: dict[str, str] | Iterable[tuple[str, str]]) -> str:
    """One SHA-256 of names and hashes."""
    text = json.dumps(sorted(dict(hashes).items()))
    return hashlib.sha256(text.encode()).hexdigest()
