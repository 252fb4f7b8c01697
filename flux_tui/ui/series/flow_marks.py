"""The content of the Flow panel: the messages between this node and each peer, by columns of time. Pure.

A *lane* has all messages between this node and one peer. A *bin* is a short period of time, drawn as one
column of the panel. The messages of one lane in one bin are drawn as one *mark*. A want leaves this node and
reaches many lanes in the same bin. Each answer is a mark in its own lane.

    window = FlowWindow(step=1.0, root=None)
    window.extend(entries)          # as they come, in order
    lane.cells.get(window.bin_of(at))

Each entry is read once. A window forgets what is older than the period that it shows. So drawing costs as
much as is visible, and a tick as much as is new, however long the series is.
"""

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple, TypeAlias

from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.limits import BoundedTable
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Reason

MarkKind: TypeAlias = Literal[
    "told", "connected", "grant", "asked", "chunks", "sent", "have", "yes", "offered", "lapsed", "wasted", "error",
    "no", "refused", "gone", "cancelled", "again", "want", "whole",
]  # fmt: skip
"""The meaning of a mark.

Of this node: want (pushed first), again (pushed again), cancelled, whole.
Of a peer: told (the want reached it), yes, have, no, error, grant (it may send), chunks (they came), wasted, lapsed,
connected, gone; and what it asked of this node: asked, offered (this node said yes), refused (this node said NO),
sent (chunks left this node).
"""
RANKED: tuple[MarkKind, ...] = (
    "told", "connected", "grant", "sent", "chunks", "asked", "offered", "have", "yes", "wasted", "lapsed", "error",
    "refused", "no", "gone", "again", "want", "cancelled", "whole",
)  # fmt: skip
RANKS = {kind: rank for rank, kind in enumerate(RANKED)}
"""Of several marks in one bin, the one with the highest rank is shown."""
OWN = "you"
"""The name of this node's own lane."""
MAX_GRANTED = 50_000
"""Chunks whose grants are remembered: to know whose they are, and that they are still owed."""
MAX_LANES = 256
"""Peers with a lane. The one that did something longest ago loses its lane first."""
MAX_MESSAGES = 512
"""Messages that the moving picture remembers."""


class Cell:
    """The messages between this node and one peer in one column of time (bin).

    The most important one is drawn as a mark.
    """

    __slots__ = ("bytes_in", "bytes_out", "chunks", "count", "kind", "reason", "seq")

    def __init__(self, kind: MarkKind, seq: int, reason: Reason | None) -> None:
        self.kind = kind
        """The mark with the highest rank."""
        self.seq = seq
        """The number of the mark's entry; of several, the newest."""
        self.reason = reason
        """The reason, for a NO."""
        self.count = 1
        """The number of entries in this column of time."""
        self.chunks = self.bytes_in = self.bytes_out = 0


class WaitPeriod(NamedTuple):
    """A period in which a peer may not be asked again, because it said NO: begin, end, and the reason.

    Begin and end are in seconds since 1970.
    """

    start: float
    until: float
    reason: Reason


class Lane:
    """All messages between this node and one peer, within the period that the window remembers."""

    def __init__(self) -> None:
        self.cells: dict[int, Cell] = {}
        self.owed: dict[int, int] = {}
        """Chunks that it was granted and did not send yet, after each bin in which the number changed."""
        self.owes = 0
        """Chunks that the peer was granted and has not sent now."""
        self.waits: list[WaitPeriod] = []
        self.here: dict[int, bool] = {}
        """Whether it was connected, after each bin in which that changed."""
        self.chunks = self.bytes_in = self.bytes_out = 0
        """Chunks and bytes within the period that the window shows."""
        self.answered: float | None = None
        """The time of the peer's first answer (yes, NO, or that it has the object). None: it gave none."""
        self.last = 0.0
        """The time of the newest message."""

    def wait_at(self, at: float) -> WaitPeriod | None:
        """Return the period in which the peer may not be asked and in which the moment `at` is.

        None: there is none.
        """
        for bar in reversed(self.waits):
            if bar.start <= at < bar.until:
                return bar
        return None

    def mark_before(self, seq: int) -> int | None:
        """Return the number of the last entry with a mark in this lane before entry `seq`.

        None: there is none.
        """
        return max((cell.seq for cell in self.cells.values() if cell.seq < seq), default=None)

    def first_mark(self) -> int | None:
        """Return the number of the first entry with a mark in this lane. None: there is none."""
        return min((cell.seq for cell in self.cells.values()), default=None)


