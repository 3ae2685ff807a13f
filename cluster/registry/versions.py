"""Model versions in MLflow: registering, looking up, and the figures measured on them.

A version is *evaluated* before it is known: its figures, and the hash of the data they were measured on, are tags of the
version. Two aliases tell its standing: ``candidate`` (the newest registered) and ``champion`` (the best, see ``promotion``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config import UserError, nearest
from .client import RegistryClient, exists
from .stores import keep, local_path, sums

CANDIDATE, CHAMPION = "candidate", "champion"
NAMES = {"keypoints": "sim2pose-keypoints", "prior": "sim2pose-priors"}  # by kind, where no other is given
DEFAULT_NAME = NAMES["keypoints"]
KINDS = {"keypoints": ("model.safetensors", "model.json"), "prior": ("prior.safetensors",)}  # and what each must hold
Json = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """One registered version: where its files lie, and what was measured.

    Attributes:
        folder: of its files, on this machine; None where a server keeps them (``stores.fetch`` pulls them).
        source: URI of its files.
        evaluation: data set's name → {"data": manifest hash, "metrics": {…}, "baselines": {name: {…}}, …}.
        kind: "keypoints" (a network) or "prior" (a density of poses).
        files: name → SHA-256 (hex).
        code: of what made it: {"version", "source", "commit"}.
    """

    name: str
    version: str
    folder: Path | None
    source: str
    aliases: tuple[str, ...]
    evaluation: dict[str, Json]
    run_id: str | None
    kind: str = "keypoints"
    files: dict[str, str] = field(default_factory=dict)
    code: Json = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """``name@version``, as the commands take it."""
        return f"{self.name}@{self.version}"


def register(
    uri: str, folder: Path, evaluation: dict[str, Json], name: str = DEFAULT_NAME, run_id: str | None = None
) -> Version:
    """Register a folder (see ``packing``) as a new version with alias ``candidate``; its files are copied to the registry's.

    Raises:
        UserError: if the folder holds no model, the evaluation is empty, the name is another kind of model's, the files
            cannot be kept, or the registry cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    kind = _kind(folder)
    if not evaluation:
        raise UserError(f"{folder} has no evaluation: run 'sim2pose evaluate {folder} DATA' first")
    client = RegistryClient(uri, make=True)
    try:
        known = client.get_registered_model(name).tags.get("kind", kind)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name, tags={"kind": kind}, description=f"sim2pose {kind}")
        known = kind
    if known != kind:
        raise UserError(f"'{name}' holds models of kind '{known}', {folder} is '{kind}': choose another name=")
    files = sums(folder)
    source, run = keep(client, folder, files, run_id)
    about = folder / "version.json"
    code = json.loads(about.read_text(encoding="utf-8"))["code"] if about.is_file() else {}
    values = {"evaluation": evaluation, "files": files, "code": code}
    tags = {key: json.dumps(value, default=float) for key, value in values.items()} | {"kind": kind}
    created = client.create_model_version(name, source, run_id=run, tags=tags, await_creation_for=0)
    client.set_registered_model_alias(name, CANDIDATE, created.version)
    return get(uri, f"{name}@{created.version}")


def _kind(folder: Path) -> str:
    for kind, files in KINDS.items():
        if all((folder / file).is_file() for file in files):
            return kind
    raise UserError(f"{folder} is no model folder: model.safetensors and model.json are expected there")


def get(uri: str, reference: str) -> Version:
    """Look up ``name``, ``name@alias`` or ``name@version`` (``name`` alone means its candidate).

    Raises:
        UserError: for an unknown model, version or alias (names what there is), or an outage.
    """
    from mlflow.exceptions import MlflowException

    name, _, which = reference.partition("@")
    which = which or CANDIDATE
    client = RegistryClient(uri)
    try:
        if which.isdigit():
            return as_version(client.get_model_version(name, which))
        return as_version(client.get_model_version_by_alias(name, which))
    except MlflowException as error:
        raise UserError(_unknown(client, name, which)) from error


def _unknown(client: RegistryClient, name: str, which: str) -> str:
    known = [model.name for model in client.search_registered_models()]
    if name not in known:
        return f"unknown model '{name}' in {client.uri}: {nearest(name, known)}"
    numbers = sorted(int(v.version) for v in client.search_model_versions(f"name='{name}'"))
    there = f"versions are {numbers}, aliases {aliases(client, name)}"
    if which == CHAMPION:
        return (
            f"'{name}' has no champion yet: promote a measured version with 'sim2pose models promote {name}' ({there})"
        )
    return f"model '{name}' has no version or alias '{which}': {there}"


def list_versions(uri: str) -> list[Version]:
    """All versions of all models, newest first within a model; none of a database that nobody has made yet."""
    if not exists(uri):
        return []
    client = RegistryClient(uri)
    versions: list[Version] = []
    for model in client.search_registered_models():
        found = client.search_model_versions(f"name='{model.name}'")
        numbers = sorted((v.version for v in found), key=int, reverse=True)
        versions += [as_version(client.get_model_version(model.name, number)) for number in numbers]
    return versions


def record_evaluation(uri: str, version: Version, data_name: str, entry: Json) -> Version:
    """Add what was measured on a data set ({"data": hash, "metrics": {…}, …}) to a version."""
    evaluation = {**get(uri, version.reference).evaluation, data_name: entry}
    client = RegistryClient(uri)
    client.set_model_version_tag(version.name, version.version, "evaluation", json.dumps(evaluation, default=float))
    return get(uri, version.reference)


def aliases(client: RegistryClient, name: str) -> dict[str, str]:
    """Alias → version of a registered model."""
    return {alias: str(number) for alias, number in dict(client.get_registered_model(name).aliases).items()}


def as_version(found: Any) -> Version:
    """MLflow's model version as ours."""
    return Version(
        name=found.name,
        version=str(found.version),
        folder=local_path(found.source),
        source=found.source,
        aliases=tuple(sorted(found.aliases)),
        evaluation=json.loads(found.tags.get("evaluation", "{}")),
        run_id=found.run_id or None,
        kind=found.tags.get("kind", "keypoints"),
        files=json.loads(found.tags.get("files", "{}")),
        code=json.loads(found.tags.get("code", "{}")),
    )
