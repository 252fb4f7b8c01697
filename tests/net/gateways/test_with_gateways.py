"""A node fetches from gateways on loopback: good ones, moody ones, and ones that lie."""

import gzip
import inspect
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import h11
import pytest
import trio
import trio.testing

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.gateway.gateway import Gateway
from flux_tui.gateway.http_answers import Answer, HttpError
from flux_tui.gateway.http_server import HttpServer
from flux_tui.home import Home
from flux_tui.net.gateways.with_gateways import WithGateways, gateway_peer_id, with_gateways
from flux_tui.net.port import Network
from flux_tui.node.node import FluxNode
from flux_tui.node.offline import add_offline
from flux_tui.store.index.block_reader import BlockReader
from flux_tui.testing.memory_network import Switchboard
from tests.support.nodes_here import series_of, until

MIB = 1 << 20
FILM = random.Random(2).randbytes(4 * MIB + 9)
Handle = Callable[[h11.Request], Awaitable[Answer]]


class Served:
    """A home with a film, and its gateway's answers, which a test may change."""

    def __init__(self, place: Path) -> None:
        self.home = Home(place / "served")
        (place / "film").write_bytes(FILM)
        self.root = add_offline(self.home, place / "film", "t", lambda *_: None, lambda _: None).root
        self.gateway = Gateway(self.home)
        self.gateway._reader = BlockReader.open(self.home.path)
        self.asked: list[str] = []

    @asynccontextmanager
    async def at(
        self, mood: Callable[[h11.Request, int], Answer | None] = lambda *_: None
    ) -> AsyncIterator[str]:
        """Serve. `mood`: an answer in place of the gateway's, by the request and its number."""

        async def handle(request: h11.Request) -> Answer:
            self.asked.append(f"{request.method.decode()} {request.target.decode()}")
            if (instead := mood(request, len(self.asked))) is not None:
                return instead
            return await self.gateway.handle(request)

        server = HttpServer(handle, 32)
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1")
            (listener,) = await nursery.start(serve)
            yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def node(place: Path) -> AsyncIterator[FluxNode]:
    opening = with_gateways(Switchboard().opening())
    async with FluxNode.open(place / "home", Settings(mdns=False), network=opening) as one:
        yield one


def is_block(request: h11.Request) -> bool:
    return request.method == b"GET" and b"bafkqaaa" not in request.target


def noes(one: FluxNode) -> list[ev.StatusNo]:
    return [event for _, _, event in series_of(one) if isinstance(event, ev.StatusNo)]


async def fetch(one: FluxNode, root: Cid, url: str, out: Path) -> None:
    one.push_intent(cmd.Get(root, str(out), "film", addrs=(url,), by="t"))
    await until(lambda: one.derive_state().objects[root].completed_at is not None, 60)
    assert out.read_bytes() == FILM


async def test_a_gateway_is_a_holder_like_any_other(tmp_path: Path) -> None:
    served = Served(tmp_path)
    async with served.at() as url, node(tmp_path) as one:
        await fetch(one, served.root, url, tmp_path / "out")
        peer = gateway_peer_id(url)
        assert {event.peer for _, _, event in series_of(one) if isinstance(event, ev.ChunkReceived)} == {peer}
        known = one.derive_state().peers[peer]
        assert (known.addr, known.speaks) == (url, "http")
        assert (
            len([asked for asked in served.asked if asked.startswith("GET") and "bafkqaaa" not in asked]) == 6
        )
        missing = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
        one.get_chunk(missing)
        await until(
            lambda: any(
                isinstance(event, ev.StatusNo) and event.cids == (missing,) for _, _, event in series_of(one)
            )
        )
        (no,) = [event for _, _, event in series_of(one) if isinstance(event, ev.StatusNo)]
        assert (no.peer, no.reason, no.has_it) == (peer, "not_held", False)


async def test_a_gateway_that_says_429_now_and_then_is_asked_again_when_it_says(tmp_path: Path) -> None:
    served = Served(tmp_path)

    def mood(request: h11.Request, number: int) -> Answer | None:
        if is_block(request) and number in (5, 7):
            raise HttpError(429, "too much", [("Retry-After", "1")])
        return None

    async with served.at(mood) as url, node(tmp_path) as one:
        await fetch(one, served.root, url, tmp_path / "out")
        assert noes(one)
        assert {(no.reason, no.retry_after, no.has_it) for no in noes(one)} == {("rate_limited", 1.0, True)}


