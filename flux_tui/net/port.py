"""The port: what the node needs of a network, and nothing of libp2p.

Two implementations: `host.Libp2pNetwork` and `memory.MemoryNetwork` (tests, simulation); one suite of
tests runs on both.

Rules
- Nothing here waits for a peer. `push`, `serve`, `publish`, `route` and `dial` return at once; what came of them
  arrives later at the `Receiver`.
- A peer's queue is bounded. `push` to a full queue returns False and drops the message: the core
  decides what that means.
- The receiver's methods are called from the network's tasks, in the node's own trio thread, and
  must not block. Only `on_payload` is awaited: while it runs, this one peer's stream is not read.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire.messages import Chunk, Message, Route
from flux_tui.net.connections.frames import Piece

PUSH_PROTOCOL = "/flux/push/1.0.0"
INTENT_TOPIC = "/flux/intent/1.0.0"
KAD_PROTOCOL = "/flux/kad/1.0.0"
ROUTE_PROTOCOL = "/flux/route/1.0.0"
CIRCUIT = "p2p-circuit"
"""What a multiaddr says where a relay stands in between."""
CLOSEST = 20
"""Nodes that keep the providers of one root: Kademlia's k."""
WIDTH = 4
"""Of these, how many an intent is routed to: each knows the same providers, unless it came late or lies."""
MAX_FANOUT = 8
"""Providers that one node forwards one intent to."""
MAX_PROVIDED = 16_384
"""Roots that are kept provided; of more, the oldest are left out."""
QUEUE_MESSAGES = 4096
"""Control messages waiting for one peer; the next is dropped (`push` says so)."""
QUEUE_BYTES = 4 * 1024 * 1024
"""Bytes of the same."""
BAN_SECONDS = 10.0
"""A peer that was disconnected or sent garbage is refused for so long, at least."""


class NetworkError(Exception):
    """The network of this machine cannot be used as asked: one sentence for a person."""


class LoadedChunk(NamedTuple):
    """A chunk that was read from the store, ready to be written to a stream."""

    cid: Cid
    data: bytes | memoryview


Load = Callable[[], Awaitable[Sequence[LoadedChunk]]]
"""Reads some granted chunks (at most about 1 MiB together). Called only when the stream is ready to take
them, so that queued grants cost no memory. What could not be read or was cancelled is left out."""


class Receiver(Protocol):
    """What flows in. Implemented by the node."""

    def on_connected(self, peer: PeerId, addr: str) -> None:
        """A push stream to and from `peer` is open. Never twice without on_disconnected between."""

    def on_disconnected(self, peer: PeerId, why: str) -> None:
        """It is gone, with everything that was queued for it."""

    def on_message(self, peer: PeerId, message: Message) -> None:
        """A direct message without payload, from the authenticated `peer`."""

    def on_unknown(self, peer: PeerId, kind: str) -> None:
        """It pushed something of a kind that this version does not know; that was passed over."""

    def heeds(self, peer: PeerId) -> bool:
        """Whether what this peer pushes of its own will is acted on just now. Where not, it is read slowly."""

    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        """A chunk header came and `size` bytes will follow: keep them (True), or skip them unread?"""

    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None:
        """The bytes of a chunk that was wanted, in the pieces in which they came; not verified yet."""

    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        """A gossip message came by way of `forwarder`; nothing in it is verified. Returns whether it may
        travel on: nobody is to be blamed for another's garbage."""

    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        """These chunks, `size` bytes together, were written to the peer's stream."""

    def on_fault(self, peer: PeerId, fault: str, text: str) -> None:
        """The peer broke the protocol: `fault` is a short name, `text` a sentence."""

    def on_addrs(self, addrs: tuple[str, ...]) -> None:
        """This node can be dialled at other addresses than before: these."""

    def on_failure(self, text: str) -> None:
        """A task of the network failed, and was ended or restarted. One sentence; the log has the traceback."""

    def on_dial_failed(self, addr: str, why: str) -> None:
        """An address that was dialled does not answer, or is not what it says. One sentence."""

    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        """The DHT knows of these other nodes now, and of those no longer."""

    def on_found(self, addr: str) -> None:
        """Discovery (mDNS) found a peer's multiaddr, ending in /p2p/…. Not dialled yet."""


class Network(Protocol):
    """A running network."""

    @property
    def peer_id(self) -> PeerId:
        """This node's name."""

    @property
    def addrs(self) -> tuple[str, ...]:
        """The multiaddrs that others can dial, each with /p2p/PEER-ID at its end."""

    def peers(self) -> tuple[PeerId, ...]:
        """With whom a push stream is open now."""

    def push(self, peer: PeerId, message: Message) -> bool:
        """Queue a message. False: not connected, or its queue is full; the message is dropped."""

    def serve(self, peer: PeerId, load: Load) -> bool:
        """Queue chunks to be loaded and written, after what is queued before. False: not connected."""

    def publish(self, data: bytes) -> None:
        """Gossip to the swarm. Best effort by nature."""

    def provide(self, roots: Sequence[Cid]) -> None:
        """Say in the DHT that this node has these, and say it again before that is forgotten.

        Best effort, bounded (MAX_PROVIDED), what was given last first: the DHT takes a few a second.
        """

    def withdraw(self, roots: Sequence[Cid]) -> None:
        """Do not say it again. Whoever was told forgets it in its own time: nobody can be made to."""

    def route(self, roots: Sequence[Cid], message: Route) -> None:
        """Push a message to the nodes closest to each of these in the DHT. Best effort."""

    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        """Push it to the providers of these that this very node knows (MAX_FANOUT). Best effort."""

    def note_addrs(self, teller: PeerId, addrs: Sequence[str]) -> None:
        """This peer told of these addresses. Whether they may be dialled depends on where it comes from."""

    def dial(self, addr: str, *, keep: bool = False, more: Sequence[str] = (), hearsay: bool = False) -> None:
        """Connect in the background; on_connected or on_dial_failed tells.

        `more`: addresses of the same peer, to be tried in order where that one does not lead there.

        `keep`: try again, with patience, whenever the peer is not there, as long as the network is open.

        `hearsay`: others told of these (`note_addrs`), no person: see core/peers/dial_policy.py.
        """

    def disconnect(self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS) -> None:
        """Close the streams and the connection to this peer, soon, and refuse it for so long."""

    async def drain(self, seconds: float) -> None:
        """Return when all that was queued is handed to the streams, or after this long. For the end."""

    def rtt(self, peer: PeerId) -> float | None:
        """Smoothed round-trip time in seconds, where it is known."""

    def sign(self, data: bytes) -> bytes:
        """This node's Ed25519 signature, 64 bytes."""

    def verify(self, peer: PeerId, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is `peer`'s over `data`. False for a peer id that holds no key."""


OpenNetwork = Callable[[Receiver], AbstractAsyncContextManager[Network]]
"""How the node gets its network: opened with the receiver, closed when left."""
