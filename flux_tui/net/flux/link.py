"""A push link: the pair of streams between this node and one peer, and the changes of its state.

A link is *opening* until both sides have opened a stream, then *up*, and *over* when its streams are closed.
"""

from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import IMuxedConn, INetStream

from flux_tui.core.ids import PeerId
from flux_tui.net.connections.upload_turns import UploadTurns
from flux_tui.net.flux.noise_and_yamux import WRITE_BYTES, write_slices
from flux_tui.net.flux.push_stream import Outgoing
from flux_tui.net.port import Receiver
from flux_tui.net.upstream.guarded_yamux import GuardedYamux
from flux_tui.net.upstream.select_connection import way_of

CLOSED = "the connection was closed"
LAG_SECONDS = 3.0, 6.0
"""Seconds of `Link.lag` at the two nodes of a link. If both were as quick, each could take the connection that the
other gives up."""
REPLACE_SECONDS, MAX_REPLACED = 15.0, 8
"""Seconds after the beginning of a link in which the peer may replace its stream, and how many times."""


class Link:
    """The push link to one peer: one stream that this node opened, and one that the peer opened.

    `after`: an event that is set when the streams of the previous link to this peer are closed. `lag`: seconds that an
    attempt to open this node's stream may still take when the peer's stream has come on another connection. `on_large`:
    called when the first large chunk has passed on the link, in either direction.
    """

    def __init__(
        self,
        peer: PeerId,
        receiver: Receiver,
        after: trio.Event | None = None,
        turns: UploadTurns | None = None,
        lag: float = LAG_SECONDS[0],
        on_large: Callable[["Link"], None] = lambda link: None,
    ) -> None:
        self.peer = peer
        self._on_large = on_large
        self._lag = lag
        self.after = after
        self.outgoing = Outgoing(peer, receiver, WRITE_BYTES, write_slices, turns, self.carries_large)
        self.inbound: INetStream | None = None
        """The stream that the peer opened."""
        self.outbound: INetStream | None = None
        """The stream that this node opened."""
        self.since = trio.current_time()
        self.complete = trio.Event()
        """Set when the link has both of its streams."""
        self.up = trio.Event()
        self.done = trio.Event()
        """Set when the link is over and the receiver was told."""
        self.closed = trio.Event()
        """Set when its streams are closed: the streams of the peer's next link come after that."""
        self.scope = trio.CancelScope()
        self.why = CLOSED
        """Why the link is over, in a sentence."""
        self.foreign = False
        """The peer says that it does not know flux's protocol."""
        self.moving = False
        """This node opens a stream on another connection, on which its side of the link goes on."""
        self._moved: INetStream | None = None
        """A stream of the peer, on which its side of the link goes on when the one before has ended."""
        self.turned = trio.Event()
        """Set and replaced when the peer's next stream begins to be read. Set when the link is over."""
        self.told: IMuxedConn | None = None
        """The connection of which the receiver was told that the link goes this way."""
        self._opening = False
        self._attempt = trio.CancelScope()
        """The attempt to open this node's stream."""
        self._heard = False
        """Something came on the peer's stream: the peer had its side of the link up."""
        self.took = False
        """Whether a wanted chunk came on it."""
        self.carried_large = False
        """Whether a large chunk passed on it, in either direction."""
        self._replaced = 0
        self._first = trio.CancelScope()
        """The wait for the first bytes of the peer's stream."""

    def begin_opening(self) -> bool:
        """Note that this node begins to open its stream. Returns False if it is open, or being opened already."""
        if self.outbound is not None or self._opening:
            return False
        self._opening = True
        return True

    def attempt(self) -> trio.CancelScope:
        """Return a cancel scope for an attempt to open this node's stream.

        It is cancelled `lag` later if the peer's stream comes meanwhile. Then the connection of that stream
        works, and the one of the attempt may not.
        """
        self._attempt = trio.CancelScope()
        return self._attempt

    def opened(self, stream: INetStream) -> None:
        """Note that this node's stream is open."""
        self.outbound = stream
        self._opening = False
        self._check()

    def not_opened(self, why: str, *, foreign: bool = False) -> None:
        """End the link, because this node's stream could not be opened. `foreign`: the peer does not speak flux."""
        self._opening = False
        self.foreign = foreign
        self.end(why)

    def accept(self, stream: INetStream) -> INetStream | None:
        """Store a stream that the peer opened. Returns the peer's previous stream, which it replaces; else None."""
        before, self.inbound = self.inbound, stream
        if self._opening:
            self._attempt.deadline = min(self._attempt.deadline, trio.current_time() + self._lag)
        if before is not None:
            self._replaced += 1
            self._first.cancel()
        return before

    def accepted(self) -> None:
        """Note that the peer's stream is ready to be read."""
        self._check()

    def _check(self) -> None:
        if self.inbound is not None and self.outbound is not None:
            self.complete.set()

    def goes_on(self, stream: INetStream) -> None:
        """Go on writing on this new stream, from the next frame on. This node's stream before it is then closed."""
        before: Any = self.outbound
        self.outbound = stream
        self.outgoing.go_on(stream, before.close_write)

    def accept_moved(self, stream: INetStream) -> bool:
        """Store a new stream of the peer, on which the peer goes on writing. It is read when the present one has ended.

        Returns False if such a stream is stored already.
        """
        if self._moved is not None:
            return False
        self._moved = stream
        return True

    @property
    def has_moved(self) -> bool:
        """Whether a new stream of the peer is stored, to be read when the present one has ended."""
        return self._moved is not None

    def read_on(self) -> bool:
        """Read the peer's new stream from now on, because the peer has closed the present one.

        Returns False if no new stream is stored: the link is over.
        """
        if self._moved is None:
            return False
        self.inbound, self._moved = self._moved, None
        self.turned.set()
        self.turned = trio.Event()
        return True

    def reads(self, stream: INetStream) -> bool:
        """Whether this stream of the peer is being read, or will be read when the present one has ended."""
        return stream is self.inbound or stream is self._moved

    def is_on(self, connection: IMuxedConn) -> bool:
        """Whether a stream of the link is on this connection. A new stream of the peer that is not read yet counts."""
        streams = (self.inbound, self.outbound, self._moved)
        return any(stream is not None and stream.muxed_conn is connection for stream in streams)

    @property
    def acknowledged(self) -> int | None:
        """Bytes that the peer's system has acknowledged on the connection of this node's stream; None: unknown."""
        connection = self.outbound.muxed_conn if self.outbound is not None else None
        return connection.acknowledged if isinstance(connection, GuardedYamux) else None

    def is_on_one(self) -> bool:
        """Whether this node's stream and the peer's present one are on the same connection."""
        return (
            self.inbound is not None
            and self.outbound is not None
            and self.inbound.muxed_conn is self.outbound.muxed_conn
        )

    def farthest(self) -> IMuxedConn | None:
        """Return the connection that tells whether the link is direct or relayed.

        It is a relayed one if a stream of the link is on one, else that of this node's stream, else the peer's.
        None: the link has no stream yet.
        """
        streams = [stream for stream in (self.outbound, self._moved or self.inbound) if stream is not None]
        connections = [stream.muxed_conn for stream in streams]
        return next(
            (one for one in connections if way_of(one) == "relayed"), connections[0] if connections else None
        )

    def may_replace(self, stream: INetStream | None = None) -> bool:
        """Whether a new stream of the peer may replace the peer's previous one in this link.

        True only in the first REPLACE_SECONDS of the link, at most MAX_REPLACED times, before bytes came from the peer,
        and while this node's stream is not gone.

        `stream`: the new stream; None: it has not come yet. False if it is on another connection than this node's
        stream: that connection may be dead unnoticed. Then a new link is made.
        """
        if (
            stream is not None
            and self.outbound is not None
            and stream.muxed_conn is not self.outbound.muxed_conn
        ):
            return False
        young = trio.current_time() - self.since < REPLACE_SECONDS
        return young and not self._heard and self._replaced < MAX_REPLACED and not is_gone(self.outbound)

    def await_first_bytes(self) -> trio.CancelScope:
        """Return a cancel scope for the wait for the peer's first bytes. `accept` cancels it on a new stream."""
        self._first = trio.CancelScope()
        return self._first

    def carries_large(self) -> None:
        """Note that a large chunk passed on the link."""
        if not self.carried_large:
            self.carried_large = True
            self._on_large(self)

    def heard(self) -> None:
        """Note that bytes came on the peer's stream."""
        self._heard = True

    def connections(self) -> list[GuardedYamux]:
        """Return the connections that carry the link's two streams: usually both are on one."""
        streams = [stream for stream in (self.inbound, self.outbound) if stream is not None]
        found = {id(stream.muxed_conn): stream.muxed_conn for stream in streams}
        return [one for one in found.values() if isinstance(one, GuardedYamux)]

    def broke(self) -> None:
        """End the link, because one of its streams ended."""
        self.end(next((why for one in self.connections() if (why := one.why_closed)), CLOSED))

    def end(self, why: str) -> None:
        """End the link: its tasks are cancelled, and its streams closed soon. `why`: the reason, in a sentence."""
        self.why = why
        self.scope.cancel()


def is_gone(stream: INetStream | None) -> bool:
    """Whether the peer closed this stream, or its connection ended. False for None: it was not opened yet."""
    if stream is None:
        return False
    muxed: Any = getattr(stream, "muxed_stream", None)
    return bool(getattr(muxed, "closed", False)) or stream.muxed_conn.is_closed
