"""Keepalive: notices within about 20 s that a peer is gone without a sign.

This node gets no message when a cable is pulled, a laptop is closed or changes its address, or a NAT forgets a
connection. Two mechanisms notice that the peer is gone:

- The operating system asks the peer's system (`set_options`). It sends keepalive probes while the connection
  is idle. It closes the connection if sent bytes are not acknowledged in time.
- A connection on which nothing arrives for PING_TICKS is pinged with yamux's ping. When nothing arrives for
  DEAD_TICKS, the connection is closed. This also finds a peer whose process hangs, or that a relay has lost.

Every byte that arrives shows that the peer is alive, and so does every byte that its system acknowledges: on a
slow connection a ping may wait behind megabytes. Time is counted in ticks of this task. There are no ticks while the
machine sleeps or this process is stopped. So no peer counts as silent for that time.

`probe` checks one connection at once, for a caller that is about to use it.
"""

import fcntl
import ipaddress
import logging
import socket
import struct
import sys
import termios
from collections.abc import Callable, Collection, Iterable
from typing import Protocol, runtime_checkable

import trio
from libp2p.abc import INetConn

log = logging.getLogger(__name__)

TICK_SECONDS = 4.0
PING_TICKS = 2
"""Ticks without a sign of life after which a peer is pinged, again at each further tick."""
DEAD_TICKS = 5
"""Ticks without a sign of life after which the connection is closed: 20 to 24 s."""
STUCK_TICKS = 4
"""The same where the peer's system owes an acknowledgement: it would have come long ago, whatever the peer does."""
STALL_TICKS = 2
"""A tick that took as long as this many does not count. The process stood still, and had not read what arrived.
"""
PROBE_SECONDS = 3.0
"""Seconds for a sign of life from a connection that is to be used again. Twice as long where acknowledgements
cannot be seen."""
POLL_SECONDS = 0.02
GONE_SECONDS = 2.0
"""Seconds for a dead connection to be removed."""
LOST_ADDR = "this machine does not have the address any more that it used"
SILENT, GONE = "nothing came from it for 20 s", "it does not answer any more"
"""Why a connection was closed."""

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 10, 4, 3
"""The system's own probes: seconds of silence before the first, seconds between two, and the number of
unanswered probes that end the connection."""
UNACKNOWLEDGED_SECONDS = 20
"""Seconds for sent bytes to be acknowledged."""
ACKNOWLEDGED, ACKNOWLEDGED_AT = struct.Struct("=Q"), 120
"""`tcpi_bytes_acked` in Linux's `struct tcp_info`, since version 4.1."""
TCP_INFO_BYTES = ACKNOWLEDGED_AT + ACKNOWLEDGED.size
TCP_RXT_CONNDROPTIME = 0x80
"""The macOS option for that; Python has no name for it."""


def set_options(sock: trio.socket.SocketType) -> None:
    """Make the operating system notice when the other end of a TCP connection is gone.

    Socket options that the system lacks are left out.
    """
    options: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    named = {
        "TCP_KEEPIDLE": IDLE_SECONDS,
        "TCP_KEEPALIVE": IDLE_SECONDS,  # macOS
        "TCP_KEEPINTVL": INTERVAL_SECONDS,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": UNACKNOWLEDGED_SECONDS * 1000,  # Linux, in milliseconds
    }
    options += [
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in named.items()
        if hasattr(socket, name)
    ]
    if sys.platform == "darwin":
        options.append((socket.IPPROTO_TCP, TCP_RXT_CONNDROPTIME, UNACKNOWLEDGED_SECONDS))
    for level, option, value in options:
        try:
            sock.setsockopt(level, option, value)
        except OSError as error:  # not TCP, or closed already
            log.debug("option %s: %s", option, error)


