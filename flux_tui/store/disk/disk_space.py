"""Limits how much is written to a disk: some room is kept free, for the series and for other programs.

A download that fills a disk breaks everything else on the machine. So before each write the disk is checked
for the bytes to write plus `keep_free` bytes. An object without room waits, and continues by itself when
there is room. The check costs a system call (2 µs) for every MiB.
"""

import os
from pathlib import Path

from flux_tui.core.text.quantities import human_size
from flux_tui.store.database import NoRoomError

SHARE = 10
"""At most this part (1/10) of a disk is kept free."""
KEEP_NAMES = 1_000
"""Files that can still be created afterwards, where a file system has a limit."""
NAME_BYTES = 4096
"""Bytes that a file or folder takes besides its content."""
UNLOOKED = 1024 * 1024
"""Bytes written between two checks of a disk with plenty of room."""


class DiskSpace:
    """The free space of the disks that a store writes to. Several threads may use it at once."""

    def __init__(self, keep_free: int = 0) -> None:
        self.keep_free = keep_free
        """Bytes that stay free."""
        self._credit: dict[Path, int] = {}
        """Bytes that may be written to a folder before the next check."""

    def free(self, folder: Path) -> int | None:
        """Return how many bytes may still be written to this folder's disk. None: unknown.

        The room that is kept free is subtracted, so the result can be negative.
        """
        try:
            found = os.statvfs(folder)
        except OSError:
            return None
        if not found.f_blocks:  # it is not a disk, or says nothing
            return None
        return found.f_bavail * found.f_frsize - self._kept_free(found)

    def _kept_free(self, disk: os.statvfs_result) -> int:
        """Return how many bytes stay free on a disk: not more than a share of a small one."""
        return min(self.keep_free, disk.f_blocks * disk.f_frsize // SHARE)

    def take(self, folder: Path, size: int) -> None:
        """Check that the folder's disk has room for `size` more bytes, which the caller will write now.

        Raises NoRoomError. The free space is looked up again only after some bytes were written.
        """
        credit = self._credit.get(folder, 0) - size
        if credit < 0:
            self.check(folder, size)
            free = self.free(folder)
            credit = 0 if free is None else min(max(free - size, 0) // 4, UNLOOKED)
        if len(self._credit) > 1_000:
            self._credit.clear()
        self._credit[folder] = credit

    def check(self, folder: Path, size: int, names: int = 0) -> None:
        """Check that an object of `size` bytes, in `names` new files, fits on this folder's disk.

        Raises NoRoomError. If the free space is unknown, nothing is raised.
        """
        free = self.free(folder)
        if free is None:
            return
        needed = size + names * NAME_BYTES
        found = os.statvfs(folder)
        if needed > free:
            left = f"{human_size(max(free, 0))} may be written to the disk of {folder}"
            raise NoRoomError(
                f"there is no room: {left}, which keeps {human_size(self._kept_free(found))} free (keep_free), "
                f"and {human_size(needed)} are needed"
            )
        if names and found.f_files and found.f_favail < names + KEEP_NAMES:
            raise NoRoomError(
                f"there is no room: the disk of {folder} takes {found.f_favail:,} more files, and {names:,} are "
                "needed"
            )
