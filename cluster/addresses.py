"""Finding a cluster's job server, and talking to it with this machine's token."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ..config import UserError

# They set themselves to INFO and tell of every package and closed socket.
TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
ADDRESS = "RAY_API_SERVER_ADDRESS"
PORT = 8265
CONNECT_S = 5.0


def find_address(address: str | None) -> str:
    """The cluster's job server as ``http://host:port``: given, or from ``RAY_API_SERVER_ADDRESS``.

    Raises:
        UserError: if there is none, it is no HTTP address, or nobody answers there.
    """
    given = address or os.environ.get(ADDRESS)
    if not given:
        raise UserError(f"no cluster is named: give --address http://HEAD:{PORT}, or set {ADDRESS}")
    url = given if "://" in given else f"http://{given}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"'{given}' is no job server: use its dashboard's address, http://HEAD:{PORT}")
    port = parts.port or (443 if parts.scheme == "https" else PORT)
    try:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_S).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {given} ({error.strerror or error}): is its head running?"
        ) from error
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


def connect(address: str) -> Any:
    """A ``JobSubmissionClient`` for an address of :func:`find_address`; it sends the token of this machine.

    Raises:
        UserError: if the cluster refuses the token, or what answers is no Ray job server.
    """
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    with only_address(address):
        try:
            return JobSubmissionClient(address)
        except AuthenticationError as error:
            raise UserError(
                f"the cluster at {address} refuses this machine's token: set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN_PATH to a file with the head's token"
            ) from error
        except (ConnectionError, RuntimeError, OSError, ValueError) as error:
            raise UserError(f"what answers at {address} is no Ray job server: {str(error).splitlines()[0]}") from error


@contextmanager
def only_address(address: str) -> Iterator[None]:
    """Ray lets its environment variable override the address that a client is given; it must not."""
    old = os.environ.get(ADDRESS)
    os.environ[ADDRESS] = address
    try:
        yield
    finally:
        if old is None:
            del os.environ[ADDRESS]
        else:
            os.environ[ADDRESS] = old
