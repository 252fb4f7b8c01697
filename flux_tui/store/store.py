"""The store: the series and the chunk index in one transaction, the bytes in place before it.

Chunk bytes are in one of three places: inline in the database (inner nodes, small loose chunks), in a
file that is being fetched (written at its offset: the download *is* the chunk store, so a file costs its
size on disk once), or in the user's own file that was added or fetched, which is never copied.

Rules
- Bytes are written first; the row that claims them commits with the entry that tells of them.
- A chunk that was written but not committed counts as held (`size_of`) in this process, and is simply
  not there after a crash: it is fetched again, into the same place.
- A chunk may stand in several files of the user's. It is lost only when none of them has it any more.
- One thread commits at a time; landing, placing and reading may run in other threads beside it.
- A database that turns out to be damaged while chunks are looked up has not got them: `on_damage` is told
  once, and the node goes on with what can be read.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

from flux_tui.core.events import Event, encode_event
from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, matches
from flux_tui.store import checkpoints, durable, files
from flux_tui.store.checkpoints import Kept
from flux_tui.store.evicting import HELD, Evictions, Gone, begin_anew, tidy
from flux_tui.store.files import FileStat
from flux_tui.store.schema import DATABASE, UPSERT_CHUNK, StoreError, explain, explain_os, open_writer
from flux_tui.store.series import SeriesReader
from flux_tui.store.trees import OWN, Tree, Trees

__all__ = ["Landed", "Leaf", "Lost", "Placed", "ReadResult", "Store", "StoreError", "Whole"]

INLINE_MAX = 64 * 1024
"""Bytes; a larger loose chunk gets a file of its own."""
SIZES_KEPT = 100_000
"""Chunk sizes kept in memory, some 20 MB: what a busy node is asked for again and again."""


class Landed(NamedTuple):
    """An index row to be committed: where a chunk's bytes are."""

    cid: Cid
    size: int
    file: int | None = None
    offset: int | None = None
    data: bytes | None = None


class Leaf(NamedTuple):
    """A chunk in a file of the user's."""

    cid: Cid
    offset: int
    size: int


class Lost(NamedTuple):
    """Chunks that are not there any more, and why: one sentence."""

    path: Path
    cids: tuple[Cid, ...]
    size: int
    why: str


class ReadResult(NamedTuple):
    """What could be read, in the order asked, and what was lost."""

    chunks: list[tuple[Cid, bytes]]
    lost: list[Lost]


class Placed(NamedTuple):
    """Of some leaves: whose bytes are in place now, and which have to come from elsewhere."""

    present: list[Cid]
    missing: list[Cid]
    lost: list[Lost]
    """What was thought to be here. To be committed as lost, with an entry."""


class Whole(NamedTuple):
    """An object that has its name, and links of it that were not made: each in words."""

    path: Path
    left_out: tuple[str, ...]


class _Where(NamedTuple):
    size: int
    file: int | None
    offset: int | None
    data: bytes | None


