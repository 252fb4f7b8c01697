"""The links to the Bitswap peers of one host: which peers may have one, and when it comes up and ends.

A link comes up when a peer that was dialled takes a stream of Bitswap, or when a peer opens one. It lasts as long as a
connection to the peer. A peer has one link only: with flux's own protocol if it speaks that, else with Bitswap.
`on_connected` and `on_disconnected` strictly alternate for each peer, whichever link it is.
"""

import logging
from collections.abc import Callable
from functools import partial

import trio
from libp2p.abc import IHost, IMuxedConn, INetConn, INetStream, INetwork
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.net.bitswap.link import CLOSED, VERSIONS, BitswapLink, Streams
from flux_tui.net.bitswap.message_reader import StalledError
from flux_tui.net.bitswap.messages import BadMessageError
from flux_tui.net.connections.open_connections import ConnectionNotifee
from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.connections.supervisor import Tasks
from flux_tui.net.port import Receiver
from flux_tui.net.upstream.select_connection import is_foreign, way_of

log = logging.getLogger(__name__)

STRANGER_SECONDS = 30.0
"""Seconds after which the link of a peer that exchanged no block makes room for another one."""
PROTECTED = "bitswap"
"""The reason for which libp2p keeps a connection."""


class BitswapLinks(ConnectionNotifee):
    """Brings up, runs and ends the Bitswap links of one host.

    `admits`: whether a peer may have a link now (bans, and peers that come back too often). `speaks_flux`: whether a
    peer has a link of flux's own protocol. `addr_of`: a peer's address on a connection. `most`: links at a time.
    """

    def __init__(
        self,
        host: IHost,
        receiver: Receiver,
        nursery: Tasks,
        streams: Streams,
        *,
        admits: Callable[[PeerId], bool],
        speaks_flux: Callable[[PeerId], bool],
        addr_of: Callable[[PeerId, IMuxedConn | None], str],
        on_garbage: Callable[[PeerId, str], None],
        most: int,
    ) -> None:
        self._host = host
        self._receiver = receiver
        self._nursery = nursery
        self._streams = streams
        self._admits = admits
        self._speaks_flux = speaks_flux
        self._addr_of = addr_of
        self._on_garbage = on_garbage
        self._most = most
        self._links: dict[PeerId, BitswapLink] = {}
        for version in VERSIONS:
            host.set_stream_handler(TProtocol(version), self.take)
        host.get_network().register_notifee(self)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._links

    def up(self, peer: PeerId) -> BitswapLink | None:
        """Return the link to a peer; None: there is none, or it is not up."""
        link = self._links.get(peer)
        return link if link is not None and link.up.is_set() else None

    def all_up(self) -> list[BitswapLink]:
        """Return the links that are up."""
        return [link for link in self._links.values() if link.up.is_set()]

    def end(self, peer: PeerId, why: str) -> None:
        """End the link to a peer soon, if there is one. `why`: the reason, in a sentence."""
        if (link := self._links.get(peer)) is not None:
            link.end(why)

    async def yield_to_flux(self, peer: PeerId) -> None:
        """End the link to a peer whose link of flux's own protocol comes up, and wait until the receiver was told."""
        if (link := self._links.get(peer)) is not None:
            link.end("it speaks flux as well")
            await link.done.wait()

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """End the link to a peer whose last connection has closed."""
        who = conn.muxed_conn.peer_id
        if not any(one is not conn for one in network.connections.get(who, ())):
            self.end(PeerId(str(who)), CLOSED)

    async def bring_up(self, peer: PeerId, connection: IMuxedConn | None) -> str | None:
        """Bring up the link to a connected peer. Returns why that failed, in a sentence; None on success.

        The sentence is empty if the peer does not speak Bitswap.
        """
        link = self._link(peer, connection)
        if link is None:
            return "it may have too many peers, or refuse this node"
        if link.up.is_set():
            return None
        try:
            await link.open()
        except Exception as error:  # libp2p raises many kinds; each means that there is no stream
            log.debug("no Bitswap stream to %s: %r", peer, error)
            if not link.up.is_set():  # the peer may have opened one meanwhile
                self._links.pop(peer, None)
            return "" if is_foreign(error) else f"no stream came up: {error}"
        self._came_up(link, connection)
        return None

    async def take(self, stream: INetStream) -> None:
        """Read a stream that a peer opened, until it ends. A peer that may not have a link is refused."""
        peer = PeerId(str(stream.muxed_conn.peer_id))
        link = self._link(peer, stream.muxed_conn)
        if link is None:
            await try_to_close(stream.reset)
            return
        self._came_up(link, stream.muxed_conn)
        await link.take(partial(self._read, link, stream))

    async def _read(self, link: BitswapLink, stream: INetStream) -> None:
        try:
            await link.read(stream)
            await try_to_close(stream.close)
        except StalledError as error:
            self._receiver.on_fault(link.peer, "slow", str(error))
            link.end(str(error))
        except BadMessageError as error:
            self._receiver.on_fault(link.peer, "garbage", str(error))
            self._on_garbage(link.peer, f"it sent garbage: {error}")
        except (
            Exception
        ) as error:  # the end of the stream, in any wording of libp2p: only this message is lost
            log.debug("a Bitswap stream of %s ended: %r", link.peer, error)
            await try_to_close(stream.reset)

    def _link(self, peer: PeerId, connection: IMuxedConn | None) -> BitswapLink | None:
        """Return the link to a peer, a new one if there is none; None: it may not have one."""
        if (link := self._links.get(peer)) is not None:
            return None if link.scope.cancel_called else link
        if self._nursery.cancel_scope.cancel_called or self._speaks_flux(peer) or not self._admits(peer):
            return None
        if len(self._links) >= self._most and not self._make_room():
            return None
        way = "direct" if connection is None else way_of(connection)
        link = self._links[peer] = BitswapLink(peer, self._receiver, self._streams, way)
        return link

    def _make_room(self) -> bool:
        """End the oldest link that was of no use for STRANGER_SECONDS. Returns whether there was one."""
        idle = [link for link in self._links.values() if link.up.is_set() and not link.useful]
        oldest = min(idle, key=lambda link: link.since, default=None)
        if oldest is None or oldest.since > trio.current_time() - STRANGER_SECONDS:
            return False
        oldest.end("it had its link for long without an exchange, and others wait")
        return True

    def _came_up(self, link: BitswapLink, connection: IMuxedConn | None) -> None:
        """Tell the receiver of a link that is up now, and run it."""
        if link.up.is_set():
            return
        link.up.set()
        who = ID.from_base58(link.peer)
        self._host.get_network().protect(who, PROTECTED)
        addr = self._addr_of(link.peer, connection)
        self._receiver.on_connected(link.peer, addr, link.way, "bitswap")
        self._nursery.start_soon(self._run, link)

    async def _run(self, link: BitswapLink) -> None:
        try:
            await link.run()
        finally:
            self._links.pop(link.peer, None)
            self._host.get_network().unprotect(ID.from_base58(link.peer), PROTECTED)
            try:
                self._receiver.on_disconnected(link.peer, link.why)
            finally:
                link.done.set()
