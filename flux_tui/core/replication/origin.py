"""The origin's half of replication: this node asks others to keep replicas of an object (a hold).

1. The hold is pushed to neighbours. If they are too few or do not accept, it is pushed to the swarm too. A peer
   with room pushes a small offer (`can_hold`), other peers a NO with its reason.
2. Only the origin assigns replicas. It pushes `keep` to exactly as many peers as are lacking. Other offers
   are remembered for a while, to replace a keeper that leaves.
3. A keeper says when it has begun, and when it has all of the replica. A keeper is replaced if it never says so,
   if it leaves and does not come back, or if it drops the replica. A peer that has offered replaces it. If there is
   none, the hold is pushed again.
4. While replicas are lacking, the hold is pushed again: at the time that a NO named, otherwise after a
   silence that doubles up to a maximum. All of this follows from the state, so a restarted node continues where it
   stopped.

A keeper that missed a `release` says `held` when it connects again, and is released then.
"""

from collections.abc import Iterable

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.effects import Broadcast, Push
from flux_tui.core.fetching.wants.want_pusher import JITTER
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import Backoff, BoundedTable
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.series.peer_backoff import RETRY_MIN
from flux_tui.core.series.state import Hold
from flux_tui.core.turn import Ledger
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import MAX_WAIT

MAX_HOLDS = 1024
"""Holds of one node. All are checked when a neighbour comes or goes."""
ENOUGH = 2
"""With this many neighbours for each lacking replica, the swarm is not asked at first."""
NEIGHBOURS_SECONDS = 5.0
"""Seconds for neighbours to answer; then the swarm is asked."""
ANSWER_SECONDS = 30.0
"""Seconds within which a peer must answer a `keep`. Otherwise it is given up."""
GRACE_SECONDS = 60.0
"""Seconds for a disconnected keeper to come back: a restart is no reason to copy an object once more."""
SILENCE = Backoff(first=60.0, most=600.0, jitter=(1.0, 1.0 + JITTER))
"""The wait after a push of a hold that nobody answered until the next one."""
AGAIN = Backoff(first=5.0, most=80.0)
"""The least wait until a hold is pushed again because of a peer's answer, or because a keeper left. It grows
with each push that found no keeper. So peers that refuse with a short time, or accept and drop replicas again
and again, cannot make this node push all the time."""
SPARE_SECONDS = 120.0
"""Seconds that an offer is remembered that was not needed."""
MAX_SPARES = 32
"""Remembered offers for one hold that were not needed."""
MAX_UP = 64
"""Holds that a new neighbour is asked about at once."""


