"""The registry of checkpoints: model versions in MLflow, each a folder of weights, config and evaluation.

A version is *evaluated* before it is known: its figures, and the hash of the data they were measured on, are tags of the
version. Two aliases tell its standing: ``candidate`` (the newest registered) and ``champion`` (the best). An alias moves to a
version only after a measured comparison on the same data.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import UserError, nearest

CANDIDATE, CHAMPION = "candidate", "champion"
DEFAULT_NAME = "sim2pose-keypoints"


@dataclass(frozen=True)
class Version:
    """One registered version: where its model folder lies, and what was measured.

    ``evaluation`` maps a data set's name to {"data": manifest hash, "metrics": {...}}.
    """

    name: str
    version: str
    folder: Path
    aliases: tuple[str, ...]
    evaluation: dict[str, dict[str, Any]]
    run_id: str | None

    @property
    def reference(self) -> str:
        """``name@version``, as the commands take it."""
        return f"{self.name}@{self.version}"


def _client(uri: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def register(
    uri: str, model: Path, evaluation: dict[str, dict[str, Any]], name: str = DEFAULT_NAME, run_id: str | None = None
) -> Version:
    """Register a model folder (see :func:`store_model`) as a new version, with alias ``candidate``.

    Raises:
        UserError: if the folder is no model folder, or the evaluation is empty.
    """
    from mlflow.exceptions import MlflowException

    if not (model / "model.safetensors").is_file() or not (model / "model.json").is_file():
        raise UserError(f"{model} is no model folder: model.safetensors and model.json are expected there")
    if not evaluation:
        raise UserError(f"{model} has no evaluation: run 'sim2pose evaluate {model} DATA' first")
    client = _client(uri)
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name, description="sim2pose keypoint networks")
    tags = {"evaluation": json.dumps(evaluation, default=float)}
    created = client.create_model_version(name, source=model.resolve().as_uri(), run_id=run_id, tags=tags)
    client.set_registered_model_alias(name, CANDIDATE, created.version)
    return get(uri, f"{name}@{created.version}")


def store_model(model: Path, store: Path) -> Path:
    """Copy a model folder into the store, under the hash of its content; whole or not at all.

    A later run can thus not change what a version holds, and the same model is stored once.
    """
    label = file_hash(model / "model.safetensors", model / "model.json")
    target, aside = store / label, store / f".{label}.partial"
    if not target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(model, aside)
        aside.rename(target)
    return target


def file_hash(*files: Path) -> str:
    """First 16 hex digits of the SHA-256 of the files' bytes, one after another."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def get(uri: str, reference: str) -> Version:
    """Look up ``name``, ``name@alias`` or ``name@version`` (``name`` alone means its candidate).

    Raises:
        UserError: for an unknown model or version; names what there is.
    """
    from mlflow.exceptions import MlflowException

    name, _, which = reference.partition("@")
    which = which or CANDIDATE
    client = _client(uri)
    try:
        if which.isdigit():
            found = client.get_model_version(name, which)
        else:
            found = client.get_model_version_by_alias(name, which)
    except MlflowException as error:
        known = [model.name for model in client.search_registered_models()]
        if name not in known:
            raise UserError(f"unknown model '{name}' in {uri}: {nearest(name, known)}") from error
        numbers = sorted(int(v.version) for v in client.search_model_versions(f"name='{name}'"))
        raise UserError(
            f"model '{name}' has no version or alias '{which}': versions are {numbers}, aliases {_aliases(client, name)}"
        ) from error
    return _version(found)


def list_versions(uri: str) -> list[Version]:
    """All versions of all models, newest first within a model."""
    client = _client(uri)
    versions: list[Version] = []
    for model in client.search_registered_models():
        found = client.search_model_versions(f"name='{model.name}'")
        numbers = sorted((v.version for v in found), key=int, reverse=True)
        versions += [_version(client.get_model_version(model.name, number)) for number in numbers]
    return versions


def record_evaluation(uri: str, version: Version, data_name: str, data_hash: str, metrics: dict[str, Any]) -> Version:
    """Add figures measured on a data set to a version."""
    evaluation = {**version.evaluation, data_name: {"data": data_hash, "metrics": metrics}}
    _client(uri).set_model_version_tag(
        version.name, version.version, "evaluation", json.dumps(evaluation, default=float)
    )
    return get(uri, version.reference)


@dataclass(frozen=True)
class Decision:
    """Whether a version became champion, and the comparison that decided it."""

    promoted: bool
    reason: str


def promote(uri: str, version: Version, on: str | None = None, metric: str = "AP") -> Decision:
    """Make a version champion if its measured ``metric`` beats the present champion's on the same data.

    Args:
        uri: MLflow tracking URI.
        version: the contender.
        on: name of the data set to compare on; by default ``target`` where it was measured, else the only one.
        metric: key of the evaluation's metrics.

    Raises:
        UserError: if either side was not measured on the same data (same manifest hash).
    """
    client = _client(uri)
    on = on or _decisive(version)
    score = _score(version, on, metric)
    champion = _champion(client, version.name)
    if champion is not None:
        if champion.version == version.version:
            return Decision(False, f"{version.reference} is the champion already ({metric} {score:.3f} on {on})")
        standing = _score(champion, on, metric)
        same = champion.evaluation[on]["data"] == version.evaluation[on]["data"]
        if not same:
            raise UserError(
                f"{version.reference} and the champion {champion.reference} were measured on different '{on}' data: "
                f"evaluate both on one folder first (sim2pose models evaluate NAME@VERSION DATA data={on})"
            )
        if score <= standing:
            return Decision(
                False, f"{version.reference} stays candidate: {metric} {score:.3f} on {on} does not beat {standing:.3f}"
            )
        reason = f"{metric} {score:.3f} on {on} beats {standing:.3f} of {champion.reference}"
    else:
        reason = f"the first champion, {metric} {score:.3f} on {on}"
    client.set_registered_model_alias(version.name, CHAMPION, version.version)
    return Decision(True, f"{version.reference} is champion: {reason}")


def _champion(client: Any, name: str) -> Version | None:
    number = _aliases(client, name).get(CHAMPION)
    return None if number is None else _version(client.get_model_version(name, number))


def _aliases(client: Any, name: str) -> dict[str, str]:
    return {alias: str(number) for alias, number in dict(client.get_registered_model(name).aliases).items()}


def _decisive(version: Version) -> str:
    names = list(version.evaluation)
    if "target" in names:
        return "target"
    if len(names) == 1:
        return names[0]
    raise UserError(f"{version.reference} was measured on {', '.join(names)}: say which decides with on=NAME")


def _score(version: Version, on: str, metric: str) -> float:
    if on not in version.evaluation:
        hint = nearest(on, version.evaluation)
        raise UserError(f"{version.reference} was not measured on '{on}' ({hint})")
    metrics = version.evaluation[on]["metrics"]
    if metrics.get(metric) is None:
        raise UserError(f"{version.reference} has no '{metric}' on '{on}': {nearest(metric, metrics)}")
    return float(metrics[metric])


def _version(found: Any) -> Version:
    from urllib.parse import unquote, urlparse

    return Version(
        name=found.name,
        version=str(found.version),
        folder=Path(unquote(urlparse(found.source).path)),
        aliases=tuple(sorted(found.aliases)),
        evaluation=json.loads(found.tags.get("evaluation", "{}")),
        run_id=found.run_id or None,
    )
