"""Bytes in files: written at an offset, read back, and whether a file is unchanged.

The owner of a file may change it at any time, once it is complete or if this node did not write it. Its stat
was recorded when its chunks were hashed. While the stat is the same, the bytes count as the same. But two
writes within one tick of the file system's clock have the same time. So a stat that was recorded too soon
after the last change proves nothing ("racily clean", in git's terms), and the bytes are hashed.
"""

import errno
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import Cid, matches
from flux_tui.regular_files import open_unbuffered
from flux_tui.store.database import ImpossibleError, StoreError
from flux_tui.store.disk import holes
from flux_tui.store.disk.safe_path import Inside, OpenFolder

TICK_NS = 50_000_000
"""Nanoseconds; file systems stamp with the kernel's tick, 1 to 10 ms."""
COARSE_TICK_NS = 2_000_000_000
"""The same where time stamps have no fraction of a second (FAT: two seconds)."""


class FileStat(NamedTuple):
    """The size, times and inode of a file, recorded when its bytes were known to be right."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    recorded_ns: int
    """The time at which the stat was taken, by the clock that stamps files (nanoseconds since 1970)."""

    @classmethod
    def of(cls, stat: os.stat_result, recorded_ns: int) -> "FileStat":
        """Make a FileStat from the result of `os.stat`.

        `recorded_ns`: when that was taken, in nanoseconds since 1970.
        """
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, recorded_ns)

    def proves(self, now: os.stat_result) -> bool:
        """Return whether a file with the stat `now` still has the bytes that it had when this stat was recorded.

        False: the bytes may have changed, so they must be hashed.
        """
        if (self.size, self.mtime_ns, self.ctime_ns, self.inode) != (
            now.st_size,
            now.st_mtime_ns,
            now.st_ctime_ns,
            now.st_ino,
        ):
            return False
        changed = max(self.mtime_ns, self.ctime_ns)
        tick = TICK_NS if self.ctime_ns % 1_000_000_000 else COARSE_TICK_NS
        return self.recorded_ns - changed > tick


DIRECT = getattr(os, "O_DIRECT", 0)
"""Write past the page cache (Linux).

Measured on a two-core machine: 0.05 ms of processor time per MiB instead of 0.2 to 1.7 ms. (Fresh pages are
expensive, above all in a virtual machine.) A large download does not push everything else out of memory. And
a row never claims bytes that the device does not have.
"""
BLOCK = 4096
"""Bytes to which direct writes must be aligned, on every common device."""
DIRECT_MAX = 2 * 1024 * 1024
"""Bytes of the largest possible chunk."""


class _Aligned(threading.local):
    """A buffer for each thread. The buffer begins at a memory page, because direct writes need that."""

    def __init__(self) -> None:
        self.buffer = mmap.mmap(-1, DIRECT_MAX)


_aligned = _Aligned()


def aligned(pieces: Iterable[bytes | bytearray | memoryview]) -> memoryview:
    """Copy these bytes, at most DIRECT_MAX in all, one after the other into this thread's aligned buffer.

    Return a view of them, valid until the same thread calls `aligned` or writes to a file again.
    """
    at = 0
    buffer = _aligned.buffer
    for piece in pieces:
        buffer[at : at + len(piece)] = piece
        at += len(piece)
    return memoryview(buffer)[:at]


def write_at(
    where: Inside,
    places: Iterable[int],
    data: bytes | bytearray | memoryview,
    *,
    create: bool = False,
    read_soon: bool = False,
) -> None:
    """Write `data` at each of the offsets `places`.

    Where the file has a hole, runs of zeros are not written: the hole stays. `create`: create the file if it does not
    exist. An unfinished file is not created again: it would have holes where its first chunks were. `read_soon`: a
    program reads the bytes in a moment, so they go to the page cache. Raises StoreError, OSError.
    """
    flags = os.O_CREAT if create else 0
    offsets = list(places)
    view = memoryview(data)
    runs = holes.data_runs(view)
    if (
        DIRECT
        and not read_soon
        and data
        and len(data) % BLOCK == 0
        and not any(offset % BLOCK for offset in offsets)
    ):
        try:
            _write_direct(where, offsets, data, runs, flags)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the file system has no direct writes
                raise
        else:
            return
    _write(where, offsets, view, runs, flags)


def write_in(folder: OpenFolder, base: Path, rel: str, offset: int, data: bytes) -> None:
    """Write a small chunk at an offset of the file `rel` of the object at `base`, of which `folder` is open.

    It is the same as `write_at`, for many files one after the other. Raises StoreError, OSError.
    """
    if not data or data[0] == 0 or len(data) >= holes.HOLE:
        write_at(Inside(base, rel), [offset], data)
        return
    descriptor = folder.open(rel, os.O_WRONLY)
    try:
        done = os.pwrite(descriptor, data, offset)
        if done < len(data):
            _write_all(descriptor, memoryview(data)[done:], offset + done)
    finally:
        os.close(descriptor)


def _write_direct(
    where: Inside,
    offsets: list[int],
    data: bytes | bytearray | memoryview,
    runs: list[holes.Run],
    flags: int,
) -> None:
    if runs and not (isinstance(data, memoryview) and data.obj is _aligned.buffer):
        data = aligned((data,))
    _write(where, offsets, memoryview(data), runs, flags | DIRECT)


def _write(where: Inside, offsets: list[int], view: memoryview, runs: list[holes.Run], flags: int) -> None:
    descriptor = where.open(os.O_WRONLY | flags, make=bool(flags & os.O_CREAT))
    try:
        for offset in offsets:
            here = runs
            if not holes.is_all(runs, len(view)) and not holes.has_holes_for(
                descriptor, offset, len(view), runs
            ):
                here = [holes.Run(0, len(view))]
            for start, end in here:
                _write_all(descriptor, view[start:end], offset + start)
            if not here or here[-1].end < len(view):
                holes.extend_to(where, descriptor, offset + len(view))
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], offset + done)


NO_WAIT = getattr(os, "RWF_NOWAIT", 0)
"""Read only what is in the page cache (Linux). Where there is no such flag, every read may wait."""


def read_at(descriptor: int, offset: int, size: int, *, wait: bool = True) -> bytes:
    """Read and return up to `size` bytes at `offset`; fewer if the file ends earlier.

    Raises BlockingIOError if `wait` is false and the bytes are not all in memory.
    """
    if not wait:
        buffer = bytearray(size)
        try:
            count = os.preadv(descriptor, [buffer], offset, NO_WAIT) if NO_WAIT else -1
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL):
                raise
            count = -1
        if count != size:
            raise BlockingIOError(errno.EAGAIN, "not in memory")
        return buffer  # type: ignore[return-value]  # bytes-like, and nobody else has it
    data = os.pread(descriptor, size, offset)
    while data and len(data) < size:
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def stat_of(descriptor: int) -> os.stat_result:
    """Return the stat of an open file. `descriptor`: the file's descriptor."""
    return os.fstat(descriptor)


