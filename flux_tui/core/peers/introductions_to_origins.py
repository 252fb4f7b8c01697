"""Introductions: how a node that has an answer reaches an origin that it cannot dial.

A want may come by way of others. Say that the origin B pushed it to S, and that A got it from S by gossip. If
neither A nor B can be dialled directly, A's answer cannot reach B. But the way back over S is open. A hands S
an introduction to B, which contains A's own signed record. S passes the introduction on to B. B dials A, for
example through A's relay.

Each node remembers for a while from which neighbour the intents of an origin came. A node passes on a bounded
number of introductions for each neighbour. A node dials the introduced peer only if it wants something, and
within the budget for strangers.
"""

from flux_tui.core.api.effects import Introduce
from flux_tui.core.api.inputs import IntroductionCame
from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable, TokenBuckets
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.peers.peer_book import allowed_addrs
from flux_tui.core.turn import Ledger

MAX_WAYS = 1024
"""Origins for which the way back is remembered."""
WAY_SECONDS = 120.0
"""Seconds for which it is."""
PASS_BURST, PASS_RATE = 16.0, 0.5
"""Introductions passed on for one neighbour, at once and per second in the long run."""
MAX_BUDGETS = 256
"""Neighbours whose budget is remembered."""
AGAIN_SECONDS = 10.0
"""Seconds between two introductions of this node to the same origin."""


class Introductions:
    """Introduces this node to origins, passes on the introductions of others, and dials peers that are introduced."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, dialling: Dialling) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self._ways: BoundedTable[PeerId, tuple[PeerId, float]] = BoundedTable(MAX_WAYS, refresh=True)
        """By origin: the neighbour by which its last intent came, and when."""
        self._budgets: TokenBuckets[PeerId] = TokenBuckets(MAX_BUDGETS, PASS_BURST, PASS_RATE)
        self._made: BoundedTable[PeerId, float] = BoundedTable(MAX_BUDGETS, refresh=True)
        """By origin: when this node introduced itself last."""

    def note(self, origin: PeerId, by: PeerId | None) -> None:
        """Remember that an intent of this origin came from the neighbour `by`. An introduction can go back that way.

        Nothing is remembered if `by` is None (no neighbour forwarded it), or if the origin is connected.
        """
        if by is not None and by != origin and origin not in self.connected:
            self._ways[origin] = by, self.ledger.now

    def make(self, origin: PeerId) -> bool:
        """Introduce this node to an origin, so that the origin dials this node.

        Returns False if no neighbour is known that can pass the introduction on. Nothing is sent if the last
        introduction to this origin was less than AGAIN_SECONDS ago; then True is returned.
        """
        if (way := self._way(origin)) is None:
            return False
        if self.ledger.now - self._made.get(origin, float("-inf")) >= AGAIN_SECONDS:
            self._made[origin] = self.ledger.now
            self.ledger.do(Introduce(via=way, to=origin))
        return True

    def came(self, given: IntroductionCame) -> None:
        """Handle an introduction that a peer passed to this node.

        If it is for this node, and anything is wanted here, dial the introduced peer. If it is for another node, pass
        it on, if a way is known and the budget of the peer allows it.
        """
        if given.to == self.ledger.me:
            self._dial(given)
        elif (
            given.steps and (way := self._way(given.to)) not in (None, given.peer) and self._spend(given.peer)
        ):
            assert way is not None
            self.ledger.do(Introduce(via=way, to=given.to, record=given.record.sealed, steps=given.steps - 1))

    def _dial(self, given: IntroductionCame) -> None:
        peer = given.record.peer
        if peer in self.connected or peer == self.ledger.me or not self.ledger.state.pending:
            return
        self.dialling.returned(peer, allowed_addrs(given.record, given.reach))

    def _way(self, origin: PeerId) -> PeerId | None:
        """Return the neighbour that can pass an introduction on to this origin; None if none is known.

        If the origin is connected, it is the origin itself.
        """
        if origin in self.connected:
            return origin
        way, at = self._ways.get(origin, (None, 0.0))
        return way if way is not None and self.ledger.now - at <= WAY_SECONDS else None

    def _spend(self, peer: PeerId) -> bool:
        now = self.ledger.now
        return self._budgets.of(peer, now).spend(1, now)
