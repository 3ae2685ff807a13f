"""How MLflow is talked to: no telemetry, waits that end, and one process at a time that makes a database."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SQLITE = "sqlite:///"


def quiet_mlflow() -> None:
    """No telemetry, no chatter, and waits that end: a call takes 20 s at most (two attempts of 10 s). Before mlflow is
    imported; what the user's environment says goes before.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default waits for minutes; we retry ourselves
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false")  # which may ask for an hour
    for name in ("mlflow", "alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def mlflow_client(uri: str, go_on: Callable[[], None] = lambda: None) -> Any:
    """An ``MlflowClient`` for a tracking URI; makes an sqlite database's folder, and the database one process at a time.

    Args:
        uri: tracking and registry URI.
        go_on: called between attempts to get the lock; raises to give up.
    """
    quiet_mlflow()
    from mlflow.tracking import MlflowClient

    with creation_lock(uri, go_on):
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if uri.startswith(SQLITE):
            client.search_experiments(max_results=1)  # opens the database, which makes its tables
    return client


@contextmanager
def creation_lock(uri: str, go_on: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One process at a time creates an sqlite database or an experiment in it: simultaneous first use crashes MLflow's
    migration. Nothing for other URIs.
    """
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                go_on()
                time.sleep(0.05)
        yield


def artifact_root(uri: str) -> str | None:
    """Where a new experiment keeps files: beside an sqlite database, as MLflow's own default depends on the current folder;
    a server decides for itself (None).
    """
    return (
        (Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None
    )
