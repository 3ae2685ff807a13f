"""Frames that cannot be made: tried again, then left out and noted, so that one of them does not stop a million others.

What a frame shows depends on (seed, index) alone, so a frame that fails fails everywhere, and the set of frames stays a
function of the job. A sick process (a lost graphics context, memory that ran out) fails at every frame instead; nothing
is quarantined then, and the shard is rendered anew by another worker.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...config import UserError
from ...datasets.frames import DatasetInfo, Frame, check_frame
from ...datasets.records import Quarantined, ShardNotes

if TYPE_CHECKING:
    from .job import FrameMaker

# The machine's troubles, not the frame's.
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)


class UnfitFrame(ValueError):
    """A frame was made, but its labels or bytes are none that a reader could use."""


class SturdyFrames:
    """The frames start..stop-1 of a maker without those that fail; iterate once, then ask for the :meth:`notes`.

    A frame that raises is made again at once. If it fails again it is left out, and made once more after the last frame
    of the shard: should it succeed then, the trouble was a passing one, and the whole shard is refused, so that nothing
    depends on when it was rendered. So it is if no frame succeeded, or one that did fails now.
    """

    def __init__(self, maker: FrameMaker, info: DatasetInfo, start: int, stop: int) -> None:
        self._maker, self._info, self._start, self._stop = maker, info, start, stop
        self._failed: dict[int, Exception] = {}
        self._good: int | None = None
        self._counts = Counter[str]()

    def __iter__(self) -> Iterator[Frame]:
        index = self._start
        made = self._made(index, self._stop)
        while index < self._stop:
            try:
                frame: Frame | None = next(made)
            except StopIteration:
                raise AssertionError(f"the maker ended at frame {index} of {self._start}..{self._stop - 1}") from None
            except Exception as error:
                _raise_machine(error)
                self._count()
                frame = self._again(index)
                made = self._made(index + 1, self._stop)
            if frame is not None:
                self._good = frame.frame_id
                yield frame
            index += 1
        next(made, None)  # to its end, where it may count
        self._count()
        if self._failed:
            self._check_lasting()

    def notes(self) -> ShardNotes:
        """What to store with the shard."""
        config = self._info.config
        seed, kind = int(config.get("seed", 0)), str(config.get("kind", ""))
        bad = [Quarantined(index, seed, kind, one_line(error)) for index, error in sorted(self._failed.items())]
        counts = ((str(name), int(count)) for name, count in self._counts.items())
        return ShardNotes(tuple(sorted(counts)), tuple(bad))

    def _count(self) -> None:
        self._counts.update(getattr(self._maker, "counts", {}))

    def _made(self, start: int, stop: int) -> Iterator[Frame]:
        for frame in self._maker.frames(start, stop):
            try:
                check_frame(frame, self._info)
            except UserError as error:
                raise UnfitFrame(str(error)) from None
            yield frame

    def _again(self, index: int) -> Frame | None:
        try:
            return next(self._made(index, index + 1))
        except Exception as error:
            _raise_machine(error)
            self._failed[index] = _without_frames(error)
            return None

    def _check_lasting(self) -> None:
        first = min(self._failed)
        if self._good is None:
            raise self._failed[first]
        next(self._made(self._good, self._good + 1))
        for index, error in list(self._failed.items()):
            if self._again(index) is not None:
                raise RuntimeError(f"frame {index} failed twice and succeeded later: {one_line(error)}") from error


def _without_frames(error: Exception) -> Exception:
    """The exception and its causes without their tracebacks, which would keep all that the failed frame had made."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__, link = None, link.__cause__ or link.__context__
    return error


def one_line(error: BaseException) -> str:
    """Type and first line of an exception."""
    text = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _raise_machine(error: Exception) -> None:
    if isinstance(error, UserError | MemoryError):
        raise error
    if isinstance(error, OSError) and error.errno in _MACHINE:
        raise error
