"""Hole punching: who begins, what is dialled, and from where. Whole attempts are in tests/networks."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.dcutr import DCUtRProtocol
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.net.addresses.dial_guard import DialGuard
from flux_tui.net.upstream.hole_punching import (
    LATE_SECONDS,
    MAX_ADDRS,
    PAUSES,
    REDIAL_SECONDS,
    REFUSED_SECONDS,
    HolePunching,
    PunchedConnections,
)
from tests.support.hosts import plain_host

ONE, OTHER = sorted((plain_host(61).get_id(), plain_host(62).get_id()), key=ID.to_bytes)
PUBLIC = Multiaddr("/ip4/45.10.0.2/tcp/4001")


def connection(kind: ConnectionType) -> Any:
    muxed = SimpleNamespace(get_connection_type=lambda: kind, punched=False, peer_id=OTHER)
    return SimpleNamespace(muxed_conn=muxed, is_closed=False)


class Host:
    """A host with a relayed connection, whose dials are refused until `opens` of them were made."""

    def __init__(self, me: ID, peer: ID, *, opens: float = float("inf")) -> None:
        self.me, self.peer, self.opens = me, peer, opens
        self.dials: list[tuple[str, Any]] = []
        self.connections = {peer: [connection(ConnectionType.RELAYED)]}
        self.dead: list[Any] = []
        self.listening = [Multiaddr("/ip6/::/tcp/4002"), Multiaddr("/ip4/0.0.0.0/tcp/4001")]

    def get_id(self) -> ID:
        return self.me

    def get_network(self) -> Any:
        return self

    def get_peerstore(self) -> Any:
        return SimpleNamespace(addrs=lambda peer: [], has_peer=lambda peer: True, peer_info=lambda peer: None)

    def get_addrs(self) -> list[Multiaddr]:
        return self.listening

    get_transport_addrs = get_addrs

    async def close_dead(self, connections: Callable[[], Iterable[Any]]) -> None:
        await trio.lowlevel.checkpoint()
        for one in connections():
            one.is_closed = one in self.dead

    async def dial_addr(self, addr: Multiaddr, peer: ID, source: Any = None) -> Any:
        self.dials.append((str(addr), source))
        await trio.lowlevel.checkpoint()
        if len(self.dials) < self.opens:
            raise ConnectionRefusedError
        self.connections[peer].append(connection(ConnectionType.DIRECT))

    dial_addr_as_responder = dial_addr


def punching(host: Host, **options: Any) -> tuple[HolePunching, list[ID]]:
    reached: list[ID] = []
    guard = DialGuard(lambda peer: [], lambda *_: None)
    made = HolePunching(host, guard, list, lambda peer, _: reached.append(peer), host.close_dead)  # type: ignore[arg-type]
    return made, reached


async def test_a_refused_dial_is_repeated_until_the_hole_is_there(autojump_clock: MockClock) -> None:
    host = Host(ONE, OTHER, opens=20)
    made, _ = punching(host)
    assert await made._perform_hole_punch(OTHER, [PUBLIC])
    assert host.dials == [(str(PUBLIC), ("0.0.0.0", 4001))] * 20
    assert trio.current_time() < 5
    direct = made.direct(OTHER)
    assert direct is not None
    assert direct.muxed_conn.punched  # type: ignore[attr-defined]


async def test_a_dial_that_is_always_refused_ends_soon(autojump_clock: MockClock) -> None:
    """Otherwise the routers would never be at rest: each refused packet keeps a port for 10 s."""
    host = Host(ONE, OTHER)
    made, _ = punching(host)
    began = trio.current_time()
    await made._dial_peer(OTHER, PUBLIC)
    assert REFUSED_SECONDS <= trio.current_time() - began < REFUSED_SECONDS + 2 * REDIAL_SECONDS
    assert len(host.dials) > 10


@pytest.mark.parametrize(("seconds", "dials"), [(1.0, True), (LATE_SECONDS + 1, False)])
async def test_a_message_that_is_late_starts_no_dial(
    seconds: float, *, dials: bool, autojump_clock: MockClock
) -> None:
    host = Host(ONE, OTHER, opens=1)
    made, _ = punching(host)
    await made._get_observed_addrs()
    await trio.sleep(seconds)  # until the peer names the moment
    assert await made._perform_hole_punch(OTHER, [PUBLIC], as_responder=True) is dials
    assert bool(host.dials) is dials


async def test_the_hole_may_be_opened_by_the_peers_dial(autojump_clock: MockClock) -> None:
    """Its push link moves at once, before this node's attempt returns: both nodes must call it punched."""
    host = Host(ONE, OTHER, opens=1000)
    made, _ = punching(host)
    theirs, relayed = connection(ConnectionType.DIRECT), connection(ConnectionType.RELAYED)
    marks = PunchedConnections(made)
    await marks.connected(host, theirs)  # type: ignore[arg-type]
    assert not getattr(theirs.muxed_conn, "punched", False), "nobody is punching"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made._perform_hole_punch, OTHER, [PUBLIC])
        await trio.sleep(1)
        for one in (theirs, relayed):
            await marks.connected(host, one)  # type: ignore[arg-type]
        assert (theirs.muxed_conn.punched, getattr(relayed.muxed_conn, "punched", False)) == (True, False)
        nursery.cancel_scope.cancel()


