"""Signed records of peers: what is in them, and which are refused."""

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.envelope import Envelope, seal_record
from libp2p.peer.id import ID
from libp2p.peer.peer_record import PeerRecord
from multiaddr import Multiaddr

from flux_tui.core.wire.exchange import MAX_RECORD
from flux_tui.net.discovery.peer_records import MAX_ADDRS, open_sealed, seal

ADA, BOB = (create_new_key_pair(bytes([number]) * 32) for number in (1, 2))
ADA_ID = str(ID.from_pubkey(ADA.public_key))
ADDRS = ("/ip4/9.9.9.9/tcp/4001", f"/ip6/2001:db8::1/tcp/4001/p2p/{ADA_ID}")
RELAYED = f"/ip4/9.9.9.9/tcp/1/p2p/{ADA_ID}/p2p-circuit/p2p/{ADA_ID}"


def test_a_record_says_who_where_and_which_is_newer() -> None:
    sealed = seal(ADA.private_key, (*ADDRS, RELAYED), 7)
    record = open_sealed(sealed)
    assert record is not None
    assert (record.peer, record.addrs, record.seq) == (ADA_ID, (*ADDRS, RELAYED), 7)
    assert record.sealed == sealed


def test_libp2p_reads_and_writes_the_same_records() -> None:
    peer = ID.from_pubkey(ADA.public_key)
    theirs = seal_record(PeerRecord(peer, [Multiaddr(addr) for addr in ADDRS], 7), ADA.private_key)
    assert theirs.marshal_envelope() == seal(ADA.private_key, ADDRS, 7)


def test_a_record_that_another_peer_signed_is_refused() -> None:
    record = PeerRecord(ID.from_pubkey(ADA.public_key), [], 7)
    assert open_sealed(seal_record(record, BOB.private_key).marshal_envelope()) is None


def test_a_changed_record_is_refused() -> None:
    record = PeerRecord(ID.from_pubkey(ADA.public_key), [], 7)
    good = seal_record(record, ADA.private_key)
    other = PeerRecord(ID.from_pubkey(ADA.public_key), [Multiaddr(ADDRS[0])], 7).marshal_record()
    assert open_sealed(good.marshal_envelope()) is not None
    changed = Envelope(good.public_key, good.payload_type, other, good.signature)
    assert open_sealed(changed.marshal_envelope()) is None


@pytest.mark.parametrize("data", [b"", b"\0", b"garbage" * 20, bytes(2000), b"\x0a\x02\x08\x01"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    assert open_sealed(data) is None


def test_a_record_is_bounded() -> None:
    many = [f"/ip4/9.9.9.{number}/tcp/4001" for number in range(50)]
    record = open_sealed(seal(ADA.private_key, many, 7))
    assert record is not None
    assert record.addrs == tuple(many[:MAX_ADDRS])
    long = [RELAYED + RELAYED] * 50
    assert len(seal(ADA.private_key, long, 7)) <= MAX_RECORD
    peer = ID.from_pubkey(ADA.public_key)
    huge = seal_record(PeerRecord(peer, [Multiaddr(addr) for addr in many * 2], 7), ADA.private_key)
    assert open_sealed(huge.marshal_envelope()) is None
