"""Peer exchange is not followed; libp2p follows it whatever `do_px` says, unless it may dial 0 peers."""

from typing import Any

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStore
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub

from flux_tui.net.flux import gossip
from tests.support.gossip import prune
from tests.support.networks import Loopback, node


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


async def dialled_after_prune(count: int, **options: Any) -> list[PeerInfo]:
    """Return whom a router of libp2p dials after a PRUNE that names so many peers."""
    pubsub: Any = Host()
    router = GossipSub([PROTOCOL_ID_V11], 6, 4, 12, do_px=False, **options)
    router.pubsub = pubsub
    sender = ID.from_pubkey(create_new_key_pair(bytes([255]) * 32).public_key)
    await router.handle_prune(prune(count).control.prune[0], sender)
    return list(pubsub.dialled)


async def test_libp2p_still_dials_peers_that_a_stranger_names() -> None:
    """If this fails, `do_px=False` has an effect: `PX_PEERS` is not needed any more."""
    assert len(await dialled_after_prune(5)) == 5


async def test_peers_named_by_a_stranger_are_not_dialled() -> None:
    assert not await dialled_after_prune(5, px_peers_count=gossip.PX_PEERS)


async def test_a_node_has_such_a_router() -> None:
    async with node(Loopback(), 1) as one:
        pubsub = one.network._broadcast._pubsub  # type: ignore[attr-defined]
        assert pubsub.router.px_peers_count == 0
