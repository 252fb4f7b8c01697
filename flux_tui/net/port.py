"""The network as the node sees it: two interfaces, `Network` and `Receiver`, without anything of libp2p.

`Network` has two implementations: `net.flux.libp2p_network.Libp2pNetwork`, and
`testing.memory_network.MemoryNetwork` for tests and simulation. The same tests run on both. The node implements
`Receiver`.

Rules:

- No call waits for a peer. `push`, `serve`, `publish`, `route` and `dial` return at once. Their outcome
  arrives later at the `Receiver`.
- A peer's queue is bounded. `push` to a full queue returns False and drops the message. The core decides what
  to do then.
- The network's tasks call the receiver's methods in the node's trio thread, so these methods must not block.
  While `on_payload` is awaited, only this one peer's stream is not read.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from flux_tui.core.errors import FluxError
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.vocabulary import ErrorCode, Speaks, Way
from flux_tui.core.wire.exchange import OpenedRecord
from flux_tui.core.wire.messages import Chunk, Message, Route, Want
from flux_tui.net.connections.yamux_read_buffer import Piece

PUSH_PROTOCOL = "/flux/push/1.0.0"
MOVE_PROTOCOL = "/flux/move/1.0.0"
"""A stream on which the push stream of its opener goes on. The one before is closed at the end of a frame."""
INTENT_TOPIC = "/flux/intent/1.0.0"
KAD_PROTOCOL = "/flux/kad/1.0.0"
ROUTE_PROTOCOL = "/flux/route/1.0.0"
PEERS_PROTOCOL = "/flux/peers/1.0.0"
PROVIDE_PROTOCOL = "/flux/provide/1.0.0"
"""A stream on which a node tells another one, close to them in the DHT, which roots it has: many at once."""
REFUSED_PROTOCOL = "/flux/refused/1.0.0"
"""A stream on which a node says why it takes no link of its peer, and when the peer may come back."""
CIRCUIT = "p2p-circuit"
"""The part of a multiaddr that says that a relay stands in between."""
CLOSEST = 20
"""Nodes that keep the provider records of one root: Kademlia's k."""
WIDTH = 4
"""How many of these an intent is routed to: each knows the same providers, unless it came late or lies."""
MAX_FANOUT = 8
"""Providers that one node forwards one intent to."""
MAX_PROVIDED = 131_072
"""Roots that are kept provided; above this, the oldest are left out."""
QUEUE_MESSAGES = 4096
"""Control messages waiting for one peer. A further one is dropped, and `push` returns False."""
QUEUE_BYTES = 4 * 1024 * 1024
"""Bytes of these messages."""
BAN_SECONDS = 10.0
"""Seconds, at least, for which a peer that was disconnected or sent garbage is refused."""


class NetworkError(FluxError):
    """Raised if this machine's network cannot be used as asked. The message is one sentence for a person."""


class LoadedChunk(NamedTuple):
    """A chunk that was read from the store, to be written to a peer's stream."""

    cid: Cid
    data: bytes | memoryview


