"""Writes the bytes of files to stdout, in order, in constant memory. The kernel copies runs of files, where it can.

What `sendfile` puts into a pipe or a socket is the file's own pages. If a person changes the file before the reader has
read them, the reader gets the new bytes, and nobody notices. So such runs are copied only from files in the home.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import closing

from flux_tui.cli.output import Failure, stdout_descriptor
from flux_tui.reading.open_runs import OpenRun, Piece

STEP_BYTES = 1024 * 1024
"""Bytes of a run that are copied by one call."""
NOT_COPIED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP, errno.EXDEV}
"""What the system answers if it cannot copy from a file to this stdout: such a run passes through this process."""

SendFile = Callable[[int, int, int, int], int]


class StdoutPieces:
    """Writes pieces to stdout. One thread may write; others may look at `written`."""

    def __init__(self) -> None:
        self.written = 0
        """Bytes so far."""
        self._sendfile: SendFile | None = getattr(os, "sendfile", None)

    def write(self, piece: Piece) -> None:
        """Write a piece. Raises Failure if a file was changed meanwhile, and OSError if stdout takes no more."""
        if not isinstance(piece, OpenRun):
            self._write(memoryview(piece))
            return
        # Of its own: a command that is cancelled leaves this thread behind, and closes its files.
        with closing(os.fdopen(os.dup(piece.descriptor), "rb", buffering=0)) as file:
            self._copy(piece._replace(descriptor=file.fileno()))

    def _copy(self, run: OpenRun) -> None:
        at, end = run.offset, run.offset + run.size
        _check(run)
        while at < end:
            count = self._step(run, at, min(STEP_BYTES, end - at))
            if not count:
                raise Failure(f"{run.path} became shorter while it was read")
            at += count
        _check(run)

    def _step(self, run: OpenRun, at: int, size: int) -> int:
        """Copy the first of `size` bytes of a run to stdout. Return how many; 0: the file ends here."""
        if self._sendfile is not None and (run.is_kept or _is_file(stdout_descriptor())):
            try:
                count = self._sendfile(stdout_descriptor(), run.descriptor, at, size)
                self.written += count
                return count
            except OSError as error:
                if error.errno not in NOT_COPIED:
                    raise
                self._sendfile = None
        data = os.pread(run.descriptor, size, at)
        self._write(memoryview(data))
        return len(data)

    def _write(self, view: memoryview) -> None:
        descriptor = stdout_descriptor()
        while view:
            count = os.write(descriptor, view)
            self.written += count
            view = view[count:]


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _check(run: OpenRun) -> None:
    if not run.is_unchanged():
        raise Failure(f"{run.path} was changed while it was read")
