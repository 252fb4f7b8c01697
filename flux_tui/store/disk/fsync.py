"""Bytes that have to be on the device before something is said of them, or done with them.

A rename can reach the disk before what was renamed: after a power loss a file would have its name, and
nothing in it. So a finished object is flushed first. Measured on ext4:
10,000 small files take 2.2 s one by one, and 0.1 s by one call for their file system.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from flux_tui.store.disk.safe_path import Inside

MANY = 32
"""Files from which on the whole file system is flushed by one call, where there is such a call (Linux)."""


def _find_syncfs() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return None
    return found


_syncfs = _find_syncfs()


def flush(base: Path, rels: Sequence[str]) -> None:
    """Have these files of an object on the device, and the folders they are in. Raises OSError, StoreError."""
    if len(rels) > MANY and _syncfs is not None:
        _flush_all(base, _syncfs)
        return
    for rel in rels:
        descriptor = Inside(base, rel).open(os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if base.is_dir():
        for folder, _, _ in os.walk(base):
            flush_folder(Path(folder))


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the device. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


def _flush_all(base: Path, syncfs: Callable[[int], int]) -> None:
    descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(base))
    finally:
        os.close(descriptor)
