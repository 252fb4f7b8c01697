"""The entries that the Series panel shows: filtered, and with each run of similar entries folded into one line.

Pure. A window reads entries only as far as a person scrolls, some entries at a time. So it costs the same on
a series of any length. A filter also counts its matches, so it reads to the beginning. A run consists of
consecutive entries with the same words and the same second. It begins and ends at the same entries wherever
reading began.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event, kind_of

MAX_GROUPS = 100_000
"""How many lines are kept, about 20 MB. A person with more needs a narrower filter."""


class Group(NamedTuple):
    """One line of the Series panel: a single entry, or a run of similar entries."""

    first: int
    last: int
    entries: int
    """The number of entries in the group. A filter may leave out some between `first` and `last`."""
    chunks: int = 0
    """The number of CIDs that the entries name together."""
    size: int = 0
    """The bytes that the entries report together."""
    peers: tuple[PeerId, ...] = ()
    """The peers that the entries are about, at most MAX_PEERS."""

    def joined(self, other: "Group") -> "Group":
        """Return one group with the entries of this group and of the group right before or after it."""
        peers = self.peers
        if len(peers) < MAX_PEERS and other.peers and other.peers[0] not in peers:
            peers = (*peers, *other.peers)
        return Group(
            min(self.first, other.first), max(self.last, other.last), self.entries + other.entries,
            self.chunks + other.chunks, self.size + other.size, peers,
        )  # fmt: skip


MAX_PEERS = 9
Key = Hashable | None
"""What the entries of a run have in common. None: an entry that is never folded."""


def run_key(entry: Entry) -> Key:
    """Return the key that similar entries share. Consecutive entries with the same key are shown as one line.

    None: the entry is always a line of its own.
    """
    event = entry.event
    key = _LIKE[type(event)](event) if type(event) in _LIKE else None
    return None if key is None else (int(entry.at), kind_of(event), key)


def _alone(entry: Entry) -> Group:
    event = entry.event
    peer = getattr(event, "peer", None)
    cids = getattr(event, "cids", None)
    return Group(
        entry.seq, entry.seq, 1, len(cids) if cids is not None else int(hasattr(event, "cid")),
        getattr(event, "size", 0) or 0, (peer,) if peer else (),
    )  # fmt: skip


def _first(cids: Sequence[Cid]) -> Cid | None:
    return cids[0] if cids else None


_LIKE: dict[type[Event], Callable[..., Hashable]] = {
    # Folded by subject, from any number of peers.
    ev.ChunkReceived: lambda e: e.roots,
    ev.ChunkWasted: lambda e: e.cause,
    ev.Requested: lambda e: (e.path is None and e.name is None) or None,
    ev.PushedWant: lambda e: (e.peers, e.gossip, e.retry, e.besides),
    ev.WentDormant: lambda e: True,
    ev.DelayedYes: lambda e: _first(e.cids),
    ev.StatusNo: lambda e: (e.reason, e.has_it),
    ev.RetrySet: lambda e: (e.cause, e.peer),
    # Folded by peer.
    ev.ChunksSent: lambda e: e.peer,
    ev.GrantReceived: lambda e: e.peer,
    ev.CancelReceived: lambda e: e.peer,
    ev.IntentReceived: lambda e: e.peer,
    ev.AnsweredLater: lambda e: e.peer,
    ev.AnsweredNo: lambda e: (e.peer, e.reason),
    ev.Granted: lambda e: (e.peer, e.root),
    ev.LeaseExtended: lambda e: e.peer,
    ev.LeaseLapsed: lambda e: (e.peer, e.cause),
    ev.PeerFaulted: lambda e: (e.peer, e.fault),
    ev.HaveReceived: lambda e: e.root,
}
"""The events that come in large numbers. Any other event is always a line of its own."""


class Window:
    """The lines of the Series panel for the entries after entry `low` up to entry `high`.

    It begins empty after entry `at`. `fold`: each run of similar entries is one line. `passes`: whether an
    entry passes the panel's filter; other entries have no line. None: there is no filter.
    """

    def __init__(self, at: int, *, fold: bool, passes: Callable[[Entry], bool] | None = None) -> None:
        self.low = self.high = at
        self.total = 0
        """The number of entries in all groups."""
        self._fold = fold
        self._passes = passes
        self._older: list[Group] = []
        """Groups before the first one read, the newest first."""
        self._newer: list[Group] = []
        self._first_key: Key = None
        self._last_key: Key = None
        self.prepended = 0
        """The number of groups added in front since this was set to 0. A panel uses it to keep its place."""

    def __len__(self) -> int:
        return len(self._older) + len(self._newer)

    def __getitem__(self, index: int) -> Group:
        older = len(self._older)
        return self._older[older - 1 - index] if index < older else self._newer[index - older]

    @property
    def full(self) -> bool:
        """Whether the window has MAX_GROUPS lines, the largest number allowed."""
        return len(self) >= MAX_GROUPS

    def index_of(self, seq: int) -> int:
        """Return the index of the line that shows entry `seq`, or -1 if no line does."""
        low, high = 0, len(self) - 1
        while low <= high:
            middle = (low + high) // 2
            group = self[middle]
            if group.last < seq:
                low = middle + 1
            elif group.first > seq:
                high = middle - 1
            else:
                return middle
        return -1

    def extend(self, entries: Sequence[Entry]) -> None:
        """Add the entries right after entry `high` to the window."""
        for entry in entries:
            self.high = entry.seq
            if self._passes is not None and not self._passes(entry):
                continue
            self.total += 1
            key = run_key(entry) if self._fold else None
            if key is not None and key == self._last_key and len(self):
                groups, at = (self._newer, -1) if self._newer else (self._older, 0)
                groups[at] = groups[at].joined(_alone(entry))
            else:
                self._newer.append(_alone(entry))
                self._last_key = key
                if len(self) == 1:
                    self._first_key = key

    def prepend(self, entries: Sequence[Entry], low: int) -> None:
        """Add the entries right before the window. `low`: the number of the entry before the first of them."""
        for entry in reversed(entries):
            if self._passes is not None and not self._passes(entry):
                continue
            self.total += 1
            key = run_key(entry) if self._fold else None
            if key is not None and key == self._first_key and len(self):
                groups, at = (self._older, -1) if self._older else (self._newer, 0)
                groups[at] = groups[at].joined(_alone(entry))
            else:
                self._older.append(_alone(entry))
                self.prepended += 1
                self._first_key = key
                if len(self) == 1:
                    self._last_key = key
        self.low = low

    def cut(self, high: int, read: Callable[[int, int], Sequence[Entry]]) -> None:
        """Remove all entries after entry `high`, because the cursor went back.

        `read(after, limit)` reads entries again, because a line may have entries both up to `high` and after
        it.
        """
        while len(self) and self[len(self) - 1].last > high:
            group = (self._newer or self._older).pop(-1 if self._newer else 0)
            self.high, self._last_key = group.first - 1, None
            self.total -= group.entries
            if group.first <= high:
                if len(self):
                    before = read(self[len(self) - 1].last - 1, 1)
                    self._last_key = run_key(before[0]) if before and self._fold else None
                self.extend(read(group.first - 1, high - group.first + 1))
        self.high = high
        if len(self) and self._last_key is None and self._fold:
            last = read(self[len(self) - 1].last - 1, 1)
            self._last_key = run_key(last[0]) if last else None
