"""Who is champion, since when, and on what figures: the alias moves only by measurement, and can be put back.

The registered model's tag ``champion_history`` lists every move, oldest first; replaying it gives the champions that
stand beneath the present one, which is where a rollback goes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ...config import UserError, nearest
from .client import RegistryClient
from .versions import CHAMPION, Version, aliases, as_version

BY_KIND = {"keypoints": "AP", "prior": "nats_per_dim"}  # what decides if nothing else is said
LESS_IS_BETTER = ("nats_per_dim", "bits_per_dim", "left_right_confusion")
HISTORY = "champion_history"


@dataclass(frozen=True)
class Decision:
    """Whether a version became champion, and the comparison that decided it."""

    promoted: bool
    reason: str


@dataclass(frozen=True)
class Reign:
    """One move of the alias: to which version, when (ISO 8601, UTC), and on what figures.

    ``rolled_back`` is the version that it was taken from, where a rollback moved it. Time and figures are None of a
    champion that was not made here.
    """

    version: str
    at: str | None
    on: str | None = None
    metric: str | None = None
    score: float | None = None
    data: str | None = None
    rolled_back: str | None = None


def promote(uri: str, version: Version, on: str | None = None, metric: str | None = None) -> Decision:
    """Make a version champion if its measured ``metric`` beats the present champion's on the same data.

    Args:
        uri: MLflow tracking URI.
        version: the contender.
        on: name of the data set to compare on; by default ``target`` where it was measured, else the only one.
        metric: key of the evaluation's metrics, by default that of the version's kind (:data:`BY_KIND`); more is better,
            but for :data:`LESS_IS_BETTER`.

    Raises:
        UserError: if either side was not measured on the same data (same manifest hash).
    """
    client = RegistryClient(uri)
    on = on or _decisive(version)
    metric = metric or BY_KIND[version.kind]
    score = _score(version, on, metric)
    champion = _champion(client, version.name)
    if champion is None:
        reason = f"the first champion, {metric} {score:.3f} on {on}"
    elif champion.version == version.version:
        return Decision(False, f"{version.reference} is the champion already ({metric} {score:.3f} on {on})")
    else:
        standing = _score(champion, on, metric)
        if champion.evaluation[on]["data"] != version.evaluation[on]["data"]:
            raise UserError(
                f"{version.reference} and the champion {champion.reference} were measured on different '{on}' data: "
                f"evaluate both on one folder first (sim2pose models evaluate NAME@VERSION DATA data={on})"
            )
        if (score >= standing) if metric in LESS_IS_BETTER else (score <= standing):
            return Decision(
                False, f"{version.reference} stays candidate: {metric} {score:.3f} on {on} does not beat {standing:.3f}"
            )
        reason = f"{metric} {score:.3f} on {on} beats {standing:.3f} of {champion.reference}"
    data = str(version.evaluation[on]["data"])
    _move(client, version.name, champion, Reign(version.version, _now(), on, metric, score, data))
    return Decision(True, f"{version.reference} is champion: {reason}")


def rollback(uri: str, name: str) -> tuple[Reign, Reign]:
    """Put champion back to the version that was champion before the present one.

    Returns:
        the reign that ended, and the one that goes on again.

    Raises:
        UserError: if there is no champion, or none before it, or that version is no longer there.
    """
    from mlflow.exceptions import MlflowException

    client = RegistryClient(uri)
    champion = _champion(client, name)
    if champion is None:
        raise UserError(f"'{name}' has no champion that could be rolled back: aliases are {aliases(client, name)}")
    standing = _standing(_moves(client, name, champion))
    if len(standing) < 2:
        raise UserError(
            f"{champion.reference} is the first champion of '{name}': there is none before it to go back to"
        )
    left, back = standing[-1], standing[-2]
    try:
        client.get_model_version(name, back.version)
    except MlflowException as error:
        raise UserError(
            f"the champion before, {name}@{back.version}, is no longer in {uri}: promote another"
        ) from error
    again = Reign(**{**asdict(back), "at": _now(), "rolled_back": left.version})
    _move(client, name, champion, again)
    return left, back


def history(uri: str, name: str) -> list[Reign]:
    """Every move of a model's champion, oldest first."""
    client = RegistryClient(uri)
    return _moves(client, name, _champion(client, name))


def _moves(client: RegistryClient, name: str, champion: Version | None) -> list[Reign]:
    """What was written down, and the present champion where somebody set the alias without us."""
    text = _model(client, name).tags.get(HISTORY, "[]")
    moves = [Reign(**entry) for entry in json.loads(text)]
    standing = _standing(moves)
    if champion is not None and (not standing or standing[-1].version != champion.version):
        moves.append(Reign(champion.version, None))
    return moves


def _standing(moves: list[Reign]) -> list[Reign]:
    """The champions one above the other, the present one last: what a rollback took away is gone."""
    stack: list[Reign] = []
    for move in moves:
        if move.rolled_back is None:
            stack.append(move)
        else:
            stack.pop()
    return stack


def _move(client: RegistryClient, name: str, champion: Version | None, to: Reign) -> None:
    """Move the alias, then write it down."""
    moves = [*_moves(client, name, champion), to]
    client.set_registered_model_alias(name, CHAMPION, to.version)
    client.set_registered_model_tag(name, HISTORY, json.dumps([asdict(move) for move in moves]))


def _champion(client: RegistryClient, name: str) -> Version | None:
    number = dict(_model(client, name).aliases).get(CHAMPION)
    return None if number is None else as_version(client.get_model_version(name, str(number)))


def _model(client: RegistryClient, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        known = [model.name for model in client.search_registered_models()]
        raise UserError(f"unknown model '{name}' in {client.uri}: {nearest(name, known)}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
