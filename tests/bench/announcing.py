"""Thousands of objects added at once beside three peers; who hears of them, and whether anybody takes it for a flood.

python -m tests.bench.announcing [--objects N] [--wanted N] [--json FILE]

Four real nodes on loopback. One of them adds files of 100 bytes, each an object of its own. Each of the others
wanted some of them before, so that announcements matter to it. With `unshare -rn` in front of the command (and
`ip link set lo up` in it), the bytes on the line are those of the nodes alone.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flux_tui.cli.home_and_series import open_series
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.home import Home
from tests.bench.nodes import Node, running, wait_for
from tests.bench.report import Table, parser

PEERS = 3
QUIET_SECONDS = 5.0
"""Seconds without traffic after which a round of announcements is over."""
LOUD_SECONDS = 300.0
"""Seconds after which it counts as over in any case: other programs may use this loopback interface, too."""


def entries_of(home: Path, since: int = 0) -> Iterator[Entry]:
    """Yield the entries of a home's series."""
    reader = open_series(Home(home))
    try:
        while page := reader.read(since, 10_000):
            yield from page
            since = page[-1].seq
    finally:
        reader.close()


def sent_on_loopback() -> int:
    """Return the bytes that crossed the loopback interface of this network namespace (/sys tells those of another)."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()
    return next(int(line.split()[9]) for line in lines if line.lstrip().startswith("lo:"))


def series_bytes(home: Path) -> int:
    """Return the bytes of a home's database, with its log, and of its segments."""
    return sum(path.stat().st_size for path in (*home.glob("flux.db*"), *home.glob("series/*.flux")))


def make_files(folder: Path, count: int) -> list[Cid]:
    """Make files of 100 random bytes. Returns the CID of each, in order."""
    folder.mkdir()
    cids = []
    for number in range(count):
        data = os.urandom(100)
        (folder / f"{number:06}").write_bytes(data)
        cids.append(raw_cid(data))
    return cids


def measure(objects: int, wanted: int, table: Table) -> None:
    """Add `objects` files at once beside three peers, each of which wants `wanted` of them. Adds rows to the table."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        cids = make_files(folder / "files", objects)
        adder, *peers = nodes = [Node(folder / f"node{number}") for number in range(PEERS + 1)]
        with running(*nodes):
            for node in peers:
                Home(node.home).push(cmd.Join(adder.addrs[0]))
                step = max(1, objects // wanted)
                Home(node.home).push(cmd.WantMany(tuple(cids[::step][:wanted])))
            time.sleep(QUIET_SECONDS)
            before, start = sent_on_loopback(), time.monotonic()
            for number in range(0, objects, 1000):
                some = range(number, min(number + 1000, objects))
                adds = (cmd.Add(str(folder / "files" / f"{one:06}")) for one in some)
                Home(adder.home).push(*adds, many=True)
            state = Added(adder.home)
            wait_for(lambda: state.count() >= objects, 1800, every=0.5)
            added = time.monotonic() - start
            arrivals = [Arrived(node.home) for node in peers]
            whole = 0.0
            while time.monotonic() - start < added + 600 and not whole:
                time.sleep(1)
                if all(one.count() >= wanted for one in arrivals):
                    whole = time.monotonic() - start
            quiet_since, seen = time.monotonic(), sent_on_loopback()
            end = quiet_since + LOUD_SECONDS
            while time.monotonic() < min(quiet_since + QUIET_SECONDS, end):
                time.sleep(0.5)
                if (now := sent_on_loopback()) - seen > 20_000:
                    quiet_since = time.monotonic()
                seen = now
            last = quiet_since - start
            moved = sent_on_loopback() - before
            arrived = sum(one.count() for one in arrivals)
        table.add(f"{objects:,} objects were added after", added, "s")
        table.add("all that peers wanted of them was there after", whole or float("inf"), "s")
        table.add("of what they wanted came", 100 * arrived / (PEERS * wanted), "%", least=100)
        table.add("the line was quiet after", last, "s")
        table.add("bytes on the line, an object", moved / objects, "B")
        faults = drops = 0
        for node in nodes:
            for entry in entries_of(node.home):
                faults += isinstance(entry.event, ev.PeerFaulted)
                drops += isinstance(entry.event, ev.PeerDisconnected) and "flood" not in entry.event.why
        stops = PEERS * 2  # each link ends on both sides, at most, when the nodes stop
        table.add("entries about faults", faults, "", most=0)
        table.add("links that ended (those of the end included)", drops, "", most=stops)
        table.add("series of the node that added, an object", series_bytes(adder.home) / objects, "B")
        table.add("series of a peer", max(series_bytes(node.home) for node in peers) / 1024, "KiB")
    finally:
        shutil.rmtree(folder)


class Count:
    """Counts entries of one kind in a series that grows."""

    kind: type[ev.Event]

    def __init__(self, home: Path) -> None:
        self._home, self._seen, self._count = home, 0, 0

    def count(self) -> int:
        """Return how many there are now."""
        for entry in entries_of(self._home, self._seen):
            self._seen = entry.seq
            self._count += isinstance(entry.event, self.kind)
        return self._count


class Added(Count):
    kind = ev.ObjectAdded


class Arrived(Count):
    kind = ev.ChunkReceived


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--objects", type=int, default=20_000)
    options.add_argument("--wanted", type=int, default=100, help="objects that each peer wanted before")
    given = options.parse_args()
    table = Table(f"{given.objects:,} objects added at once beside {PEERS} peers")
    measure(given.objects, given.wanted, table)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
