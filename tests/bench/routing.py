"""What an intent costs when it is routed by DHT: messages and seconds, on real libp2p hosts in one process.

python -m tests.bench.routing [--hosts 16,32,64,100] [--intents N] [--meet] [--json FILE]

Everybody joins one host, and knows of the others what a node of the DHT knows that has been there for long: its
table is filled beforehand, as the simulation's is. With --meet they learn it by themselves, which a hundred hosts
on one processor take too long for: some N² handshakes. A few provide a root; others route an intent by it, until a
provider has heard it. Counted: every stream that was opened for a lookup (a question and an answer: two messages),
and every intent that was handed on.
"""

import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from math import log2

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.common import BUCKET_SIZE
from libp2p.kad_dht.routing_table import KBucket, key_to_int, peer_id_to_key
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

from flux_tui.core.ids import Cid, PeerId, dag_cid
from flux_tui.core.limits import Backoff
from flux_tui.core.vocabulary import Speaks, Way
from flux_tui.core.wire.messages import Chunk, Message, Route, SealedIntent
from flux_tui.net.addresses.dial_guard import told_by_person
from flux_tui.net.connections.yamux_read_buffer import Piece
from flux_tui.net.flux.dht import dht_routing
from flux_tui.net.flux.libp2p_network import Libp2pNetwork, open_network
from flux_tui.net.port import LoadedChunk
from tests.bench.report import Table, parser

PROVIDERS = 3
"""How many providers each root has."""
TRIES, AGAIN_SECONDS = 5, 2.0
"""An intent that reached no provider is routed again, as a node does: so often, after so many seconds."""
SECONDS, SQUARE = 150.0, 32
"""For anything here, of so many hosts; then it has failed. Hosts that meet by themselves shake N² hands."""


class Host:
    """A network whose receiver forwards a routed intent once, as a node does."""

    def __init__(self) -> None:
        self.network: Libp2pNetwork
        self.known = 0
        self.heard: dict[bytes, float] = {}
        self.copies = 0

    def on_message(self, peer: PeerId, message: Message) -> None:
        assert isinstance(message, Route)
        name = message.intent.signed
        self.copies += 1
        if name in self.heard:
            return
        self.heard[name] = time.perf_counter()
        if message.hops:
            self.network.forward((dag_cid(name),), Route(intent=message.intent, hops=message.hops - 1))

    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        self.known += len(came) - len(went)

    def on_connected(self, peer: PeerId, addr: str, way: Way = "direct", speaks: Speaks = "flux") -> None: ...
    def on_moved(self, peer: PeerId, addr: str, way: Way) -> None: ...
    def on_disconnected(self, peer: PeerId, why: str) -> None: ...
    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        return True

    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None: ...
    def on_fault(self, peer: PeerId, fault: str, text: str) -> None: ...
    def on_addrs(self, addrs: tuple[str, ...]) -> None: ...
    def on_told(self, peer: PeerId, data: bytes) -> None: ...

    def on_agent_version(self, peer: PeerId, told: str) -> None: ...

    def on_want(self, *_: object) -> None: ...

    def on_unknown(self, peer: PeerId, kind: str) -> None: ...

    def on_failure(self, text: str, **_: object) -> None: ...

    def on_dial_failed(self, addr: str, why: str) -> None: ...
    def on_provided(self, roots: int, left: int, seconds: float) -> None: ...

    def on_found(self, addr: str) -> None: ...

    def admits(self, peer: PeerId) -> bool:
        return True

    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        return False

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        return ()

    def chunks_in_memory(self, peer: PeerId) -> Sequence[LoadedChunk] | None:
        return ()

    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        return chunks

    def on_progress(self, peer: PeerId, chunk: Chunk, received: int, seconds: float) -> None: ...

    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None: ...

    @property
    def cost(self) -> int:
        """Return the messages so far."""
        done = self.network.dht.statistics()
        return 2 * done.asked + done.sent


async def _until(hosts: list[Host], what: str, done: object) -> None:
    assert callable(done)
    seconds = SECONDS * max(1.0, (len(hosts) / SQUARE) ** 2)
    with trio.move_on_after(seconds) as bound:
        while not done():  # noqa: ASYNC110 - from outside
            await trio.sleep(0.02)
    if bound.cancelled_caught:
        known = sorted(host.known for host in hosts)
        told = [host.network.dht.statistics() for host in hosts]
        print(f"not within {seconds:g} s: {what} (nodes known: {known})", *told, sep="\n", file=sys.stderr)
        raise trio.TooSlowError


async def _quiet(hosts: list[Host]) -> None:
    """Wait until the hosts have met each other: the cost of that does not count for an intent."""
    with trio.move_on_after(SECONDS):
        before, now = -1, sum(host.cost for host in hosts)
        while before != now:
            await trio.sleep(6.0)  # longer than the interval of their table refresh
            before, now = now, sum(host.cost for host in hosts)


def _say(start: float, number: int, what: str) -> None:
    print(f"{number} hosts, {time.perf_counter() - start:6.1f} s: {what}", file=sys.stderr, flush=True)


async def _no_looks(_: dht_routing.Dht) -> None:
    """Do nothing, so that no host refreshes its table."""


