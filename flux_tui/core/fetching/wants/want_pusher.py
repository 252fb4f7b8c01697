"""Pushing wants: when a want is pushed, and when it is pushed again.

- At most `max_pending` wants are in the network at once: each of them takes a place (want_queue.py). All
  others are recorded in the series, and are pushed when a place becomes free. No task sleeps for this.
- A want is pushed again at the time that a NO named, when no holder is left to send it, or after a silence.
  The wait after a silence is a backoff: 60 s, doubled up to an hour; a `not_held` counts as silence. Jitter keeps a
  swarm that lost its holder from asking for it all at once.
- The neighbours that said `not_held` are left out of these later pushes for hours (lacking_peers.py).
- While other holders send the object, the want is pushed again to a holder that refused, alone, at its
  `retry_after`. Otherwise this node would lose its place in that holder's waiting line.
- When a peer connects, the wants of this node are pushed to it, even if other holders are sending the
  objects: the peer may be faster. Wants in the network are pushed at once; dormant wants follow
  (newcomer_wantlist.py).
- If holders were granted chunks of an object and none came for a while, the want is pushed again, as if no
  peer sent it.
"""

import heapq
from collections.abc import Iterable
from functools import partial
from itertools import islice
from math import inf

from flux_tui.core.api.effects import Broadcast
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.holders import Holders
from flux_tui.core.fetching.wants.lacking_peers import NOBODY, LackingPeers
from flux_tui.core.fetching.wants.newcomer_wantlist import Wantlist
from flux_tui.core.fetching.wants.want_queue import WantPriority, WantQueue
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.limits import Backoff, BoundedSet, TokenBucket, batches
from flux_tui.core.peers.router import MAX_ROUTED, Router, RoutingPlan
from flux_tui.core.series import events as ev
from flux_tui.core.series.peer_backoff import RETRY_MIN, free_at
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_CIDS_WANT, MAX_WAIT, Want

MAX_UNROUTED = 64
"""Objects that are pushed again as soon as they can be routed. Each costs a DHT lookup."""
DIGITS = 6
"""Digits of a time in seconds. Converting a time to the other clock and back changes it by less."""
JITTER = 0.1
"""Share of a wait that is random."""
SILENCE = Backoff(first=60.0, most=3600.0, jitter=(1.0, 1.0 + JITTER))
"""The wait after a push that nobody answered until the next one."""
STALLED_SECONDS = 10.0
"""If no chunk of a granted want comes for so many seconds, other peers are asked as well. There are at least so
many seconds between two such pushes."""
KEEP_SECONDS = 10.0
"""Seconds. A want keeps its place if one of its holders may be asked again within this time."""
AT_ONCE_BURST, AT_ONCE_RATE = 32.0, 4.0
"""Wants of a person that do not wait for room: at once, and per second in the long run."""
MAX_TOLD_AT_ONCE = 4 * MAX_CIDS_WANT
"""The most wants that are pushed at once to a peer that connects."""


