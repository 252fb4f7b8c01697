"""Trees: the files of objects, being fetched or shared, and the names they have meanwhile.

An object that is being fetched stands under a temporary name in the folder where it is to end up, so
that giving it its name is one rename on one file system. The rename and its row cannot be one act; if
the node dies between them, the next opening finds the name taken and the temporary one gone, and knows
what happened.
"""

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from flux_tui.core.content.outline import more_than_said
from flux_tui.core.content.unixfs import applied_mode, leads_out
from flux_tui.core.ids import Cid, cid_bytes
from flux_tui.store.disk.distinct_names import DistinctNames
from flux_tui.store.disk.file_io import BLOCK, FileStat, check_path, rename_new, size_to
from flux_tui.store.disk.fsync import flush, flush_folder
from flux_tui.store.disk.safe_path import Inside, parts_of
from flux_tui.store.schema import ImpossibleError, StoreError, UnfitError, explain_os

OWN = 0
"""The tree of files that belong to the store itself: large loose chunks."""
PART = ".flux-part"
"""How the names of unfinished objects end."""
MAX_NAME_BYTES = 255
"""Of one part of a path, on every common file system."""

Kind = Literal["file", "folder", "link"]


PACK_NAME = ".flux-blocks"
"""The pack of a replica that was begun as files and folders, by an older version: it stands among them."""


class Spot(NamedTuple):
    """Where a leaf's bytes belong."""

    file: int
    rel: str
    offset: int | None
    """None: in a pack, wherever there is a place."""
    size: int | None
    """Bytes that it has to have; None: unknown."""


