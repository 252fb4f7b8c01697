"""The router: how a want is pushed, and which intents of other nodes are forwarded.

A want is pushed by these means; a later one is used only where the earlier ones are probably not enough:

1. By direct push, to at most MAX_DIRECT neighbours: first the holders of this session, then neighbours that
   answered in an earlier session, then others.
2. By DHT, to the nodes closest to its roots, which forward it to the providers that they know. A first push
   uses the DHT only if the DHT knows a node that gets no direct push.
3. By gossip, to all nodes: where the swarm is small, where nothing can be routed yet, and as a last resort
   after LAST_RESORT pushes without an answer. A list of more than FEW_ROOTS wants goes to all nodes only if
   not all known ones get it directly, or as a last resort, and not again for hours.

A gossip flood costs about five messages per node. Routing costs grow with the logarithm of the number of nodes.

An intent of another node that came with hops left is forwarded to the providers of its roots: once, while it
has not expired, and within a budget for each peer. So no node can be misused as an amplifier.

Peers that answered before are in the state, so this node knows them after a restart. It dials some of them when
it starts, and again, with growing pauses, while it has no neighbours. It is not an error if one of them does
not answer.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flux_tui.core.api.effects import Forward
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import Backoff, BoundedSet, TokenBuckets
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.series.state import PeerState
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import INTENT_TTL, MAX_HOPS, Intent, SealedIntent, Want

MAX_DIRECT = 16
"""Peers that an intent is pushed to directly."""
MAX_ROUTED = 8
"""Roots of one intent that are routed: each costs a lookup. Loose chunks are not in the DHT."""
SMALL_SWARM = 32
"""Up to this many nodes known to the DHT, gossip is used freely: a flood costs no more than routing does."""
LAST_RESORT = 3
"""Pushes without an answer after which the whole swarm is asked, whatever its size."""
FEW_ROOTS = 32
"""Up to so many roots, an intent has 2 KB: gossip may carry it often."""
MAX_REMEMBERED = 8
"""Peers of earlier sessions that are dialled at a time."""
ALONE = Backoff(first=15.0, most=600.0)
"""The wait until a node without neighbours dials remembered peers again."""
RECALL_SECONDS = 60.0
"""Seconds between two attempts to dial peers that answered before because nobody answers now."""
MAX_SEEN = 8192
"""Intents that are remembered as forwarded."""
MAX_BUDGETS = 1024
"""Peers whose forwarding budget is remembered."""
FORWARD_BURST, FORWARD_RATE = 64.0, 8.0
"""Intents forwarded for one peer, at once and per second in the long run."""
MAX_SKEW = 300.0
"""Seconds that an origin's clock may differ from this node's. Beyond that its forwarded intents count as old
or forged. An intent that its origin itself pushes is accepted whatever the clocks say."""


def is_timely(intent: Intent, wall: float) -> bool:
    """Whether a forwarded intent was made recently, by this node's clock `wall`. The clocks may differ a little."""
    return -MAX_SKEW <= intent.expires - wall <= INTENT_TTL + MAX_SKEW


class RoutingPlan(NamedTuple):
    """How to push a want: to which peers directly, for which roots through the DHT, and whether by gossip."""

    peers: tuple[PeerId, ...]
    """Peers that it is pushed to directly."""
    routes: tuple[Cid, ...]
    """Roots whose providers the DHT is asked for. Empty: the DHT is not used."""
    gossip: bool
    """Whether the want is also sent to the whole swarm by gossip."""


def choose(
    roots: Sequence[Cid],
    proven: Sequence[PeerId],
    answered: Sequence[PeerId],
    others: Sequence[PeerId],
    *,
    known: int,
    untold: bool,
    retry: bool,
    unanswered: int,
    flooded: bool = False,
) -> RoutingPlan:
    """Plan how to push a want for these roots.

    `proven`: neighbours that said yes in this session; `answered`: neighbours that said yes in earlier
    sessions; `others`: the rest. `known`: how many DHT nodes this node knows; `untold`: whether one of them
    gets no direct push; `retry`: whether the want was pushed before; `unanswered`: pushes of this want that
    nobody answered; `flooded`: whether it was pushed by gossip not long ago.
    """
    peers = (*proven, *answered, *others)
    searching = retry or not proven
    # A first push needs no lookup if all nodes that it could lead to are told directly.
    look = bool(known) and (retry or untold)
    routes = tuple(roots[:MAX_ROUTED]) if searching and look else ()
    flood = not routes or known <= SMALL_SWARM or unanswered >= LAST_RESORT
    overflow = len(peers) > MAX_DIRECT and known <= SMALL_SWARM
    gossip = (searching and flood) or overflow
    if len(roots) > FEW_ROOTS and (flooded or (known and not untold and unanswered < LAST_RESORT)):
        gossip = False
    return RoutingPlan(peers[:MAX_DIRECT], routes, gossip)