class WantPusher:
    """Pushes wants at the right times. It shares the table `downloads` with the requester."""

    def __init__(
        self,
        ledger: Ledger,
        holders: Holders,
        downloads: dict[Cid, Download],
        router: Router,
        max_pending: int,
    ) -> None:
        self.ledger = ledger
        self.holders = holders
        self.downloads = downloads
        self.queue = WantQueue(max_pending)
        self.wantlist = Wantlist()
        self.lacking = LackingPeers()
        self.router = router
        self._at_once = TokenBucket(AT_ONCE_BURST, AT_ONCE_RATE, ledger.now)
        self._heap: list[tuple[float, Cid]] = []
        self._changed: dict[tuple[float, ev.RetryCause, PeerId | None], list[Cid]] = {}
        self._unrouted: dict[Cid, None] = {}
        """Wants that were pushed while the DHT knew no node to route them to."""
        self._tell_later: dict[PeerId, BoundedSet[Cid]] = {}
        """Peers that have objects but said NO, and the wants for these objects. The wants are pushed to the
        peer again as soon as it may be asked."""
        self._drawn: tuple[tuple[float, PeerId | None], float] = ((0.0, None), 0.0)

    @property
    def max_pending(self) -> int:
        """The most wants that may be in the network at once: pushed, and waiting for answers or chunks."""
        return self.queue.max_pending

    def at_once(self, wants: int) -> bool:
        """Whether a person's `wants` wants may be pushed at once, even if max_pending wants are in the network already.

        A token bucket limits such pushes. If it has a token for each want, takes them and returns True.
        """
        return self._at_once.spend(wants, self.ledger.now)

    def enqueue(self, download: Download, priority: WantPriority) -> None:
        """Queue a want that this node has not pushed since it started.

        It is pushed as soon as fewer than max_pending wants are in the network. `priority`: urgent, new or due, which
        decides how soon it is pushed (want_queue.py).
        """
        self.queue.add(download.root, priority)
        self.wantlist.add(download.root)

    def forget(self, root: Cid) -> None:
        """Forget a want that has ended. Its timers do nothing when they are due."""
        self.queue.forget(root)
        self.wantlist.forget(root)
        self.lacking.forget(root)
        self._unrouted.pop(root, None)

    def tell_later(self, peer: PeerId, roots: list[Cid]) -> None:
        """Plan to push these wants to a peer again when it may be asked. The peer has the objects but said NO."""
        if not roots:
            return
        known = self._tell_later.setdefault(peer, BoundedSet(MAX_CIDS_WANT))
        for root in roots:
            known.add(root)

    def tell_no_more(self, peer: PeerId, roots: Iterable[Cid]) -> None:
        """Do not push these wants to this peer later, because it will not send the objects then either."""
        if known := self._tell_later.get(peer):
            for root in roots:
                known.discard(root)

    def push_again(
        self,
        download: Download,
        wait: float,
        cause: ev.RetryCause,
        peer: PeerId | None,
        *,
        sooner: bool = True,
    ) -> None:
        """Plan to push a want again after `wait` seconds. `peer`: the peer that gave the cause; None: no peer did.

        A random part is added to the wait, unless the cause is `unwritten`. With `sooner`, a push that is planned
        for an earlier time stays. A queued want stays as it is: it is pushed soon anyway.
        """
        wait = min(max(wait, RETRY_MIN), MAX_WAIT)
        # No jitter if it cannot be written: that wait ends with the pause (write_backoff.py).
        if cause != "unwritten":
            wait *= 1 + JITTER * self._draw(peer)
        at = round(self.ledger.now + wait, 3)
        if download.root in self.queue or (sooner and download.next_push_at <= at):
            return
        self._set(download, at)
        # One entry tells of all wants that one answer postponed.
        self._changed.setdefault((at, cause, peer), []).append(download.root)

    def free_at(self, peer: PeerId) -> float:
        """Return when this peer may be asked again, in steady time; 0: at once."""
        at = free_at(self.ledger.state, peer)
        return 0.0 if at is None else round(self.ledger.steady(at), DIGITS)

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if nothing is due."""
        queue = self.queue
        if queue.places_to_take(self.ledger.now):
            return self.ledger.now
        soonest = min(
            self._next_push(), queue.next_check(), queue.gives_way_at(), self.wantlist.next_deadline()
        )
        if self._tell_later:
            soonest = min(soonest, *(self.free_at(peer) for peer in self._tell_later))
        return soonest

    def _next_push(self) -> float:
        while self._heap and self._stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def on_time(self) -> None:
        """Push each want whose time has come.

        - First, wants that no peer answered leave the network.
        - Wants whose next push is due are pushed, and as many queued wants as may be in the network too.
        - Wants are pushed again to a peer that said NO and may be asked now.
        - The next wants are pushed to peers that have just connected.
        """
        self._give_up_places()
        self._push_due()
        self._push_waiting()
        self._tell_again()
        self._tell_newcomers()

    def push_now(self, roots: Iterable[Cid]) -> None:
        """Push these wants now, without waiting for their timers.

        This is done for wants that are in the network. All others are queued, and are pushed when the network has
        room for them (want_queue.py).
        """
        inside: list[Cid] = []
        for root in roots:
            if self.queue.is_in_network(root):
                inside.append(root)
            elif root in self.downloads:
                self.queue.add(root, "due")
        self._push_all(inside, retry=True)

    def retry_now(self, roots: list[Cid]) -> None:
        """Push these wants again now, because a person asked for it.

        A few wants are pushed even if max_pending wants are in the network already. If there are many, those
        that are not in the network are queued. They are also pushed to the peers that lacked the objects.
        """
        for root in roots:
            self.lacking.forget(root)
        if self.at_once(len(roots)):
            for root in roots:
                if root in self.downloads and not self.queue.is_in_network(root):
                    self.queue.move_to_front(root)
        self.push_now(roots)

    def tell(self, roots: Iterable[Cid], peer: PeerId) -> None:
        """Push these wants to one peer, in addition to the normal pushes.

        Queued wants are left out, because they are about to be pushed to all. So are wants that have ended.
        """
        told = (root for root in roots if root in self.downloads and root not in self.queue)
        for batch in batches(told, MAX_CIDS_WANT):
            self._tell(batch, peer)

    def peer_up(self, peer: PeerId) -> None:
        """Push the wants that are in the network to a peer that has connected, at most MAX_TOLD_AT_ONCE.

        The other wants follow later, a few at a time. Wants that the peer need not be told of are left out
        (`_news_to`).
        """
        told = (root for root in self.queue.in_network() if self._news_to(root, peer))
        self.tell(list(islice(told, MAX_TOLD_AT_ONCE)), peer)
        self.wantlist.peer_up(peer, self.ledger.now)

    def peer_down(self, peer: PeerId) -> None:
        """Push no further wants to a peer that had connected, because it has disconnected."""
        self.wantlist.peer_down(peer)

    def ask_others(self, downloads: Iterable[Download]) -> None:
        """Push the wants for these objects again, because their holders are late.

        Wants that are not in the network, or that were pushed within the last STALLED_SECONDS, are left out.
        """
        now = self.ledger.now
        asked = [download.root for download in downloads if now - download.pushed_at >= STALLED_SECONDS]
        self._push_all([root for root in asked if self.queue.is_in_network(root)], retry=True)

    def routable(self) -> None:
        """Push the wants that could not be routed so far, because the DHT now knows other nodes.

        A node that has just joined a swarm knows no DHT nodes. Wants that it pushed then, and that nobody
        answered, need not wait for the end of their backoff.
        """
        if not self.router.leads_on:
            return
        quiet = [
            root
            for root in self._unrouted
            if (download := self.downloads.get(root))
            and download.unanswered_pushes
            and not (download.granted or download.open_work)
        ]
        self._unrouted.clear()
        for batch in batches(quiet, MAX_ROUTED):
            self.push_now(batch)

    def report(self) -> None:
        """Record the new times of pushes in the series: one entry for all wants that one answer put off."""
        for (at, cause, peer), cids in self._changed.items():
            self.ledger.emit(ev.RetrySet(cids=tuple(cids), next_push_at=at, cause=cause, peer=peer))
        self._changed.clear()

    def _give_up_places(self) -> None:
        """Take wants that no peer is known to have out of the network, so that other wants can enter it.

        They are dormant from now on: recorded in the series, but not pushed until their next push is due.
        """
        if self.queue.next_check() > self.ledger.now:
            return
        gone = self.queue.give_up(self.ledger.now, self._keeps_place)
        for batch in batches(gone, MAX_CIDS_WANT):
            self.ledger.emit(ev.WentDormant(cids=batch))

    def _keeps_place(self, root: Cid) -> bool:
        """Whether a want stays in the network: a holder sends its object now, or probably will soon."""
        download = self.downloads[root]
        if self._under_way(root):
            return True
        soon = self.ledger.now + KEEP_SECONDS
        return self.ledger.now <= download.holder_free_at <= soon or any(
            (holder := self.holders.by_peer.get(peer)) is not None
            and peer in self.holders.connected
            and not holder.snubbed
            and self.free_at(peer) <= soon
            for peer in download.holders
        )

    def _under_way(self, root: Cid) -> bool:
        download = self.downloads[root]
        return bool(download.granted or download.open_work or download.finishing)

    def _stalls(self, download: Download) -> bool:
        """Whether chunks of this object are granted, but none came and no other peer was asked for a while."""
        since = max(download.last_chunk_at, download.pushed_at)
        return bool(download.granted) and self.ledger.now - since >= STALLED_SECONDS

    def _push_waiting(self) -> None:
        now = self.ledger.now
        while (room := self.queue.places_to_take(now)) > 0:
            if self.queue.room <= 0:
                self.ledger.emit(ev.WentDormant(cids=(self.queue.give_way(now, self._under_way),)))
            roots, before = self.queue.take(min(room, MAX_CIDS_WANT))
            self._push_all(roots, retry=before)

    def _push_due(self) -> None:
        now = self.ledger.now
        if not self._heap or self._heap[0][0] > now:
            return
        due: list[Cid] = []
        under_way: list[Download] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._stale(entry):
                continue
            root = entry[1]
            download = self.downloads[root]
            if self._under_way(root) and not self._stalls(download):
                under_way.append(download)  # a holder is sending it: no push is needed
            elif self.queue.is_in_network(root):
                due.append(root)
            else:
                self.queue.add(root, "due")
        if under_way:
            self._put_off(under_way)
        self._push_all(due, retry=True)

    def _put_off(self, under_way: list[Download]) -> None:
        at = round(self.ledger.now + max(self._silence(download) for download in under_way), 3)
        for download in under_way:
            self._set(download, at)
            self._changed.setdefault((at, "silence", None), []).append(download.root)

    def _tell_again(self) -> None:
        if not self._tell_later:
            return
        now = self.ledger.now
        for peer in [peer for peer in self._tell_later if self.free_at(peer) <= now]:
            known = self._tell_later.pop(peer)
            if peer in self.holders.connected:
                self.tell([root for root in known if self._still_wants(root, peer)], peer)

    def _tell_newcomers(self) -> None:
        now = self.ledger.now
        for peer in self.wantlist.due(now):
            news = partial(self._news_to, peer=peer, dormant=True)
            self.tell(self.wantlist.next_wants(peer, now, news), peer)

    def _news_to(self, root: Cid, peer: PeerId, *, dormant: bool = False) -> bool:
        """Whether to push this want to a peer that has just connected.

        False if the object is not being fetched, if all its blocks are here, or if the peer has offered it already.
        `dormant`: also False if the want is in the network or queued. `peer_up` pushes wants that are in the
        network. A queued want is pushed when it enters the network.
        """
        download = self.downloads.get(root)
        told = dormant and (root in self.queue or self.queue.is_in_network(root))
        return download is not None and not told and not download.finishing and peer not in download.holders

    def _still_wants(self, root: Cid, peer: PeerId) -> bool:
        """Whether a want that this peer refused should be pushed to it again.

        True if chunks of the object are missing and not granted, and the peer has not offered it meanwhile.
        """
        download = self.downloads.get(root)
        return download is not None and bool(download.missing) and peer not in download.holders

    def _push_all(self, roots: list[Cid], *, retry: bool) -> None:
        """Push the wants of these roots, in batches. Each takes one of the `max_pending` places, unless it has one.

        `retry`: whether these wants were pushed before. Roots whose download has ended are left out.
        """
        downloads = (download for root in roots if (download := self.downloads.get(root)))
        for batch in batches(downloads, MAX_CIDS_WANT):
            self._push(batch, retry=retry)

    def _push(self, batch: tuple[Download, ...], *, retry: bool) -> None:
        plan = self._plan(batch, retry)
        at = self.ledger.now + max(self._silence(download) for download in batch)
        cids = tuple(download.root for download in batch)
        self._told(cids, plan.peers)
        for download in batch:
            download.pushed(self.ledger.now)
            self._set(download, at)
            self.queue.enter(download.root, self.ledger.now)
            if plan.routes:
                self._unrouted.pop(download.root, None)
            elif (download.tree or not is_leaf(download.root)) and len(self._unrouted) < MAX_UNROUTED:
                self._unrouted[download.root] = None
        self.ledger.emit(
            ev.PushedWant(
                cids=cids,
                peers=plan.peers,
                gossip=plan.gossip,
                retry=retry,
                next_push_at=at,
                routed=bool(plan.routes),
            )
        )
        if plan.gossip:
            self.lacking.flooded(cids, self.ledger.now)
        routes = plan.routes
        if routes and len(cids) > len(routes):  # what is routed carries only the roots that lead it
            self.ledger.do(
                Broadcast(body=Want(cids=routes, retry=retry), peers=(), gossip=False, routes=routes)
            )
            routes = ()
        if plan.peers or plan.gossip or routes:
            body = Want(cids=cids, retry=retry)
            self.ledger.do(Broadcast(body=body, peers=plan.peers, gossip=plan.gossip, routes=routes))

    def _tell(self, cids: tuple[Cid, ...], peer: PeerId) -> None:
        self._told(cids, (peer,))
        at = min(self.downloads[root].next_push_at for root in cids)
        at = min(at, self.ledger.now + MAX_WAIT)
        self.ledger.emit(
            ev.PushedWant(cids=cids, peers=(peer,), gossip=False, retry=True, next_push_at=at, besides=True)
        )
        self.ledger.do(Broadcast(body=Want(cids=cids, retry=True), peers=(peer,), gossip=False))

    def _told(self, cids: tuple[Cid, ...], peers: tuple[PeerId, ...]) -> None:
        """Cancel what `tell_later` planned for these wants and peers, because the wants are pushed to them now."""
        for peer in self._tell_later.keys() & set(peers):
            for cid in cids:
                self._tell_later[peer].discard(cid)

    def _plan(self, batch: tuple[Download, ...], retry: bool) -> RoutingPlan:
        proven, others = self.holders.neighbours()
        unanswered = max(download.unanswered_pushes for download in batch)
        roots = [download.root for download in batch]
        lacking = self.lacking.of_all(roots, self.ledger.now) if retry else NOBODY
        return self.router.plan(
            roots,
            [peer for peer in proven if peer not in lacking],
            (peer for peer in others if peer not in lacking),
            retry=retry,
            unanswered=unanswered,
            flooded=self.lacking.flooded_lately(roots, self.ledger.now),
        )

    def _draw(self, peer: PeerId | None) -> float:
        """Return a random number from 0 to 1.

        It is the same for all wants that one answer put off. So one intent can push them all again. `peer`: the peer
        that answered; None: no peer did.
        """
        turn = self.ledger.now, peer
        if self._drawn[0] != turn:
            self._drawn = turn, self.ledger.random()
        return self._drawn[1]

    def _silence(self, download: Download) -> float:
        return SILENCE.wait(download.unanswered_pushes + 1, self.ledger.random)

    def _set(self, download: Download, at: float) -> None:
        download.push_at(at)
        heapq.heappush(self._heap, (at, download.root))

    def _stale(self, entry: tuple[float, Cid]) -> bool:
        download = self.downloads.get(entry[1])
        return download is None or download.next_push_at != entry[0]