async def _lay_out(hosts: list[Host], chance: random.Random) -> None:
    """Let each know what Kademlia has it know: twenty of those that differ from it first at the same bit. (libp2p
    has room for more than that: it divides any of its buckets that is full.)
    """
    infos = [info_from_p2p_addr(Multiaddr(host.network.addrs[0])) for host in hosts]

    async def is_there(_: KBucket, peer: ID) -> bool:
        return True  # this is true, and checking it would cost a connection

    ping, KBucket._ping_peer = KBucket._ping_peer, is_there  # type: ignore[method-assign, assignment]
    for host in hosts:
        kad = host.network.dht
        me = key_to_int(peer_id_to_key(host.network._host.get_id()))
        room: Counter[int] = Counter()
        for info in chance.sample(infos, len(infos)):
            differs = (me ^ key_to_int(peer_id_to_key(info.peer_id))).bit_length()
            room[differs] += 1
            if not differs or room[differs] > BUCKET_SIZE:
                continue
            with told_by_person():
                host.network._host.get_peerstore().add_addrs(info.peer_id, info.addrs, 3600)
            await kad._kad.routing_table.add_peer(info)
        kad._tell_size()
    KBucket._ping_peer = ping  # type: ignore[method-assign]


async def measure(number: int, intents: int, seed: int, *, meet: bool) -> tuple[list[float], ...]:
    """For each intent: messages, seconds until a provider heard it, copies that providers heard, and how many
    of them did; and for each host, how many others it knows.
    """
    chance = random.Random(seed)
    begun = time.perf_counter()
    async with AsyncExitStack() as stack:
        hosts: list[Host] = []
        for index in range(number):
            host = Host()
            key = create_new_key_pair(chance.randbytes(32))
            opening = open_network(key, ["/ip4/127.0.0.1/tcp/0"], use_mdns=False)
            network = await stack.enter_async_context(opening(host))
            assert isinstance(network, Libp2pNetwork)
            host.network = network
            hosts.append(host)
            if index:
                network.dial(hosts[0].network.addrs[0], keep=True)
        _say(begun, number, "open")
        if not meet:
            await _lay_out(hosts, chance)
        enough = min(number - 1, 12)
        await _until(hosts, "everybody knows some", lambda: min(host.known for host in hosts) >= enough)
        _say(begun, number, "everybody knows some")
        names = [b"%d-%d" % (seed, index) for index in range(intents)]
        providers = {name: chance.sample(hosts[1:], PROVIDERS) for name in names}
        before = sum(host.network.dht.statistics().records for host in hosts)
        for name in names:
            for host in providers[name]:
                host.network.provide((dag_cid(name),))
        # The last records of a round may still be under way. Each root must have enough.
        expected = before + len(names) * PROVIDERS * (enough - 2)
        await _until(
            hosts,
            "the roots are provided",
            lambda: sum(host.network.dht.statistics().records for host in hosts) >= expected,
        )
        _say(begun, number, "the roots are provided")
        dht_routing.LOOK = Backoff(3600.0, 3600.0)  # a host refreshes its table once more, at most
        messages, seconds, copies, reached = [], [], [], []
        for name in names:
            asker = chance.choice([host for host in hosts[1:] if host not in providers[name]])
            await _quiet(hosts)
            _say(begun, number, "quiet")
            cost, heard = sum(host.cost for host in hosts), sum(host.copies for host in providers[name])
            start = time.perf_counter()
            intent = SealedIntent(signed=name, signature=bytes(64))
            there = providers[name]
            for _ in range(TRIES):
                asker.network.route((dag_cid(name),), Route(intent=intent, hops=1))
                with trio.move_on_after(AGAIN_SECONDS):
                    await _until(
                        hosts,
                        "a provider hears it",
                        lambda there=there, name=name: any(name in h.heard for h in there),
                    )
                if any(name in host.heard for host in there):
                    break
            else:
                raise trio.TooSlowError
            seconds.append(min(host.heard[name] for host in there if name in host.heard) - start)
            await trio.sleep(1.0)  # copies still under way count, too
            messages.append(float(sum(host.cost for host in hosts) - cost))
            copies.append(float(sum(host.copies for host in there) - heard))
            reached.append(float(sum(name in host.heard for host in there)))
        return messages, seconds, copies, reached, [float(host.known) for host in hosts]


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--hosts", default="16,32,64,100")
    options.add_argument("--intents", type=int, default=3)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--meet", action="store_true", help="let them find each other")
    given = options.parse_args()
    if not given.meet:
        dht_routing.Dht._run_looks = _no_looks  # type: ignore[method-assign, assignment]  # they know each other
    table = Table(f"an intent routed by DHT to {PROVIDERS} providers, real hosts in one process")
    for number in [int(text) for text in given.hosts.split(",")]:
        messages, seconds, copies, reached, known = trio.run(
            partial(measure, meet=given.meet), number, given.intents, given.seed
        )
        table.add(f"{number} hosts: messages an intent", messages, "")
        table.add(f"{number} hosts: by log2 of their number", statistics.median(messages) / log2(number), "")
        table.add(f"{number} hosts: nodes that one of them knows", known, "")
        table.add(f"{number} hosts: messages that providers heard", copies, "")
        table.add(f"{number} hosts: providers that heard it, of {PROVIDERS}", reached, "")
        table.add(f"{number} hosts: seconds until the first of them heard it", seconds, "s")
        table.add(f"{number} hosts: a flood would be about", 5.0 * number, "")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
