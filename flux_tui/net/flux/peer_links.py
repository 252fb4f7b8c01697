"""Push links: one logical push connection to each peer, however many connections libp2p has to it.

Each side opens one stream to push on, and accepts one to read from. A link is up when it has both. So two
nodes that dial each other at the same moment have one link, and a peer that comes back after a crash replaces
its old link. For each peer, `on_connected` and `on_disconnected` strictly alternate.

A node that dials a peer in order to exchange messages opens its stream first. Then the other side opens its own.
A connection that libp2p makes only for a DHT look-up gets no link.

On a busy machine, this node's stream may arrive late. The peer may have given up the link before that, and have opened
a second stream. This node then reads the second stream in place of the first one, if no bytes came on the first one.
Its own stream and the link stay. If this node ended the link instead, it would have to open another stream. The peer
would answer that one with another stream of its own, and so on without end.

If the peer has reset this node's stream, the peer's next stream is not paired with it: this node opens a new one. Two
nodes that had lost each other's old streams once paired every fresh stream with a dead one, in turns, for 25 s.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from libp2p.abc import IHost, IMuxedConn, INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.core.wire import codec
from flux_tui.net.connections.keepalive import SILENT
from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.connections.supervisor import Tasks
from flux_tui.net.connections.upload_turns import UploadTurns
from flux_tui.net.flux.link import CLOSED, LAG_SECONDS, Link, is_gone
from flux_tui.net.flux.link_table import LinkTable
from flux_tui.net.flux.noise_and_yamux import source_of, widen
from flux_tui.net.flux.push_stream import LARGE_CHUNK, EndOfStreamError, Source, StalledError, read_from
from flux_tui.net.flux.refusals import Refusals
from flux_tui.net.port import BAN_SECONDS, MOVE_PROTOCOL, PUSH_PROTOCOL, Receiver
from flux_tui.net.upstream.guarded_yamux import GuardedYamux
from flux_tui.net.upstream.own_addresses import SMALL_SEGMENT
from flux_tui.net.upstream.select_connection import is_foreign, on_connection, way_of

log = logging.getLogger(__name__)

PROTOCOL, MOVE = TProtocol(PUSH_PROTOCOL), TProtocol(MOVE_PROTOCOL)
STANDS_STILL = (
    "answers, but then the connection stands still, and that again and again: a router on the way may lose large"
    " packets, or the line is cut every now and then; this node tries it with smaller packets"
)
SMALL_ONLY = (
    "stood still until small packets were used: a router or tunnel on the way may lose large ones; set the MTU of this"
    " machine's interface to 1280"
)
LINK = "link"
"""The reason for which libp2p keeps a connection."""
LEAVE_SECONDS = 60.0
"""Seconds for the rest of what is under way on a connection that a link leaves. After that it is closed."""
HANDSHAKE_SECONDS = 10.0
"""Seconds for a link to have both of its streams."""
REOPEN_SECONDS = 1.0
"""Seconds before a stream is opened again on a connection that outlived its link."""
CLOSE_SECONDS = 0.5
"""Seconds for closing a stream in order."""
DISCONNECT_SECONDS = 1.0
"""Seconds for closing all connections to one peer."""
POLL_SECONDS = 0.02
LEFT_SECONDS = 0.1
"""Seconds between two looks whether a peer has read a stream to its end."""
SETTLE_SECONDS = 0.5
"""Seconds after which the stream of a peer whose link flaps is answered, if it still exists then."""


class Links:
    """Opens, runs and ends the push links of one host.

    `addr_of`: returns a peer's address; given a connection, the address there. `on_up`: called for each link that
    comes up, before the receiver's `on_connected`. `on_lost`: called for each known peer (`LinkTable.is_known`) whose
    link was up and has ended, although this node did not want that. `punch`: tries to reach a relayed peer directly;
    on success it calls `reached`. `before_up`: awaited before a link comes up; it ends another link to the
    peer, with another protocol.
    """

    def __init__(
        self,
        host: IHost,
        receiver: Receiver,
        nursery: Tasks,
        table: LinkTable,
        *,
        addr_of: Callable[[PeerId, IMuxedConn | None], str],
        on_up: Callable[[PeerId], None],
        on_lost: Callable[[PeerId], None],
        punch: Callable[[ID], Awaitable[None]],
        before_up: Callable[[PeerId], Awaitable[None]] | None = None,
    ) -> None:
        self._host = host
        self._receiver = receiver
        self._nursery = nursery
        self._addr_of = addr_of
        self._on_up = on_up
        self._on_lost = on_lost
        self._punch = punch
        self._before_up = before_up
        self.table = table
        self.refusals = Refusals(host, self._is_refused)
        self._refusing: dict[PeerId, trio.Event] = {}
        """Peers that are being told that they are refused; the event is set when their connections are closed."""
        self._turns = UploadTurns(table.acknowledged)
        host.set_stream_handler(PROTOCOL, self.take)
        host.set_stream_handler(MOVE, self.take_moved)

    def allowed(self, peer: PeerId) -> bool:
        """Whether this peer may have a link now. While the node is closing, no peer may."""
        return not self._nursery.cancel_scope.cancel_called and self.table.admits(peer)

    def disconnect(self, peer: PeerId, why: str, seconds: float = BAN_SECONDS, *, left: bool = False) -> None:
        """End the link to a peer, close its connections, and refuse it for `seconds`. `why`: a sentence.

        `left`: a person left it, and may join it again before that.
        """
        (self.table.leave if left else self.table.ban)(peer, seconds)
        if (link := self.table.of(peer)) is not None:
            link.end(why)
        self.refuse_soon(peer)

    def over_budget(self, peer: PeerId, why: str) -> None:
        """Report and disconnect a peer whose connection used more memory or streams than allowed."""
        self._receiver.on_fault(peer, "memory", why)
        self.disconnect(peer, why)

    def connected(self, peer: PeerId) -> None:
        """Begin to open this node's push stream to a connected peer, if the peer may have one and has none yet."""
        if self.allowed(peer):
            self._open_soon(self._link(peer))

    async def take(self, stream: INetStream) -> None:
        """Accept a push stream that a peer opened, and return when the link has ended.

        If the peer may not have a link (`allowed`), the stream is reset, and this returns at once.
        """
        peer = PeerId(str(stream.muxed_conn.peer_id))
        if not self.allowed(peer):
            await self._refuse(peer)
            await try_to_close(stream.reset)
            return
        link = self._link(peer)
        if link.inbound is not None and not link.may_replace(stream):
            # The peer would not open a second stream if it thought the first one alive.
            link.end("the peer opened a new stream")
            link = self._renew(link)
        replaced = link.accept(stream)
        if replaced is not None:
            with trio.move_on_after(CLOSE_SECONDS):
                await try_to_close(replaced.reset)
        await widen(stream)
        self._open_soon(link)
        link.accepted()
        await link.done.wait()

    def reached(self, peer: ID, connection: IMuxedConn) -> None:
        """Begin to move the link to this peer to a direct connection, if the link is relayed."""
        link = self.table.up(PeerId(str(peer)))
        farthest = link.farthest() if link is not None else None
        if link is not None and farthest is not None and way_of(farthest) == "relayed":
            self._nursery.start_soon(self.move, link.peer, connection)

    async def move(self, peer: PeerId, connection: IMuxedConn) -> bool:
        """Move this node's side of a link to another connection: write on a new stream there from now on.

        The old stream is closed at the end of a frame. The peer reads it to its end before it reads the new one. So
        nothing is lost, and nothing is sent twice.

        Returns whether the side was moved. False if no link is up, its side is there or being moved already, or the new
        stream cannot be opened: a peer of an earlier version does not accept it. The link then stays where it is.
        """
        link = self.table.up(peer)
        if link is None or link.moving or link.outbound is None or link.outbound.muxed_conn is connection:
            return False
        before, link.moving = link.outbound, True
        try:
            with trio.fail_after(HANDSHAKE_SECONDS), on_connection(connection):
                stream = await self._host.new_stream(ID.from_base58(peer), [MOVE])
            if stream.muxed_conn is not connection or link.scope.cancel_called:
                await try_to_close(stream.reset)
                return False
        except Exception as error:  # libp2p raises many kinds; each means that the link stays where it is
            log.debug("no stream to %s to go on with: %r", peer, error)
            return False
        finally:
            link.moving = False
        link.goes_on(stream)
        self._tell_way(link)
        self._nursery.start_soon(self._leave, link, before)
        return True

    async def take_moved(self, stream: INetStream) -> None:
        """Accept a new stream to which a peer moves its side of the link.

        Returns when the link has ended, or has read the stream to its end and reads the next one: a peer may move any
        number of times.

        This node's side is moved to the same connection, unless it has moved already. If no link to the peer is up, or
        the peer is moving its side already, the stream is reset, and this returns at once.
        """
        peer = PeerId(str(stream.muxed_conn.peer_id))
        link = self.table.up(peer)
        if link is None or not link.accept_moved(stream):
            await try_to_close(stream.reset)
            return
        await widen(stream)
        self._tell_way(link)
        if link.is_on_one():
            self._nursery.start_soon(self.move, peer, stream.muxed_conn)
        while not link.done.is_set() and link.reads(stream):
            await link.turned.wait()

    async def _leave(self, link: Link, before: INetStream) -> None:
        """Close the relayed connection from which a link has moved, once neither side uses it for the link any more.

        `before`: this node's old stream, on that connection. This waits at most LEAVE_SECONDS. The connection stays
        open if the link uses it even then, or has ended.
        """
        with trio.move_on_after(LEAVE_SECONDS):
            while not link.done.is_set() and (link.is_on(before.muxed_conn) or not is_gone(before)):  # noqa: ASYNC110
                await trio.sleep(LEFT_SECONDS)  # nothing wakes for a closed stream
        if link.done.is_set() or link.is_on(before.muxed_conn) or way_of(before.muxed_conn) != "relayed":
            return
        for connection in list(self._host.get_network().connections.get(ID.from_base58(link.peer), ())):
            if connection.muxed_conn is before.muxed_conn:
                await connection.close()

    def _tell_way(self, link: Link) -> None:
        """Tell the receiver if the link has moved to another connection (`Receiver.on_moved`)."""
        connection = link.farthest()
        if connection is not None and link.told is not connection:
            link.told = connection
            self._receiver.on_moved(link.peer, self._addr_of(link.peer, connection), way_of(connection))

    def _link(self, peer: PeerId) -> Link:
        link = self.table.of(peer)
        if link is None:
            return self._add(self._new_link(peer, None), None)
        if not link.scope.cancel_called and is_gone(link.outbound):
            # The peer has ended its link, and this node's stream with it. Its next stream belongs to a new link.
            link.broke()
        return self._renew(link) if link.scope.cancel_called else link

    def _renew(self, old: Link) -> Link:
        return self._add(self._new_link(old.peer, old.closed), old)

    def _new_link(self, peer: PeerId, after: trio.Event | None) -> Link:
        return Link(peer, self._receiver, after, self._turns, self._lag_to(peer), self._carried_large)

    def _lag_to(self, peer: PeerId) -> float:
        return LAG_SECONDS[peer < str(self._host.get_id())]

    def _add(self, link: Link, old: Link | None) -> Link:
        self.table.add(link)
        self._nursery.start_soon(self._run, link, old)
        return link

    def _open_soon(self, link: Link) -> None:
        if link.begin_opening():
            self._nursery.start_soon(self._open, link)

    async def _open(self, link: Link) -> None:
        try:
            with trio.fail_after(HANDSHAKE_SECONDS):
                if link.after is not None:
                    with trio.move_on_after(CLOSE_SECONDS):
                        await link.after.wait()
                if link.inbound is not None and self.table.flaps(link.peer):
                    await trio.sleep(SETTLE_SECONDS)
                    if is_gone(link.inbound):
                        link.not_opened(CLOSED)
                        return
                link.opened(await self._new_stream(link))
        except Exception as error:  # libp2p raises many kinds; each means that there is no stream
            log.debug("no push stream to %s: %r", link.peer, error)
            link.not_opened("it does not take a stream of this node", foreign=is_foreign(error))

    async def _new_stream(self, link: Link) -> INetStream:
        """Open this node's stream on the connection of the peer's stream: another one may be dead without a sign of it.

        If the peer's stream comes only during an attempt, and on another connection, the attempt is given up for it
        soon. Raises the exception of the last attempt.
        """
        while True:
            inbound = link.inbound.muxed_conn if link.inbound is not None else None
            try:
                with link.attempt(), on_connection(inbound):
                    return await self._host.new_stream(ID.from_base58(link.peer), [PROTOCOL])
            except Exception:  # libp2p raises many kinds
                if link.inbound is None or link.inbound.muxed_conn is inbound or is_gone(link.inbound):
                    raise

    async def _run(self, link: Link, old: Link | None) -> None:
        if old is not None:
            await old.done.wait()  # its on_disconnected comes before the new link's on_connected
        try:
            with link.scope, trio.move_on_after(HANDSHAKE_SECONDS) as waiting:
                link.why = "it did not open a stream in time"
                await link.complete.wait()
                link.why = CLOSED
                waiting.deadline = float("inf")
                if self._before_up is not None:
                    await self._before_up(link.peer)
                link.up.set()
                self._protect(link.peer)
                self.refusals.forget(link.peer)
                self.table.came_up(link.peer)
                self._on_up(link.peer)
                link.told = link.farthest()
                way = "direct" if link.told is None else way_of(link.told)
                if way == "relayed":
                    self._nursery.start_soon(self._punch, ID.from_base58(link.peer))
                self._receiver.on_connected(link.peer, self._addr_of(link.peer, link.told), way)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, link)
                    nursery.start_soon(self._write, link)
        finally:
            await self._finish(link)
        if link.up.is_set() and link.why == SILENT and self.table.note_silence(link.peer):
            addr = self._addr_of(link.peer, None)
            self._receiver.on_dial_failed(addr, f"{addr} {STANDS_STILL}")
        if link.peer not in self.table and self.allowed(link.peer):
            if link.up.is_set() and self.table.is_known(link.peer):
                self._on_lost(link.peer)
            await self._reopen(link.peer)

    async def _finish(self, link: Link) -> None:
        """Clean up a link that has ended: remove it from the table, tell the receiver, and close the streams."""
        self.table.remove(link)
        if self.table.is_banned(link.peer):
            self.refuse_soon(link.peer)
        try:
            if link.up.is_set():
                self._unprotect(link.peer)
                self.table.was_useful(link)
                self.table.large_packets.ended(
                    link.peer,
                    trio.current_time(),
                    seconds=trio.current_time() - link.since,
                    waited=link.outgoing.waits_for_chunks,
                    carried=link.carried_large,
                )
                if link.outgoing.served:
                    self.table.know(link.peer)
                self._receiver.on_disconnected(link.peer, link.why)
        finally:
            link.done.set()  # the peer's next link waits for this, even after a failure
            link.turned.set()
        with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
            for stream in (link.outbound, link.inbound):
                if stream is not None:
                    await try_to_close(stream.reset)
        link.closed.set()

    async def _reopen(self, peer: PeerId) -> None:
        """Wait a while. If the peer is still connected then, open a new link to it."""
        await trio.sleep(REOPEN_SECONDS)
        if self.refusals.of(peer) is not None:
            return
        still = self._host.get_network().connections.get(ID.from_base58(peer))
        if still and peer not in self.table:
            self.connected(peer)

    def _protect(self, peer: PeerId) -> None:
        """Mark the peer's connection, so that libp2p does not close it to make room for others."""
        swarm: Any = self._host.get_network()
        swarm.protect(ID.from_base58(peer), LINK)

    def _unprotect(self, peer: PeerId) -> None:
        swarm: Any = self._host.get_network()
        swarm.unprotect(ID.from_base58(peer), LINK)

    async def _read(self, link: Link) -> None:
        try:
            while True:
                try:
                    source = await self._first_bytes(link)
                    await read_from(source, link.peer, self._receiver, partial(self._took, link))
                except EndOfStreamError:
                    before = link.inbound
                    if not link.read_on() or before is None:
                        raise
                    await try_to_close(before.close)  # so that the peer sees that everything was read
                    self._tell_way(link)
        except StalledError as error:
            self._receiver.on_fault(link.peer, "slow", str(error))
            link.end(str(error))
        except codec.BadFrameError as error:
            self._receiver.on_fault(link.peer, "garbage", str(error))
            self.table.ban(link.peer)
            link.end(f"it sent garbage: {error}")
        except Exception as error:  # the end of the stream, in any wording of libp2p
            log.debug("reading from %s ended: %r", link.peer, error)
            link.broke()

    def _took(self, link: Link, size: int) -> None:
        """Note that a wanted chunk of `size` bytes came on this link. The peer counts as known from now on."""
        link.took = True
        self.table.know(link.peer)
        if size >= LARGE_CHUNK:
            link.carries_large()

    def _carried_large(self, link: Link) -> None:
        """Handle that the first large chunk passed on this link. Report it if only small packets pass on this way."""
        segment = link.told.segment if isinstance(link.told, GuardedYamux) else None
        small = self.table.fell_silent(link.peer) or (segment is not None and segment <= SMALL_SEGMENT)
        if self.table.large_packets.carries(link.peer, trio.current_time(), small=small):
            addr = self._addr_of(link.peer, link.told)
            self._receiver.on_failure(f"{addr} {SMALL_ONLY}", addr=addr, code="small_packets")

    async def _first_bytes(self, link: Link) -> Source:
        """Wait for the first bytes from the peer, and return the source of the stream on which they came.

        Until then, the peer may open another stream in place of the first one. Raises the stream's exception if the
        stream ended and was not replaced.
        """
        while True:
            stream = link.inbound
            assert stream is not None
            source = source_of(stream)
            try:
                with link.await_first_bytes():
                    await source.fill(1)
                    link.heard()
                    return source
            except Exception as error:  # the end of the stream, in any wording of libp2p
                if isinstance(error, EndOfStreamError) and link.has_moved:
                    raise
                if not await self._is_replaced(link, stream):
                    raise

    async def _is_replaced(self, link: Link, stream: INetStream) -> bool:
        """Wait until it is clear whether the peer replaces its stream that ended. Returns whether it does."""
        while link.inbound is stream and link.may_replace():  # noqa: ASYNC110 - nothing wakes for a closed stream
            await trio.sleep(POLL_SECONDS)
        return link.inbound is not stream

    async def _write(self, link: Link) -> None:
        assert link.outbound is not None
        try:
            await link.outgoing.write_to(link.outbound)
        except Exception as error:  # the end of the stream, as above
            log.debug("writing to %s ended: %r", link.peer, error)
            link.broke()

    def refuse_soon(self, peer: PeerId) -> None:
        """Begin to tell a connected peer why it may have no link now, and then close its connections."""
        self._nursery.start_soon(self._refuse, peer)

    async def _refuse(self, peer: PeerId) -> None:
        while (under_way := self._refusing.get(peer)) is not None:
            await under_way.wait()  # it may not have seen the newest connection
        done = self._refusing[peer] = trio.Event()
        try:
            await self._tell_and_close(peer)
        finally:
            del self._refusing[peer]
            done.set()

    async def _tell_and_close(self, peer: PeerId) -> None:
        if not self._nursery.cancel_scope.cancel_called and not self.allowed(peer):
            await self.refusals.tell(peer, *self.table.refusal(peer))
        if peer not in self.table or self.table.is_banned(peer):
            await self._close_connections(peer)

    def _is_refused(self, peer: PeerId) -> None:
        """End the link to a peer, which has just said that it takes none. Its next dial waits for the named time."""
        link, refusal = self.table.of(peer), self.refusals.of(peer)
        if link is not None and refusal is not None:
            link.end(f"the peer says {refusal.text}")

    async def _close_connections(self, peer: PeerId) -> None:
        """Close the connections to a peer that there are now.

        libp2p's `disconnect` forgets connections that come while it closes others: they would stay open for ever.
        """
        with trio.move_on_after(DISCONNECT_SECONDS):
            async with trio.open_nursery() as nursery:
                for connection in list(self._host.get_network().connections.get(ID.from_base58(peer), ())):
                    nursery.start_soon(try_to_close, connection.close)
