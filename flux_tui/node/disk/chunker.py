"""Reads a file or folder of the user once, and cuts it into chunks. The bytes stay where they are.

The code is synchronous, for a worker thread, and needs constant memory for files of any size. As in IPFS tools,
special files (sockets, pipes, devices) are left out, and hidden files are included. Symbolic links inside a folder
stay links. If the path that the user named is a link, the link's target is read.

A link that leads out of the folder is part of the object, so that its root is the one that IPFS tools print.
But a peer that fetches the object leaves the link out. So the user is told of such links when the folder is
added.
"""

import os
import stat as modes
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from flux_tui.core.content.nodes import Block, FolderEntry
from flux_tui.core.content.unixfs_trees import (
    CHUNK_SIZE,
    FileBuilder,
    build_folder,
    build_symlink,
    leads_out,
    recorded_mode,
)
from flux_tui.core.ids import is_text, raw_cid
from flux_tui.core.text.quantities import NAMED, counted, some
from flux_tui.regular_files import open_unbuffered
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.store import Leaf

LEAVES_AT_ONCE = 1024
"""Leaves handed over together: a GiB, or the rows of a thousand small files."""


class AddError(Exception):
    """Raised if a file or folder cannot be shared. The message is one sentence: which one, and why."""


class Leaves(NamedTuple):
    """Consecutive chunks of content of one file, and the file's stat from before its first byte was read."""

    rel: str
    stat: FileStat
    leaves: list[Leaf]


class Done(NamedTuple):
    """The last value that `walk` yields, when all was read: the root, and how much was read."""

    root: FolderEntry
    size: int
    chunks: int
    notes: tuple[str, ...]
    """Parts that others will not get: one sentence for each kind."""


Step: TypeAlias = Leaves | Block | Done


