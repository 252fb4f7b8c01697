"""Broadcasts intents to the swarm: gossipsub on one topic.

Gossip is best effort, because libp2p's queues drop silently when they are full. So an intent that certain
peers must get is also pushed to them directly, and an intent that nobody answered is pushed again by timer.

Intents carry their origin's signature, so gossipsub's own is off. A message's id is the hash of its content,
so a copy is recognised whichever peer sends it.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from typing import Any, cast

import trio
from libp2p.abc import IHost, INetStream
from libp2p.exceptions import ParseError
from libp2p.io.exceptions import IncompleteReadError
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.utils.varint import encode_uvarint, read_varint_prefixed_bytes_limited

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.wire.codec import MAX_SEALED
from flux_tui.net.addresses.dial_guard import DialGuard
from flux_tui.net.connections.read_pace import NOT_ADMITTED, Pace
from flux_tui.net.connections.supervisor import Supervisor
from flux_tui.net.port import INTENT_TOPIC, Receiver
from flux_tui.net.upstream.supervised_manager import supervised

log = logging.getLogger(__name__)

DEGREE, DEGREE_LOW, DEGREE_HIGH = 6, 4, 12
"""Neighbours in the mesh: wanted, at least, at most (gossipsub's own defaults)."""
HEARTBEAT_SECONDS = 1
PX_PEERS = 0
"""Peers that this node dials because a neighbour named them when it removed this node from its mesh (PRUNE).

libp2p 0.8.1 dials 16 of each PRUNE, even with `do_px=False`, so a stranger would choose whom this node dials:
1,200 addresses in 4 s. A node has better ways to meet peers: tickets, the DHT and mDNS.
"""
MAX_RPC = 256 * 1024
"""Bytes of one gossipsub message, which may hold several intents."""
MAX_PARTS = 1024
"""Parts of one gossipsub message. A neighbour may list some 5,000 message ids in one, which count as 312."""
GOSSIP_BURST, GOSSIP_RATE = 1024.0, 128.0
"""Parts of gossipsub messages read from one neighbour, at once and per second: each costs 1.5 ms. What
arrives faster is read later."""
OPENING_BURST, OPENING_RATE = 8.0, 0.2
"""Streams that this node opens to one neighbour, at once and per second in the long run."""
MAX_OPENINGS = 1024
"""Neighbours whose paces are remembered."""
OUTBOX = 256
"""Intents waiting to be published; a newer one displaces the oldest."""


class Broadcast:
    """Publishes this node's intents by gossip, and passes the intents of other nodes to the receiver."""

    def __init__(self, pubsub: Pubsub) -> None:
        self._pubsub = pubsub
        self._send, self._receive = trio.open_memory_channel[bytes](OUTBOX)

    def publish(self, data: bytes) -> None:
        """Queue a signed intent (its bytes) to be published by gossip."""
        try:
            self._send.send_nowait(data)
        except trio.WouldBlock:
            self._receive.receive_nowait()
            self._send.send_nowait(data)

    async def run_outbox(self) -> None:
        """Publish the queued intents by gossip, until cancelled."""
        async for data in self._receive:
            try:
                await self._pubsub.publish(INTENT_TOPIC, data)
            except Exception as error:  # a neighbour went away meanwhile
                log.debug("publishing: %r", error)

    async def run_inbox(self, me: PeerId, receiver: Receiver) -> None:
        """Pass intents that come by gossip to the receiver, until cancelled. Those of this node (`me`) are not passed.

        The receiver is called from gossipsub's validator, because only a validator learns which neighbour forwarded a
        message. (The message itself names an origin, which gossipsub does not check.) The validator sees each message
        once. A message that the receiver rejects is not forwarded.
        """

        def take(forwarder: ID, message: rpc_pb2.Message) -> bool:
            peer = PeerId(str(forwarder))
            if peer != me:
                if not 0 < len(message.data) <= MAX_SEALED:
                    return False
                return receiver.on_gossip(peer, message.data)
            return True

        self._pubsub.set_topic_validator(INTENT_TOPIC, take, is_async_validator=False)
        subscription = await self._pubsub.subscribe(INTENT_TOPIC)
        while True:
            await subscription.get()  # only keeps the queue empty: the validator has passed the message on


class TooManyPartsError(Exception):
    """Raised if one gossipsub message has more than MAX_PARTS parts."""


class PacedPubsub(Pubsub):
    """libp2p's Pubsub, but each neighbour is read at a limited rate, and garbage ends only one stream."""

    def __init__(self, receiver: Receiver, guard: DialGuard, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiver = receiver
        self._guard = guard
        self._openings: BoundedTable[ID, Pace] = BoundedTable(MAX_OPENINGS)
        self._paces: BoundedTable[ID, Pace] = BoundedTable(MAX_OPENINGS)
        """How fast each neighbour is read."""
        self._reading: dict[ID, trio.CancelScope] = {}

    async def _handle_new_peer(self, peer_id: ID) -> None:
        """Open this node's gossip stream to a neighbour, at a limited rate.

        Without the limit, libp2p would reopen the stream at once each time a neighbour resets it, without end.
        """
        await _pace_of(self._openings, peer_id, OPENING_BURST, OPENING_RATE).spend(1)
        await super()._handle_new_peer(peer_id)

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Read a neighbour's gossip stream until it ends, or until the neighbour opens another one.

        Only one stream is read at a time, because each may hold MAX_RPC bytes of an unfinished message.
        """
        peer = stream.muxed_conn.peer_id
        with trio.CancelScope() as scope:
            if (before := self._reading.get(peer)) is not None:
                before.cancel()
            self._reading[peer] = scope
            try:
                await self._read(stream, peer)
            finally:
                if self._reading.get(peer) is scope:
                    del self._reading[peer]
        if scope.cancelled_caught:
            await stream.reset()

    async def _read(self, stream: INetStream, peer: ID) -> None:
        """Read one gossip stream. Garbage is reported as the peer's fault, and ends only this stream."""
        pace, name = _pace_of(self._paces, peer, GOSSIP_BURST, GOSSIP_RATE), PeerId(str(peer))
        try:
            exchanged = partial(self._guard.peer_exchange, peer)
            rpcs = _PacedRpcs(stream, pace, partial(self._receiver.admits, name), exchanged)
            await super().continuously_read_stream(cast("INetStream", rpcs))
        except (StreamError, ParseError, IncompleteReadError):
            raise  # libp2p expects these: they end the stream
        except Exception as error:  # a parser's error, which libp2p does not expect
            self._receiver.on_fault(
                name, "garbage", f"gossip that is not a message: {type(error).__name__} {error}"
            )
            raise ParseError(str(error)) from error


def _pace_of(paces: BoundedTable[ID, Pace], peer: ID, burst: float, rate: float) -> Pace:
    pace = paces.get(peer)
    if pace is None:
        pace = paces[peer] = Pace(burst, rate)
    return pace


class _PacedRpcs:
    """A gossip stream from which complete messages are read, at a limited rate."""

    def __init__(
        self, stream: INetStream, pace: Pace, admitted: Callable[[], bool], exchanged: Callable[[int], None]
    ) -> None:
        self._stream = stream
        self._exchanged = exchanged
        self._admitted = admitted
        self._pace = pace
        self._left = b""
        self._at = 0
        self.muxed_conn = stream.muxed_conn
        self.metric_send_channel = stream.metric_send_channel

    async def read(self, n: int | None = None) -> bytes:
        """Return up to `n` bytes of the next message, its length and its body; None: all. Wait as the rate limit says.

        Raises TooManyPartsError, or an error of the stream or of the parser.
        """
        if self._at >= len(self._left):
            await self._pace.settle()  # pay for the last message; no message is in memory during this wait
            body = await read_varint_prefixed_bytes_limited(self._stream, MAX_RPC)
            rpc = rpc_pb2.RPC()
            rpc.ParseFromString(body)
            parts = _parts(rpc)
            if parts > MAX_PARTS:
                raise TooManyPartsError(f"({parts:,} in one message)")
            if (named := sum(len(prune.peers) for prune in rpc.control.prune)) > 0:
                self._exchanged(named)
            self._pace.owe(parts * (1 if self._admitted() else NOT_ADMITTED))
            self._left, self._at = encode_uvarint(len(body)) + body, 0
        end = len(self._left) if n is None else self._at + n
        data = self._left[self._at : end]
        self._at += len(data)
        return data


def _parts(rpc: rpc_pb2.RPC) -> int:
    """Return how many parts of a message are handled one by one, as a measure of its cost."""
    control = rpc.control
    ids = sum(len(have.messageIDs) for have in control.ihave) + sum(len(w.messageIDs) for w in control.iwant)
    others = len(control.graft) + len(control.prune) + len(control.ihave) + len(control.iwant)
    return 1 + len(rpc.publish) + len(rpc.subscriptions) + others + ids // 16


@asynccontextmanager
async def open_broadcast(
    host: IHost, receiver: Receiver, supervisor: Supervisor, guard: DialGuard
) -> AsyncIterator[Broadcast]:
    """Run gossipsub on a host while the context lasts, and yield its Broadcast."""
    router = GossipSub(
        [PROTOCOL_ID_V11, PROTOCOL_ID],
        DEGREE,
        DEGREE_LOW,
        DEGREE_HIGH,
        heartbeat_interval=HEARTBEAT_SECONDS,
        px_peers_count=PX_PEERS,
        spam_protection_enabled=False,  # it would count this node's own messages, ten a second
    )
    pubsub = PacedPubsub(
        receiver,
        guard,
        host,
        router,
        max_inbound_rpc_size=MAX_RPC,
        strict_signing=False,
        msg_id_constructor=_content_id,
        allowed_topics=frozenset({INTENT_TOPIC}),
    )
    async with supervised(pubsub, supervisor), supervised(router, supervisor):
        await pubsub.wait_until_ready()
        yield Broadcast(pubsub)


def _content_id(message: rpc_pb2.Message) -> bytes:
    return sha256(message.data).digest()
