"""Links that come up at the same moment from both sides, on a machine where handshakes are late."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import permutations
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from libp2p.abc import INetStream
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.core.vocabulary import Speaks, Way
from flux_tui.core.wire.messages import Grant
from flux_tui.net.addresses import large_packets
from flux_tui.net.connections.keepalive import SILENT
from flux_tui.net.flux import link, peer_links
from flux_tui.net.flux.peer_links import STANDS_STILL
from flux_tui.net.flux.push_stream import LARGE_CHUNK
from flux_tui.net.upstream import select_connection
from tests.abuse.attacker import PROTOCOL, Attacker, attacking
from tests.support.hosts import plain_host
from tests.support.networks import Loopback, Node, Seen, a_chunk, connect, node, settled, words

SPREAD = 0.05
"""Seconds over which the dials of one round are spread."""


def links_of(one: Node) -> peer_links.Links:
    return one.network._links  # type: ignore[attr-defined, no-any-return]


def counts(one: Node) -> list[str]:
    return [kind for kind, _ in one.seen.links]


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Node, Attacker]]:
    """A node, and a peer that plays its side of the link by hand. The link is up, and nothing was said on it."""
    async with node(Loopback(), 1) as a, attacking(a.addr) as peer:
        await a.seen.up(peer.peer_id)
        yield a, peer


async def dial_each_other(nodes: Sequence[Node], seed: int) -> None:
    """Let all of them dial all others, and wait until all links are up."""
    delays = random.Random(seed)
    async with trio.open_nursery() as nursery:

        async def dial(a: Node, b: Node, delay: float) -> None:
            await trio.sleep(delay)
            a.network.dial(b.addr, keep=True)

        for a, b in permutations(nodes, 2):
            nursery.start_soon(dial, a, b, delays.uniform(0, SPREAD))
    for a, b in permutations(nodes, 2):
        await a.seen.up(b.id)


def talk(one: Node) -> None:
    """Let a node say something on each link as soon as it is up, as a real node does."""
    record = one.seen.on_connected

    def on_connected(peer: PeerId, addr: str, way: Way = "direct", speaks: Speaks = "flux") -> None:
        record(peer, addr, way, speaks)
        one.network.push(peer, words(1))

    one.seen.on_connected = on_connected  # type: ignore[method-assign]


@pytest.mark.parametrize("first", ["close", "open"])
async def test_a_peer_that_gave_up_a_silent_link_opens_a_new_stream(first: str) -> None:
    """The node's own stream is in the hands of the peer's new link. Closing it would end that link, too."""
    async with linked() as (a, peer):
        given_up = peer.stream
        if first == "close":
            await given_up.reset()
            await settled()
        peer.stream = await peer.open()
        if first == "open":
            await settled()
            await given_up.reset()
        await settled()
        await peer.push(words(1))
        await a.seen.until(lambda: a.seen.messages == [words(1)])
        assert a.network.push(peer.peer_id, words(2))
        while words(2) not in peer.heard:
            await settled()
        assert counts(a) == ["up"]
        assert not peer.gone.is_set()


async def test_a_stream_that_the_peer_has_reset_is_not_paired_with_the_peers_next_one() -> None:
    """The link would end at the first write, and the peer's fresh stream with it. Then the peer would do the same."""
    async with node(Loopback(), 1) as a, attacking(a.addr, connect=False) as peer:
        taken: list[INetStream] = []

        async def take(stream: INetStream) -> None:
            taken.append(stream)
            await trio.sleep_forever()

        peer.host.set_stream_handler(PROTOCOL, take)
        await peer.host.connect(peer.victim)
        links_of(a).connected(peer.peer_id)
        await a.seen.until(lambda: taken)
        await taken[0].reset()
        await settled()
        peer.stream = await peer.open()
        await a.seen.up(peer.peer_id)
        await a.seen.until(lambda: len(taken) == 2)
        assert a.network.push(peer.peer_id, words(1))
        assert await taken[1].read(1)
        assert counts(a) == ["up"]


async def test_a_peer_that_spoke_and_opens_a_new_stream_has_a_new_link() -> None:
    """It lost what it knew: both sides begin anew."""
    async with linked() as (a, peer):
        await peer.push(words(1))
        await a.seen.until(lambda: a.seen.messages)
        peer.stream = await peer.open()
        await a.seen.until(lambda: counts(a) == ["up", "down", "up"])
        assert a.seen.whys == ["the peer opened a new stream"]


async def test_a_peer_cannot_replace_its_stream_for_ever() -> None:
    async with linked() as (a, peer):
        for _ in range(link.MAX_REPLACED):
            await peer.open()
            await settled()
        assert counts(a) == ["up"]
        await peer.open()
        await a.seen.down(peer.peer_id)


