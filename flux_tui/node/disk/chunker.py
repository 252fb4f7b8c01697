"""Reads a file or folder of the user once, and cuts it into chunks. The bytes stay where they are.

The code is synchronous, for a worker thread, and needs constant memory for files of any size. A few more threads hash
the chunks of large files. Files that are unchanged since the last add are not read.

As in IPFS tools, special files (sockets, pipes, devices) are left out, and hidden files are included. Symbolic links
inside a folder stay links. If the path that the user named is a link, the link's target is read.

A link that leads out of the folder is part of the object, so that its root is the one that IPFS tools print.
But a peer that fetches the object leaves the link out. So the user is told of such links when the folder is
added.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from flux_tui.core.content.nodes import Block, FileRoot, FolderEntry
from flux_tui.core.content.unixfs_trees import (
    CHUNK_SIZE,
    FileBuilder,
    build_folder,
    build_symlink,
    leads_out,
    recorded_mode,
)
from flux_tui.core.errors import FluxError
from flux_tui.core.ids import Cid, is_text, raw_cid
from flux_tui.core.text.quantities import NAMED, counted, some
from flux_tui.regular_files import open_regular
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.store import Leaf, UnchangedFile

LEAVES_AT_ONCE = 1024
"""Leaves of one file handed over together: a GiB."""
HASHERS = max(2, min(4, os.cpu_count() or 1))
"""Threads that read and hash the chunks of a large file. Both release the interpreter's lock."""
AHEAD = 2 * HASHERS
"""Chunks that are given to these threads ahead."""


class AddError(FluxError):
    """Raised if a file or folder cannot be shared. The message is one sentence: which one, and why."""


class Leaves(NamedTuple):
    """Consecutive chunks of content of one file, and the file's stat from before its first byte was read."""

    rel: str
    stat: FileStat
    leaves: list[Leaf]
    root: Cid | None = None
    """The root of the file; None: more of the file follows."""


class Same(NamedTuple):
    """A file that was not read, because it is unchanged since the last add: all of its blocks, each once."""

    blocks: tuple[Cid, ...]


class Done(NamedTuple):
    """The last value that `walk` yields, when all was read: the root, and how much was read."""

    root: FolderEntry
    size: int
    chunks: int
    notes: tuple[str, ...]
    """Parts that others will not get: one sentence for each kind."""


Step: TypeAlias = Leaves | Same | Block | Done
Unchanged: TypeAlias = Callable[[Sequence[tuple[str, os.stat_result]]], Mapping[str, UnchangedFile]]
"""Returns which of these files are unchanged since the last add, by their relative paths."""


