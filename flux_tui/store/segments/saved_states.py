"""The checkpoints in a home's database: their pieces, and which of them stay.

It also knows the checkpoints of a version before, each of which is a whole state in the table `checkpoint`.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence

from flux_tui.store.database import has_table
from flux_tui.store.segments import checkpoint_retention
from flux_tui.store.segments.checkpoint_retention import StoredCheckpoint
from flux_tui.store.segments.pieces import Pieces, Prepared, read_state


class SavedStates:
    """The checkpoints of a home's database. Its one writer changes them, under the store's lock.

    Methods raise sqlite3.Error.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._pieces = Pieces(db)
        rows = db.execute(
            "SELECT seq, size FROM saved UNION SELECT seq, length(state) FROM checkpoint ORDER BY seq"
        )
        self.kept = [StoredCheckpoint(*row) for row in rows]
        """All checkpoints, in the order of their entries, with the bytes that each added."""

    def prepare(self, seq: int, state: bytes) -> Prepared:
        """Cut and compress the state after entry `seq`, to be saved by `insert`. Changes nothing."""
        return self._pieces.prepare(seq, state)

    def insert(self, db: sqlite3.Connection, one: Prepared, head: int) -> list[StoredCheckpoint]:
        """Insert a checkpoint, and delete those that are too many. Call `inserted` after the commit.

        `head`: the entry before the first one that is a row. The checkpoint after it stays, because the next
        segment begins with it. Return the checkpoints that were deleted.
        """
        self._pieces.store(db, one)
        db.execute("DELETE FROM checkpoint WHERE seq = ?", (one.seq,))
        kept = [other for other in self.kept if other.seq != one.seq] + [StoredCheckpoint(one.seq, one.size)]
        allowed = checkpoint_retention.budget(one.seq - head)
        gone = [other for other in checkpoint_retention.superfluous(kept, allowed) if other.seq != head]
        self._delete_rows(db, [other.seq for other in gone])
        return gone

    def inserted(self, one: Prepared, gone: Collection[StoredCheckpoint]) -> None:
        """Note that `insert` was committed."""
        self._pieces.stored(one)
        self._pieces.deleted([other.seq for other in gone])
        kept = [other for other in self.kept if other.seq != one.seq and other not in gone]
        self.kept = [*kept, StoredCheckpoint(one.seq, one.size)]

    def delete_before(self, db: sqlite3.Connection, seq: int) -> bool:
        """Delete the checkpoints before the one after entry `seq`, in a transaction. Return whether there were any."""
        gone = [one.seq for one in self.kept if one.seq < seq]
        if gone:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._delete_rows(db, gone)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            self._pieces.deleted(gone)
            self.kept = [one for one in self.kept if one.seq >= seq]
        return bool(gone)

    def _delete_rows(self, db: sqlite3.Connection, seqs: Sequence[int]) -> None:
        db.executemany("DELETE FROM checkpoint WHERE seq = ?", [(seq,) for seq in seqs])
        self._pieces.delete(db, seqs)


def states_between(db: sqlite3.Connection, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Yield the checkpoints of a database from entry `first` to entry `last`: the number of the entry, and the state.

    Raises sqlite3.Error.
    """
    old: list[int] = []
    lists: dict[int, bytes] = {}
    if has_table(db, "checkpoint"):
        query = "SELECT seq FROM checkpoint WHERE seq BETWEEN ? AND ?"
        old = [row[0] for row in db.execute(query, (first, last))]
    if has_table(db, "saved"):
        query = "SELECT seq, pieces FROM saved WHERE seq BETWEEN ? AND ?"
        lists.update(db.execute(query, (first, last)))
    for seq in sorted({*old, *lists}):
        if seq in lists:
            state = read_state(db, lists[seq])
        else:
            row = db.execute("SELECT state FROM checkpoint WHERE seq = ?", (seq,)).fetchone()
            state = None if row is None else bytes(row[0])
        if state is not None:
            yield seq, state
