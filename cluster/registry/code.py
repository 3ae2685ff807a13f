"""Which code made a model, and how this one differs: package version, hash of its source, git commit where there is one."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ... import __file__ as package_file
from ... import __version__
from ...config import UserError, parse_yaml
from ...trainers.recipes import validate_run

PACKAGE = Path(package_file).parent


@cache
def this_code() -> dict[str, str | None]:
    """``version`` of the package, ``source``: 16 hex digits over all its Python files, ``commit`` of its git checkout."""
    return {"version": __version__, "source": source_hash(PACKAGE), "commit": _commit(PACKAGE)}


def source_hash(package: Path) -> str:
    """16 hex digits of the SHA-256 over names and bytes of a package's Python files, linked folders included."""
    digest = hashlib.sha256()
    files = []
    for folder, folders, names in os.walk(package, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        files += [Path(folder, name) for name in names if name.endswith(".py")]
    for file in sorted(files, key=lambda path: path.relative_to(package).as_posix()):
        data = file.read_bytes()
        digest.update(f"{file.relative_to(package).as_posix()} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


def _commit(package: Path) -> str | None:
    root = package.parent
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    told = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


def difference(made_by: Mapping[str, Any], what: str) -> str | None:
    """One sentence on how the code that made ``what`` differs from this one; None where it does not, or is not known."""
    mine = this_code()
    if not made_by or made_by.get("source") == mine["source"]:
        return None
    return f"{what} was made by sim2pose {_named(made_by)}, this is {_named(mine)}"


def _named(code: Mapping[str, Any]) -> str:
    commit = f", commit {str(code['commit'])[:10]}" if code.get("commit") else ""
    return f"{code['version']} (source {code['source']}{commit})"


def config_trouble(folder: Path) -> str | None:
    """What this code does not understand in the ``config.yaml`` of a version's folder, naming the keys; None if nothing."""
    path = folder / "config.yaml"
    if not path.is_file():
        return None
    values = parse_yaml(path.read_text(encoding="utf-8"))
    unknown = []
    while True:
        try:
            validate_run(values)
            break
        except UserError as error:
            key = _drop_unknown(values, str(error))
            if key is None:
                unknown.append(str(error))
                break
            unknown.append(f"'{key}'")
    if not unknown:
        return None
    return f"its config.yaml says what this sim2pose does not know: {', '.join(unknown)}"


def _drop_unknown(values: dict[str, Any], told: str) -> str | None:
    """Take the key out that a refusal calls unknown, so that the next one shows; None if it refused something else."""
    if not told.startswith("unknown key '"):
        return None
    key = told.split("'")[1]
    *parents, last = key.split(".")
    place: Any = values
    for parent in parents:
        place = place.get(parent) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        return None
    del place[last]
    return key
