"""Links that move to another connection: nothing is lost, nothing comes twice, and nobody is told of an end."""

from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.net.flux import peer_links
from tests.support.hosts import host_of, id_of
from tests.support.members import never_punch, relayed_pair
from tests.support.networks import BOUND, MIB, Node, a_chunk, settled, words

RELAY = PeerId(str(ID.from_pubkey(create_new_key_pair(bytes([1]) * 32).public_key)))


@pytest.fixture(autouse=True)
def unpunched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let links stay at the relay until the test moves them."""
    never_punch(monkeypatch)


def links_of(one: Node) -> peer_links.Links:
    return one.network._links  # type: ignore[attr-defined, no-any-return]


async def dial_directly(one: Node, other: Node) -> Any:
    """Open a second connection to a peer, beside the relayed one. Return it."""
    addr = next(addr for addr in other.network.addrs if "p2p-circuit" not in addr)
    made = await host_of(one).get_network().dial_addr(Multiaddr(addr), id_of(other))
    await settled()
    return made.muxed_conn


def kinds(one: Node) -> list[str]:
    """Return what a node heard of its link to the other one of the pair, whose ids are those of members 2 and 3."""
    return [kind for kind, peer in one.seen.links if peer != RELAY]


def connections(one: Node, other: Node) -> int:
    return len(host_of(one).get_network().connections.get(id_of(other), []))


async def test_a_link_goes_on_over_a_direct_connection() -> None:
    chunks = [a_chunk(MIB, fill=number) for number in range(24)]
    async with relayed_pair() as (asker, hidden):
        assert (asker.seen.ways[hidden.id], hidden.seen.ways[asker.id]) == ("relayed", "relayed")
        for part in range(8):
            hidden.serve(asker.id, *chunks[3 * part : 3 * part + 3])
        await asker.seen.until(lambda: asker.seen.payloads)
        direct = await dial_directly(asker, hidden)
        assert await links_of(asker).move(hidden.id, direct)
        for number in range(100):
            assert asker.network.push(hidden.id, words(number))
            assert hidden.network.push(asker.id, words(number))
        await hidden.seen.until(lambda: len(hidden.seen.messages) == 100)
        await asker.seen.until(lambda: len(asker.seen.payloads) == len(chunks))
        await asker.seen.until(lambda: len(asker.seen.messages) == 100)
        for one in (asker, hidden):
            assert one.seen.messages == [words(number) for number in range(100)], "all of them, in order"
            assert kinds(one) == ["up"], "nobody was told of an end"
        assert [cid for cid in asker.seen.frames if isinstance(cid, str)] == [one.cid for one in chunks]
        await asker.seen.until(lambda: asker.seen.ways[hidden.id] == "direct")
        await hidden.seen.until(lambda: hidden.seen.ways[asker.id] == "direct")
        with trio.fail_after(BOUND):
            while connections(asker, hidden) > 1 or connections(hidden, asker) > 1:  # noqa: ASYNC110
                await trio.sleep(0.02)
        asker.network.push(hidden.id, words(7))
        await hidden.seen.until(lambda: len(hidden.seen.messages) == 101)


async def test_a_relayed_link_moves_to_a_direct_address_that_a_person_names() -> None:
    """Both may be in one network: a ticket names that address, and nothing else leads there."""
    async with relayed_pair() as (asker, hidden):
        direct = next(addr for addr in hidden.network.addrs if "p2p-circuit" not in addr)
        asker.network.dial(direct, from_peers=True)
        asker.network.dial(f"/ip4/127.0.0.1/tcp/1/p2p/{hidden.id}")  # nobody is there
        await settled()
        assert asker.seen.ways[hidden.id] == "relayed"
        for _ in range(3):
            asker.network.dial(direct, keep=True)
        await asker.seen.until(lambda: asker.seen.ways[hidden.id] == "direct")
        await hidden.seen.until(lambda: hidden.seen.ways[asker.id] == "direct")
        asker.network.push(hidden.id, words(1))
        await hidden.seen.until(lambda: hidden.seen.messages == [words(1)])
        assert kinds(asker) == kinds(hidden) == ["up"]
        assert asker.seen.failed == []


async def test_a_peer_that_moves_again_and_again_leaves_no_tasks_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted: list[Any] = []
    left: list[Any] = []
    take_moved = peer_links.Links.take_moved

    async def spied(links: peer_links.Links, stream: Any) -> None:
        accepted.append(stream)
        await take_moved(links, stream)
        left.append(stream)

    monkeypatch.setattr(peer_links.Links, "take_moved", spied)
    async with relayed_pair() as (asker, hidden):
        for number in range(3):
            direct = await dial_directly(asker, hidden)
            with trio.fail_after(BOUND):
                while not await links_of(asker).move(hidden.id, direct):  # noqa: ASYNC110 - it is tried
                    await trio.sleep(0.02)
            asker.network.push(hidden.id, words(number))
            await hidden.seen.until(lambda: words(number) in hidden.seen.messages)  # noqa: B023 - awaited here
        of_asker = [one for one in accepted if one.muxed_conn.peer_id == id_of(asker)]
        assert len(of_asker) == 3
        with trio.fail_after(BOUND):
            while of_asker[1] not in left:  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert of_asker[0] in left
        assert of_asker[2] not in left, "it is being read"
        assert kinds(hidden) == ["up"]
    assert of_asker[2] in left


async def test_the_link_ends_if_the_connection_before_breaks_with_bytes_on_it() -> None:
    """Then nobody knows what was lost. The next link asks again for what is missing."""
    async with relayed_pair() as (asker, hidden):
        (relayed,) = host_of(hidden).get_network().connections[id_of(asker)]
        asker.seen.may_take = trio.Event()
        hidden.serve(asker.id, *[a_chunk(MIB, fill=number) for number in range(24)])
        await asker.seen.until(lambda: asker.seen.frames)
        direct = await dial_directly(asker, hidden)
        await links_of(asker).move(hidden.id, direct)  # if hole punching has not done it already
        await relayed.close()
        asker.seen.may_take.set()
        await asker.seen.was_down(hidden.id)
        await asker.seen.up(hidden.id)


async def test_a_peer_that_cannot_follow_keeps_its_link() -> None:
    """A node of an earlier version does not know the protocol."""
    async with relayed_pair() as (asker, hidden):
        host_of(hidden).remove_stream_handler(peer_links.MOVE)
        direct = await dial_directly(asker, hidden)
        assert not await links_of(asker).move(hidden.id, direct)
        asker.network.push(hidden.id, words(1))
        await hidden.seen.until(lambda: hidden.seen.messages == [words(1)])
        assert asker.seen.ways[hidden.id] == "relayed"
        assert kinds(hidden) == ["up"]
