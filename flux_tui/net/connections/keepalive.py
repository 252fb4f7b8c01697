"""Keepalive: a peer that is silently gone is noticed within about half a minute.

A cable that is pulled, a laptop that closes or gets another address, a NAT that forgets: nothing says so. Two things
notice it.

- The operating system asks the other one's (`set_options`): keepalive probes while nothing is sent, and a limit for
  what is sent and not acknowledged.
- Each connection on which nothing came for PING_TICKS is pinged (yamux has a message for that). When nothing comes for
  DEAD_TICKS it is closed. This also finds a process that hangs, and a peer behind a relay.

Signs of life are whatever comes, and whatever the other system acknowledges: a ping may lie behind megabytes on a slow
line. Time is counted in ticks of this task, so a process that was stopped, or a machine that slept, does not take its
own silence for its peers'.

`probe` asks a single connection now, for who wants to use it and has a reason to doubt.
"""

import fcntl
import logging
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterable
from typing import Protocol

import trio

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
PING_TICKS = 2
"""Ticks without a sign of life until a peer is pinged, at each tick from then on."""
DEAD_TICKS = 5
"""Ticks without a sign of life until its connection is closed: 25 to 30 s."""
STALL_TICKS = 2
"""A tick that took so many was not one: this process stood still, and what came meanwhile was not read."""
PROBE_SECONDS = 3.0
"""For a sign of life from a connection that is to be used again; twice as long where only an answer is one."""
POLL_SECONDS = 0.02
SILENT, GONE = "nothing came from it for half a minute", "it does not answer any more"
"""Why a connection was closed."""

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 10, 5, 4
"""The system's own probes: the first after so long a silence, the next after so long, the connection's end after so
many."""
UNACKNOWLEDGED_SECONDS = 30
"""For what is sent to be acknowledged."""
TCP_RXT_CONNDROPTIME = 0x80
"""macOS's name for that; Python has none."""


def set_options(sock: trio.socket.SocketType) -> None:
    """Have the system notice when the other end of a TCP connection is gone. What it does not know is left out."""
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
        except OSError as error:  # not TCP, or closed by now
            log.debug("option %s: %s", option, error)


class Connection(Protocol):
    """What is needed of a connection."""

    @property
    def heard(self) -> int:
        """Grows with whatever comes."""

    @property
    def unsent(self) -> int | None:
        """Bytes that the other system has not acknowledged; None where nothing can tell."""

    async def ping(self) -> None:
        """Ask for a sign of life."""

    def abort(self, why: str) -> None:
        """Close it without a word: nobody would hear one."""


class _Watch:
    __slots__ = ("heard", "quiet", "unsent")

    def __init__(self) -> None:
        self.heard = -1
        self.unsent = 0
        self.quiet = 0
        """Ticks without a sign of life."""

    def look(self, connection: Connection) -> None:
        heard, unsent = connection.heard, connection.unsent or 0
        if heard != self.heard or unsent < self.unsent:
            self.quiet = 0
        else:
            self.quiet += 1
        self.heard, self.unsent = heard, unsent


class Keepalive:
    """Of one host. `connections`: those that it has now."""

    def __init__(self, connections: Callable[[], Iterable[Connection]]) -> None:
        self._connections = connections
        self._watched: dict[Connection, _Watch] = {}

    async def run(self) -> None:
        """Until cancelled."""
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
                watch.quiet = min(watch.quiet, PING_TICKS)
            if watch.quiet >= DEAD_TICKS:
                connection.abort(SILENT)
            elif watch.quiet >= PING_TICKS:
                nursery.start_soon(_ping, connection, TICK_SECONDS)


async def probe(connection: Connection) -> bool:
    """Whether there is a sign of life from a connection, asked for now. If there is none it is closed.

    That the other system acknowledges the question is enough: its process may be busy.
    """
    before, backlog = connection.heard, connection.unsent

    def acknowledged() -> bool:
        unsent = connection.unsent
        return backlog is not None and unsent is not None and (unsent < backlog or not unsent)

    with trio.move_on_after(PROBE_SECONDS if backlog is not None else 2 * PROBE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ping, connection, float("inf"))
            while connection.heard == before:  # noqa: ASYNC110 - nothing wakes for a byte that came
                await trio.sleep(POLL_SECONDS)
            nursery.cancel_scope.cancel()
    if connection.heard != before or acknowledged():
        return True
    connection.abort(GONE)
    return False


async def _ping(connection: Connection, seconds: float) -> None:
    with trio.move_on_after(seconds):
        try:
            await connection.ping()
        except Exception as error:  # it is closed, or breaks just now: that is noticed elsewhere
            log.debug("a ping: %r", error)


def unsent_of(sock: trio.socket.SocketType | None) -> int | None:
    """Bytes in a socket's send queue; None where nothing can tell."""
    if sock is None:
        return None
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except (OSError, ValueError):  # it is closed
        return None
