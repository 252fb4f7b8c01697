"""Opens regular files only, and never waits, even where somebody else has replaced the file.

Anybody who may write to a folder can put a pipe, a socket, a device or a folder in place of a file. Opening a
pipe waits for its other end, perhaps for ever, and nothing can interrupt that thread. Opening or reading a
device may do anything. So every file whose path others can change is opened here: shared files, unfinished
downloads, settings, keys, logs.
"""

import errno
import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import BinaryIO

READ = os.O_RDONLY
WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_NEW = os.O_CREAT | os.O_EXCL
"""Flags with which nothing is opened that was there before."""
_NO_WAITING = os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOCTTY", 0)

Opener = Callable[[int], int]
"""Opens something with these flags."""


class NotRegularError(OSError):
    """The path leads to something other than a regular file. `strerror` says what it is."""


def open_regular(
    path: str | Path,
    flags: int = READ,
    mode: int = 0o666,
    *,
    dir_fd: int | None = None,
    looked: bool = False,
) -> int:
    """Open a regular file without waiting, and return its descriptor.

    `flags`, `mode` and `dir_fd` are those of `os.open`. `looked`: the caller has just seen that it is a regular
    file, for example in the list of its folder. Raises NotRegularError, IsADirectoryError, other OSErrors.
    """
    if not looked and flags & _NEW != _NEW:
        _refuse_early(path, flags, dir_fd)
    try:
        descriptor = os.open(path, flags | _NO_WAITING, mode, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in (
            errno.ENXIO,
            errno.ENODEV,
            errno.EOPNOTSUPP,
        ):  # it has no other end, or cannot be opened at all
            raise NotRegularError(
                error.errno, "it is not a file, but a pipe, a socket or a device", str(path)
            ) from error
        if (
            error.errno == errno.EAGAIN
        ):  # a file server's lease: `BlockingIOError` would mean something else here
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path)) from error
        raise
    try:
        check_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check_regular(found: os.stat_result, path: str | Path) -> None:
    """Raise NotRegularError or IsADirectoryError unless `found`, the stat of `path`, is that of a regular file."""
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotRegularError(errno.ENXIO, f"it is not a file, but {_kind(found.st_mode)}", str(path))


def read_regular(path: Path, limit: int = -1) -> bytes:
    """Return the content of a regular file; with a `limit`, at most its first `limit` bytes. Raises OSError."""
    with open_to_read(path) as file:
        return file.read(limit)


def write_regular(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace the content of a regular file by `data`. Raises OSError.

    If there is no file, create one with the permissions `mode`, less the umask.
    """
    with open_to_write(path, WRITE_NEW, mode) as file:
        file.write(data)


def open_to_read(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError."""
    return open(open_regular(path), "rb")


def open_to_write(path: Path, flags: int = APPEND, mode: int = 0o666) -> BinaryIO:
    """Open a regular file for writing. Raises OSError.

    `flags` and `mode` are those of `os.open`. By default, writes are appended, and a missing file is created.
    """
    return open(open_regular(path, flags, mode), "ab" if flags & os.O_APPEND else "wb")


def open_unbuffered(path: Path) -> FileIO:
    """Open a regular file for reading without a buffer. Raises OSError."""
    return FileIO(open_regular(path), "rb")


def _refuse_early(path: str | Path, flags: int, dir_fd: int | None) -> None:
    """Raise the errors of `check_regular` before the file is opened, because opening can make a device act.

    If the file is replaced between this check and the opening, the check of the opened file notices it.
    """
    try:
        found = os.stat(path, dir_fd=dir_fd, follow_symlinks=not flags & os.O_NOFOLLOW)
    except OSError:
        return  # opening it gives the reason
    if not stat.S_ISLNK(found.st_mode):  # opening a link gives the reason
        check_regular(found, path)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    return "something else"
