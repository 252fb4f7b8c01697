"""Flushes bytes to the device before an entry says that they are here, or before their file is renamed.

A rename can reach the disk before the renamed bytes. After a power loss the file would have its name, and be
empty. So a finished object is flushed first. Measured on ext4 for 10,000 small files: 2.2 s one by one, 0.1 s
by one call for the file system.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from flux_tui.store.disk.safe_path import Inside

MANY = 32
"""Above this many files, one call flushes the whole file system, where there is such a call (Linux)."""


def _find_syncfs() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return None
    return found


_syncfs = _find_syncfs()


def flush(base: Path, rels: Sequence[str]) -> None:
    """Flush the files `rels` of the object at `base`, and their folders, to the device.

    Raises OSError, StoreError.
    """
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
    """Flush the list of names in a folder to the device. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # the file system has no such call
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
