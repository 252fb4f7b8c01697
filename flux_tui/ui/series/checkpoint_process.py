"""The program of the process that `checkpoints.Builder` starts: it computes states along a series and writes them.

    python -m flux_tui.ui.series.checkpoint_process SERIES LAST DESCRIPTOR

It ends when the dashboard ends, because its standard input is then closed.
"""

import os
import select
import sys
from pathlib import Path

from flux_tui.core.series.fold import extend, restore, snapshot
from flux_tui.store.database import StoreError
from flux_tui.store.series_reader import SeriesReader, first_state
from flux_tui.ui.series.checkpoints import HEADER

EVERY = 20_000
"""Entries between two states. Folding them takes 60 ms."""
PAGE = 5_000
"""Entries between two checks whether the dashboard still runs."""


def build(path: Path, last: int, descriptor: int) -> None:
    """Write the state after every EVERY entries to a file, where the series has no checkpoint (saved state) itself.

    `path`: the series. `last`: the last entry to read. `descriptor`: the open file to write to. If standard
    input is closed, stop early.
    """
    reader = SeriesReader.open(path)
    state = first_state(reader)
    written = state.seq
    while state.seq < last:
        if select.select([sys.stdin], [], [], 0)[0]:
            return
        found = reader.checkpoint(min(last, state.seq + EVERY))
        if found is not None and found[0] > state.seq and (ahead := restore(found[1])) is not None:
            state, written = ahead, ahead.seq
            continue
        page = reader.read(state.seq, min(PAGE, last - state.seq))
        if not page:
            return
        extend(state, page)
        if state.seq - written >= EVERY or state.seq >= last:
            data = snapshot(state)
            os.write(descriptor, HEADER.pack(state.seq, len(data)) + data)
            written = state.seq


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except StoreError:
        sys.exit(1)
