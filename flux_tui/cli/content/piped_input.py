"""What comes on standard input, written to a file of the home in constant memory, so that it can be shared."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flux_tui.cli.output import Failure
from flux_tui.cli.progress import Progress
from flux_tui.config import Settings
from flux_tui.core.ids import is_text
from flux_tui.home import Home
from flux_tui.store.database import NoRoomError
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.piped_files import PipedFile

BYTES_AT_ONCE = 1024 * 1024
"""Bytes that are read and written together. A pipe has 64 KiB, unless it can be made larger."""
MAX_NAME = 255
"""Bytes of a file's name."""
DEFAULT_NAME = "stdin"


def name_error(name: str) -> str | None:
    """Return why a name cannot be that of a file; None: it can."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        return f"{name!r} is not a name for a file"
    if not is_text(name):
        return f"{name!r} is not UTF-8"
    if len(name.encode()) > MAX_NAME:
        return f"a name has at most {MAX_NAME} bytes"
    return None


@contextmanager
def piped_input(home: Home, name: str) -> Iterator[PipedFile]:
    """Write all of standard input to a new file of the home. The file is deleted at the end unless it is kept.

    Raises Failure: standard input is closed or cannot be read, or there is no room.
    """
    if sys.stdin is None:
        raise Failure("there is nothing on standard input: it is closed")
    home.prepare()
    space = DiskSpace(Settings.load(home).keep_free)
    try:
        with PipedFile(home.path, name) as piped:
            with Progress(f"reading {name}") as bar:
                _copy(sys.stdin.fileno(), piped, space, bar)
            yield piped
    except NoRoomError as error:
        raise Failure(str(error)) from None


def _copy(source: int, piped: PipedFile, space: DiskSpace, bar: Progress) -> None:
    buffer = memoryview(bytearray(BYTES_AT_ONCE))
    _widen(source)
    done = 0
    while True:
        with _explained(piped):
            size = piped.move_from(source, BYTES_AT_ONCE)
        if size is not None:
            space.take(piped.path.parent, size)
        else:
            try:
                size = os.readv(source, [buffer])
            except OSError as error:
                raise Failure(f"standard input cannot be read: {_words(error)}") from None
            space.take(piped.path.parent, size)
            with _explained(piped):
                piped.write(buffer[:size])
        if not size:
            return
        done += size
        bar.update(done, 0)


@contextmanager
def _explained(piped: PipedFile) -> Iterator[None]:
    """Raise Failure if standard input cannot be written to its file."""
    try:
        yield
    except OSError as error:
        raise Failure(
            f"standard input cannot be kept in {piped.path.parent.parent}: {_words(error)}"
        ) from None


def _widen(source: int) -> None:
    """Let a pipe hold as much as is read together, where the system allows it: fewer turns for both programs."""
    import fcntl

    try:
        fcntl.fcntl(source, getattr(fcntl, "F_SETPIPE_SZ", 1031), BYTES_AT_ONCE)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.EPERM, errno.EBUSY, errno.ENOTTY):
            raise


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
