"""Messages of an intent as the swarm grows: routed by DHT, compared with a gossip flood.

The nodes are real machines in virtual time, each with six neighbours. The cost of the DHT is counted
honestly: every node has the routing table that Kademlia would have (up to 20 nodes for each distance). A
lookup is iterative, three at a time, and its questions and answers are all counted.
"""

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg
from flux_tui.net.port import CLOSEST
from tests.sim.swarm import Content, SimNode, Swarm, peer_name

BUCKET = 20
"""How many nodes a table keeps for one distance, and a lookup returns."""
ALPHA = 3
"""How many nodes a lookup asks at a time."""
BITS = 256
NEIGHBOURS = 6


class Cost(NamedTuple):
    """The messages of one want, until a holder answered it."""

    nodes: int
    routed: float
    """By DHT: lookup, routing, direct pushes and every answer."""
    lookup: float
    """Of these, the questions and answers of the lookup."""
    flood: float
    """By gossip: copies that crossed a link."""
    found: float
    """The share of the routed wants that ended with the chunk."""


def key_of(name: str) -> int:
    """Return the DHT key of a peer or a root."""
    return int.from_bytes(sha256(name.encode()).digest(), "big")


class Scale(Swarm):
    """A large swarm, laid out at once."""

    def __init__(self, seed: int, nodes: int) -> None:
        super().__init__(seed, dht=True)
        self.answers = 0
        self._tables: dict[PeerId, list[tuple[int, PeerId]]] = {}
        self.keys = sorted((key_of(peer_name(number + 1)), peer_name(number + 1)) for number in range(nodes))
        for number in range(nodes):
            node = SimNode(self, peer_name(number + 1), rate=float("inf"))
            self.nodes[node.peer] = node
            node.start()
        peers = list(self.nodes)
        some = tuple(peers[: BUCKET * max(1, nodes.bit_length() - 4)])  # only their number matters
        for node in self.nodes.values():
            node.feed(inp.RoutingChanged(came=some))
        for index, peer in enumerate(peers):  # a ring, so that the swarm is connected; and chords
            self.link(peer, peers[(index + 1) % nodes])
            for _ in range((NEIGHBOURS - 2) // 2):
                other = self.chance.choice(peers)
                if other != peer:
                    self.link(peer, other)
        self.run(lambda: self.carried["direct"] >= 0)

    def table(self, peer: PeerId) -> list[tuple[int, PeerId]]:
        """Return the nodes that a node knows, as Kademlia would have it. Computed at the first use."""
        found = self._tables.get(peer)
        if found is not None:
            return found
        chance = random.Random(f"{self.seed}-{peer}")
        me = key_of(peer)
        found = []
        for bit in range(BITS):  # the nodes whose first different bit is this one
            low = (me >> (BITS - bit - 1) ^ 1) << (BITS - bit - 1)
            start = bisect_left(self.keys, (low, PeerId("")))
            end = bisect_left(self.keys, (low + (1 << (BITS - bit - 1)), PeerId("")))
            there = self.keys[start:end]
            found += there if len(there) <= BUCKET else chance.sample(there, BUCKET)
            if len(there) == 0 and bit > len(self.keys).bit_length() + 8:
                break
        self._tables[peer] = found
        return found

    def closest(self, root: Cid, asker: SimNode) -> list[PeerId]:
        """Run an iterative lookup. Each question and each answer is a message."""
        target = key_of(root)
        known = {peer: key ^ target for key, peer in self.table(asker.peer)}
        asked: set[PeerId] = set()
        while True:
            best = sorted(known, key=known.__getitem__)[:BUCKET]
            todo = [peer for peer in best if peer not in asked][:ALPHA]
            if not todo:
                return best[:CLOSEST]
            for peer in todo:
                asked.add(peer)
                self.carried["lookup"] += 2
                told = sorted((key ^ target, other) for key, other in self.table(peer))[:BUCKET]
                known.update((other, distance) for distance, other in told if other != asker.peer)

    def provide(self, node: SimNode, roots: Iterable[Cid]) -> None:
        """Provide as in the small swarm, by lookups that do not count for the want."""
        before = self.carried["lookup"]
        super().provide(node, roots)
        self.carried["lookup"] = before

    def deliver(self, sender: SimNode, to: PeerId, message: msg.Message) -> None:
        self.answers += isinstance(message, msg.StatusNo | msg.StatusYesButLater)
        super().deliver(sender, to, message)

    def flood(self, start: PeerId) -> int:
        """Return the copies of one intent. Each node forwards a new one to all neighbours but its sender."""
        copies = 0
        heard = {start}
        queue = deque([(start, PeerId(""))])
        while queue:
            peer, by = queue.popleft()
            for other in self.nodes[peer].linked:
                if other != by:
                    copies += 1
                    if other not in heard:
                        heard.add(other)
                        queue.append((other, peer))
        assert len(heard) == len(self.nodes)
        return copies


def measure(nodes: int, *, wants: int = 10, seed: int = 1) -> Cost:
    """Return the mean of several wants, by different askers for objects of different holders."""
    swarm = Scale(seed, nodes)
    everyone = list(swarm.nodes.values())
    lookup = routed = flood = found = 0
    for number in range(wants):
        content = Content(random.Random(number).randbytes(100), 1024)
        asker, holder = swarm.chance.sample(everyone, 2)
        holder.hold(content)
        swarm.provide(holder, [content.root])
        swarm.carried.clear()
        swarm.answers = 0
        asker.push(cmd.Want(content.root))
        end = swarm.now + 5.0
        swarm.run(lambda asker=asker, end=end: not asker.state.pending or swarm.now > end, seconds=60)  # type: ignore[misc]
        found += not asker.state.pending
        assert not swarm.carried["gossip"] or nodes <= 40, "a large swarm is not flooded"
        lookup += swarm.carried["lookup"]
        routed += sum(swarm.carried.values()) + swarm.answers
        flood += swarm.flood(asker.peer)
    return Cost(nodes, routed / wants, lookup / wants, flood / wants, found / wants)
