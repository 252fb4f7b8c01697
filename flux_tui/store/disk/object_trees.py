"""Trees: the files of each object that is being fetched or shared, and their temporary names.

An object that is being fetched has a temporary name in the folder of its final path. So one rename on one
file system gives it the final name. The rename and the database row cannot change in one step. If the node
dies between them, the next start finds the final name taken and the temporary one gone, and continues from
there.
"""

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from flux_tui.core.content.outline import more_than_said
from flux_tui.core.content.unixfs_trees import applied_mode, leads_out
from flux_tui.core.ids import Cid, cid_bytes
from flux_tui.store.database import ImpossibleError, StoreError, UnfitError, explain_os, transaction
from flux_tui.store.disk.file_io import BLOCK, FileStat, check_path, rename_new, size_in
from flux_tui.store.disk.file_places import OWN, FilePlace, locate, locate_all
from flux_tui.store.disk.fsync import flush, flush_folder
from flux_tui.store.disk.name_collisions import DistinctNames
from flux_tui.store.disk.part_names import PART, part_path
from flux_tui.store.disk.safe_path import Inside, OpenFolder, parts_of

CHUNKS = ("chunk", "chunk_staged")
"""The tables with the places of chunks."""
HELD = "held"
"""The folder of a home with the replicas."""

Kind = Literal["file", "folder", "link"]


PACK_NAME = ".flux-blocks"
"""The pack of a replica that an older version began as files and folders: it stands among them."""


class LeafPlace(NamedTuple):
    """A place where the bytes of a leaf (a chunk of file content) belong: a file, and an offset in it."""

    file: int
    rel: str
    offset: int | None
    """None: in a pack, at the next free place."""
    size: int | None
    """Bytes that it must have; None: unknown."""


