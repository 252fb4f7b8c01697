"""Holes in files: what is nothing but zeros takes no room on the disk, if nothing was written there before.

A sparse file is read as zeros where it has holes, and its chunks are ordinary bytes. So zeros are found again when a
chunk is written, in runs of at least `HOLE`, and left out where the file still has a hole. Looking costs a
few µs for a MiB without zeros (measured), a hundredth of hashing it.
"""

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from flux_tui.store.disk.safe_path import Inside

BLOCK = 4096
"""Bytes that are looked at together: a file system's block, and what direct writes have to be aligned to."""
HOLE = 32 * 1024
"""Bytes of the shortest hole that is left: shorter ones would only tear the file into pieces."""
_ZEROS = bytes(BLOCK)
_SEEK_DATA = getattr(os, "SEEK_DATA", None)


class Run(NamedTuple):
    """Bytes of a chunk that are to be written."""

    start: int
    end: int


def data_runs(view: memoryview) -> list[Run]:
    """The parts of a chunk that are more than zeros; each begins at a multiple of BLOCK."""
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
    """Where whole blocks of zeros follow each other."""
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
    """Whether these are all the bytes of a chunk."""
    return runs == [Run(0, size)] or not size


def can_stay(descriptor: int, offset: int, size: int, runs: list[Run]) -> bool:
    """Whether the file has nothing where this chunk has zeros, so that they need not be written."""
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
        return error.errno == errno.ENXIO  # the file has no data from there on; otherwise nobody knows


def reach(where: Inside, descriptor: int, end: int) -> None:
    """Have a file that ends in a hole be long enough, whoever else writes it. Raises StoreError, OSError."""
    if os.fstat(descriptor).st_size >= end:
        return
    last = where.open(os.O_WRONLY)  # without direct writes: one byte is not aligned
    try:
        os.pwrite(last, b"\0", end - 1)
    finally:
        os.close(last)