class Receiver(Protocol):
    """Handles everything that arrives from the network. The node implements it."""

    def on_connected(self, peer: PeerId, addr: str, way: Way = "direct", speaks: Speaks = "flux") -> None:
        """Called when the push link to `peer` is up: messages can flow both ways. `speaks`: the link's protocol.

        It is never called twice for a peer without on_disconnected in between.
        """

    def on_moved(self, peer: PeerId, addr: str, way: Way) -> None:
        """Called when the push link to `peer` has moved to another connection, such as from a relay to a direct one.

        The link stays up, and no message is lost. `addr`, `way`: the peer's address there, and how it is reached.
        """

    def on_disconnected(self, peer: PeerId, why: str) -> None:
        """Called when the push link to a peer has ended. Everything queued for the peer is lost. `why`: a sentence."""

    def on_message(self, peer: PeerId, message: Message) -> None:
        """Called for a message without payload from `peer`, whose identity is authenticated."""

    def on_want(self, peer: PeerId, want: Want) -> None:
        """Called for a want of a peer that signs no intents: it speaks Bitswap only. Its identity is authenticated."""

    def on_unknown(self, peer: PeerId, kind: str) -> None:
        """Called if a peer pushed a message of a kind that this version does not know. The message was skipped."""

    def on_told(self, peer: PeerId, data: bytes) -> None:
        """Called for a message about peers (core/wire/exchange.py) that `peer` sent by `Network.tell`.

        `data`: the encoded message. Nothing in it is verified yet.
        """

    def on_agent_version(self, peer: PeerId, told: str) -> None:
        """Called when a peer has told its agent version, the program that it runs (core/text/agent_versions.py).

        `told`: any text of any length. A peer tells it after each new connection, before or after on_connected, and
        may tell it again at any time.
        """

    def admits(self, peer: PeerId) -> bool:
        """Return whether this node accepts this peer's unrequested messages now. If not, the peer is read slowly."""

    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        """Return whether to keep the payload of a chunk; False: it is skipped. Called when only the header has come.

        `size`: bytes of the payload.
        """

    def on_progress(self, peer: PeerId, chunk: Chunk, received: int, seconds: float) -> None:
        """Called about once a second while a wanted chunk comes slowly; never for a chunk that comes within a second.

        `received`: bytes of the chunk that have arrived. `seconds`: the time since its header came.
        """

    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None:
        """Called for the bytes of a wanted chunk, in the pieces in which they arrived. They are not verified yet."""

    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        """Handle the bytes of a signed intent that `forwarder` passed on by gossip. Nothing in them is verified yet.

        Returns whether the message may be forwarded to other nodes. Invalid ones may not.
        """

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        """Read the next chunks to write to a peer, about 1 MiB at most; an empty sequence if there are none.

        The peer's writing task awaits this after `Network.serve`, shortly before the stream is ready for more.
        After an empty sequence, it is not called again until the next `serve`.

        `spread`: prefer chunks that were not just sent to another peer, within the order of the peer's grants. The
        caller has written what it took before, and writes these now.
        """

    def chunks_in_memory(self, peer: PeerId) -> Sequence[LoadedChunk] | None:
        """Do the same as `next_chunks` at once, about 2 MiB at most. None: the chunks have to be read from a disk."""

    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        """Return the chunks of these that the peer has not cancelled. Called just before they are written."""

    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        """Called after these chunks, `size` bytes together, were written to the peer's stream."""

    def on_fault(self, peer: PeerId, fault: str, text: str) -> None:
        """Called if the peer broke the protocol. `fault`: a short name. `text`: a sentence."""

    def on_addrs(self, addrs: tuple[str, ...]) -> None:
        """Called when the addresses at which this node can be dialled have changed to `addrs`."""

    def on_failure(self, text: str, *, addr: str | None = None, code: ErrorCode = "other") -> None:
        """Called if a task of the network failed, and was ended or restarted, or if the network loses packets.

        `text`: a sentence; of a failed task, the log has the traceback. `addr`: the peer's address that it is about.
        """

    def on_dial_failed(self, addr: str, why: str) -> None:
        """Called if nobody answers at a dialled address, or the wrong peer does. `why`: a sentence."""

    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        """Called when the DHT's routing table has gained the nodes `came`, and lost the nodes `went`."""

    def on_provided(self, roots: int, left: int, seconds: float) -> None:
        """Called now and then in a long round of provider records, and at its end.

        `roots`: those that other nodes were told of since the last call. `left`: those that wait. `seconds`: the time
        until the last of them is told.
        """

    def on_found(self, addr: str) -> None:
        """Called if mDNS found the multiaddr of a peer, ending in /p2p/…. The address is not dialled yet."""