class Store:
    """One home's store. Open it under the home's lock."""

    def __init__(self, home: Path, db: sqlite3.Connection) -> None:
        self.home = home
        self.path = home / DATABASE
        self._db = db
        self._lock = threading.RLock()
        """Guards the connection, the trees and the overlay; hardly ever held over file I/O."""
        self._overlay: dict[Cid, Landed] = {}
        """Written, not committed."""
        self._own_unflushed: list[str] = []
        """Files of our own that were written in this life."""
        self._gone: set[Cid] = set()
        """Found to be lost, not committed."""
        self._sizes: dict[Cid, int] = {}
        self.on_damage: Callable[[StoreError], None] | None = None
        """Called from any thread."""
        self._damages: set[str] = set()
        self._gone_files: set[int] = set()
        """Files of replicas that were removed: what was landing in them meanwhile is not there."""
        self.last_seq = int(db.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])
        self._checkpoints = [
            Kept(*row) for row in db.execute("SELECT seq, length(state) FROM checkpoint ORDER BY seq")
        ]
        self._trees = Trees(home, db, self._lock)
        tidy(db)
        self.lost_at_open = self._verify_after_power_loss()
        """Chunks that a power loss took: the node tells the series of them."""

    @classmethod
    def open(cls, home: Path) -> "Store":
        """Open a home's store, or make it. Raises StoreError."""
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os(error, home) from error
        db = open_writer(home / DATABASE)
        try:
            return cls(home, db)
        except sqlite3.Error as error:
            db.close()
            raise explain(error, home / DATABASE) from error

    def close(self) -> None:
        """No more use of this store. What it was closed with in order needs no look after a new boot."""
        with self._lock:
            try:
                if self._own_unflushed:
                    self._flush_own(self._own_unflushed)
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('closed', '1')")
            except (sqlite3.Error, OSError, StoreError):
                pass  # a full or broken disk: it is looked at then
            self._db.close()

    def _flush_own(self, rels: list[str]) -> None:
        durable.flush(self.home / "chunks", rels)

    def reader(self) -> SeriesReader:
        """A reader of its own connection."""
        return SeriesReader.open(self.path)

    # ── committing ──────────────────────────────────────────────────────────────────────────────

    def commit(
        self,
        events: Sequence[tuple[float, Event]],
        landed: Sequence[Landed] = (),
        lost: Sequence[Cid] = (),
        checkpoint: bytes | None = None,
    ) -> int:
        """Append entries, and what they claim, at once or not at all. Returns the last entry's number.

        `checkpoint`: derive.snapshot of the state after the last of them. Raises StoreError; then
        nothing has changed, and the same call may be made again.
        """
        rows = [
            (self.last_seq + number, at, encode_event(event)) for number, (at, event) in enumerate(events, 1)
        ]
        seq = self.last_seq + len(rows)
        with self._lock:
            landed = [row for row in landed if row.file not in self._gone_files]
            chunks = [(cid_bytes(row.cid), row.size, row.file, row.offset, row.data) for row in landed]
            kept = self._checkpoints
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
                # What was lost and has come again since is here.
                gone = [(cid_bytes(cid),) for cid in lost]
                self._db.executemany("DELETE FROM chunk WHERE cid = ?", gone)
                self._db.executemany("DELETE FROM spare WHERE cid = ?", gone)
                self._db.executemany(UPSERT_CHUNK, chunks)
                if checkpoint is not None:
                    self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (seq, checkpoint))
                    kept = [one for one in kept if one.seq != seq] + [Kept(seq, len(checkpoint))]
                    superfluous = checkpoints.superfluous(kept, checkpoints.budget(seq))
                    self._db.executemany(
                        "DELETE FROM checkpoint WHERE seq = ?", [(one.seq,) for one in superfluous]
                    )
                    kept = [one for one in kept if one not in superfluous]
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise explain(error, self.path) from error
            self._checkpoints = kept
            for cid in lost:
                self._sizes.pop(cid, None)
                self._gone.discard(cid)
            for row in landed:
                if self._overlay.get(row.cid) is row:
                    del self._overlay[row.cid]
                self._remember(row.cid, row.size)
        self.last_seq = seq
        return seq

    # ── what is held ────────────────────────────────────────────────────────────────────────────

    def size_of(self, cid: Cid) -> int | None:
        """Bytes of a chunk that is here; None: it is not."""
        size = self._sizes.get(cid)
        if size is not None:
            return size
        where = self._where(cid)
        if where is None:
            return None
        self._remember(cid, where.size)
        return where.size

    def __contains__(self, cid: Cid) -> bool:
        return self.size_of(cid) is not None

    def counts(self) -> tuple[int, int]:
        """Chunks, and bytes of them. Raises StoreError."""
        ((count, size),) = self._rows("SELECT count(*), coalesce(sum(size), 0) FROM chunk")
        return int(count), int(size)

    def cids(self) -> Iterator[Cid]:
        """Every chunk that is here. Raises StoreError."""
        return (cid_from_bytes(row[0]) for row in self._rows("SELECT cid FROM chunk"))

    # ── reading ─────────────────────────────────────────────────────────────────────────────────

    @overload
    def read(self, cids: Sequence[Cid]) -> ReadResult: ...

    @overload
    def read(self, cids: Sequence[Cid], *, wait: bool) -> ReadResult | None: ...

    def read(self, cids: Sequence[Cid], *, wait: bool = True) -> ReadResult | None:
        """The bytes of these chunks; each is what its CID says, or is told as lost.

        For a worker thread; or with `wait` false, for the loop: then None if a disk would have to be
        waited for.
        """
        found: dict[Cid, bytes] = {}
        lost: list[Lost] = []
        by_file: dict[int, list[tuple[Cid, _Where]]] = {}
        for cid in cids:
            where = self._where(cid)
            if where is None:
                continue
            if where.file is None:
                found[cid] = where.data or b""
            else:
                by_file.setdefault(where.file, []).append((cid, where))
        for file, wanted in by_file.items():
            try:
                self._read_file(file, wanted, found, lost, wait)
            except BlockingIOError:
                return None
            except StoreError as error:
                self._tell_damage(error)
        return ReadResult([(cid, found[cid]) for cid in cids if cid in found], lost)

    def read_block(self, cid: Cid) -> bytes | None:
        """An inner node, or any one chunk."""
        result = self.read([cid])
        return result.chunks[0][1] if result.chunks else None

    def _read_file(
        self,
        file: int,
        wanted: list[tuple[Cid, _Where]],
        found: dict[Cid, bytes],
        lost: list[Lost],
        wait: bool,
    ) -> None:
        path, stat, doubtful = self._locate(file)
        bad: list[tuple[Cid, _Where]] = []
        why = "was changed since it was shared: what was changed is not sent any more"
        try:
            try:
                opened = os.open(path, files.READ)
            except FileNotFoundError:
                path, stat, doubtful = self._locate(file)  # given its name just now, perhaps
                opened = os.open(path, files.READ)
            try:
                trusted = not doubtful and (stat is None or stat.proves(files.stat_of(opened)))
                for cid, where in wanted:
                    data = files.read_at(opened, where.offset or 0, where.size, wait=wait)
                    if len(data) == where.size and (trusted or matches(cid, data)):
                        found[cid] = data
                    else:
                        bad.append((cid, where))
            finally:
                os.close(opened)
        except BlockingIOError:
            raise
        except FileNotFoundError:
            bad = [item for item in wanted if item[0] not in found]
            why = "is gone: its chunks cannot be sent any more"
        except OSError as error:
            bad = [item for item in wanted if item[0] not in found]
            why = f"cannot be read ({(error.strerror or str(error)).lower()})"
        if bad and (bad := self._look_elsewhere(bad, found, wait)):
            size = sum(where.size for _, where in bad)
            lost.append(Lost(path, tuple(cid for cid, _ in bad), size, f"{path} {why}"))

    def _look_elsewhere(
        self, bad: list[tuple[Cid, _Where]], found: dict[Cid, bytes], wait: bool
    ) -> list[tuple[Cid, _Where]]:
        """Chunks that are not where they were said to be: in another file, perhaps? Returns the rest."""
        moved: list[tuple[int, int, bytes]] = []
        rest: list[tuple[Cid, _Where]] = []
        for cid, where in bad:
            key = cid_bytes(cid)
            places = self._rows(
                "SELECT file, offset FROM chunk WHERE cid = ?1 AND file != ?2"
                " UNION ALL SELECT file, offset FROM spare WHERE cid = ?1 AND file != ?2",
                key,
                where.file,
            )
            for file, offset in places:
                try:
                    with self._locate(file)[0].open("rb", buffering=0) as opened:
                        data = files.read_at(opened.fileno(), offset, where.size, wait=wait)
                except BlockingIOError:
                    raise
                except OSError:
                    continue
                if matches(cid, data):
                    found[cid] = data
                    moved.append((file, offset, key))
                    break
            else:
                rest.append((cid, where))
        if moved:
            # The next look finds it at once. Where this cannot be written, it is looked for again.
            with self._lock, contextlib.suppress(sqlite3.Error):
                self._db.executemany("UPDATE chunk SET file = ?, offset = ? WHERE cid = ?", moved)
        return rest

    def _where(self, cid: Cid) -> _Where | None:
        landed = self._overlay.get(cid)
        if landed is not None:
            return _Where(landed.size, landed.file, landed.offset, landed.data)
        if cid in self._gone:
            return None
        try:
            rows = self._rows("SELECT size, file, offset, data FROM chunk WHERE cid = ?", cid_bytes(cid))
        except ValueError:
            return None
        except StoreError as error:
            self._tell_damage(error)
            return None
        return _Where(*rows[0]) if rows else None

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _locate(self, file: int) -> tuple[Path, FileStat | None, bool]:
        """Where a file is, the stat that tells whether it is the same, and whether to look in any case."""
        try:
            with self._lock:
                return self._trees.locate(file)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _tell_damage(self, error: StoreError) -> None:
        """Once for each kind of damage: a page is met again and again."""
        with self._lock:
            news = str(error) not in self._damages
            self._damages.add(str(error))
        if news and self.on_damage is not None:
            self.on_damage(error)

    def _remember(self, cid: Cid, size: int) -> None:
        if len(self._sizes) >= SIZES_KEPT:
            self._sizes.clear()
        self._sizes[cid] = size

    # ── objects that are being fetched ──────────────────────────────────────────────────────────

    def open_tree(self, root: Cid, path: Path) -> None:
        """Begin an object whose files are to stand at `path`, or go on with it. Raises StoreError."""
        with self._guarded(path):
            if path.parent == self.home / HELD:
                begin_anew(self._db, root)
            self._trees.open(root, path)

    def place_folder(self, root: Cid, rel: str) -> None:
        """A folder of it."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.is_a(rel, "folder")
            tree.at(rel).make_folder()

    def place_file(self, root: Cid, rel: str, size: int | None) -> None:
        """A file of it, of this size if that is known."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.is_a(rel, "file")
            files.size_to(tree.at(rel), size)
            self._trees.add_file(tree, rel)

    def place_data(self, root: Cid, rel: str, offset: int, data: bytes) -> None:
        """Content of a file that came inside an inner node."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            files.write_at(tree.at(rel), [offset], data)

    def place_symlink(self, root: Cid, rel: str, target: str) -> None:
        """A symbolic link of it, made when it is finished; not one that could lead out. Raises StoreError."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.link(rel, target)

    def place_leaves(self, root: Cid, rel: str, leaves: Iterable[tuple[Cid, int, int]]) -> Placed:
        """Where leaves of a file belong, as (cid, offset, size). What is here already is put in place."""
        tree = self._tree(root)
        file = tree.files[rel]
        present: list[Cid] = []
        missing: list[Cid] = []
        lost: list[Lost] = []
        for cid, offset, _ in leaves:
            with self._lock:
                tree.places.setdefault(cid, []).append((file, rel, offset))
                where = self._where(cid)
            if where is None:
                missing.append(cid)
            elif (where.file, where.offset) == (file, offset):
                present.append(cid)
            elif self._copy_into(tree, rel, offset, cid, lost):
                tree.spares[cid] = (file, offset)
                present.append(cid)
            else:
                missing.append(cid)
        return Placed(present, missing, lost)

    def _copy_into(self, tree: Tree, rel: str, offset: int, cid: Cid, lost: list[Lost]) -> bool:
        """A chunk that is somewhere else already: copy it, if it still is what it should be."""
        result = self.read([cid])
        data = result.chunks[0][1] if result.chunks else None
        if data is not None and not matches(cid, data):
            why = f"{self.path} has wrong bytes for a chunk of {len(data)} bytes: it is fetched again"
            result.lost.append(Lost(self.path, (cid,), len(data), why))
            data = None
        if data is None:
            lost += result.lost
            if result.lost:
                with self._lock:
                    self._sizes.pop(cid, None)
                    self._overlay.pop(cid, None)
                    self._gone.add(cid)
            return False
        with self._guarded(tree.part):
            if files.read_inside(tree.at(rel), offset, len(data)) != data:
                files.write_at(tree.at(rel), [offset], data)
        return True

    def land(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a verified chunk to its places. The row returned is to be committed with its entry.

        Several threads may land chunks at once. Raises StoreError.
        """
        written: set[tuple[int, int]] = set()
        landed: Landed | None = None
        while True:
            with self._lock:
                spots = [
                    (tree, file, rel, offset)
                    for tree in self._trees.active()
                    for file, rel, offset in tree.places.get(cid, ())
                    if (file, offset) not in written
                ]
                if not spots:
                    # No place was added meanwhile: from here on the chunk counts as held.
                    if landed is None or landed.file in self._gone_files:
                        landed = self._land_loose(cid, data)
                    self._overlay[cid] = landed
                    return landed
            for tree, file, rel, offset in spots:
                with self._guarded(tree.part):
                    files.write_at(tree.at(rel), [offset], data)
                written.add((file, offset))
                landed = landed or Landed(cid, len(data), file, offset)
                if file != landed.file:
                    tree.spares[cid] = (file, offset)

    def _land_loose(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        if len(data) <= INLINE_MAX:
            return Landed(cid, len(data), data=bytes(data))
        with self._guarded(self.home):
            file, where = self._trees.own_file(cid)
            files.write_at(where, [0], data)
            self._own_unflushed.append(where.rel)
        return Landed(cid, len(data), file, 0)

    def finish_tree(self, root: Cid) -> Whole:
        """All of it is here: give it its name. Raises StoreError; what was fetched is then kept."""
        tree = self._tree(root)
        with self._guarded(tree.path):
            path = self._trees.finish(tree)
        return Whole(path, tuple(tree.left_out.values()))

    def drop_tree(self, root: Cid) -> None:
        """No longer fetched; what came stays for another time."""
        with self._lock:
            self._trees.drop(root)

    # ── replicas that are kept for others ───────────────────────────────────────────────────────

    def evict(self, root: Cid, path: Path, others: Iterable[Cid]) -> Gone:
        """Remove the copy of a replica at `path`; what `others` are made of stays. Raises StoreError."""
        with self._guarded(path):
            return Evictions(self._db, self._lock, self._trees, self).evict(root, path, others)

    def claim(self, cid: Cid) -> None:
        """A loose chunk is the user's: if it stands in a replica, give it a place of its own."""
        with self._guarded(self.home):
            place = self.file_of(cid)
            if place is not None and place.is_relative_to(self.home / HELD):
                self.set_apart(cid)

    def file_of(self, cid: Cid) -> Path | None:
        """The file that a chunk is in; None: it is inline, or not here."""
        where = self._where(cid)
        if where is None or where.file is None:
            return None
        with self._lock:
            return self._trees.locate(where.file)[0]

    def set_apart(self, cid: Cid) -> bool:
        """Give a chunk a place of its own. False: it is not what it should be."""
        data = self.read_block(cid)
        if data is None or not matches(cid, data):
            return False
        row = self._land_loose(cid, data)
        with self._lock:
            self._overlay.pop(cid, None)
            self._db.execute(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?) ON CONFLICT (cid) DO UPDATE"
                " SET file = excluded.file, offset = excluded.offset, data = excluded.data",
                (cid_bytes(cid), row.size, row.file, row.offset, row.data),
            )
        return True

    def forget(self, cids: Iterable[Cid], files: Collection[int]) -> None:
        """These chunks, and all that is in these files, are not there any more."""
        with self._lock:
            self._gone_files.update(files)
            landing = [row.cid for row in self._overlay.values() if row.file in files]
            for cid in (*cids, *landing):
                self._sizes.pop(cid, None)
                self._overlay.pop(cid, None)

    def _tree(self, root: Cid) -> Tree:
        tree = self._trees.by_root.get(root)
        if tree is None:
            raise StoreError(f"{root} is not being fetched here")
        return tree

    def _verify_after_power_loss(self) -> list[Lost]:
        """If the machine went down since: what was being written then may not have reached the disk.

        The death of a process costs nothing, so only a new boot is a reason to look: at files that were
        still being fetched, and, unless the store was closed in order, at the large loose chunks of our
        own. A fetched object was flushed before it had its name.
        """
        boot = files.boot_id()
        row = self._db.execute("SELECT value FROM meta WHERE name = 'boot'").fetchone()
        closed = self._db.execute("SELECT 1 FROM meta WHERE name = 'closed'").fetchone() is not None
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (boot,))
        self._db.execute("DELETE FROM meta WHERE name = 'closed'")
        if row is None or row[0] == boot:
            return []
        lost: list[Lost] = []
        rows = self._db.execute(
            "SELECT cid, chunk.size, chunk.file, chunk.offset FROM chunk JOIN file ON file.id = chunk.file"
            " JOIN tree ON tree.id = file.tree WHERE tree.part IS NOT NULL OR (tree.id = ? AND NOT ?)"
            " ORDER BY chunk.file, chunk.offset",
            (OWN, closed),
        ).fetchall()
        for key, size, file, offset in rows:
            cid = cid_from_bytes(key)
            path, _, _ = self._trees.locate(file)
            where = _Where(size, file, offset, None)
            if not files.holds(path, offset, size, cid) and self._look_elsewhere([(cid, where)], {}, True):
                lost.append(Lost(path, (cid,), size, f"{path} lost {size} bytes when the machine went down"))
        return lost

    # ── the user's own files ────────────────────────────────────────────────────────────────────

    def share_tree(self, root_path: Path) -> int:
        """Begin to reference a file or folder of the user's. Returns a handle for `share_file`."""
        with self._guarded(root_path):
            return self._trees.share(root_path)

    def share_file(self, tree: int, rel: str, stat: FileStat, leaves: Sequence[Leaf]) -> list[Landed]:
        """Reference a file's chunks where they are. The rows are to be committed by the caller."""
        with self._guarded(self.path):
            file = self._trees.share_file(tree, rel, stat)
        rows = [Landed(leaf.cid, leaf.size, file, leaf.offset) for leaf in leaves]
        return self._note(rows)

    def share_block(self, cid: Cid, data: bytes) -> list[Landed]:
        """An inner node."""
        return self._note([Landed(cid, len(data), data=data)])

    def _note(self, rows: list[Landed]) -> list[Landed]:
        with self._lock:
            for row in rows:
                self._overlay[row.cid] = row
        return rows

    def _guarded(self, path: Path) -> "_Explained":
        return _Explained(self._lock, self.path, path)


class _Explained:
    """Turns OS and database errors into sentences."""

    def __init__(self, lock: threading.RLock, database: Path, path: Path) -> None:
        self._database = database
        self._path = path

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._database) from error
        if isinstance(error, OSError):
            named = Path(error.filename) if isinstance(error.filename, str) else self._path
            raise explain_os(error, named) from error


def now_ns() -> int:
    """The clock that file systems stamp with, as near as can be."""
    return time.time_ns()
