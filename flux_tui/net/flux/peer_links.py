"""Links: one logical push connection to each peer, however many connections libp2p has to it.

Each side opens one stream to push on, and accepts one to read from. A link is up when it has both. So two
nodes that dial each other at the same moment have one link, and a peer that comes back after a crash replaces
its old link. For each peer, `on_connected` and `on_disconnected` strictly alternate.

A node that dials a peer for the peer's own sake opens its stream first. Then the other side opens its own. A
connection that libp2p makes for a DHT lookup gets no link.

On a busy machine, a peer may give up a link before this node's stream has arrived, and open a new stream. If
this node then closed its own stream too, the peer would answer the next one with yet another, and so on: both
sides would always be one stream apart. So a stream on which nothing came yet is replaced by the peer's next
one, and the link stays.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedSet, BoundedTable, TokenBucket
from flux_tui.core.wire import codec
from flux_tui.net.connections.supervisor import Tasks
from flux_tui.net.flux.push_stream import Outgoing, Source, StalledError, read_from
from flux_tui.net.flux.transport import WRITE_BYTES, source_of, widen, write_slices
from flux_tui.net.port import BAN_SECONDS, PUSH_PROTOCOL, Receiver
from flux_tui.net.upstream.budget import GuardedYamux
from flux_tui.net.upstream.streams import is_foreign, on_connection

log = logging.getLogger(__name__)

PROTOCOL = TProtocol(PUSH_PROTOCOL)
CLOSED = "the connection was closed"
LINK = "link"
"""The reason for which libp2p keeps a connection."""
HANDSHAKE_SECONDS = 10.0
"""Seconds for a link to have both of its streams."""
REOPEN_SECONDS = 1.0
"""Seconds before a stream is opened again on a connection that outlived its link."""
MAX_PEERS = 128
"""Links at the same time. The bytes under way on all of them have a bound of their own
(`upstream/budget.py`)."""
RESERVED = 32
"""Places among them for peers that gave or took chunks, and for those that this node dials."""
GUEST_SECONDS = 30.0
"""Seconds after which a stranger without useful exchange makes room for another peer."""
MAX_BANNED = 1024
"""Peers that are refused at a time."""
MAX_REGULARS = 1024
"""Peers remembered as useful."""
COMING_BURST, COMING_RATE = 64.0, 4.0
"""Links of strangers that come up at once, and per second in the long run."""
MAX_RETURNS, RETURN_SECONDS = 8, 60.0
"""Links that one peer may have had in so many seconds. A peer above this does not reconnect by accident."""
CLOSE_SECONDS = 0.5
"""Seconds for closing a stream in order."""
REPLACE_SECONDS, MAX_REPLACED = 15.0, 8
"""Seconds after the beginning of a link in which the peer may replace its stream, and how many times."""
POLL_SECONDS = 0.02
FLAP_SECONDS, SETTLE_SECONDS = 10.0, 0.5
"""A link that came up twice in so many seconds flaps. Then the peer's stream is answered only if it still exists
after SETTLE_SECONDS."""


class Link:
    """The link to one peer."""

    def __init__(self, peer: PeerId, receiver: Receiver, after: trio.Event | None = None) -> None:
        """`after`: set when the streams of the peer's link before this one are closed."""
        self.peer = peer
        self.after = after
        self.outgoing = Outgoing(peer, receiver, WRITE_BYTES, write_slices)
        self.inbound: INetStream | None = None
        self.outbound: INetStream | None = None
        self.opening = False
        self.heard = False
        """Something came on the peer's stream: the peer had its side of the link up."""
        self.replaced = 0
        self.first = trio.CancelScope()
        """The wait for the first bytes of the peer's stream."""
        self.since = trio.current_time()
        self.complete = trio.Event()
        self.up = trio.Event()
        self.done = trio.Event()
        self.closed = trio.Event()
        """Its streams are closed: the streams of the peer's next link come after that."""
        self.scope = trio.CancelScope()
        self.why = CLOSED
        self.foreign = False
        """The peer says that it does not know flux's protocol."""

    def connections(self) -> list[GuardedYamux]:
        """Return the connections of its streams: usually one."""
        streams = [stream for stream in (self.inbound, self.outbound) if stream is not None]
        found = {id(stream.muxed_conn): stream.muxed_conn for stream in streams}
        return [one for one in found.values() if isinstance(one, GuardedYamux)]

    def may_replace(self, stream: INetStream | None = None) -> bool:
        """Whether a new stream of the peer may take the place of the one before, while the own stream stays.

        Not if the new one is on another connection: the own stream's may be dead without a sign of it.
        """
        if (
            stream is not None
            and self.outbound is not None
            and stream.muxed_conn is not self.outbound.muxed_conn
        ):
            return False
        young = trio.current_time() - self.since < REPLACE_SECONDS
        return young and not self.heard and self.replaced < MAX_REPLACED and not _is_gone(self.outbound)

    def broke(self) -> None:
        """End the link because a stream of it ended."""
        self.end(next((why for one in self.connections() if (why := one.why_closed)), CLOSED))

    def end(self, why: str) -> None:
        """Close the link soon."""
        self.why = why
        self.scope.cancel()


