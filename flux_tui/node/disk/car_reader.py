"""Reads a CAR file to share the object in it. The bytes stay in the file: its leaves are indexed where they stand.

The file is read twice. First only the heads of its blocks, and the inner nodes of its root, which are checked and
added up as for an object that is fetched (core/content/outline.py): one that describes exabytes in a kilobyte, or
repeats itself without end, is refused here. Then every leaf that the object has is read and verified, each once, and
indexed. Blocks that do not belong to the root are passed over.

Memory: the CIDs of the object's blocks, as for any object, and one block.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.content.car import (
    CAR_2,
    MAX_HEADER,
    MAX_SECTION,
    MAX_VARINT,
    BadCarError,
    decode_header,
    decode_section,
    read_varint,
)
from flux_tui.core.content.nodes import Block, FolderEntry
from flux_tui.core.content.outline import MAX_PLACES, Outline, TooLargeError
from flux_tui.core.content.unixfs_trees import MAX_NAME, BadBlockError
from flux_tui.core.ids import CID_BYTES, Cid, is_leaf, matches
from flux_tui.core.wire.codec import MAX_PAYLOAD
from flux_tui.node.disk.chunker import LEAVES_AT_ONCE, AddError, Done, Leaves, Step
from flux_tui.regular_files import open_unbuffered
from flux_tui.store.disk.file_io import FileStat, read_at
from flux_tui.store.store import Leaf

SUFFIX = ".car"


class _Place(NamedTuple):
    offset: int
    size: int


def is_car(path: Path) -> bool:
    """Whether a file is named as a CAR, and begins as one (of version 1 or 2)."""
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        with open_unbuffered(path) as opened:
            start = opened.read(MAX_VARINT + 32) or b""
    except OSError:
        return False
    if start.startswith(CAR_2):
        return True
    try:
        length = read_varint(start)
    except BadCarError:
        return False
    return length is not None and b"roots" in start[length[1] :] and start[length[1]] >> 5 == 5


def walk_car(path: Path, progress: Callable[[int], None], stop: Callable[[], bool]) -> Iterator[Step]:
    """Read a CAR as `chunker.walk` reads a file: yield the object's leaves and inner nodes, and `Done` at the end.

    `progress(n)` is called after each n bytes verified. Raises AddError, also once `stop()` is true.
    """
    try:
        recorded = time.time_ns()
        with open_unbuffered(path) as opened:
            stat = FileStat.of(os.fstat(opened.fileno()), recorded)
            if not stat.size:
                raise BadCarError("it is empty")
            yield from _Car(path, opened.fileno(), stat, progress, stop).steps()
            if FileStat.of(os.fstat(opened.fileno()), recorded) != stat:
                raise AddError(
                    f"{path} was changed while it was being read: add it again when nothing writes to it"
                )
    except (BadCarError, BadBlockError, TooLargeError) as error:
        raise AddError(f"{path} cannot be imported: {error}") from None
    except (OSError, ValueError) as error:
        words = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise AddError(f"{path} cannot be read: {words}") from None


class _Car:
    """A CAR that is being read."""

    def __init__(
        self,
        path: Path,
        descriptor: int,
        stat: FileStat,
        progress: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size = stat.size
        self._stat = stat
        self._progress = progress
        self._stop = stop

    def steps(self) -> Generator[Step, None, None]:
        root, begin = self._header()
        if is_leaf(root):
            sizes: dict[Cid, int | None] = {root: None}
            inner = 0
            size = 0
        else:
            nodes = dict(self._inner_nodes(begin))
            outline = Outline(root)
            wanted = [root]
            while wanted:
                cid = wanted.pop()
                if (place := nodes.get(cid)) is None:
                    raise BadCarError(f"it lacks blocks of its root: {cid} is not in it")
                block = self._verified(cid, place)
                wanted += outline.add(cid, block)
                yield Block(cid, block)
            size = self._sum(outline)
            sizes = {cid: None if cid in outline.at_most else size for cid, size in outline.sizes.items()}
            inner = len(outline)
        found = yield from self._leaves(begin, sizes)
        if len(found) < len(sizes):
            lacking = next(cid for cid in sizes if cid not in found)
            raise BadCarError(
                f"it lacks {len(sizes) - len(found):,} of the blocks of its root, such as {lacking}"
            )
        if is_leaf(root) or not size:
            size = sum(found.values())
        name = self._path.stem.encode()[:MAX_NAME].decode(errors="ignore") or root
        tsize = sum(found.values())
        yield Done(FolderEntry(name, root, tsize), size, inner + len(found), ())

    def _at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes at `offset`; fewer at the end of the file."""
        return read_at(self._descriptor, offset, size)

    def _header(self) -> tuple[Cid, int]:
        """Return the one root, and where the first section begins."""
        if self._at(0, len(CAR_2)) == CAR_2:
            raise BadCarError("it is a CAR of version 2: only version 1 can be read")
        length = read_varint(self._at(0, MAX_VARINT))
        if length is None or not 0 < length[0] <= MAX_HEADER or length[0] + length[1] > self._size:
            raise BadCarError("it does not begin with the header of a CAR")
        roots = decode_header(self._at(length[1], length[0]))
        if len(roots) != 1:
            raise BadCarError(
                f"it has {len(roots):,} roots, and only a CAR with one can be shared as an object"
            )
        return roots[0], length[0] + length[1]

    def _sections(self, at: int) -> Iterator[tuple[Cid, _Place]]:
        """Yield the CID of each block, and where its bytes are. Reads the heads of the sections only."""
        blocks = 0
        while at < self._size:
            if self._stop():
                raise AddError(f"adding {self._path} was stopped")
            # At once, for a CAR of a million small blocks: the length, and the CID after it.
            begin = self._at(at, MAX_VARINT + CID_BYTES)
            length = read_varint(begin)
            if length is None:
                raise BadCarError("it ends inside a block")
            size, head = length
            if not 0 < size <= MAX_SECTION:
                raise BadCarError(f"it has a block of {size:,} bytes, at most {MAX_PAYLOAD:,} are possible")
            start = at + head
            if start + size > self._size:
                raise BadCarError("it ends inside a block")
            cid, cid_size = decode_section(begin[head : head + min(size, CID_BYTES)])
            if size - cid_size > MAX_PAYLOAD:
                raise BadCarError(f"it has a block of {size:,} bytes, at most {MAX_PAYLOAD:,} are possible")
            yield cid, _Place(start + cid_size, size - cid_size)
            at = start + size
            blocks += 1
            if blocks > MAX_PLACES:
                raise BadCarError(f"it has more than {MAX_PLACES:,} blocks")

    def _inner_nodes(self, begin: int) -> Iterator[tuple[Cid, _Place]]:
        return ((cid, place) for cid, place in self._sections(begin) if not is_leaf(cid))

    def _verified(self, cid: Cid, place: _Place) -> bytes:
        data = self._at(*place)
        if not matches(cid, data):
            raise BadCarError(f"a block in it does not match its CID: {cid}")
        self._progress(place.size)
        return data

    def _sum(self, outline: Outline) -> int:
        adding = outline.sum_up()
        while True:
            try:
                next(adding)
            except StopIteration as end:
                size: int = end.value.size
                return size

    def _leaves(self, begin: int, sizes: dict[Cid, int | None]) -> Generator[Leaves, None, dict[Cid, int]]:
        """Yield the leaves of the object where they are, each verified. Return them with their lengths in bytes."""
        found: dict[Cid, int] = {}
        leaves: list[Leaf] = []
        for cid, place in self._sections(begin):
            if cid not in sizes or cid in found:
                continue
            self._verified(cid, place)
            told = sizes[cid]
            if told is not None and told != place.size:
                raise BadCarError(f"the leaf {cid} has {place.size:,} bytes, and should have {told:,}")
            found[cid] = place.size
            leaves.append(Leaf(cid, place.offset, place.size))
            if len(leaves) == LEAVES_AT_ONCE:
                yield Leaves("", self._stat, leaves)
                leaves = []
        if leaves:
            yield Leaves("", self._stat, leaves)
        return found