class Tree:
    """One object that is being fetched."""

    def __init__(
        self, number: int, root: Cid, path: Path, part: Path, *, pack: bool = False, limit: int | None = None
    ) -> None:
        self.number = number
        self.root = root
        self.path = path
        self.part = part
        self.pack = pack
        """A replica: its leaves stand in one file, one after the other as they came."""
        self.pack_end = 0
        """Where the next one is put."""
        self.limit = limit
        """Bytes of content that may be written; None: as many as there are."""
        self.written = 0
        """Bytes that were written to its places in this life."""
        self._taken: dict[Cid, int] = {}
        self.here = 0
        """Bytes that were in its files when it was opened."""
        self.writers = 0
        """Threads that are writing to its files."""
        self.files: dict[str, int] = {}
        """Relative path → row of its file."""
        self.places: dict[Cid, list[Spot]] = {}
        """Leaf → where its bytes belong."""
        self.spares: dict[Cid, tuple[int, int]] = {}
        """Leaf → (file, offset), where its row names a file of another tree."""
        self._kinds: dict[str, Kind] = {}
        self._names = DistinctNames(part)
        self._links: dict[str, str] = {}
        """Symbolic links and their targets. They are made last, when nothing is written here any more."""
        self.left_out: dict[str, str] = {}
        """Links that are not made, each with its reason in words."""
        self._modes: dict[str, int] = {}
        """Permissions that are given at the end, as nothing could be written there any more."""

    def take(self, size: int, cid: Cid | None = None) -> None:
        """So many bytes are about to be written to its places. Raises UnfitError.

        What comes of a chunk a second time, because two holders sent it, is counted once.
        """
        if cid is not None and cid in self._taken:
            return
        if self.limit is not None and self.written + size > self.limit:
            raise UnfitError(self.root, more_than_said(self.written + size, self.limit))
        self.written += size
        if cid is not None and self.limit is not None:
            self._taken[cid] = size

    def give_back(self, cid: Cid) -> None:
        """A chunk could not be written: it will come again."""
        self.written -= self._taken.pop(cid, 0)

    def pack_at(self, size: int) -> int:
        """Where a leaf of so many bytes is put in a pack."""
        if size % BLOCK == 0:
            self.pack_end += -self.pack_end % BLOCK
        offset = self.pack_end
        self.pack_end += size
        return offset

    def at(self, rel: str) -> Inside:
        """Where a part of it stands now."""
        return Inside(self.part, rel)

    def is_a(self, rel: str, kind: Kind) -> None:
        """Say what a part of it is, and so what is above it. Raises StoreError if that contradicts."""
        above = ""
        for name in parts_of(rel)[:-1] if rel else ():
            self._is_a(above, "folder")
            above = f"{above}/{name}" if above else name
        if rel:
            self._is_a(above, "folder")
        self._is_a(rel, kind)

    def _is_a(self, rel: str, kind: Kind) -> None:
        if (known := self._kinds.setdefault(rel, kind)) != kind:
            raise ImpossibleError(
                f"the object says two things of {rel!r}: that it is a {known}, and a {kind}"
            )

    def link(self, rel: str, target: str) -> None:
        """A symbolic link of it; one that could lead out of it is left out. Raises StoreError."""
        if not rel:
            raise ImpossibleError(
                f"the object is nothing but a link, to {target!r}: there is no file to be had"
            )
        self.is_a(rel, "link")
        if leads_out(rel, target):
            self.left_out[rel] = f"{rel} → {target} (it leads out of the folder)"
        else:
            self._links[rel] = target

    def make_folder(self, rel: str) -> None:
        """A folder of it. Raises StoreError, OSError."""
        self.is_a(rel, "folder")
        check_path(self.at(rel))
        with self._names.explained(rel):
            self._names.take(rel, self.at(rel).make_folder())

    def make_file(self, rel: str, size: int | None) -> None:
        """A file of it, of this size if that is known. Raises StoreError, OSError."""
        self.is_a(rel, "file")
        check_path(self.at(rel))
        with self._names.explained(rel):
            size_to(self.at(rel), size, lambda found: self._names.take(rel, found))

    def set_mode(self, rel: str, mode: int) -> None:
        """Permissions that the object names for a part of it. Raises StoreError, OSError."""
        folder = self._kinds.get(rel) == "folder"
        wanted = applied_mode(mode, folder=folder)
        if wanted is None:
            return
        wanted &= ~UMASK
        writing = 0o700 if folder else 0o600
        if wanted & writing != writing:
            self._modes[rel] = wanted
        self.at(rel).chmod(wanted | writing, folder=folder)

    def set_last_modes(self) -> None:
        """All of it is in place. Raises StoreError, OSError."""
        for rel in sorted(self._modes, key=lambda rel: rel.count("/") + bool(rel), reverse=True):
            self.at(rel).chmod(self._modes[rel], folder=self._kinds.get(rel) == "folder")

    def make_links(self) -> None:
        """Everything else is in place. Raises StoreError, OSError."""
        for rel, target in self._links.items():
            made = self.at(rel).make_link(target)
            self._names.take(rel, self.at(rel).stat())
            if not made:
                self.left_out[rel] = f"{rel} → {target} (its name is taken)"
        self._links.clear()

    def check_names(self) -> None:
        """Whether all of its names are there. Raises StoreError, OSError."""
        if self._kinds.get("") == "folder":
            self._names.check(rel for rel in self._kinds if rel and rel not in self.left_out)


