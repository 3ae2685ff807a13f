"""Object stores through fsspec: S3 and whatever speaks its protocol (s3fs), others if they refuse to create twice.

Exclusive creation is a PUT, or the completion of a multipart upload, with ``If-None-Match: *``. Credentials and the
endpoint come from the usual places: ``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, an instance's role, ...
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ..config import UserError

CHUNK_BYTES = 32 << 20
"""Files of more than twice this size go up in parts."""
CONFLICT_TRIES = 5
_FULL = ("XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "InsufficientCapacity", "507")
_TAKEN = ("PreconditionFailed", "412")


class Unreachable(UserError):
    """The store did not answer; it may do so later, so that a farm tries the shard again."""


def sizes(uri: str) -> dict[str, int]:
    """Bytes of the objects directly below a prefix by name; deeper prefixes have the size -1."""
    with _sentences(uri):
        try:
            found = _fs(uri).ls(uri, detail=True)
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise
            return {}
        names = ((item["name"].rstrip("/").rpartition("/")[2], item) for item in found)
        return {name: int(item["size"]) if item["type"] == "file" else -1 for name, item in names if name}


def size(uri: str) -> int | None:
    """Bytes of an object, None if there is none."""
    with _sentences(uri):
        try:
            return int(_fs(uri).info(uri)["size"])
        except FileNotFoundError:
            return None


def read_bytes(uri: str) -> bytes:
    """A whole object; FileNotFoundError if there is none."""
    with _sentences(uri, reading=True):
        return cast(bytes, _fs(uri).cat_file(uri))


class RemoteInput(io.RawIOBase):
    """An object for random access: each read is one ranged GET. FileNotFoundError if there is none."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri, self._at = uri, 0
        with _sentences(uri, reading=True):
            self._size = int(_fs(uri).info(uri)["size"])

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Offset of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file; raises :class:`Unreachable` where a local one would raise OSError."""
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        with _sentences(self.uri, reading=True):
            data = _fs(self.uri).cat_file(self.uri, start=self._at, end=stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def create(uri: str, source: Path | bytes) -> bool:
    """Upload under a name that must be free; returns False if it was taken."""
    for attempt in range(CONFLICT_TRIES):
        with _sentences(uri):
            try:
                if isinstance(source, bytes):
                    _fs(uri).pipe_file(uri, source, mode="create")
                else:
                    _fs(uri).put_file(str(source), uri, mode="create", chunksize=CHUNK_BYTES)
                return True
            except FileExistsError:
                return False
            except OSError as error:
                if _code(error) in _TAKEN:
                    return False
                # Somebody else is writing the name at this moment: S3 asks to try again.
                if _code(error) != "ConditionalRequestConflict" or attempt == CONFLICT_TRIES - 1:
                    raise
                time.sleep(0.2 * 2**attempt)
    raise AssertionError("unreachable")


def replace(uri: str, data: bytes) -> None:
    """Upload under a name, taken or not."""
    with _sentences(uri):
        _fs(uri).pipe_file(uri, data)


def remove(uri: str) -> None:
    """Delete an object if there is one."""
    with _sentences(uri), contextlib.suppress(FileNotFoundError):
        _fs(uri).rm_file(uri)


def _fs(uri: str) -> Any:
    """The file system of a URI; fsspec keeps one a process (its clients do not survive a fork)."""
    try:
        import fsspec

        return fsspec.filesystem(uri.partition("://")[0], use_listings_cache=False)
    except ImportError as error:
        raise UserError(
            f"{uri} needs a package that is not installed ({error}): pip install 'sim2pose[s3]' for s3://"
        ) from None
    except ValueError as error:
        raise UserError(f"{uri} is no place that can be read or written: {error}") from None


@contextlib.contextmanager
def _sentences(uri: str, reading: bool = False) -> Iterator[None]:
    """Turn what stores and their clients raise into sentences; FileNotFoundError passes where that is an answer."""
    try:
        yield
    except FileNotFoundError as error:
        if reading and _code(error) != "NoSuchBucket":
            raise
        raise UserError(f"there is no bucket for {uri}: make it first, or mend the name ({_first(error)})") from error
    except PermissionError as error:
        raise UserError(
            f"access to {uri} is denied ({_first(error)}): check the credentials in the environment and the bucket's policy"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or _code(error) in _FULL:
            raise UserError(
                f"no space left for {uri}: finished shards are kept; free some space and run the same command again"
            ) from error
        raise Unreachable(f"{uri} could not be read or written: {_first(error)}") from error
    except Exception as error:
        if not type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
            raise
        if "Credential" in type(error).__name__ or "Profile" in type(error).__name__:
            raise UserError(
                f"no credentials for {uri}: {_first(error)}; set AWS_ACCESS_KEY_ID or AWS_PROFILE"
            ) from error
        raise Unreachable(
            f"the store of {uri} cannot be reached: {_first(error)}; is AWS_ENDPOINT_URL right and the network there?"
        ) from error


def _code(error: BaseException) -> str:
    """The store's own code of an error, "" if it gave none."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
