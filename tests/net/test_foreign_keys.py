"""Peers with an identity of a kind that this node cannot verify: it says so, and does not hang."""

from typing import Any

import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair, KeyType, PrivateKey, PublicKey
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from flux_tui.net.flux.noise_and_yamux import security
from tests.support.networks import BOUND, Loopback, node


class EcdsaPublicKey(PublicKey):
    """An ECDSA key as the libp2p specification of peer ids has it: the key in DER, with key type ECDSA."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self.key = key

    def to_bytes(self) -> bytes:
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def get_type(self) -> KeyType:
        return KeyType.ECDSA

    def verify(self, data: bytes, signature: bytes) -> bool:
        raise NotImplementedError


class EcdsaPrivateKey(PrivateKey):
    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def to_bytes(self) -> bytes:
        raise NotImplementedError

    def get_type(self) -> KeyType:
        return KeyType.ECDSA

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def get_public_key(self) -> PublicKey:
        return EcdsaPublicKey(self.key.public_key())


async def test_a_peer_with_an_ecdsa_identity_is_refused_by_a_sentence() -> None:
    private = EcdsaPrivateKey()
    pair = KeyPair(private, private.get_public_key())
    peer = ID.from_pubkey(pair.public_key)
    host: Any = new_host(
        key_pair=create_new_key_pair(), sec_opt=security(pair), muxer_opt={TProtocol(YAMUX): Yamux}
    )
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]), node(Loopback(), 1) as one:
        (addr,) = host.get_addrs()
        port = addr.value_for_protocol("tcp")
        with trio.fail_after(BOUND):
            one.network.dial(f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer}")
            await one.seen.until(lambda: bool(one.seen.failed))
    ((_, why),) = one.seen.failed
    assert "cannot be reached: its identity is an ECDSA key" in why
