"""The keeper's half of replication: this node keeps replicas for other nodes (their origins).

- The policy's `quota` limits the room (quota.py). A replica that turns out to be larger than its origin said is
  checked again, and dropped if there is no room.
- A `keep` message counts only if this node sent that peer a `can_hold` before (keeper_offers.py).
- A replica is fetched in the same way as a want, a few replicas at a time. Its leaves are stored in one file,
  so names, folders and repeats that a stranger made up cost nothing.
- If the user gets or adds an object that is kept as a replica, the object becomes the user's own. It does not count
  against the quota any more, and is never dropped to make room.
- Only the origin that asked for a replica can release it. The keeper tells the origin when it has begun to fetch the
  replica, when it has all of it, and when it drops it. It repeats this whenever the origin connects, and from
  time to time. So nothing depends on one message, and an origin that does not need the replica any more
  releases it again.
"""

from collections.abc import Iterable

from flux_tui.core.api.effects import DropTree, Evict, Push
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.fetching.wants.want_pusher import JITTER
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import batches
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.provider_records import ProviderRecords
from flux_tui.core.replication.keeper_offers import OFFER_SECONDS, Offers
from flux_tui.core.replication.quota import HoldRefusal, Quota
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import DropCause, Reason
from flux_tui.core.series.fold.replication import origins_of
from flux_tui.core.series.state import KeptReplica
from flux_tui.core.serving.answer_outbox import Answers
from flux_tui.core.serving.responder import Responder
from flux_tui.core.turn import Ledger
from flux_tui.core.vocabulary import Refusal
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import MAX_CIDS_DIRECT

MAX_KEPT = 1024
"""Replicas that one node keeps, whatever their size."""
MAX_ORIGINS = 16
"""Origins that one replica is kept for."""
MAX_FETCHING = 4
"""Replicas that are fetched at a time. Meanwhile other origins are answered `busy`."""
BUSY_SECONDS = 10.0
"""`retry_after` of that NO."""
REMIND_SECONDS, REMIND_SOON = 300.0, 10.0
"""Seconds between two reminders of origins about what is kept for them; and after a reminder that could not
be queued."""
WANTED_EVERY = 60.0
"""Seconds between two entries about chunks taken from a replica."""

NOT_OFFERED = "a keep counts only after a can_hold: push a hold first"

_REASONS: dict[DropCause, Reason | None] = {
    "released": None,
    "evicted": "low_space",
    "quota": "low_space",
    "low_space": "low_space",
    "too_large": "too_large",
    "denied": "denied",
    "cancelled": "denied",
    "failed": "not_held",
    "lost": "not_held",
}
"""The reason in the message to an origin whose replica was dropped, by cause."""