async def test_wrong_bytes_are_not_taken_and_the_gateway_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    served, good = Served(tmp_path), Served(tmp_path / "good")

    def lie(request: h11.Request, _: int) -> Answer | None:
        if is_block(request) and b"bafk" in request.target:
            return Answer(200, [("Content-Type", "application/vnd.ipld.raw")], b"x" * MIB)
        return None

    async with served.at(lie) as bad_url, good.at() as url, node(tmp_path) as one:
        one.push_intent(cmd.Join(bad_url))
        peer = gateway_peer_id(bad_url)
        await until(lambda: peer in one.derive_state().peers)
        await fetch(one, served.root, url, tmp_path / "out")
        wasted = [
            event
            for _, _, event in series_of(one)
            if isinstance(event, ev.ChunkWasted) and event.cause == "corrupt"
        ]
        assert {event.peer for event in wasted} == {peer}


@pytest.mark.parametrize("how", ["endless", "too long"])
async def test_a_body_without_end_is_not_read(tmp_path: Path, how: str) -> None:
    served = Served(tmp_path)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    def mood(request: h11.Request, _: int) -> Answer | None:
        if not is_block(request):
            return None
        size = None if how == "endless" else 1 << 40
        return Answer(200, [], endless(), size)  # type: ignore[arg-type]

    async with served.at(mood) as url, node(tmp_path) as one:
        one.push_intent(cmd.Get(served.root, str(tmp_path / "out"), addrs=(url,), by="t"))
        await until(lambda: any(isinstance(event, ev.PeerFaulted) for _, _, event in series_of(one)), 60)


async def test_a_gateway_that_does_not_answer_is_told(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        for url in ("http://127.0.0.1:1", "http://", "https://user@x"):
            one.push_intent(cmd.Join(url))
            await until(
                lambda url=url: any(  # type: ignore[misc]
                    isinstance(event, ev.ErrorOccurred) and event.addr == url
                    for _, _, event in series_of(one)
                )
            )


@pytest.mark.parametrize("name", ["peers", "push", "tell", "dial", "disconnect"])
def test_what_is_passed_on_takes_what_the_network_takes(name: str) -> None:
    own, port = (inspect.signature(getattr(cls, name)).parameters for cls in (WithGateways, Network))
    assert [(one.name, one.kind, one.default) for one in own.values()] == [
        (one.name, one.kind, one.default) for one in port.values()
    ]


def too_late(request: h11.Request) -> Answer:
    raise HttpError(429, "too much", [("Retry-After", "Mon, 01 Jan 99999999999 00:00:00 GMT")])


def away(request: h11.Request) -> Answer:
    return Answer(302, [("Location", "http://xn--/")])


@pytest.mark.parametrize("odd", [too_late, away])
async def test_headers_that_mean_nothing_do_not_end_the_node(
    tmp_path: Path, odd: Callable[[h11.Request], Answer]
) -> None:
    served = Served(tmp_path)

    def mood(request: h11.Request, _: int) -> Answer | None:
        return None if b"bafkqaaa" in request.target else odd(request)

    async with served.at(mood) as url, node(tmp_path) as one:
        one.push_intent(cmd.Get(served.root, str(tmp_path / "out"), addrs=(url,), by="t"))
        await until(lambda: bool(noes(one)))
        assert {no.cids for no in noes(one)} == {(served.root,)}


async def test_a_packed_body_is_not_unpacked_and_the_block_is_refused(tmp_path: Path) -> None:
    served = Served(tmp_path)
    packed = gzip.compress(bytes(8 * MIB))

    def mood(request: h11.Request, _: int) -> Answer | None:
        return Answer(200, [("Content-Encoding", "gzip")], packed) if is_block(request) else None

    async with served.at(mood) as url, node(tmp_path) as one:
        one.push_intent(cmd.Get(served.root, str(tmp_path / "out"), addrs=(url,), by="t"))
        await until(lambda: bool(noes(one)))
        (no,) = noes(one)
        assert (no.cids, no.reason, no.has_it) == ((served.root,), "not_held", False)
        faults = [event for _, _, event in series_of(one) if isinstance(event, ev.PeerFaulted)]
        assert ["packed" in fault.text for fault in faults] == [True]


async def test_a_gateway_that_was_left_while_it_did_not_answer_is_not_dialled_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    told: list[str] = []

    class Told:
        def on_dial_failed(self, addr: str, why: str) -> None:
            told.append(addr)

    @asynccontextmanager
    async def nobody(_: object) -> AsyncIterator[object]:
        yield object()

    url = "http://127.0.0.1:1"
    async with with_gateways(nobody)(Told()) as network:  # type: ignore[arg-type]
        network.dial(url)
        await until(lambda: len(told) == 2)
        network.disconnect(gateway_peer_id(url), "a person left it", forget=True)
        await trio.sleep(600)
        assert len(told) == 2
        network.dial(url)
        await until(lambda: len(told) == 3)
