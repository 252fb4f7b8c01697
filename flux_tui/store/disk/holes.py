"""Holes in files: runs of zeros that are not written, so that they take no room on the disk.

A hole in a sparse file is read as zeros, and other nodes send these zeros as ordinary bytes. So runs of at
least `HOLE` zeros are found when a chunk is written, and are not written where the file still has a hole. A
chunk without zeros costs a few µs per MiB (measured), a hundredth of the hashing.
"""

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from flux_tui.store.disk.safe_path import Inside

BLOCK = 4096
"""Bytes that are looked at together: a file system's block, and the alignment of direct writes."""
HOLE = 32 * 1024
"""Bytes of the shortest hole: shorter ones would only fragment the file."""
_ZEROS = bytes(BLOCK)
_SEEK_DATA = getattr(os, "SEEK_DATA", None)


class Run(NamedTuple):
    """A range of a chunk's bytes that has to be written: from `start` up to, but not including, `end`."""

    start: int
    end: int


def data_runs(view: memoryview) -> list[Run]:
    """Return the byte ranges of a chunk without its long runs of zeros.

    Each range begins at a multiple of BLOCK.
    """
    size = len(view)
    runs: list[Run] = []
    at = 0
    for start, end in _zero_runs(view):
        if end - start >= HOLE or end - start == size:
            if start > at:
                runs.append(Run(at, start))
            at = end
    if at < size:
        runs.append(Run(at, size))
    return runs


def _zero_runs(view: memoryview) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each run of zeros, in whole blocks of BLOCK bytes."""
    size = len(view)
    start = end = -1
    firsts = view[::BLOCK].tobytes()  # a block of zeros begins with one: most do not
    block = firsts.find(0)
    while block >= 0:
        at, until = block * BLOCK, min((block + 1) * BLOCK, size)
        if view[until - 1] == 0 and bytes(view[at:until]) == _ZEROS[: until - at]:
            if at != end:
                if end > start:
                    yield start, end
                start = at
            end = until
        block = firsts.find(0, block + 1)
    if end > start:
        yield start, end


def is_all(runs: list[Run], size: int) -> bool:
    """Return whether these ranges are all bytes of a chunk of this size, so that there is no hole."""
    return runs == [Run(0, size)] or not size


def has_holes_for(descriptor: int, offset: int, size: int, runs: list[Run]) -> bool:
    """Return whether the file has holes wherever this chunk has zeros, so that no zeros need to be written.

    False, too, if the system cannot tell where holes are. `offset` and `size`: where the chunk belongs.
    `runs`: its byte ranges that are not zeros.
    """
    if _SEEK_DATA is None:
        return False
    at = 0
    for run in (*runs, Run(size, size)):
        if run.start > at and not _is_hole(descriptor, offset + at, offset + run.start, _SEEK_DATA):
            return False
        at = run.end
    return True


def _is_hole(descriptor: int, start: int, end: int, seek_data: int) -> bool:
    try:
        return os.lseek(descriptor, start, seek_data) >= end
    except OSError as error:
        return error.errno == errno.ENXIO  # the file has no data from there on; other errors tell nothing


def extend_to(where: Inside, descriptor: int, end: int) -> None:
    """Make an open file `end` bytes long if it is shorter, because a chunk's last zeros were not written to it.

    Others may write to the file meanwhile. Raises StoreError, OSError.
    """
    if os.fstat(descriptor).st_size >= end:
        return
    last = where.open(os.O_WRONLY)  # without direct writes: one byte is not aligned
    try:
        os.pwrite(last, b"\0", end - 1)
    finally:
        os.close(last)
