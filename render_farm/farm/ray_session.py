"""One way to get a Ray: start a small private one, or join what is there, and close only what was opened here.

Facts behind the settings (Ray 2.50 to 2.60): the object store takes at least 75 MiB, and no picture passes through it;
Unix socket paths end at 107 bytes, so its folder must be short; a local cluster is protected by a token; under
``uv run`` Ray rebuilds worker environments by default.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...config import UserError

OBJECT_STORE_BYTES = 80_000_000
_CONNECT_S = 5.0
_LONGEST_TMPDIR = 30  # Ray appends about 70 bytes: session_<date>_<pid>/sockets/plasma_store


@contextlib.contextmanager
def ray_session(
    num_cpus: int | None = None,
    address: str | None = None,
    *,
    num_gpus: int | None = None,
    env_vars: Mapping[str, str] | None = None,
    object_store_bytes: int = OBJECT_STORE_BYTES,
    dashboard: bool = False,
    log_to_driver: bool = False,
) -> Iterator[None]:
    """Have ``ray`` initialised inside the block.

    A Ray that this process already uses is used and left running. Otherwise ``address`` (or ``RAY_ADDRESS``, as inside
    of ``ray job submit``) is joined, else a private cluster of ``num_cpus`` is started; both are left at the end.

    Args:
        num_cpus: logical CPUs of a private cluster (None: the machine's).
        address: "auto", "host:port" or "ray://host:port" of a running cluster.
        num_gpus: logical GPUs of a private cluster (None: those found).
        env_vars: environment of the workers, beside ``OMP_NUM_THREADS=1``.
        object_store_bytes: size of a private cluster's object store.
        dashboard: start the dashboard (Ray Train logs complaints without it).
        log_to_driver: print what workers print.

    Raises:
        UserError: if no Ray answers at the address.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    runtime_env = {"env_vars": {"OMP_NUM_THREADS": "1", **(env_vars or {})}}
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": log_to_driver}
    if address:
        _check_reachable(address)
        try:
            ray.init(address=address, runtime_env=runtime_env, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"cannot join the Ray cluster at '{address}': {str(error).splitlines()[0]}") from error
    else:
        _shorten_tmpdir()
        _make_token()
        ray.init(
            address="local",
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            object_store_memory=object_store_bytes,
            include_dashboard=dashboard,
            runtime_env=runtime_env,
            **quiet,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _shorten_tmpdir() -> None:
    if "RAY_TMPDIR" not in os.environ and len(tempfile.gettempdir()) > _LONGEST_TMPDIR:
        os.environ["RAY_TMPDIR"] = "/tmp"


def _make_token() -> None:
    """A random token for the private cluster, readable by its owner only, where there is none.

    Ray would make one at its default place, but readable by all, and refuses a missing file that
    ``RAY_AUTH_TOKEN_PATH`` names.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))


def _check_reachable(address: str) -> None:
    """Ask the port first: Ray itself needs minutes, and prints much, to find that nobody listens."""
    host, _, port = address.removeprefix("ray://").partition("/")[0].rpartition(":")
    if not host or not port.isdigit():
        if address != "auto":
            raise UserError(f"'{address}' is no Ray address: use auto, host:port or ray://host:port")
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at '{address}' ({error.strerror or error}): is its head running?"
        ) from error