class Network(Protocol):
    """A running network, as the node uses it."""

    peer_id: PeerId
    """This node's peer id."""

    @property
    def addrs(self) -> tuple[str, ...]:
        """The multiaddrs at which peers can dial this node, each with /p2p/PEER-ID at its end."""

    def peers(self) -> tuple[PeerId, ...]:
        """Return the peers whose push link is up."""

    def push(self, peer: PeerId, message: Message) -> bool:
        """Queue a message for a peer. Returns False if the message was dropped: no link, or a full queue."""

    def serve(self, peer: PeerId) -> bool:
        """Begin to write chunks to a peer, taken from `Receiver.next_chunks`. Returns False if it is not connected."""

    def publish(self, data: bytes) -> None:
        """Send a signed intent (its bytes) to the swarm by gossip. It may be lost."""

    def provide(self, roots: Sequence[Cid], *, wanted: bool = False) -> None:
        """Tell the DHT that this node has these roots, and tell it again before the records expire.

        At most MAX_PROVIDED roots are provided. `wanted`: peers wanted these roots before; they come before all others.
        Of the others, the roots given last come first. `Receiver.on_provided` tells how far a long round is.
        """

    def withdraw(self, roots: Sequence[Cid]) -> None:
        """Stop telling the DHT that this node has these roots.

        Nodes that know it already keep their record until it expires: nobody can take it back.
        """

    def route(self, roots: Sequence[Cid], message: Route) -> None:
        """Push a message to the nodes closest to each of these roots in the DHT. It may be lost."""

    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        """Push a message to those providers of these roots that this node knows, at most MAX_FANOUT. It may be lost."""

    def tell(self, peer: PeerId, data: bytes) -> None:
        """Send a message about peers to a connected peer. It may be lost. `data`: encoded (core/wire/exchange.py).

        Nothing is sent to a peer of an earlier version, which does not know such messages.
        """

    def seal_record(self, seq: int) -> bytes:
        """Return this node's signed record, with its present addresses and the number `seq`."""

    def open_record(self, sealed: bytes) -> OpenedRecord | None:
        """Check a signed record, and return its content; None: it is no record, or its peer did not sign it."""

    def reach(self, peer: PeerId) -> Reach:
        """Return how near a connected peer is: on this machine, in a private network, or public."""

    def note_addrs(self, teller: PeerId, addrs: Sequence[str], reach: Reach | None = None) -> None:
        """Note that the peer `teller` named these addresses. They may be dialled only if the teller is near enough.

        `reach`: how near the teller was when it named them; None: as near as it is now.
        """

    def dial(
        self, addr: str, *, keep: bool = False, more: Sequence[str] = (), from_peers: bool = False
    ) -> None:
        """Begin to connect to a peer, in the background. The outcome is reported by on_connected or on_dial_failed.

        `more`: further addresses of the same peer, tried in order if the first one fails.

        `keep`: dial again, with backoff, whenever the peer is not connected, while the network is open.

        `from_peers`: the addresses were named by peers (`note_addrs`), not by a person; see
        core/peers/address_dial_policy.py.
        """

    def disconnect(
        self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS, forget: bool = False
    ) -> None:
        """Close the link and connections to this peer soon, and refuse the peer for `seconds`. `why`: a sentence.

        `forget`: also stop dialling its addresses that are kept (`dial`), until a person names one with `keep`: then
        the peer is not refused any more.
        """

    async def drain(self, seconds: float) -> None:
        """Wait until everything queued is written to the streams, at most `seconds`. Called before the node ends."""

    def rtt(self, peer: PeerId) -> float | None:
        """Return the smoothed round-trip time to a peer in seconds; None if it is not known."""

    def sign(self, data: bytes) -> bytes:
        """Sign `data` with this node's key. Returns the Ed25519 signature, 64 bytes."""

    def verify(self, peer: PeerId, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is the signature of `peer` for `data`. False if the peer id contains no public key."""


OpenNetwork = Callable[[Receiver], AbstractAsyncContextManager[Network]]
"""Opens the node's network with a receiver; leaving the context closes it."""
