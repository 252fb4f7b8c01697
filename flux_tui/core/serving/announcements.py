"""Announcements: tells the swarm which objects can be had here, by intents `have`, at a rate that every node admits.

A person may add a hundred thousand objects at once. One intent for each would be a flood: a node admits 512 intents
of one origin at once, and 64 a second (core/peers/intent_limits.py). So announcements have a budget of their own,
far below that, which stands in the protocol (README): HAVES_BURST intents at once, and HAVES_RATE a second. While the
budget has room, each object leaves at once, in an intent of its own. Otherwise objects wait here, and leave many to
an intent.

The order: objects that a peer wanted in vain come first. Of the others, the newest come first; but each
OLD_TURNS-th intent takes the oldest, so none waits for ever.

What waits is not in the series. After a restart nothing has to be announced: each peer that connects pushes its wants.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf

from flux_tui.core.api.effects import Broadcast
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable, TokenBucket
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_MORE_HAVES, Announced, Have

HAVES_BURST, HAVES_RATE = 16.0, 1.0
"""Intents `have` of this node: at once, and per second in the long run."""
INTENT_BYTES = 16 * 1024
"""Bytes of announcements in one intent: as many as a full want has."""
CID_BYTES, SIZE_BYTES = 61, 12
"""Bytes that a root and a size take in an intent, at most."""
OLD_TURNS = 4
"""One intent of so many takes the objects that have waited longest."""
FEW = 8
"""Up to so many objects in an intent, it also goes to the swarm by gossip if all known nodes get it directly: gossip
reaches nodes that are not known yet, and a small intent costs little."""
MAX_ASKED = 16_384
"""Objects that peers wanted in vain, and that are announced first if they come."""


class Announcements:
    """The objects that wait to be announced to the swarm, and the budget by which they leave.

    `leads_on`: whether the DHT knows a node that is not connected to this node.
    """

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, leads_on: Callable[[], bool]) -> None:
        self.ledger = ledger
        self.connected = connected
        self._leads_on = leads_on
        self._budget = TokenBucket(HAVES_BURST, HAVES_RATE, ledger.now)
        self._wanted: OrderedDict[Cid, Announced] = OrderedDict()
        """Those that a peer wanted in vain, the first to come first."""
        self._others: OrderedDict[Cid, Announced] = OrderedDict()
        """All others, the oldest first."""
        self._turns = 0
        """Intents since the oldest had their turn."""
        self._asked: BoundedTable[Cid, PeerId] = BoundedTable(MAX_ASKED, refresh=True)
        """By root: the peer that wanted it last and heard `not_held`."""

    def __len__(self) -> int:
        """The number of objects that wait to be announced."""
        return len(self._wanted) + len(self._others)

    def asked(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        """Note that a peer wants objects that are not here. They are announced first if they come."""
        for cid in cids:
            self._asked[cid] = peer

    def is_wanted(self, root: Cid) -> bool:
        """Whether a peer wanted this object while it was not here."""
        return root in self._asked

    def add(self, root: Cid, name: str | None, size: int) -> None:
        """Announce an object as soon as its turn comes. If it waits already, it waits as the newest from now on."""
        self.forget(root)
        (self._wanted if root in self._asked else self._others)[root] = Announced(
            root=root, size=size, name=name
        )

    def forget(self, root: Cid) -> None:
        """Do not announce this object, because it is not here any more."""
        self._wanted.pop(root, None)
        self._others.pop(root, None)

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if nothing waits."""
        return self.ledger.now + self._budget.wait(self.ledger.now, 1.0) if len(self) else inf

    def on_time(self) -> None:
        """Push as many intents as the budget allows now."""
        now = self.ledger.now
        while len(self) and self._budget.spend(1.0, now):
            alone = self._budget.level_at(now) >= 1.0
            self._push(self._take(1 if alone else 1 + MAX_MORE_HAVES))

    def _take(self, most: int) -> list[Announced]:
        """Remove the objects of the next intent from those that wait, at most `most` of them, and return them."""
        old = self._turns >= OLD_TURNS - 1 and bool(self._others)
        self._turns = 0 if old else self._turns + 1
        found: list[Announced] = []
        size = 0
        while len(self) and len(found) < most:
            if self._wanted and not old:
                one = self._wanted.popitem(last=False)[1]
            else:
                one = (self._others or self._wanted).popitem(last=not old)[1]
            size += CID_BYTES + SIZE_BYTES + len((one.name or "").encode(errors="replace"))
            if found and size > INTENT_BYTES:
                self._others[one.root] = one
                self._others.move_to_end(one.root, last=not old)
                break
            found.append(one)
        return found

    def _push(self, found: list[Announced]) -> None:
        first, more = found[0], tuple(found[1:])
        askers = {self._asked.pop(one.root): None for one in found if one.root in self._asked}
        connected = [peer for peer in askers if peer in self.connected]
        peers = tuple(dict.fromkeys((*connected, *self.connected.first(MAX_DIRECT))))[:MAX_DIRECT]
        told_all = len(peers) == len(self.connected) and not self._leads_on()
        left = len(self)
        intents = -(-left // (1 + min(MAX_MORE_HAVES, max(len(more), 1))))
        self.ledger.emit(
            ev.PushedHave(
                root=first.root,
                name=first.name,
                size=first.size,
                more=tuple(one.root for one in more),
                left=left,
                seconds=round(intents / HAVES_RATE, 3),
            )
        )
        body = Have(root=first.root, size=first.size, name=first.name, more=more)
        gossip = len(found) <= FEW or not told_all
        self.ledger.do(Broadcast(body=body, peers=peers, gossip=gossip))
