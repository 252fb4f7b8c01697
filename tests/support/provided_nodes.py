"""Nodes that are told of provider records, in virtual time: without a network, within the protocol's budget."""

from collections.abc import Callable, Sequence

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from flux_tui.core.ids import Cid
from flux_tui.core.wire.provide import MAX_KEYS, RECORDS_BURST, RECORDS_RATE
from flux_tui.net.flux.dht.provide_schedule import place_of
from flux_tui.net.flux.dht.providing import Providing
from flux_tui.net.port import CLOSEST

PEERS = [
    ID.from_pubkey(create_new_key_pair(bytes([number % 256, number // 256]) * 16).public_key)
    for number in range(300)
]


def closest_to(key: bytes, peers: Sequence[ID]) -> list[ID]:
    place = place_of(key)
    return sorted(peers, key=lambda peer: place ^ place_of(peer.to_bytes()))[:CLOSEST]


class FewNodes:
    """Nodes that accept what they are told, within the budget of the protocol, in virtual time."""

    def __init__(self, peers: Sequence[ID]) -> None:
        self.peers = peers
        self.lookups = 0
        self.lookup_seconds = 0.5
        self.told: dict[ID, list[bytes]] = {peer: [] for peer in peers}
        self.streams = 0
        self.reports: list[tuple[int, int, float]] = []
        self.level, self.at = dict.fromkeys(peers, RECORDS_BURST), dict.fromkeys(peers, 0.0)

    async def find(self, key: bytes) -> Sequence[ID]:
        self.lookups += 1
        await trio.sleep(self.lookup_seconds)
        return closest_to(key, self.peers)

    async def send(self, peer: ID, waiting: Callable[[], Sequence[bytes]]) -> int:
        keys = waiting()
        now = trio.current_time()
        self.level[peer] = min(RECORDS_BURST, self.level[peer] + (now - self.at[peer]) * RECORDS_RATE) - len(
            keys
        )
        self.at[peer] = now
        await trio.sleep(max(0.0, -self.level[peer] / RECORDS_RATE))
        keys = waiting()
        assert len(keys) <= MAX_KEYS
        self.streams += 1
        self.told[peer] += keys
        return len(keys)

    def report(self, roots: int, left: int, seconds: float) -> None:
        self.reports.append((roots, left, seconds))


async def provided(nodes: FewNodes, roots: Sequence[Cid]) -> float:
    """Return the seconds until all roots are provided to these nodes."""
    providing = Providing(ID(b"me"), nodes.find, nodes.send, nodes.report)
    providing.note_known(len(nodes.peers))
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(providing.run)
        providing.provide(roots)
        while len(providing.schedule.kept) < len(roots):  # noqa: ASYNC110
            await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    return trio.current_time() - begin
