"""Objects that are being fetched: their folders, files and links, and the chunks that fill them.

The download *is* the chunk store: a chunk is written at its offsets in the files of the object, under a temporary
name beside the object's path, until the object is whole. Several threads may write at once.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from flux_tui.core.ids import Cid, matches
from flux_tui.store.disk import file_io
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.object_trees import HELD, Spot, Tree, Trees, remove
from flux_tui.store.index.chunk_index import ChunkIndex
from flux_tui.store.index.evicting import begin_anew, forget_tree
from flux_tui.store.index.records import Landed, Lost, Placed, StoreErrors, Whole
from flux_tui.store.schema import DATABASE, StoreError, UnfitError
from flux_tui.store.writing.loose_chunks import LooseChunks


class ObjectWriter:
    """Writes the objects of one home that are being fetched."""

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
        self._db = db
        self._lock = lock
        """Guards the connection, the trees and the index. It is hardly ever held during file I/O."""
        self._trees = trees
        self._index = index
        self._loose = loose
        self._disk_space = disk_space

    def open_tree(self, root: Cid, path: Path, limit: int | None = None) -> None:
        """Begin or continue an object whose files are to stand at `path`; at most `limit` bytes of it are written.

        An object among the replicas is kept as leaves in one file. Raises StoreError.
        """
        pack = path.parent == self._home / HELD
        with self._guarded(path):
            begin_anew(self._db, root)
            self._trees.open(root, path, pack=pack, limit=limit)

    def check_room(self, root: Cid, size: int, names: int) -> None:
        """Check that the rest of an object of this size has room. Raises NoRoomError."""
        tree = self._tree(root)
        left = max(0, size - tree.here - tree.written)
        self._disk_space.check(tree.folder, left, 1 if tree.pack else max(0, names - len(tree.files)))

    def place_folder(self, root: Cid, rel: str) -> None:
        """Create a folder of the object."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.make_folder(rel)

    def place_file(self, root: Cid, rel: str, size: int | None) -> None:
        """Create a file of the object, of this size if it is known."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.make_file(rel, size)
            self._trees.add_file(tree, rel)

    def place_mode(self, root: Cid, rel: str, mode: int) -> None:
        """Set the permissions of a file or folder of the object, where they may be applied.

        Objects in the home have the usual permissions.
        """
        tree = self._tree(root)
        if not tree.path.is_relative_to(self._home):
            with self._guarded(tree.part):
                tree.set_mode(rel, mode)

    def place_data(self, root: Cid, rel: str, offset: int, data: bytes) -> None:
        """Write content of a file that came inside an inner node."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            file_io.write_at(tree.at(rel), [offset], data)

    def place_symlink(self, root: Cid, rel: str, target: str) -> None:
        """Note a symbolic link of the object, made when the object is finished.

        A link that could lead out is not made. Raises StoreError.
        """
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.link(rel, target)

    def place_leaves(self, root: Cid, rel: str, leaves: Iterable[tuple[Cid, int, int | None]]) -> Placed:
        """Note where leaves of a file belong, as (cid, offset, size). Leaves that are here already are put in place.

        Raises StoreError, also for a leaf of another size.
        """
        tree = self._tree(root)
        file = tree.files[rel]
        spots = ((cid, Spot(file, rel, offset, size)) for cid, offset, size in leaves)
        return self._place(tree, spots, (file,))

    def place_blocks(self, root: Cid, leaves: Iterable[tuple[Cid, int, int | None]]) -> Placed:
        """Note leaves of a replica: each stands somewhere in its pack. Raises StoreError."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            file = self._trees.open_pack(tree)
            rel = next(rel for rel, number in tree.files.items() if number == file)
            file_io.size_to(tree.at(rel), None, lambda _: None)
        spots = ((cid, Spot(file, rel, None, size)) for cid, _, size in leaves)
        return self._place(tree, spots, tuple(tree.files.values()))

    def _place(self, tree: Tree, spots: Iterable[tuple[Cid, Spot]], own: Collection[int]) -> Placed:
        present: list[Cid] = []
        missing: list[Cid] = []
        lost: list[Lost] = []
        copied = 0
        try:
            for cid, spot in spots:
                with self._lock:
                    tree.places.setdefault(cid, []).append(spot)
                    where = self._index.where(cid)
                if where is not None:
                    _check_size(tree, cid, spot, where.size)
                if where is None:
                    missing.append(cid)
                elif where.file in own and spot.offset in (None, where.offset):
                    present.append(cid)
                elif (size := self._copy_into(tree, spot, cid, lost)) is not None:
                    copied += size
                    present.append(cid)
                else:
                    missing.append(cid)
        except StoreError:
            tree.written -= copied  # the copying will be repeated
            raise
        return Placed(present, missing, lost)

    def _copy_into(self, tree: Tree, spot: Spot, cid: Cid, lost: list[Lost]) -> int | None:
        """Copy a chunk that is already elsewhere, if its bytes are right. Returns their number, or None."""
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
                offset = tree.pack_at(len(data)) if spot.offset is None else spot.offset
            if spot.offset is None or file_io.read_inside(tree.at(spot.rel), offset, len(data)) != data:
                self._disk_space.take(tree.folder, len(data))
                file_io.write_at(tree.at(spot.rel), [offset], data)
        tree.spares[cid] = (spot.file, offset)
        return len(data)

    def land(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a verified chunk to all its places. Returns the row to commit with its entry.

        Several threads may land chunks at once. Raises StoreError; UnfitError where an object has no place
        for the chunk, and then nothing was written.
        """
        written: set[Spot] = set()
        landed: Landed | None = None
        while True:
            with self._lock:
                trees = [tree for tree in self._trees.active() if cid in tree.places]
                spots = [
                    (tree, spot) for tree in trees for spot in set(tree.places[cid]) if spot not in written
                ]
                if not spots:
                    # No place was added meanwhile. From here on the chunk counts as here.
                    if landed is None or self._index.is_gone(landed.file):
                        landed = self._loose.write(cid, data)
                    self._index.written((landed,))
                    return landed
                self._trees.begin_writing(trees)
            try:
                for tree, spot in spots:
                    _check_size(tree, cid, spot, len(data))
                for tree in trees:
                    tree.take(len(data) * sum(1 for other, _ in spots if other is tree), cid)
                # The user's files come first: rows that name them need not move when a replica goes.
                for tree, spot in sorted(spots, key=lambda found: found[0].pack):
                    row = self._write(tree, spot, cid, data)
                    written.add(spot)
                    landed = landed or row
                    if row.file != landed.file:
                        tree.spares[cid] = (spot.file, row.offset or 0)
            except StoreError:
                for tree in trees:
                    tree.give_back(cid)
                raise
            finally:
                self._trees.end_writing(trees)

    def _write(self, tree: Tree, spot: Spot, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a chunk to one of its places."""
        with self._guarded(tree.part):
            self._disk_space.take(tree.folder, len(data))
            with self._lock:
                offset = tree.pack_at(len(data)) if spot.offset is None else spot.offset
            file_io.write_at(tree.at(spot.rel), [offset], data)
        return Landed(cid, len(data), spot.file, offset)

    def finish_tree(self, root: Cid) -> Whole:
        """Give a whole object its name. Raises StoreError; then the fetched files are kept."""
        tree = self._tree(root)
        if tree.pack:
            self.place_blocks(root, ())  # an object of only folders has no leaf that makes the file
        with self._guarded(tree.path):
            path = self._trees.finish(tree)
        return Whole(path, tuple(tree.left_out.values()))

    def drop_tree(self, root: Cid) -> None:
        """Stop fetching an object.

        The chunks that came stay for another time; if none came, nothing stays. Raises StoreError.
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


def _check_size(tree: Tree, cid: Cid, spot: Spot, size: int) -> None:
    """Check that a leaf is as long as its place. Raises UnfitError."""
    if spot.size is not None and spot.size != size:
        raise UnfitError(tree.root, f"the leaf {cid} has {size:,} bytes, and should have {spot.size:,}")