def total_size(path: Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Return the number of bytes under a path, to show progress. Raises OSError if the path cannot be read.

    Parts of a folder that cannot be read count nothing. Once `stop()` is true, it returns the sum so far.
    """
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    folders = [str(path)]
    while folders and not stop():
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as found:
            for child in found:
                if child.is_dir(follow_symlinks=False):
                    folders.append(child.path)
                else:
                    with contextlib.suppress(OSError):
                        total += child.stat(follow_symlinks=False).st_size
    return total


def walk(
    path: Path,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
    unchanged: Unchanged | None = None,
) -> Iterator[Step]:
    """Read a file or folder in a stable order: yield its chunks as they become known, and `Done` at the end.

    Leaves are chunks of content, blocks are inner nodes. `progress(n)` is called after each n bytes read, or known
    already. `unchanged` returns the files that need not be read; None: all are read. Raises AddError if the path
    cannot be shared, or once `stop()` is true.
    """
    if not is_text(str(path)):
        raise AddError(f"{str(path)!r} is not UTF-8: rename it to share it")
    hashers = ThreadPoolExecutor(
        HASHERS, thread_name_prefix="flux hashing"
    )  # its threads begin with the first work
    walker = _Walker(progress, stop, unchanged, hashers)
    try:
        if path.is_dir():
            entry = yield from walker.folder(str(path), "", path.name)
        elif path.is_file():
            entry = yield from walker.single(path)
        elif path.exists():
            raise AddError(f"{path} is neither a file nor a folder, so it cannot be shared")
        else:
            raise AddError(f"{path} does not exist")
    except OSError as error:
        raise _explain(error, path) from error
    except RecursionError:
        raise AddError(f"{path} has folders in folders too deep to be read") from None
    finally:
        hashers.shutdown()
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
    def __init__(
        self,
        progress: Callable[[int], None],
        stop: Callable[[], bool],
        unchanged: Unchanged | None,
        hashers: Executor,
    ) -> None:
        self._progress = progress
        self._stop = stop
        self._unchanged = unchanged
        self._hashers = hashers
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

    def _check_stop(self, path: str | Path) -> None:
        if self._stop():
            raise AddError(f"adding {path} was stopped")

    def single(self, path: Path) -> Generator[Step, None, FolderEntry]:
        """Read a path that is a file."""
        if self._unchanged is not None:
            same = self._unchanged([("", path.stat())]).get("")
            if same is not None:
                return (yield from self._same(same, path.name))
        return (yield from self.file(str(path), "", path.name, looked=False))

    def _same(self, same: UnchangedFile, name: str) -> Generator[Step, None, FolderEntry]:
        self._check_stop(name)
        self.size += same.size
        self.chunks += same.chunks
        self._progress(same.size)
        yield Same(same.blocks)
        return FolderEntry(name, same.root, same.tsize)

    def file(self, path: str, rel: str, name: str, *, looked: bool) -> Generator[Step, None, FolderEntry]:
        """Read a file. `looked`: its folder's list says that it is a regular file."""
        recorded = time.time_ns()
        descriptor = open_regular(path, looked=looked)
        try:
            before = os.fstat(descriptor)
            stat = FileStat.of(before, recorded)
            mode = recorded_mode(before.st_mode, folder=False)
            if before.st_size < CHUNK_SIZE:
                data = _read_whole(descriptor, before.st_size)
                self._check_stop(path)
                cid, offset = raw_cid(data), len(data)
                self.size += offset
                self._progress(offset)
                leaves = [Leaf(cid, 0, offset)] if offset or mode is None else []
                if mode is None:
                    root = FileRoot(cid, offset, offset, (), 1)
                else:  # with its own permissions, an empty file has no leaf
                    builder = FileBuilder()
                    builder.add_leaf(cid, offset)
                    root = builder.finish(mode)
            else:
                builder = FileBuilder()
                leaves, offset = [], 0
                for leaf in self._leaves(descriptor, before.st_size):
                    self._check_stop(path)
                    if len(leaves) == LEAVES_AT_ONCE:
                        yield Leaves(rel, stat, leaves)
                        leaves = []
                    leaves.append(leaf)
                    yield from builder.add_leaf(leaf.cid, leaf.size)
                    offset += leaf.size
                    self.size += leaf.size
                    self._progress(leaf.size)
                root = builder.finish(mode)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if (before.st_size, before.st_mtime_ns, before.st_ino) != (
            after.st_size,
            after.st_mtime_ns,
            after.st_ino,
        ) or offset != after.st_size:
            raise AddError(
                f"{path} was changed while it was being read: add it again when nothing writes to it"
            )
        if leaves:
            yield Leaves(rel, stat, leaves, root.cid)
        yield from root.blocks
        self.chunks += root.chunks
        return FolderEntry(name, root.cid, root.tsize)

    def _leaves(self, descriptor: int, size: int) -> Iterator[Leaf]:
        """Yield the leaves of a file of `size` bytes, in order. Worker threads read and hash some of them ahead.

        If the file becomes shorter meanwhile, its last leaves are shorter, or empty.
        """
        offsets = iter(range(0, size, CHUNK_SIZE))
        ahead: deque[Future[Leaf]] = deque()
        try:
            for offset in islice(offsets, AHEAD):
                ahead.append(self._hashers.submit(_read_leaf, descriptor, offset))
            while ahead:
                leaf = ahead.popleft().result()
                for offset in islice(offsets, 1):
                    ahead.append(self._hashers.submit(_read_leaf, descriptor, offset))
                yield leaf
        finally:
            for waiting in ahead:
                waiting.cancel()
            wait(ahead)  # before the file is closed

    def folder(self, path: str, rel: str, name: str) -> Generator[Step, None, FolderEntry]:
        entries: list[FolderEntry] = []
        mode = recorded_mode(os.stat(path).st_mode, folder=True)
        with os.scandir(path) as found:
            children = sorted(found, key=lambda child: os.fsencode(child.name))
        same = self._same_in(path, rel, children)
        for child in children:
            child_name = child.name
            inner = f"{rel}/{child_name}" if rel else child_name
            if not is_text(child_name):
                raise AddError(f"{child.path!r} has a name that is not UTF-8: rename it to share it")
            if child.is_file(follow_symlinks=False):
                if inner in same:
                    entries.append((yield from self._same(same[inner], child_name)))
                else:
                    entries.append((yield from self.file(child.path, inner, child_name, looked=True)))
                continue
            self._check_stop(child.path)
            if child.is_symlink():
                link = self._link(child.path, inner)
                yield link
                self.chunks += 1
                entries.append(FolderEntry(child_name, link.cid, len(link.data)))
            elif child.is_dir():
                entries.append((yield from self.folder(child.path, inner, child_name)))
            else:
                self._special.add(inner)
        root = build_folder(entries, mode)
        yield from root.blocks
        self.chunks += len(root.blocks)
        return FolderEntry(name, root.cid, root.tsize)

    def _same_in(
        self, path: str, rel: str, children: Sequence[os.DirEntry[str]]
    ) -> Mapping[str, UnchangedFile]:
        """Return the files of a folder that need not be read again, by their relative paths."""
        if self._unchanged is None:
            return {}
        files: list[tuple[str, os.stat_result]] = []
        for child in children:
            if child.is_file(follow_symlinks=False) and is_text(child.name):
                with contextlib.suppress(FileNotFoundError):  # reading it tells so
                    inner = f"{rel}/{child.name}" if rel else child.name
                    files.append((inner, child.stat(follow_symlinks=False)))
        found = self._unchanged(files)
        self._check_stop(path)
        return found

    def _link(self, path: str, inner: str) -> Block:
        target = os.readlink(path)
        if not is_text(target):
            raise AddError(f"{path} is a link to {target!r}, a name that is not UTF-8: rename it to share it")
        if leads_out(inner, target):
            self._leading_out.add(f"{inner} → {target}")
        return build_symlink(target)


def _read_whole(descriptor: int, size: int) -> bytes:
    """Read a file that is said to have `size` bytes: all of it, and what was added to it meanwhile."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    while data and sum(map(len, parts)) <= CHUNK_SIZE:
        data = os.read(descriptor, CHUNK_SIZE)
        parts.append(data)
    return b"".join(parts)


class _Buffer(threading.local):
    """A buffer of one thread."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(CHUNK_SIZE))


_buffer = _Buffer()


def _read_leaf(descriptor: int, offset: int) -> Leaf:
    """Read and hash the chunk of a file at `offset`, in a worker thread."""
    view = _buffer.view[:CHUNK_SIZE]
    count = 0
    while count < len(view):
        more = os.preadv(descriptor, [view[count:]], offset + count)
        if not more:
            break
        count += more
    return Leaf(raw_cid(view[:count]), offset, count)


def _explain(error: OSError, path: Path) -> AddError:
    named = error.filename if isinstance(error.filename, str) else str(path)
    if isinstance(error, PermissionError):
        return AddError(f"{named} cannot be read: you have no right to")
    if isinstance(error, FileNotFoundError):
        return AddError(f"{named} does not exist")
    return AddError(f"{named} cannot be read: {(error.strerror or str(error)).lower()}")
