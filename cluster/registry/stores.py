"""Where the files of versions are kept: a folder beside an sqlite database, or the artifacts of an MLflow server.

Either way a version's files lie together under the hash of their content, and the version names each with its SHA-256, so
what comes out is what went in. Files of a server are pulled into a cache on this machine, again by content.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from ...config import UserError
from ...trainers.mlflow_client import SQLITE, artifact_root
from .client import RegistryClient, first_line, is_server

if TYPE_CHECKING:
    from .versions import Version

STORE = "models"  # beside the database, or among a run's artifacts
EXPERIMENT = "sim2pose-registry"  # of models whose run the server does not know


def file_hash(*files: Path) -> str:
    """First 16 hex digits of the SHA-256 of the files' bytes, one after another."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 (hex) of every file in a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): _sha256(file) for file in files}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def label(files: Mapping[str, str]) -> str:
    """Name of a folder by its content: 16 hex digits."""
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:16]


def keep(client: RegistryClient, folder: Path, files: Mapping[str, str], run_id: str | None) -> tuple[str, str | None]:
    """Put a version's folder where the registry keeps files.

    Returns:
        its URI there, and the run that it belongs to there: ``run_id``, or on a server that does not know it a new one.

    Raises:
        UserError: if that place cannot be written; names it.
    """
    if not is_server(client.uri):
        store = Path(client.uri.removeprefix(SQLITE)).absolute().parent / STORE
        return _copy(folder, store, label(files)).as_uri(), run_id
    run = _run(client, run_id)
    where = f"{STORE}/{label(files)}"
    root = str(client.get_run(run).info.artifact_uri)
    try:
        client.log_artifacts(run, str(folder), where)
    except UserError as error:
        client.get_run(run)  # where the server is away, that is said instead
        raise UserError(
            f"the artifact store of {client.uri} ({root}) takes no files ({first_line(error.__cause__ or error)}): "  # type: ignore[arg-type]
            "can the server write its --artifacts-destination?"
        ) from error
    return f"{root}/{where}", run


def _run(client: RegistryClient, run_id: str | None) -> str:
    """A run of the server whose artifacts take the files: the training's, where the server knows it."""
    from mlflow.exceptions import MlflowException

    if run_id is not None:
        try:
            return str(client.get_run(run_id).info.run_id)
        except MlflowException:
            pass  # it was tracked elsewhere
    found = client.get_experiment_by_name(EXPERIMENT)
    place = artifact_root(client.uri)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifact_location=place)
    return str(client.create_run(experiment).info.run_id)


def _copy(folder: Path, store: Path, name: str) -> Path:
    """Copy a folder into a local store, whole or not at all; what is there already is the same."""
    target = store / name
    try:
        if not target.is_dir():
            store.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=store))
            try:
                shutil.copytree(folder, aside, dirs_exist_ok=True)
                aside.chmod(0o755)
                _settle(aside, target)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot keep models in {store} ({error.strerror or error}): make it writable") from error
    return target


def _settle(aside: Path, target: Path) -> None:
    try:
        aside.rename(target)
    except OSError:
        if not target.is_dir():  # else another process has just put the same there
            raise


def fetch(uri: str, version: Version) -> Path:
    """The folder of a version's files on this machine, checked against their SHA-256; from a server they are pulled once.

    Raises:
        UserError: if files are missing or changed, or the server cannot be reached.
    """
    if version.folder is not None:
        if not version.folder.is_dir():
            raise UserError(f"the files of {version.reference} are gone: no folder {version.folder}; register it again")
        _check(version.folder, version)
        return version.folder
    target = cache_folder() / label(version.files)
    if target.is_dir():
        if sums(target) == version.files:
            return target
        shutil.rmtree(target)  # damaged on this machine: the server still has it
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as scratch:
        pulled = _download(uri, version, Path(scratch))
        _check(pulled, version)
        _settle(pulled, target)
    return target


def _download(uri: str, version: Version, scratch: Path) -> Path:
    import mlflow
    from mlflow.exceptions import MlflowException

    RegistryClient(uri).get_registered_model(version.name)  # an outage is said before the files are asked for
    try:
        return Path(mlflow.artifacts.download_artifacts(version.source, dst_path=str(scratch), tracking_uri=uri))
    except (MlflowException, OSError) as error:
        raise UserError(
            f"the files of {version.reference} cannot be pulled from {version.source} ({first_line(error)}): "
            f"is the artifact store of {uri} there? Else register the model again"
        ) from error


def _check(folder: Path, version: Version) -> None:
    found = sums(folder) if version.files else {}
    for name, expected in version.files.items():
        if found.get(name) != expected:
            what = "is missing" if name not in found else "is not what was registered (SHA-256 differs)"
            raise UserError(f"{name} of {version.reference} {what} in {version.source}: register the model again")


def cache_folder() -> Path:
    """Where pulled models lie: ``$SIM2POSE_CACHE/models``, by default under ``~/.cache/sim2pose``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SIM2POSE_CACHE") or Path(base) / "sim2pose") / "models"


def local_path(source: str) -> Path | None:
    """The local folder that a version's URI names; None where a server keeps the files."""
    parts = urlparse(source)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None