@runtime_checkable
class Connection(Protocol):
    """The methods of a connection that keepalive uses."""

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed, or is just being closed."""

    @property
    def heard(self) -> int:
        """A counter that rises whenever bytes arrive."""

    @property
    def local_ip(self) -> str | None:
        """The IP address of this machine that the connection uses; None if this cannot be known."""

    @property
    def acknowledged(self) -> int | None:
        """A counter that rises whenever the other system acknowledges bytes; None if this cannot be known."""

    @property
    def unsent(self) -> int | None:
        """The number of bytes that the other system has not acknowledged; None if this cannot be known."""

    async def ping(self) -> None:
        """Send a ping, so that the peer answers if it is alive."""

    def abort(self, why: str) -> None:
        """Close the connection without telling the peer. `why`: a sentence."""


class _Watch:
    __slots__ = ("acknowledged", "heard", "silent_ticks", "unsent")

    def __init__(self) -> None:
        self.heard = -1
        self.unsent = 0
        self.acknowledged: int | None = None
        self.silent_ticks = 0
        """Ticks without a sign of life."""

    def look(self, connection: Connection) -> None:
        """Count a tick, and note whether there was a sign of life since the last one.

        A byte that came is a sign of life. So is an acknowledgement while this node has more bytes to be acknowledged.
        If only a ping is acknowledged, that is no sign of life: the peer's process may hang.
        """
        heard, unsent, acknowledged = connection.heard, connection.unsent or 0, connection.acknowledged
        if heard != self.heard or unsent < self.unsent or (unsent and acknowledged != self.acknowledged):
            self.silent_ticks = 0
        else:
            self.silent_ticks += 1
        self.heard, self.unsent, self.acknowledged = heard, unsent, acknowledged

    @property
    def is_dead(self) -> bool:
        """Whether there was no sign of life for too long."""
        return self.silent_ticks >= (STUCK_TICKS if self.unsent else DEAD_TICKS)


class Keepalive:
    """Watches the connections of one host, and closes dead ones. `connections`: returns the open connections."""

    def __init__(self, connections: Callable[[], Iterable[Connection]]) -> None:
        self._connections = connections
        self._watched: dict[Connection, _Watch] = {}

    async def run(self) -> None:
        """Check all connections at each tick, until cancelled."""
        async with trio.open_nursery() as nursery:
            last = trio.current_time()
            while True:
                await trio.sleep(TICK_SECONDS)
                now = trio.current_time()
                stalled, last = now - last > STALL_TICKS * TICK_SECONDS, now
                self._tick(nursery, stalled=stalled)

    def _tick(self, nursery: trio.Nursery, *, stalled: bool) -> None:
        known = self._watched
        self._watched = {one: known.get(one) or _Watch() for one in self._connections()}
        for connection, watch in self._watched.items():
            watch.look(connection)
            if stalled:
                watch.silent_ticks = min(watch.silent_ticks, PING_TICKS)
            if watch.is_dead:
                connection.abort(SILENT)
            elif watch.silent_ticks >= PING_TICKS:
                nursery.start_soon(_ping, connection, TICK_SECONDS)


async def probe(connection: Connection) -> bool:
    """Ping the peer of a connection now. Return whether it is alive; if it is not, close the connection.

    A connection that is closed already is not pinged. libp2p lists it for a moment longer.

    An acknowledgement by the peer's operating system (TCP) is enough: the peer's process may be too busy to answer.
    """

    def is_closed() -> bool:  # it changes while this task waits
        return connection.is_closed

    if is_closed():
        return False
    before, backlog, counted = connection.heard, connection.unsent, connection.acknowledged

    def acknowledged() -> bool:
        unsent = connection.unsent
        if counted is not None and connection.acknowledged != counted:
            return True
        return backlog is not None and unsent is not None and (unsent < backlog or not unsent)

    with trio.move_on_after(PROBE_SECONDS if backlog is not None else 2 * PROBE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ping, connection, float("inf"))
            while connection.heard == before and not is_closed():  # noqa: ASYNC110 - nothing wakes for it
                await trio.sleep(POLL_SECONDS)
            nursery.cancel_scope.cancel()
    if connection.heard != before:
        return True  # it was alive, even if the peer has closed it meanwhile
    if is_closed():
        return False
    if acknowledged():
        return True
    connection.abort(GONE)
    return False


async def close_dead(connections: Callable[[], Iterable[INetConn]]) -> None:
    """Probe the connections that `connections` returns, and close the dead ones.

    Returns when it returns none of those any more; GONE_SECONDS after the probes at most. Connections that cannot be
    probed are left alone.
    """
    dead: list[INetConn] = []

    async def try_one(one: INetConn, connection: Connection) -> None:
        if not await probe(connection):
            dead.append(one)

    async with trio.open_nursery() as nursery:
        for one in connections():
            if isinstance(one.muxed_conn, Connection):
                nursery.start_soon(try_one, one, one.muxed_conn)
    with trio.move_on_after(GONE_SECONDS):
        while any(one in dead for one in connections()):  # noqa: ASYNC110 - nothing wakes for that
            await trio.sleep(POLL_SECONDS)


def abort_lost(connections: Iterable[Connection], ips: Collection[str]) -> list[Connection]:
    """Close the connections that use an address which this machine does not have any more. Return the others.

    `ips`: the addresses that this machine has. A loopback, link-local or unknown address counts as one
    of them. The operating system does not close such connections: it would send into them for minutes.
    """
    kept: list[Connection] = []
    for connection in connections:
        ip = connection.local_ip
        if (
            ip is None
            or ip in ips
            or ipaddress.ip_address(ip).is_link_local
            or ipaddress.ip_address(ip).is_loopback
        ):
            kept.append(connection)
        else:
            connection.abort(LOST_ADDR)
    return kept


async def _ping(connection: Connection, seconds: float) -> None:
    with trio.move_on_after(seconds):
        try:
            await connection.ping()
        except Exception as error:  # it is closed or breaks just now; that is noticed elsewhere
            log.debug("a ping: %r", error)


def acknowledged_of(sock: trio.socket.SocketType | None) -> int | None:
    """Return how many bytes of this socket the other system has acknowledged so far; None if this cannot be known."""
    if sock is None or sys.platform != "linux":
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except (OSError, ValueError):  # it is closed
        return None
    return int(ACKNOWLEDGED.unpack_from(info, ACKNOWLEDGED_AT)[0]) if len(info) == TCP_INFO_BYTES else None


def unsent_of(sock: trio.socket.SocketType | None) -> int | None:
    """Return the number of bytes in a socket's send queue; None if this cannot be known."""
    if sock is None:
        return None
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):  # it is closed
        return None


def local_ip_of(sock: trio.socket.SocketType | None) -> str | None:
    """Return the IP address of this machine's end of a connection; None if this cannot be known."""
    try:
        return None if sock is None else str(sock.getsockname()[0])
    except OSError:  # it is closed
        return None


def segment_of(sock: trio.socket.SocketType | None) -> int | None:
    """Return how many bytes of a TCP stream fit into one packet of this socket; None if this cannot be known."""
    if sock is None or not hasattr(socket, "TCP_MAXSEG"):
        return None
    try:
        return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
    except (OSError, ValueError):  # it is closed
        return None
