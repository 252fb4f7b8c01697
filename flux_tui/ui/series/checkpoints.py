"""States along a series, saved on disk. From the nearest one, any entry is only a short fold away.

A node writes checkpoints into its series. A recording may have none, or have some of another version of the
fold. Then `Builder` folds the series once, in its own process, so that no key waits for it. The states of the
builder and of the dashboard are saved in a file without a name, which disappears with the process. Only
numbers are in memory.
"""

import os
import struct
import subprocess
import sys
import tempfile
from bisect import bisect_right, insort
from pathlib import Path

BUILDER = "flux_tui.ui.series.checkpoint_process"
HEADER = struct.Struct("!QI")
"""The header of each state in the file: its entry and its length."""


class Checkpoints:
    """Saved states by entry."""

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._places: dict[int, tuple[int, int]] = {}
        # It lives as long as this object: close() closes it.
        self._file = tempfile.TemporaryFile(prefix="flux-tui-", buffering=0)  # noqa: SIM115
        self._end = 0

    def add(self, seq: int, state: bytes) -> None:
        """Save a state. On a full disk the state is not saved, which only makes scrubbing slower."""
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
        """Return the newest state at or before entry `seq`."""
        index = bisect_right(self._seqs, seq)
        if not index:
            return None
        found = self._seqs[index - 1]
        offset, length = self._places[found]
        return found, os.pread(self._file.fileno(), length, offset)

    @property
    def newest(self) -> int:
        """The entry of the last state, or 0 if there is none."""
        return self._seqs[-1] if self._seqs else 0

    def close(self) -> None:
        """Delete all states."""
        self._file.close()


class Builder:
    """Folds a series file in its own process. `take` returns the states that it has written."""

    def __init__(self, path: Path, last: int) -> None:
        self._file = tempfile.TemporaryFile(prefix="flux-tui-")  # noqa: SIM115 - close() closes it
        self._read = 0
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, "-m", BUILDER, str(path), str(last), str(self._file.fileno())],
            pass_fds=(self._file.fileno(),), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, close_fds=True, start_new_session=True,
        )  # fmt: skip

    @property
    def done(self) -> bool:
        """Whether the process has ended, in whatever way."""
        return self._process.poll() is not None

    def take(self) -> list[tuple[int, bytes]]:
        """Return the states written since the last call."""
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
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._file.close()