class Trees:
    """All of them. They share the store's connection and lock; each change commits at once."""

    def __init__(self, home: Path, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._home = home
        self._db = db
        self._lock = lock
        self._at_rest = threading.Condition(lock)
        """A thread has written what it was writing."""
        self._left: list[Tree] = []
        """Trees that are not fetched any more, while something is still being written to them."""
        self.by_root: dict[Cid, Tree] = {}
        db.execute("INSERT OR IGNORE INTO tree VALUES (?, '', ?, NULL)", (OWN, "chunks"))

    def active(self) -> Iterable[Tree]:
        """Those that are being fetched."""
        return list(self.by_root.values())

    def open(self, root: Cid, path: Path, *, pack: bool = False, limit: int | None = None) -> None:
        """Begin one, or find again what there is of it."""
        with self._lock:
            self.drop(root)
            tree = self._open(root, path)
            tree.pack, tree.limit = pack, limit
            here = "SELECT coalesce(sum(chunk.size), 0) FROM chunk JOIN file ON file.id = chunk.file WHERE tree = ?"
            tree.here = int(self._db.execute(here, (tree.number,)).fetchone()[0])

    def open_pack(self, tree: Tree) -> int:
        """The file of a replica's leaves; its row."""
        rel = PACK_NAME if tree.part.is_dir() else ""
        self.add_file(tree, rel)
        number = tree.files[rel]
        end = "SELECT coalesce(max(offset + size), 0) FROM chunk WHERE file = ?"
        with self._lock:
            tree.pack_end = max(tree.pack_end, int(self._db.execute(end, (number,)).fetchone()[0]))
        return number

    def begin_writing(self, trees: Iterable[Tree]) -> None:
        """A thread is about to write to the files of these."""
        for tree in trees:
            tree.writers += 1

    def end_writing(self, trees: Iterable[Tree]) -> None:
        """It has."""
        with self._lock:
            for tree in trees:
                tree.writers -= 1
            self._left = [tree for tree in self._left if tree.writers]
            self._at_rest.notify_all()

    def rest(self, root: Cid) -> None:
        """Wait until nothing is written any more to files of this root that are not fetched."""
        with self._at_rest:
            while any(tree.root == root for tree in self._left):
                self._at_rest.wait()

    def _open(self, root: Cid, path: Path) -> Tree:
        if path.name.casefold().endswith(PART):
            raise StoreError(
                f"{path} would look like something unfinished: choose a name that ends otherwise"
            )
        part = path.with_name(f".{path.name}.{root[-8:]}{PART}")
        if len(os.fsencode(part.name)) > MAX_NAME_BYTES:
            part = path.with_name(f".{root}{PART}")
        row = self._db.execute(
            "SELECT id FROM tree WHERE root = ? AND path = ? AND part IS NOT NULL ORDER BY id DESC LIMIT 1",
            (root, str(path)),
        ).fetchone()
        if row is not None and (os.path.lexists(part) or os.path.lexists(path)):
            tree = Tree(row[0], root, path, part)
            if not os.path.lexists(part):
                path.rename(part)  # its name was given, but that was not committed: take it up again
            _make_writable(part)
        else:
            if os.path.lexists(path):
                raise StoreError(f"{path} exists already: choose another place, or move it away")
            if os.path.lexists(part):
                # Left by a home that is gone: its content is checked like any other's, so begin anew.
                remove(part)
            _try_to_write(part)
            cursor = self._db.execute(
                "INSERT INTO tree (root, path, part) VALUES (?, ?, ?)", (root, str(path), str(part))
            )
            tree = Tree(int(cursor.lastrowid or 0), root, path, part)
        for number, rel in self._db.execute("SELECT id, rel FROM file WHERE tree = ?", (tree.number,)):
            tree.files[rel] = number
        self.by_root[root] = tree
        return tree

    def add_file(self, tree: Tree, rel: str) -> None:
        """A file of it has its row."""
        with self._lock:
            if rel not in tree.files:
                cursor = self._db.execute("INSERT INTO file (tree, rel) VALUES (?, ?)", (tree.number, rel))
                tree.files[rel] = int(cursor.lastrowid or 0)

    def finish(self, tree: Tree) -> Path:
        """Flush, rename, then record: from now on its files are the user's, whatever happens to the power."""
        tree.make_links()
        tree.check_names()
        tree.set_last_modes()
        flush(tree.part, list(tree.files))
        rename_new(tree.part, tree.path)
        flush_folder(tree.path.parent)
        recorded = time.time_ns()
        rows = []
        for rel, number in tree.files.items():
            stat = os.lstat(tree.path / rel if rel else tree.path)
            rows.append((*FileStat.of(stat, recorded), number))
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "UPDATE file SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, recorded_ns = ?"
                    " WHERE id = ?",
                    rows,
                )
                self._db.executemany(
                    "INSERT OR IGNORE INTO spare SELECT cid, ?, ? FROM chunk WHERE cid = ? AND file != ?",
                    ((file, at, cid_bytes(cid), file) for cid, (file, at) in tree.spares.items()),
                )
                self._db.execute("UPDATE tree SET part = NULL WHERE id = ?", (tree.number,))
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
            self.by_root.pop(tree.root, None)
        return tree.path

    def drop(self, root: Cid) -> Tree | None:
        """Not fetched any more; what came stays for another time. Returns it, if it was being fetched."""
        tree = self.by_root.pop(root, None)
        if tree is not None and tree.writers:
            self._left.append(tree)
        return tree

    def has_chunks(self, tree: Tree) -> bool:
        """Whether any chunk is indexed in its files."""
        query = "SELECT 1 FROM chunk JOIN file ON file.id = chunk.file WHERE file.tree = ? LIMIT 1"
        return self._db.execute(query, (tree.number,)).fetchone() is not None

    def share(self, path: Path) -> int:
        """A file or folder of the user's: the same row if it was shared before."""
        with self._lock:
            row = self._db.execute(
                "SELECT id FROM tree WHERE root = '' AND path = ? AND part IS NULL AND id != ?",
                (str(path), OWN),
            ).fetchone()
            if row is not None:
                return int(row[0])
            cursor = self._db.execute(
                "INSERT INTO tree (root, path, part) VALUES ('', ?, NULL)", (str(path),)
            )
            return int(cursor.lastrowid or 0)

    def share_file(self, tree: int, rel: str, stat: FileStat) -> int:
        """A file of the user's, as it looks now. What was shared of an older form of it keeps its own
        row, and so its own stat, which proves nothing any more.
        """
        with self._lock:
            row = self._db.execute(
                "SELECT id FROM file WHERE (tree, rel, size, mtime_ns, ctime_ns, inode) = (?, ?, ?, ?, ?, ?)",
                (tree, rel, *stat[:4]),
            ).fetchone()
            if row is not None:
                self._db.execute("UPDATE file SET recorded_ns = ? WHERE id = ?", (stat.recorded_ns, row[0]))
                return int(row[0])
            cursor = self._db.execute(
                "INSERT INTO file (tree, rel, size, mtime_ns, ctime_ns, inode, recorded_ns)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (tree, rel, *stat),
            )
            return int(cursor.lastrowid or 0)

    def own_file(self, cid: Cid) -> tuple[int, Inside]:
        """A file of the store's own for one large loose chunk: its row and where it is."""
        rel = f"{cid[-2:]}/{cid}"
        cursor = self._db.execute("INSERT INTO file (tree, rel) VALUES (?, ?)", (OWN, rel))
        return int(cursor.lastrowid or 0), Inside(self._home / "chunks", rel)

    def locate(self, file: int) -> tuple[Path, FileStat | None, bool]:
        """Where a file is now, how it looked when it was right (None: it is being written), and whether its
        bytes are to be looked at before they are believed.

        Raises sqlite3.Error; a file without a row is damage, too.
        """
        row = self._db.execute(
            "SELECT tree.id, path, part, rel, size, mtime_ns, ctime_ns, inode, recorded_ns"
            " FROM file JOIN tree ON tree.id = file.tree WHERE file.id = ?",
            (file,),
        ).fetchone()
        if row is None:
            raise sqlite3.DatabaseError("database disk image is malformed: a file has no row")
        number, path, part, rel, *stat = row
        base = self._home / path if number == OWN else Path(part or path)
        # Renamed already, and its row says so in a moment; or never, if this process was killed between.
        renamed = part is not None and not os.path.lexists(part) and os.path.lexists(path)
        if renamed:
            base = Path(path)
        recorded = None if part is not None or stat[0] is None else FileStat(*stat)
        return (base / rel if rel else base), recorded, number == OWN or renamed


def _make_writable(part: Path) -> None:
    """Something unfinished is taken up again: its last life may have given it permissions already. Raises OSError."""
    _allow(part, 0o700 if part.is_dir() and not part.is_symlink() else 0o600)
    for folder, folders, files in os.walk(part):
        for name in folders:
            _allow(Path(folder, name), 0o700)
        for name in files:
            _allow(Path(folder, name), 0o600)


def _allow(path: Path, bits: int) -> None:
    found = os.lstat(path)
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & bits != bits:
        path.chmod(found.st_mode & 0o777 | bits)


def _umask() -> int:
    """Permissions that this process gives to no file that it makes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError, IndexError):
        pass
    mask = os.umask(0o077)  # the only other way to know is to change it for a moment
    os.umask(mask)
    return mask


UMASK = _umask()


def _try_to_write(part: Path) -> None:
    """Whether this name can be made, before anybody is asked for what is to stand there. Raises StoreError."""
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        part.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise explain_os(error, part.parent) from error
        why = (error.strerror or str(error)).lower()
        raise StoreError(f"nothing can be put into {part.parent}: {why}") from error


def remove(path: Path) -> None:
    """A file, a link, or a folder with all that is in it. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