class Keeper:
    """Keeps replicas for other nodes. Everything that must survive a restart is in the state."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        requester: Requester,
        responder: Responder,
        answers: Answers,
        provider_records: ProviderRecords,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.requester = requester
        self.responder = responder
        self.answers = answers
        self.provider_records = provider_records
        self._fetching: dict[Cid, int] = {}
        """Replicas that are being fetched, and the bytes of room that were found for each."""
        self._remind_at = float("inf")
        self.offers = Offers()
        self.quota = Quota(ledger)

    @property
    def replicas(self) -> dict[Cid, KeptReplica]:
        """The replicas that this node keeps, by root CID."""
        return self.ledger.state.kept

    def start(self) -> None:
        """After a start of the node, continue to fetch replicas, and to remove dropped ones."""
        state = self.ledger.state
        for root in list(state.dropping):
            self._evict(root)
        for root, kept in self.replicas.items():
            if kept.whole or kept.own:
                continue
            if root not in self.requester.downloads:
                self._begin(root, kept)
            self._fetching[root] = kept.charge
        self.apply_policy()

    # ── what origins say ────────────────────────────────────────────────────────────────────────

    def hold_requested(
        self, intent: msg.Intent, hold: msg.Hold, via: ev.Via, refusal: Refusal | None = None
    ) -> None:
        """Handle an origin's intent that asks for keepers: answer with an offer or a NO. `via`: how the intent came.

        If it did not come directly, a NO without a time to ask again is not sent. `refusal`: the NO of a program here.
        """
        peer, root = intent.origin, hold.root
        program = None if refusal is None else HoldRefusal(*refusal)
        if (no := program or self._refusal(peer, root, hold.size)) is not None:
            # A hold that came through the swarm is refused only with a time to come back.
            if via == "direct" or no.retry_after is not None:
                self._refuse(peer, root, no, intent.addrs)
            return
        self.offers.add(peer, root, self.ledger.now + OFFER_SECONDS)
        self.ledger.emit(ev.OfferedHold(peer=peer, root=root, size=hold.size, via=via, name=hold.name))
        self.answers.push(peer, msg.CanHold(root=root, whole=self._is_whole(root)), intent.addrs)

    def keep_requested(self, peer: PeerId, keep: msg.Keep) -> None:
        """Handle an origin's message that this node should keep a replica: keep it, or answer NO."""
        root, kept = keep.root, self.replicas.get(keep.root)
        if kept is not None and peer in kept.origins:
            self._tell((peer,), root, "whole" if kept.whole else "begun")
            return
        if (no := self._refusal(peer, root, keep.size)) is not None:
            self._refuse(peer, root, no, ())
            return
        if not self.offers.live(peer, root, self.ledger.now):
            self._refuse(peer, root, HoldRefusal("busy", BUSY_SECONDS, NOT_OFFERED), ())
            return
        self.offers.drop(peer, root)
        if kept is None and not self._is_own(root):
            for oldest in self.quota.to_drop(keep.size):
                self._drop(oldest, "evicted")
        self.ledger.emit(ev.KeepReceived(peer=peer, root=root, size=keep.size, name=keep.name))
        kept = self.replicas[root]
        self._tell((peer,), root, "whole" if kept.whole else "begun")
        if not kept.whole and root not in self._fetching:
            if root not in self.requester.downloads:
                self._begin(root, kept)
            self._fetching[root] = kept.charge

    def released(self, peer: PeerId, cids: Iterable[Cid]) -> None:
        """Handle an origin's message that it does not need replicas any more. Replicas of other origins stay."""
        gone: list[Cid] = []
        for root in cids:
            kept = self.replicas.get(root)
            if kept is None or peer not in kept.origins:
                continue
            gone.append(root)
            self.ledger.emit(ev.ReleaseReceived(peer=peer, root=root, name=kept.name))
            if not kept.origins:
                self._drop(root, "released")
        if gone and peer in self.connected:
            self.ledger.do(Push(peer=peer, message=msg.Held(cids=tuple(gone), how="gone")))

    def peer_up(self, peer: PeerId) -> None:
        """Handle a new connection: tell the peer about the replicas that are kept for it.

        The peer may have missed a change while it was disconnected.
        """
        self._remind(peer)

    def message_dropped(self) -> None:
        """Plan to tell the origins about their replicas soon, because a message could not be queued."""
        self._remind_at = min(self._remind_at, self.ledger.now + REMIND_SOON)

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if nothing is kept."""
        return self._remind_at if self.replicas else float("inf")

    def on_time(self) -> None:
        """If it is time, tell the connected origins again about the replicas that are kept for them."""
        if not self.replicas:
            self._remind_at = float("inf")
        elif self._remind_at == float("inf"):
            self._remind_at = self.ledger.now + REMIND_SECONDS * (1 + JITTER * self.ledger.random())
        elif self._remind_at <= self.ledger.now:
            self._remind_at = self.ledger.now + REMIND_SECONDS * (1 + JITTER * self.ledger.random())
            for peer in {peer: None for kept in self.replicas.values() for peer in kept.origins}:
                if peer in self.connected:
                    self._remind(peer)

    def _remind(self, peer: PeerId) -> None:
        for how in ("begun", "whole"):
            roots = [r for r, k in self.replicas.items() if peer in k.origins and k.whole == (how == "whole")]
            for part in batches(roots, MAX_CIDS_DIRECT):
                self.ledger.do(Push(peer=peer, message=msg.Held(cids=part, how=how)))

    def note_wanted(self, peer: PeerId) -> None:
        """Record that a peer takes chunks of a replica: at most one entry in WANTED_EVERY seconds for each replica."""
        for root in self.responder.offered_to(peer) if self.replicas else ():
            kept = self.replicas.get(root)
            if kept is not None and self.ledger.wall - kept.last_wanted >= WANTED_EVERY:
                self.ledger.emit(ev.ReplicaWanted(peer=peer, root=root))

    # ── what happens here ───────────────────────────────────────────────────────────────────────

    def release_by_user(self, root: Cid, by: str | None) -> bool:
        """Drop a replica, because the user of this node asked for it. Returns False if it is not kept here."""
        if root not in self.replicas:
            return False
        self._drop(root, "cancelled", by)
        return True

    def check_downloads(self) -> None:
        """Check the replicas that are being fetched: some may be whole, have failed, or be larger than expected.

        Called after the machine has handled an input.
        """
        for root, reserved in list(self._fetching.items()):
            kept, download = self.replicas.get(root), self.requester.downloads.get(root)
            if kept is None:
                del self._fetching[root]
            elif kept.whole:
                del self._fetching[root]
                self._tell(kept.origins, root, "whole")
                self.adopt(root)
            elif download is not None:
                if download.held and kept.charge > reserved:
                    self._check_size(root, kept)
            elif (known := self.ledger.state.objects.get(root)) is not None and known.origin != "held":
                self._begin(root, kept)  # the user wanted it and does not any more
            else:
                self._drop(root, "failed")

    def adopt(self, root: Cid) -> None:
        """If the user has added or got an object that is kept as a replica, make it the user's own.

        The store then removes its second copy of the blocks.
        """
        kept = self.replicas.get(root)
        if kept is None or kept.own or not self._is_own(root):
            return
        origins_know = kept.whole and root not in self._fetching
        self._stop_fetching(root)
        self.ledger.emit(ev.ReplicaAdopted(root=root))
        if not origins_know:
            self._tell(kept.origins, root, "whole")
        self._evict(root)

    def disowned(self, root: Cid) -> None:
        """Handle an object that the user no longer shares but that is still kept for others.

        It is copied from the blocks that are still here, if the quota has room for it. Otherwise the replica is
        dropped.
        """
        kept = self.replicas.get(root)
        if kept is None or kept.whole:
            return
        if self.quota.excess > 0:
            self._drop(root, "low_space")
            return
        self._begin(root, kept)
        self._fetching[root] = kept.charge

    def file_lost(self, path: str, replica: Cid | None) -> None:
        """Drop the replicas whose file was changed or removed.

        `path`: the file. `replica`: the replica that the file belongs to; None for a file of the user. An
        object that is also the user's own is stored in the user's files, at the object's path.
        """
        for root, kept in list(self.replicas.items()):
            if root == replica if not kept.own else self._is_in(path, root):
                self._drop(root, "lost")

    def _is_in(self, path: str, root: Cid) -> bool:
        """Whether `path` is the path of this object, or is inside its folder."""
        known = self.ledger.state.objects.get(root)
        place = known.path if known is not None else None
        return place is not None and (path == place or path.startswith(f"{place}/"))

    def evicted(self, root: Cid, chunks: int, size: int) -> None:
        """Record that the store has removed a dropped replica: `chunks` blocks with `size` bytes."""
        if root in self.ledger.state.dropping:
            name = self.ledger.state.dropping[root]
            self.ledger.emit(ev.ReplicaEvicted(root=root, chunks=chunks, size=size, name=name))

    def apply_policy(self) -> None:
        """Drop the replicas that the policy refuses now, and those for which the quota has no room any more."""
        policy = self.ledger.state.policy
        for root, kept in list(self.replicas.items()):
            refused = [peer for peer in kept.origins if policy.refuses(peer)]
            if refused and len(refused) == len(kept.origins):
                self._drop(root, "denied")
        for root in self.quota.to_drop():
            self._drop(root, "quota")

    # ── room ────────────────────────────────────────────────────────────────────────────────────

    def _refusal(self, peer: PeerId, root: Cid, size: int) -> HoldRefusal | None:
        """Return the NO to a peer that asks to keep an object of `size` bytes; None if this node can keep it."""
        state = self.ledger.state
        policy = state.policy
        if policy.refuses(peer):
            return HoldRefusal("denied")
        kept = self.replicas.get(root)
        if kept is not None and peer in kept.origins:
            return None
        if kept is not None and len(kept.origins) >= MAX_ORIGINS:
            return HoldRefusal("busy", BUSY_SECONDS)
        if self._is_own(root):
            return None if len(self.replicas) < MAX_KEPT else HoldRefusal("low_space")
        if policy.max_object and size > policy.max_object:
            return HoldRefusal("too_large")
        if (no := self.quota.share_refusal(peer, root, size)) is not None:
            return no
        if kept is not None:
            return None
        if root in state.dropping or len(self._fetching) >= MAX_FETCHING:
            return HoldRefusal("busy", BUSY_SECONDS)
        if len(self.replicas) >= MAX_KEPT:
            return HoldRefusal("low_space")
        return self.quota.room_refusal(size)

    def _check_size(self, root: Cid, kept: KeptReplica) -> None:
        """Drop a replica that is larger than its origin said, if the policy or the quota does not allow that.

        Otherwise the new size is noted. The caller has checked that the replica is larger.
        """
        policy, charge = self.ledger.state.policy, kept.charge
        if policy.max_object and charge > policy.max_object:
            self._drop(root, "too_large")
        elif any(self.quota.share_refusal(peer, root, charge) for peer in kept.origins) or (
            self.ledger.state.kept_bytes > policy.quota
        ):
            self._drop(root, "low_space")
        else:
            self._fetching[root] = charge

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    def _begin(self, root: Cid, kept: KeptReplica) -> None:
        """Begin to fetch a replica, from any peers that have it."""
        size = kept.size or None
        self.ledger.emit(ev.Requested(cid=root, name=kept.name, size=size, held=True))
        self.requester.begin(Download(root, path=None, tree=True, by=None, size=size, held=True))

    def _drop(self, root: Cid, cause: DropCause, by: str | None = None) -> None:
        """Drop a replica, and tell its origins, unless they have released it (`cause`).

        `by`: the mark of the user's command, if there was one.
        """
        kept, origins = self.replicas[root], origins_of(self.ledger.state, root)
        self._stop_fetching(root)
        self.ledger.emit(ev.ReplicaDropped(root=root, cause=cause, size=kept.charge, name=kept.name, by=by))
        if cause != "released":
            self._tell(origins, root, "gone", _REASONS[cause])
        if not kept.own:
            self.provider_records.drop(root)
            self._evict(root)

    def _stop_fetching(self, root: Cid) -> None:
        self._fetching.pop(root, None)
        download = self.requester.downloads.get(root)
        if download is not None and download.held:
            self.requester.cancel(root)
            self.responder.forget_watchers(root)
            self.ledger.do(DropTree(root=root))

    def _evict(self, root: Cid) -> None:
        self.ledger.do(Evict(root=root, others=self.ledger.state.roots))

    def _tell(
        self, peers: Iterable[PeerId], root: Cid, how: ev.HeldHow, reason: Reason | None = None
    ) -> None:
        for peer in peers:
            if peer in self.connected:
                self.ledger.do(Push(peer=peer, message=msg.Held(cids=(root,), how=how, reason=reason)))

    def _refuse(self, peer: PeerId, root: Cid, no: HoldRefusal, addrs: tuple[str, ...]) -> None:
        """Answer NO to a hold intent or a `keep` message."""
        reason, retry_after, text = no
        has_it = self._is_whole(root)
        self.ledger.emit(
            ev.AnsweredNo(
                peer=peer, cids=(root,), reason=reason, has_it=has_it, retry_after=retry_after, about="hold"
            )
        )
        self.answers.push(
            peer,
            msg.StatusNo(
                cids=(root,), reason=reason, has_it=has_it, retry_after=retry_after, text=text, about="hold"
            ),
            addrs,
        )

    def _is_whole(self, root: Cid) -> bool:
        known = self.ledger.state.objects.get(root)
        return known is not None and known.completed_at is not None

    def _is_own(self, root: Cid) -> bool:
        """Whether this object is whole here, and the user added or got it."""
        known = self.ledger.state.objects.get(root)
        return known is not None and known.completed_at is not None and known.origin != "held"
