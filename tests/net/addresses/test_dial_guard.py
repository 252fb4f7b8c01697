"""The guard at two places of libp2p: which addresses its peerstore keeps, and which the dialler dials."""

from typing import Any

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.connection_types import ConnectionType
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.peers.address_dial_policy import TELLER_BURST, Reach
from flux_tui.net.addresses import dial_guard
from flux_tui.net.addresses.dial_guard import DialGuard, told_by, told_by_person
from flux_tui.net.flux.dht import dht_routing
from tests.support.hosts import host_of, id_of
from tests.support.networks import BOUND, Loopback, connect, node

FAR, NEAR, HERE, RELAYED, OTHER = (ID(b"\x12\x20" + bytes([number]) * 32) for number in range(5))
HOSTS = {FAR: "192.0.2.9", NEAR: "192.168.1.9", HERE: "127.0.0.1", RELAYED: "127.0.0.1"}
LOCAL, PRIVATE, PUBLIC = (
    Multiaddr(f"/ip4/{host}/tcp/4001") for host in ("127.0.0.1", "192.168.1.7", "192.0.2.7")
)
ALL = [LOCAL, PRIVATE, PUBLIC]


class Connection:
    """A connection to each of the peers above."""

    def __init__(self, peer: ID) -> None:
        self.peer = peer
        self.muxed_conn = self

    def get_remote_address(self) -> tuple[str, int]:
        return HOSTS[self.peer], 5000

    def get_connection_type(self) -> ConnectionType:
        return ConnectionType.RELAYED if self.peer == RELAYED else ConnectionType.DIRECT


@pytest.fixture
async def guard() -> DialGuard:
    def connections(peer: ID) -> Any:
        return [Connection(peer)] if peer in HOSTS else []

    refused.clear()
    return DialGuard(connections, lambda addr, why: refused.append(why))


refused: list[str] = []


@pytest.mark.parametrize(
    ("teller", "kept"),
    [(FAR, [PUBLIC]), (NEAR, [PRIVATE, PUBLIC]), (HERE, ALL), (RELAYED, [PUBLIC]), (OTHER, [PUBLIC])],
    ids=["far", "near", "here", "relayed", "unknown"],
)
async def test_a_peer_may_name_addresses_as_near_as_itself(
    guard: DialGuard, teller: ID, kept: list[Multiaddr]
) -> None:
    with told_by(teller):
        assert guard.admits(OTHER, ALL) == kept
    assert not refused, "honest peers name all that they have"


async def test_without_another_source_a_peer_names_its_own_addresses(guard: DialGuard) -> None:
    assert guard.admits(NEAR, ALL) == [PRIVATE, PUBLIC]
    assert guard.admits(FAR, ALL[:1]) == []


async def test_a_person_may_name_any_address_at_no_cost(guard: DialGuard) -> None:
    with told_by_person():
        assert guard.admits(OTHER, ALL) == ALL
    assert [guard.spend(OTHER, LOCAL) for _ in range(500)] == [None] * 500
    with told_by(FAR):
        guard.admits(OTHER, [PUBLIC])
    assert guard.spend(OTHER, LOCAL) is None, "what a stranger adds takes nothing away"


async def test_a_refused_address_is_reported_once_and_only_if_it_was_to_be_dialled(guard: DialGuard) -> None:
    with told_by(FAR):
        guard.admits(OTHER, [LOCAL])
    assert not refused
    for _ in range(3):
        why = guard.why_none(OTHER)
        assert why is not None
        assert f"{FAR} comes from elsewhere" in why
    assert refused == [why]
    with told_by(HERE):
        guard.admits(OTHER, [LOCAL])
    assert guard.why_none(OTHER) is None


async def test_dials_on_the_word_of_one_peer_are_counted_for_all_targets(guard: DialGuard) -> None:
    dialled = 0
    for number in range(200):
        peer = ID(b"\x12\x20" + number.to_bytes(32, "big"))
        addr = Multiaddr(f"/ip4/198.51.{number}.1/tcp/4001")
        with told_by(FAR):
            guard.admits(peer, [addr])
        dialled += guard.spend(peer, addr) is None
    assert dialled == TELLER_BURST
    assert len(refused) == 1
    assert f"{FAR} named more addresses" in refused[0]


async def test_a_relay_is_dialled_on_the_word_of_the_peer_that_named_the_relayed_address(
    guard: DialGuard,
) -> None:
    relayed = Multiaddr(f"{LOCAL}/p2p/{OTHER}/p2p-circuit/p2p/{FAR}")
    with told_by(FAR):
        assert guard.admits(NEAR, [relayed]) == []
    with told_by(HERE):
        assert guard.admits(NEAR, [relayed]) == [relayed]
    assert guard.spend(NEAR, relayed) is None
    assert guard.admits(OTHER, [LOCAL]) == [LOCAL]


async def test_a_handler_acts_on_the_word_of_its_peer_even_if_a_person_dialled_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The dialler starts the tasks of a connection."""
    monkeypatch.setattr(dial_guard, "_reach", lambda connection: Reach.PUBLIC)
    done = trio.Event()
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)  # a person asked a to dial it

        async def handle(stream: INetStream) -> None:
            host_of(a).get_peerstore().add_addrs(OTHER, ALL, 60)
            done.set()

        host_of(a).set_stream_handler(TProtocol("/test/1"), handle)
        await host_of(b).new_stream(id_of(a), [TProtocol("/test/1")])
        with trio.fail_after(BOUND):
            await done.wait()
        assert host_of(a).get_peerstore().addrs(OTHER) == [PUBLIC]


@pytest.mark.parametrize("reach", [Reach.PUBLIC, Reach.LOOPBACK])
async def test_addresses_from_a_lookup_count_as_named_by_the_peer_that_answered(
    reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two peers learn of each other from a third.

    Its loopback addresses count only if that peer is on this machine too.
    """
    monkeypatch.setattr(dht_routing, "MEET_SECONDS", 600.0)  # no lookups except those of the test
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, node(Loopback(), 3) as c:
        await connect(a, b)
        await connect(c, b)
        kad, store = a.network.dht._kad, host_of(a).get_peerstore()  # type: ignore[attr-defined]
        await c.network.dht._kad.peer_routing._query_peer_for_closest(id_of(b), id_of(a).to_bytes())  # type: ignore[attr-defined]
        await b.seen.until(lambda: b.seen.known)
        monkeypatch.setattr(dial_guard, "_reach", lambda connection: reach)
        found = await kad.peer_routing._query_peer_for_closest(id_of(b), id_of(c).to_bytes())
        assert id_of(c) in found
        known = id_of(c) in store.peer_ids() and bool(store.addrs(id_of(c)))
        assert known == (reach == Reach.LOOPBACK)