def total_size(path: Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Return the number of bytes under a path, to show progress. Raises OSError if the path cannot be read.

    Parts of a folder that cannot be read count nothing. Once `stop()` is true, it returns the sum so far.
    """
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        if stop():
            break
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


def walk(path: Path, progress: Callable[[int], None], stop: Callable[[], bool]) -> Iterator[Step]:
    """Read a file or folder in a stable order: yield its chunks as they become known, and `Done` at the end.

    Leaves are chunks of content, blocks are inner nodes. `progress(n)` is called after each n bytes read. Raises
    AddError if the path cannot be shared, or once `stop()` is true.
    """
    walker = _Walker(progress, stop)
    if not is_text(str(path)):
        raise AddError(f"{str(path)!r} is not UTF-8: rename it to share it")
    try:
        if path.is_dir():
            entry = yield from walker.folder(path, "", path.name)
        elif path.is_file():
            entry = yield from walker.file(path, "", path.name)
        elif path.exists():
            raise AddError(f"{path} is neither a file nor a folder, so it cannot be shared")
        else:
            raise AddError(f"{path} does not exist")
    except OSError as error:
        raise _explain(error, path) from error
    except RecursionError:
        raise AddError(f"{path} has folders in folders too deep to be read") from None
    yield Done(entry, walker.size, walker.chunks, tuple(walker.notes(path)))


class _Noted:
    """Counts paths of one kind that were found in a folder, such as special files, and remembers the first few."""

    def __init__(self) -> None:
        self.number = 0
        self._first: list[str] = []

    def add(self, what: str) -> None:
        self.number += 1
        if len(self._first) < NAMED:
            self._first.append(what)

    def __str__(self) -> str:
        return some(self._first, self.number)


class _Walker:
    def __init__(self, progress: Callable[[int], None], stop: Callable[[], bool]) -> None:
        self._progress = progress
        self._stop = stop
        self._buffer = bytearray(CHUNK_SIZE)
        self.size = 0
        self.chunks = 0
        self._special = _Noted()
        self._leading_out = _Noted()

    def notes(self, path: Path) -> Iterator[str]:
        if number := self._leading_out.number:
            what = f"{counted(number, 'link')} that {'leads' if number == 1 else 'lead'} out of it"
            yield f"{path} has {what}, which others do not get: {self._leading_out}"
        if number := self._special.number:
            what = "a socket, pipe or device" if number == 1 else f"{number:,} sockets, pipes or devices"
            yield f"{path} has {what}, left out: {self._special}"

    def _check_stop(self, path: Path) -> None:
        if self._stop():
            raise AddError(f"adding {path} was stopped")

    def file(self, path: Path, rel: str, name: str) -> Generator[Step, None, FolderEntry]:
        recorded = time.time_ns()
        builder = FileBuilder()
        leaves: list[Leaf] = []
        with open_unbuffered(path) as opened:
            before = os.fstat(opened.fileno())
            stat = FileStat.of(before, recorded)
            mode = recorded_mode(before.st_mode, folder=False)
            offset = 0
            view = memoryview(self._buffer)
            while True:
                count = _fill(opened.readinto, view)
                if count == 0 and offset > 0:
                    break
                self._check_stop(path)
                cid = raw_cid(view[:count])
                if count or mode is None:  # with its own permissions, an empty file has no leaf
                    leaves.append(Leaf(cid, offset, count))
                yield from builder.add_leaf(cid, count)
                offset += count
                self.size += count
                self._progress(count)
                if len(leaves) == LEAVES_AT_ONCE:
                    yield Leaves(rel, stat, leaves)
                    leaves = []
                if count < CHUNK_SIZE:
                    break
            after = os.fstat(opened.fileno())
        if (before.st_size, before.st_mtime_ns, before.st_ino) != (
            after.st_size,
            after.st_mtime_ns,
            after.st_ino,
        ) or offset != after.st_size:
            raise AddError(
                f"{path} was changed while it was being read: add it again when nothing writes to it"
            )
        if leaves:
            yield Leaves(rel, stat, leaves)
        root = builder.finish(mode)
        yield from root.blocks
        self.chunks += root.chunks
        return FolderEntry(name, root.cid, root.tsize)

    def folder(self, path: Path, rel: str, name: str) -> Generator[Step, None, FolderEntry]:
        entries: list[FolderEntry] = []
        mode = recorded_mode(path.stat().st_mode, folder=True)
        with os.scandir(path) as found:
            children = sorted(found, key=lambda child: os.fsencode(child.name))
        for child in children:
            inner = f"{rel}/{child.name}" if rel else child.name
            if not is_text(child.name):
                raise AddError(f"{child.path!r} has a name that is not UTF-8: rename it to share it")
            if child.is_symlink() or child.is_dir():
                self._check_stop(Path(child.path))
            if child.is_symlink():
                target = os.readlink(child.path)
                if not is_text(target):
                    raise AddError(
                        f"{child.path} is a link to {target!r}, a name that is not UTF-8: rename it to share it"
                    )
                if leads_out(inner, target):
                    self._leading_out.add(f"{inner} → {target}")
                link = build_symlink(target)
                yield link
                self.chunks += 1
                entries.append(FolderEntry(child.name, link.cid, len(link.data)))
            elif child.is_dir():
                entries.append((yield from self.folder(Path(child.path), inner, child.name)))
            elif modes.S_ISREG(child.stat().st_mode):
                entries.append((yield from self.file(Path(child.path), inner, child.name)))
            else:
                self._special.add(inner)
        root = build_folder(entries, mode)
        yield from root.blocks
        self.chunks += len(root.blocks)
        return FolderEntry(name, root.cid, root.tsize)


def _fill(readinto: Callable[[memoryview], int | None], view: memoryview) -> int:
    """Read until the buffer is full, or the file ends. Returns the number of bytes read."""
    count = 0
    while count < len(view):
        more = readinto(view[count:])
        if not more:
            break
        count += more
    return count


def _explain(error: OSError, path: Path) -> AddError:
    named = error.filename if isinstance(error.filename, str) else str(path)
    if isinstance(error, PermissionError):
        return AddError(f"{named} cannot be read: you have no right to")
    if isinstance(error, FileNotFoundError):
        return AddError(f"{named} does not exist")
    return AddError(f"{named} cannot be read: {(error.strerror or str(error)).lower()}")