PATH_MAX = 4096 if sys.platform == "linux" else 1024
"""Bytes of the longest path that the system takes, with the byte that ends it."""
CHARACTER_MAX = 4
"""Bytes of the longest character in a path."""


def check_path(where: Inside) -> None:
    """Check that a file's whole path is not too long for this system. Raises StoreError."""
    longest = CHARACTER_MAX * (len(str(where.base)) + 1 + len(where.rel))
    if longest >= PATH_MAX and len(os.fsencode(where.path)) >= PATH_MAX:
        raise ImpossibleError(
            f"a path in it is too long where it is to stand: over {PATH_MAX - 1:,} bytes with {where.base}"
        )


def size_to(where: Inside, size: int | None, check: Callable[[os.stat_result], None]) -> None:
    """Create a file if there is none, and set its size in bytes (None: leave the size).

    Bytes not written yet take no room on the disk. `check` gets the file's stat before the size is changed.
    Raises StoreError, OSError, and what `check` raises.
    """
    with OpenFolder(where.base) as folder:
        size_in(folder, where.rel, size, check)


def size_in(folder: OpenFolder, rel: str, size: int | None, check: Callable[[os.stat_result], None]) -> None:
    """Do the same as `size_to` for the file `rel` of an object, of which `folder` is open."""
    try:
        descriptor = folder.open(rel, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        descriptor = folder.open(rel, os.O_WRONLY | os.O_CREAT)
    try:
        found = os.fstat(descriptor)
        check(found)
        if size is not None and found.st_size != size:
            os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def read_inside(where: Inside, offset: int, size: int) -> bytes:
    """Read and return up to `size` bytes at `offset` of a file in an object. Raises StoreError, OSError."""
    descriptor = where.open(os.O_RDONLY)
    try:
        return read_at(descriptor, offset, size)
    finally:
        os.close(descriptor)


def rename_new(part: Path, path: Path) -> None:
    """Rename `part` to `path`, but never replace an existing file. Raises StoreError, OSError."""
    if part.is_dir() and not part.is_symlink():
        if os.path.lexists(path):
            raise StoreError(f"{path} exists already; the fetched files are in {part}")
        part.rename(path)
        return
    try:
        os.link(part, path, follow_symlinks=False)
    except FileExistsError:
        # Perhaps the last process made the link and was killed then.
        if not os.path.samestat(os.lstat(part), os.lstat(path)):
            raise StoreError(f"{path} exists already; the fetched files are in {part}") from None
    except OSError:
        if os.path.lexists(path):
            raise StoreError(f"{path} exists already; the fetched files are in {part}") from None
        part.rename(path)  # a file system without hard links
        return
    part.unlink()


def holds(path: Path, offset: int, size: int, cid: Cid) -> bool:
    """Return whether a file has the bytes of chunk `cid` at this offset, checked by their hash."""
    try:
        with open_unbuffered(path) as opened:
            return matches(cid, read_at(opened.fileno(), offset, size))
    except OSError:
        return False


def boot_id() -> str:
    """Return an id that is new after each boot of this machine; an empty string where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
