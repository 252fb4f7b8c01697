"""What a host accepts by default, and what full frames become in libp2p; `transport.py` does neither."""

from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID
from libp2p.security.noise.io import MAX_PLAINTEXT_LENGTH
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE, Yamux

from flux_tui.net.flux.noise_and_yamux import WRITE_BYTES
from tests.support.hosts import host_of
from tests.support.networks import Loopback, node


def protocols(host: Any) -> set[str]:
    """Return the security protocols that a host offers and accepts."""
    return {str(one) for one in host.get_network().upgrader.security_multistream.transports}


def test_libp2p_still_accepts_plaintext_unless_it_is_told_otherwise() -> None:
    """Over plaintext, anybody can claim any peer id. If this fails, the default may be safe."""
    assert str(PLAINTEXT_PROTOCOL_ID) in protocols(new_host(key_pair=create_new_key_pair()))


async def test_a_node_offers_noise_and_nothing_else() -> None:
    async with node(Loopback(), 1) as one:
        assert protocols(host_of(one)) == {str(NOISE)}


class Written:
    """A secured connection that notes what is written to it."""

    is_initiator = True

    def __init__(self) -> None:
        self.writes: list[int] = []

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.writes.append(len(data))


async def test_a_full_frame_of_libp2p_still_takes_two_messages() -> None:
    """If this fails, libp2p's own frames fit into one message: WRITE_BYTES may follow from them."""
    secured: Any = Written()
    muxed = Yamux(secured, ID.from_pubkey(create_new_key_pair().public_key), is_initiator=True)
    stream = await muxed.open_stream()
    await stream.write(bytes(200_000))
    assert max(secured.writes) > MAX_PLAINTEXT_LENGTH
    assert HEADER_SIZE + WRITE_BYTES == MAX_PLAINTEXT_LENGTH
