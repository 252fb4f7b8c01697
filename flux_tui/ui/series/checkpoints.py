"""States along a series, kept on disk, so that any entry is one state and a short fold away.

A node writes checkpoints into its series. A recording may lack them, or those that it has were made by
another version of the fold: then `Builder` folds the series once, in a process of its own, so that no key
ever waits for it. What both and the dashboard itself find is kept here, in a file without a name that is
gone with the process; in memory are only numbers.
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
"""Before each state in the file: its entry, its length."""


class Checkpoints:
    """States by entry."""

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._places: dict[int, tuple[int, int]] = {}
        self._file = tempfile.TemporaryFile(prefix="flux-tui-", buffering=0)  # noqa: SIM115 - as long as we are
        self._end = 0

    def add(self, seq: int, state: bytes) -> None:
        """Keep one. A disk that is full keeps fewer, and makes scrubbing slower, no more."""
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
        """The newest after an entry ≤ `seq`."""
        index = bisect_right(self._seqs, seq)
        if not index:
            return None
        found = self._seqs[index - 1]
        offset, length = self._places[found]
        return found, os.pread(self._file.fileno(), length, offset)

    @property
    def newest(self) -> int:
        """The last one's entry; 0 if there is none."""
        return self._seqs[-1] if self._seqs else 0

    def close(self) -> None:
        """Forget them."""
        self._file.close()


class Builder:
    """Folds a series file in a process of its own; `take` hands over what it came to since."""

    def __init__(self, path: Path, last: int) -> None:
        self._file = tempfile.TemporaryFile(prefix="flux-tui-")  # noqa: SIM115 - as long as we are
        self._read = 0
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, "-m", BUILDER, str(path), str(last), str(self._file.fileno())],
            pass_fds=(self._file.fileno(),), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, close_fds=True, start_new_session=True,
        )  # fmt: skip

    @property
    def done(self) -> bool:
        """Whether it has ended, however."""
        return self._process.poll() is not None

    def take(self) -> list[tuple[int, bytes]]:
        """The states that were written since the last time."""
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
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._file.close()
