"""Saved states along a series (checkpoints). From the nearest one, the state at any entry is soon computed.

A node writes checkpoints into its series. A recording may have none, or have some of another version of the
program. Then `Builder` computes states in a process of its own, so that no key waits for it. The states of
the builder and of the dashboard are saved in a file without a name, which disappears with the process. Only
numbers are in memory.
"""

import os
import struct
import subprocess
import tempfile
from bisect import bisect_right, insort
from pathlib import Path

from flux_tui.child_command import child_command

BUILDER = "flux_tui.ui.series.checkpoint_process"
HEADER = struct.Struct("!QI")
"""The header of each state in the file: its entry and its length."""


class Checkpoints:
    """States that were saved in a temporary file, each by the number of its last entry."""

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._places: dict[int, tuple[int, int]] = {}
        # It lives as long as this object: close() closes it.
        self._file = tempfile.TemporaryFile(prefix="flux-tui-", buffering=0)  # noqa: SIM115
        self._end = 0

    def add(self, seq: int, state: bytes) -> None:
        """Save the state after entry `seq`.

        If the disk is full, the state is not saved, which only makes the cursor slower.
        """
        if seq in self._places:
            return
        try:
            os.pwrite(self._file.fileno(), state, self._end)
        except OSError:
            return
        self._places[seq] = (self._end, len(state))
        self._end += len(state)
        insort(self._seqs, seq)

    def nearest(self, seq: int) -> tuple[int, bytes] | None:
        """Return the last state that was saved at or before entry `seq`: the number of its last entry, and its bytes.

        None: no state was saved so early.
        """
        index = bisect_right(self._seqs, seq)
        if not index:
            return None
        found = self._seqs[index - 1]
        offset, length = self._places[found]
        return found, os.pread(self._file.fileno(), length, offset)

    @property
    def newest(self) -> int:
        """The entry of the last saved state, or 0 if there is none."""
        return self._seqs[-1] if self._seqs else 0

    def close(self) -> None:
        """Delete the file with all saved states."""
        self._file.close()


class Builder:
    """Starts a process that computes states along a series file.

    `take` returns the states that it has written.
    """

    def __init__(self, path: Path, last: int) -> None:
        self._file = tempfile.TemporaryFile(prefix="flux-tui-")  # noqa: SIM115 - close() closes it
        self._read = 0
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            child_command(BUILDER, str(path), str(last), str(self._file.fileno())),
            pass_fds=(self._file.fileno(),), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, close_fds=True, start_new_session=True,
        )  # fmt: skip

    @property
    def done(self) -> bool:
        """Whether the process has ended, with success or not."""
        return self._process.poll() is not None

    def take(self) -> list[tuple[int, bytes]]:
        """Return the states that the process wrote since the last call, each as its entry's number and its bytes."""
        found = []
        descriptor = self._file.fileno()
        size = os.fstat(descriptor).st_size
        while self._read + HEADER.size <= size:
            seq, length = HEADER.unpack(os.pread(descriptor, HEADER.size, self._read))
            if self._read + HEADER.size + length > size:
                break
            found.append((seq, os.pread(descriptor, length, self._read + HEADER.size)))
            self._read += HEADER.size + length
        return found

    def close(self) -> None:
        """End the process, and delete the file with its states."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._file.close()