class Origin:
    """Asks other nodes to keep replicas for this node. Everything that must survive a restart is in the state."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, dialling: Dialling) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self._absent: dict[PeerId, float] = {}
        """Disconnected keepers, and when each counts as gone."""
        self._spares: dict[Cid, dict[PeerId, float]] = {}
        self._answered: dict[Cid, set[PeerId]] = {}
        """By root: peers that answered since the last push. An answer is written once."""
        self._due_at: float | None = None
        """When something is due; None: to be computed."""

    @property
    def holds(self) -> dict[Cid, Hold]:
        """The holds of this node, by root CID."""
        return self.ledger.state.holds

    # ── what people ask for ─────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """After a start of the node, dial the keepers, and give them time to connect."""
        for peer in {peer: None for hold in self.holds.values() for peer in hold.keepers}:
            self._absent[peer] = self.ledger.now + GRACE_SECONDS
            known = self.ledger.state.peers.get(peer)
            if known is not None and known.addr.endswith(f"/p2p/{peer}"):
                self.dialling.remembered(known.addr)
        self._due_at = None

    def hold(self, command: cmd.Hold) -> None:
        """Begin a hold, or change its number of replicas, because a person here asked for it.

        If this node has MAX_HOLDS holds already, it begins no new one, and writes an entry with the error.
        """
        root, known = command.root, self.ledger.state.objects.get(command.root)
        if root not in self.holds and len(self.holds) >= MAX_HOLDS:
            text = (
                f"others hold {MAX_HOLDS:,} objects for this node already: release one before you hold {root}"
            )
            self.ledger.emit(ev.ErrorOccurred(text=text, cid=root, by=command.by, code="too_many"))
            return
        size = self._size(root) or command.size or 0
        name = (known.name if known is not None else None) or command.name
        self.ledger.emit(
            ev.HoldRequested(
                root=root,
                replicas=command.replicas,
                size=size,
                name=name[: msg.MAX_NAME] if name else None,
                by=command.by,
            )
        )
        self._release_surplus(self.holds[root])
        self._due_at = None

    def release(self, root: Cid, by: str | None) -> bool:
        """End the hold of an object and release its keepers. Returns False if there is no such hold."""
        hold = self.holds.get(root)
        if hold is None:
            return False
        self.ledger.emit(ev.Released(cids=(root,), by=by))
        for peer in hold.keepers:
            self._push(peer, msg.Release(cids=(root,)))
        self._spares.pop(root, None)
        self._answered.pop(root, None)
        self._due_at = None
        return True

    def push_now(self, roots: Iterable[Cid]) -> None:
        """For each of these objects whose hold lacks replicas, push the hold now, without waiting for its timer."""
        for root in roots:
            if (hold := self.holds.get(root)) is not None and hold.lacking:
                self._search(hold)

    def _release_surplus(self, hold: Hold) -> None:
        """If a hold has too many keepers, release some: first those without the whole replica, the newest first."""
        spare = len(hold.keepers) - hold.replicas
        if spare <= 0:
            return
        order = sorted(hold.keepers.values(), key=lambda replica: (replica.how == "whole", -replica.since))
        for replica in order[:spare]:
            self.ledger.emit(ev.ReplicaLost(peer=replica.peer, root=hold.root, cause="surplus"))
            self._push(replica.peer, msg.Release(cids=(hold.root,)))

    # ── what flows in ───────────────────────────────────────────────────────────────────────────

    def offered(self, peer: PeerId, root: Cid, *, whole: bool) -> None:
        """Handle a peer's offer to keep a replica: tell the peer to keep one if one is lacking, or remember the offer.

        `whole`: whether the peer has the whole object already.
        """
        hold = self.holds.get(root)
        if hold is None or peer in hold.keepers:
            return
        spares = self._spares.setdefault(root, BoundedTable(MAX_SPARES, refresh=True))
        if not hold.lacking and len(spares) >= MAX_SPARES:
            return
        if not self._is_first_answer(root, peer):
            return
        self.ledger.emit(ev.CanHold(peer=peer, root=root, whole=whole))
        spares[peer] = self.ledger.now + SPARE_SECONDS
        self._fill(hold)

    def refused(self, peer: PeerId, no: msg.StatusNo) -> None:
        """Handle a peer's NO to a hold or a `keep`: use another offer, or plan when to push the hold again."""
        wait = None if no.retry_after is None else min(no.retry_after, MAX_WAIT)
        for root in no.cids:
            hold = self.holds.get(root)
            if hold is None:
                continue
            replica = hold.keepers.get(peer)
            if replica is not None and replica.how is not None:
                continue  # it keeps a replica; if it drops it, it says so by `held`
            first = self._is_first_answer(root, peer)
            if replica is None and not first:
                continue
            self._spares.get(root, {}).pop(peer, None)
            self.ledger.emit(
                ev.StatusNo(
                    peer=peer,
                    cids=(root,),
                    reason=no.reason,
                    has_it=no.has_it,
                    retry_after=wait,
                    text=no.text,
                    about="hold",
                )
            )
            self._fill(hold)
            if replica is not None:
                self._replace(hold)
            if wait is not None and hold.lacking:
                self._retry_within(hold, max(wait, self._least_wait(hold)), "retry_after", peer)

    def held_received(self, peer: PeerId, held: msg.Held) -> None:
        """Handle a keeper's message about how much it has of its replicas.

        The keeper is told to release a replica that this node does not need.
        """
        unknown: list[Cid] = []
        for root in held.cids:
            hold = self.holds.get(root)
            if hold is not None and (replica := hold.keepers.get(peer)) is not None:
                if replica.how != held.how:
                    self.ledger.emit(ev.ReplicaHeld(peer=peer, root=root, how=held.how, reason=held.reason))
                    self._due_at = None
                if held.how == "gone":
                    self._spares.get(root, {}).pop(peer, None)
                    self._fill(hold)
                    self._replace(hold)
            elif held.how == "gone":
                continue
            elif hold is not None and hold.lacking:
                self.offered(peer, root, whole=held.how == "whole")
                if peer not in hold.keepers:
                    unknown.append(root)
            else:
                unknown.append(root)
        if unknown:
            self._push(peer, msg.Release(cids=tuple(unknown)))

    def keep_dropped(self, peer: PeerId, root: Cid) -> None:
        """Give up a keeper, because the `keep` message for it could not be queued."""
        hold = self.holds.get(root)
        if hold is not None and peer in hold.keepers:
            self._give_up(hold, peer, "slow")

    def peer_up(self, peer: PeerId) -> None:
        """Handle a new connection. A keeper that has not answered yet is pushed its `keep` messages again.

        A peer that is no keeper is pushed the holds that lack replicas, at most MAX_UP of them.
        """
        self._absent.pop(peer, None)
        self._due_at = None
        asked = 0
        for hold in list(self.holds.values()):
            replica = hold.keepers.get(peer)
            if replica is not None and replica.how is None:
                self._push(peer, msg.Keep(root=hold.root, size=self._size(hold.root), name=hold.name))
            elif replica is None and hold.lacking and asked < MAX_UP and hold.next_push_at is not None:
                asked += 1
                at = self.ledger.steady(hold.next_push_at)
                self._ask(hold, (peer,), gossip=False, next_push_at=at)

    def peer_down(self, peer: PeerId) -> None:
        """Handle a lost connection. If the peer is a keeper, it gets time to come back."""
        if any(peer in hold.keepers for hold in self.holds.values()):
            self._absent[peer] = self.ledger.now + GRACE_SECONDS
            self._due_at = None

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if nothing is due."""
        if self._due_at is None:
            self._due_at = min((self._due(hold) for hold in self.holds.values()), default=float("inf"))
        return self._due_at

    def on_time(self) -> None:
        """Give up keepers that did not answer or come back in time. Push holds that lack replicas, if it is time."""
        now = self.ledger.now
        if self.next_deadline() > now:
            return
        for hold in [hold for hold in self.holds.values() if self._due(hold) <= now]:
            for replica in list(hold.keepers.values()):
                if replica.how is None and self._steady(replica.until) <= now:
                    self._give_up(hold, replica.peer, "silent")
                elif self._absent.get(replica.peer, now + 1) <= now:
                    self._give_up(hold, replica.peer, "left")
            if hold.lacking and self._steady(hold.next_push_at or 0.0) <= now:
                self._fill(hold)
                if hold.lacking:
                    self._search(hold)
        self._due_at = None

    def _due(self, hold: Hold) -> float:
        soonest = self._steady(hold.next_push_at or 0.0) if hold.lacking else float("inf")
        for replica in hold.keepers.values():
            if replica.how is None and replica.until is not None:
                soonest = min(soonest, self._steady(replica.until))
            if replica.peer in self._absent:
                soonest = min(soonest, self._absent[replica.peer])
        return soonest

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    def _steady(self, wall: float | None) -> float:
        """Convert a wall time of the state to steady time. None becomes infinity."""
        return float("inf") if wall is None else self.ledger.steady(wall)

    def _search(self, hold: Hold) -> None:
        """Push a hold to neighbours and, if they are probably not enough, to the swarm."""
        candidates = [peer for peer in self.connected if peer not in hold.keepers]
        candidates.sort(key=lambda peer: peer in hold.refused)
        fresh = [peer for peer in candidates if peer not in hold.refused]
        gossip = hold.pushes > 0 or len(fresh) < ENOUGH * hold.lacking
        wait = SILENCE.wait(hold.quiet + 1) if gossip else NEIGHBOURS_SECONDS
        at = self.ledger.now + wait * (1 + JITTER * self.ledger.random())
        self._ask(hold, tuple(candidates[:MAX_DIRECT]), gossip=gossip, next_push_at=at)

    def _ask(self, hold: Hold, peers: tuple[PeerId, ...], *, gossip: bool, next_push_at: float) -> None:
        if gossip:
            self._answered[hold.root] = set()
        else:
            self._answered.setdefault(hold.root, set()).difference_update(peers)
        self.ledger.emit(
            ev.PushedHold(
                root=hold.root, lacking=hold.lacking, peers=peers, gossip=gossip, next_push_at=next_push_at
            )
        )
        body = msg.Hold(root=hold.root, size=self._size(hold.root), replicas=hold.lacking, name=hold.name)
        self.ledger.do(Broadcast(body=body, peers=peers, gossip=gossip))
        self._due_at = None

    def _fill(self, hold: Hold) -> None:
        """Push `keep` to peers that have offered, until no replica is lacking or no offer is left."""
        spares = self._spares.get(hold.root, {})
        for peer, until in list(spares.items()):
            if not hold.lacking:
                break
            del spares[peer]
            if peer not in self.connected or until <= self.ledger.now or peer in hold.keepers:
                continue
            deadline = self.ledger.now + ANSWER_SECONDS
            self.ledger.emit(ev.PushedKeep(peer=peer, root=hold.root, deadline=deadline))
            self._push(peer, msg.Keep(root=hold.root, size=self._size(hold.root), name=hold.name))
            self._due_at = None

    def _give_up(self, hold: Hold, peer: PeerId, cause: ev.LossCause) -> None:
        self.ledger.emit(ev.ReplicaLost(peer=peer, root=hold.root, cause=cause))
        if peer in self.connected:
            self._push(peer, msg.Release(cids=(hold.root,)))
        self._fill(hold)
        self._replace(hold)

    def _replace(self, hold: Hold) -> None:
        """After the loss of a keeper, plan to push the hold again soon, if a replica is lacking."""
        if hold.lacking:
            soonest = self._steady(hold.last_push_at or 0.0) + self._least_wait(hold)
            self._retry_within(hold, max(soonest - self.ledger.now, RETRY_MIN), "lapsed", None)
        self._due_at = None

    def _least_wait(self, hold: Hold) -> float:
        return AGAIN.wait(hold.quiet)

    def _retry_within(self, hold: Hold, wait: float, cause: ev.RetryCause, peer: PeerId | None) -> None:
        """Plan to push a hold again after `wait` seconds, unless a push is due sooner anyway."""
        at = self.ledger.now + wait * (1 + JITTER * self.ledger.random())
        if self._steady(hold.next_push_at) > at and hold.next_push_at is not None:
            self.ledger.emit(
                ev.RetrySet(cids=(hold.root,), next_push_at=at, cause=cause, peer=peer, about="hold")
            )
            self._due_at = None

    def _is_first_answer(self, root: Cid, peer: PeerId) -> bool:
        """Note that a peer answered. Returns whether this is its first answer since the hold was pushed to it.

        False also if MAX_HOLDS peers have answered. An answer for which this is False is not recorded in the series.
        """
        answered = self._answered.setdefault(root, set())
        if peer in answered or len(answered) >= MAX_HOLDS:
            return False
        answered.add(peer)
        return True

    def _size(self, root: Cid) -> int:
        """Return the object's bytes of content; 0 if they are not known yet."""
        known, hold = self.ledger.state.objects.get(root), self.holds.get(root)
        return (known.size if known is not None else None) or (hold.size if hold is not None else 0)

    def _push(self, peer: PeerId, message: msg.Message) -> None:
        if peer in self.connected:
            self.ledger.do(Push(peer=peer, message=message))