class Router:
    """Plans how this node's wants are pushed, forwards other nodes' intents, and dials remembered peers."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, dialling: Dialling) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self._table: set[PeerId] = set()
        """Nodes that the DHT knows of. If there are none, nothing can be routed."""
        self._unlinked: set[PeerId] = set()
        """Those of them that are not neighbours. It is kept as they come and go, so that a want does not have to
        look at all of them."""
        self._forwarded: BoundedSet[tuple[PeerId, bytes]] = BoundedSet(MAX_SEEN)
        """Intents that were forwarded, each by its origin and nonce."""
        self._budgets: TokenBuckets[PeerId] = TokenBuckets(MAX_BUDGETS, FORWARD_BURST, FORWARD_RATE)
        """By peer: intents that may still be forwarded for it."""
        self._recalled = False
        """Whether remembered peers were dialled since the node started."""
        self._alone_at = float("inf")
        """When remembered peers are dialled again."""
        self._dials_alone = 0
        """How many times remembered peers were dialled since there was a neighbour."""
        self._recall_at = 0.0

    # ── ours ────────────────────────────────────────────────────────────────────────────────────

    def plan(
        self,
        roots: Sequence[Cid],
        proven: Sequence[PeerId],
        others: Iterable[PeerId],
        *,
        retry: bool,
        unanswered: int,
        flooded: bool = False,
    ) -> RoutingPlan:
        """Plan how to push a want for these roots, with the neighbours and DHT nodes that are known now.

        `proven`, `retry`, `unanswered`, `flooded`: as in `choose`. `others`: all other neighbours. With
        `retry`, this also dials remembered peers that said yes or sent chunks, at most once in RECALL_SECONDS.
        """
        peers = self.ledger.state.peers
        answered: list[PeerId] = []
        strangers: list[PeerId] = []
        for peer in others:
            known = peers.get(peer)
            (answered if known is not None and _gave(known) else strangers).append(peer)
        answered.sort(key=lambda peer: -peers[peer].chunks_in)
        if retry and self.ledger.now >= self._recall_at:
            self._recall_at = self.ledger.now + RECALL_SECONDS
            self._dial_remembered(only_givers=True)
        told = (*proven, *answered, *strangers)
        if len(roots) > MAX_ROUTED:  # so that each root of a long list is routed at some time
            start = int(self.ledger.random() * len(roots))
            roots = (*roots[start:], *roots[:start])
        untold = bool(self._unlinked) or any(peer in self._table for peer in told[MAX_DIRECT:])
        return choose(
            roots,
            proven,
            answered,
            strangers,
            known=len(self._table),
            untold=untold,
            retry=retry,
            unanswered=unanswered,
            flooded=flooded,
        )

    @property
    def leads_on(self) -> bool:
        """Whether the DHT knows a node that is not connected to this node."""
        return bool(self._unlinked)

    def table_changed(self, came: Iterable[PeerId], went: Iterable[PeerId]) -> None:
        """Note the nodes that came into the DHT's routing table or left it."""
        for peer in went:
            self._table.discard(peer)
            self._unlinked.discard(peer)
        for peer in came:
            self._table.add(peer)
            if peer not in self.connected:
                self._unlinked.add(peer)

    # ── others' ─────────────────────────────────────────────────────────────────────────────────

    def came(self, peer: PeerId, intent: Intent, sealed: SealedIntent, hops: int) -> None:
        """Handle an intent that `peer` routed to this node: forward a want to the providers of its roots.

        `hops`: how many more times it may be forwarded. Nothing is done if this is 0, if the want is old or was
        forwarded before, or if the budget of `peer` is spent.
        """
        if hops < 1 or not isinstance(intent.body, Want) or intent.origin == self.ledger.me:
            return
        if peer != intent.origin and not is_timely(intent, self.ledger.wall):
            return
        key = (intent.origin, intent.nonce)
        if key in self._forwarded or not self._spend(peer):
            return
        self._forwarded.add(key)
        self.ledger.do(Forward(roots=intent.body.cids, intent=sealed, hops=min(hops, MAX_HOPS) - 1))

    def _spend(self, peer: PeerId) -> bool:
        """Whether one more intent may be forwarded for this peer. If so, takes a token."""
        now = self.ledger.now
        return self._budgets.of(peer, now).spend(1, now)

    # ── those that are remembered ───────────────────────────────────────────────────────────────

    def start(self) -> None:
        """After a start of the node, dial peers of earlier sessions."""
        self._dial_remembered()

    def peer_up(self, peer: PeerId) -> None:
        """Note a new neighbour. Remembered peers need not be dialled any more."""
        self._unlinked.discard(peer)
        self._alone_at, self._dials_alone = float("inf"), 0

    def peer_down(self, peer: PeerId) -> None:
        """Note the loss of a neighbour. If it was the last one, dial remembered peers after a wait."""
        if peer in self._table:
            self._unlinked.add(peer)
        if not self.connected:
            self._alone_at = self.ledger.now + ALONE.wait(self._dials_alone + 1)

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if there is none."""
        return self._alone_at

    def on_time(self) -> None:
        """Dial remembered peers again if this node still has no neighbours."""
        if self.ledger.now >= self._alone_at:
            self._dial_remembered()

    def _dial_remembered(self, *, only_givers: bool = False) -> None:
        """Dial some remembered peers: first those that said yes or sent chunks, and of these the one seen last.

        After the first time, it begins at a random peer in this order. `only_givers`: dial only peers that said yes
        or sent chunks.
        """
        state = self.ledger.state
        found = [
            peer
            for peer in state.peers.values()
            if peer.addr.endswith(f"/p2p/{peer.peer}")
            and peer.peer not in self.connected
            and (_gave(peer) or not only_givers)
        ]
        found.sort(key=lambda peer: (_gave(peer), peer.seen_at), reverse=True)
        # If there are more than are tried at a time, try others every time: the first few may be gone for
        # good.
        start = int(self.ledger.random() * len(found)) if self._recalled else 0
        for peer in (found + found)[start : start + min(len(found), MAX_REMEMBERED)]:
            self.dialling.remembered(peer.addr)
        self._recalled = self._recalled or bool(found)
        if found and not self.connected:
            self._dials_alone += 1
            self._alone_at = self.ledger.now + ALONE.wait(self._dials_alone)
        else:
            self._alone_at = float("inf")


def _gave(peer: PeerState) -> bool:
    return peer.yes > 0 or peer.chunks_in > 0
