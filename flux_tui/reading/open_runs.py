"""The bytes of a file of an object, in order, while they arrive: as runs of files that are open, where there are any.

The kernel copies such a run to its reader, so its bytes do not pass through this process. Bytes that no file has, or
whose file may have been changed, are read and verified, and come as bytes.
"""

import os
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeAlias

import trio

from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid
from flux_tui.reading.home_blocks import LOOK_SECONDS, HomeBlocks
from flux_tui.reading.object_reader import Leaf, ObjectReader
from flux_tui.regular_files import open_regular
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.index.block_reader import Extent

LEAVES_AHEAD = 32
"""Leaves that are looked up together."""


class OpenRun(NamedTuple):
    """Bytes of an open file. `stat` proves that nobody changed them; None: only the home's node writes to the file."""

    descriptor: int
    offset: int
    size: int
    path: Path
    stat: FileStat | None
    is_kept: bool = False
    """Whether the file is in the home, where nobody changes it later, either."""

    def is_unchanged(self) -> bool:
        """Return whether the bytes are still those that were verified. Raises OSError."""
        return self.stat is None or self.stat.proves(os.fstat(self.descriptor))


Piece: TypeAlias = OpenRun | bytes | memoryview


class OpenRuns:
    """Reads files of objects out of one home. A run may be used until the next piece is asked for, or `close`."""

    def __init__(self, blocks: HomeBlocks) -> None:
        self._blocks = blocks
        self._reader = ObjectReader(blocks)
        self._home = blocks.home.path.absolute()
        self._opened: tuple[Path, FileStat | None, int] | None = None
        """The file of the last run: its path, its stat, and its descriptor."""

    def close(self) -> None:
        """Close the file of the last run."""
        if self._opened is not None:
            os.close(self._opened[2])
            self._opened = None

    async def read(self, cid: Cid) -> AsyncGenerator[Piece, None]:
        """Yield all bytes of a file in order, as they arrive. `cid`: the file's own root.

        Raises as `ObjectReader.read` does.
        """
        ahead: deque[Leaf] = deque()
        ended = False
        async with aclosing(self._reader.leaves(cid)) as leaves:
            while True:
                # In large steps: it may wait for an inner node. But what is here already is yielded first.
                if len(ahead) < LEAVES_AHEAD // 2:
                    while not (ended or len(ahead) == LEAVES_AHEAD or (ahead and ahead[-1].data is not None)):
                        if (leaf := await anext(leaves, None)) is None:
                            ended = True
                        else:
                            ahead.append(leaf)
                if not ahead:
                    return
                if (data := ahead[0].data) is not None:
                    ahead.popleft()
                    yield data
                    continue
                count, piece = await self._next([*takewhile(lambda leaf: leaf.data is None, ahead)])
                for _ in range(count):
                    ahead.popleft()
                yield piece

    async def _next(self, leaves: Sequence[Leaf]) -> tuple[int, Piece]:
        """Return the bytes of the first of these leaves, as many as are in one run. Waits until the first is here."""
        while True:
            found = await trio.to_thread.run_sync(self._look, leaves)
            if found is not None:
                return found
            await trio.sleep(LOOK_SECONDS)

    def _look(self, leaves: Sequence[Leaf]) -> tuple[int, Piece] | None:
        extents = self._blocks.extents([leaf.cid for leaf in leaves], arriving=True)
        if (run := self._run(leaves, extents)) is not None:
            return run
        first = leaves[0]
        data = self._blocks.read_or_want((first.cid,)).get(first.cid)
        if data is None:
            return None
        _check_size(first, len(data))
        return 1, data

    def _run(self, leaves: Sequence[Leaf], extents: Mapping[Cid, Extent]) -> tuple[int, OpenRun] | None:
        """Return how many of these leaves follow each other in one open file, and the run; None: not even one."""
        first = extents.get(leaves[0].cid)
        descriptor = None if first is None else self._open(first)
        if first is None or descriptor is None:
            return None
        count, end = 0, first.offset
        for leaf in leaves:
            extent = extents.get(leaf.cid)
            if extent is None or (extent.path, extent.stat, extent.offset) != (first.path, first.stat, end):
                break
            _check_size(leaf, extent.size)
            count, end = count + 1, end + extent.size
        if first.stat is None and _has_hole(descriptor, first.offset, end):
            return None
        is_kept = first.path.is_relative_to(self._home)
        return count, OpenRun(descriptor, first.offset, end - first.offset, first.path, first.stat, is_kept)

    def _open(self, extent: Extent) -> int | None:
        """Return a descriptor of the file of an extent; None: it cannot be opened, or was renamed or changed."""
        if self._opened is not None and self._opened[:2] == (extent.path, extent.stat):
            return self._opened[2]
        self.close()
        try:
            descriptor = open_regular(extent.path)
        except OSError:
            return None
        self._opened = (extent.path, extent.stat, descriptor)
        if extent.stat is not None and not extent.stat.proves(os.fstat(descriptor)):
            self.close()
            return None
        return descriptor


def _has_hole(descriptor: int, start: int, end: int) -> bool:
    """Return whether bytes `start` to `end` of a file have a hole. True, too, if the system cannot tell.

    A block of zeros is a hole. But so is the place of every earlier block, if somebody has removed the unfinished file
    and the node writes the rest to a new one.
    """
    try:
        return start < end and os.lseek(descriptor, start, os.SEEK_HOLE) < end
    except (AttributeError, OSError):
        return True


def _check_size(leaf: Leaf, size: int) -> None:
    if leaf.size is not None and size != leaf.size:
        raise BadBlockError(f"the leaf {leaf.cid} has {size:,} bytes, and should have {leaf.size:,}")
