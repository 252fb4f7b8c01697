"""Refusals: a node that takes no link of a peer now says why, and when the peer may come back.

The protocol is `/flux/refused/1.0.0`. The refusing node opens a stream on the peer's connection, writes one byte, the
length of a msgpack array, and the array `[reason, retry_after]`, and closes the stream. Then it closes the connection.
So neither side keeps a connection that leads nowhere, and the peer dials again at the right time. A peer of an earlier
version does not know the protocol: it only sees that the connection is closed.

Who is refused often is told rarely: opening a stream is more work than being refused.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, get_args

import msgpack
import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.text.quantities import human_seconds
from flux_tui.core.vocabulary import Reason
from flux_tui.net.connections.streams import exactly, try_to_close
from flux_tui.net.port import REFUSED_PROTOCOL

log = logging.getLogger(__name__)

REFUSED = TProtocol(REFUSED_PROTOCOL)
SEND_SECONDS, TAKE_SECONDS = 2.0, 5.0
"""Seconds to tell one refusal, and for one to arrive whole."""
MAX_SENDING, MAX_TAKING = 32, 32
"""Refusals that may be under way at a time, in each direction."""
AGAIN_SECONDS = 5.0
"""Seconds in which one peer is told once."""
MAX_PEERS = 1024
"""Peers for which the last refusal is remembered, in each direction."""
MAX_SECONDS = 3600.0
"""The longest time that a peer may name: the longest ban."""
WORDS: dict[str, str] = {
    "busy": "it has as many peers as it takes",
    "denied": "it refuses this node for now",
    "rate_limited": "this node connects to it too often",
}


class Refusal(NamedTuple):
    """Why a peer takes no link, and until when, in trio's time."""

    reason: Reason
    until: float

    @property
    def text(self) -> str:
        """The refusal as the end of a sentence about the peer, with the time that is left."""
        words = WORDS.get(self.reason, "it takes no link now")
        return f"{self.reason}: {words}; again in {human_seconds(max(self.until - trio.current_time(), 0.0))}"


class Refusals:
    """Tells peers that they are refused, and remembers which peers refuse this node.

    `on_refused`: called with the peer when a peer refuses this node.
    """

    def __init__(self, host: IHost, on_refused: Callable[[PeerId], None]) -> None:
        self._host = host
        self._on_refused = on_refused
        self._heard: BoundedTable[PeerId, Refusal] = BoundedTable(MAX_PEERS, refresh=True)
        self._told: BoundedTable[PeerId, float] = BoundedTable(MAX_PEERS, refresh=True)
        self._sending = self._taking = 0
        host.set_stream_handler(REFUSED, self._take)

    def of(self, peer: PeerId) -> Refusal | None:
        """Return the refusal of a peer that still holds; None: the peer may be dialled."""
        found = self._heard.get(peer)
        return found if found is not None and found.until > trio.current_time() else None

    def forget(self, peer: PeerId) -> None:
        """Forget a peer's refusal, because it has a link now."""
        self._heard.pop(peer, None)

    async def tell(self, peer: PeerId, reason: Reason, seconds: float) -> None:
        """Tell a connected peer that it is refused, and for how long. Does nothing if it was told just now.

        This waits at most SEND_SECONDS. The peer may not hear it.
        """
        now, who = trio.current_time(), ID.from_base58(peer)
        if self._sending >= MAX_SENDING or now - self._told.get(peer, float("-inf")) < AGAIN_SECONDS:
            return
        if not self._host.get_network().connections.get(who):
            return
        self._told[peer] = now
        body: bytes = msgpack.packb([reason, round(min(max(seconds, 1.0), MAX_SECONDS), 3)])
        self._sending += 1
        stream: INetStream | None = None
        try:
            with trio.fail_after(SEND_SECONDS):
                stream = await self._host.new_stream(who, [REFUSED])
                await stream.write(bytes([len(body)]) + body)
                await stream.close()
                with suppress(StreamEOF):
                    await stream.read(1)  # the peer closes its side when it has read
        except Exception as error:  # the peer is gone, or of an earlier version
            log.debug("%s is not told that it is refused: %r", peer, error)
            if stream is not None:
                await try_to_close(stream.reset)
        finally:
            self._sending -= 1

    async def _take(self, stream: INetStream) -> None:
        if self._taking >= MAX_TAKING:
            await try_to_close(stream.reset)
            return
        self._taking += 1
        try:
            with trio.fail_after(TAKE_SECONDS):
                (size,) = await exactly(stream, 1)
                refusal = _decoded(await exactly(stream, size))
                peer = PeerId(str(stream.muxed_conn.peer_id))
                self._heard[peer] = refusal
                self._on_refused(peer)
                await stream.close()
        except Exception as error:  # the stream ended, or it is no refusal
            log.debug("a refusal broke off: %r", error)
            await try_to_close(stream.reset)
        finally:
            self._taking -= 1


def _decoded(body: bytes) -> Refusal:
    """Decode a refusal. Raises ValueError if it is none. A reason of a later version counts as `busy`."""
    found: Any = msgpack.unpackb(body, max_array_len=8, max_map_len=0, max_ext_len=0)
    if not isinstance(found, list) or len(found) < 2 or not isinstance(found[0], str):
        raise ValueError("this is no refusal")
    reason, seconds = found[:2]
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise ValueError("a refusal without a time")
    known: Reason = reason if reason in get_args(Reason) else "busy"
    return Refusal(known, trio.current_time() + min(float(seconds), MAX_SECONDS))
