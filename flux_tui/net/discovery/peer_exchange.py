"""Carries what nodes tell each other about peers, each message alone on a stream of its own.

The protocol is `/flux/peers/1.0.0`. A node opens a stream, writes the length of one message (4 bytes, big endian) and
the message, and closes the stream. A node of an earlier version does not know this protocol, and gets no message. Such
a peer is remembered for FOREIGN_SECONDS, and no stream to it is opened meanwhile. Everything is best effort: messages
wait in a bounded queue, and background tasks send them.
"""

import logging
from collections.abc import Callable

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.wire.codec import ABOUT_PEERS, BadFrameError
from flux_tui.core.wire.exchange import MAX_TOLD
from flux_tui.net.connections.streams import prefixed, read_prefixed, try_to_close
from flux_tui.net.port import PEERS_PROTOCOL, Receiver
from flux_tui.net.upstream.select_connection import is_foreign

log = logging.getLogger(__name__)

PEERS = TProtocol(PEERS_PROTOCOL)
QUEUE, WORKERS = 256, 4
"""Messages that wait to be sent (further ones are dropped), and messages sent at a time."""
SEND_SECONDS, TAKE_SECONDS = 10.0, 5.0
"""Seconds to send one message, and for one to arrive whole."""
MAX_TAKING = 32
"""Messages that may be arriving at a time."""
FOREIGN_SECONDS, MAX_FOREIGN = 3600.0, 1024
"""Seconds for which a peer that does not speak the protocol is remembered, and how many are."""


class PeerExchange:
    """Sends this node's messages about peers, and passes the messages of peers to the receiver.

    `is_banned`: whether this node refuses a peer now; nothing is taken from such a peer.
    """

    def __init__(self, host: IHost, receiver: Receiver, is_banned: Callable[[PeerId], bool]) -> None:
        self._host = host
        self._receiver = receiver
        self._is_banned = is_banned
        self._queue_in, self._queue = trio.open_memory_channel[tuple[PeerId, bytes]](QUEUE)
        self._foreign: BoundedTable[PeerId, float] = BoundedTable(MAX_FOREIGN)
        self._taking = 0
        host.set_stream_handler(PEERS, self._take)

    def tell(self, peer: PeerId, data: bytes) -> None:
        """Queue a message for a connected peer. See net.port.Network.tell.

        It is dropped if the queue is full, or if the peer lately did not know the protocol (FOREIGN_SECONDS).
        """
        if self._foreign.get(peer, 0.0) > trio.current_time():
            return
        try:
            self._queue_in.send_nowait((peer, data))
        except trio.WouldBlock:
            log.debug("too much waits to be told: %s is not told", peer)

    async def run(self) -> None:
        """Send the queued messages, until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._send_all)

    async def _send_all(self) -> None:
        async for peer, data in self._queue:
            await self._send(peer, data)

    async def _send(self, peer: PeerId, data: bytes) -> None:
        known = ID.from_base58(peer)
        if not self._host.get_network().connections.get(known):
            return  # nobody is dialled for this
        stream: INetStream | None = None
        try:
            with trio.fail_after(SEND_SECONDS):
                stream = await self._host.new_stream(known, [PEERS])
                await stream.write(prefixed(data))
                await stream.close()
        except Exception as error:  # the peer is gone, or of an earlier version
            log.debug("%s is not told of peers: %r", peer, error)
            if is_foreign(error):
                self._foreign[peer] = trio.current_time() + FOREIGN_SECONDS
            if stream is not None:
                await try_to_close(stream.reset)

    async def _take(self, stream: INetStream) -> None:
        peer = PeerId(str(stream.muxed_conn.peer_id))
        if self._taking >= MAX_TAKING or self._is_banned(peer):
            await try_to_close(stream.reset)
            return
        self._taking += 1
        try:
            with trio.fail_after(TAKE_SECONDS):
                data = await read_prefixed(stream, MAX_TOLD, ABOUT_PEERS)
                await stream.close()
        except BadFrameError as error:
            self._receiver.on_fault(peer, "garbage", str(error))
            await try_to_close(stream.reset)
        except Exception as error:  # the stream was reset, or was too slow
            log.debug("what %s tells of peers broke off: %r", peer, error)
            await try_to_close(stream.reset)
        else:
            self._receiver.on_told(peer, data)
        finally:
            self._taking -= 1
