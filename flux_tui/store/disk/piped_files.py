"""Files of the store's own with what came through a pipe (`flux-tui add -`): HOME/piped/RANDOM/NAME.

They are shared as other files are. One is deleted when nothing needs it any more. While a program writes and shares
one, it holds a lock on the file, which ends with the program: so what a killed program left can be told apart.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from flux_tui.regular_files import open_regular

_splice: Callable[[int, int, int], int] | None = getattr(os, "splice", None)
PIPED = "piped"
"""The folder of a home with these files."""


def is_piped(home: Path, path: Path) -> bool:
    """Whether a path is the place of such a file."""
    return path.parent.parent == home / PIPED


class PipedFile:
    """A new file in a home, empty and locked, as a context manager. It is deleted at the end unless it is kept.

    `name`: the file's name. Raises OSError.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / PIPED / secrets.token_hex(8) / name
        self._kept = False
        self._descriptor = -1

    def __enter__(self) -> "PipedFile":
        self.path.parent.mkdir(mode=0o700, parents=True)
        try:
            self._descriptor = open_regular(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError:
            self._delete()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            self._delete()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of these bytes after those before. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def move_from(self, pipe: int, size: int) -> int | None:
        """Move the next bytes of a pipe, at most `size`, behind those before. They do not pass through this process.

        Return how many; 0: the pipe has ended. None: the system cannot do it, or `pipe` is no pipe. Raises OSError.
        """
        if _splice is None:
            return None
        try:
            return _splice(pipe, self._descriptor, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EBADF, errno.EAGAIN):  # a read says why
                raise
            return None

    def keep(self) -> None:
        """Leave the file where it is, because it is shared now."""
        self._kept = True

    def _delete(self) -> None:
        shutil.rmtree(self.path.parent, ignore_errors=True)


def sweep(home: Path, needed: Callable[[Path], bool]) -> None:
    """Delete the piped files of a home that nothing needs, and that no program is writing."""
    with contextlib.suppress(OSError):
        for path in (home / PIPED).glob("*/*"):
            if not needed(path) and not _is_locked(path):
                shutil.rmtree(path.parent, ignore_errors=True)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