class Links:
    """The links of one host."""

    def __init__(
        self, host: IHost, receiver: Receiver, nursery: Tasks, addr_of: Callable[[PeerId], str]
    ) -> None:
        self._host = host
        self._receiver = receiver
        self._nursery = nursery
        self._addr_of = addr_of
        self._banned: BoundedTable[PeerId, float] = BoundedTable(MAX_BANNED)
        self._regulars: BoundedSet[PeerId] = BoundedSet(MAX_REGULARS, refresh=True)
        """Peers that gave or took chunks, or were dialled by this node."""
        self._returns: BoundedTable[PeerId, deque[float]] = BoundedTable(MAX_REGULARS, refresh=True)
        """When the latest links of each peer came up."""
        self._strangers = TokenBucket(COMING_BURST, COMING_RATE, trio.current_time())
        self.by_peer: dict[PeerId, Link] = {}
        self.on_up: Callable[[PeerId], None] = lambda peer: None
        """Called for each link that comes up, before the receiver is told."""
        self.close: Callable[[PeerId], None] = lambda peer: None
        """Closes the connection to a peer soon."""

    def get(self, peer: PeerId) -> Link | None:
        """Return the link to a peer, if it is up."""
        link = self.by_peer.get(peer)
        return link if link is not None and link.up.is_set() else None

    def ban(self, peer: PeerId, seconds: float = BAN_SECONDS) -> None:
        """Refuse this peer for a while."""
        self._banned[peer] = max(time.monotonic() + seconds, self._banned.get(peer, 0.0))

    def refuses(self, peer: PeerId) -> bool:
        """Whether this peer is banned because it misbehaved."""
        return self._banned.get(peer, 0.0) > time.monotonic()

    def allowed(self, peer: PeerId) -> bool:
        """Whether this peer may have a link. While the node closes, no peer may, though libp2p runs on for a moment."""
        if self._nursery.cancel_scope.cancel_called or self.refuses(peer):
            return False
        return peer in self.by_peer or (not self._too_often(peer) and self._has_room(peer))

    def expect(self, peer: PeerId) -> None:
        """Note that this node dials the peer: it is not a stranger."""
        self._regular(peer)

    def _regular(self, peer: PeerId) -> None:
        self._regulars.add(peer)

    def _useful(self, link: Link) -> bool:
        return link.peer in self._regulars or link.outgoing.served > 0

    def _too_often(self, peer: PeerId) -> bool:
        ups = self._returns.get(peer)
        return ups is not None and len(ups) == MAX_RETURNS and ups[0] > trio.current_time() - RETURN_SECONDS

    def _flaps(self, peer: PeerId) -> bool:
        ups = self._returns.get(peer)
        return ups is not None and len(ups) > 1 and ups[-2] > trio.current_time() - FLAP_SECONDS

    def _has_room(self, peer: PeerId) -> bool:
        """Whether there is a place for this peer. A stranger that has had its place for long enough may have to go."""
        known = peer in self._regulars
        if not known and self._strangers.wait(trio.current_time(), 1) > 0:
            return False
        return not self._full(known) or self._idler(known) is not None

    def _full(self, known: bool) -> bool:
        return len(self.by_peer) >= (MAX_PEERS if known else MAX_PEERS - RESERVED)

    def _idler(self, known: bool) -> Link | None:
        """Return the stranger that has had its place the longest, if that is long enough."""
        strangers = [link for link in self.by_peer.values() if not self._useful(link)]
        oldest = min(strangers, key=lambda link: link.since, default=None)
        longer = known or (oldest is not None and oldest.since < trio.current_time() - GUEST_SECONDS)
        return oldest if longer else None

    def _came(self, peer: PeerId) -> None:
        ups = self._returns.setdefault(peer, deque(maxlen=MAX_RETURNS))
        ups.append(trio.current_time())

    def connected(self, peer: PeerId) -> None:
        """Open this node's stream on a new connection to this peer."""
        if self.allowed(peer):
            link = self._link(peer)
            if link.outbound is None and not link.opening:
                link.opening = True
                self._nursery.start_soon(self._open, link)

    async def take(self, stream: INetStream) -> None:
        """Accept a stream that a peer opened. Returns when the link is over."""
        peer = PeerId(str(stream.muxed_conn.peer_id))
        if not self.allowed(peer):
            await stream.reset()
            return
        link = self._link(peer)
        before = link.inbound
        if before is not None:
            # The peer would not open a second stream if it thought the first one alive.
            if link.may_replace(stream):
                link.replaced += 1
            else:
                link.end("the peer opened a new stream")
                link, before = self._renew(link), None
        link.inbound = stream
        if before is not None:
            link.first.cancel()
            with trio.move_on_after(CLOSE_SECONDS):
                await _reset(before)
        await widen(stream)
        if link.outbound is None and not link.opening:
            link.opening = True
            self._nursery.start_soon(self._open, link)
        self._check(link)
        await link.done.wait()

    def _link(self, peer: PeerId) -> Link:
        link = self.by_peer.get(peer)
        if link is None or link.scope.cancel_called:
            link = self._renew(link) if link is not None else self._add(Link(peer, self._receiver), None)
        return link

    def _renew(self, old: Link) -> Link:
        return self._add(Link(old.peer, self._receiver, old.closed), old)

    def _add(self, link: Link, old: Link | None) -> Link:
        if link.peer not in self.by_peer:
            known = link.peer in self._regulars
            if not known:
                self._strangers.take(1, trio.current_time())
            if self._full(known) and (idler := self._idler(known)) is not None:
                self.ban(idler.peer, GUEST_SECONDS)
                idler.end("it had its place for long, and others wait")
                del self.by_peer[idler.peer]
        self.by_peer[link.peer] = link
        self._nursery.start_soon(self._run, link, old)
        return link

    def _check(self, link: Link) -> None:
        if link.inbound is not None and link.outbound is not None:
            link.complete.set()

    async def _open(self, link: Link) -> None:
        # Answer on the connection of the incoming stream: another one may be dead without a sign of it.
        inbound = link.inbound.muxed_conn if link.inbound is not None else None
        try:
            with trio.fail_after(HANDSHAKE_SECONDS), on_connection(inbound):
                if link.after is not None:
                    with trio.move_on_after(CLOSE_SECONDS):
                        await link.after.wait()
                if inbound is not None and self._flaps(link.peer):
                    await trio.sleep(SETTLE_SECONDS)
                    if _is_gone(link.inbound):
                        link.end(CLOSED)
                        return
                link.outbound = await self._host.new_stream(ID.from_base58(link.peer), [PROTOCOL])
        except Exception as error:  # libp2p raises many kinds; each means that there is no stream
            log.debug("no push stream to %s: %r", link.peer, error)
            link.foreign = is_foreign(error)
            link.end("it does not take a stream of this node")
        finally:
            link.opening = False
        self._check(link)

    async def _run(self, link: Link, old: Link | None) -> None:
        if old is not None:
            await old.done.wait()  # its on_disconnected comes before the new link's on_connected
        try:
            with link.scope, trio.move_on_after(HANDSHAKE_SECONDS) as waiting:
                link.why = "it did not open a stream in time"
                await link.complete.wait()
                link.why = CLOSED
                waiting.deadline = float("inf")
                link.up.set()
                self._protect(link.peer)
                self._came(link.peer)
                self.on_up(link.peer)
                self._receiver.on_connected(link.peer, self._addr_of(link.peer))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, link)
                    nursery.start_soon(self._write, link)
        finally:
            if self.by_peer.get(link.peer) is link:
                del self.by_peer[link.peer]
            if self.refuses(link.peer):
                self.close(link.peer)
            try:
                if link.up.is_set():
                    self._unprotect(link.peer)
                    if link.outgoing.served:
                        self._regular(link.peer)
                    self._receiver.on_disconnected(link.peer, link.why)
            finally:
                link.done.set()  # the peer's next link waits for this, even after a failure
            with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                for stream in (link.outbound, link.inbound):
                    if stream is not None:
                        await _reset(stream)
            link.closed.set()
        if link.peer not in self.by_peer and self.allowed(link.peer):
            await trio.sleep(REOPEN_SECONDS)
            if link.peer not in self.by_peer and self._host.get_network().connections.get(
                ID.from_base58(link.peer)
            ):
                self.connected(link.peer)

    def _protect(self, peer: PeerId) -> None:
        """Protect the peer's connection: libp2p does not close it to make room."""
        swarm: Any = self._host.get_network()
        swarm.protect(ID.from_base58(peer), LINK)

    def _unprotect(self, peer: PeerId) -> None:
        swarm: Any = self._host.get_network()
        swarm.unprotect(ID.from_base58(peer), LINK)

    async def _read(self, link: Link) -> None:
        try:
            source = await self._first_bytes(link)
            await read_from(source, link.peer, self._receiver, lambda: self._regular(link.peer))
        except StalledError as error:
            self._receiver.on_fault(link.peer, "slow", str(error))
            link.end(str(error))
        except codec.BadFrameError as error:
            self._receiver.on_fault(link.peer, "garbage", str(error))
            self.ban(link.peer)
            link.end(f"it sent garbage: {error}")
        except Exception as error:  # the end of the stream, in any wording of libp2p
            log.debug("reading from %s ended: %r", link.peer, error)
            link.broke()

    async def _first_bytes(self, link: Link) -> Source:
        """Return the peer's stream when something has come on it. Until then the peer may replace it.

        Raises the exception of a stream that ended and was not replaced.
        """
        while True:
            stream = link.inbound
            assert stream is not None
            source = source_of(stream)
            link.first = trio.CancelScope()
            try:
                with link.first:
                    await source.fill(1)
                    link.heard = True
                    return source
            except Exception:  # the end of the stream, in any wording of libp2p
                if not await self._is_replaced(link, stream):
                    raise

    async def _is_replaced(self, link: Link, stream: INetStream) -> bool:
        """Whether the peer opens another stream in place of one that ended. It does if it kept this node's stream."""
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


def _is_gone(stream: INetStream | None) -> bool:
    """Whether the peer closed a stream, or its connection ended."""
    if stream is None:
        return False
    muxed: object = getattr(stream, "muxed_stream", None)
    return bool(getattr(muxed, "closed", False)) or stream.muxed_conn.is_closed


async def _reset(stream: INetStream) -> None:
    try:
        await stream.reset()
    except Exception as error:  # it is gone already
        log.debug("resetting a stream: %r", error)
