"""The entries that are rows of a database: written with references to lists of CIDs, and read as they were.

See cid_lists. A database of an earlier version has no lists, until its node starts with this one.
"""

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from flux_tui.core.series.events import Event
from flux_tui.store.database import has_column
from flux_tui.store.segments.cid_lists import CidLists, shorten_event, whole_body
from flux_tui.store.segments.pages import Row

ROW_BYTES = 16
"""Bytes of a row besides its event."""

_encoder = msgspec.msgpack.Encoder()
_WITH_LISTS = "SELECT seq, at, body, part, (SELECT cids FROM cid_list WHERE number = list) FROM entry WHERE "
_WITHOUT_LISTS = "SELECT seq, at, body, NULL, NULL FROM entry WHERE "
_part_decoder = msgspec.msgpack.Decoder(tuple[int, bytes])


class EntryRows:
    """Writes the rows of a home's entries. The caller holds the store's lock. Methods raise sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        row = db.execute("SELECT coalesce(max(number), 0) FROM cid_list").fetchone()
        self._lists = CidLists(int(row[0]) + 1)

    def insert(self, events: Sequence[tuple[int, float, Event]]) -> int:
        """Insert entries (number, time, event) in the transaction that is open. Return the bytes that they take.

        Call `forget` if it is not committed.
        """
        rows: list[tuple[int, float, bytes, int | None, bytes | None]] = []
        used: dict[int, int] = {}
        """The last entry that refers to each list."""
        size = 0
        for seq, at, event in events:
            body, cut, reference = shorten_event(event, self._lists)
            if reference is None:
                rows.append((seq, at, body, None, None))
            else:
                part = _encoder.encode((cut, reference.bitmap))
                rows.append((seq, at, body, reference.number, part))
                used[reference.number] = seq
                size += len(part)
            size += len(body) + ROW_BYTES
        if self._lists.fresh:
            size += sum(len(stored) for _, stored in self._lists.fresh)
            self._db.executemany("INSERT INTO cid_list VALUES (?, ?, 0)", self._lists.fresh)
            self._lists.fresh.clear()
        self._db.executemany(
            "UPDATE cid_list SET last = ? WHERE number = ?", [(seq, number) for number, seq in used.items()]
        )
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)
        return size

    def forget(self) -> None:
        """Forget the lists of CIDs: they were not committed."""
        self._lists.forget()

    def delete_unused_lists(self, first: int) -> None:
        """Delete the lists to which no row refers any more. `first`: the first entry that is a row."""
        self._lists.forget()
        self._db.execute("DELETE FROM cid_list WHERE last < ?", (first,))


def select_rows(db: sqlite3.Connection, condition: str, *values: int) -> Iterator[Row]:
    """Yield the rows that meet an SQL condition, such as `seq > ? ORDER BY seq`. Raises sqlite3.Error."""
    query = _WITH_LISTS if has_column(db, "entry", "part") else _WITHOUT_LISTS
    for seq, at, body, part, cids in db.execute(query + condition, values):
        if part is None:
            yield seq, at, body
            continue
        try:
            yield seq, at, whole_body(body, *_part_decoder.decode(part), cids or b"")
        except msgspec.MsgspecError as error:
            raise sqlite3.DatabaseError(f"entry {seq} is damaged: {error}") from error