@pytest.mark.parametrize("seed", range(8))
async def test_late_handshakes_do_not_make_a_link_flap(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides give up links that the other has just taken. They must not go on answering each other's last one."""
    monkeypatch.setattr(peer_links, "HANDSHAKE_SECONDS", 0.02)
    monkeypatch.setattr(peer_links, "REOPEN_SECONDS", 0.1)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        talk(a)
        talk(b)
        await dial_each_other([a, b], seed)
        monkeypatch.setattr(peer_links, "HANDSHAKE_SECONDS", 10.0)
        await trio.sleep(2 * peer_links.SETTLE_SECONDS)
        for one, other in ((a, b), (b, a)):
            await one.seen.up(other.id)
            assert counts(one).count("up") <= 3


@pytest.mark.parametrize("seed", range(2))
async def test_six_nodes_that_dial_each_other_have_one_link_each(seed: int) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(Loopback(), number)) for number in range(1, 7)]
        for one in nodes:
            talk(one)
        await dial_each_other(nodes, seed)
        for one in nodes:
            await one.seen.until(lambda one=one: len(one.seen.messages) == 5)  # type: ignore[misc]
        await settled()
        assert [counts(one) for one in nodes] == [["up"] * 5] * 6
        assert not any(one.seen.failed for one in nodes)


async def came_back(one: Node, times: int) -> None:
    """Wait until the link of a node has ended and come up again so many times."""
    await one.seen.until(lambda: counts(one) == ["up", *["down", "up"] * times])


async def test_a_lost_link_comes_back_and_one_that_dies_again_and_again_is_reported() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        for times in (1, 2):
            link = links_of(a).table.up(b.id)
            assert link is not None
            assert [text for _, text in a.seen.failed if STANDS_STILL in text] == []
            link.end(SILENT)
            await came_back(a, times)
            await b.seen.up(a.id)
        ((addr, text),) = a.seen.failed
        assert text == f"{addr} {STANDS_STILL}"
        assert links_of(a).table.fell_silent(b.id)


async def test_a_way_that_loses_large_packets_is_reported_when_small_ones_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_packets, "STILL_SECONDS", 0.0)
    chunk = a_chunk(LARGE_CHUNK)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        link = links_of(a).table.up(b.id)
        assert link is not None
        assert a.network.push(b.id, Grant(cids=(chunk.cid,), ttl=60.0))
        link.end(SILENT)
        await came_back(a, 1)
        await b.seen.up(a.id)
        b.seen.granted[a.id].append([chunk])
        b.network.serve(a.id)
        await a.seen.until(lambda: a.seen.payloads)
        (text,) = a.seen.failures
        assert text.endswith(peer_links.SMALL_ONLY)
        assert text.startswith("/ip4/127.0.0.1/")
        assert not b.seen.failures, "nothing was due from there, as far as b knows"


async def test_a_peer_that_is_disconnected_on_purpose_is_not_dialled_again() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        a.network.disconnect(b.id, "it misbehaved", seconds=2)
        await a.seen.down(b.id)
        await trio.sleep(1)
        assert a.seen.links == [("up", b.id), ("down", b.id)]


class Slow:
    """A host on which a stream opens on one connection only. On every other one, the attempt hangs, or fails."""

    def __init__(self, works: object, *, hangs: bool) -> None:
        self.works = works
        self.hangs = hangs
        self.tried: list[object] = []

    async def new_stream(self, peer: ID, protocols: Sequence[str]) -> SimpleNamespace:
        wanted = select_connection._wanted.get()
        self.tried.append(wanted)
        if wanted is not self.works:
            await trio.sleep(600.0 if self.hangs else 2.0)
            raise OSError("the connection is dead")
        return SimpleNamespace(muxed_conn=wanted)


@pytest.mark.parametrize("hangs", [True, False])
async def test_the_answer_goes_on_the_connection_of_the_peers_stream_also_if_that_comes_later(
    hangs: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """A router has another address: the connection of this node's own attempt is dead without a sign of it."""
    works = SimpleNamespace(is_closed=False)
    host = Slow(works, hangs=hangs)
    links = object.__new__(peer_links.Links)
    links._host = host  # type: ignore[assignment]
    made = link.Link(PeerId(str(plain_host(3).get_id())), Seen())
    assert made.begin_opening()
    async with trio.open_nursery() as nursery:

        async def come() -> None:
            await trio.sleep(1.0)
            made.accept(SimpleNamespace(muxed_conn=works))  # type: ignore[arg-type]

        nursery.start_soon(come)
        stream = await links._new_stream(made)
    assert stream.muxed_conn == works
    assert host.tried == [None, works]
    assert trio.current_time() <= 1.0 + max(link.LAG_SECONDS)


async def test_an_attempt_that_fails_without_an_answer_of_the_peer_ends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    host = Slow(None, hangs=False)
    host.works = host
    links = object.__new__(peer_links.Links)
    links._host = host  # type: ignore[assignment]
    with pytest.raises(OSError, match="dead"):
        await links._new_stream(link.Link(PeerId(str(plain_host(3).get_id())), Seen()))
