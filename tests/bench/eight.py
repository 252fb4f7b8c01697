"""Eight holders of unequal speed, one killed at 40 % and one frozen from then on: does the file come soon, once?

python -m tests.bench.eight [--size MIB] [--json FILE]

Each holder is a process of its own with an upload limit of its own (2 to 20 MB/s). The ideal is the size
over the sum of the rates of those that live to the end: what would be reached if the others had never been.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader
from tests.bench.nodes import Node, flux, running, state, wait_for
from tests.bench.report import Table, parser
from tests.bench.transfer import make_file

RATES = (2, 4, 6, 8, 10, 12, 16, 20)
"""The rates of the holders in MB/s."""
KILLED, FROZEN = 3, 5
"""The killed and the frozen holder, by index."""
SHARE = 0.4


class Eight:
    """The results of one transfer."""

    def __init__(self, size: int, folder: Path) -> None:
        source = folder / "big.bin"
        make_file(source, size)
        holders = [Node(folder / f"h{rate}", "--upload-limit", f"{rate}MB/s") for rate in RATES]
        asker = Node(folder / "b")
        with running(*holders, asker):
            for holder in holders:
                added = json.loads(flux("add", "--json", str(source), home=holder.home).stdout)
            root = Cid(added["root"])
            addrs = tuple(holder.addrs[0] for holder in holders)
            home = Home(asker.home)
            home.push(*(cmd.Join(addr) for addr in addrs))
            wait_for(lambda: state(asker.home)["peers"] and _connected(asker.home) == len(holders))
            home.push(cmd.Get(root, str(folder / "out.bin"), "big.bin", size, (), "bench"))
            reader = SeriesReader.open(asker.home / "flux.db")
            wait_for(lambda: _received(reader) >= SHARE * size, seconds=600, every=0.02)
            holders[KILLED].kill()
            os.kill(holders[FROZEN].process.pid, signal.SIGSTOP)
            try:
                wait_for((folder / "out.bin").exists, seconds=600, every=0.01)
            finally:
                os.kill(holders[FROZEN].process.pid, signal.SIGCONT)
            time.sleep(1)  # chunks that the thawed holder still sends count
            entries = reader.read(0, 1_000_000)
            reader.close()
            start = next(e.at for e in entries if isinstance(e.event, ev.Requested))
            end = next(e.at for e in entries if isinstance(e.event, ev.ObjectCompleted))
            told = state(asker.home)
        living = [rate for place, rate in enumerate(RATES) if place not in (KILLED, FROZEN)]
        self.ideal = size / (sum(living) * 1e6)
        self.seconds = end - start
        self.duplicates = told["received_bytes"] / told["unique_bytes"]
        self.noes = sum(isinstance(e.event, ev.StatusNo) for e in entries)
        self.hedges = sum(isinstance(e.event, ev.Granted) and e.event.hedge for e in entries)
        self.wasted = told["wasted_bytes"]


def _connected(home: Path) -> int:
    return sum(peer["connected"] for peer in state(home)["peers"])


def _received(reader: SeriesReader) -> int:
    found = reader.read(max(0, reader.last_seq() - 400), 1000)
    _received.total = getattr(_received, "total", {})  # type: ignore[attr-defined]
    total: dict[int, int] = _received.total  # type: ignore[attr-defined]
    total.update({e.seq: e.event.size for e in found if isinstance(e.event, ev.ChunkReceived)})
    return sum(total.values())


def measure(size: int) -> Eight:
    """Measure in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        return Eight(size, folder)
    finally:
        shutil.rmtree(folder)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=256, metavar="MIB")
    given = options.parse_args()
    runs = [measure(given.size << 20) for _ in range(given.runs)]
    table = Table(f"{given.size} MiB from eight holders of 2 to 20 MB/s, one killed and one frozen at 40 %")
    table.add("time", [run.seconds for run in runs], "s")
    table.add("time / ideal", [run.seconds / run.ideal for run in runs], "x", most=1.6)
    table.add("received / unique", [run.duplicates for run in runs], "x", most=1.02)
    table.add("NO heard", [run.noes for run in runs], "")
    table.add("hedges", [run.hedges for run in runs], "")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
