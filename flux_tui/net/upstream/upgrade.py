"""Sets up Noise and yamux on raw connections, incoming and outgoing. For libp2p 0.8.x.

Replaces `upgrade_inbound_raw_conn`, `upgrade_outbound_raw_conn` and each connection's `close` of the swarm, and leaves
out its resource manager (`libp2p.rcmgr`). What libp2p 0.8.1 does, and why that is not enough:

- When libp2p's `upgrade_inbound_raw_conn` is cancelled, its clean-up awaits in the cancelled scope and does nothing.
  Each such handshake leaks a socket and one of the resource manager's 1,000 connections. Once all are leaked, no peer
  is let in. The outbound counterpart has the same fault. Here the clean-up is shielded and bounded.
- Its resource manager bounds connections (1,000), and streams of all peers together. Each time it refuses one, it
  lowers the limit for everybody, down to half. This lasts while connections are scarce. Here other bounds take its
  place: `MAX_CONNECTIONS`, `connections/unlinked_connections.py` and `flux/link_table.py` for connections,
  `upstream/guarded_yamux.py` for streams and memory, `MAX_HANDSHAKES` for handshakes.
- With libp2p's own upgrades and its resource manager, two tests fail: an honest peer is served after 15.9 s instead of
  less than 10 s while others hold connections half open (tests/abuse/test_attacks.py), and does not connect within 15 s
  while 80 others stop in the middle of a frame (`test_unfinished_handshakes_keep_no_honest_node_out`).
- A connection whose `close` is cancelled, or that ends while libp2p registers it, stays in libp2p's table for ever,
  and counts against the limits. And `close` waits for a peer that reads nothing. Here each `close` is shielded and
  bounded.

A handshake has two stages: until Noise is set up, and from then until the connection is registered. When a stage is
full, a new handshake ends an older one: the oldest of the network that has the most handshakes at that stage. So an
attacker's silent connections end each other, and the handshakes of other peers go on.

Upstream: no issue is known. Test: tests/net/upstream/test_upgrade.py; those of its tests that begin with
`test_in_libp2p` show what libp2p does, and fail when upstream changes.
"""

import ipaddress
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from libp2p.abc import IMuxedConn, INetConn, IRawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.net.dial_errors import HandshakeError

log = logging.getLogger(__name__)

MAX_HANDSHAKES = 96
"""Incoming connections at each stage: being secured, and secured but not registered."""
MAX_CONNECTIONS = 300
"""All connections; the same limit as libp2p's."""
HANDSHAKE_SECONDS = 10.0
"""Seconds for a handshake, in either direction."""
CLOSE_SECONDS = 1.0
"""Seconds for a failed or ended connection to close."""