class Message(NamedTuple):
    """A message between this node and a peer, for the picture in the Flow panel, where it moves between the two."""

    at: float
    peer: PeerId
    kind: MarkKind
    reason: Reason | None
    size: int


OUTWARD: frozenset[MarkKind] = frozenset({"told", "grant", "offered", "refused", "sent"})
"""Marks of messages that left this node. The others came in."""


class FlowWindow:
    """The messages with each peer in the period that the Flow panel shows, about one object or all objects.

    `step`: the seconds of one column (bin). `root`: the object; None: all. `seq`: the last entry before the
    window.
    """

    def __init__(self, step: float, root: Cid | None = None, seq: int = 0) -> None:
        self.step, self.root, self.seq = step, root, seq
        self.since: float | None = None
        """The time of the first entry that was folded."""
        self.own = Lane()
        """This node's own lane: its pushes, cancelled wants, and objects that became whole."""
        self.lanes: BoundedTable[PeerId, Lane] = BoundedTable(MAX_LANES)
        self.messages: list[Message] = []
        """The newest messages, the newest last; at most twice MAX_MESSAGES."""
        self._granted: BoundedTable[Cid, tuple[PeerId, Cid | None]] = BoundedTable(MAX_GRANTED)
        self._asking: BoundedTable[PeerId, bool] = BoundedTable(MAX_LANES)
        """Whether the object that each peer asked for last is the one of this window."""

    def bin_of(self, at: float) -> int:
        """Return the number of the column of time (bin) in which a time (seconds since 1970) is."""
        return int(at // self.step)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Update the window with the next entries, in their order."""
        for entry in entries:
            self.seq = entry.seq
            self.since = entry.at if self.since is None else self.since
            self._fold(entry)

    def forget_before(self, at: float) -> None:
        """Remove all columns and waiting periods before the time `at` (seconds since 1970) from the lanes.

        They are not shown any more.
        """
        first = self.bin_of(at)
        for lane in (self.own, *self.lanes.values()):
            for number in [number for number in lane.cells if number < first]:
                cell = lane.cells.pop(number)
                lane.chunks -= cell.chunks
                lane.bytes_in -= cell.bytes_in
                lane.bytes_out -= cell.bytes_out
            for steps in (lane.owed, lane.here):
                old = [number for number in steps if number < first]
                for number in old[:-1]:  # the last one tells how the window begins
                    del steps[number]
            lane.waits = [bar for bar in lane.waits if bar.until >= at]
        self.since = at if self.since is None else max(self.since, at)

    # ── one entry ───────────────────────────────────────────────────────────────────────────────

    def _fold(self, entry: Entry) -> None:  # noqa: C901 - a flat match: one line a case
        at, event = entry.at, entry.event
        match event:
            case ev.ChunkReceived():
                granted = self._granted.pop(event.cid, None)
                if self._is_about(event.roots or (event.cid,)):
                    # With a hedge, the chunk may come from another peer than the one that was granted it.
                    self._paid(granted[0] if granted is not None else event.peer, at, 1)
                    self._mark(entry, event.peer, "chunks", size=event.size)
            case ev.Granted():
                if self._is_about((event.root,) if event.root is not None else event.cids):
                    owed = () if event.hedge or event.again else event.cids
                    for cid in owed:
                        self._granted[cid] = event.peer, event.root
                    self._owes(event.peer, at, len(owed))
                    self._mark(entry, event.peer, "grant")
            case ev.StatusNo():
                if event.about == "want" and self._is_about((*event.cids, *event.roots), event.cids):
                    self._no(entry, event)
            case ev.DelayedYes():
                if self._is_about(event.cids):
                    self._answered(event.peer, at)
                    self._end_wait(event.peer, at)
                    self._mark(entry, event.peer, "yes")
            case ev.HaveReceived():
                if self._is_about((event.root,)):
                    self._answered(event.peer, at)
                    self._mark(entry, event.peer, "have")
            case ev.LeaseLapsed():
                if self._is_about((*event.cids, *event.roots), event.cids):
                    gone = [cid for cid in event.cids if self._is_granted_to(event.peer, cid)]
                    for cid in gone:
                        del self._granted[cid]
                    self._paid(event.peer, at, len(gone))
                    if event.cause != "refused":  # the NO has a mark of its own
                        self._mark(entry, event.peer, "lapsed")
            case ev.ChunkWasted():
                if self._is_about((event.cid, *event.roots), (event.cid,)):
                    self._mark(entry, event.peer, "wasted", size=event.size)
            case ev.ErrorReceived():
                if self._is_about((*event.cids, *event.roots), event.cids):
                    self._mark(entry, event.peer, "error")
            case ev.PushedWant():
                if self._is_about(event.cids):
                    self._own(entry, "again" if event.retry else "want")
                    for peer in event.peers:
                        self._mark(entry, peer, "told")
            case ev.PeerConnected():
                self.lane(event.peer).here[self.bin_of(at)] = True
                self._mark(entry, event.peer, "connected")
            case ev.PeerDisconnected():
                self.lane(event.peer).here[self.bin_of(at)] = False
                self._end_wait(event.peer, at)
                self._mark(entry, event.peer, "gone")
            case ev.ObjectCompleted():
                if self._is_about((event.root,)):
                    self._own(entry, "whole")
            case ev.Cancelled():
                if self._is_about(event.cids):
                    self._own(entry, "cancelled")
            case ev.IntentReceived():
                about = self._is_about(event.cids)
                if about or any(not is_leaf(cid) for cid in event.cids):
                    self._asking[event.peer] = about
                if about:
                    self._mark(entry, event.peer, "asked")
            case ev.AnsweredLater():
                if self._is_about(event.cids):
                    self._mark(entry, event.peer, "offered")
            case ev.AnsweredNo():
                if event.about == "want" and self._is_about(event.cids):
                    self._mark(entry, event.peer, "refused", reason=event.reason)
            case ev.ChunksSent():
                # The entry names chunks only. They are taken as those of the object that the peer asked for last.
                if self._is_about(event.cids) or self._asking.get(event.peer):
                    self._mark(entry, event.peer, "sent", size=event.size, chunks=len(event.cids))
            case ev.NodeStarted() | ev.NodeStopped():
                self._all_gone(at)
            case ev.ClockStepped():
                self._forget_all()
            case _:
                pass  # it is about no peer, or about no want

    def _is_about(self, cids: Collection[Cid], chunks: Collection[Cid] = ()) -> bool:
        """Return whether an entry is about the object of this window.

        `cids`: the chunks and objects that it names. `chunks`: the chunks whose object is looked up in
        earlier grants, because the entry may not name it.
        """
        if self.root is None or self.root in cids:
            return True
        return any((found := self._granted.get(cid)) is not None and found[1] == self.root for cid in chunks)

    def lane_of(self, name: str) -> Lane:
        """Return the lane with this name: a peer id, or OWN for this node.

        For a peer without a lane, return an empty lane, which is not added to the window.
        """
        return self.own if name == OWN else self.lanes.get(PeerId(name)) or Lane()

    def after(self) -> "FlowWindow":
        """Return an empty window for the entries after this window. The new window knows the grants of this one."""
        found = FlowWindow(self.step, self.root, self.seq)
        found._granted.update(self._granted)
        found._asking.update(self._asking)
        return found

    def lane(self, peer: PeerId) -> Lane:
        """Return the lane of a peer. Add one to the window if the peer has none."""
        lane = self.lanes.get(peer)
        if lane is None:
            lane = self.lanes[peer] = Lane()
        return lane

    def _mark(
        self,
        entry: Entry,
        peer: PeerId,
        kind: MarkKind,
        *,
        reason: Reason | None = None,
        size: int = 0,
        chunks: int = 1,
    ) -> None:
        lane = self.lane(peer)
        lane.last = entry.at
        cell = _put(lane, self.bin_of(entry.at), kind, entry.seq, reason)
        if kind in ("chunks", "wasted"):
            cell.chunks += 1
            cell.bytes_in += size
            lane.chunks += 1
            lane.bytes_in += size
        elif kind == "sent":
            cell.chunks += chunks
            cell.bytes_out += size
            lane.chunks += chunks
            lane.bytes_out += size
        self.messages.append(Message(entry.at, peer, kind, reason, size))
        if len(self.messages) >= 2 * MAX_MESSAGES:
            del self.messages[:MAX_MESSAGES]

    def _own(self, entry: Entry, kind: MarkKind) -> None:
        self.own.last = entry.at
        _put(self.own, self.bin_of(entry.at), kind, entry.seq, None)

    def _no(self, entry: Entry, event: ev.StatusNo) -> None:
        lane = self.lane(event.peer)
        self._answered(event.peer, entry.at)
        if event.retry_after is not None:
            self._end_wait(event.peer, entry.at)
            lane.waits.append(WaitPeriod(entry.at, entry.at + event.retry_after, event.reason))
        self._mark(entry, event.peer, "no", reason=event.reason)

    def _answered(self, peer: PeerId, at: float) -> None:
        lane = self.lane(peer)
        if lane.answered is None:
            lane.answered = at

    def _end_wait(self, peer: PeerId, at: float) -> None:
        """End the period in which a peer may not be asked, because the peer gave another answer or disconnected."""
        bars = self.lane(peer).waits
        if bars and bars[-1].until > at:
            bars[-1] = bars[-1]._replace(until=at)

    def _owes(self, peer: PeerId, at: float, chunks: int) -> None:
        lane = self.lane(peer)
        lane.owes += chunks
        lane.owed[self.bin_of(at)] = lane.owes

    def _is_granted_to(self, peer: PeerId, cid: Cid) -> bool:
        granted = self._granted.get(cid)
        return granted is not None and granted[0] == peer

    def _paid(self, peer: PeerId, at: float, chunks: int) -> None:
        lane = self.lane(peer)
        if lane.owes:
            lane.owes = max(0, lane.owes - chunks)
            lane.owed[self.bin_of(at)] = lane.owes

    def _all_gone(self, at: float) -> None:
        """Note that no peer is connected, nothing is granted and no NO counts, because the node started or stopped."""
        self._granted.clear()
        for peer, lane in self.lanes.items():
            lane.here[self.bin_of(at)] = False
            lane.owes = 0
            lane.owed[self.bin_of(at)] = 0
            self._end_wait(peer, at)

    def _forget_all(self) -> None:
        """Forget all messages, because the clock was set: their times do not fit the times of new ones."""
        self.own = Lane()
        self.lanes.clear()
        self.messages.clear()


def _put(lane: Lane, number: int, kind: MarkKind, seq: int, reason: Reason | None) -> Cell:
    cell = lane.cells.get(number)
    if cell is None:
        cell = lane.cells[number] = Cell(kind, seq, reason)
        return cell
    cell.count += 1
    if RANKS[kind] >= RANKS[cell.kind]:
        cell.kind, cell.seq, cell.reason = kind, seq, reason
    return cell
