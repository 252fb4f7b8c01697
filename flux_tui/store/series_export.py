"""Copies a series to one file, without the chunk index: to be kept, sent and replayed."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from flux_tui.store.database import (
    APPLICATION_ID,
    PAGE_TABLE,
    SERIES_TABLES,
    UNSTAGED_VERSION,
    StoreError,
    explain,
    explain_os,
    has_column,
    open_reader,
)
from flux_tui.store.segments.catalog import FOLDER, segments_in
from flux_tui.store.segments.pieces import Pieces
from flux_tui.store.segments.saved_states import states_between
from flux_tui.store.segments.segment_file import PackedEntries

T = TypeVar("T")
_INSERT_INDEX = "INSERT INTO page_index VALUES (?, ?, ?, ?)"
_LISTED = "SELECT seq, at, body, list, part FROM entry WHERE seq > ?"
_PLAIN = "SELECT seq, at, body, NULL, NULL FROM entry WHERE seq > ?"


def export(source: Path, target: Path, *, overwrite: bool = False) -> int:
    """Copy the series alone, without chunks, to a file that SeriesReader can open. Return the number of entries.

    The node may run meanwhile: the copy is the series at one moment. An existing `target` is replaced only
    with `overwrite`. Raises StoreError: nothing to copy, the target exists, or the disk is full.
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists already: choose another name")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        with (
            closing(open_reader(source)) as reader,
            closing(sqlite3.connect(part, isolation_level=None)) as copy,
        ):
            copy.executescript(f"{SERIES_TABLES}{PAGE_TABLE}")
            copy.execute(f"PRAGMA application_id={APPLICATION_ID}")
            copy.execute(f"PRAGMA user_version={UNSTAGED_VERSION}")
            copy.execute("BEGIN")
            reader.execute("BEGIN")
            count = _copy(reader, source, copy)
            copy.execute("COMMIT")
        os.replace(part, target)
    except sqlite3.Error as error:
        raise explain(error, target) from error
    except OSError as error:
        raise explain_os(error, target) from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _copy(reader: sqlite3.Connection, source: Path, copy: sqlite3.Connection) -> int:
    """Copy everything within open transactions. Return the number of entries."""
    pieces = Pieces(copy)
    try:
        tables = {row[0] for row in reader.execute("SELECT name FROM sqlite_master")}
        segments = segments_in(reader) if "segment" in tables else []
    except sqlite3.Error as error:
        raise explain(error, source) from error
    packed_last = 0
    insert_page = "INSERT INTO page VALUES (?, ?, ?, ?, ?, ?)"
    for segment in segments:
        path = source.parent / FOLDER / segment.name
        if not path.exists():
            raise StoreError(f"{path} was pruned meanwhile: export again")
        with closing(PackedEntries.open(path)) as packed:
            copy.executemany(insert_page, _read(packed.pages(), path))
            copy.executemany(_INSERT_INDEX, _read(packed.indexes(), path))
            _copy_states(_read(packed.states(), path), pieces, copy)
        packed_last = segment.last
    if "page" in tables:  # an exported series is exported again
        packed = PackedEntries(reader)
        copy.executemany(insert_page, _read(packed.pages(), source))
        copy.executemany(_INSERT_INDEX, _read(packed.indexes(), source))
    if "entry" in tables:
        rows = _rows(reader, _LISTED if has_column(reader, "entry", "part") else _PLAIN, packed_last)
        copy.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", _read(rows, source))
    if "cid_list" in tables:
        lists = _rows(reader, "SELECT number, cids, last FROM cid_list")
        copy.executemany("INSERT INTO cid_list VALUES (?, ?, ?)", _read(lists, source))
    _copy_states(_read(states_between(reader, packed_last, 1 << 62), source), pieces, copy)
    if "set_back" in tables:
        back = _read(_rows(reader, "SELECT seq FROM set_back"), source)
        copy.executemany("INSERT INTO set_back VALUES (?)", back)
    counts = "SELECT (SELECT count(*) FROM entry), (SELECT coalesce(sum(last - first + 1), 0) FROM page)"
    return sum(copy.execute(counts).fetchone())


def _rows(reader: sqlite3.Connection, query: str, *values: int) -> Iterator[tuple[Any, ...]]:
    yield from reader.execute(query, values)


def _read(found: Iterator[T], path: Path) -> Iterator[T]:
    """Yield what a database gives; its errors name that database, and not the copy."""
    try:
        yield from found
    except sqlite3.Error as error:
        raise explain(error, path) from error


def _copy_states(states: Iterator[tuple[int, bytes]], pieces: Pieces, copy: sqlite3.Connection) -> None:
    for seq, state in states:
        one = pieces.prepare(seq, state)
        pieces.store(copy, one)
        pieces.stored(one)
