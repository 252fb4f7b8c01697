"""The part `wants` of tests.bench.growth: what wants cost that nobody can answer.

A node and three peers that are all connected, in virtual time (tests/sim): real machines, counted bytes. The series
of all nodes are then written through the store. Beside the sizes on the line that are counted here, Kademlia's
look-ups cost some hundred bytes each.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series.events import Entry
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from flux_tui.store.store import Store
from tests.bench.growth import Growth
from tests.sim.swarm import SimNode, Swarm

PEERS = 3
HOUR = 3600.0
WANTS = (100, 1_000, 10_000)
BATCH = 1_000
GOSSIP_COPIES = PEERS * PEERS
"""Copies of one gossip message among four nodes that are all connected: the origin sends three, each peer two more."""


class CountedSwarm(Swarm):
    """A swarm that counts the bytes of messages on the line."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, dht=True)
        self.sent = 0

    def deliver(self, sender: SimNode, to: PeerId, message: msg.Message) -> None:
        self.sent += len(codec.encode_frame(message))
        super().deliver(sender, to, message)

    def broadcast(self, sender: SimNode, effect: fx.Broadcast) -> None:
        intent = msg.Intent(
            origin=sender.peer, nonce=bytes(12), expires=self.now, body=effect.body, addrs=(sender.addr,)
        )
        sealed = msg.SealedIntent(signed=codec.encode_intent(intent), signature=bytes(64))
        size = len(codec.encode_frame(sealed))
        self.sent += size * (len(effect.peers) + (GOSSIP_COPIES if effect.gossip else 0))
        super().broadcast(sender, effect)

    def _route(self, sender: SimNode, to: PeerId, sealed: msg.SealedIntent, hops: int) -> None:
        self.sent += len(codec.encode_frame(msg.Route(intent=sealed, hops=hops)))
        super()._route(sender, to, sealed, hops)


def dead(count: int) -> tuple[Cid, ...]:
    """Return CIDs that no node has."""
    return tuple(raw_cid(b"nobody has %d" % number) for number in range(count))


def stored(series: list[Entry]) -> int:
    """Return the bytes of these entries in a home's database, without checkpoints."""
    with TemporaryDirectory(prefix="flux-bench-") as folder:
        store = Store.open(Path(folder))
        for start in range(0, len(series), BATCH):
            store.commit([(entry.at, entry.event) for entry in series[start : start + BATCH]])
        store.close()
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def hours(count: int, number: int) -> list[tuple[float, float]]:
    """Return, for each of the first `number` hours, bytes of series in all nodes, and bytes a minute on the line."""
    swarm = CountedSwarm(seed=1)
    asker, *peers = [swarm.node() for _ in range(1 + PEERS)]
    swarm.mesh([asker, *peers])
    swarm.run(lambda: all(len(node.linked) == PEERS for node in swarm.nodes.values()), seconds=10)
    asker.push(cmd.WantMany(dead(count)))
    begun = {node.peer: len(node.series) for node in swarm.nodes.values()}
    found: list[tuple[float, float]] = []
    empty = stored([])
    series = 0
    for _ in range(number):
        before, end = swarm.sent, swarm.now + HOUR
        swarm.after(HOUR, lambda: None)
        swarm.run(lambda end=end: swarm.now >= end, seconds=HOUR + 1)  # type: ignore[misc]
        after = sum(stored(node.series[begun[node.peer] :]) - empty for node in swarm.nodes.values())
        found.append((after - series, (swarm.sent - before) / 60))
        series = after
    assert len(asker.state.pending) == count
    return found


def measure(growth: Growth) -> None:
    """Add the figures of the first hour and of the third: of the series of all four nodes, and on the line."""
    runs = {count: hours(count, 3) for count in WANTS}
    for hour, name in ((0, "first hour"), (2, "third hour")):
        growth.curve(
            f"dead wants, {name}, series of all nodes",
            {count: found[hour][0] / 1e6 for count, found in runs.items()},
            "MB",
            of="wants",
            most={1_000: 2.0},
            exponent=1.05,
        )
        growth.curve(
            f"dead wants, {name}, on the line",
            {count: found[hour][1] / 1e3 for count, found in runs.items()},
            "KB/min",
            of="wants",
            most={1_000: 20.0},
            exponent=1.05,
        )
