"""The host's own entry stays, and strangers evict each other; libp2p's own peerstore does neither."""

from collections.abc import Callable, Iterator

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore, PeerStoreError, create_signed_peer_record
from multiaddr import Multiaddr

from flux_tui.net.upstream import peerstore
from flux_tui.net.upstream.peerstore import BoundedPeerstore

ME = create_new_key_pair(bytes(32))
MY_ID = ID.from_pubkey(ME.public_key)
ADDR = Multiaddr("/ip4/192.0.2.1/tcp/4001")


def a_store(pinned: Callable[[ID], bool]) -> BoundedPeerstore:
    """Return a peerstore that keeps all addresses."""
    return BoundedPeerstore(pinned, lambda peer, addrs: list(addrs))


def strangers(count: int) -> Iterator[ID]:
    for number in range(count):
        yield ID(b"\x12\x20" + number.to_bytes(32, "big"))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> BoundedPeerstore:
    monkeypatch.setattr(peerstore, "MAX_ENTRIES", 20)
    store = a_store(lambda peer: peer == MY_ID)
    store.add_key_pair(MY_ID, ME)
    return store


def test_libp2p_still_forgets_its_own_key() -> None:
    """If this fails, libp2p keeps it: see whether `BoundedPeerstore` is still needed."""
    store = PeerStore(max_peers=20)
    store.add_key_pair(MY_ID, ME)
    for peer in strangers(21):
        store.add_addrs(peer, [ADDR], 60)
    with pytest.raises(PeerStoreError):
        store.pubkey(MY_ID)


def test_the_own_key_stays(store: BoundedPeerstore) -> None:
    for peer in strangers(200):
        store.add_addrs(peer, [ADDR], 60)
    assert store.pubkey(MY_ID) == ME.public_key
    assert store.privkey(MY_ID) == ME.private_key


@pytest.mark.parametrize("what", ["addrs", "protocols", "key", "record", "metadata"])
def test_strangers_evict_each_other_from_the_peerstore(store: BoundedPeerstore, what: str) -> None:
    for number, peer in enumerate(strangers(200)):
        match what:
            case "addrs":
                store.add_addrs(peer, [ADDR], 60)
            case "protocols":
                store.set_protocols(peer, ["/ipfs/ping/1.0.0"])
            case "key":
                store.peer_data_map.setdefault(peer, type(store.peer_data_map[MY_ID])())
            case "metadata":
                store.put(peer, "agent", "x")
            case "record":
                pair = create_new_key_pair(number.to_bytes(32, "big"))
                envelope = create_signed_peer_record(
                    ID.from_pubkey(pair.public_key), [ADDR], pair.private_key
                )
                assert store.consume_peer_record(envelope, 60)
    assert len(store.peer_data_map) <= 21
    assert len(store.peer_record_map) <= 21
    assert MY_ID in store.peer_data_map
    if what != "record":
        assert peer in store.peer_data_map, "the newest is there"


def test_connected_peers_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peerstore, "MAX_ENTRIES", 20)
    friend, *others = strangers(200)
    store = a_store(lambda peer: peer in (MY_ID, friend))
    store.add_key_pair(MY_ID, ME)
    store.add_addrs(friend, [ADDR], 60)
    for peer in others:
        store.add_addrs(peer, [ADDR], 60)
    assert store.addrs(friend) == [ADDR]
    assert len(store.peer_data_map) <= 22


def test_the_entry_of_one_peer_is_bounded(store: BoundedPeerstore) -> None:
    (peer,) = strangers(1)
    many = [Multiaddr(f"/ip4/192.0.2.1/tcp/{port}") for port in range(1, 2000)]
    store.add_addrs(peer, many, 60)
    store.add_addrs(peer, many[:3], 60)
    assert len(store.addrs(peer)) == peerstore.MAX_ADDRS
    assert store.addrs(peer)[-1] == many[2], "the newest"
    for _ in range(100):
        store.add_protocols(peer, ["/x", "y" * 10_000] * 1000)
    assert len(store.get_protocols(peer)) == peerstore.MAX_PROTOCOLS
    assert set(store.get_protocols(peer)) == {"/x"}
    pair = create_new_key_pair(bytes([7]) * 32)
    envelope = create_signed_peer_record(ID.from_pubkey(pair.public_key), many, pair.private_key)
    assert not store.consume_peer_record(envelope, 60)


def test_the_order_of_a_signed_record_is_kept(store: BoundedPeerstore) -> None:
    """The peer tells its best address first; libp2p's own peerstore shuffles them."""
    pair = create_new_key_pair(bytes([8]) * 32)
    peer = ID.from_pubkey(pair.public_key)
    told = [Multiaddr(f"/ip4/192.0.2.{number}/tcp/4001") for number in (9, 1, 8, 2, 7, 3)]
    assert store.consume_peer_record(create_signed_peer_record(peer, told, pair.private_key), 60)
    assert store.addrs(peer) == told
    store.put_first(peer, [told[3], Multiaddr("/ip4/198.51.100.1/tcp/1")])
    assert store.addrs(peer) == [told[3], *told[:3], *told[4:]], "an address that is not kept changes nothing"