async def test_libp2p_still_dials_once_in_a_round_and_from_an_address_of_the_other_family(
    autojump_clock: MockClock,
) -> None:
    """If this fails, compare again: parts of `upstream/hole_punching.py` may not be needed any more."""
    host = Host(ONE, OTHER, opens=20)
    assert not await DCUtRProtocol(host)._perform_hole_punch(OTHER, [PUBLIC])  # type: ignore[arg-type]
    assert host.dials == [(str(PUBLIC), ("::", 4002))] * 3


async def test_libp2p_still_dials_what_the_peer_names(autojump_clock: MockClock) -> None:
    host = Host(ONE, OTHER, opens=1)
    near = Multiaddr("/ip4/192.168.0.1/tcp/80")
    await DCUtRProtocol(host)._perform_hole_punch(OTHER, [near])  # type: ignore[arg-type]
    assert host.dials[0][0] == str(near)


async def test_a_relayed_peer_cannot_name_private_addresses(autojump_clock: MockClock) -> None:
    host = Host(ONE, OTHER)
    made, _ = punching(host)
    near = ["/ip4/192.168.0.1/tcp/80", "/ip4/127.0.0.1/tcp/80", "/ip6/::1/tcp/80", "/ip4/224.0.0.1/tcp/80"]
    assert not await made._perform_hole_punch(OTHER, list(map(Multiaddr, near)))
    assert host.dials == []


async def test_a_peer_cannot_name_a_crowd_of_addresses(autojump_clock: MockClock) -> None:
    host = Host(ONE, OTHER)
    made, _ = punching(host)
    many = [Multiaddr(f"/ip4/45.10.{number}.2/tcp/4001") for number in range(50)]
    assert not await made._perform_hole_punch(OTHER, many)
    assert len({addr for addr, _ in host.dials}) == MAX_ADDRS


async def test_only_the_node_with_the_greater_id_begins(autojump_clock: MockClock) -> None:
    for me, peer, tries in ((ONE, OTHER, 0), (OTHER, ONE, len(PAUSES))):
        host = Host(me, peer)
        made, reached = punching(host)
        begun: list[ID] = []

        async def begin(peer_id: ID, begun: list[ID] = begun) -> bool:
            begun.append(peer_id)
            return False

        made.initiate_hole_punch = begin  # type: ignore[method-assign]
        await made.punch(peer)
        assert begun == [peer] * tries
        assert reached == []


async def test_the_links_are_told_when_the_peer_is_reached() -> None:
    host = Host(OTHER, ONE)
    made, reached = punching(host)
    host.connections[ONE].append(connection(ConnectionType.DIRECT))
    await made.punch(ONE)
    assert reached == [ONE]


@pytest.mark.parametrize("me", [ONE, OTHER])
async def test_a_dead_direct_connection_counts_at_neither_end(me: ID) -> None:
    """A router got another address: the connection that was punched before is dead, and nobody has noticed."""
    peer = ONE if me == OTHER else OTHER
    host = Host(me, peer)
    made, _ = punching(host)
    host.dead.append(connection(ConnectionType.DIRECT))
    host.connections[peer] += host.dead
    assert made.direct(peer) is not None
    assert not await made._have_direct_connection(peer)
    host.connections[peer].append(connection(ConnectionType.DIRECT))
    assert await made._have_direct_connection(peer)


async def test_a_peer_that_is_gone_is_not_punched(autojump_clock: MockClock) -> None:
    host = Host(OTHER, ONE)
    made, reached = punching(host)
    host.connections.clear()
    await made.punch(ONE)
    assert (reached, host.dials) == ([], [])
    assert trio.current_time() < 1
