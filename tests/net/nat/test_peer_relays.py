"""When a node offers to relay for its peers, and when it asks some of them to relay for it."""

from collections.abc import Callable

import pytest
import trio
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses import own_addrs
from flux_tui.net.addresses.own_addrs import OwnAddrs
from flux_tui.net.nat.peer_relays import AGAIN_SECONDS, GRACE_SECONDS, MAX_BORROWED, PeerRelays

ME = PeerId("12D3KooWD1kRAPHRi1sbUbSktjh5Wcc2w975CpUJ8GwHicxea2em")
PEERS = [f"/ip4/45.9.0.{number}/tcp/4001/p2p/12D3KooWpeer{number}" for number in range(1, 5)]
OUTER = "/ip4/45.10.0.1/tcp/4001"


class Node:
    """A node with an address on a private network, and peers that could relay for it."""

    def __init__(self, relays: tuple[str, ...] = ()) -> None:
        self.own = OwnAddrs(ME, relays)
        self.own.listens_on([Multiaddr("/ip4/127.0.0.1/tcp/4001")])
        self.offers = False
        self.peers: list[str] = []
        self.refuse: set[str] = set()
        self.asked: list[tuple[str, float]] = []
        self.gone = {addr: trio.Event() for addr in PEERS}
        self.part = PeerRelays(self.own, self.offer, lambda: self.peers, self.borrow)

    def offer(self, offers: bool) -> None:
        self.offers = offers

    async def borrow(self, addr: str, reserved: Callable[[bool], None]) -> None:
        self.asked.append((addr, trio.current_time()))
        if addr in self.refuse:
            return
        reserved(True)
        try:
            await self.gone[addr].wait()
        finally:
            reserved(False)

    def through(self) -> list[str]:
        return [addr.partition("/p2p-circuit")[0] for addr in self.own.all if "p2p-circuit" in addr]


@pytest.fixture
async def node(nursery: trio.Nursery) -> Node:
    made = Node()
    nursery.start_soon(made.part.run)
    return made


async def test_a_node_that_cannot_be_dialled_asks_two_peers(node: Node, autojump_clock: MockClock) -> None:
    await trio.sleep(60)
    assert not node.asked
    node.peers = PEERS[:3]
    await trio.sleep(GRACE_SECONDS - 1)
    assert not node.asked, "a proof of an address outside of the router may come"
    await trio.sleep(10)
    assert node.through() == PEERS[:MAX_BORROWED]
    assert node.own.all[0] == f"{PEERS[0]}/p2p-circuit/p2p/{ME}"
    node.gone[PEERS[0]].set()
    node.peers = PEERS[1:3]
    await trio.sleep(5)
    assert node.through() == PEERS[1:3]


async def test_a_node_with_a_proved_address_needs_no_relay_and_offers_to_be_one(
    node: Node, autojump_clock: MockClock
) -> None:
    node.peers = PEERS[:1]
    await trio.sleep(20)
    assert (node.through(), node.offers) == (PEERS[:1], False)
    node.own.has_outer([OUTER])
    await trio.sleep(5)
    assert (node.through(), node.offers) == ([], True)
    node.own.has_outer([])
    await trio.sleep(20)
    assert (node.through(), node.offers) == (PEERS[:1], False)


async def test_a_node_whose_relays_a_person_named_asks_nobody(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    node = Node((f"{PEERS[3]}/p2p-circuit/p2p/{ME}",))
    node.peers = PEERS[:3]
    nursery.start_soon(node.part.run)
    await trio.sleep(60)
    assert not node.asked


async def test_a_peer_that_refuses_is_asked_again_later(node: Node, autojump_clock: MockClock) -> None:
    node.peers, node.refuse = PEERS[:1], set(PEERS)
    await trio.sleep(AGAIN_SECONDS * 2.5)
    assert 2 <= len(node.asked) <= 3


async def test_a_node_on_the_internet_offers_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_addrs, "_is_here", lambda addr: True)
    node = Node()
    node.own.listens_on([Multiaddr("/ip4/45.9.9.9/tcp/4001")])
    node.peers = PEERS
    nursery.start_soon(node.part.run)
    await trio.sleep(60)
    assert node.offers
    assert not node.asked