class Tree:
    """An object that is being fetched: its files and links, where each leaf belongs, and how much was written."""

    def __init__(
        self, number: int, root: Cid, path: Path, part: Path, *, pack: bool = False, limit: int | None = None
    ) -> None:
        self.number = number
        self.root = root
        self.path = path
        self.part = part
        self.folder = part.parent
        """The folder where it stands. It is looked up for each chunk."""
        self.pack = pack
        """Whether it is a replica: its leaves stand in one file, in the order of arrival."""
        self.pack_end = 0
        """The offset of the next leaf."""
        self.limit = limit
        """Bytes of content that may be written; None: no limit."""
        self.written = 0
        """Bytes that were written to its places since it was opened."""
        self._taken: dict[Cid, int] = {}
        self.here = 0
        """Bytes that were in its files when it was opened."""
        self.writers = 0
        """Threads that are writing to its files."""
        self.files: dict[str, int] = {}
        """Relative path → row of its file."""
        self.places: dict[Cid, list[LeafPlace]] = {}
        """Leaf → places of its bytes."""
        self.spares: dict[Cid, tuple[int, int]] = {}
        """Leaf → (file, offset), where the leaf's row names a file of another tree."""
        self._kinds: dict[str, Kind] = {}
        self._names = DistinctNames(part)
        self._links: dict[str, str] = {}
        """Symbolic links and their targets. They are made last, when nothing is written here any more."""
        self.left_out: dict[str, str] = {}
        """Links that are not made, each with its reason in words."""
        self._modes: dict[str, int] = {}
        """Permissions that are set at the end, because they would prevent writing."""

    def take(self, size: int, cid: Cid | None = None) -> None:
        """Count `size` bytes that are about to be written to this object's files.

        Raises UnfitError if the object would have more bytes than its limit. `cid`: the chunk that has the
        bytes; None: it was in this home already. With a limit, a chunk that two holders sent is counted once.
        """
        if cid is not None and cid in self._taken:
            return
        if self.limit is not None and self.written + size > self.limit:
            raise UnfitError(self.root, more_than_said(self.written + size, self.limit))
        self.written += size
        if cid is not None and self.limit is not None:
            self._taken[cid] = size

    def give_back(self, cid: Cid) -> None:
        """Undo `take` for a chunk that could not be written and will be fetched again."""
        self.written -= self._taken.pop(cid, 0)

    def pack_at(self, size: int) -> int:
        """Reserve room for a leaf of `size` bytes in a replica's one file. Return the offset."""
        if size % BLOCK == 0:
            self.pack_end += -self.pack_end % BLOCK
        offset = self.pack_end
        self.pack_end += size
        return offset

    def at(self, rel: str) -> Inside:
        """Return where the file or folder `rel` of the object is now, under the object's temporary name."""
        return Inside(self.part, rel)

    def note_kind(self, rel: str, kind: Kind) -> None:
        """Note that the object has a file, folder or link (`kind`) at the relative path `rel`, and folders above it.

        Raises StoreError if the object says two different kinds of one path.
        """
        above = rel.rpartition("/")[0]
        if rel and kind == "file" and self._kinds.get(above) == "folder":
            self._note_kind(rel, kind)  # opening the file checks its path
            return
        above = ""
        for name in parts_of(rel)[:-1] if rel else ():
            self._note_kind(above, "folder")
            above = f"{above}/{name}" if above else name
        if rel:
            self._note_kind(above, "folder")
        self._note_kind(rel, kind)

    def _note_kind(self, rel: str, kind: Kind) -> None:
        if (known := self._kinds.setdefault(rel, kind)) != kind:
            raise ImpossibleError(
                f"the object says two things of {rel!r}: that it is a {known}, and a {kind}"
            )

    def link(self, rel: str, target: str) -> None:
        """Note a symbolic link at the path `rel`, for `make_links`; one that leads out of the object is left out.

        Raises StoreError if something else has this path, or if the object is nothing but a link.
        """
        if not rel:
            raise ImpossibleError(f"the object is nothing but a link, to {target!r}: there is no file in it")
        self.note_kind(rel, "link")
        if leads_out(rel, target):
            self.left_out[rel] = f"{rel} → {target} (it leads out of the folder)"
        else:
            self._links[rel] = target

    def make_folder(self, rel: str) -> None:
        """Create a folder of the object at the relative path `rel`. Raises StoreError, OSError."""
        self.note_kind(rel, "folder")
        check_path(self.at(rel))
        try:
            if (found := self.at(rel).make_folder()) is None:
                self._names.created(rel)
            else:
                self._names.take(rel, found)
        except (OSError, StoreError) as error:
            self._names.explain(rel, error)
            raise

    def make_files(self, files: Iterable[tuple[str, int | None]]) -> None:
        """Create files of the object: path, and bytes if the size is known. Raises StoreError, OSError."""
        with OpenFolder(self.part) as folder:
            for rel, size in files:
                self.note_kind(rel, "file")
                check_path(self.at(rel))
                try:
                    if folder.create(rel, size or 0):
                        self._names.created(rel)
                        # If it had a row, somebody has removed it: the chunks in that row are not in this file.
                        self.files.pop(rel, None)
                    else:
                        size_in(folder, rel, size, partial(self._names.take, rel))
                except (OSError, StoreError) as error:
                    self._names.explain(rel, error)
                    raise

    def set_mode(self, rel: str, mode: int) -> None:
        """Set the permissions that the object says for a file or folder. Raises StoreError, OSError.

        Permissions that would prevent writing are only noted: see `set_last_modes`.
        """
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
        """Set the permissions that would have prevented writing. Call it when everything is written.

        Raises StoreError, OSError.
        """
        for rel in sorted(self._modes, key=lambda rel: rel.count("/") + bool(rel), reverse=True):
            self.at(rel).chmod(self._modes[rel], folder=self._kinds.get(rel) == "folder")

    def make_links(self) -> None:
        """Make the object's symbolic links, after everything else was written. Raises StoreError, OSError.

        A link whose path something else has is left out.
        """
        for rel, target in self._links.items():
            made = self.at(rel).make_link(target)
            self._names.take(rel, self.at(rel).stat())
            if not made:
                self.left_out[rel] = f"{rel} → {target} (its name is taken)"
        self._links.clear()

    def check_names(self) -> None:
        """Check that all names of the object exist as separate files. Raises StoreError, OSError."""
        if self._kinds.get("") == "folder":
            self._names.check(rel for rel in self._kinds if rel and rel not in self.left_out)


