"""Misbehaviour: records the faults of a peer, and disconnects a peer that continues.

- The first fault of a kind is an entry at once. Further ones are counted, and one entry tells how many.
- A peer is disconnected after two chunks with wrong bytes, a few chunks that nobody asked for, or thousands of
  pushes that were not admitted or broke the protocol. A useful chunk, sent or received, clears the last two
  counts.
- The peer is then refused for a while. This time doubles each time that the peer is disconnected again for its
  faults.
"""

from collections.abc import Iterable

from flux_tui.core.api.effects import Disconnect
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import Backoff, BoundedTable
from flux_tui.core.peers.fault_reports import FaultReports, Repeated
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.turn import Ledger

MAX_CORRUPT = 2
"""Chunks with wrong bytes after which a link is closed: one may be a bad disk, two are not."""
MAX_NOT_ADMITTED = 2048
"""Pushes of a peer that were not admitted or broke the protocol, until its link is closed."""
MAX_UNASKED = 8
"""Chunks that nobody granted to a peer, until its link is closed. Each cost up to 2 MiB of bandwidth."""
BAN = Backoff(60.0, 3600.0)
"""Seconds for which a peer is refused after it was disconnected for its faults."""
MAX_COUNTED = 1024
"""Peers whose faults are counted. The peer whose latest fault is oldest is forgotten first."""
MAX_TEXT = 512
"""Characters of a text about a peer that are stored."""

_UNKNOWN = "unknown"
"""The key for reports about messages of kinds that this version does not know."""
_CLOCK = "clock"
"""The key for reports about clocks that differ. This is not a fault."""
_FLOOD = "it pushes more than this node admits"


class _Counts:
    """The faults of one peer that count towards a disconnect, and how often the peer was disconnected for them."""

    __slots__ = ("bans", "not_admitted", "unasked")

    def __init__(self) -> None:
        self.not_admitted = 0
        self.unasked = 0
        self.bans = 0

    def clear(self) -> None:
        """Clear the counts, because the peer was useful or was disconnected. The number of bans stays."""
        self.not_admitted = self.unasked = 0


class Misbehaviour:
    """Counts the faults of each peer, and disconnects a peer with too many."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._reports = FaultReports()
        self._counts: BoundedTable[PeerId, _Counts] = BoundedTable(MAX_COUNTED, refresh=True)

    def __len__(self) -> int:
        return len(self._counts)

    def flood(self, peer: PeerId) -> None:
        """Report in the series that a push of this peer was not admitted. It is not counted towards a disconnect."""
        self._report(peer, "flood", _FLOOD)

    def count_not_admitted(self, peer: PeerId) -> bool:
        """Count a push that was not admitted. If there were too many, disconnect the peer, and return True."""
        return self._count_push(peer, _FLOOD)

    def broke_protocol(self, peer: PeerId, fault: str, text: str) -> None:
        """Record that a peer sent something that the protocol does not allow, and count it towards a disconnect.

        `fault`: the kind of fault. `text`: the fault in a sentence.
        """
        self._report(peer, fault, text)
        self._count_push(peer, "it goes on sending data that is not in the protocol")

    def unasked_chunk(self, peer: PeerId, cid: Cid) -> None:
        """Record that a peer sent a chunk that was not granted to it. After MAX_UNASKED such chunks, disconnect it."""
        self._report(peer, "unasked_chunk", f"it sent {cid}, which was not granted")
        counts = self._counts_of(peer)
        counts.unasked += 1
        if counts.unasked >= MAX_UNASKED:
            self._drop(peer, "it sends chunks that were not granted to it")

    def wrong_bytes(self, peer: PeerId, cid: Cid, times: int) -> None:
        """Record that a peer sent wrong bytes for a chunk. Disconnect the peer if `times` is MAX_CORRUPT or more.

        `times`: how often this peer has sent wrong bytes so far.
        """
        self._report(peer, "wrong_bytes", f"its bytes for {cid} are not those of the chunk")
        if times >= MAX_CORRUPT:
            self._drop(peer, "it sent wrong bytes again")

    def unknown_kind(self, peer: PeerId, kind: str) -> None:
        """Record a message of a kind that this version does not know. It is not a fault of the peer."""
        if self._reports.add(peer, _UNKNOWN, kind, self.ledger.now):
            self.ledger.emit(ev.MessagePassedOver(peer=peer, kind=kind, count=1))

    def clock_differs(self, peer: PeerId) -> bool:
        """Count an intent whose time does not fit this node's clock, against its origin `peer`.

        Returns whether an entry should be written now. If not, the case is not reported later either.
        """
        return self._reports.add(peer, _CLOCK, "", self.ledger.now)

    def settle(self, entries: Iterable[Entry]) -> None:
        """After an input was handled, clear the counts of the peers that sent or took chunks: they were useful.

        `entries`: the new entries of the series, which name these peers.
        """
        if not self._counts:
            return
        for entry in entries:
            event = entry.event
            if isinstance(event, ev.ChunkReceived | ev.ChunksSent) and event.peer in self._counts:
                self._counts[event.peer].clear()

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if no entry is delayed."""
        return self._reports.next_deadline()

    def on_time(self) -> None:
        """Write the entries about faults that were delayed for long enough."""
        self._write(self._reports.due(self.ledger.now))

    def _report(self, peer: PeerId, fault: str, text: str) -> None:
        text = text[:MAX_TEXT]
        if self._reports.add(peer, fault, text, self.ledger.now):
            self.ledger.emit(ev.PeerFaulted(peer=peer, fault=fault, text=text, count=1))

    def _write(self, reports: list[Repeated]) -> None:
        for one in reports:
            if one.fault == _CLOCK:
                continue  # it was reported often enough
            if one.fault == _UNKNOWN:
                self.ledger.emit(ev.MessagePassedOver(peer=one.peer, kind=one.text, count=one.times))
                continue
            self.ledger.emit(ev.PeerFaulted(peer=one.peer, fault=one.fault, text=one.text, count=one.times))

    def _count_push(self, peer: PeerId, why: str) -> bool:
        counts = self._counts_of(peer)
        counts.not_admitted += 1
        if counts.not_admitted < MAX_NOT_ADMITTED:
            return False
        self._drop(peer, why)
        return True

    def _drop(self, peer: PeerId, why: str) -> None:
        """Disconnect a peer, and refuse its connections for a while."""
        self._write(self._reports.take(peer))
        counts = self._counts_of(peer)
        counts.clear()
        counts.bans += 1
        self.ledger.do(Disconnect(peer=peer, why=why, seconds=BAN.wait(counts.bans)))

    def _counts_of(self, peer: PeerId) -> _Counts:
        return self._counts.setdefault(peer, _Counts())
