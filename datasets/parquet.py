"""Opening and reading Parquet files of frames, wherever they lie, with every page checked against its checksum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..config import UserError
from . import storage

ROW_GROUP = 64
"""Frames a row group; the last one of a shard may be shorter."""


def group_rows(rows: int) -> list[int]:
    """Frames in each row group of a shard of so many frames."""
    return [ROW_GROUP] * (rows // ROW_GROUP) + ([rows % ROW_GROUP] if rows % ROW_GROUP else [])


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard; pages are read with their checksums verified.

    Raises:
        UserError: if the file is missing or no whole Parquet file, or its store cannot be reached.
    """
    where = storage.show(path)
    try:
        if storage.is_remote(path):  # ranges that lie close are fetched by one request
            return pq.ParquetFile(storage.open_input(path), page_checksum_verification=True, pre_buffer=True)
        return pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise UserError(f"{where} is missing") from None
    except pa.ArrowInvalid as error:
        raise UserError(f"{where} is damaged or no Parquet file: {str(error).splitlines()[0]}") from None


def read_columns(file: pq.ParquetFile, path: Path, row_group: int | None, columns: Sequence[str] | None) -> pa.Table:
    """Read columns (all if None) of a row group (all if None) in this thread; a damaged page is a UserError."""
    names = None if columns is None else list(columns)
    try:
        if row_group is None:
            return file.read(columns=names, use_threads=False)
        return file.read_row_group(row_group, columns=names, use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{storage.show(path)} is damaged: {str(error).splitlines()[0]}; delete it and render or import again"
        ) from None


def check_pages(path: Path) -> None:
    """Read a whole shard against the checksums of its pages, for want of a manifest to compare with.

    Raises:
        UserError: if a page is damaged.
    """
    with open_shard(path) as file:
        for group in range(file.num_row_groups):
            read_columns(file, path, group, None)
