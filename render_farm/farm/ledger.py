"""What of a job is finished: the entries of open parts, the sums of closed ones.

A part is closed, and forgotten but for its sums, when its last shard is there; the driver's memory thus does not grow
with the number of shards. A small folder is one part that is never closed: its manifest is the folder's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

from ...config import UserError
from ...datasets import storage
from ...datasets.job_file import write_asked
from ...datasets.manifest import MANIFEST, PART, Manifest, part_name, read_manifest, read_part, shard_name
from ...datasets.parquet import check_pages
from ...datasets.publish import existing_shard, write_manifest, write_part
from ...datasets.records import Part, Quarantined, ShardEntry, Totals, add_totals, shard_totals
from .job import FarmJob

QUARANTINE = "_quarantine.jsonl"


class Ledger:
    """Of one run: what was found, what has come since, what is missing."""

    def __init__(self, job: FarmJob) -> None:
        """Look at what lies in the folder; writes nothing.

        Shards of parts that were closed are compared by name and size with the part's manifest; all others are read
        from end to end.

        Raises:
            UserError: if the folder holds foreign files, another job's shards (names the key that differs), more frames
                than are asked, or a damaged shard.
        """
        self.job = job
        self._open: dict[int, dict[int, ShardEntry]] = {}
        self._closed: dict[int, Part] = {}
        self._stale: list[int] = []  # parts whose manifest no longer tells all
        self._check_foreign()
        for part in range(job.parts):
            self._load(part)

    @property
    def shards(self) -> int:
        """Shards that are there."""
        return sum(part.totals.shards for part in self._closed.values()) + sum(map(len, self._open.values()))

    @property
    def whole(self) -> bool:
        """Whether everything is there, manifests of parts included."""
        return self.shards == self.job.shards and not (self.job.part_shards and self._open)

    def totals(self) -> Totals:
        """Sums over all shards that are there."""
        parts = (part.totals for part in self._closed.values())
        return add_totals([*parts, *(shard_totals(entries.values()) for entries in self._open.values())])

    def missing(self) -> Iterator[int]:
        """Shards that were missing when the run began, in order; what comes meanwhile makes no difference."""
        for part in range(self.job.parts):
            if part not in self._closed:
                there = set(self._open.get(part, {}))
                yield from (shard for shard in self.job.shard_ids(part) if shard not in there)

    def begin(self) -> None:
        """Say how many frames there will be, take back the manifests that will not be true for long, and write those that
        a killed run did not come to.

        Raises:
            UserError: if the folder cannot be written.
        """
        try:
            write_asked(self.job.folder, self.job.frames)  # first: a manifest of fewer frames is then known to be old
        except OSError as error:
            raise storage.explain(error, self.job.folder) from error
        storage.remove(self.job.folder / MANIFEST)
        for part in self._stale:
            storage.remove(self.job.folder / self.job.sub(part) / PART)
        for part in list(self._open):
            self._close_if_whole(part)

    def add(self, shard_id: int, entry: ShardEntry) -> None:
        """A shard has come."""
        part = self.job.part_of(shard_id)
        self._open.setdefault(part, {})[shard_id] = entry
        self._close_if_whole(part)

    def _close_if_whole(self, part: int) -> None:
        entries = self._open[part]
        if self.job.part_shards and len(entries) == len(self.job.shard_ids(part)):
            self._closed[part] = write_part(self.job.folder, self.job.sub(part), list(entries.values()))
            del self._open[part]

    def finish(self) -> Manifest:
        """Write the list of quarantined frames, if there are any, and the manifest; a finished folder stays as it is.

        Raises:
            UserError: on a full disk, or if another run has written the folder.
        """
        assert self.whole, f"{self.shards} shards are finished, {self.job.shards} make up the job"
        if storage.size(self.job.folder / MANIFEST) is not None:
            return read_manifest(self.job.folder)
        bad = [json.dumps(asdict(frame)) for frame in self.poisoned()]
        try:
            if bad:
                storage.replace(self.job.folder / QUARANTINE, ("\n".join(bad) + "\n").encode())
        except OSError as error:
            raise storage.explain(error, self.job.folder) from error
        parts = [self._closed[part] for part in sorted(self._closed)]
        return write_manifest(self.job.folder, list(self._open.get(0, {}).values()), self.job.info, parts)

    def poisoned(self) -> Iterator[Quarantined]:
        """Records of all frames in quarantine, in order, one part in memory at a time."""
        for part in range(self.job.parts):
            entries: Iterable[ShardEntry] = self._open.get(part, {}).values()
            if part in self._closed and self._closed[part].totals.quarantined:
                entries = read_part(self.job.folder, self.job.sub(part))[0]
            yield from sorted((f for entry in entries for f in entry.notes.quarantined), key=lambda f: f.frame)

    def _check_foreign(self) -> None:
        job = self.job
        for name in storage.sizes(job.folder):
            is_shard = name.startswith("shard-") and not job.part_shards
            if name.endswith(".parquet") and not is_shard:
                raise UserError(f"{storage.show(job.folder / name)} is no shard of this job: choose an empty folder")
            if job.part_shards and name.startswith("part-") and name >= part_name(job.parts):
                raise self._more(name)

    def _load(self, part: int) -> None:
        job, sub = self.job, self.job.sub(part)
        found = storage.sizes(job.folder / sub)
        ids = {shard_name(shard): shard for shard in job.shard_ids(part)}
        listed, part_sha256 = self._listed(part, found)
        entries: dict[int, ShardEntry] = {}
        for name in sorted(name for name in found if name.endswith(".parquet")):
            if name not in ids:
                raise self._more(f"{sub}/{name}" if sub else name)
            entries[ids[name]] = self._entry(job.file(ids[name]), found[name], listed.get(name))
            self._check_rows(ids[name], entries[ids[name]])
        if job.part_shards and part_sha256 and set(ids) == set(listed) and len(entries) == len(ids):
            self._closed[part] = Part(sub, part_sha256, shard_totals(entries.values()))
            return
        if part_sha256:
            self._stale.append(part)
        if entries:
            self._open[part] = entries

    def _listed(self, part: int, found: dict[str, int]) -> tuple[dict[str, ShardEntry], str]:
        """Entries of a part by file name and the SHA-256 of its manifest, or nothing if it has none."""
        if not self.job.part_shards and MANIFEST in found:
            return {entry.file: entry for entry in read_manifest(self.job.folder).shards}, ""
        if self.job.part_shards and PART in found:
            entries, sha256 = read_part(self.job.folder, self.job.sub(part))
            return {entry.file.rpartition("/")[2]: entry for entry in entries}, sha256
        return {}, ""

    def _entry(self, file: str, size: int, listed: ShardEntry | None) -> ShardEntry:
        path = self.job.folder / file
        damaged = f"{storage.show(path)} is damaged: %s is not the manifest's; delete it and run the same command again"
        if listed is not None and size != listed.bytes:
            raise UserError(damaged % "its size")
        if listed is not None and (self.job.part_shards or storage.is_remote(path)):
            return listed
        entry = replace(existing_shard(path, self.job.info), file=file)
        if listed is None:
            check_pages(path)
        elif entry.sha256 != listed.sha256:
            raise UserError(damaged % "its SHA-256")
        return entry

    def _check_rows(self, shard_id: int, entry: ShardEntry) -> None:
        start, stop = self.job.bounds(shard_id)
        if entry.rows + len(entry.notes.quarantined) != stop - start:
            raise UserError(
                f"{storage.show(self.job.folder / entry.file)} has {entry.rows} frames, {stop - start} belong there: "
                f"a folder only grows while its frames are a multiple of shard_frames={self.job.shard_frames}"
            )

    def _more(self, name: str) -> UserError:
        return UserError(
            f"{storage.show(self.job.folder / name)}: the folder holds more than the {self.job.frames} frames asked: "
            "choose another folder"
        )
