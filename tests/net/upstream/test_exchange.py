"""Peer exchange is removed and not followed; libp2p follows it whatever `do_px` says."""

from typing import Any

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStore
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2

from flux_tui.net.upstream.exchange import UnexchangedGossipSub, strip_exchange
from tests.support.gossip import prune


class Host:
    """A host that counts the peers that it is told to dial. Its peerstore is libp2p's own."""

    def __init__(self) -> None:
        self.host = self
        self.dialled: list[PeerInfo] = []
        self.peers: dict[ID, object] = {}
        self.store = PeerStore()

    def get_peerstore(self) -> PeerStore:
        return self.store

    async def connect(self, info: PeerInfo) -> None:
        self.dialled.append(info)


async def heard_by(kind: type[GossipSub], message: rpc_pb2.RPC) -> list[PeerInfo]:
    pubsub: Any = Host()
    router = kind([PROTOCOL_ID_V11], 6, 4, 12, do_px=False)
    router.pubsub = pubsub
    sender = ID.from_pubkey(create_new_key_pair(bytes([255]) * 32).public_key)
    await router.handle_prune(message.control.prune[0], sender)
    return list(pubsub.dialled)


async def test_libp2p_dials_peers_that_a_stranger_names() -> None:
    """This is the upstream bug that our module works around. If this test fails, upstream is fixed."""
    assert len(await heard_by(GossipSub, prune(5))) == 5


@pytest.mark.parametrize("stripped", [False, True])
async def test_peers_named_by_a_stranger_are_not_dialled(stripped: bool) -> None:
    message = prune(5)
    if stripped:
        assert strip_exchange(message) == 5
        assert message.control.prune[0].backoff == 60, "the PRUNE itself stays"
    assert not await heard_by(UnexchangedGossipSub, message)


def test_a_message_without_peer_exchange_is_unchanged() -> None:
    message = rpc_pb2.RPC(publish=[rpc_pb2.Message(data=b"x")])
    before = message.SerializeToString()
    assert strip_exchange(message) == 0
    assert message.SerializeToString() == before
