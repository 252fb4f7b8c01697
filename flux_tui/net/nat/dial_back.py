"""Dial back: a peer dials an address of this node on request, and tells whether this node answers there.

A router, or another peer, may name an outer address of this node at which nobody can reach the node. So this node
tells others such an address only after a peer has dialled it (`outer_addrs.py`).

The protocol has a stream of its own (DIAL_BACK). The asker writes the multiaddr: one byte with its length, then its
text. The other side opens a new TCP connection to this address, and completes the security handshake with the asker's
peer id. It closes the connection. Then it writes one byte on the stream: YES, NO, or UNTRIED if it does not want to
dial.

A peer may not make this node dial a third party. So this node dials a peer back only at the IP address from which the
peer is connected. It dials at most BURST times at once for one peer, and RATE times a second in the long run.

libp2p's AutoNAT is not used. The `connect` of its server returns a connection that exists already. So it reports that
an address can be reached, although it cannot (0.8.1; no issue is known). Test: tests/net/nat/test_dial_back.py; the
test with `libp2p_still` in its name fails when upstream changes.
"""

import logging
from typing import Any

import trio
from libp2p.abc import IHost, IMuxedConn, INetStream, IRawConnection
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.limits import TokenBuckets
from flux_tui.net.addresses.dial_guard import DialGuard
from flux_tui.net.connections.streams import exactly, try_to_close
from flux_tui.net.upstream.select_connection import on_connection, way_of

log = logging.getLogger(__name__)

DIAL_BACK = TProtocol("/flux/dial-back/1.0.0")
UNTRIED, NO, YES = b"\0", b"\1", b"\2"
MAX_ADDR = 255
"""Bytes of an address."""
DIAL_SECONDS = 5.0
"""Seconds for a dial with its handshake."""
ASK_SECONDS = 10.0
"""Seconds for a request and its answer."""
BURST, RATE = 8.0, 1 / 30
"""Dials for one peer, at once and per second."""
MAX_ASKERS = 1024
"""Peers whose budget is remembered."""


class DialBack:
    """Dials back for peers, and asks peers to dial back."""

    def __init__(self, host: IHost, guard: DialGuard) -> None:
        self._host = host
        self._guard = guard
        self._budgets: TokenBuckets[ID] = TokenBuckets(MAX_ASKERS, BURST, RATE)
        host.set_stream_handler(DIAL_BACK, self._take)

    async def ask(self, connection: IMuxedConn, addr: str) -> bool | None:
        """Ask the peer at the other end of a connection to dial this node at `addr`, a multiaddr without a peer id.

        Returns whether this node answered there; None: the peer did not try, or gave no answer.
        """
        stream: INetStream | None = None
        try:
            with trio.fail_after(ASK_SECONDS), on_connection(connection):
                stream = await self._host.new_stream(connection.peer_id, [DIAL_BACK])
                text = addr.encode()
                await stream.write(bytes([len(text)]) + text)
                told = await stream.read(1)
        except Exception as error:  # libp2p raises many kinds: it does not know the protocol, or is gone
            log.debug("%s does not dial back: %r", connection.peer_id, error)
            return None
        finally:
            if stream is not None:
                await try_to_close(stream.close)
        return {YES: True, NO: False}.get(told)

    async def _take(self, stream: INetStream) -> None:
        """Read a peer's request on this stream, dial the peer back, and write the result."""
        try:
            with trio.fail_after(ASK_SECONDS):
                (size,) = await exactly(stream, 1)
                text = await exactly(stream, size)
                await stream.write(await self._try(stream.muxed_conn, text.decode()))
        except Exception as error:  # garbage, or the end of the stream
            log.debug("a request to dial back: %r", error)
        finally:
            await try_to_close(stream.close)

    async def _try(self, asker: Any, addr: str) -> bytes:
        peer = asker.peer_id
        if way_of(asker) == "relayed" or not self._may_dial(peer, asker.get_remote_address(), addr):
            return UNTRIED
        try:
            with trio.fail_after(DIAL_SECONDS):
                return YES if await self._answers(peer, Multiaddr(addr)) else NO
        except trio.TooSlowError:
            return NO

    def _may_dial(self, peer: ID, remote: tuple[str, int] | None, addr: str) -> bool:
        parts = addr.split("/")
        if remote is None or len(parts) != 5 or parts[2] != remote[0].removeprefix("::ffff:"):
            return False
        self._guard.heard(peer, [addr])
        if self._guard.rule(addr) is not None or not parts[4].isdecimal():
            return False
        now = trio.current_time()
        return self._budgets.of(peer, now).spend(1, now)

    async def _answers(self, peer: ID, addr: Multiaddr) -> bool:
        """Dial an address on a new connection, and return whether this peer answers there."""
        swarm: Any = self._host.get_network()
        raw: IRawConnection | None = None
        try:
            raw = await swarm.transport_manager.transport_for_dialing(addr).dial(addr)
            await swarm.upgrader.upgrade_security(raw, True, peer)
        except Exception as error:  # libp2p raises many kinds; each means that it does not
            log.debug("dialling back %s: %r", addr, error)
            return False
        finally:
            if raw is not None:
                with trio.move_on_after(1, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                    await raw.close()
        return True
