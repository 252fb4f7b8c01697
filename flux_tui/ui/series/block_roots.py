"""Finds the object to which a chunk belongs, from the grants and received chunks in a series. Pure.

Most entries name their objects. Two kinds of entries may not: those written by an earlier version, and those
about chunks that were of no use. The table is bounded. It learns from the entries that are shown and from
some entries before them. No series is read whole for it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from flux_tui.core.ids import Cid
from flux_tui.core.limits import BoundedTable
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
from flux_tui.core.series.events.named_ids import cids_of

MAX_KNOWN = 100_000
"""How many chunks are remembered with their objects: about 20 MB."""
MAX_OPEN = 20_000
"""How many entries about chunks of unknown objects are remembered while a series is read backwards."""
CONTEXT = 2_000
"""How many entries before an entry are searched for the grant that names its object. A NO or a lapse comes soon
after its grant."""


class Owners:
    """A table of chunks, each with the objects to which it belongs."""

    def __init__(self) -> None:
        self._roots: BoundedTable[Cid, tuple[Cid, ...]] = BoundedTable(MAX_KNOWN)

    def learn(self, entries: Iterable[Entry]) -> None:
        """Add the chunks and objects that these entries name together."""
        for entry in entries:
            for cid, roots in _told(entry.event):
                known = self._roots.get(cid)
                if known is None:
                    self._roots[cid] = roots
                elif not set(roots) <= set(known):
                    self._roots[cid] = tuple(dict.fromkeys((*known, *roots)))

    def of(self, event: Event) -> tuple[Cid, ...]:
        """Return the objects to which the chunks of an event belong, without those that the event itself names."""
        if not isinstance(event, OF_BLOCKS):
            return ()
        own = cids_of(event)
        return tuple(
            dict.fromkeys(root for cid in own for root in self._roots.get(cid, ()) if root not in own)
        )


OF_BLOCKS = (StatusNo, LeaseLapsed, LeaseExtended, ErrorReceived, ChunkWasted)
"""The events about blocks that may not name the object of the block."""


def _told(event: Event) -> Iterable[tuple[Cid, tuple[Cid, ...]]]:
    """Return each chunk in an event with the objects to which it belongs, if the event says so."""
    match event:
        case Granted(root=root) if root is not None:
            return [(cid, (root,)) for cid in event.cids]
        case ChunkReceived() if event.roots:
            return [(event.cid, event.roots)]
        case _:
            return ()


class Reader(Protocol):
    """A series whose entries can be read in parts."""

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` entries after the entry numbered `after`, in order."""


def roots_of(entry: Entry, source: Reader) -> tuple[Cid, ...]:
    """Return the objects to which the chunks of an entry belong, without those that the entry itself names.

    To find them, up to CONTEXT entries before `entry` are read. Empty: these entries do not say it.
    """
    owners = Owners()
    if isinstance(entry.event, OF_BLOCKS):
        start = max(0, entry.seq - 1 - CONTEXT)
        owners.learn(source.read(start, entry.seq - 1 - start))
    return owners.of(entry.event)


class EntriesAbout:
    """Finds all entries about one object and its blocks, while a series is read from its end to its beginning."""

    def __init__(self, root: Cid) -> None:
        self._root = root
        self._own: set[Cid] = {root}
        self._open: deque[Entry] = deque(maxlen=MAX_OPEN)
        """Entries about chunks that may be blocks of the object, the newest first."""

    def take(self, page: Sequence[Entry]) -> list[Entry]:
        """Look at a page of entries. It must be the page right before the one given in the last call.

        Return the entries that are known since this call to be about the object, in order. Some of them may be
        from earlier pages: only now it is known that their chunks belong to the object.
        """
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
