"""Writes objects that are being fetched: their folders, files and links, and the chunks that fill the files.

The download *is* the chunk store: a chunk is written at its offsets in the files of the object. Until the
object is whole, it has a temporary name in the folder of its path. Several threads may write at once.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from flux_tui.core.ids import Cid, matches
from flux_tui.store.database import DATABASE, StoreError, UnfitError
from flux_tui.store.disk import file_io
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.disk.object_trees import HELD, LeafPlace, Tree, Trees, remove
from flux_tui.store.disk.safe_path import OpenFolder
from flux_tui.store.index.chunk_index import ChunkIndex
from flux_tui.store.index.replica_removal import begin_anew, forget_tree
from flux_tui.store.index.store_values import Landed, Lost, Placed, StoreErrors, Whole, explain_file
from flux_tui.store.writing.loose_chunks import LooseChunks


class ObjectWriter:
    """Writes the files of the objects that one home is fetching."""

    def __init__(
        self,
        home: Path,
        db: sqlite3.Connection,
        lock: threading.RLock,
        trees: Trees,
        index: ChunkIndex,
        loose: LooseChunks,
        disk_space: DiskSpace,
    ) -> None:
        self._home = home
        self._path = home / DATABASE
        self._kept = home / KEPT
        """What is written there is read soon."""
        self._db = db
        self._lock = lock
        """Guards the connection, the trees and the index. It is hardly ever held during file I/O."""
        self._trees = trees
        self._index = index
        self._loose = loose
        self._disk_space = disk_space
        self._placed = 0
        """Places of leaves that were noted so far."""

    def open_tree(self, root: Cid, path: Path, limit: int | None = None) -> None:
        """Begin to fetch an object to `path`, or continue with the files that an earlier try left there.

        At most `limit` bytes of the object are written (None: no limit). In the folder of replicas, all
        leaves of the object are kept in one file. Raises StoreError.
        """
        pack = path.parent == self._home / HELD
        with self._guarded(path):
            begin_anew(self._db, root)
            self._trees.open(root, path, pack=pack, limit=limit)

    def check_room(self, root: Cid, size: int, names: int) -> None:
        """Check that the disk has room for the rest of an object of `size` bytes in `names` files.

        Raises NoRoomError.
        """
        tree = self._tree(root)
        left = max(0, size - tree.here - tree.written)
        self._disk_space.check(tree.folder, left, 1 if tree.pack else max(0, names - len(tree.files)))

    def place_folder(self, root: Cid, rel: str) -> None:
        """Create a folder of an object that is being fetched. `rel`: its relative path. Raises StoreError."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.make_folder(rel)

    def place_file(self, root: Cid, rel: str, size: int | None) -> None:
        """Create a file of an object that is being fetched, with `size` bytes if the size is known.

        Raises StoreError.
        """
        self.place_files(root, ((rel, size),))

    def place_files(self, root: Cid, files: Collection[tuple[str, int | None]]) -> None:
        """Create files of an object that is being fetched: relative path, and bytes if the size is known.

        All of them are in one transaction. Raises StoreError.
        """
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.make_files(files)
            self._trees.add_files(tree, (rel for rel, _ in files))

    def place_mode(self, root: Cid, rel: str, mode: int) -> None:
        """Set the permissions of a file or folder of an object that is being fetched. Raises StoreError.

        Inside the home, an object's own permissions are not applied.
        """
        tree = self._tree(root)
        if not tree.path.is_relative_to(self._home):
            with self._guarded(tree.part):
                tree.set_mode(rel, mode)

    def place_data(self, root: Cid, rel: str, offset: int, data: bytes) -> None:
        """Write file content that was inside an inner node, at `offset` of the file `rel`. Raises StoreError."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            file_io.write_at(tree.at(rel), [offset], data)

    def place_symlink(self, root: Cid, rel: str, target: str) -> None:
        """Note a symbolic link of an object. The link is made when the object is finished.

        A link to a target outside of the object is not made. Raises StoreError.
        """
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.link(rel, target)

    def place_leaves(self, root: Cid, rel: str, leaves: Iterable[tuple[Cid, int, int | None]]) -> Placed:
        """Note where leaves of a file belong, each as (cid, offset, size), and copy those that are in this home.

        Return which leaves are at their place now, and which are missing. A size of None is not known. Raises
        StoreError, also if a leaf that is here has another size.
        """
        return self.place_leaves_of(root, ((rel, leaves),))

    def place_leaves_of(
        self, root: Cid, files: Iterable[tuple[str, Iterable[tuple[Cid, int, int | None]]]]
    ) -> Placed:
        """Do the same as `place_leaves` for several files, each given by its path and leaves. Raises StoreError."""
        tree = self._tree(root)
        places = [
            (cid, LeafPlace(tree.files[rel], rel, offset, size))
            for rel, leaves in files
            for cid, offset, size in leaves
        ]
        return self._place(tree, places)

    def place_blocks(self, root: Cid, leaves: Iterable[tuple[Cid, int, int | None]]) -> Placed:
        """Note leaves of a replica, each as (cid, offset, size), and copy those that are in this home.

        All leaves are written to one file, in any order, so the offsets are not used. Return which leaves are
        in that file now, and which are missing. Raises StoreError.
        """
        tree = self._tree(root)
        with self._guarded(tree.part):
            file = self._trees.open_pack(tree)
            rel = next(rel for rel, number in tree.files.items() if number == file)
            file_io.size_to(tree.at(rel), None, lambda _: None)
        places = [(cid, LeafPlace(file, rel, None, size)) for cid, _, size in leaves]
        return self._place(tree, places, tuple(tree.files.values()))

    def _place(
        self, tree: Tree, places: Sequence[tuple[Cid, LeafPlace]], own: Collection[int] | None = None
    ) -> Placed:
        """Note these places. `own`: the files in which a leaf is at its place; None: only the file of the place."""
        present: list[Cid] = []
        missing: list[Cid] = []
        lost: list[Lost] = []
        copied = 0
        try:
            with self._lock:  # a chunk that comes meanwhile finds its places, or is found here
                for cid, place in places:
                    tree.places.setdefault(cid, []).append(place)
                self._placed += len(places)
                lacking = self._index.lacking(cid for cid, _ in places)
            for cid, place in places:
                where = None if cid in lacking else self._index.where(cid)
                if where is not None:
                    _check_size(tree, cid, place, where.size)
                if where is None:
                    missing.append(cid)
                elif where.file in (own or (place.file,)) and place.offset in (None, where.offset):
                    present.append(cid)
                elif (size := self._copy_into(tree, place, cid, lost)) is not None:
                    copied += size
                    present.append(cid)
                else:
                    missing.append(cid)
        except StoreError:
            tree.written -= copied  # the copying will be repeated
            raise
        return Placed(present, missing, lost)

    def _copy_into(self, tree: Tree, place: LeafPlace, cid: Cid, lost: list[Lost]) -> int | None:
        """Copy a chunk that is already in this home to its place in an object, if its bytes are right.

        Return its size in bytes. None: its bytes are wrong or unreadable; the loss is added to `lost`.
        """
        result = self._index.read([cid])
        data = result.chunks[0][1] if result.chunks else None
        if data is not None and not matches(cid, data):
            why = f"{self._path} has wrong bytes for a chunk of {len(data)} bytes: it is fetched again"
            result.lost.append(Lost(self._path, (cid,), len(data), why))
            data = None
        if data is None:
            lost += result.lost
            if result.lost:
                self._index.mark_lost(cid)
            return None
        with self._guarded(tree.part):
            tree.take(len(data))
            with self._lock:
                offset = tree.pack_at(len(data)) if place.offset is None else place.offset
            if place.offset is None or file_io.read_inside(tree.at(place.rel), offset, len(data)) != data:
                self._disk_space.take(tree.folder, len(data))
                file_io.write_at(tree.at(place.rel), [offset], data)
        tree.spares[cid] = (place.file, offset)
        return len(data)

    def land(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a chunk, whose hash was checked, to each place where it belongs in objects that are being fetched.

        A chunk without such a place is written as a loose chunk. Return the row to commit together with an
        entry. Several threads may call this at once. Raises StoreError; UnfitError if the chunk does not fit an
        object, and then nothing was written.
        """
        written: set[LeafPlace] = set()
        landed: Landed | None = None
        while True:
            with self._lock:
                trees = [tree for tree in self._trees.active() if cid in tree.places]
                places = [
                    (tree, place) for tree in trees for place in set(tree.places[cid]) if place not in written
                ]
                if not places:
                    # No place was added meanwhile. From here on the chunk counts as here.
                    if landed is None or self._index.is_gone(landed.file):
                        landed = self._loose.write(cid, data)
                    self._index.written((landed,))
                    return landed
                self._trees.begin_writing(trees)
            try:
                for tree, place in places:
                    _check_size(tree, cid, place, len(data))
                for tree in trees:
                    tree.take(len(data) * sum(1 for other, _ in places if other is tree), cid)
                # The user's files come first: rows that name them need not move when a replica goes.
                for tree, place in sorted(places, key=lambda found: found[0].pack):
                    row = self._write(tree, place, cid, data)
                    written.add(place)
                    landed = landed or row
                    if row.file != landed.file:
                        tree.spares[cid] = (place.file, row.offset or 0)
            except StoreError:
                for tree in trees:
                    tree.give_back(cid)
                raise
            finally:
                self._trees.end_writing(trees)

    def land_small(self, chunks: Sequence[tuple[Cid, bytes]]) -> list[Landed | StoreError]:
        """Do the same as `land` for several small chunks. Return the row to commit, or the error, of each."""
        with self._lock:
            active, placed = self._trees.active(), self._placed
            places = [_only_place(active, cid) for cid, _ in chunks]
            trees = list(dict.fromkeys(found[0] for found in places if found is not None))
            self._trees.begin_writing(trees)
        try:
            written = self._write_small(trees, places, chunks)
        finally:
            self._trees.end_writing(trees)
        with self._lock:
            now = self._trees.active()
            moved = self._placed != placed or now != active
            for at, row in enumerate(written):
                if isinstance(row, Landed) and (
                    self._index.is_gone(row.file) or (moved and _only_place(now, row.cid) != places[at])
                ):
                    written[at] = None  # it got another place meanwhile, or lost this one
            self._index.written(row for row in written if isinstance(row, Landed))
        return [
            self._landed(*chunk) if row is None else row for chunk, row in zip(chunks, written, strict=True)
        ]

    def _landed(self, cid: Cid, data: bytes) -> Landed | StoreError:
        try:
            return self.land(cid, data)
        except StoreError as error:
            return error

    def _write_small(
        self,
        trees: Iterable[Tree],
        places: Sequence[tuple[Tree, LeafPlace] | None],
        chunks: Sequence[tuple[Cid, bytes]],
    ) -> list[Landed | StoreError | None]:
        """Write each of these chunks to its place. Return the row to commit, or the error, of each; None: no place."""
        written: list[Landed | StoreError | None] = [None] * len(chunks)
        with ExitStack() as stack:
            for tree in trees:
                folder = stack.enter_context(OpenFolder(tree.part))
                mine = [at for at, found in enumerate(places) if found is not None and found[0] is tree]
                together = self._has_room(tree, sum(len(chunks[at][1]) for at in mine))
                for at in mine:
                    found = places[at]
                    assert found is not None
                    cid, data = chunks[at]
                    written[at] = self._write_one(folder, *found, cid, data, looked=together)
        return written

    def _has_room(self, tree: Tree, size: int) -> bool:
        """Return whether the disk of an object has room for `size` bytes, and count them as written."""
        try:
            self._disk_space.take(tree.folder, size)
        except (StoreError, OSError):
            return False  # there may be room for some of the chunks
        return True

    def _write_one(
        self, folder: OpenFolder, tree: Tree, place: LeafPlace, cid: Cid, data: bytes, *, looked: bool
    ) -> Landed | StoreError:
        """Write a small chunk to its place. `looked`: the disk has room for it."""
        size, offset = len(data), place.offset or 0
        try:
            if place.size is not None:
                _check_size(tree, cid, place, size)
            tree.take(size, cid)
        except StoreError as error:
            return error
        try:
            if not looked:
                self._disk_space.take(tree.folder, size)
            file_io.write_in(folder, tree.part, place.rel, offset, data)
        except (StoreError, OSError) as error:
            tree.give_back(cid)
            return error if isinstance(error, StoreError) else explain_file(error, tree.part)
        return Landed(cid, size, place.file, offset)

    def _write(self, tree: Tree, place: LeafPlace, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a chunk to one of the places that it has in objects. Return the index row that names this place."""
        with self._guarded(tree.part):
            self._disk_space.take(tree.folder, len(data))
            with self._lock:
                offset = tree.pack_at(len(data)) if place.offset is None else place.offset
            file_io.write_at(tree.at(place.rel), [offset], data, read_soon=tree.folder == self._kept)
        return Landed(cid, len(data), place.file, offset)

    def finish_tree(self, root: Cid) -> Whole:
        """Give a completely fetched object its final name.

        Raises StoreError; then the fetched files are kept. Return its path, and the links that were not made.
        """
        tree = self._tree(root)
        if tree.pack:
            self.place_blocks(root, ())  # an object of only folders has no leaf that makes the file
        if tree.spares:  # they are spares of rows of the table `chunk`
            self._index.merge_staged()
        with self._guarded(tree.path):
            path = self._trees.finish(tree)
        return Whole(path, tuple(tree.left_out.values()))

    def drop_tree(self, root: Cid) -> None:
        """Stop fetching an object. Raises StoreError.

        The chunks that arrived stay on the disk for a later try. If none arrived, the object's files are
        deleted.
        """
        with self._lock:
            tree = self._trees.drop(root)
            if tree is None or self._index.uncommitted_in(tree.files.values()):
                return
            if self._trees.has_chunks(tree):
                return
            self._index.forget((), tree.files.values())
        with self._guarded(tree.part):
            remove(tree.part)
            with self._lock:
                forget_tree(self._db, tree.number)

    def _tree(self, root: Cid) -> Tree:
        tree = self._trees.by_root.get(root)
        if tree is None:
            raise StoreError(f"{root} is not being fetched here")
        return tree

    def _guarded(self, path: Path) -> StoreErrors:
        return StoreErrors(self._path, path)


def _check_size(tree: Tree, cid: Cid, place: LeafPlace, size: int) -> None:
    """Raise UnfitError if a leaf has not the size that its place in the object says.

    A place that says no size admits any size.
    """
    if place.size is not None and place.size != size:
        raise UnfitError(tree.root, f"the leaf {cid} has {size:,} bytes, and should have {place.size:,}")


def _only_place(active: Iterable[Tree], cid: Cid) -> tuple[Tree, LeafPlace] | None:
    """Return the place of a chunk in a file, if it has a single one in the objects that are being fetched."""
    found: tuple[Tree, LeafPlace] | None = None
    for tree in active:
        if (places := tree.places.get(cid)) is not None:
            if found is not None or len(places) != 1 or places[0].offset is None:
                return None
            found = tree, places[0]
    return found