class Upgrades:
    """Replaces the swarm's methods that set up encryption and streams on new connections."""

    def __init__(self, swarm: Any) -> None:
        self._swarm = swarm
        self._stages: tuple[dict[Handshake, None], dict[Handshake, None]] = ({}, {})
        """Incoming handshakes that are being secured, and those that are secured; the oldest first."""
        swarm.set_resource_manager(None)
        swarm._inbound_limiter = trio.CapacityLimiter(MAX_CONNECTIONS + 2 * MAX_HANDSHAKES)
        swarm.upgrade_inbound_raw_conn = self.inbound
        swarm.upgrade_outbound_raw_conn = self.outbound

    def __len__(self) -> int:
        return sum(map(len, self._stages))

    async def inbound(self, raw: IRawConnection, addr: Multiaddr) -> IMuxedConn:
        """Set up Noise and yamux on an incoming connection, and register it.

        Raises SwarmException if that fails, or if newer handshakes ended this one. `addr` is used in the
        error only.
        """
        handshake = Handshake(_network_of(raw))
        securing, secured = self._stages
        _enter(securing, handshake)

        def is_secured() -> None:
            if securing.pop(handshake, handshake) is None:
                _enter(secured, handshake)

        try:
            with handshake.scope:
                return (await self._upgrade(raw, None, is_secured)).muxed_conn
        finally:
            securing.pop(handshake, None)
            secured.pop(handshake, None)
        raise SwarmException(f"{addr} did not finish its handshake, and others wait")

    async def outbound(self, raw: IRawConnection, peer: ID, scope: object = None) -> INetConn:
        """Set up Noise and yamux on a connection that this node dialled, and register it. Raises SwarmException.

        `peer`: the peer that was dialled. `scope` is ignored: it belongs to libp2p's resource manager.
        """
        return await self._upgrade(raw, peer, lambda: None)

    async def _upgrade(self, raw: IRawConnection, peer: ID | None, secured: Callable[[], None]) -> INetConn:
        """Set up Noise and yamux on a connection, and register it. If that fails, close the connection.

        `peer`: the peer that was dialled; None: the connection came in. `secured`: called once Noise is set
        up. Raises SwarmException, also if there are MAX_CONNECTIONS already.
        """
        swarm = self._swarm
        muxed: IMuxedConn | None = None
        try:
            if len(swarm.get_connections()) >= MAX_CONNECTIONS:
                raise SwarmException("there are too many connections")
            with trio.fail_after(HANDSHAKE_SECONDS):
                session = await swarm.upgrader.upgrade_security(raw, peer is not None, peer)
                secured()
                muxed = await swarm.upgrader.upgrade_connection(session, session.get_remote_peer())
                direction = "inbound" if peer is None else "outbound"
                connection: INetConn = await swarm.add_conn(muxed, direction=direction)
                connection.close = partial(self._close, connection, connection.close, raw)  # type: ignore[method-assign]
                return connection
        except trio.TooSlowError:
            await _close(muxed, raw)
            raise HandshakeError("the handshake takes too long") from None
        except Exception as error:
            await _close(muxed, raw)
            if isinstance(error, SwarmException):
                raise
            raise HandshakeError(f"the handshake failed: {error}") from error
        except BaseException:
            await _close(muxed, raw)
            raise
        finally:
            if muxed is not None:
                for one in list(swarm.connections.get(muxed.peer_id, [])):
                    if one.is_closed:
                        await self._take_out(one)

    async def _close(
        self, connection: INetConn, close: Callable[[], Awaitable[None]], raw: IRawConnection
    ) -> None:
        """Close a registered connection within a time limit. `close`: the connection's own close method."""
        with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
            await close()
        if connection in self._swarm.connections.get(connection.muxed_conn.peer_id, []):
            await _close(None, raw)
            await self._take_out(connection)

    async def _take_out(self, connection: INetConn) -> None:
        """Remove a connection from libp2p's table, and report its end to libp2p."""
        self._swarm.remove_conn(connection)
        with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
            await self._swarm.notify_disconnected(connection)


class Handshake:
    """An incoming connection on which Noise and yamux are being set up, and the network that it comes from."""

    __slots__ = ("network", "scope")

    def __init__(self, network: str) -> None:
        self.network = network
        self.scope = trio.CancelScope()


def _enter(stage: dict[Handshake, None], handshake: Handshake) -> None:
    """Add a handshake to a stage.

    If the stage is full, first end the oldest handshake of the network that has the most handshakes in it.
    """
    if len(stage) >= MAX_HANDSHAKES:
        crowd = Counter(one.network for one in stage).most_common(1)[0][0]
        oldest = next(one for one in stage if one.network == crowd)
        del stage[oldest]
        oldest.scope.cancel()
    stage[handshake] = None


def _network_of(raw: IRawConnection) -> str:
    """Return the network of the other side: an IPv4 address, a /64 IPv6 network, or `relayed`.

    An address that is not an IP address is returned unchanged.
    """
    remote = raw.get_remote_address()
    if remote is None:
        return "relayed"
    try:
        ip = ipaddress.ip_address(remote[0].partition("%")[0])
    except ValueError:
        return str(remote[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(getattr(ip, "ipv4_mapped", None) or ip)


async def _close(muxed: IMuxedConn | None, raw: IRawConnection) -> None:
    """Close a connection whose handshake failed, even if the task is cancelled."""
    with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
        for connection in (muxed, raw):
            try:
                if connection is not None:
                    await connection.close()
            except Exception as error:  # it is closed already
                log.debug("closing a handshake: %r", error)
