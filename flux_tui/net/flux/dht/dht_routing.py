"""The DHT: finds nodes of the swarm by key, and routes intents to the nodes that provide the wanted roots.

Kademlia is libp2p's own (KadDHT), on this node's host and in its swarm only. A root is provided to the
CLOSEST nodes (`flux/dht/providing.py`). An intent is routed to WIDTH of those, which forward it to the providers
that they know. No node asks another for a list of providers. The answers go directly to the intent's
origin.

What libp2p 0.8.1 does, and what is done about it here:

- It speaks `/ipfs/kad/1.0.0`, whatever `protocol_prefix` says. `KadHost` (`upstream/kad.py`) stands between it and
  the host. So a flux node neither answers nor asks a node of the public DHT (tests/net/flux/dht/test_dht_routing.py).
- It would store values from strangers, up to 50,000 of 1 MiB. Here it accepts no values. It would also store any
  number of provider records; here at most MAX_RECORDS. It takes ten from one peer in ten seconds; nodes of this
  version send each other a thousand at once, by a protocol of their own (`flux/dht/record_streams.py`).
- Its background service looks up random keys in all buckets and writes its records to disk. Here that service is
  not run. `run` does only the necessary parts: query new neighbours, look up the nodes nearest to this node, remove
  expired records.
- Look-ups dial the nodes that they learn of. Such a connection gets no push link (`flux/peer_links.py`). It is
  closed after IDLE_SECONDS, or earlier if there are more than MAX_SPARE.

Everything is best effort, in background tasks with bounded queues. The node awaits nothing here.
"""

import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.records.validator import NamespacedValidator

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import Backoff, BoundedTable
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Message, Route
from flux_tui.net.connections.streams import exactly, try_to_close
from flux_tui.net.connections.supervisor import Supervisor, Tasks
from flux_tui.net.flux.dht.providing import GROWTH, Providing
from flux_tui.net.flux.dht.record_streams import RecordStreams
from flux_tui.net.port import CLOSEST, MAX_FANOUT, ROUTE_PROTOCOL, WIDTH, Receiver
from flux_tui.net.upstream.kad import MAX_SERVED, KadHost, Lookups, Records, key_of

log = logging.getLogger(__name__)

ROUTE = TProtocol(ROUTE_PROTOCOL)

QUEUE_LOOKUPS, LOOKUP_WORKERS = 256, 4
"""Roots whose lookup waits (further ones are dropped: their want is pushed again), and lookups at a time."""
QUEUE_SENDS, SEND_WORKERS = 512, 8
"""Forwarded intents waiting to be sent, and sent at a time."""
QUEUE_MEETINGS = 256
"""New neighbours waiting to be queried for the nodes that they know."""
MEET_SECONDS = 0.5
"""Seconds until a new neighbour is queried, so that the purpose of the connection goes first. The query, and
the lookups that follow from it on both sides, take a tenth of the half second in which 256 MiB are fetched.
"""
SEND_SECONDS = 10.0
"""Seconds to hand an intent to one node, dialling included."""
TAKE_SECONDS, MAX_TAKING = 5.0, 32
"""Seconds for an intent to arrive whole, and how many may be arriving at a time."""
CACHE_SECONDS, MAX_CACHED = 600.0, 256
"""Seconds for which the nodes closest to a root are remembered, and for how many roots."""
LOOK = Backoff(first=5.0, most=600.0, jitter=(0.8, 1.2))
"""The wait between two lookups of this node's own neighbourhood. It grows while no new nodes appear."""
TICK_SECONDS = 15.0
"""Seconds between two rounds of cleaning up."""
IDLE_SECONDS = 60.0
"""Seconds after its last use until a connection that a lookup opened is closed."""
MAX_SPARE = 128
"""Connections without a link, whichever side opened them. libp2p takes no new connections above 300, and
prunes none that carries a gossip stream."""


class Statistics(NamedTuple):
    """Numbers about the DHT of this node, for people and tests."""

    known: int
    """Nodes in this node's routing table."""
    records: int
    """Provider records that this node stores for the swarm."""
    asked: int
    """Streams that this node opened for look-ups and provider records."""
    sent: int
    """Intents that this node routed or forwarded to other nodes."""


