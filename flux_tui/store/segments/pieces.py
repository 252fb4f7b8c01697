"""Checkpoints that cost in proportion to what changed: the bytes of a state, cut into pieces that they share.

A state with 20,000 objects has 5 MB, of which hardly anything changes between two checkpoints. So its bytes
are cut into pieces of some KB, and a piece that is stored already is not stored again. A checkpoint is the
list of its pieces, and does not need another checkpoint: any may be deleted at any time.

The cuts are in front of certain ids, by characters of the id itself (content-defined chunking). So something
that is inserted or removed changes its own piece only, and the cuts after it stay the same. Nothing here
depends on what a state looks like, so the states of any version can be cut.

Source of the method: Muthitacharoen, Chen, Mazières: A Low-bandwidth Network File System (2001).
"""

import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise

import msgspec

_LEVEL = 4
_DIGEST_BYTES = 16
_CUT = re.compile(rb"\xd9(?<!\xa4root\xd9)(?=\x3bba[a-z2-7]{47}[ab]|\x34[1-9A-Za-z]{39}[A-D])")
"""One CID of 16 and one peer id of 15, each with the header of its text in msgpack. A `root` follows the same CID
as key of its table, so it is not cut again. The pattern begins with a byte, for which the search is ten times as fast
as for a condition."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[int])


def cut(state: bytes) -> list[bytes]:
    """Return the pieces of a state's bytes; joined, they are the same bytes."""
    places = [0, *(found.start() for found in _CUT.finditer(state) if found.start()), len(state)]
    return [state[start:end] for start, end in pairwise(places)]


def read_state(db: sqlite3.Connection, pieces: bytes) -> bytes | None:
    """Return the bytes of a saved state. `pieces`: the column `pieces` of its row. None: a piece is gone.

    A piece can be gone if the checkpoint was deleted after its row was read. Raises sqlite3.Error.
    """
    ids = unpacked_ids(pieces)
    if not ids:
        return b""
    found: dict[int, bytes] = {}
    for first, last in _runs(sorted(set(ids))):
        found.update(db.execute("SELECT id, body FROM piece WHERE id BETWEEN ? AND ?", (first, last)))
    try:
        return b"".join(zlib.decompress(found[one]) for one in ids)
    except KeyError:
        return None
    except zlib.error as error:
        raise sqlite3.DatabaseError(f"a checkpoint is damaged: {error}") from error


def unpacked_ids(pieces: bytes) -> list[int]:
    """Return the ids of the pieces of a checkpoint, from the column `pieces` of its row."""
    number = 0
    found = []
    try:
        steps = _decoder.decode(zlib.decompress(pieces))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise sqlite3.DatabaseError(f"a checkpoint is damaged: {error}") from error
    for step in steps:
        number += step
        found.append(number)
    return found


def _packed_ids(ids: Sequence[int]) -> bytes:
    steps = [one - before for before, one in zip((0, *ids), ids, strict=False)]
    return zlib.compress(_encoder.encode(steps), _LEVEL)


def _runs(ids: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Yield the first and last id of each run of ids that are close to each other."""
    first = last = ids[0]
    for one in ids[1:]:
        if one - last > 4:
            yield first, last
            first = one
        last = one
    yield first, last


class Prepared:
    """A checkpoint that is ready to be stored with a commit."""

    def __init__(self, seq: int, ids: list[int], fresh: dict[bytes, tuple[int, bytes]]) -> None:
        self.seq = seq
        self.ids = ids
        self.fresh = fresh
        """The pieces that are not stored yet, by digest: id and compressed bytes."""
        self.packed = _packed_ids(ids)
        self.size = len(self.packed) + sum(len(body) for _, body in fresh.values())
        """Bytes that the checkpoint adds."""


class Pieces:
    """The checkpoints of one database and their pieces. Its one writer changes them.

    `prepare`, then `store` and `delete` within a transaction, then `stored` and `deleted` after its commit.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._ids: dict[bytes, int] = dict(db.execute("SELECT digest, id FROM piece"))
        self._uses: Counter[int] = Counter()
        self._lists: dict[int, list[int]] = {}
        for seq, pieces in db.execute("SELECT seq, pieces FROM saved"):
            self._lists[seq] = unpacked_ids(pieces)
            self._uses.update(set(self._lists[seq]))
        self._next = max(self._ids.values(), default=0) + 1

    def prepare(self, seq: int, state: bytes) -> Prepared:
        """Cut the state after entry `seq`, and compress the pieces that are not stored yet. Changes nothing."""
        fresh: dict[bytes, tuple[int, bytes]] = {}
        ids = []
        number = self._next
        for piece in cut(state):
            digest = blake2b(piece, digest_size=_DIGEST_BYTES).digest()
            known = self._ids.get(digest)
            if known is None and digest in fresh:
                known = fresh[digest][0]
            if known is None:
                known = number
                fresh[digest] = (number, zlib.compress(piece, _LEVEL))
                number += 1
            ids.append(known)
        return Prepared(seq, ids, fresh)

    def store(self, db: sqlite3.Connection, one: Prepared) -> None:
        """Insert a checkpoint's rows. Raises sqlite3.Error."""
        db.executemany(
            "INSERT OR REPLACE INTO piece VALUES (?, ?, ?)",
            [(number, digest, body) for digest, (number, body) in one.fresh.items()],
        )
        db.execute("INSERT OR REPLACE INTO saved VALUES (?, ?, ?)", (one.seq, one.size, one.packed))

    def stored(self, one: Prepared) -> None:
        """Note that a checkpoint's rows were committed."""
        for digest, (number, _) in one.fresh.items():
            self._ids[digest] = number
            self._next = max(self._next, number + 1)
        before = self._lists.pop(one.seq, None)
        self._lists[one.seq] = one.ids
        self._uses.update(set(one.ids))
        if before is not None:
            self._uses.subtract(set(before))

    def delete(self, db: sqlite3.Connection, seqs: Iterable[int]) -> None:
        """Delete the rows of checkpoints, and of the pieces that no other one uses. Raises sqlite3.Error."""
        seqs = [seq for seq in seqs if seq in self._lists]
        gone = Counter(number for seq in seqs for number in set(self._lists[seq]))
        unused = [(number,) for number, count in gone.items() if self._uses[number] <= count]
        db.executemany("DELETE FROM saved WHERE seq = ?", [(seq,) for seq in seqs])
        db.executemany("DELETE FROM piece WHERE id = ?", unused)

    def deleted(self, seqs: Iterable[int]) -> None:
        """Note that the rows of checkpoints were deleted."""
        for seq in seqs:
            self._uses.subtract(set(self._lists.pop(seq, ())))
        unused = {number for number, count in self._uses.items() if count <= 0}
        for number in unused:
            del self._uses[number]
        if unused:
            self._ids = {digest: number for digest, number in self._ids.items() if number not in unused}
