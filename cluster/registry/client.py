"""MLflow's client for the registry: what goes wrong on the way becomes one sentence with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...config import UserError
from ...trainers.mlflow_client import SQLITE, mlflow_client

# Errors that are answers: the caller knows what they mean.
ANSWERS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS")


class RegistryClient:
    """An ``MlflowClient`` whose calls raise ``UserError`` where the registry is not there, or fails.

    Errors that are answers (:data:`ANSWERS`) go through as MLflow's exceptions.

    Raises:
        UserError: for an sqlite database that does not exist (unless ``make``), a URI of another kind, or an outage.
    """

    def __init__(self, uri: str, make: bool = False) -> None:
        self.uri = uri
        if not (uri.startswith(SQLITE) or is_server(uri)):
            raise UserError(f"uri={uri} is no registry: give sqlite:////absolute/path/mlflow.db or http://host:port")
        if not make and not exists(uri):
            raise UserError(
                f"no registry at {uri}: nothing has been registered there yet (sim2pose models register RUN)"
            )
        with outages(uri):
            self._client = mlflow_client(uri)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: Any, **options: Any) -> Any:
            with outages(self.uri):
                return method(*args, **options)

        return call


def is_server(uri: str) -> bool:
    """Whether the registry is a server, which keeps the files itself."""
    return uri.startswith(("http://", "https://"))


def exists(uri: str) -> bool:
    """Whether there may be something: false for an sqlite database that nobody has made yet."""
    return not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).is_file()


@contextmanager
def outages(uri: str) -> Iterator[None]:
    """Turn failures of MLflow into one sentence.

    Raises:
        UserError: saying what failed where and what to do; nothing has been changed by the call that failed.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        if error.error_code in ANSWERS:
            raise
        raise UserError(_sentence(uri, error)) from error
    except (OSError, SQLAlchemyError) as error:
        raise UserError(_sentence(uri, error)) from error


def first_line(error: Exception, length: int = 200) -> str:
    """What an exception says, in one line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:length]


def _sentence(uri: str, error: Exception) -> str:
    told = str(error)
    if not is_server(uri):
        return f"the registry database {uri} cannot be used ({first_line(error)}): is its folder there, and writable?"
    if "401" in told or "403" in told or "PERMISSION_DENIED" in told or "UNAUTHENTICATED" in told:
        return f"the registry at {uri} refuses access: set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD"
    if ("failed with exception" in told or "timeout exception" in told) and "error responses" not in told:
        return (
            f"the registry at {uri} does not answer: is 'mlflow server' running there, and is uri= right? "
            "Give the command again when it is back"
        )
    return f"the registry at {uri} failed ({first_line(error)}): see the server's log"