class _Closest(NamedTuple):
    """The nodes closest to a key, as the last look-up found them."""

    at: float
    known: int
    """Nodes known then. Once many more are known, other nodes are closer."""
    nodes: deque[ID]


class Dht:
    """This node's part of the DHT: its routing table, its provider records, and the intents that it routes."""

    def __init__(
        self,
        host: IHost,
        receiver: Receiver,
        *,
        push: Callable[[PeerId, Message], bool],
        is_banned: Callable[[PeerId], bool],
        supervisor: Supervisor,
    ) -> None:
        self._host = host
        self._me = PeerId(str(host.get_id()))
        self._receiver = receiver
        self._push = push
        self._is_banned = is_banned
        self._supervisor = supervisor
        self._kad_host = KadHost(host, self._served)
        validator = NamespacedValidator({}, strict_validation=True)
        facade: Any = self._kad_host
        self._kad = KadDHT(
            facade, DHTMode.SERVER, validator=validator, validator_changed=True, strict_validation=True
        )
        self._kad._inbound_limiter = trio.CapacityLimiter(MAX_SERVED)
        self._kad.peer_routing = Lookups(facade, self._kad.routing_table)
        self._known = 0
        self._table: frozenset[ID] = frozenset()
        """The nodes that the receiver was told of."""
        self._lookups_in, self._lookups = trio.open_memory_channel[tuple[Cid, Route, set[ID]]](QUEUE_LOOKUPS)
        self._sends_in, self._sends = trio.open_memory_channel[tuple[PeerInfo, Route]](QUEUE_SENDS)
        self._meet_in, self._meet = trio.open_memory_channel[tuple[float, ID]](QUEUE_MEETINGS)
        self._cache: BoundedTable[Cid, _Closest] = BoundedTable(MAX_CACHED, refresh=True)
        self._records = self._kad.provider_store = Records(facade, self._kad.peer_routing)
        streams = RecordStreams(self._kad_host, self._records, receiver, is_banned, self._add_provider)
        self._providing = Providing(host.get_id(), self._find_closest, streams.send, receiver.on_provided)
        self._look = trio.Event()
        self._taking = 0
        self._sent = 0
        host.set_stream_handler(ROUTE, self._take)

    # ── what the node asks of it ────────────────────────────────────────────────────────────────

    def provide(self, roots: Sequence[Cid], *, wanted: bool = False) -> None:
        """Tell the DHT that this node has these roots. See net.port.Network.provide."""
        self._providing.provide(roots, wanted=wanted)

    def withdraw(self, roots: Sequence[Cid]) -> None:
        """Stop telling the DHT that this node has these roots. See net.port.Network.withdraw."""
        self._providing.withdraw(roots)

    def route(self, roots: Sequence[Cid], message: Route) -> None:
        """Push an intent to the nodes closest to each root. See net.port.Network.route."""
        sent: set[ID] = set()  # each node gets it once, however many of its roots lead there
        for root in roots:
            try:
                self._lookups_in.send_nowait((root, message, sent))
            except trio.WouldBlock:
                log.debug("too many lookups wait: %s is not routed", root)

    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        """Push an intent to the providers of these roots that this node knows. See net.port.Network.forward."""
        found: dict[ID, PeerInfo] = {}
        for root in roots:
            for provider in self._kad.provider_store.get_providers(key_of(root)):
                if provider.peer_id != self._host.get_id():
                    found.setdefault(provider.peer_id, provider)
            if len(found) >= MAX_FANOUT:
                break
        for provider in list(found.values())[:MAX_FANOUT]:
            try:
                self._sends_in.send_nowait((provider, message))
            except trio.WouldBlock:
                log.debug("too many intents wait: one is not forwarded")

    def peer_up(self, peer: PeerId) -> None:
        """Note a newly connected peer. After MEET_SECONDS, this node asks it which nodes of the DHT it knows.

        If too many peers connect at once, some of them are not asked.
        """
        try:
            self._meet_in.send_nowait((trio.current_time() + MEET_SECONDS, ID.from_base58(peer)))
        except trio.WouldBlock:
            log.debug("too many neighbours at once: %s is met later", peer)

    def statistics(self) -> "Statistics":
        """Return the present numbers about this node's DHT."""
        return Statistics(
            self._kad.routing_table.size(), self._records.count, self._kad_host.asked, self._sent
        )

    async def run(self) -> None:
        """Run all background tasks of the DHT, until cancelled."""
        async with trio.open_nursery() as nursery:
            tasks = Tasks(nursery, self._supervisor)
            tasks.keep(self._run_meetings)
            tasks.keep(self._run_looks)
            tasks.keep(self._providing.run)
            tasks.keep(self._run_tidy)
            for _ in range(LOOKUP_WORKERS):
                tasks.keep(self._run_lookups)
            for _ in range(SEND_WORKERS):
                tasks.keep(self._run_sends)

    # ── the table of nodes ──────────────────────────────────────────────────────────────────────

    async def _run_meetings(self) -> None:
        async for at, peer in self._meet:
            await trio.sleep_until(at)
            # The answer has the peer's addresses, which the table needs. The query carried this node's addresses.
            await self._kad.peer_routing._query_peer_for_closest(peer, self._host.get_id().to_bytes())
            await self._kad.routing_table.add_peer(peer)
            self._tell_size()

    async def _run_looks(self) -> None:
        """Look up the nodes nearest to this node, often while new ones appear, and then less and less often.

        At the longest interval, the whole table is refreshed. One look-up at the start is not enough: a node that
        too many others query at once does not answer.
        """
        rounds = 1  # since the last new node appeared
        while True:
            self._look = trio.Event()
            with trio.move_on_after(LOOK.wait(rounds, random.random)):
                await self._look.wait()
            rounds = 1 if self._look.is_set() else rounds + 1
            try:
                if LOOK.wait(rounds) < LOOK.most:
                    await self._kad.peer_routing.find_closest_peers_network(self._host.get_id().to_bytes())
                else:
                    await self._kad.peer_routing.refresh_routing_table()
            except Exception as error:  # libp2p raises many kinds: the next round tries again
                log.debug("looking up the neighbourhood: %r", error)
            self._tell_size()
            await trio.sleep(LOOK.first)

    async def _served(self, peer: ID) -> None:
        """Add a node that queried this node to the routing table.

        libp2p tries to add the node before it has read the node's addresses from the query. That fails if no
        address is known. So this method adds the node again afterwards.
        """
        await self._kad.routing_table.add_peer(peer, skip_server_mode_check=True)
        self._tell_size()

    def _tell_size(self) -> None:
        """If the size of the routing table has changed, tell the receiver which nodes entered and left it.

        If it has grown, this node soon looks for the nodes nearest to itself again. This method is called often, so
        it compares only the size.
        """
        known = self._kad.routing_table.size()
        if known == self._known:
            return
        self._tell_table()
        if known > self._known:
            self._look.set()
        self._known = known
        self._providing.note_known(known)

    def _tell_table(self) -> None:
        now = frozenset(self._kad.routing_table.get_peer_ids())
        came, went = now - self._table, self._table - now
        if came or went:
            self._table = now
            self._receiver.on_routing(_names(came), _names(went))

    async def _run_tidy(self) -> None:
        while True:
            await trio.sleep(TICK_SECONDS)
            self._kad.provider_store.cleanup_expired()
            self._tell_table()  # a node that took another's place does not change the size
            for peer in self._kad_host.spare(trio.current_time() - IDLE_SECONDS, MAX_SPARE):
                with trio.move_on_after(1):
                    await try_to_close(partial(self._host.disconnect, peer))

    # ── intents ─────────────────────────────────────────────────────────────────────────────────

    async def _run_lookups(self) -> None:
        async for root, message, sent in self._lookups:
            self.forward((root,), Route(intent=message.intent, hops=0))  # providers known here
            try:
                closest = await self._closest(root)
            except Exception as error:  # libp2p's error: the want is pushed again
                log.debug("looking up %s: %r", root, error)
                continue
            left, told = len(closest), 0
            while left and told < WIDTH:
                batch = [closest[index] for index in range(min(WIDTH - told, left))]
                closest.rotate(-len(batch))  # the nodes after these come next
                left -= len(batch)
                new = [peer for peer in batch if peer not in sent]
                told += len(batch) - len(new)  # another root of the same intent has led there
                sent.update(new)
                results: list[bool] = []
                async with trio.open_nursery() as nursery:
                    for peer in new:
                        nursery.start_soon(self._send_once, peer, message, sent, results)
                told += sum(results)

    async def _send_once(self, peer: ID, message: Route, sent: set[ID], results: list[bool]) -> None:
        """Send an intent to a node. If that fails, remove the node from `sent`, so that it is tried again."""
        result: list[bool] = []
        await self._send(PeerInfo(peer, []), message, result)
        if not any(result):
            sent.discard(peer)
        results += result

    async def _run_sends(self) -> None:
        async for provider, message in self._sends:
            await self._send(provider, message, [])

    async def _closest(self, root: Cid) -> deque[ID]:
        """Return the nodes closest to a root. Nodes that did not get the last intent for this root come first.

        The result of a look-up is used again for CACHE_SECONDS, while the DHT does not grow much.
        """
        cached = self._cache.get(root)
        if cached and trio.current_time() - cached.at < CACHE_SECONDS and self._known < GROWTH * cached.known:
            return cached.nodes
        found = await self._find_closest(key_of(root))
        fresh = _Closest(trio.current_time(), self._known, deque(found))
        if found:
            self._cache[root] = fresh
        return fresh.nodes

    async def _find_closest(self, key: bytes) -> list[ID]:
        """Ask the network for the nodes closest to a key. Returns at most CLOSEST nodes."""
        found = await self._kad.peer_routing.find_closest_peers_network(key, CLOSEST)
        self._tell_size()
        return found

    async def _add_provider(self, peer: ID, key: bytes) -> bool:
        """Send a node ADD_PROVIDER: this node has the root with this key. Returns whether it was sent."""
        return await self._records._send_add_provider(peer, key)

    async def _send(self, to: PeerInfo, message: Route, results: list[bool]) -> None:
        """Send an intent to a node, on the push link if there is one, else on a new stream.

        Appends to `results` whether that succeeded.
        """
        peer = PeerId(str(to.peer_id))
        if self._push(peer, message):
            self._sent += 1
            results.append(True)
            return
        stream: INetStream | None = None
        try:
            if to.addrs:
                self._host.get_peerstore().add_addrs(to.peer_id, to.addrs, 120)
            with trio.fail_after(SEND_SECONDS):
                stream = await self._kad_host.new_stream(to.peer_id, [ROUTE])
                await stream.write(codec.encode_frame(message))
                await stream.close()
        except Exception as error:  # the node is gone, or does not speak flux
            log.debug("an intent does not get to %s: %r", peer, error)
            if stream is not None:
                await try_to_close(stream.reset)
            results.append(False)
        else:
            self._sent += 1
            results.append(True)

    async def _take(self, stream: INetStream) -> None:
        """Receive an intent that another node sent on a stream of its own."""
        peer = PeerId(str(stream.muxed_conn.peer_id))
        if self._taking >= MAX_TAKING or self._is_banned(peer):
            await try_to_close(stream.reset)
            return
        self._taking += 1
        try:
            with trio.fail_after(TAKE_SECONDS):
                header, payload = codec.decode_prefix(await exactly(stream, codec.PREFIX_BYTES))
                message = codec.decode_header(await exactly(stream, header))
                if payload or not isinstance(message, Route):
                    raise codec.BadFrameError("something else where an intent belongs")
                await try_to_close(stream.close)
        except codec.UnknownKindError as error:
            self._receiver.on_unknown(peer, error.kind)
            await try_to_close(stream.reset)
        except codec.BadFrameError as error:
            self._receiver.on_fault(peer, "garbage", str(error))
            await try_to_close(stream.reset)
        except Exception as error:  # the stream ended, or was too slow
            log.debug("an intent from %s broke off: %r", peer, error)
            await try_to_close(stream.reset)
        else:
            self._receiver.on_message(peer, message)
        finally:
            self._taking -= 1


def _names(peers: Iterable[ID]) -> tuple[PeerId, ...]:
    return tuple(PeerId(str(peer)) for peer in peers)