class Trees:
    """The objects that are being fetched or shared, and the database rows of their files.

    All trees share the store's connection and lock. Each change is committed at once.
    """

    def __init__(self, home: Path, db: sqlite3.Connection, lock: threading.RLock) -> None:
        self._home = home
        self._db = db
        self._lock = lock
        self._at_rest = threading.Condition(lock)
        """Notified when a thread has finished writing."""
        self._left: list[Tree] = []
        """Trees that are no longer fetched, while a thread still writes to them."""
        self.by_root: dict[Cid, Tree] = {}
        db.execute("INSERT OR IGNORE INTO tree VALUES (?, '', ?, NULL)", (OWN, "chunks"))

    def active(self) -> Iterable[Tree]:
        """Return the trees of all objects that are being fetched."""
        return list(self.by_root.values())

    def open(self, root: Cid, path: Path, *, pack: bool = False, limit: int | None = None) -> None:
        """Begin to fetch an object to `path`, or continue with the files that an earlier try left there.

        `pack`: it is a replica, with all leaves in one file. `limit`: the most bytes that may be written;
        None: no limit.
        """
        with self._lock:
            self.drop(root)
            tree = self._open(root, path)
            tree.pack, tree.limit = pack, limit
            for table in CHUNKS if tree.files else ():
                here = f"SELECT sum(c.size) FROM {table} AS c JOIN file ON file.id = c.file WHERE tree = ?"  # noqa: S608
                tree.here += int(self._db.execute(here, (tree.number,)).fetchone()[0] or 0)

    def open_pack(self, tree: Tree) -> int:
        """Open the one file that has all leaves of a replica. Return the number of the file's row."""
        rel = PACK_NAME if tree.part.is_dir() else ""
        self.add_files(tree, (rel,))
        number = tree.files[rel]
        with self._lock:
            for table in CHUNKS:
                end = f"SELECT coalesce(max(offset + size), 0) FROM {table} WHERE file = ?"  # noqa: S608
                tree.pack_end = max(tree.pack_end, int(self._db.execute(end, (number,)).fetchone()[0]))
        return number

    def begin_writing(self, trees: Iterable[Tree]) -> None:
        """Note that a thread is about to write to files of these trees. `end_writing` must follow."""
        for tree in trees:
            tree.writers += 1

    def end_writing(self, trees: Iterable[Tree]) -> None:
        """Note that a thread has finished writing to files of these trees."""
        with self._lock:
            for tree in trees:
                tree.writers -= 1
            self._left = [tree for tree in self._left if tree.writers]
            self._at_rest.notify_all()

    def wait_for_writers(self, root: Cid) -> None:
        """Wait until no thread writes to the files of an object that is no longer being fetched."""
        with self._at_rest:
            while any(tree.root == root for tree in self._left):
                self._at_rest.wait()

    def _open(self, root: Cid, path: Path) -> Tree:
        if path.name.casefold().endswith(PART):
            raise StoreError(
                f"{path} would look like something unfinished: choose a name that ends otherwise"
            )
        row = self._db.execute(
            "SELECT id, part FROM tree WHERE root = ? AND path = ? AND part IS NOT NULL ORDER BY id DESC LIMIT 1",
            (root, str(path)),
        ).fetchone()
        # An earlier version gave it another name.
        part = part_path(self._home, path, root) if row is None else Path(row[1])
        if row is not None and (os.path.lexists(part) or os.path.lexists(path)):
            tree = Tree(row[0], root, path, part)
            if not os.path.lexists(part):
                path.rename(part)  # it was renamed, but that was not committed: undo the rename
            _make_writable(part)
        else:
            if os.path.lexists(path):
                raise StoreError(f"{path} exists already: choose another place, or move it away")
            if os.path.lexists(part):
                # Left by a home that was at the same place. Begin anew: its content would have to be checked like
                # any other.
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

    def add_files(self, tree: Tree, rels: Iterable[str]) -> None:
        """Add a database row for each file of an object, by its relative path, unless the file has one."""
        with self._lock:
            new = [rel for rel in dict.fromkeys(rels) if rel not in tree.files]
            if not new:
                return
            with transaction(self._db):
                last = int(self._db.execute("SELECT coalesce(max(id), 0) FROM file").fetchone()[0])
                numbers = {rel: number for number, rel in enumerate(new, last + 1)}
                self._db.executemany(
                    "INSERT INTO file (id, tree, rel) VALUES (?, ?, ?)",
                    ((number, tree.number, rel) for rel, number in numbers.items()),
                )
            tree.files.update(numbers)

    def finish(self, tree: Tree) -> Path:
        """Flush a fetched object, give it its final name, and record the stat of each file.

        Return the final path. From then on the files belong to the user, even after a power loss.
        """
        tree.make_links()
        tree.check_names()
        tree.set_last_modes()
        flush(tree.part, list(tree.files))
        rename_new(tree.part, tree.path)
        flush_folder(tree.path.parent)
        recorded = time.time_ns()
        rows = []
        base = f"{tree.path}/"
        for rel, number in tree.files.items():
            stat = os.lstat(base + rel if rel else tree.path)
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
        """Stop fetching an object, and keep its files. Return its tree; None: it was not being fetched."""
        tree = self.by_root.pop(root, None)
        if tree is not None and tree.writers:
            self._left.append(tree)
        return tree

    def has_chunks(self, tree: Tree) -> bool:
        """Return whether the index has any chunk in the files of this tree."""
        queries = (
            f"SELECT 1 FROM {table} AS c JOIN file ON file.id = c.file WHERE file.tree = ? LIMIT 1"  # noqa: S608
            for table in CHUNKS
        )
        return any(self._db.execute(query, (tree.number,)).fetchone() is not None for query in queries)

    def share(self, path: Path) -> int:
        """Add a row for a file or folder of the user's that is shared.

        Return its number; a known path keeps its number.
        """
        with self._lock:
            if (known := self.shared(path)) is not None:
                return known
            cursor = self._db.execute(
                "INSERT INTO tree (root, path, part) VALUES ('', ?, NULL)", (str(path),)
            )
            return int(cursor.lastrowid or 0)

    def shared(self, path: Path) -> int | None:
        """Return the row number of a file or folder of the user's that was shared; None: it has no row."""
        with self._lock:
            row = self._db.execute(
                "SELECT id FROM tree WHERE root = '' AND path = ? AND part IS NULL AND id != ?",
                (str(path), OWN),
            ).fetchone()
        return None if row is None else int(row[0])

    def own_file(self, cid: Cid) -> tuple[int, Inside]:
        """Add a row for a store's own file with one large loose chunk. Return the row's number and the file."""
        rel = f"{cid[-2:]}/{cid}"
        cursor = self._db.execute("INSERT INTO file (tree, rel) VALUES (?, ?)", (OWN, rel))
        return int(cursor.lastrowid or 0), Inside(self._home / "chunks", rel)

    def replica_of(self, file: int) -> Cid | None:
        """Return the root of the replica that a file belongs to. None: to no replica. Raises sqlite3.Error."""
        row = self._db.execute(
            "SELECT root, path FROM file JOIN tree ON tree.id = file.tree WHERE file.id = ?", (file,)
        ).fetchone()
        if row is None or not row[0]:
            return None
        return Cid(row[0]) if Path(row[1]) == self._home / HELD / row[0] else None

    def locate(self, file: int) -> FilePlace:
        """Return where a file is. `file`: the number of its row.

        Raises sqlite3.Error, also if there is no such row, which means that the database is damaged.
        """
        return locate(self._db, self._home, file)

    def locate_all(self, files: Sequence[int]) -> dict[int, FilePlace]:
        """Return where these files are, by the numbers of their rows. Files without a row are left out.

        Raises sqlite3.Error.
        """
        return locate_all(self._db, self._home, files)


def _make_writable(part: Path) -> None:
    """Make an unfinished object's files and folders writable again. Raises OSError."""
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
    """Return the umask of this process: the permission bits that its new files do not get."""
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
    """Check that the file `part` can be created, before any peer is asked for the object. Raises StoreError."""
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        part.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise explain_os(error, part.parent) from error
        why = (error.strerror or str(error)).lower()
        raise StoreError(f"nothing can be put into {part.parent}: {why}") from error


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with everything in it. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
