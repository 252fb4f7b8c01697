"""The series alone: how fast entries are appended, folded, and a long series is opened.

python -m tests.bench.series [--entries N] [--json FILE]

The entries are those of a real exchange in real proportions: a want, an offer, grants of sixteen chunks,
the chunks, and a NO now and then. Opening is measured twice: folded from the first entry (no checkpoint is
of use), and as a node or dashboard opens it, from the newest checkpoint.
"""

import itertools
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive, extend, snapshot
from flux_tui.core.series.state import State
from flux_tui.node.disk.stored_state import load_state
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.store import Store
from tests.bench.report import Table, parser

BATCH = 500
"""Entries of one commit: a busy node gathers them in some milliseconds."""
PAGE = 10_000
CHECKPOINT = 10_000
GRANT = 16


def exchange(seed: int) -> Iterator[Event]:
    """Yield the events of a node that fetches objects, without end."""
    chance = random.Random(seed)
    peers = [PeerId(f"12D3KooW{'x' * 43}{name}") for name in "ABCDEFGH"]
    for number in itertools.count():
        root = dag_cid(b"root %d" % number)
        yield ev.Requested(cid=root, name=f"file {number}", path=f"/files/{number}")
        yield ev.PushedWant(cids=(root,), peers=tuple(peers[:4]), gossip=False, retry=False, next_push_at=1e9)
        yield ev.DelayedYes(peer=chance.choice(peers), cids=(root,), eta=0.1, queue_bytes=0)
        yield ev.ObjectMapped(root=root, size=64 << 20, chunks=65, have=1, have_bytes=0)
        for grant in range(4):
            peer = chance.choice(peers)
            cids = tuple(raw_cid(b"%d %d %d" % (number, grant, index)) for index in range(GRANT))
            if chance.random() < 0.2:
                yield ev.StatusNo(peer=peer, cids=(root,), reason="busy", has_it=True, retry_after=1.0)
            yield ev.Granted(peer=peer, root=root, cids=cids, deadline=1e9)
            for cid in cids:
                yield ev.ChunkReceived(cid=cid, size=1 << 20, peer=peer, roots=(root,), fills=1 << 20)
        yield ev.ObjectCompleted(root=root, size=64 << 20, path=f"/files/{number}")


def append(folder: Path, events: list[Event]) -> float:
    """Write a series with its checkpoints. Return the entries/s of the commits alone."""
    store = Store.open(folder)
    state, spent = State(), 0.0
    try:
        for start in range(0, len(events), BATCH):
            batch = [
                (1e9 + (start + index) / 1000, event)
                for index, event in enumerate(events[start : start + BATCH])
            ]
            extend(state, [Entry(start + n, at, event) for n, (at, event) in enumerate(batch, 1)])
            checkpoint = snapshot(state) if state.seq % CHECKPOINT == 0 else None
            began = time.perf_counter()
            store.commit(batch, checkpoint=checkpoint)
            spent += time.perf_counter() - began
        return len(events) / spent
    finally:
        store.close()


def measure(count: int, table: dict[str, list[float]]) -> None:
    """Run everything once, in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        events = list(itertools.islice(exchange(1), count))
        table["append"].append(append(folder, events))
        entries = [Entry(n, 1e9 + (n - 1) / 1000, event) for n, event in enumerate(events, 1)]
        began = time.perf_counter()
        whole = derive(entries)
        table["fold"].append(count / (time.perf_counter() - began))
        del entries, events

        began = time.perf_counter()
        reader = SeriesReader.open(folder / "flux.db")
        state = State()
        while page := reader.read(state.seq, PAGE):
            extend(state, page)
        reader.close()
        table["open and fold all"].append(time.perf_counter() - began)
        assert state == whole, "what was read adds up to something else"

        store = Store.open(folder)
        began = time.perf_counter()
        loaded = load_state(store)
        table["open"].append(time.perf_counter() - began)
        store.close()
        assert loaded == whole, "the checkpoint leads to something else"
    finally:
        shutil.rmtree(folder)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--entries", type=int, default=1_000_000, metavar="N")
    given = options.parse_args()
    runs: dict[str, list[float]] = {"append": [], "fold": [], "open and fold all": [], "open": []}
    for _ in range(given.runs):
        measure(given.entries, runs)
    share = given.entries / 1_000_000
    table = Table(f"A series of {given.entries:,} entries, commits of {BATCH}")
    table.add("appended", runs["append"], "entries/s", least=100_000)
    table.add("folded", runs["fold"], "entries/s", least=300_000)
    table.add("opened and folded from the first entry", runs["open and fold all"], "s", most=4 * share)
    table.add("opened from its newest checkpoint", runs["open"], "s")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
