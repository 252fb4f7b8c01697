"""The part `announcing` of tests.bench.growth: how long it takes to announce objects, and of peers in one swarm.

In virtual time: the announcements and the provider records of a node are pushed by its own code, at the rates of the
protocol. 20,000 objects among real nodes are measured by tests.bench.announcing.
"""

import trio
import trio.testing

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.ids import Cid, PeerId, dag_cid
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import State
from flux_tui.core.serving.announcements import Announcements
from flux_tui.core.turn import Ledger
from tests.bench.growth import Growth
from tests.sim.scale import Scale
from tests.support.provided_nodes import PEERS, FewNodes, provided
from tests.support.swarms import share

OBJECTS = (1_000, 10_000, 100_000)
NODES = 200
LARGE = 10_000
"""Roots that are provided in a swarm of as many nodes as there are in PEERS."""
ME = PeerId("12D3KooWMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMeMe")
OTHER = PeerId("12D3KooWOtherOtherOtherOtherOtherOtherOtherOtherOtherO")


class Nothing:
    """A store without chunks."""

    def size_of(self, cid: str) -> int | None:
        return None


def roots(count: int) -> list[Cid]:
    return [dag_cid(b"object %d" % number) for number in range(count)]


def announced(count: int) -> tuple[float, int]:
    """Return the seconds until `count` objects are announced by intents `have`, and the number of intents."""
    ledger = Ledger(ME, State(), Nothing(), lambda: 0.0)
    connected = ConnectedPeers()
    connected.add(OTHER)
    announcements = Announcements(ledger, connected, lambda: False)
    for number, root in enumerate(roots(count)):
        announcements.add(root, f"picture {number:06}.jpeg", 3_000_000)
    begin, intents = ledger.now, 0
    while True:
        announcements.on_time()
        intents += sum(isinstance(effect, fx.Broadcast) for effect in ledger.take()[1])
        if not len(announcements):
            return ledger.now - begin, intents
        ledger.begin(announcements.next_deadline())


async def _provide(nodes: FewNodes, count: int) -> float:
    return await provided(nodes, roots(count))


def round_of(nodes: FewNodes, count: int) -> float:
    """Return the seconds until nodes are told of `count` roots."""
    return trio.run(_provide, nodes, count, clock=trio.testing.MockClock(autojump_threshold=0))


def measure(growth: Growth) -> None:
    """Add the rows of announcements, of provider records, and of a swarm of 200 nodes."""
    haves = {count: announced(count) for count in OBJECTS}
    growth.curve(
        "a round of `have`",
        {count: seconds for count, (seconds, _) in haves.items()},
        "s",
        of="objects",
        most={100_000: 660.0},
    )
    growth.add("intents of a round of 100,000 objects", haves[100_000][1], "", most=700)
    rounds = {count: round_of(FewNodes(PEERS[:3]), count) for count in OBJECTS}
    growth.curve("a round of provider records", rounds, "s", of="roots", most={100_000: 480.0})
    nodes = FewNodes(PEERS)
    growth.add(f"the same of {LARGE:,} roots among {len(PEERS)} nodes", round_of(nodes, LARGE), "s", most=480)
    growth.add("look-ups for them", nodes.lookups, "", most=LARGE / 50)
    _peers(growth)


def _peers(growth: Growth) -> None:
    """Add the rows of a swarm in which each node shares an object, and wants one of another node."""
    swarm = Scale(seed=21, nodes=NODES)
    there = list(swarm.nodes.values())
    shared = [share(node, b"object %d" % number) for number, node in enumerate(there)]
    wanted = [(there[(number + NODES // 2) % NODES], root) for number, root in enumerate(shared)]
    begin = swarm.now
    for asker, root in wanted:
        asker.push(cmd.Want(root))
    swarm.run(lambda: all(root in asker.blocks for asker, root in wanted), seconds=600)
    ended = sum(isinstance(entry.event, ev.PeerDisconnected) for node in there for entry in node.series)
    growth.add(
        f"{NODES} nodes: objects found", sum(root in asker.blocks for asker, root in wanted), "", least=NODES
    )
    growth.add(f"{NODES} nodes: until all are found", swarm.now - begin, "s", most=300)
    growth.add(f"{NODES} nodes: links that ended", ended, "", most=0)
