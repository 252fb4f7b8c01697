"""What libp2p's DHT does with its protocol's name and with provider records, and what `kad.py` does instead."""

from typing import Any

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.common import PROTOCOL_ID as IPFS_KAD
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.kad_dht.provider_store import ProviderStore
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.net.upstream.kad import MAX_ADDRS, MAX_RECORDS, MAX_SERVED
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
