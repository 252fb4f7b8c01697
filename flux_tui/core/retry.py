"""When to push, and when to push again.

- At most `max_pending` wants are in the network at once. More are recorded and wait their turn here, in
  the order they were asked for; they enter as pending falls. Nothing ever sleeps for it.
- A want is pushed again when a NO named a time, when nobody is left to send it, or after a silence. While others
  send it, whoever said NO to it and has it is told again alone, when it said: who does not come back has no place in
  its line.
  Silence is answered with patience: 60 s, doubling up to 600 s, with jitter so that a swarm that
  lost its holder does not knock at its door all at once.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from flux_tui.core import events as ev
from flux_tui.core.backoff import RETRY_MIN, free_at
from flux_tui.core.effects import Broadcast
from flux_tui.core.fetch import Fetch
from flux_tui.core.holders import Holders
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.ledger import Ledger
from flux_tui.core.messages import MAX_CIDS_WANT, MAX_WAIT, Want
from flux_tui.core.routing import MAX_ROUTED, Router, Way

SILENCE = 60.0
"""Seconds after a push with nothing heard until it is pushed again."""
SILENCE_MAX = 600.0
"""Seconds; the cap of the doubling."""
MAX_UNROUTED = 64
"""Objects that are pushed again as soon as they can be routed: each costs a lookup."""
DIGITS = 6
"""Of a time in seconds; telling it by another clock and back makes it wrong by less."""
JITTER = 0.1
"""Share of a wait that is left to chance."""


class Retry:
    """The timers of all fetches. `fetches` is the requester's own table, shared."""

    def __init__(self, ledger: Ledger, holders: Holders, fetches: dict[Cid, Fetch], max_pending: int) -> None:
        self.ledger = ledger
        self.holders = holders
        self.fetches = fetches
        self.max_pending = max_pending
        self.router = Router(ledger)
        self.waiting: OrderedDict[Cid, None] = OrderedDict()
        self._heap: list[tuple[float, Cid]] = []
        self._changed: dict[tuple[float, ev.RetryCause, PeerId | None], list[Cid]] = {}
        self._unrouted: dict[Cid, None] = {}
        """Pushed when there was nowhere to route them to."""
        self._back: dict[PeerId, dict[Cid, None]] = {}
        """Who said NO to what it has, and of what it is told again as soon as it may be."""
        self._drawn: tuple[tuple[float, PeerId | None], float] = ((0.0, None), 0.0)

    def enqueue(self, fetch: Fetch) -> None:
        """A new want: it is pushed as soon as there is room."""
        self.waiting[fetch.root] = None

    def forget(self, root: Cid) -> None:
        """No longer wanted. Timers that are left find nothing."""
        self.waiting.pop(root, None)
        self._unrouted.pop(root, None)

    def come_back(self, peer: PeerId, roots: list[Cid]) -> None:
        """A peer has these, and said NO. If it is not told of them before, it is when it may be asked again."""
        if not roots:
            return
        known = self._back.setdefault(peer, {})
        known.update(dict.fromkeys(roots))
        while len(known) > MAX_CIDS_WANT:
            del known[next(iter(known))]

    def stay_away(self, peer: PeerId, roots: Iterable[Cid]) -> None:
        """A peer will not have these later either."""
        if known := self._back.get(peer):
            for root in roots:
                known.pop(root, None)

    def again(
        self, fetch: Fetch, wait: float, cause: ev.RetryCause, peer: PeerId | None, *, sooner: bool = True
    ) -> None:
        """Push it again after `wait` seconds; with `sooner`, only if that is before the time set."""
        wait = min(max(wait, RETRY_MIN), MAX_WAIT) * (1 + JITTER * self._chance(peer))
        at = round(self.ledger.now + wait, 3)
        if fetch.root in self.waiting or (sooner and fetch.next_push_at <= at):
            return
        self._set(fetch, at)
        # One entry for all that one answer postponed.
        self._changed.setdefault((at, cause, peer), []).append(fetch.root)

    def free_at(self, peer: PeerId) -> float:
        """When a peer may be asked again."""
        at = free_at(self.ledger.state, peer)
        return 0.0 if at is None else round(self.ledger.steady(at), DIGITS)

    def next_deadline(self) -> float:
        """When `on_time` has something to do; infinity if nothing is due ever."""
        if self.waiting and self._room() > 0:
            return self.ledger.now
        return min([self._next_push(), *(self.free_at(peer) for peer in self._back)])

    def _next_push(self) -> float:
        while self._heap and self._stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def on_time(self) -> None:
        """Push what is due, and what there is room for."""
        self._push_due()
        self._push_waiting()
        self._push_back()

    def push_now(self, roots: Iterator[Cid] | list[Cid], peers: tuple[PeerId, ...] | None = None) -> None:
        """Push these whatever their timers say; to these peers only, if given."""
        batch: list[Fetch] = []
        for root in roots:
            fetch = self.fetches.get(root)
            if fetch is None:
                continue
            if root in self.waiting:
                continue
            batch.append(fetch)
            if len(batch) == MAX_CIDS_WANT:
                self._push(batch, retry=True, peers=peers)
                batch = []
        if batch:
            self._push(batch, retry=True, peers=peers)

    def routable(self) -> None:
        """The DHT knows of other nodes than before. Right after a node has joined a swarm it knows of none; what was
        pushed then, and of which nothing came, is not left alone until its silence is long enough.
        """
        if not self.router.leads_on:
            return
        quiet = [
            root
            for root in self._unrouted
            if (fetch := self.fetches.get(root))
            and fetch.quiet_pushes
            and not (fetch.granted or fetch.open_ops)
        ]
        self._unrouted.clear()
        for start in range(0, len(quiet), MAX_ROUTED):
            self.push_now(quiet[start : start + MAX_ROUTED])

    def report(self) -> None:
        """Write what `again` postponed, one entry for each answer that did it."""
        for (at, cause, peer), cids in self._changed.items():
            self.ledger.emit(ev.RetrySet(cids=tuple(cids), next_push_at=at, cause=cause, peer=peer))
        self._changed.clear()

    def _room(self) -> int:
        room = self.max_pending - self.ledger.state.pushed
        # Not one intent for each chunk that comes in: wait until a good handful fits.
        enough = min(len(self.waiting), MAX_CIDS_WANT, max(1, self.max_pending // 4))
        return room if room >= enough else 0

    def _push_waiting(self) -> None:
        room = self._room()
        while self.waiting and room > 0:
            batch: list[Fetch] = []
            while self.waiting and len(batch) < min(room, MAX_CIDS_WANT):
                root, _ = self.waiting.popitem(last=False)
                if fetch := self.fetches.get(root):
                    batch.append(fetch)
            if batch:
                self._push(batch, retry=False, peers=None)
            room = self._room()

    def _push_due(self) -> None:
        now = self.ledger.now
        due: list[Cid] = []
        under_way: list[Fetch] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._stale(entry):
                continue
            fetch = self.fetches[entry[1]]
            if fetch.granted or fetch.open_ops or fetch.finishing:
                under_way.append(fetch)  # nothing to push
            else:
                due.append(entry[1])
        if under_way:
            self._put_off(under_way)
        if due:
            self.push_now(due)

    def _put_off(self, under_way: list[Fetch]) -> None:
        at = round(self.ledger.now + max(self._patience(fetch) for fetch in under_way), 3)
        for fetch in under_way:
            self._set(fetch, at)
            self._changed.setdefault((at, "silence", None), []).append(fetch.root)

    def _push_back(self) -> None:
        now = self.ledger.now
        for peer in [peer for peer in self._back if self.free_at(peer) <= now]:
            known = self._back.pop(peer)
            if self.holders.get(peer).connected:
                self.push_now([root for root in known if self._lacks(root, peer)], (peer,))

    def _lacks(self, root: Cid, peer: PeerId) -> bool:
        """Whether something of it is still to be granted, and this peer has not said yes meanwhile."""
        fetch = self.fetches.get(root)
        return fetch is not None and bool(fetch.missing) and peer not in fetch.holders

    def _push(self, batch: list[Fetch], *, retry: bool, peers: tuple[PeerId, ...] | None) -> None:
        way = Way(peers, (), gossip=False) if peers is not None else self._way(batch, retry)
        at = self.ledger.now + max(self._patience(fetch) for fetch in batch)
        cids = tuple(fetch.root for fetch in batch)
        for peer in self._back.keys() & set(way.peers):
            for cid in cids:
                self._back[peer].pop(cid, None)
        for fetch in batch:
            fetch.quiet_pushes += 1
            self._set(fetch, at)
            if way.routes:
                self._unrouted.pop(fetch.root, None)
            elif peers is None and fetch.tree and len(self._unrouted) < MAX_UNROUTED:
                self._unrouted[fetch.root] = None
        self.ledger.emit(
            ev.PushedWant(
                cids=cids,
                peers=way.peers,
                gossip=way.gossip,
                retry=retry,
                next_push_at=at,
                routed=bool(way.routes),
            )
        )
        body = Want(cids=cids, retry=retry)
        self.ledger.do(Broadcast(body=body, peers=way.peers, gossip=way.gossip, routes=way.routes))

    def _way(self, batch: list[Fetch], retry: bool) -> Way:
        proven, others = self.holders.connected()
        unanswered = max(fetch.quiet_pushes for fetch in batch)
        roots = [fetch.root for fetch in batch]
        return self.router.way(roots, proven, others, retry=retry, unanswered=unanswered)

    def _chance(self, peer: PeerId | None) -> float:
        """0 … 1: the same for all that one answer is about, which is so pushed again by one intent."""
        turn = self.ledger.now, peer
        if self._drawn[0] != turn:
            self._drawn = turn, self.ledger.random()
        return self._drawn[1]

    def _patience(self, fetch: Fetch) -> float:
        wait = min(SILENCE * 2.0 ** min(fetch.quiet_pushes, 10), SILENCE_MAX)
        return wait * (1 + JITTER * self.ledger.random())

    def _set(self, fetch: Fetch, at: float) -> None:
        fetch.next_push_at = at
        heapq.heappush(self._heap, (at, fetch.root))

    def _stale(self, entry: tuple[float, Cid]) -> bool:
        fetch = self.fetches.get(entry[1])
        return fetch is None or fetch.next_push_at != entry[0]
