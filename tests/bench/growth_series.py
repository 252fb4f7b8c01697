"""The part `series` of tests.bench.growth: bytes of the series for each NO and each GB moved, and for many objects.

The entries are written through the store itself, with the checkpoints of a node.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import extend, snapshot
from flux_tui.core.series.state import State
from flux_tui.node.engine import CHECKPOINT_ENTRIES
from flux_tui.store.store import Store
from tests.bench.growth import Growth
from tests.bench.series import exchange

BATCH = 500
GB = 1000
"""Chunks of a GB: chunks have 1 MiB."""
OBJECTS = (1_250, 5_000, 20_000)
YEAR_GB = 100 * 365
"""What a node moves in a year that moves 100 GB a day."""


def on_disk(home: Path) -> int:
    """Return the bytes of a home's series and chunk index."""
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


class Written(NamedTuple):
    """What a series takes on disk."""

    home: int
    """Bytes of the home."""
    segments: int
    """Bytes of the segments, of which there are some."""
    packed: int
    """The last entry that is in a segment."""


def write(events: Iterator[Event], count: int) -> Written:
    """Append `count` events to a new home, with a node's checkpoints and segments."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        store = Store.open(folder)
        state, due = State(), CHECKPOINT_ENTRIES
        while page := list(islice(events, min(BATCH, count - state.seq))):
            batch = [(1.8e9 + (state.seq + n) * 0.0137, event) for n, event in enumerate(page, 1)]
            entries = [Entry(state.seq + n, at, event) for n, (at, event) in enumerate(batch, 1)]
            extend(state, entries)
            checkpoint = None
            if state.seq >= due:
                checkpoint, due = snapshot(state), state.seq + CHECKPOINT_ENTRIES
            store.commit(batch, checkpoint=checkpoint)
            while store.series.due and store.series.rotate() is not None:
                pass  # as a running node does
        size, packed = store.series.size().segments, store.series.packed_last
        store.close()
        return Written(on_disk(folder), size, packed)
    finally:
        shutil.rmtree(folder)


def written(events: Iterator[Event], count: int) -> int:
    """Append `count` events to a new home, and return the bytes of the home."""
    return write(events, count).home


def refusals(size: int, nos: int) -> Iterator[Event]:
    """Yield a want of `size` loose chunks and `nos` NOs to it, each from another peer, again and again."""
    chance = random.Random(2)
    peers = [PeerId(f"12D3KooW{'y' * 42}{n:02}".replace("0", "z")) for n in range(50)]
    number = 0
    while True:
        number += 1
        cids = tuple(raw_cid(b"%d %d" % (number, index)) for index in range(size))
        yield ev.PushedWant(cids=cids, peers=tuple(peers), gossip=False, retry=False, next_push_at=1.8e9)
        for peer in peers[:nos]:
            yield ev.StatusNo(
                peer=peer, cids=cids, reason="not_held", has_it=False, retry_after=chance.random()
            )


def additions(count: int) -> Iterator[Event]:
    """Yield the entries of a node that shares `count` objects."""
    for number in range(count):
        root = dag_cid(b"object %d" % number)
        path = f"/home/somebody/pictures/{number // 100:04}/picture {number:06}.jpeg"
        name = f"picture {number:06}.jpeg"
        yield ev.ObjectAdded(root=root, name=name, size=3_000_000 + number, path=path, chunks=4)
        yield ev.PushedHave(root=root, name=name, size=3_000_000 + number)


def _per_no(size: int) -> float:
    """Return the bytes that each NO to a want of `size` chunks adds to the segments: 50 NOs to each, against 10."""
    of_want = {}
    for nos in (10, 50):
        found = write(refusals(size, nos), max(60_000, 1000 * (nos + 1)))
        of_want[nos] = found.segments / (found.packed / (nos + 1))
    return (of_want[50] - of_want[10]) / 40


def measure(growth: Growth) -> None:
    """Add the rows of the series."""
    fresh = {count: written(additions(count), 2 * count) / 1e6 for count in OBJECTS}
    growth.curve("series of shared objects", fresh, "MB", of="objects", most={20_000: 10.0}, exponent=1.05)

    for size in (1, 256):
        words = "a NO to a want of one chunk" if size == 1 else f"a NO to a want of {size} chunks"
        growth.add(f"{words}, besides the want", _per_no(size), "bytes", most=120)

    # The exchange has about 64 chunks in 75 entries.
    share = sum(type(event) is ev.ChunkReceived for event in islice(exchange(1), 7500)) / 7500
    low, high = int(40 * GB / share), int(200 * GB / share)
    per_gb = (written(exchange(1), high) - written(exchange(1), low)) / 160
    growth.add("series of a GB moved", per_gb / 1e3, "KB", most=150)
    growth.add("a year of 100 GB a day, all kept", per_gb * YEAR_GB / 1e9, "GB")
    growth.add("a year of 100 GB a day, the last 30 days kept", per_gb * 3000 / 1e9, "GB", most=3.0)
