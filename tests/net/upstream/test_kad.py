"""What libp2p's DHT does with its protocol's name and with provider records, and what `kad.py` does instead."""

from types import SimpleNamespace
from typing import Any

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.kad_dht import provider_store
from libp2p.kad_dht.common import PROTOCOL_ID as IPFS_KAD
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.provider_store import ProviderStore
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.net.upstream import kad as kad_module
from flux_tui.net.upstream.kad import MAX_ADDRS, MAX_RECORDS, MAX_SERVED, Records
from tests.support.hosts import plain_host

PEER = ID.from_pubkey(create_new_key_pair(bytes([9]) * 32).public_key)


async def test_libp2p_still_ignores_the_prefix_of_its_dht() -> None:
    """If this fails, `KadDHT` takes a protocol's name: `KadHost` need not rename streams."""
    host = plain_host(1)
    KadDHT(host, DHTMode.SERVER, protocol_prefix=TProtocol("/flux"), strict_validation=True)
    assert IPFS_KAD in host.get_mux().get_protocols()


async def test_libp2p_still_answers_few_requests_at_a_time() -> None:
    """If this fails, see whether MAX_SERVED is still needed."""
    kad = KadDHT(plain_host(1), DHTMode.SERVER)
    assert kad._inbound_limiter.total_tokens < MAX_SERVED


def test_libp2p_still_keeps_any_number_of_provider_records_and_addresses() -> None:
    """If this fails, see whether `Records` is still needed."""
    host: Any = plain_host(1)
    store = ProviderStore(host)
    many = [Multiaddr(f"/ip4/192.0.2.1/tcp/{port}") for port in range(1, 3 * MAX_ADDRS)]
    for number in range(MAX_RECORDS + 1):
        store.add_provider(number.to_bytes(34, "big"), PeerInfo(PEER, many if not number else []))
    assert len(store.providers) == MAX_RECORDS + 1
    (first,) = store.get_providers(bytes(34))
    assert len(first.addrs) == len(many)


class AnyAddrs:
    """A host whose peerstore admits all addresses."""

    def get_id(self) -> ID:
        return PEER

    def get_peerstore(self) -> "AnyAddrs":
        return self

    def admits(self, peer: ID, addrs: list[Multiaddr]) -> list[Multiaddr]:
        return addrs


def records_of(store: Records, peer: ID) -> list[bytes]:
    return [key for key, providers in store.providers.items() if str(peer) in providers]


def provider(number: int) -> PeerInfo:
    peer = ID.from_pubkey(create_new_key_pair(bytes([number]) * 32).public_key)
    return PeerInfo(peer, [Multiaddr("/ip4/192.0.2.1/tcp/1")])


def keys(begin: int, count: int) -> list[bytes]:
    return [number.to_bytes(34, "big") for number in range(begin, begin + count)]


def test_a_node_that_has_much_pushes_out_nobody_who_has_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kad_module, "MAX_RECORDS", 100)
    store = Records(AnyAddrs())
    few, much = provider(1), provider(2)
    assert store.add_all(keys(0, 10), few) == 10
    assert store.add_all(keys(1000, 1000), much) == 90, "it hears how many found room"
    assert store.add_all(keys(2000, 10), much) == 0
    assert store.add_all(keys(10, 5), few) == 5, "room is made by the one that has most"
    assert records_of(store, few.peer_id) == [*keys(0, 15)]
    assert records_of(store, much.peer_id) == keys(1005, 85), "its oldest went"
    assert store.count == 100


def test_a_key_has_all_its_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Records(AnyAddrs())
    one, other = provider(1), provider(2)
    store.add_all(keys(0, 3), one)
    store.add_all(keys(1, 1), other)
    store.add_all(keys(0, 2), one)  # it tells them again
    assert [len(store.get_providers(key)) for key in keys(0, 4)] == [1, 2, 1, 0]
    assert {info.peer_id for info in store.get_providers(keys(1, 1)[0])} == {one.peer_id, other.peer_id}
    assert store.count == 4
    store.clear()
    assert store.count == 0
    assert not store.get_providers(keys(1, 1)[0])


def test_records_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Records(AnyAddrs())
    one, other = provider(1), provider(2)
    hours = [1000.0]
    monkeypatch.setattr(provider_store, "time", SimpleNamespace(time=lambda: hours[0] * 3600))
    store.add_all(keys(0, 3), one)
    hours[0] += 30
    store.add_all(keys(0, 1), one)
    store.add_all(keys(1, 1), other)
    hours[0] += 20
    assert [len(store.get_providers(key)) for key in keys(0, 3)] == [1, 1, 0]
    store.cleanup_expired()
    assert {key: len(providers) for key, providers in store.providers.items()} == dict.fromkeys(keys(0, 2), 1)
    assert store.count == 2


def test_a_key_has_no_more_providers_than_libp2p_keeps() -> None:
    store = Records(AnyAddrs())
    for number in range(1, 30):
        assert store.add_all(keys(0, 2), provider(number)) == 2
    assert len(store.get_providers(keys(0, 1)[0])) == 20
    assert store.count == 40
