"""Which object a chunk is a block of, as far as a series tells: by what was granted of it, and what came of it. Pure.

An entry that names its objects needs none of this. Others do not: those of a series that an earlier version wrote,
and chunks that came in vain. What is known is bounded, and learned from the entries that are looked at, and from
some before them; no series is ever read whole for it.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from flux_tui.core.ids import Cid
from flux_tui.core.series.events import (
    ChunkReceived,
    ChunkWasted,
    Entry,
    ErrorReceived,
    Event,
    Granted,
    LeaseExtended,
    LeaseLapsed,
    StatusNo,
)
from flux_tui.ui.series.filter import cids_of

MAX_KNOWN = 100_000
"""Chunks whose objects are remembered: some 20 MB."""
MAX_OPEN = 20_000
"""Entries about chunks of unknown objects that wait for being told, where a series is read backwards."""
CONTEXT = 2_000
"""Entries before a page that are learned from: a NO or a lapse comes soon after its grant."""


class Owners:
    """Chunk → the objects that it is a block of."""

    def __init__(self) -> None:
        self._roots: OrderedDict[Cid, tuple[Cid, ...]] = OrderedDict()

    def learn(self, entries: Iterable[Entry]) -> None:
        """Take in what entries say of it."""
        for entry in entries:
            for cid, roots in _told(entry.event):
                known = self._roots.get(cid, ())
                self._roots[cid] = (
                    known if set(roots) <= set(known) else tuple(dict.fromkeys((*known, *roots)))
                )
                if len(self._roots) > MAX_KNOWN:
                    self._roots.popitem(last=False)

    def of(self, event: Event) -> tuple[Cid, ...]:
        """The objects whose blocks an entry is about, besides those that it names itself."""
        if not isinstance(event, OF_BLOCKS):
            return ()
        own = cids_of(event)
        return tuple(
            dict.fromkeys(root for cid in own for root in self._roots.get(cid, ()) if root not in own)
        )


OF_BLOCKS = (StatusNo, LeaseLapsed, LeaseExtended, ErrorReceived, ChunkWasted)
"""What happens to blocks; which object they are of is told elsewhere, where it is not told there."""


def _told(event: Event) -> Iterable[tuple[Cid, tuple[Cid, ...]]]:
    """What one entry says of whose a chunk is."""
    match event:
        case Granted(root=root) if root is not None:
            return [(cid, (root,)) for cid in event.cids]
        case ChunkReceived() if event.roots:
            return [(event.cid, event.roots)]
        case _:
            return ()


class Reader(Protocol):
    """A series that is read a page at a time."""

    def read(self, after: int, limit: int) -> list[Entry]:
        """Entries after `after`, in order."""


def roots_of(entry: Entry, source: Reader) -> tuple[Cid, ...]:
    """The objects whose blocks an entry is about, besides those that it names itself."""
    owners = Owners()
    if isinstance(entry.event, OF_BLOCKS):
        start = max(0, entry.seq - 1 - CONTEXT)
        owners.learn(source.read(start, entry.seq - 1 - start))
    return owners.of(entry.event)


class Touching:
    """All entries that have to do with one object, its blocks' among them, of a series that is read backwards."""

    def __init__(self, root: Cid) -> None:
        self._root = root
        self._own: set[Cid] = {root}
        self._open: deque[Entry] = deque(maxlen=MAX_OPEN)
        """About chunks of which it is not known yet whether they are its blocks; the newest first."""

    def take(self, page: Sequence[Entry]) -> list[Entry]:
        """The entries before those that were taken so far. Returns those that are now known to touch it, in
        order; some may be later ones."""
        learned = len(self._own)
        for entry in page:
            for cid, roots in _told(entry.event):
                if self._root in roots:
                    self._own.add(cid)
        found = []
        for entry in reversed(page):
            if not self._own.isdisjoint(cids_of(entry.event)):
                found.append(entry)
            elif isinstance(entry.event, OF_BLOCKS):
                self._open.append(entry)
        if len(self._own) > learned:
            known = [entry for entry in self._open if not self._own.isdisjoint(cids_of(entry.event))]
            if known:
                found += known
                taken = {entry.seq for entry in known}
                self._open = deque((one for one in self._open if one.seq not in taken), maxlen=MAX_OPEN)
        return sorted(found, key=lambda entry: entry.seq)
