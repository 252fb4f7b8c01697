"""The port: what the node needs of a network, without anything of libp2p.

It has two implementations: `net.flux.host.Libp2pNetwork`, and `testing.memory_network.MemoryNetwork` for
tests and simulation. One suite of tests runs on both.

Rules:

- Nothing here waits for a peer. `push`, `serve`, `publish`, `route` and `dial` return at once. Their outcome
  arrives later at the `Receiver`.
- A peer's queue is bounded. `push` to a full queue returns False and drops the message. The core decides what
  follows.
- The network's tasks call the receiver's methods, in the node's own trio thread, so these must not block.
  Only `on_payload` is awaited. While it runs, this one peer's stream is not read.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire.messages import Chunk, Message, Route
from flux_tui.net.connections.frame_buffer import Piece

PUSH_PROTOCOL = "/flux/push/1.0.0"
INTENT_TOPIC = "/flux/intent/1.0.0"
KAD_PROTOCOL = "/flux/kad/1.0.0"
ROUTE_PROTOCOL = "/flux/route/1.0.0"
CIRCUIT = "p2p-circuit"
"""The part of a multiaddr that says that a relay stands in between."""
CLOSEST = 20
"""Nodes that keep the provider records of one root: Kademlia's k."""
WIDTH = 4
"""How many of these an intent is routed to: each knows the same providers, unless it came late or lies."""
MAX_FANOUT = 8
"""Providers that one node forwards one intent to."""
MAX_PROVIDED = 16_384
"""Roots that are kept provided; above this, the oldest are left out."""
QUEUE_MESSAGES = 4096
"""Control messages waiting for one peer. A further one is dropped, and `push` returns False."""
QUEUE_BYTES = 4 * 1024 * 1024
"""Bytes of these messages."""
BAN_SECONDS = 10.0
"""Seconds, at least, for which a peer that was disconnected or sent garbage is refused."""


class NetworkError(Exception):
    """This machine's network cannot be used as asked: one sentence for a person."""


class LoadedChunk(NamedTuple):
    """A chunk that was read from the store, ready to be written to a stream."""

    cid: Cid
    data: bytes | memoryview


class Receiver(Protocol):
    """Takes what arrives from the network. The node implements it."""

    def on_connected(self, peer: PeerId, addr: str) -> None:
        """A push stream to and from `peer` is open. Never called twice without on_disconnected in between."""

    def on_disconnected(self, peer: PeerId, why: str) -> None:
        """The push stream is gone, with everything that was queued for the peer."""

    def on_message(self, peer: PeerId, message: Message) -> None:
        """A direct message without payload came from the authenticated `peer`."""

    def on_unknown(self, peer: PeerId, kind: str) -> None:
        """The peer pushed a message of a kind that this version does not know. It was skipped."""

    def admits(self, peer: PeerId) -> bool:
        """Whether this peer's unsolicited messages are admitted now. If not, its stream is read slowly."""

    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        """A chunk's header came, and `size` bytes will follow. Return whether to keep them; else they are skipped."""

    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None:
        """The bytes of a wanted chunk came, in the pieces in which they arrived; not verified yet."""

    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        """A gossip message came from `forwarder`; nothing in it is verified.

        Returns whether it may be forwarded: no node should be blamed for another's garbage.
        """

    async def next_chunks(self, peer: PeerId) -> Sequence[LoadedChunk]:
        """Read the chunks to write next to a peer, some 1 MiB at most; an empty sequence if there are none.

        Awaited after `Network.serve`, by one task for each peer, when the stream is about to be ready. After
        an empty sequence it is not called again until the next `serve`.
        """

    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        """Return those of these chunks that are still to be sent. Called just before they are written to the stream."""

    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        """These chunks, `size` bytes together, were written to the peer's stream."""

    def on_fault(self, peer: PeerId, fault: str, text: str) -> None:
        """The peer broke the protocol: `fault` is a short name, `text` a sentence."""

    def on_addrs(self, addrs: tuple[str, ...]) -> None:
        """This node's addresses have changed to these."""

    def on_failure(self, text: str) -> None:
        """A task of the network failed, and was ended or restarted. One sentence; the log has the traceback."""

    def on_dial_failed(self, addr: str, why: str) -> None:
        """A dialled address does not answer, or another peer answers there. One sentence."""

    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        """The DHT's table has gained the nodes `came`, and lost the nodes `went`."""

    def on_found(self, addr: str) -> None:
        """MDNS found a peer's multiaddr, ending in /p2p/…. It is not dialled yet."""


class Network(Protocol):
    """A running network."""

    peer_id: PeerId
    """This node's peer id."""

    @property
    def addrs(self) -> tuple[str, ...]:
        """The multiaddrs that peers can dial, each with /p2p/PEER-ID at its end."""

    def peers(self) -> tuple[PeerId, ...]:
        """Return the peers with an open push stream."""

    def push(self, peer: PeerId, message: Message) -> bool:
        """Queue a message. False: not connected, or the queue is full; the message is dropped."""

    def serve(self, peer: PeerId) -> bool:
        """There are chunks for this peer: write them, as `Receiver.next_chunks` returns them. False: not connected."""

    def publish(self, data: bytes) -> None:
        """Gossip a message to the swarm. Best effort."""

    def provide(self, roots: Sequence[Cid]) -> None:
        """Provide these roots in the DHT: tell it that this node has them, and again before it forgets.

        Best effort and bounded (MAX_PROVIDED). The roots given last come first: the DHT takes a few a second.
        """

    def withdraw(self, roots: Sequence[Cid]) -> None:
        """Stop providing these roots. Nodes that have a record keep it until it expires: nobody can take it back."""

    def route(self, roots: Sequence[Cid], message: Route) -> None:
        """Push a message to the nodes closest to each of these roots in the DHT. Best effort."""

    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        """Push a message to the providers of these roots that this node itself knows (MAX_FANOUT). Best effort."""

    def note_addrs(self, teller: PeerId, addrs: Sequence[str]) -> None:
        """Note that this peer told of these addresses. How near the peer is decides whether they may be dialled."""

    def dial(
        self, addr: str, *, keep: bool = False, more: Sequence[str] = (), from_peers: bool = False
    ) -> None:
        """Connect in the background; on_connected or on_dial_failed tells the outcome.

        `more`: further addresses of the same peer, tried in order if the first one fails.

        `keep`: try again, with backoff, whenever the peer is not connected, while the network is open.

        `from_peers`: peers told of these addresses (`note_addrs`), not a person: see core/peers/dial_permission.py.
        """

    def disconnect(self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS) -> None:
        """Close the streams and the connection to this peer soon, and refuse it for `seconds`."""

    async def drain(self, seconds: float) -> None:
        """Return when everything queued is handed to the streams, or after `seconds`. For the end."""

    def rtt(self, peer: PeerId) -> float | None:
        """Return the smoothed round-trip time in seconds, where it is known."""

    def sign(self, data: bytes) -> bytes:
        """Return this node's Ed25519 signature of `data`, 64 bytes."""

    def verify(self, peer: PeerId, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is `peer`'s over `data`. False for a peer id that holds no key."""


OpenNetwork = Callable[[Receiver], AbstractAsyncContextManager[Network]]
"""Opens the node's network with a receiver; leaving the context closes it."""
